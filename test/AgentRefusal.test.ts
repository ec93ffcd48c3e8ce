/** What a model refuses to read does not stay in a conversation; and how a conversation is set. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Ref, Schema } from "effect"
import { AiError, LanguageModel, Prompt } from "effect/ai"
import { TestClock } from "effect/testing"
import * as Actor from "../src/Actor.ts"
import * as ActorSystem from "../src/ActorSystem.ts"
import * as Agent from "../src/Agent.ts"
import type { AgentError } from "../src/AgentError.ts"
import * as AiSdk from "../src/Llm/AiSdk.ts"
import * as Scripted from "../src/Llm/Scripted.ts"
import * as Memory from "../src/Memory.ts"
import * as Recover from "../src/Recover.ts"
import * as Team from "../src/Team.ts"
import type * as Tool from "../src/Tool.ts"
import * as Transcript from "../src/Transcript.ts"
import { collect, lines, weather } from "./fixtures/agents.ts"
import { actor, play, questions } from "./fixtures/teams.ts"

const policy = Scripted.fail(new AiError.ContentPolicyError({ description: "not that" }))

const invalid = Scripted.fail(new AiError.InvalidRequestError({ description: "no" }))

const tooLong = Scripted.fail(
  new AiError.InvalidRequestError({ parameter: "prompt", constraint: "exceeds the model's context window" })
)

const lagos = Scripted.toolCall("get_weather", { city: "Lagos" })

const run =
  (script: Parameters<typeof Scripted.model>[0]) =>
  <A, E>(effect: Effect.Effect<A, E, ActorSystem.ActorSystem | LanguageModel.LanguageModel | Scripted.Requests>) =>
    Effect.provide(effect, Layer.merge(Scripted.model(script), ActorSystem.layer({ name: "test" })))

const failed = <A, R>(effect: Effect.Effect<A, AgentError | Actor.ActorError, R>) =>
  Effect.map(Effect.flip(effect), (error) => {
    assert(error._tag === "AgentError")
    return error
  })

/** The conversations that the model was sent. */
const sent = Effect.map(Effect.flatten(Scripted.Requests), (requests) => requests.map(Scripted.lines))

/** Without a memory, and with one. */
const memories = { "a conversation": {}, "a memory": { memory: Memory.buffer(10) } }

