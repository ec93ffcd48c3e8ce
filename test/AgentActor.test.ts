import { assert, describe, expectTypeOf, it } from "@effect/vitest"
import { Context, Deferred, Effect, Exit, Fiber, Layer, Queue, Schema, Stream } from "effect"
import { LanguageModel, Prompt } from "effect/ai"
import { TestClock } from "effect/testing"
import * as Actor from "../src/Actor.ts"
import type * as ActorSystem from "../src/ActorSystem.ts"
import * as Agent from "../src/Agent.ts"
import { AgentError, MemberFailed } from "../src/AgentError.ts"
import { AgentEvent } from "../src/AgentEvent.ts"
import * as Scripted from "../src/Llm/Scripted.ts"
import * as Mailbox from "../src/Mailbox.ts"
import * as Memory from "../src/Memory.ts"
import * as Supervisor from "../src/Supervisor.ts"
import * as Tool from "../src/Tool.ts"
import * as Transcript from "../src/Transcript.ts"
import { begin, makeSystem, outcome, pass, run as inSystem, settle } from "./fixtures/actors.ts"
import { collect, lines, only, tags, weather } from "./fixtures/agents.ts"

const poet = Agent.make("poet")

/** Runs with a system and a scripted model. */
const run =
  (script: Parameters<typeof Scripted.model>[0]) =>
  <A, E>(effect: Effect.Effect<A, E, ActorSystem.ActorSystem | LanguageModel.LanguageModel | Scripted.Requests>) =>
    Effect.provide(inSystem(effect), Scripted.model(script))

/** A tool that hangs until it is interrupted, and says both. */
const makeHang = Effect.gen(function*() {
  const began = yield* Deferred.make<void>()
  const released: Array<string> = []
  const tool = Tool.fn("hang", { description: "Never answers" }, () =>
    Deferred.succeed(began, undefined).pipe(
      Effect.andThen(Effect.never),
      Effect.onInterrupt(() => Effect.sync(() => released.push("tool")))
    ))
  return { began, released, tool }
})

