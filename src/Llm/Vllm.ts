/**
 * Provides the models of a vLLM server, on this machine unless `VLLM_BASE_URL` says otherwise.
 *
 * Needs the package `@ai-sdk/openai-compatible`. Reads `VLLM_BASE_URL` (up to and including the version; default
 * `http://127.0.0.1:8000/v1`) and, if the server wants a key, `VLLM_API_KEY`. What vLLM knows beyond OpenAI's API goes
 * into the request as it is under `providerOptions.vllm`.
 *
 * @example
 * ```ts
 * import { Vllm } from "effect-troupe"
 *
 * const model = Vllm.model("Qwen/Qwen3-8B", {
 *   providerOptions: { vllm: { chat_template_kwargs: { enable_thinking: false } } }
 * })
 * ```
 *
 * @since 0.1.0
 */
import type * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { baseUrl, optionalKey } from "../internal/llm/provider.ts"
import { checkEmbeddings, checkModel } from "../internal/llm/settings.ts"
import type * as AiSdk from "./AiSdk.ts"
import type * as AiSdkEmbedding from "./AiSdkEmbedding.ts"
import type * as ModelList from "./ModelList.ts"
import * as OpenAiCompatible from "./OpenAiCompatible.ts"
import type { Settings } from "./Settings.ts"

/**
 * The model that the server serves under this name.
 *
 * @since 0.1.0
 * @category layers
 */
export const model = (
  name: string,
  settings: Settings = {}
): AiSdk.ModelLayer<Config.ConfigError | AiSdk.PackageMissing> => {
  checkModel("Vllm.model", name, settings)
  return Layer.unwrap(Effect.map(server, (server) => OpenAiCompatible.model(name, { ...settings, ...server })))
}

/**
 * The embedding model that the server serves under this name.
 *
 * @since 0.1.0
 * @category layers
 */
export const embeddings = (
  name: string,
  settings: AiSdkEmbedding.Settings = {}
): AiSdkEmbedding.EmbeddingLayer<Config.ConfigError | AiSdk.PackageMissing> => {
  checkEmbeddings("Vllm.embeddings", name, settings)
  return Layer.unwrap(Effect.map(server, (server) => OpenAiCompatible.embeddings(name, { ...settings, ...server })))
}

/**
 * The models that the server serves.
 *
 * @since 0.1.0
 * @category models
 */
export const models: ModelList.ModelList = Effect.suspend(() => Effect.flatMap(server, OpenAiCompatible.models))

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const server = Effect.all({
  provider: Effect.succeed("vllm"),
  apiKey: Effect.map(optionalKey("VLLM_API_KEY"), Option.getOrUndefined),
  baseUrl: baseUrl("VLLM_BASE_URL", "http://127.0.0.1:8000/v1")
})
