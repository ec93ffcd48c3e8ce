/**
 * Measures ours against baselines: rounds that alternate the sides, medians, and one JSON line a comparison.
 *
 * A bench is a list of metrics; a side is a function that does the work once, checks its result (it throws when the
 * result is wrong) and returns the figure of that round. `bench/README.md` shows how to add one.
 */
import { spawnSync } from "node:child_process"
import { fileURLToPath } from "node:url"

/** One round of one side: does the work, checks the result, returns the figure in the metric's unit. */
export type Side = () => number | Promise<number>

export interface Metric {
  readonly name: string
  /** Unit of the figures, such as `1/s`, `s` or `bytes`. */
  readonly unit: string
  /** Which figures are better: rates are `higher`, times and bytes are `lower`. */
  readonly better: "higher" | "lower"
  readonly ours: Side
  /** Baselines by name; a number is a fixed bound and belongs under `limit`. */
  readonly baselines: Readonly<Record<string, Side | number>>
  /** Runs each round in a fresh process, for figures that an earlier round would spoil (heap, RSS). */
  readonly isolated?: boolean
}

export interface Bench {
  readonly name: string
  readonly metrics: ReadonlyArray<Metric>
}

/** The line that is printed; `ratio` is how many times better ours is. */
export interface Result {
  readonly bench: string
  readonly metric: string
  readonly unit: string
  readonly ours: number
  readonly baseline: string
  readonly theirs: number
  readonly ratio: number
}

export interface Comparison extends Result {
  readonly rounds: { readonly ours: ReadonlyArray<number>; readonly theirs: ReadonlyArray<number> }
}

/** Measured rounds a side, after one round of warm-up; a fresh process warms itself up. */
const ROUNDS = 7
const ISOLATED_ROUNDS = 5

/** Measures one metric and returns a comparison for each baseline. */
export const measure = async (bench: string, metric: Metric): Promise<ReadonlyArray<Comparison>> => {
  const sides = ["ours", ...Object.keys(metric.baselines)]
  const rounds = new Map<string, Array<number>>(sides.map((side) => [side, []]))
  const last = metric.isolated ? ISOLATED_ROUNDS : ROUNDS
  for (let round = metric.isolated ? 1 : 0; round <= last; round++) {
    for (const side of inTurn(sides, round)) {
      const figure = metric.isolated ? inProcess(bench, metric, side) : await runSide(metric, side)
      if (round > 0) rounds.get(side)!.push(figure)
    }
  }
  const ours = rounds.get("ours")!
  return sides.slice(1).map((baseline) => compare(bench, metric, baseline, ours, rounds.get(baseline)!))
}

/** Runs one round of one side in this process. */
export const runSide = async (metric: Metric, side: string): Promise<number> => {
  const run = side === "ours" ? metric.ours : metric.baselines[side]
  if (run === undefined) throw new Error(`bench: ${metric.name} has no baseline ${side}`)
  if (typeof run === "number") return run
  globalThis.gc?.()
  const figure = await run()
  if (!Number.isFinite(figure) || figure <= 0) throw new Error(`bench: ${metric.name}, ${side} gave ${figure}`)
  return figure
}

/** Calls `work` and returns how many times a second it did one of its `count` pieces. */
export const rate = async (count: number, work: () => unknown): Promise<number> => count / await seconds(work)

/** Calls `work` and returns how long it took, in seconds. */
export const seconds = async (work: () => unknown): Promise<number> => {
  const start = performance.now()
  await work()
  return (performance.now() - start) / 1000
}

/** Calls `work` and returns the processor time of this process that it took, in microseconds. */
export const cpuTime = async (work: () => unknown): Promise<number> => {
  const before = process.cpuUsage()
  await work()
  const { system, user } = process.cpuUsage(before)
  return system + user
}

/** Throws unless a round did the work that it claims. */
export const check = (what: string, actual: unknown, expected: unknown): void => {
  if (actual !== expected) throw new Error(`bench: ${what} should be ${expected}, was ${actual}`)
}

/** Live heap in bytes, after a full collection; needs `--expose-gc`. */
export const heapUsed = (): number => {
  if (globalThis.gc === undefined) throw new Error("bench: run node with --expose-gc")
  globalThis.gc()
  return process.memoryUsage().heapUsed
}

/** The sides in another order each round, so that none always runs in the wake of the same other one. */
const inTurn = (sides: ReadonlyArray<string>, round: number): ReadonlyArray<string> => {
  const turned = [...sides.slice(round % sides.length), ...sides.slice(0, round % sides.length)]
  return round % 2 === 0 ? turned : turned.toReversed()
}

const inProcess = (bench: string, metric: Metric, side: string): number => {
  if (typeof metric.baselines[side] === "number") return metric.baselines[side]
  const script = fileURLToPath(new URL("run.ts", import.meta.url))
  const child = spawnSync(process.execPath, [...process.execArgv, script, bench, "--round", metric.name, side], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"]
  })
  if (child.status !== 0) throw new Error(`bench: ${metric.name}, ${side} ended with ${child.status ?? child.signal}`)
  return Number(child.stdout)
}

const compare = (
  bench: string,
  metric: Metric,
  baseline: string,
  ours: ReadonlyArray<number>,
  theirs: ReadonlyArray<number>
): Comparison => {
  const [a, b] = [median(ours), median(theirs)]
  return {
    bench,
    metric: metric.name,
    unit: metric.unit,
    ours: round(a),
    baseline,
    theirs: round(b),
    ratio: round(metric.better === "higher" ? a / b : b / a),
    rounds: { ours: ours.map(round), theirs: theirs.map(round) }
  }
}

const median = (figures: ReadonlyArray<number>): number => {
  const sorted = [...figures].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** Whole numbers from 100 up, three significant digits below. */
const round = (figure: number): number => figure >= 100 ? Math.round(figure) : Number(figure.toPrecision(3))
