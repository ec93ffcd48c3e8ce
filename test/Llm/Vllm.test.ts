import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import type * as Settings from "../../src/Llm/Settings.ts"
import * as Vllm from "../../src/Llm/Vllm.ts"
import * as Asking from "../fixtures/asking.ts"
import { variables } from "../fixtures/config.ts"
import * as Embeddings from "../fixtures/embeddingsWire.ts"
import * as Loopback from "../fixtures/loopbackServer.ts"
import * as Wire from "../fixtures/openAiWire.ts"

const configuration = (server: Loopback.LoopbackServer) => ({ VLLM_BASE_URL: `${server.url}/v1` })

const at = (server: Loopback.LoopbackServer, settings?: Settings.Settings) =>
  Vllm.model("Qwen/Qwen3-8B", settings).pipe(Layer.provide(variables(configuration(server))))

describe("Vllm", () => {
  it.live("an answer with its reasoning streams without a key, and vLLM's own options go out as they are", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(
        Loopback.sse([
          Wire.chatOpening,
          Wire.chatChunk({ reasoning_content: "Hm." }),
          ...Wire.chatText(["Hel", "lo"]).slice(1)
        ])
      )
      const options = { chat_template_kwargs: { enable_thinking: true } }
      const answer = yield* Asking.text(at(server, { providerOptions: { vllm: options } }))
      assert.deepStrictEqual(answer.deltas, ["Hel", "lo"])
      assert.strictEqual(answer.reasoning, "Hm.")
      assert.strictEqual(answer.reason, "stop")
      const [request] = server.requests
      assert.strictEqual(request?.path, "/v1/chat/completions")
      assert.notProperty(request?.headers, "authorization")
      assert.deepInclude(request?.body, { model: "Qwen/Qwen3-8B", ...options })
    }))

  it.live("a call and its result go back", () =>
    Effect.gen(function*() {
      const call = { id: "chatcmpl-tool-1", name: "get_weather", arguments: ["{\"city\": ", "\"Lagos\"}"] }
      const server = yield* Loopback.make(Loopback.sse(Wire.chatCalls([call])), Loopback.sse(Wire.chatText(["31 C."])))
      assert.strictEqual((yield* Asking.run(at(server))).text, "31 C.")
      assert.deepNestedInclude(server.requests[1]?.body, {
        "messages[2].tool_calls[0].id": "chatcmpl-tool-1",
        "messages[3]": { role: "tool", tool_call_id: "chatcmpl-tool-1", content: "{\"celsius\":31}" }
      })
    }))

  it.live("an image goes out as a data URL", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(Loopback.sse(Wire.chatText(["A pixel."])))
      yield* Asking.image(at(server))
      assert.deepNestedInclude(server.requests[0]?.body, {
        "messages[0].content[1].image_url.url": `data:image/png;base64,${Asking.PNG}`
      })
    }))

  it.live("errors have the reason of their status and vLLM's words", () =>
    Effect.gen(function*() {
      const error = (code: number, type: string, message: string) =>
        Loopback.json(code, { error: { message, type, param: null, code } })
      const tooLong = "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens."
      const server = yield* Loopback.make(
        error(404, "NotFoundError", "The model `none` does not exist."),
        error(400, "BadRequestError", tooLong),
        Loopback.json(401, { error: "Unauthorized" })
      )
      const next = Effect.map(Asking.failure(at(server)), ({ error }) => error)
      assert.include((yield* next).message, "The model `none` does not exist.")
      assert.deepInclude((yield* next).reason, { _tag: "InvalidRequestError", parameter: "prompt" })
      assert.strictEqual((yield* next).reason._tag, "AuthenticationError")
    }))

  it.live("with VLLM_API_KEY all requests carry it; the list has the length of the context", () =>
    Effect.gen(function*() {
      const values = (server: Loopback.LoopbackServer) => ({ ...configuration(server), VLLM_API_KEY: "token-abc" })
      const list = Embeddings.modelList({ id: "BAAI/bge-m3", root: "BAAI/bge-m3", parent: null, max_model_len: 8192 })
      const server = yield* Loopback.make(
        Loopback.sse(Wire.chatText(["ok"])),
        Embeddings.numbers,
        Loopback.json(200, list)
      )
      yield* Asking.text(Vllm.model("m").pipe(Layer.provide(variables(values(server)))))
      const embeddings = Vllm.embeddings("BAAI/bge-m3").pipe(Layer.provide(variables(values(server))))
      assert.deepStrictEqual((yield* Asking.embed(embeddings, ["3"])).vectors, [[3, 0.5]])
      assert.deepStrictEqual(yield* Asking.models(Vllm.models, values(server)), [
        { id: "BAAI/bge-m3", name: undefined, inputTokens: 8192, outputTokens: undefined }
      ])
      assert.deepStrictEqual(
        server.requests.map(({ headers }) => headers.authorization),
        Array(3).fill("Bearer token-abc")
      )
    }))

  it.effect("an address that is none is a ConfigError that names the variable", () =>
    Effect.gen(function*() {
      const refusal = Asking.refusal(Vllm.model("m"), { VLLM_BASE_URL: "localhost:8000" })
      assert.match(yield* refusal, /^ConfigError: .*VLLM_BASE_URL must be an http address/)
    }))
})
