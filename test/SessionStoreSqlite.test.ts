import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Option } from "effect"
import { SessionStore } from "effect-troupe"
import { Sqlite } from "effect-troupe/node"
import { SqlClient } from "effect/sql"
import { writeFileSync } from "node:fs"
import { refused } from "./fixtures/badOptions.ts"
import { prompt, say, sqliteFile, temporaryFile } from "./fixtures/stores.ts"

const on = (file: string) => SessionStore.layerSql.pipe(Layer.provideMerge(Sqlite.layer({ file })))

describe("Sqlite.layer", () => {
  it("refuses a file without a name", () => {
    refused({ "Sqlite.layer: file must be a text that is not empty, got \"\"": () => Sqlite.layer({ file: "" }) })
  })

  it.effect("says that a file is no database, and leaves it alone", () =>
    Effect.gen(function*() {
      const file = yield* temporaryFile
      writeFileSync(file, "A letter, much longer than the header of a database is.\n".repeat(50))
      const error = yield* Effect.flip(Layer.build(on(file)))
      assert.strictEqual(error._tag, "OpenFailed")
      if (error._tag !== "OpenFailed") return
      assert.deepStrictEqual([error.file, error.reason], [file, "NotADatabase"])
    }))

  it.effect("says that a folder is not there", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Layer.build(Sqlite.layer({ file: "/no/such/folder/sessions.db" })))
      assert.strictEqual(error.reason, "CannotOpen")
    }))

  it.effect("takes values of all kinds, and gives big numbers where they are wanted", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const values = [true, null, undefined, 1.5, "text", new Date(0), new Uint8Array([1, 2])]
      const [row] = yield* sql.unsafe("select ? as a, ? as b, ? as c, ? as d, ? as e, ? as f, ? as g", values)
        .values
      assert.deepStrictEqual(row, [1, null, null, 1.5, "text", "1970-01-01T00:00:00.000Z", new Uint8Array([1, 2])])
      const big = sql`select 9007199254740993 as n`.pipe(Effect.provideService(SqlClient.SafeIntegers, true))
      assert.deepStrictEqual({ ...(yield* big)[0] }, { n: 9007199254740993n })
    }).pipe(Effect.provide(Sqlite.layer({ file: ":memory:" }))))

  it.effect("a transaction that fails leaves nothing, also inside of another", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      yield* sql`create table t (n integer)`
      const insert = (n: number) => sql`insert into t values (${n})`
      const inner = Effect.flip(sql.withTransaction(Effect.andThen(insert(2), Effect.fail("no"))))
      yield* sql.withTransaction(Effect.all([insert(1), inner, insert(3)], { discard: true }))
      yield* Effect.flip(sql.withTransaction(Effect.andThen(insert(4), Effect.fail("no"))))
      assert.deepStrictEqual(yield* sql`select n from t order by n`.values, [[1], [3]])
    }).pipe(Effect.provide(sqliteFile)))

  it.live("waits for another's transaction without holding the process", () =>
    Effect.gen(function*() {
      const file = yield* temporaryFile
      const insert = (rest: Effect.Effect<void>) =>
        Effect.gen(function*() {
          const sql = yield* SqlClient.SqlClient
          yield* sql`create table if not exists t (n integer)`
          yield* sql.withTransaction(Effect.andThen(sql`insert into t values (1)`, rest))
          return (yield* sql`select n from t`).length
        }).pipe(Effect.provide(Sqlite.layer({ file })))
      const counts = yield* Effect.all([insert(Effect.sleep("30 millis")), insert(Effect.sleep("30 millis"))], {
        concurrency: 2
      })
      assert.deepStrictEqual(counts.sort(), [1, 2])
    }))
})

