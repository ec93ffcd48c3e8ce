/**
 * Records what a model said into a file, a cassette, and replays it without the model.
 *
 * A cassette is readable JSON: each call's request, and what was answered with its time offsets. Secrets are taken out
 * before anything is written: the keys, tokens and `Redacted` headers of the model's requests, the values that are
 * handed in, what looks like the key of a common service, and fields that are named like one. A replay waits on
 * Effect's clock, so a run under `TestClock` takes the time that it took.
 * Tools run for real both times: a cassette holds only what the model was asked and what it said.
 *
 * @example
 * ```ts
 * import { Recorded, Scripted } from "effect-troupe"
 *
 * const cassette = "test/cassettes/greeting.json"
 *
 * const recording = Scripted.model(["Hello!"]).pipe(Recorded.record(cassette))
 * const replaying = Recorded.replay(cassette)
 * ```
 *
 * @since 0.1.0
 */
import * as AiError from "effect/ai/AiError"
import * as LanguageModel from "effect/ai/LanguageModel"
import * as Model from "effect/ai/Model"
import type * as Response from "effect/ai/Response"
import * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type { PlatformError } from "effect/PlatformError"
import { hasProperty, isObject } from "effect/Predicate"
import type * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import * as Check from "../internal/check.ts"
import { difference, pretty, size, toPatch } from "../internal/difference.ts"
import { fileSystem } from "../internal/fileSystem.ts"
import { toJson } from "../internal/json.ts"
import { lazy } from "../internal/lazy.ts"
import * as BareModel from "../internal/llm/bareModel.ts"
import * as CallSpan from "../internal/llm/callSpan.ts"
import { make as makeLanguageModel } from "../internal/llm/languageModel.ts"
import { redactJson, redactPieces, type Secrets, secretsFrom } from "../internal/llm/redact.ts"
import * as ModelRequest from "../internal/llm/request.ts"
import * as SecretsUsed from "../internal/llm/secretsUsed.ts"

/**
 * How a cassette is written and read.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /**
   * Values that must not be in the file, beside the model's own secrets and what looks like one. Hand in the same ones
   * to replay it.
   */
  readonly secrets?: ReadonlyArray<Redacted.Redacted> | undefined
}

/**
 * A cassette can't be read, understood or written.
 *
 * @since 0.1.0
 * @category errors
 */
export class CassetteError extends Schema.TaggedError<CassetteError>()("CassetteError", {
  file: Schema.String,
  problem: Schema.String
}) {
  override get message(): string {
    return `${this.file}: ${this.problem}`
  }
}

/**
 * Records each call of a model into a file, which is replaced when the layer is built.
 *
 * The file is written after each call, calls in the order in which they began. A call whose stream nobody read to its
 * end is recorded as far as it was read.
 *
 * @since 0.1.0
 * @category layers
 */
export const record = (file: string, options: Options = {}) => {
  Check.notEmpty("Recorded.record", "file", file)
  return <A, E, R>(
    model: Layer.Layer<A | LanguageModel.LanguageModel, E, R>
  ): Layer.Layer<A | LanguageModel.LanguageModel, E | CassetteError, R | FileSystem.FileSystem> =>
    Layer.effectContext(Effect.gen(function*() {
      const services = yield* Layer.build(model)
      const live = Context.get(services, LanguageModel.LanguageModel)
      const recorder = yield* makeRecorder(file, options, services)
      const recorded = yield* makeLanguageModel({
        generateText: (request) => recordAnswer(recorder, request, BareModel.generate(BareModel.toBare(live), request)),
        streamText: (request) => recordParts(recorder, request, BareModel.stream(BareModel.toBare(live), request)),
        supportsSystemMessagesInHistory: live.supportsSystemMessagesInHistory
      })
      return Context.add(services, LanguageModel.LanguageModel, recorded)
    }))
}

/**
 * A model that answers as the recorded one did, with the same pauses.
 *
 * A call is answered by the first recording of the same request that was not replayed yet, so calls may come in another
 * order. A request that was not recorded fails with an `InvalidRequestError` that shows how the closest one differs.
 *
 * @since 0.1.0
 * @category layers
 */
export const replay = (file: string, options: Options = {}): Layer.Layer<
  LanguageModel.LanguageModel | Model.ProviderName | Model.ModelName,
  CassetteError,
  FileSystem.FileSystem
