import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Layer, Redacted } from "effect"
import * as AzureOpenAi from "../../src/Llm/AzureOpenAi.ts"
import * as Asking from "../fixtures/asking.ts"
import { variables } from "../fixtures/config.ts"
import * as Embeddings from "../fixtures/embeddingsWire.ts"
import * as Loopback from "../fixtures/loopbackServer.ts"
import * as Wire from "../fixtures/openAiWire.ts"

const KEY = "azure-test-0123456789"

const configuration = (server: Loopback.LoopbackServer) => ({
  AZURE_OPENAI_API_KEY: KEY,
  AZURE_OPENAI_ENDPOINT: server.url
})

const at = (server: Loopback.LoopbackServer, settings?: AzureOpenAi.Settings) =>
  AzureOpenAi.model("my-deployment", settings).pipe(Layer.provide(variables(configuration(server))))

const lagos: Wire.Call = { id: "call_1", name: "get_weather", arguments: ["{\"city\":", "\"Lagos\"}"] }

/** Azure's verdict on a text, which it adds to OpenAI's format. */
const verdict = { hate: { filtered: false, severity: "safe" }, violence: { filtered: false, severity: "safe" } }

/** The chunk before the first: no choice, and the verdict on the prompt. */
const promptVerdict = Wire.event({
  choices: [],
  created: 0,
  id: "",
  model: "",
  object: "",
  prompt_filter_results: [{ prompt_index: 0, content_filter_results: verdict }]
})

