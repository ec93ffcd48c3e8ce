/**
 * Runs a program with one seed after the other until a promise is broken, and makes what broke it small.
 *
 * @internal
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { format } from "effect/Formatter"
import { execute, type Outcome, type Plan } from "./execute.ts"
import type { Script } from "./script.ts"
import { shrink } from "./shrink.ts"
import { NotDeterministic, SimulationError } from "./simulationError.ts"

/** Says which promise an outcome breaks; nothing if it keeps them all. */
export type Invariant<A, E> = (exit: Outcome<A, E>["exit"]) => string | undefined | void

export interface Check<A, E> {
  readonly from: number
  readonly seeds: number
  readonly invariant: Invariant<A, E>
  /** Whether each seed runs twice, and must do the same again. */
  readonly twice: boolean
  /** How many runs may be spent to make a broken one smaller. */
  readonly shrink: number
}

/** A broken promise: by the run that broke it first, and by the smallest one that does. */
export interface Found extends Problem {
  readonly found: Script
  readonly smallest: Script
  /** How many seeds it took to find it, and how many runs to make it smaller. */
  readonly runs: number
  readonly attempts: number
}

/** What is broken, in words, and the error that says so, if there is one: with the place where it was made. */
interface Problem {
  readonly problem: string
  readonly cause: unknown
}

export const checkSeeds = <A, E>(
  program: Effect.Effect<A, E>,
  check: Check<A, E>,
  plan: AnyPlan
): Effect.Effect<Found | undefined, SimulationError> =>
  Effect.gen(function*() {
    const once = check.twice ? executeTwice<A, E> : execute<A, E>
    for (let seed = check.from; seed < check.from + check.seeds; seed++) {
      const { exit, script } = yield* once(program, { ...plan, seed, schedule: undefined })
      const problem = problemOf(check.invariant, exit)
      if (problem !== undefined) {
        return {
          ...yield* makeSmaller(program, check, plan, script, problem),
          found: script,
          runs: seed - check.from + 1
        }
      }
      // The event loop of the tests gets a turn now and then.
      if (seed % 32 === 0) yield* Effect.yieldNow
    }
    return undefined
  })

/** Every end but a success and an interruption breaks the promise to end well. */
export const endsWell: Invariant<unknown, unknown> = (exit) =>
  Exit.isFailure(exit) && !Cause.hasInterruptsOnly(exit.cause) ? describeError(Cause.squash(exit.cause)) : undefined

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

type AnyPlan = Omit<Plan, "seed" | "schedule">

/** Looks for a smaller script with the same problem, and takes its cause from there. */
const makeSmaller = <A, E>(
  program: Effect.Effect<A, E>,
  check: Check<A, E>,
  plan: AnyPlan,
  found: Script,
  { cause, problem }: Problem
): Effect.Effect<Omit<Found, "found" | "runs">, SimulationError> =>
  Effect.gen(function*() {
    let smallest: Problem = { cause, problem }
    const { attempts, script } = yield* shrink(found, check.shrink, (candidate) =>
      Effect.map(execute(program, { ...plan, ...candidate }, { known: true }), ({ exit, script }) => {
        const other = problemOf(check.invariant, exit)
        if (other === undefined || kindOf(other.problem) !== kindOf(problem)) {
          return undefined
        }
        smallest = other
        return script
      }))
    return { problem, cause: smallest.cause, smallest: script, attempts }
  })

/** An invariant may also throw, as assertions do. */
const problemOf = <A, E>(invariant: Invariant<A, E>, exit: Outcome<A, E>["exit"]): Problem | undefined => {
  try {
    const problem = invariant(exit) ?? undefined
    return problem === undefined
      ? undefined
      : { problem, cause: Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined }
  } catch (error) {
    return { problem: describeError(error), cause: error }
  }
}

const describeError = (error: unknown): string => error instanceof Error ? error.message : format(error)

/** The same problem may come with other numbers. */
const kindOf = (problem: string): string => problem.replace(/\d+(\.\d+)?/g, "N")

const executeTwice = <A, E>(
  program: Effect.Effect<A, E>,
  plan: Plan
): Effect.Effect<Outcome<A, E>, SimulationError> =>
  Effect.gen(function*() {
    const traces: [Array<string>, Array<string>] = [[], []]
    const first = yield* execute(program, plan, { watch: (who) => traces[0].push(who) })
    const second = yield* execute(program, plan, { watch: (who) => traces[1].push(who) })
    const place = firstDifference(traces) ?? (format(first.exit) === format(second.exit) ? undefined : "its result")
    if (place === undefined) return first
    return yield* new SimulationError({ reason: new NotDeterministic({ source: "unknown", place }) })
  })

const firstDifference = ([first, second]: [ReadonlyArray<string>, ReadonlyArray<string>]): string | undefined => {
  for (let i = 0; i < Math.max(first.length, second.length); i++) {
    if (first[i] !== second[i]) return first[i] ?? second[i]
  }
  return undefined
}
