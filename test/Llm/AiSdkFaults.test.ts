import { assert, describe, it } from "@effect/vitest"
import { Cause, Deferred, Duration, Effect, Exit, Fiber, Layer, Redacted, Stream } from "effect"
import { type AiError, LanguageModel } from "effect/ai"
import { inspect } from "node:util"
import { load } from "../../src/internal/llm/provider.ts"
import * as AiSdk from "../../src/Llm/AiSdk.ts"
import * as OpenAi from "../../src/Llm/OpenAi.ts"
import * as OpenAiCompatible from "../../src/Llm/OpenAiCompatible.ts"
import * as Settings from "../../src/Llm/Settings.ts"
import * as Asking from "../fixtures/asking.ts"
import { variables } from "../fixtures/config.ts"
import * as Loopback from "../fixtures/loopbackServer.ts"
import * as Wire from "../fixtures/openAiWire.ts"

const KEY = "sk-test-0123456789"

const at = (url: string, settings?: OpenAi.Settings) =>
  OpenAi.model("gpt-4o-mini", settings).pipe(
    Layer.provide(variables({ OPENAI_API_KEY: KEY, OPENAI_BASE_URL: `${url}/v1` }))
  )

const generate = LanguageModel.generateText({ prompt: "Hi" })

/** The text that came through, and how the stream ended. */
const stream = Effect.suspend(() => {
  let text = ""
  return LanguageModel.streamText({ prompt: "Hi" }).pipe(
    Stream.runForEach((part) =>
      Effect.sync(() => {
        if (part.type === "text-delta") text += part.delta
      })
    ),
    Effect.exit,
    Effect.map((exit) => ({ text, exit }))
  )
})

const errorOf = <A, E>(exit: Exit.Exit<A, E>): AiError.AiError => {
  assert(Exit.isFailure(exit))
  const error = Cause.squash(exit.cause)
  assert(error instanceof Error && "_tag" in error && error._tag === "AiError", `not an AiError: ${inspect(error)}`)
  return error as AiError.AiError
}

/** The failure of a whole and of a streamed request, each met with this reply. */
const failures = Effect.fnUntraced(function*(reply: Loopback.Reply, settings?: OpenAi.Settings) {
  const server = yield* Loopback.make(reply, reply)
  const model = at(server.url, settings)
  const whole = yield* generate.pipe(Effect.exit, Effect.provide(model))
  const streamed = yield* stream.pipe(Effect.provide(model))
  return [errorOf(whole), errorOf(streamed.exit)] as const
}, Effect.scoped)

