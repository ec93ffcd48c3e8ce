import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import type * as AiSdkEmbedding from "../../src/Llm/AiSdkEmbedding.ts"
import * as Vertex from "../../src/Llm/Vertex.ts"
import * as Asking from "../fixtures/asking.ts"
import { variables } from "../fixtures/config.ts"
import * as Wire from "../fixtures/geminiWire.ts"
import * as Loopback from "../fixtures/loopbackServer.ts"

const TOKEN = "ya29.test-0123456789"
const KEY = "AQ.test-0123456789"

const project = (server: Loopback.LoopbackServer) => ({
  GOOGLE_CLOUD_PROJECT: "acme",
  GOOGLE_CLOUD_LOCATION: "europe-west4",
  GOOGLE_VERTEX_ACCESS_TOKEN: TOKEN,
  GOOGLE_VERTEX_BASE_URL: server.url
})

const express = (server: Loopback.LoopbackServer) => ({
  GOOGLE_VERTEX_API_KEY: KEY,
  GOOGLE_VERTEX_BASE_URL: server.url
})

const at = (values: Record<string, string>) => Vertex.model("gemini-2.5-flash").pipe(Layer.provide(variables(values)))

const embeddingsAt = (server: Loopback.LoopbackServer, settings?: AiSdkEmbedding.Settings) =>
  Vertex.embeddings("gemini-embedding-001", settings).pipe(Layer.provide(variables(project(server))))

interface Body {
  readonly contents: ReadonlyArray<{ readonly role: string; readonly parts: ReadonlyArray<Record<string, unknown>> }>
  readonly instances: ReadonlyArray<{ readonly content: string }>
}

const bodyOf = (server: Loopback.LoopbackServer, index = 0) => server.requests[index]!.body as Body

const PREFIX = "/v1beta1/projects/acme/locations/europe-west4/publishers/google"

