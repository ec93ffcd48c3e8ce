import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect, Fiber, Layer, Redacted, Schedule, Schema, Stream } from "effect"
import { AiError, LanguageModel, Prompt, Tool, Toolkit } from "effect/ai"
import { TestClock } from "effect/testing"
import * as Middleware from "../../src/Llm/Middleware.ts"
import * as Scripted from "../../src/Llm/Scripted.ts"
import * as Settings from "../../src/Llm/Settings.ts"
import * as Simulation from "../../src/testing/Simulation.ts"

const overloaded = new AiError.InternalProviderError({ description: "overloaded" })
const down = Scripted.fail(overloaded)
const refused = Scripted.fail(new AiError.ContentPolicyError({ description: "no" }))

const parts = LanguageModel.streamText({ prompt: "Hello?" })

/** The text of a streamed answer. */
const ask = (prompt: string) =>
  Stream.runFold(
    LanguageModel.streamText({ prompt }),
    () => "",
    (text, part) => part.type === "text-delta" ? text + part.delta : text
  )

const streamed = ask("Hello?")

const generated = Effect.map(LanguageModel.generateText({ prompt: "Hello?" }), ({ text }) => text)

const requests = Effect.map(Effect.flatten(Scripted.Requests), (requests) => requests.length)

const reasonOf = <A, R>(effect: Effect.Effect<A, AiError.AiError, R>) =>
  Effect.map(Effect.flip(effect), (error) => error.reason._tag)

/** A model that notes when it was asked. */
const timed = (starts: Array<number>, answer: ReadonlyArray<Scripted.Step> = [Scripted.text("Hello.")]) =>
  Layer.unwrap(Effect.map(Clock.Clock, (clock) =>
    Scripted.model(() => {
      starts.push(clock.currentTimeMillisUnsafe())
      return answer
    })))

const between = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

