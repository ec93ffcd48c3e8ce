/**
 * What needs somebody, and what nobody needs any more.
 *
 * @internal
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Contract from "./contract.ts"
import { type Database, type Failure, type Query, run, toNumber, toText } from "./database.ts"
import { fromKey, toKey } from "./keys.ts"
import type { Rows } from "./rows.ts"

type Removal = Pick<Contract.Store, "unfinished" | "prune" | "delete" | "deleteOwner">

export const makeRemoval = (db: Database, rows: Rows): Removal => {
  const unfinished = db.query(`select session from troupe_sessions where turn is not null and until <= {now}
    union select t.session from troupe_turns t join troupe_sessions s on s.session = t.session
      where s.turn is null and s.used_at <= {now} - cast(:idle as {int})
    limit :limit`)
  const idle = db.query(`select session from troupe_sessions s
    where used_at <= {now} - cast(:idle as {int}) and turn is null
      and not exists (select 1 from troupe_turns t where t.session = s.session)
      and not exists (select 1 from troupe_wakes w where w.session = s.session)
    order by used_at limit :limit {skip}`)
  const one = db.query("select session from troupe_sessions where session = :session {lock}")
  const owned = db.query("select session from troupe_sessions where owner = :owner order by session {lock}")
  // A claimed turn is a part of its session's row.
  const countClaimed = db.query(`select count(*) as found from troupe_sessions
    where session in {each :sessions} and turn is not null`)
  const tables = {
    turns: removeFrom(db, "troupe_turns"),
    commits: removeFrom(db, "troupe_commits"),
    journal: removeFrom(db, "troupe_journal"),
    calls: removeFrom(db, "troupe_calls"),
    wakes: removeFrom(db, "troupe_wakes"),
    sessions: removeFrom(db, "troupe_sessions")
  }
  const unuse = db.query(`update troupe_blobs set uses = uses - (select count(*) from troupe_blob_uses u
      where u.hash = troupe_blobs.hash and u.session in {each :sessions})
    where hash in (select hash from troupe_blob_uses where session in {each :sessions})`)
  const unused = db.query(`delete from troupe_blobs where uses <= 0
      and hash in (select hash from troupe_blob_uses where session in {each :sessions}) returning 1 as done`)
  const uses = db.query("delete from troupe_blob_uses where session in {each :sessions}")

  const remove = (find: ReturnType<Query>): Effect.Effect<Contract.Removed, Failure> =>
    db.transaction(Effect.gen(function*() {
      const found = yield* find
      if (found.length === 0) return nothing
      const values = { sessions: JSON.stringify(found.map(({ session }) => toText(session))) }
      const [claimed] = yield* countClaimed(values)
      yield* rows.lockBlobs(values)
      yield* unuse(values)
      const blobs = yield* unused(values)
      yield* uses(values)
      return {
        turns: toNumber(claimed?.found) + (yield* tables.turns(values)),
        commits: yield* tables.commits(values),
        journal: yield* tables.journal(values),
        calls: yield* tables.calls(values),
        wakes: yield* tables.wakes(values),
        sessions: yield* tables.sessions(values),
        blobs: blobs.length
      }
    }))

  return {
    unfinished: ({ idleFor, limit }) =>
      run(
        "unfinished",
        {},
        Effect.map(
          unfinished({ idle: toMillis(idleFor), limit }),
          (found) => found.map(({ session }) => fromKey(toText(session)))
        )
      ),
    prune: ({ idleFor, limit }) => run("prune", {}, remove(idle({ idle: toMillis(idleFor), limit }))),
    delete: (session) => run("delete", { session }, remove(one({ session: toKey(session) }))),
    deleteOwner: (owner) => run("deleteOwner", { owner }, remove(owned({ owner: toKey(owner) })))
  }
}

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const nothing: Contract.Removed = { sessions: 0, turns: 0, commits: 0, journal: 0, calls: 0, wakes: 0, blobs: 0 }

const removeFrom = (db: Database, table: string) => {
  const count = db.query(`select count(*) as found from ${table} where session in {each :sessions}`)
  const remove = db.query(`delete from ${table} where session in {each :sessions}`)
  return (values: { readonly sessions: string }) =>
    Effect.flatMap(count(values), ([row]) => Effect.as(remove(values), toNumber(row?.found)))
}

const toMillis = (input: Duration.Input): number => Math.round(Duration.toMillis(input))
