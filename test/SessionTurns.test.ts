import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Option, Schema, Stream } from "effect"
import { AiError } from "effect/ai"
import * as Agent from "../src/Agent.ts"
import * as Scripted from "../src/Llm/Scripted.ts"
import * as Session from "../src/Session.ts"
import * as SessionStore from "../src/SessionStore.ts"
import * as Tool from "../src/Tool.ts"
import { begin, pass, turns } from "./fixtures/actors.ts"
import {
  Chat,
  conversation,
  echo,
  live,
  process,
  reason,
  said,
  slowly,
  storeWith,
  unreachable,
  watch
} from "./fixtures/sessions.ts"

const STOPPED = "[This answer was stopped on request. It is not to be continued unless somebody asks for it.]"
const BROKE_OFF = "[This answer broke off. It is not to be continued unless somebody asks for it.]"

const look = Tool.fn("look", { description: "Looks", success: Schema.String }, () => Effect.succeed("blue"))

const Painter = Session.make("painter", { agent: Agent.make("painter", { tools: [look], maxTurns: 2 }) })

const overloaded = Scripted.fail(new AiError.InternalProviderError({ description: "overloaded" }))

const load = (id: string) =>
  Effect.gen(function*() {
    const store = yield* SessionStore.SessionStore
    return Option.getOrThrow(yield* store.load(id, { recent: 10 }))
  })

