import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Ref, Stream } from "effect"
import { Prompt } from "effect/ai"
import { TestClock } from "effect/testing"
import * as ActorSystem from "../src/ActorSystem.ts"
import * as Agent from "../src/Agent.ts"
import type { AgentEvent } from "../src/AgentEvent.ts"
import * as Guardrail from "../src/Guardrail.ts"
import * as Scripted from "../src/Llm/Scripted.ts"
import * as Tool from "../src/Tool.ts"
import * as Transcript from "../src/Transcript.ts"
import { collect, lines, only, results, weather } from "./fixtures/agents.ts"
import { refused } from "./fixtures/badOptions.ts"

const lagos = Scripted.toolCall("get_weather", { city: "Lagos" })

const requests = Effect.flatten(Scripted.Requests)

describe("Guardrail", () => {
  const noCards = Guardrail.output(
    "no cards",
    (text) => Effect.succeed(Guardrail.replace(text.replace(/\d{4}/g, "####")))
  )

  it.effect("an input guardrail trips before any request, or replaces the prompt", () =>
    Effect.gen(function*() {
      const polite = Guardrail.input("polite", ([part]) =>
        Effect.succeed(
          part?.type === "text" && part.text === "rude" ? Guardrail.trip("say please") : Guardrail.replace([
            ...Transcript.user("Please!").content
          ])
        ))
      const agent = Agent.make("assistant", { guardrails: [polite] })
      const error = yield* Effect.flip(collect(Agent.run(agent, "rude")))
      assert.include(error.message, "guardrail polite tripped: say please")
      assert.deepStrictEqual(yield* requests, [])
      const response = yield* Agent.response(Agent.run(agent, "Hi"))
      assert.deepStrictEqual(lines(response.transcript), ["user: Please!", "text: Sure."])
    }).pipe(Effect.provide(Scripted.model(["Sure."]))))

  it.effect("an output guardrail sees the text before anybody else", () =>
    Effect.gen(function*() {
      const agent = Agent.make("assistant", { guardrails: [noCards] })
      const events = yield* collect(Agent.run(agent, "Card?"))
      assert.deepStrictEqual(only(events, "TextDelta").map(({ delta }) => delta), ["It is #### in all."])
      const { response } = only(events, "Completed")[0]!
      assert.strictEqual(response.text, "It is #### in all.")
      assert.deepStrictEqual(lines(response.transcript), ["user: Card?", "text: It is #### in all."])
    }).pipe(Effect.provide(Scripted.model(["It is 1234 in all."]))))

  it.effect("what trips an output guardrail is neither said nor remembered", () =>
    Effect.gen(function*() {
      const secret = Guardrail.output("secrets", () => Effect.succeed(Guardrail.trip("a secret")))
      const transcript = yield* Ref.make(Transcript.empty)
      const agent = Agent.make("assistant", { guardrails: [secret] })
      const error = yield* Effect.flip(collect(Agent.run(agent, "Tell.", { transcript })))
      assert.strictEqual(error.reason._tag, "GuardrailTripped")
      assert.notInclude(JSON.stringify(error), "hunter2")
      assert.deepStrictEqual(lines(yield* Ref.get(transcript)), ["user: Tell."])
    }).pipe(Effect.provide(Scripted.model(["It is hunter2."]))))

  it.effect("text that no output guardrail has seen is not remembered, however the turn ends", () =>
    Effect.gen(function*() {
      const seen: Array<string> = []
      const watch = Guardrail.output("watch", (text) => {
        seen.push(text)
        return Effect.succeed(Guardrail.pass)
      })
      const transcript = yield* Ref.make(Transcript.empty)
      const agent = Agent.make("assistant", { guardrails: [watch] })
      const error = yield* Effect.flip(collect(Agent.run(agent, "1", { transcript })))
      assert.strictEqual(error.reason._tag, "ModelFailed")
      const fiber = yield* Effect.forkChild(collect(Agent.run(agent, "2", { transcript })))
      yield* TestClock.adjust("1 second")
      yield* Fiber.interrupt(fiber)
      yield* collect(Agent.run(agent, "3", { transcript }))
      assert.deepStrictEqual(lines(error.transcript), ["user: 1"])
      assert.deepStrictEqual(lines(yield* Ref.get(transcript)), ["user: 1", "user: 2", "user: 3", "text: Fine."])
      assert.deepStrictEqual(seen, ["Fine."])
    }).pipe(Effect.provide(Scripted.model([
      [Scripted.text("It is hunt"), Scripted.cut],
      [Scripted.text("It is hunt"), Scripted.delay("1 hour")],
      "Fine."
    ]))))

  it.effect("an answer that a handoff gives passes by the output guardrails of the agent that it is given for", () =>
    Effect.gen(function*() {
      const card = Guardrail.output(
        "card",
        (text) =>
          Effect.succeed(text.includes("no") ? Guardrail.trip("no") : Guardrail.replace(text.replaceAll(/\d/g, "#")))
      )
      const billing = yield* Agent.spawn(
        Agent.make("billing", { model: Scripted.model(["It is 1234.", "It is no 1234."]) })
      )
      const agent = Agent.make("assistant", {
        tools: [Tool.handoff(billing, { name: "to_billing", description: "" })],
        guardrails: [card]
      })
      const events = yield* collect(Agent.run(agent, "Card?"))
      assert.deepStrictEqual(only(events, "TextDelta").map(({ agent, delta, run }) => [run, agent, delta]), [
        [events[0]!.run, "assistant", "It is ####."]
      ])
      assert.strictEqual(only(events, "Completed")[0]!.response.text, "It is ####.")
      const error = yield* Effect.flip(collect(Agent.run(agent, "Card?")))
      assert.strictEqual(error.reason._tag, "GuardrailTripped")
      assert.notInclude(JSON.stringify([events, error]), "1234")
    }).pipe(Effect.provide([
      Scripted.model(() => Scripted.toolCall("to_billing", { message: "?" })),
      ActorSystem.layer({ name: "test" })
    ])))

  it.effect("a tool call guardrail changes arguments, or trips before the tool runs", () =>
    Effect.gen(function*() {
      const europe = Guardrail.toolCall("europe", ({ params }) =>
        Effect.succeed(
          JSON.stringify(params).includes("Mars") ? Guardrail.trip("too far") : Guardrail.replace({ city: "Rome" })
        ))
      const agent = Agent.make("assistant", { tools: [weather], guardrails: [europe] })
      const error = yield* Effect.flip(collect(Agent.run(agent, "Weather?")))
      assert(error.reason._tag === "GuardrailTripped")
      assert.strictEqual(error.reason.on, "toolCall")
      const entry = error.transcript.entries[1]!
      const use = entry.content[0]!
      assert(use.type === "tool-use")
      assert.deepStrictEqual([use.params, use.result], [{ city: "Rome" }, "18 C in Rome"])
    }).pipe(Effect.provide(Scripted.model([lagos, Scripted.toolCall("get_weather", { city: "Mars" })]))))

  it.effect("a tool result guardrail sees each result before the model and the reader, and may replace it", () =>
    Effect.gen(function*() {
      const seen: Array<Guardrail.CallResult> = []
      const noOrders = Guardrail.toolResult("no orders", (result) => {
        seen.push(result)
        return Effect.succeed(
          String(result.result).includes("orders") ? Guardrail.replace("left out") : Guardrail.pass
        )
      })
      const page: Tool.Tool<string> = {
        ...weather,
        handle: () =>
          Effect.succeed<Tool.Outcome>({
            result: "orders",
            isFailure: false,
            modelOutput: [Prompt.textPart({ text: "orders" })]
          })
      }
      const failing = Tool.fn("fail", { description: "" }, () => Effect.fail("no"))
      const agent = Agent.make("assistant", { tools: [page, failing], guardrails: [noOrders] })
      const events = yield* collect(Agent.run(agent, "Read."))
      assert.sameDeepMembers(results(events), ["left out", "no"])
      assert.sameDeepMembers(seen.map(({ isFailure, name, params }) => [name, params, isFailure]), [
        ["get_weather", { city: "Lagos" }, false],
        ["fail", {}, true]
      ])
      assert.notInclude(JSON.stringify([events, (yield* requests)[1]!.prompt]), "orders")
    }).pipe(Effect.provide(Scripted.model([[lagos, Scripted.toolCall("fail", {})], "Done."]))))

  it.effect("a result that trips a guardrail ends the run and is in no event, error or conversation", () =>
    Effect.gen(function*() {
      const events: Array<AgentEvent> = []
      const secret = Guardrail.toolResult("secrets", () => Effect.succeed(Guardrail.trip("a secret")))
      const transcript = yield* Ref.make(Transcript.empty)
      const agent = Agent.make("assistant", { tools: [weather], guardrails: [secret] })
      const error = yield* Agent.run(agent, "Weather?", { transcript }).pipe(
        Stream.runForEach((event) => Effect.sync(() => events.push(event))),
        Effect.flip
      )
      assert(error.reason._tag === "GuardrailTripped")
      assert.strictEqual(error.reason.on, "toolResult")
      assert.notInclude(JSON.stringify([events, error]), "18 C")
      assert.deepStrictEqual(lines(yield* Ref.get(transcript)), [
        "user: Weather?",
        "get_weather failed \"Left out: guardrail secrets refused the result\""
      ])
    }).pipe(Effect.provide(Scripted.model([lagos]))))

  it.effect("a reasoning guardrail sees the reasoning before anybody else, and may replace it", () =>
    Effect.gen(function*() {
      const digits = Guardrail.reasoning(
        "digits",
        (text) => Effect.succeed(Guardrail.replace(text.replace(/\d+/g, "####")))
      )
      const agent = Agent.make("assistant", { tools: [weather], guardrails: [digits] })
      const events = yield* collect(Agent.run(agent, "Card?"))
      assert.deepStrictEqual(only(events, "ReasoningDelta").map(({ delta, metadata }) => [delta, metadata]), [
        ["It is #### in all.", undefined],
        ["Nothing", undefined],
        [" to", undefined],
        [" hide.", undefined],
        ["", { scripted: { signature: "abc" } }]
      ])
      assert.deepStrictEqual(lines(only(events, "Completed")[0]!.response.transcript), [
        "user: Card?",
        "reasoning: It is #### in all.",
        "get_weather gave \"18 C in Lagos\"",
        "reasoning: Nothing to hide.",
        "text: Done."
      ])
      assert.notInclude(JSON.stringify([events, yield* requests]), "1234")
    }).pipe(Effect.provide(Scripted.model([
      [Scripted.reasoning("It is 1234 in all.", { scripted: { signature: "1234" } }), lagos],
      [Scripted.reasoning("Nothing to hide.", { scripted: { signature: "abc" } }), Scripted.text("Done.")]
    ]))))

  it.effect("reasoning that trips a guardrail, or that none has seen, is neither told nor remembered", () =>
    Effect.gen(function*() {
      const secret = Guardrail.reasoning("secrets", () => Effect.succeed(Guardrail.trip("a secret")))
      const agent = Agent.make("assistant", { guardrails: [secret] })
      for (const reason of ["GuardrailTripped", "ModelFailed"]) {
        const events: Array<AgentEvent> = []
        const error = yield* Agent.run(agent, "Tell.").pipe(
          Stream.runForEach((event) => Effect.sync(() => events.push(event))),
          Effect.flip
        )
        assert.strictEqual(error.reason._tag, reason)
        assert.notInclude(JSON.stringify([events, error]), "hunter2")
      }
    }).pipe(Effect.provide(Scripted.model([
      [Scripted.reasoning("It is hunter2."), Scripted.text("No.")],
      [Scripted.reasoning("It is hunter2."), Scripted.cut]
    ]))))

  it("without a name is refused where it is made", () => {
    const check = () => Effect.succeed(Guardrail.pass)
    refused({
      "Guardrail.input: name must be a text that is not empty, got \"\"": () => Guardrail.input("", check),
      "Guardrail.output: name must be a text that is not empty, got \"\"": () => Guardrail.output("", check),
      "Guardrail.reasoning: name must be a text that is not empty, got \"\"": () => Guardrail.reasoning("", check),
      "Guardrail.toolCall: name must be a text that is not empty, got \"\"": () => Guardrail.toolCall("", check),
      "Guardrail.toolResult: name must be a text that is not empty, got \"\"": () => Guardrail.toolResult("", check)
    })
  })
})
