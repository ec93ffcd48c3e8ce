import { createOpenAI } from "@ai-sdk/openai"
import type { LanguageModelV4, LanguageModelV4Content, LanguageModelV4StreamPart } from "@ai-sdk/provider"
import { assert, describe, expectTypeOf, it } from "@effect/vitest"
import { createOpenAI as createOpenAiV3 } from "ai-sdk-openai-v3"
import { Deferred, Effect, type Layer, Logger, Schema, Stream } from "effect"
import { LanguageModel, type Model, type Prompt, Tool, Toolkit } from "effect/ai"
import * as AiSdk from "../../src/Llm/AiSdk.ts"
import * as Settings from "../../src/Llm/Settings.ts"
import * as Loopback from "../fixtures/loopbackServer.ts"
import * as Wire from "../fixtures/openAiWire.ts"

const of = (model: AiSdk.SdkLanguageModel, options?: Partial<AiSdk.Options>) =>
  AiSdk.layer(Effect.succeed({ model, provider: "test", ...options }))

const collect = (prompt: Prompt.RawInput) => Stream.runCollect(LanguageModel.streamText({ prompt }))

const usage = {
  inputTokens: { total: 1, noCache: 1, cacheRead: undefined, cacheWrite: undefined },
  outputTokens: { total: 1, text: 1, reasoning: undefined }
}

/** A model of the current specification that streams and gives what it is told to. */
const told = (parts: ReadonlyArray<LanguageModelV4Content>): LanguageModelV4 => ({
  specificationVersion: "v4",
  provider: "told",
  modelId: "told-1",
  supportedUrls: {},
  doGenerate: async () => ({
    content: [...parts],
    finishReason: { unified: "stop", raw: "pause_turn" },
    usage,
    warnings: []
  }),
  doStream: async () => ({
    stream: new ReadableStream<LanguageModelV4StreamPart>({
      start(controller) {
        controller.enqueue({ type: "stream-start", warnings: [] })
        for (const part of parts) if (part.type !== "text" && part.type !== "reasoning") controller.enqueue(part)
        controller.enqueue({ type: "finish", finishReason: { unified: "stop", raw: "pause_turn" }, usage })
        controller.close()
      }
    })
  })
})

describe("AiSdk specifications", () => {
  it.live("a model of specification V3 streams, calls tools and fails like one of V4", () =>
    Effect.gen(function*() {
      const call = { id: "call_1", name: "now", arguments: ["{\"zone\":", "\"UTC\"}"] }
      const server = yield* Loopback.make(
        Loopback.sse(Wire.chatCalls([call])),
        Loopback.json(200, Wire.chatBody({ content: "noon" })),
        Loopback.sse([Wire.chatOpening]),
        Loopback.json(401, Wire.errorBody("No."))
      )
      const model = of(createOpenAiV3({ baseURL: `${server.url}/v1`, apiKey: "k" }).chat("gpt-4o"))
      const toolkit = Toolkit.make(Tool.make("now", { parameters: Schema.Struct({ zone: Schema.String }) }))
      const parts = yield* LanguageModel.streamText({ prompt: "Hi", toolkit, disableToolCallResolution: true }).pipe(
        Stream.runCollect,
        Effect.provide(toolkit.toLayer({ now: () => Effect.die("never run here") })),
        Effect.provide(model)
      )
      assert.deepStrictEqual(parts.find((part) => part.type === "tool-call")?.params, { zone: "UTC" })
      const generate = LanguageModel.generateText({ prompt: "Hi" }).pipe(Effect.provide(model))
      assert.strictEqual((yield* generate).text, "noon")
      assert.strictEqual((yield* collect("Hi").pipe(Effect.provide(model), Effect.flip)).reason._tag, "NetworkError")
      assert.strictEqual((yield* Effect.flip(generate)).reason._tag, "AuthenticationError")
    }))

  it.live("images of a prompt and of a tool result reach a V3 model", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(Loopback.sse(Wire.responsesEvents([Wire.message(["ok"])])))
      const image = { type: "file", mediaType: "image/png", data: new Uint8Array([1, 2, 3]) } as const
      const call = { id: "call_1", name: "look" } as const
      yield* collect([
        { role: "user", content: [image, { ...image, data: new URL("https://example.com/cat.png") }] },
        { role: "assistant", content: [{ type: "tool-call", ...call, params: {} }] },
        {
          role: "tool",
          content: [{ type: "tool-result", ...call, isFailure: false, result: null, modelOutput: [image] }]
        }
      ]).pipe(Effect.provide(of(createOpenAiV3({ baseURL: `${server.url}/v1`, apiKey: "k" }).responses("gpt-4o"))))
      const inline = { type: "input_image", image_url: "data:image/png;base64,AQID" }
      assert.deepNestedInclude(server.requests[0]?.body, {
        "input[0].content": [inline, { type: "input_image", image_url: "https://example.com/cat.png" }],
        "input[2].output": [inline]
      })
    }))
})