describe("Middleware", () => {
  describe("rateLimit", () => {
    it.effect.prop(
      "starts no more calls than the limit in any interval, in the order they came, and each as soon as it may",
      {
        limit: between(1, 5),
        interval: between(1, 2000),
        gaps: Schema.NonEmptyArray(between(0, 1500)).check(Schema.isMaxLength(40))
      },
      Effect.fnUntraced(function*({ gaps, interval, limit }) {
        const starts: Array<number> = []
        const arrivals: Array<number> = []
        yield* Effect.gen(function*() {
          for (const gap of gaps) {
            yield* TestClock.adjust(gap)
            arrivals.push(yield* Clock.currentTimeMillis)
            yield* Effect.forkChild(streamed, { startImmediately: true })
          }
          yield* TestClock.adjust(gaps.length * interval)
        }).pipe(Effect.provide(Middleware.rateLimit({ limit, interval: Duration.millis(interval) })(timed(starts))))
        assert.strictEqual(starts.length, gaps.length)
        starts.forEach((start, index) => {
          const before = starts[index - limit]
          assert.strictEqual(start, Math.max(arrivals[index]!, before === undefined ? 0 : before + interval))
        })
      })
    )

    it.effect("counts the tokens that calls really used", () => {
      const starts: Array<number> = []
      return Effect.gen(function*() {
        for (let call = 0; call < 5; call++) yield* Effect.forkChild(streamed, { startImmediately: true })
        yield* TestClock.adjust("3 minutes")
        assert.deepStrictEqual(starts, [0, 0, 0, 60_000, 60_000])
      }).pipe(Effect.provide(
        Middleware.rateLimit({ limit: 100, interval: "1 second", tokensPerMinute: 300 })(
          timed(starts, [Scripted.text("Hello."), Scripted.usage(90, 10)])
        )
      ))
    })

    it.effect("counts the estimate of calls under way", () => {
      const starts: Array<number> = []
      return Effect.gen(function*() {
        for (let call = 0; call < 3; call++) yield* Effect.forkChild(ask("x".repeat(400)), { startImmediately: true })
        yield* TestClock.adjust("2 minutes")
        assert.deepStrictEqual(starts, [0, 0, 60_000])
      }).pipe(Effect.provide(
        Middleware.rateLimit({ limit: 100, interval: "1 second", tokensPerMinute: 250 })(
          timed(starts, [Scripted.delay("1 hour")])
        )
      ))
    })

    it.effect("the estimate counts files", () => {
      const starts: Array<number> = []
      const file = Prompt.filePart({ mediaType: "application/pdf", data: new Uint8Array([1]) })
      const reading = LanguageModel.generateText({
        prompt: Prompt.fromMessages([Prompt.userMessage({ content: [file] })])
      })
      return Effect.gen(function*() {
        for (let call = 0; call < 3; call++) yield* Effect.forkChild(reading, { startImmediately: true })
        yield* TestClock.adjust("2 minutes")
        assert.deepStrictEqual(starts, [0, 0, 60_000])
      }).pipe(Effect.provide(
        Middleware.rateLimit({ limit: 100, interval: "1 second", tokensPerMinute: 2500 })(
          timed(starts, [Scripted.delay("1 hour")])
        )
      ))
    })

    it.effect("a call larger than the limit starts when nothing else is counted", () => {
      const starts: Array<number> = []
      return Effect.gen(function*() {
        yield* Effect.forkChild(ask("x".repeat(4000)), { startImmediately: true })
        yield* Effect.forkChild(ask("x".repeat(4000)), { startImmediately: true })
        yield* TestClock.adjust("2 minutes")
        assert.deepStrictEqual(starts, [0, 60_000])
      }).pipe(Effect.provide(
        Middleware.rateLimit({ limit: 100, interval: "1 second", tokensPerMinute: 10 })(
          timed(starts, [Scripted.delay("1 hour")])
        )
      ))
    })

    it.effect("a large call that waits is not overtaken by small ones", () => {
      const starts: Array<number> = []
      return Effect.gen(function*() {
        for (const length of [800, 800, 4]) {
          yield* Effect.forkChild(ask("x".repeat(length)), { startImmediately: true })
        }
        yield* TestClock.adjust("30 seconds")
        assert.deepStrictEqual(starts, [0])
        yield* TestClock.adjust("30 seconds")
        assert.deepStrictEqual(starts, [0, 60_000, 60_000])
      }).pipe(Effect.provide(
        Middleware.rateLimit({ limit: 100, interval: "1 second", tokensPerMinute: 300 })(
          timed(starts, [Scripted.delay("1 hour")])
        )
      ))
    })

    it.effect("an interrupted wait takes nobody's place", () => {
      const starts: Array<number> = []
      return Effect.gen(function*() {
        yield* streamed
        const waiting = yield* Effect.forkChild(streamed, { startImmediately: true })
        const next = yield* Effect.forkChild(streamed, { startImmediately: true })
        yield* Fiber.interrupt(waiting)
        yield* TestClock.adjust("1 second")
        yield* Fiber.join(next)
        assert.deepStrictEqual(starts, [0, 1000])
      }).pipe(Effect.provide(Middleware.rateLimit({ limit: 1, interval: "1 second" })(timed(starts))))
    })

    it.effect("two layers count apart; agents that share one layer share its limit", () =>
      Effect.gen(function*() {
        const starts: Array<number> = []
        const limit = Middleware.rateLimit({ limit: 1, interval: "1 second" })
        const model = limit(timed(starts))
        const ask = Effect.forkScoped(streamed, { startImmediately: true })
        const twice = Layer.mergeAll(
          Layer.effectDiscard(ask).pipe(Layer.provide(model)),
          Layer.effectDiscard(ask).pipe(Layer.provide(model)),
          Layer.effectDiscard(ask).pipe(Layer.provide(limit(timed(starts))))
        )
        yield* Effect.forkChild(Effect.provide(Effect.never, twice))
        yield* TestClock.adjust("3 seconds")
        assert.deepStrictEqual(starts, [0, 0, 1000])
      }).pipe(Effect.scoped))
  })

  describe("concurrency", () => {
    const hanging = Scripted.model(() => [Scripted.text("Hel"), Scripted.delay("10 seconds"), Scripted.text("lo.")])

    it.effect("a call runs when one before it has ended; a stream runs until its end", () =>
      Effect.gen(function*() {
        const calls = yield* Effect.forEach([streamed, generated, streamed], (call) =>
          Effect.forkChild(call, { startImmediately: true }))
        yield* TestClock.adjust("9999 millis")
        assert.strictEqual(yield* requests, 2)
        yield* TestClock.adjust("1 millis")
        assert.strictEqual(yield* requests, 3)
        yield* TestClock.adjust("10 seconds")
        assert.deepStrictEqual(yield* Fiber.joinAll(calls), ["Hello.", "Hello.", "Hello."])
      }).pipe(Effect.provide(Middleware.concurrency(2)(hanging))))

    it.effect("a call beyond those that may wait fails, and says which bound it met", () =>
      Effect.gen(function*() {
        yield* Effect.forkChild(streamed, { startImmediately: true })
        yield* Effect.forkChild(streamed, { startImmediately: true })
        const error = yield* Effect.flip(streamed)
        assert.strictEqual(error.reason._tag, "RateLimitError")
        assert.strictEqual(error.message, "Middleware.concurrency(1, { maxWaiting: 1 }): Rate limit exceeded")
      }).pipe(Effect.provide(Middleware.concurrency(1, { maxWaiting: 1 })(hanging))))

    it.effect("a call that waited too long fails, and its place is free again", () =>
      Effect.gen(function*() {
        yield* Effect.forkChild(streamed, { startImmediately: true })
        const waiting = yield* Effect.forkChild(Effect.flip(generated), { startImmediately: true })
        yield* TestClock.adjust("6 seconds")
        assert.include((yield* Fiber.join(waiting)).message, "concurrency(1, { timeout: 6s })")
        const next = yield* Effect.forkChild(streamed, { startImmediately: true })
        yield* TestClock.adjust("14 seconds")
        assert.strictEqual(yield* Fiber.join(next), "Hello.")
      }).pipe(Effect.provide(Middleware.concurrency(1, { maxWaiting: 1, timeout: "6 seconds" })(hanging))))

    it.effect("an interrupted, a failed and an abandoned call give their place back", () =>
      Effect.gen(function*() {
        const interrupted = yield* Effect.forkChild(streamed, { startImmediately: true })
        yield* Fiber.interrupt(interrupted)
        yield* Effect.flip(streamed)
        yield* Stream.runHead(parts)
        assert.strictEqual(yield* streamed, "Hello.")
      }).pipe(Effect.provide(
        Scripted.model([[Scripted.delay("1 hour")], down, "One two", "Hello."])
          .pipe(Middleware.concurrency(1, { maxWaiting: 0 }))
      )))
  })

  describe("circuitBreaker", () => {
    it.effect("after failures in a row calls fail at once, until one of them may try again", () =>
      Effect.gen(function*() {
        assert.strictEqual(yield* reasonOf(streamed), "InternalProviderError")
        assert.strictEqual(yield* reasonOf(generated), "InternalProviderError")
        const error = yield* Effect.flip(streamed)
        assert.include(error.message, "not asked for another 10s")
        assert.strictEqual(yield* requests, 2)
        yield* TestClock.adjust("10 seconds")
        const trial = yield* Effect.forkChild(streamed, { startImmediately: true })
        assert.include((yield* Effect.flip(generated)).message, "not asked while a first call tries")
        yield* TestClock.adjust("1 second")
        assert.strictEqual(yield* Fiber.join(trial), "Back.")
        assert.strictEqual(yield* generated, "And again.")
        assert.strictEqual(yield* requests, 4)
      }).pipe(Effect.provide(
        Scripted.model([down, down, [Scripted.delay("1 second"), Scripted.text("Back.")], "And again."])
          .pipe(Middleware.circuitBreaker({ failures: 2, openFor: "10 seconds" }))
      )))

    it.effect("a stream that breaks off in the middle is a failure", () =>
      Effect.gen(function*() {
        yield* reasonOf(streamed)
        assert.include((yield* Effect.flip(streamed)).message, "not asked")
      }).pipe(Effect.provide(
        Scripted.model([[Scripted.text("Hel"), down]]).pipe(Middleware.circuitBreaker({ failures: 1 }))
      )))

    const unavailable = new AiError.InternalProviderError({
      description: "down for a minute",
      http: { response: { status: 503, headers: { "retry-after": "60" } } }
    })
    for (const reason of [new AiError.RateLimitError({ retryAfter: Duration.minutes(1) }), unavailable]) {
      it.effect(`stays open as long as the provider asked for in its ${reason._tag}`, () =>
        Effect.gen(function*() {
          yield* reasonOf(streamed)
          yield* TestClock.adjust("59 seconds")
          assert.include((yield* Effect.flip(streamed)).message, "not asked for another 1s")
          yield* TestClock.adjust("1 second")
          assert.strictEqual(yield* streamed, "Hello.")
        }).pipe(Effect.provide(
          Scripted.model([Scripted.fail(reason), "Hello."])
            .pipe(Middleware.circuitBreaker({ failures: 1, openFor: "10 seconds" }))
        )))
    }

    it.effect("refused prompts and interrupted calls say nothing about the provider", () =>
      Effect.gen(function*() {
        yield* reasonOf(streamed)
        const fiber = yield* Effect.forkChild(streamed, { startImmediately: true })
        yield* Fiber.interrupt(fiber)
        assert.strictEqual(yield* streamed, "Hello.")
      }).pipe(Effect.provide(
        Scripted.model([refused, [Scripted.delay("1 hour")], "Hello."]).pipe(Middleware.circuitBreaker({ failures: 1 }))
      )))

    it.effect("a trial that nobody waits for any more makes room for the next one", () =>
      Effect.gen(function*() {
        yield* reasonOf(streamed)
        yield* TestClock.adjust("30 seconds")
        yield* Fiber.interrupt(yield* Effect.forkChild(streamed, { startImmediately: true }))
        assert.strictEqual(yield* streamed, "Hello.")
      }).pipe(Effect.provide(
        Scripted.model([down, [Scripted.delay("1 hour")], "Hello."]).pipe(Middleware.circuitBreaker({ failures: 1 }))
      )))

    it.effect("a call from before it opened neither closes it nor keeps it open for longer", () =>
      Effect.gen(function*() {
        const succeeds = yield* Effect.forkChild(streamed, { startImmediately: true })
        const fails = yield* Effect.forkChild(reasonOf(streamed), { startImmediately: true })
        yield* reasonOf(streamed)
        yield* TestClock.adjust("1 second")
        assert.strictEqual(yield* Fiber.join(succeeds), "Slow.")
        assert.include((yield* Effect.flip(streamed)).message, "not asked for another 29s")
        yield* TestClock.adjust("1 second")
        assert.strictEqual(yield* Fiber.join(fails), "InternalProviderError")
        yield* TestClock.adjust("28 seconds")
        assert.strictEqual(yield* streamed, "Hello.")
      }).pipe(Effect.provide(
        Scripted.model([
          [Scripted.delay("1 second"), Scripted.text("Slow.")],
          [Scripted.delay("2 seconds"), down],
          down,
          "Hello."
        ]).pipe(Middleware.circuitBreaker({ failures: 1 }))
      )))

    it.effect("a trial that fails opens it again, however many failures it takes the first time", () =>
      Effect.gen(function*() {
        yield* reasonOf(streamed)
        yield* reasonOf(streamed)
        yield* TestClock.adjust("30 seconds")
        yield* reasonOf(generated)
        assert.include((yield* Effect.flip(streamed)).message, "not asked for another 30s")
      }).pipe(Effect.provide(Scripted.model([down, down, down]).pipe(Middleware.circuitBreaker({ failures: 2 })))))

    it.effect("a success in between: then failures are not in a row", () =>
      Effect.gen(function*() {
        yield* reasonOf(streamed)
        yield* streamed
        yield* reasonOf(streamed)
        assert.strictEqual(yield* streamed, "Hello.")
      }).pipe(Effect.provide(
        Scripted.model([down, "Hello.", down, "Hello."]).pipe(Middleware.circuitBreaker({ failures: 2 }))
      )))

    it.effect("it tries again after an hour, even if the provider asks for more", () =>
      Effect.gen(function*() {
        yield* reasonOf(streamed)
        assert.include((yield* Effect.flip(streamed)).message, "not asked for another 1h")
      }).pipe(Effect.provide(
        Scripted.model([Scripted.fail(new AiError.RateLimitError({ retryAfter: Duration.hours(2) }))])
          .pipe(Middleware.circuitBreaker({ failures: 1 }))
      )))

    it.effect("a trial makes room for the next one, wherever it is interrupted", () => {
      const program = Effect.gen(function*() {
        yield* reasonOf(ask("Fail"))
        yield* Effect.sleep("30 seconds")
        const trial = yield* Effect.forkChild(streamed)
        yield* Effect.yieldNow
        yield* Fiber.interrupt(trial)
        return yield* streamed
      }).pipe(Effect.provide(
        Scripted.model(Scripted.matching([[/Fail/, down], [/Hello/, "Hello."]]))
          .pipe(Middleware.circuitBreaker({ failures: 1 }))
      ))
      return Simulation.check(program, { seeds: 300 })
    })

    it.effect("an open circuit falls back at once", () =>
      Effect.gen(function*() {
        assert.deepStrictEqual([yield* streamed, yield* streamed, yield* requests], ["Other.", "Other.", 1])
      }).pipe(Effect.provide(
        Scripted.model([down]).pipe(
          Middleware.circuitBreaker({ failures: 1 }),
          Middleware.fallback(Scripted.model(() => "Other."))
        )
      )))
  })

  describe("cache", () => {
    const counting = () => {
      let asked = 0
      return Scripted.model(() => `Answer ${++asked}.`)
    }
    const kept = Middleware.cache({ capacity: 2, timeToLive: "1 minute" })
    it.effect("the same request has the same answer, for as long as it lives", () =>
      Effect.gen(function*() {
        assert.strictEqual(yield* streamed, "Answer 1.")
        assert.strictEqual(yield* streamed, "Answer 1.")
        yield* TestClock.adjust("1 minute")
        assert.strictEqual(yield* streamed, "Answer 2.")
        assert.strictEqual(yield* generated, "Answer 3.")
        assert.strictEqual(yield* generated, "Answer 3.")
      }).pipe(Effect.provide(kept(counting()))))

    it.effect("replays the whole stream, part for part", () =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* Stream.runCollect(parts), yield* Stream.runCollect(parts))
        assert.strictEqual(yield* requests, 1)
      }).pipe(Effect.provide(kept(counting()))))

    it.effect("another prompt, other tools, another tool choice, schema or setting is another request", () =>
      Effect.gen(function*() {
        const tool = (description: string) => Toolkit.make(Tool.make("look", { description }))
        const bare = { disableToolCallResolution: true as const }
        const calls: ReadonlyArray<Effect.Effect<unknown, AiError.AiError, LanguageModel.LanguageModel>> = [
          LanguageModel.generateText({ prompt: "Hello?" }),
          LanguageModel.generateText({ prompt: "Hello!" }),
          Effect.provideService(generated, Settings.RequestSettings, { temperature: 0 }),
          Effect.provideService(generated, Settings.RequestSettings, { headers: { tenant: Redacted.make("a") } }),
          Effect.provideService(generated, Settings.RequestSettings, { headers: { tenant: Redacted.make("b") } }),
          LanguageModel.generateText({ prompt: "Hello?", toolkit: tool("near"), ...bare }),
          LanguageModel.generateText({ prompt: "Hello?", toolkit: tool("far"), ...bare }),
          LanguageModel.generateText({ prompt: "Hello?", toolkit: tool("far"), toolChoice: "none", ...bare }),
          LanguageModel.generateObject({
            prompt: "Hello?",
            schema: Schema.Struct({ a: Schema.optional(Schema.Finite) })
          }),
          LanguageModel.generateObject({
            prompt: "Hello?",
            schema: Schema.Struct({ b: Schema.optional(Schema.Finite) })
          })
        ]
        yield* Effect.forEach([...calls, ...calls], (call) => call)
        assert.strictEqual(yield* requests, calls.length)
      }).pipe(Effect.provide(
        Scripted.model(() => "{}").pipe(Middleware.cache({ capacity: 100, timeToLive: "1 minute" }))
      )))

    it.effect("the answer that was not asked for the longest leaves first", () =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* Effect.forEach(["a", "b", "a", "c", "a", "b"], ask), [
          "Answer 1.",
          "Answer 2.",
          "Answer 1.",
          "Answer 3.",
          "Answer 1.",
          "Answer 4."
        ])
      }).pipe(Effect.provide(kept(counting()))))

    it.effect("a failed, a cut off and an abandoned answer are not kept", () =>
      Effect.gen(function*() {
        yield* reasonOf(generated)
        yield* reasonOf(streamed)
        yield* streamed
        yield* Stream.runHead(parts)
        assert.strictEqual(yield* streamed, "Hello.")
        assert.strictEqual(yield* streamed, "Hello.")
      }).pipe(Effect.provide(kept(
        Scripted.model([down, [Scripted.text("Hel"), down], [Scripted.text("Hel"), Scripted.cut], "One two", "Hello."])
      ))))

    it.effect("tools of a call run each time, around the same answer of the model", () => {
      let runs = 0
      const toolkit = Toolkit.make(Tool.make("count", { success: Schema.Finite }))
      const handlers = toolkit.toLayer({ count: () => Effect.sync(() => ++runs) })
      const call = LanguageModel.generateText({ prompt: "Count!", toolkit })
      return Effect.gen(function*() {
        assert.strictEqual((yield* call).toolResults[0]?.result, 1)
        assert.strictEqual((yield* call).toolResults[0]?.result, 2)
      }).pipe(Effect.provide([handlers, kept(Scripted.model([Scripted.toolCall("count", {})]))]))
    })
  })

  it("a wrong constant throws where the value is made, and is named", () => {
    const wrong: ReadonlyArray<readonly [() => unknown, string]> = [
      [
        () => Middleware.rateLimit({ limit: 0, interval: "1 second" }),
        "rateLimit: limit must be a positive integer, got 0"
      ],
      [
        () => Middleware.rateLimit({ limit: 1, interval: 0 }),
        "rateLimit: interval must be a positive, finite duration, got 0"
      ],
      [
        () => Middleware.rateLimit({ limit: 1, interval: "1 second", tokensPerMinute: -1 }),
        "rateLimit: tokensPerMinute must be a positive integer, got -1"
      ],
      [
        () => Middleware.retry(Schedule.recurs(1), { maxRetryAfter: 0 }),
        "retry: maxRetryAfter must be a positive duration, got 0"
      ],
      [() => Middleware.concurrency(-1), "concurrency: limit must be a positive integer, got -1"],
      [
        () => Middleware.concurrency(1, { maxWaiting: 0.5 }),
        "concurrency: maxWaiting must be an integer of at least 0, got 0.5"
      ],
      [
        () => Middleware.concurrency(1, { timeout: -5 }),
        "concurrency: timeout must be a positive, finite duration, got -5ms"
      ],
      [
        () => Middleware.timeout({ firstPart: Duration.infinity }),
        "timeout: firstPart must be a positive, finite duration"
      ],
      [
        () => Middleware.circuitBreaker({ failures: 0 }),
        "circuitBreaker: failures must be a positive integer, got 0"
      ],
      [
        () => Middleware.cache({ capacity: Number.NaN, timeToLive: 1 }),
        "cache: capacity must be a positive integer, got NaN"
      ]
    ]
    for (const [make, message] of wrong) assert.throws(make, RangeError, `Middleware.${message}`)
  })
})
