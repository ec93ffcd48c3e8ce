import { assert, describe, expectTypeOf, it } from "@effect/vitest"
import { Context, Effect, Fiber, Layer, Ref, Schedule, Schema, Stream } from "effect"
import { AiError, LanguageModel } from "effect/ai"
import { TestClock } from "effect/testing"
import * as ActorSystem from "../src/ActorSystem.ts"
import * as Agent from "../src/Agent.ts"
import * as Guardrail from "../src/Guardrail.ts"
import * as Scripted from "../src/Llm/Scripted.ts"
import * as Settings from "../src/Llm/Settings.ts"
import * as Memory from "../src/Memory.ts"
import * as Recover from "../src/Recover.ts"
import * as Tool from "../src/Tool.ts"
import * as Transcript from "../src/Transcript.ts"
import { collect, lines, only, results, tags, weather } from "./fixtures/agents.ts"
import { refused } from "./fixtures/badOptions.ts"

const lagos = Scripted.toolCall("get_weather", { city: "Lagos" })

const overloaded = new AiError.InternalProviderError({ description: "overloaded" })

const requests = Effect.flatten(Scripted.Requests)

describe("Agent limits", () => {
  it.effect("with finalAnswer the last turn is asked without tools and answers", () =>
    Effect.gen(function*() {
      const agent = Agent.make("assistant", { tools: [weather], maxTurns: 2, finalAnswer: true })
      const response = yield* Agent.response(Agent.run(agent, "Weather?"))
      assert.strictEqual(response.text, "About 18 degrees.")
      assert.deepStrictEqual((yield* requests).map(({ toolChoice }) => toolChoice), ["auto", "none"])
    }).pipe(Effect.provide(Scripted.model([lagos, "About 18 degrees."]))))

  it.effect("a model that calls tools in the final turn all the same fails the run, and the tools don't run", () =>
    Effect.gen(function*() {
      const agent = Agent.make("assistant", { tools: [weather], maxTurns: 1, finalAnswer: true })
      const error = yield* Effect.flip(collect(Agent.run(agent, "Weather?")))
      assert.strictEqual(error.reason._tag, "MaxTurnsExceeded")
      assert.deepStrictEqual(lines(error.transcript), [
        "user: Weather?",
        "get_weather failed \"Not run: this was the last turn\""
      ])
    }).pipe(Effect.provide(Scripted.model([lagos]))))

  it.effect("calls beyond maxToolCalls are not run and fail the run", () =>
    Effect.gen(function*() {
      const agent = Agent.make("assistant", { tools: [weather], maxToolCalls: 1 })
      const error = yield* Effect.flip(collect(Agent.run(agent, "Weather?")))
      assert(error.reason._tag === "MaxToolCallsExceeded")
      assert.strictEqual(error.reason.maxToolCalls, 1)
      assert.deepStrictEqual(lines(error.transcript), [
        "user: Weather?",
        "get_weather gave \"18 C in Lagos\"",
        "get_weather failed \"Not run: no more than 1 tool calls are allowed\""
      ])
    }).pipe(Effect.provide(Scripted.model([[lagos, lagos]]))))

  it.effect("with finalAnswer a run that is out of tool calls gets one more turn to answer", () =>
    Effect.gen(function*() {
      const agent = Agent.make("assistant", { tools: [weather], maxToolCalls: 1, finalAnswer: true })
      const response = yield* Agent.response(Agent.run(agent, "Weather?"))
      assert.strictEqual(response.text, "18 degrees.")
      assert.strictEqual((yield* requests)[1]!.toolChoice, "none")
    }).pipe(Effect.provide(Scripted.model([[lagos, lagos], "18 degrees."]))))

  it.effect("a run that takes longer than maxDuration is interrupted and keeps what was said", () =>
    Effect.gen(function*() {
      const agent = Agent.make("assistant", { maxDuration: "1 minute" })
      const fiber = yield* Agent.run(agent, "Think.").pipe(Stream.runDrain, Effect.flip, Effect.forkChild)
      yield* TestClock.adjust("1 minute")
      const error = yield* Fiber.join(fiber)
      assert.strictEqual(error.reason._tag, "MaxDurationExceeded")
      assert.deepStrictEqual(lines(error.transcript), ["user: Think.", "text: Well,"])
    }).pipe(Effect.provide(Scripted.model([[Scripted.text("Well,"), Scripted.delay("1 hour"), Scripted.text("no.")]]))))

  it("a bad option is refused where the agent is made, and the field is named", () =>
    refused({
      "Agent.make: name must be a text that is not empty, got \"\"": () => Agent.make(""),
      "Agent.make: maxTurns must be a positive integer, got 0": () => Agent.make("a", { maxTurns: 0 }),
      "Agent.make: maxToolCalls must be an integer of at least 0, got -1": () => Agent.make("a", { maxToolCalls: -1 }),
      "Agent.make: maxDuration must be a duration that is not negative, got -1ms": () =>
        Agent.make("a", { maxDuration: -1 }),
      "Agent.toMcp: name must be 1 to 64 letters, digits, \"_\" or \"-\", got \"the a\"": () =>
        Agent.toMcp(Agent.make("a"), { name: "the a", description: "" })
    }))
})

