/**
 * Runs the trials of an evaluation.
 *
 * @internal
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Hash from "effect/Hash"
import { isBoolean, isNumber, isObject } from "effect/Predicate"
import type * as Schema from "effect/Schema"
import { errorMessage } from "../errorMessage.ts"
import { toJson } from "../json.ts"
import { redactJson, redactText } from "../llm/redact.ts"
import { type Cache, Judging, keyPart, live, sharing } from "./cache.ts"
import { format, type Outcome, type Report, type ScoreReport, sum, type TrialReport, type Usage } from "./report.ts"
import type { Case, Score, Scorer, Trial } from "./score.ts"
import { watch } from "./watch.ts"

/** An evaluation whose types only its caller knows. */
export interface Evaluation {
  readonly name: string
  readonly version: string
  readonly cases: ReadonlyArray<Case>
  readonly task: (input: unknown) => Effect.Effect<unknown, unknown, unknown>
  readonly scorers: Readonly<Record<string, Scorer<Trial, unknown, unknown>>>
  readonly trials: number
  readonly concurrency: number | "unbounded"
  readonly timeout: Duration.Duration
  readonly cache: Effect.Effect<Cache<unknown, unknown>, unknown, unknown> | undefined
}

export const runAll = (self: Evaluation): Effect.Effect<Report, unknown, unknown> =>
  Effect.scoped(Effect.gen(function*() {
    const startedAt = yield* Clock.currentTimeMillis
    const trials = Array.from({ length: self.trials }, (_, index) => index + 1)
    const run: Run = { self, cache: yield* self.cache ?? Effect.succeed(live), share: yield* sharing }
    const reports = yield* Effect.forEach(
      self.cases.flatMap((one) => trials.map((trial) => ({ one, trial }))),
      ({ one, trial }) => runTrial(run, one, trial),
      { concurrency: self.concurrency }
    )
    return {
      format,
      name: self.name,
      version: self.version,
      startedAt,
      scorers: Object.keys(self.scorers),
      cases: self.cases.map(({ expected, input, name }, index) => ({
        name,
        input: portable(input),
        ...(expected !== undefined && { expected: portable(expected) }),
        trials: reports.slice(index * self.trials, (index + 1) * self.trials)
      }))
    }
  }))

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

interface Run {
  readonly self: Evaluation
  readonly cache: Cache<unknown, unknown>
  readonly share: Effect.Success<typeof sharing>
}

const runTrial = (run: Run, one: Case, trial: number): Effect.Effect<TrialReport, unknown, unknown> =>
  Effect.gen(function*() {
    const { cache, self } = run
    const key = `${[self.name, self.version, one.name].map(keyPart).join("/")}/${trial}`
    let duration = 0
    const task = Effect.gen(function*() {
      const begin = yield* Clock.monotonicTimeNanos
      const exit = yield* Effect.exit(bounded(self, Effect.suspend(() => self.task(one.input))))
      duration = Number((yield* Clock.monotonicTimeNanos) - begin) / 1e6
      return exit
    })
    const [exit, heard] = yield* watch(cache.trial(task, key))
    const report = (outcome: Outcome, judging: Usage): TrialReport => ({
      trial,
      duration,
      usage: heard.usage,
      judging,
      toolCalls: heard.toolCalls.map(({ agent, isFailure, name }) => ({
        agent,
        name,
        ...(isFailure !== undefined && { isFailure })
      })),
      outcome
    })
    if (Exit.isFailure(exit)) return report({ _tag: "Failed", ...failureOf(exit.cause) }, sum([]))
    const { expected, input } = one
    const scored = yield* scoreAll(run, key, {
      case: one,
      trial,
      input,
      expected,
      output: exit.value,
      duration,
      ...heard
    })
    const scores = Object.fromEntries(scored.map(({ score, scorer }) => [scorer, score]))
    return report(
      { _tag: "Answered", output: portable(exit.value), scores },
      sum(scored.map(({ usage }) => usage))
    )
  }).pipe(
    Effect.withSpan("Evals.trial", {
      attributes: { eval: run.self.name, version: run.self.version, case: one.name, trial }
    })
  )

const scoreAll = ({ cache, self, share }: Run, key: string, trial: Trial) =>
  Effect.forEach(Object.entries(self.scorers), ([scorer, score]) => {
    const judging: Judging = {
      ask: (judging, model) => cache.judge(judging, share(model), `${key}-${keyPart(scorer)}`)
    }
    const scoring = Effect.suspend(() => {
      const said = score(trial)
      return Effect.isEffect(said) ? said : Effect.succeed(said)
    })
    return Effect.map(
      watch(Effect.provideService(Effect.exit(bounded(self, scoring)), Judging, judging)),
      ([exit, { usage }]) => ({ scorer, score: toScoreReport(exit), usage })
    )
  })

/** Runs in a scope of its own, and no longer than a trial may take. */
const bounded = <A, E, R>({ timeout }: Evaluation, effect: Effect.Effect<A, E, R>) =>
  Effect.scoped(effect).pipe(
    Effect.timeoutOrElse({ duration: timeout, orElse: () => Effect.fail(new OutOfTime(timeout)) })
  )

/** Not an error of the task's own, which may time out, too. */
class OutOfTime {
  readonly message: string
  constructor(timeout: Duration.Duration) {
    this.message = `no answer after ${Duration.format(timeout)}`
  }
}

const failureOf = (cause: Cause.Cause<unknown>): Omit<Extract<Outcome, { _tag: "Failed" }>, "_tag"> => {
  const error = Cause.squash(cause)
  const kind = error instanceof OutOfTime
    ? "timeout"
    : Cause.hasFails(cause)
    ? "error"
    : Cause.hasDies(cause)
    ? "defect"
    : "interrupted"
  return { kind, problem: redactText(errorMessage(error)) }
}

const toScoreReport = (exit: Exit.Exit<Score, unknown>): ScoreReport => {
  if (Exit.isFailure(exit)) {
    const { kind, problem } = failureOf(exit.cause)
    return { _tag: "Unscored", problem: kind === "defect" ? `defect: ${problem}` : problem }
  }
  const said = exit.value
  const { passed, score, why } = isBoolean(said)
    ? { score: said ? 1 : 0, passed: said, why: undefined }
    : isObject(said)
    ? said
    : { score: said, passed: undefined, why: undefined }
  if (!isNumber(score) || !(score >= 0 && score <= 1)) {
    return { _tag: "Unscored", problem: `a score must be a number from 0 to 1, got ${String(score)}` }
  }
  return {
    _tag: "Scored",
    score,
    passed: passed ?? score === 1,
    ...(why !== undefined && { why: redactText(String(why)) })
  }
}

/** A value as JSON, without what looks like a secret, and short where it is bytes. */
const portable = (value: unknown): Schema.Json => {
  try {
    return toJson(redactJson(toJson(JSON.parse(JSON.stringify(value, withoutBytes) ?? "null"))))
  } catch {
    return String(value)
  }
}

const withoutBytes = (_: string, value: unknown): unknown =>
  value instanceof Uint8Array ? `${value.length} bytes, hash ${Hash.array(value)}` : value
