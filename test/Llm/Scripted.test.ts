import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schema, Stream } from "effect"
import { type AiError, LanguageModel, Prompt } from "effect/ai"
import { TestClock } from "effect/testing"
import * as Agent from "../../src/Agent.ts"
import * as Scripted from "../../src/Llm/Scripted.ts"
import * as Tool from "../../src/Tool.ts"

const ask = (prompt: Prompt.RawInput) => Effect.map(LanguageModel.generateText({ prompt }), ({ text }) => text)

const weather = Tool.fn("get_weather", {
  description: "Current weather in a city",
  parameters: { city: Schema.String },
  success: Schema.String
}, ({ city }) => Effect.succeed(`18 C in ${city}`))

const assistant = Agent.make("assistant", { instructions: "Be brief.", tools: [weather] })

const run = (prompt: string) => Effect.map(Agent.response(Agent.run(assistant, prompt)), ({ text }) => text)

const descriptionOf = (error: AiError.AiError) => {
  assert(error.reason._tag === "InvalidRequestError")
  return error.reason.description ?? ""
}

describe("Scripted", () => {
  it.effect("a list is answered turn by turn, and a request beyond it says what to do", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual([yield* ask("One?"), yield* ask("Two?")], ["One.", "Two."])
      assert.include(descriptionOf(yield* Effect.flip(ask("Three?"))), "the script ended after 2 turns")
    }).pipe(Effect.provide(Scripted.model(["One.", "Two."]))))

  it.effect("a function of the request answers every request", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual([yield* ask("a"), yield* ask("b")], ["user: a", "user: b"])
    }).pipe(Effect.provide(Scripted.model((request) => Scripted.lines(request).at(-1) ?? ""))))

  it.effect("a stream and an answer say the same: text, reasoning, tool calls, usage and reason", () => {
    const turn = [
      Scripted.reasoning("Let me see.", { scripted: { signature: "abc" } }),
      Scripted.text("I look it up."),
      Scripted.toolCall("get_weather", { city: "Lagos" }, "call_7"),
      Scripted.usage(12, 3),
      Scripted.finish("length")
    ]
    return Effect.gen(function*() {
      const bare = { prompt: "?", disableToolCallResolution: true as const, toolCallValidation: "deferred" as const }
      const { content } = yield* LanguageModel.generateText(bare)
      const parts = yield* Stream.runCollect(LanguageModel.streamText(bare))
      const text = (type: "text-delta" | "reasoning-delta") =>
        parts.reduce((all, part) => part.type === type ? all + part.delta : all, "")
      assert.deepStrictEqual(content.map((part) => part.type), ["reasoning", "text", "tool-call", "finish"])
      assert.strictEqual(text("reasoning-delta"), "Let me see.")
      assert.strictEqual(text("text-delta"), "I look it up.")
      assert.deepStrictEqual<ReadonlyArray<unknown>>(parts.slice(-2), content.slice(-2))
      const finish = content.at(-1)!
      assert(finish.type === "finish")
      assert.strictEqual(finish.reason, "length")
      assert.strictEqual(finish.usage.inputTokens.total, 12)
      const reasoning = content[0]!
      assert(reasoning.type === "reasoning")
      assert.deepStrictEqual(reasoning.metadata, { scripted: { signature: "abc" } })
    }).pipe(Effect.provide(Scripted.model([turn, turn])))
  })

  it.effect("delays pass on the clock, between the things that are said", () =>
    Effect.gen(function*() {
      const said: Array<string> = []
      const fiber = yield* LanguageModel.streamText({ prompt: "?" }).pipe(
        Stream.runForEach((part) => Effect.sync(() => part.type === "text-delta" && said.push(part.delta))),
        Effect.forkChild
      )
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(said, ["One"])
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(said, ["One", "two"])
    }).pipe(Effect.provide(
      Scripted.model([[
        Scripted.delay("1 second"),
        Scripted.text("One"),
        Scripted.delay("2 seconds"),
        Scripted.text("two")
      ]])
    )))

  it.effect("two models share neither their place in the script nor their requests", () =>
    Effect.gen(function*() {
      const script = Scripted.model(["One.", "Two."])
      const both = Effect.all([ask("a"), Effect.map(Effect.flatten(Scripted.Requests), (all) => all.length)])
      assert.deepStrictEqual(yield* Effect.provide(both, script), ["One.", 1])
      assert.deepStrictEqual(yield* Effect.provide(both, script), ["One.", 1])
    }))

  describe("matching", () => {
    it.effect("answers by what the last message says, as often as it comes", () =>
      Effect.gen(function*() {
        assert.strictEqual(yield* run("What's the weather in Lagos?"), "18 degrees.")
        assert.strictEqual(yield* run("And the WEATHER there?"), "18 degrees.")
        assert.strictEqual(yield* run("Bye"), "I see 1 tools.")
      }).pipe(Effect.provide(Scripted.model(Scripted.matching([
        [`get_weather gave "18 C in Lagos"`, "18 degrees."],
        [/weather/gi, Scripted.toolCall("get_weather", { city: "Lagos" })],
        [(request) => request.tools.length > 0, (request) => `I see ${request.tools.length} tools.`]
      ])))))

    it.effect("a request that no turn is for fails and says what it was", () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(ask("Tell me a joke."))
        assert.strictEqual(
          descriptionOf(error),
          "no turn of the script is for this request\nuser: Tell me a joke."
        )
      }).pipe(Effect.provide(Scripted.model(Scripted.matching([["weather", "Sunny."]])))))
  })

  describe("expect", () => {
    it.effect("lets through the request that the script expects", () =>
      Effect.gen(function*() {
        assert.strictEqual(yield* run("Weather in Lagos?"), "18 degrees.")
      }).pipe(Effect.provide(Scripted.model([
        Scripted.expect(
          { last: "user: Weather in Lagos?", tools: ["get_weather"], toolChoice: "auto" },
          Scripted.toolCall("get_weather", { city: "Lagos" })
        ),
        Scripted.expect({
          lines: [
            "system: Be brief.",
            "user: Weather in Lagos?",
            `calls get_weather({"city":"Lagos"})`,
            `get_weather gave "18 C in Lagos"`
          ]
        }, () => "18 degrees.")
      ]))))

    it.effect("fails with the difference when the request is another one", () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(ask("Weather in Paris?"))
        assert.strictEqual(
          descriptionOf(error),
          [
            "the request is not what the script expects",
            "--- expected last message",
            "+++ asked last message",
            "@@ -1 +1 @@",
            "-user: Weather in Lagos?",
            "+user: Weather in Paris?",
            "",
            "--- expected tools",
            "+++ asked tools",
            "@@ -1 +0,0 @@",
            "-get_weather",
            ""
          ].join("\n")
        )
      }).pipe(Effect.provide(Scripted.model([
        Scripted.expect({ last: "user: Weather in Lagos?", tools: ["get_weather"] }, "18 degrees.")
      ]))))
  })

  it("a conversation is a line for each thing that was said", () => {
    const prompt = Prompt.make([
      { role: "system", content: "Be brief." },
      {
        role: "user",
        content: [
          { type: "text", text: "What is this?" },
          { type: "file", mediaType: "image/png", data: new Uint8Array([1]) }
        ]
      },
      {
        role: "assistant",
        content: [
          { type: "reasoning", text: "A cat?" },
          { type: "text", text: "I look." },
          { type: "tool-call", id: "1", name: "look", params: { at: "it" }, providerExecuted: false }
        ]
      },
      { role: "tool", content: [{ type: "tool-result", id: "1", name: "look", isFailure: true, result: "dark" }] }
    ])
    assert.deepStrictEqual(Scripted.lines({ prompt, tools: [], toolChoice: "auto" }), [
      "system: Be brief.",
      "user: What is this?",
      "user: [image/png]",
      "thinks: A cat?",
      "assistant: I look.",
      `calls look({"at":"it"})`,
      `look failed with "dark"`
    ])
  })

  it("a step that cannot be throws where it is made", () => {
    const wrong: ReadonlyArray<readonly [() => unknown, string]> = [
      [() => Scripted.toolCall("", {}), "toolCall: name must be a text that is not empty, got \"\""],
      [() => Scripted.usage(-1, 0), "usage: input must be an integer of at least 0, got -1"],
      [() => Scripted.usage(0, 0.5), "usage: output must be an integer of at least 0, got 0.5"],
      [() => Scripted.delay(-5), "delay: duration must be a duration that is not negative, got -5ms"]
    ]
    for (const [make, message] of wrong) assert.throws(make, RangeError, `Scripted.${message}`)
  })
})