describe("a turn of a session", () => {
  it.effect("is claimed before the first model call, with the prompt and a lease", () =>
    Effect.gen(function*() {
      yield* begin(said(Chat.run("a", "one", { turnId: "t", owner: "ada", author: "bob" })))
      const { head, open } = yield* load("a")
      assert.deepStrictEqual(open.map(({ author, status, turn }) => [turn, status, author]), [["t", "running", "bob"]])
      assert.deepStrictEqual([head.version, head.owner], [0, "ada"])
      const page = yield* Chat.history("a", { owner: "ada" })
      assert.deepStrictEqual(page.open.map(({ input, status }) => [input, status]), [["one", "running"]])
      yield* pass("1 second")
      assert.deepStrictEqual((yield* load("a")).open, [])
    }).pipe(Effect.provide(live(Chat, slowly))))

  it.effect("numbers its events and ends with Committed", () =>
    Effect.gen(function*() {
      const events = yield* Stream.runCollect(Chat.run("a", "one", { turnId: "t" }))
      assert.deepStrictEqual(events.map(({ attempt, turn }) => [attempt, turn]), events.map(() => [1, "t"]))
      assert.isTrue(events.every(({ seq }, index) => index === 0 || seq > events[index - 1]!.seq))
      assert.deepStrictEqual(events.filter(({ event }) => event._tag === "Committed").length, 1)
      const last = events.at(-1)!.event
      assert(last._tag === "Committed")
      assert.strictEqual(last.response?.text, "You said one")
    }).pipe(Effect.provide(live(Chat))))

  it.effect("keeps its claim as long as it takes", () =>
    Effect.gen(function*() {
      const turn = yield* watch(Chat.run("a", "one"))
      for (let n = 0; n < 12; n++) yield* pass("5 seconds")
      assert.strictEqual((yield* load("a")).open[0]?.status, "running")
      yield* pass("5 minutes")
      assert.strictEqual((yield* turn.ended).at(-1), "completed as 1")
    }).pipe(Effect.provide(live(Chat, [[Scripted.delay("5 minutes"), Scripted.text("At last.")]]))))

  it.effect("that is cancelled keeps what was said, finished calls with their results, and a note for an answer", () =>
    Effect.gen(function*() {
      const turn = yield* watch(Painter.run("a", "Which colour?"))
      assert.isTrue(yield* Painter.cancel("a"))
      assert.deepStrictEqual((yield* turn.ended).slice(-2), ["cancelled as 1", "Cancelled"])
      assert.deepStrictEqual(conversation(yield* Painter.history("a")), [
        "user: Which colour?",
        "look gave \"blue\"",
        "text: It is",
        `text: ${STOPPED}`
      ])
      assert.strictEqual((yield* Session.response(Painter.run("a", "And now?"))).text, "Fine.")
      const requests = yield* Effect.flatten(Scripted.Requests)
      assert.deepStrictEqual(
        requests.at(-1)!.prompt.content.map(({ role }) => role),
        ["user", "assistant", "tool", "assistant", "user"]
      )
    }).pipe(Effect.provide(live(Painter, [
      Scripted.toolCall("look", {}),
      [Scripted.text("It is"), Scripted.delay("1 second"), Scripted.text("blue.")],
      "Fine."
    ]))))

  it.effect("closes calls that were open when it was cancelled", () => {
    const hang = Tool.fn("hang", { description: "Never answers" }, () => Effect.never)
    const Hanging = Session.make("hanging", { agent: Agent.make("hanging", { tools: [hang] }) })
    return Effect.gen(function*() {
      yield* watch(Hanging.run("a", "go"))
      yield* Hanging.cancel("a")
      const lines = conversation(yield* Hanging.history("a"))
      assert.strictEqual(lines.length, 3)
      assert.match(lines[1]!, /^hang failed /)
      assert.strictEqual(lines[2], `text: ${STOPPED}`)
    }).pipe(Effect.provide(live(Hanging, [Scripted.toolCall("hang", {})])))
  })

  it.effect("that is cancelled drops its text where partial answers are not kept", () => {
    const Strict = Session.make("strict", { agent: Agent.make("bot"), keepPartial: false })
    return Effect.gen(function*() {
      yield* watch(Strict.run("a", "one"))
      yield* Strict.cancel("a")
      assert.deepStrictEqual(conversation(yield* Strict.history("a")), ["user: one", `text: ${STOPPED}`])
    }).pipe(Effect.provide(live(Strict, slowly)))
  })

  it.effect("that fails after something was seen is a commit", () =>
    Effect.gen(function*() {
      const lines = yield* said(Chat.run("a", "one", { turnId: "t" }))
      assert.deepStrictEqual(lines.slice(-2), ["failed as 1", "AgentFailed"])
      assert.deepStrictEqual(conversation(yield* Chat.history("a")), ["user: one", "text: Well,", `text: ${BROKE_OFF}`])
      assert.strictEqual((yield* Session.response(Chat.run("a", "two"))).text, "Fine.")
    }).pipe(Effect.provide(live(Chat, [[Scripted.text("Well,"), overloaded], "Fine."]))))

  it.effect("that meets a limit is a commit with the calls that it made", () =>
    Effect.gen(function*() {
      const lines = yield* said(Painter.run("a", "Which colour?"))
      assert.deepStrictEqual(lines.slice(-2), ["failed as 1", "AgentFailed"])
      assert.deepStrictEqual(conversation(yield* Painter.history("a")), [
        "user: Which colour?",
        "look gave \"blue\"",
        "look gave \"blue\"",
        `text: ${BROKE_OFF}`
      ])
    }).pipe(Effect.provide(live(Painter, () => Scripted.toolCall("look", {})))))

  it.effect("that fails before anything was seen leaves nothing, and may be sent again", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* said(Chat.run("a", "one", { turnId: "t" })), ["RunStarted", "AgentFailed"])
      const { head, open } = yield* load("a")
      assert.deepStrictEqual([head.version, open], [0, []])
      assert.strictEqual((yield* said(Chat.run("a", "one", { turnId: "t" }))).at(-1), "completed as 1")
      const [, second] = yield* Effect.flatten(Scripted.Requests)
      assert.strictEqual(second!.prompt.content.length, 1)
    }).pipe(Effect.provide(live(Chat, [overloaded, "Fine."]))))

  it.effect("that a tool's defect ends is a commit with what was heard of it, and the session goes on", () => {
    const Bad = Session.make("bad", {
      agent: Agent.make("bad", {
        tools: [look],
        stopWhen: () => {
          throw new Error("a bug")
        }
      })
    })
    return Effect.gen(function*() {
      yield* said(Bad.run("a", "one")).pipe(
        Effect.map((lines) => assert.deepStrictEqual(lines.slice(-2), ["failed as 1", "AgentFailed"]))
      )
      assert.deepStrictEqual(conversation(yield* Bad.history("a")), [
        "user: one",
        "look gave \"blue\"",
        `text: ${BROKE_OFF}`
      ])
      yield* pass("1 second")
      const second = yield* watch(Bad.run("a", "two"))
      yield* pass("10 seconds")
      assert.strictEqual((yield* second.ended).at(-1), "completed as 2")
      assert.strictEqual((yield* Effect.flatten(Scripted.Requests)).at(-1)!.prompt.content.length, 5)
    }).pipe(Effect.provide(live(Bad, [Scripted.toolCall("look", {}), "Fine."])))
  })

  it.effect("whose commit fails is rolled back in memory, and says so", () => {
    let fail = false
    const store = storeWith((store) => ({
      commit: (claim, end) => Effect.suspend(() => fail ? Effect.fail(unreachable) : store.commit(claim, end)),
      turn: (session, turn) => Effect.suspend(() => fail ? Effect.fail(unreachable) : store.turn(session, turn))
    }))
    return Effect.gen(function*() {
      yield* said(Chat.run("a", "one"))
      fail = true
      const second = yield* watch(Chat.run("a", "two", { turnId: "t2" }))
      for (let n = 0; n < 5; n++) yield* pass("5 seconds")
      const lines = yield* second.ended
      assert.deepStrictEqual(lines.slice(-2), ["TurnFinished", "StoreFailed"])
      fail = false
      // Its lease is over: nobody knows how far it got, so it is not run again.
      const third = yield* watch(Chat.run("a", "three"))
      yield* pass("16 seconds")
      yield* pass("2 seconds")
      assert.strictEqual((yield* third.ended).at(-1), "completed as 3")
      assert.deepStrictEqual(yield* said(Chat.run("a", "two", { turnId: "t2" })), ["lost as 2", "Unreachable"])
      assert.deepStrictEqual(conversation(yield* Chat.history("a")), [
        "user: one",
        "text: You said one",
        "user: two",
        `text: ${BROKE_OFF}`,
        "user: three",
        "text: You said three"
      ])
      assert.strictEqual((yield* Effect.flatten(Scripted.Requests)).length, 3)
    }).pipe(Effect.provide(live(Chat, echo, store)))
  })

  it.effect("whose commit has an unknown outcome is looked up", () => {
    let lose = 2
    const store = storeWith((store) => ({
      commit: (claim, end) =>
        Effect.suspend(() => {
          if (lose-- === 1) return Effect.andThen(store.commit(claim, end), Effect.fail(unreachable))
          return lose > 0 ? Effect.fail(unreachable) : store.commit(claim, end)
        })
    }))
    return Effect.gen(function*() {
      const turn = yield* watch(Chat.run("a", "one"))
      yield* pass("1 second")
      assert.strictEqual((yield* turn.ended).at(-1), "completed as 1")
      assert.strictEqual((yield* said(Chat.run("a", "two"))).at(-1), "completed as 2")
      assert.strictEqual((yield* load("a")).commits.length, 2)
    }).pipe(Effect.provide(live(Chat, echo, store)))
  })

  it.effect("loses to a higher attempt: its answer reaches nobody", () => {
    let silent = false
    const store = storeWith((store) => ({
      renew: (claim, lease) => silent ? Effect.fail(unreachable) : store.renew(claim, lease)
    }))
    return Effect.gen(function*() {
      const stale = yield* watch(Chat.run("a", "one", { turnId: "t" }))
      silent = true
      const other = yield* process(Chat)
      yield* pass("15 seconds")
      const taken = yield* other.in(said(Chat.run("a", "one", { turnId: "t" })))
      assert.deepStrictEqual(taken.slice(-2), ["lost as 1", "Unreachable"])
      yield* pass("1 minute")
      assert.deepStrictEqual((yield* stale.ended).slice(-1), ["ConcurrentWrite"])
      assert.deepStrictEqual(conversation(yield* Chat.history("a")), ["user: one", `text: ${BROKE_OFF}`])
      silent = false
      assert.strictEqual((yield* other.in(said(Chat.run("a", "two")))).at(-1), "completed as 2")
      const back = yield* watch(Chat.run("a", "three"))
      yield* pass("1 minute")
      assert.strictEqual((yield* back.ended).at(-1), "completed as 3")
      yield* other.close
    }).pipe(
      Effect.provide(live(Chat, [
        [Scripted.text("Well,"), Scripted.delay("30 seconds"), Scripted.text("no.")],
        "Fine."
      ], store))
    )
  })
})

