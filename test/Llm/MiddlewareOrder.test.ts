/**
 * Middleware composes in any order: laws that hold for every choice of them, in every order.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Schedule, Schema, Stream } from "effect"
import { AiError, LanguageModel, Tool, Toolkit } from "effect/ai"
import { TestClock } from "effect/testing"
import * as Middleware from "../../src/Llm/Middleware.ts"
import * as Scripted from "../../src/Llm/Scripted.ts"
import * as Telemetry from "../../src/Llm/Telemetry.ts"

type ModelLayer = ReturnType<typeof Scripted.model>

const middleware = {
  log: Middleware.log({ prompts: true }),
  retry: Middleware.retry(Schedule.exponential("1 second").pipe(Schedule.upTo({ times: 2 }))),
  rateLimit: Middleware.rateLimit({ limit: 2, interval: "1 second", tokensPerMinute: 1000 }),
  concurrency: Middleware.concurrency(1),
  timeout: Middleware.timeout({ firstPart: "5 minutes", betweenParts: "1 minute", answer: "5 minutes" }),
  circuitBreaker: Middleware.circuitBreaker({ openFor: "1 second" }),
  fallback: Middleware.fallback(Scripted.model(() => "Other.")),
  cache: Middleware.cache({ capacity: 10, timeToLive: "1 hour" }),
  trace: Telemetry.trace
} as const

type Name = keyof typeof middleware

const names = Object.keys(middleware) as ReadonlyArray<Name>

/** Any choice of them in any order, the innermost first. */
const order = Schema.Array(Schema.Literals(names)).check(Schema.isUnique(), Schema.isMaxLength(names.length))

const wrap = (model: ModelLayer, order: ReadonlyArray<Name>): ModelLayer =>
  order.reduce((inner, name) => middleware[name](inner), model)

/** Runs under a clock that goes on for as long as anything here may take. */
const inTime = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.forkChild(Effect.exit(effect))
    yield* TestClock.adjust("1 hour")
    return yield* Effect.flatten(Fiber.join(fiber))
  })

const streamed = Stream.runCollect(LanguageModel.streamText({ prompt: "Hello?" }))

const textOf = (parts: ReadonlyArray<{ readonly type: string }>) =>
  parts.map((part) => part.type === "text-delta" && "delta" in part ? part.delta : "").join("")

const asks = {
  streamed: Effect.map(streamed, textOf),
  generated: Effect.map(LanguageModel.generateText({ prompt: "Hello?" }), ({ text }) => text)
}

const turn = [
  Scripted.reasoning("Hm, well.", { openai: { encrypted: "abc" } }),
  Scripted.delay("2 seconds"),
  Scripted.text("Hello there."),
  Scripted.usage(7, 3)
]

const down = Scripted.fail(new AiError.InternalProviderError({ description: "overloaded" }))

describe("middleware in any order", () => {
  it.effect.prop(
    "changes nothing of an answer that comes, part for part",
    { order },
    Effect.fnUntraced(function*({ order }) {
      const plain = yield* inTime(Effect.provide(streamed, Scripted.model([turn])))
      const wrapped = yield* inTime(Effect.provide(streamed, wrap(Scripted.model([turn]), order)))
      assert.deepStrictEqual(wrapped, plain)
    })
  )

  it.effect.prop(
    "answers in spite of a failure where a retry or a fallback is among them, the inner one of the two first",
    { order, ask: Schema.Literals(["streamed", "generated"]) },
    Effect.fnUntraced(function*({ ask, order }) {
      const exit = yield* inTime(Effect.exit(Effect.provide(asks[ask], wrap(Scripted.model([down, turn]), order))))
      const first = order.find((name) => name === "retry" || name === "fallback")
      assert.strictEqual(
        Exit.isSuccess(exit) ? exit.value : "failed",
        first === undefined ? "failed" : first === "retry" ? "Hello there." : "Other."
      )
    })
  )

  it.effect.prop(
    "neither repeats nor replaces what a stream has said before it broke",
    { order },
    Effect.fnUntraced(function*({ order }) {
      const said: Array<string> = []
      const exit = yield* LanguageModel.streamText({ prompt: "Hello?" }).pipe(
        Stream.runForEach((part) => Effect.sync(() => part.type === "text-delta" && said.push(part.delta))),
        Effect.exit,
        Effect.provide(wrap(Scripted.model([[Scripted.text("so far"), down], turn]), order)),
        inTime
      )
      assert.isTrue(Exit.isFailure(exit))
      assert.strictEqual(said.join(""), "so far")
    })
  )

  it.effect.prop(
    "holds nothing back from the next call after one that was interrupted and one that was left",
    { order },
    Effect.fnUntraced(function*({ order }) {
      const script = [[Scripted.text("One"), Scripted.delay("1 hour")], turn, turn]
      yield* Effect.gen(function*() {
        const fiber = yield* Effect.forkChild(streamed)
        yield* TestClock.adjust("30 seconds")
        yield* Fiber.interrupt(fiber)
        yield* inTime(Stream.runHead(LanguageModel.streamText({ prompt: "Hello?" }).pipe(Stream.rechunk(1))))
        assert.strictEqual(yield* inTime(asks.streamed), "Hello there.")
      }).pipe(Effect.provide(wrap(Scripted.model(script), order)))
    })
  )

  it.effect.prop(
    "runs a call's tool once",
    { order },
    Effect.fnUntraced(function*({ order }) {
      let runs = 0
      const toolkit = Toolkit.make(Tool.make("book", { success: Schema.String }))
      const handlers = toolkit.toLayer({
        book: () =>
          Effect.sync(() => {
            runs++
            return "booked"
          })
      })
      const model = Scripted.model([Scripted.toolCall("book", {})])
      const { toolResults } = yield* LanguageModel.generateText({ prompt: "Book!", toolkit }).pipe(
        Effect.provide([handlers, wrap(model, order)]),
        inTime
      )
      assert.deepStrictEqual(toolResults.map(({ result }) => result), ["booked"])
      assert.strictEqual(runs, 1)
    })
  )
})
