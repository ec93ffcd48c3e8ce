import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Schedule, Schema, Stream } from "effect"
import { Rpc } from "effect/rpc"
import * as Actor from "../src/Actor.ts"
import * as ActorSystem from "../src/ActorSystem.ts"
import * as Supervisor from "../src/Supervisor.ts"
import { Faults, TestActor } from "../src/testing/index.ts"
import {
  begin,
  collectEvents,
  lines,
  makeLog,
  makeSystem,
  outcome,
  pass,
  run,
  settle,
  turns
} from "./fixtures/actors.ts"

const Till = Actor.make("Till", [
  Rpc.make("Take", { payload: { amount: Schema.Finite }, success: Schema.Finite }),
  Rpc.make("Total", { success: Schema.Finite })
])

/** What it took outlives its incarnations, as money does. */
const makeTill = (supervisor: Supervisor.Policy = Supervisor.restart(Schedule.forever)) => {
  const taken: Array<number> = []
  const behavior = Till.behavior(
    Effect.succeed({
      Take: ({ amount }) => Effect.sync(() => taken.push(amount)),
      Total: () => Effect.sync(() => taken.reduce((sum, amount) => sum + amount, 0))
    }),
    { supervisor }
  )
  return { behavior, taken }
}

type Decide = NonNullable<typeof Faults.Faults.Service>

const withFaults = (decide: Decide) => Effect.provideService(Faults.Faults, decide)

/** One fault at the n-th message. */
const at = (n: number, fault: Faults.Fault): Decide => (message) => message.n === n ? fault : undefined

