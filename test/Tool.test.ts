import { assert, describe, expectTypeOf, it } from "@effect/vitest"
import { Context, Deferred, Effect, Fiber, Latch, Layer, Option, Ref, Schedule, Schema, Stream } from "effect"
import type { LanguageModel } from "effect/ai"
import { Tool as AiTool, Toolkit } from "effect/ai"
import { TestClock } from "effect/testing"
import * as ActorSystem from "../src/ActorSystem.ts"
import * as Agent from "../src/Agent.ts"
import type { AgentEvent } from "../src/AgentEvent.ts"
import type { Approvals } from "../src/Approvals.ts"
import * as Scripted from "../src/Llm/Scripted.ts"
import * as Tool from "../src/Tool.ts"
import * as Transcript from "../src/Transcript.ts"
import { pass } from "./fixtures/actors.ts"
import { collect, lines, only, results, tags, weather } from "./fixtures/agents.ts"
import { refused } from "./fixtures/badOptions.ts"

/** Calls each of these tools once, then ends. */
const calling = (...names: ReadonlyArray<string>) =>
  Scripted.model([names.map((name) => Scripted.toolCall(name, {})), "Done."])

class Broken extends Schema.TaggedError<Broken>()("Broken", { why: Schema.String }) {}

/** Runs with a system and a scripted model. */
const run =
  (script: Parameters<typeof Scripted.model>[0]) =>
  <A, E>(effect: Effect.Effect<A, E, ActorSystem.ActorSystem | LanguageModel.LanguageModel | Scripted.Requests>) =>
    Effect.provide(effect, Layer.merge(Scripted.model(script), ActorSystem.layer({ name: "test" })))

