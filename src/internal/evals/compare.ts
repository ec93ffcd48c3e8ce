/**
 * Compares two versions. Exported through `Evals`.
 *
 * @internal
 */
import * as Check from "../check.ts"
import * as Prng from "../prng.ts"
import {
  caseMean,
  casePassAll,
  type CaseReport,
  durationMean,
  mean,
  meanOver,
  type Measure,
  passed,
  passes,
  type Report,
  scoredBy,
  usageMean
} from "./report.ts"
import { bootstrapInterval, signFlipP } from "./stats.ts"

/**
 * A figure of both versions: its mean over the cases that both have.
 *
 * @since 0.1.0
 * @category reports
 */
export interface Metric {
  readonly metric: string
  readonly unit: "share" | "ms" | "tokens" | "USD"
  readonly before: number | undefined
  readonly after: number | undefined
}

/**
 * Whether a version is better than the one before it, by one metric; `why` says why in words.
 *
 * `difference` is the mean over cases. `p` is the probability of one as large, were the versions the same; `interval`, with
 * a confidence of 95 %, is where the difference lies. Both are absent under six cases. `metrics` are all figures, for
 * reading: the verdict is of `by` alone. `changed` are cases of both versions that are not the same question, and
 * `onlyBefore` and `onlyAfter` those of one version: none of them is compared.
 *
 * @since 0.1.0
 * @category reports
 */
export interface Comparison {
  readonly name: string
  readonly before: string
  readonly after: string
  readonly by: string
  readonly verdict: "better" | "worse" | "unclear"
  readonly why: string
  readonly difference: number | undefined
  readonly p: number | undefined
  readonly interval: readonly [number, number] | undefined
  readonly cases: ReadonlyArray<CaseChange>
  readonly metrics: ReadonlyArray<Metric>
  readonly changed: ReadonlyArray<string>
  readonly onlyBefore: ReadonlyArray<string>
  readonly onlyAfter: ReadonlyArray<string>
}

/**
 * A case in both versions, by the metric that is compared: means over its trials.
 *
 * @since 0.1.0
 * @category reports
 */
export interface CaseChange {
  readonly name: string
  readonly before: number
  readonly after: number
}

/** Compares by a scorer, or by the share of trials that passed with all of them. */
export const compare = (
  before: Report,
  after: Report,
  { by = "pass" }: { readonly by?: string | undefined }
): Comparison => {
  const common = before.scorers.filter((scorer) => after.scorers.includes(scorer))
  if (by !== "pass" && !common.includes(by)) {
    Check.fail("Evals.compare", "by", `one of ${["pass", ...common].join(", ")}`, by)
  }
  const { changed, onlyAfter, onlyBefore, pairs } = pairsOf(before, after)
  const measure = by === "pass" ? passed : scoredBy(by)
  const isSameMeasure = by !== "pass" || common.length === before.scorers.length &&
      common.length === after.scorers.length
  return {
    name: after.name,
    before: before.version,
    after: after.version,
    by,
    ...judge(pairs, measure, isSameMeasure),
    cases: changes(pairs, measure),
    metrics: metricsOf(pairs, common),
    changed,
    onlyBefore,
    onlyAfter
  }
}

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

type Pair = readonly [before: CaseReport, after: CaseReport]

// With five, all differences on one side still have a p-value of 2 in 32.
const fewest = 6

const alpha = 0.05

type Judged = Pick<Comparison, "verdict" | "why" | "difference" | "p" | "interval">

