import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Layer } from "effect"
import * as Mistral from "../../src/Llm/Mistral.ts"
import type * as Settings from "../../src/Llm/Settings.ts"
import * as Asking from "../fixtures/asking.ts"
import { variables } from "../fixtures/config.ts"
import * as Embeddings from "../fixtures/embeddingsWire.ts"
import * as Loopback from "../fixtures/loopbackServer.ts"
import * as Wire from "../fixtures/mistralWire.ts"

const KEY = "mistral-test-0123456789"

const configuration = (server: Loopback.LoopbackServer) => ({
  MISTRAL_API_KEY: KEY,
  MISTRAL_BASE_URL: `${server.url}/v1`
})

const at = (server: Loopback.LoopbackServer, settings?: Settings.Settings) =>
  Mistral.model("mistral-small-latest", settings).pipe(Layer.provide(variables(configuration(server))))

interface Body {
  readonly messages: ReadonlyArray<{ readonly role: string; readonly [key: string]: unknown }>
}

const bodyOf = (server: Loopback.LoopbackServer, index = 0) => server.requests[index]!.body as Body

describe("Mistral", () => {
  it.live("an answer with its thinking streams, with its usage and the key in its header", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(
        Loopback.sse([Wire.opening, Wire.thinking("Hm."), ...Wire.text(["Hel", "lo, ", "wörld"]).slice(1)])
      )
      const answer = yield* Asking.text(at(server, { seed: 7 }))
      assert.deepStrictEqual(answer.deltas, ["Hel", "lo, ", "wörld"])
      assert.strictEqual(answer.reasoning, "Hm.")
      assert.strictEqual(answer.reason, "stop")
      assert.deepStrictEqual(answer.usage, { input: 12, cached: 0, output: 5 })
      const [request] = server.requests
      assert.strictEqual(request?.path, "/v1/chat/completions")
      assert.strictEqual(request?.headers.authorization, `Bearer ${KEY}`)
      assert.deepInclude(request?.body, { model: "mistral-small-latest", stream: true, random_seed: 7 })
    }))

  it.live("a call and its result go back in Mistral's form", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(
        Loopback.sse(Wire.call("D681PevKs", "get_weather", { city: "Lagos" })),
        Loopback.sse(Wire.text(["31 C."]))
      )
      assert.strictEqual((yield* Asking.run(at(server))).text, "31 C.")
      assert.deepNestedInclude(bodyOf(server), { "tools[0].function.name": "get_weather" })
      const [system, user, assistant, tool] = bodyOf(server, 1).messages
      assert.deepStrictEqual([system?.role, user?.role], ["system", "user"])
      assert.deepNestedInclude(assistant, {
        role: "assistant",
        "tool_calls[0].id": "D681PevKs",
        "tool_calls[0].function": { name: "get_weather", arguments: "{\"city\":\"Lagos\"}" }
      })
      assert.deepInclude(tool, {
        role: "tool",
        name: "get_weather",
        tool_call_id: "D681PevKs",
        content: "{\"celsius\":31}"
      })
    }))

  it.live("an image goes out as a data URL", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(Loopback.sse(Wire.text(["A pixel."])))
      yield* Asking.image(at(server))
      assert.deepNestedInclude(bodyOf(server), {
        "messages[0].content[1]": { type: "image_url", image_url: `data:image/png;base64,${Asking.PNG}` }
      })
    }))

  it.live("errors have the reason of their status", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(
        Loopback.json(401, { detail: "Unauthorized" }),
        Loopback.json(429, Wire.error("rate_limited", "Requests rate limit exceeded", "1300"), { "retry-after": "2" }),
        Loopback.json(503, Wire.error("service_unavailable", "Service unavailable.", "3500")),
        Loopback.json(400, Wire.error("invalid_model", `Invalid model: none, key ${KEY}`, "1500"))
      )
      const next = Effect.map(Asking.failure(at(server)), ({ error }) => error)
      assert.strictEqual((yield* next).reason._tag, "AuthenticationError")
      const limited = yield* next
      assert.strictEqual(limited.reason._tag, "RateLimitError")
      assert.strictEqual(limited.retryAfter && Duration.toSeconds(limited.retryAfter), 2)
      const down = yield* next
      assert.strictEqual(down.reason._tag, "InternalProviderError")
      assert.isTrue(down.isRetryable)
      const invalid = yield* next
      assert.strictEqual(invalid.reason._tag, "InvalidRequestError")
      assert.include(invalid.message, "Invalid model: none, key <redacted>")
    }))

  it.live("a stream that stops without its end is a NetworkError", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(Loopback.sse(Wire.text(["cut"]).slice(0, 2)))
      const { before, error } = yield* Asking.failure(at(server))
      assert.strictEqual(before, "cut")
      assert.strictEqual(error.reason._tag, "NetworkError", error.message)
    }))

  it.live("a chunk with an empty choice list is an InvalidResponseError after what came before", () =>
    Effect.gen(function*() {
      const empty = Wire.event({ id: "1", object: "chat.completion.chunk", created: 1, model: "m", choices: [] })
      const server = yield* Loopback.make(
        Loopback.sse([Wire.opening, Wire.chunk({ content: "so far" }), empty], { finish: "open" })
      )
      const { before, error } = yield* Asking.failure(at(server))
      assert.strictEqual(before, "so far")
      assert.strictEqual(error.reason._tag, "InvalidResponseError")
      yield* server.idle
    }))

  it.live("embeddings go out in batches of 32, one after the other, and come back in order", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(Embeddings.numbers, Embeddings.numbers, Embeddings.numbers)
      const layer = Mistral.embeddings("mistral-embed").pipe(Layer.provide(variables(configuration(server))))
      const inputs = Embeddings.inputs(70)
      const { tokens, vectors } = yield* Asking.embed(layer, inputs)
      assert.deepStrictEqual(vectors.map(([first]) => String(first)), inputs)
      assert.strictEqual(tokens, 210)
      assert.deepStrictEqual(Embeddings.sizes(server), [32, 32, 6])
      assert.strictEqual(server.requests[0]?.path, "/v1/embeddings")
    }))

  it.live("the list has names and limits", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(
        Loopback.json(
          200,
          Embeddings.modelList({
            id: "mistral-small-latest",
            name: "mistral-small-2506",
            max_context_length: 131072,
            capabilities: { completion_chat: true, function_calling: true, vision: true }
          })
        )
      )
      assert.deepStrictEqual(yield* Asking.models(Mistral.models, configuration(server)), [
        { id: "mistral-small-latest", name: "mistral-small-2506", inputTokens: 131072, outputTokens: undefined }
      ])
      assert.strictEqual(server.requests[0]?.path, "/v1/models")
      assert.strictEqual(server.requests[0]?.headers.authorization, `Bearer ${KEY}`)
    }))

  it.effect("without a key each layer fails with a ConfigError that names variable and provider", () =>
    Effect.gen(function*() {
      const expected = /^ConfigError: .*Mistral needs an API key: set the variable MISTRAL_API_KEY/
      assert.match(yield* Asking.refusal(Mistral.model("mistral-small-latest")), expected)
      assert.match(yield* Asking.refusal(Mistral.embeddings("mistral-embed")), expected)
    }))
})
