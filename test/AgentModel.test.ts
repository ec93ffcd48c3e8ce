import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Fiber, Layer, Stream } from "effect"
import { AiError } from "effect/ai"
import { TestClock } from "effect/testing"
import * as Agent from "../src/Agent.ts"
import * as Middleware from "../src/Llm/Middleware.ts"
import * as Scripted from "../src/Llm/Scripted.ts"

const down = Scripted.fail(new AiError.InternalProviderError({ description: "overloaded" }))

/** A model that notes when it is asked. Every build of it notes in the same place. */
const noting = (starts: Array<number>, answer: ReadonlyArray<Scripted.Step> = [Scripted.text("Hello.")]) =>
  Layer.unwrap(Effect.map(Clock.Clock, (clock) =>
    Scripted.model(() => {
      starts.push(clock.currentTimeMillisUnsafe())
      return answer
    })))

const ask = <E, R>(agent: Agent.Agent<E, R>) => Agent.response(Agent.run(agent, "Hello?"))

describe("An agent's own model", () => {
  it.effect("starts no more calls than its rate limit, however many runs they are in", () =>
    Effect.gen(function*() {
      const starts: Array<number> = []
      const model = noting(starts).pipe(Middleware.rateLimit({ limit: 1, interval: "1 second" }))
      const agent = Agent.make("assistant", { model })
      yield* Effect.forkChild(Effect.forEach([1, 2, 3, 4], () => ask(agent)))
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(starts, [0, 1000, 2000, 3000])
    }))

  it.effect("shares its limit with the agents that have the same one", () =>
    Effect.gen(function*() {
      const starts: Array<number> = []
      const model = noting(starts).pipe(Middleware.rateLimit({ limit: 1, interval: "1 second" }))
      const agents = ["poet", "critic"].map((name) => Agent.make(name, { model }))
      yield* Effect.forkChild(Effect.forEach(agents, ask, { concurrency: "unbounded" }))
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(starts, [0, 1000])
    }))

  it.effect("runs no more calls at once than its concurrency, however many runs they are in", () =>
    Effect.gen(function*() {
      const starts: Array<number> = []
      const model = noting(starts, [Scripted.delay("1 minute"), Scripted.text("Hello.")]).pipe(
        Middleware.concurrency(2)
      )
      const agent = Agent.make("assistant", { model })
      const runs = yield* Effect.forkChild(Effect.forEach([1, 2, 3], () => ask(agent), { concurrency: "unbounded" }))
      yield* TestClock.adjust("2 minutes")
      assert.deepStrictEqual(starts, [0, 0, 60_000])
      yield* Fiber.join(runs)
    }))

  it.effect("is not asked by the next run while its circuit is open", () =>
    Effect.gen(function*() {
      const starts: Array<number> = []
      const model = noting(starts, [down]).pipe(Middleware.circuitBreaker({ failures: 2, openFor: "1 minute" }))
      const agent = Agent.make("assistant", { model })
      const errors = yield* Effect.forEach([1, 2, 3], () => Effect.flip(ask(agent)))
      assert.include(errors[2]!.message, "not asked for another 1m")
      assert.strictEqual(starts.length, 2)
    }))

  it.effect("gives the next run the answer that its cache holds", () =>
    Effect.gen(function*() {
      const starts: Array<number> = []
      const model = noting(starts).pipe(Middleware.cache({ capacity: 10, timeToLive: "1 minute" }))
      const agent = Agent.make("assistant", { model })
      yield* ask(agent)
      yield* TestClock.adjust("59 seconds")
      yield* ask(agent)
      assert.strictEqual(starts.length, 1)
    }))

  it.effect("counts on the clock that it runs on: another one's times are not its own", () =>
    Effect.gen(function*() {
      const starts: Array<number> = []
      const agent = Agent.make("assistant", {
        model: noting(starts).pipe(Middleware.rateLimit({ limit: 1, interval: "1 hour" }))
      })
      const onItsOwnClock = Effect.andThen(TestClock.adjust("30 minutes"), Stream.runDrain(Agent.run(agent, "Hello?")))
      yield* Effect.forEach([1, 2], () => Effect.provide(onItsOwnClock, Layer.fresh(TestClock.layer())))
      assert.strictEqual(starts.length, 2)
    }))
})