> => {
  Check.notEmpty("Recorded.replay", "file", file)
  return Layer.effectContext(Effect.gen(function*() {
    const cassette = yield* load(file)
    const player: Player = { options, left: [...cassette.calls], played: [] }
    const service = yield* makeLanguageModel({
      generateText: (request) =>
        Effect.flatMap(
          choose(player, "generateText", request),
          (call) => Stream.runCollect(play<Response.PartEncoded>(call))
        ),
      streamText: (request) =>
        Stream.unwrap(Effect.map(choose(player, "streamText", request), play<Response.StreamPartEncoded>)),
      observed: CallSpan.observe(cassette)
    })
    return Context.make(LanguageModel.LanguageModel, service).pipe(
      Context.add(Model.ProviderName, cassette.provider),
      Context.add(Model.ModelName, cassette.model)
    )
  }))
}

/**
 * Replays a file where it exists, and records into it where it doesn't: the first run asks the model, all others need
 * neither network nor key. Delete the file to record again.
 *
 * Which of the two is decided when the layer is built, so build it once, around the whole program or test. A model that
 * is replaced by its recording is not built.
 *
 * @example
 * ```ts
 * import { OpenAi, Recorded } from "effect-troupe"
 *
 * const model = OpenAi.model("gpt-5-mini").pipe(Recorded.replayOrRecord("test/cassettes/weather.json"))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const replayOrRecord = (file: string, options: Options = {}) => {
  Check.notEmpty("Recorded.replayOrRecord", "file", file)
  return <E, R>(
    model: Layer.Layer<LanguageModel.LanguageModel, E, R>
  ): Layer.Layer<LanguageModel.LanguageModel, E | CassetteError, R | FileSystem.FileSystem> => {
    const replaying: Layer.Layer<LanguageModel.LanguageModel, CassetteError, FileSystem.FileSystem> = replay(
      file,
      options
    )
    const recording = record(file, options)(model)
    return Layer.unwrap(Effect.gen(function*() {
      const fs = yield* fileSystem
      const exists = yield* Effect.mapError(fs.exists(file), (error) => unreadable(file, error))
      return exists ? replaying : recording
    }))
  }
}

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const RecordedCall = Schema.Struct({
  method: Schema.Literals(["generateText", "streamText"]),
  request: Schema.Json,
  /** What came, in milliseconds after the call. */
  parts: Schema.Array(Schema.Struct({ at: Schema.Finite, part: Schema.Json })),
  end: Schema.Struct({
    at: Schema.Finite,
    /** `unread`: the reader left before the model had ended. */
    outcome: Schema.Literals(["complete", "failed", "unread"]),
    error: Schema.optionalKey(Schema.Json)
  })
})
type RecordedCall = typeof RecordedCall.Type

const Cassette = Schema.Struct({
  version: Schema.Literal(1),
  provider: Schema.String,
  model: Schema.String,
  calls: Schema.Array(RecordedCall)
})
type Cassette = typeof Cassette.Type

const errorJson = lazy(() => Schema.toCodecJson(AiError.AiError))

interface Recorder {
  readonly options: Options
  /** Calls in the order in which they began; empty as long as they go on. */
  readonly calls: Array<RecordedCall | undefined>
  readonly save: Effect.Effect<void, CassetteError>
}

const makeRecorder = Effect.fnUntraced(function*(
  file: string,
  options: Options,
  services: Context.Context<never>
) {
  const fs = yield* fileSystem
  const writing = yield* Semaphore.make(1)
  const calls: Array<RecordedCall | undefined> = []
  const provider = Option.getOrElse(Context.getOption(services, Model.ProviderName), () => "unknown")
  const model = Option.getOrElse(Context.getOption(services, Model.ModelName), () => "unknown")
  const save = Effect.suspend(() =>
    fs.writeFileString(
      file,
      `${pretty({ version: 1, provider, model, calls: calls.filter((call) => call !== undefined) })}\n`
    )
  ).pipe(
    Effect.mapError(({ message, reason }) => {
      const why = reason._tag === "NotFound" ? "there is no such folder" : message
      return new CassetteError({ file, problem: `can't be written: ${why}` })
    }),
    Semaphore.withPermit(writing)
  )
  yield* save
  return { options, calls, save } satisfies Recorder
})

