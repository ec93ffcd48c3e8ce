import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Exit, Option, Schedule, Schema } from "effect"
import { Rpc } from "effect/rpc"
import * as Actor from "../src/Actor.ts"
import * as ActorSystem from "../src/ActorSystem.ts"
import * as Agent from "../src/Agent.ts"
import * as Scripted from "../src/Llm/Scripted.ts"
import * as SessionStore from "../src/SessionStore.ts"
import * as Supervisor from "../src/Supervisor.ts"
import { Simulation } from "../src/testing/index.ts"
import * as Tool from "../src/Tool.ts"
import { broken, failureOf, fifo } from "./fixtures/simulating.ts"

const Till = Actor.make("Till", [
  Rpc.make("Take", { payload: { amount: Schema.Int }, success: Schema.Int })
])

/** Takes 1, 2 and 4, again and again after a crash; gives the money that is in the till in the end. */
const selling = Effect.gen(function*() {
  let taken = 0
  const till = yield* Actor.spawn(
    Till.behavior(Effect.succeed({ Take: ({ amount }) => Effect.sync(() => taken += amount) }), {
      supervisor: Supervisor.restart(Schedule.forever)
    }),
    { name: "till" }
  )
  for (const amount of [1, 2, 4]) {
    yield* Effect.retry(till.ask("Take", { amount }), {
      while: (error) => error.reason._tag === "Crashed",
      schedule: Schedule.spaced("1 second")
    })
  }
  return taken
}).pipe(Effect.scoped, Effect.provide(ActorSystem.layer({ name: "shop" })))

const runWith = <A, E>(program: Effect.Effect<A, E>, ...faults: ReadonlyArray<Simulation.Fault>) =>
  Simulation.run(program, { seed: 1, faults, schedule: fifo })

/** An agent that calls one tool, and how often the tool did its work. */
const calling = Effect.gen(function*() {
  let calls = 0
  const tool = Tool.fn("charge", { description: "charges" }, () => Effect.sync(() => void calls++))
  const results: Array<unknown> = []
  const model = Scripted.model((request) => {
    const last = Scripted.lines(request).at(-1)!
    if (last.startsWith("user:")) return Scripted.toolCall("charge", {})
    results.push(last)
    return "Done, I think."
  })
  const response = yield* Effect.exit(
    Effect.provide(Agent.response(Agent.run(Agent.make("cashier", { tools: [tool] }), "Charge.")), model)
  )
  return { calls, results, reason: Exit.isFailure(response) ? failureOf(response).reason : undefined }
})

