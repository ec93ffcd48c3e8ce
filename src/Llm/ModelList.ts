/**
 * The list of models that a vendor offers, as each provider's `models` gives it.
 *
 * `models` reads the configuration and gives an effect that asks the vendor over HTTP; the answer is kept for an hour,
 * a failure is not kept. Each run of `models` makes a list of its own, so that programs with different keys share
 * nothing.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Anthropic } from "effect-troupe"
 *
 * const program = Effect.gen(function*() {
 *   const models = yield* Anthropic.models
 *   const names = (yield* models).map((model) => model.id)
 *   return names.includes("claude-sonnet-4-5")
 * })
 * ```
 *
 * @since 0.1.0
 */
import * as AiError from "effect/ai/AiError"
import type * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Errors from "../internal/llm/aiSdkError.ts"
import { checkUrl } from "../internal/llm/provider.ts"
import { redactText, reveal } from "../internal/llm/redact.ts"
import { sign } from "../internal/llm/sign.ts"
import type * as Settings from "./Settings.ts"

/**
 * One model of a vendor; what the vendor's list does not say is undefined.
 *
 * @since 0.1.0
 * @category models
 */
export interface ModelInfo {
  /** The name that `model` or `embeddings` takes. */
  readonly id: string
  /** The name for people. */
  readonly name: string | undefined
  /** How many tokens the model can read. */
  readonly inputTokens: number | undefined
  /** How many tokens one answer can have. */
  readonly outputTokens: number | undefined
}

/**
 * What every provider's `models` is: run once, it gives the list that is fetched when it is first asked for and kept
 * for an hour.
 *
 * @since 0.1.0
 * @category models
 */
export type ModelList<E = Config.ConfigError> = Effect.Effect<
  Effect.Effect<ReadonlyArray<ModelInfo>, AiError.AiError>,
  E
>

/**
 * Where a vendor's list is and how it reads.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options<A> {
  /** The provider's name in errors. */
  readonly provider: string
  readonly url: string | URL
  readonly headers?: Settings.Headers | undefined
  /** Signs each request. */
  readonly authorize?: Settings.Authorize | undefined
  /** The body of the vendor's answer. */
  readonly schema: Schema.ConstraintDecoder<A>
  readonly toModels: (body: A) => ReadonlyArray<ModelInfo>
  /** The query of the page that follows this one, if there is one. Default: a list has one page. */
  readonly nextPage?: ((body: A) => Readonly<Record<string, string>> | undefined) | undefined
  /** Values that no error may show, such as the API key. */
  readonly secrets?: ReadonlyArray<Redacted.Redacted> | undefined
}

/**
 * Makes the list of a vendor.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <A>(options: Options<A>): ModelList<never> => {
  checkUrl("ModelList.make", "url", String(options.url))
  return Effect.cachedWithTTL(fetchAll(options), (exit) => Exit.isSuccess(exit) ? "1 hour" : 0)
}

/**
 * Makes the list of a server whose `/models` answers as OpenAI's does.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeOpenAi = (options: Omit<Options<typeof OpenAiBody.Type>, "schema" | "toModels">): ModelList<never> =>
  make({ ...options, schema: OpenAiBody, toModels: ({ data }) => data.map(ofOpenAi) })

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

/** What OpenAI lists, and what servers that speak its API add to it under one name or another. */
const OpenAiBody = Schema.Struct({
  data: Schema.Array(Schema.Struct({
    id: Schema.String,
    name: Schema.optional(Schema.NullOr(Schema.String)),
    context_length: Schema.optional(Schema.NullOr(Schema.Finite)),
    max_context_length: Schema.optional(Schema.NullOr(Schema.Finite)),
    max_model_len: Schema.optional(Schema.NullOr(Schema.Finite)),
    top_provider: Schema.optional(Schema.Struct({ max_completion_tokens: Schema.NullOr(Schema.Finite) }))
  }))
})

const ofOpenAi = (model: typeof OpenAiBody.Type["data"][number]): ModelInfo => ({
  id: model.id,
  name: model.name ?? undefined,
  inputTokens: model.context_length ?? model.max_context_length ?? model.max_model_len ?? undefined,
  outputTokens: model.top_provider?.max_completion_tokens ?? undefined
})

/** No vendor has as many; a server that repeats itself has more. */
const maxPages = 50

type Query = Readonly<Record<string, string>>

const fetchAll = Effect.fnUntraced(function*<A>(
  options: Options<A>
): Effect.fn.Return<ReadonlyArray<ModelInfo>, AiError.AiError> {
  const { nextPage, toModels } = options
  const models: Array<ModelInfo> = []
  for (let query: Query | undefined = {}, page = 0; query !== undefined && page < maxPages; page++) {
    const body: A = yield* fetchPage(options, query)
    models.push(...toModels(body))
    query = nextPage?.(body)
  }
  return models
})

const fetchPage = Effect.fnUntraced(function*<A>(
  options: Options<A>,
  query: Query
): Effect.fn.Return<A, AiError.AiError> {
  const { headers, origin } = yield* sign(options, options.headers ?? {}, "models")
  // An HTTP client is much to load for a program that never lists models.
  const { getJson } = yield* Effect.promise(() => import("../internal/llm/getJson.ts"))
  const body = yield* Effect.catch(
    getJson(options.url, reveal(headers), query),
    (error) => Errors.fail(error, origin)
  )
  return yield* Effect.mapError(Schema.decodeUnknownEffect(options.schema)(body), ({ message }) => {
    const description = redactText(message, origin.secrets).slice(0, 500)
    return Errors.make(new AiError.InvalidResponseError({ description }), origin)
  })
})
