import { assert, describe, expectTypeOf, it } from "@effect/vitest"
import { Context, Deferred, Effect, Fiber, Latch, Layer, Logger, Ref, Schema, Stream } from "effect"
import { AiError, LanguageModel, Prompt, Tool as AiTool } from "effect/ai"
import type { Response } from "effect/ai"
import { TestClock } from "effect/testing"
import * as Actor from "../src/Actor.ts"
import * as ActorSystem from "../src/ActorSystem.ts"
import * as Agent from "../src/Agent.ts"
import { AgentError } from "../src/AgentError.ts"
import type { AgentEvent } from "../src/AgentEvent.ts"
import * as Guardrail from "../src/Guardrail.ts"
import * as Pushed from "../src/internal/pushed.ts"
import * as Scripted from "../src/Llm/Scripted.ts"
import * as Recover from "../src/Recover.ts"
import * as Team from "../src/Team.ts"
import * as Tool from "../src/Tool.ts"
import * as Transcript from "../src/Transcript.ts"
import { collect, lines, tags, weather } from "./fixtures/agents.ts"

const lagos = Scripted.toolCall("get_weather", { city: "Lagos" })

const requests = Effect.flatten(Scripted.Requests)

const hang = Tool.fn("hang", { description: "Never answers" }, () => Effect.never)

const assistant = Agent.make("assistant", { instructions: "Be brief.", tools: [weather] })

/** An agent by its errors and requirements alone. */
const typed = <E, R>(agent: Agent.Agent<E, R>): Agent.Agent<E, R> => agent

const toolResults = (events: ReadonlyArray<AgentEvent>) => events.filter((event) => event._tag === "ToolResult")

