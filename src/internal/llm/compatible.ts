/**
 * Connects the package for OpenAI-compatible servers to one of them.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type { Server } from "../../Llm/OpenAiCompatible.ts"
import { load } from "./provider.ts"

/** @internal */
export const DEFAULT_NAME = "openai-compatible"

/** @internal */
export const connect = Effect.fnUntraced(function*({ apiKey, baseUrl, provider = DEFAULT_NAME }: Server) {
  const { createOpenAICompatible } = yield* load(
    provider,
    "@ai-sdk/openai-compatible",
    () => import("@ai-sdk/openai-compatible")
  )
  const sdk = createOpenAICompatible({
    name: provider,
    baseURL: baseUrl,
    includeUsage: true,
    supportsStructuredOutputs: true,
    ...(apiKey === undefined ? undefined : { apiKey: Redacted.value(apiKey) })
  })
  return { sdk, provider, secrets: apiKey === undefined ? [] : [apiKey] }
})
