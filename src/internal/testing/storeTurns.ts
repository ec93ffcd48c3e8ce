/**
 * The promises of claims, leases, queues and commits.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { expect, same } from "./brokenPromise.ts"
import { type Check, ends, LEASE, refused } from "./storeFixture.ts"

const twenty = Array.from({ length: 20 }, (_, n) => n)

export const checks: Readonly<Record<string, Check>> = {
  "a turn is claimed, committed as the next version, and found again": ({ begin, id, load, owner, store }) =>
    Effect.gen(function*() {
      const { claim, fruitless, journal, turn } = yield* begin("one")
      yield* same("the claim", [claim.version, claim.attempt, fruitless, journal], [0, 1, 0, []])
      yield* same("the turn", [turn.turn, turn.status, turn.input], ["one", "running", { text: "one" }])
      const open = (yield* load(id)).open
      yield* same("the open turns", open.map((each) => [each.turn, each.status, each.author]), [[
        "one",
        "running",
        "ada"
      ]])
      const commit = yield* store.commit(claim, { ...ends("one"), states: { cart: [1] }, title: "T", tags: ["a", "b"] })
      yield* same("the version", [commit.version, commit.parent, commit.kind], [1, 0, "turn"])
      const loaded = yield* load(id)
      yield* same("the commits", loaded.commits, [commit])
      yield* same("the entries", loaded.commits[0]?.entries, ends("one").entries)
      yield* same("usage and result", [commit.usage, commit.result], [ends("one").usage, ends("one").result])
      yield* same("the states", loaded.states, { cart: [1] })
      const { head } = loaded
      yield* same("the head", [head.version, head.owner, head.title, head.tags], [1, owner, "T", ["a", "b"]])
      yield* same("the open turns", loaded.open, [])
    }),

  "a session that was never used is not there": ({ id, store }) =>
    Effect.gen(function*() {
      yield* expect(Option.isNone(yield* store.load(id, { recent: 10 })), "load must give none")
      yield* expect(Option.isNone(yield* store.resume(id, { lease: LEASE })), "resume must give none")
      yield* same("the turn", yield* store.turn(id, "one"), { _tag: "Unknown" })
      yield* refused("its history", "NotFound", store.history(id, { limit: 10 }))
      yield* refused("its branches", "NotFound", store.branches(id))
    }),

  "of many prompts at once one is claimed": ({ id, load, prompt, store }) =>
    Effect.gen(function*() {
      const claim = (n: number) => store.claim(prompt(`turn ${n}`), { lease: LEASE, backlog: 0 })
      const outcomes = yield* Effect.forEach(twenty, claim, { concurrency: "unbounded" })
      const tags = outcomes.map(({ _tag }) => _tag).sort()
      yield* same("the outcomes", tags, [...Array<string>(19).fill("Busy"), "Claimed"])
      yield* same("the open turns", (yield* load(id)).open.length, 1)
    }),

  "a turn that is sent many times at once is claimed once": ({ prompt, store }) =>
    Effect.gen(function*() {
      const claim = store.claim(prompt("one"), { lease: LEASE, backlog: 5 })
      const outcomes = yield* Effect.all(twenty.map(() => claim), { concurrency: "unbounded" })
      const tags = outcomes.map(({ _tag }) => _tag).sort()
      yield* same("the outcomes", tags, ["Claimed", ...Array<string>(19).fill("Running")])
    }),

  "a turn that is claimed and committed by many at once happens once": ({ id, prompt, store, told }) =>
    Effect.gen(function*() {
      const run = Effect.gen(function*() {
        const outcome = yield* store.claim(prompt("one"), { lease: LEASE, backlog: 0 })
        if (outcome._tag !== "Claimed") return 0
        yield* store.commit(outcome.claimed.claim, ends("one"))
        return 1
      })
      const commits = yield* Effect.all(twenty.map(() => run), { concurrency: "unbounded" })
      yield* same("the commits", commits.reduce<number>((sum, n) => sum + n, 0), 1)
      yield* same("the turns", yield* told(id), ["one"])
    }),

  "a turn id is a receipt": ({ begin, id, prompt, store, told }) =>
    Effect.gen(function*() {
      const { claim } = yield* begin("one")
      const again = (hash: string) => store.claim(prompt("one", { hash }), { lease: LEASE, backlog: 0 })
      yield* same("the running turn with other input", (yield* again("other"))._tag, "TurnConflict")
      const commit = yield* store.commit(claim, ends("one"))
      yield* same("the receipt", yield* again("hash of one"), { _tag: "Committed", commit })
      yield* same("the receipt with other input", (yield* again("other"))._tag, "TurnConflict")
      yield* same("the turn", yield* store.turn(id, "one"), { _tag: "Committed", commit })
      yield* refused("a second commit", "Conflict", store.commit(claim, ends("one")))
      yield* same("the turns", yield* told(id), ["one"])
    }),

  "a session belongs to who began it": ({ prompt, say, store }) =>
    Effect.gen(function*() {
      yield* say("one")
      const outcome = yield* store.claim(prompt("two", { owner: "somebody else" }), { lease: LEASE, backlog: 9 })
      yield* same("the outcome", outcome._tag, "Forbidden")
      const receipt = yield* store.claim(prompt("one", { owner: "somebody else" }), { lease: LEASE, backlog: 9 })
      yield* same("the outcome for a known turn", receipt._tag, "Forbidden")
    }),

  "a turn that waits is withdrawn as if it had never been sent, one that runs is not": (
    { begin, id, load, prompt, store }
  ) =>
    Effect.gen(function*() {
      yield* begin("one")
      const send = (turn: string) => store.claim(prompt(turn), { lease: LEASE, backlog: 2 })
      for (const turn of ["two", "three"]) yield* send(turn)
      const withdrawn: Array<boolean> = []
      for (const turn of ["one", "two", "two", "four"]) withdrawn.push(yield* store.withdraw(id, turn))
      withdrawn.push(yield* store.withdraw(`${id}-other`, "two"))
      yield* same("what was withdrawn", withdrawn, [false, true, false, false, false])
      yield* same("the open turns", (yield* load(id)).open.map(({ position, turn }) => [turn, position]), [
        ["one", 0],
        ["three", 1]
      ])
      yield* same("the turn", yield* store.turn(id, "two"), { _tag: "Unknown" })
      yield* same("the turn sent again", (yield* send("two"))._tag, "Waiting")
    }),

  "prompts wait in order, as many as the backlog allows": ({ begin, id, prompt, store, told }) =>
    Effect.gen(function*() {
      const { claim } = yield* begin("one")
      const send = (turn: string) => store.claim(prompt(turn), { lease: LEASE, backlog: 2 })
      const positions: Array<unknown> = []
      for (const turn of ["two", "three", "two"]) {
        const outcome = yield* send(turn)
        positions.push(outcome._tag === "Waiting" ? outcome.turn.position : outcome._tag)
      }
      yield* same("the positions", positions, [1, 2, 1])
      const full = yield* send("four")
      yield* same("the fourth", full._tag === "Busy" ? [full.turn.turn, full.waiting] : full._tag, ["one", 2])
      yield* expect(Option.isNone(yield* store.resume(id, { lease: LEASE })), "nothing can be resumed while one runs")
      yield* store.commit(claim, ends("one"))
      const waits = yield* send("three")
      yield* same("the second in the queue", waits._tag, "Waiting")
      const late = yield* send("five")
      yield* same("a new prompt does not overtake", late._tag, "Busy")
      const second = Option.getOrUndefined(yield* store.resume(id, { lease: LEASE }))
      if (second === undefined) return yield* expect(false, "the first that waits must be resumed")
      yield* same("the first", [second.turn.turn, second.turn.input, second.fruitless], ["two", { text: "two" }, 0])
      yield* store.commit(second.claim, ends("two"))
      const third = yield* send("three")
      yield* same("the prompt of who is first", third._tag, "Claimed")
      if (third._tag === "Claimed") yield* store.commit(third.claimed.claim, ends("three"))
      yield* same("the turns", yield* told(id), ["one", "two", "three"])
    }),

  "many prompts at once get different positions": ({ begin, prompt, store }) =>
    Effect.gen(function*() {
      yield* begin("one")
      const outcomes = yield* Effect.forEach(
        twenty,
        (n) => store.claim(prompt(`turn ${n}`), { lease: LEASE, backlog: 15 }),
        { concurrency: "unbounded" }
      )
      const positions = outcomes.flatMap((outcome) => outcome._tag === "Waiting" ? [outcome.turn.position] : [])
      yield* same("the positions", positions.sort((a, b) => a - b), twenty.slice(1, 16))
    }),

  "who lost the lease can write nothing": ({ begin, id, prompt, store, told }) =>
    Effect.gen(function*() {
      const { claim: stale } = yield* begin("one", { lease: 0 })
      const outcome = yield* store.claim(prompt("one"), { lease: LEASE, backlog: 0 })
      if (outcome._tag !== "Claimed") return yield* expect(false, `an expired turn is claimed, got ${outcome._tag}`)
      const { claimed } = outcome
      yield* same("attempt and fruitless ones", [claimed.claim.attempt, claimed.fruitless], [stale.attempt + 1, 1])
      const entry = { path: "main/0", kind: "intent", hash: "h", body: {} } as const
      yield* refused("its renewal", "Conflict", store.renew(stale, LEASE))
      yield* refused("its journal row", "Conflict", store.record(stale, entry))
      yield* refused("its question", "Conflict", store.ask(stale, { path: "p", kind: "approval", request: {} }))
      yield* refused("its parking", "Conflict", store.park(stale, []))
      yield* refused("its release", "Conflict", store.release(stale))
      yield* refused("its commit", "Conflict", store.commit(stale, ends("stale")))
      yield* store.commit(claimed.claim, ends("one"))
      yield* same("the turns", yield* told(id), ["one"])
    }),

  "a lease that is over is no loss until somebody else claims": ({ begin, id, store, told }) =>
    Effect.gen(function*() {
      const { claim } = yield* begin("one", { lease: 0 })
      yield* store.renew(claim, LEASE)
      yield* expect(Option.isNone(yield* store.resume(id, { lease: LEASE })), "a renewed lease holds")
      yield* store.renew(claim, 0)
      yield* store.record(claim, { path: "main/0", kind: "intent", hash: "h", body: {} })
      yield* store.commit(claim, ends("one"))
      yield* same("the turns", yield* told(id), ["one"])
    }),

  "of many that resume an expired turn one gets it": ({ begin, id, store }) =>
    Effect.gen(function*() {
      yield* begin("one", { lease: 0 })
      const resumed = yield* Effect.all(
        twenty.map(() => store.resume(id, { lease: LEASE })),
        { concurrency: "unbounded" }
      )
      yield* same("the claims", resumed.filter(Option.isSome).length, 1)
    }),

  "a released turn leaves nothing": ({ begin, id, load, owner, store }) =>
    Effect.gen(function*() {
      const { claim } = yield* begin("one")
      yield* store.record(claim, { path: "main/0", kind: "answer", hash: "h", body: {} })
      yield* store.release(claim)
      const loaded = yield* load(id)
      yield* same("the session", [loaded.head.version, loaded.open, loaded.commits], [0, [], []])
      yield* same("the turn", yield* store.turn(id, "one"), { _tag: "Unknown" })
      yield* same("the list", yield* store.list({ owner, limit: 10 }), [])
      const again = yield* begin("one")
      yield* expect(again.claim.attempt > claim.attempt, "attempts only grow")
      yield* same("the journal", again.journal, [])
    }),

  "a session that needs somebody is listed": ({ begin, id, other, prompt, store, third }) =>
    Effect.gen(function*() {
      const mine = Effect.map(
        store.unfinished({ limit: 1000, idleFor: 0 }),
        (sessions) => sessions.filter((session) => [id, other, third].includes(session)).sort()
      )
      const first = yield* begin("one")
      yield* begin("one", { session: other, lease: 0 })
      const last = yield* begin("one", { session: third })
      yield* store.claim(prompt("two"), { lease: LEASE, backlog: 1 })
      yield* same("with an expired lease", yield* mine, [other])
      yield* store.commit(first.claim, ends("one"))
      yield* store.commit(last.claim, ends("one"))
      yield* same("with a turn that waits", yield* mine, [id, other])
      const patient = yield* store.unfinished({ limit: 1000, idleFor: 60_000 })
      yield* expect(!patient.includes(id), "a turn that waits is left alone for a while")
    }),

  "a wish to cancel reaches the owner": ({ begin, id, prompt, store }) =>
    Effect.gen(function*() {
      const { claim } = yield* begin("one")
      yield* store.claim(prompt("two"), { lease: LEASE, backlog: 1 })
      yield* same("nothing to cancel", yield* store.requestCancel(id, "no such turn", {}), false)
      yield* same("the first wish", yield* store.requestCancel(id, "one", { by: "ada" }), true)
      yield* same("the second wish", yield* store.requestCancel(id, "one", { by: "bob" }), true)
      yield* store.requestCancel(id, "two", { by: "eve" })
      const mine = Effect.map(store.cancelRequests, (all) => all.filter(({ session }) => session === id))
      const wishes = (yield* mine).map(({ reason, turn }) => [turn, reason]).sort()
      yield* same("the wishes", wishes, [["one", { by: "ada" }], ["two", { by: "eve" }]])
      yield* store.commit(claim, ends("one"))
      yield* same("the turn is over", yield* store.requestCancel(id, "one", {}), false)
      const two = Option.getOrUndefined(yield* store.resume(id, { lease: LEASE }))
      yield* same("who claims it sees the wish", two && Option.getOrUndefined(two.turn.cancel), { by: "eve" })
      yield* same("the wishes that are left", (yield* mine).map(({ turn }) => turn), ["two"])
    })
}
