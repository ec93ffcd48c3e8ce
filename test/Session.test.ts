import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Schema, Stream } from "effect"
import * as ActorSystem from "../src/ActorSystem.ts"
import * as Agent from "../src/Agent.ts"
import * as Scripted from "../src/Llm/Scripted.ts"
import * as Session from "../src/Session.ts"
import * as SessionStore from "../src/SessionStore.ts"
import * as Team from "../src/Team.ts"
import * as Tool from "../src/Tool.ts"
import { makeSystem, pass } from "./fixtures/actors.ts"
import { refused } from "./fixtures/badOptions.ts"
import { Chat, conversation, echo, live, process, reason, said, watch } from "./fixtures/sessions.ts"
import { sqliteFile } from "./fixtures/stores.ts"

const inSqlite = SessionStore.layerSql.pipe(Layer.provide(sqliteFile), Layer.orDie)

const paths = Effect.map(ActorSystem.list, (actors) => actors.map(({ path }) => path))

describe("Session", () => {
  it.effect("answers prompts as versions of one conversation", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* Session.response(Chat.run("a", "one"))).text, "You said one")
      assert.strictEqual((yield* said(Chat.run("a", "two"))).at(-1), "completed as 2")
      const requests = yield* Effect.flatten(Scripted.Requests)
      assert.deepStrictEqual(requests[1]!.prompt.content.map(({ role }) => role), ["user", "assistant", "user"])
      assert.deepStrictEqual(conversation(yield* Chat.history("a")), [
        "user: one",
        "text: You said one",
        "user: two",
        "text: You said two"
      ])
    }).pipe(Effect.provide(live(Chat))))

  for (const [name, store] of [["memory", SessionStore.layerMemory], ["SQLite", inSqlite]] as const) {
    it.effect(`goes on in the next process, from ${name}`, () =>
      Effect.gen(function*() {
        const one = yield* process(Chat)
        yield* one.in(said(Chat.run("a", "one")))
        yield* one.close
        const two = yield* process(Chat)
        assert.strictEqual((yield* two.in(said(Chat.run("a", "two")))).at(-1), "completed as 2")
        assert.strictEqual((yield* two.in(Chat.history("a"))).versions.length, 2)
        yield* two.close
      }).pipe(Effect.provide(store)))

    it.effect(`two processes see each other's turns, in ${name}`, () =>
      Effect.gen(function*() {
        const one = yield* process(Chat)
        const two = yield* process(Chat)
        for (const [at, input] of [[one, "one"], [two, "two"], [one, "three"], [two, "four"]] as const) {
          yield* at.in(said(Chat.run("a", input)))
        }
        const requests = yield* two.in(Effect.flatten(Scripted.Requests))
        assert.strictEqual(requests.at(-1)!.prompt.content.length, 7)
        yield* one.close
        yield* two.close
      }).pipe(Effect.provide(store)))
  }

  it.effect("is an actor that is passivated when nobody needs it, and goes on from the store", () =>
    Effect.gen(function*() {
      const { release, system } = yield* makeSystem()
      const Brief = Session.make("brief", { agent: Agent.make("bot"), idleTimeout: "1 minute" })
      const layer = live(Brief, [[Scripted.delay("5 minutes"), Scripted.text("At last.")], "Fine."])
      yield* Effect.gen(function*() {
        const first = yield* watch(Brief.run("a/~b", "one"))
        yield* pass("4 minutes")
        assert.deepStrictEqual(yield* paths, ["/user/brief", "/user/brief/@a~1~0b", "/user/brief/@a~1~0b/agent"])
        yield* pass("1 minute")
        assert.strictEqual((yield* first.ended).at(-1), "completed as 1")
        yield* pass("2 minutes")
        assert.deepStrictEqual(yield* paths, ["/user/brief"])
        assert.strictEqual((yield* said(Brief.run("a/~b", "two"))).at(-1), "completed as 2")
        const [, second] = yield* Effect.flatten(Scripted.Requests)
        assert.strictEqual(second!.prompt.content.length, 3)
      }).pipe(Effect.provide(layer), Effect.provide(system))
      yield* release
    }))

  it.effect("belongs to its owner", () =>
    Effect.gen(function*() {
      const ada = { owner: "ada", turnId: "t" }
      const bob = { owner: "bob" }
      yield* said(Chat.run("a", "one", ada))
      for (
        const forbidden of [
          Stream.runDrain(Chat.run("a", "two", bob)),
          Stream.runDrain(Chat.join("a", { ...bob, turnId: "t" })),
          Chat.cancel("a", bob),
          Chat.history("a", bob),
          Chat.rewind("a", 1, bob),
          Chat.fork("a", "b", 1, bob),
          Chat.describe("a", { title: "Mine" }, bob),
          Chat.branches("a", bob),
          Chat.delete("a", bob),
          Chat.history("a")
        ]
      ) assert.strictEqual(yield* reason(Effect.asVoid(forbidden)), "Forbidden")
      assert.strictEqual((yield* Chat.history("a", ada)).versions.length, 1)
      assert.strictEqual((yield* Effect.flatten(Scripted.Requests)).length, 1)
    }).pipe(Effect.provide(live(Chat))))

  it.effect("lists sessions by last use, with title and tags, and those of an owner", () =>
    Effect.gen(function*() {
      for (const [id, owner] of [["a", "ada"], ["b", "bob"], ["c", "ada"]] as const) {
        yield* said(Chat.run(id, "hello", { owner }))
        yield* pass("1 second")
      }
      yield* Chat.describe("a", { title: "Orders", tags: ["late"] }, { owner: "ada" })
      const all = yield* Chat.list()
      assert.deepStrictEqual(all.map(({ session, tags, title }) => [session, title, tags]), [
        ["a", "Orders", ["late"]],
        ["c", "", []],
        ["b", "", []]
      ])
      assert.deepStrictEqual((yield* Chat.list({ owner: "ada", limit: 1 })).map(({ session }) => session), ["a"])
      const next = yield* Chat.list({ owner: "ada", after: all[0]! })
      assert.deepStrictEqual(next.map(({ session }) => session), ["c"])
      assert.strictEqual((yield* Chat.deleteOwner("ada")).sessions, 2)
      assert.deepStrictEqual((yield* Chat.list()).map(({ session }) => session), ["b"])
    }).pipe(Effect.provide(live(Chat))))

  it.effect("gives its history in pages", () =>
    Effect.gen(function*() {
      for (const input of ["one", "two", "three"]) yield* said(Chat.run("a", input, { author: input }))
      const first = yield* Chat.history("a", { limit: 2 })
      assert.deepStrictEqual(first.versions.map(({ author }) => author), ["three", "two"])
      const second = yield* Chat.history("a", {
        limit: 2,
        from: first.next.pipe((next) => "value" in next ? next.value : 0)
      })
      assert.deepStrictEqual(second.versions.map(({ author }) => author), ["one"])
      assert.strictEqual(second.next._tag, "None")
    }).pipe(Effect.provide(live(Chat))))

  it.effect("rewinds and forks as commits: versions grow, and the old branch stays", () =>
    Effect.gen(function*() {
      for (const input of ["one", "two", "three"]) yield* said(Chat.run("a", input))
      assert.strictEqual(yield* Chat.rewind("a", 1), 4)
      yield* said(Chat.run("a", "other"))
      const requests = yield* Effect.flatten(Scripted.Requests)
      assert.strictEqual(requests.at(-1)!.prompt.content.length, 3)
      assert.deepStrictEqual((yield* Chat.history("a")).versions.map(({ version }) => version), [5, 4, 1])
      assert.deepStrictEqual((yield* Chat.history("a", { from: 3 })).versions.map(({ version }) => version), [3, 2, 1])
      assert.deepStrictEqual(yield* Chat.branches("a"), [{ first: 1, last: 3, parent: 0 }, {
        first: 4,
        last: 5,
        parent: 1
      }])
      assert.strictEqual(yield* Chat.fork("a", "b", 3), 4)
      yield* said(Chat.run("b", "on"))
      assert.strictEqual((yield* Effect.flatten(Scripted.Requests)).at(-1)!.prompt.content.length, 7)
      assert.strictEqual(yield* reason(Chat.rewind("a", 9)), "NotFound")
      assert.strictEqual(yield* reason(Chat.fork("a", "b", 1)), "ConcurrentWrite")
    }).pipe(Effect.provide(live(Chat))))

  it.effect("that was deleted begins anew", () =>
    Effect.gen(function*() {
      yield* said(Chat.run("a", "one"))
      assert.strictEqual((yield* Chat.delete("a")).commits, 1)
      assert.strictEqual((yield* said(Chat.run("a", "two"))).at(-1), "completed as 1")
      assert.strictEqual((yield* Effect.flatten(Scripted.Requests)).at(-1)!.prompt.content.length, 1)
    }).pipe(Effect.provide(live(Chat))))

  it.effect("runs a team", () => {
    const team = Team.pipeline("desk", [Agent.make("reader"), Agent.make("writer")])
    const Desk = Session.make("desk", { agent: team })
    return Effect.gen(function*() {
      assert.strictEqual((yield* Session.response(Desk.run("a", "one"))).text, "You said You said one")
      assert.strictEqual((yield* said(Desk.run("a", "two"))).at(-1), "completed as 2")
    }).pipe(Effect.provide(live(Desk)))
  })

  it.effect("brings each request's context to the tools, also when it waited in the store", () => {
    class User extends Context.Service<User, string>()("test/User") {}
    const who = Tool.fn("who", { description: "Who asks", success: Schema.String }, () => User.use(Effect.succeed))
    const agent = Agent.withContext(Agent.make("bot", { tools: [who] }), { service: User, schema: Schema.String })
    const Personal = Session.make("personal", { agent })
    const answer = [Scripted.toolCall("who", {}), Scripted.delay("1 second")]
    return Effect.gen(function*() {
      yield* watch(Personal.run("a", "one", { context: "ada" }))
      yield* watch(Personal.run("a", "two", { context: "bob" }))
      yield* pass("1 second")
      yield* pass("1 second")
      assert.deepStrictEqual(conversation(yield* Personal.history("a")).filter((line) => line.startsWith("who")), [
        "who gave \"ada\"",
        "who gave \"bob\""
      ])
    }).pipe(Effect.provide(live(Personal, [answer, "Fine.", answer, "Fine."])))
  })

  it.effect("says what is wrong with an id, and takes any other", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* reason(Session.response(Chat.run("", "one"))), "InvalidSessionId")
      assert.strictEqual(yield* reason(Session.response(Chat.run("x".repeat(501), "one"))), "InvalidSessionId")
      assert.strictEqual(yield* reason(Session.response(Chat.run("a", "one", { turnId: "" }))), "InvalidSessionId")
      for (const id of ["$", "..", "/", "\0", "\ud800", "~1", "a b", "ü".repeat(250)]) {
        assert.strictEqual((yield* said(Chat.run(id, "one"))).at(-1), "completed as 1")
      }
    }).pipe(Effect.provide(live(Chat, echo))))

  it.effect("refuses an empty prompt, and keeps nothing of it", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* reason(Session.response(Chat.run("a", " "))), "AgentFailed")
      assert.deepStrictEqual(yield* Chat.list(), [])
    }).pipe(Effect.provide(live(Chat))))

  it("refuses bad options", () => {
    const agent = Agent.make("bot")
    refused({
      "Session.make: name must be a text that is not empty, got \"\"": () => Session.make("", { agent }),
      "Session.make: backlog must be a positive integer, got 0": () => Session.make("a", { agent, backlog: 0 }),
      "Session.make: maxTurnBytes must be a positive integer, got -1": () =>
        Session.make("a", { agent, maxTurnBytes: -1 }),
      "Session.make: idleTimeout must be a positive duration, got 0": () =>
        Session.make("a", { agent, idleTimeout: 0 }),
      "Session.state: name must be a text that is not empty, got \"\"": () => Session.state("", Schema.String)
    })
  })
})
