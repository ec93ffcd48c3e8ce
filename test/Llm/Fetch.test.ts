/** No request of ours leaves its origin, and no answer is without end: at every provider, for whatever is asked. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Layer, Redacted, Schedule } from "effect"
import { LanguageModel } from "effect/ai"
import { inspect } from "node:util"
import { gzipSync } from "node:zlib"
import * as AiSdk from "../../src/Llm/AiSdk.ts"
import type * as AiSdkEmbedding from "../../src/Llm/AiSdkEmbedding.ts"
import * as Anthropic from "../../src/Llm/Anthropic.ts"
import * as AzureOpenAi from "../../src/Llm/AzureOpenAi.ts"
import * as Gemini from "../../src/Llm/Gemini.ts"
import * as Middleware from "../../src/Llm/Middleware.ts"
import * as Mistral from "../../src/Llm/Mistral.ts"
import type * as ModelList from "../../src/Llm/ModelList.ts"
import * as OpenAi from "../../src/Llm/OpenAi.ts"
import * as OpenAiCompatible from "../../src/Llm/OpenAiCompatible.ts"
import * as OpenRouter from "../../src/Llm/OpenRouter.ts"
import * as Settings from "../../src/Llm/Settings.ts"
import * as Vertex from "../../src/Llm/Vertex.ts"
import * as Asking from "../fixtures/asking.ts"
import { variables } from "../fixtures/config.ts"
import * as Embeddings from "../fixtures/embeddingsWire.ts"
import * as Loopback from "../fixtures/loopbackServer.ts"
import * as Wire from "../fixtures/openAiWire.ts"
import { key, providers } from "../fixtures/providers.ts"

const generate = LanguageModel.generateText({ prompt: "Hi" })

const redirect = (status: number, location: string): Loopback.Reply => (exchange) =>
  Effect.andThen(exchange.head(status, { location }), exchange.end)

/** The same variables for whoever needs them. */
const everywhere = (url: string) =>
  variables({
    ANTHROPIC_API_KEY: key,
    ANTHROPIC_BASE_URL: url,
    AZURE_OPENAI_API_KEY: key,
    AZURE_OPENAI_ENDPOINT: url,
    GEMINI_API_KEY: key,
    GOOGLE_GEMINI_BASE_URL: url,
    GOOGLE_VERTEX_API_KEY: key,
    GOOGLE_VERTEX_BASE_URL: url,
    MISTRAL_API_KEY: key,
    MISTRAL_BASE_URL: `${url}/v1`,
    OPENAI_API_KEY: key,
    OPENAI_BASE_URL: `${url}/v1`,
    OPENROUTER_API_KEY: key,
    OPENROUTER_BASE_URL: `${url}/v1`
  })

const embeddings: ReadonlyArray<readonly [string, (name: string) => AiSdkEmbedding.EmbeddingLayer<unknown>]> = [
  ["OpenAi", OpenAi.embeddings],
  ["Gemini", Gemini.embeddings],
  ["Vertex", Vertex.embeddings],
  ["AzureOpenAi", AzureOpenAi.embeddings],
  ["Mistral", Mistral.embeddings],
  ["OpenRouter", OpenRouter.embeddings]
]

const lists: ReadonlyArray<readonly [string, ModelList.ModelList<unknown>]> = [
  ["OpenAi", OpenAi.models],
  ["Anthropic", Anthropic.models],
  ["Gemini", Gemini.models],
  ["Vertex", Vertex.models],
  ["AzureOpenAi", AzureOpenAi.models],
  ["Mistral", Mistral.models],
  ["OpenRouter", OpenRouter.models]
]

/** A server that sends everyone to another one, and how a request there fails. */
const sentAway = Effect.fnUntraced(function*<A, E>(
  status: number,
  ask: (url: string) => Effect.Effect<A, E>
) {
  const elsewhere = yield* Loopback.make()
  const server = yield* Loopback.make(redirect(status, `${elsewhere.url}/steal?q=secret-query`))
  const error = Asking.aiErrorOf(yield* Effect.exit(ask(server.url)))
  assert.strictEqual(error.reason._tag, "InvalidResponseError", error.message)
  assert.isFalse(error.isRetryable)
  assert.include(error.message, `${elsewhere.url}/steal`)
  assert.notMatch(inspect(error, { depth: 20, showHidden: true }), new RegExp(`secret-query|${key}`))
  assert.isEmpty(elsewhere.requests)
  assert.lengthOf(server.requests, 1)
})

