import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { LanguageModel, Prompt } from "effect/ai"
import * as OpenRouter from "../../src/Llm/OpenRouter.ts"
import type * as Settings from "../../src/Llm/Settings.ts"
import * as Asking from "../fixtures/asking.ts"
import { variables } from "../fixtures/config.ts"
import * as Embeddings from "../fixtures/embeddingsWire.ts"
import * as Loopback from "../fixtures/loopbackServer.ts"
import * as Wire from "../fixtures/openAiWire.ts"

const KEY = "sk-or-test-0123456789"

const configuration = (server: Loopback.LoopbackServer) => ({
  OPENROUTER_API_KEY: KEY,
  OPENROUTER_BASE_URL: `${server.url}/api/v1`
})

const at = (server: Loopback.LoopbackServer, settings?: Settings.Settings) =>
  OpenRouter.model("anthropic/claude-sonnet-4.5", settings).pipe(Layer.provide(variables(configuration(server))))

/** OpenRouter names who answers and what that vendor's own reason is. */
const chunk = (delta: object, finishReason: string | null = null): string =>
  Wire.event({
    id: "gen-1",
    provider: "Anthropic",
    model: "anthropic/claude-sonnet-4.5",
    object: "chat.completion.chunk",
    created: 1_750_000_000,
    choices: [{
      index: 0,
      delta: { role: "assistant", content: "", ...delta },
      finish_reason: finishReason,
      native_finish_reason: finishReason && "end_turn",
      logprobs: null
    }]
  })

const usage = Wire.event({
  id: "gen-1",
  provider: "Anthropic",
  model: "anthropic/claude-sonnet-4.5",
  object: "chat.completion.chunk",
  created: 1_750_000_000,
  choices: [{ index: 0, delta: { role: "assistant", content: "" }, finish_reason: null, native_finish_reason: null }],
  usage: {
    prompt_tokens: 12,
    completion_tokens: 9,
    total_tokens: 21,
    cost: 0.00017,
    prompt_tokens_details: { cached_tokens: 4 },
    completion_tokens_details: { reasoning_tokens: 3 }
  }
})

const PROCESSING = ": OPENROUTER PROCESSING\n\n"

const answer = (...pieces: ReadonlyArray<string>) => [
  PROCESSING,
  ...pieces.map((content) => chunk({ content })),
  PROCESSING,
  chunk({}, "stop"),
  usage,
  Wire.done
]

