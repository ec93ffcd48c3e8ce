/**
 * Makes a model layer behave under load and faults: logged, retried, limited, timed, cut off, replaced, remembered.
 *
 * Each middleware is a function from a model layer to the same layer, for any `LanguageModel`, and they compose in any
 * order with `pipe`: the last one is the outermost. What one of them counts or keeps belongs to the layer that it makes:
 * agents that share this layer, and all runs of an agent with it as its own `model`, count together. All of them live on
 * Effect's clock.
 *
 * A middleware is around the model's call alone. Tools that a call resolves by itself run outside of it: a retry never
 * runs them twice, and they hold no permit and are not timed. A stream is pulled as fast as it is read. A retry or a
 * fallback replaces it only before its first content part, because what has been said can't be taken back.
 *
 * @example
 * ```ts
 * import { Schedule } from "effect"
 * import { Middleware, Scripted } from "effect-troupe"
 *
 * const model = Scripted.model(["Hello!"]).pipe(
 *   Middleware.timeout({ firstPart: "20 seconds", betweenParts: "10 seconds" }),
 *   Middleware.retry(Schedule.exponential("200 millis").pipe(Schedule.upTo({ times: 4 }))),
 *   Middleware.concurrency(8),
 *   Middleware.rateLimit({ limit: 5, interval: "1 second" }),
 *   Middleware.fallback(Scripted.model(["The other model says hello."])),
 *   Middleware.log()
 * )
 * ```
 *
 * @since 0.1.0
 */
import * as AiError from "effect/ai/AiError"
import * as LanguageModel from "effect/ai/LanguageModel"
import * as Model from "effect/ai/Model"
import * as Prompt from "effect/ai/Prompt"
import * as Cache from "effect/Cache"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import * as Check from "../internal/check.ts"
import { type Answer, type Part, toBare } from "../internal/llm/bareModel.ts"
import * as Circuit from "../internal/llm/circuit.ts"
import * as Internal from "../internal/llm/middleware.ts"
import * as RateWindow from "../internal/llm/rateWindow.ts"
import { redactJson, redactText, reveal, type Secrets, secretsFrom } from "../internal/llm/redact.ts"
import * as ModelRequest from "../internal/llm/request.ts"
import { retryAfterOf } from "../internal/llm/retryAfter.ts"
import * as SecretsUsed from "../internal/llm/secretsUsed.ts"
import { whenSilent } from "../internal/llm/whenSilent.ts"
import { RequestSettings } from "./Settings.ts"

/**
 * A function from a model layer to a layer of the same services, which may need and fail with more to be built.
 *
 * @since 0.1.0
 * @category models
 */
export interface Middleware<out E2 = never, out R2 = never> {
  <A, E, R>(
    model: Layer.Layer<A | LanguageModel.LanguageModel, E, R>
  ): Layer.Layer<A | LanguageModel.LanguageModel, E | E2, R | R2>
}

/**
 * Logs each call when it is over: provider, model, duration, tokens and outcome; a failed call as a warning. Around a
 * `fallback`, `model` is the one that was asked first; `responseModel` is who answered, as far as the provider says.
 *
 * The outcome is the finish reason, or `"failed"`, `"interrupted"`, or `"abandoned"` when the stream was not read to
 * its end. Prompts are logged only with `prompts: true`. The secrets of the model's requests and what looks like a key
 * are replaced in prompts and error messages.
 *
 * @since 0.1.0
 * @category middleware
 */
export const log = (options: { readonly prompts?: boolean | undefined } = {}): Middleware =>
  Internal.layer((model, services) => {
    const names = {
      provider: Option.getOrUndefined(Context.getOption(services, Model.ProviderName)),
      model: Option.getOrUndefined(Context.getOption(services, Model.ModelName))
    }
    const report = (
      { method, options: { prompt } }: Internal.ModelCall,
      { found }: SecretsUsed.Collector
    ) =>
    (ending: Internal.Ending) => {
      const secrets = secretsFrom(found)
      const fields = {
        ...names,
        method,
        ...toLogFields(ending, secrets),
        ...(options.prompts === true && { prompt: toText(prompt, secrets) })
      }
      return Effect.annotateLogs(
        outcomeOf(ending) === "failed" ? Effect.logWarning("Model call") : Effect.logInfo("Model call"),
        fields
      )
    }
    return Effect.succeed({
      generate: (run, call) =>
        Effect.flatMap(
          SecretsUsed.collector,
          (secrets) => Internal.observeAnswer(secrets.inside(run(model)), report(call, secrets))
        ),
      stream: (run, call) =>
        Stream.unwrap(Effect.map(
          SecretsUsed.collector,
          (secrets) => Internal.observeParts(secrets.insideStream(run(model)), report(call, secrets))
        ))
    })
  })

