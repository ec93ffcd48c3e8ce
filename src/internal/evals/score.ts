/**
 * Scorers of trials. Exported through `Evals`.
 *
 * @internal
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import { isString } from "effect/Predicate"
import * as Schema from "effect/Schema"
import type * as Budget from "../../Budget.ts"
import * as Check from "../check.ts"
import type { Usage } from "./report.ts"
import type { ToolCall } from "./watch.ts"

/**
 * A case: its name, which is unique, the input of the task, the expected output where there is one, and any fields of your
 * own, which scorers see in `trial.case`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Case {
  readonly name: string
  readonly input: unknown
  readonly expected?: unknown
}

/**
 * The expected output of cases `C`, `undefined` where they have none.
 *
 * @since 0.1.0
 * @category models
 */
export type Expected<C extends Case> = C extends unknown ? "expected" extends keyof C ? C["expected"] : undefined
  : never

/**
 * A trial that has an output: what scorers look at. `trial` counts from 1, `duration` is in milliseconds, `toolCalls` are
 * in the order in which the models asked for them.
 *
 * @since 0.1.0
 * @category models
 */
export interface Trial<C extends Case = Case, O = unknown> {
  readonly case: C
  readonly trial: number
  readonly input: C["input"]
  readonly expected: Expected<C>
  readonly output: O
  readonly duration: number
  readonly usage: Usage
  readonly toolCalls: ReadonlyArray<ToolCall>
}

/**
 * The score of a trial: whether it passed, a share from 0 to 1 (which passes as 1 only), or both with the reason.
 *
 * @since 0.1.0
 * @category models
 */
export type Score =
  | boolean
  | number
  | { readonly score: number; readonly passed?: boolean | undefined; readonly why?: string | undefined }

/**
 * Scores trials `T`: a predicate is one. A scorer that fails gives no score: the trial is `Unscored`.
 *
 * @since 0.1.0
 * @category models
 */
export type Scorer<in T, out E = never, out R = never> = (trial: T) => Score | Effect.Effect<Score, E, R>

/**
 * A scorer can't say: the judge's model failed (`ModelFailed`) or couldn't decide (`Undecided`), or a limit is of an
 * amount that nobody knows (`UnknownAmount`).
 *
 * @since 0.1.0
 * @category errors
 */
export class CannotScore extends Schema.TaggedError<CannotScore>("effect-troupe/Evals/CannotScore")("CannotScore", {
  reason: Schema.Literals(["ModelFailed", "Undecided", "UnknownAmount"]),
  problem: Schema.String
}) {
  override get message() {
    return this.problem
  }
}

/**
 * Passes an output that is equal to the expected one (`Equal.equals`: by value). All cases must have one.
 *
 * @since 0.1.0
 * @category scorers
 */
export const exact: Scorer<{ readonly output: unknown; readonly expected: {} | null }> = ({ expected, output }) =>
  verdict(Equal.equals(output, expected), () => `expected ${short(expected)}, got ${short(output)}`)

/**
 * Passes an output that the schema decodes: `Schema.fromJsonString` of it, where the output is JSON as text.
 *
 * @since 0.1.0
 * @category scorers
 */
export const schema = <S extends Schema.Top>(
  schema: S
): Scorer<{ readonly output: unknown }, never, S["DecodingServices"]> =>
({ output }) =>
  Effect.match(Schema.decodeUnknownEffect(schema)(output), {
    onSuccess: () => true,
    onFailure: (error) => verdict(false, () => error.message)
  })

/**
 * How the tool calls of a trial must match those that are expected.
 *
 * - `"exact"`: these calls, in this order, no others.
 * - `"inOrder"`: these calls in this order, others before, between and after them.
 * - `"anyOrder"`: these calls in any order, and others.
 *
 * @since 0.1.0
 * @category models
 */
export type TrajectoryMatch = "exact" | "inOrder" | "anyOrder"