describe.each(providers)("%s", (_, { answer }, at) => {
  for (const status of [301, 302, 303, 307, 308]) {
    it.live(`a ${status} to another origin is not followed, and the error says where to`, () =>
      Effect.gen(function*() {
        yield* sentAway(status, (url) => Effect.provide(generate, at(url)))
        yield* sentAway(status, (url) => Asking.text(at(url)))
      }))
  }

  it.live("a redirect within the origin is followed with headers and body", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(redirect(308, "/moved?to=here"), Loopback.sse(answer(["ok"])))
      assert.deepStrictEqual((yield* Asking.text(at(server.url))).deltas.join(""), "ok")
      const [first, second] = server.requests
      assert.strictEqual(second?.path, "/moved?to=here")
      assert.deepStrictEqual(second?.body, first?.body)
      assert.deepStrictEqual(JSON.stringify(second?.headers), JSON.stringify(first?.headers))
      yield* server.idle
    }))

  it.live("an answer longer than the request allows is a typed error that names the limit", () =>
    Effect.gen(function*() {
      const whole = Loopback.json(200, { id: "x".repeat(2000) })
      const begun = answer(["so far"]).slice(0, -1).join("")
      const seen = yield* Deferred.make<void>()
      const endless = Loopback.sse([begun, Deferred.await(seen), `: ${"x".repeat(20_000)}`], { finish: "open" })
      const server = yield* Loopback.make(whole, endless)
      const errors = yield* Effect.gen(function*() {
        const failure = Asking.aiErrorOf(yield* Effect.exit(Effect.provide(generate, at(server.url))))
        const streamed = yield* Asking.failure(at(server.url), Deferred.succeed(seen, undefined))
        assert.strictEqual(streamed.before, "so far")
        return [failure, streamed.error]
      }).pipe(
        Effect.provideService(Settings.RequestSettings, { maxResponseBytes: 1 + begun.length })
      )
      for (const error of errors) {
        assert.strictEqual(error.reason._tag, "InvalidResponseError", error.message)
        assert.include(error.message, `more than ${1 + begun.length} bytes (maxResponseBytes)`)
      }
      yield* server.idle
    }))
})

describe("Redirects", () => {
  it.live.each(embeddings)("an embedding of %s does not go to another origin", ([, embeddings]) =>
    sentAway(
      307,
      (url) => Asking.embed(embeddings("m").pipe(Layer.provide(everywhere(url))), ["1"])
    ))

  it.live.each(lists)(
    "the list of %s is not asked for at another origin",
    ([, list]) => sentAway(302, (url) => Effect.provide(Effect.flatten(list), everywhere(url)))
  )

  it.live("headers that are `Redacted` and the prompt stay where they are", () =>
    sentAway(308, (url) => {
      const headers = { "x-tenant": Redacted.make("acme") }
      return Asking.text(OpenAiCompatible.model("m", { baseUrl: `${url}/v1`, headers }))
    }))

  it.live("another port, and https instead of http, are another origin", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(redirect(301, "https://127.0.0.1/v1"), redirect(301, "http://[::1"))
      for (const target of ["https://127.0.0.1/v1", "an unknown address"]) {
        const model = OpenAiCompatible.model("m", { baseUrl: `${server.url}/v1` })
        assert.include((yield* Asking.failure(model)).error.message, target)
      }
    }))

  it.live("a POST that is told to look elsewhere goes on as a GET without its body, as the standard has it", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(redirect(303, "/answer"), Loopback.sse(Wire.chatText(["ok"])))
      yield* Asking.text(OpenAiCompatible.model("m", { baseUrl: `${server.url}/v1` }))
      const [, second] = server.requests
      assert.strictEqual(second?.method, "GET")
      assert.strictEqual(second?.body, "")
      assert.notProperty(second?.headers, "content-type")
    }))

  it.live("a server that never stops redirecting is left", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(...Array.from({ length: 20 }, () => redirect(307, "/round")))
      const { error } = yield* Asking.failure(OpenAiCompatible.model("m", { baseUrl: `${server.url}/v1` }))
      assert.strictEqual(error.reason._tag, "InvalidResponseError")
      assert.include(error.message, "more than 5 redirects")
      assert.lengthOf(server.requests, 6)
    }))

  it.live("a refused redirect is not tried again, and another model answers instead", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(redirect(307, "http://127.0.0.1:9/v1"))
      const other = yield* Loopback.make(Loopback.sse(Wire.chatText(["ok"])))
      const model = OpenAiCompatible.model("m", { baseUrl: `${server.url}/v1` }).pipe(
        Middleware.retry(Schedule.recurs(3)),
        Middleware.fallback(OpenAiCompatible.model("m", { baseUrl: `${other.url}/v1` }))
      )
      assert.deepStrictEqual((yield* Asking.text(model)).deltas, ["ok"])
      assert.lengthOf(server.requests, 1)
    }))
})