describe("Agent actor", () => {
  it.effect("answers a prompt, and the next one continues the conversation", () =>
    Effect.gen(function*() {
      const ref = yield* Agent.spawn(poet, { name: "poet" })
      assert.strictEqual((yield* Agent.ask(ref, "A line?")).text, "Roses are red.")
      assert.strictEqual((yield* Agent.ask(ref, "Another?")).text, "Violets are blue.")
      const [, second] = yield* Effect.flatten(Scripted.Requests)
      assert.deepStrictEqual(second!.prompt.content.map(({ role }) => role), ["user", "assistant", "user"])
      assert.strictEqual(ref.path, "/user/poet")
    }).pipe(run(["Roses are red.", "Violets are blue."])))

  it.effect("streams the same run that a prompt answers with", () =>
    Effect.gen(function*() {
      const events = yield* collect(Agent.stream(yield* Agent.spawn(poet), "A line?"))
      assert.deepStrictEqual(tags(events), [
        "RunStarted",
        "TextDelta",
        "TextDelta",
        "TextDelta",
        "TurnFinished",
        "Completed"
      ])
      const response = yield* Agent.ask(yield* Agent.spawn(poet), "A line?")
      assert.deepStrictEqual(response, only(events, "Completed")[0]!.response)
    }).pipe(run(() => "Roses are red.")))

  it.effect("an event is there before the run goes on", () =>
    Effect.gen(function*() {
      const ref = yield* Agent.spawn(poet)
      const events = yield* Queue.unbounded<AgentEvent>()
      yield* Effect.forkChild(Stream.runForEach(Agent.stream(ref, "?"), (event) => Queue.offer(events, event)))
      assert.strictEqual((yield* Queue.take(events))._tag, "RunStarted")
      assert.strictEqual((yield* Queue.take(events))._tag, "TextDelta")
      assert.strictEqual(yield* Queue.size(events), 0)
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Queue.take(events))._tag, "TextDelta")
    }).pipe(run([[Scripted.text("One"), Scripted.delay("1 second"), Scripted.text("two")]])))

  it.effect("tells its conversation and forgets it on a reset", () =>
    Effect.gen(function*() {
      const ref = yield* Agent.spawn(poet)
      yield* Agent.ask(ref, "A line?")
      assert.deepStrictEqual(lines(yield* Agent.transcript(ref)), ["user: A line?", "text: Roses."])
      yield* Agent.reset(ref)
      assert.deepStrictEqual(lines(yield* Agent.transcript(ref)), [])
      yield* Agent.ask(ref, "A line?")
      const [, second] = yield* Effect.flatten(Scripted.Requests)
      assert.strictEqual(second!.prompt.content.length, 1)
    }).pipe(run(() => "Roses.")))

  it.effect("builds its model once an incarnation and releases it when the actor ends", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const model = Layer.provideMerge(
        Scripted.model(() => "Yes."),
        Layer.effectDiscard(Effect.acquireRelease(
          Effect.sync(() => log.push("built")),
          () => Effect.sync(() => log.push("released"))
        ))
      )
      const ref = yield* Agent.spawn(Agent.make("owner", { model }))
      yield* Agent.ask(ref, "1")
      yield* Agent.ask(ref, "2")
      assert.deepStrictEqual(log, ["built"])
      yield* ref.stop
      assert.deepStrictEqual(log, ["built", "released"])
    }).pipe(run([])))

  it.effect("fails to start with what building its model fails with", () =>
    Effect.gen(function*() {
      class NoKey extends Schema.TaggedError<NoKey>()("NoKey", {}) {}
      const model = Layer.effect(LanguageModel.LanguageModel, Effect.fail(new NoKey()))
      const spawn = Agent.spawn(Agent.make("owner", { model }))
      expectTypeOf<Effect.Error<typeof spawn>>().toEqualTypeOf<NoKey | Actor.SpawnError>()
      assert.instanceOf(yield* Effect.flip(spawn), NoKey)
    }).pipe(run([])))

  it.effect("its memory lasts as long as its conversation", () =>
    Effect.gen(function*() {
      const ref = yield* Agent.spawn(Agent.make("short", { memory: Memory.buffer(2) }))
      yield* Agent.ask(ref, "1")
      yield* Agent.ask(ref, "2")
      yield* Agent.ask(ref, "3")
      yield* Agent.reset(ref)
      yield* Agent.ask(ref, "4")
      const requests = yield* Effect.flatten(Scripted.Requests)
      assert.isBelow(requests[2]!.prompt.content.length, 5)
      assert.strictEqual(requests[3]!.prompt.content.length, 1)
    }).pipe(run(() => "Yes.")))

  it.effect("the mailbox decides about a prompt that arrives during a run", () =>
    Effect.gen(function*() {
      const ref = yield* Agent.spawn(poet, { mailbox: Mailbox.bounded(1, "fail") })
      const first = yield* begin(Agent.ask(ref, "1"))
      const second = yield* Effect.forkChild(Agent.ask(ref, "2"), { startImmediately: true })
      const refused = yield* Effect.flip(Agent.ask(ref, "3"))
      assert(refused._tag === "ActorError")
      assert.strictEqual(refused.reason._tag, "MailboxFull")
      yield* pass("1 second")
      yield* pass("1 second")
      assert.strictEqual((yield* Fiber.join(first)).text, "Yes.")
      assert.strictEqual((yield* Fiber.join(second)).text, "Yes.")
    }).pipe(run(() => [Scripted.delay("1 second"), Scripted.text("Yes.")])))

  it.effect("a failed run is a reply: the actor and its conversation go on", () =>
    Effect.gen(function*() {
      const ref = yield* Agent.spawn(poet)
      const error = yield* Effect.flip(Agent.ask(ref, "1"))
      assert(error._tag === "AgentError")
      assert.strictEqual(error.reason._tag, "ModelFailed")
      assert.strictEqual((yield* Agent.ask(ref, "2")).text, "Yes.")
      assert.deepStrictEqual(lines(yield* Agent.transcript(ref)), ["user: 2", "text: Yes."])
    }).pipe(run([Scripted.cut, "Yes."])))

  it.effect("a defect is a crash: the asker is told, and the next incarnation begins a new conversation", () =>
    Effect.gen(function*() {
      const ref = yield* Agent.spawn(poet, {
        supervisor: Supervisor.restart(Supervisor.intensity({ restarts: 5, within: "1 minute" }))
      })
      yield* Agent.ask(ref, "1")
      const error = yield* Effect.flip(Agent.ask(ref, "2"))
      assert(error._tag === "ActorError")
      assert.strictEqual(error.reason._tag, "Crashed")
      assert.strictEqual((yield* Agent.ask(ref, "3")).text, "Yes.")
      assert.deepStrictEqual(lines(yield* Agent.transcript(ref)), ["user: 3", "text: Yes."])
    }).pipe(run(["Yes.", () => {
      throw new Error("boom")
    }, "Yes."])))

  it.effect("answers in a given conversation and leaves its own as it is", () =>
    Effect.gen(function*() {
      const ref = yield* Agent.spawn(poet)
      yield* Agent.ask(ref, "Mine?")
      const history = Transcript.make([Transcript.user("Theirs?")])
      const { transcript } = yield* ref.ask("Prompt", { input: "And?", history })
      assert.deepStrictEqual(lines(transcript), ["user: And?", "text: Yes."])
      assert.deepStrictEqual(lines(yield* Agent.transcript(ref)), ["user: Mine?", "text: Yes."])
      const [, second] = yield* Effect.flatten(Scripted.Requests)
      assert.deepStrictEqual(second!.prompt.content.map(({ role }) => role), ["user", "user"])
    }).pipe(run(() => "Yes.")))

  it.effect("speaks in the place of another run when told to, for its text only", () =>
    Effect.gen(function*() {
      const ref = yield* Agent.spawn(Agent.make("worker", { tools: [weather] }))
      const events = yield* collect(ref.stream("Run", { input: "Weather?", as: { run: "team-run", agent: "team" } }))
      assert.deepStrictEqual(only(events, "TextDelta").map(({ run }) => run), ["team-run"])
      assert.deepStrictEqual(events.map(({ _tag, agent }) => [_tag, agent]), [
        ["RunStarted", "worker"],
        ["ToolCall", "worker"],
        ["ToolResult", "worker"],
        ["TurnFinished", "worker"],
        ["TextDelta", "team"],
        ["TurnFinished", "worker"],
        ["Completed", "worker"]
      ])
    }).pipe(run([Scripted.toolCall("get_weather", { city: "Lagos" }), "Warm."])))

  it.effect("gives a value of a schema, after one repair", () =>
    Effect.gen(function*() {
      const ref = yield* Agent.spawn(Agent.make("reader"))
      const person = yield* Agent.object(ref, "Ada is 36.", Schema.Struct({ name: Schema.String, age: Schema.Int }))
      assert.deepStrictEqual(person, { name: "Ada", age: 36 })
      const [, second] = yield* Effect.flatten(Scripted.Requests)
      assert.include(JSON.stringify(second!.prompt.content.at(-1)), "does not fit")
    }).pipe(run([
      Scripted.toolCall("final_answer", { name: "Ada" }),
      Scripted.toolCall("final_answer", { name: "Ada", age: 36 })
    ])))

  it("its messages and their answers cross a process border as JSON", () => {
    const roundTrip = <S extends Schema.Codec<unknown, unknown>>(schema: S, value: S["Type"]) => {
      const codec = Schema.toCodecJson(schema)
      return Schema.decodeUnknownSync(codec)(JSON.parse(JSON.stringify(Schema.encodeSync(codec)(value))))
    }
    const bytes = new Uint8Array([1, 2, 255])
    const input = [Prompt.textPart({ text: "Look" }), Prompt.filePart({ mediaType: "image/png", data: bytes })]
    const history = Transcript.make([Transcript.user("Before")])
    const as = { run: "1", agent: "team", parent: { run: "0", call: "call_1" } }
    const parent = { run: "1", path: "team/a" }
    const output = { jsonSchema: { type: "object" } }
    const request = roundTrip(Agent.Request, { input, history, parent, as, output })
    assert.deepStrictEqual(request.history?.entries, history.entries)
    assert.deepStrictEqual(request.as, as)
    assert.deepStrictEqual(request.parent, parent)
    assert.deepStrictEqual(request.input, input)
    const actorError = new Actor.ActorError({ actor: "/user/a", tag: "Run", reason: { _tag: "Stopped" } })
    const error = new AgentError({ agent: "a", reason: new MemberFailed({ error: actorError }), transcript: history })
    assert.strictEqual(roundTrip(AgentError, error).message, "agent a: Run to /user/a: the actor has stopped")
    const place = { run: "2", agent: "a", parent: { run: "1" } }
    const sent: ReadonlyArray<AgentEvent> = [
      { ...place, _tag: "RunStarted" },
      { ...place, _tag: "TextDelta", id: "2-1", delta: "x", metadata: { provider: { signature: "s" } } },
      { ...place, _tag: "File", mediaType: "image/png", data: bytes },
      { ...place, _tag: "Source", id: "1", sourceType: "url", title: "Home", url: "https://example.com/" },
      { ...place, _tag: "ApprovalDecided", approval: "1", id: "2", name: "pay", decision: { _tag: "Approved" } }
    ]
    for (const event of sent) assert.deepStrictEqual(roundTrip(AgentEvent, event), event)
  })

  it("what it requires and fails with is in the types", () => {
    class Db extends Context.Service<Db, { readonly get: Effect.Effect<string> }>()("Db") {}
    const query = Tool.fn(
      "query",
      { description: "", success: Schema.String },
      () => Effect.flatMap(Db, ({ get }) => get)
    )
    const spawn = Agent.spawn(Agent.make("a", { tools: [query] }))
    expectTypeOf<Effect.Services<typeof spawn>>().toEqualTypeOf<
      Db | LanguageModel.LanguageModel | ActorSystem.ActorSystem
    >()
    const behavior = Agent.behavior(Agent.make("b", { model: Scripted.model([]) }))
    expectTypeOf(behavior).toEqualTypeOf<Agent.AgentBehavior<never, never>>()
    expectTypeOf<Agent.LocalAgentRef>().toExtend<Agent.AgentRef>()
    expectTypeOf<Effect.Success<typeof spawn>>().toEqualTypeOf<Agent.LocalAgentRef>()
  })
})

