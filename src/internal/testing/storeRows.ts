/**
 * The promises of keys and values: what goes in comes out.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import { same } from "./brokenPromise.ts"
import { type Check, ends, large, LEASE, refused } from "./storeFixture.ts"

/** Keys that have broken databases, paths and templates. */
const hostile: ReadonlyArray<string> = [
  "\0",
  "a\0b",
  "\ud800",
  "\udfff",
  "\ufffd",
  "~",
  "~\\u0000",
  "'; drop table troupe_sessions; --",
  "\"quoted\"",
  "100%_$1?",
  "../../etc/passwd",
  "{\"json\":true}",
  "a\nb\tc",
  " leading and trailing ",
  "\u202eright to left",
  "👩‍👩‍👧‍👧",
  "e\u0301",
  "\u00e9",
  "__proto__",
  "A",
  "a"
]

const nested = (depth: number): Schema.Json => {
  let value: Schema.Json = "deep"
  for (let level = 0; level < depth; level++) value = [value]
  return value
}

const values: Readonly<Record<string, Schema.Json>> = {
  nothing: null,
  texts: ["", "\0", "\ud800", "\u2028", "\\u0000", "👩‍👩‍👧‍👧"],
  numbers: [0, -1.5, 1e300, 5e-324, 9_007_199_254_740_991, 0.1],
  keys: { "": 1, "\0": 2, "a b": 3, constructor: 4 },
  prototype: JSON.parse("{\"__proto__\":{\"admin\":true}}"),
  nested: nested(200),
  large: { file: large("file"), note: "small" },
  list: Array.from({ length: 5000 }, (_, n) => ({ n, text: `row ${n} of a long result` })),
  twice: [large("file"), large("file")],
  reference: { "~blob": "0".repeat(64) },
  references: [{ "~blob": { "~blob": large("inner") } }]
}

export const checks: Readonly<Record<string, Check>> = {
  "keys of all kinds are kept apart and come back as they are": ({ begin, id, load, owner, store }) =>
    Effect.gen(function*() {
      for (const text of hostile) {
        const session = `${text} ${id}`
        yield* store.delete(session)
        const { claim } = yield* begin(text, { session, owner: `${text} ${owner}`, hash: text, author: text })
        yield* store.record(claim, { path: text, kind: "answer", hash: text, body: text })
        yield* store.ask(claim, { path: text, kind: "approval", request: text })
        yield* store.decide({ session, turn: text, path: text }, { value: text, by: text })
        const wake = {
          session,
          owner: `${text} ${owner}`,
          key: text,
          at: 9e12,
          cron: Option.none(),
          author: text,
          input: text
        }
        yield* same("the wake", yield* store.setWake(wake, { limit: 1 }), "Set")
        const open = yield* store.turn(session, text)
        if (open._tag === "Open") {
          const [call] = open.calls
          yield* same("the journal", open.journal.map(({ hash, path }) => [path, hash]), [[text, text]])
          yield* same("the call", [call?.session, call?.owner, call?.turn, call?.path], [
            session,
            `${text} ${owner}`,
            text,
            text
          ])
          yield* same("who decided", call && Option.getOrUndefined(call.decision)?.by, text)
        }
        yield* store.commit(claim, { ...ends(text), end: text, title: text, tags: [text], states: { [text]: text } })
      }
      for (const text of hostile) {
        const session = `${text} ${id}`
        const { commits, head, states } = yield* load(session)
        yield* same("the head", [head.session, head.owner, head.title, head.tags], [session, `${text} ${owner}`, text, [
          text
        ]])
        yield* same("the states", Object.entries(states), [[text, text]])
        yield* same("the turn", commits.map((each) => [each.turn, each.hash, each.author, each.end]), [[
          text,
          text,
          text,
          text
        ]])
        const listed = yield* store.list({ owner: `${text} ${owner}`, limit: 10 })
        yield* same("the list", listed.map((each) => each.session), [session])
        const removed = yield* store.delete(session)
        yield* same("what was removed", [removed.sessions, removed.commits, removed.wakes], [1, 1, 1])
      }
    }),

  "a key that is empty or too long is refused": ({ id, prompt, store }) =>
    Effect.gen(function*() {
      const claim = (changes: object) => store.claim(prompt("one", changes), { lease: LEASE, backlog: 0 })
      for (const text of ["x".repeat(501), "\0".repeat(200), "👩".repeat(200), "x".repeat(1_000_000)]) {
        for (const field of ["session", "turn", "owner"]) {
          yield* refused(`a long ${field}`, "InvalidKey", claim({ [field]: text }))
        }
      }
      yield* refused("an empty session", "InvalidKey", claim({ session: "" }))
      yield* refused("an empty turn", "InvalidKey", claim({ turn: "" }))
      yield* refused("a long session", "InvalidKey", store.load("x".repeat(501), { recent: 1 }))
      const longest = { session: id.padEnd(500, "s"), turn: "t".repeat(500), owner: "" }
      const outcome = yield* claim(longest)
      if (outcome._tag === "Claimed") {
        yield* store.record(outcome.claimed.claim, { path: "é".repeat(500), kind: "answer", hash: "", body: null })
        yield* store.commit(outcome.claimed.claim, ends("one"))
      }
      yield* same("the longest keys", [outcome._tag, (yield* store.delete(longest.session)).commits], ["Claimed", 1])
    }),

  "values of all kinds and sizes come back as they are": ({ begin, id, load, store }) =>
    Effect.gen(function*() {
      for (const [name, value] of Object.entries(values)) {
        const { claim } = yield* begin(name, { input: value, lease: 0 })
        yield* store.record(claim, { path: "main/0", kind: "answer", hash: "h", body: value })
        yield* store.ask(claim, { path: "main/1", kind: "external", request: value })
        yield* store.decide({ session: id, turn: name, path: "main/1" }, { value, by: "ada" })
        const again = Option.getOrThrow(yield* store.resume(id, { lease: LEASE }))
        const call = again.calls[0]
        yield* same(`${name} as input`, again.turn.input, value)
        yield* same(`${name} in the journal`, again.journal[0]?.body, value)
        yield* same(`${name} as request`, call?.request, value)
        yield* same(`${name} as decision`, call && Option.getOrUndefined(call.decision)?.value, value)
        yield* store.commit(again.claim, {
          end: "completed",
          entries: [value, [value]],
          usage: value,
          result: value,
          states: { [name]: value }
        })
      }
      const { commits, states } = yield* load(id)
      for (const [index, [name, value]] of Object.entries(values).entries()) {
        const commit = commits[index]
        yield* same(`${name} as state`, states[name], value)
        yield* same(`${name} in a commit`, [commit?.entries, commit?.usage, commit?.result], [
          [value, [value]],
          value,
          value
        ])
      }
    }),

  "a deleted session's large values leave those of others alone": ({ id, load, other, say, store, third }) =>
    Effect.gen(function*() {
      const file = { file: large("shared") }
      for (const session of [id, other]) yield* say("1", { session, entries: [file, file] })
      yield* store.fork(id, { to: third, version: 1, author: "ada" })
      yield* store.delete(id)
      yield* same("the fork's file", (yield* load(third)).commits[0]?.entries, [file, file])
      yield* store.delete(third)
      yield* same("the other's file", (yield* load(other)).commits[0]?.entries, [file, file])
      yield* say("1", { entries: [file] })
      yield* store.delete(other)
      yield* same("the file that came again", (yield* load(id)).commits[0]?.entries, [file])
    })
}
