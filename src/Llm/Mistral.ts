/**
 * Provides the models of Mistral.
 *
 * Needs the package `@ai-sdk/mistral`. Reads `MISTRAL_API_KEY` and, if it is set, `MISTRAL_BASE_URL` (up to and
 * including the version).
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { LanguageModel } from "effect/ai"
 * import { Mistral } from "effect-troupe"
 *
 * const answer = LanguageModel.generateText({ prompt: "Why is the sky blue?" }).pipe(
 *   Effect.provide(Mistral.model("mistral-small-latest", { temperature: 0 }))
 * )
 * ```
 *
 * @since 0.1.0
 */
import type * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { guardedFetch } from "../internal/llm/fetch.ts"
import { baseUrl, load, requiredKey, rethrow } from "../internal/llm/provider.ts"
import { checkEmbeddings, checkModel } from "../internal/llm/settings.ts"
import * as AiSdk from "./AiSdk.ts"
import * as AiSdkEmbedding from "./AiSdkEmbedding.ts"
import * as ModelList from "./ModelList.ts"
import type { Settings } from "./Settings.ts"

/**
 * A model of Mistral by its name.
 *
 * @since 0.1.0
 * @category layers
 */
export const model = (
  name: string,
  settings: Settings = {}
): AiSdk.ModelLayer<Config.ConfigError | AiSdk.PackageMissing> => {
  checkModel("Mistral.model", name, settings)
  return AiSdk.layer(
    Effect.map(
      provider,
      ({ key, mistral }) => ({
        model: mistral(name),
        provider: "mistral",
        settings,
        jsonOutput: "withoutTools",
        secrets: [key]
      })
    )
  )
}

/**
 * An embedding model of Mistral by its name, such as `"mistral-embed"`; at most 32 texts go in one call.
 *
 * @since 0.1.0
 * @category layers
 */
export const embeddings = (
  name: string,
  settings: AiSdkEmbedding.Settings = {}
): AiSdkEmbedding.EmbeddingLayer<Config.ConfigError | AiSdk.PackageMissing> => {
  checkEmbeddings("Mistral.embeddings", name, settings)
  return AiSdkEmbedding.layer(
    Effect.map(provider, ({ key, mistral }) => ({
      model: mistral.embeddingModel(name),
      provider: "mistral",
      settings,
      secrets: [key]
    }))
  )
}

/**
 * The models of Mistral that the key may use, for text and for embeddings.
 *
 * @since 0.1.0
 * @category models
 */
export const models: ModelList.ModelList = Effect.suspend(() =>
  Effect.flatMap(connection, ({ key, url }) =>
    ModelList.makeOpenAi({
      provider: "mistral",
      url: `${url}/models`,
      headers: { authorization: `Bearer ${Redacted.value(key)}` },
      secrets: [key]
    }))
)

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const connection = Effect.all({
  key: requiredKey("Mistral", "MISTRAL_API_KEY"),
  url: baseUrl("MISTRAL_BASE_URL", "https://api.mistral.ai/v1")
})

const provider = Effect.gen(function*() {
  const { createMistral } = yield* load("Mistral", "@ai-sdk/mistral", () => import("@ai-sdk/mistral").catch(rethrow))
  const { key, url } = yield* connection
  return { mistral: createMistral({ baseURL: url, apiKey: Redacted.value(key), fetch: guardedFetch }), key }
})
