import { assert, describe, expectTypeOf, it } from "@effect/vitest"
import { Context, Effect, Fiber, Layer, Ref, Schema, Stream } from "effect"
import { LanguageModel } from "effect/ai"
import { TestClock } from "effect/testing"
import * as Agent from "../src/Agent.ts"
import * as Scripted from "../src/Llm/Scripted.ts"
import * as Settings from "../src/Llm/Settings.ts"
import * as Memory from "../src/Memory.ts"
import * as Tool from "../src/Tool.ts"
import * as Transcript from "../src/Transcript.ts"
import { collect, lines, results, weather } from "./fixtures/agents.ts"
import { refused } from "./fixtures/badOptions.ts"

const lagos = Scripted.toolCall("get_weather", { city: "Lagos" })

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

  it.effect("stopWhen ends the run after the turn that it wants to be the last, with the text of that turn", () =>
    Effect.gen(function*() {
      const agent = Agent.make("assistant", {
        tools: [weather],
        stopWhen: ({ agent, transcript, turn }) => agent === "assistant" && turn === 2 && transcript.length === 3
      })
      const response = yield* Agent.response(Agent.run(agent, "Weather?"))
      assert.strictEqual(response.text, "Once more.")
      assert.strictEqual(response.turns, 2)
      assert.strictEqual(response.finishReason, "tool-calls")
      assert.deepStrictEqual(lines(response.transcript).slice(-2), [
        "text: Once more.",
        "get_weather gave \"18 C in Lagos\""
      ])
      assert.strictEqual((yield* requests).length, 2)
    }).pipe(Effect.provide(Scripted.model([lagos, [Scripted.text("Once more."), lagos], "Never said."]))))

  it.effect("no more calls of a turn run at once than toolConcurrency, in the model's order", () =>
    Effect.gen(function*() {
      const running: Array<string> = []
      const wait = Tool.fn(
        "wait",
        { description: "", parameters: { id: Schema.String } },
        ({ id }) => Effect.andThen(Effect.sync(() => running.push(id)), Effect.sleep("1 minute"))
      )
      const agent = Agent.make("assistant", { tools: [wait], toolConcurrency: 2 })
      const fiber = yield* Effect.forkChild(Agent.response(Agent.run(agent, "Wait.")))
      yield* TestClock.adjust("59 seconds")
      assert.deepStrictEqual(running, ["a", "b"])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(running, ["a", "b", "c"])
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* Fiber.join(fiber)).text, "Done.")
    }).pipe(
      Effect.provide(Scripted.model([["a", "b", "c"].map((id) => Scripted.toolCall("wait", { id })), "Done."]))
    ))

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
      "Agent.make: toolConcurrency must be a positive integer, got 0": () => Agent.make("a", { toolConcurrency: 0 }),
      "Agent.make: maxTurns must be a positive integer, got -1": () => Agent.with(Agent.make("a"), { maxTurns: -1 }),
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

describe("Agent.with", () => {
  class Database extends Context.Service<Database, { readonly find: Effect.Effect<string> }>()("Database") {}
  class NoKey extends Schema.TaggedError<NoKey>()("NoKey", {}) {}
  const live: Layer.Layer<LanguageModel.LanguageModel, NoKey, Database> = Layer.effectContext(
    Effect.andThen(Database, Effect.fail(new NoKey()))
  )
  const find = Tool.fn("find", { description: "", success: Schema.String }, () => Database.use(({ find }) => find))
  const support = Agent.make("support", { instructions: "Be kind.", model: live, tools: [find], maxTurns: 2 })

  it.effect("replaces the options that are given and keeps the others", () =>
    Effect.gen(function*() {
      const agent = Agent.with(support, { model: undefined, tools: [weather] })
      const response = yield* Agent.response(Agent.run(agent, "Weather?"))
      assert.strictEqual(response.agent, "support")
      assert.strictEqual(response.text, "18 degrees.")
      const [first] = yield* requests
      assert.deepStrictEqual(first!.tools, ["get_weather"])
      assert.strictEqual(first!.prompt.content[0]!.content, "Be kind.")
      assert.strictEqual(agent.options.maxTurns, 2)
    }).pipe(Effect.provide(Scripted.model([lagos, "18 degrees."]))))

  it("takes back what the options that it replaces required and failed with, and no more", () => {
    const typed = <E, R>(agent: Agent.Agent<E, R>): Agent.Agent<E, R> => agent
    const scripted = Scripted.model([])
    expectTypeOf(typed(support)).toEqualTypeOf<Agent.Agent<NoKey, Database>>()
    expectTypeOf(typed(Agent.with(support, { model: scripted, tools: [weather] }))).toEqualTypeOf<Agent.Agent>()
    expectTypeOf(typed(Agent.with(support, { model: scripted }))).toEqualTypeOf<Agent.Agent<never, Database>>()
    expectTypeOf(typed(Agent.with(support, { maxTurns: 1 }))).toEqualTypeOf<Agent.Agent<NoKey, Database>>()
    const twice = Agent.with(Agent.with(support, { model: scripted }), { tools: [] })
    expectTypeOf(typed(twice)).toEqualTypeOf<Agent.Agent>()
    // @ts-expect-error there is no such option
    Agent.with(support, { maxTurn: 1 })
    // @ts-expect-error the options of this agent are not known
    Agent.with(typed(support), { maxTurns: 1 })
  })
})
