import { assert, describe, expectTypeOf, it } from "@effect/vitest"
import { Duration, Effect, Layer, Stream } from "effect"
import type { Config } from "effect"
import { LanguageModel, Prompt } from "effect/ai"
import type * as AiSdk from "../../src/Llm/AiSdk.ts"
import type * as AiSdkEmbedding from "../../src/Llm/AiSdkEmbedding.ts"
import * as Anthropic from "../../src/Llm/Anthropic.ts"
import * as Wire from "../fixtures/anthropicWire.ts"
import * as Asking from "../fixtures/asking.ts"
import { variables } from "../fixtures/config.ts"
import * as Loopback from "../fixtures/loopbackServer.ts"

const KEY = "sk-ant-test-0123456789"

const configuration = (server: Loopback.LoopbackServer) => ({ ANTHROPIC_API_KEY: KEY, ANTHROPIC_BASE_URL: server.url })

const at = (server: Loopback.LoopbackServer, settings?: Anthropic.Settings, name = "claude-sonnet-4-5") =>
  Anthropic.model(name, settings).pipe(Layer.provide(variables(configuration(server))))

interface Body {
  readonly messages: ReadonlyArray<{ readonly role: string; readonly content: ReadonlyArray<Record<string, unknown>> }>
  readonly [key: string]: unknown
}

const bodyOf = (server: Loopback.LoopbackServer, index = 0) => server.requests[index]!.body as Body

const call = Wire.toolUse("toolu_01", "get_weather", ["{\"ci", "ty\": \"La", "gos\"}"])

describe("Anthropic", () => {
  it.live("an answer streams from the messages API, with its usage and the key in its header", () =>
    Effect.gen(function*() {
      const usage = { input: 12, cached: 100, written: 20, output: 15 }
      const server = yield* Loopback.make(
        Loopback.sse(Wire.message([Wire.text(["Hel", "lo, ", "wörld"])], "end_turn", usage))
      )
      const answer = yield* Asking.text(at(server))
      assert.deepStrictEqual(answer.deltas, ["Hel", "lo, ", "wörld"])
      assert.strictEqual(answer.reason, "stop")
      assert.deepStrictEqual(answer.usage, { input: 132, cached: 100, output: 15 })
      const [request] = server.requests
      assert.strictEqual(request?.path, "/v1/messages")
      assert.strictEqual(request?.headers["x-api-key"], KEY)
      assert.strictEqual(request?.headers["anthropic-version"], "2023-06-01")
      assert.deepInclude(request?.body, { model: "claude-sonnet-4-5", stream: true })
    }))

  it.live("a call, its result and the thinking before it go back as they came, signatures and order included", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(
        Loopback.sse(Wire.message(
          [Wire.thinking(["Let me ", "see."], "sig-1"), Wire.redacted("opaque"), Wire.text(["I look."]), call],
          "tool_use"
        )),
        Loopback.sse(Wire.message([Wire.text(["31 C."])]))
      )
      const { text } = yield* Asking.run(at(server, { reasoning: "low" }))
      assert.strictEqual(text, "31 C.")
      const first = bodyOf(server)
      assert.deepNestedInclude(first, { "thinking.type": "enabled", "system[0].text": "Be brief." })
      assert.deepNestedInclude(first, { "tools[0].name": "get_weather", "tools[0].input_schema.required": ["city"] })
      assert.deepStrictEqual(bodyOf(server, 1).messages.slice(1), [
        {
          role: "assistant",
          content: [
            { type: "thinking", thinking: "Let me see.", signature: "sig-1" },
            { type: "redacted_thinking", data: "opaque" },
            { type: "text", text: "I look." },
            { type: "tool_use", id: "toolu_01", name: "get_weather", input: { city: "Lagos" } }
          ]
        },
        {
          role: "user",
          content: [{ type: "tool_result", tool_use_id: "toolu_01", content: "{\"celsius\":31}" }]
        }
      ])
    }))

  it.live("an image goes out as bytes with its type", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(Loopback.sse(Wire.message([Wire.text(["A pixel."])])))
      yield* Asking.image(at(server))
      assert.deepStrictEqual(bodyOf(server).messages[0]?.content[1], {
        type: "image",
        source: { type: "base64", media_type: "image/png", data: Asking.PNG }
      })
    }))

  it.live("errors have the reason of Anthropic's type, whole or in mid-stream", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(
        Loopback.json(401, Wire.error("authentication_error", `invalid x-api-key: ${KEY}`)),
        Loopback.json(429, Wire.error("rate_limit_error", "Too many."), { "retry-after": "7" }),
        Loopback.json(529, Wire.error("overloaded_error", "Overloaded")),
        Loopback.json(400, Wire.error("invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum")),
        Loopback.json(404, Wire.error("not_found_error", "model: claude-none")),
        Loopback.sse([
          Wire.opening(),
          Wire.event({ type: "content_block_start", index: 0, content_block: { type: "text", text: "" } }),
          Wire.event({ type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "so far" } }),
          Wire.event(Wire.error("overloaded_error", "Overloaded"))
        ])
      )
      const next = Asking.failure(at(server))
      const denied = (yield* next).error
      assert.strictEqual(denied.reason._tag, "AuthenticationError")
      assert.notInclude(denied.message, KEY)
      const limited = (yield* next).error
      assert.strictEqual(limited.reason._tag, "RateLimitError")
      assert.strictEqual(limited.retryAfter && Duration.toSeconds(limited.retryAfter), 7)
      const overloaded = (yield* next).error
      assert.strictEqual(overloaded.reason._tag, "InternalProviderError")
      assert.isTrue(overloaded.isRetryable)
      for (const _ of ["too long", "no model"]) {
        const { error } = yield* next
        assert.strictEqual(error.reason._tag, "InvalidRequestError")
        assert.isFalse(error.isRetryable)
      }
      const { before, error } = yield* next
      assert.strictEqual(before, "so far")
      assert.strictEqual(error.reason._tag, "InternalProviderError")
      assert.isTrue(error.isRetryable)
    }))

  it.live("a stream that stops without its end is a NetworkError, and a refusal is a content filter", () =>
    Effect.gen(function*() {
      const whole = Wire.message([Wire.text(["cut"])])
      const server = yield* Loopback.make(
        Loopback.sse(whole.slice(0, -2)),
        Loopback.sse(Wire.message([Wire.text(["I"])], "refusal"))
      )
      const { before, error } = yield* Asking.failure(at(server))
      assert.strictEqual(before, "cut")
      assert.strictEqual(error.reason._tag, "NetworkError", error.message)
      assert.strictEqual((yield* Asking.text(at(server))).reason, "content-filter")
    }))
})