describe("A prompt", () => {
  const failures = {
    "a content policy forbids": policy,
    "is an invalid request": invalid,
    "is too long": tooLong,
    "nobody could read": Scripted.fail(new AiError.InternalProviderError({ description: "overloaded" })),
    "got an answer that ends before it begins": Scripted.cut
  }
  for (const [name, failure] of Object.entries(failures)) {
    for (const [where, options] of Object.entries(memories)) {
      it.effect(`that ${name} is taken out of ${where}, and the error has it`, () =>
        Effect.gen(function*() {
          const ref = yield* Agent.spawn(Agent.make("assistant", options))
          yield* Agent.ask(ref, "1")
          const error = yield* failed(Agent.ask(ref, "2"))
          assert.deepStrictEqual(lines(error.transcript), ["user: 2"])
          yield* Agent.ask(ref, "3")
          const told = ["user: 1", "text: One.", "user: 3", "text: Three."]
          assert.deepStrictEqual(lines(yield* Agent.transcript(ref)), told)
          assert.deepStrictEqual((yield* sent)[2], ["user: 1", "assistant: One.", "user: 3"])
        }).pipe(run(["One.", failure, "Three."])))
    }
  }

  it.effect("that took too long before the first word is taken out", () =>
    Effect.gen(function*() {
      const transcript = yield* Ref.make(Transcript.empty)
      const agent = Agent.make("assistant", { maxDuration: "1 second" })
      const running = yield* Effect.forkChild(Effect.flip(collect(Agent.run(agent, "Hi", { transcript }))))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(lines((yield* Fiber.join(running)).transcript), ["user: Hi"])
      assert.deepStrictEqual(lines(yield* Ref.get(transcript)), [])
    }).pipe(run([[Scripted.delay("1 hour")]])))

  it.effect("stays when the model began to answer, whatever ended the answer", () =>
    Effect.gen(function*() {
      const ref = yield* Agent.spawn(Agent.make("assistant"))
      yield* failed(Agent.ask(ref, "1"))
      assert.deepStrictEqual(lines(yield* Agent.transcript(ref)), ["user: 1", "text: It is"])
    }).pipe(run([[Scripted.text("It is"), policy]])))

  it.effect("is taken out when another attempt is refused, though the first one began to answer", () =>
    Effect.gen(function*() {
      const other = Scripted.model([policy])
      const ref = yield* Agent.spawn(Agent.make("assistant", { recover: () => Recover.withModel(other) }))
      yield* failed(Agent.ask(ref, "1"))
      assert.deepStrictEqual(lines(yield* Agent.transcript(ref)), [])
    }).pipe(run([[Scripted.text("It is"), Scripted.cut]])))

  it.effect("is taken out when a model can't be built in the middle of a run, and the error has it", () =>
    Effect.gen(function*() {
      const broken = Layer.effect(LanguageModel.LanguageModel, Effect.fail("no key"))
      const ref = yield* Agent.spawn(Agent.make("assistant", { recover: () => Recover.withModel(broken) }))
      const error = yield* failed(Agent.ask(ref, "1"))
      assert.include(error.message, "no key")
      assert.deepStrictEqual(lines(error.transcript), ["user: 1"])
      assert.deepStrictEqual(lines(yield* Agent.transcript(ref)), [])
    }).pipe(run([Scripted.cut])))

  it.effect("that makes a conversation too long goes to recover before anything is taken out", () =>
    Effect.gen(function*() {
      const agent = Agent.make("assistant", {
        recover: (reason) =>
          reason._tag === "ModelFailed" && AiSdk.isContextTooLong(reason.error)
            ? Recover.compact(({ entries }) => Effect.succeed(Transcript.make(entries.slice(-1))))
            : Recover.fail
      })
      const ref = yield* Agent.spawn(agent)
      yield* Agent.ask(ref, "1")
      assert.strictEqual((yield* Agent.ask(ref, "2")).text, "Two.")
      assert.deepStrictEqual((yield* sent)[2], ["user: 2"])
      assert.strictEqual((yield* Agent.transcript(ref)).length, 4)
    }).pipe(run(["One.", tooLong, "Two."])))
})

describe("A tool's result", () => {
  for (const [where, options] of Object.entries(memories)) {
    it.effect(`that the model refused is replaced in ${where} by a text that says so`, () =>
      Effect.gen(function*() {
        const ref = yield* Agent.spawn(Agent.make("assistant", { ...options, tools: [weather] }))
        const error = yield* failed(Agent.ask(ref, "Weather?"))
        const left = "get_weather failed \"This result is left out: the model refused it (content policy)\""
        assert.deepStrictEqual(lines(error.transcript), ["user: Weather?", left])
        yield* Agent.ask(ref, "And now?")
        assert.deepStrictEqual((yield* sent)[2], [
          "user: Weather?",
          "calls get_weather({\"city\":\"Lagos\"})",
          left.replace("failed", "failed with"),
          "user: And now?"
        ])
        assert.deepStrictEqual(lines(yield* Agent.transcript(ref)).at(-1), "text: Warm.")
      }).pipe(run([lagos, policy, "Warm."])))
  }

  it.effect("that is too long for the model is replaced with its files, after recover had no help", () =>
    Effect.gen(function*() {
      const reasons: Array<string> = []
      const file = Prompt.filePart({ mediaType: "image/png", data: "AAAA" })
      const look: Tool.Tool<string> = {
        ...weather,
        handle: () => Effect.succeed<Tool.Outcome>({ result: "seen", isFailure: false, modelOutput: [file] })
      }
      const agent = Agent.make("assistant", {
        tools: [look],
        recover: (reason) => {
          reasons.push(reason._tag)
          return Recover.fail
        }
      })
      const transcript = yield* Ref.make(Transcript.empty)
      yield* Effect.flip(collect(Agent.run(agent, "Look.", { transcript })))
      const use = (yield* Ref.get(transcript)).entries[1]!.content[0]!
      assert(use.type === "tool-use")
      assert.include(String(use.result), "exceeds the model's context window")
      assert.notProperty(use, "modelOutput")
      assert.deepStrictEqual(reasons, ["ModelFailed"])
    }).pipe(run([lagos, tooLong])))

  it.effect("stays when the model failed otherwise, or had begun to answer to it", () =>
    Effect.gen(function*() {
      for (let round = 0; round < 2; round++) {
        const ref = yield* Agent.spawn(Agent.make("assistant", { tools: [weather] }))
        yield* failed(Agent.ask(ref, "Weather?"))
        assert.include(lines(yield* Agent.transcript(ref)), "get_weather gave \"18 C in Lagos\"")
      }
    }).pipe(run([
      lagos,
      Scripted.fail(new AiError.InternalProviderError({ description: "overloaded" })),
      lagos,
      [Scripted.text("It is"), policy]
    ])))
})