describe("Agent turns", () => {
  it.effect("prepareTurn chooses tools, tool choice, instructions and model for each turn by the transcript", () =>
    Effect.gen(function*() {
      const agent = Agent.make("assistant", {
        tools: [weather],
        prepareTurn: ({ transcript, turn }) =>
          Effect.succeed(
            turn === 1
              ? { toolChoice: { tool: "get_weather" }, instructions: "Look it up." }
              : {
                tools: [],
                instructions: `After ${transcript.length} entries.`,
                model: Scripted.model(["Other model."])
              }
          )
      })
      const response = yield* Agent.response(Agent.run(agent, "Weather?"))
      assert.strictEqual(response.text, "Other model.")
      const [first, ...more] = yield* requests
      assert.deepStrictEqual(more, [])
      assert.deepStrictEqual(first!.toolChoice, { tool: "get_weather" })
      assert.strictEqual(first!.prompt.content[0]!.content, "Look it up.")
    }).pipe(Effect.provide(Scripted.model([lagos]))))

  it.effect("a turn can be given tools that the agent doesn't have, and only those", () =>
    Effect.gen(function*() {
      const echo = Tool.fn("echo", { description: "", success: Schema.String }, () => Effect.succeed("echoed"))
      const agent = Agent.make("assistant", {
        tools: [weather],
        prepareTurn: () => Effect.succeed({ tools: [echo] })
      })
      const events = yield* collect(Agent.run(agent, "Go."))
      assert.deepStrictEqual(results(events), ["echoed", "There is no tool get_weather. The tools are: echo"])
      assert.deepStrictEqual((yield* requests)[0]!.tools, ["echo"])
    }).pipe(Effect.provide(Scripted.model([[Scripted.toolCall("echo", {}), lagos], "Done."]))))

  it.effect("a turn that is given no tools has the agent's own again", () =>
    Effect.gen(function*() {
      const agent = Agent.make("assistant", {
        tools: [weather],
        prepareTurn: ({ turn }) => Effect.succeed(turn === 1 ? { tools: [] } : {})
      })
      const events = yield* collect(Agent.run(agent, "Weather?"))
      assert.deepStrictEqual(results(events), ["There is no tool get_weather. The tools are: none", "18 C in Lagos"])
      assert.deepStrictEqual((yield* requests).map(({ tools }) => tools), [[], ["get_weather"], ["get_weather"]])
    }).pipe(Effect.provide(Scripted.model([lagos, lagos, "Done."]))))

  it.effect("two tools of one name fail the run before the turn is asked", () =>
    Effect.gen(function*() {
      const agent = Agent.make("assistant", { prepareTurn: () => Effect.succeed({ tools: [weather, weather] }) })
      const error = yield* Effect.flip(collect(Agent.run(agent, "Weather?")))
      assert.strictEqual(error.message, "agent assistant: two tools are called \"get_weather\"")
      assert.deepStrictEqual(yield* requests, [])
    }).pipe(Effect.provide(Scripted.model(["Never said."]))))

  it.effect("settings of the agent and of a turn reach the model's request", () =>
    Effect.gen(function*() {
      const seen: Array<Settings.Settings> = []
      const agent = Agent.make("assistant", {
        settings: { temperature: 0, maxOutputTokens: 10 },
        prepareTurn: () => Effect.succeed({ settings: { maxOutputTokens: 20 } })
      })
      const spy = Layer.effectContext(Effect.gen(function*() {
        const context = yield* Layer.build(Scripted.model(["Hi."]))
        const inner = Context.get(context, LanguageModel.LanguageModel)
        const spied = (options: Parameters<typeof inner.streamText>[0]) =>
          Stream.unwrap(Effect.map(Settings.RequestSettings, (settings) => {
            seen.push(settings)
            return inner.streamText(options)
          }))
        return Context.make(LanguageModel.LanguageModel, {
          ...inner,
          streamText: spied as typeof inner.streamText
        })
      }))
      yield* Agent.response(Agent.run(agent, "Hello?")).pipe(
        Effect.provide(spy),
        Effect.provideService(Settings.RequestSettings, { seed: 7 })
      )
      assert.deepStrictEqual(seen, [{ seed: 7, temperature: 0, maxOutputTokens: 20 }])
    }))
})

