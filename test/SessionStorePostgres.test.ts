import { PgClient } from "@effect/sql-pg"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Effect, Layer, Option, Redacted } from "effect"
import { SessionStore } from "effect-troupe"
import { SessionStoreSuite } from "effect-troupe/testing"
import { SqlClient } from "effect/sql"
import { type Server, startPostgres } from "./fixtures/postgres.ts"
import { prompt, say } from "./fixtures/stores.ts"

let server: Server

beforeAll(async () => {
  server = await startPostgres()
}, 60_000)

afterAll(() => server?.stop())

const client = (database = "postgres") =>
  Layer.unwrap(
    Effect.sync(() =>
      PgClient.layer({ url: Redacted.make(server.url.replace(/\/postgres$/, `/${database}`)), maxConnections: 8 })
    )
  )

const on = (database?: string) => SessionStore.layerSql.pipe(Layer.provideMerge(client(database)))

const fresh = (database: string) =>
  Effect.flatMap(SqlClient.SqlClient, (sql) => sql.unsafe(`create database ${database}`)).pipe(Effect.provide(client()))

describe("SessionStore.layerSql on Postgres", () => {
  for (const { check, name } of SessionStoreSuite.promises(on())) it.live(name, () => check)
})

describe("SessionStore.layerSql on a database of its own", () => {
  it.live("any number of processes may start on a fresh database and use it", () =>
    Effect.gen(function*() {
      yield* fresh("together")
      const outcomes = yield* Effect.forEach(
        Array.from({ length: 5 }, (_, n) => n),
        (n) => Effect.forEach(["1", "2"], (turn) => say(`session ${n}`, turn)).pipe(Effect.provide(on("together"))),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(outcomes.flat(), Array<string>(10).fill("Committed"))
    }))

  it.live("refuses a newer format and leaves it alone", () =>
    Effect.gen(function*() {
      yield* fresh("newer")
      yield* Effect.gen(function*() {
        yield* say("s", "1")
        const sql = yield* SqlClient.SqlClient
        yield* sql`insert into troupe_format (format, made_at) values (99, 0)`
      }).pipe(Effect.provide(on("newer")))
      const error = yield* Effect.flip(Effect.provide(Effect.void, on("newer")))
      if (error._tag !== "StoreError") return assert.fail(error._tag)
      assert.deepStrictEqual({ ...error.reason }, { ...new SessionStore.NewerFormat({ found: 99, supported: 1 }) })
    }))

  it.live("keeps a large file once and leaves no row behind", () =>
    Effect.gen(function*() {
      yield* fresh("rows")
      yield* Effect.gen(function*() {
        const store = yield* SessionStore.SessionStore
        const sql = yield* SqlClient.SqlClient
        const file = "a page ".repeat(20_000)
        for (const session of ["a", "b"]) for (const turn of ["1", "2"]) yield* say(session, turn, file)
        assert.deepStrictEqual((yield* sql`select uses from troupe_blobs`).map(({ uses }) => Number(uses)), [2])
        const outcome = yield* store.claim(prompt("a", "3", file), { lease: 0, backlog: 0 })
        if (outcome._tag !== "Claimed") return assert.fail(outcome._tag)
        yield* store.claim(prompt("a", "4", "x"), { lease: 0, backlog: 1 })
        yield* store.record(outcome.claimed.claim, { path: "p", kind: "answer", hash: "", body: file })
        yield* store.ask(outcome.claimed.claim, { path: "p", kind: "approval", request: null })
        yield* store.setWake({ ...prompt("b", "5", "x"), key: "k", at: 0, cron: Option.none() }, { limit: 1 })
        const removed = yield* store.deleteOwner("ada")
        assert.deepStrictEqual(removed, { sessions: 2, turns: 2, commits: 4, journal: 1, calls: 1, wakes: 1, blobs: 1 })
        const tables = yield* sql<{ name: string }>`select tablename as name from pg_tables
          where tablename like 'troupe_%' and tablename <> 'troupe_format'`
        for (const { name } of tables) assert.deepStrictEqual(yield* sql.unsafe(`select * from ${name}`), [], name)
      }).pipe(Effect.provide(on("rows")))
    }))

  it.live("many sessions that share files may be written and deleted at once", () =>
    Effect.gen(function*() {
      yield* fresh("busy")
      yield* Effect.gen(function*() {
        const store = yield* SessionStore.SessionStore
        const sql = yield* SqlClient.SqlClient
        const files = ["a page ", "another page ", "a third page "].map((page) => page.repeat(15_000))
        const work = (n: number) =>
          Effect.gen(function*() {
            for (let round = 0; round < 3; round++) {
              for (const turn of [0, 1, 2]) yield* say(`s${n}`, String(turn), files[(n + turn) % 3]!)
              const loaded = Option.getOrThrow(yield* store.load(`s${n}`, { recent: 9 }))
              const entries = loaded.commits.map((commit) => commit.entries[0])
              assert.deepStrictEqual(entries, [0, 1, 2].map((turn) => files[(n + turn) % 3]))
              yield* store.delete(`s${n}`)
            }
          })
        yield* Effect.forEach(Array.from({ length: 8 }, (_, n) => n), work, { concurrency: "unbounded" })
        assert.deepStrictEqual(yield* sql`select hash, uses from troupe_blobs`, [])
      }).pipe(Effect.provide(on("busy")))
    }))
})
