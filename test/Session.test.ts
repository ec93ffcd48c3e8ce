import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import * as Scripted from "../src/Llm/Scripted.ts"
import * as Session from "../src/Session.ts"
import { pass } from "./fixtures/actors.ts"
import { Chat, conversation, live, said, slowly, watch } from "./fixtures/sessions.ts"

describe("Session", () => {
  it.effect("answers prompts as versions of one conversation", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* Session.response(Chat.run("a", "one"))).text, "You said one")
      const second = yield* said(Chat.run("a", "two"))
      assert.strictEqual(second.at(-1), "completed as 2")
      const requests = yield* Effect.flatten(Scripted.Requests)
      assert.deepStrictEqual(requests[1]!.prompt.content.map(({ role }) => role), ["user", "assistant", "user"])
      assert.deepStrictEqual(conversation(yield* Chat.history("a")), [
        "user: one",
        "text: You said one",
        "user: two",
        "text: You said two"
      ])
    }).pipe(Effect.provide(live(Chat))))

  it.effect("a reader that goes away stops nothing, and cancel does", () =>
    Effect.gen(function*() {
      yield* Chat.run("a", "one").pipe(Stream.take(2), Stream.runDrain)
      const reader = yield* watch(Chat.join("a"))
      yield* pass("1 second")
      assert.deepStrictEqual((yield* reader.ended).at(-1), "completed as 1")
      const other = yield* watch(Chat.run("a", "two"))
      assert.isTrue(yield* Chat.cancel("a"))
      assert.deepStrictEqual((yield* other.ended).slice(-2), ["cancelled as 2", "Cancelled"])
      assert.deepStrictEqual(conversation(yield* Chat.history("a")).slice(2), [
        "user: two",
        "text: Well,",
        "text: [This answer was stopped on request. It is not to be continued unless somebody asks for it.]"
      ])
    }).pipe(Effect.provide(live(Chat, slowly))))
})