describe("Agent memory", () => {
  it.effect("decides what requests carry, knows what was said before, and leaves the transcript whole", () =>
    Effect.gen(function*() {
      const transcript = yield* Ref.make(
        Transcript.make(["One.", "Two.", "Three."].map((text) => Transcript.user(text)))
      )
      const agent = Agent.make("assistant", { tools: [weather], memory: Memory.buffer(2), instructions: "Be brief." })
      yield* Agent.response(Agent.run(agent, "Four.", { transcript }))
      const carried = (yield* requests).map(({ prompt }) => prompt.content.map(({ role }) => role))
      assert.deepStrictEqual(carried, [["system", "user", "user"], ["system", "user", "assistant", "tool"]])
      assert.strictEqual((yield* Ref.get(transcript)).length, 6)
    }).pipe(Effect.provide(Scripted.model([lagos, "Done."]))))

  it.effect("of a conversation that outlives the run is told what the run adds, and is not told twice", () =>
    Effect.gen(function*() {
      const agent = Agent.make("assistant", { memory: Memory.buffer(10) })
      const memory = yield* agent.memory
      const transcript = yield* Ref.make(Transcript.empty)
      for (const prompt of ["One.", "Two."]) {
        yield* Agent.response(Agent.run(agent, prompt, { transcript, memory }))
      }
      assert.deepStrictEqual(lines(yield* memory!.window), lines(yield* Ref.get(transcript)))
    }).pipe(Effect.scoped, Effect.provide(Scripted.model(["First.", "Second."]))))
})