interface TimedPart {
  readonly at: number
  readonly part: Response.PartEncoded | Response.StreamPartEncoded
}

/** Begins the recording of one call, which must run `inside` of it. */
const begin = Effect.fnUntraced(function*(
  recorder: Recorder,
  method: RecordedCall["method"],
  options: LanguageModel.ProviderOptions
) {
  const clock = yield* Clock.Clock
  const { found, inside, insideStream } = yield* SecretsUsed.collector
  const request = yield* ModelRequest.fromProviderOptions(options)
  const index = recorder.calls.push(undefined) - 1
  const startedAt = clock.currentTimeMillisUnsafe()
  const parts: Array<TimedPart> = []
  const now = () => clock.currentTimeMillisUnsafe() - startedAt
  return {
    inside,
    insideStream,
    add: (encoded: ReadonlyArray<Response.PartEncoded | Response.StreamPartEncoded>): void => {
      for (const part of encoded) parts.push({ at: now(), part })
    },
    end: (outcome: RecordedCall["end"]["outcome"], error?: AiError.AiError): Effect.Effect<void> => {
      const secrets = secretsFrom([...recorder.options.secrets ?? [], ...found])
      recorder.calls[index] = {
        method,
        request: toRequest(request, secrets),
        parts: toParts(parts, secrets),
        end: { at: now(), outcome, ...(error && { error: toErrorJson(error, secrets) }) }
      }
      return Effect.orDie(recorder.save)
    }
  }
})

const recordAnswer = Effect.fnUntraced(function*(
  recorder: Recorder,
  request: LanguageModel.ProviderOptions,
  answer: Effect.Effect<Array<Response.PartEncoded>, AiError.AiError>
) {
  const call = yield* begin(recorder, "generateText", request)
  return yield* Effect.onExit(call.inside(answer), (exit) => {
    if (Exit.isFailure(exit)) return call.end(...toEnd(exit))
    call.add(exit.value)
    return call.end("complete")
  })
})

const recordParts = (
  recorder: Recorder,
  request: LanguageModel.ProviderOptions,
  parts: Stream.Stream<Response.StreamPartEncoded, AiError.AiError>
) =>
  Stream.unwrap(Effect.map(begin(recorder, "streamText", request), (call) => {
    let ended = false
    return call.insideStream(parts).pipe(
      Stream.mapArray((parts) => {
        call.add(parts)
        return parts
      }),
      Stream.concat(Stream.drain(Stream.sync(() => {
        ended = true
      }))),
      Stream.onExit((exit) => ended ? call.end("complete") : call.end(...toEnd(exit)))
    )
  }))

const toEnd = (exit: Exit.Exit<unknown, AiError.AiError>): readonly ["unread" | "failed", AiError.AiError?] => {
  const error = Exit.isFailure(exit) ? Option.getOrUndefined(Cause.findErrorOption(exit.cause)) : undefined
  return error === undefined ? ["unread"] : ["failed", error]
}

/** The error without what is known of its HTTP response. */
const toErrorJson = (error: AiError.AiError, secrets: Secrets): Schema.Json => {
  const json: unknown = Schema.encodeSync(errorJson())(error)
  if (!hasProperty(json, "reason") || !isObject(json.reason)) return toJson(redactJson(json, secrets))
  const { http: _, ...reason } = json.reason
  return toJson(redactJson({ ...json, reason }, secrets))
}

const toRequest = ({ prompt, ...request }: ModelRequest.RequestJson, secrets: Secrets): Schema.Json =>
  toJson(redactJson({ prompt: prompt.map(withoutEmptyOptions), ...request }, secrets))

const withoutEmptyOptions = ({ content, options, ...rest }: ModelRequest.MessageJson): Schema.Json => ({
  ...rest,
  ...(content !== undefined && { content: Array.isArray(content) ? content.map(withoutEmptyOptions) : content }),
  ...(options !== undefined && !isEmpty(options) && { options })
})

const isEmpty = (value: unknown): boolean => isObject(value) && Object.keys(value).length === 0

