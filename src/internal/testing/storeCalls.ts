/**
 * The promises of journals, of calls that wait for somebody, and of wakes.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as SessionStore from "../../SessionStore.ts"
import { expect, same } from "./brokenPromise.ts"
import { type Check, ends, LEASE, refused } from "./storeFixture.ts"

const answer = (path: string, body = "b"): SessionStore.JournalEntry => ({ path, kind: "answer", hash: "h", body })

const rows = (journal: ReadonlyArray<SessionStore.JournalRow>): ReadonlyArray<ReadonlyArray<unknown>> =>
  journal.map(({ attempt, body, kind, path }) => [path, kind, body, attempt]).sort()

export const checks: Readonly<Record<string, Check>> = {
  "a journal has a row for each call and goes with the commit": ({ begin, id, store }) =>
    Effect.gen(function*() {
      const { claim } = yield* begin("one", { lease: 0 })
      const paths = Array.from({ length: 10 }, (_, n) => `main/0/call-${n}`)
      yield* Effect.forEach(paths, (path) => store.record(claim, answer(path)), { concurrency: "unbounded" })
      yield* store.record(claim, answer("main/0/call-3", "another"))
      const again = Option.getOrThrow(yield* store.resume(id, { lease: LEASE }))
      yield* same("the journal", rows(again.journal), paths.map((path) => [path, "answer", "b", claim.attempt]))
      yield* store.record(again.claim, answer("main/1"))
      const turn = yield* store.turn(id, "one")
      yield* same("its rows", turn._tag === "Open" ? turn.journal.length : turn._tag, 11)
      yield* store.commit(again.claim, ends("one"))
      yield* refused("a row after the commit", "Conflict", store.record(again.claim, answer("main/2")))
      const next = yield* begin("two")
      yield* same("the next turn's journal", next.journal, [])
      yield* same("what is left to remove", (yield* store.delete(id)).journal, 0)
    }),

  "an intent is for the current attempt, and its outcome for who wrote it": ({ begin, id, store }) =>
    Effect.gen(function*() {
      const { claim } = yield* begin("one", { lease: 0 })
      const entry = (path: string, kind: "intent" | "outcome") => ({ path, kind, hash: "h", body: kind })
      yield* store.record(claim, entry("main/0/pay", "intent"))
      const second = Option.getOrThrow(yield* store.resume(id, { lease: 0 }))
      yield* same("a lone intent", rows(second.journal), [["main/0/pay", "intent", "intent", claim.attempt]])
      yield* refused("a late intent", "Conflict", store.record(claim, entry("main/1/pay", "intent")))
      yield* refused("an outcome without intent", "Conflict", store.record(claim, entry("main/1/pay", "outcome")))
      yield* store.record(claim, entry("main/0/pay", "outcome"))
      const third = Option.getOrThrow(yield* store.resume(id, { lease: LEASE }))
      yield* same("the outcome", rows(third.journal).map(([path, kind]) => [path, kind]), [
        ["main/0/pay", "intent"],
        ["main/0/pay", "outcome"]
      ])
    }),

  "an intent and a new claim at once: who was first is seen by the other": ({ begin, store }) =>
    Effect.forEach(
      Array.from({ length: 20 }, (_, n) => `turn ${n}`),
      (turn) =>
        Effect.gen(function*() {
          const { claim } = yield* begin(turn, { lease: 0 })
          const intent = store.record(claim, { path: "pay", kind: "intent", hash: "h", body: null })
          const [next, written] = yield* Effect.all(
            [store.resume(claim.session, { lease: LEASE, turn }), Effect.result(intent)],
            { concurrency: "unbounded" }
          )
          const { claim: latest, journal } = Option.getOrThrow(next)
          yield* same("the intent and what the next attempt sees", journal.length, written._tag === "Success" ? 1 : 0)
          yield* store.commit(latest, ends(turn))
        }),
      { discard: true }
    ),

  "attempts that leave nothing are counted": ({ begin, id, store }) =>
    Effect.gen(function*() {
      const { claim } = yield* begin("one", { lease: 0 })
      const resume = Effect.map(store.resume(id, { lease: 0 }), Option.getOrThrow)
      yield* same("after the first", (yield* resume).fruitless, 1)
      const third = yield* resume
      yield* same("after the second", third.fruitless, 2)
      yield* store.record(third.claim, answer("main/0"))
      const fourth = yield* resume
      yield* same("after one with a row", fourth.fruitless, 0)
      yield* store.ask(fourth.claim, { path: "p", kind: "approval", request: {} })
      yield* resume
      const sixth = yield* resume
      yield* store.park(sixth.claim, ["p"])
      yield* store.decide({ session: id, turn: "one", path: "p" }, { value: true, by: "ada" })
      yield* same("after a wait", (yield* resume).fruitless, 0)
      yield* expect(sixth.claim.attempt > claim.attempt, "attempts only grow")
    }),

  "a parked turn holds nobody and goes on when it is decided": ({ begin, id, load, owner, prompt, store }) =>
    Effect.gen(function*() {
      const { claim } = yield* begin("one")
      yield* store.ask(claim, { path: "a", kind: "approval", request: { tool: "pay" } })
      yield* store.ask(claim, { path: "a", kind: "approval", request: { tool: "again" } })
      yield* store.ask(claim, { path: "b", kind: "external", request: {}, expiresIn: "1 hour" })
      const waiting = yield* store.pendingCalls({ owner, limit: 10 })
      const shown = waiting.map((
        { kind, path, request, session, status, turn }
      ) => [session, turn, path, kind, request, status])
      yield* same("the list", shown.sort(), [
        [id, "one", "a", "approval", { tool: "pay" }, "waiting"],
        [id, "one", "b", "external", {}, "waiting"]
      ])
      const expiring = waiting.find(({ path }) => path === "b")
      yield* same("its expiry", Option.getOrUndefined(expiring!.expiresAt), expiring!.askedAt + 3_600_000)
      yield* same("parked", yield* store.park(claim, ["a", "b"]), true)
      yield* refused("its old claim", "Conflict", store.renew(claim, LEASE))
      yield* same("the status", (yield* load(id)).open.map(({ status }) => status), ["parked"])
      const own = yield* store.claim(prompt("one"), { lease: LEASE, backlog: 0 })
      yield* same("its own prompt", own._tag === "Running" ? own.turn.status : own._tag, "parked")
      const other = yield* store.claim(prompt("two"), { lease: LEASE, backlog: 0 })
      yield* same(
        "another prompt",
        other._tag === "Busy" ? other.turn.status : other._tag,
        "Busy" === other._tag ? "parked" : ""
      )
      yield* expect(Option.isNone(yield* store.resume(id, { lease: LEASE })), "nobody resumes it undecided")
      const decided = yield* store.decide({ session: id, turn: "one", path: "a" }, { value: { ok: true }, by: "bob" })
      yield* same("the decision", decided._tag, "Decided")
      yield* same("the list", (yield* store.pendingCalls({ session: id, limit: 10 })).map(({ path }) => path), ["b"])
      const unfinished = yield* store.unfinished({ limit: 1000, idleFor: LEASE })
      yield* expect(unfinished.includes(id), "a decided turn needs somebody")
      const again = Option.getOrThrow(yield* store.resume(id, { lease: LEASE }))
      const call = again.calls.find(({ path }) => path === "a")
      const decision = call === undefined ? undefined : Option.getOrUndefined(call.decision)
      yield* same("its decision", [decision?.value, decision?.by, call?.status], [{ ok: true }, "bob", "decided"])
      yield* same("parked again", yield* store.park(again.claim, ["b"]), true)
      const forced = Option.getOrThrow(yield* store.resume(id, { lease: LEASE, turn: "one" }))
      yield* store.commit(forced.claim, ends("one"))
      yield* same("the list after the commit", yield* store.pendingCalls({ session: id, limit: 10 }), [])
    }),

  "a call is decided once": ({ begin, id, store }) =>
    Effect.gen(function*() {
      const { claim } = yield* begin("one")
      const call = { session: id, turn: "one", path: "a" }
      yield* same("nobody asked", (yield* store.decide(call, { value: 0, by: "ada" }))._tag, "Unknown")
      yield* store.ask(claim, { path: "a", kind: "approval", request: {} })
      const outcomes = yield* Effect.forEach(
        Array.from({ length: 20 }, (_, n) => n),
        (value) => store.decide(call, { value, by: `person ${value}` }),
        { concurrency: "unbounded" }
      )
      const winner = outcomes.findIndex(({ _tag }) => _tag === "Decided")
      yield* same("the decisions", outcomes.filter(({ _tag }) => _tag === "AlreadyDecided").length, 19)
      const seen = outcomes.flatMap((outcome) => "call" in outcome ? Option.toArray(outcome.call.decision) : [])
      yield* same("what all see", [...new Set(seen.map(({ value }) => value))], [winner])
    }),

  "a call that expired is not decided, and its turn goes on": ({ begin, id, load, store }) =>
    Effect.gen(function*() {
      const { claim } = yield* begin("one")
      yield* store.ask(claim, { path: "a", kind: "approval", request: {}, expiresIn: 0 })
      const late = yield* store.decide({ session: id, turn: "one", path: "a" }, { value: true, by: "ada" })
      yield* same("the decision", late._tag, "Expired")
      yield* same("the list", yield* store.pendingCalls({ session: id, limit: 10 }), [])
      yield* same("it need not be parked", yield* store.park(claim, ["a"]), false)
      yield* same("its turn is still claimed", (yield* load(id)).open.map(({ status }) => status), ["running"])
    }),

  "a decision that comes before the turn is parked is not missed": ({ begin, id, store }) =>
    Effect.gen(function*() {
      const { claim } = yield* begin("one")
      const racers = Array.from({ length: 10 }, (_, n) => `path-${n}`)
      for (const path of racers) yield* store.ask(claim, { path, kind: "approval", request: {} })
      const decide = store.decide({ session: id, turn: "one", path: "path-3" }, { value: true, by: "ada" })
      const [parked] = yield* Effect.all([store.park(claim, racers), decide], { concurrency: "unbounded" })
      if (!parked) return yield* store.renew(claim, LEASE)
      const resumed = yield* store.resume(id, { lease: LEASE })
      yield* expect(Option.isSome(resumed), "a parked turn with a decided call must be resumed")
    }),

  "wakes are taken when their time has come, by one": ({ id, load, owner, store }) =>
    Effect.gen(function*() {
      const wake = (key: string, at: number, changes?: Partial<SessionStore.Wake>): SessionStore.Wake => ({
        session: id,
        owner,
        key,
        at,
        cron: Option.none(),
        author: "ada",
        input: { key },
        ...changes
      })
      const set = (each: SessionStore.Wake) => store.setWake(each, { limit: 3 })
      const due = Effect.map(
        store.dueWakes({ limit: 1000, hold: LEASE }),
        (all) => all.filter(({ session }) => session === id).map(({ at, key }) => [key, at])
      )
      const daily = wake("daily", -2000, { cron: Option.some("0 9 * * *") })
      yield* same("the first", yield* set(wake("old", -1000)), "Set")
      yield* same("with cron", yield* set(daily), "Set")
      yield* same("far ahead", yield* set(wake("later", 9e12)), "Set")
      yield* same("one too many", yield* set(wake("more", 9e12)), "Full")
      yield* same("a known key", yield* set(wake("old", -500)), "Set")
      yield* same("somebody else's", yield* set(wake("old", 0, { owner: "eve" })), "Forbidden")
      yield* same("the session", (yield* load(id)).head.version, 0)
      const taken = yield* Effect.all([due, due, due], { concurrency: "unbounded" })
      yield* same("taken once, earliest first", taken.flat(), [["daily", -2000], ["old", -500]])
      yield* store.delivered(wake("old", -500))
      yield* store.delivered(daily, -100)
      yield* store.delivered(daily, -50)
      const [again] = yield* store.dueWakes({ limit: 1000, hold: 0 })
      yield* same("the next time", [again?.key, again?.at, again && Option.getOrUndefined(again.cron), again?.input], [
        "daily",
        -100,
        "0 9 * * *",
        { key: "daily" }
      ])
      yield* same("not delivered, so due again", yield* due, [["daily", -100]])
      yield* same("removed", yield* store.removeWake(id, "daily"), true)
      yield* same("removed before", yield* store.removeWake(id, "daily"), false)
      yield* same("what is left to remove", (yield* store.delete(id)).wakes, 1)
    })
}