describe("AiSdk parts", () => {
  const content: ReadonlyArray<LanguageModelV4Content> = [
    {
      type: "file",
      mediaType: "image/png",
      data: { type: "data", data: "AQID" },
      providerMetadata: { told: { id: "f1", unset: undefined } }
    },
    { type: "file", mediaType: "image/png", data: { type: "data", data: new Uint8Array([1, 2, 3]) } },
    { type: "source", sourceType: "url", id: "s1", url: "https://example.com/" },
    { type: "source", sourceType: "document", id: "s2", mediaType: "text/plain", title: "Notes", filename: "n.txt" },
    { type: "custom", kind: "told.secret" }
  ]

  it.effect("files, sources and a pause arrive, streamed and whole, and what Effect has no name for does not", () =>
    Effect.gen(function*() {
      const streamed = yield* collect("Hi")
      const whole = yield* LanguageModel.generateText({ prompt: "Hi" })
      for (const parts of [streamed, whole.content]) {
        const [file, bytes, url, document] = parts.filter((part) => part.type === "file" || part.type === "source")
        assert.deepNestedInclude(file, { mediaType: "image/png", data: new Uint8Array([1, 2, 3]) })
        assert.deepStrictEqual(file?.metadata, { told: { id: "f1" } })
        assert.deepNestedInclude(bytes, { data: new Uint8Array([1, 2, 3]) })
        assert.deepNestedInclude(url, { sourceType: "url", title: "https://example.com/" })
        assert.deepNestedInclude(document, { sourceType: "document", title: "Notes", fileName: "n.txt" })
        const finish = parts.at(-1)
        assert.strictEqual(finish?.type === "finish" ? finish.reason : undefined, "pause")
      }
    }).pipe(Effect.provide(of(told(content)))))

  it.live("a provider's own tool goes out under its id and its call and result come back", () =>
    Effect.gen(function*() {
      const search = {
        id: "ws_1",
        type: "web_search_call",
        status: "completed",
        action: { type: "search", query: "weather", sources: [] }
      }
      const item: Wire.Item = {
        whole: search,
        events: (output_index) => [
          { type: "response.output_item.added", output_index, item: { ...search, status: "in_progress" } },
          { type: "response.output_item.done", output_index, item: search }
        ]
      }
      const server = yield* Loopback.make(Loopback.sse(Wire.responsesEvents([item, Wire.message(["Sunny."])])))
      const webSearch = Tool.providerDefined({
        id: "openai.web_search",
        customName: "WebSearch",
        providerName: "web_search",
        args: Schema.Struct({ searchContextSize: Schema.String }),
        parameters: Schema.Unknown,
        success: Schema.Unknown
      })({ searchContextSize: "low" })
      const toolkit = Toolkit.make(webSearch)
      const parts = yield* LanguageModel.streamText({ prompt: "Weather?", toolkit, disableToolCallResolution: true })
        .pipe(
          Stream.runCollect,
          Effect.provide(toolkit.toLayer({})),
          Effect.provide(of(createOpenAI({ baseURL: `${server.url}/v1`, apiKey: "k" }).responses("gpt-5-mini")))
        )
      assert.deepNestedInclude(server.requests[0]?.body, {
        tools: [{ type: "web_search", search_context_size: "low" }]
      })
      const call = parts.find((part) => part.type === "tool-call")
      const result = parts.find((part) => part.type === "tool-result")
      assert.deepInclude(call, { id: "ws_1", name: "WebSearch", providerExecuted: true })
      assert.deepInclude(result, { id: "ws_1", name: "WebSearch", providerExecuted: true, isFailure: false })
    }))
})

