/**
 * What every middleware stands on: a layer that wraps the calls of another model layer.
 *
 * @internal
 */
import type * as AiError from "effect/ai/AiError"
import * as LanguageModel from "effect/ai/LanguageModel"
import type * as Response from "effect/ai/Response"
import * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Channel from "effect/Channel"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Pull from "effect/Pull"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import {
  type Answer,
  type BareModel,
  type CallOptions,
  fromBare,
  generate,
  type Part,
  stream,
  toBare
} from "./bareModel.ts"
import { isContent } from "./callSpan.ts"
import { make as makeLanguageModel } from "./languageModel.ts"

export interface ModelCall {
  readonly method: "generateText" | "generateObject" | "streamText"
  readonly options: CallOptions
}

/**
 * What becomes of a call. `run` makes it, on the model that is wrapped or on another one.
 *
 * The tools' handlers never run inside `run`, so it can be run twice, held up or left out.
 */
export interface Interceptor {
  readonly generate: (
    run: (model: BareModel) => Effect.Effect<Answer, AiError.AiError>,
    call: ModelCall
  ) => Effect.Effect<Answer, AiError.AiError>
  readonly stream: (
    run: (model: BareModel) => Stream.Stream<Part, AiError.AiError>,
    call: ModelCall
  ) => Stream.Stream<Part, AiError.AiError>
}

/** A function from a model layer to the same layer with a middleware around its model. */
export const layer = <E2 = never, R2 = never>(
  make: (model: BareModel, services: Context.Context<never>) => Effect.Effect<Interceptor, E2, R2>
) =>
<A, E, R>(
  self: Layer.Layer<A | LanguageModel.LanguageModel, E, R>
): Layer.Layer<A | LanguageModel.LanguageModel, E | E2, R | Exclude<R2, Scope.Scope>> =>
  Layer.effectContext(Effect.gen(function*() {
    const services = yield* Layer.build(self)
    const model = Context.get(services, LanguageModel.LanguageModel)
    const middleware = yield* make(toBare(model), services)
    return Context.add(services, LanguageModel.LanguageModel, yield* wrap(model, middleware))
  }))

/**
 * As `layer`, for a middleware that counts or keeps: its state belongs to the layer, not to one build of it, because an
 * agent builds its own model for each run. A time means nothing to another clock, so each clock has its own state.
 */
export const layerWith = <S>(
  makeState: Effect.Effect<S>,
  make: (state: S, model: BareModel) => Effect.Effect<Interceptor, never, Scope.Scope>
) =>
<A, E, R>(
  self: Layer.Layer<A | LanguageModel.LanguageModel, E, R>
): Layer.Layer<A | LanguageModel.LanguageModel, E, R> => {
  const states = new WeakMap<Clock.Clock, S>()
  const stateOf = (clock: Clock.Clock, made: S): S => {
    const state = states.get(clock) ?? made
    states.set(clock, state)
    return state
  }
  const state = Effect.zipWith(Clock.Clock, makeState, stateOf)
  return layer((model) => Effect.flatMap(state, (state) => make(state, model)))(self)
}

/**
 * The middleware that does one and the same with an answer and with a stream: `f` sees the stream as an effect that
 * succeeds when its first content part is there, and its scope stays open until the stream ends.
 */
export const around = (
  f: <A>(
    run: (model: BareModel) => Effect.Effect<A, AiError.AiError, Scope.Scope>,
    call: ModelCall
  ) => Effect.Effect<A, AiError.AiError, Scope.Scope>
): Interceptor => ({
  generate: (run, call) => Effect.scoped(f(run, call)),
  stream: (run, call) => Stream.unwrap(f((model) => open(run(model)), call))
})

/**
 * Starts a stream and answers with it as soon as it has its first content part: until then nothing has been said that
 * a second attempt would say again.
 */
export const open = (
  stream: Stream.Stream<Part, AiError.AiError>
): Effect.Effect<Stream.Stream<Part, AiError.AiError>, AiError.AiError, Scope.Scope> =>
  Effect.flatMap(Effect.scope, (parent) => {
    const scope = Scope.forkUnsafe(parent)
    // An attempt that failed hangs up before the next one starts.
    return Effect.onError(openIn(stream, scope), (cause) => Scope.close(scope, Exit.failCause(cause)))
  })

/** What is known of a call when it is over. */
export interface Ending {
  /** When it was called and when the first content part came, in milliseconds on the clock. */
  readonly startedAt: number
  readonly endedAt: number
  /** Of a stream only. */
  readonly firstPartAt: number | undefined
  readonly metadata: Response.ResponseMetadataPart | undefined
  /** Missing when the call failed, or when nobody wanted the rest of the stream. */
  readonly finish: Response.FinishPart | undefined
  readonly exit: Exit.Exit<unknown, AiError.AiError>
}

