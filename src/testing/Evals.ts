/**
 * Evaluates agents: cases, several trials of each, scorers, and whether a version is better than the one before it.
 *
 * A task is any Effect, such as a prompt to an agent. It is run on each case several times, and each output is scored. The
 * report is a value: a table for people, JSON for files, and one half of a comparison. What a report says of models is
 * chance in part: only `compare` tells progress from luck, and says where there are too few cases to tell.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Agent, OpenAi } from "effect-troupe"
 * import { Evals } from "effect-troupe/testing"
 *
 * const evaluate = (version: string, instructions: string) =>
 *   Evals.run("capitals", {
 *     version,
 *     cases: [
 *       { name: "france", input: "The capital of France?", expected: "Paris" },
 *       { name: "australia", input: "The capital of Australia?", expected: "Canberra" }
 *     ],
 *     task: Evals.ask(Agent.make("geographer", { instructions })),
 *     scorers: { right: ({ expected, output }) => output.includes(expected), brief: ({ output }) => output.length < 40 },
 *     trials: 5
 *   })
 *
 * const program = Effect.gen(function*() {
 *   const before = yield* evaluate("plain", "Answer the question.")
 *   const after = yield* evaluate("brief", "Answer with one word.")
 *   yield* Evals.print(after)
 *   yield* Evals.print(Evals.compare(before, after))
 * }).pipe(Effect.provide(OpenAi.model("gpt-5-mini")))
 * ```
 *
 * @since 0.1.0
 */
import * as Console from "effect/Console"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import { hasProperty } from "effect/Predicate"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { ActorError, SpawnError } from "../Actor.ts"
import * as ActorSystem from "../ActorSystem.ts"
import * as Agent from "../Agent.ts"
import type { AgentError } from "../AgentError.ts"
import * as Check from "../internal/check.ts"
import type { Cache } from "../internal/evals/cache.ts"
import * as Compare from "../internal/evals/compare.ts"
import * as Judge from "../internal/evals/judge.ts"
import { format, Report } from "../internal/evals/report.ts"
import type { CannotScore, Case, Score, Scorer, Trial } from "../internal/evals/score.ts"
import { comparisonTable, reportTable } from "../internal/evals/table.ts"
import { runAll } from "../internal/evals/trials.ts"

export {
  /** @since 0.1.0 @category caches */
  type Cache,
  /** @since 0.1.0 @category caches */
  cassettes,
  /** @since 0.1.0 @category caches */
  runLogs
} from "../internal/evals/cache.ts"
export type {
  /** @since 0.1.0 @category reports */
  CaseChange,
  /** @since 0.1.0 @category reports */
  Comparison,
  /** @since 0.1.0 @category reports */
  Metric
} from "../internal/evals/compare.ts"
export type {
  /** @since 0.1.0 @category models */
  JudgeOptions
} from "../internal/evals/judge.ts"
export {
  /** @since 0.1.0 @category reports */
  CaseReport,
  /** @since 0.1.0 @category reports */
  Outcome,
  /** @since 0.1.0 @category reports */
  passAll,
  /** @since 0.1.0 @category reports */
  Report,
  /** @since 0.1.0 @category reports */
  ScoreReport,
  /** @since 0.1.0 @category reports */
  type Summary,
  /** @since 0.1.0 @category reports */
  summary,
  /** @since 0.1.0 @category reports */
  TrialReport,
  /** @since 0.1.0 @category reports */
  Usage
} from "../internal/evals/report.ts"
export {
  /** @since 0.1.0 @category errors */
  CannotScore,
  /** @since 0.1.0 @category models */
  type Case,
  /** @since 0.1.0 @category scorers */
  exact,
  /** @since 0.1.0 @category models */
  type Expected,
  /** @since 0.1.0 @category scorers */
  schema,
  /** @since 0.1.0 @category models */
  type Score,
  /** @since 0.1.0 @category models */
  type Scorer,
  /** @since 0.1.0 @category scorers */
  trajectory,
  /** @since 0.1.0 @category models */
  type TrajectoryMatch,
  /** @since 0.1.0 @category models */
  type Trial,
  /** @since 0.1.0 @category scorers */
  within
} from "../internal/evals/score.ts"
export type {
  /** @since 0.1.0 @category models */
  ToolCall
} from "../internal/evals/watch.ts"

/**
 * What the scorers that say `S` require.
 *
 * @since 0.1.0
 * @category type utils
 */
export type ScorerServices<S> = S extends Effect.Effect<infer _A, infer _E, infer R> ? R : never

/**
 * A task that is given as a value, such as `Evals.ask` makes. (A function that makes a function hides its types from the
 * scorers beside it.)
 *
 * @since 0.1.0
 * @category models
 */
export interface Task<in I, out O, out E, out R> {
  readonly run: (input: I) => Effect.Effect<O, E, R>
}

