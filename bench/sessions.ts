/** Where sessions are kept, alone: committed turns a second, and what a long history costs; see bench/README.md. */
import { Effect } from "effect"
import { SqlClient } from "effect/sql"
import { SessionStore } from "../src/SessionStore.ts"
import { type Bench, check, rate, type Side } from "./harness.ts"
import { openPostgres, openSqlite, rawPostgres, rawSqlite, turn } from "./sessions/turns.ts"

const SESSIONS = 100

const TURNS = 2000

/** Turns at once, where the database is a server. */
const CONCURRENCY = 16

// A database and its sessions grow with each round alike for both sides: each has one of its own.
const kept = <A>(make: () => A): () => A => {
  let value: A | undefined
  return () => value ??= make()
}

/** Turn ids that are never used twice. */
const ids = () => {
  let last = 0
  return () => `turn ${last++}`
}

const storeSqlite = (): Side => {
  const open = kept(openSqlite)
  const id = ids()
  return () =>
    rate(TURNS, () =>
      open().runtime.runPromise(Effect.gen(function*() {
        const store = yield* SessionStore
        for (let n = 0; n < TURNS; n++) yield* turn(store, `session ${n % SESSIONS}`, id())
      })))
}

const plainSqlite = (): Side => {
  const open = kept(async () => {
    const { file, runtime } = openSqlite()
    await runtime.runPromise(Effect.asVoid(SessionStore))
    return rawSqlite(file)
  })
  const id = ids()
  return async () => {
    const commit = await open()
    return rate(TURNS, () => {
      for (let n = 0; n < TURNS; n++) check("commits", commit(`session ${n % SESSIONS}`, id()), 1)
    })
  }
}

/** Each of those at once has sessions of its own. */
const all = <E, R>(one: (session: string) => Effect.Effect<unknown, E, R>) =>
  Effect.forEach(
    Array.from({ length: CONCURRENCY }, (_, worker) => worker),
    Effect.fnUntraced(function*(worker) {
      for (let n = worker; n < TURNS; n += CONCURRENCY) yield* one(`session ${worker} ${n % 6}`)
    }),
    { concurrency: "unbounded", discard: true }
  )

const postgres = kept(openPostgres)

const storePostgres = (): Side => {
  const id = ids()
  return async () => {
    const runtime = await postgres()
    const work = Effect.flatMap(SessionStore, (store) => all((session) => turn(store, `ours ${session}`, id())))
    return rate(TURNS, () => runtime.runPromise(work))
  }
}

const plainPostgres = (): Side => {
  const id = ids()
  return async () => {
    const runtime = await postgres()
    const work = Effect.flatMap(SqlClient.SqlClient, (sql) => {
      const commit = rawPostgres(sql)
      return all((session) => commit(`raw ${session}`, id()))
    })
    return rate(TURNS, () => runtime.runPromise(work))
  }
}

/** The time of a turn on a history of 10, 1,000 and 10,000 turns: the worst over that of 10. */
const history = (): Side => {
  const open = kept(openSqlite)
  const id = ids()
  let round = 0
  return () =>
    open().runtime.runPromise(Effect.gen(function*() {
      const store = yield* SessionStore
      const grow = Effect.fnUntraced(function*(session: string, turns: number) {
        for (let n = 0; n < turns; n++) yield* turn(store, session, id())
      })
      const long = [1000, 10_000]
      if (round === 0) { for (const turns of long) yield* grow(`of ${turns}`, turns) }
      const times = new Map<number, number>([10, ...long].map((turns) => [turns, 0]))
      // In turns, twenty commits each: then a short one has not grown long.
      for (let n = 0; n < 5; n++) {
        const short = `of 10, ${round} ${n}`
        yield* grow(short, 10)
        for (const [turns, time] of times) {
          const start = performance.now()
          yield* grow(turns === 10 ? short : `of ${turns}`, 20)
          times.set(turns, time + performance.now() - start)
        }
      }
      round++
      return Math.max(...long.map((turns) => times.get(turns)!)) / times.get(10)!
    }))
}

export const bench: Bench = {
  name: "sessions",
  metrics: [
    {
      name: "store-sqlite",
      unit: "1/s",
      better: "higher",
      ours: storeSqlite(),
      baselines: { raw: plainSqlite() }
    },
    {
      name: "store-postgres",
      unit: "1/s",
      better: "higher",
      ours: storePostgres(),
      baselines: { raw: plainPostgres() }
    },
    { name: "history", unit: "x", better: "lower", ours: history(), baselines: { limit: 1.3 } }
  ]
}
