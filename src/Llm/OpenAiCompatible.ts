/**
 * Provides the models of any server that speaks OpenAI's chat completions API.
 *
 * Needs the package `@ai-sdk/openai-compatible`. For OpenAI itself see `OpenAi`, for Ollama see `Ollama`.
 *
 * **Example** (A server of one's own)
 *
 * ```ts
 * import { OpenAiCompatible } from "effect-troupe"
 *
 * const model = OpenAiCompatible.model("qwen3", { baseUrl: "http://127.0.0.1:8080/v1", temperature: 0.2 })
 * ```
 *
 * @since 0.1.0
 */
import { Effect, Redacted } from "effect"
import { httpUrl, load } from "../internal/provider.ts"
import * as AiSdk from "./AiSdk.ts"

/**
 * @since 0.1.0
 * @category models
 */
export interface Settings extends AiSdk.Settings {
  /** The address up to and including the version: `http://127.0.0.1:8080/v1`. */
  readonly baseUrl: string
  /** Sent as a bearer token. Default: none. */
  readonly apiKey?: Redacted.Redacted | undefined
  /** The provider's name in errors and spans, and the key of its `providerOptions`. Default: `"openai-compatible"`. */
  readonly provider?: string | undefined
}

/**
 * A model of a compatible server by its name.
 *
 * @since 0.1.0
 * @category layers
 */
export const model = (name: string, settings: Settings): AiSdk.ModelLayer<AiSdk.PackageMissing> => {
  if (httpUrl(settings.baseUrl) === undefined) {
    throw new Error(`OpenAiCompatible.model: baseUrl must be an http address, got ${JSON.stringify(settings.baseUrl)}`)
  }
  return AiSdk.layer(options(name, settings))
}

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const options = Effect.fnUntraced(function*(name: string, { apiKey, baseUrl, provider, ...settings }: Settings) {
  const { createOpenAICompatible } = yield* load(
    provider ?? "OpenAiCompatible",
    "@ai-sdk/openai-compatible",
    () => import("@ai-sdk/openai-compatible")
  )
  const sdk = createOpenAICompatible({
    name: provider ?? "openai-compatible",
    baseURL: baseUrl,
    includeUsage: true,
    supportsStructuredOutputs: true,
    ...(apiKey === undefined ? undefined : { apiKey: Redacted.value(apiKey) })
  })
  return {
    model: sdk.chatModel(name),
    provider: provider ?? "openai-compatible",
    settings,
    secrets: apiKey === undefined ? [] : [apiKey]
  }
})
