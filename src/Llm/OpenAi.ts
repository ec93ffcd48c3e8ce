/**
 * Provides the models of OpenAI, and of servers that speak its API at another address.
 *
 * Needs the package `@ai-sdk/openai`. Reads `OPENAI_API_KEY` and, if it is set, `OPENAI_BASE_URL`. With an address of
 * your own the key may be absent, as local servers want none; otherwise its absence is a `ConfigError`.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { LanguageModel } from "effect/ai"
 * import { OpenAi } from "effect-troupe"
 *
 * const answer = LanguageModel.generateText({ prompt: "Why is the sky blue?" }).pipe(
 *   Effect.provide(OpenAi.model("gpt-5-mini", { reasoning: "low" }))
 * )
 * ```
 *
 * @since 0.1.0
 */
import type * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { keepRequests, unpacking } from "../internal/llm/approvalRequests.ts"
import { guardedFetch } from "../internal/llm/fetch.ts"
import { load, missingKey, optionalKey, optionalUrl, rethrow } from "../internal/llm/provider.ts"
import { checkEmbeddings, checkModel } from "../internal/llm/settings.ts"
import * as AiSdk from "./AiSdk.ts"
import * as AiSdkEmbedding from "./AiSdkEmbedding.ts"
import * as ModelList from "./ModelList.ts"
import type * as ModelSettings from "./Settings.ts"

/**
 * @since 0.1.0
 * @category models
 */
export interface Settings extends ModelSettings.Settings {
  /**
   * Which of OpenAI's two APIs to use. Default: `"responses"`, and `"chat"` with `OPENAI_BASE_URL`, because few
   * compatible servers have the other.
   */
  readonly api?: "responses" | "chat" | undefined
}

/**
 * A model of OpenAI by its name.
 *
 * **Details**
 *
 * Over the responses API nothing is stored at OpenAI: reasoning comes back encrypted and the next request carries it,
 * so that a transcript can be cut, forked and kept anywhere. `providerOptions: { openai: { store: true } }` undoes it.
 *
 * @since 0.1.0
 * @category layers
 */
export const model = (
  name: string,
  settings: Settings = {}
): AiSdk.ModelLayer<Config.ConfigError | AiSdk.PackageMissing> => {
  checkModel("OpenAi.model", name, settings)
  return AiSdk.layer(options(name, settings))
}

/**
 * An embedding model of OpenAI by its name, such as `"text-embedding-3-small"`; at most 2,048 texts go in one call.
 *
 * @since 0.1.0
 * @category layers
 */
export const embeddings = (
  name: string,
  settings: AiSdkEmbedding.Settings = {}
): AiSdkEmbedding.EmbeddingLayer<Config.ConfigError | AiSdk.PackageMissing> => {
  checkEmbeddings("OpenAi.embeddings", name, settings)
  return AiSdkEmbedding.layer(
    Effect.map(provider, ({ openai, secrets }) => ({
      model: openai.embeddingModel(name),
      provider: "openai",
      settings,
      secrets
    }))
  )
}

/**
 * The models of OpenAI that the key may use.
 *
 * @since 0.1.0
 * @category models
 */
export const models: ModelList.ModelList = Effect.suspend(() =>
  Effect.flatMap(connection, ({ apiKey, baseUrl, secrets }) =>
    ModelList.makeOpenAi({
      provider: "openai",
      url: `${baseUrl}/models`,
      headers: { authorization: `Bearer ${apiKey}` },
      secrets
    }))
)

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const connection = Effect.gen(function*() {
  const url = yield* optionalUrl("OPENAI_BASE_URL")
  const key = yield* optionalKey("OPENAI_API_KEY")
  if (Option.isNone(key) && Option.isNone(url)) return yield* missingKey("OpenAI", "OPENAI_API_KEY")
  return {
    isOpenAi: Option.isNone(url),
    baseUrl: Option.match(url, {
      onNone: () => "https://api.openai.com/v1",
      onSome: ({ href }) => href.replace(/\/+$/, "")
    }),
    apiKey: Option.match(key, { onNone: () => "none", onSome: Redacted.value }),
    secrets: Option.toArray(key)
  }
})

const provider = Effect.gen(function*() {
  const { createOpenAI } = yield* load("OpenAi", "@ai-sdk/openai", () => import("@ai-sdk/openai").catch(rethrow))
  const { apiKey, baseUrl, ...rest } = yield* connection
  return { ...rest, openai: createOpenAI({ baseURL: baseUrl, apiKey, fetch: unpacking(guardedFetch) }) }
})

const options = Effect.fnUntraced(function*(name: string, { api, ...settings }: Settings) {
  const { isOpenAi, openai, secrets } = yield* provider
  const { toCodecOpenAI } = yield* Effect.promise(() => import("effect/ai/OpenAiStructuredOutput"))
  const useResponses = api === undefined ? isOpenAi : api === "responses"
  return {
    model: useResponses ? keepRequests(openai.responses(name), "openai") : openai.chat(name),
    provider: "openai",
    settings: useResponses ? unstored(settings) : settings,
    codecTransformer: toCodecOpenAI,
    strictTools: "whenPossible",
    // Nobody knows it of other servers with the older API.
    jsonOutput: isOpenAi || useResponses ? "always" : undefined,
    secrets
  } as const
})

const unstored = ({ providerOptions, ...settings }: ModelSettings.Settings): ModelSettings.Settings => ({
  ...settings,
  providerOptions: { ...providerOptions, openai: { store: false, ...providerOptions?.openai } }
})
