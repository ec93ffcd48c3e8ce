import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted, Schema, Stream } from "effect"
import { LanguageModel, Model, Prompt, Tool, Toolkit } from "effect/ai"
import * as Ollama from "../../src/Llm/Ollama.ts"
import * as OpenAiCompatible from "../../src/Llm/OpenAiCompatible.ts"
import { variables } from "../fixtures/config.ts"
import * as Loopback from "../fixtures/loopbackServer.ts"
import * as Wire from "../fixtures/openAiWire.ts"

const host = (value: string) => Layer.provide(variables({ OLLAMA_HOST: value }))

const text = LanguageModel.streamText({ prompt: "Hi" }).pipe(
  Stream.runFold(() => "", (text, part) => part.type === "text-delta" ? text + part.delta : text)
)

describe("Ollama", () => {
  it.live("streams from the server of OLLAMA_HOST without a key, however the host is written", () =>
    Effect.gen(function*() {
      const reply = Loopback.sse(Wire.chatText(["Hel", "lo"]))
      const server = yield* Loopback.make(reply, reply, reply, reply, reply)
      const { port } = new URL(server.url)
      for (
        const value of [server.url, `${server.url}/`, `127.0.0.1:${port}`, `0.0.0.0:${port}`, `127.0.0.1:${port}/proxy`]
      ) {
        assert.strictEqual(yield* text.pipe(Effect.provide(Ollama.model("llama3.2").pipe(host(value)))), "Hello")
      }
      const [request] = server.requests
      assert.strictEqual(request?.path, "/v1/chat/completions")
      assert.strictEqual(server.requests.at(-1)?.path, "/proxy/v1/chat/completions")
      assert.notProperty(request?.headers, "authorization")
      assert.deepInclude(request?.body, { model: "llama3.2", stream: true, stream_options: { include_usage: true } })
    }))

  it.live("tool calls, reasoning and usage arrive, and reasoning goes back with the next request", () =>
    Effect.gen(function*() {
      const call: Wire.Call = { id: "call_1", name: "now", arguments: ["{\"zo", "ne\":\"UTC\"}"] }
      const server = yield* Loopback.make(
        Loopback.sse([Wire.chatChunk({ role: "assistant", reasoning_content: "Hm." }), ...Wire.chatCalls([call])]),
        Loopback.sse(Wire.chatText(["noon"], { input: 9, cached: 4, output: 2, reasoning: 1 }))
      )
      const toolkit = Toolkit.make(Tool.make("now", { parameters: Schema.Struct({ zone: Schema.String }) }))
      const turn = (prompt: Prompt.RawInput) =>
        LanguageModel.streamText({ prompt, toolkit, disableToolCallResolution: true }).pipe(
          Stream.runCollect,
          Effect.provide(toolkit.toLayer({ now: () => Effect.die("never run here") })),
          Effect.provide(Ollama.model("qwen3").pipe(host(server.url)))
        )
      const first = yield* turn("What time is it?")
      const made = first.find((part) => part.type === "tool-call")
      assert.deepStrictEqual(made?.params, { zone: "UTC" })
      const second = yield* turn(Prompt.concat(Prompt.fromResponseParts(first), [{
        role: "tool",
        content: [{ type: "tool-result", id: "call_1", name: "now", isFailure: false, result: "12:00" }]
      }]))
      assert.deepNestedInclude(server.requests[1]?.body, { "messages[0].reasoning_content": "Hm." })
      const finish = second.at(-1)
      assert(finish?.type === "finish")
      assert.deepInclude({ ...finish.usage.inputTokens }, { total: 9, cacheRead: 4 })
      assert.deepInclude({ ...finish.usage.outputTokens }, { total: 2, reasoning: 1 })
    }))

  it.live("structured output asks for the schema", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(Loopback.json(200, Wire.chatBody({ content: "{\"city\":\"Oslo\"}" })))
      const { value } = yield* LanguageModel.generateObject({
        prompt: "A city",
        schema: Schema.Struct({ city: Schema.String })
      }).pipe(Effect.provide(Ollama.model("qwen3").pipe(host(server.url))))
      assert.deepStrictEqual(value, { city: "Oslo" })
      assert.deepNestedInclude(server.requests[0]?.body, { "response_format.type": "json_schema" })
    }))

  it.live("a stream that stops without its end is a retryable NetworkError", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(Loopback.sse([Wire.chatOpening, Wire.chatChunk({ content: "cut" })]))
      const error = yield* text.pipe(Effect.provide(Ollama.model("qwen3").pipe(host(server.url))), Effect.flip)
      assert(error._tag === "AiError")
      assert.strictEqual(error.reason._tag, "NetworkError")
      assert.isTrue(error.isRetryable)
    }))

  it.live("a host that is no address is a ConfigError that names the variable", () =>
    Effect.gen(function*() {
      const error = yield* text.pipe(Effect.provide(Ollama.model("qwen3").pipe(host("no host"))), Effect.flip)
      assert.strictEqual(error._tag, "ConfigError")
      assert.include(error.message, "OLLAMA_HOST")
    }))

  it.effect("listens to port 11434 of this machine by default and provides its names", () =>
    Effect.gen(function*() {
      const names = yield* Effect.all([Model.ProviderName, Model.ModelName]).pipe(
        Effect.provide(Ollama.model("llama3.2").pipe(Layer.provide(variables({}))))
      )
      assert.deepStrictEqual(names, ["ollama", "llama3.2"])
    }))
})

describe("OpenAiCompatible", () => {
  it("dies at construction of a base URL that is none", () => {
    assert.throws(() => OpenAiCompatible.model("m", { baseUrl: "localhost:80" }), /baseUrl must be an http address/)
  })

  it.live("sends its key, and an error shows its provider's name and not the key", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(Loopback.json(401, Wire.errorBody("Bad key: s3cret")))
      const model = OpenAiCompatible.model("m", {
        baseUrl: `${server.url}/v1`,
        apiKey: Redacted.make("s3cret"),
        provider: "acme"
      })
      const error = yield* text.pipe(Effect.provide(model), Effect.flip)
      assert.strictEqual(server.requests[0]?.headers.authorization, "Bearer s3cret")
      assert(error._tag === "AiError")
      assert.strictEqual(error.module, "acme")
      assert.include(error.message, "Bad key: <redacted>")
    }))
})
