/**
 * The report of an evaluation, and what it adds up to. Exported through `Evals`.
 *
 * @internal
 */
import * as Schema from "effect/Schema"
import * as Check from "../check.ts"
import { passAllOf } from "./stats.ts"

/**
 * What agents used: finished turns, tokens of input and output together, and US dollars. `tokens` and `cost` are absent
 * where one of the turns doesn't tell.
 *
 * @since 0.1.0
 * @category reports
 */
export const Usage = Schema.Struct({
  turns: Schema.Int,
  tokens: Schema.optionalKey(Schema.Finite),
  cost: Schema.optionalKey(Schema.Finite)
})

/**
 * @since 0.1.0
 * @category reports
 */
export interface Usage extends Schema.Schema.Type<typeof Usage> {}

/**
 * What a scorer said of a trial: a score from 0 to 1, or why it has none.
 *
 * @since 0.1.0
 * @category reports
 */
export const ScoreReport = Schema.TaggedUnion({
  Scored: { score: Schema.Finite, passed: Schema.Boolean, why: Schema.optionalKey(Schema.String) },
  Unscored: { problem: Schema.String }
})

/**
 * @since 0.1.0
 * @category reports
 */
export type ScoreReport = typeof ScoreReport.Type

/**
 * The end of a trial: an answer with its scores, or a failure of the task, which counts as 0 with every scorer.
 *
 * @since 0.1.0
 * @category reports
 */
export const Outcome = Schema.TaggedUnion({
  Answered: { output: Schema.Json, scores: Schema.Record(Schema.String, ScoreReport) },
  Failed: { kind: Schema.Literals(["error", "defect", "timeout", "interrupted"]), problem: Schema.String }
})

/**
 * @since 0.1.0
 * @category reports
 */
export type Outcome = typeof Outcome.Type

/**
 * One trial of a case. `trial` counts from 1, `duration` is in milliseconds, `usage` is of the task, `judging` of the
 * scorers.
 *
 * @since 0.1.0
 * @category reports
 */
export const TrialReport = Schema.Struct({
  trial: Schema.Int,
  duration: Schema.Finite,
  usage: Usage,
  judging: Usage,
  toolCalls: Schema.Array(
    Schema.Struct({ agent: Schema.String, name: Schema.String, isFailure: Schema.optionalKey(Schema.Boolean) })
  ),
  outcome: Outcome
})

/**
 * @since 0.1.0
 * @category reports
 */
export interface TrialReport extends Schema.Schema.Type<typeof TrialReport> {}

/**
 * A case with all its trials.
 *
 * @since 0.1.0
 * @category reports
 */
export const CaseReport = Schema.Struct({
  name: Schema.String,
  input: Schema.Json,
  expected: Schema.optionalKey(Schema.Json),
  trials: Schema.Array(TrialReport)
})

/**
 * @since 0.1.0
 * @category reports
 */
export interface CaseReport extends Schema.Schema.Type<typeof CaseReport> {}

/** The format that this version of the library writes and reads. */
export const format = 1

/**
 * The report of an evaluation: plain JSON. `startedAt` is in milliseconds since the epoch.
 *
 * @since 0.1.0
 * @category reports
 */
export const Report = Schema.Struct({
  format: Schema.Literal(format),
  name: Schema.String,
  version: Schema.String,
  startedAt: Schema.Finite,
  scorers: Schema.Array(Schema.String),
  cases: Schema.Array(CaseReport)
})

/**
 * @since 0.1.0
 * @category reports
 */
export interface Report extends Schema.Schema.Type<typeof Report> {}

/**
 * What a report adds up to.
 *
 * Shares and means are means over cases of the means over their trials. `pass` and a score are `undefined` where no trial
 * has one. `passed`, `failed` and `unscored` count trials: an unscored one lacks a score and passed with all others, so
 * nobody knows. `duration` is the mean in milliseconds, `usage` and `judging` are sums.
 *
 * @since 0.1.0
 * @category reports
 */
export interface Summary {
  readonly pass: number | undefined
  readonly scores: Readonly<Record<string, number | undefined>>
  readonly passed: number
  readonly failed: number
  readonly unscored: number
  readonly duration: number | undefined
  readonly usage: Usage
  readonly judging: Usage
}

/**
 * Adds up a report.
 *
 * @since 0.1.0
 * @category reports
 */