/**
 * Tries a failed call again while the schedule goes on, if its `AiError` is retryable.
 *
 * An attempt waits for the schedule's delay, and at least as long as the provider asked for in `retryAfter` or a
 * header. A call whose provider asks for more than `maxRetryAfter` (default: 1 minute) fails at once with that error,
 * so that a quota of the day holds nobody up for hours: a `fallback` around it answers instead. A stream is tried again
 * only before its first content part. Nothing else in this package retries a model call.
 *
 * @since 0.1.0
 * @category middleware
 */
export const retry = (
  schedule: Schedule.Schedule<unknown, AiError.AiError>,
  options: { readonly maxRetryAfter?: Duration.Input | undefined } = {}
): Middleware => {
  const { maxRetryAfter = "1 minute" } = options
  const longest = Check.positiveDuration("Middleware.retry", "maxRetryAfter", maxRetryAfter)
  const isWorthIt = (error: AiError.AiError) =>
    Effect.map(
      retryAfterOf(error),
      (wanted = Duration.zero) => error.isRetryable && Duration.isLessThanOrEqualTo(wanted, longest)
    )
  const patient = Schedule.modifyDelay(
    schedule,
    ({ duration, input }) => Effect.map(retryAfterOf(input), (wanted = Duration.zero) => Duration.max(duration, wanted))
  )
  return Internal.layer((model) =>
    Effect.succeed(
      Internal.around((run) => Effect.retry(run(model), { schedule: patient, while: isWorthIt }))
    )
  )
}

/**
 * How many calls may start in a time, and how many tokens they may use.
 *
 * @since 0.1.0
 * @category models
 */
export interface RateLimit {
  /** How many calls may start in any `interval`. */
  readonly limit: number
  readonly interval: Duration.Input
  /** How many tokens may be used in any minute, in and out. Default: no limit. */
  readonly tokensPerMinute?: number | undefined
}

/**
 * Starts no more calls in any interval than the limit; the others wait, first come, first served.
 *
 * With `tokensPerMinute` a call is first counted with an estimate of its prompt (four characters a token, 1,000 tokens
 * a file), then with its real usage. A call that is larger than the limit starts when nothing else is counted. Waiting
 * has no end of its own: put a `timeout` around it, or a `concurrency` with `maxWaiting`.
 *
 * @since 0.1.0
 * @category middleware
 */
export const rateLimit = (options: RateLimit): Middleware => {
  Check.positiveInteger("Middleware.rateLimit", "limit", options.limit)
  Check.finiteDuration("Middleware.rateLimit", "interval", options.interval)
  if (options.tokensPerMinute !== undefined) {
    Check.positiveInteger("Middleware.rateLimit", "tokensPerMinute", options.tokensPerMinute)
  }
  return Internal.layerWith(Effect.sync(() => RateWindow.make(options)), (window, model) => {
    const settle = (use: RateWindow.Use) => (ending: Internal.Ending) =>
      RateWindow.settle(window, use, Internal.totalTokens(ending))
    return Effect.succeed({
      generate: (run, { options: { prompt } }) =>
        Effect.flatMap(RateWindow.admit(window, prompt), (use) => Internal.observeAnswer(run(model), settle(use))),
      stream: (run, { options: { prompt } }) =>
        Stream.unwrap(
          Effect.map(RateWindow.admit(window, prompt), (use) => Internal.observeParts(run(model), settle(use)))
        )
    })
  })
}

/**
 * Runs at most `limit` calls at once; a stream is running until it ends. The others wait, first come, first served.
 *
 * A call that finds `maxWaiting` others waiting (default: 1000), or has waited for `timeout` (default: no end), fails
 * with a `RateLimitError` whose `method` says which bound it met.
 *
 * @since 0.1.0
 * @category middleware
 */
export const concurrency = (
  limit: number,
  options: { readonly maxWaiting?: number | undefined; readonly timeout?: Duration.Input | undefined } = {}
): Middleware => {
  const { maxWaiting = 1000, timeout } = options
  Check.positiveInteger("Middleware.concurrency", "limit", limit)
  Check.notNegativeInteger("Middleware.concurrency", "maxWaiting", maxWaiting)
  if (timeout !== undefined) Check.finiteDuration("Middleware.concurrency", "timeout", timeout)
  const makeState = Effect.sync(() => ({ semaphore: Semaphore.makeUnsafe(limit), calls: 0 }))
  return Internal.layerWith(makeState, (state, model) => {
    const count = Effect.suspend(() => {
      if (state.calls >= limit + maxWaiting) return crowded(`concurrency(${limit}, { maxWaiting: ${maxWaiting} })`)
      state.calls++
      return Effect.void
    })
    const take = timeout === undefined ? Semaphore.takeScoped(state.semaphore, 1) : Effect.timeoutOrElse(
      Semaphore.takeScoped(state.semaphore, 1),
      { duration: timeout, orElse: () => crowded(`concurrency(${limit}, { timeout: ${format(timeout)} })`) }
    )
    const permit = Effect.andThen(Effect.acquireRelease(count, () => Effect.sync(() => state.calls--)), take)
    return Effect.succeed(Internal.around((run) => Effect.andThen(permit, run(model))))
  })
}

