import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import * as Agent from "../src/Agent.ts"
import * as Scripted from "../src/Llm/Scripted.ts"
import * as Session from "../src/Session.ts"
import { begin, pass } from "./fixtures/actors.ts"
import { Chat, live, reason, slowly, told, watch } from "./fixtures/sessions.ts"

const word = "word "

const long = [Scripted.text(word.repeat(300)), Scripted.delay("1 second"), Scripted.text("end")]

describe("a reader of a turn", () => {
  it.effect("that comes late gets what was said in one piece, then live events", () =>
    Effect.gen(function*() {
      yield* watch(Chat.run("a", "one"))
      const late = yield* watch(Chat.join("a"))
      assert.deepStrictEqual(told(late.seen), ["RunStarted", `text ${word.repeat(300)}`])
      yield* pass("1 second")
      assert.deepStrictEqual((yield* late.ended).slice(2), ["text end", "TurnFinished", "completed as 1"])
      assert.isTrue(late.seen.every(({ seq }, index) => index === 0 || seq > late.seen[index - 1]!.seq))
    }).pipe(Effect.provide(live(Chat, [long]))))

  it.effect("that is slow holds nobody, and gets all text in fewer pieces", () =>
    Effect.gen(function*() {
      let first = true
      const texts: Array<string> = []
      const slow = Stream.runForEach(Chat.run("a", "one"), ({ event }) => {
        if (event._tag === "TextDelta") texts.push(event.delta)
        const wait = first ? Effect.sleep("1 minute") : Effect.void
        first = false
        return wait
      })
      yield* begin(slow)
      const quick = yield* watch(Chat.join("a"))
      yield* pass("1 second")
      assert.strictEqual((yield* quick.ended).at(-1), "completed as 1")
      assert.deepStrictEqual(texts, [])
      yield* pass("1 minute")
      assert.strictEqual(texts.join(""), `${word.repeat(300)}end`)
      assert.isBelow(texts.length, 70)
    }).pipe(Effect.provide(live(Chat, [long]))))

  it.effect("that comes too late for the bound hears how much it has missed", () => {
    const Small = Session.make("small", { agent: Agent.make("bot"), maxTurnBytes: 100 })
    return Effect.gen(function*() {
      yield* watch(Small.run("a", "one"))
      yield* pass("1 second")
      const late = yield* watch(Small.join("a"))
      assert.match(told(late.seen)[0]!, /^skipped 30\d$/)
      yield* pass("1 second")
      assert.strictEqual((yield* late.ended).at(-1), "completed as 1")
    }).pipe(Effect.provide(live(Small, [[...long, Scripted.delay("1 second"), Scripted.text(word.repeat(40))]])))
  })

  it.effect("that goes away stops nothing, however many do", () =>
    Effect.gen(function*() {
      const readers = yield* Effect.forEach(Array.from({ length: 20 }), () =>
        watch(Chat.run("a", "one", { turnId: "t" })))
      for (const { fiber } of readers) {
        fiber.interruptUnsafe()
      }
      yield* pass("1 second")
      const last = yield* watch(Chat.join("a", { turnId: "t" }))
      assert.deepStrictEqual(yield* last.ended, ["completed as 1"])
      assert.strictEqual((yield* Effect.flatten(Scripted.Requests)).length, 1)
    }).pipe(Effect.provide(live(Chat, slowly))))

  it.effect("finds no turn that was never sent", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* reason(Stream.runDrain(Chat.join("a"))), "NotFound")
      yield* Stream.runDrain(Chat.run("a", "one"))
      assert.strictEqual(yield* reason(Stream.runDrain(Chat.join("a"))), "NotFound")
      assert.strictEqual(yield* reason(Stream.runDrain(Chat.join("a", { turnId: "other" }))), "NotFound")
    }).pipe(Effect.provide(live(Chat))))
})
