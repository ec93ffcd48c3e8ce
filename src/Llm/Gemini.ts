/**
 * Provides the models of Google's Gemini API (AI Studio); for Google Cloud see `Vertex`.
 *
 * Needs the package `@ai-sdk/google`. Reads `GEMINI_API_KEY` and, if it is set, `GOOGLE_GEMINI_BASE_URL` (the address
 * of a proxy, with or without `/v1beta`). Thought signatures stay with the parts that carry them and go back to Gemini
 * with the next request.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { LanguageModel } from "effect/ai"
 * import { Gemini } from "effect-troupe"
 *
 * const answer = LanguageModel.generateText({ prompt: "Why is the sky blue?" }).pipe(
 *   Effect.provide(Gemini.model("gemini-2.5-flash", { reasoning: "none" }))
 * )
 * ```
 *
 * @since 0.1.0
 */
import type * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { guardedFetch } from "../internal/llm/fetch.ts"
import { baseUrl, load, requiredKey, rethrow } from "../internal/llm/provider.ts"
import { checkEmbeddings, checkModel } from "../internal/llm/settings.ts"
import * as AiSdk from "./AiSdk.ts"
import * as AiSdkEmbedding from "./AiSdkEmbedding.ts"
import * as ModelList from "./ModelList.ts"
import type { Settings } from "./Settings.ts"

/**
 * A model of Gemini by its name.
 *
 * @since 0.1.0
 * @category layers
 */
export const model = (
  name: string,
  settings: Settings = {}
): AiSdk.ModelLayer<Config.ConfigError | AiSdk.PackageMissing> => {
  checkModel("Gemini.model", name, settings)
  return AiSdk.layer(
    Effect.map(provider, ({ google, key }) => ({
      model: google(name),
      provider: "gemini",
      settings,
      jsonOutput: "always",
      secrets: [key]
    }))
  )
}

/**
 * An embedding model of Gemini by its name, such as `"gemini-embedding-001"`; at most 100 texts go in one call.
 *
 * @since 0.1.0
 * @category layers
 */
export const embeddings = (
  name: string,
  settings: AiSdkEmbedding.Settings = {}
): AiSdkEmbedding.EmbeddingLayer<Config.ConfigError | AiSdk.PackageMissing> => {
  checkEmbeddings("Gemini.embeddings", name, settings)
  return AiSdkEmbedding.layer(
    Effect.map(provider, ({ google, key }) => ({
      model: google.embeddingModel(name),
      provider: "gemini",
      settings,
      secrets: [key]
    }))
  )
}

/**
 * The models of Gemini that the key may use, for text and for embeddings.
 *
 * @since 0.1.0
 * @category models
 */
export const models: ModelList.ModelList = Effect.suspend(() =>
  Effect.flatMap(connection, ({ key, url }) =>
    ModelList.make({
      provider: "gemini",
      url: `${url}/models?pageSize=1000`,
      headers: { "x-goog-api-key": Redacted.value(key) },
      schema: Body,
      toModels: ({ models }) =>
        models.map((model) => ({
          id: model.name.replace(/^models\//, ""),
          name: model.displayName,
          inputTokens: model.inputTokenLimit,
          outputTokens: model.outputTokenLimit
        })),
      nextPage: ({ nextPageToken }) => nextPageToken ? { pageToken: nextPageToken } : undefined,
      secrets: [key]
    }))
)

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const Body = Schema.Struct({
  models: Schema.Array(Schema.Struct({
    name: Schema.String,
    displayName: Schema.optional(Schema.String),
    inputTokenLimit: Schema.optional(Schema.Finite),
    outputTokenLimit: Schema.optional(Schema.Finite)
  })),
  nextPageToken: Schema.optional(Schema.String)
})

const connection = Effect.all({
  key: requiredKey("Gemini", "GEMINI_API_KEY"),
  // Google's own clients take the address without the version.
  url: baseUrl(
    "GOOGLE_GEMINI_BASE_URL",
    "https://generativelanguage.googleapis.com/v1beta",
    (url) => url.replace(/(\/v1beta)?\/*$/, "/v1beta")
  )
})

const provider = Effect.gen(function*() {
  const { createGoogle } = yield* load("Gemini", "@ai-sdk/google", () => import("@ai-sdk/google").catch(rethrow))
  const { key, url } = yield* connection
  return { google: createGoogle({ baseURL: url, apiKey: Redacted.value(key), fetch: guardedFetch }), key }
})
