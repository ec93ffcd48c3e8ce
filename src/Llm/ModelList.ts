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
import { APICallError } from "@ai-sdk/provider"
import * as AiError from "effect/ai/AiError"
import type * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Headers from "effect/http/Headers"
import * as HttpClient from "effect/http/HttpClient"
import * as Predicate from "effect/Predicate"
import type * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Errors from "../internal/llm/aiSdkError.ts"
import { guardedFetch } from "../internal/llm/fetch.ts"
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
  const body = yield* Effect.catch(
    request(options.url, reveal(headers), query),
    (error) => Errors.fail(error, origin)
  )
  return yield* Effect.mapError(Schema.decodeUnknownEffect(options.schema)(body), ({ message }) => {
    const description = redactText(message, origin.secrets).slice(0, 500)
    return Errors.make(new AiError.InvalidResponseError({ description }), origin)
  })
})

/** The parsed body. A failure has the form of the AI SDK's call errors, so that one function reads both. */
const request = Effect.fnUntraced(
  function*(url: string | URL, headers: Readonly<Record<string, string>>, query: Query) {
    const response = yield* HttpClient.get(url, { headers, urlParams: query })
    const body = parse(yield* response.text)
    if (response.status < 400) return body
    return yield* Effect.fail(callError(url, {
      message: messageOf(body) ?? `HTTP ${response.status}`,
      statusCode: response.status,
      responseHeaders: { ...response.headers },
      data: body
    }))
  },
  (effect, url, headers) =>
    effect.pipe(
      Effect.catchTag(
        "HttpClientError",
        // A failed connection says everything in its cause.
        ({ cause, message }) => Effect.fail(callError(url, { message: cause instanceof Error ? "" : message, cause }))
      ),
      // A span that shows headers knows only some of the names under which vendors take keys.
      Effect.provideService(Headers.CurrentRedactedNames, Object.keys(headers)),
      Effect.provide(FetchHttpClient.layer),
      Effect.provideService(FetchHttpClient.Fetch, guardedFetch)
    )
)

const callError = (
  url: string | URL,
  problem: Pick<
    ConstructorParameters<typeof APICallError>[0],
    "cause" | "data" | "message" | "responseHeaders" | "statusCode"
  >
) => new APICallError({ ...problem, url: String(url), requestBodyValues: undefined })

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

/** Vendors write `{ error: { message } }`, `{ message }` or `{ detail }`. */
const messageOf = (body: unknown): string | undefined => {
  if (!Predicate.isObject(body)) return undefined
  const { detail, error, message } = { detail: undefined, error: undefined, message: undefined, ...body }
  return [message, detail, error].find(Predicate.isString) ?? messageOf(error)
}
