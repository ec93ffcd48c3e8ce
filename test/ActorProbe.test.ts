import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, type Fiber, type Scheduler, Schema, Stream } from "effect"
import { Rpc } from "effect/rpc"
import * as Actor from "../src/Actor.ts"
import * as ActorSystem from "../src/ActorSystem.ts"
import { ActorProbe } from "../src/testing/index.ts"
import { run } from "./fixtures/actors.ts"

const Counter = Actor.make("Counter", [
  Rpc.make("Add", { payload: { by: Schema.Finite } }),
  Rpc.make("Get", { success: Schema.Finite }),
  Rpc.make("Die")
])

/** Runs what is ready in any order, a part of it later, and makes fibers yield in between: one seed is one order. */
const shuffled = (seed: number): Scheduler.Scheduler => {
  let state = seed
  const random = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
  const ready: Array<() => void> = []
  let scheduled = false
  const drain = () => {
    scheduled = false
    for (const task of ready.splice(0).map((task) => ({ task, at: random() })).sort((a, b) => a.at - b.at)) {
      if (random() < 0.5) schedule(task.task)
      else task.task()
    }
  }
  const schedule = (task: () => void) => {
    ready.push(task)
    if (!scheduled) {
      scheduled = true
      setImmediate(drain)
    }
  }
  return {
    executionMode: "async",
    shouldYield: (fiber: Fiber.Fiber<unknown, unknown>) => fiber.currentOpCount > 1 && random() < 0.05,
    makeDispatcher: () => ({ scheduleTask: schedule, flush: () => {} })
  }
}

describe("ActorProbe", () => {
  it.effect("answers by handlers that need no type annotations", () =>
    run(Effect.gen(function*() {
      const Sums = Actor.make("Sums", [
        Rpc.make("Double", { payload: { n: Schema.Finite }, success: Schema.Finite }),
        Rpc.make("Count", { payload: { to: Schema.Finite }, success: Schema.Finite, stream: true })
      ])
      const { ref } = yield* ActorProbe.make(Sums, {
        Double: ({ n }) => Effect.succeed(n * 2),
        Count: ({ to }) => Stream.range(1, to)
      })
      assert.strictEqual(yield* ref.ask("Double", { n: 2 }), 4)
      assert.deepStrictEqual(yield* Stream.runCollect(ref.stream("Count", { to: 2 })), [1, 2])
    })))

  it.effect("records, in order, what its reference receives", () =>
    run(Effect.gen(function*() {
      const probe = yield* ActorProbe.make(Counter, { Get: () => Effect.succeed(7) })
      yield* probe.ref.tell("Add", { by: 2 })
      assert.strictEqual(yield* probe.ref.ask("Get"), 7)
      assert.deepStrictEqual(yield* probe.expect("Add"), { by: 2 })
      yield* probe.expect("Get")
      yield* probe.expectNone
      yield* probe.ref.tell("Die")
      assert.isTrue(Exit.isFailure(yield* Effect.exit(probe.expectNone)))
    })))

  it.effect("expect dies of another message, and expectNone of any", () =>
    run(Effect.gen(function*() {
      const probe = yield* ActorProbe.make(Counter)
      yield* probe.ref.tell("Die")
      assert.include(String(yield* Effect.exit(probe.expect("Get"))), "expected Get, received Die")
      yield* probe.ref.tell("Die")
      assert.include(String(yield* Effect.exit(probe.expectNone)), "expected no message, received Die")
    })))

  it.live("expectNone holds under any order of what is ready", () =>
    Effect.promise(async () => {
      const program = Effect.gen(function*() {
        const probe = yield* ActorProbe.make(Counter)
        yield* probe.expectNone
        yield* probe.ref.tell("Die")
        const one = yield* Effect.exit(probe.expectNone)
        for (let by = 0; by < 20; by++) yield* probe.ref.tell("Add", { by })
        for (let by = 0; by < 19; by++) yield* probe.expect("Add")
        const last = yield* Effect.exit(probe.expectNone)
        yield* probe.expectNone
        return [one, last].map((exit) => Exit.isFailure(exit))
      }).pipe(Effect.provide(ActorSystem.layer({ name: "test" })))
      for (let seed = 0; seed < 100; seed++) {
        const dies = await Effect.runPromise(program, { scheduler: shuffled(seed) })
        assert.deepStrictEqual(dies, [true, true], `seed ${seed}`)
      }
    }))
})
