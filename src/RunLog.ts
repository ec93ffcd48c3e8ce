/**
 * Records whole runs, repeats them without the world, and sees where a changed one goes another way.
 *
 * A log has all that comes into a program from outside, in its order: the parts of models' answers and embeddings, the
 * outcomes of tools and what they emit, decisions, timers, messages that somebody outside sends to its actors,
 * interruptions, with the time of each; and what the program did, its calls, the events of its runs and its replies, which
 * a replay is held to. Between two inputs the program goes on until nobody in it can; time stands still meanwhile, and
 * random numbers come from a seed. So the log determines the run.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Agent, RunLog } from "effect-troupe"
 *
 * const program = Agent.response(Agent.run(Agent.make("assistant"), "Weather in Lagos?"))
 *
 * const recorded = RunLog.record(program, { to: RunLog.file("run.jsonl") })
 *
 * const replayed = Effect.flatMap(RunLog.load("run.jsonl"), (log) => RunLog.replay(program, log))
 * ```
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import type * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { TurnInfo, TurnPlan } from "./internal/agent/agent.ts"
import { retype } from "./internal/retype.ts"
import * as Compare from "./internal/runlog/compare.ts"
import type { Diverged } from "./internal/runlog/diverged.ts"
import type { RunLog } from "./internal/runlog/entry.ts"
import * as Format from "./internal/runlog/format.ts"
import * as Read from "./internal/runlog/read.ts"
import * as Run from "./internal/runlog/run.ts"
import * as Script from "./internal/runlog/script.ts"
import * as Sinks from "./internal/runlog/sink.ts"

export type {
  /** @since 0.1.0 @category models */
  Comparison,
  /** @since 0.1.0 @category models */
  Difference
} from "./internal/runlog/compare.ts"
export {
  /** @since 0.1.0 @category errors */
  Diverged
} from "./internal/runlog/diverged.ts"
export {
  /** @since 0.1.0 @category models */
  Call,
  /** @since 0.1.0 @category models */
  Emitted,
  /** @since 0.1.0 @category models */
  Ended,
  /** @since 0.1.0 @category models */
  Entry,
  /** @since 0.1.0 @category models */
  Input,
  /** @since 0.1.0 @category models */
  Reply,
  /** @since 0.1.0 @category models */
  RunEnded,
  /** @since 0.1.0 @category models */
  type RunLog
} from "./internal/runlog/entry.ts"
export {
  /** @since 0.1.0 @category errors */
  LogError
} from "./internal/runlog/format.ts"
export type {
  /** @since 0.1.0 @category models */
  RecordedRun,
  /** @since 0.1.0 @category models */
  RunState,
  /** @since 0.1.0 @category models */
  State,
  /** @since 0.1.0 @category models */
  Summary
} from "./internal/runlog/read.ts"
export type {
  /** @since 0.1.0 @category models */
  MemorySink,
  /** @since 0.1.0 @category models */
  Sink,
  /** @since 0.1.0 @category models */
  Writing
} from "./internal/runlog/sink.ts"

/**
 * Where a log is written to, and which texts must not be in it, beside what is taken out anyway: the keys and tokens of
 * the models that are called, what looks like the key of a common service, and fields that are named like one.
 *
 * @since 0.1.0
 * @category models
 */
export interface RecordOptions<out R = never> {
  readonly to: Sinks.Sink<R>
  readonly secrets?: ReadonlyArray<Redacted.Redacted> | undefined
}

/**
 * `live` has the names of the tools that run in a replay, too. Default: none. `forked` is how the log was forked, where
 * its turns were given something else.
 *
 * @since 0.1.0
 * @category models
 */
export interface ReplayOptions<out E = never, out R = never> {
  readonly live?: ReadonlyArray<string> | undefined
  readonly forked?: Pick<ForkOptions<never, E, R>, "at" | "with"> | undefined
}

/**
 * `at` is the number of the first call that is made live, from 1 on; `with` gives the turns from there on another model,
 * other instructions, tools or settings. `live` has the names of the tools that run before it, too, as in a replay.
 *
 * @since 0.1.0
 * @category models
 */
export interface ForkOptions<out R = never, out E2 = never, out R2 = never> extends RecordOptions<R> {
  readonly at: number
  readonly live?: ReadonlyArray<string> | undefined
  readonly with?: ((turn: TurnInfo) => TurnPlan<E2, R2>) | undefined
}

/**
 * Runs a program, an effect or a stream, and writes its log.
 *
 * The program runs as ever, but for its time, which goes on from input to input, and its random numbers, which come from
 * the log's seed. Its `ActorSystem` must be provided inside of it. A stream does not wait for its reader. A log that
 * can't be written ends the program with a `LogError`.
 *
 * @since 0.1.0
 * @category running
 */
export const record: {
  <A, E, R, R2 = never>(
    program: Effect.Effect<A, E, R>,
    options: RecordOptions<R2>
  ): Effect.Effect<A, E | Format.LogError, R | Exclude<R2, Scope.Scope>>
  <A, E, R, R2 = never>(
    program: Stream.Stream<A, E, R>,
    options: RecordOptions<R2>
  ): Stream.Stream<A, E | Format.LogError, R | Exclude<R2, Scope.Scope>>
} = (program: Program, { secrets, to }: RecordOptions<unknown>) => run(program, { name: "RunLog.record", to, secrets })