describe("AiSdk errors by status", () => {
  const quota = { type: "insufficient_quota", code: "insufficient_quota" }
  const cases: ReadonlyArray<
    readonly [number, Parameters<typeof Wire.errorBody>[1], AiError.AiErrorReason["_tag"], "retryable" | "final"]
  > = [
    [400, { code: "content_filter" }, "ContentPolicyError", "final"],
    [400, {}, "InvalidRequestError", "final"],
    [401, { code: "invalid_api_key" }, "AuthenticationError", "final"],
    [403, {}, "AuthenticationError", "final"],
    [404, { code: "model_not_found" }, "InvalidRequestError", "final"],
    [408, {}, "InternalProviderError", "retryable"],
    [429, { type: "requests", code: "rate_limit_exceeded" }, "RateLimitError", "retryable"],
    [429, quota, "QuotaExhaustedError", "final"],
    [500, { type: "server_error" }, "InternalProviderError", "retryable"],
    [503, { type: "server_error" }, "InternalProviderError", "retryable"],
    [504, {}, "InternalProviderError", "retryable"]
  ]

  for (const [status, fields, tag, retry] of cases) {
    it.live(`${status} ${fields?.code ?? ""} is a ${retry} ${tag}`, () =>
      Effect.gen(function*() {
        for (const error of yield* failures(Loopback.json(status, Wire.errorBody("Said the server.", fields)))) {
          assert.strictEqual(error.reason._tag, tag)
          assert.strictEqual(error.isRetryable, retry === "retryable")
          assert.strictEqual("http" in error.reason ? error.reason.http?.response?.status : undefined, status)
          if ("description" in error.reason) assert.strictEqual(error.reason.description, "Said the server.")
        }
      }))
  }

  it.live("401 and 403 are told apart", () =>
    Effect.gen(function*() {
      const kind = (status: number) =>
        Effect.map(failures(Loopback.json(status, Wire.errorBody("No."))), ([error]) =>
          error.reason._tag === "AuthenticationError" ? error.reason.kind : undefined)
      assert.strictEqual(yield* kind(401), "InvalidKey")
      assert.strictEqual(yield* kind(403), "InsufficientPermissions")
    }))

  it.live("a prompt that is too long is known as such, by code or by words", () =>
    Effect.gen(function*() {
      const long = "This model's maximum context length is 128000 tokens. However, your messages resulted in 130000."
      for (
        const reply of [
          Loopback.json(400, Wire.errorBody("Too much.", { code: "context_length_exceeded" })),
          Loopback.json(400, Wire.errorBody(long)),
          Loopback.json(413, Wire.errorBody("Request too large"))
        ]
      ) {
        for (const error of yield* failures(reply)) {
          assert.isTrue(AiSdk.isContextTooLong(error), error.message)
          assert.isFalse(error.isRetryable)
        }
      }
      const [other] = yield* failures(Loopback.json(400, Wire.errorBody("Unknown parameter.")))
      assert.isFalse(AiSdk.isContextTooLong(other))
    }))

  it.live("a body that is no JSON still gives the status", () =>
    Effect.gen(function*() {
      for (const error of yield* failures(Loopback.text(502, "<html>Bad gateway</html>"))) {
        assert.strictEqual(error.reason._tag, "InternalProviderError")
        assert.include(error.message, "Bad Gateway")
      }
    }))

  // Under the test clock it is 1970, so the date is 30 seconds ahead.
  const waits: ReadonlyArray<readonly [Record<string, string>, number | undefined]> = [
    [{ "retry-after": "20" }, 20_000],
    [{ "retry-after": "0.5" }, 500],
    [{ "retry-after-ms": "1500", "retry-after": "2" }, 1500],
    [{ "retry-after": "Thu, 01 Jan 1970 00:00:30 GMT" }, 30_000],
    [{ "retry-after": "soon" }, undefined],
    [{}, undefined]
  ]
  for (const [headers, expected] of waits) {
    it.effect(`429 with ${JSON.stringify(headers)} says to wait ${expected ?? "an unknown number of"} ms`, () =>
      Effect.gen(function*() {
        for (const error of yield* failures(Loopback.json(429, Wire.errorBody("Slow down."), headers))) {
          assert.strictEqual(error.retryAfter && Duration.toMillis(error.retryAfter), expected)
        }
      }))
  }
})

