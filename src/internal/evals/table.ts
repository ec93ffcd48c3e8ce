/**
 * Reports and comparisons as text for a terminal.
 *
 * @internal
 */
import type { Comparison, Metric } from "./compare.ts"
import {
  caseMean,
  casePassAll,
  durationMean,
  meanOver,
  passAll,
  passes,
  type Report,
  scoredBy,
  summary,
  type TrialReport,
  type Usage,
  usageMean,
  verdictOf
} from "./report.ts"

export const reportTable = (report: Report): string => {
  const k = Math.max(...report.cases.map(({ trials }) => trials.length))
  const total = summary(report)
  const known = total.passed + total.failed
  const rows = [
    ["case", "pass", `pass^${k}`, ...report.scorers, "ms", "tokens", "USD"],
    ...report.cases.map((one) => [
      one.name,
      share(passes(one).passed, passes(one).known),
      two(casePassAll(one, k)),
      ...report.scorers.map((scorer) => two(caseMean(one, scoredBy(scorer)))),
      whole(durationMean(one)),
      whole(usageMean(one, "tokens")),
      money(usageMean(one, "cost"))
    ]),
    [
      "all",
      share(total.passed, known),
      two(passAll(report, k)),
      ...report.scorers.map((scorer) => two(total.scores[scorer])),
      whole(total.duration),
      whole(meanOver(report.cases, (one) => usageMean(one, "tokens"))),
      money(meanOver(report.cases, (one) => usageMean(one, "cost")))
    ]
  ]
  const count = `${report.cases.length} ${report.cases.length === 1 ? "case" : "cases"}`
  return text([
    `${report.name}, version ${report.version}: ${count}, ${k} ${k === 1 ? "trial" : "trials"} each`,
    "",
    ...align(rows),
    "",
    `${total.passed} trials passed, ${total.failed} failed, ${total.unscored} could not be scored` +
    (total.usage.turns === 0 ? "" : `; ${amounts(total.usage)}`) +
    (total.judging.turns === 0 ? "" : `, and to judge them ${amounts(total.judging)}`),
    ...problems(report)
  ])
}

export const comparisonTable = (comparison: Comparison): string => {
  const { after, before, by, cases, difference, interval, metrics, name, verdict, why } = comparison
  const rows = [
    ["metric", before, after, "change"],
    ...metrics.map((metric) => {
      const { after, before } = metric
      const change = before === undefined || after === undefined ? undefined : after - before
      return [metric.metric, figure(metric, before), figure(metric, after), signed(metric, change)]
    })
  ]
  const moved = cases.filter(({ after, before }) => after !== before)
    .toSorted((a, b) => Math.abs(b.after - b.before) - Math.abs(a.after - a.before))
  const range = interval === undefined
    ? ""
    : ` (95 % interval: ${interval.map(signedShare).join(" to ")})`
  const leftOut = [
    { names: comparison.changed, why: "are other questions now" },
    { names: comparison.onlyBefore, why: `are in ${before} only` },
    { names: comparison.onlyAfter, why: `are in ${after} only` }
  ]
  return text([
    `${name}: version ${after} against ${before}, ${cases.length} cases`,
    "",
    ...align(rows),
    "",
    `${verdict} by ${by}: ${
      difference === undefined ? "no difference is known" : signedShare(difference)
    }${range}; ${why}`,
    ...listed(moved.map((one) => `  ${one.name}: ${by} ${two(one.before)} -> ${two(one.after)}`)),
    ...leftOut.flatMap(({ names, why }) =>
      names.length === 0 ? [] : [`not compared, as they ${why}: ${names.join(", ")}`]
    )
  ])
}

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const most = 10

const listed = (lines: ReadonlyArray<string>): ReadonlyArray<string> =>
  lines.length <= most ? lines : [...lines.slice(0, most), `  ... and ${lines.length - most} more`]

/** What kept trials from passing. */
const problems = ({ cases }: Report): ReadonlyArray<string> =>
  listed(
    cases.flatMap((one) =>
      one.trials.filter((trial) => verdictOf(trial) !== "passed").map((trial) => `  ${one.name} ${problemOf(trial)}`)
    )
  )

const problemOf = ({ outcome, trial }: TrialReport): string => {
  if (outcome._tag === "Failed") return `#${trial}: ${outcome.kind}: ${outcome.problem}`
  const said = Object.entries(outcome.scores).flatMap(([scorer, score]) =>
    score._tag === "Unscored"
      ? [`${scorer}: not scored: ${score.problem}`]
      : score.passed
      ? []
      : [`${scorer} ${two(score.score)}${score.why === undefined ? "" : `: ${score.why}`}`]
  )
  return `#${trial}: ${said.join("; ")}`
}

/** The first column begins on the left, all others end on the right. */
const align = (rows: ReadonlyArray<ReadonlyArray<string>>): ReadonlyArray<string> => {
  const cells = rows.map((row) => row.map(plain))
  const widths = cells[0]!.map((_, column) => Math.max(...cells.map((row) => row[column]!.length)))
  return cells.map((row) =>
    row.map((cell, column) => column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!)).join("  ")
  )
}

const text = (lines: ReadonlyArray<string>): string => lines.map(plain).join("\n")

/** One line, without characters that would command a terminal: names and reasons may be of a model. */
const plain = (line: string): string => line.replaceAll(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]+/gu, " ")

const share = (passed: number, known: number): string => known === 0 ? "-" : `${passed}/${known}`

const two = (value: number | undefined): string => value === undefined ? "-" : value.toFixed(2)

const whole = (value: number | undefined): string => value === undefined ? "-" : String(Math.round(value))

const money = (value: number | undefined): string => value === undefined ? "-" : value.toFixed(4)

/** A digit more than a share in the table, so that a small one is not rounded to nothing. */
const signedShare = (value: number): string => `${value < 0 ? "-" : "+"}${Math.abs(value).toFixed(3)}`

const figure = ({ unit }: Metric, value: number | undefined): string =>
  unit === "share" ? two(value) : unit === "USD" ? money(value) : `${whole(value)}${unit === "ms" ? " ms" : ""}`

const signed = (metric: Metric, value: number | undefined): string =>
  value === undefined ? "-" : `${value < 0 ? "-" : "+"}${figure(metric, Math.abs(value))}`

const amounts = ({ cost, tokens, turns }: Usage): string =>
  [
    `${turns} model calls`,
    ...(tokens === undefined ? [] : [`${tokens} tokens`]),
    ...(cost === undefined ? [] : [`${money(cost)} USD`])
  ].join(", ")
