import { assert, describe, expectTypeOf, it } from "@effect/vitest"
import { Duration, Effect, Layer } from "effect"
import type { Config } from "effect"
import type * as AiSdk from "../../src/Llm/AiSdk.ts"
import type * as AiSdkEmbedding from "../../src/Llm/AiSdkEmbedding.ts"
import * as Gemini from "../../src/Llm/Gemini.ts"
import type * as Settings from "../../src/Llm/Settings.ts"
import * as Asking from "../fixtures/asking.ts"
import { variables } from "../fixtures/config.ts"
import * as Wire from "../fixtures/geminiWire.ts"
import * as Loopback from "../fixtures/loopbackServer.ts"

const KEY = "AIza-test-0123456789"

const configuration = (server: Loopback.LoopbackServer) => ({ GEMINI_API_KEY: KEY, GOOGLE_GEMINI_BASE_URL: server.url })

const at = (server: Loopback.LoopbackServer, settings?: Settings.Settings) =>
  Gemini.model("gemini-2.5-flash", settings).pipe(Layer.provide(variables(configuration(server))))

const embeddingsAt = (server: Loopback.LoopbackServer, settings?: AiSdkEmbedding.Settings) =>
  Gemini.embeddings("gemini-embedding-001", settings).pipe(Layer.provide(variables(configuration(server))))

interface Body {
  readonly contents: ReadonlyArray<{ readonly role: string; readonly parts: ReadonlyArray<Record<string, unknown>> }>
  readonly requests: ReadonlyArray<Record<string, unknown>>
}

const bodyOf = (server: Loopback.LoopbackServer, index = 0) => server.requests[index]!.body as Body

describe("Gemini", () => {
  it.live("an answer with its thoughts streams from AI Studio, with its usage and the key in its header", () =>
    Effect.gen(function*() {
      const usage = { input: 30, cached: 20, output: 5, thoughts: 7 }
      const server = yield* Loopback.make(Loopback.sse([
        Wire.chunk([Wire.thought("Let me ")]),
        Wire.chunk([Wire.thought("see.")]),
        ...Wire.answer(["Hel", "lo, ", "wörld"], usage)
      ]))
      const answer = yield* Asking.text(at(server))
      assert.deepStrictEqual(answer.deltas, ["Hel", "lo, ", "wörld"])
      assert.strictEqual(answer.reasoning, "Let me see.")
      assert.strictEqual(answer.reason, "stop")
      assert.deepStrictEqual(answer.usage, { input: 30, cached: 20, output: 12 })
      const [request] = server.requests
      assert.strictEqual(request?.path, "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse")
      assert.strictEqual(request?.headers["x-goog-api-key"], KEY)
    }))

  it.live("a call goes back with its thought signature, and its result under its name", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(
        Loopback.sse([Wire.chunk([Wire.functionCall("get_weather", { city: "Lagos" }, "sig-1")], "STOP")]),
        Loopback.sse(Wire.answer(["31 C."]))
      )
      const { text } = yield* Asking.run(at(server))
      assert.strictEqual(text, "31 C.")
      assert.deepNestedInclude(bodyOf(server), {
        "systemInstruction.parts[0].text": "Be brief.",
        "tools[0].functionDeclarations[0].name": "get_weather",
        "tools[0].functionDeclarations[0].parametersJsonSchema.required": ["city"]
      })
      const [user, model, result] = bodyOf(server, 1).contents
      assert.strictEqual(user?.role, "user")
      assert.strictEqual(model?.role, "model")
      assert.deepNestedInclude(model?.parts[0], {
        "functionCall.name": "get_weather",
        "functionCall.args": { city: "Lagos" },
        thoughtSignature: "sig-1"
      })
      assert.strictEqual(result?.role, "user")
      assert.deepNestedInclude(result?.parts[0], {
        "functionResponse.name": "get_weather",
        "functionResponse.response.content": { celsius: 31 }
      })
    }))

  it.live("an image goes out as bytes with its type", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(Loopback.sse(Wire.answer(["A pixel."])))
      yield* Asking.image(at(server))
      assert.deepStrictEqual(bodyOf(server).contents[0]?.parts[1], {
        inlineData: { mimeType: "image/png", data: Asking.PNG }
      })
    }))

  it.live("errors have the reason of Google's status, and the delay that stands in the body", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(
        Loopback.json(400, Wire.badKey(`API key ${KEY} not valid. Please pass a valid API key.`)),
        Loopback.json(429, Wire.tooMany("34s")),
        Loopback.json(503, Wire.error(503, "UNAVAILABLE", "The model is overloaded. Please try again later.")),
        Loopback.json(404, Wire.error(404, "NOT_FOUND", "models/gemini-0 is not found for API version v1beta")),
        Loopback.json(
          400,
          Wire.error(400, "INVALID_ARGUMENT", "The input token count (1200000) exceeds the maximum number of tokens")
        )
      )
      const next = Effect.map(Asking.failure(at(server)), ({ error }) => error)
      const denied = yield* next
      assert.strictEqual(denied.reason._tag, "AuthenticationError")
      assert.notInclude(denied.message, KEY)
      const limited = yield* next
      assert.strictEqual(limited.reason._tag, "RateLimitError")
      assert.strictEqual(limited.retryAfter && Duration.toSeconds(limited.retryAfter), 34)
      const overloaded = yield* next
      assert.strictEqual(overloaded.reason._tag, "InternalProviderError")
      assert.isTrue(overloaded.isRetryable)
      assert.strictEqual((yield* next).reason._tag, "InvalidRequestError")
      const tooLong = yield* next
      assert.deepInclude(tooLong.reason, { _tag: "InvalidRequestError", parameter: "prompt" })
    }))

  it.live("a stream that stops without its end is a NetworkError, and a blocked answer is a content filter", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(
        Loopback.sse([Wire.chunk([Wire.text("cut")])]),
        Loopback.sse([Wire.chunk([Wire.text("I")]), Wire.chunk([], "SAFETY")])
      )
      const { before, error } = yield* Asking.failure(at(server))
      assert.strictEqual(before, "cut")
      assert.strictEqual(error.reason._tag, "NetworkError", error.message)
      assert.strictEqual((yield* Asking.text(at(server))).reason, "content-filter")
    }))
})