describe("Faults", () => {
  it.effect("crashBefore crashes the actor before it handles its n-th message", () =>
    run(Effect.gen(function*() {
      const { behavior, taken } = makeTill()
      const ref = yield* Actor.spawn(behavior, { name: "till" })
      const events = yield* collectEvents
      assert.strictEqual(yield* outcome(ref.ask("Take", { amount: 1 })), 1)
      assert.strictEqual(yield* outcome(ref.ask("Take", { amount: 2 })), "Crashed")
      assert.strictEqual(yield* outcome(ref.ask("Take", { amount: 4 })), 2)
      assert.deepStrictEqual(taken, [1, 4])
      yield* turns
      assert.deepStrictEqual(lines(events), ["Crashed /user/till", "Restarted /user/till"])
    })).pipe(withFaults(at(2, "crashBefore"))))

  it.effect("crashAfter crashes it when the message was handled and nobody has the answer yet", () =>
    run(Effect.gen(function*() {
      const { behavior, taken } = makeTill()
      const ref = yield* Actor.spawn(behavior, { name: "till" })
      const events = yield* collectEvents
      assert.strictEqual(yield* outcome(ref.ask("Take", { amount: 1 })), "Crashed")
      assert.strictEqual(yield* outcome(ref.ask("Total")), 1)
      assert.deepStrictEqual(taken, [1])
      yield* turns
      assert.deepStrictEqual(lines(events), ["Crashed /user/till", "Restarted /user/till"])
    })).pipe(withFaults(at(1, "crashAfter"))))

  it.effect("the crash is the supervisor's to decide about", () =>
    run(Effect.gen(function*() {
      const ref = yield* Actor.spawn(makeTill(Supervisor.stop).behavior)
      assert.strictEqual(yield* outcome(ref.ask("Total")), "Crashed")
      const ended = yield* settle(ref.awaitStopped)
      assert(ended !== undefined && Exit.isSuccess(ended) && ended.value.reason._tag === "Crashed")
      assert.isTrue(Cause.hasDies(ended.value.reason.cause))
    })).pipe(withFaults(at(1, "crashBefore"))))

  it.effect("double has a message handled twice, one after the other, and answered once", () =>
    run(Effect.gen(function*() {
      const { behavior, taken } = makeTill()
      const ref = yield* Actor.spawn(behavior)
      const asker = yield* begin(ref.ask("Take", { amount: 1 }))
      assert(asker.pollUnsafe() !== undefined && Exit.isSuccess(asker.pollUnsafe()!))
      yield* ref.tell("Take", { amount: 2 })
      assert.strictEqual(yield* outcome(ref.ask("Total")), 4)
      assert.deepStrictEqual(taken, [1, 1, 2])
    })).pipe(withFaults(at(1, "double"))))

  it.effect("double has no end of its own fault, counts once, and hits streams too", () =>
    run(Effect.gen(function*() {
      const Feed = Actor.make("Feed", [
        Rpc.make("Items", { success: Schema.Finite, stream: true }),
        Rpc.make("Note")
      ])
      const handled: Array<string> = []
      const note = (name: string) => Effect.sync(() => void handled.push(name))
      const ref = yield* Actor.spawn(Feed.behavior(Effect.succeed({
        Items: () => Stream.concat(Stream.make(1, 2), Stream.fromEffectDrain(note("Items"))),
        Note: () => note("Note")
      })))
      const events = yield* collectEvents
      assert.deepStrictEqual(yield* Stream.runCollect(ref.stream("Items")), [1, 2])
      yield* ref.tell("Note")
      yield* turns
      assert.deepStrictEqual(handled, ["Items", "Items", "Note", "Note"])
      assert.deepStrictEqual(lines(events), [])
      assert.deepStrictEqual((yield* ActorSystem.list).map(({ handled }) => handled), [2])
    })).pipe(withFaults(() => "double")))

  it.effect("a delay holds up the message, and those behind it", () =>
    run(Effect.gen(function*() {
      const { behavior, taken } = makeTill()
      const ref = yield* Actor.spawn(behavior)
      for (const amount of [1, 2]) yield* ref.tell("Take", { amount })
      yield* pass("999 millis")
      assert.deepStrictEqual(taken, [])
      yield* pass("1 millis")
      assert.deepStrictEqual(taken, [1, 2])
    })).pipe(withFaults(at(1, { delay: "1 second" }))))

  it.effect("hit told messages as they hit asked ones", () => {
    const { layer } = makeLog()
    return run(Effect.gen(function*() {
      const { behavior, taken } = makeTill()
      const ref = yield* Actor.spawn(behavior)
      for (const amount of [1, 2, 3]) yield* ref.tell("Take", { amount })
      yield* turns
      assert.deepStrictEqual(taken, [1, 3])
    })).pipe(withFaults(at(2, "crashBefore")), Effect.provide(layer))
  })

  it.effect("are asked once for each message, with its actor, its tag and its number over all incarnations", () => {
    const seen: Array<unknown> = []
    const decide: Decide = (message) => {
      seen.push(message)
      return undefined
    }
    return run(Effect.gen(function*() {
      const [a, b] = [
        yield* Actor.spawn(makeTill().behavior, { name: "a" }),
        yield* Actor.spawn(makeTill().behavior, { name: "b" })
      ]
      yield* a.ask("Total")
      yield* b.ask("Total")
      yield* TestActor.crash(a)
      yield* a.ask("Take", { amount: 1 })
      const message = (path: string, tag: string, n: number) => ({ path, protocol: "Till", tag, n })
      assert.deepStrictEqual(seen, [
        message("/user/a", "Total", 1),
        message("/user/b", "Total", 1),
        message("/user/a", "Take", 2)
      ])
    })).pipe(withFaults(decide))
  })

  it.effect("are read when a system starts, and there are none by default", () =>
    Effect.gen(function*() {
      const { release, system } = yield* makeSystem()
      yield* Effect.gen(function*() {
        const ref = yield* Actor.spawn(makeTill().behavior)
        assert.strictEqual(yield* outcome(ref.ask("Total")), 0)
      }).pipe(Effect.provide(system), withFaults(() => "crashBefore"))
      assert.isDefined(yield* settle(release))
    }))

  it.effect("that throw hit their message's actor and nobody else", () => {
    const { layer } = makeLog()
    return run(Effect.gen(function*() {
      const [a, b] = [
        yield* Actor.spawn(makeTill().behavior, { name: "a" }),
        yield* Actor.spawn(makeTill().behavior, { name: "b" })
      ]
      assert.isDefined(yield* settle(outcome(a.ask("Total"))))
      assert.deepStrictEqual(yield* settle(b.ask("Total")), Exit.succeed(0))
    })).pipe(
      withFaults(({ path }) => {
        if (path === "/user/a") throw new Error("broken faults")
        return undefined
      }),
      Effect.provide(layer)
    )
  })
})