describe("a turn id", () => {
  it.effect("is a receipt: sent twice at once, the model runs once and both get the same answer", () =>
    Effect.gen(function*() {
      const first = yield* watch(Chat.run("a", "one", { turnId: "t" }))
      const second = yield* watch(Chat.run("a", "one", { turnId: "t" }))
      yield* pass("1 second")
      assert.strictEqual((yield* first.ended).at(-1), "completed as 1")
      yield* second.ended
      assert.deepStrictEqual(second.seen.at(-1), first.seen.at(-1))
      assert.strictEqual((yield* Effect.flatten(Scripted.Requests)).length, 1)
    }).pipe(Effect.provide(live(Chat, slowly))))

  it.effect("is a receipt after a restart, too, for answers and failures", () =>
    Effect.gen(function*() {
      const send = (turnId: string) => Effect.exit(Stream.runLast(Chat.run("a", "one", { turnId })))
      const lines = (turnId: string) => said(Chat.run("a", "one", { turnId }))
      const one = yield* process(Chat, ["Fine.", [Scripted.text("Well,"), overloaded]])
      const answer = yield* one.in(send("good"))
      const failed = yield* one.in(lines("bad"))
      yield* one.close
      const two = yield* process(Chat, [])
      const again = yield* two.in(send("good"))
      const plain = (exit: unknown) => JSON.parse(JSON.stringify(exit).replace(/"seq":\d+/, "\"seq\":0"))
      assert.deepStrictEqual(plain(again), plain(answer))
      assert.deepStrictEqual(yield* two.in(lines("bad")), failed.slice(-2))
      assert.strictEqual(yield* two.requests, 0)
      yield* two.close
    }).pipe(Effect.provide(SessionStore.layerMemory)))

  it.effect("with other input is a conflict, while the turn runs and after", () =>
    Effect.gen(function*() {
      const first = yield* watch(Chat.run("a", "one", { turnId: "t" }))
      const other = Session.response(Chat.run("a", "two", { turnId: "t" }))
      assert.strictEqual(yield* reason(other), "TurnConflict")
      yield* pass("1 second")
      assert.strictEqual((yield* first.ended).at(-1), "completed as 1")
      assert.strictEqual(yield* reason(other), "TurnConflict")
    }).pipe(Effect.provide(live(Chat, slowly))))

  it.effect("with other long input is a conflict", () =>
    Effect.gen(function*() {
      const long = "A prompt that is longer than most. ".repeat(20)
      yield* said(Chat.run("a", long, { turnId: "t" }))
      assert.strictEqual((yield* said(Chat.run("a", long, { turnId: "t" }))).at(-1), "completed as 1")
      assert.strictEqual(yield* reason(Session.response(Chat.run("a", `${long}!`, { turnId: "t" }))), "TurnConflict")
    }).pipe(Effect.provide(live(Chat))))
})