describe("Tool", () => {
  it.effect("arguments and result cross as the JSON of their schemas, dates and options too", () =>
    Effect.gen(function*() {
      const event = Schema.Struct({
        at: Schema.Date,
        until: Schema.Option(Schema.Date),
        place: Schema.optional(Schema.String)
      })
      const got: Array<typeof event.Type> = []
      const book = Tool.fn("book", { description: "", parameters: event.fields, success: event }, (params) => {
        got.push(params)
        return Effect.succeed(params)
      })
      const events = yield* collect(Agent.run(Agent.make("a", { tools: [book] }), "Go."))
      const [day, none] = ["2026-01-02T00:00:00.000Z", { _tag: "None" }]
      assert.deepStrictEqual(got, [{ at: new Date(day), until: Option.none(), place: undefined }])
      assert.deepInclude(only(events, "ToolResult")[0], {
        isFailure: false,
        result: { at: day, until: none, place: null }
      })
    }).pipe(Effect.provide(Scripted.model([
      // Models that must name each argument give null for those that may be absent.
      Scripted.toolCall("book", { at: "2026-01-02", until: { _tag: "None" }, place: null }),
      "Done."
    ]))))

  it.effect("with failureMode error a failure fails the run with the tool's name and cause", () =>
    Effect.gen(function*() {
      const cause = new Broken({ why: "no" })
      const tool = Tool.fn("breaks", { description: "", failureMode: "error" }, () => Effect.fail(cause))
      const error = yield* Effect.flip(collect(Agent.run(Agent.make("a", { tools: [tool] }), "Go.")))
      assert(error.reason._tag === "ToolFailed")
      assert.strictEqual(error.reason.tool, "breaks")
      assert.strictEqual(error.reason.cause, cause)
      assert.deepStrictEqual(lines(error.transcript), [
        "user: Go.",
        "breaks failed \"Interrupted before the tool answered\""
      ])
    }).pipe(Effect.provide(calling("breaks"))))

  it.effect("with failureMode error a failing tool interrupts the others of its turn", () =>
    Effect.gen(function*() {
      const released = yield* Ref.make(false)
      const hang = Tool.fn("hang", { description: "" }, () => Effect.ensuring(Effect.never, Ref.set(released, true)))
      const dies = Tool.fn("dies", { description: "", failureMode: "error" }, () => Effect.die("broken"))
      const error = yield* Effect.flip(collect(Agent.run(Agent.make("a", { tools: [hang, dies] }), "Go.")))
      assert.include(error.message, "tool dies failed: broken")
      assert.isTrue(yield* Ref.get(released))
    }).pipe(Effect.provide(calling("hang", "dies"))))

  it.effect("a handler that takes longer than its timeout is interrupted, and the model is told", () =>
    Effect.gen(function*() {
      const released = yield* Ref.make(false)
      const slow = Tool.fn(
        "slow",
        { description: "", timeout: "5 seconds" },
        () => Effect.ensuring(Effect.never, Ref.set(released, true))
      )
      const fiber = yield* collect(Agent.run(Agent.make("a", { tools: [slow] }), "Go.")).pipe(Effect.forkChild)
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(results(yield* Fiber.join(fiber)), [
        "Tool slow timed out after 5s; whether it took effect is unknown"
      ])
      assert.isTrue(yield* Ref.get(released))
    }).pipe(Effect.provide(calling("slow"))))

  it.effect("retry runs the handler again after failures and timeouts, but not after a defect", () =>
    Effect.gen(function*() {
      const tries = yield* Ref.make<ReadonlyArray<string>>([])
      const flaky = (name: string, outcome: (n: number) => Effect.Effect<string, Broken>) =>
        Tool.fn(
          name,
          { description: "", success: Schema.String, effect: "pure", retry: Schedule.recurs(5), timeout: "1 second" },
          () =>
            Effect.flatMap(
              Ref.updateAndGet(tries, (all) => [...all, name]),
              (all) => outcome(all.filter((other) => other === name).length)
            )
        )
      const agent = Agent.make("a", {
        tools: [
          flaky("fails", (n) => n < 3 ? Effect.fail(new Broken({ why: "no" })) : Effect.succeed("third time")),
          flaky("hangs", (n) => n < 2 ? Effect.never : Effect.succeed("second time")),
          flaky("dies", () => Effect.die(new Error("bug")))
        ]
      })
      const fiber = yield* collect(Agent.run(agent, "Go.")).pipe(Effect.forkChild)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(results(yield* Fiber.join(fiber)), ["third time", "Tool dies failed: bug", "second time"])
      assert.strictEqual((yield* Ref.get(tries)).filter((name) => name === "dies").length, 1)
    }).pipe(Effect.provide(calling("fails", "hangs", "dies"))))

  it.effect("no more calls of a tool run at once than its concurrency allows, over all runs", () =>
    Effect.gen(function*() {
      const now = yield* Ref.make(0)
      const most = yield* Ref.make(0)
      const tool = Tool.fn("limited", { description: "", concurrency: 2 }, () =>
        Effect.gen(function*() {
          const running = yield* Ref.updateAndGet(now, (n) => n + 1)
          yield* Ref.update(most, (n) => Math.max(n, running))
          yield* Effect.sleep("1 second")
          yield* Ref.update(now, (n) => n - 1)
        }))
      const run = () =>
        collect(Agent.run(Agent.make("a", { tools: [tool] }), "Go.")).pipe(
          Effect.provide(calling("limited", "limited", "limited"))
        )
      const fiber = yield* Effect.all([run(), run()], { concurrency: 2 }).pipe(Effect.forkChild)
      yield* TestClock.adjust("3 seconds")
      yield* Fiber.join(fiber)
      assert.strictEqual(yield* Ref.get(most), 2)
    }))

  it("a bad option is refused where the tool is made, and the field is named", () => {
    const make = (options: { readonly timeout?: number; readonly concurrency?: number }) => () =>
      Tool.fn("t", { description: "", ...options }, () => Effect.void)
    const agent = Agent.make("a")
    refused({
      "Tool.fn: name must be 1 to 64 letters, digits, \"_\" or \"-\", got \"get weather\"": () =>
        Tool.fn("get weather", { description: "" }, () => Effect.void),
      "Tool.fn: timeout must be a positive duration, got 0": make({ timeout: 0 }),
      "Tool.fn: concurrency must be a positive integer, got 0": make({ concurrency: 0 }),
      "Tool.fn: effect must be \"pure\" or \"idempotent\" with a retry, got \"once\"": () =>
        // @ts-expect-error what must not happen twice can't be retried
        Tool.fn("t", { description: "", retry: Schedule.recurs(1) }, () => Effect.void),
      "Tool.fromAgent: name must be 1 to 64 letters, digits, \"_\" or \"-\", got \"\"": () =>
        Tool.fromAgent(agent, { name: "", description: "" }),
      "Tool.fromAgent: timeout must be a positive duration, got -1ms": () =>
        Tool.fromAgent(agent, { description: "", timeout: -1 })
    })
    // @ts-expect-error nor what says so itself
    assert.throws(() => Tool.fn("t", { description: "", effect: "once", retry: Schedule.recurs(1) }, () => Effect.void))
  })

  it("types say what handlers require, and Approvals where a call may need one", () => {
    const options = { description: "", parameters: { amount: Schema.Finite } }
    const handler = () => Effect.void
    expectTypeOf(Tool.fn("t", options, handler)).toEqualTypeOf<Tool.Tool<"t">>()
    expectTypeOf(Tool.fn("t", { ...options, needsApproval: true }, handler)).toEqualTypeOf<Tool.Tool<"t", Approvals>>()
    expectTypeOf(
      Tool.fn("t", {
        description: "",
        parameters: { amount: Schema.Finite },
        needsApproval: ({ amount }) => amount > 10
      }, handler)
    ).toEqualTypeOf<Tool.Tool<"t", Approvals>>()
  })

  it.effect("a toolkit of effect/ai is a tool as it is, with the handlers of its layer", () =>
    Effect.gen(function*() {
      const Add = AiTool.make("add", {
        parameters: Schema.Struct({ a: Schema.Finite, b: Schema.Finite }),
        success: Schema.Finite
      })
      const Fail = AiTool.make("fail", { failure: Schema.String })
      const MathToolkit = Toolkit.make(Add, Fail)
      const agent = Agent.make("mathematician", { tools: [MathToolkit, weather] })
      const events = yield* collect(Agent.run(agent, "Add.")).pipe(
        Effect.provide(MathToolkit.toLayer({ add: ({ a, b }) => Effect.succeed(a + b), fail: () => Effect.fail("no") }))
      )
      assert.sameDeepMembers(only(events, "ToolResult").map(({ isFailure, result }) => [result, isFailure]), [
        [3, false],
        ["no", true],
        ["18 C in Lagos", false]
      ])
    }).pipe(Effect.provide(Scripted.model([[
      Scripted.toolCall("add", { a: 1, b: 2 }),
      Scripted.toolCall("fail", {}),
      Scripted.toolCall("get_weather", { city: "Lagos" })
    ], "3"]))))

  describe("emit", () => {
    it.effect("is in the stream while the tool still runs", () =>
      Effect.gen(function*() {
        const seen: Array<AgentEvent> = []
        const go = yield* Latch.make()
        const reports = Tool.fn(
          "reports",
          { description: "", success: Schema.String },
          () => Tool.emit({ done: 50 }).pipe(Effect.andThen(go.await), Effect.as("all"))
        )
        const quick = Tool.fn("quick", { description: "", success: Schema.String }, () => Effect.succeed("quick"))
        yield* Agent.run(Agent.make("a", { tools: [reports, quick] }), "Go.").pipe(
          Stream.runForEach((event) => {
            seen.push(event)
            return event._tag === "ToolProgress" ? go.open : Effect.void
          })
        )
        assert.deepStrictEqual(only(seen, "ToolProgress"), [
          { _tag: "ToolProgress", run: seen[0]!.run, agent: "a", id: "call_1", name: "reports", data: { done: 50 } }
        ])
        assert.deepStrictEqual(results(seen), ["quick", "all"])
      }).pipe(Effect.provide(calling("reports", "quick"))))

    it.effect("waits for a reader that is behind", () =>
      Effect.gen(function*() {
        const sent = yield* Ref.make(0)
        const chatty = Tool.fn("chatty", { description: "" }, () =>
          Effect.forEach(
            Array.from({ length: 1000 }, (_, n) => n),
            (n) => Effect.andThen(Tool.emit(n), Ref.set(sent, n)),
            { discard: true }
          ))
        const reading = yield* Latch.make()
        const fiber = yield* Agent.run(Agent.make("a", { tools: [chatty] }), "Go.").pipe(
          Stream.tap(() => reading.await),
          Stream.runCount,
          Effect.forkChild
        )
        yield* TestClock.adjust("1 second")
        assert.isBelow(yield* Ref.get(sent), 200)
        yield* reading.open
        assert.isAbove(yield* Fiber.join(fiber), 1000)
      }).pipe(Effect.provide(calling("chatty"))))

    it.effect("does nothing outside of a run", () => Tool.emit("nobody listens"))

    it.effect("a toolkit's preliminary results are progress", () =>
      Effect.gen(function*() {
        const Count = AiTool.make("count", { success: Schema.Finite })
        const toolkit = Toolkit.make(Count)
        const events = yield* collect(Agent.run(Agent.make("a", { tools: [toolkit] }), "Go.")).pipe(
          Effect.provide(toolkit.toLayer({
            count: (_, { preliminary }) => Effect.as(preliminary(1), 2)
          }))
        )
        assert.deepStrictEqual(only(events, "ToolProgress").map(({ data }) => data), [1])
        assert.deepStrictEqual(results(events), [2])
      }).pipe(Effect.provide(calling("count"))))
  })

  describe("fromAgent", () => {
    it("takes the agent's name as far as a tool can have it", () => {
      assert.strictEqual(Tool.fromAgent(Agent.make("support desk"), { description: "" }).name, "support_desk")
    })

    /** `outer` asks `middle`, which asks `inner`, which has the tool. */
    const nested = (tool: Tool.Tool<string>, answers: ReadonlyArray<Scripted.Turn> = ["Inner."]) => {
      const inner = Agent.make("inner", {
        tools: [tool],
        model: Scripted.model([Scripted.toolCall(tool.name, {}), ...answers])
      })
      const middle = Agent.make("middle", {
        tools: [Tool.fromAgent(inner, { description: "Knows" })],
        model: Scripted.model([Scripted.toolCall("inner", { prompt: "Well?" }), "Middle."])
      })
      return Agent.make("outer", {
        tools: [Tool.fromAgent(middle, { description: "Asks", name: "ask_middle" })],
        model: Scripted.model([Scripted.toolCall("ask_middle", { prompt: "So?" }), "Outer."])
      })
    }

    it.effect("events of agents three levels deep are live, under their own names, and Completed is there once", () =>
      Effect.gen(function*() {
        const go = yield* Latch.make()
        const tool = Tool.fn("work", { description: "" }, () => Effect.andThen(Tool.emit("half"), go.await))
        const seen: Array<AgentEvent> = []
        yield* Agent.run(nested(tool), "Go.").pipe(Stream.runForEach((event) => {
          seen.push(event)
          return event._tag === "ToolProgress" ? go.open : Effect.void
        }))
        assert.deepStrictEqual(seen.map(({ _tag, agent }) => `${agent} ${_tag}`), [
          "outer RunStarted",
          "outer ToolCall",
          "middle RunStarted",
          "middle ToolCall",
          "inner RunStarted",
          "inner ToolCall",
          "inner ToolProgress",
          "inner ToolResult",
          "inner TurnFinished",
          "inner TextDelta",
          "inner TurnFinished",
          "middle ToolResult",
          "middle TurnFinished",
          "middle TextDelta",
          "middle TurnFinished",
          "outer ToolResult",
          "outer TurnFinished",
          "outer TextDelta",
          "outer TurnFinished",
          "outer Completed"
        ])
        assert.deepStrictEqual(results(seen), [null, "Inner.", "Middle."])
      }))

    it.effect("the usage of a run is that of all turns in its stream", () =>
      Effect.gen(function*() {
        const events = yield* collect(Agent.run(nested(Tool.fn("work", { description: "" }, () => Effect.void)), "Go."))
        const total = only(events, "TurnFinished").reduce((sum, { usage }) => sum + (usage.inputTokens.total ?? 0), 0)
        assert.strictEqual(only(events, "Completed")[0]!.response.usage.inputTokens.total, total)
        assert.strictEqual(only(events, "TurnFinished").length, 6)
      }))

    it.effect("interrupting the outermost run runs the finalizers of the innermost tool", () =>
      Effect.gen(function*() {
        const started = yield* Deferred.make<void>()
        const released = yield* Ref.make(false)
        const transcript = yield* Ref.make(Transcript.empty)
        const work = Tool.fn("work", { description: "" }, () =>
          Effect.andThen(Deferred.succeed(started, undefined), Effect.never).pipe(
            Effect.ensuring(Ref.set(released, true))
          ))
        const fiber = yield* Agent.run(nested(work), "Go.", { transcript }).pipe(Stream.runDrain, Effect.forkChild)
        yield* Deferred.await(started)
        yield* Fiber.interrupt(fiber)
        assert.isTrue(yield* Ref.get(released))
        assert.deepStrictEqual(lines(yield* Ref.get(transcript)), [
          "user: Go.",
          "ask_middle failed \"Interrupted before the tool answered\""
        ])
      }))

    it.effect("interrupting the outermost run stops the innermost model in mid-stream", () =>
      Effect.gen(function*() {
        const seen = yield* Deferred.make<void>()
        const answers = [[Scripted.text("Half"), Scripted.delay("1 hour"), Scripted.text("done")]]
        const work = Tool.fn("work", { description: "" }, () => Effect.void)
        const fiber = yield* Agent.run(nested(work, answers), "Go.").pipe(
          Stream.runForEach((event) => event._tag === "TextDelta" ? Deferred.succeed(seen, undefined) : Effect.void),
          Effect.forkChild
        )
        yield* Deferred.await(seen)
        yield* Fiber.interrupt(fiber)
      }))

    it.effect("a run that fails is a failed result for the one that asked", () =>
      Effect.gen(function*() {
        const inner = Agent.make("inner", { model: Scripted.model([]) })
        const outer = Agent.make("outer", { tools: [Tool.fromAgent(inner, { description: "" })] })
        const events = yield* collect(Agent.run(outer, "Go."))
        assert.include(String(results(events)[0]), "agent inner: ")
        assert.strictEqual(tags(events).at(-1), "Completed")
      }).pipe(Effect.provide(Scripted.model([Scripted.toolCall("inner", { prompt: "Well?" }), "It failed."]))))

    it("requires what the agent requires", () => {
      class Payments extends Context.Service<Payments, { readonly pay: Effect.Effect<void> }>()("Payments") {}
      const pay = Tool.fn("pay", { description: "" }, () => Payments.use(({ pay }) => pay))
      const agent = Agent.make("payer", { tools: [pay] })
      expectTypeOf(Tool.fromAgent(agent, { description: "" })).toEqualTypeOf<
        Tool.Tool<string, LanguageModel.LanguageModel | Payments>
      >()
    })
  })
})