describe("Interrupting an agent actor", () => {
  it.effect("in the mailbox: the model is never asked", () =>
    Effect.gen(function*() {
      const ref = yield* Agent.spawn(poet)
      const first = yield* Effect.forkChild(Agent.ask(ref, "1"), { startImmediately: true })
      yield* Effect.yieldNow
      const second = yield* Effect.forkChild(Agent.ask(ref, "2"), { startImmediately: true })
      yield* Fiber.interrupt(second)
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(first)
      assert.strictEqual((yield* Effect.flatten(Scripted.Requests)).length, 1)
      assert.deepStrictEqual(lines(yield* Agent.transcript(ref)), ["user: 1", "text: Yes."])
    }).pipe(run(() => [Scripted.delay("1 second"), Scripted.text("Yes.")])))

  it.effect("before the model's first word: the prompt stays, and the next one is answered", () =>
    Effect.gen(function*() {
      const ref = yield* Agent.spawn(poet)
      const asker = yield* begin(Agent.ask(ref, "1"))
      yield* Fiber.interrupt(asker)
      assert.strictEqual((yield* Agent.ask(ref, "2")).text, "Yes.")
      assert.deepStrictEqual(lines(yield* Agent.transcript(ref)), ["user: 1", "user: 2", "text: Yes."])
    }).pipe(run([Scripted.delay("1 hour"), "Yes."])))

  it.effect("in mid-stream: what was said stays, the model's stream is released", () =>
    Effect.gen(function*() {
      let released = 0
      const model = yield* LanguageModel.LanguageModel
      const watched = LanguageModel.LanguageModel.of({
        ...model,
        streamText: ((options: Parameters<typeof model.streamText>[0]) =>
          Stream.ensuring(
            model.streamText(options),
            Effect.sync(() => released++)
          )) as typeof model.streamText
      })
      const ref = yield* Effect.provideService(Agent.spawn(poet), LanguageModel.LanguageModel, watched)
      const said = yield* Stream.runCollect(Stream.take(Agent.stream(ref, "1"), 2))
      assert.deepStrictEqual(tags(said), ["RunStarted", "TextDelta"])
      assert.strictEqual(released, 1)
      assert.strictEqual((yield* Agent.ask(ref, "2")).text, "Yes.")
      assert.deepStrictEqual(lines(yield* Agent.transcript(ref)), ["user: 1", "text: Half", "user: 2", "text: Yes."])
    }).pipe(run([[Scripted.text("Half"), Scripted.delay("1 hour"), Scripted.text(" done")], "Yes."])))

  it.effect("in a tool: its finalizer has run, and its call is answered in the transcript", () =>
    Effect.gen(function*() {
      const { began, released, tool } = yield* makeHang
      const ref = yield* Agent.spawn(Agent.make("assistant", { tools: [tool] }))
      const asker = yield* Effect.forkChild(Agent.ask(ref, "1"))
      yield* Deferred.await(began)
      yield* Fiber.interrupt(asker)
      assert.deepStrictEqual(released, ["tool"])
      assert.strictEqual((yield* Agent.ask(ref, "2")).text, "Yes.")
      assert.deepStrictEqual(lines(yield* Agent.transcript(ref)), [
        "user: 1",
        "hang failed \"Interrupted before the tool answered\"",
        "user: 2",
        "text: Yes."
      ])
    }).pipe(run([Scripted.toolCall("hang", {}), "Yes."])))

  it.effect("three agents deep: the innermost tool is released before the asker goes on", () =>
    Effect.gen(function*() {
      const { began, released, tool } = yield* makeHang
      const inner = yield* Agent.spawn(Agent.make("inner", { tools: [tool] }))
      const middle = yield* Agent.spawn(Agent.make("middle", {
        tools: [Tool.fromAgent(inner, { name: "ask_inner", description: "" })]
      }))
      const outer = yield* Agent.spawn(Agent.make("outer", {
        tools: [Tool.fromAgent(middle, { name: "ask_middle", description: "" })]
      }))
      const asker = yield* Effect.forkChild(Agent.ask(outer, "1"))
      yield* Deferred.await(began)
      yield* Fiber.interrupt(asker)
      assert.deepStrictEqual(released, ["tool"])
      assert.include(
        lines(yield* Agent.transcript(middle)),
        "ask_inner failed \"Interrupted before the tool answered\""
      )
      assert.strictEqual((yield* Agent.ask(outer, "2")).text, "Yes.")
    }).pipe(run([
      Scripted.toolCall("ask_middle", { prompt: "m" }),
      Scripted.toolCall("ask_inner", { prompt: "i" }),
      Scripted.toolCall("hang", {}),
      "Yes."
    ])))

  it.effect("not by stopping the actor: the run that is under way ends first, however long it takes", () =>
    Effect.gen(function*() {
      const ref = yield* Agent.spawn(poet)
      const asker = yield* begin(Agent.ask(ref, "1"))
      const stop = yield* begin(ref.stop)
      yield* pass("59 minutes")
      assert.isUndefined(stop.pollUnsafe())
      yield* pass("1 minute")
      assert.isDefined(stop.pollUnsafe())
      assert.strictEqual((yield* Fiber.join(asker)).text, "Yes.")
    }).pipe(run([[Scripted.delay("1 hour"), Scripted.text("Yes.")]])))

  it.effect("by killing the actor: its tool is released, and its asker gets Stopped", () =>
    Effect.gen(function*() {
      const { began, released, tool } = yield* makeHang
      const ref = yield* Agent.spawn(Agent.make("assistant", { tools: [tool] }))
      const asker = yield* begin(outcome(Agent.ask(ref, "1")))
      yield* Deferred.await(began)
      assert.isDefined(yield* settle(ref.kill))
      assert.deepStrictEqual(released, ["tool"])
      assert.deepStrictEqual(asker.pollUnsafe(), Exit.succeed("Stopped"))
    }).pipe(run([Scripted.toolCall("hang", {})])))

  it.effect("by the release of its system, at the shutdownTimeout", () =>
    Effect.gen(function*() {
      const { began, released, tool } = yield* makeHang
      const { release, system } = yield* makeSystem({ shutdownTimeout: "20 seconds" })
      const ref = yield* Effect.provide(Agent.spawn(Agent.make("assistant", { tools: [tool] })), system)
      const asker = yield* begin(outcome(Agent.ask(ref, "1")))
      yield* Deferred.await(began)
      const releasing = yield* begin(release)
      yield* pass("19 seconds")
      assert.deepStrictEqual(released, [])
      yield* pass("1 second")
      assert.deepStrictEqual(released, ["tool"])
      assert.isDefined(releasing.pollUnsafe())
      assert.deepStrictEqual(asker.pollUnsafe(), Exit.succeed("Stopped"))
    }).pipe(Effect.provide(Scripted.model([Scripted.toolCall("hang", {})]))))
})