describe("a shutdown", () => {
  it.effect("commits a turn in work as far as it came; queued ones go on in the next process", () =>
    Effect.gen(function*() {
      const one = yield* process(Chat, [[Scripted.text("Well,"), Scripted.delay("1 hour")]])
      const running = yield* one.in(watch(Chat.run("a", "one", { turnId: "t1" })))
      const waiting = yield* one.in(watch(Chat.run("a", "two", { turnId: "t2" })))
      yield* one.close
      assert.deepStrictEqual((yield* running.ended).slice(-1), ["ShuttingDown"])
      assert.deepStrictEqual((yield* waiting.ended).slice(-1), ["ShuttingDown"])
      const two = yield* process(Chat)
      const again = yield* two.in(watch(Chat.run("a", "two", { turnId: "t2" })))
      yield* pass("1 second")
      assert.strictEqual((yield* again.ended).at(-1), "completed as 2")
      assert.deepStrictEqual(conversation(yield* two.in(Chat.history("a"))), [
        "user: one",
        "text: Well,",
        `text: ${BROKE_OFF}`,
        "user: two",
        "text: You said two"
      ])
      yield* two.close
    }).pipe(Effect.provide(SessionStore.layerMemory)))

  it.effect("waits for a turn that ends in time", () =>
    Effect.gen(function*() {
      const one = yield* process(Chat, slowly)
      const running = yield* one.in(watch(Chat.run("a", "one")))
      const done = yield* Deferred.make<void>()
      yield* begin(Effect.andThen(one.close, Deferred.succeed(done, undefined)))
      yield* pass("1 second")
      yield* turns
      assert.strictEqual((yield* running.ended).at(-1), "completed as 1")
      yield* pass("6 seconds")
      yield* Deferred.await(done)
    }).pipe(Effect.provide(SessionStore.layerMemory)))
})
