/**
 * Gives a model for a name that comes from configuration: `"openai/gpt-5-mini"`, `"ollama/llama3.2"`.
 *
 * A catalog knows providers by name. What stands before the first slash of a model's name is the provider, all of the
 * rest is the provider's own name of the model (`"openrouter/meta/llama-3"`). A model is built when it is first used,
 * shared by all that use it at the same time, and closed when nobody has used it for 10 minutes.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as LayerMap from "effect/LayerMap"
import * as Schema from "effect/Schema"
import * as Check from "../internal/check.ts"
import { errorMessage } from "../internal/errorMessage.ts"
import type * as AiSdk from "./AiSdk.ts"
import * as Anthropic from "./Anthropic.ts"
import * as AzureOpenAi from "./AzureOpenAi.ts"
import * as Gemini from "./Gemini.ts"
import * as Mistral from "./Mistral.ts"
import * as Ollama from "./Ollama.ts"
import * as OpenAi from "./OpenAi.ts"
import * as OpenRouter from "./OpenRouter.ts"
import * as Vertex from "./Vertex.ts"
import * as Vllm from "./Vllm.ts"

/**
 * What makes a provider's model of its name, for example `OpenAi.model`.
 *
 * @since 0.1.0
 * @category models
 */
export type Provider = (model: string) => AiSdk.ModelLayer<unknown, unknown>

/**
 * What the models of these providers require.
 *
 * @since 0.1.0
 * @category models
 */
export type Requirements<Providers extends Readonly<Record<string, Provider>>> = Layer.Services<
  ReturnType<Providers[keyof Providers]>
>

/**
 * The models that can be had by name.
 *
 * @since 0.1.0
 * @category services
 */
export class Catalog extends Context.Service<Catalog, {
  /** The names of the providers. */
  readonly providers: ReadonlyArray<string>
  readonly resolve: (name: string) => AiSdk.ModelLayer<CatalogError>
}>()("effect-troupe/Llm/Catalog") {}

/**
 * The name is not of the form `provider/model`.
 *
 * @since 0.1.0
 * @category errors
 */
export class MalformedName extends Schema.TaggedError<MalformedName>("effect-troupe/Llm/Catalog/MalformedName")(
  "MalformedName",
  {}
) {}

/**
 * The catalog has no such provider.
 *
 * @since 0.1.0
 * @category errors
 */
export class UnknownProvider extends Schema.TaggedError<UnknownProvider>("effect-troupe/Llm/Catalog/UnknownProvider")(
  "UnknownProvider",
  { provider: Schema.String }
) {}

/**
 * The provider's model can't be built (a key or a package is missing). The next use tries again.
 *
 * @since 0.1.0
 * @category errors
 */
export class ModelUnavailable
  extends Schema.TaggedError<ModelUnavailable>("effect-troupe/Llm/Catalog/ModelUnavailable")(
    "ModelUnavailable",
    { cause: Schema.Defect() }
  )
{}

/**
 * There is no model for a name. `providers` are the ones that the catalog has.
 *
 * @since 0.1.0
 * @category errors
 */
export class CatalogError extends Schema.TaggedError<CatalogError>("effect-troupe/Llm/Catalog/CatalogError")(
  "CatalogError",
  {
    name: Schema.String,
    providers: Schema.Array(Schema.String),
    reason: Schema.Union([MalformedName, UnknownProvider, ModelUnavailable])
  }
) {
  override get message() {
    const providers = this.providers.join(", ") || "none"
    const name = JSON.stringify(this.name)
    switch (this.reason._tag) {
      case "MalformedName":
        return `${name} is not of the form provider/model. The providers are: ${providers}`
      case "UnknownProvider":
        return `${name}: there is no provider ${JSON.stringify(this.reason.provider)}. The providers are: ${providers}`
      case "ModelUnavailable":
        return `${name} can't be built: ${errorMessage(this.reason.cause)}`
    }
  }
}