/**
 * How long to wait for a model.
 *
 * @since 0.1.0
 * @category models
 */
export interface Timeouts {
  /** Until the first content part of a stream. */
  readonly firstPart?: Duration.Input | undefined
  /** For each later part of a stream, while somebody waits for it: a slow reader is no fault of the model. */
  readonly betweenParts?: Duration.Input | undefined
  /** For an answer that is not streamed. */
  readonly answer?: Duration.Input | undefined
}

/**
 * Hangs up on a model that stays silent for too long, with an `InternalProviderError` (retryable) that says what was
 * waited for.
 *
 * @since 0.1.0
 * @category middleware
 */
export const timeout = (options: Timeouts): Middleware => {
  for (const field of ["firstPart", "betweenParts", "answer"] as const) {
    if (options[field] !== undefined) Check.finiteDuration("Middleware.timeout", field, options[field])
  }
  const { answer, betweenParts, firstPart } = options
  return Internal.layer((model) =>
    Effect.succeed({
      generate: (run) => answer === undefined ? run(model) : within(run(model), "answer", answer),
      stream: (run) => {
        const started = Internal.open(run(model))
        return Stream.unwrap(Effect.map(
          firstPart === undefined ? started : within(started, "firstPart", firstPart),
          (parts) =>
            betweenParts === undefined ? parts : whenSilent(parts, betweenParts, silence("betweenParts", betweenParts))
        ))
      }
    })
  )
}

/**
 * Asks a model that failed several times in a row no more for a while: calls fail at once, with an
 * `InternalProviderError`. Then one call may try; when it succeeds, all may again.
 *
 * Only failures of the provider count: `NetworkError`, `RateLimitError`, `InternalProviderError`. A provider's
 * `retryAfter` keeps the circuit open at least that long, for up to an hour. A stream counts when it ends.
 *
 * @since 0.1.0
 * @category middleware
 */
export const circuitBreaker = (
  options: {
    /** How many failures in a row open the circuit. Default: 5. */
    readonly failures?: number | undefined
    /** How long it stays open. Default: 30 seconds. */
    readonly openFor?: Duration.Input | undefined
  } = {}
): Middleware => {
  const { failures = 5, openFor = "30 seconds" } = options
  Check.positiveInteger("Middleware.circuitBreaker", "failures", failures)
  Check.finiteDuration("Middleware.circuitBreaker", "openFor", openFor)
  return Internal.layerWith(
    Effect.sync(() => Circuit.make(failures, openFor)),
    (circuit, model) =>
      Effect.succeed({
        generate: (run) => Circuit.guard(circuit, run(model)),
        stream: (run) => Circuit.guardStream(circuit, run(model))
      })
  )
}

/**
 * Asks another model when this one failed.
 *
 * `when` says after which errors; by default after those that another provider may not have: not after a request that
 * is wrong by itself or a prompt that was refused. A stream falls back only before its first content part. The other
 * layer is built together with this one; its other services are not provided.
 *
 * @since 0.1.0
 * @category middleware
 */
export const fallback = <E2, R2>(
  other: Layer.Layer<LanguageModel.LanguageModel, E2, R2>,
  options: { readonly when?: ((error: AiError.AiError) => boolean) | undefined } = {}
): Middleware<E2, R2> => {
  const { when = mayDifferElsewhere } = options
  return Internal.layer((model) =>
    Effect.map(Layer.build(other), (services) => {
      const second = toBare(Context.get(services, LanguageModel.LanguageModel))
      return Internal.around((run) => Effect.catchIf(run(model), when, () => run(second)))
    })
  )
}

/**
 * Gives the same answer to the same request for a while, without asking the model.
 *
 * Requests are the same when prompt, tools, tool choice, schema and `Settings.RequestSettings` are. Only complete
 * answers are kept, and the one that was not asked for the longest leaves first. A stream is replayed at once. An
 * answer out of the cache reports the usage of the call that it comes from; calls at the same time each ask the model.
 *
 * @since 0.1.0
 * @category middleware
 */
