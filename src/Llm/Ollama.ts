/**
 * Provides the models of an Ollama server, on this machine unless `OLLAMA_HOST` says otherwise.
 *
 * Needs the package `@ai-sdk/openai-compatible` and no key. `OLLAMA_HOST` is read as Ollama itself reads it: with or
 * without scheme, port and path.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { LanguageModel } from "effect/ai"
 * import { Ollama } from "effect-troupe"
 *
 * const answer = LanguageModel.generateText({ prompt: "Why is the sky blue?" }).pipe(
 *   Effect.provide(Ollama.model("llama3.2"))
 * )
 * ```
 *
 * @since 0.1.0
 */
import type * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { baseUrl } from "../internal/llm/provider.ts"
import { checkEmbeddings, checkModel } from "../internal/llm/settings.ts"
import type * as AiSdk from "./AiSdk.ts"
import type * as AiSdkEmbedding from "./AiSdkEmbedding.ts"
import type * as ModelList from "./ModelList.ts"
import * as OpenAiCompatible from "./OpenAiCompatible.ts"
import type { Settings } from "./Settings.ts"

/**
 * A model of Ollama by its name.
 *
 * @since 0.1.0
 * @category layers
 */
export const model = (
  name: string,
  settings: Settings = {}
): AiSdk.ModelLayer<Config.ConfigError | AiSdk.PackageMissing> => {
  checkModel("Ollama.model", name, settings)
  return Layer.unwrap(Effect.map(server, (server) => OpenAiCompatible.model(name, { ...settings, ...server })))
}

/**
 * An embedding model of Ollama by its name, such as `"nomic-embed-text"`.
 *
 * @since 0.1.0
 * @category layers
 */
export const embeddings = (
  name: string,
  settings: AiSdkEmbedding.Settings = {}
): AiSdkEmbedding.EmbeddingLayer<Config.ConfigError | AiSdk.PackageMissing> => {
  checkEmbeddings("Ollama.embeddings", name, settings)
  return Layer.unwrap(Effect.map(server, (server) => OpenAiCompatible.embeddings(name, { ...settings, ...server })))
}

/**
 * The models that have been pulled.
 *
 * @since 0.1.0
 * @category models
 */
export const models: ModelList.ModelList = Effect.suspend(() => Effect.flatMap(server, OpenAiCompatible.models))

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const complete = (host: string): string => {
  const [authority = "", ...path] = host.split("/")
  const address = /^https?:\/\//.test(host)
    ? host
    : [`http://${authority}${/:\d+$/.test(authority) ? "" : ":11434"}`, ...path].join("/")
  // Where a server listens on all addresses, a client connects to this machine.
  return address.replace("//0.0.0.0", "//127.0.0.1")
}

const server = Effect.map(baseUrl("OLLAMA_HOST", "http://127.0.0.1:11434", complete), (host) => ({
  provider: "ollama",
  baseUrl: `${host}/v1`
}))