describe("OpenRouter", () => {
  it.live("an answer with its reasoning streams, with its usage and the key in its header", () =>
    Effect.gen(function*() {
      const details = [{ type: "reasoning.text", text: "Hm.", format: "anthropic-claude-v1", index: 0 }]
      const server = yield* Loopback.make(
        Loopback.sse([chunk({ reasoning: "Hm.", reasoning_details: details }), ...answer("Hel", "lo, ", "wörld")])
      )
      const options = { provider: { data_collection: "deny" } }
      const result = yield* Asking.text(at(server, { providerOptions: { openrouter: options } }))
      assert.deepStrictEqual(result.deltas, ["Hel", "lo, ", "wörld"])
      assert.strictEqual(result.reasoning, "Hm.")
      assert.strictEqual(result.reason, "stop")
      assert.deepStrictEqual(result.usage, { input: 12, cached: 4, output: 9 })
      const [request] = server.requests
      assert.strictEqual(request?.path, "/api/v1/chat/completions")
      assert.strictEqual(request?.headers.authorization, `Bearer ${KEY}`)
      assert.deepInclude(request?.body, { model: "anthropic/claude-sonnet-4.5", ...options })
    }))

  const toolCall = [
    chunk({
      tool_calls: [{ index: 0, id: "toolu_1", type: "function", function: { name: "get_weather", arguments: "" } }]
    }),
    chunk({ tool_calls: [{ index: 0, function: { arguments: "{\"city\":\"Lagos\"}" } }] })
  ]

  it.live("reasoning details go back whole with the call that they came with, and in the place of their text", () =>
    Effect.gen(function*() {
      const format = "anthropic-claude-v1"
      const piece = (fields: object) => ({
        reasoning_details: [{ type: "reasoning.text", format, index: 0, ...fields }]
      })
      const encrypted = {
        type: "reasoning.encrypted",
        data: "opaque",
        id: "rs_1",
        format: "openai-responses-v1",
        index: 1
      }
      const server = yield* Loopback.make(
        Loopback.sse([
          chunk({ reasoning: "Let me ", ...piece({ text: "Let me " }) }),
          chunk({ reasoning: "see.", ...piece({ text: "see." }) }),
          chunk(piece({ signature: "sig-1" })),
          ...toolCall,
          chunk({ reasoning_details: [encrypted] }),
          // Another one, though at the same index.
          chunk({ reasoning_details: [{ ...encrypted, id: "rs_2" }] }),
          chunk({}, "tool_calls"),
          usage,
          Wire.done
        ]),
        Loopback.sse(answer("31 C."))
      )
      const { entries, text } = yield* Asking.run(at(server))
      assert.strictEqual(text, "31 C.")
      assert.include(JSON.stringify(entries), "Let me see.")
      const messages = (server.requests[1]!.body as { messages: ReadonlyArray<Record<string, unknown>> }).messages
      assert.deepStrictEqual(messages[2]!["reasoning_details"], [
        { type: "reasoning.text", format, index: 0, text: "Let me see.", signature: "sig-1" },
        encrypted,
        { ...encrypted, id: "rs_2" }
      ])
      assert.notProperty(messages[2], "reasoning_content")
      assert.deepNestedInclude(messages[2], { "tool_calls[0].id": "toolu_1" })
    }))

  it.live("an answer that is not streamed keeps its reasoning details too", () =>
    Effect.gen(function*() {
      const details = [{ type: "reasoning.encrypted", data: "opaque", format: "google-gemini-v1", index: 0 }]
      const body = Wire.chatBody({ role: "assistant", content: "31 C.", reasoning_details: details })
      const server = yield* Loopback.make(Loopback.json(200, body), Loopback.json(200, body))
      yield* Effect.gen(function*() {
        const first = yield* LanguageModel.generateText({ prompt: "Weather in Lagos?" })
        const prompt = Prompt.concat(Prompt.fromResponseParts(first.content), "And tomorrow?")
        yield* LanguageModel.generateText({ prompt })
      }).pipe(Effect.provide(at(server)))
      assert.deepNestedInclude(server.requests[1]!.body, { "messages[0].reasoning_details": details })
    }))

  it.live("a call and its result go back", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(
        Loopback.sse([...toolCall, chunk({}, "tool_calls"), usage, Wire.done]),
        Loopback.sse(answer("31 C."))
      )
      assert.strictEqual((yield* Asking.run(at(server))).text, "31 C.")
      assert.deepNestedInclude(server.requests[1]?.body, {
        "messages[2].tool_calls[0].function": { name: "get_weather", arguments: "{\"city\":\"Lagos\"}" },
        "messages[3]": { role: "tool", tool_call_id: "toolu_1", content: "{\"celsius\":31}" }
      })
    }))

  it.live("an image goes out as a data URL", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(Loopback.sse(answer("A pixel.")))
      yield* Asking.image(at(server))
      assert.deepNestedInclude(server.requests[0]?.body, {
        "messages[0].content[1].image_url.url": `data:image/png;base64,${Asking.PNG}`
      })
    }))

  it.live("errors have the reason of their status, and so has one in mid-stream", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(
        Loopback.json(401, { error: { message: `No auth credentials found for ${KEY}`, code: 401 } }),
        Loopback.json(402, { error: { message: "Insufficient credits.", code: 402 } }),
        Loopback.json(429, { error: { message: "Rate limit exceeded: free-models-per-min.", code: 429 } }),
        Loopback.json(502, {
          error: { message: "Provider returned error", code: 502, metadata: { provider_name: "Anthropic" } }
        }),
        Loopback.sse([
          chunk({ content: "so far" }),
          Wire.event({
            id: "gen-1",
            object: "chat.completion.chunk",
            created: 1_750_000_000,
            model: "anthropic/claude-sonnet-4.5",
            provider: "Anthropic",
            error: { code: 502, message: "Provider disconnected" },
            choices: [{ index: 0, delta: { content: "" }, finish_reason: "error" }]
          })
        ])
      )
      const next = Asking.failure(at(server))
      const denied = (yield* next).error
      assert.strictEqual(denied.reason._tag, "AuthenticationError")
      assert.notInclude(denied.message, KEY)
      assert.strictEqual((yield* next).error.reason._tag, "QuotaExhaustedError")
      assert.strictEqual((yield* next).error.reason._tag, "RateLimitError")
      assert.strictEqual((yield* next).error.reason._tag, "InternalProviderError")
      const { before, error } = yield* next
      assert.strictEqual(before, "so far")
      assert.strictEqual(error.reason._tag, "InternalProviderError", error.message)
      assert.isTrue(error.isRetryable)
    }))

  it.live("embeddings and the list come from OpenRouter too", () =>
    Effect.gen(function*() {
      const list = Embeddings.modelList({
        id: "anthropic/claude-sonnet-4.5",
        name: "Anthropic: Claude Sonnet 4.5",
        context_length: 1_000_000,
        pricing: { prompt: "0.000003", completion: "0.000015" },
        top_provider: { context_length: 1_000_000, max_completion_tokens: 64_000, is_moderated: true }
      })
      const server = yield* Loopback.make(Embeddings.numbers, Loopback.json(200, list))
      const layer = OpenRouter.embeddings("openai/text-embedding-3-small", { dimensions: 2 }).pipe(
        Layer.provide(variables(configuration(server)))
      )
      assert.deepStrictEqual((yield* Asking.embed(layer, ["7"])).vectors, [[7, 0.5]])
      assert.deepStrictEqual(yield* Asking.models(OpenRouter.models, configuration(server)), [
        {
          id: "anthropic/claude-sonnet-4.5",
          name: "Anthropic: Claude Sonnet 4.5",
          inputTokens: 1_000_000,
          outputTokens: 64_000
        }
      ])
      assert.deepStrictEqual(server.requests.map(({ path }) => path), ["/api/v1/embeddings", "/api/v1/models"])
      assert.deepInclude(server.requests[0]?.body, { model: "openai/text-embedding-3-small", dimensions: 2 })
    }))

  it.effect("without a key each layer fails with a ConfigError that names variable and provider", () =>
    Effect.gen(function*() {
      const expected = /^ConfigError: .*OpenRouter needs an API key: set the variable OPENROUTER_API_KEY/
      assert.match(yield* Asking.refusal(OpenRouter.model("openai/gpt-5-mini")), expected)
      assert.match(yield* Asking.refusal(OpenRouter.embeddings("openai/text-embedding-3-small")), expected)
    }))
})