export const summary = (report: Report): Summary => {
  const trials = report.cases.flatMap(({ trials }) => trials)
  const verdicts = trials.map(verdictOf)
  const count = (verdict: Verdict) => verdicts.filter((one) => one === verdict).length
  return {
    pass: meanOver(report.cases, (one) => caseMean(one, passed)),
    scores: Object.fromEntries(
      report.scorers.map((scorer) => [scorer, meanOver(report.cases, (one) => caseMean(one, scoredBy(scorer)))])
    ),
    passed: count("passed"),
    failed: count("failed"),
    unscored: count("unscored"),
    duration: meanOver(report.cases, durationMean),
    usage: sum(trials.map(({ usage }) => usage)),
    judging: sum(trials.map(({ judging }) => judging))
  }
}

/**
 * pass^k: the probability that `k` trials of a case all pass, as the mean over cases of its unbiased estimate. A case with
 * fewer scored trials than `k` is left out; `undefined` where none is left. Throws a `RangeError` unless `k` is a positive
 * integer.
 *
 * @since 0.1.0
 * @category reports
 */
export const passAll = (report: Report, k: number): number | undefined => {
  Check.positiveInteger("Evals.passAll", "k", k)
  return meanOver(report.cases, (one) => casePassAll(one, k))
}

/** Whether a trial passed: with every scorer. */
export type Verdict = "passed" | "failed" | "unscored"

export const verdictOf = ({ outcome }: TrialReport): Verdict => {
  if (outcome._tag === "Failed") return "failed"
  const scores = Object.values(outcome.scores)
  if (scores.some((score) => score._tag === "Scored" && !score.passed)) return "failed"
  return scores.some(({ _tag }) => _tag === "Unscored") ? "unscored" : "passed"
}

/** How many trials of a case passed, of those of which that is known. */
export const passes = ({ trials }: CaseReport): { readonly passed: number; readonly known: number } => {
  const verdicts = trials.map(verdictOf)
  const passed = verdicts.filter((verdict) => verdict === "passed").length
  return { passed, known: passed + verdicts.filter((verdict) => verdict === "failed").length }
}

/** A trial by some measure, from 0 to 1; `undefined` where it is unscored. */
export type Measure = (trial: TrialReport) => number | undefined

export const passed: Measure = (trial) => {
  const verdict = verdictOf(trial)
  return verdict === "unscored" ? undefined : verdict === "passed" ? 1 : 0
}

export const scoredBy = (scorer: string): Measure => ({ outcome }) => {
  if (outcome._tag === "Failed") return 0
  const score = outcome.scores[scorer]
  return score?._tag === "Scored" ? score.score : undefined
}

/** The mean over the trials of a case; unscored ones are left out, unless they shall count as something. */
export const caseMean = ({ trials }: CaseReport, measure: Measure, unscored?: number): number | undefined =>
  mean(trials.flatMap((trial) => measure(trial) ?? unscored ?? []))

export const casePassAll = (one: CaseReport, k: number): number | undefined => {
  const { known, passed } = passes(one)
  return passAllOf(passed, known, k)
}

export const durationMean = ({ trials }: CaseReport): number | undefined => mean(trials.map(({ duration }) => duration))

export const usageMean = ({ trials }: CaseReport, field: "tokens" | "cost"): number | undefined => {
  const total = sum(trials.map(({ usage }) => usage))[field]
  return total === undefined ? undefined : total / trials.length
}

export const mean = (values: ReadonlyArray<number>): number | undefined =>
  values.length === 0 ? undefined : values.reduce((a, b) => a + b, 0) / values.length

/** The mean over the cases that have a value. */
export const meanOver = <A>(cases: ReadonlyArray<A>, value: (one: A) => number | undefined): number | undefined =>
  mean(cases.map(value).filter((value) => value !== undefined))

export const sum = (usages: ReadonlyArray<Usage>): Usage => {
  let turns = 0
  let tokens: number | undefined = 0
  let cost: number | undefined = 0
  for (const usage of usages) {
    turns += usage.turns
    tokens = tokens === undefined || usage.tokens === undefined ? undefined : tokens + usage.tokens
    cost = cost === undefined || usage.cost === undefined ? undefined : cost + usage.cost
  }
  return { turns, ...(tokens !== undefined && { tokens }), ...(cost !== undefined && { cost }) }
}
