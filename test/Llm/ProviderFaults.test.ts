/**
 * The faults of the wire at every provider, each in its vendor's own format: a typed error or the right answer, what
 * was said before it, and a closed socket.
 */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Layer, Redacted, Stream } from "effect"
import { LanguageModel } from "effect/ai"
import * as Anthropic from "../../src/Llm/Anthropic.ts"
import * as AzureOpenAi from "../../src/Llm/AzureOpenAi.ts"
import * as Gemini from "../../src/Llm/Gemini.ts"
import * as Mistral from "../../src/Llm/Mistral.ts"
import * as Ollama from "../../src/Llm/Ollama.ts"
import * as OpenAi from "../../src/Llm/OpenAi.ts"
import * as OpenAiCompatible from "../../src/Llm/OpenAiCompatible.ts"
import * as OpenRouter from "../../src/Llm/OpenRouter.ts"
import * as Vertex from "../../src/Llm/Vertex.ts"
import * as Vllm from "../../src/Llm/Vllm.ts"
import * as AnthropicWire from "../fixtures/anthropicWire.ts"
import * as Asking from "../fixtures/asking.ts"
import { variables } from "../fixtures/config.ts"
import * as GeminiWire from "../fixtures/geminiWire.ts"
import * as Loopback from "../fixtures/loopbackServer.ts"
import * as MistralWire from "../fixtures/mistralWire.ts"
import * as Wire from "../fixtures/openAiWire.ts"

/** What a vendor streams: an answer of these pieces, and an event of a type that nobody knows. */
interface Format {
  readonly answer: (pieces: ReadonlyArray<string>) => ReadonlyArray<string>
  /** How many of the answer's events follow its last piece. */
  readonly closing: number
  readonly unknown: string
  readonly error: (status: number, message: string) => unknown
}

const chat: Format = {
  answer: (pieces) => Wire.chatText(pieces),
  closing: Wire.chatClosing("stop").length,
  unknown: "event: weather\ndata: {\"id\":\"x\",\"object\":\"weather\",\"choices\":[]}\n\n",
  error: (_, message) => Wire.errorBody(message)
}

const responses: Format = {
  ...chat,
  answer: (pieces) => Wire.responsesEvents([Wire.message(pieces)]),
  closing: 4,
  unknown: Wire.event({ type: "response.weather", sequence_number: 99, sky: "blue" })
}

const anthropic: Format = {
  answer: (pieces) => AnthropicWire.message([AnthropicWire.text(pieces)]),
  closing: 3,
  unknown: AnthropicWire.event({ type: "weather", sky: "blue" }),
  error: (status, message) => AnthropicWire.error(status === 401 ? "authentication_error" : "api_error", message)
}

const gemini: Format = {
  answer: (pieces) =>
    [...pieces, ""].map((piece, index) =>
      GeminiWire.chunk([GeminiWire.text(piece)], index === pieces.length ? "STOP" : undefined)
    ),
  closing: 1,
  unknown: GeminiWire.event({ weather: { sky: "blue" } }),
  error: (status, message) => GeminiWire.error(status, "STATUS", message)
}

const mistral: Format = {
  answer: MistralWire.text,
  closing: 2,
  // The package reads the first choice of every event: see Mistral's own test.
  unknown: `event: weather\n${MistralWire.chunk({ sky: "blue" })}`,
  error: (_, message) => MistralWire.error("type", message, "1000")
}

const key = "key-0123456789"

const providers: ReadonlyArray<
  readonly [string, Format, (url: string) => Layer.Layer<LanguageModel.LanguageModel, unknown>]
