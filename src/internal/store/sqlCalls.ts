/**
 * Wishes to cancel, calls that wait, and wakes as statements.
 *
 * @internal
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Contract from "./contract.ts"
import { type Database, type Failure, type Row, run, toNumber, toText } from "./database.ts"
import { fromKey, toKey } from "./keys.ts"
import { CALL, type Rows } from "./rows.ts"
import { encode } from "./values.ts"

type Calls = Pick<
  Contract.Store,
  | "requestCancel"
  | "cancelRequests"
  | "pendingCalls"
  | "decide"
  | "setWake"
  | "removeWake"
  | "dueWakes"
  | "delivered"
>

export const makeCalls = (db: Database, rows: Rows): Calls => {
  const cancelClaimed = db.query(`update troupe_sessions set cancel = coalesce(cancel, :reason)
    where session = :session and turn = :turn returning 1 as done`)
  const cancelWaiting = db.query(`update troupe_turns set cancel = coalesce(cancel, :reason)
    where session = :session and turn = :turn returning 1 as done`)
  const cancels = db.query(`select session, turn, cancel from troupe_sessions where cancel is not null
    union all select session, turn, cancel from troupe_turns where cancel is not null`)
  const pending = (where: string) =>
    db.query(`select ${CALL} from troupe_calls c join troupe_sessions s on s.session = c.session
      where c.decision is null and (c.expires_at is null or c.expires_at > {now}) and ${where}
      order by c.asked_at limit :limit`)
  const pendings = {
    all: pending("1 = 1"),
    owner: pending("s.owner = :owner"),
    session: pending("s.session = :session"),
    both: pending("s.owner = :owner and s.session = :session")
  }
  const decide = db.query(`update troupe_calls set decision = :decision, decided_by = :by, decided_at = {now}
    where session = :session and turn = :turn and path = :path returning decided_at`)
  const unpark = db.query(
    "update troupe_sessions set until = 0 where session = :session and turn = :turn and parked = 1"
  )
  const countWakes = db.query("select count(*) as others from troupe_wakes where session = :session and name <> :name")
  const setWake = db.query(`insert into troupe_wakes (session, name, due_at, cron, author, input, held_until)
    values (:session, :name, :due, :cron, :author, :input, 0)
    on conflict (session, name) do update set due_at = excluded.due_at, cron = excluded.cron, author = excluded.author,
      input = excluded.input, held_until = 0`)
  const removeWake = db.query("delete from troupe_wakes where session = :session and name = :name returning 1 as done")
  const dueWakes = db.query(`update troupe_wakes set held_until = {now} + cast(:hold as {int})
    where (session, name) in (select session, name from troupe_wakes where due_at <= {now} and held_until <= {now}
      order by due_at limit :limit {skip})
    returning session, name, due_at, cron, author, input,
      (select owner from troupe_sessions s where s.session = troupe_wakes.session) as owner`)
  const wakeDone = db.query("delete from troupe_wakes where session = :session and name = :name and due_at = :due")
  const wakeAgain = db.query(`update troupe_wakes set due_at = :next, held_until = 0
    where session = :session and name = :name and due_at = :due`)

  return {
    requestCancel: (session, turn, reason) =>
      run(
        "requestCancel",
        { session, turn },
        Effect.flatMap(encode(reason), (encoded) => {
          const values = { session: toKey(session), turn: toKey(turn), reason: encoded.text }
          const request = db.transaction(Effect.gen(function*() {
            yield* rows.lock(values.session)
            const claimed = yield* cancelClaimed(values)
            return claimed.length > 0 || (yield* cancelWaiting(values)).length > 0
          }))
          return rows.withBlobs(values.session, [encoded], request, (found) => found)
        })
      ),
    cancelRequests: run(
      "cancelRequests",
      {},
      Effect.flatMap(
        cancels(),
        (found) =>
          Effect.map(
            rows.decode(found.map(({ cancel }) => toText(cancel))),
            (reasons) =>
              found.map(({ session, turn }, index) => ({
                session: fromKey(toText(session)),
                turn: fromKey(toText(turn)),
                reason: reasons[index]!
              }))
          )
      )
    ),
    pendingCalls: ({ limit, owner, session }) => {
      const values = { owner: toKey(owner ?? ""), session: toKey(session ?? ""), limit }
      const which = owner === undefined
        ? session === undefined ? pendings.all : pendings.session
        : session === undefined
        ? pendings.owner
        : pendings.both
      return run("pendingCalls", { owner, session }, Effect.flatMap(which(values), rows.pending))
    },
    decide: ({ path, session, turn }, { by, value }) =>
      run(
        "decide",
        { session, turn, path },
        Effect.flatMap(encode(value), (encoded) => {
          const ids = { session: toKey(session), turn: toKey(turn) }
          const decided = db.transaction(Effect.gen(function*(): Effect.fn.Return<Contract.DecideOutcome, Failure> {
            yield* rows.lock(ids.session)
            const call = (yield* rows.calls(ids.session, ids.turn)).find((each) => each.path === path)
            if (call === undefined) return { _tag: "Unknown" }
            if (call.status === "decided") return { _tag: "AlreadyDecided", call }
            if (call.status === "expired") return { _tag: "Expired", call }
            const [row] = yield* decide({ ...ids, path: toKey(path), decision: encoded.text, by: toKey(by) })
            yield* unpark(ids)
            const decision = Option.some({ value, by, at: toNumber(row?.decided_at) })
            return { _tag: "Decided", call: { ...call, status: "decided", decision } }
          }))
          return rows.withBlobs(ids.session, [encoded], decided, ({ _tag }) => _tag === "Decided")
        })
      ),
    setWake: (wake, { limit }) =>
      run(
        "setWake",
        { session: wake.session, owner: wake.owner, key: wake.key },
        Effect.flatMap(encode(wake.input), (encoded) => {
          const ids = { session: toKey(wake.session), name: toKey(wake.key) }
          const set = db.transaction(Effect.gen(function*() {
            const session = yield* rows.lockOrCreate(ids.session, toKey(wake.owner))
            if (fromKey(toText(session.owner)) !== wake.owner) return "Forbidden"
            const [row] = yield* countWakes(ids)
            if (toNumber(row?.others) >= limit) return "Full"
            const cron = Option.getOrNull(wake.cron)
            yield* setWake({ ...ids, due: wake.at, cron, author: toKey(wake.author), input: encoded.text })
            return "Set"
          }))
          return rows.withBlobs(ids.session, [encoded], set, (done) => done === "Set")
        })
      ),
    removeWake: (session, key) =>
      run(
        "removeWake",
        { session, key },
        Effect.map(removeWake({ session: toKey(session), name: toKey(key) }), (done) => done.length > 0)
      ),
    dueWakes: ({ hold, limit }) =>
      run(
        "dueWakes",
        {},
        Effect.flatMap(dueWakes({ hold: Math.round(Duration.toMillis(hold)), limit }), (found) =>
          Effect.map(
            rows.decode(found.map(({ input }) => toText(input))),
            (inputs) => found.map((row, index) => toWake(row, inputs[index]!)).sort((a, b) => a.at - b.at)
          ))
      ),
    delivered: (wake, next) => {
      const ids = { session: toKey(wake.session), name: toKey(wake.key), due: wake.at }
      return run(
        "delivered",
        { session: wake.session, key: wake.key },
        Effect.asVoid(next === undefined ? wakeDone(ids) : wakeAgain({ ...ids, next }))
      )
    }
  }
}

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const toWake = (row: Row, input: Contract.Wake["input"]): Contract.Wake => ({
  session: fromKey(toText(row.session)),
  owner: fromKey(toText(row.owner)),
  key: fromKey(toText(row.name)),
  at: toNumber(row.due_at),
  cron: row.cron === null ? Option.none() : Option.some(toText(row.cron)),
  author: fromKey(toText(row.author)),
  input
})
