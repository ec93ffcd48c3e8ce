import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema, Stream } from "effect"
import { LanguageModel, Model, Prompt, Tool, Toolkit } from "effect/ai"
import * as Ollama from "../../src/Llm/Ollama.ts"
import * as Asking from "../fixtures/asking.ts"
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

  it.live("an image goes out as a data URL", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(Loopback.sse(Wire.chatText(["A pixel."])))
      yield* Asking.image(Ollama.model("llama3.2-vision").pipe(host(server.url)))
      assert.deepNestedInclude(server.requests[0]?.body, {
        "messages[0].content[1].image_url.url": `data:image/png;base64,${Asking.PNG}`
      })
    }))

  it.live("a model that was not pulled and a server without memory fail by their status, with Ollama's words", () =>
    Effect.gen(function*() {
      const error = (status: number, message: string) =>
        Loopback.json(status, Wire.errorBody(message, { type: "api_error" }))
      const server = yield* Loopback.make(
        error(404, "model \"none\" not found, try pulling it first"),
        error(500, "model requires more system memory (9.0 GiB) than is available (3.1 GiB)")
      )
      const next = Effect.map(Asking.failure(Ollama.model("none").pipe(host(server.url))), ({ error }) => error)
      const missing = yield* next
      assert.strictEqual(missing.reason._tag, "InvalidRequestError")
      assert.include(missing.message, "try pulling it first")
      const full = yield* next
      assert.strictEqual(full.reason._tag, "InternalProviderError")
      assert.include(full.message, "requires more system memory")
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