describe("SessionStore.layerSql on a file", () => {
  it.effect("keeps what was said for the next process", () =>
    Effect.gen(function*() {
      const file = yield* temporaryFile
      assert.strictEqual(yield* Effect.provide(say("s", "1"), on(file)), "Committed")
      const loaded = yield* Effect.flatMap(SessionStore.SessionStore, (store) => store.load("s", { recent: 9 })).pipe(
        Effect.provide(on(file))
      )
      assert.deepStrictEqual(Option.getOrThrow(loaded).commits.map(({ entries }) => entries), [["hello"]])
    }))

  it.live("any number of processes may start on a fresh file and use it", () =>
    Effect.gen(function*() {
      const file = yield* temporaryFile
      const outcomes = yield* Effect.forEach(
        Array.from({ length: 10 }, (_, n) => n),
        (n) => Effect.forEach(["1", "2", "3"], (turn) => say(`session ${n}`, turn)).pipe(Effect.provide(on(file))),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(outcomes.flat(), Array<string>(30).fill("Committed"))
    }))

  it.effect("refuses a newer format and leaves it alone", () =>
    Effect.gen(function*() {
      const file = yield* temporaryFile
      yield* Effect.gen(function*() {
        yield* say("s", "1")
        const sql = yield* SqlClient.SqlClient
        yield* sql`insert into troupe_format (format, made_at) values (99, 0)`
      }).pipe(Effect.provide(on(file)))
      const error = yield* Effect.flip(Layer.build(on(file)))
      assert.strictEqual(error._tag, "StoreError")
      if (error._tag !== "StoreError") return
      assert.deepStrictEqual({ ...error.reason }, { ...new SessionStore.NewerFormat({ found: 99, supported: 1 }) })
      assert.include(error.message, "format 99")
    }))

  it.effect("keeps a large file once, for as long as somebody needs it", () =>
    Effect.gen(function*() {
      const store = yield* SessionStore.SessionStore
      const sql = yield* SqlClient.SqlClient
      const blobs = Effect.map(sql`select uses from troupe_blobs`, (rows) => rows.map(({ uses }) => uses))
      const file = "a page ".repeat(20_000)
      for (const session of ["a", "b"]) for (const turn of ["1", "2"]) yield* say(session, turn, file)
      assert.deepStrictEqual(yield* blobs, [2])
      yield* store.delete("a")
      assert.deepStrictEqual(yield* blobs, [1])
      const removed = yield* store.delete("b")
      assert.strictEqual(removed.blobs, 1)
      assert.deepStrictEqual(yield* blobs, [])
    }).pipe(Effect.provide(SessionStore.layerSql.pipe(Layer.provideMerge(sqliteFile)))))

  it.effect("leaves no row behind when a session is deleted", () =>
    Effect.gen(function*() {
      const store = yield* SessionStore.SessionStore
      const sql = yield* SqlClient.SqlClient
      for (const turn of ["1", "2"]) yield* say("s", turn, "a page ".repeat(20_000))
      const outcome = yield* store.claim(prompt("s", "3", "x"), { lease: 0, backlog: 0 })
      if (outcome._tag !== "Claimed") return assert.fail(outcome._tag)
      yield* store.claim(prompt("s", "4", "x"), { lease: 0, backlog: 1 })
      yield* store.record(outcome.claimed.claim, {
        path: "p",
        kind: "answer",
        hash: "",
        body: "a page ".repeat(20_000)
      })
      yield* store.ask(outcome.claimed.claim, { path: "p", kind: "approval", request: null })
      yield* store.setWake({ ...prompt("s", "", "x"), key: "k", at: 0, cron: Option.none() }, { limit: 1 })
      const removed = yield* store.delete("s")
      assert.deepStrictEqual(removed, { sessions: 1, turns: 2, commits: 2, journal: 1, calls: 1, wakes: 1, blobs: 1 })
      const tables = yield* sql<{ name: string }>`select name from sqlite_master where type = 'table'`
      for (const { name } of tables.filter(({ name }) => name !== "troupe_format")) {
        assert.deepStrictEqual(yield* sql.unsafe(`select * from ${name}`), [], name)
      }
    }).pipe(Effect.provide(SessionStore.layerSql.pipe(Layer.provideMerge(sqliteFile)))))

  it.effect("a full disk is an error that says so, and nothing is half written", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const store = yield* SessionStore.SessionStore
      yield* say("s", "1")
      const [pages] = yield* sql<{ page_count: number }>`pragma page_count`
      yield* sql.unsafe(`pragma max_page_count = ${pages!.page_count + 4}`)
      const fill = Effect.forEach(Array.from({ length: 100 }, (_, n) => n), (n) =>
        say("s", `turn ${n}`, "x".repeat(5000)))
      const error = yield* Effect.flip(fill)
      assert.strictEqual(error.reason._tag, "Unavailable")
      assert.include(error.message, "full")
      assert.notInclude(error.message, "xxx")
      yield* sql.unsafe("pragma max_page_count = 100000")
      const { commits, head } = Option.getOrThrow(yield* store.load("s", { recent: 1000 }))
      assert.deepStrictEqual(
        commits.map(({ version }) =>
          version
        ),
        Array.from({ length: head.version }, (_, n) => n + 1)
      )
    }).pipe(Effect.provide(SessionStore.layerSql.pipe(Layer.provideMerge(sqliteFile)))))

  it.effect("a row that other hands changed is an error that names the session", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const store = yield* SessionStore.SessionStore
      yield* say("s", "1")
      yield* sql`update troupe_commits set body = '{"entries":['`
      const error = yield* Effect.flip(store.load("s", { recent: 1 }))
      assert.deepStrictEqual([error.reason._tag, error.session, error.operation], ["Damaged", "s", "load"])
    }).pipe(Effect.provide(SessionStore.layerSql.pipe(Layer.provideMerge(sqliteFile)))))
})