> = [
  ["OpenAi responses", responses, (url) =>
    OpenAi.model("m", { api: "responses" }).pipe(
      Layer.provide(variables({ OPENAI_API_KEY: key, OPENAI_BASE_URL: `${url}/v1` }))
    )],
  [
    "OpenAi chat",
    chat,
    (url) => OpenAi.model("m").pipe(Layer.provide(variables({ OPENAI_API_KEY: key, OPENAI_BASE_URL: `${url}/v1` })))
  ],
  ["Anthropic", anthropic, (url) =>
    Anthropic.model("claude-sonnet-4-5").pipe(
      Layer.provide(variables({ ANTHROPIC_API_KEY: key, ANTHROPIC_BASE_URL: url }))
    )],
  [
    "Gemini",
    gemini,
    (url) => Gemini.model("m").pipe(Layer.provide(variables({ GEMINI_API_KEY: key, GOOGLE_GEMINI_BASE_URL: url })))
  ],
  [
    "Vertex",
    gemini,
    (url) =>
      Vertex.model("m").pipe(Layer.provide(variables({ GOOGLE_VERTEX_API_KEY: key, GOOGLE_VERTEX_BASE_URL: url })))
  ],
  ["AzureOpenAi responses", responses, (url) =>
    AzureOpenAi.model("m").pipe(
      Layer.provide(variables({ AZURE_OPENAI_API_KEY: key, AZURE_OPENAI_ENDPOINT: url }))
    )],
  ["AzureOpenAi chat", chat, (url) =>
    AzureOpenAi.model("m", { api: "chat" }).pipe(
      Layer.provide(variables({ AZURE_OPENAI_API_KEY: key, AZURE_OPENAI_ENDPOINT: url }))
    )],
  [
    "Mistral",
    mistral,
    (url) => Mistral.model("m").pipe(Layer.provide(variables({ MISTRAL_API_KEY: key, MISTRAL_BASE_URL: `${url}/v1` })))
  ],
  ["OpenRouter", chat, (url) =>
    OpenRouter.model("m").pipe(
      Layer.provide(variables({ OPENROUTER_API_KEY: key, OPENROUTER_BASE_URL: `${url}/api/v1` }))
    )],
  ["Ollama", chat, (url) => Ollama.model("m").pipe(Layer.provide(variables({ OLLAMA_HOST: url })))],
  [
    "OpenAiCompatible",
    chat,
    (url) => OpenAiCompatible.model("m", { baseUrl: `${url}/v1`, apiKey: Redacted.make(key) })
  ],
  [
    "Vllm",
    chat,
    (url) => Vllm.model("m").pipe(Layer.provide(variables({ VLLM_API_KEY: key, VLLM_BASE_URL: `${url}/v1` })))
  ]
]

/** A reply that quotes the request's headers, as a server likes to do that is asked with a wrong key. */
const quoting = (reply: (headers: string) => Loopback.Reply): Loopback.Reply => (exchange) =>
  reply(JSON.stringify(exchange.request.headers))(exchange)

