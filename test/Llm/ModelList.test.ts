import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted, Tracer } from "effect"
import { TestClock } from "effect/testing"
import { inspect } from "node:util"
import * as AzureOpenAi from "../../src/Llm/AzureOpenAi.ts"
import * as ModelList from "../../src/Llm/ModelList.ts"
import * as Ollama from "../../src/Llm/Ollama.ts"
import * as OpenAi from "../../src/Llm/OpenAi.ts"
import * as OpenAiCompatible from "../../src/Llm/OpenAiCompatible.ts"
import * as Asking from "../fixtures/asking.ts"
import { variables } from "../fixtures/config.ts"
import * as Embeddings from "../fixtures/embeddingsWire.ts"
import * as Loopback from "../fixtures/loopbackServer.ts"
import * as Wire from "../fixtures/openAiWire.ts"

const KEY = "sk-test-0123456789"

const listOf = (...ids: ReadonlyArray<string>) => Loopback.json(200, Embeddings.modelList(...ids.map((id) => ({ id }))))

const at = (server: Loopback.LoopbackServer) =>
  OpenAiCompatible.models({ baseUrl: `${server.url}/v1/`, apiKey: Redacted.make(KEY), provider: "acme" })

describe("ModelList", () => {
  it.effect("a list is fetched when it is asked for, kept for an hour, and fetched anew after it", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(listOf("a"), listOf("a", "b"))
      const models = yield* at(server)
      assert.lengthOf(server.requests, 0)
      const ids = Effect.map(models, (models) => models.map(({ id }) => id))
      assert.deepStrictEqual(yield* ids, ["a"])
      yield* TestClock.adjust("59 minutes")
      assert.deepStrictEqual(yield* ids, ["a"])
      yield* TestClock.adjust("2 minutes")
      assert.deepStrictEqual(yield* ids, ["a", "b"])
    }))

  it.live("a failure is not kept", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(Loopback.json(503, Wire.errorBody("Later.")), listOf("a"))
      const models = yield* at(server)
      assert.strictEqual(Asking.aiErrorOf(yield* Effect.exit(models)).reason._tag, "InternalProviderError")
      assert.lengthOf(yield* models, 1)
    }))

  it.live("two lists share nothing", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(listOf("a"), listOf("b"))
      const [first, second] = [yield* at(server), yield* at(server)]
      assert.strictEqual((yield* first)[0]?.id, "a")
      assert.strictEqual((yield* second)[0]?.id, "b")
    }))

  it.live("a refused key is an AuthenticationError that shows no key", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(
        Loopback.json(401, Wire.errorBody(`Incorrect API key: ${KEY}.`), { "set-cookie": "secret" })
      )
      const models = yield* at(server)
      const error = Asking.aiErrorOf(yield* Effect.exit(models))
      assert.deepInclude(error.reason, { _tag: "AuthenticationError", kind: "InvalidKey" })
      assert.include(error.message, "Incorrect API key: <redacted>")
      assert.notInclude(inspect(error, { depth: 20, showHidden: true }), KEY)
      assert.notInclude(inspect(error, { depth: 20, showHidden: true }), "set-cookie")
    }))

  it.live("the span of a request shows no key, whichever header it is in", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(listOf("a"), listOf("a"))
      const spans: Array<Tracer.NativeSpan> = []
      const tracer = Tracer.make({
        span: (options) => {
          const span = new Tracer.NativeSpan(options)
          spans.push(span)
          return span
        }
      })
      const azure = AzureOpenAi.models.pipe(
        Effect.provide(variables({ AZURE_OPENAI_ENDPOINT: server.url, AZURE_OPENAI_API_KEY: KEY }))
      )
      for (const list of [azure, at(server)]) yield* Effect.flatten(list).pipe(Effect.withTracer(tracer))
      assert.lengthOf(spans, 2)
      assert.notInclude(inspect(spans.map(({ attributes }) => Object.fromEntries(attributes)), { depth: 20 }), KEY)
    }))

  it.live("an answer that is no list is an InvalidResponseError", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(
        Loopback.json(200, { data: [{ name: "a" }] }),
        Loopback.text(200, "<html>Sign in</html>")
      )
      for (const _ of ["other fields", "no JSON"]) {
        const models = yield* at(server)
        assert.strictEqual(Asking.aiErrorOf(yield* Effect.exit(models)).reason._tag, "InvalidResponseError")
      }
    }))

  it.live("a server that is not there is a retryable NetworkError that names the address", () =>
    Effect.gen(function*() {
      const url = yield* Loopback.refusedUrl
      const models = yield* OpenAiCompatible.models({ baseUrl: `${url}/v1`, provider: "acme" })
      const error = Asking.aiErrorOf(yield* Effect.exit(models))
      assert.strictEqual(error.reason._tag, "NetworkError")
      assert.isTrue(error.isRetryable)
      assert.match(error.message, /^acme.models: TransportError: fetch failed: .*ECONNREFUSED/)
      assert.include(error.message, `(GET ${url}/v1/models)`)
    }))

  it.live("OpenAI's list wants the key, and Ollama's none", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(listOf("gpt-5-mini", "text-embedding-3-small"), listOf("llama3.2:latest"))
      const openai = yield* Asking.models(OpenAi.models, {
        OPENAI_API_KEY: KEY,
        OPENAI_BASE_URL: `${server.url}/v1`
      })
      assert.deepStrictEqual(openai.map(({ id }) => id), ["gpt-5-mini", "text-embedding-3-small"])
      const ollama = yield* Asking.models(Ollama.models, { OLLAMA_HOST: server.url })
      assert.deepStrictEqual(ollama.map(({ id }) => id), ["llama3.2:latest"])
      assert.deepStrictEqual(server.requests.map(({ path }) => path), ["/v1/models", "/v1/models"])
      assert.strictEqual(server.requests[0]?.headers.authorization, `Bearer ${KEY}`)
      assert.notProperty(server.requests[1]?.headers, "authorization")
    }))

  it.effect("without a key OpenAI's list fails before it asks", () =>
    Effect.gen(function*() {
      const error = yield* OpenAi.models.pipe(Effect.provide(variables({})), Effect.flip)
      assert.include(error.message, "OPENAI_API_KEY")
    }))

  it("an address that is none throws where the list is made", () => {
    assert.throws(
      () => ModelList.makeOpenAi({ provider: "p", url: "localhost:80" }),
      RangeError,
      "ModelList.make: url must be an http address without user and password, got \"localhost:80\""
    )
  })
})