/**
 * A catalog of these providers. What they require, the catalog requires.
 *
 * Middleware goes around a provider's function, and is shared like the model.
 *
 * @example
 * ```ts
 * import { Config, Effect, Layer } from "effect"
 * import { LanguageModel } from "effect/ai"
 * import { Catalog, Ollama, OpenAi, OpenAiCompatible } from "effect-troupe"
 *
 * const catalog = Catalog.layer({
 *   openai: OpenAi.model,
 *   ollama: Ollama.model,
 *   mine: (name) => OpenAiCompatible.model(name, { baseUrl: "http://127.0.0.1:8000/v1" })
 * })
 *
 * const model = Layer.unwrap(Effect.map(Config.String("MODEL"), Catalog.resolve))
 *
 * const program = LanguageModel.generateText({ prompt: "Hello?" }).pipe(
 *   Effect.provide(model),
 *   Effect.provide(catalog)
 * )
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = <const Providers extends Readonly<Record<string, Provider>>>(
  providers: Providers
): Layer.Layer<Catalog, never, Requirements<Providers>> => {
  const names = Object.keys(providers)
  const wrong = names.find((name) => name === "" || name.includes("/"))
  if (wrong !== undefined) Check.fail("Catalog.layer", "a provider's name", "not empty and without a slash", wrong)
  return Layer.effect(
    Catalog,
    Effect.map(
      LayerMap.make((name: string) => build(providers, name), { idleTimeToLive: "10 minutes" }),
      (models) => Catalog.of({ providers: names, resolve: (name) => share(models, names, name) })
    )
  )
}

/**
 * The catalog of the providers of this package that their settings from the environment are enough for.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerBuiltIn: Layer.Layer<Catalog> = layer({
  anthropic: Anthropic.model,
  azure: AzureOpenAi.model,
  gemini: Gemini.model,
  mistral: Mistral.model,
  ollama: Ollama.model,
  openai: OpenAi.model,
  openrouter: OpenRouter.model,
  vertex: Vertex.model,
  vllm: Vllm.model
})

/**
 * The model for a name. Fails with `CatalogError` where the catalog has none.
 *
 * @example
 * ```ts
 * import { Agent, Catalog } from "effect-troupe"
 *
 * const assistant = Agent.make("assistant", { model: Catalog.resolve("openai/gpt-5-mini") })
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const resolve = (name: string): AiSdk.ModelLayer<CatalogError, Catalog> =>
  Layer.unwrap(Effect.map(Catalog, (catalog) => catalog.resolve(name)))

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const split = (name: string): readonly [provider: string, model: string] => {
  const slash = name.indexOf("/")
  return [name.slice(0, Math.max(slash, 0)), name.slice(slash + 1)]
}

const build = <Providers extends Readonly<Record<string, Provider>>>(
  providers: Providers,
  name: string
): AiSdk.ModelLayer<unknown, Requirements<Providers>> => {
  const [provider, model] = split(name)
  // A call through the record forgets which of the providers it is, but what it requires is among what all of them do.
  return providers[provider]!(model) as AiSdk.ModelLayer<unknown, Requirements<Providers>>
}

/** The model for a name out of those that are built. */
const share = (
  models: LayerMap.LayerMap<string, Layer.Success<AiSdk.ModelLayer>, unknown>,
  providers: ReadonlyArray<string>,
  name: string
): AiSdk.ModelLayer<CatalogError> => {
  const fail = (reason: CatalogError["reason"]) => new CatalogError({ name, providers, reason })
  const [provider, model] = split(name)
  if (provider === "" || model === "") return Layer.effectContext(Effect.fail(fail(new MalformedName())))
  if (!providers.includes(provider)) return Layer.effectContext(Effect.fail(fail(new UnknownProvider({ provider }))))
  return Layer.effectContext(
    models.contextEffect(name).pipe(
      // What failed to build would be shared too, for as long as a model is.
      Effect.tapError(() => models.invalidate(name)),
      Effect.mapError((cause) => fail(new ModelUnavailable({ cause })))
    )
  )
}