/** The parts without secrets and without HTTP headers. */
const toParts = (
  parts: ReadonlyArray<TimedPart>,
  secrets: Secrets
): RecordedCall["parts"] => {
  const safe = redactPieces(
    parts.map(({ part }) => "delta" in part ? { block: `${part.type} ${part.id}`, text: part.delta } : undefined),
    secrets
  )
  return parts.map(({ at, part }, index) => {
    const { metadata, response: _, type, ...rest } = { response: undefined, ...part }
    const delta = safe.get(index)
    const readable = {
      type,
      ...rest,
      ...(delta !== undefined && { delta }),
      ...(metadata && !isEmpty(metadata) && { metadata })
    }
    return { at, part: toJson(redactJson(readable, secrets)) }
  })
}

interface Player {
  readonly options: Options
  readonly left: Array<RecordedCall>
  readonly played: Array<RecordedCall>
}

const load = (file: string): Effect.Effect<Cassette, CassetteError, FileSystem.FileSystem> =>
  Effect.gen(function*() {
    const fs = yield* fileSystem
    const text = yield* fs.readFileString(file)
    return yield* Schema.decodeEffect(Schema.fromJsonString(Cassette))(text)
  }).pipe(
    Effect.mapError((error) =>
      error._tag === "SchemaError"
        ? new CassetteError({ file, problem: `is not a cassette: ${error.message}` })
        : unreadable(file, error)
    )
  )

const unreadable = (file: string, { message }: PlatformError): CassetteError =>
  new CassetteError({ file, problem: `can't be read: ${message}` })

const choose = (
  player: Player,
  method: RecordedCall["method"],
  options: LanguageModel.ProviderOptions
): Effect.Effect<RecordedCall, AiError.AiError> =>
  Effect.flatMap(ModelRequest.fromProviderOptions(options), (request) => {
    const secrets = secretsFrom(player.options.secrets ?? [])
    const asked = pretty({ method, request: toRequest(request, secrets) })
    const index = player.left.findIndex((call) => describe(call) === asked)
    if (index < 0) return invalid(explain(player, asked))
    const [call] = player.left.splice(index, 1)
    player.played.push(call!)
    return Effect.succeed(call!)
  })

const describe = ({ method, request }: RecordedCall): string => pretty({ method, request })

/** Why no recording is left for a request. */
const explain = ({ left, played }: Player, asked: string): string => {
  const times = played.filter((call) => describe(call) === asked).length
  if (times > 0) return `this request was recorded ${times} times and is asked once more`
  const differences = [...left, ...played].map((call) => difference(describe(call), asked))
  const closest = differences.sort((a, b) => size(a) - size(b))[0]
  return closest === undefined
    ? "the cassette holds no calls"
    : `this request was not recorded; from the closest one it differs in\n${
      toPatch(closest, { from: "recorded", to: "asked" })
    }`
}

const invalid = (description: string): Effect.Effect<never, AiError.AiError> =>
  Effect.fail(AiError.make({
    module: "Recorded",
    method: "replay",
    reason: new AiError.InvalidRequestError({ description })
  }))

/** What was recorded, at its times. That the parts are parts is checked as it is for a provider's. */
const play = <P>({ end, parts }: RecordedCall): Stream.Stream<P, AiError.AiError> =>
  Stream.unwrap(Effect.map(Clock.currentTimeMillis, (startedAt) => {
    const until = (at: number) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => Effect.sleep(Math.max(0, startedAt + at - now)))
    const groups = Arr.isReadonlyArrayNonEmpty(parts) ? Arr.groupWith(parts, (a, b) => a.at === b.at) : []
    return Stream.fromArray(groups).pipe(
      Stream.mapEffect((group) => Effect.as(until(group[0].at), Arr.map(group, ({ part }) => part as P))),
      Stream.flattenArray,
      Stream.concat(Stream.drain(Stream.fromEffect(Effect.andThen(until(end.at), finish(end)))))
    )
  }))

/** Who gave up at this time when it was recorded may do so a little later now. */
const patience = Duration.seconds(5)

const finish = (end: RecordedCall["end"]): Effect.Effect<void, AiError.AiError> => {
  switch (end.outcome) {
    case "complete":
      return Effect.void
    case "unread":
      return Effect.andThen(
        Effect.sleep(patience),
        invalid("the recording ends here: when it was made, nobody read on")
      )
    case "failed":
      return Effect.flatMap(Effect.orDie(Schema.decodeUnknownEffect(errorJson())(end.error)), Effect.fail)
  }
}
