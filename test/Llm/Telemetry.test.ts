import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Fiber, Layer, Metric, Schedule, Schema, Stream, Tracer } from "effect"
import { AiError, EmbeddingModel, LanguageModel, Model } from "effect/ai"
import { TestClock } from "effect/testing"
import * as Agent from "../../src/Agent.ts"
import * as AiSdk from "../../src/Llm/AiSdk.ts"
import * as AzureOpenAi from "../../src/Llm/AzureOpenAi.ts"
import * as Gemini from "../../src/Llm/Gemini.ts"
import * as Middleware from "../../src/Llm/Middleware.ts"
import * as Mistral from "../../src/Llm/Mistral.ts"
import * as OpenAi from "../../src/Llm/OpenAi.ts"
import * as Prices from "../../src/Llm/Prices.ts"
import * as Scripted from "../../src/Llm/Scripted.ts"
import * as Settings from "../../src/Llm/Settings.ts"
import * as Telemetry from "../../src/Llm/Telemetry.ts"
import * as Vertex from "../../src/Llm/Vertex.ts"
import * as Tool from "../../src/Tool.ts"
import { variables } from "../fixtures/config.ts"
import * as Embeddings from "../fixtures/embeddingsWire.ts"
import * as Loopback from "../fixtures/loopbackServer.ts"
import * as Wire from "../fixtures/openAiWire.ts"

/** The spans that an effect makes, by a tracer that keeps them. */
const spansOf = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const spans: Array<Tracer.NativeSpan> = []
    const tracer = Tracer.make({
      span(options) {
        const span = new Tracer.NativeSpan(options)
        spans.push(span)
        return span
      }
    })
    const fiber = yield* effect.pipe(Effect.withTracer(tracer), Effect.exit, Effect.forkChild)
    if (isTestClock(yield* Clock.Clock)) yield* TestClock.adjust("1 minute")
    yield* Fiber.join(fiber)
    return spans
  })

/** The metrics of an effect in a registry of its own, as counts and sums. */
const metricsOf = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.forkChild(effect)
    if (isTestClock(yield* Clock.Clock)) yield* TestClock.adjust("1 minute")
    yield* Fiber.join(fiber)
    const all = yield* Metric.snapshot
    return (id: string) =>
      all.filter((metric) => metric.id === id).map(({ attributes, state }) => {
        const { count, sum } = state as { readonly count: number; readonly sum: number }
        return { attributes: attributes ?? {}, count, sum }
      })
  }).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))

const isTestClock = (clock: Clock.Clock): boolean => "adjust" in clock

const openAi = (server: Loopback.LoopbackServer) =>
  OpenAi.model("gpt-4o-mini").pipe(
    Layer.provide(variables({ OPENAI_API_KEY: "sk-test", OPENAI_BASE_URL: `${server.url}/v1` }))
  )

const attributes = (span: Tracer.NativeSpan) => Object.fromEntries(span.attributes)

const streamed = Stream.runDrain(LanguageModel.streamText({ prompt: "Hello?" }))

const usage = {
  inputTokens: { total: 1000, uncached: 300, cacheRead: 600, cacheWrite: 100 },
  outputTokens: { total: 200, text: 50, reasoning: 150 }
}

/** A model as a provider has it, with all that it can say. */
const provider = (name: string) =>
  Layer.mergeAll(
    Layer.effect(
      LanguageModel.LanguageModel,
      LanguageModel.make({
        generateText: () => Effect.succeed([{ type: "text", text: "{}" }, { type: "finish", reason: "stop", usage }]),
        streamText: () =>
          Stream.fromArray([
            { type: "response-metadata" as const, id: "resp_1", modelId: "claude-sonnet-4-5-20250929" },
            { type: "text-start" as const, id: "1" },
            { type: "finish" as const, reason: "stop" as const, usage }
          ]).pipe(Stream.rechunk(1), Stream.tap(() => Effect.sleep("250 millis")))
      })
    ),
    Layer.succeed(Model.ProviderName, name),
    Layer.succeed(Model.ModelName, "claude-sonnet-4-5")
  )

