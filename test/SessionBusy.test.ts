import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Agent from "../src/Agent.ts"
import * as Scripted from "../src/Llm/Scripted.ts"
import * as Session from "../src/Session.ts"
import { pass } from "./fixtures/actors.ts"
import { Chat, conversation, live, said, slowly, watch } from "./fixtures/sessions.ts"

const agent = Agent.make("bot")

describe("a prompt that meets a turn in work", () => {
  it.effect("waits in its order, acknowledged with its position", () =>
    Effect.gen(function*() {
      const turns = []
      for (const input of ["one", "two", "three"]) turns.push(yield* watch(Chat.run("a", input)))
      const open = (yield* Chat.history("a")).open
      assert.deepStrictEqual(open.map(({ input, position, status }) => [input, status, position]), [
        ["one", "running", 0],
        ["two", "waiting", 1],
        ["three", "waiting", 2]
      ])
      for (let n = 0; n < 3; n++) yield* pass("1 second")
      const ended = yield* Effect.forEach(turns, ({ ended }) => ended)
      assert.deepStrictEqual(ended.map((lines) => [lines[0], lines.at(-1)]), [
        ["RunStarted", "completed as 1"],
        ["accepted at 1", "completed as 2"],
        ["accepted at 2", "completed as 3"]
      ])
      const requests = yield* Effect.flatten(Scripted.Requests)
      assert.deepStrictEqual(requests.map(({ prompt }) => prompt.content.length), [1, 3, 5])
    }).pipe(Effect.provide(live(Chat, slowly))))

  it.effect("runs also when nobody reads it", () =>
    Effect.gen(function*() {
      yield* watch(Chat.run("a", "one"))
      const second = yield* watch(Chat.run("a", "two"))
      second.fiber.interruptUnsafe()
      yield* pass("1 second")
      yield* pass("1 second")
      assert.strictEqual((yield* Chat.history("a")).versions.length, 2)
    }).pipe(Effect.provide(live(Chat, slowly))))

  it.effect("fails with BacklogFull when enough wait", () => {
    const Small = Session.make("small", { agent, backlog: 1 })
    return Effect.gen(function*() {
      const turns = []
      for (const input of ["one", "two", "three"]) turns.push(yield* watch(Small.run("a", input)))
      assert.deepStrictEqual(yield* turns[2]!.ended, ["BacklogFull"])
      yield* pass("1 second")
      yield* pass("1 second")
      assert.deepStrictEqual((yield* turns[1]!.ended).at(-1), "completed as 2")
    }).pipe(Effect.provide(live(Small, slowly)))
  })

  it.effect("fails with ConcurrentWrite under reject, before a model call", () => {
    const Strict = Session.make("strict", { agent, whenBusy: "reject" })
    return Effect.gen(function*() {
      const first = yield* watch(Strict.run("a", "one"))
      assert.deepStrictEqual(yield* said(Strict.run("a", "two")), ["ConcurrentWrite"])
      yield* pass("1 second")
      assert.strictEqual((yield* first.ended).at(-1), "completed as 1")
      assert.strictEqual((yield* Effect.flatten(Scripted.Requests)).length, 1)
    }).pipe(Effect.provide(live(Strict, slowly)))
  })

  it.effect("takes the place of those that wait under latest", () => {
    const Latest = Session.make("latest", { agent, whenBusy: "latest" })
    return Effect.gen(function*() {
      const turns = []
      for (const input of ["one", "two", "three"]) turns.push(yield* watch(Latest.run("a", input)))
      assert.deepStrictEqual(yield* turns[1]!.ended, ["accepted at 1", "Superseded"])
      yield* pass("1 second")
      yield* pass("1 second")
      assert.strictEqual((yield* turns[0]!.ended).at(-1), "completed as 1")
      const third = yield* turns[2]!.ended
      assert.deepStrictEqual([third[0], third.at(-1)], ["accepted at 1", "completed as 2"])
      assert.deepStrictEqual(conversation(yield* Latest.history("a")).filter((line) => line.startsWith("user")), [
        "user: one",
        "user: three"
      ])
    }).pipe(Effect.provide(live(Latest, slowly)))
  })

  it.effect("ends the turn in work under interrupt", () => {
    const Eager = Session.make("eager", { agent, whenBusy: "interrupt" })
    return Effect.gen(function*() {
      const first = yield* watch(Eager.run("a", "one"))
      const second = yield* watch(Eager.run("a", "two"))
      assert.deepStrictEqual((yield* first.ended).slice(-2), ["cancelled as 1", "Cancelled"])
      yield* pass("1 second")
      assert.strictEqual((yield* second.ended).at(-1), "completed as 2")
      const [, request] = yield* Effect.flatten(Scripted.Requests)
      assert.deepStrictEqual(request!.prompt.content.map(({ role }) => role), ["user", "assistant", "user"])
    }).pipe(Effect.provide(live(Eager, slowly)))
  })

  it.effect("can be cancelled while it waits, and leaves nothing", () =>
    Effect.gen(function*() {
      const first = yield* watch(Chat.run("a", "one"))
      const second = yield* watch(Chat.run("a", "two", { turnId: "t2" }))
      assert.isTrue(yield* Chat.cancel("a", { turnId: "t2" }))
      assert.isFalse(yield* Chat.cancel("a", { turnId: "t2" }))
      assert.deepStrictEqual(yield* second.ended, ["accepted at 1", "Cancelled"])
      yield* pass("1 second")
      assert.strictEqual((yield* first.ended).at(-1), "completed as 1")
      assert.strictEqual((yield* Chat.history("a")).versions.length, 1)
      assert.isFalse(yield* Chat.cancel("a"))
    }).pipe(Effect.provide(live(Chat, slowly))))
})