/**
 * Passes a trial whose agents called these tools, by their names: the same ones for each case, or by a function of the
 * trial. A name that comes twice is expected twice. Default: `"exact"`.
 *
 * Calls of agents at any depth count, those that failed, too; calls of one turn are in the order of the model.
 *
 * @since 0.1.0
 * @category scorers
 */
export const trajectory = <T extends { readonly toolCalls: ReadonlyArray<ToolCall> }>(
  tools: ReadonlyArray<string> | ((trial: T) => ReadonlyArray<string>),
  options: { readonly match?: TrajectoryMatch | undefined } = {}
): Scorer<T> => {
  const follows = matches[options.match ?? "exact"]
  return (trial) => {
    const expected = typeof tools === "function" ? tools(trial) : tools
    const called = trial.toolCalls.map(({ name }) => name)
    return verdict(follows(expected, called), () => `expected ${names(expected)}, got ${names(called)}`)
  }
}

/**
 * Passes a trial that stayed within these limits, which are those of a budget; unlike a budget, it doesn't stop the run.
 *
 * Tokens and cost are those of the task's agents. A trial whose tokens or cost nobody knows is unscored
 * (`CannotScore`, `UnknownAmount`): give `Prices` of the model, where it has none.
 *
 * @since 0.1.0
 * @category scorers
 */
export const within = (
  limits: Budget.Limits
): Scorer<
  { readonly duration: number; readonly usage: Usage; readonly toolCalls: ReadonlyArray<ToolCall> },
  CannotScore
> => {
  for (const field of ["maxTokens", "maxCost", "maxToolCalls"] as const) {
    if (limits[field] !== undefined) Check.notNegative("Evals.within", field, limits[field])
  }
  const maxDuration = limits.maxDuration === undefined
    ? undefined
    : Duration.toMillis(Check.notNegativeDuration("Evals.within", "maxDuration", limits.maxDuration))
  return ({ duration, toolCalls, usage }) => {
    const amounts = [
      { of: "tokens", max: limits.maxTokens, used: usage.tokens },
      { of: "US dollars", max: limits.maxCost, used: usage.cost },
      { of: "tool calls", max: limits.maxToolCalls, used: toolCalls.length },
      { of: "ms", max: maxDuration, used: duration }
    ]
    const over = amounts.flatMap(({ max, of, used }) =>
      max !== undefined && used !== undefined && used > max ? [{ max, of, used }] : []
    )
    const unknown = amounts.find(({ max, used }) => max !== undefined && used === undefined)
    return over.length === 0 && unknown !== undefined
      ? Effect.fail(
        new CannotScore({ reason: "UnknownAmount", problem: `the ${unknown.of} of the trial are not known` })
      )
      : verdict(
        over.length === 0,
        () => over.map(({ max, of, used }) => `${Number(used.toPrecision(4))} ${of} of at most ${max}`).join(", ")
      )
  }
}

/** A value as a short text on one line. */
export const short = (value: unknown): string => {
  const text = (isString(value) ? JSON.stringify(value) : stringify(value)).replaceAll(/\s+/g, " ")
  return text.length > 120 ? `${text.slice(0, 119)}…` : text
}

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const verdict = (passed: boolean, why: () => string): Score => passed || { score: 0, why: why() }

const stringify = (value: unknown): string => {
  try {
    return JSON.stringify(value) ?? String(value)
  } catch {
    return String(value)
  }
}

const names = (tools: ReadonlyArray<string>): string => tools.length === 0 ? "no calls" : tools.join(", ")

const matches: Record<TrajectoryMatch, (expected: ReadonlyArray<string>, called: ReadonlyArray<string>) => boolean> = {
  exact: (expected, called) =>
    expected.length === called.length && expected.every((name, index) => name === called[index]),
  inOrder: (expected, called) => {
    let found = 0
    for (const name of called) if (name === expected[found]) found++
    return found === expected.length
  },
  anyOrder: (expected, called) => {
    const left = [...called]
    return expected.every((name) => {
      const index = left.indexOf(name)
      if (index >= 0) left.splice(index, 1)
      return index >= 0
    })
  }
}
