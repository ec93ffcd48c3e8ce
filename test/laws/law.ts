/** What laws have in common: a program that a simulation runs, in a system of its own, and what it draws by its seed. */
import { Cause, Effect, Exit, Random, Stream } from "effect"
import type { Scope } from "effect"
import * as ActorSystem from "../../src/ActorSystem.ts"
import * as Prng from "../../src/internal/prng.ts"
import { Simulation } from "../../src/testing/index.ts"

/** A promise of the library that holds in any order of fibers, and under the faults. The program fails where it is broken. */
export interface Law {
  readonly name: string
  readonly program: Effect.Effect<unknown, unknown, Scope.Scope>
  readonly faults: Simulation.FaultChances | undefined
}

/** Notes a promise that is not kept, wherever that happens: a handler must not crash for it. */
export type Expect = (kept: boolean, promise: string) => void

export const law = (
  name: string,
  body: (expect: Expect) => Effect.Effect<unknown, unknown, ActorSystem.ActorSystem | Scope.Scope>,
  faults?: Simulation.FaultChances
): Law => ({
  name,
  faults,
  program: Effect.suspend(() => {
    const broken: Array<string> = []
    const expect: Expect = (kept, promise) => void (kept || broken.push(promise))
    const judged = Effect.suspend(() =>
      broken.length === 0 ? Effect.void : Effect.die(new Error(`${name}: ${broken[0]}`))
    )
    return body(expect).pipe(
      Effect.scoped,
      Effect.provide(ActorSystem.layer({ name: systemName })),
      Effect.andThen(judged)
    )
  })
})

export const systemName = "laws"

/** How to check the law: its programs are short, and one that goes on for ever is to be told soon. */
export const optionsOf = ({ faults }: Law): Pick<Simulation.CheckOptions<unknown, unknown>, "faults" | "maxSteps"> => ({
  faults,
  maxSteps: 20_000
})

/** Checks the law with so many seeds. */
export const check = (law: Law, options: Omit<Simulation.CheckOptions<unknown, unknown>, "faults" | "maxSteps">) =>
  Simulation.check(law.program, { shrink: 300, ...options, ...optionsOf(law) })

// -----------------------------------------------------------------------------
// by chance of the seed
// -----------------------------------------------------------------------------

/** From `least` to `most`, both included. */
export const int = (least: number, most: number) => Random.nextIntBetween(least, most)

export const pick = <A>(all: ReadonlyArray<A>) => Effect.map(int(0, all.length - 1), (index) => all[index]!)

export const chance = (share: number) => Effect.map(Random.next, (drawn) => drawn < share)

/** The same for code that is no effect, such as a scripted model: from 0 to `n`, which is not included. */
export const dice = Effect.map(int(0, 0xffff_ffff), (seed) => {
  const next = Prng.make(seed, "values")
  return (n: number) => Prng.below(next, n)
})

/** Nothing, a turn, or some milliseconds. */
export const pause = Effect.flatMap(
  int(0, 3),
  (drawn) => drawn < 2 ? Effect.void : drawn === 2 ? Effect.yieldNow : Effect.flatMap(int(1, 20), Effect.sleep)
)

/** Does it so often, one after the other, numbered from 1. */
export const times = <A, E, R>(count: number, body: (n: number) => Effect.Effect<A, E, R>) =>
  Effect.forEach(numbers(count), body)

/** Does it so often at once, numbered from 1. */
export const atOnce = <A, E, R>(count: number, body: (n: number) => Effect.Effect<A, E, R>) =>
  Effect.forEach(numbers(count), body, { concurrency: "unbounded" })

export const numbers = (count: number): ReadonlyArray<number> => Array.from({ length: count }, (_, index) => index + 1)

/** Lets everybody go on: time goes by only when nobody can, and faults are late by a second or so. */
export const settle = Effect.sleep("1 minute")

// -----------------------------------------------------------------------------
// what came of it
// -----------------------------------------------------------------------------

/** How an effect ended: its value, the tag of its error's reason, or of its error. */
export const endOf = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A | string, never, R> =>
  Effect.map(Effect.exit(effect), (exit) => {
    if (Exit.isSuccess(exit)) return exit.value
    if (Cause.hasInterruptsOnly(exit.cause)) return "Interrupted"
    const error: unknown = Cause.squash(exit.cause)
    return tagOf(error)
  })

const tagOf = (error: unknown): string => {
  if (typeof error !== "object" || error === null) return String(error)
  if ("reason" in error && error.reason !== undefined) return tagOf(error.reason)
  return "_tag" in error ? String(error._tag) : String(error)
}

/** What has happened in the system from now on. */
export const collectEvents = Effect.gen(function*() {
  const events: Array<ActorSystem.ActorEvent> = []
  yield* Effect.forkScoped(Stream.runForEach(ActorSystem.events, (event) => Effect.sync(() => events.push(event))))
  yield* settle
  return events
})