describe("AiSdk secrets", () => {
  it.live("an error that quotes the key and the headers shows neither", () =>
    Effect.gen(function*() {
      const body = {
        error: { message: `Incorrect API key provided: ${KEY}.`, type: "auth", code: "invalid_api_key" },
        echo: { authorization: `Bearer ${KEY}` }
      }
      const headers = { "set-cookie": "secret", authorization: `Bearer ${KEY}`, "x-echo": `Bearer ${KEY}` }
      const reply = Loopback.json(401, body, headers)
      for (const error of yield* failures(reply)) {
        const shown = [error.message, String(error), inspect(error, { depth: 20, showHidden: true }), error.stack]
        assert.notInclude(shown.join(), KEY)
        assert.notInclude(shown.join(), "set-cookie")
        assert.include(error.message, "Incorrect API key provided: <redacted>")
      }
    }))

  it.live("headers that are `Redacted` or named like a secret go out, and no error shows them", () =>
    Effect.gen(function*() {
      const quoting: Loopback.Reply = (exchange) => {
        const { authorization, "proxy-authorization": proxy, "x-tenant": tenant } = exchange.request.headers
        const quoted = [authorization, String(authorization).slice("Bearer ".length), proxy, tenant].join(" and ")
        return Loopback.json(401, Wire.errorBody(`Refused: ${quoted}.`))(exchange)
      }
      const server = yield* Loopback.make(quoting, quoting, quoting)
      const url = { baseUrl: `${server.url}/v1` }
      const headers = { authorization: Redacted.make("Bearer own-0123456789"), "x-tenant": Redacted.make("acme") }
      const model = OpenAiCompatible.model("m", { ...url, headers })
      const embeddings = OpenAiCompatible.embeddings("m", { ...url, headers })
      const errors = [
        yield* Effect.flip(Asking.text(model)),
        (yield* Asking.failure(model).pipe(
          Effect.provideService(Settings.RequestSettings, { headers: { "proxy-authorization": "plain-0123456789" } })
        )).error,
        yield* Effect.flip(Asking.embed(embeddings, ["1"]))
      ]
      for (const error of errors) {
        const shown = inspect(error, { depth: 20, showHidden: true })
        assert.notMatch(shown, /own-0123456789|plain-0123456789|acme/)
        assert.include(shown, "Refused: <redacted>")
      }
      for (const { headers } of server.requests) {
        assert.deepInclude(headers, { authorization: "Bearer own-0123456789", "x-tenant": "acme" })
      }
      assert.strictEqual(server.requests[1]!.headers["proxy-authorization"], "plain-0123456789")
    }))

  it.live("an error that quotes the key without the line break that its variable ends with does not show it", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(Loopback.json(401, Wire.errorBody(`Incorrect API key provided: ${KEY}.`)))
      const model = OpenAi.model("gpt-4o-mini").pipe(
        Layer.provide(variables({ OPENAI_API_KEY: `${KEY}\n`, OPENAI_BASE_URL: `${server.url}/v1` }))
      )
      const error = errorOf(yield* generate.pipe(Effect.exit, Effect.provide(model)))
      assert.notInclude(inspect(error, { depth: 20, showHidden: true }), KEY)
    }))

  it.effect("an address with a password is a ConfigError that does not show it", () =>
    Effect.gen(function*() {
      const model = OpenAi.model("gpt-4o-mini").pipe(
        Layer.provide(variables({ OPENAI_API_KEY: KEY, OPENAI_BASE_URL: "https://user:p@ssw0rd@proxy.test/v1" }))
      )
      const error = yield* Effect.flip(generate.pipe(Effect.provide(model)))
      assert.strictEqual(error._tag, "ConfigError")
      assert.include(error.message, "OPENAI_BASE_URL must be an http address without user and password")
      assert.notInclude(inspect(error, { depth: 20, showHidden: true }), "ssw0rd")
    }))

  it.live("a failed connection shows neither the prompt nor what else the address holds", () =>
    Effect.gen(function*() {
      const url = yield* Loopback.refusedUrl
      const model = OpenAi.model("gpt-4o-mini").pipe(
        Layer.provide(variables({ OPENAI_API_KEY: KEY, OPENAI_BASE_URL: `${url}/v1?token=t0ken` }))
      )
      const error = errorOf(yield* generate.pipe(Effect.exit, Effect.provide(model)))
      const shown = inspect(error, { depth: 20, showHidden: true })
      assert.include(shown, url)
      for (const secret of [KEY, "t0ken", "\"Hi\""]) assert.notInclude(shown, secret)
    }))
})

