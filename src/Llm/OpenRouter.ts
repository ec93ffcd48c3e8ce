/**
 * Provides the models of OpenRouter, which routes to those of many vendors.
 *
 * Needs the package `@ai-sdk/openai-compatible`. Reads `OPENROUTER_API_KEY` and, if it is set, `OPENROUTER_BASE_URL`
 * (up to and including the version). What OpenRouter knows beyond OpenAI's API goes into the request as it is under
 * `providerOptions.openrouter`. The `reasoning_details` of an answer (signatures, encrypted reasoning) are kept, and
 * the next request carries them again.
 *
 * @example
 * ```ts
 * import { OpenRouter } from "effect-troupe"
 *
 * const model = OpenRouter.model("anthropic/claude-sonnet-4.5", {
 *   providerOptions: { openrouter: { models: ["openai/gpt-5-mini"], provider: { data_collection: "deny" } } }
 * })
 * ```
 *
 * @since 0.1.0
 */
import type * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { baseUrl, requiredKey } from "../internal/llm/provider.ts"
import { keepDetails } from "../internal/llm/reasoningDetails.ts"
import { checkEmbeddings, checkModel } from "../internal/llm/settings.ts"
import * as AiSdk from "./AiSdk.ts"
import type * as AiSdkEmbedding from "./AiSdkEmbedding.ts"
import type * as ModelList from "./ModelList.ts"
import * as OpenAiCompatible from "./OpenAiCompatible.ts"
import type { Settings } from "./Settings.ts"

/**
 * A model by its name at OpenRouter, which begins with the vendor's: `"mistralai/mistral-small"`.
 *
 * @since 0.1.0
 * @category layers
 */
export const model = (
  name: string,
  settings: Settings = {}
): AiSdk.ModelLayer<Config.ConfigError | AiSdk.PackageMissing> => {
  checkModel("OpenRouter.model", name, settings)
  return AiSdk.layer(
    Effect.map(Effect.flatMap(server, OpenAiCompatible.connect), ({ sdk, ...origin }) => ({
      ...origin,
      model: keepDetails(sdk.chatModel(name)),
      settings
    }))
  )
}

/**
 * An embedding model by its name at OpenRouter, such as `"openai/text-embedding-3-small"`.
 *
 * @since 0.1.0
 * @category layers
 */
export const embeddings = (
  name: string,
  settings: AiSdkEmbedding.Settings = {}
): AiSdkEmbedding.EmbeddingLayer<Config.ConfigError | AiSdk.PackageMissing> => {
  checkEmbeddings("OpenRouter.embeddings", name, settings)
  return Layer.unwrap(Effect.map(server, (server) => OpenAiCompatible.embeddings(name, { ...settings, ...server })))
}

/**
 * The models of OpenRouter.
 *
 * @since 0.1.0
 * @category models
 */
export const models: ModelList.ModelList = Effect.suspend(() => Effect.flatMap(server, OpenAiCompatible.models))

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const server = Effect.all({
  provider: Effect.succeed("openrouter"),
  apiKey: requiredKey("OpenRouter", "OPENROUTER_API_KEY"),
  baseUrl: baseUrl("OPENROUTER_BASE_URL", "https://openrouter.ai/api/v1")
})
