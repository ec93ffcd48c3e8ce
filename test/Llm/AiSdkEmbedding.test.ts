import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Queue } from "effect"
import { EmbeddingModel } from "effect/ai"
import * as AiSdkEmbedding from "../../src/Llm/AiSdkEmbedding.ts"
import * as Ollama from "../../src/Llm/Ollama.ts"
import * as OpenAi from "../../src/Llm/OpenAi.ts"
import * as Asking from "../fixtures/asking.ts"
import { variables } from "../fixtures/config.ts"
import * as Embeddings from "../fixtures/embeddingsWire.ts"
import * as Loopback from "../fixtures/loopbackServer.ts"
import * as Wire from "../fixtures/openAiWire.ts"

const KEY = "sk-test-0123456789"

const at = (server: Loopback.LoopbackServer, settings?: AiSdkEmbedding.Settings) =>
  OpenAi.embeddings("text-embedding-3-small", settings).pipe(
    Layer.provide(variables({ OPENAI_API_KEY: KEY, OPENAI_BASE_URL: `${server.url}/v1` }))
  )

/** An embedding model of three texts a call, whose calls wait in a queue until the test answers them. */
const held = Effect.gen(function*() {
  const calls = yield* Queue.unbounded<{ readonly texts: ReadonlyArray<string>; readonly answer: () => void }>()
  const model = (parallel: boolean): AiSdkEmbedding.SdkEmbeddingModel => ({
    specificationVersion: "v4",
    provider: "held",
    modelId: "held",
    maxEmbeddingsPerCall: Promise.resolve(3),
    supportsParallelCalls: Promise.resolve(parallel),
    doEmbed: ({ values }) =>
      new Promise((resolve) =>
        Queue.offerUnsafe(calls, {
          texts: values,
          answer: () => resolve({ embeddings: values.map((text) => [Number(text)]), warnings: [] })
        })
      )
  })
  const layer = (parallel: boolean) =>
    AiSdkEmbedding.layer(Effect.succeed({ model: model(parallel), provider: "held" }))
  return { calls, layer }
})

describe("AiSdkEmbedding", () => {
  it.live("texts beyond the provider's limit go in further calls, and vectors come in the order of the texts", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(Embeddings.numbers, Embeddings.numbers)
      const inputs = Embeddings.inputs(2050)
      const { tokens, vectors } = yield* Asking.embed(at(server), inputs)
      assert.deepStrictEqual(vectors.map(([first]) => String(first)), inputs)
      assert.strictEqual(tokens, 6150)
      assert.sameMembers([...Embeddings.sizes(server)], [2048, 2])
    }))

  it.effect("calls run at once where the provider takes that, a few at a time, and keep their order", () =>
    Effect.gen(function*() {
      const { calls, layer } = yield* held
      const fiber = yield* Effect.forkChild(Asking.embed(layer(true), Embeddings.inputs(15)))
      const first = yield* Queue.takeN(calls, 4)
      assert.strictEqual(yield* Queue.size(calls), 0)
      for (const { answer } of first.toReversed()) answer()
      const fifth = yield* Queue.take(calls)
      assert.deepStrictEqual(fifth.texts, ["12", "13", "14"])
      fifth.answer()
      const { tokens, vectors } = yield* Fiber.join(fiber)
      assert.deepStrictEqual(vectors.flat(), Array.from({ length: 15 }, (_, index) => index))
      assert.isUndefined(tokens)
    }))

  it.effect("calls run one after the other where the provider wants that", () =>
    Effect.gen(function*() {
      const { calls, layer } = yield* held
      const fiber = yield* Effect.forkChild(Asking.embed(layer(false), Embeddings.inputs(4)))
      const first = yield* Queue.take(calls)
      assert.strictEqual(yield* Queue.size(calls), 0)
      first.answer()
      const second = yield* Queue.take(calls)
      second.answer()
      assert.lengthOf((yield* Fiber.join(fiber)).vectors, 4)
    }))

  it.live("single texts that are asked for at once share a call", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(Embeddings.numbers)
      const vectors = yield* Effect.flatMap(EmbeddingModel.EmbeddingModel, (model) =>
        Effect.forEach(["1", "2", "3"], (text) =>
          Effect.map(model.embed(text), ({ vector }) => vector[0]), { concurrency: "unbounded" })).pipe(
          Effect.provide(at(server))
        )
      assert.deepStrictEqual(vectors, [1, 2, 3])
      assert.deepStrictEqual(Embeddings.sizes(server), [3])
    }))

  it.live("no text asks nobody", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make()
      assert.deepStrictEqual((yield* Asking.embed(at(server), [])).vectors, [])
      assert.lengthOf(server.requests, 0)
    }))

  it.live("dimensions, headers and provider options reach the request", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(Embeddings.numbers)
      const settings = { dimensions: 2, headers: { "x-team": "red" }, providerOptions: { openai: { user: "ada" } } }
      yield* Asking.embed(at(server, settings), ["1"])
      const [request] = server.requests
      assert.strictEqual(request?.path, "/v1/embeddings")
      assert.strictEqual(request?.headers.authorization, `Bearer ${KEY}`)
      assert.strictEqual(request?.headers["x-team"], "red")
      assert.deepInclude(request?.body, { model: "text-embedding-3-small", dimensions: 2, user: "ada" })
    }))

  it.live("a failed call fails the whole with the reason of its status, and shows no key", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(
        Embeddings.numbers,
        Loopback.json(503, Wire.errorBody(`Overloaded, ${KEY}.`))
      )
      const error = Asking.aiErrorOf(yield* Effect.exit(Asking.embed(at(server), Embeddings.inputs(2050))))
      assert.strictEqual(error.reason._tag, "InternalProviderError")
      assert.isTrue(error.isRetryable)
      assert.match(error.message, /^openai.embedMany: .*Overloaded, <redacted>/)
      assert.notInclude(error.message, KEY)
    }))

  it.live("a vendor that gives another number of vectors is a typed error", () =>
    Effect.gen(function*() {
      const data = [{ object: "embedding", index: 0, embedding: [1] }]
      const server = yield* Loopback.make(Loopback.json(200, { object: "list", data, usage: { prompt_tokens: 1 } }))
      const error = Asking.aiErrorOf(yield* Effect.exit(Asking.embed(at(server), ["1", "2"])))
      assert.strictEqual(error.reason._tag, "InvalidOutputError")
    }))

  it.live("interruption closes the socket", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(Loopback.silence)
      const fiber = yield* Effect.forkChild(Asking.embed(at(server), ["1"]))
      yield* server.received
      yield* Fiber.interrupt(fiber)
      yield* server.hungUp
    }))

  it.live("a local server needs no key", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(Embeddings.numbers)
      const layer = Ollama.embeddings("nomic-embed-text").pipe(Layer.provide(variables({ OLLAMA_HOST: server.url })))
      assert.deepStrictEqual((yield* Asking.embed(layer, ["4"])).vectors, [[4, 0.5]])
      assert.strictEqual(server.requests[0]?.path, "/v1/embeddings")
      assert.notProperty(server.requests[0]?.headers, "authorization")
    }))
})
