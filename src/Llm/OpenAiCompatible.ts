/**
 * Provides the models of any server that speaks OpenAI's chat completions API.
 *
 * Needs the package `@ai-sdk/openai-compatible`. For OpenAI itself see `OpenAi`, for Ollama see `Ollama`.
 *
 * @example
 * ```ts
 * import { OpenAiCompatible } from "effect-troupe"
 *
 * const model = OpenAiCompatible.model("qwen3", { baseUrl: "http://127.0.0.1:8080/v1", temperature: 0.2 })
 * ```
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { guardedFetch } from "../internal/llm/fetch.ts"
import { checkUrl, load, rethrow } from "../internal/llm/provider.ts"
import { checkEmbeddings, checkModel } from "../internal/llm/settings.ts"
import * as AiSdk from "./AiSdk.ts"
import * as AiSdkEmbedding from "./AiSdkEmbedding.ts"
import * as ModelList from "./ModelList.ts"
import type * as ModelSettings from "./Settings.ts"

/**
 * Where a server is, what it wants and what it is called.
 *
 * @since 0.1.0
 * @category models
 */
export interface Server {
  /** The address up to and including the version: `http://127.0.0.1:8080/v1`. */
  readonly baseUrl: string
  /** Sent as a bearer token. Default: none. */
  readonly apiKey?: Redacted.Redacted | undefined
  /** The provider's name in errors and spans, and the key of its `providerOptions`. Default: `"openai-compatible"`. */
  readonly provider?: string | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Settings extends ModelSettings.Settings, Server {}

/**
 * A model of a compatible server by its name.
 *
 * @since 0.1.0
 * @category layers
 */
export const model = (name: string, settings: Settings): AiSdk.ModelLayer<AiSdk.PackageMissing> => {
  checkUrl("OpenAiCompatible.model", "baseUrl", settings.baseUrl)
  checkModel("OpenAiCompatible.model", name, settings)
  return AiSdk.layer(options(name, settings))
}

/**
 * An embedding model of a compatible server by its name; at most 2,048 texts go in one call.
 *
 * @since 0.1.0
 * @category layers
 */
export const embeddings = (
  name: string,
  settings: Server & AiSdkEmbedding.Settings
): AiSdkEmbedding.EmbeddingLayer<AiSdk.PackageMissing> => {
  checkUrl("OpenAiCompatible.embeddings", "baseUrl", settings.baseUrl)
  checkEmbeddings("OpenAiCompatible.embeddings", name, settings)
  return AiSdkEmbedding.layer(
    Effect.map(connect(settings), ({ sdk, ...origin }) => ({
      ...origin,
      model: sdk.embeddingModel(name),
      settings
    }))
  )
}

/**
 * The models of a compatible server.
 *
 * @since 0.1.0
 * @category models
 */
export const models = (server: Server): ModelList.ModelList<never> => {
  const { apiKey, baseUrl, provider = defaultName } = server
  checkUrl("OpenAiCompatible.models", "baseUrl", baseUrl)
  return ModelList.makeOpenAi({
    provider,
    url: `${baseUrl.replace(/\/+$/, "")}/models`,
    headers: apiKey === undefined ? {} : { authorization: `Bearer ${Redacted.value(apiKey)}` },
    secrets: apiKey === undefined ? [] : [apiKey]
  })
}

/**
 * The package for OpenAI-compatible servers, connected to one of them.
 *
 * @internal
 */
export const connect = Effect.fnUntraced(function*({ apiKey, baseUrl, provider = defaultName }: Server) {
  const { createOpenAICompatible } = yield* load(
    provider,
    "@ai-sdk/openai-compatible",
    () => import("@ai-sdk/openai-compatible").catch(rethrow)
  )
  const sdk = createOpenAICompatible({
    name: provider,
    baseURL: baseUrl,
    includeUsage: true,
    supportsStructuredOutputs: true,
    fetch: guardedFetch,
    ...(apiKey === undefined ? undefined : { apiKey: Redacted.value(apiKey) })
  })
  return { sdk, provider, secrets: apiKey === undefined ? [] : [apiKey] }
})

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const defaultName = "openai-compatible"

const options = Effect.fnUntraced(function*(name: string, { apiKey, baseUrl, provider, ...settings }: Settings) {
  const { sdk, ...origin } = yield* connect({ apiKey, baseUrl, provider })
  return { ...origin, model: sdk.chatModel(name), settings }
})