describe("Gemini embeddings", () => {
  it.live("texts go out in batches of 100 and come back in order", () =>
    Effect.gen(function*() {
      const reply: Loopback.Reply = (exchange) => {
        const { requests } = exchange.request.body as { requests: ReadonlyArray<{ content: unknown }> }
        const texts = requests.map(({ content }) => (content as { parts: [{ text: string }] }).parts[0].text)
        const body = { embeddings: texts.map((text) => ({ values: [Number(text), 0.5] })) }
        return Loopback.json(200, body)(exchange)
      }
      const server = yield* Loopback.make(reply, reply, reply)
      const inputs = Array.from({ length: 230 }, (_, index) => String(index))
      const { vectors } = yield* Asking.embed(embeddingsAt(server, { dimensions: 2 }), inputs)
      assert.deepStrictEqual(vectors.map(([first]) => String(first)), inputs)
      const sizes = server.requests.map((_, index) => bodyOf(server, index).requests.length)
      assert.sameMembers(sizes, [100, 100, 30])
      assert.strictEqual(server.requests[0]?.path, "/v1beta/models/gemini-embedding-001:batchEmbedContents")
      assert.deepInclude(bodyOf(server).requests[0], { outputDimensionality: 2 })
    }))

  it.live("one text goes out alone", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(Loopback.json(200, { embedding: { values: [0.25, -1] } }))
      const { vectors } = yield* Asking.embed(embeddingsAt(server), ["one"])
      assert.deepStrictEqual(vectors, [[0.25, -1]])
      assert.strictEqual(server.requests[0]?.path, "/v1beta/models/gemini-embedding-001:embedContent")
    }))

  it.live("an error is that of the language model", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(Loopback.json(400, Wire.badKey(`No: ${KEY}`)))
      const error = Asking.aiErrorOf(yield* Effect.exit(Asking.embed(embeddingsAt(server), ["one"])))
      assert.strictEqual(error.reason._tag, "AuthenticationError")
      assert.include(error.message, "gemini.embedMany")
      assert.notInclude(error.message, KEY)
    }))
})

describe("Gemini models", () => {
  it.live("names lose their prefix, and limits are kept", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(
        Loopback.json(200, {
          models: [{
            name: "models/gemini-2.5-flash",
            version: "001",
            displayName: "Gemini 2.5 Flash",
            inputTokenLimit: 1048576,
            outputTokenLimit: 65536,
            supportedGenerationMethods: ["generateContent"]
          }],
          nextPageToken: "Ch"
        }),
        Loopback.json(200, { models: [{ name: "models/gemini-embedding-001" }] })
      )
      assert.deepStrictEqual(yield* Asking.models(Gemini.models, configuration(server)), [
        { id: "gemini-2.5-flash", name: "Gemini 2.5 Flash", inputTokens: 1048576, outputTokens: 65536 },
        { id: "gemini-embedding-001", name: undefined, inputTokens: undefined, outputTokens: undefined }
      ])
      assert.deepStrictEqual(server.requests.map(({ path }) => path), [
        "/v1beta/models?pageSize=1000",
        "/v1beta/models?pageSize=1000&pageToken=Ch"
      ])
    }))
})

describe("Gemini configuration", () => {
  it.effect("without a key each layer fails with a ConfigError that names variable and provider", () =>
    Effect.gen(function*() {
      const expected = /^ConfigError: .*Gemini needs an API key: set the variable GEMINI_API_KEY/
      assert.match(yield* Asking.refusal(Gemini.model("gemini-2.5-flash")), expected)
      assert.match(yield* Asking.refusal(Gemini.embeddings("gemini-embedding-001")), expected)
    }))

  it("shows in its types how it can fail", () => {
    expectTypeOf(Gemini.model("m")).toEqualTypeOf<AiSdk.ModelLayer<Config.ConfigError | AiSdk.PackageMissing>>()
    expectTypeOf(Gemini.embeddings("m")).toEqualTypeOf<
      AiSdkEmbedding.EmbeddingLayer<Config.ConfigError | AiSdk.PackageMissing>
    >()
  })
})