describe("Agents behind refs as tools", () => {
  it.effect("a ref answers calls with its conversation, its events and usage are the caller's", () =>
    Effect.gen(function*() {
      const expert = yield* Agent.spawn(Agent.make("expert"))
      const caller = Agent.make("caller", { tools: [Tool.fromAgent(expert, { name: "ask", description: "" })] })
      const events = yield* collect(Agent.run(caller, "Go."))
      assert.deepStrictEqual(events.map(({ _tag, agent }) => `${agent} ${_tag}`), [
        "caller RunStarted",
        "caller ToolCall",
        "expert RunStarted",
        "expert TextDelta",
        "expert TurnFinished",
        "caller ToolResult",
        "caller TurnFinished",
        "caller TextDelta",
        "caller TurnFinished",
        "caller Completed"
      ])
      assert.strictEqual(only(events, "ToolResult")[0]!.result, "42")
      assert.strictEqual(only(events, "Completed")[0]!.response.usage.outputTokens.total, 111)
      assert.deepStrictEqual(lines(yield* Agent.transcript(expert)), ["user: What?", "text: 42"])
    }).pipe(run([
      [Scripted.toolCall("ask", { prompt: "What?" }), Scripted.usage(0, 1)],
      [Scripted.text("42"), Scripted.usage(0, 10)],
      [Scripted.text("42!"), Scripted.usage(0, 100)]
    ])))

  it.effect("two actors that ask each other wait no longer than the tool's timeout, and both go on", () =>
    Effect.gen(function*() {
      const asksBack = yield* Deferred.make<Agent.AgentRef>()
      const back = Tool.fn(
        "back",
        { description: "" },
        () => Effect.asVoid(Effect.flatMap(Deferred.await(asksBack), (ref) => Agent.ask(ref, "?")))
      )
      const call = Scripted.toolCall("back", {})
      const second = yield* Agent.spawn(
        Agent.make("second", { tools: [back], model: Scripted.model([call, call, call, "Done."]) })
      )
      const senseless = { name: "hand", description: "", timeout: -1 }
      assert.throws(() => Tool.handoff(second, senseless), RangeError, "Tool.handoff: timeout must be a positive")
      const first = yield* Agent.spawn(Agent.make("first", {
        tools: [
          Tool.fromAgent(second, { name: "ask", description: "", timeout: "1 minute" }),
          Tool.handoff(second, { name: "hand", description: "", timeout: "1 minute" })
        ],
        model: Scripted.model([
          Scripted.toolCall("ask", { prompt: "?" }),
          "No answer.",
          Scripted.toolCall("hand", { message: "?" }),
          "No answer.",
          "Here."
        ])
      }))
      yield* Deferred.succeed(asksBack, first)
      for (const prompt of ["1", "2"]) {
        const fiber = yield* Effect.forkChild(collect(Agent.stream(first, prompt)))
        yield* pass("59 seconds")
        assert.isUndefined(fiber.pollUnsafe())
        yield* pass("1 second")
        const [result] = only(yield* Fiber.join(fiber), "ToolResult")
        assert.include(String(result!.result), "timed out after 1m")
      }
      assert.strictEqual((yield* Agent.ask(second, "3")).text, "Done.")
    }).pipe(run([])))

  it.effect("a stopped ref is a failed result", () =>
    Effect.gen(function*() {
      const expert = yield* Agent.spawn(Agent.make("expert"))
      yield* expert.stop
      const caller = Agent.make("caller", { tools: [Tool.fromAgent(expert, { name: "ask", description: "" })] })
      const events = yield* collect(Agent.run(caller, "Go."))
      const [result] = only(events, "ToolResult")
      assert.isTrue(result!.isFailure)
      assert.include(String(result!.result), "the actor has stopped")
    }).pipe(run([Scripted.toolCall("ask", { prompt: "What?" }), "Sorry."])))

  it.effect("a handoff moves the rest of the run: the other answers in the conversation, as the agent", () =>
    Effect.gen(function*() {
      const billing = yield* Agent.spawn(Agent.make("billing"))
      yield* Agent.ask(billing, "Something else")
      const triage = Agent.make("triage", { tools: [Tool.handoff(billing, { name: "to_billing", description: "" })] })
      const events = yield* collect(Agent.run(triage, "My invoice?"))
      assert.deepStrictEqual(events.map(({ _tag, agent }) => `${agent} ${_tag}`), [
        "triage RunStarted",
        "triage ToolCall",
        "billing RunStarted",
        "triage TextDelta",
        "billing TurnFinished",
        "triage ToolResult",
        "triage TurnFinished",
        "triage Completed"
      ])
      assert.strictEqual(only(events, "Completed")[0]!.response.text, "Paid.")
      const requests = yield* Effect.flatten(Scripted.Requests)
      assert.strictEqual(requests.length, 3)
      assert.include(JSON.stringify(requests[2]!.prompt.content), "My invoice?")
      assert.deepStrictEqual(lines(yield* Agent.transcript(billing)), ["user: Something else", "text: Ok."])
    }).pipe(run(["Ok.", Scripted.toolCall("to_billing", { message: "Look it up" }), "Paid."])))
})
