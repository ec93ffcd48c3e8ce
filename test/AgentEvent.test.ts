import { assert, describe, it } from "@effect/vitest"
import { Effect, Equal, Fiber, Layer, Random, Schema, Stream } from "effect"
import type { Response } from "effect/ai"
import { Model, Tool as AiTool, Toolkit } from "effect/ai"
import { TestClock } from "effect/testing"
import * as Actor from "../src/Actor.ts"
import * as ActorSystem from "../src/ActorSystem.ts"
import * as Agent from "../src/Agent.ts"
import { AgentEvent } from "../src/AgentEvent.ts"
import { Approvals, layer as approvals } from "../src/Approvals.ts"
import * as Prices from "../src/Llm/Prices.ts"
import * as Scripted from "../src/Llm/Scripted.ts"
import * as Tap from "../src/Tap.ts"
import * as Team from "../src/Team.ts"
import * as Tool from "../src/Tool.ts"
import { collect, modelOf, only, tags } from "./fixtures/agents.ts"
import { actor, cast, play } from "./fixtures/teams.ts"

const ask = <R>(agent: Agent.Agent<never, R>) => Tool.fromAgent(agent, { description: "" })

const prompted = (name: string) => Scripted.toolCall(name, { prompt: "Go" })

/** The events of one run. */
const of = (events: ReadonlyArray<AgentEvent>, run: string) => events.filter((event) => event.run === run)

const saying = (...parts: ReadonlyArray<Response.StreamPartEncoded>) => modelOf(Stream.fromIterable([...parts, finish]))

const finish: Response.StreamPartEncoded = {
  type: "finish",
  reason: "stop",
  usage: { inputTokens: { total: 1_000_000, uncached: 1_000_000 }, outputTokens: { total: 100_000 } }
}