/**
 * Runs a program on its log: the same calls get the same answers, in the same order and at the same times, without
 * waiting. No model is called and no tool run, but for agents as tools, which always run, and those in `live`. Messages
 * from outside come from the log; what is sent from there meanwhile fails with an `ActorError`.
 *
 * A program that does something else than its log says ends with `Diverged`.
 *
 * @since 0.1.0
 * @category running
 */
export const replay: {
  <A, E, R, E2 = never, R2 = never>(
    program: Effect.Effect<A, E, R>,
    log: RunLog,
    options?: ReplayOptions<E2, R2>
  ): Effect.Effect<A, E | E2 | Diverged | Format.LogError, R | R2>
  <A, E, R, E2 = never, R2 = never>(
    program: Stream.Stream<A, E, R>,
    log: RunLog,
    options?: ReplayOptions<E2, R2>
  ): Stream.Stream<A, E | E2 | Diverged | Format.LogError, R | R2>
} = (program: Program, log: RunLog, { forked, live }: ReplayOptions<unknown, unknown> = {}) =>
  run(program, { name: "RunLog.replay", fork: forked, script: () => Script.make(log, { live }) })

/**
 * Runs a program on its log up to a call, and live from there on: that call is the first one that is made. Calls that
 * were under way get the answers that they have in the log, if it has them whole; timers wait for the rest of their
 * time. The new log begins as the old one.
 *
 * After the last call of a log that was cut off, a fork goes on with what was lost: `at` is one more than its calls. An
 * answer that broke off there is a failure, of the model's request or of the tool.
 *
 * @since 0.1.0
 * @category running
 */
export const fork: {
  <A, E, R, R2 = never, E3 = never, R3 = never>(
    program: Effect.Effect<A, E, R>,
    log: RunLog,
    options: ForkOptions<R2, E3, R3>
  ): Effect.Effect<A, E | E3 | Diverged | Format.LogError, R | R3 | Exclude<R2, Scope.Scope>>
  <A, E, R, R2 = never, E3 = never, R3 = never>(
    program: Stream.Stream<A, E, R>,
    log: RunLog,
    options: ForkOptions<R2, E3, R3>
  ): Stream.Stream<A, E | E3 | Diverged | Format.LogError, R | R3 | Exclude<R2, Scope.Scope>>
} = (program: Program, log: RunLog, fork: ForkOptions<unknown, unknown, unknown>) => {
  const { at, live, secrets, to } = fork
  Read.checkCall("RunLog.fork", "at", log, at)
  return run(program, { name: "RunLog.fork", to, secrets, fork, script: () => Script.make(log, { forkAt: at, live }) })
}

/**
 * A file, written as the program goes through Effect's `FileSystem`, and replaced when it starts.
 *
 * A process that is killed leaves the log up to the models' texts that were under way: they are written when whole.
 *
 * @since 0.1.0
 * @category sinks
 */
export const file: (path: string) => Sinks.Sink<FileSystem.FileSystem> = Sinks.file

/**
 * A log in memory.
 *
 * @since 0.1.0
 * @category sinks
 */
export const memory: () => Sinks.MemorySink = Sinks.memory

/**
 * Reads a log from a file.
 *
 * @since 0.1.0
 * @category reading
 */
export const load: (path: string) => Effect.Effect<RunLog, Format.LogError, FileSystem.FileSystem> = Sinks.load

/**
 * Reads a log from its text. `name` is its name in errors.
 *
 * @since 0.1.0
 * @category reading
 */
export const parse = (text: string, name = "the log"): Effect.Effect<RunLog, Format.LogError> =>
  Format.parse(text, name)

/**
 * The runs of a log, in the order in which they began.
 *
 * @since 0.1.0
 * @category reading
 */
export const runs: (log: RunLog) => ReadonlyArray<Read.RecordedRun> = Read.runs

/**
 * The state of the program when it made a call, which `number` counts from 1 on; one more than the calls of the log is
 * its end.
 *
 * @since 0.1.0
 * @category reading
 */
export const stopAt: (log: RunLog, number: number) => Read.State = Read.stopAt

/**
 * What the program did, in short.
 *
 * @since 0.1.0
 * @category reading
 */
export const summary: (log: RunLog) => Read.Summary = Read.summary

/**
 * The first call, input and event that two logs don't have in common, and a summary of each.
 *
 * @since 0.1.0
 * @category reading
 */
export const compare: (a: RunLog, b: RunLog) => Compare.Comparison = Compare.compare

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

type Program = Effect.Effect<unknown, unknown, unknown> | Stream.Stream<unknown, unknown, unknown>

/** What is given as an effect comes back as one, and so do streams; overloads say so to the caller. */
const run = (program: Program, how: Run.How<unknown>): never =>
  retype(Stream.isStream(program) ? Run.stream(how, program) : Run.effect(how, program))
