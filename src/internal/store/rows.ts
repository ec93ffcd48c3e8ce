/**
 * Rows of the database as what they mean, with their large values.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import { retype } from "../retype.ts"
import type * as Contract from "./contract.ts"
import { type Database, type Failure, type Query, type Row, toNumber, toText } from "./database.ts"
import { fromKey } from "./keys.ts"
import { statusOf } from "./rules.ts"
import { type Blob, decodeAll, type Encoded } from "./values.ts"

/** What is read and written for several operations. */
export interface Rows {
  /** The session's row, locked for the transaction. */
  readonly lock: (session: string) => Effect.Effect<Row | undefined, Failure>
  /** The same, and creates the session if it is not there. */
  readonly lockOrCreate: (session: string, owner: string) => Effect.Effect<Row, Failure>
  readonly waiting: (session: string) => Effect.Effect<ReadonlyArray<Row>, Failure>
  /** The claimed turn of a session's row, then those that wait. */
  readonly open: (
    session: Row | undefined,
    waiting: ReadonlyArray<Row>
  ) => Effect.Effect<ReadonlyArray<Contract.OpenTurn>, Failure>
  readonly journal: (session: string, turn: string) => Effect.Effect<ReadonlyArray<Contract.JournalRow>, Failure>
  readonly calls: (session: string, turn: string) => Effect.Effect<ReadonlyArray<Contract.PendingCall>, Failure>
  readonly receipt: (session: string, turn: string) => Effect.Effect<Contract.Commit | undefined, Failure>
  readonly commits: (rows: ReadonlyArray<Row>) => Effect.Effect<ReadonlyArray<Contract.Commit>, Failure>
  readonly pending: (rows: ReadonlyArray<Row>) => Effect.Effect<ReadonlyArray<Contract.PendingCall>, Failure>
  /** Locks the blobs of sessions, a JSON array of their keys, in the order in which all lock them. */
  readonly lockBlobs: Query
  readonly decode: (texts: ReadonlyArray<string>) => Effect.Effect<ReadonlyArray<Schema.Json>, Failure>
  /** Runs an effect together with the blobs that it refers to; if `keeps` says no, without them. */
  readonly withBlobs: <A>(
    session: string,
    encoded: ReadonlyArray<Encoded>,
    effect: Effect.Effect<A, Failure>,
    keeps?: (done: A) => boolean
  ) => Effect.Effect<A, Failure>
}

/** All of a session's row that is asked for, with the time now. */
const SESSION = `session, owner, title, tags, version, branch, cast(states as text) as states, created_at, used_at,
  attempt, turn, hash, author, input, turn_at, cancel, progress, parked, until, {now} as time`

export const COMMIT = "session, version, parent, branch, kind, turn, hash, attempt, author, ended, body, made_at"

export const CALL = `c.session as session, c.turn as turn, c.path as path, c.kind as kind, c.request as request,
  c.asked_at as asked_at, c.expires_at as expires_at, c.decision as decision, c.decided_by as decided_by,
  c.decided_at as decided_at, s.owner as owner, {now} as time`