const judge = (pairs: ReadonlyArray<Pair>, measure: Measure, isSameMeasure: boolean): Judged => {
  const differences = changes(pairs, measure).map(({ after, before }) => after - before)
  const difference = mean(differences)
  const unclear = (why: string): Judged => ({ verdict: "unclear", why, difference, p: undefined, interval: undefined })
  if (!isSameMeasure) {
    return unclear("the versions were scored by different scorers: compare them by one that both have")
  }
  if (difference === undefined || differences.length < fewest) {
    return unclear(`${differences.length} cases are too few to tell: it takes at least ${fewest}`)
  }
  const p = pOf(differences)
  const found = { difference, p, interval: bootstrapInterval(differences, Prng.make(1, "comparing")) }
  if (p > alpha) return { ...found, verdict: "unclear", why: `p = ${p.toFixed(3)}: chance alone does as much` }
  const isBetter = difference > 0
  const unscored = pairs.flat().flatMap(({ trials }) => trials).filter((trial) => measure(trial) === undefined).length
  if (unscored > 0 && !holds(pairs, measure, isBetter)) {
    return { ...found, verdict: "unclear", why: `${unscored} trials could not be scored, and may be the difference` }
  }
  return { ...found, verdict: isBetter ? "better" : "worse", why: `p = ${p.toFixed(p < 0.001 ? 4 : 3)}` }
}

/** Whether the verdict stays the same if all unscored trials spoke against it: they may well have. */
const holds = (pairs: ReadonlyArray<Pair>, measure: Measure, isBetter: boolean): boolean => {
  const differences = changes(pairs, measure, isBetter ? [1, 0] : [0, 1]).map(({ after, before }) => after - before)
  const difference = mean(differences)
  return difference !== undefined && difference > 0 === isBetter && pOf(differences) <= alpha
}

const pOf = (differences: ReadonlyArray<number>): number => signFlipP(differences, Prng.make(0, "comparing"))

/** The cases of which both means are known. `unscored` is what unscored trials count as, before and after. */
const changes = (
  pairs: ReadonlyArray<Pair>,
  measure: Measure,
  unscored: readonly [number?, number?] = []
): ReadonlyArray<CaseChange> =>
  pairs.flatMap(([a, b]) => {
    const before = caseMean(a, measure, unscored[0])
    const after = caseMean(b, measure, unscored[1])
    return before === undefined || after === undefined ? [] : [{ name: a.name, before, after }]
  })

const pairsOf = (before: Report, after: Report) => {
  const pairs: Array<Pair> = []
  const changed: Array<string> = []
  const onlyBefore: Array<string> = []
  for (const one of before.cases) {
    const other = after.cases.find(({ name }) => name === one.name)
    if (other === undefined) onlyBefore.push(one.name)
    else if (questionOf(one) === questionOf(other)) pairs.push([one, other])
    else changed.push(one.name)
  }
  const onlyAfter = after.cases.map(({ name }) => name).filter((name) => before.cases.every((one) => one.name !== name))
  return { pairs, changed, onlyBefore, onlyAfter }
}

const questionOf = ({ expected, input }: CaseReport): string => JSON.stringify([input, expected])

const metricsOf = (pairs: ReadonlyArray<Pair>, scorers: ReadonlyArray<string>): ReadonlyArray<Metric> => {
  const k = Math.min(...pairs.flat().map((one) => passes(one).known))
  const metric = (
    metric: string,
    unit: Metric["unit"],
    value: (one: CaseReport) => number | undefined
  ): Metric => {
    const both = pairs.filter((pair) => pair.every((one) => value(one) !== undefined))
    return { metric, unit, before: meanOver(both, ([a]) => value(a)), after: meanOver(both, ([, b]) => value(b)) }
  }
  return [
    metric("pass", "share", (one) => caseMean(one, passed)),
    ...(k > 1 && Number.isFinite(k) ? [metric(`pass^${k}`, "share", (one) => casePassAll(one, k))] : []),
    ...scorers.map((scorer) => metric(scorer, "share", (one) => caseMean(one, scoredBy(scorer)))),
    metric("duration", "ms", durationMean),
    metric("tokens", "tokens", (one) => usageMean(one, "tokens")),
    metric("cost", "USD", (one) => usageMean(one, "cost"))
  ]
}