describe("Agent recover", () => {
  it.effect("retries on a schedule; what the failed call said is void", () =>
    Effect.gen(function*() {
      const agent = Agent.make("assistant", { recover: () => Recover.retry(Schedule.spaced("1 second")) })
      const fiber = yield* collect(Agent.run(agent, "Hi")).pipe(Effect.forkChild)
      yield* TestClock.adjust("1 second")
      const events = yield* Fiber.join(fiber)
      assert.deepStrictEqual(tags(events), ["TextDelta", "TurnRestarted", "TextDelta", "TurnFinished", "Completed"])
      assert.deepStrictEqual(lines(only(events, "Completed")[0]!.response.transcript), ["user: Hi", "text: Hello."])
    }).pipe(Effect.provide(Scripted.model([[Scripted.text("Hel"), Scripted.fail(overloaded)], "Hello."]))))

  it.effect("fails with the last error when the schedule ends, and a new turn has it anew", () =>
    Effect.gen(function*() {
      const agent = Agent.make("assistant", { tools: [weather], recover: () => Recover.retry(Schedule.recurs(1)) })
      const error = yield* Effect.flip(collect(Agent.run(agent, "Hi")))
      assert(error.reason._tag === "ModelFailed")
      assert.strictEqual((yield* requests).length, 4)
    }).pipe(Effect.provide(
      Scripted.model([Scripted.fail(overloaded), lagos, Scripted.fail(overloaded), Scripted.fail(overloaded), "Late."])
    )))

  it.effect("swaps the model for the rest of the run, once", () =>
    Effect.gen(function*() {
      const other = Scripted.model([lagos, "From the other."])
      const agent = Agent.make("assistant", { tools: [weather], recover: () => Recover.withModel(other) })
      assert.strictEqual((yield* Agent.response(Agent.run(agent, "Hi"))).text, "From the other.")
      const broken = Scripted.model([Scripted.fail(overloaded), Scripted.fail(overloaded)])
      const hopeless = Agent.make("assistant", { model: broken, recover: () => Recover.withModel(broken) })
      const error = yield* Effect.flip(collect(Agent.run(hopeless, "Hi")))
      assert.strictEqual(error.reason._tag, "ModelFailed")
    }).pipe(Effect.provide(Scripted.model([Scripted.fail(overloaded)]))))

  it.effect("compacts what requests carry and leaves the transcript whole", () =>
    Effect.gen(function*() {
      const transcript = yield* Ref.make(
        Transcript.make(["One.", "Two.", "Three."].map((text) => Transcript.user(text)))
      )
      const agent = Agent.make("assistant", {
        tools: [weather],
        recover: ({ _tag }) =>
          _tag === "ModelFailed"
            ? Recover.compact(({ entries }) => Effect.succeed(Transcript.make(entries.slice(-1))))
            : Recover.fail
      })
      yield* Agent.response(Agent.run(agent, "Four.", { transcript }))
      const counts = (yield* requests).map(({ prompt }) => prompt.content.length)
      assert.deepStrictEqual(counts, [4, 1, 3])
      assert.strictEqual((yield* Ref.get(transcript)).length, 6)
    }).pipe(Effect.provide(Scripted.model([Scripted.fail(overloaded), lagos, "Done."]))))

  it.effect("a compaction that shortens entries helps as well as one that drops them", () =>
    Effect.gen(function*() {
      const transcript = yield* Ref.make(Transcript.make([Transcript.user("Long. ".repeat(100))]))
      const agent = Agent.make("assistant", {
        recover: () =>
          Recover.compact(({ entries }) =>
            Effect.succeed(Transcript.make([Transcript.user("Short."), ...entries.slice(1)]))
          )
      })
      assert.strictEqual((yield* Agent.response(Agent.run(agent, "Go.", { transcript }))).text, "Done.")
      assert.strictEqual((yield* requests)[1]!.prompt.content.length, 2)
    }).pipe(Effect.provide(Scripted.model([Scripted.fail(overloaded), "Done."]))))

  it.effect("a compaction that gains nothing fails the run instead of going on for ever", () =>
    Effect.gen(function*() {
      const agent = Agent.make("assistant", { recover: () => Recover.compact(Effect.succeed) })
      const error = yield* Effect.flip(collect(Agent.run(agent, "Hi")))
      assert.strictEqual(error.reason._tag, "ModelFailed")
    }).pipe(Effect.provide(Scripted.model(() => Scripted.fail(overloaded)))))
})

describe("Agent guardrails", () => {
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
      assert.deepStrictEqual(only(events, "TextDelta"), [{
        _tag: "TextDelta",
        agent: "assistant",
        delta: "It is ####."
      }])
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
})