export const makeRows = (db: Database): Rows => {
  const find = db.query(`select ${SESSION} from troupe_sessions where session = :session {lock}`)
  const create = db.query(`insert into troupe_sessions
    (session, owner, title, tags, version, branch, states, created_at, used_at, attempt)
    values (:session, :owner, '', '[]', 0, 1, '{}', {now}, {now}, 0) on conflict do nothing`)
  const waiting = db.query("select * from troupe_turns where session = :session order by place")
  const journal = db.query("select * from troupe_journal where session = :session and turn = :turn")
  const calls = db.query(`select ${CALL} from troupe_calls c join troupe_sessions s on s.session = c.session
    where c.session = :session and c.turn = :turn`)
  const receipt = db.query(`select ${COMMIT} from troupe_commits where session = :session and turn = :turn`)
  const blobs = db.query("select hash, body from troupe_blobs where hash in {each :hashes}")
  const lockBlobs = db.query(`select hash from troupe_blobs
    where hash in (select hash from troupe_blob_uses where session in {each :sessions}) order by hash {lock}`)
  const use = db.query(`insert into troupe_blob_uses (session, hash) values (:session, :hash)
    on conflict do nothing returning hash`)
  const count = db.query("update troupe_blobs set uses = uses + 1 where hash = :hash returning 1 as done")
  const keep = db.query(`insert into troupe_blobs (hash, body, uses) values (:hash, :body, 1)
    on conflict (hash) do update set uses = troupe_blobs.uses + 1`)

  const lock: Rows["lock"] = (session) => Effect.map(find({ session }), ([row]) => row)

  const decode: Rows["decode"] = (texts) =>
    decodeAll(texts, (hashes) =>
      Effect.map(
        blobs({ hashes: JSON.stringify(hashes) }),
        (rows) => new Map(rows.map(({ body, hash }) => [toText(hash), toText(body)]))
      ))

  // Each is counted once a session, and sent only if it is new. In one order everywhere, so that two transactions don't
  // wait for each other.
  const put = (session: string, blobs: ReadonlyArray<Blob>) =>
    Effect.forEach(
      blobs.toSorted((a, b) => a.hash < b.hash ? -1 : 1),
      Effect.fnUntraced(function*({ body, hash }) {
        if ((yield* use({ session, hash })).length === 0 || (yield* count({ hash })).length > 0) return
        yield* keep({ hash, body })
      }),
      { discard: true }
    )

  const pending: Rows["pending"] = (rows) =>
    Effect.map(
      decode(rows.flatMap(({ decision, request }) => [toText(request), toText(decision)])),
      (values) => rows.map((row, index) => toPendingCall(row, values[index * 2]!, values[index * 2 + 1]!))
    )

  const commits: Rows["commits"] = (rows) =>
    Effect.map(
      decode(rows.map(({ body }) => toText(body))),
      (bodies) => rows.map((row, index) => toCommit(row, bodies[index]!))
    )

  return {
    lock,
    lockOrCreate: (session, owner) =>
      Effect.flatMap(lock(session), (row) =>
        row === undefined
          ? Effect.map(Effect.andThen(create({ session, owner }), lock(session)), (row) => row!)
          : Effect.succeed(row)),
    waiting: (session) => waiting({ session }),
    open: (session, waiting) => {
      const claimed = session?.turn === null || session === undefined ? [] : [session]
      const rows = [...claimed, ...waiting.filter(({ turn }) => turn !== session?.turn)]
      const values = decode(rows.flatMap(({ cancel, input }) => [toText(input), toText(cancel)]))
      return Effect.map(values, (values) => {
        const now = toNumber(session?.time)
        const owner = fromKey(toText(session?.owner))
        return rows.map((row, index) => {
          const cancel = row.cancel === null ? Option.none() : Option.some(values[index * 2 + 1]!)
          const place = claimed.length === 1 && index === 0
            ? { status: statusOf(toClaimState(row), now), attempt: toNumber(row.attempt), position: 0 }
            : { status: "waiting" as const, attempt: 0, position: index + 1 - claimed.length }
          return toTurn(row, owner, values[index * 2]!, cancel, place)
        })
      })
    },
    journal: (session, turn) =>
      Effect.flatMap(
        journal({ session, turn }),
        (rows) =>
          Effect.map(decode(rows.map(({ body }) => toText(body))), (bodies) =>
            rows.map((row, index) => ({
              path: fromKey(toText(row.path)),
              kind: retype<Contract.JournalEntry["kind"]>(row.kind),
              hash: fromKey(toText(row.hash)),
              body: bodies[index]!,
              attempt: toNumber(row.attempt)
            })))
      ),
    calls: (session, turn) => Effect.flatMap(calls({ session, turn }), pending),
    receipt: (session, turn) => Effect.map(Effect.flatMap(receipt({ session, turn }), commits), ([commit]) => commit),
    commits,
    pending,
    lockBlobs,
    decode,
    withBlobs: (session, encoded, effect, keeps = () => true) => {
      const found = new Map(encoded.flatMap(({ blobs }) => blobs).map((blob) => [blob.hash, blob]))
      if (found.size === 0) return effect
      return db.transaction(
        Effect.tap(effect, (done) => keeps(done) ? put(session, [...found.values()]) : Effect.void)
      )
    }
  }
}

/** `until` of a turn that is parked for good. */
export const FOREVER = 9_000_000_000_000_000

export const toClaimState = (row: Row) => ({ parked: toNumber(row.parked) === 1, until: toNumber(row.until) })

export const toHead = (row: Row): Contract.Head => ({
  session: fromKey(toText(row.session)),
  owner: fromKey(toText(row.owner)),
  title: fromKey(toText(row.title)),
  tags: retype<ReadonlyArray<string>>(JSON.parse(toText(row.tags))),
  version: toNumber(row.version),
  branch: toNumber(row.branch),
  createdAt: toNumber(row.created_at),
  usedAt: toNumber(row.used_at)
})

/** State names, as keys, with the version at which each was set. */
export const toPointers = (row: Row): ReadonlyMap<string, number> =>
  new Map(Object.entries(retype<Record<string, number>>(JSON.parse(toText(row.states)))))

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const toTurn = (
  row: Row,
  owner: string,
  input: Schema.Json,
  cancel: Contract.OpenTurn["cancel"],
  place: Pick<Contract.OpenTurn, "status" | "attempt" | "position">
): Contract.OpenTurn => ({
  session: fromKey(toText(row.session)),
  owner,
  turn: fromKey(toText(row.turn)),
  hash: fromKey(toText(row.hash)),
  author: fromKey(toText(row.author)),
  input,
  at: toNumber(row.turn_at),
  cancel,
  ...place
})

const toPendingCall = (row: Row, request: Schema.Json, decision: Schema.Json): Contract.PendingCall => {
  const expiresAt = row.expires_at === null ? Option.none() : Option.some(toNumber(row.expires_at))
  const isExpired = Option.exists(expiresAt, (at) => at <= toNumber(row.time))
  return {
    session: fromKey(toText(row.session)),
    owner: fromKey(toText(row.owner)),
    turn: fromKey(toText(row.turn)),
    path: fromKey(toText(row.path)),
    kind: retype<Contract.PendingCall["kind"]>(row.kind),
    request,
    status: row.decision !== null ? "decided" : isExpired ? "expired" : "waiting",
    askedAt: toNumber(row.asked_at),
    expiresAt,
    decision: row.decision === null
      ? Option.none()
      : Option.some({ value: decision, by: fromKey(toText(row.decided_by)), at: toNumber(row.decided_at) })
  }
}

const toCommit = (row: Row, body: Schema.Json): Contract.Commit => ({
  session: fromKey(toText(row.session)),
  version: toNumber(row.version),
  parent: toNumber(row.parent),
  branch: toNumber(row.branch),
  kind: retype<Contract.Commit["kind"]>(row.kind),
  turn: fromKey(toText(row.turn)),
  hash: fromKey(toText(row.hash)),
  attempt: toNumber(row.attempt),
  author: fromKey(toText(row.author)),
  end: fromKey(toText(row.ended)),
  ...retype<Pick<Contract.Commit, "entries" | "usage" | "result">>(body),
  at: toNumber(row.made_at)
})