export const observeAnswer = (
  self: Effect.Effect<Answer, AiError.AiError>,
  onEnd: (ending: Ending) => Effect.Effect<void>
): Effect.Effect<Answer, AiError.AiError> =>
  Effect.flatMap(Clock.Clock, (clock) => {
    const seen = start(clock)
    return Effect.onExit(self, (exit) => {
      if (Exit.isSuccess(exit)) exit.value.content.forEach((part) => note(seen, part))
      return onEnd(end(seen, clock, exit))
    })
  })

export const observeParts = (
  self: Stream.Stream<Part, AiError.AiError>,
  onEnd: (ending: Ending) => Effect.Effect<void>
): Stream.Stream<Part, AiError.AiError> =>
  Stream.unwrap(Effect.map(Clock.Clock, (clock) => {
    const seen = start(clock)
    return self.pipe(
      Stream.mapArray((parts) => {
        for (const part of parts) note(seen, part)
        if (seen.firstPartAt === undefined && parts.some(isContent)) {
          seen.firstPartAt = clock.currentTimeMillisUnsafe()
        }
        return parts
      }),
      Stream.onExit((exit) => onEnd(end(seen, clock, exit)))
    )
  }))

export const failureOf = (exit: Exit.Exit<unknown, AiError.AiError>): AiError.AiError | undefined =>
  Exit.isFailure(exit) ? Option.getOrUndefined(Cause.findErrorOption(exit.cause)) : undefined

/** The tokens that a call used, as far as its provider said so. */
export const totalTokens = ({ finish }: Ending): number | undefined => {
  if (finish === undefined) return undefined
  const { inputTokens, outputTokens } = finish.usage
  if (inputTokens.total === undefined && outputTokens.total === undefined) return undefined
  return (inputTokens.total ?? 0) + (outputTokens.total ?? 0)
}

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const openIn = Effect.fnUntraced(function*(stream: Stream.Stream<Part, AiError.AiError>, scope: Scope.Scope) {
  const pull = yield* Channel.toPullScoped(Stream.toChannel(stream), scope)
  const head: Array<Part> = []
  let said = false
  while (!said) {
    const parts = yield* Pull.catchDone(pull, () => Effect.succeed([]))
    head.push(...parts)
    said = parts.length === 0 || parts.some(isContent)
  }
  if (!Arr.isArrayNonEmpty(head)) return Stream.empty
  let opening: Pull.Pull<Arr.NonEmptyReadonlyArray<Part>> | undefined = Effect.succeed(head)
  // Not two streams, one after the other: that would cost every later pull as much again.
  return Stream.fromPull(Effect.succeed(Effect.suspend(() => {
    const next = opening ?? pull
    opening = undefined
    return next
  })))
})

type Seen = { -readonly [K in Exclude<keyof Ending, "exit" | "endedAt">]: Ending[K] }

const start = (clock: Clock.Clock): Seen => ({
  startedAt: clock.currentTimeMillisUnsafe(),
  firstPartAt: undefined,
  metadata: undefined,
  finish: undefined
})

const note = (seen: Seen, part: Part | Answer["content"][number]): void => {
  if (part.type === "finish") seen.finish = part
  else if (part.type === "response-metadata") seen.metadata = part
}

const end = (seen: Seen, clock: Clock.Clock, exit: Exit.Exit<unknown, AiError.AiError>): Ending => ({
  ...seen,
  endedAt: clock.currentTimeMillisUnsafe(),
  exit
})

/**
 * A model whose calls go through a middleware. A call that resolves its tools itself is framed: its tools run outside
 * of the middleware, and the middleware sees what the agent loop would have asked for.
 */
const wrap = (
  model: LanguageModel.LanguageModel,
  middleware: Interceptor
): Effect.Effect<LanguageModel.LanguageModel> => {
  const direct = directly(middleware)
  return Effect.map(framed(direct, model.supportsSystemMessagesInHistory), (framing) => {
    const frame = toBare(framing)
    const choose = (options: CallOptions) =>
      options.toolkit === undefined || options.disableToolCallResolution === true ? direct : frame
    return fromBare(model, {
      generateText: (options) => choose(options).generateText(options),
      generateObject: (options) => choose(options).generateObject(options),
      streamText: (options) => choose(options).streamText(options)
    })
  })
}

const directly = ({ generate, stream }: Interceptor): BareModel => ({
  generateText: (options) => generate((model) => model.generateText(options), { method: "generateText", options }),
  generateObject: (options) =>
    generate((model) => model.generateObject(options), { method: "generateObject", options }),
  streamText: (options) => stream((model) => model.streamText(options), { method: "streamText", options })
})

/** A `LanguageModel` that runs the tools of its callers around bare calls. */
const framed = (
  model: BareModel,
  supportsSystemMessagesInHistory: LanguageModel.LanguageModel["supportsSystemMessagesInHistory"]
): Effect.Effect<LanguageModel.LanguageModel> =>
  makeLanguageModel({
    generateText: (request) => generate(model, request),
    streamText: (request) => stream(model, request),
    supportsSystemMessagesInHistory
  })