describe("Agent.object", () => {
  const Person = Schema.Struct({ name: Schema.String, age: Schema.Int })

  it.effect("gives the value that the model calls the answer tool with, after its other tools", () =>
    Effect.gen(function*() {
      const agent = Agent.make("reader", { tools: [weather] })
      assert.deepStrictEqual(yield* Agent.object(agent, "Who?", Person), { name: "Ada", age: 36 })
      const [first] = yield* requests
      assert.deepStrictEqual(first!.tools, ["get_weather", "final_answer"])
      assert.strictEqual(first!.toolChoice, "required")
    }).pipe(Effect.provide(Scripted.model([lagos, Scripted.toolCall("final_answer", { name: "Ada", age: 36 })]))))

  it.effect("takes JSON text from a model that doesn't call tools", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* Agent.object(Agent.make("reader"), "Who?", Person), { name: "Ada", age: 36 })
    }).pipe(Effect.provide(Scripted.model(["```json\n{ \"name\": \"Ada\", \"age\": 36 }\n```"]))))

  it.effect("a bad answer goes back once with what is wrong with it", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* Agent.object(Agent.make("reader"), "Who?", Person), { name: "Ada", age: 36 })
      const last = (yield* requests)[1]!.prompt.content.at(-1)!
      assert.include(JSON.stringify(last.content), "Your answer does not fit")
      assert.include(JSON.stringify(last.content), "age")
    }).pipe(Effect.provide(Scripted.model([
      Scripted.toolCall("final_answer", { name: "Ada", age: "old" }),
      Scripted.toolCall("final_answer", { name: "Ada", age: 36 })
    ]))))

  it.effect("a second bad answer fails with InvalidOutput", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Agent.object(Agent.make("reader"), "Who?", Person))
      assert.strictEqual(error.reason._tag, "InvalidOutput")
      assert.strictEqual((yield* requests).length, 2)
    }).pipe(Effect.provide(Scripted.model(() => "I don't know."))))

  it.effect("a schema that is no object works as well", () =>
    Effect.gen(function*() {
      const dates = yield* Agent.object(Agent.make("reader"), "When?", Schema.Array(Schema.Date))
      assert.strictEqual(dates[0]!.getUTCFullYear(), 1815)
    }).pipe(Effect.provide(Scripted.model([Scripted.toolCall("final_answer", { value: ["1815-12-10T00:00:00Z"] })]))))
})

describe("Agent types", () => {
  class Payments extends Context.Service<Payments, { readonly pay: Effect.Effect<void> }>()("Payments") {}
  class NoKey extends Schema.TaggedError<NoKey>()("NoKey", {}) {}
  const failing: Layer.Layer<LanguageModel.LanguageModel, NoKey, Payments> = Layer.effectContext(
    Effect.fail(new NoKey())
  )

  it("carry what recover, prepareTurn and guardrails require and fail with", () => {
    expectTypeOf(Agent.make("a", { recover: () => Recover.withModel(failing) })).toEqualTypeOf<
      Agent.Agent<NoKey, LanguageModel.LanguageModel | Payments>
    >()
    expectTypeOf(Agent.make("a", { prepareTurn: () => Effect.succeed({ model: failing }) })).toEqualTypeOf<
      Agent.Agent<NoKey, LanguageModel.LanguageModel | Payments>
    >()
    const pay = Tool.fn("pay", { description: "" }, () => Payments.use(({ pay }) => pay))
    expectTypeOf(Agent.make("a", { prepareTurn: () => Effect.succeed({ tools: [pay, weather] }) })).toEqualTypeOf<
      Agent.Agent<never, LanguageModel.LanguageModel | Payments>
    >()
    const paid = Guardrail.output("paid", () => Payments.use(({ pay }) => Effect.as(pay, Guardrail.pass)))
    expectTypeOf(Agent.make("a", { guardrails: [paid] })).toEqualTypeOf<
      Agent.Agent<never, LanguageModel.LanguageModel | Payments>
    >()
    // @ts-expect-error there is no such option
    Agent.make("a", { maxTurn: 1 })
  })
})