describe("Vertex", () => {
  it.live("an answer streams from the project's location, signed with the token", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(
        Loopback.sse(Wire.answer(["Hel", "lo"], { input: 4, output: 2, thoughts: 3 }))
      )
      const answer = yield* Asking.text(at(project(server)))
      assert.deepStrictEqual(answer.deltas, ["Hel", "lo"])
      assert.strictEqual(answer.reason, "stop")
      assert.deepStrictEqual(answer.usage, { input: 4, cached: 0, output: 5 })
      const [request] = server.requests
      assert.strictEqual(request?.path, `${PREFIX}/models/gemini-2.5-flash:streamGenerateContent?alt=sse`)
      assert.strictEqual(request?.headers.authorization, `Bearer ${TOKEN}`)
      assert.notProperty(request?.headers, "x-goog-api-key")
    }))

  it.live("in express mode a key is enough", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(Loopback.sse(Wire.answer(["ok"])))
      yield* Asking.text(at(express(server)))
      const [request] = server.requests
      assert.strictEqual(
        request?.path,
        "/v1/publishers/google/models/gemini-2.5-flash:streamGenerateContent?alt=sse"
      )
      assert.strictEqual(request?.headers["x-goog-api-key"], KEY)
      assert.notProperty(request?.headers, "authorization")
    }))

  it.live("a call goes back with its thought signature", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(
        Loopback.sse([Wire.chunk([Wire.functionCall("get_weather", { city: "Lagos" }, "sig-1")], "STOP")]),
        Loopback.sse(Wire.answer(["31 C."]))
      )
      assert.strictEqual((yield* Asking.run(at(project(server)))).text, "31 C.")
      const [, model, result] = bodyOf(server, 1).contents
      assert.deepNestedInclude(model?.parts[0], {
        "functionCall.args": { city: "Lagos" },
        thoughtSignature: "sig-1"
      })
      assert.deepNestedInclude(result?.parts[0], { "functionResponse.response.content": { celsius: 31 } })
    }))

  it.live("an image goes out as bytes with its type", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(Loopback.sse(Wire.answer(["A pixel."])))
      yield* Asking.image(at(project(server)))
      assert.deepStrictEqual(bodyOf(server).contents[0]?.parts[1], {
        inlineData: { mimeType: "image/png", data: Asking.PNG }
      })
    }))

  it.live("errors have the reason of Google's status and do not show the token", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(
        Loopback.json(401, Wire.error(401, "UNAUTHENTICATED", `Invalid authentication credentials: ${TOKEN}`)),
        Loopback.json(403, Wire.error(403, "PERMISSION_DENIED", "Permission 'aiplatform.endpoints.predict' denied")),
        Loopback.json(429, Wire.error(429, "RESOURCE_EXHAUSTED", "Resource exhausted. Please try again later."))
      )
      const next = Effect.map(Asking.failure(at(project(server))), ({ error }) => error)
      const denied = yield* next
      assert.deepInclude(denied.reason, { _tag: "AuthenticationError", kind: "InvalidKey" })
      assert.notInclude(denied.message, TOKEN)
      assert.deepInclude((yield* next).reason, { _tag: "AuthenticationError", kind: "InsufficientPermissions" })
      const limited = yield* next
      assert.strictEqual(limited.reason._tag, "RateLimitError")
      assert.isTrue(limited.isRetryable)
    }))

  it.live("embeddings go out in batches of 250, come back in order, and their tokens are added up", () =>
    Effect.gen(function*() {
      const reply: Loopback.Reply = (exchange) => {
        const { instances } = exchange.request.body as Body
        const predictions = instances.map(({ content }) => ({
          embeddings: { values: [Number(content)], statistics: { truncated: false, token_count: 2 } }
        }))
        return Loopback.json(200, { predictions })(exchange)
      }
      const server = yield* Loopback.make(reply, reply)
      const inputs = Array.from({ length: 300 }, (_, index) => String(index))
      const { tokens, vectors } = yield* Asking.embed(embeddingsAt(server, { dimensions: 1 }), inputs)
      assert.deepStrictEqual(vectors.map(([first]) => String(first)), inputs)
      assert.strictEqual(tokens, 600)
      assert.deepStrictEqual(server.requests.map((_, index) => bodyOf(server, index).instances.length).sort(), [
        250,
        50
      ])
      assert.strictEqual(server.requests[0]?.path, `${PREFIX}/models/gemini-embedding-001:predict`)
      assert.deepNestedInclude(bodyOf(server), { "parameters.outputDimensionality": 1 })
    }))

  it.live("the list has Google's own models, by their names", () =>
    Effect.gen(function*() {
      const body = {
        publisherModels: [{
          name: "publishers/google/models/gemini-2.5-flash",
          versionId: "default",
          openSourceCategory: "PROPRIETARY",
          launchStage: "GA"
        }]
      }
      const server = yield* Loopback.make(Loopback.json(200, body), Loopback.json(200, body))
      const models = yield* Asking.models(Vertex.models, project(server))
      assert.deepStrictEqual(models.map(({ id }) => id), ["gemini-2.5-flash"])
      assert.deepStrictEqual(yield* Asking.models(Vertex.models, express(server)), models)
      const [signed, keyed] = server.requests
      assert.strictEqual(signed?.path, "/v1beta1/publishers/google/models?pageSize=1000")
      assert.strictEqual(signed?.headers.authorization, `Bearer ${TOKEN}`)
      assert.strictEqual(signed?.headers["x-goog-user-project"], "acme")
      assert.strictEqual(keyed?.headers["x-goog-api-key"], KEY)
    }))

  it.effect("a missing project and a location that is none are ConfigErrors that name the variable", () =>
    Effect.gen(function*() {
      const model = Vertex.model("gemini-2.5-flash")
      assert.match(yield* Asking.refusal(model), /^ConfigError: .*Vertex needs .* GOOGLE_CLOUD_PROJECT/)
      const location = { GOOGLE_CLOUD_PROJECT: "acme", GOOGLE_CLOUD_LOCATION: "evil.example/#" }
      assert.match(yield* Asking.refusal(model, location), /^ConfigError: .*GOOGLE_CLOUD_LOCATION must be/)
    }))
})
