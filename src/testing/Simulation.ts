/**
 * Runs a program in a simulation: one seed is one interleaving of its fibers, and the same one each time.
 *
 * The simulation is a scheduler that picks the next task and makes fibers yield by chance of the seed, and a clock that
 * moves only when nobody can go on. Therefore time costs nothing, and a deadlock is a result. Actors, model calls and
 * tools get faults, by chance or as told. A run that breaks a promise is made smaller, and printed as a script
 * that gives the same run again.
 *
 * A program must keep to Effect's `Clock` and `Random`, and to what is inside of it: layers that need a socket or a file
 * wait outside, which is an error.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Check from "../internal/check.ts"
import { checkSeeds, endsWell, type Found } from "../internal/testing/checkSeeds.ts"
import { execute, type Outcome, type Plan } from "../internal/testing/execute.ts"
import { type FaultChances, isKind, kinds } from "../internal/testing/injector.ts"
import { decode, deviations, type Fault, fifo, print, type Schedule, Script } from "../internal/testing/script.ts"
import type { SimulationError } from "../internal/testing/simulationError.ts"

export {
  /** @since 0.1.0 @category faults */
  faultPoint,
  /** @since 0.1.0 @category errors */
  InjectedFault
} from "../internal/faultPoint.ts"
export type {
  /** @since 0.1.0 @category models */
  Outcome
} from "../internal/testing/execute.ts"
export type {
  /** @since 0.1.0 @category models */
  FaultChances
} from "../internal/testing/injector.ts"
export {
  /** @since 0.1.0 @category models */
  Fault,
  /** @since 0.1.0 @category models */
  ModelFailure,
  /** @since 0.1.0 @category models */
  Schedule,
  /** @since 0.1.0 @category models */
  Script
} from "../internal/testing/script.ts"
export {
  /** @since 0.1.0 @category errors */
  Deadlock,
  /** @since 0.1.0 @category errors */
  InvalidScript,
  /** @since 0.1.0 @category errors */
  NotDeterministic,
  /** @since 0.1.0 @category errors */
  NotFinished,
  /** @since 0.1.0 @category errors */
  SimulationError,
  /** @since 0.1.0 @category errors */
  WaitedOutside
} from "../internal/testing/simulationError.ts"

/**
 * The bounds of a run.
 *
 * @since 0.1.0
 * @category models
 */
export interface Bounds {
  /** After so many tasks a program counts as `NotFinished`. Default: 100,000. */
  readonly maxSteps?: number | undefined
  /** When faults by chance stop, and how long after that the program must have ended. Default: they don't. */
  readonly liveness?: { readonly faultsFor: Duration.Input; readonly finishWithin: Duration.Input } | undefined
}

/**
 * The options of one run. A `Script` is one of them.
 *
 * @since 0.1.0
 * @category models
 */
export interface RunOptions extends Bounds {
  /** An integer of at least 0. */
  readonly seed: number
  /** Chances, of which the seed draws, or the very faults. Default: none. */
  readonly faults?: FaultChances | ReadonlyArray<Fault> | undefined
  /** Default: drawn by the seed. */
  readonly schedule?: Schedule | undefined
  /** The version of a script. */
  readonly version?: number | undefined
}

/**
 * The options of a check.
 *
 * @since 0.1.0
 * @category models
 */
export interface CheckOptions<in A, in E> extends Bounds {
  /** How many seeds. */
  readonly seeds: number
  /** The first seed. Default: 0. */
  readonly from?: number | undefined
  /** Default: none. */
  readonly faults?: FaultChances | undefined
  /**
   * Says which promise a run breaks, or throws; returns nothing if it keeps them all. Default: every failure breaks one,
   * but an interruption.
   */
  readonly invariant?: ((exit: Outcome<A, E>["exit"]) => string | undefined | void) | undefined
  /** Runs each seed twice, which must not differ: so unknown sources of chance are found. Default: false. */
  readonly twice?: boolean | undefined
  /** How many runs may be spent to make a broken one smaller. Default: 1000. */
  readonly shrink?: number | undefined
}

/**
 * A seed for which the program breaks a promise. `found` is the script of that run, `script` the smallest one that breaks
 * the same promise; the message prints it.
 *
 * @since 0.1.0
 * @category errors
 */
export class Broken extends Schema.TaggedError<Broken>("effect-troupe/testing/Broken")("Broken", {
  problem: Schema.String,
  script: Script,
  found: Script,
  /** How many seeds were run. */
  runs: Schema.Int,
  /** How many runs were spent to make it smaller. */
  attempts: Schema.Int,
  /** What the program ended with, or the invariant threw, in the smallest run. */
  cause: Schema.optional(Schema.Defect())
}) {
  override get message() {
    const { attempts, found, problem, runs, script } = this
    return [
      problem,
      `found by seed ${found.seed} (run ${runs}): ${size(found)}`,
      `after ${count(attempts, "more run")}: ${size(script)}. To see it again: Simulation.run(program, ${
        print(script)
      })`
    ].join("\n")
  }
}

/**
 * Runs the program once. It fails only when there is no such simulation; how the program ended is in the outcome.
 *
 * @example
 * ```ts
 * import { Effect, Random } from "effect"
 * import { Simulation } from "effect-troupe/testing"
 *
 * const race = Effect.race(Effect.as(Effect.sleep("1 hour"), "hare"), Effect.as(Effect.sleep("1 hour"), "tortoise"))
 *
 * const program = Effect.gen(function*() {
 *   const { elapsed, exit } = yield* Simulation.run(race, { seed: 7 })
 *   return { elapsed, exit } // an hour, and always the same winner
 * })
 * ```
 *
 * @since 0.1.0
 * @category running
 */
