/**
 * Compares two versions. Exported through `Evals`.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Check from "../check.ts"
import {
  casePassAll,
  type CaseReport,
  durationMean,
  mean,
  meanOver,
  passes,
  passShare,
  type Report,
  scoreMean,
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
): Effect.Effect<Comparison> => {
  const common = before.scorers.filter((scorer) => after.scorers.includes(scorer))
  if (by !== "pass" && !common.includes(by)) {
    Check.fail("Evals.compare", "by", `one of ${["pass", ...common].join(", ")}`, by)
  }
  const { changed, onlyAfter, onlyBefore, pairs } = pairsOf(before, after)
  const value = (one: CaseReport) => by === "pass" ? passShare(one) : scoreMean(one, by)
  const cases = pairs.flatMap(([a, b]): ReadonlyArray<CaseChange> => {
    const before = value(a)
    const after = value(b)
    return before === undefined || after === undefined ? [] : [{ name: a.name, before, after }]
  })
  const sameScorers = common.length === before.scorers.length && common.length === after.scorers.length
  return Effect.map(test(cases, by !== "pass" || sameScorers), (tested) => ({
    name: after.name,
    before: before.version,
    after: after.version,
    by,
    ...tested,
    cases,
    metrics: metricsOf(pairs, common),
    changed,
    onlyBefore,
    onlyAfter
  }))
}

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

type Pair = readonly [before: CaseReport, after: CaseReport]

// With five, all differences on one side still have a p-value of 2 in 32.
const fewest = 6

const alpha = 0.05

const test = (
  cases: ReadonlyArray<CaseChange>,
  isSameMetric: boolean
): Effect.Effect<Pick<Comparison, "verdict" | "why" | "difference" | "p" | "interval">> =>
  Effect.gen(function*() {
    const differences = cases.map(({ after, before }) => after - before)
    const difference = mean(differences)
    const unclear = (
      why: string
    ) => ({ verdict: "unclear", why, difference, p: undefined, interval: undefined } as const)
    if (!isSameMetric) {
      return unclear("the versions were scored by different scorers: compare them by one that both have")
    }
    if (difference === undefined || cases.length < fewest) {
      return unclear(`${cases.length} cases are too few to tell: it takes at least ${fewest}`)
    }
    const random = yield* Random.Random
    const next = () => random.nextDoubleUnsafe()
    const p = signFlipP(differences, next)
    const interval = bootstrapInterval(differences, next)
    const found = { difference, p, interval }
    return p > alpha
      ? { ...found, verdict: "unclear", why: `p = ${p.toFixed(3)}: chance alone does as much` } as const
      : { ...found, verdict: difference > 0 ? "better" : "worse", why: `p = ${p.toFixed(p < 0.001 ? 4 : 3)}` } as const
  }).pipe(Random.withSeed("Evals.compare"))

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
    metric("pass", "share", passShare),
    ...(k > 1 && Number.isFinite(k) ? [metric(`pass^${k}`, "share", (one) => casePassAll(one, k))] : []),
    ...scorers.map((scorer) => metric(scorer, "share", (one) => scoreMean(one, scorer))),
    metric("duration", "ms", durationMean),
    metric("tokens", "tokens", (one) => usageMean(one, "tokens")),
    metric("cost", "USD", (one) => usageMean(one, "cost"))
  ]
}
