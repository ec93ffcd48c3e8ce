/**
 * The work of the benches of stores: a turn of four messages (2 KB) is claimed and committed. `raw` sends the statements that
 * the store sends, over the same driver.
 */
import { PgClient } from "@effect/sql-pg"
import { Effect, Layer, ManagedRuntime, Redacted } from "effect"
import type { SqlClient } from "effect/sql"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import * as Sqlite from "../../src/node/Sqlite.ts"
import * as SessionStore from "../../src/SessionStore.ts"
import { startPostgres } from "../../test/fixtures/postgres.ts"

export type Runtime = ManagedRuntime.ManagedRuntime<SessionStore.SessionStore | SqlClient.SqlClient, unknown>

const entries = [0, 1, 2, 3].map((n) => ({ role: n % 2 === 0 ? "user" : "assistant", text: "x".repeat(450) }))
const usage = { input: 100, output: 200 }
const result = { text: "x".repeat(100) }
const input = { text: "x".repeat(100) }

/** One turn through the store. */
export const turn = (store: SessionStore.Store, session: string, turn: string) =>
  Effect.gen(function*() {
    const prompt = { session, owner: "ada", turn, hash: turn, author: "ada", input }
    const outcome = yield* store.claim(prompt, { lease: 15_000, backlog: 0 })
    if (outcome._tag !== "Claimed") return yield* Effect.die(new Error(`bench: ${outcome._tag}`))
    return yield* store.commit(outcome.claimed.claim, { end: "completed", entries, usage, result })
  })

const values = (turn: string) => ({
  turn,
  input: JSON.stringify(input),
  body: JSON.stringify({ entries, usage, result })
})

/** A database file in a folder that goes with the process. */
export const openSqlite = (): { readonly file: string; readonly runtime: Runtime } => {
  const folder = mkdtempSync(join(tmpdir(), "effect-troupe-bench-"))
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, "sessions.db")
  return { file, runtime: ManagedRuntime.make(SessionStore.layerSql.pipe(Layer.provideMerge(Sqlite.layer({ file })))) }
}

/** A Postgres of its own, which ends with the process. */
export const openPostgres = async (): Promise<Runtime> => {
  const { url } = await startPostgres()
  const client = PgClient.layer({ url: Redacted.make(url), maxConnections: 16 })
  return ManagedRuntime.make(SessionStore.layerSql.pipe(Layer.provideMerge(client)))
}

/** Turns by prepared statements of node:sqlite, in the tables of the store. */
export const rawSqlite = (file: string): (session: string, turn: string) => number => {
  const database = new DatabaseSync(file)
  database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL")
  const claim = database.prepare(claimStatement({ now: "?", lease: "?" }))
  const commit = database.prepare(
    `insert into troupe_commits (session, version, parent, branch, kind, turn, hash, attempt,
      author, ended, body, changes, states, title, tags, made_at)
    select session, version + 1, version, branch, 'turn', turn, hash, attempt, author, ?, ?, null, json_patch(states, '{}'),
      null, null, ?
    from troupe_sessions where session = ? and turn = ? and attempt = ? and parked = 0 and version = ?
    returning branch, hash, author, made_at`
  )
  return (session, id) => {
    const { body, input, turn } = values(id)
    const now = Date.now()
    const [claimed] = claim.all(session, "ada", now, now, turn, turn, "ada", input, now, now, 15_000)
    if (claimed === undefined) throw new Error("bench: not claimed")
    const done = commit.all("completed", body, now, session, turn, claimed.attempt!, claimed.version!)
    return done.length
  }
}

/** Turns by the statements that the store sends to Postgres. */
export const rawPostgres = (sql: SqlClient.SqlClient) => {
  const now = "cast(extract(epoch from clock_timestamp()) * 1000 as bigint)"
  const claim = claimStatement({ now, lease: "cast($7 as bigint)", numbered: true })
  const commit = `with s as (
      update troupe_sessions set version = version + 1, states = states || '{}', used_at = ${now}, turn = null, input = null,
        cancel = null
      where session = $1 and turn = $2 and attempt = $3 and parked = 0 and version = cast($4 as bigint)
      returning session, version, branch, hash, author, attempt, states, used_at),
    j as (delete from troupe_journal where session = $1 and turn = $2 and exists (select 1 from s)),
    c as (delete from troupe_calls where session = $1 and turn = $2 and exists (select 1 from s))
    insert into troupe_commits (session, version, parent, branch, kind, turn, hash, attempt, author, ended, body, changes,
      states, title, tags, made_at)
    select session, version, version - 1, branch, 'turn', cast($2 as text), hash, attempt, author, cast($5 as text),
      cast($6 as text), null, states, null, null, used_at
    from s returning branch, hash, author, made_at`
  return Effect.fnUntraced(function*(session: string, id: string) {
    const { body, input, turn } = values(id)
    const [claimed] = yield* sql.unsafe<{ attempt: number; version: number }>(claim, [
      session,
      "ada",
      turn,
      turn,
      "ada",
      input,
      15_000
    ])
    if (claimed === undefined) return yield* Effect.die(new Error("bench: not claimed"))
    const { attempt, version } = claimed
    return yield* sql.unsafe(commit, [session, turn, attempt, version, "completed", body])
  })
}

const claimStatement = (
  { lease, now, numbered = false }: { readonly now: string; readonly lease: string; readonly numbered?: boolean }
): string => {
  const [session, owner, turn, hash, author, input] = numbered
    ? ["$1", "$2", "$3", "$4", "$5", "$6"]
    : ["?", "?", "?", "?", "?", "?"]
  return `insert into troupe_sessions (session, owner, title, tags, version, branch, states, created_at, used_at, attempt, turn,
      hash, author, input, turn_at, progress, parked, until)
    values (${session}, ${owner}, '', '[]', 0, 1, '{}', ${now}, ${now}, 1, ${turn}, ${hash}, ${author}, ${input}, ${now}, 0, 0,
      ${now} + ${lease})
    on conflict (session) do update set attempt = troupe_sessions.attempt + 1, turn = excluded.turn, hash = excluded.hash,
      author = excluded.author, input = excluded.input, turn_at = excluded.turn_at, progress = troupe_sessions.attempt,
      parked = 0, until = excluded.until, used_at = excluded.used_at
    where troupe_sessions.turn is null and troupe_sessions.owner = excluded.owner
      and not exists (select 1 from troupe_turns t where t.session = excluded.session)
      and not exists (select 1 from troupe_commits c where c.session = excluded.session and c.turn = excluded.turn)
      and troupe_sessions.version = (select b.version from troupe_sessions b where b.session = excluded.session)
    returning version, attempt, turn_at`
}
