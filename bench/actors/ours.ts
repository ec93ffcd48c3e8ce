/** Our side, with what only we have a bound for: the memory of idle actors, stopping many, crashing and restarting. */
import { Effect, References, Schedule, Schema, type Scope } from "effect"
import { Rpc } from "effect/rpc"
import * as Actor from "../../src/Actor.ts"
import * as ActorSystem from "../../src/ActorSystem.ts"
import * as Mailbox from "../../src/Mailbox.ts"
import * as Supervisor from "../../src/Supervisor.ts"
import { check, heapUsed } from "../harness.ts"
import { effectRate, effectSeconds, effectSides } from "./counters.ts"

const Counter = Actor.make("Counter", [
  Rpc.make("Add", { payload: { n: Schema.Number } }),
  Rpc.make("Total", { success: Schema.Number }),
  Rpc.make("Crash")
])

const counter = Counter.behavior(
  Effect.sync(() => {
    let total = 0
    return {
      Add: ({ n }) =>
        Effect.sync(() => {
          total += n
        }),
      Total: () => Effect.sync(() => total),
      Crash: () => Effect.die("crash")
    }
  }),
  { mailbox: Mailbox.bounded(1024, "block"), supervisor: Supervisor.restart(Schedule.forever) }
)

const start = Actor.spawn(counter)
type Ref = Actor.LocalRefOf<typeof Counter>
const total = (ref: Ref) => ref.ask("Total")

const run = <A>(effect: Effect.Effect<A, unknown, ActorSystem.ActorSystem | Scope.Scope>): Promise<A> =>
  Effect.scoped(effect).pipe(
    Effect.provide(ActorSystem.layer({ name: "bench" })),
    // Standard output is for the figures.
    Effect.provideService(References.MinimumLogLevel, "None"),
    Effect.runPromise
  )

export const ours = effectSides({ start, add: (ref) => ref.tell("Add", { n: 1 }), total, run })

/** As many as questions in `ask`, so that both sides run code that is equally warm. */
const CRASHES = 100_000

/** Crashes a second, each with the restart after it: the next question waits for that. */
export const supervised = () =>
  run(Effect.flatMap(start, (ref) =>
    effectRate(
      CRASHES,
      Effect.gen(function*() {
        for (let i = 0; i < CRASHES; i++) yield* Effect.flip(ref.ask("Crash"))
        check("total", yield* total(ref), 0)
      })
    )))

const spawnMany = Effect.fnUntraced(function*(count: number) {
  const refs: Array<Ref> = []
  for (let i = 0; i < count; i++) refs.push(yield* start)
  return refs
})

/** Heap of one idle actor in bytes, at 100,000 actors. */
export const idleBytes = () =>
  run(Effect.gen(function*() {
    yield* Effect.scoped(spawnMany(1000))
    const before = heapUsed()
    const refs = yield* spawnMany(100_000)
    const bytes = (heapUsed() - before) / refs.length
    check("total", yield* total(refs.at(-1)!), 0)
    return bytes
  }))

/** Peak resident memory of a process with 1,000,000 idle actors, in bytes. */
export const millionBytes = () =>
  run(Effect.gen(function*() {
    const refs = yield* spawnMany(1_000_000)
    check("total", yield* total(refs.at(-1)!), 0)
    return process.resourceUsage().maxRSS * 1024
  }))

/** How much longer the last 1,000 of 1,000,000 spawns take than the first 1,000. */
export const millionGrowth = () =>
  run(Effect.gen(function*() {
    yield* Effect.forEach(yield* spawnMany(20_000), (ref) => ref.stop, { discard: true })
    const first = yield* effectSeconds(spawnMany(1000))
    const refs = yield* spawnMany(998_000)
    const last = yield* effectSeconds(spawnMany(1000))
    check("total", yield* total(refs.at(-1)!), 0)
    return last / first
  }))

/** How much longer stopping 100,000 actors takes than spawning them. */
export const stopMany = () =>
  run(Effect.gen(function*() {
    const spawning = performance.now()
    const refs = yield* spawnMany(100_000)
    const stopping = performance.now()
    for (const ref of refs) yield* ref.stop
    for (const ref of refs) yield* ref.awaitStopped
    return (performance.now() - stopping) / (stopping - spawning)
  }))

const Level = Actor.make("Level", [Rpc.make("Leaves", { success: Schema.Number })])

type LevelRef = Actor.LocalRefOf<typeof Level>

const LEVELS = 8
const ASKS_A_LEVEL = 8

/** One leaf, or what the level below says when it is asked so many times, one after the other. */
const levelAbove = (below: LevelRef | undefined) => {
  const leaves = Effect.fnUntraced(function*(ref: LevelRef) {
    let sum = 0
    for (let i = 0; i < ASKS_A_LEVEL; i++) sum += yield* Effect.orDie(ref.ask("Leaves"))
    return sum
  })
  return Level.behavior(Effect.succeed({ Leaves: () => below === undefined ? Effect.succeed(1) : leaves(below) }))
}

/** The longest gap between two ticks of a 1 ms timer while 2.4 million nested questions run, in milliseconds. */
export const fairness = () =>
  run(Effect.gen(function*() {
    let top = yield* Actor.spawn(levelAbove(undefined))
    for (let level = 1; level < LEVELS; level++) top = yield* Actor.spawn(levelAbove(top))
    let last = performance.now()
    let longest = 0
    const tick = () => {
      const now = performance.now()
      longest = Math.max(longest, now - last)
      last = now
    }
    const timer = setInterval(tick, 1)
    const leaves = yield* Effect.ensuring(top.ask("Leaves"), Effect.sync(() => clearInterval(timer)))
    tick()
    check("leaves", leaves, ASKS_A_LEVEL ** (LEVELS - 1))
    return longest
  }))
