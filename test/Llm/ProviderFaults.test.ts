/**
 * The faults of the wire at every provider, each in its vendor's own format: a typed error or the right answer, what
 * was said before it, and a closed socket.
 */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Stream } from "effect"
import { LanguageModel } from "effect/ai"
import * as Asking from "../fixtures/asking.ts"
import * as Loopback from "../fixtures/loopbackServer.ts"
import { key, providers, responses } from "../fixtures/providers.ts"

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
