/**
 * A session store over SQL.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as SqlClient from "effect/sql/SqlClient"
import type * as Contract from "./contract.ts"
import { makeDatabase, run } from "./database.ts"
import { migrate } from "./migrate.ts"
import { makeRows } from "./rows.ts"
import { makeCalls } from "./sqlCalls.ts"
import { makeRemoval } from "./sqlRemoval.ts"
import { makeSessions } from "./sqlSessions.ts"
import { makeTurns } from "./sqlTurns.ts"
import { type StoreError, Unavailable } from "./storeError.ts"

/** The store in the context's database, with its tables in the format of this version. */
export const makeSql: Effect.Effect<Contract.Store, StoreError, SqlClient.SqlClient> = Effect.gen(function*() {
  const db = makeDatabase(yield* SqlClient.SqlClient)
  if (db === undefined) {
    const problem = "the client speaks neither Postgres nor SQLite"
    return yield* run("layerSql", {}, Effect.fail(new Unavailable({ problem, isRetryable: false })))
  }
  yield* run("layerSql", {}, migrate(db))
  const rows = makeRows(db)
  return { ...makeTurns(db, rows), ...makeSessions(db, rows), ...makeCalls(db, rows), ...makeRemoval(db, rows) }
})