/**
 * An evaluation. Written in this order, the types of the cases and of the output flow into the scorers.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options<C extends Case, O, E, R, S, P, CE, CR> {
  /** What the report calls this version of the task. Default: `"current"`. */
  readonly version?: string | undefined
  readonly cases: ReadonlyArray<C>
  /** Run once a trial, in a scope of its own. */
  readonly task: Task<C["input"], O, E, R>["run"] | Task<C["input"], O, E, R>
  /** Each output is scored by all of them, one after the other; a trial passes when it passes with all. */
  readonly scorers: { readonly [Name in keyof S]: (trial: Trial<C, O>) => S[Name] }
  /** How often each case is tried. Default: 1. */
  readonly trials?: number | undefined
  /** How many trials run at once. Default: 4. */
  readonly concurrency?: number | "unbounded" | undefined
  /** How long a task may take before its trial has failed, and a scorer before it has no score. Default: for ever. */
  readonly timeout?: Duration.Input | undefined
  /** Where trials are kept (`Evals.cassettes`, `Evals.runLogs`). Default: nowhere. */
  readonly cache?: Effect.Effect<Cache<P, CE>, CE, CR> | undefined
}

/**
 * A file of a report can't be read, understood or written.
 *
 * @since 0.1.0
 * @category errors
 */
export class ReportError extends Schema.TaggedError<ReportError>("effect-troupe/Evals/ReportError")("ReportError", {
  file: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `${this.file}: ${this.problem}`
  }
}

/**
 * Runs all trials of all cases and scores them.
 *
 * A task that fails, dies, or takes too long is a failed trial, which counts as 0 with every scorer. A scorer that fails gives
 * no score: its trial counts neither as passed nor as failed. Nothing but a failure of the cache ends the evaluation.
 *
 * Tool calls, tokens and cost are those of the agents that the task runs, also in actors that it spawns into a system of its
 * own. Calls to a model by other ways, and agents in systems that are shared by trials, are not seen.
 *
 * @since 0.1.0
 * @category running
 */
export function run<
  C extends Case,
  O,
  E,
  R,
  S extends Record<string, Score | Effect.Effect<Score, unknown, unknown>>,
  P = never,
  CE = never,
  CR = never
>(
  name: string,
  options: Options<C, O, E, R, S, P, CE, CR>
): Effect.Effect<Report, CE, Exclude<Exclude<R, P> | ScorerServices<S[keyof S]> | CR, Scope.Scope>>
// Which services and errors these are, only the signature above can tell.
export function run(
  name: string,
  options: Options<
    Case,
    unknown,
    unknown,
    unknown,
    Record<string, Score | Effect.Effect<Score, unknown, unknown>>,
    unknown,
    unknown,
    unknown
  >
): Effect.Effect<Report, unknown, unknown> {
  const { cache, cases, concurrency = 4, scorers, task, timeout, trials = 1, version = "current" } = options
  Check.notEmpty("Evals.run", "name", name)
  Check.notEmpty("Evals.run", "version", version)
  Check.positiveInteger("Evals.run", "trials", trials)
  if (concurrency !== "unbounded") Check.positiveInteger("Evals.run", "concurrency", concurrency)
  checkNames("cases", cases.map(({ name }) => name))
  checkNames("scorers", Object.keys(scorers))
  if (Object.hasOwn(scorers, "pass")) {
    Check.fail("Evals.run", "scorers", `named otherwise than "pass", which is what they say together`, "pass")
  }
  return runAll({
    name,
    version,
    cases,
    task: typeof task === "function" ? task : task.run,
    scorers,
    trials,
    concurrency,
    timeout: timeout === undefined ? Duration.infinity : Check.positiveDuration("Evals.run", "timeout", timeout),
    cache
  }).pipe(Effect.withSpan("Evals.run", { attributes: { eval: name, version } }))
}

/**
 * A task that prompts an agent or a team with the input of a case. Its output is the answer's text, or a value of the schema
 * `output`.
 *
 * Each trial has a conversation and an actor system of its own.
 *
 * @since 0.1.0
 * @category running
 */
export function ask<E, R>(
  target: Target<E, R>
): Task<Agent.Input, string, AskError | E, Exclude<R, ActorSystem.ActorSystem | Scope.Scope>>
export function ask<S extends Schema.Top, E, R>(
  target: Target<E, R>,
  options: { readonly output: S }
): Task<
  Agent.Input,
  S["Type"],
  AskError | E,
  Exclude<R, ActorSystem.ActorSystem | Scope.Scope> | S["DecodingServices"]
>
// Whether the output is a text or a value, only the signatures above can tell.
export function ask(
  target: Target<unknown, unknown>,
  options?: { readonly output: Schema.Top }
): Task<Agent.Input, unknown, unknown, unknown> {
  const askAgent = (
    agent: Agent.Agent<unknown, unknown>,
    input: Agent.Input
  ): Effect.Effect<unknown, unknown, unknown> =>
    options === undefined
      ? Effect.map(Agent.response(Agent.run(agent, input)), ({ text }) => text)
      : Agent.object(agent, input, options.output)
  const askRef = (ref: Agent.AgentRef, input: Agent.Input): Effect.Effect<unknown, unknown, unknown> =>
    options === undefined
      ? Effect.map(Agent.ask(ref, input), ({ text }) => text)
      : Agent.object(ref, input, options.output)
  const task = (input: Agent.Input) =>
    Effect.provide(
      Agent.isAgent(target)
        ? askAgent(target, input)
        : Effect.flatMap(Agent.spawn(target), (ref) => askRef(ref, input)),
      ActorSystem.layer({ name: "evals" })
    )
  return { run: task }
}

