/**
 * Provides the models that are deployed in an Azure OpenAI resource.
 *
 * Needs the package `@ai-sdk/azure`. Reads `AZURE_OPENAI_ENDPOINT` (`https://NAME.openai.azure.com`) and
 * `AZURE_OPENAI_API_KEY`. Where {@link AccessToken} is provided, requests sign in with Microsoft Entra ID and need no
 * key. Names are those of your deployments, not those of models. Requests go to Azure's v1 API, which wants no API
 * version.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { LanguageModel } from "effect/ai"
 * import { AzureOpenAi } from "effect-troupe"
 *
 * const answer = LanguageModel.generateText({ prompt: "Why is the sky blue?" }).pipe(
 *   Effect.provide(AzureOpenAi.model("my-gpt-5-mini", { reasoning: "low" }))
 * )
 * ```
 *
 * @since 0.1.0
 */
import type * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { errorMessage } from "../internal/errorMessage.ts"
import { keepRequests, unpacking } from "../internal/llm/approvalRequests.ts"
import { guardedFetch } from "../internal/llm/fetch.ts"
import { failConfig, load, optionalUrl, requiredKey, rethrow } from "../internal/llm/provider.ts"
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
  /** Which of the two APIs to use. Default: `"responses"`; models that are not OpenAI's have only `"chat"`. */
  readonly api?: "responses" | "chat" | undefined
}

/**
 * Gives an access token of Microsoft Entra ID; it runs before each request, and a failure is an `AuthenticationError`.
 * Default: none, the key is used.
 *
 * @example
 * ```ts
 * import { Effect, Layer, Redacted } from "effect"
 * import { AzureOpenAi } from "effect-troupe"
 *
 * // From `getBearerTokenProvider` of `@azure/identity`, with the scope https://cognitiveservices.azure.com/.default.
 * declare const getToken: () => Promise<string>
 *
 * const token = Effect.tryPromise({ try: getToken, catch: (error) => error }).pipe(
 *   Effect.map((token) => Redacted.make(token))
 * )
 *
 * const model = AzureOpenAi.model("my-gpt-5-mini").pipe(
 *   Layer.provide(Layer.succeed(AzureOpenAi.AccessToken, token))
 * )
 * ```
 *
 * @since 0.1.0
 * @category references
 */
export const AccessToken = Context.Reference<Effect.Effect<Redacted.Redacted, unknown> | undefined>(
  "effect-troupe/Llm/AzureOpenAi/AccessToken",
  { defaultValue: () => undefined }
)

/**
 * A deployed model by the deployment's name.
 *
 * **Details**
 *
 * As with `OpenAi`, nothing is stored at Azure unless `providerOptions: { azure: { store: true } }` says so.
 *
 * @since 0.1.0
 * @category layers
 */
export const model = (
  deployment: string,
  settings: Settings = {}
): AiSdk.ModelLayer<Config.ConfigError | AiSdk.PackageMissing> => {
  checkModel("AzureOpenAi.model", deployment, settings)
  return AiSdk.layer(options(deployment, settings))
}

/**
 * A deployed embedding model by the deployment's name; at most 2,048 texts go in one call.
 *
 * @since 0.1.0
 * @category layers
 */
export const embeddings = (
  deployment: string,
  settings: AiSdkEmbedding.Settings = {}
): AiSdkEmbedding.EmbeddingLayer<Config.ConfigError | AiSdk.PackageMissing> => {
  checkEmbeddings("AzureOpenAi.embeddings", deployment, settings)
  return AiSdkEmbedding.layer(
    Effect.map(provider, ({ azure, ...origin }) => ({
      ...origin,
      model: azure.embeddingModel(deployment),
      settings: withDimensions(settings)
    }))
  )
}

/**
 * The models that the resource may deploy; Azure lists deployments only to its management API.
 *
 * @since 0.1.0
 * @category models
 */
export const models: ModelList.ModelList = Effect.suspend(() =>
  Effect.flatMap(
    connection,
    ({ authorize, url }) => ModelList.makeOpenAi({ provider: "azure", url: `${url}/models`, authorize })
  )
)

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const endpoint = Effect.flatMap(
  optionalUrl("AZURE_OPENAI_ENDPOINT"),
  Option.match({
    onNone: () => failConfig("AzureOpenAi needs the address of a resource: set the variable AZURE_OPENAI_ENDPOINT"),
    onSome: ({ href }) => Effect.succeed(href.replace(/(\/openai(\/v1)?)?\/*$/, "/openai/v1"))
  })
)

const connection = Effect.gen(function*() {
  const url = yield* endpoint
  const token = yield* AccessToken
  if (token !== undefined) return { url, key: undefined, authorize: bearer(token) }
  const key = yield* requiredKey("AzureOpenAi", "AZURE_OPENAI_API_KEY")
  return { url, key, authorize: Effect.succeed({ "api-key": key }) }
})

const bearer = (token: Effect.Effect<Redacted.Redacted, unknown>): ModelSettings.Authorize =>
  Effect.mapBoth(token, {
    onSuccess: (token) => ({ authorization: Redacted.make(`Bearer ${Redacted.value(token)}`) }),
    onFailure: (error) => `no token of Microsoft Entra ID: ${errorMessage(error)}`
  })

const provider = Effect.gen(function*() {
  const { createAzure } = yield* load("AzureOpenAi", "@ai-sdk/azure", () => import("@ai-sdk/azure").catch(rethrow))
  const { authorize, key, url } = yield* connection
  // The package asks for a token only where a request has none.
  const access = key === undefined ? { tokenProvider: async () => "" } : { apiKey: Redacted.value(key) }
  return {
    azure: createAzure({ baseURL: url, fetch: unpacking(guardedFetch), ...access }),
    provider: "azure",
    authorize
  }
})

const options = Effect.fnUntraced(function*(deployment: string, { api = "responses", ...settings }: Settings) {
  const { azure, ...origin } = yield* provider
  const { toCodecOpenAI } = yield* Effect.promise(() => import("effect/ai/OpenAiStructuredOutput"))
  return {
    ...origin,
    model: api === "responses" ? keepRequests(azure.responses(deployment), "azure") : azure.chat(deployment),
    settings: api === "responses" ? unstored(settings) : settings,
    codecTransformer: toCodecOpenAI,
    strictTools: "whenPossible",
    jsonOutput: "always"
  } as const
})

const unstored = ({ providerOptions, ...settings }: ModelSettings.Settings): ModelSettings.Settings => ({
  ...settings,
  providerOptions: { ...providerOptions, azure: { store: false, ...providerOptions?.azure } }
})

// The package knows the dimensions only as OpenAI's own option.
const withDimensions = ({ dimensions, providerOptions, ...settings }: AiSdkEmbedding.Settings) => ({
  ...settings,
  providerOptions: {
    ...providerOptions,
    openai: { ...(dimensions !== undefined && { dimensions }), ...providerOptions?.["openai"] }
  }
})