export const cache = (options: {
  /** How many answers are kept. */
  readonly capacity: number
  readonly timeToLive: Duration.Input
}): Middleware => {
  Check.positiveInteger("Middleware.cache", "capacity", options.capacity)
  Check.finiteDuration("Middleware.cache", "timeToLive", options.timeToLive)
  const makeStores = Effect.all({
    answers: makeStore<Answer>(options),
    streams: makeStore<ReadonlyArray<Part>>(options)
  })
  return Internal.layerWith(makeStores, ({ answers, streams }, model) =>
    Effect.succeed({
      generate: (run, call) =>
        Effect.flatMap(toKey(call), (key) =>
          Effect.flatMap(
            Cache.getSuccess(answers, key),
            Option.match({
              onSome: Effect.succeed,
              onNone: () => Effect.tap(run(model), (answer) => Cache.set(answers, key, answer))
            })
          )),
      stream: (run, call) =>
        Stream.unwrap(Effect.flatMap(toKey(call), (key) =>
          Effect.map(
            Cache.getSuccess(streams, key),
            Option.match({
              onSome: (parts) => Stream.fromArray(parts),
              onNone: () => keep(run(model), (parts) => Cache.set(streams, key, parts))
            })
          )))
    }))
}

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const format = (duration: Duration.Input): string => Duration.format(Duration.fromInputUnsafe(duration))

const fail = (method: string, reason: AiError.AiErrorReason): Effect.Effect<never, AiError.AiError> =>
  Effect.fail(AiError.make({ module: "Middleware", method, reason }))

const crowded = (method: string) => fail(method, new AiError.RateLimitError({}))

const toText = (prompt: Prompt.RawInput, secrets: Secrets): string =>
  JSON.stringify(redactJson(ModelRequest.encodePrompt(Prompt.make(prompt)), secrets))

const toLogFields = (ending: Internal.Ending, secrets: Secrets) => {
  const { endedAt, exit, finish, firstPartAt, metadata, startedAt } = ending
  const error = Internal.failureOf(exit)
  return withoutUndefined({
    outcome: outcomeOf(ending),
    responseModel: metadata?.modelId,
    error: error && error.reason._tag,
    errorMessage: error && redactText(error.message, secrets),
    durationMillis: endedAt - startedAt,
    firstPartMillis: firstPartAt === undefined ? undefined : firstPartAt - startedAt,
    inputTokens: finish?.usage.inputTokens.total,
    cachedTokens: finish?.usage.inputTokens.cacheRead,
    outputTokens: finish?.usage.outputTokens.total,
    reasoningTokens: finish?.usage.outputTokens.reasoning
  })
}

const outcomeOf = ({ exit, finish }: Internal.Ending): string =>
  Exit.isSuccess(exit) ? finish?.reason ?? "abandoned" : Cause.hasInterruptsOnly(exit.cause) ? "interrupted" : "failed"

const withoutUndefined = (fields: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))

const silence = (field: keyof Timeouts, limit: Duration.Input) =>
  fail(
    `timeout({ ${field}: ${format(limit)} })`,
    new AiError.InternalProviderError({ description: `the model was silent for ${format(limit)}` })
  )

const within = <A, R>(self: Effect.Effect<A, AiError.AiError, R>, field: keyof Timeouts, limit: Duration.Input) =>
  Effect.timeoutOrElse(self, { duration: limit, orElse: () => silence(field, limit) })

const mayDifferElsewhere = ({ reason }: AiError.AiError): boolean => providerReasons.has(reason._tag)

const providerReasons: ReadonlySet<string> = new Set<AiError.AiErrorReason["_tag"]>([
  "NetworkError",
  "RateLimitError",
  "InternalProviderError",
  "QuotaExhaustedError",
  "AuthenticationError",
  "InvalidResponseError",
  "InvalidOutputError",
  "StructuredOutputError",
  "UnknownError"
])

const makeStore = <A>(options: { readonly capacity: number; readonly timeToLive: Duration.Input }) =>
  // Answers are put in when they are complete; nothing is ever looked up.
  Cache.make<string, A>({ ...options, lookup: () => Effect.never })

// Who asks with another tenant's header asks for another answer.
const toKey = ({ method, options }: Internal.ModelCall): Effect.Effect<string> =>
  Effect.zipWith(
    ModelRequest.fromCallOptions(options),
    RequestSettings,
    (request, { headers = {} }) => JSON.stringify({ method, headers: reveal(headers), ...request })
  )

/** Passes a stream on and hands it over as a whole once its finish reason was read. */
const keep = (
  stream: Stream.Stream<Part, AiError.AiError>,
  onComplete: (parts: ReadonlyArray<Part>) => Effect.Effect<void>
): Stream.Stream<Part, AiError.AiError> =>
  Stream.suspend(() => {
    const all: Array<Part> = []
    return stream.pipe(
      Stream.mapArray((parts) => {
        all.push(...parts)
        return parts
      }),
      Stream.onExit((exit) =>
        Exit.isSuccess(exit) && all.some((part) => part.type === "finish" && part.reason !== "error")
          ? onComplete(all)
          : Effect.void
      )
    )
  })