export const run = <A, E>(
  program: Effect.Effect<A, E, Scope.Scope>,
  options: RunOptions
): Effect.Effect<Outcome<A, E>, SimulationError> => {
  const seed = Check.notNegativeInteger("Simulation.run", "seed", options.seed)
  const bounds = checkBounds("Simulation.run", options)
  const given = toGiven(options)
  return Effect.withFiber((fiber) => {
    const loggers = fiber.getRef(Logger.CurrentLoggers)
    return Effect.flatMap(given, (given) => execute(Effect.scoped(program), { ...bounds, ...given, seed, loggers }))
  })
}

/**
 * Runs the program with one seed after the other, and fails with the first one for which it breaks a promise. What the
 * program logs is dropped.
 *
 * @example
 * ```ts
 * import { Effect, Exit, Ref } from "effect"
 * import { Simulation } from "effect-troupe/testing"
 *
 * const lostUpdate = Effect.gen(function*() {
 *   const count = yield* Ref.make(0)
 *   const increment = Effect.flatMap(Ref.get(count), (n) => Ref.set(count, n + 1))
 *   yield* Effect.all([increment, increment], { concurrency: "unbounded" })
 *   return yield* Ref.get(count)
 * })
 *
 * const check = Simulation.check(lostUpdate, {
 *   seeds: 500,
 *   invariant: (exit) => Exit.isSuccess(exit) && exit.value === 2 ? undefined : "an update is lost"
 * }) // fails with Simulation.Broken
 * ```
 *
 * @since 0.1.0
 * @category running
 */
export const check = <A, E>(
  program: Effect.Effect<A, E, Scope.Scope>,
  options: CheckOptions<A, E>
): Effect.Effect<void, Broken | SimulationError> => {
  const { faults = {}, from = 0, invariant = endsWell, shrink = 1000, twice = false } = options
  const seeds = {
    seeds: Check.positiveInteger("Simulation.check", "seeds", options.seeds),
    from: Check.notNegativeInteger("Simulation.check", "from", from),
    shrink: Check.notNegativeInteger("Simulation.check", "shrink", shrink),
    invariant,
    twice
  }
  const plan = {
    ...checkBounds("Simulation.check", options),
    faults: checkChances("Simulation.check", faults),
    loggers: new Set<never>()
  }
  return Effect.flatMap(
    checkSeeds(Effect.scoped(program), seeds, plan),
    (found) => found === undefined ? Effect.void : Effect.fail(toBroken(found))
  )
}

/**
 * Reads a script, from JSON text or data. Fails with `InvalidScript` if it is none of this version.
 *
 * @since 0.1.0
 * @category scripts
 */
export const parse: (script: unknown) => Effect.Effect<Script, SimulationError> = decode

/**
 * The script as text that is both JSON and TypeScript.
 *
 * @since 0.1.0
 * @category scripts
 */
export const show: (script: Script) => string = print

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

/** The faults and the schedule of the options; those of a script are data that may come from anywhere. */
const toGiven = (
  { faults = [], schedule, seed, version = 1 }: RunOptions
): Effect.Effect<Pick<Plan, "faults" | "schedule">, SimulationError> => {
  if (!isList(faults)) {
    const chances = checkChances("Simulation.run", faults)
    return schedule === undefined
      ? Effect.succeed({ faults: chances, schedule })
      : Effect.map(decode({ version, seed, faults: [], schedule }), ({ schedule }) => ({ faults: chances, schedule }))
  }
  return Effect.map(decode({ version, seed, faults, schedule: schedule ?? fifo }), (script) => ({
    faults: script.faults,
    schedule: schedule && script.schedule
  }))
}

const isList = (faults: FaultChances | ReadonlyArray<Fault>): faults is ReadonlyArray<Fault> => Array.isArray(faults)

const checkBounds = (where: string, { liveness, maxSteps = 100_000 }: Bounds): Pick<Plan, "maxSteps" | "liveness"> => ({
  maxSteps: Check.positiveInteger(where, "maxSteps", maxSteps),
  liveness: liveness && {
    faultsFor: Duration.toMillis(Check.notNegativeDuration(where, "liveness.faultsFor", liveness.faultsFor)),
    finishWithin: Duration.toMillis(Check.finiteDuration(where, "liveness.finishWithin", liveness.finishWithin))
  }
})

const checkChances = (where: string, faults: FaultChances): FaultChances => {
  const { max, only: _, ...chances } = faults
  if (max !== undefined) Check.notNegative(where, "faults.max", max)
  for (const [kind, chance] of Object.entries(chances)) {
    if (!isKind(kind)) Check.fail(where, "faults", `chances of ${kinds.join(", ")}`, kind)
    if (chance !== undefined && !(chance >= 0 && chance <= 1)) {
      Check.fail(where, `faults.${kind}`, "a number from 0 to 1", chance)
    }
  }
  return faults
}

const toBroken = ({ smallest, ...found }: Found): Broken => new Broken({ ...found, script: smallest })

const count = (n: number, what: string): string => `${n} ${what}${n === 1 ? "" : "s"}`

const size = ({ faults, schedule }: Script): string => {
  const changes = deviations(schedule)
  return `${count(faults.length, "fault")}, ${
    changes === 0 ? "first in, first out" : count(changes, "change") + " of order"
  }`
}
