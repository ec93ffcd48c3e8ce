import { assert, describe, it } from "@effect/vitest"
import { Clock, Deferred, Effect, Ref, Schema, Stream } from "effect"
import { LanguageModel } from "effect/ai"
import { Rpc } from "effect/rpc"
import * as Actor from "../src/Actor.ts"
import * as ActorSystem from "../src/ActorSystem.ts"
import * as Agent from "../src/Agent.ts"
import * as Scripted from "../src/Llm/Scripted.ts"
import * as RunLog from "../src/RunLog.ts"
import * as Tool from "../src/Tool.ts"
import { divergence, recorded, watch } from "./fixtures/recorded.ts"
import { actor, cast } from "./fixtures/teams.ts"

const silent = Effect.provide(Scripted.model([]))

const answer = (agent: ReturnType<typeof actor>) =>
  Effect.map(Agent.response(Agent.run(agent, "Go")), ({ text }) => text)

const Counter = Actor.make("Counter", [Rpc.make("Add", { success: Schema.Int })])

const counter = Counter.behavior(
  Effect.map(Ref.make(0), (count) => ({ Add: () => Ref.updateAndGet(count, (n) => n + 1) }))
)

describe("RunLog.Diverged", () => {
  it.effect("names the call whose request is another one, what it was and what it is now", () =>
    Effect.gen(function*() {
      const program = (second: string) =>
        Effect.all([answer(actor("a")), answer(Agent.make("b", { instructions: second }))])
      const { log } = yield* recorded(program("b")).pipe(Effect.provide(cast({ a: ["A"], b: ["B"] })))
      const error = yield* divergence(RunLog.replay(program("b, politely"), log)).pipe(silent)
      assert.deepInclude(error, { call: 2, agent: "b", turn: 1, path: "b/1" })
      assert.include(error.message, "call 2 (b/1): the call model b/1 is not as it was recorded")
      assert.match(error.message, /-.*"content":"b"/)
      assert.match(error.message, /\+.*"content":"b, politely"/)
    }))

  it.effect("names a call that was not recorded, and one that is not made any more", () =>
    Effect.gen(function*() {
      const short = answer(actor("a"))
      const long = Effect.andThen(short, answer(actor("b")))
      const model = Effect.provide(cast({ a: ["A", "A"], b: ["B"] }))
      const once = yield* recorded(short).pipe(model)
      const more = yield* divergence(RunLog.replay(long, once.log)).pipe(silent)
      assert.strictEqual(
        more.problem,
        "recorded was the end of the program (Success), now comes the event RunStarted of b"
      )
      const both = yield* recorded(long).pipe(Effect.provide(cast({ a: ["A"], b: ["B"] })))
      const less = yield* divergence(RunLog.replay(short, both.log)).pipe(silent)
      assert.strictEqual(
        less.problem,
        "recorded was the event RunStarted of b, now comes the end of the program (Success)"
      )
    }))

  it.effect("names a model that is called outside of an agent, and does not ask it again", () =>
    Effect.gen(function*() {
      const calls = {
        generateText: Effect.map(LanguageModel.generateText({ prompt: "Go" }), ({ text }) => text),
        streamText: Effect.as(Stream.runDrain(LanguageModel.streamText({ prompt: "Go" })), "A")
      }
      for (const program of Object.values(calls)) {
        const { log, value } = yield* recorded(program).pipe(Effect.provide(Scripted.model(["A"])))
        assert.strictEqual(value, "A")
        const asked = yield* Effect.gen(function*() {
          const error = yield* divergence(RunLog.replay(program, log))
          assert.include(error.message, "a model was called outside of an agent")
          return (yield* Effect.flatten(Scripted.Requests)).length
        }).pipe(Effect.provide(Scripted.model(["A"])))
        assert.strictEqual(asked, 0)
      }
    }))

  it.effect("tells a log of another program by its first event", () =>
    Effect.gen(function*() {
      const { log } = yield* recorded(answer(actor("a"))).pipe(Effect.provide(cast({ a: ["A"] })))
      const error = yield* divergence(RunLog.replay(answer(actor("z")), log)).pipe(silent)
      assert.deepInclude(error, {
        call: 0,
        problem: "recorded was the event RunStarted of a, now comes the event RunStarted of z"
      })
    }))

  it.effect("has the failure of a program that ends where its log goes on", () =>
    Effect.gen(function*() {
      const { log } = yield* recorded(answer(actor("a"))).pipe(Effect.provide(cast({ a: ["A"] })))
      const broken: Effect.Effect<unknown, Error> = Effect.fail(new Error("no key"))
      const error = yield* divergence(RunLog.replay(broken, log)).pipe(silent)
      assert.include(error.message, "now comes the end of the program (Failure): no key")
      assert.instanceOf(error.cause, Error)
    }))

  it.effect("finds every event that is not in the log any more", () =>
    Effect.gen(function*() {
      const unknown = [[Scripted.reasoning("Hm."), Scripted.toolCall("unknown", {})], "Sorry."]
      const program = answer(actor("a"))
      const { log, text } = yield* recorded(program).pipe(Effect.provide(Scripted.model(unknown)))
      const [header, ...lines] = text.trimEnd().split("\n")
      for (const [index, { _tag }] of log.entries.entries()) {
        if (_tag !== "Event" && _tag !== "RunEnded") continue
        const edited = yield* RunLog.parse(`${[header, ...lines.toSpliced(index, 1)].join("\n")}\n`)
        const error = yield* divergence(RunLog.replay(program, edited)).pipe(silent)
        assert.match(error.problem, /now comes/)
      }
    }))

  it.effect("finds code that reads the world on its own, where it makes a difference", () =>
    Effect.gen(function*() {
      let luck = 0
      const lucky = Agent.make("lucky", {
        instructions: "lucky",
        prepareTurn: () => Effect.sync(() => ({ settings: { seed: ++luck } }))
      })
      const { log } = yield* recorded(answer(lucky)).pipe(Effect.provide(cast({ lucky: ["A", "A"] })))
      const error = yield* divergence(RunLog.replay(answer(lucky), log)).pipe(silent)
      assert.deepInclude(error, { call: 1, agent: "lucky", turn: 1, path: "lucky/1" })
      assert.match(error.message, /-.*"seed":1[\s\S]*\+.*"seed":2/)
    }))

  it.effect("finds a tool that shares an actor with the program", () =>
    Effect.gen(function*() {
      const program = Effect.gen(function*() {
        const ref = yield* Actor.spawn(counter)
        const add = Tool.fn("add", { description: "", success: Schema.Int }, () => ref.ask("Add"))
        const agent = Agent.make("a", { instructions: "a", tools: [add] })
        yield* Agent.response(Agent.run(agent, "Go"))
        return yield* Agent.response(Agent.run(Agent.make("b", { instructions: `b${yield* ref.ask("Add")}` }), "Go"))
      }).pipe(Effect.scoped, Effect.provide(ActorSystem.layer({ name: "test" })))
      const model = cast({ a: [Scripted.toolCall("add", {}), "A"], b2: ["B"] })
      const { log } = yield* recorded(program).pipe(Effect.provide(model))
      const error = yield* divergence(RunLog.replay(program, log)).pipe(silent)
      assert.include(error.problem, "something outside of the program's calls led to a step of it")
      assert.include(error.problem, "name it in `live`")
      // The tool does to the actor now what it did then.
      const { exit } = yield* watch(RunLog.replay(program, log, { live: ["add"] })).pipe(silent)
      assert.strictEqual(exit._tag, "Success")
      const to = RunLog.memory()
      yield* watch(RunLog.fork(program, log, { at: 4, live: ["add"], to })).pipe(Effect.provide(cast({ b2: ["C"] })))
      assert.deepStrictEqual(RunLog.summary(yield* to.log).answers.map(({ text }) => text), ["A", "C"])
    }))

  it.effect("finds a tool that shares a variable with the program", () =>
    Effect.gen(function*() {
      const program = Effect.gen(function*() {
        const count = yield* Ref.make(0)
        const add = Tool.fn("add", { description: "" }, () => Ref.update(count, (n) => n + 1))
        yield* Agent.response(Agent.run(Agent.make("a", { instructions: "a", tools: [add] }), "Go"))
        return yield* answer(actor(`b${yield* Ref.get(count)}`))
      })
      const model = cast({ a: [Scripted.toolCall("add", {}), "A"], b1: ["B"] })
      const { log } = yield* recorded(program).pipe(Effect.provide(model))
      const error = yield* divergence(RunLog.replay(program, log)).pipe(silent)
      assert.include(error.problem, "RunStarted of b1, now comes the event RunStarted of b0")
      assert.strictEqual(yield* Effect.map(RunLog.replay(program, log, { live: ["add"] }), String).pipe(silent), "B")
    }))

  it.effect("gives up on something outside that does not come, and runs the program's finalizers", () =>
    Effect.gen(function*() {
      let released = 0
      let [reached, go] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      const program = Effect.gen(function*() {
        yield* Effect.addFinalizer(() => Effect.andThen(Effect.sleep("1 second"), Effect.sync(() => released++)))
        yield* Deferred.succeed(reached, undefined)
        yield* Deferred.await(go)
        return yield* answer(actor("a"))
      }).pipe(Effect.scoped)
      const memory = RunLog.memory()
      yield* Effect.all([
        watch(RunLog.record(program, { to: memory })),
        Deferred.await(reached).pipe(Effect.andThen(Effect.yieldNow), Effect.andThen(Deferred.succeed(go, undefined)))
      ], { concurrency: "unbounded" }).pipe(Effect.provide(cast({ a: ["A"] })))
      const log = yield* memory.log
      reached = yield* Deferred.make<void>()
      go = yield* Deferred.make<void>()
      const error = yield* divergence(RunLog.replay(program, log)).pipe(silent)
      assert.include(error.problem, "something outside")
      assert.strictEqual(released, 2)
    }))

  it.effect("ends a replay where a log that was cut off ends", () =>
    Effect.gen(function*() {
      const program = Effect.andThen(answer(actor("a")), answer(actor("b")))
      const model = Effect.provide(cast({ a: ["A"], b: ["B"] }))
      const { text } = yield* recorded(program).pipe(model)
      const lines = text.split("\n")
      const place = lines.findIndex((line) => line.includes("\"key\":\"model b/1\""))
      const log = yield* RunLog.parse(`${lines.slice(0, place + 1).join("\n")}\n{"_tag":"Inp`)
      assert.isFalse(log.complete)
      const error = yield* divergence(RunLog.replay(program, log)).pipe(silent)
      const problem = "the log was cut off here, and the program goes on: RunLog.fork with at 3 goes on live"
      assert.deepInclude(error, { call: 2, path: "b/1", problem })
      // Cut before an event, which comes by itself.
      const first = lines.findIndex((line) => line.includes("\"Completed\""))
      const short = yield* RunLog.parse(`${lines.slice(0, first).join("\n")}\n{"_tag":"Inp`)
      const { message } = yield* divergence(RunLog.replay(program, short)).pipe(silent)
      assert.include(
        message,
        "the program goes on: RunLog.fork with at 2 goes on live; it comes to the event Completed"
      )
    }))

  it.effect("refuses actors of a system outside, which go on by themselves", () =>
    Effect.gen(function*() {
      const program = Effect.scoped(Effect.flatMap(Actor.spawn(counter), (ref) => ref.ask("Add")))
      const error = yield* RunLog.record(program, { to: RunLog.memory() }).pipe(
        Effect.provide(ActorSystem.layer({ name: "outside" })),
        Effect.flip
      )
      assert.include(String(error), "provide ActorSystem.layer inside of the program")
    }))

  it.effect("takes the time from the log", () =>
    Effect.gen(function*() {
      const program = Effect.gen(function*() {
        const before = yield* Clock.currentTimeMillis
        yield* Effect.sleep("1 minute")
        return [before, yield* Clock.currentTimeMillis]
      })
      const { log, value } = yield* recorded(program)
      yield* Effect.sleep(0)
      assert.deepStrictEqual(yield* RunLog.replay(program, log), value)
      assert.strictEqual(value[1]! - value[0]!, 60_000)
    }))
})