/**
 * An agent or a team.
 *
 * @since 0.1.0
 * @category models
 */
export type Target<E, R> = Agent.Agent<E, R> | Agent.AgentBehavior<E, R>

/**
 * How a prompt to an agent or a team fails.
 *
 * @since 0.1.0
 * @category errors
 */
export type AskError = AgentError | ActorError | SpawnError

/**
 * Lets a model judge by a rubric: one criterion, or several. The score is the share of those that are met, so a trial passes
 * when all of them are.
 *
 * A judge that fails, or can't decide on a criterion, is no verdict: the scorer fails with `CannotScore`, and the trial is
 * unscored. Its cost is in the report apart from the task's. An agreement of the judge with people is not measured here:
 * read some of its reasons before you trust it.
 *
 * @example
 * ```ts
 * import { Anthropic } from "effect-troupe"
 * import { Evals } from "effect-troupe/testing"
 *
 * const kind = Evals.judge({
 *   rubric: ["The answer is polite.", "The answer blames nobody."],
 *   model: Anthropic.model("claude-sonnet-4-6")
 * })
 * ```
 *
 * @since 0.1.0
 * @category scorers
 */
export const judge: <
  T extends { readonly input: unknown; readonly output: unknown; readonly expected: unknown },
  E,
  R
>(options: Judge.JudgeOptions<T, E, R>) => Scorer<T, CannotScore, R> = Judge.judge

/**
 * Compares two versions by a scorer, or by the share of trials that passed (`"pass"`, the default).
 *
 * The unit is the case, with its trials averaged: trials of a case are not independent. The p-value is of a two-sided sign
 * flip test over the cases' differences (all signs up to 12 cases, drawn ones above), the interval is a bootstrap over cases.
 * A version is `"better"` or `"worse"` where p is at most 0.05, and stays so if all unscored trials spoke against it; else
 * `"unclear"`, as always under six cases. The same reports give the same comparison.
 *
 * @since 0.1.0
 * @category reports
 */
export const compare = (
  before: Report,
  after: Report,
  options: { readonly by?: string | undefined } = {}
): Compare.Comparison => Compare.compare(before, after, options)

/**
 * A report or a comparison as text for a terminal.
 *
 * @since 0.1.0
 * @category reports
 */
export const table = (self: Report | Compare.Comparison): string =>
  "verdict" in self ? comparisonTable(self) : reportTable(self)

/**
 * Prints the table.
 *
 * @since 0.1.0
 * @category reports
 */
export const print = (self: Report | Compare.Comparison): Effect.Effect<void> =>
  Effect.suspend(() => Console.log(table(self)))

/**
 * Writes a report into a file, as JSON. Makes the folder where there is none.
 *
 * @since 0.1.0
 * @category reports
 */
export const save = (report: Report, file: string): Effect.Effect<void, ReportError, FileSystem.FileSystem> => {
  Check.notEmpty("Evals.save", "file", file)
  return Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const folder = /^(.+)[\\/][^\\/]*$/.exec(file)?.[1]
    if (folder !== undefined) yield* fs.makeDirectory(folder, { recursive: true })
    yield* fs.writeFileString(file, `${JSON.stringify(report, null, 1)}\n`)
  }).pipe(Effect.mapError(({ message }) => new ReportError({ file, problem: `can't be written: ${message}` })))
}

/**
 * Reads a report that `save` wrote.
 *
 * @since 0.1.0
 * @category reports
 */
export const load = (file: string): Effect.Effect<Report, ReportError, FileSystem.FileSystem> => {
  Check.notEmpty("Evals.load", "file", file)
  const broken = (problem: string) => (error: { readonly message: string }) =>
    new ReportError({ file, problem: `${problem}: ${error.message}` })
  return Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const text = yield* Effect.mapError(fs.readFileString(file), broken("can't be read"))
    const json = yield* Effect.mapError(
      Schema.decodeEffect(Schema.fromJsonString(Schema.Unknown))(text),
      broken("is no JSON")
    )
    if (hasProperty(json, "format") && json.format !== format) {
      return yield* new ReportError({
        file,
        problem: `is a report of format ${String(json.format)}, and this version of effect-troupe reads ${format}`
      })
    }
    return yield* Effect.mapError(Schema.decodeUnknownEffect(Report)(json), broken("is no report"))
  })
}

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const checkNames = (field: string, names: ReadonlyArray<string>): void => {
  if (names.length === 0) Check.fail("Evals.run", field, "at least one", 0)
  for (const [index, name] of names.entries()) {
    Check.notEmpty("Evals.run", `${field}[${index}].name`, name)
    if (names.indexOf(name) < index) Check.fail("Evals.run", field, "of different names", name)
  }
}