describe("AzureOpenAi", () => {
  it.live("an answer streams over the responses API, with the key in Azure's header and nothing stored", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(
        Loopback.sse(Wire.responsesEvents([Wire.message(["Hel", "lo"])], { input: 9, cached: 3, output: 2 }))
      )
      const answer = yield* Asking.text(at(server))
      assert.deepStrictEqual(answer.deltas, ["Hel", "lo"])
      assert.deepStrictEqual(answer.usage, { input: 9, cached: 3, output: 2 })
      const [request] = server.requests
      assert.strictEqual(request?.path, "/openai/v1/responses")
      assert.strictEqual(request?.headers["api-key"], KEY)
      assert.notProperty(request?.headers, "authorization")
      assert.deepInclude(request?.body, { model: "my-deployment", store: false })
    }))

  it.live("over chat, the verdicts of the content filter are passed over", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(
        Loopback.sse([
          promptVerdict,
          ...Wire.chatText(["Hel", "lo"]).map((event) =>
            event.replace(`"index":0`, `"content_filter_results":{},"index":0`)
          )
        ])
      )
      const answer = yield* Asking.text(at(server, { api: "chat" }))
      assert.deepStrictEqual(answer.deltas, ["Hel", "lo"])
      assert.strictEqual(answer.reason, "stop")
      assert.strictEqual(server.requests[0]?.path, "/openai/v1/chat/completions")
    }))

  for (const api of ["responses", "chat"] as const) {
    it.live(`over ${api}, a call, the reasoning before it and its result go back`, () =>
      Effect.gen(function*() {
        const server = yield* Loopback.make(
          Loopback.sse(
            api === "chat"
              ? Wire.chatCalls([lagos])
              : Wire.responsesEvents([Wire.reasoning(["Hm."], "enc-1"), Wire.functionCall(lagos)])
          ),
          Loopback.sse(
            api === "chat" ? Wire.chatText(["31 C."]) : Wire.responsesEvents([Wire.message(["31 C."])])
          )
        )
        assert.strictEqual((yield* Asking.run(at(server, { api }))).text, "31 C.")
        const body = server.requests[1]!.body
        if (api === "chat") {
          assert.deepNestedInclude(body, {
            "messages[2].tool_calls[0].id": "call_1",
            "messages[3].tool_call_id": "call_1",
            "messages[3].content": "{\"celsius\":31}"
          })
        } else {
          assert.deepNestedInclude(body, {
            "input[2].encrypted_content": "enc-1",
            "input[3].arguments": "{\"city\":\"Lagos\"}",
            "input[4].output": "{\"celsius\":31}"
          })
        }
      }))
  }

  it.live("an image goes out as a data URL", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(Loopback.sse(Wire.responsesEvents([Wire.message(["A pixel."])])))
      yield* Asking.image(at(server))
      assert.deepNestedInclude(server.requests[0]?.body, {
        "input[0].content[1]": { type: "input_image", image_url: `data:image/png;base64,${Asking.PNG}` }
      })
    }))

  it.live("errors have the reason of Azure's code", () =>
    Effect.gen(function*() {
      const error = (code: string, message: string, more: object = {}) => ({ error: { code, message, ...more } })
      const filtered = error("content_filter", "The response was filtered due to the prompt triggering a policy.", {
        param: "prompt",
        type: null,
        status: 400,
        innererror: { code: "ResponsibleAIPolicyViolation", content_filter_result: verdict }
      })
      const server = yield* Loopback.make(
        Loopback.json(401, error("401", `Access denied due to invalid subscription key ${KEY}.`)),
        Loopback.json(429, error("429", "Requests have exceeded call rate limit of your tier."), {
          "retry-after": "58",
          "retry-after-ms": "57800"
        }),
        Loopback.json(400, filtered),
        Loopback.json(404, error("DeploymentNotFound", "The API deployment for this resource does not exist."))
      )
      const next = Effect.map(Asking.failure(at(server)), ({ error }) => error)
      const denied = yield* next
      assert.strictEqual(denied.reason._tag, "AuthenticationError")
      assert.notInclude(denied.message, KEY)
      const limited = yield* next
      assert.strictEqual(limited.reason._tag, "RateLimitError")
      assert.strictEqual(limited.retryAfter && Duration.toMillis(limited.retryAfter), 57_800)
      assert.strictEqual((yield* next).reason._tag, "ContentPolicyError")
      assert.strictEqual((yield* next).reason._tag, "InvalidRequestError")
    }))

  it.live("embeddings come from the deployment, with the dimensions asked for", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(Embeddings.numbers)
      const layer = AzureOpenAi.embeddings("my-embeddings", { dimensions: 2 }).pipe(
        Layer.provide(variables(configuration(server)))
      )
      const { tokens, vectors } = yield* Asking.embed(layer, ["1", "2"])
      assert.deepStrictEqual(vectors, [[1, 0.5], [2, 0.5]])
      assert.strictEqual(tokens, 6)
      const [request] = server.requests
      assert.strictEqual(request?.path, "/openai/v1/embeddings")
      assert.strictEqual(request?.headers["api-key"], KEY)
      assert.deepInclude(request?.body, { model: "my-embeddings", dimensions: 2 })
    }))

  it.live("the list is that of the resource", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(
        Loopback.json(
          200,
          Embeddings.modelList({
            id: "gpt-5-mini-2025-08-07",
            status: "succeeded",
            lifecycle_status: "generally-available",
            capabilities: { chat_completion: true, inference: true }
          })
        )
      )
      const models = yield* Asking.models(AzureOpenAi.models, configuration(server))
      assert.deepStrictEqual(models.map(({ id }) => id), ["gpt-5-mini-2025-08-07"])
      assert.strictEqual(server.requests[0]?.path, "/openai/v1/models")
      assert.strictEqual(server.requests[0]?.headers["api-key"], KEY)
    }))

  it.live("with an AccessToken every request has a token of its own instead of a key, and shows it to nobody", () =>
    Effect.gen(function*() {
      const jwt = (count: number) => `eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxMjM0In0.signature-${count}`
      const refused = { error: { code: "401", message: `Access denied for ${jwt(2)}.` } }
      const server = yield* Loopback.make(
        Loopback.sse(Wire.responsesEvents([Wire.message(["ok"])])),
        Loopback.json(401, refused),
        Embeddings.numbers,
        Loopback.json(200, Embeddings.modelList({ id: "gpt-5-mini" }))
      )
      let count = 0
      const surroundings = Layer.mergeAll(
        variables({ AZURE_OPENAI_ENDPOINT: server.url }),
        Layer.succeed(AzureOpenAi.AccessToken, Effect.sync(() => Redacted.make(jwt(++count))))
      )
      const model = AzureOpenAi.model("d").pipe(Layer.provide(surroundings))
      assert.deepStrictEqual((yield* Asking.text(model)).deltas, ["ok"])
      const { error } = yield* Asking.failure(model)
      assert.strictEqual(error.reason._tag, "AuthenticationError")
      assert.include(error.message, "Access denied for <redacted>.")
      yield* Asking.embed(AzureOpenAi.embeddings("e").pipe(Layer.provide(surroundings)), ["1"])
      yield* Effect.flatten(AzureOpenAi.models).pipe(Effect.provide(surroundings))
      assert.deepStrictEqual(
        server.requests.map(({ headers }) => [headers["authorization"], headers["api-key"]]),
        [1, 2, 3, 4].map((count) => [`Bearer ${jwt(count)}`, undefined])
      )
    }))

  it.live("without a token the call and the list are AuthenticationErrors that say why, and nothing is sent", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make()
      const surroundings = Layer.mergeAll(
        variables({ AZURE_OPENAI_ENDPOINT: server.url }),
        Layer.succeed(AzureOpenAi.AccessToken, Effect.fail(new Error("az login has expired")))
      )
      const errors = [
        (yield* Asking.failure(AzureOpenAi.model("d").pipe(Layer.provide(surroundings)))).error,
        yield* Effect.flatten(AzureOpenAi.models).pipe(Effect.provide(surroundings), Effect.flip)
      ]
      for (const error of errors) {
        assert(error._tag === "AiError")
        assert.strictEqual(error.reason._tag, "AuthenticationError")
        assert.include(error.message, "az login has expired")
      }
      assert.isEmpty(server.requests)
    }))

  it.live("the endpoint may be written with the path of the API", () =>
    Effect.gen(function*() {
      const reply = Loopback.sse(Wire.responsesEvents([Wire.message(["ok"])]))
      const server = yield* Loopback.make(reply, reply, reply)
      for (const path of ["/", "/openai", "/openai/v1/"]) {
        const values = { AZURE_OPENAI_API_KEY: KEY, AZURE_OPENAI_ENDPOINT: `${server.url}${path}` }
        yield* Asking.text(AzureOpenAi.model("d").pipe(Layer.provide(variables(values))))
      }
      assert.deepStrictEqual(new Set(server.requests.map(({ path }) => path)), new Set(["/openai/v1/responses"]))
    }))

  it.effect("a missing endpoint and a missing key are ConfigErrors that name the variable", () =>
    Effect.gen(function*() {
      const model = AzureOpenAi.model("my-deployment")
      assert.match(yield* Asking.refusal(model), /^ConfigError: .*set the variable AZURE_OPENAI_ENDPOINT/)
      assert.match(
        yield* Asking.refusal(model, { AZURE_OPENAI_ENDPOINT: "https://acme.openai.azure.com" }),
        /^ConfigError: .*AzureOpenAi needs an API key: set the variable AZURE_OPENAI_API_KEY/
      )
    }))
})
