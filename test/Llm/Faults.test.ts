/**
 * The faults of the wire as an agent meets them: each run ends with a typed error or the right answer, what was
 * received before is in its events, and no socket stays open.
 */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Deferred, Duration, Effect, Fiber, Layer, Schedule, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"
import * as Agent from "../../src/Agent.ts"
import type { AgentError } from "../../src/AgentError.ts"
import type { AgentEvent } from "../../src/AgentEvent.ts"
import * as Middleware from "../../src/Llm/Middleware.ts"
import * as OpenAi from "../../src/Llm/OpenAi.ts"
import * as Tool from "../../src/Tool.ts"
import { variables } from "../fixtures/config.ts"
import * as Loopback from "../fixtures/loopbackServer.ts"
import * as Wire from "../fixtures/openAiWire.ts"

const at = (server: Loopback.LoopbackServer) =>
  OpenAi.model("gpt-4o-mini").pipe(
    Layer.provide(variables({ OPENAI_API_KEY: "sk-test", OPENAI_BASE_URL: `${server.url}/v1` }))
  )

const weather = Tool.fn("get_weather", {
  description: "Current weather in a city",
  parameters: { city: Schema.String },
  success: Schema.String
}, ({ city }) => Effect.succeed(`31 C in ${city}`))

const assistant = Agent.make("assistant", { tools: [weather] })

/** A run's events, and its error if it fails. */
const run = Effect.fnUntraced(function*(model: ReturnType<typeof at>) {
  const events: Array<AgentEvent> = []
  const error = yield* Agent.run(assistant, "Hi").pipe(
    Stream.runForEach((event) => Effect.sync(() => void events.push(event))),
    Effect.as(undefined),
    Effect.catchTag("AgentError", (error) => Effect.succeed(error)),
    Effect.provide(model)
  )
  const text = events.map((event) => event._tag === "TextDelta" ? event.delta : "").join("")
  return { events, text, error }
})

/** A clock at the beginning of 1970 whose sleeps are noted and over at once. */
const impatient = (slept: Array<number>): Clock.Clock => ({
  currentTimeMillisUnsafe: () => 0,
  currentTimeMillis: Effect.succeed(0),
  currentTimeNanosUnsafe: () => 0n,
  currentTimeNanos: Effect.succeed(0n),
  monotonicTimeNanosUnsafe: () => 0n,
  monotonicTimeNanos: Effect.succeed(0n),
  sleep: (duration) => Effect.sync(() => void slept.push(Duration.toMillis(duration)))
})

/** The reason of the model's failure behind an agent's error. */
const reasonOf = (error: AgentError | undefined) => {
  assert(error?.reason._tag === "ModelFailed", `the run's error is ${error}`)
  return error.reason.error.reason._tag
}

const sofar = [Wire.chatOpening, Wire.chatChunk({ content: "so far" })]

describe("faults of the wire in a run", () => {
  const cut: ReadonlyArray<readonly [string, Loopback.Reply, string]> = [
    ["stops without its end", Loopback.sse(sofar), "NetworkError"],
    [
      "has a malformed line",
      Loopback.sse([...sofar, "data: {\"id\": oops\n\n"], { finish: "open" }),
      "InvalidResponseError"
    ],
    [
      "has an error event",
      Loopback.sse([...sofar, Wire.event(Wire.errorBody("Sorry.", { type: "server_error" }))], { finish: "open" }),
      "InternalProviderError"
    ]
  ]
  for (const [what, reply, reason] of cut) {
    it.live(`a stream that ${what} fails the run with ${reason}, after the text before it`, () =>
      Effect.gen(function*() {
        const server = yield* Loopback.make(reply)
        const { error, text } = yield* run(at(server))
        assert.strictEqual(reasonOf(error), reason)
        assert.strictEqual(text, "so far")
        assert.include(JSON.stringify(error?.transcript), "so far")
        yield* server.idle
      }))
  }

  it.live("a connection that is reset in mid-stream fails the run with NetworkError, after the text before it", () =>
    Effect.gen(function*() {
      const seen = yield* Deferred.make<void>()
      const server = yield* Loopback.make(Loopback.sse([...sofar, Deferred.await(seen)], { finish: "reset" }))
      let text = ""
      const error = yield* Agent.run(assistant, "Hi").pipe(
        Stream.runForEach((event) => {
          if (event._tag !== "TextDelta") return Effect.void
          text += event.delta
          return Deferred.succeed(seen, undefined)
        }),
        Effect.provide(at(server)),
        Effect.flip
      )
      assert(error._tag === "AgentError")
      assert.strictEqual(reasonOf(error), "NetworkError")
      assert.strictEqual(text, "so far")
      yield* server.idle
    }))

  it.live("a body of more than 50 MB comes whole: in one event of 60 MB, and in many", () =>
    Effect.gen(function*() {
      const megabyte = "x".repeat(1_000_000)
      const server = yield* Loopback.make(
        Loopback.sse([Wire.chatOpening, Wire.chatChunk({ content: megabyte.repeat(60) }), ...Wire.chatClosing("stop")]),
        Loopback.sse(Wire.chatText(Array.from({ length: 60 }, () => megabyte)))
      )
      for (const _ of ["one", "many"]) {
        const { error, text } = yield* run(at(server))
        assert.isUndefined(error)
        assert.strictEqual(text.length, 60_000_000)
      }
      yield* server.idle
    }))

  it.live("an error whose message is longer than 50 MB is a typed error of a readable length", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(Loopback.json(500, Wire.errorBody("x".repeat(60_000_000))))
      const { error } = yield* run(at(server))
      assert.strictEqual(reasonOf(error), "InternalProviderError")
      assert.isBelow(error!.message.length, 2000)
      yield* server.idle
    }))

  it.live("a call whose arguments are no JSON goes back to the model as a failed result", () =>
    Effect.gen(function*() {
      const broken = { id: "call_1", name: "get_weather", arguments: ["{\"city\": La", "gos"] }
      const server = yield* Loopback.make(
        Loopback.sse(Wire.chatCalls([broken])),
        Loopback.sse(Wire.chatCalls([{ ...broken, id: "call_2", arguments: ["{\"city\": \"Lagos\"}"] }])),
        Loopback.sse(Wire.chatText(["31 C."]))
      )
      const { error, events, text } = yield* run(at(server))
      assert.isUndefined(error)
      assert.strictEqual(text, "31 C.")
      const results = events.filter((event) => event._tag === "ToolResult")
      assert.deepStrictEqual(results.map(({ isFailure }) => isFailure), [true, false])
      assert.strictEqual(results[1]?.result, "31 C in Lagos")
      yield* server.idle
    }))

  it.live("a stream whose chunks have an empty choice list and nothing more has no answer, and fails", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(Loopback.sse([Wire.chatUsageChunk(), Wire.done]))
      const { error } = yield* run(at(server))
      assert.strictEqual(reasonOf(error), "NetworkError")
      yield* server.idle
    }))

  it.live("a content filter ends the run with what was said and says so", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(Loopback.sse([...sofar, ...Wire.chatClosing("content_filter")]))
      const { events, text } = yield* run(at(server))
      const last = events.at(-1)
      assert.strictEqual(text, "so far")
      assert.strictEqual(last?._tag === "Completed" ? last.response.finishReason : undefined, "content-filter")
      yield* server.idle
    }))
})

