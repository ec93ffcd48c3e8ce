import { assert, describe, expectTypeOf, it } from "@effect/vitest"
import { DateTime, Duration, Effect, Exit, Fiber, Layer, Logger, References, Schedule, Schema, Stream } from "effect"
import { AiError, LanguageModel, Model, Tool, Toolkit } from "effect/ai"
import { TestClock } from "effect/testing"
import * as Agent from "../../src/Agent.ts"
import * as Middleware from "../../src/Llm/Middleware.ts"
import * as Scripted from "../../src/Llm/Scripted.ts"

const overloaded = new AiError.InternalProviderError({ description: "overloaded" })
const rateLimited = (retryAfter: Duration.Input) =>
  new AiError.RateLimitError({ retryAfter: Duration.fromInputUnsafe(retryAfter) })
const refused = new AiError.ContentPolicyError({ description: "no" })

const down = Scripted.fail(overloaded)

/** The text of a streamed answer. */
const streamed = LanguageModel.streamText({ prompt: "Hello?" }).pipe(
  Stream.runFold(() => "", (text, part) => part.type === "text-delta" ? text + part.delta : text)
)

const generated = Effect.map(LanguageModel.generateText({ prompt: "Hello?" }), ({ text }) => text)

const requests = Effect.map(Effect.flatten(Scripted.Requests), (requests) => requests.length)

const reasonOf = <A, R>(effect: Effect.Effect<A, AiError.AiError, R>) =>
  Effect.map(Effect.flip(effect), (error) => error.reason._tag)

const fourTimes = Schedule.exponential("1 second").pipe(Schedule.upTo({ times: 4 }))