describe("A team's prompt", () => {
  it.effect("that a member's model refused is in neither conversation, and the error has it", () =>
    Effect.gen(function*() {
      const member = yield* Agent.spawn(actor("a"))
      const ref = yield* Actor.spawn(Team.router("desk", { member }, { key: () => "a" }))
      const error = yield* failed(Agent.ask(ref, "Bad"))
      assert.deepStrictEqual(lines(error.transcript), ["user: Bad"])
      for (const conversation of [ref, member]) {
        assert.deepStrictEqual(lines(yield* Agent.transcript(conversation)), [])
      }
      yield* Agent.ask(ref, "Good")
      assert.deepStrictEqual(lines(yield* Agent.transcript(ref)), ["user: Good", "text: Fine."])
    }).pipe(play({ a: [policy, "Fine."] })))

  it.effect("stays when members have answered, and a handover that was refused does not", () =>
    Effect.gen(function*() {
      const ref = yield* Actor.spawn(Team.handoff("support", { a: actor("a"), b: actor("b") }))
      yield* failed(Agent.ask(ref, "Help"))
      const conversation = lines(yield* Agent.transcript(ref))
      assert.deepStrictEqual(conversation, ["user: Help", "handoff gave \"b has the conversation now\""])
      assert.strictEqual((yield* Agent.ask(ref, "Well?")).text, "Fine.")
      assert.deepStrictEqual(yield* questions, ["a: Help", "b: a has handed over to you: do it", "b: Well?"])
    }).pipe(play({ a: [Scripted.toolCall("handoff", { to: "b", message: "do it" })], b: [policy, "Fine."] })))

  it.effect("stays when its user interrupts it", () =>
    Effect.gen(function*() {
      const ref = yield* Actor.spawn(Team.pipeline("line", [actor("a")]))
      const asking = yield* Effect.forkChild(Agent.ask(ref, "Go"), { startImmediately: true })
      yield* TestClock.adjust("1 second")
      yield* Fiber.interrupt(asking)
      assert.deepStrictEqual(lines(yield* Agent.transcript(ref)), ["user: Go"])
    }).pipe(play({ a: [Scripted.delay("1 hour")] })))
})