describe("AiSdk streaming", () => {
  it.live("what one packet holds arrives together, and its first part waits for no other packet", () =>
    Effect.gen(function*() {
      const seen = yield* Deferred.make<void>()
      const numbers = Array.from({ length: 20 }, (_, i) => Wire.chatChunk({ content: `${i} ` })).join("")
      const server = yield* Loopback.make(
        Loopback.sse([Wire.chatOpening + numbers, Deferred.await(seen), ...Wire.chatClosing("stop")])
      )
      const batches: Array<number> = []
      yield* LanguageModel.streamText({ prompt: "Hi" }).pipe(
        Stream.runForEachArray((parts) => {
          batches.push(parts.filter((part) => part.type === "text-delta" && part.delta !== "").length)
          return Deferred.succeed(seen, undefined)
        }),
        Effect.provide(of(createOpenAI({ baseURL: `${server.url}/v1`, apiKey: "k" }).chat("gpt-4o")))
      )
      assert.deepStrictEqual(batches, [20, 0])
    }))

  it.effect("no part is read from the provider before the consumer asks for it", () =>
    Effect.gen(function*() {
      let produced = 0
      const endless: LanguageModelV4 = {
        ...told([]),
        doStream: async () => ({
          stream: new ReadableStream<LanguageModelV4StreamPart>({
            pull(controller) {
              controller.enqueue({ type: "text-delta", id: "0", delta: `${produced++}` })
            }
          }, { highWaterMark: 0 })
        })
      }
      let taken = 0
      yield* LanguageModel.streamText({ prompt: "Hi" }).pipe(
        Stream.chunks,
        Stream.runForEachWhile((parts) =>
          Effect.sync(() => {
            taken += parts.length
            // One read may be under way for the next batch.
            assert.isAtMost(produced, taken + 1)
            return taken < 1000
          })
        ),
        Effect.provide(of(endless))
      )
      assert.isAtMost(produced, taken + 1)
    }))
})

describe("AiSdk streams", () => {
  it.effect("leaving a stream cancels it at a model that does not listen to the signal", () =>
    Effect.gen(function*() {
      const cancelled = yield* Deferred.make<void>()
      const deaf = new ReadableStream<LanguageModelV4StreamPart>({
        start: (controller) => controller.enqueue({ type: "text-delta", id: "0", delta: "so far" }),
        cancel: () => void Deferred.doneUnsafe(cancelled, Effect.void)
      })
      yield* LanguageModel.streamText({ prompt: "Hi" }).pipe(
        Stream.take(1),
        Stream.runDrain,
        Effect.provide(of({ ...told([]), doStream: async () => ({ stream: deaf }) }))
      )
      yield* Deferred.await(cancelled)
    }))

  it.effect("a stream that closes without a finish part fails after what came before", () =>
    Effect.gen(function*() {
      const stream = () =>
        new ReadableStream<LanguageModelV4StreamPart>({
          start(controller) {
            controller.enqueue({ type: "text-start", id: "0" })
            controller.enqueue({ type: "text-delta", id: "0", delta: "so far" })
            controller.close()
          }
        })
      let text = ""
      const error = yield* LanguageModel.streamText({ prompt: "Hi" }).pipe(
        Stream.runForEach((part) => Effect.sync(() => part.type === "text-delta" ? text += part.delta : undefined)),
        Effect.flip,
        Effect.provide(of({ ...told([]), doStream: async () => ({ stream: stream() }) }))
      )
      assert.strictEqual(text, "so far")
      assert.strictEqual(error.reason._tag, "NetworkError")
      assert.include(error.message, "the stream ended before the provider finished its answer")
    }))
})

describe("AiSdk settings", () => {
  it.live("a setting that the model ignores is logged as a warning", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(Loopback.json(200, Wire.chatBody({ content: "ok" })))
      const logged: Array<unknown> = []
      yield* LanguageModel.generateText({ prompt: "Hi" }).pipe(
        Effect.provideService(Settings.RequestSettings, { temperature: 0.5 }),
        Effect.provide(of(createOpenAI({ baseURL: `${server.url}/v1`, apiKey: "k" }).chat("o3-mini"))),
        Effect.provide(Logger.layer([Logger.make(({ message }) => void logged.push(message))]))
      )
      assert.include(JSON.stringify(logged), "temperature")
      assert.notProperty(server.requests[0]?.body, "temperature")
    }))

  it("a wrong setting throws where the model is made", () => {
    const make = (settings: Settings.Settings) => () => AiSdk.make({ model: told([]), provider: "p", settings })
    assert.throws(make({ topP: 1.5 }), RangeError, "AiSdk.make: topP must be between 0 and 1, got 1.5")
  })

  it("a model's layer provides the model and its names, and fails only as its builder does", () => {
    expectTypeOf(of(told([]))).toEqualTypeOf<
      Layer.Layer<LanguageModel.LanguageModel | Model.ProviderName | Model.ModelName>
    >()
    expectTypeOf(AiSdk.layer(Effect.fail("no" as const))).toEqualTypeOf<AiSdk.ModelLayer<"no">>()
  })
})