describe("faults of the wire behind middleware", () => {
  const retried = (server: Loopback.LoopbackServer) =>
    at(server).pipe(Middleware.retry(Schedule.exponential("10 millis").pipe(Schedule.upTo({ times: 3 }))))

  it.live("a 503 and a reset before the answer are tried again until it comes", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(
        Loopback.json(503, Wire.errorBody("Later.")),
        Loopback.reset,
        Loopback.sse(Wire.chatText(["here"]))
      )
      const { error, text } = yield* run(retried(server))
      assert.isUndefined(error)
      assert.strictEqual(text, "here")
      assert.lengthOf(server.requests, 3)
      yield* server.idle
    }))

  it.live("a 401 is tried once, and so is a stream that broke after its first text", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(Loopback.json(401, Wire.errorBody("No.")), Loopback.sse(sofar))
      assert.strictEqual(reasonOf((yield* run(retried(server))).error), "AuthenticationError")
      const { error, text } = yield* run(retried(server))
      assert.strictEqual(reasonOf(error), "NetworkError")
      assert.strictEqual(text, "so far")
      assert.lengthOf(server.requests, 2)
      yield* server.idle
    }))

  const waits = [
    [429, "seconds", { "retry-after": "20" }, 20_000],
    [429, "a date", { "retry-after": "Thu, 01 Jan 1970 00:00:20 GMT" }, 20_000],
    [429, "nothing", {}, 10],
    [503, "seconds", { "retry-after": "20" }, 20_000],
    [503, "a date", { "retry-after": "Thu, 01 Jan 1970 00:00:20 GMT" }, 20_000],
    [529, "milliseconds", { "retry-after-ms": "20000", "retry-after": "1" }, 20_000],
    [503, "nothing", {}, 10],
    [503, "nonsense", { "retry-after": "soon" }, 10]
  ] as const
  for (const [status, form, headers, expected] of waits) {
    it.effect(`a ${status} with ${form} in retry-after is tried again after ${expected} ms`, () =>
      Effect.gen(function*() {
        const server = yield* Loopback.make(
          Loopback.json(status, Wire.errorBody("Slow down."), headers),
          Loopback.sse(Wire.chatText(["here"]))
        )
        const slept: Array<number> = []
        const { text } = yield* run(retried(server)).pipe(Effect.provideService(Clock.Clock, impatient(slept)))
        assert.strictEqual(text, "here")
        assert.deepStrictEqual(slept, [expected])
      }))
  }

  it.live("a silence in mid-stream fails the run after the text before it, and hangs up", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(Loopback.sse(sofar, { finish: "open" }))
      const { error, text } = yield* run(at(server).pipe(Middleware.timeout({ betweenParts: "50 millis" })))
      assert.strictEqual(reasonOf(error), "InternalProviderError")
      assert.strictEqual(text, "so far")
      yield* server.hungUp
      yield* server.idle
    }))

  it.effect("a server that takes the request and says nothing fails the run in time, and is hung up on", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(Loopback.silence)
      const model = at(server).pipe(Middleware.timeout({ firstPart: "30 seconds" }))
      const fiber = yield* Effect.forkChild(run(model))
      yield* server.received
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual(reasonOf((yield* Fiber.join(fiber)).error), "InternalProviderError")
      yield* server.hungUp
    }))
})
