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
  plan: Omit<Plan, "seed" | "schedule">
): Effect.Effect<Found | undefined, SimulationError> =>
  Effect.gen(function*() {
    const once = check.twice ? executeTwice<A, E> : execute<A, E>
    for (let seed = check.from; seed < check.from + check.seeds; seed++) {
      const outcome = yield* once(program, { ...plan, seed, schedule: undefined })
      const problem = problemOf(check.invariant, outcome)
      // The event loop of the tests is not to wait for all seeds.
      if (seed % 32 === 31) yield* Effect.yieldNow
      if (problem === undefined) continue
      let { cause } = problem
      const { attempts, script } = yield* shrink(outcome.script, check.shrink, (candidate) =>
        Effect.map(execute(program, { ...plan, ...candidate }, { known: true }), (outcome) => {
          const other = problemOf(check.invariant, outcome)
          if (other === undefined || kindOf(other) !== kindOf(problem)) {
            return undefined
          }
          cause = other.cause
          return outcome.script
        }))
      return { ...problem, cause, found: outcome.script, smallest: script, runs: seed - check.from + 1, attempts }
    }
    return undefined
  })

/** Every end but a success and an interruption breaks the promise to end well. */
export const endsWell: Invariant<unknown, unknown> = (exit) =>
  Exit.isFailure(exit) && !Cause.hasInterruptsOnly(exit.cause) ? describeError(Cause.squash(exit.cause)) : undefined

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

/** An invariant may also throw, as assertions do. */
const problemOf = <A, E>(invariant: Invariant<A, E>, { exit }: Outcome<A, E>): Problem | undefined => {
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
const kindOf = ({ problem }: Problem): string => problem.replace(/\d+/g, "N")

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