describe.each(providers)("%s", (name, { answer, closing, error, unknown }, at) => {
  const whole = answer(["so far"])
  const begun = whole.slice(0, -closing)

  const broken: ReadonlyArray<readonly [string, Loopback.Reply, string]> = [
    ["stops without its end", Loopback.sse(begun), "NetworkError"],
    [
      "has a malformed line",
      Loopback.sse([...begun, "data: {\"id\": oops\n\n"], { finish: "open" }),
      "InvalidResponseError"
    ]
  ]
  it.live.each(broken)(
    "a stream that %s fails with its reason, after what came before",
    ([, reply, reason]) =>
      Effect.gen(function*() {
        const server = yield* Loopback.make(reply)
        const failure = yield* Asking.failure(at(server.url))
        assert.strictEqual(failure.error.reason._tag, reason, failure.error.message)
        assert.strictEqual(failure.before, "so far")
        yield* server.idle
      })
  )

  it.live("a reset in mid-stream is a NetworkError, after what came before", () =>
    Effect.gen(function*() {
      const seen = yield* Deferred.make<void>()
      const server = yield* Loopback.make(Loopback.sse([...begun, Deferred.await(seen)], { finish: "reset" }))
      const failure = yield* Asking.failure(at(server.url), Deferred.succeed(seen, undefined))
      assert.strictEqual(failure.error.reason._tag, "NetworkError")
      assert.strictEqual(failure.before, "so far")
      yield* server.idle
    }))

  it.live("an image reaches the server, and an answer to it comes back", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(Loopback.sse(whole))
      yield* Asking.image(at(server.url))
      assert.include(JSON.stringify(server.requests[0]!.body), Asking.PNG)
      yield* server.idle
    }))

  it.live("a reader that leaves closes the socket", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(Loopback.sse(begun, { finish: "open" }))
      const first = yield* LanguageModel.streamText({ prompt: "Hi" }).pipe(
        Stream.filter((part) => part.type === "text-delta"),
        Stream.runHead,
        Effect.provide(at(server.url))
      )
      assert.strictEqual(first._tag, "Some")
      yield* server.hungUp
      yield* server.idle
    }))

  it.live("bytes one by one, comments and unknown events make no difference", () =>
    Effect.gen(function*() {
      const noisy = answer(["grün ", "🌍"]).flatMap((event, index) =>
        index === 1 ? [": ping\n\n", unknown, event] : [event]
      )
      const bytes = new TextEncoder().encode(noisy.join(""))
      const server = yield* Loopback.make(Loopback.sse(Array.from(bytes, (byte) => Uint8Array.of(byte))))
      const { deltas, reason } = yield* Asking.text(at(server.url))
      assert.strictEqual(deltas.join(""), "grün 🌍")
      assert.strictEqual(reason, "stop")
      yield* server.idle
    }))

  it.live("a status has its reason, which shows no key and says when to come back", () =>
    Effect.gen(function*() {
      const expected = [
        [401, "AuthenticationError"],
        [404, "InvalidRequestError"],
        [429, "RateLimitError"],
        [500, "InternalProviderError"],
        [503, "InternalProviderError"]
      ] as const
      const server = yield* Loopback.make(...expected.map(([status]) =>
        quoting((headers) => Loopback.json(status, error(status, `No: ${headers}`), { "retry-after": "7" }))
      ))
      for (const [status, reason] of expected) {
        const failure = (yield* Asking.failure(at(server.url))).error
        assert.strictEqual(failure.reason._tag, reason)
        assert.strictEqual(failure.isRetryable, status >= 429)
        if (status === 429) {
          assert.deepStrictEqual(failure.retryAfter, Duration.seconds(7))
        }
        if (status !== 429) {
          assert.include(failure.message, "No: ")
        }
        assert.notInclude(JSON.stringify(failure), key)
      }
      const sent = name === "Ollama" ? [] : [key]
      assert.sameMembers(sent, JSON.stringify(server.requests[0]!.headers).match(/key-\d+/g) ?? [])
      yield* server.idle
    }))

  it.live("a whole answer that is no JSON, cut short or empty is a typed error", () =>
    Effect.gen(function*() {
      const bodies = ["<html>", "{\"id\": \"x\", \"choi", "{}", "{\"choices\": []}"]
      const server = yield* Loopback.make(
        ...bodies.map((body) => Loopback.text(200, body, { "content-type": "application/json" }))
      )
      for (const body of bodies) {
        const exit = yield* LanguageModel.generateText({ prompt: "Hi" }).pipe(
          Effect.provide(at(server.url)),
          Effect.exit
        )
        // OpenAI's package takes a response without output for a failed one.
        const failed = body.startsWith("{") && body.endsWith("}") && answer === responses.answer
        const expected = failed ? "InternalProviderError" : "InvalidResponseError"
        assert.strictEqual(Asking.aiErrorOf(exit).reason._tag, expected, body)
      }
      yield* server.idle
    }))

  it.live("a server that is not there is a NetworkError", () =>
    Effect.gen(function*() {
      const failure = yield* Asking.failure(at(yield* Loopback.refusedUrl))
      assert.strictEqual(failure.error.reason._tag, "NetworkError")
    }))
})