describe("Simulation's faults", () => {
  const messageFaults = [
    ["crashBefore", 7, 1000],
    ["crashAfter", 9, 1000],
    ["double", 9, 0]
  ] as const
  for (const [kind, taken, elapsed] of messageFaults) {
    it.effect(`${kind} happens to the message that it is for`, () =>
      Effect.gen(function*() {
        const outcome = yield* runWith(selling, { kind, at: "/user/till", n: 2 })
        assert.deepStrictEqual(outcome.exit, Exit.succeed(taken))
        assert.strictEqual(outcome.elapsed, elapsed)
        assert.deepStrictEqual(outcome.script.faults, [{ kind, at: "/user/till", n: 2 }])
      }))
  }

  it.effect("delay holds a message back", () =>
    Effect.gen(function*() {
      const { elapsed, exit } = yield* runWith(selling, { kind: "delay", at: "/user/till", n: 3, millis: 700 })
      assert.deepStrictEqual([exit, elapsed], [Exit.succeed(7), 700])
    }))

  it.effect("a double message breaks a handler that counts it twice, and nothing else is left of the script", () =>
    Effect.gen(function*() {
      const { found, script } = yield* broken(selling, {
        seeds: 200,
        faults: { double: 0.3, delay: 0.9 },
        invariant: (exit) => assert.deepStrictEqual(exit, Exit.succeed(7))
      })
      assert.isAbove(found.faults.length, 1)
      assert.deepStrictEqual(script.schedule, fifo)
      assert.deepStrictEqual(script.faults.map(({ at, kind }) => [kind, at]), [["double", "/user/till"]])
    }))

  it.effect("modelFails fails a call of a model with its reason", () =>
    Effect.gen(function*() {
      for (const reason of Simulation.ModelFailure.literals) {
        const { exit } = yield* runWith(calling, { kind: "modelFails", at: "cashier/1", n: 1, reason })
        assert(Exit.isSuccess(exit))
        assert(exit.value.reason?._tag === "ModelFailed")
        assert.strictEqual(exit.value.reason.error.reason._tag, reason)
        assert.strictEqual(exit.value.calls, 0)
      }
    }))

  it.effect("modelCut ends a stream after so many parts", () =>
    Effect.gen(function*() {
      const { exit } = yield* runWith(calling, { kind: "modelCut", at: "cashier/2", n: 1, parts: 2 })
      assert(Exit.isSuccess(exit))
      assert.strictEqual(exit.value.calls, 1)
      assert.strictEqual(exit.value.reason?._tag, "ModelFailed")
    }))

  it.effect("toolFails fails a call that does nothing, toolLost one that has done its work", () =>
    Effect.gen(function*() {
      for (const [kind, calls] of [["toolFails", 0], ["toolLost", 1]] as const) {
        const { exit } = yield* runWith(calling, { kind, at: "cashier/1/call_1", n: 1 })
        assert(Exit.isSuccess(exit))
        assert.strictEqual(exit.value.calls, calls)
        assert.match(String(exit.value.results[0]), /^charge failed with "the simulation /)
      }
    }))

  it.effect("clockJump moves the wall clock and nothing else", () =>
    Effect.gen(function*() {
      const times = Effect.gen(function*() {
        yield* Effect.sleep("1 second")
        const before = yield* Clock.currentTimeMillis
        yield* Effect.sleep("1 second")
        return [before, yield* Clock.currentTimeMillis, Number(yield* Clock.monotonicTimeNanos) / 1e6]
      })
      const { elapsed, exit } = yield* runWith(times, { kind: "clockJump", at: "clock", n: 2, millis: -500 })
      assert.deepStrictEqual(exit, Exit.succeed([1000, 1500, 2000]))
      assert.strictEqual(elapsed, 2000)
    }))

  it.effect("a store fails or is late at its fault points", () =>
    Effect.gen(function*() {
      const save = Effect.andThen(Simulation.faultPoint("save"), Effect.succeed("saved"))
      const saving = Effect.all([Effect.exit(save), Effect.exit(save), Effect.exit(save)])
      const { elapsed, exit } = yield* runWith(
        saving,
        { kind: "pointLate", at: "save", n: 1, millis: 300 },
        { kind: "pointFails", at: "save", n: 2 }
      )
      assert(Exit.isSuccess(exit))
      assert.deepStrictEqual(exit.value[0], Exit.succeed("saved"))
      assert.instanceOf(failureOf(exit.value[1]), Simulation.InjectedFault)
      assert.deepStrictEqual(exit.value[2], Exit.succeed("saved"))
      assert.strictEqual(elapsed, 300)
    }))

  it.effect("a session store can't be reached, answers late, or has its answer lost", () =>
    Effect.gen(function*() {
      const writing = Effect.gen(function*() {
        const store = yield* SessionStore.SessionStore
        const write = Effect.exit(store.write({ session: "s", owner: "ada", author: "ada", version: 0, title: "Tea" }))
        const error = failureOf(yield* write)
        const loaded = yield* store.load("s", { recent: 1 })
        return { error, isThere: Option.isSome(loaded) }
      }).pipe(Effect.provide(SessionStore.layerMemory))
      for (
        const [at, isThere] of [["SessionStore.write", false], ["SessionStore.write.done", true]] as const
      ) {
        const { elapsed, exit } = yield* runWith(
          writing,
          { kind: "pointFails", at, n: 1 },
          { kind: "pointLate", at: "SessionStore.load", n: 1, millis: 50 }
        )
        assert(Exit.isSuccess(exit))
        assert.strictEqual(exit.value.error.reason._tag, "Unavailable")
        assert.strictEqual(exit.value.isThere, isThere)
        assert.strictEqual(elapsed, 50)
      }
    }))

  it.effect("a fault point does nothing outside of a simulation", () => Simulation.faultPoint("save"))

  it.effect("by chance are as many as they may be, where they may be, and of the kinds that have a chance", () =>
    Effect.gen(function*() {
      const kinds = new Map<string, number>()
      for (let seed = 0; seed < 100; seed++) {
        const { script } = yield* Simulation.run(Effect.andThen(selling, calling), {
          seed,
          faults: { double: 0.5, toolLost: 0.9, modelFails: 0, max: 2, only: (place) => place.startsWith("/user") }
        })
        assert.isAtMost(script.faults.length, 2)
        for (const { kind } of script.faults) kinds.set(kind, (kinds.get(kind) ?? 0) + 1)
        const again = yield* Simulation.run(Effect.andThen(selling, calling), script)
        assert.deepStrictEqual(again.script, script)
      }
      assert.deepStrictEqual(Array.from(kinds.keys()), ["double"])
      assert.isAbove(kinds.get("double")!, 50)
    }))
})