describe("Where an event takes place", () => {
  it.effect("each names its run and agent, and in a tool the parent run and the call, at any depth", () =>
    Effect.gen(function*() {
      const inner = Agent.make("inner", { model: Scripted.model(["Inner."]) })
      const middle = Agent.make("middle", {
        tools: [ask(inner)],
        model: Scripted.model([Scripted.toolCall("inner", { prompt: "Go" }, "m1"), "Middle."])
      })
      const outer = Agent.make("outer", {
        tools: [ask(middle)],
        model: Scripted.model([Scripted.toolCall("middle", { prompt: "Go" }, "o1"), "Outer."])
      })
      const events = yield* collect(Agent.run(outer, "Go"))
      const [first, second, third] = only(events, "RunStarted")
      assert.deepStrictEqual(first, { _tag: "RunStarted", run: first!.run, agent: "outer" })
      assert.deepStrictEqual(second!.parent, { run: first!.run, call: "o1" })
      assert.deepStrictEqual(third!.parent, { run: second!.run, call: "m1" })
      for (const event of events) {
        const started = [first!, second!, third!].find(({ run }) => run === event.run)!
        assert.strictEqual(event.agent, started.agent)
        assert.deepStrictEqual(event.parent, started.parent)
      }
      for (const { run } of [first!, second!, third!]) assert.strictEqual(of(events, run)[0]!._tag, "RunStarted")
    }))

  it.effect("a member of a team has the team's run as its parent, and speaks for it in its place", () =>
    Effect.gen(function*() {
      const ref = yield* Actor.spawn(Team.pipeline("outer", [actor("a"), Team.pipeline("inner", [actor("b")])]))
      const events = yield* collect(Agent.stream(ref, "Go"))
      const runs = new Map(only(events, "RunStarted").map((event) => [event.agent, event]))
      const outer = runs.get("outer")!
      assert.deepStrictEqual(runs.get("a")!.parent, { run: outer.run })
      assert.deepStrictEqual(runs.get("inner")!.parent, { run: outer.run })
      assert.deepStrictEqual(runs.get("b")!.parent, { run: runs.get("inner")!.run })
      assert.deepStrictEqual(only(events, "TextDelta").map(({ agent, delta, run }) => [run, agent, delta]), [
        [runs.get("a")!.run, "a", "draft"],
        [outer.run, "outer", "answer"]
      ])
      assert.deepStrictEqual(tags(of(events, outer.run)), ["RunStarted", "TextDelta", "Completed"])
      assert.deepStrictEqual(tags(of(events, runs.get("b")!.run)), ["RunStarted", "TurnFinished"])
    }).pipe(play({ a: ["draft"], b: ["answer"] })))

  it.effect("a worker that its lead calls is inside of the call, in an actor too", () =>
    Effect.gen(function*() {
      const team = Team.hierarchy("office", actor("lead"), { law: actor("a") }, { delegation: "tools" })
      const events = yield* collect(Agent.stream(yield* Actor.spawn(team), "Go"))
      const runs = new Map(only(events, "RunStarted").map((event) => [event.agent, event]))
      assert.deepStrictEqual(runs.get("a")!.parent, {
        run: runs.get("lead")!.run,
        call: only(events, "ToolCall")[0]!.id
      })
    }).pipe(play({ lead: [prompted("law"), "Done."], a: ["It is legal."] })))

  it.effect("a handler's own asks and runs are inside of its call; an actor that it starts is nobody's child later", () =>
    Effect.gen(function*() {
      const seen: Array<AgentEvent> = []
      const spawned: Array<Agent.AgentRef> = []
      const note = (event: AgentEvent) => Effect.sync(() => seen.push(event))
      const tool = Tool.fn("work", { description: "" }, () =>
        Effect.gen(function*() {
          yield* Stream.runForEach(Agent.run(actor("a"), "Go"), note)
          const ref = yield* Agent.spawn(actor("b"))
          yield* Stream.runForEach(Agent.stream(ref, "Go"), note)
          spawned.push(ref)
        }).pipe(Effect.orDie))
      const events = yield* collect(Agent.run(Agent.make("lead", { instructions: "lead", tools: [tool] }), "Go"))
      const parent = { run: events[0]!.run, call: only(events, "ToolCall")[0]!.id }
      assert.deepStrictEqual(only(seen, "RunStarted").map((event) => [event.agent, event.parent]), [
        ["a", parent],
        ["b", parent]
      ])
      const [later] = yield* collect(Agent.stream(spawned[0]!, "Go"))
      assert.strictEqual(later!.parent, undefined)
    }).pipe(play({ lead: [Scripted.toolCall("work", {}), "Done."], a: () => "a", b: () => "b" })))

  it.effect("runs of the same agent at once, one inside of the other too, have ids of their own, from Effect's Random", () =>
    Effect.gen(function*() {
      const agent = Agent.make("a", { model: Scripted.model(() => "Yes.") })
      const again = Agent.make("a", {
        tools: [ask(agent), Tool.fromAgent(agent, { name: "second", description: "" })],
        model: Scripted.model([[prompted("a"), prompted("second")], "Done."])
      })
      const program = Random.withSeed(collect(Agent.run(again, "Go")), "seed")
      const events = yield* program
      assert.strictEqual(new Set(only(events, "RunStarted").map(({ run }) => run)).size, 3)
      assert.deepStrictEqual(yield* program, events)
    }))

  it.effect("blocks of text and reasoning have ids: one for each block, and none twice in a stream", () =>
    Effect.gen(function*() {
      const agent = Agent.make("assistant", {
        model: Scripted.model([
          [Scripted.reasoning("Well then."), Scripted.text("One two."), Scripted.toolCall("a", { prompt: "Go" })],
          [Scripted.text("Three four.")]
        ]),
        tools: [ask(Agent.make("a", { model: Scripted.model(["Five six."]) }))]
      })
      const events = yield* collect(Agent.run(agent, "Go"))
      const deltas = events.filter((event) => event._tag === "TextDelta" || event._tag === "ReasoningDelta")
      const blocks = new Map<string, string>()
      for (const { delta, id } of deltas) blocks.set(id, (blocks.get(id) ?? "") + delta)
      assert.deepStrictEqual([...blocks.values()], ["Well then.", "One two.", "Five six.", "Three four."])
    }))
})

