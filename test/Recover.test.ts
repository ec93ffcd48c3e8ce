import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Ref, Schedule } from "effect"
import { AiError } from "effect/ai"
import { TestClock } from "effect/testing"
import * as Agent from "../src/Agent.ts"
import * as Scripted from "../src/Llm/Scripted.ts"
import * as Recover from "../src/Recover.ts"
import * as Transcript from "../src/Transcript.ts"
import { collect, lines, only, tags, weather } from "./fixtures/agents.ts"

const lagos = Scripted.toolCall("get_weather", { city: "Lagos" })

const overloaded = new AiError.InternalProviderError({ description: "overloaded" })

const requests = Effect.flatten(Scripted.Requests)

describe("Recover", () => {
  it.effect("retries on a schedule; what the failed call said is void", () =>
    Effect.gen(function*() {
      const agent = Agent.make("assistant", { recover: () => Recover.retry(Schedule.spaced("1 second")) })
      const fiber = yield* collect(Agent.run(agent, "Hi")).pipe(Effect.forkChild)
      yield* TestClock.adjust("1 second")
      const events = yield* Fiber.join(fiber)
      assert.deepStrictEqual(tags(events), [
        "RunStarted",
        "TextDelta",
        "TurnRestarted",
        "TextDelta",
        "TurnFinished",
        "Completed"
      ])
      assert.deepStrictEqual(lines(only(events, "Completed")[0]!.response.transcript), ["user: Hi", "text: Hello."])
    }).pipe(Effect.provide(Scripted.model([[Scripted.text("Hel"), Scripted.fail(overloaded)], "Hello."]))))

  it.effect("sees an answer that ends in an error, whichever model says so", () =>
    Effect.gen(function*() {
      const agent = Agent.make("assistant", { recover: () => Recover.retry(Schedule.recurs(1)) })
      assert.strictEqual((yield* Agent.response(Agent.run(agent, "Hi"))).text, "Hello.")
      const { reason } = yield* Effect.flip(collect(Agent.run(Agent.make("assistant"), "Hi")))
      assert(reason._tag === "ModelFailed")
      assert.strictEqual(reason.error.reason._tag, "InvalidOutputError")
    }).pipe(Effect.provide(
      Scripted.model([[Scripted.text("Hel"), Scripted.finish("error")], "Hello.", Scripted.finish("error")])
    )))

  it.effect("fails with the last error when the schedule ends, and a new turn has it anew", () =>
    Effect.gen(function*() {
      const agent = Agent.make("assistant", { tools: [weather], recover: () => Recover.retry(Schedule.recurs(1)) })
      const error = yield* Effect.flip(collect(Agent.run(agent, "Hi")))
      assert(error.reason._tag === "ModelFailed")
      assert.strictEqual((yield* requests).length, 4)
    }).pipe(Effect.provide(
      Scripted.model([Scripted.fail(overloaded), lagos, Scripted.fail(overloaded), Scripted.fail(overloaded), "Late."])
    )))

  it.effect("swaps the model for the rest of the run, once", () =>
    Effect.gen(function*() {
      const other = Scripted.model([lagos, "From the other."])
      const agent = Agent.make("assistant", { tools: [weather], recover: () => Recover.withModel(other) })
      assert.strictEqual((yield* Agent.response(Agent.run(agent, "Hi"))).text, "From the other.")
      const broken = Scripted.model([Scripted.fail(overloaded), Scripted.fail(overloaded)])
      const hopeless = Agent.make("assistant", { model: broken, recover: () => Recover.withModel(broken) })
      const error = yield* Effect.flip(collect(Agent.run(hopeless, "Hi")))
      assert.strictEqual(error.reason._tag, "ModelFailed")
    }).pipe(Effect.provide(Scripted.model([Scripted.fail(overloaded)]))))

  it.effect("compacts what requests carry and leaves the transcript whole", () =>
    Effect.gen(function*() {
      const transcript = yield* Ref.make(
        Transcript.make(["One.", "Two.", "Three."].map((text) => Transcript.user(text)))
      )
      const agent = Agent.make("assistant", {
        tools: [weather],
        recover: ({ _tag }) =>
          _tag === "ModelFailed"
            ? Recover.compact(({ entries }) => Effect.succeed(Transcript.make(entries.slice(-1))))
            : Recover.fail
      })
      yield* Agent.response(Agent.run(agent, "Four.", { transcript }))
      const counts = (yield* requests).map(({ prompt }) => prompt.content.length)
      assert.deepStrictEqual(counts, [4, 1, 3])
      assert.strictEqual((yield* Ref.get(transcript)).length, 6)
    }).pipe(Effect.provide(Scripted.model([Scripted.fail(overloaded), lagos, "Done."]))))

  it.effect("a compaction that shortens entries helps as well as one that drops them", () =>
    Effect.gen(function*() {
      const transcript = yield* Ref.make(Transcript.make([Transcript.user("Long. ".repeat(100))]))
      const agent = Agent.make("assistant", {
        recover: () =>
          Recover.compact(({ entries }) =>
            Effect.succeed(Transcript.make([Transcript.user("Short."), ...entries.slice(1)]))
          )
      })
      assert.strictEqual((yield* Agent.response(Agent.run(agent, "Go.", { transcript }))).text, "Done.")
      assert.strictEqual((yield* requests)[1]!.prompt.content.length, 2)
    }).pipe(Effect.provide(Scripted.model([Scripted.fail(overloaded), "Done."]))))

  it.effect("a compaction that gains nothing fails the run instead of going on for ever", () =>
    Effect.gen(function*() {
      const agent = Agent.make("assistant", { recover: () => Recover.compact(Effect.succeed) })
      const error = yield* Effect.flip(collect(Agent.run(agent, "Hi")))
      assert.strictEqual(error.reason._tag, "ModelFailed")
    }).pipe(Effect.provide(Scripted.model(() => Scripted.fail(overloaded)))))
})