describe("AiSdk connections", () => {
  const isNetwork = (error: AiError.AiError) => {
    assert.strictEqual(error.reason._tag, "NetworkError", error.message)
    assert.isTrue(error.isRetryable)
  }

  it.live("a refused connection is a retryable NetworkError that names the address", () =>
    Effect.gen(function*() {
      const url = yield* Loopback.refusedUrl
      const model = at(url)
      const whole = errorOf(yield* generate.pipe(Effect.exit, Effect.provide(model)))
      const streamed = errorOf((yield* stream.pipe(Effect.provide(model))).exit)
      for (const error of [whole, streamed]) {
        isNetwork(error)
        assert.include(error.message, "ECONNREFUSED")
        assert.include(error.message, url)
      }
    }))

  it.live("a connection reset before the answer is a retryable NetworkError", () =>
    Effect.gen(function*() {
      for (const error of yield* failures(Loopback.reset)) isNetwork(error)
    }))

  it.live("a connection reset in mid-stream fails the stream after what came before", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make((exchange) =>
        Effect.gen(function*() {
          yield* Loopback.sse([Wire.chatOpening, Wire.chatChunk({ content: "so far" })], { finish: "open" })({
            ...exchange,
            closed: seen
          })
          yield* exchange.reset
        })
      )
      const first = yield* Deferred.make<void>()
      const seen = Deferred.await(first)
      const text: Array<string> = []
      const exit = yield* LanguageModel.streamText({ prompt: "Hi" }).pipe(
        Stream.runForEach((part) => {
          if (part.type !== "text-delta" || part.delta === "") return Effect.void
          text.push(part.delta)
          return Deferred.succeed(first, undefined)
        }),
        Effect.exit,
        Effect.provide(at(server.url))
      )
      isNetwork(errorOf(exit))
      assert.deepStrictEqual(text, ["so far"])
    }))

  for (const api of ["chat", "responses"] as const) {
    it.live(`a ${api} stream that stops without its end is a retryable NetworkError, never a short answer`, () =>
      Effect.gen(function*() {
        const events = api === "chat"
          ? [Wire.chatOpening, Wire.chatChunk({ content: "cut" })]
          : Wire.responsesEvents([Wire.message(["cut"])]).slice(0, -1)
        const server = yield* Loopback.make(Loopback.sse(events), Loopback.sse([]))
        const cut = yield* stream.pipe(Effect.provide(at(server.url, { api })))
        isNetwork(errorOf(cut.exit))
        assert.strictEqual(cut.text, "cut")
        const empty = yield* stream.pipe(Effect.provide(at(server.url, { api })))
        isNetwork(errorOf(empty.exit))
      }))
  }

  it.live("a whole answer cut short is a typed error", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make((exchange) =>
        exchange.head(200, { "content-type": "application/json", "content-length": "1000" }).pipe(
          Effect.andThen(exchange.write("{\"id\":")),
          Effect.andThen(exchange.reset)
        )
      )
      isNetwork(errorOf(yield* generate.pipe(Effect.exit, Effect.provide(at(server.url)))))
    }))
})

describe("AiSdk interruption", () => {
  it.live("interrupting a request that waits for its answer closes the socket", () =>
    Effect.gen(function*() {
      for (const request of [Effect.asVoid(generate), Effect.asVoid(stream)]) {
        const server = yield* Loopback.make(Loopback.silence)
        const fiber = yield* request.pipe(Effect.provide(at(server.url)), Effect.forkChild)
        yield* server.received
        yield* Fiber.interrupt(fiber)
        yield* server.hungUp
      }
    }))

  it.live("interrupting a stream in its middle closes the socket", () =>
    Effect.gen(function*() {
      const events = [Wire.chatOpening, Wire.chatChunk({ content: "so far" })]
      const server = yield* Loopback.make(Loopback.sse(events, { finish: "open" }))
      const first = yield* Deferred.make<void>()
      const fiber = yield* LanguageModel.streamText({ prompt: "Hi" }).pipe(
        Stream.runForEach((part) => part.type === "text-delta" ? Deferred.succeed(first, undefined) : Effect.void),
        Effect.provide(at(server.url)),
        Effect.forkChild
      )
      yield* Deferred.await(first)
      yield* Fiber.interrupt(fiber)
      yield* server.hungUp
    }))

  it.live("a consumer that has enough closes the socket", () =>
    Effect.gen(function*() {
      const events = [Wire.chatOpening, Wire.chatChunk({ content: "enough" })]
      const server = yield* Loopback.make(Loopback.sse(events, { finish: "open" }))
      yield* LanguageModel.streamText({ prompt: "Hi" }).pipe(
        Stream.takeUntil((part) => part.type === "text-delta"),
        Stream.runDrain,
        Effect.provide(at(server.url))
      )
      yield* server.hungUp
    }))

  it.live("a stream that fails closes the socket of a server that goes on", () =>
    Effect.gen(function*() {
      const events = [Wire.chatOpening, Wire.chatChunk({ content: "x" }), "data: {\"half\n\n"]
      const server = yield* Loopback.make(Loopback.sse(events, { finish: "open" }))
      const { exit } = yield* stream.pipe(Effect.provide(at(server.url)))
      assert.strictEqual(errorOf(exit).reason._tag, "InvalidResponseError")
      yield* server.hungUp
    }))
})