describe("What an event tells", () => {
  it.effect("arguments while the model writes them, then the call", () =>
    Effect.gen(function*() {
      const events = yield* collect(Agent.run(Agent.make("a"), "Go"))
      assert.deepStrictEqual(
        only(events, "ToolParamsDelta").map(({ delta, id, name }) => [id, name, delta]),
        [["c1", "search", "{\"q\":"], ["c1", "search", "\"x\"}"]]
      )
      assert.deepInclude(only(events, "ToolCall")[0], { id: "c1", params: { q: "x" }, providerExecuted: true })
      assert.isBelow(tags(events).indexOf("ToolParamsDelta"), tags(events).indexOf("ToolCall"))
    }).pipe(Effect.provide(saying(
      { type: "tool-params-start", id: "c1", name: "search", providerExecuted: true },
      { type: "tool-params-delta", id: "c1", delta: "{\"q\":" },
      { type: "tool-params-delta", id: "c1", delta: "\"x\"}" },
      { type: "tool-params-end", id: "c1" },
      { type: "tool-call", id: "c1", name: "search", params: { q: "x" }, providerExecuted: true }
    ))))

  it.effect("calls of a turn have ids of their own, also where a server gives all the same", () =>
    Effect.gen(function*() {
      const paths: Array<string> = []
      const say = Tool.fn("say", { description: "", parameters: { word: Schema.String }, success: Schema.String }, (
        { word }
      ) => Effect.succeed(word))
      const call = (word: string): ReadonlyArray<Response.StreamPartEncoded> => [
        { type: "tool-params-start", id: "0", name: "say" },
        { type: "tool-params-delta", id: "0", delta: JSON.stringify({ word }) },
        { type: "tool-params-end", id: "0" },
        { type: "tool-call", id: "0", name: "say", params: { word } }
      ]
      const agent = Agent.make("a", { tools: [say], stopWhen: () => true })
      const events = yield* collect(Agent.run(agent, "Go")).pipe(
        Effect.provide(saying(...["a", "b", "c"].flatMap(call))),
        Effect.provideService(Tap.Tap, {
          tool: (call, live) => {
            paths.push(call.path)
            return live(call.emit)
          }
        })
      )
      const ids = ["0", "0_2", "0_3"]
      assert.deepStrictEqual(only(events, "ToolParamsDelta").map(({ id }) => id), ids)
      assert.deepStrictEqual(only(events, "ToolCall").map(({ id }) => id), ids)
      assert.deepStrictEqual(only(events, "ToolResult").map(({ id, result }) => [id, result]), [
        ["0", "a"],
        ["0_2", "b"],
        ["0_3", "c"]
      ])
      assert.deepStrictEqual(paths, ids.map((id) => `a/1/${id}`))
    }))

  it.effect("sources, files and what the provider wants to see again", () =>
    Effect.gen(function*() {
      const events = yield* collect(Agent.run(Agent.make("a"), "Go"))
      const place = { run: events[0]!.run, agent: "a" }
      assert.deepStrictEqual(only(events, "Source"), [
        { ...place, _tag: "Source", id: "s1", sourceType: "url", title: "Home", url: "https://example.com/" },
        {
          ...place,
          _tag: "Source",
          id: "s2",
          sourceType: "document",
          title: "Report",
          mediaType: "application/pdf",
          fileName: "report.pdf",
          metadata: { anthropic: { citedText: "so" } }
        }
      ])
      assert.deepStrictEqual(only(events, "Completed")[0]!.response.sources, only(events, "Source"))
      assert.deepStrictEqual(only(events, "File"), [
        { ...place, _tag: "File", mediaType: "image/png", data: new Uint8Array([1, 2]) }
      ])
      assert.deepStrictEqual(only(events, "ReasoningDelta").map(({ delta, metadata }) => [delta, metadata]), [
        ["Hm.", { openai: { itemId: "r1" } }],
        ["", { openai: { encrypted: "x" } }]
      ])
    }).pipe(Effect.provide(saying(
      { type: "reasoning-start", id: "0", metadata: { openai: { itemId: "r1" } } },
      { type: "reasoning-delta", id: "0", delta: "Hm." },
      { type: "reasoning-end", id: "0", metadata: { openai: { encrypted: "x" } } },
      { type: "source", sourceType: "url", id: "s1", title: "Home", url: "https://example.com" },
      {
        type: "source",
        sourceType: "document",
        id: "s2",
        title: "Report",
        mediaType: "application/pdf",
        fileName: "report.pdf",
        metadata: { anthropic: { citedText: "so" } }
      },
      { type: "file", mediaType: "image/png", data: "AQI=" }
    ))))

  it.effect("a finished turn: its model, cost, duration and time to the first part, without its tools", () =>
    Effect.gen(function*() {
      const slow = Tool.fn("slow", { description: "" }, () => Effect.sleep("1 hour"))
      const agent = Agent.make("a", {
        tools: [slow],
        model: Scripted.model([
          [
            Scripted.delay("2 seconds"),
            Scripted.text("Well"),
            Scripted.delay("1 second"),
            Scripted.toolCall("slow", {})
          ],
          "Done."
        ])
      })
      const fiber = yield* Effect.forkChild(collect(Agent.run(agent, "Go")))
      yield* TestClock.adjust("2 hours")
      const [first, second] = only(yield* Fiber.join(fiber), "TurnFinished")
      assert.deepInclude(first, { model: "scripted", duration: 3000, timeToFirstPart: 2000 })
      assert.strictEqual(first!.cost, undefined)
      assert.deepInclude(second, { duration: 0, timeToFirstPart: 0 })
    }))

  it.effect("the model that answered is named before the one that was asked, and either may have a price", () =>
    Effect.gen(function*() {
      const named = (answers: string) =>
        Agent.make("a", {
          model: Layer.merge(
            saying({ type: "response-metadata", modelId: answers }),
            Layer.succeed(Model.ModelName, "asked")
          )
        })
      const turnOf = (answers: string) =>
        Effect.map(collect(Agent.run(named(answers), "Go")), (events) => only(events, "TurnFinished")[0]!)
      assert.deepInclude(yield* turnOf("precise"), { model: "precise", cost: 3 })
      assert.deepInclude(yield* turnOf("unknown"), { model: "unknown", cost: 2 })
    }).pipe(Effect.provideService(Prices.Prices, {
      asked: { input: 1, output: 10 },
      precise: { input: 2, output: 10 }
    })))

  it.effect("what was decided about a call", () =>
    Effect.gen(function*() {
      const service = yield* Approvals
      const pay = Tool.fn("pay", { description: "", parameters: { n: Schema.Int }, needsApproval: true }, () =>
        Effect.void)
      const agent = Agent.make("a", {
        tools: [pay],
        model: Scripted.model([
          [1, 2].map((n) =>
            Scripted.toolCall("pay", { n })
          ),
          "Done."
        ])
      })
      const decide = (event: AgentEvent) =>
        event._tag !== "ApprovalRequested"
          ? Effect.void
          : Effect.orDie(
            event.id === "call_1"
              ? service.approve(event.approval, { params: { n: 3 } })
              : service.reject(event.approval, "no")
          )
      const events = yield* collect(Stream.tap(Agent.run(agent, "Go"), decide))
      const requested = new Map(only(events, "ApprovalRequested").map(({ approval, id }) => [id, approval]))
      const decided = only(events, "ApprovalDecided")
      for (const { approval, id } of decided) assert.strictEqual(approval, requested.get(id))
      assert.sameDeepMembers(decided.map(({ decision, id }) => ({ id, decision })), [
        { id: "call_1", decision: { _tag: "Approved", params: { n: 3 } } },
        { id: "call_2", decision: { _tag: "Rejected", message: "no" } }
      ])
    }).pipe(Effect.provide(approvals())))

  it.effect("every event crosses a process border as JSON", () =>
    Effect.gen(function*() {
      const codec = Schema.toCodecJson(AgentEvent)
      const events = yield* collect(Agent.stream(yield* Actor.spawn(Team.pipeline("team", [actor("a")])), "Go"))
      for (const event of events) {
        const json = JSON.parse(JSON.stringify(Schema.encodeSync(codec)(event)))
        const { _tag, agent, parent, run } = Schema.decodeUnknownSync(codec)(json)
        assert.deepStrictEqual({ _tag, agent, parent, run }, {
          _tag: event._tag,
          agent: event.agent,
          parent: event.parent,
          run: event.run
        })
      }
    }).pipe(Effect.provide(Layer.merge(cast({ a: ["x"] }), ActorSystem.layer({ name: "test" })))))
})

