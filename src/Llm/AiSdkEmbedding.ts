/**
 * Bridges any AI SDK embedding model to Effect's `EmbeddingModel`.
 *
 * Texts go out in as few calls as the provider's limit allows and come back in their order; calls run at once where the
 * provider takes that. As in the language model bridge, nothing is retried, interruption aborts the calls, and every
 * failure is an `AiError`.
 *
 * @since 0.1.0
 */
import type { EmbeddingModelV3, EmbeddingModelV4, SharedV4ProviderOptions } from "@ai-sdk/provider"
import type * as EmbeddingModel from "effect/ai/EmbeddingModel"
import * as Arr from "effect/Array"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Errors from "../internal/llm/aiSdkError.ts"
import * as CallSpan from "../internal/llm/callSpan.ts"
import { defaultMaxEmbeddingBytes, withMaxBytes } from "../internal/llm/fetch.ts"
import { reveal } from "../internal/llm/redact.ts"
import { checkEmbeddings } from "../internal/llm/settings.ts"
import { sign } from "../internal/llm/sign.ts"
import type { Authorize, Headers } from "./Settings.ts"

/**
 * An embedding model of any current AI SDK specification.
 *
 * @since 0.1.0
 * @category models
 */
export type SdkEmbeddingModel = EmbeddingModelV3 | EmbeddingModelV4

/**
 * What every provider's `embeddings` function returns.
 *
 * It does not provide the names of provider and model, so that it can stand beside a language model's layer.
 *
 * @since 0.1.0
 * @category models
 */
export type EmbeddingLayer<E = never, R = never> = Layer.Layer<EmbeddingModel.EmbeddingModel, E, R>

/**
 * How texts are embedded; what is left out is the provider's default.
 *
 * @since 0.1.0
 * @category models
 */
export interface Settings {
  /** The length of the vectors, where the model has more than one. */
  readonly dimensions?: number | undefined
  /** Sent with each request, after the provider's own headers. */
  readonly headers?: Headers | undefined
  /**
   * How many bytes an answer may have after decompression; a longer one is an `InvalidResponseError`. Default: 256 MiB.
   */
  readonly maxResponseBytes?: number | undefined
  /** What only this provider knows, under the provider's AI SDK name: `{ google: { taskType: "RETRIEVAL_QUERY" } }`. */
  readonly providerOptions?: SharedV4ProviderOptions | undefined
}

/**
 * An AI SDK embedding model and what the bridge must know of its provider.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  readonly model: SdkEmbeddingModel
  /** The provider's name in errors. */
  readonly provider: string
  readonly settings?: Settings | undefined
  /** Signs each request, beside what the model itself knows of keys. */
  readonly authorize?: Authorize | undefined
  /** Values that no error may show, such as the API key. */
  readonly secrets?: ReadonlyArray<Redacted.Redacted> | undefined
}

/**
 * The vendor has no embedding models.
 *
 * @since 0.1.0
 * @category errors
 */
export class EmbeddingsNotSupported extends Schema.TaggedError<EmbeddingsNotSupported>()("EmbeddingsNotSupported", {
  provider: Schema.String
}) {
  override get message() {
    return `${this.provider} has no embedding models: use those of another provider`
  }
}

/**
 * Makes Effect's `EmbeddingModel` of an AI SDK embedding model.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options): Effect.Effect<EmbeddingModel.EmbeddingModel> => {
  checkEmbeddings("AiSdkEmbedding.make", options.model.modelId, options.settings ?? {})
  const told = CallSpan.embeddings({ provider: options.provider, model: options.model.modelId })
  return Effect.flatMap(
    // Some providers answer with a promise.
    Effect.promise(async () => ({
      module: await loadModule(),
      limit: await options.model.maxEmbeddingsPerCall ?? Infinity,
      concurrency: await options.model.supportsParallelCalls ? parallelCalls : 1
    })),
    ({ concurrency, limit, module }) =>
      module.make({
        embedMany: ({ inputs }) =>
          told(
            Effect.forEach(Arr.chunksOf(inputs, limit), (values) => embed(options, values), { concurrency }).pipe(
              Effect.map((calls) => ({
                results: calls.flatMap(({ embeddings }) => embeddings),
                usage: { inputTokens: totalTokens(calls) }
              }))
            ),
            options.settings?.dimensions
          )
      })
  )
}

/**
 * Provides an AI SDK embedding model; the effect that builds it decides what the layer can fail with.
 *
 * @example
 * ```ts
 * import { createOpenAICompatible } from "@ai-sdk/openai-compatible"
 * import { Effect } from "effect"
 * import { AiSdkEmbedding } from "effect-troupe"
 *
 * const local = createOpenAICompatible({ name: "local", baseURL: "http://127.0.0.1:8080/v1" })
 *
 * const embeddings = AiSdkEmbedding.layer(
 *   Effect.succeed({ model: local.embeddingModel("bge-m3"), provider: "local" })
 * )
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = <E, R>(
  options: Effect.Effect<Options, E, R>
): EmbeddingLayer<E, Exclude<R, Scope.Scope>> =>
  Layer.effectContext(Effect.gen(function*() {
    const model = yield* Effect.flatMap(options, make)
    const { EmbeddingModel } = yield* Effect.promise(loadModule)
    return Context.make(EmbeddingModel, model)
  }))

/**
 * What `embeddings` is for a vendor that has none.
 *
 * @since 0.1.0
 * @category layers
 */
export const unsupported = (provider: string): EmbeddingLayer<EmbeddingsNotSupported> =>
  Layer.effectContext(Effect.fail(new EmbeddingsNotSupported({ provider })))

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

/** Effect's module brings databases along, so it is loaded by those who embed. */
const loadModule = () => import("effect/ai/EmbeddingModel")

/** Enough to hide the network, few enough for the request limits of a small account. */
const parallelCalls = 4

const embed = Effect.fnUntraced(function*(options: Options, values: Array<string>) {
  const { model, settings = {} } = options
  const { dimensions, maxResponseBytes = defaultMaxEmbeddingBytes, providerOptions } = settings
  const { headers, origin } = yield* sign(options, settings.headers ?? {}, "embedMany")
  const call = {
    values,
    headers: reveal(headers),
    ...(dimensions !== undefined && { dimensions }),
    ...(providerOptions !== undefined && { providerOptions })
  }
  return yield* Effect.tryPromise({
    try: (signal): PromiseLike<CallResult> =>
      model.doEmbed({ ...call, abortSignal: withMaxBytes(signal, maxResponseBytes) }),
    catch: (error) => error
  }).pipe(
    Effect.catch((error) => Errors.fail(error, origin))
  )
})

type CallResult = Pick<Awaited<ReturnType<EmbeddingModelV4["doEmbed"]>>, "embeddings" | "usage">

const totalTokens = (calls: ReadonlyArray<CallResult>): number | undefined =>
  calls.reduce<number | undefined>(
    (total, { usage }) => usage === undefined ? total : (total ?? 0) + usage.tokens,
    undefined
  )