describe("AiSdk wire faults", () => {
  const answer = Wire.chatText(["grün ", "🌍"]).join("")
  const textOf = Effect.fnUntraced(function*(pieces: ReadonlyArray<string | Uint8Array>) {
    const server = yield* Loopback.make(Loopback.sse(pieces))
    const { exit, text } = yield* stream.pipe(Effect.provide(at(server.url)))
    assert.isTrue(Exit.isSuccess(exit), String(exit))
    return text
  }, Effect.scoped)

  it.live("characters and events split over packets arrive whole, wherever the cut is", () =>
    Effect.gen(function*() {
      const bytes = new TextEncoder().encode(answer)
      const packets = (size: number) =>
        Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.slice(i * size, (i + 1) * size))
      for (const size of [1, 7, 100]) assert.strictEqual(yield* textOf(packets(size)), "grün 🌍")
    }))

  it.live("keep-alive comments and chunks with an empty choice list are passed over", () =>
    Effect.gen(function*() {
      const events = Wire.chatText(["a", "b"])
      assert.strictEqual(
        yield* textOf([": keep-alive\n\n", events[0]!, ": ping\n\n", Wire.chatUsageChunk(), ...events.slice(1)]),
        "ab"
      )
    }))

  it.live("event types that nobody knows are passed over", () =>
    Effect.gen(function*() {
      const unknown = Wire.event({ type: "response.something.new", sequence_number: 1, payload: { deep: true } })
      const events = Wire.responsesEvents([Wire.message(["a"])])
      const server = yield* Loopback.make(Loopback.sse([...events.slice(0, 4), unknown, ...events.slice(4)]))
      const { text } = yield* stream.pipe(Effect.provide(at(server.url, { api: "responses" })))
      assert.strictEqual(text, "a")
    }))

  it.live("a malformed line is an InvalidResponseError after what came before", () =>
    Effect.gen(function*() {
      const events = [Wire.chatOpening, Wire.chatChunk({ content: "so far" }), "data: {\"id\": oops\n\n"]
      const server = yield* Loopback.make(Loopback.sse([...events, ...Wire.chatClosing("stop")]))
      const { exit, text } = yield* stream.pipe(Effect.provide(at(server.url)))
      assert.strictEqual(errorOf(exit).reason._tag, "InvalidResponseError")
      assert.strictEqual(text, "so far")
    }))

  it.live("a whole answer that is malformed or empty is an InvalidResponseError", () =>
    Effect.gen(function*() {
      const bodies = ["{\"id\": oops", "{\"object\":\"other\"}", JSON.stringify({ ...Wire.chatBody({}), choices: [] })]
      for (const body of bodies) {
        const server = yield* Loopback.make(Loopback.text(200, body, { "content-type": "application/json" }))
        const error = errorOf(yield* generate.pipe(Effect.exit, Effect.provide(at(server.url))))
        assert.strictEqual(error.reason._tag, "InvalidResponseError", error.message)
        assert.isFalse(error.isRetryable)
      }
    }))

  it.live("an error event in mid-stream fails with the reason of its code", () =>
    Effect.gen(function*() {
      const opening = [Wire.chatOpening, Wire.chatChunk({ content: "so far" })]
      const expected = [
        ["rate_limit_exceeded", "RateLimitError"],
        ["server_error", "InternalProviderError"],
        ["insufficient_quota", "QuotaExhaustedError"]
      ] as const
      for (const [code, tag] of expected) {
        const server = yield* Loopback.make(
          Loopback.sse([...opening, Wire.event(Wire.errorBody("Sorry.", { type: code, code }))])
        )
        const { exit, text } = yield* stream.pipe(Effect.provide(at(server.url)))
        assert.strictEqual(errorOf(exit).reason._tag, tag)
        assert.strictEqual(text, "so far")
      }
    }))

  it.live("a response that the server gives up in mid-stream fails with the reason of its code", () =>
    Effect.gen(function*() {
      const failed = Wire.event({
        type: "response.failed",
        sequence_number: 9,
        response: {
          ...Wire.responsesBody([]),
          status: "failed",
          error: { code: "rate_limit_exceeded", message: "No." }
        }
      })
      const events = Wire.responsesEvents([Wire.message(["so far"])]).slice(0, -1)
      const server = yield* Loopback.make(Loopback.sse([...events, failed]))
      const { exit, text } = yield* stream.pipe(Effect.provide(at(server.url, { api: "responses" })))
      assert.strictEqual(errorOf(exit).reason._tag, "RateLimitError")
      assert.strictEqual(text, "so far")
    }))

  it.live("an answer stopped by the content filter is whole and says so", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(
        Loopback.sse([Wire.chatOpening, Wire.chatChunk({ content: "I" }), ...Wire.chatClosing("content_filter")]),
        Loopback.json(200, Wire.chatBody({ content: "I" }, "content_filter"))
      )
      const last = yield* LanguageModel.streamText({ prompt: "Hi" }).pipe(
        Stream.runCollect,
        Effect.map((parts) => parts.at(-1)),
        Effect.provide(at(server.url))
      )
      assert.strictEqual(last?.type === "finish" ? last.reason : undefined, "content-filter")
      const whole = yield* generate.pipe(Effect.provide(at(server.url)))
      assert.strictEqual(whole.finishReason, "content-filter")
    }))

  it.live("tool arguments that are no JSON arrive as the text that the model wrote", () =>
    Effect.gen(function*() {
      const call = { id: "call_1", name: "get_weather", arguments: ["{\"city\": La", "gos"] }
      const server = yield* Loopback.make(
        Loopback.sse(Wire.chatCalls([call])),
        Loopback.sse(Wire.chatCalls([{ ...call, arguments: [""] }]))
      )
      const params = LanguageModel.streamText({
        prompt: "Hi",
        disableToolCallResolution: true,
        toolCallValidation: "deferred"
      }).pipe(
        Stream.filter((part) => part.type === "tool-call"),
        Stream.map((part) => part.params),
        Stream.runCollect,
        Effect.provide(at(server.url))
      )
      assert.deepStrictEqual(yield* params, ["{\"city\": Lagos"])
      assert.deepStrictEqual(yield* params, [{}])
    }))
})

describe("AiSdk optional packages", () => {
  it.effect("a package that is not installed fails with what to install", () =>
    Effect.gen(function*() {
      const name = "@ai-sdk/not-installed"
      const error = yield* Effect.flip(load("Nobody", name, () => import(/* @vite-ignore */ name)))
      assert.strictEqual(error._tag, "PackageMissing")
      assert.strictEqual(error.message, `Nobody needs the package ${name}: npm install ${name}`)
    }))

  it.effect("a package that is installed but lacks one of its own is a defect that names that one", () =>
    Effect.gen(function*() {
      const lacking = "@ai-sdk/lacking"
      const exit = yield* Effect.exit(load("Nobody", "@ai-sdk/openai", () => import(/* @vite-ignore */ lacking)))
      assert(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
      assert.include(String(Cause.squash(exit.cause)), lacking)
    }))
})