describe("Anthropic prompt caching", () => {
  it.live("`cache` asks for it with one field, and without it nothing does", () =>
    Effect.gen(function*() {
      const reply = Loopback.sse(Wire.message([Wire.text(["ok"])]))
      const server = yield* Loopback.make(reply, reply, reply)
      yield* Asking.text(at(server, { cache: "1h" }))
      yield* Asking.text(at(server, { cache: "5m", providerOptions: { anthropic: { effort: "low" } } }))
      yield* Asking.text(at(server))
      const fields = server.requests.map((_, index) => bodyOf(server, index)["cache_control"])
      assert.deepStrictEqual(fields, [{ type: "ephemeral", ttl: "1h" }, { type: "ephemeral", ttl: "5m" }, undefined])
    }))

  it.live("a message and a part can carry a cache point of their own", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(Loopback.sse(Wire.message([Wire.text(["ok"])])))
      const options = { anthropic: { cacheControl: { type: "ephemeral" } } }
      yield* LanguageModel.streamText({
        prompt: Prompt.make([
          { role: "system", content: "The handbook ...", options },
          { role: "user", content: [{ type: "text", text: "Page 1 ...", options }, { type: "text", text: "Why?" }] }
        ])
      }).pipe(Stream.runDrain, Effect.provide(at(server)))
      assert.deepNestedInclude(bodyOf(server), {
        "system[0].cache_control": { type: "ephemeral" },
        "messages[0].content[0].cache_control": { type: "ephemeral" }
      })
      assert.notProperty(bodyOf(server).messages[0]?.content[1], "cache_control")
    }))
})

describe("Anthropic models", () => {
  const page = (id: string, has_more: boolean) => ({
    data: [{
      type: "model",
      id,
      display_name: id.toUpperCase(),
      created_at: "2025-09-29T00:00:00Z",
      max_tokens: 64000
    }],
    has_more,
    first_id: id,
    last_id: id
  })

  it.live("all pages of the list come, and come once", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(Loopback.json(200, page("a", true)), Loopback.json(200, page("b", false)))
      const models = yield* Asking.models(Anthropic.models, configuration(server))
      assert.deepStrictEqual(models, [
        { id: "a", name: "A", inputTokens: undefined, outputTokens: 64000 },
        { id: "b", name: "B", inputTokens: undefined, outputTokens: 64000 }
      ])
      assert.deepStrictEqual(server.requests.map(({ path }) => path), [
        "/v1/models?limit=1000",
        "/v1/models?limit=1000&after_id=a"
      ])
      assert.strictEqual(server.requests[0]?.headers["x-api-key"], KEY)
    }))
})

describe("Anthropic configuration", () => {
  it.effect("without a key each layer and the list fail with a ConfigError that names variable and provider", () =>
    Effect.gen(function*() {
      const expected = /^ConfigError: .*Anthropic needs an API key: set the variable ANTHROPIC_API_KEY/
      assert.match(yield* Asking.refusal(Anthropic.model("claude-sonnet-4-5")), expected)
      const error = yield* Anthropic.models.pipe(Effect.provide(variables({})), Effect.flip)
      assert.include(error.message, "ANTHROPIC_API_KEY")
    }))

  it.effect("embeddings fail with a typed error that says that there are none", () =>
    Effect.gen(function*() {
      assert.match(yield* Asking.refusal(Anthropic.embeddings("voyage-3")), /^EmbeddingsNotSupported: Anthropic has no/)
    }))

  it.live("a proxy's address may end with the version", () =>
    Effect.gen(function*() {
      const reply = Loopback.sse(Wire.message([Wire.text(["ok"])]))
      const server = yield* Loopback.make(reply, reply, reply)
      for (const url of [`${server.url}/proxy`, `${server.url}/proxy/`, `${server.url}/proxy/v1/`]) {
        yield* Asking.text(
          Anthropic.model("claude-sonnet-4-5").pipe(
            Layer.provide(variables({ ANTHROPIC_API_KEY: KEY, ANTHROPIC_BASE_URL: url }))
          )
        )
      }
      assert.deepStrictEqual(new Set(server.requests.map(({ path }) => path)), new Set(["/proxy/v1/messages"]))
    }))

  it("shows in its types how it can fail", () => {
    expectTypeOf(Anthropic.model("m")).toEqualTypeOf<AiSdk.ModelLayer<Config.ConfigError | AiSdk.PackageMissing>>()
    expectTypeOf(Anthropic.embeddings("m")).toEqualTypeOf<
      AiSdkEmbedding.EmbeddingLayer<AiSdkEmbedding.EmbeddingsNotSupported>
    >()
    // @ts-expect-error no such time
    Anthropic.model("m", { cache: "2h" })
  })
})