describe("Telemetry", () => {
  it.effect("a call is a span by the conventions: tokens, cached and reasoning ones, time to first part, cost", () =>
    Effect.gen(function*() {
      const [span, inner] = yield* spansOf(Effect.provide(streamed, Telemetry.trace(provider("anthropic"))))
      assert.strictEqual(span!.name, "chat claude-sonnet-4-5")
      assert.strictEqual(span!.kind, "client")
      assert.deepStrictEqual(attributes(span!), {
        "gen_ai.provider.name": "anthropic",
        "gen_ai.operation.name": "chat",
        "gen_ai.output.type": "text",
        "gen_ai.request.model": "claude-sonnet-4-5",
        "gen_ai.request.stream": true,
        "gen_ai.response.id": "resp_1",
        "gen_ai.response.model": "claude-sonnet-4-5-20250929",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.response.time_to_first_chunk": 0.5,
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.output_tokens": 200,
        "gen_ai.usage.cache_read.input_tokens": 600,
        "gen_ai.usage.cache_creation.input_tokens": 100,
        "gen_ai.usage.reasoning.output_tokens": 150,
        "gen_ai.usage.cost": (300 * 3 + 600 * 0.3 + 100 * 3.75 + 200 * 15) / 1_000_000
      })
      assert.strictEqual(span!.status._tag, "Ended")
      assert.strictEqual(inner!.name, "LanguageModel.streamText")
      assert.strictEqual(inner!.parent._tag === "Some" && inner!.parent.value.spanId, span!.spanId)
    }))

  it.effect("an answer that is not streamed has no time to its first part, a structured one is json", () =>
    Effect.gen(function*() {
      const ask = LanguageModel.generateObject({ prompt: "?", schema: Schema.Struct({}) })
      const [span] = yield* spansOf(Effect.provide(ask, Telemetry.trace(provider("gemini"))))
      const found = attributes(span!)
      assert.strictEqual(found["gen_ai.output.type"], "json")
      assert.strictEqual(found["gen_ai.provider.name"], "gcp.gemini")
      assert.strictEqual(found["gen_ai.usage.input_tokens"], 1000)
      assert.notProperty(found, "gen_ai.request.stream")
      assert.notProperty(found, "gen_ai.response.time_to_first_chunk")
    }))

  it.live("the calls of a provider's model say all of it unasked, whole, streamed or failed", () =>
    Effect.gen(function*() {
      const usage = { input: 9, cached: 3, output: 2, reasoning: 1 }
      const server = yield* Loopback.make(
        Loopback.sse(Wire.chatText(["Hi"], usage)),
        Loopback.json(200, Wire.chatBody({ role: "assistant", content: "Hi" }, "stop", usage)),
        Loopback.json(503, Wire.errorBody("Later.")),
        Loopback.sse([Wire.chatOpening])
      )
      const run = Agent.response(Agent.run(Agent.make("poet"), "A line?"))
      const asks = [run, LanguageModel.generateText({ prompt: "?" }), streamed, streamed]
      const spans = yield* spansOf(
        Effect.forEach(asks, (ask) => Effect.exit<unknown, unknown, LanguageModel.LanguageModel>(ask)).pipe(
          Effect.provide(openAi(server))
        )
      )
      const calls = spans.filter(({ name }) => name === "chat gpt-4o-mini").map(attributes)
      assert.lengthOf(calls, 4)
      for (const call of calls.slice(0, 2)) {
        assert.deepInclude(call, {
          "gen_ai.provider.name": "openai",
          "gen_ai.operation.name": "chat",
          "gen_ai.request.model": "gpt-4o-mini",
          "gen_ai.response.finish_reasons": ["stop"],
          "gen_ai.usage.input_tokens": 9,
          "gen_ai.usage.output_tokens": 2,
          "gen_ai.usage.cache_read.input_tokens": 3,
          "gen_ai.usage.reasoning.output_tokens": 1,
          "gen_ai.usage.cost": (6 * 0.15 + 3 * 0.075 + 2 * 0.6) / 1_000_000
        })
      }
      assert.isAtLeast(Number(calls[0]!["gen_ai.response.time_to_first_chunk"]), 0)
      assert.notProperty(calls[1], "gen_ai.response.time_to_first_chunk")
      assert.deepStrictEqual(calls.map((call) => call["error.type"]), [
        undefined,
        undefined,
        "InternalProviderError",
        "NetworkError"
      ])
    }))

  it.live("calls for embeddings say what they ask and use, one text or many", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(
        Embeddings.numbers,
        Embeddings.numbers,
        Loopback.json(503, Wire.errorBody("Later."))
      )
      const embeddings = OpenAi.embeddings("text-embedding-3-small").pipe(
        Layer.provide(variables({ OPENAI_API_KEY: "sk-test", OPENAI_BASE_URL: `${server.url}/v1` }))
      )
      const spans = yield* spansOf(
        Effect.gen(function*() {
          const model = yield* EmbeddingModel.EmbeddingModel
          yield* model.embedMany(["1", "2"])
          yield* model.embed("3")
          yield* Effect.exit(model.embedMany(["4"]))
        }).pipe(Effect.provide(embeddings))
      )
      const calls = spans.filter(({ name }) => name === "embeddings text-embedding-3-small").map(attributes)
      const asked = {
        "gen_ai.operation.name": "embeddings",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "text-embedding-3-small"
      }
      assert.deepStrictEqual(calls, [
        { ...asked, "gen_ai.usage.input_tokens": 6 },
        { ...asked, "gen_ai.usage.input_tokens": 3 },
        { ...asked, "error.type": "InternalProviderError" }
      ])
    }))

  it.live("a call inside of a traced one leaves its tokens to it, through whatever stands between", () =>
    Effect.gen(function*() {
      const reply = Loopback.sse(Wire.chatText(["Hi"]))
      const server = yield* Loopback.make(reply, reply)
      const between = openAi(server).pipe(Middleware.retry(Schedule.recurs(1)), Middleware.concurrency(1))
      const spans = yield* spansOf(Effect.provide(streamed, Telemetry.trace(between)))
      const counted = spans.filter((span) => span.attributes.has("gen_ai.usage.input_tokens"))
      assert.deepStrictEqual(counted.map(({ name }) => name), ["chat gpt-4o-mini"])
    }))

  it.effect("a request has its settings, those of the request before those of the layer", () =>
    Effect.gen(function*() {
      const settings = { temperature: 0.5, topP: 0.9, maxOutputTokens: 100, seed: 7, stopSequences: ["END"] }
      const model = Layer.effect(
        LanguageModel.LanguageModel,
        AiSdk.make({
          provider: "own",
          settings,
          model: {
            specificationVersion: "v4",
            provider: "own",
            modelId: "m",
            supportedUrls: {},
            doGenerate: () => Promise.reject(new Error("no")),
            doStream: () => Promise.reject(new Error("no"))
          }
        })
      )
      const asks = [
        Effect.exit(streamed),
        Effect.exit(LanguageModel.generateText({ prompt: "?" })),
        Effect.exit(Agent.response(Agent.run(Agent.make("poet"), "A line?")))
      ]
      const all = Effect.all([...asks]).pipe(
        Effect.provideService(Settings.RequestSettings, { temperature: 0 }),
        Effect.provideService(Telemetry.ConversationId, "support-42")
      )
      for (const traced of [model, Telemetry.trace(model)]) {
        const spans = yield* spansOf(Effect.provide(all, traced))
        const calls = spans.filter(({ name }) => /^chat( m)?$/.test(name)).map(attributes)
        assert.lengthOf(calls, 3)
        for (const call of calls) {
          assert.deepInclude(call, {
            "gen_ai.operation.name": "chat",
            "gen_ai.conversation.id": "support-42",
            "gen_ai.request.temperature": 0,
            "gen_ai.request.top_p": 0.9,
            "gen_ai.request.max_tokens": 100,
            "gen_ai.request.seed": 7,
            "gen_ai.request.stop_sequences": ["END"],
            "error.type": "UnknownError"
          })
        }
      }
    }))

  it.effect("calls are counted: tokens and durations, by model, and by what they failed with", () =>
    Effect.gen(function*() {
      const usage = Scripted.usage(10, 2)
      const down = Scripted.fail(new AiError.InternalProviderError({ description: "overloaded" }))
      const turns = [
        [Scripted.text("Hi."), Scripted.delay("2 seconds"), usage],
        [Scripted.text("Hi."), usage],
        [Scripted.text("Hi."), usage],
        down
      ]
      const asks = Effect.gen(function*() {
        yield* streamed
        yield* LanguageModel.generateText({ prompt: "?" })
        yield* Agent.response(Agent.run(Agent.make("poet"), "A line?"))
        yield* Effect.exit(streamed)
      })
      for (const trace of [(model: ReturnType<typeof Scripted.model>) => model, Telemetry.trace]) {
        const metrics = yield* metricsOf(Effect.provide(asks, trace(Scripted.model(turns))))
        const labels = {
          "gen_ai.operation.name": "chat",
          "gen_ai.provider.name": "scripted",
          "gen_ai.request.model": "scripted"
        }
        assert.deepStrictEqual(metrics("gen_ai.client.token.usage"), [
          { attributes: { ...labels, "gen_ai.token.type": "input", unit: "{token}" }, count: 3, sum: 30 },
          { attributes: { ...labels, "gen_ai.token.type": "output", unit: "{token}" }, count: 3, sum: 6 }
        ])
        assert.deepStrictEqual(metrics("gen_ai.client.operation.duration"), [
          { attributes: { ...labels, unit: "s" }, count: 3, sum: 2 },
          { attributes: { ...labels, "error.type": "InternalProviderError", unit: "s" }, count: 1, sum: 0 }
        ])
      }
    }))

  it.live("calls for embeddings are counted, too", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(Embeddings.numbers)
      const metrics = yield* metricsOf(
        Effect.flatMap(EmbeddingModel.EmbeddingModel, (model) => model.embedMany(["1", "2"])).pipe(
          Effect.provide(OpenAi.embeddings("text-embedding-3-small", { dimensions: 2 })),
          Effect.provide(variables({ OPENAI_API_KEY: "sk-test", OPENAI_BASE_URL: `${server.url}/v1` }))
        )
      )
      const [tokens] = metrics("gen_ai.client.token.usage")
      assert.deepInclude(tokens, { count: 1, sum: 6 })
      assert.strictEqual(tokens?.attributes["gen_ai.operation.name"], "embeddings")
      assert.lengthOf(metrics("gen_ai.client.operation.duration"), 1)
    }))

  it.effect("prompts and answers are in a span on request, as messages of parts", () =>
    Effect.gen(function*() {
      const weather = Tool.fn("get_weather", {
        description: "Weather",
        parameters: { city: Schema.String },
        success: Schema.String
      }, () => Effect.succeed("18 C"))
      const agent = Agent.make("assistant", { instructions: "Be brief.", tools: [weather] })
      const model = Scripted.model([
        [Scripted.reasoning("Hm."), Scripted.toolCall("get_weather", { city: "Lagos" })],
        "18 C."
      ])
      const run = Agent.response(Agent.run(agent, "Weather in Lagos?"))
      const spans = yield* spansOf(
        run.pipe(Effect.provide(model), Effect.provideService(Telemetry.RecordContent, true))
      )
      const [first, second] = spans.filter(({ name }) => name === "chat scripted").map(attributes)
      const json = (text: unknown) => JSON.parse(String(text))
      assert.deepStrictEqual(json(first!["gen_ai.system_instructions"]), [{ type: "text", content: "Be brief." }])
      assert.deepStrictEqual(json(first!["gen_ai.input.messages"]), [
        { role: "user", parts: [{ type: "text", content: "Weather in Lagos?" }] }
      ])
      const [answer] = json(first!["gen_ai.output.messages"])
      assert.strictEqual(answer.role, "assistant")
      assert.strictEqual(answer.finish_reason, "tool-calls")
      const [thought, call] = answer.parts
      assert.deepStrictEqual(thought, { type: "reasoning", content: "Hm." })
      assert.deepInclude(call, { type: "tool_call", name: "get_weather", arguments: { city: "Lagos" } })
      assert.deepStrictEqual(json(second!["gen_ai.input.messages"]).at(-1), {
        role: "tool",
        parts: [{ type: "tool_call_response", id: call.id, response: "18 C" }]
      })
      assert.deepStrictEqual(json(second!["gen_ai.output.messages"]), [
        { role: "assistant", parts: [{ type: "text", content: "18 C." }], finish_reason: "stop" }
      ])
    }))

  it.live("neither the key nor the bytes of a file are in it, also where a server repeats the key", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(
        Loopback.sse(Wire.chatText(["The key ", "is sk-", "test."])),
        Loopback.json(200, Wire.chatBody({ role: "assistant", content: "It is c2stdGVzdA==." }, "stop"))
      )
      const prompt = [{
        role: "user" as const,
        content: [
          { type: "text" as const, text: "Is it sk-test?" },
          { type: "file" as const, mediaType: "image/png", data: Uint8Array.of(1, 2, 3) }
        ]
      }]
      const spans = yield* spansOf(
        Effect.all([
          Stream.runDrain(LanguageModel.streamText({ prompt })),
          LanguageModel.generateText({ prompt })
        ]).pipe(Effect.provide(openAi(server)), Effect.provideService(Telemetry.RecordContent, true))
      )
      const calls = spans.filter(({ name }) => name === "chat gpt-4o-mini").map(attributes)
      assert.deepStrictEqual(calls.map((call) => call["gen_ai.output.messages"]), [
        JSON.stringify([{
          role: "assistant",
          parts: [{ type: "text", content: "The key is <redacted>." }],
          finish_reason: "stop"
        }]),
        JSON.stringify([{
          role: "assistant",
          parts: [{ type: "text", content: "It is <redacted>." }],
          finish_reason: "stop"
        }])
      ])
      for (const call of calls) {
        assert.strictEqual(
          call["gen_ai.input.messages"],
          JSON.stringify([{
            role: "user",
            parts: [{ type: "text", content: "Is it <redacted>?" }, { type: "file", mime_type: "image/png" }]
          }])
        )
      }
    }))

  it.effect("a provider has the name that the conventions give it", () =>
    Effect.gen(function*() {
      const config = variables({
        AZURE_OPENAI_ENDPOINT: "https://acme.openai.azure.com",
        AZURE_OPENAI_API_KEY: "key",
        GEMINI_API_KEY: "key",
        GOOGLE_VERTEX_API_KEY: "key",
        MISTRAL_API_KEY: "key",
        OPENAI_API_KEY: "key"
      })
      const names: Array<unknown> = []
      for (const { model } of [AzureOpenAi, Gemini, Vertex, Mistral, OpenAi]) {
        const name = yield* Effect.provide(Model.ProviderName, Layer.provide(model("any"), config))
        const [span] = yield* spansOf(Effect.provide(streamed, Telemetry.trace(provider(name))))
        names.push(attributes(span!)["gen_ai.provider.name"])
      }
      assert.deepStrictEqual(names, ["azure.ai.openai", "gcp.gemini", "gcp.vertex_ai", "mistral_ai", "openai"])
    }))

  it.effect("a failed call has its reason, and inside of a retry every attempt is a span", () =>
    Effect.gen(function*() {
      const down = Scripted.fail(new AiError.InternalProviderError({ description: "overloaded" }))
      const model = Scripted.model([down, "Hello."]).pipe(
        Telemetry.trace,
        Middleware.retry(Schedule.spaced("1 second"))
      )
      const spans = yield* spansOf(Effect.provide(streamed, model))
      const calls = spans.filter((span) => span.name === "chat scripted").map(attributes)
      assert.deepStrictEqual(calls.map((call) => call["error.type"]), ["InternalProviderError", undefined])
      assert.deepStrictEqual(calls.map((call) => call["gen_ai.response.finish_reasons"]), [undefined, ["stop"]])
    }))

  it.effect("the call of an agent's turn is inside of the agent's span", () =>
    Effect.gen(function*() {
      const spans = yield* spansOf(
        Effect.provide(
          Agent.response(Agent.run(Agent.make("poet"), "A line?")),
          Telemetry.trace(Scripted.model(["A."]))
        )
      )
      const parent = spans.find((span) => span.name === "chat scripted")!.parent
      assert.strictEqual(
        parent._tag === "Some" && parent.value._tag === "Span" && parent.value.name,
        "invoke_agent poet"
      )
    }))

  it.effect("neither prompt nor answer is in a span", () =>
    Effect.gen(function*() {
      const spans = yield* spansOf(Effect.provide(streamed, Telemetry.trace(Scripted.model(["Goodbye."]))))
      const text = JSON.stringify(spans.map(attributes))
      assert.notInclude(text, "Hello?")
      assert.notInclude(text, "Goodbye")
    }))

  it.effect("prices can be replaced, and a model without one has no cost", () =>
    Effect.gen(function*() {
      const costOf = (prices: Prices.PriceTable) =>
        Effect.map(
          spansOf(
            Effect.provide(Effect.provideService(streamed, Prices.Prices, prices), Telemetry.trace(provider("x")))
          ),
          ([span]) => attributes(span!)["gen_ai.usage.cost"]
        )
      assert.strictEqual(yield* costOf({ "claude-sonnet-4-5": { input: 1000, output: 0 } }), 1)
      assert.isUndefined(yield* costOf({}))
    }))
})
