/**
 * The promises of versions, branches, lists, and of what is removed.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { expect, same } from "./brokenPromise.ts"
import { type Check, ends, LEASE, refused, turnsOf } from "./storeFixture.ts"

export const checks: Readonly<Record<string, Check>> = {
  "history comes in pages, newest first": ({ id, load, say, store }) =>
    Effect.gen(function*() {
      for (const turn of ["1", "2", "3", "4", "5"]) yield* say(turn)
      const first = yield* store.history(id, { limit: 2 })
      yield* same("the first page", turnsOf(first.commits), ["5", "4"])
      yield* same("where the next goes on", Option.getOrUndefined(first.next), 3)
      const rest = yield* store.history(id, { from: 3, limit: 10 })
      yield* same("the rest", turnsOf(rest.commits), ["3", "2", "1"])
      yield* expect(Option.isNone(rest.next), "after the first version there is nothing")
      yield* refused("a version that is not there", "NotFound", store.history(id, { from: 6, limit: 1 }))
      const recent = yield* store.load(id, { recent: 2 })
      yield* same("the latest", turnsOf(Option.getOrThrow(recent).commits), ["4", "5"])
      yield* same("versions", (yield* load(id)).commits.map(({ version }) => version), [1, 2, 3, 4, 5])
    }),

  "a rewind is a commit on a new branch, and the old one stays": ({ id, load, owner, say, store, told }) =>
    Effect.gen(function*() {
      yield* say("1", { states: { mood: "fine", cart: [1] } })
      yield* say("2", { states: { cart: [1, 2] } })
      yield* say("3", { states: { cart: [], late: true } })
      const write = { session: id, owner, author: "bob" }
      const rewind = yield* store.write({ ...write, version: 3, rewindTo: 2 })
      yield* same("the commit", [rewind.version, rewind.parent, rewind.kind, rewind.author], [4, 2, "rewind", "bob"])
      yield* same("the states of then", (yield* load(id)).states, { mood: "fine", cart: [1, 2] })
      yield* say("5", { states: { cart: [5] } })
      yield* same("the turns", yield* told(id), ["1", "2", "", "5"])
      yield* same("the states of now", (yield* load(id)).states, { mood: "fine", cart: [5] })
      const branches = [{ first: 1, last: 3, parent: 0 }, { first: 4, last: 5, parent: 2 }]
      yield* same("the branches", yield* store.branches(id), branches)
      yield* same("the old branch", turnsOf((yield* store.history(id, { from: 3, limit: 9 })).commits), ["3", "2", "1"])
      yield* store.write({ ...write, version: 5, rewindTo: 3 })
      yield* same("back again", yield* told(id), ["1", "2", "3", ""])
      yield* same("with the states of then", (yield* load(id)).states, { mood: "fine", cart: [], late: true })
      const page = yield* store.history(id, { limit: 3 })
      yield* same("a page over branches", [turnsOf(page.commits), Option.getOrUndefined(page.next)], [
        ["", "3", "2"],
        1
      ])
      yield* refused("a version that is not there", "NotFound", store.write({ ...write, version: 6, rewindTo: 9 }))
    }),

  "a fork goes on by itself": ({ id, load, other, owner, say, store, told }) =>
    Effect.gen(function*() {
      yield* say("1", { states: { cart: [1] }, title: "T", tags: ["a"] })
      yield* say("2", { states: { cart: [2] } })
      yield* store.write({ session: id, owner, author: "bob", version: 2, rewindTo: 1 })
      yield* say("4", { states: { mood: "fine" } })
      yield* say("5")
      const fork = yield* store.fork(id, { to: other, version: 4, author: "eve" })
      yield* same("the commit", [fork.session, fork.version, fork.parent, fork.kind], [other, 5, 4, "fork"])
      yield* same("its turns", yield* told(other), ["1", "", "4", ""])
      const { head, states } = yield* load(other)
      yield* same("its states", states, { cart: [1], mood: "fine" })
      yield* same("its head", [head.owner, head.title, head.tags], [owner, "T", ["a"]])
      yield* refused("a second fork of this id", "Conflict", store.fork(id, { to: other, version: 1, author: "eve" }))
      yield* refused("a fork of nothing", "NotFound", store.fork(id, { to: `${other}-2`, version: 9, author: "eve" }))
      yield* say("6", { session: other, states: { cart: [6] } })
      yield* same("the origin", [yield* told(id), (yield* load(id)).states], [["1", "", "4", "5"], {
        cart: [1],
        mood: "fine"
      }])
      yield* store.delete(id)
      yield* same("the fork outlives it", yield* told(other), ["1", "", "4", "", "6"])
      const receipt = yield* store.turn(other, "1")
      yield* same("its receipts", receipt._tag, "Committed")
    }),

  "a write needs the version and no claimed turn": ({ begin, id, load, owner, store }) =>
    Effect.gen(function*() {
      const write = (version: number, states: Record<string, number>) =>
        store.write({ session: id, owner, author: "bob", version, states, title: "T" })
      const first = yield* write(0, { a: 1 })
      yield* same("the commit", [first.version, first.kind, first.author, first.entries], [1, "update", "bob", []])
      yield* refused("another version", "Conflict", write(0, { a: 2 }))
      yield* refused("another version", "Conflict", write(2, { a: 2 }))
      const stranger = { session: id, owner: "somebody else", author: "eve", version: 1, states: {} }
      yield* refused("another owner", "Forbidden", store.write(stranger))
      const { claim } = yield* begin("one")
      yield* refused("while a turn runs", "Conflict", write(1, { a: 2 }))
      yield* store.ask(claim, { path: "p", kind: "approval", request: {} })
      yield* store.park(claim, ["p"])
      yield* write(1, { b: 2 })
      const loaded = yield* load(id)
      yield* same("the states", loaded.states, { a: 1, b: 2 })
      yield* same("the title", loaded.head.title, "T")
      const claimed = Option.getOrThrow(yield* store.resume(id, { lease: LEASE, turn: "one" }))
      const commit = yield* store.commit(claimed.claim, ends("one"))
      yield* same("the turn comes after it", [commit.version, commit.parent], [3, 2])
    }),

  "of many writes at one version one wins": ({ id, load, owner, store }) =>
    Effect.gen(function*() {
      const results = yield* Effect.forEach(
        Array.from({ length: 20 }, (_, n) => n),
        (n) => Effect.result(store.write({ session: id, owner, author: "bob", version: 0, states: { n } })),
        { concurrency: "unbounded" }
      )
      const tags = results.map((result) => result._tag === "Success" ? "Success" : result.failure.reason._tag).sort()
      yield* same("the outcomes", tags, [...Array<string>(19).fill("Conflict"), "Success"])
      yield* same("the version", (yield* load(id)).head.version, 1)
    }),

  "sessions are listed by owner and last use, in pages": ({ id, other, owner, say, store, third }) =>
    Effect.gen(function*() {
      for (const session of [id, other, third]) yield* say("1", { session })
      yield* say("2", { session: id })
      const all = yield* store.list({ owner, limit: 10 })
      yield* same("the sessions", all.map(({ session }) => session).sort(), [id, other, third].sort())
      const used = all.map(({ usedAt }) => usedAt)
      yield* same("by last use", used, [...used].sort((a, b) => b - a))
      const paged: Array<string> = []
      for (let head = all[0]; head !== undefined;) {
        paged.push(head.session)
        head = (yield* store.list({ owner, after: { usedAt: head.usedAt, session: head.session }, limit: 1 }))[0]
      }
      yield* same("the pages", paged, all.map(({ session }) => session))
      yield* same("nobody's", yield* store.list({ owner: `${owner}-2`, limit: 10 }), [])
    }),

  "delete removes every row and says how many": ({ begin, id, load, other, owner, say, store }) =>
    Effect.gen(function*() {
      yield* say("1")
      yield* say("2")
      yield* say("1", { session: other })
      const { claim } = yield* begin("3")
      yield* store.record(claim, { path: "main/0", kind: "answer", hash: "h", body: {} })
      yield* store.record(claim, { path: "main/1", kind: "answer", hash: "h", body: {} })
      yield* store.ask(claim, { path: "p", kind: "approval", request: {} })
      const wake = { session: id, owner, key: "k", at: 9e12, cron: Option.none(), author: "ada", input: {} }
      yield* store.setWake(wake, { limit: 5 })
      const removed = { sessions: 1, turns: 1, commits: 2, journal: 2, calls: 1, wakes: 1, blobs: 0 }
      yield* same("what was removed", yield* store.delete(id), removed)
      yield* expect(Option.isNone(yield* store.load(id, { recent: 1 })), "the session is gone")
      yield* refused("its turn's commit", "Conflict", store.commit(claim, ends("3")))
      yield* same("what is left", (yield* load(other)).head.version, 1)
      const nothing = { sessions: 0, turns: 0, commits: 0, journal: 0, calls: 0, wakes: 0, blobs: 0 }
      yield* same("a second time", yield* store.delete(id), nothing)
      const fresh = yield* say("1")
      yield* same("the id can be used again", fresh.version, 1)
    }),

  "deleteOwner removes all sessions of one owner": ({ id, other, owner, say, store, third }) =>
    Effect.gen(function*() {
      yield* say("1")
      yield* say("1", { session: other })
      yield* say("1", { session: third, owner: `${owner}-2` })
      const removed = yield* store.deleteOwner(owner)
      yield* same("what was removed", [removed.sessions, removed.commits], [2, 2])
      const left = yield* Effect.forEach([id, other, third], (session) => store.load(session, { recent: 1 }))
      yield* same("what is left", left.map(Option.isSome), [false, false, true])
      yield* same("the other owner's", (yield* store.deleteOwner(`${owner}-2`)).sessions, 1)
    }),

  "pruning goes in batches and spares what is in use": ({ begin, id, other, owner, say, store, third }) =>
    Effect.gen(function*() {
      const prune = (limit: number) => store.prune({ idleFor: 0, limit })
      while ((yield* prune(100)).sessions > 0);
      const extra = [`${id}-4`, `${id}-5`, `${id}-6`]
      for (const session of [id, other, third, ...extra]) yield* say("1", { session })
      yield* begin("2", { session: id })
      const { claim } = yield* begin("2", { session: other })
      yield* store.ask(claim, { path: "p", kind: "approval", request: {} })
      yield* store.park(claim, ["p"])
      const wake = { session: third, owner, key: "k", at: 9e12, cron: Option.none(), author: "ada", input: {} }
      yield* store.setWake(wake, { limit: 5 })
      yield* same("none is old enough", (yield* store.prune({ idleFor: 86_400_000, limit: 100 })).sessions, 0)
      const batches: Array<number> = []
      for (let n = 0; n < 3; n++) batches.push((yield* prune(2)).sessions)
      yield* same("the batches", batches, [2, 1, 0])
      const left = yield* Effect.forEach([id, other, third, ...extra], (session) => store.load(session, { recent: 1 }))
      yield* same("what is left", left.map(Option.isSome), [true, true, true, false, false, false])
      for (const session of [id, other, third]) yield* store.delete(session)
    })
}