describe("Agent.restore", () => {
  const before = Transcript.make([
    Transcript.user("1"),
    { _tag: "Answer", agent: "assistant", content: [Prompt.textPart({ text: "One." })] }
  ])

  for (const [where, options] of Object.entries(memories)) {
    it.effect(`sets ${where}: the next prompt continues it`, () =>
      Effect.gen(function*() {
        const ref = yield* Agent.spawn(Agent.make("assistant", options))
        yield* Agent.ask(ref, "Forget this")
        yield* Agent.restore(ref, before)
        assert.deepStrictEqual(lines(yield* Agent.transcript(ref)), ["user: 1", "text: One."])
        yield* Agent.ask(ref, "2")
        assert.deepStrictEqual((yield* sent)[1], ["user: 1", "assistant: One.", "user: 2"])
      }).pipe(run(() => "Yes.")))
  }

  it.effect("regenerates the last answer", () =>
    Effect.gen(function*() {
      const ref = yield* Agent.spawn(Agent.make("assistant"))
      yield* Agent.ask(ref, "1")
      yield* Agent.ask(ref, "2")
      const { entries } = yield* Agent.transcript(ref)
      yield* Agent.restore(ref, Transcript.make(entries.slice(0, -2)))
      yield* Agent.ask(ref, "2")
      assert.deepStrictEqual(lines(yield* Agent.transcript(ref)), ["user: 1", "text: a", "user: 2", "text: c"])
      assert.deepStrictEqual((yield* sent)[2], (yield* sent)[1])
    }).pipe(run(["a", "b", "c"])))

  it.effect("waits for the run that is under way", () =>
    Effect.gen(function*() {
      const ref = yield* Agent.spawn(Agent.make("assistant"))
      const asking = yield* Effect.forkChild(Agent.ask(ref, "Slow"), { startImmediately: true })
      const restoring = yield* Effect.forkChild(Agent.restore(ref, before), { startImmediately: true })
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(asking)
      yield* Fiber.join(restoring)
      assert.deepStrictEqual(lines(yield* Agent.transcript(ref)), ["user: 1", "text: One."])
    }).pipe(run([[Scripted.delay("1 second"), Scripted.text("Yes.")]])))

  it.effect("sets the conversation of a team and of the members that it started, however deep", () =>
    Effect.gen(function*() {
      const own = yield* Agent.spawn(actor("own"))
      const inner = Team.broadcast("inner", [actor("a"), own])
      const ref = yield* Actor.spawn(Team.pipeline("outer", [inner]))
      yield* Agent.ask(ref, "Old")
      yield* Agent.restore(ref, before)
      yield* Agent.ask(ref, "New")
      assert.deepStrictEqual(lines(yield* Agent.transcript(ref)).slice(0, 3), ["user: 1", "text: One.", "user: New"])
      const requests = (yield* Effect.flatten(Scripted.Requests)).map(Scripted.lines)
      const ofA = requests.findLast(([system]) => system === "system: a")
      assert.deepStrictEqual(ofA?.slice(1), ["user: 1", "assistant: One.", "user: New"])
      const ofOwn = requests.findLast(([system]) => system === "system: own")
      assert.deepStrictEqual(ofOwn?.slice(1, 2), ["user: Old"])
    }).pipe(play({ a: () => "a", own: () => "own" })))

  it.effect("bounds calls that are nested deeper than any agent allows", () =>
    Effect.gen(function*() {
      let deep: unknown = 1
      for (let level = 0; level < 4000; level++) deep = [deep]
      const use = {
        type: "tool-use" as const,
        id: "1",
        name: "get",
        params: {},
        result: "fine",
        isFailure: false,
        providerExecuted: false,
        options: {},
        resultOptions: {}
      }
      const content = [use, { ...use, params: { deep } }, { ...use, result: deep }]
      const ref = yield* Agent.spawn(Agent.make("assistant"))
      yield* Agent.restore(
        ref,
        Transcript.make([Transcript.user("1"), { _tag: "Answer", agent: "assistant", content }])
      )
      assert.deepStrictEqual(lines(yield* Agent.transcript(ref)), [
        "user: 1",
        "get gave \"fine\"",
        "get failed \"Not run: the arguments are nested deeper than 1000 levels\"",
        "get failed \"The tool answered with a result that is nested deeper than 1000 levels\""
      ])
    }).pipe(run([])))

  it.effect("gives a handoff team its conversation back, and control to who had it", () =>
    Effect.gen(function*() {
      const make = Actor.spawn(Team.handoff("support", { a: actor("a"), b: actor("b") }))
      const first = yield* make
      yield* Agent.ask(first, "Help")
      const stored = JSON.stringify(
        Schema.encodeSync(Schema.toCodecJson(Transcript.Transcript))(yield* Agent.transcript(first))
      )
      const second = yield* make
      yield* Agent.restore(
        second,
        Schema.decodeUnknownSync(Schema.toCodecJson(Transcript.Transcript))(JSON.parse(stored))
      )
      yield* Agent.ask(second, "And?")
      assert.strictEqual((yield* questions).at(-1), "b: And?")
    }).pipe(play({ a: [Scripted.toolCall("handoff", { to: "b", message: "do it" })], b: () => "Done." })))
})