describe("Agent", () => {
  it.effect("a run without tools streams the answer's text and completes with it", () =>
    Effect.gen(function*() {
      const events = yield* collect(Agent.run(Agent.make("poet"), "A line?"))
      assert.deepStrictEqual(tags(events), [
        "RunStarted",
        "TextDelta",
        "TextDelta",
        "TextDelta",
        "TurnFinished",
        "Completed"
      ])
      const last = events.at(-1)!
      assert(last._tag === "Completed")
      assert.strictEqual(last.response.text, "Roses are red.")
      assert.strictEqual(last.response.finishReason, "stop")
      assert.strictEqual(last.response.turns, 1)
    }).pipe(Effect.provide(Scripted.model(["Roses are red."]))))

  it.effect("a tool call is answered by the tool, and the next request carries call and result", () =>
    Effect.gen(function*() {
      const events = yield* collect(Agent.run(assistant, "Weather in Lagos?"))
      assert.deepStrictEqual(tags(events), [
        "RunStarted",
        "ToolCall",
        "ToolResult",
        "TurnFinished",
        "TextDelta",
        "TextDelta",
        "TurnFinished",
        "Completed"
      ])
      assert.deepStrictEqual(toolResults(events)[0], {
        _tag: "ToolResult",
        run: events[0]!.run,
        agent: "assistant",
        id: "call_1",
        name: "get_weather",
        result: "18 C in Lagos",
        isFailure: false
      })
      const [, second] = yield* Effect.flatten(Scripted.Requests)
      assert.deepStrictEqual(second!.prompt.content.map((message) => message.role), [
        "system",
        "user",
        "assistant",
        "tool"
      ])
      assert.deepStrictEqual(second!.tools, ["get_weather"])
    }).pipe(Effect.provide(Scripted.model([Scripted.toolCall("get_weather", { city: "Lagos" }), "18 degrees."]))))

  it.effect("the usage of a run is that of its turns together", () =>
    Effect.gen(function*() {
      const response = yield* Agent.response(Agent.run(assistant, "Weather in Lagos?"))
      assert.strictEqual(response.usage.inputTokens.total, 110)
      assert.strictEqual(response.usage.outputTokens.total, 11)
      assert.strictEqual(response.usage.inputTokens.cacheRead, undefined)
      assert.strictEqual(response.turns, 2)
    }).pipe(Effect.provide(Scripted.model([
      [Scripted.toolCall("get_weather", { city: "Lagos" }), Scripted.usage(10, 1)],
      [Scripted.text("18 degrees."), Scripted.usage(100, 10)]
    ]))))

  it.effect("the calls of one turn run at once, and a quick one's result is told while a call before it still runs", () =>
    Effect.gen(function*() {
      const told = yield* Latch.make()
      const agent = Agent.make("assistant", {
        tools: [
          Tool.fn("waits", { description: "", success: Schema.String }, () => Effect.as(told.await, "first")),
          Tool.fn("quick", { description: "", success: Schema.String }, () => Effect.succeed("second"))
        ]
      })
      // This reader lets the first call go on only when it has seen the result of the second.
      const events = yield* collect(Stream.tap(
        Agent.run(agent, "Both!"),
        (event) => event._tag === "ToolResult" && event.name === "quick" ? told.open : Effect.void
      ))
      assert.deepStrictEqual(toolResults(events).map(({ result }) => result), ["second", "first"])
      const last = events.at(-1)
      assert(last?._tag === "Completed")
      assert.deepStrictEqual(lines(last.response.transcript).slice(1, 3), [
        "waits gave \"first\"",
        "quick gave \"second\""
      ])
    }).pipe(Effect.provide(Scripted.model([
      [Scripted.toolCall("waits", {}), Scripted.toolCall("quick", {})],
      "Done."
    ]))))

  it.effect.prop("a reader of any kind, however slow, has each result once, and the transcript the calls' order", [
    Schema.Literals(["run", "pushed", "actor", "team"]),
    Schema.Array(Schema.Literals([0, 1, 5])),
    Schema.Array(Schema.Literals([0, 3]))
  ], ([kind, durations, pauses]) =>
    Effect.gen(function*() {
      const tools = durations.map((seconds, index) =>
        Tool.fn(`tool_${index}`, { description: "", success: Schema.Int }, () =>
          Effect.as(Effect.sleep(`${seconds} seconds`), index))
      )
      const agent = Agent.make("a", { tools })
      const seen: Array<unknown> = []
      const transcript = yield* Ref.make(Transcript.empty)
      const read = Effect.fnUntraced(function*(event: AgentEvent) {
        if (event._tag === "Completed") {
          yield* Ref.set(transcript, event.response.transcript)
        }
        if (event._tag !== "ToolResult") {
          return
        }
        yield* Effect.sleep(`${pauses[seen.length] ?? 0} seconds`)
        seen.push(event.result)
      })
      const readers = {
        run: () =>
          Stream.runForEach(Agent.run(agent, "Go."), read),
        pushed: () =>
          Pushed.runForEach(Agent.run(agent, "Go."), (events) =>
            Effect.forEach(events, read, { discard: true })),
        actor: () => Effect.flatMap(Agent.spawn(agent), (ref) => Stream.runForEach(Agent.stream(ref, "Go."), read)),
        team: () =>
          Effect.flatMap(
            Actor.spawn(Team.pipeline("outer", [Team.broadcast("inner", [agent])])),
            (ref) =>
              Pushed.runForEach(Agent.stream(ref, "Go."), (events) => Effect.forEach(events, read, { discard: true }))
          )
      }
      const fiber = yield* Effect.forkChild(readers[kind]())
      for (let seconds = 0; fiber.pollUnsafe() === undefined && seconds < 1_000; seconds++) {
        yield* TestClock.adjust("1 second")
      }
      yield* Fiber.join(fiber)
      assert.sameMembers(seen, durations.map((_, index) => index))
      if (kind === "team") return
      assert.deepStrictEqual(
        lines(yield* Ref.get(transcript)).slice(1, -1),
        durations.map((_, index) => `tool_${index} gave ${index}`)
      )
    }).pipe(Effect.provide([
      Scripted.model([durations.map((_, index) => Scripted.toolCall(`tool_${index}`, {})), "Done."]),
      ActorSystem.layer({ name: "test" })
    ])))

  it.effect("a result that can't be encoded and a defect are logged with the tool's name", () =>
    Effect.gen(function*() {
      const logged: Array<string> = []
      const logger = Logger.make(({ logLevel, message }) => void logged.push(`${logLevel} ${[message].flat()[0]}`))
      const agent = Agent.make("assistant", {
        tools: [
          Tool.fn("unencodable", { description: "", success: Schema.Finite }, () => Effect.succeed(Number.NaN)),
          Tool.fn("dies", { description: "" }, () => Effect.die(new Error("broken")))
        ]
      })
      yield* Effect.provide(collect(Agent.run(agent, "Try them.")), Logger.layer([logger]))
      assert.deepStrictEqual(logged, ["Warn Tool unencodable: the result can't be encoded", "Error Tool dies died"])
    }).pipe(Effect.provide(
      Scripted.model([[Scripted.toolCall("unencodable", {}), Scripted.toolCall("dies", {})], "Done."])
    )))

  it.effect("unknown tools, bad arguments, typed failures and defects are failed results, and the run goes on", () =>
    Effect.gen(function*() {
      class NotThere extends Schema.TaggedError<NotThere>()("NotThere", { city: Schema.String }) {}
      const agent = Agent.make("assistant", {
        tools: [
          weather,
          Tool.fn("fails", { description: "" }, () => Effect.fail(new NotThere({ city: "Atlantis" }))),
          Tool.fn("says_why", { description: "" }, () => Effect.fail(new Error("no such city"))),
          Tool.fn("dies", { description: "" }, () => Effect.die(new Error("broken"))),
          Tool.fn("unencodable", { description: "", success: Schema.Finite }, () => Effect.succeed(Number.NaN))
        ]
      })
      const events = yield* collect(Agent.run(agent, "Try them."))
      const results = toolResults(events)
      assert.isTrue(results.every((event) => event.isFailure))
      const messages = results.map((event) => String(event.result))
      assert.include(messages[0], "There is no tool nothing. The tools are: get_weather, fails")
      assert.include(messages[1], "Invalid arguments for tool get_weather")
      assert.include(messages[1], "city")
      assert.include(messages[2], "Atlantis")
      assert.strictEqual(messages[3], "no such city")
      assert.strictEqual(messages[4], "Tool dies failed: broken")
      assert.include(messages[5], "Tool unencodable answered with a result that can't be encoded")
      assert.isFalse(messages.some((message) => /\.ts:\d+/.test(message)))
      assert.strictEqual(events.at(-1)!._tag, "Completed")
    }).pipe(Effect.provide(Scripted.model([
      [
        Scripted.toolCall("nothing", {}),
        Scripted.toolCall("get_weather", { town: 1 }),
        Scripted.toolCall("fails", {}),
        Scripted.toolCall("says_why", {}),
        Scripted.toolCall("dies", {}),
        Scripted.toolCall("unencodable", {})
      ],
      "None worked."
    ]))))

  it.effect("an agent without tools answers a call with a failed result too", () =>
    Effect.gen(function*() {
      const events = yield* collect(Agent.run(Agent.make("bare"), "Hi"))
      assert.strictEqual(toolResults(events)[0]!.result, "There is no tool imagined. The tools are: none")
      assert.strictEqual(events.at(-1)!._tag, "Completed")
    }).pipe(Effect.provide(Scripted.model([Scripted.toolCall("imagined", {}), "Sorry."]))))

  it.effect("a model that calls tools for ever ends in MaxTurnsExceeded with the transcript so far", () =>
    Effect.gen(function*() {
      const agent = Agent.make("assistant", { tools: [weather], maxTurns: 2 })
      const error = yield* Effect.flip(collect(Agent.run(agent, "Weather?")))
      assert.instanceOf(error, AgentError)
      assert.strictEqual(error.reason._tag, "MaxTurnsExceeded")
      assert.deepStrictEqual(lines(error.transcript), [
        "user: Weather?",
        "get_weather gave \"18 C in Lagos\"",
        "get_weather gave \"18 C in Lagos\""
      ])
    }).pipe(Effect.provide(Scripted.model(() => Scripted.toolCall("get_weather", { city: "Lagos" })))))

  it.effect("an empty prompt fails before any request", () =>
    Effect.gen(function*() {
      for (const input of ["", "  \n", [], [Prompt.textPart({ text: " " })]]) {
        const error = yield* Effect.flip(collect(Agent.run(assistant, input)))
        assert.strictEqual(error.reason._tag, "EmptyPrompt")
      }
      assert.deepStrictEqual(yield* Effect.flatten(Scripted.Requests), [])
    }).pipe(Effect.provide(Scripted.model(["Never said."]))))

  it.effect("two tools of one name fail the run before any request, and name the culprit", () =>
    Effect.gen(function*() {
      const twins = yield* Effect.flip(collect(Agent.run(Agent.make("a", { tools: [weather, weather] }), "Hi")))
      assert.include(twins.message, "two tools are called \"get_weather\"")
      assert.deepStrictEqual(yield* Effect.flatten(Scripted.Requests), [])
    }).pipe(Effect.provide(Scripted.model(["Never said."]))))

  it.effect("a failing model fails the run with the text so far in the transcript", () =>
    Effect.gen(function*() {
      const transcript = yield* Ref.make(Transcript.empty)
      const seen: Array<AgentEvent> = []
      const error = yield* Agent.run(assistant, "Weather?", { transcript }).pipe(
        Stream.runForEach((event) => Effect.sync(() => seen.push(event))),
        Effect.flip
      )
      assert.strictEqual(error.reason._tag, "ModelFailed")
      assert.deepStrictEqual(tags(seen), ["RunStarted", "TextDelta", "TextDelta"])
      assert.deepStrictEqual(lines(error.transcript), ["user: Weather?", "text: Let me"])
      assert.deepStrictEqual(lines(yield* Ref.get(transcript)), ["user: Weather?", "text: Let me"])
    }).pipe(Effect.provide(Scripted.model([[
      Scripted.text("Let me"),
      Scripted.fail(new AiError.InternalProviderError({ description: "overloaded" }))
    ]]))))

  it.effect("a stream that ends without its finish reason is an error, never a short answer", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(collect(Agent.run(assistant, "Weather?")))
      assert(error.reason._tag === "ModelFailed")
      assert.isTrue(error.reason.error.isRetryable)
      assert.include(error.message, "without a finish reason")
    }).pipe(Effect.provide(Scripted.model([[Scripted.text("It is"), Scripted.cut]]))))

  it.effect("calls of an answer that was cut off by its length are not run", () =>
    Effect.gen(function*() {
      const events = yield* collect(Agent.run(assistant, "Weather?"))
      assert.strictEqual(toolResults(events)[0]!.result, "Not run: the answer was cut off (length)")
      assert.strictEqual(events.at(-1)!._tag, "Completed")
    }).pipe(Effect.provide(Scripted.model([
      [Scripted.toolCall("get_weather", { city: "L" }), Scripted.finish("length")],
      "Sorry."
    ]))))

  it.effect("a run continues the conversation that it is given", () =>
    Effect.gen(function*() {
      const transcript = yield* Ref.make(Transcript.empty)
      yield* Agent.response(Agent.run(assistant, "I am Ada.", { transcript }))
      const second = yield* Agent.response(Agent.run(assistant, "Who am I?", { transcript }))
      assert.deepStrictEqual(lines(yield* Ref.get(transcript)), [
        "user: I am Ada.",
        "text: Hello, Ada.",
        "user: Who am I?",
        "text: You are Ada."
      ])
      assert.deepStrictEqual(lines(second.transcript), ["user: Who am I?", "text: You are Ada."])
      const [, request] = yield* Effect.flatten(Scripted.Requests)
      assert.strictEqual(request!.prompt.content.length, 4)
    }).pipe(Effect.provide(Scripted.model(["Hello, Ada.", "You are Ada."]))))

  it.effect("reasoning streams as its own events, and its metadata goes back with the next request", () =>
    Effect.gen(function*() {
      const events = yield* collect(Agent.run(assistant, "Weather?"))
      assert.strictEqual(events[1]!._tag, "ReasoningDelta")
      const [, second] = yield* Effect.flatten(Scripted.Requests)
      const answer = second!.prompt.content[2]!
      assert(answer.role === "assistant")
      const part = answer.content[0]!
      assert(part.type === "reasoning")
      assert.strictEqual(part.text, "I should look.")
      assert.deepStrictEqual(part.options, { anthropic: { signature: "abc" } })
    }).pipe(Effect.provide(Scripted.model([
      [
        Scripted.reasoning("I should look.", { anthropic: { signature: "abc" } }),
        Scripted.toolCall("get_weather", { city: "Lagos" })
      ],
      "18 degrees."
    ]))))

  it.effect("reasoning that was cut off is not kept, because no provider takes the half of it back", () =>
    Effect.gen(function*() {
      const cut = LanguageModel.make({
        generateText: () => Effect.succeed([]),
        streamText: () =>
          Stream.fromArray<Response.StreamPartEncoded>([
            { type: "text-start", id: "0" },
            { type: "text-delta", id: "0", delta: "Let me see." },
            { type: "text-end", id: "0" },
            { type: "reasoning-start", id: "1" },
            { type: "reasoning-delta", id: "1", delta: "I should" }
          ])
      })
      const model = Layer.effect(LanguageModel.LanguageModel, cut)
      const error = yield* Effect.flip(collect(Agent.run(assistant, "Weather?")).pipe(Effect.provide(model)))
      assert.deepStrictEqual(lines(error.transcript), ["user: Weather?", "text: Let me see."])
    }))

  it.effect("an agent with a model of its own uses it, and requires none", () =>
    Effect.gen(function*() {
      const agent = Agent.make("own", { model: Scripted.model(["Mine."]) })
      const response = yield* Agent.response(Agent.run(agent, "Whose?"))
      assert.strictEqual(response.text, "Mine.")
    }))

  describe("interruption", () => {
    it.effect("in mid-stream keeps the text so far", () =>
      Effect.gen(function*() {
        const transcript = yield* Ref.make(Transcript.empty)
        const first = yield* Deferred.make<void>()
        const fiber = yield* Agent.run(assistant, "Weather?", { transcript }).pipe(
          Stream.runForEach(() => Deferred.succeed(first, undefined)),
          Effect.forkChild
        )
        yield* Deferred.await(first)
        yield* Fiber.interrupt(fiber)
        assert.deepStrictEqual(lines(yield* Ref.get(transcript)), ["user: Weather?", "text: One"])
      }).pipe(Effect.provide(Scripted.model([[
        Scripted.text("One"),
        Scripted.delay("1 hour"),
        Scripted.text("two.")
      ]]))))

    it.effect("in a tool that must not be interrupted waits for its result, and records it", () =>
      Effect.gen(function*() {
        const begun = yield* Latch.make()
        const paid = yield* Latch.make()
        const pay = Tool.fn("pay", { description: "", success: Schema.String }, () =>
          begun.open.pipe(
            Effect.andThen(paid.await),
            Effect.as("paid"),
            Effect.uninterruptible
          ))
        const transcript = yield* Ref.make(Transcript.empty)
        const agent = Agent.make("payer", { tools: [pay, hang] })
        const fiber = yield* collect(Agent.run(agent, "Pay.", { transcript })).pipe(
          Effect.provide(Scripted.model([[Scripted.toolCall("pay", {}), Scripted.toolCall("hang", {})]])),
          Effect.forkChild
        )
        yield* begun.await
        const interrupting = yield* Effect.forkChild(Fiber.interrupt(fiber))
        yield* TestClock.adjust("1 minute")
        assert.isUndefined(interrupting.pollUnsafe())
        yield* paid.open
        yield* Fiber.join(interrupting)
        assert.deepStrictEqual(lines(yield* Ref.get(transcript)), [
          "user: Pay.",
          `pay gave "paid"`,
          `hang failed "Interrupted before the tool answered"`
        ])
      }))

    it.effect("in a tool is done as soon as the tool allows it again", () =>
      Effect.gen(function*() {
        const begun = yield* Latch.make()
        const half = yield* Latch.make()
        const work = Tool.fn("work", { description: "" }, () =>
          begun.open.pipe(
            Effect.andThen(half.await),
            Effect.uninterruptible,
            Effect.andThen(Effect.never)
          ))
        const transcript = yield* Ref.make(Transcript.empty)
        const fiber = yield* collect(Agent.run(Agent.make("worker", { tools: [work] }), "Work.", { transcript })).pipe(
          Effect.provide(Scripted.model([Scripted.toolCall("work", {})])),
          Effect.forkChild
        )
        yield* begun.await
        const interrupting = yield* Effect.forkChild(Fiber.interrupt(fiber))
        yield* TestClock.adjust("1 second")
        yield* half.open
        yield* TestClock.adjust("1 second")
        yield* Fiber.join(interrupting)
        assert.include(lines(yield* Ref.get(transcript))[1], "Interrupted")
      }))

    it.effect("in a tool runs the tool's finalizers and answers the call as interrupted", () =>
      Effect.gen(function*() {
        const transcript = yield* Ref.make(Transcript.empty)
        const started = yield* Deferred.make<void>()
        const released = yield* Ref.make(false)
        const agent = Agent.make("assistant", {
          tools: [
            weather,
            Tool.fn("wait", { description: "" }, () =>
              Effect.andThen(Deferred.succeed(started, undefined), Effect.never).pipe(
                Effect.ensuring(Ref.set(released, true))
              ))
          ]
        })
        const fiber = yield* Agent.run(agent, "Go.", { transcript }).pipe(Stream.runDrain, Effect.forkChild)
        yield* Deferred.await(started)
        yield* Fiber.interrupt(fiber)
        assert.isTrue(yield* Ref.get(released))
        assert.deepStrictEqual(lines(yield* Ref.get(transcript)), [
          "user: Go.",
          "get_weather gave \"18 C in Lagos\"",
          "wait failed \"Interrupted before the tool answered\""
        ])
        const response = yield* Agent.response(Agent.run(agent, "Again.", { transcript }))
        assert.strictEqual(response.text, "Fine.")
      }).pipe(Effect.provide(Scripted.model([
        [Scripted.toolCall("get_weather", { city: "Lagos" }), Scripted.toolCall("wait", {})],
        "Fine."
      ]))))

    it.effect("by a reader that has read enough ends the run as well", () =>
      Effect.gen(function*() {
        const transcript = yield* Ref.make(Transcript.empty)
        yield* Agent.run(Agent.make("a", { tools: [hang] }), "Go.", { transcript }).pipe(
          Stream.take(1),
          Stream.runDrain
        )
        assert.deepStrictEqual(lines(yield* Ref.get(transcript)), [
          "user: Go.",
          "hang failed \"Interrupted before the tool answered\""
        ])
      }).pipe(Effect.provide(Scripted.model([Scripted.toolCall("hang", {})]))))

    it.effect("before the model answers leaves the prompt", () =>
      Effect.gen(function*() {
        const transcript = yield* Ref.make(Transcript.empty)
        const fiber = yield* Agent.run(assistant, "Weather?", { transcript }).pipe(Stream.runDrain, Effect.forkChild)
        yield* TestClock.adjust("1 second")
        yield* Fiber.interrupt(fiber)
        assert.deepStrictEqual(lines(yield* Ref.get(transcript)), ["user: Weather?"])
      }).pipe(Effect.provide(Scripted.model([[Scripted.delay("1 hour"), Scripted.text("Late.")]]))))
  })

  it("types carry what an agent requires and how building it can fail", () => {
    class Payments extends Context.Service<Payments, { readonly pay: Effect.Effect<void> }>()("Payments") {}
    class NoKey extends Schema.TaggedError<NoKey>()("NoKey", {}) {}
    const pay = Tool.fn("pay", { description: "" }, () => Payments.use(({ pay }) => pay))
    const failing: Layer.Layer<LanguageModel.LanguageModel, NoKey> = Layer.effectContext(Effect.fail(new NoKey()))

    expectTypeOf(typed(assistant)).toEqualTypeOf<Agent.Agent<never, LanguageModel.LanguageModel>>()
    expectTypeOf(typed(Agent.make("a", { tools: [pay, weather] }))).toEqualTypeOf<
      Agent.Agent<never, LanguageModel.LanguageModel | Payments>
    >()
    const more: ReadonlyArray<Tool.Tool<string>> = [weather]
    expectTypeOf(typed(Agent.make("a", { tools: [...more, pay] }))).toEqualTypeOf<
      Agent.Agent<never, LanguageModel.LanguageModel | Payments>
    >()
    expectTypeOf(typed(Agent.make("a", { tools: [pay], model: failing }))).toEqualTypeOf<Agent.Agent<NoKey, Payments>>()
    expectTypeOf(Agent.run(Agent.make("a", { model: failing }), "Hi")).toEqualTypeOf<
      Stream.Stream<AgentEvent, AgentError | NoKey>
    >()
    // @ts-expect-error a tool of effect/ai carries no handler
    const bare = () => Agent.make("a", { tools: [AiTool.make("bare")] })
    assert.throws(bare)
    Tool.fn(
      "typed",
      { description: "", success: Schema.Finite },
      // @ts-expect-error the handler answers with what `success` says
      () => Effect.succeed("not a number")
    )
  })
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
    expectTypeOf(typed(Agent.make("a", { recover: () => Recover.withModel(failing) }))).toEqualTypeOf<
      Agent.Agent<NoKey, LanguageModel.LanguageModel | Payments>
    >()
    expectTypeOf(typed(Agent.make("a", { prepareTurn: () => Effect.succeed({ model: failing }) }))).toEqualTypeOf<
      Agent.Agent<NoKey, LanguageModel.LanguageModel | Payments>
    >()
    const pay = Tool.fn("pay", { description: "" }, () => Payments.use(({ pay }) => pay))
    expectTypeOf(typed(Agent.make("a", { prepareTurn: () => Effect.succeed({ tools: [pay, weather] }) })))
      .toEqualTypeOf<
        Agent.Agent<never, LanguageModel.LanguageModel | Payments>
      >()
    const paid = Guardrail.output("paid", () => Payments.use(({ pay }) => Effect.as(pay, Guardrail.pass)))
    expectTypeOf(typed(Agent.make("a", { guardrails: [paid] }))).toEqualTypeOf<
      Agent.Agent<never, LanguageModel.LanguageModel | Payments>
    >()
    // @ts-expect-error there is no such option
    Agent.make("a", { maxTurn: 1 })
  })
})
