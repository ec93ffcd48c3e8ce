import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted, Stream } from "effect"
import { LanguageModel } from "effect/ai"
import * as OpenAiCompatible from "../../src/Llm/OpenAiCompatible.ts"
import * as Loopback from "../fixtures/loopbackServer.ts"
import * as Wire from "../fixtures/openAiWire.ts"

const text = LanguageModel.streamText({ prompt: "Hi" }).pipe(
  Stream.runFold(() => "", (text, part) => part.type === "text-delta" ? text + part.delta : text)
)

describe("OpenAiCompatible", () => {
  it("an address that is none throws where the value is made, and a password in it is not shown", () => {
    const message = "baseUrl must be an http address without user and password, got"
    const where = (name: string) => `OpenAiCompatible.${name}: ${message}`
    const none = { baseUrl: "localhost:80" }
    assert.throws(() => OpenAiCompatible.model("m", none), RangeError, `${where("model")} "localhost:80"`)
    assert.throws(() => OpenAiCompatible.embeddings("m", none), RangeError, where("embeddings"))
    assert.throws(() => OpenAiCompatible.models(none), RangeError, where("models"))
    assert.throws(
      () => OpenAiCompatible.model("m", { baseUrl: "http://a:b@c.test" }),
      RangeError,
      `${where("model")} "http://<redacted>@c.test"`
    )
  })

  it.live("sends its key, and an error shows its provider's name and not the key", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(Loopback.json(401, Wire.errorBody("Bad key: s3cret")))
      const model = OpenAiCompatible.model("m", {
        baseUrl: `${server.url}/v1`,
        apiKey: Redacted.make("s3cret"),
        provider: "acme"
      })
      const error = yield* text.pipe(Effect.provide(model), Effect.flip)
      assert.strictEqual(server.requests[0]?.headers.authorization, "Bearer s3cret")
      assert(error._tag === "AiError")
      assert.strictEqual(error.module, "acme")
      assert.include(error.message, "Bad key: <redacted>")
    }))
})