describe("As JSON", () => {
  it.effect("an event encodes and decodes back, also where a handler gives what JSON cannot hold", () =>
    Effect.gen(function*() {
      const odd = { at: new Date(0), gone: undefined, list: [undefined, Number.NaN] }
      const Look = AiTool.make("look", { success: Schema.Unknown })
      const toolkit = Toolkit.make(Look, AiTool.make("nothing"))
      const work = Tool.fn("work", { description: "" }, () => Tool.emit(odd))
      const agent = Agent.make("a", { tools: [toolkit, work] })
      const names = ["look", "nothing", "work"]
      const events = yield* collect(Agent.run(agent, "Go.")).pipe(
        Effect.provide(Scripted.model([names.map((name) => Scripted.toolCall(name, {})), "Done."])),
        Effect.provide(toolkit.toLayer({ look: () => Effect.succeed(odd), nothing: () => Effect.void }))
      )
      const plain = { at: "1970-01-01T00:00:00.000Z", list: [null, null] }
      assert.deepStrictEqual(only(events, "ToolResult").find(({ name }) => name === "look")?.result, plain)
      assert.deepStrictEqual(only(events, "ToolProgress")[0]?.data, plain)
      const codec = Schema.toCodecJson(AgentEvent)
      for (const event of events) {
        const json: unknown = JSON.parse(JSON.stringify(yield* Schema.encodeEffect(codec)(event)))
        assert.isTrue(Equal.equals(yield* Schema.decodeUnknownEffect(codec)(json), event), event._tag)
      }
    }))
})