describe("Middleware", () => {
  describe("a layer", () => {
    it("keeps what the model's layer provides, and adds what the middleware needs", () => {
      const wrapped = Scripted.model([]).pipe(
        Middleware.retry(fourTimes),
        Middleware.rateLimit({ limit: 1, interval: "1 second" }),
        Middleware.log()
      )
      expectTypeOf(wrapped).toEqualTypeOf<ReturnType<typeof Scripted.model>>()
      const other = Layer.effect(LanguageModel.LanguageModel, Effect.fail("no key" as const))
      expectTypeOf(Middleware.fallback(other)(Scripted.model([]))).toExtend<
        Layer.Layer<LanguageModel.LanguageModel | Scripted.Requests, "no key">
      >()
      // @ts-expect-error a layer without a model has nothing to wrap
      Middleware.log()(Layer.succeed(Model.ModelName, "gpt"))
    })

    it.effect("provides the other services of the model's layer", () =>
      Effect.gen(function*() {
        assert.strictEqual(yield* Model.ProviderName, "scripted")
        yield* streamed
        assert.strictEqual(yield* requests, 1)
      }).pipe(Effect.provide(Scripted.model(["Hello."]).pipe(Middleware.retry(fourTimes), Middleware.concurrency(1)))))

    it.effect("what the provider's own tools gave goes through it", () => {
      const clock = Tool.make("clock", { success: Schema.DateTimeUtcFromString })
      const call = { id: "1", name: "clock", providerExecuted: true }
      const model = Layer.effect(
        LanguageModel.LanguageModel,
        LanguageModel.make({
          generateText: () =>
            Effect.succeed([
              { type: "tool-call", params: {}, ...call },
              { type: "tool-result", result: "1970-01-01T00:00:00.000Z", isFailure: false, ...call }
            ]),
          streamText: () => Stream.empty
        })
      )
      const toolkit = Toolkit.make(clock)
      return Effect.gen(function*() {
        const { toolResults: [result] } = yield* LanguageModel.generateText({ prompt: "When?", toolkit })
        assert.deepStrictEqual(result?.result, DateTime.makeUnsafe(0))
        assert.strictEqual(result?.encodedResult, "1970-01-01T00:00:00.000Z")
      }).pipe(Effect.provide([
        toolkit.toLayer({ clock: () => Effect.die("never run here") }),
        Middleware.retry(fourTimes)(model)
      ]))
    })

    it.effect("structured answers go through it", () =>
      Effect.gen(function*() {
        const fiber = yield* Effect.forkChild(
          LanguageModel.generateObject({
            prompt: "Where?",
            schema: Schema.Struct({ at: Schema.DateTimeUtcFromString })
          })
        )
        yield* TestClock.adjust("1 second")
        const { value } = yield* Fiber.join(fiber)
        assert.strictEqual(value.at.epochMilliseconds, 0)
      }).pipe(Effect.provide(
        Scripted.model([down, `{"at":"1970-01-01T00:00:00.000Z"}`]).pipe(Middleware.retry(fourTimes))
      )))
  })

  describe("retry", () => {
    it.effect("a call that fails is tried again after the schedule's delays", () =>
      Effect.gen(function*() {
        for (const ask of [streamed, generated]) {
          const fiber = yield* Effect.forkChild(ask)
          yield* TestClock.adjust("2999 millis")
          assert.isUndefined(fiber.pollUnsafe())
          yield* TestClock.adjust("1 millis")
          assert.strictEqual(yield* Fiber.join(fiber), "Hello.")
        }
        assert.strictEqual(yield* requests, 6)
      }).pipe(Effect.provide(
        Scripted.model([down, down, "Hello.", down, down, "Hello."]).pipe(Middleware.retry(fourTimes))
      )))

    it.effect("waits at least as long as the provider asked for, otherwise no longer than the schedule's delay", () =>
      Effect.gen(function*() {
        const fiber = yield* Effect.forkChild(streamed)
        yield* TestClock.adjust("29999 millis")
        assert.strictEqual(yield* requests, 1)
        yield* TestClock.adjust("1 millis")
        assert.strictEqual(yield* requests, 2)
        yield* TestClock.adjust("2 seconds")
        assert.strictEqual(yield* Fiber.join(fiber), "Hello.")
      }).pipe(Effect.provide(
        Scripted.model([Scripted.fail(rateLimited("30 seconds")), Scripted.fail(rateLimited("1 milli")), "Hello."])
          .pipe(Middleware.retry(fourTimes))
      )))

    it.effect("a provider that asks for more than a minute, or the longest that is allowed, is not waited for", () =>
      Effect.gen(function*() {
        const script = [
          Scripted.fail(rateLimited("60001 millis")),
          Scripted.fail(
            new AiError.InternalProviderError({
              description: "Come back tomorrow.",
              http: { response: { status: 503, headers: { "retry-after": "86400" } } }
            })
          ),
          "Hello."
        ]
        const spare = Middleware.fallback(Scripted.model(() => "The other one."))
        const asked = Effect.all([streamed, generated])
        const model = Scripted.model(script).pipe(Middleware.retry(fourTimes))
        assert.strictEqual(yield* Effect.provide(reasonOf(streamed), model), "RateLimitError")
        assert.deepStrictEqual(yield* Effect.provide(asked, spare(model)), ["The other one.", "The other one."])
        const fiber = yield* asked.pipe(
          Effect.provide(
            Scripted.model([...script, "Bye."]).pipe(
              Middleware.retry(fourTimes, { maxRetryAfter: "2 days" })
            )
          ),
          Effect.forkChild
        )
        yield* TestClock.adjust("2 days")
        assert.deepStrictEqual(yield* Fiber.join(fiber), ["Hello.", "Bye."])
      }))

    it.effect("what is not retryable fails at once", () =>
      Effect.gen(function*() {
        assert.strictEqual(yield* reasonOf(streamed), "ContentPolicyError")
        assert.strictEqual(yield* requests, 1)
      }).pipe(Effect.provide(Scripted.model([Scripted.fail(refused), "Hello."]).pipe(Middleware.retry(fourTimes)))))

    it.effect("when the schedule ends, the last error is the call's", () =>
      Effect.gen(function*() {
        const fiber = yield* Effect.forkChild(reasonOf(streamed))
        yield* TestClock.adjust("1 minute")
        assert.strictEqual(yield* Fiber.join(fiber), "InternalProviderError")
        assert.strictEqual(yield* requests, 5)
      }).pipe(Effect.provide(Scripted.model(() => down).pipe(Middleware.retry(fourTimes)))))

    it.effect("a stream that has said something is not tried again, and what it said was read", () =>
      Effect.gen(function*() {
        const said: Array<string> = []
        const exit = yield* LanguageModel.streamText({ prompt: "Hello?" }).pipe(
          Stream.runForEach((part) => Effect.sync(() => part.type === "text-delta" && said.push(part.delta))),
          Effect.exit
        )
        assert.isTrue(Exit.isFailure(exit))
        assert.deepStrictEqual(said, ["Hel"])
        assert.strictEqual(yield* requests, 1)
      }).pipe(Effect.provide(
        Scripted.model([[Scripted.text("Hel"), down], "Hello."]).pipe(Middleware.retry(fourTimes))
      )))

    it.effect("response metadata alone does not count as said, and comes once", () =>
      Effect.gen(function*() {
        const fiber = yield* Effect.forkChild(Stream.runCollect(LanguageModel.streamText({ prompt: "Hello?" })))
        yield* TestClock.adjust("1 second")
        const parts = yield* Fiber.join(fiber)
        assert.deepStrictEqual(parts.map((part) => part.type), ["response-metadata", "text-start", "finish"])
        assert(parts[0]!.type === "response-metadata")
        assert.strictEqual(parts[0]!.id, "resp_2")
      }).pipe(Effect.provide(
        Layer.effect(
          LanguageModel.LanguageModel,
          Effect.suspend(() => {
            let attempts = 0
            return LanguageModel.make({
              generateText: () => Effect.succeed([]),
              streamText: () =>
                Stream.suspend(() => {
                  attempts++
                  const metadata = Stream.make({ type: "response-metadata" as const, id: `resp_${attempts}` })
                  return attempts === 1
                    ? Stream.concat(metadata, Stream.fail(AiError.make({ module: "", method: "", reason: overloaded })))
                    : Stream.concat(
                      metadata,
                      Stream.make({ type: "text-start" as const, id: "1" }, {
                        type: "finish" as const,
                        reason: "stop" as const,
                        usage: { inputTokens: {}, outputTokens: {} }
                      })
                    )
                })
            })
          })
        ).pipe(Middleware.retry(fourTimes))
      )))

    it.effect("a failed attempt has hung up before the next one starts", () => {
      const events: Array<string> = []
      const model = Layer.effect(
        LanguageModel.LanguageModel,
        LanguageModel.make({
          generateText: () => Effect.succeed([]),
          streamText: () =>
            Stream.unwrap(Effect.acquireRelease(
              Effect.sync(() => {
                events.push("open")
                return Stream.fail(AiError.make({ module: "", method: "", reason: overloaded }))
              }),
              () => Effect.sync(() => events.push("closed"))
            ))
        })
      )
      return Effect.gen(function*() {
        yield* reasonOf(streamed)
        assert.deepStrictEqual(events, ["open", "closed", "open", "closed"])
      }).pipe(Effect.provide(Middleware.retry(Schedule.recurs(1))(model)))
    })

    it.effect("interrupting a call that waits for its next attempt asks no more", () =>
      Effect.gen(function*() {
        const fiber = yield* Effect.forkChild(streamed)
        yield* TestClock.adjust("500 millis")
        yield* Fiber.interrupt(fiber)
        yield* TestClock.adjust("1 minute")
        assert.strictEqual(yield* requests, 1)
      }).pipe(Effect.provide(Scripted.model(() => down).pipe(Middleware.retry(fourTimes)))))

    it.effect("never runs a tool twice: tools of a call are outside of it", () => {
      const runs: Array<string> = []
      const toolkit = Toolkit.make(
        Tool.make("book", { parameters: Schema.Struct({ room: Schema.String }), success: Schema.String })
      )
      const handlers = toolkit.toLayer({
        book: ({ room }) =>
          Effect.sync(() => {
            runs.push(room)
            return "booked"
          })
      })
      return Effect.gen(function*() {
        const fiber = yield* Effect.forkChild(LanguageModel.generateText({ prompt: "Book!", toolkit }))
        yield* TestClock.adjust("1 second")
        const response = yield* Fiber.join(fiber)
        assert.deepStrictEqual(response.toolResults.map(({ result }) => result), ["booked"])
        const parts = yield* Stream.runCollect(LanguageModel.streamText({ prompt: "Book!", toolkit }))
        assert.deepStrictEqual(parts.map(({ type }) => type), ["tool-call", "tool-result", "finish"])
        assert.deepStrictEqual(runs, ["Fuji", "Etna"])
      }).pipe(Effect.provide([
        handlers,
        Scripted.model([down, Scripted.toolCall("book", { room: "Fuji" }), Scripted.toolCall("book", { room: "Etna" })])
          .pipe(Middleware.retry(fourTimes), Middleware.concurrency(1), Middleware.timeout({ answer: "1 minute" }))
      ]))
    })
  })

  describe("timeout", () => {
    const slow = [Scripted.delay("5 seconds"), Scripted.text("One"), Scripted.delay("5 seconds"), Scripted.text(" two")]

    it.effect("a stream whose first part is late fails with a retryable error that says so", () =>
      Effect.gen(function*() {
        const fiber = yield* Effect.forkChild(Effect.flip(streamed))
        yield* TestClock.adjust("4 seconds")
        const error = yield* Fiber.join(fiber)
        assert.isTrue(error.isRetryable)
        assert.strictEqual(
          error.message,
          "Middleware.timeout({ firstPart: 4s }): Internal provider error: the model was silent for 4s"
        )
      }).pipe(Effect.provide(Scripted.model([slow]).pipe(Middleware.timeout({ firstPart: "4 seconds" })))))

    it.effect("a stream that falls silent fails after what it has said", () =>
      Effect.gen(function*() {
        const said: Array<string> = []
        const fiber = yield* LanguageModel.streamText({ prompt: "Hello?" }).pipe(
          Stream.runForEach((part) => Effect.sync(() => part.type === "text-delta" && said.push(part.delta))),
          Effect.flip,
          Effect.forkChild
        )
        yield* TestClock.adjust("8999 millis")
        assert.isUndefined(fiber.pollUnsafe())
        yield* TestClock.adjust("1 millis")
        assert.include((yield* Fiber.join(fiber)).message, "betweenParts: 4s")
        assert.deepStrictEqual(said, ["One"])
      }).pipe(Effect.provide(
        Scripted.model([slow]).pipe(Middleware.timeout({ firstPart: "6 seconds", betweenParts: "4 seconds" }))
      )))

    it.effect("a model that is quick enough is left alone, for as long as it takes", () =>
      Effect.gen(function*() {
        const fiber = yield* Effect.forkChild(streamed)
        yield* TestClock.adjust("10 seconds")
        assert.strictEqual(yield* Fiber.join(fiber), "One two")
      }).pipe(Effect.provide(
        Scripted.model([slow]).pipe(Middleware.timeout({ firstPart: "6 seconds", betweenParts: "6 seconds" }))
      )))

    it.effect("a slow reader is no silence", () =>
      Effect.gen(function*() {
        const fiber = yield* LanguageModel.streamText({ prompt: "Hello?" }).pipe(
          Stream.rechunk(1),
          Stream.tap(() => Effect.sleep("1 minute")),
          Stream.runCount,
          Effect.forkChild
        )
        yield* TestClock.adjust("15 minutes")
        assert.strictEqual(yield* Fiber.join(fiber), 10)
      }).pipe(Effect.provide(
        Scripted.model([["One", "two", "three"].flatMap((word) => [Scripted.delay("500 millis"), Scripted.text(word)])])
          .pipe(Middleware.timeout({ betweenParts: "1 second" }))
      )))

    it.effect("an answer that is not streamed has a time of its own", () =>
      Effect.gen(function*() {
        const fiber = yield* Effect.forkChild(reasonOf(generated))
        yield* TestClock.adjust("9 seconds")
        assert.strictEqual(yield* Fiber.join(fiber), "InternalProviderError")
      }).pipe(Effect.provide(Scripted.model([slow]).pipe(Middleware.timeout({ answer: "9 seconds" })))))

    it.effect("interrupting a watched stream stops the model, and then hangs up", () => {
      const events: Array<string> = []
      const note = (event: string) => Effect.sync(() => events.push(event))
      const model = Layer.effect(
        LanguageModel.LanguageModel,
        LanguageModel.make({
          generateText: () => Effect.succeed([]),
          streamText: () =>
            Stream.unwrap(Effect.as(
              Effect.acquireRelease(Effect.void, () => note("closed")),
              Stream.concat(
                Stream.make({ type: "text-start" as const, id: "1" }),
                Stream.fromEffect(
                  Effect.onInterrupt(Effect.never, () => Effect.andThen(Effect.yieldNow, note("stopped")))
                )
              )
            ))
        })
      )
      return Effect.gen(function*() {
        const fiber = yield* Effect.forkChild(streamed)
        yield* TestClock.adjust("1 second")
        yield* Fiber.interrupt(fiber)
        assert.deepStrictEqual(events, ["stopped", "closed"])
      }).pipe(Effect.provide(Middleware.timeout({ betweenParts: "1 minute" })(model)))
    })

    it.effect("inside a retry each attempt has its own time; outside of it there is one for all", () =>
      Effect.gen(function*() {
        const script = [[Scripted.delay("1 hour"), Scripted.text("Late")], "In time."]
        const limit = Middleware.timeout({ firstPart: "10 seconds" })
        const again = Middleware.retry(Schedule.spaced("1 second"))
        const inside = yield* Effect.forkChild(
          Effect.provide(streamed, Scripted.model(script).pipe(limit, again))
        )
        const outside = yield* Effect.forkChild(
          Effect.provide(reasonOf(streamed), Scripted.model(script).pipe(again, limit))
        )
        yield* TestClock.adjust("11 seconds")
        assert.strictEqual(yield* Fiber.join(inside), "In time.")
        assert.strictEqual(yield* Fiber.join(outside), "InternalProviderError")
      }))
  })

  describe("fallback", () => {
    const spare = Scripted.model(() => "The other one.")

    it.effect("the other model answers when this one fails before it has said anything", () =>
      Effect.gen(function*() {
        assert.strictEqual(yield* streamed, "The other one.")
        assert.strictEqual(yield* generated, "The other one.")
        assert.strictEqual(yield* streamed, "Hello.")
      }).pipe(Effect.provide(Scripted.model([down, down, "Hello."]).pipe(Middleware.fallback(spare)))))

    it.effect("a stream that has said something does not fall back", () =>
      Effect.gen(function*() {
        assert.strictEqual(yield* reasonOf(streamed), "InternalProviderError")
      }).pipe(Effect.provide(Scripted.model([[Scripted.text("Hel"), down]]).pipe(Middleware.fallback(spare)))))

    it.effect("a refused prompt is not shown to the other model unless `when` says so", () =>
      Effect.gen(function*() {
        const script = Scripted.model([Scripted.fail(refused)])
        const byDefault = script.pipe(Middleware.fallback(spare))
        assert.strictEqual(yield* Effect.provide(reasonOf(streamed), byDefault), "ContentPolicyError")
        const asked = script.pipe(
          Middleware.fallback(spare, { when: (error) => error.reason._tag === "ContentPolicyError" })
        )
        assert.strictEqual(yield* Effect.provide(streamed, asked), "The other one.")
      }))

    it.effect("a retry inside tries this model to the end first; outside it tries both each time", () =>
      Effect.gen(function*() {
        const order: Array<string> = []
        const failing = (name: string) =>
          Scripted.model(() => {
            order.push(name)
            return down
          })
        const again = Middleware.retry(Schedule.recurs(1))
        yield* Effect.provide(reasonOf(streamed), failing("a").pipe(again, Middleware.fallback(failing("b"))))
        assert.deepStrictEqual(order.splice(0), ["a", "a", "b"])
        yield* Effect.provide(reasonOf(streamed), failing("a").pipe(Middleware.fallback(failing("b")), again))
        assert.deepStrictEqual(order, ["a", "b", "a", "b"])
      }))
  })

  describe("log", () => {
    const logged = Effect.fnUntraced(function*<A, E>(
      model: ReturnType<typeof Scripted.model>,
      ask: Effect.Effect<A, E, LanguageModel.LanguageModel>,
      options?: Parameters<typeof Middleware.log>[0]
    ) {
      const lines: Array<Record<string, unknown>> = []
      const logger = Logger.make(({ fiber, logLevel, message }) => {
        lines.push({ logLevel, message, ...fiber.getRef(References.CurrentLogAnnotations) })
      })
      const fiber = yield* ask.pipe(
        Effect.provide(Middleware.log(options)(model)),
        Effect.provide(Logger.layer([logger])),
        Effect.exit,
        Effect.forkChild
      )
      yield* TestClock.adjust("3 seconds")
      yield* Fiber.interrupt(fiber)
      return lines
    })

    it.effect("says of each call what it took and what it came to", () =>
      Effect.gen(function*() {
        const answer = [Scripted.delay("2 seconds"), Scripted.text("Hello."), Scripted.usage(10, 2)]
        assert.deepStrictEqual(yield* logged(Scripted.model([answer]), streamed), [{
          logLevel: "Info",
          message: ["Model call"],
          provider: "scripted",
          model: "scripted",
          method: "streamText",
          outcome: "stop",
          durationMillis: 2000,
          firstPartMillis: 2000,
          inputTokens: 10,
          outputTokens: 2
        }])
      }))

    it.effect("a failure is a warning with its reason, and without what looks like a key", () =>
      Effect.gen(function*() {
        const reason = new AiError.InternalProviderError({
          description: "bad key sk-proj-abcdefghijklmnopqrstuvwxyz at https://me:hunter22@example.com/?key=AIzaSy123"
        })
        const [line] = yield* logged(Scripted.model([Scripted.fail(reason)]), generated)
        assert.strictEqual(line!["logLevel"], "Warn")
        assert.strictEqual(line!["outcome"], "failed")
        assert.strictEqual(line!["error"], "InternalProviderError")
        assert.strictEqual(
          line!["errorMessage"],
          "Scripted.model: Internal provider error: bad key <redacted> at https://me:<redacted>@example.com/?key=<redacted>"
        )
      }))

    it.effect("an interrupted call and a stream that nobody read to its end are called so", () =>
      Effect.gen(function*() {
        const [hanging] = yield* logged(Scripted.model([Scripted.delay("1 hour")]), streamed)
        assert.strictEqual(hanging!["outcome"], "interrupted")
        const [left] = yield* logged(
          Scripted.model(["One two"]),
          Stream.runHead(LanguageModel.streamText({ prompt: "Count!" }).pipe(Stream.rechunk(1)))
        )
        assert.strictEqual(left!["outcome"], "abandoned")
      }))

    it.effect("prompts are logged only when asked for", () =>
      Effect.gen(function*() {
        const [quiet] = yield* logged(Scripted.model(["Hello."]), streamed)
        assert.notInclude(JSON.stringify(quiet), "Hello?")
        const [open] = yield* logged(Scripted.model(["Hello."]), streamed, { prompts: true })
        assert.include(String(open!["prompt"]), "Hello?")
      }))
  })

  it.effect("an agent runs through all of them", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.forkChild(Agent.response(Agent.run(Agent.make("poet"), "A line?")))
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual((yield* Fiber.join(fiber)).text, "Roses are red.")
    }).pipe(Effect.provide(
      Scripted.model([down, "Roses are red."]).pipe(
        Middleware.timeout({ firstPart: "20 seconds", betweenParts: "10 seconds" }),
        Middleware.retry(fourTimes),
        Middleware.circuitBreaker(),
        Middleware.concurrency(8),
        Middleware.rateLimit({ limit: 5, interval: "1 second", tokensPerMinute: 1000 }),
        Middleware.cache({ capacity: 10, timeToLive: "1 hour" }),
        Middleware.fallback(Scripted.model([])),
        Middleware.log()
      )
    )))
})