describe("Limits", () => {
  const gzipped = (status: number, bytes: Uint8Array, type = "application/json"): Loopback.Reply => (exchange) =>
    exchange.head(status, { "content-type": type, "content-encoding": "gzip" }).pipe(
      Effect.andThen(exchange.write(bytes)),
      Effect.andThen(exchange.end)
    )

  /** 80 MiB in 80 KB. */
  const bomb = gzipSync(new Uint8Array(80 * 1024 ** 2).fill(32))

  const atDefault = (url: string) => OpenAiCompatible.model("m", { baseUrl: `${url}/v1` })

  const tooLong = (error: { readonly message: string; readonly reason: { readonly _tag: string } }, bytes: number) => {
    assert.strictEqual(error.reason._tag, "InvalidResponseError", error.message)
    assert.include(error.message, `more than ${bytes} bytes (maxResponseBytes)`)
  }

  it.live("a body that is small on the wire and large when unpacked ends at 64 MiB, whole or streamed", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(gzipped(200, bomb), gzipped(200, bomb, "text/event-stream"))
      tooLong(Asking.aiErrorOf(yield* Effect.exit(Effect.provide(generate, atDefault(server.url)))), 64 * 1024 ** 2)
      tooLong((yield* Asking.failure(atDefault(server.url))).error, 64 * 1024 ** 2)
      yield* server.idle
    }))

  it.live("so does a list of models", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(gzipped(200, bomb))
      const exit = yield* Effect.exit(Effect.flatten(OpenAiCompatible.models({ baseUrl: server.url })))
      tooLong(Asking.aiErrorOf(exit), 64 * 1024 ** 2)
      yield* server.idle
    }))

  it.live("embeddings may be longer by default, and have a setting of their own", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(
        (exchange) =>
          gzipped(200, gzipSync(" ".repeat(80 * 1024 ** 2) + JSON.stringify({ data: [{ embedding: [1] }] })))(exchange),
        Embeddings.numbers
      )
      const at = (settings?: AiSdkEmbedding.Settings) =>
        OpenAiCompatible.embeddings("m", { baseUrl: `${server.url}/v1`, ...settings })
      assert.deepStrictEqual((yield* Asking.embed(at(), ["1"])).vectors, [[1]])
      tooLong(
        Asking.aiErrorOf(yield* Effect.exit(Asking.embed(at({ maxResponseBytes: 100 }), ["1"]))),
        100
      )
      yield* server.idle
    }))

  it.live("an answer as long as its limit is taken", () =>
    Effect.gen(function*() {
      const events = Wire.chatText(["grün"])
      const maxResponseBytes = Buffer.byteLength(events.join(""))
      const server = yield* Loopback.make(Loopback.sse(events), Loopback.sse(events))
      const at = (maxResponseBytes: number) =>
        OpenAiCompatible.model("m", { baseUrl: `${server.url}/v1`, maxResponseBytes })
      assert.deepStrictEqual((yield* Asking.text(at(maxResponseBytes))).deltas, ["grün"])
      tooLong((yield* Asking.failure(at(maxResponseBytes - 1))).error, maxResponseBytes - 1)
    }))

  it.live("the settings of a request win over those of the layer", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(Loopback.sse(Wire.chatText(["ok"])))
      const model = OpenAiCompatible.model("m", { baseUrl: `${server.url}/v1`, maxResponseBytes: 10 })
      const { deltas } = yield* Asking.text(model).pipe(
        Effect.provideService(Settings.RequestSettings, { maxResponseBytes: 10_000 })
      )
      assert.deepStrictEqual(deltas, ["ok"])
    }))

  it.live("a failure with a long body keeps its status", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(Loopback.json(503, Wire.errorBody("x".repeat(10_000))))
      const model = OpenAiCompatible.model("m", { baseUrl: `${server.url}/v1`, maxResponseBytes: 1000 })
      const { error } = yield* Asking.failure(model)
      assert.strictEqual(error.reason._tag, "InternalProviderError")
      assert.include(error.message, "more than 1000 bytes")
    }))

  it.live("so does one of a list of models", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(gzipped(401, bomb), gzipped(503, bomb))
      const list = Effect.flatten(OpenAiCompatible.models({ baseUrl: server.url }))
      assert.strictEqual(Asking.aiErrorOf(yield* Effect.exit(list)).reason._tag, "AuthenticationError")
      assert.strictEqual(Asking.aiErrorOf(yield* Effect.exit(list)).reason._tag, "InternalProviderError")
      yield* server.idle
    }))

  it.live("a model of the AI SDK's packages that is made with `AiSdk.fetch` has it all", () =>
    Effect.gen(function*() {
      const { createOpenAICompatible } = yield* Effect.promise(() => import("@ai-sdk/openai-compatible"))
      const at = (url: string) =>
        AiSdk.layer(Effect.sync(() => ({
          model: createOpenAICompatible({ name: "own", baseURL: `${url}/v1`, fetch: AiSdk.fetch })("m"),
          provider: "own",
          settings: { maxResponseBytes: 100 }
        })))
      yield* sentAway(307, (url) => Asking.text(at(url)))
      const server = yield* Loopback.make(Loopback.sse(Wire.chatText(["ok"])))
      tooLong((yield* Asking.failure(at(server.url))).error, 100)
    }))

  it("a limit that is none throws where it is set", () => {
    const settings = { baseUrl: "http://127.0.0.1/v1", maxResponseBytes: 0 }
    const message = "maxResponseBytes must be a positive integer, got 0"
    assert.throws(() => OpenAiCompatible.model("m", settings), RangeError, message)
    assert.throws(() => OpenAiCompatible.embeddings("m", settings), RangeError, message)
  })
})
