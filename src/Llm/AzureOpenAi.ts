/**
 * Provides the models that are deployed in an Azure OpenAI resource.
 *
 * Needs the package `@ai-sdk/azure`. Reads `AZURE_OPENAI_ENDPOINT` (`https://NAME.openai.azure.com`) and
 * `AZURE_OPENAI_API_KEY`. Names are those of deployments, which you give, and not those of models. Requests go to Azure's
 * v1 API, which wants no API version.
 *
 * **Example** (An answer from a deployment)
 *
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
import { toCodecOpenAI } from "effect/ai/OpenAiStructuredOutput"
import type * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { configError, load, optionalUrl, requiredKey } from "../internal/llm/provider.ts"
import * as AiSdk from "./AiSdk.ts"
import * as AiSdkEmbedding from "./AiSdkEmbedding.ts"
import * as ModelList from "./ModelList.ts"

/**
 * @since 0.1.0
 * @category models
 */
export interface Settings extends AiSdk.Settings {
  /** Which of the two APIs to use. Default: `"responses"`; models that are not OpenAI's have only `"chat"`. */
  readonly api?: "responses" | "chat" | undefined
}

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
): AiSdk.ModelLayer<Config.ConfigError | AiSdk.PackageMissing> => AiSdk.layer(options(deployment, settings))

/**
 * A deployed embedding model by the deployment's name; at most 2,048 texts go in one call.
 *
 * @since 0.1.0
 * @category layers
 */
export const embeddings = (
  deployment: string,
  settings: AiSdkEmbedding.Settings = {}
): AiSdkEmbedding.EmbeddingLayer<Config.ConfigError | AiSdk.PackageMissing> =>
  AiSdkEmbedding.layer(
    Effect.map(provider, ({ azure, key }) => ({
      model: azure.embeddingModel(deployment),
      provider: "azure",
      settings: withDimensions(settings),
      secrets: [key]
    }))
  )

/**
 * The models that the resource may deploy; Azure lists deployments only to its management API.
 *
 * @since 0.1.0
 * @category models
 */
export const models: ModelList.ModelList = Effect.suspend(() =>
  Effect.flatMap(connection, ({ key, url }) =>
    ModelList.makeOpenAi({
      provider: "azure",
      url: `${url}/models`,
      headers: { "api-key": Redacted.value(key) },
      secrets: [key]
    }))
)

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const connection = Effect.all({
  url: Effect.flatMap(
    optionalUrl("AZURE_OPENAI_ENDPOINT"),
    Option.match({
      onNone: () =>
        Effect.fail(configError("AzureOpenAi needs the address of a resource: set the variable AZURE_OPENAI_ENDPOINT")),
      onSome: ({ href }) => Effect.succeed(href.replace(/(\/openai(\/v1)?)?\/*$/, "/openai/v1"))
    })
  ),
  key: requiredKey("AzureOpenAi", "AZURE_OPENAI_API_KEY")
})

const provider = Effect.gen(function*() {
  const { createAzure } = yield* load("AzureOpenAi", "@ai-sdk/azure", () => import("@ai-sdk/azure"))
  const { key, url } = yield* connection
  return { azure: createAzure({ baseURL: url, apiKey: Redacted.value(key) }), key }
})

const options = Effect.fnUntraced(function*(deployment: string, { api = "responses", ...settings }: Settings) {
  const { azure, key } = yield* provider
  return {
    model: azure[api](deployment),
    provider: "azure",
    settings: api === "responses" ? unstored(settings) : settings,
    codecTransformer: toCodecOpenAI,
    strictTools: "whenPossible",
    secrets: [key]
  } as const
})

const unstored = ({ providerOptions, ...settings }: AiSdk.Settings): AiSdk.Settings => ({
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
