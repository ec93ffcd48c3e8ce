/**
 * A `SqlClient` over Node's own SQLite (`node:sqlite`), which needs no package and no server.
 *
 * One connection to one file, in WAL mode: readers of other processes don't wait for a writer, and a killed process loses
 * nothing that was committed (a power cut may lose the latest commits, never the file). Statements are prepared once and
 * kept. They run synchronously: SQLite is a part of the process, so keep them small.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { SqlClient } from "effect/sql"
 * import { Sqlite } from "effect-troupe/node"
 *
 * const program = Effect.gen(function*() {
 *   const sql = yield* SqlClient.SqlClient
 *   return yield* sql`select 1 + 1 as two`
 * }).pipe(Effect.provide(Sqlite.layer({ file: ":memory:" })))
 * ```
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { hasProperty } from "effect/Predicate"
import * as Reactivity from "effect/reactivity/Reactivity"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Semaphore from "effect/Semaphore"
import * as SqlClient from "effect/sql/SqlClient"
import type { Connection, Row } from "effect/sql/SqlConnection"
import * as SqlError from "effect/sql/SqlError"
import * as Statement from "effect/sql/Statement"
import * as Stream from "effect/Stream"
import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite"
import { notEmpty } from "../internal/check.ts"
import { retype } from "../internal/retype.ts"

/**
 * The options of a database.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** The path of the file, which is created if it is not there (its folder isn't), or `:memory:`. */
  readonly file: string
}

/**
 * The file is no database, or can't be opened: no such folder, no permission, a full or read-only disk.
 *
 * @since 0.1.0
 * @category errors
 */
export class OpenFailed extends Schema.TaggedError<OpenFailed>("effect-troupe/Sqlite/OpenFailed")("OpenFailed", {
  file: Schema.String,
  reason: Schema.Literals(["NotADatabase", "CannotOpen"]),
  problem: Schema.String
}) {
  override get message() {
    return `${this.file}: ${this.problem}`
  }
}

/**
 * A client of the database in this file. It is closed with its scope.
 *
 * A statement that finds the database locked by another process is tried again for 5 seconds, then fails with
 * `LockTimeoutError`. Transactions begin as writers, so they never have to give up half-way.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<SqlClient.SqlClient, OpenFailed> => {
  const file = notEmpty("Sqlite.layer", "file", options.file)
  return Layer.effect(SqlClient.SqlClient, make(file)).pipe(Layer.provide(Reactivity.layer))
}

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

/** Statements that are kept prepared; then all are forgotten, since a program has few or makes them up. */
const MAX_PREPARED = 500

const NOT_A_DATABASE = 26

const make = Effect.fnUntraced(function*(file: string) {
  const database = yield* Effect.acquireRelease(open(file), (database) => Effect.sync(() => database.close()))
  const isTransaction = () => database.isTransaction
  const { acquirer, borrower, onCommitFailure, transactionAcquirer } = SqlClient.makeSqliteAcquirers({
    connection: Effect.succeed(makeConnection(database)),
    semaphore: yield* Semaphore.make(1),
    isTransaction
  })
  return yield* SqlClient.make({
    driver: "node-sqlite",
    compiler: Statement.makeCompilerSqlite(),
    spanAttributes: [["db.system.name", "sqlite"]],
    prepareTransactionControls: true,
    beginTransaction: "BEGIN IMMEDIATE",
    releaseSavepoint: (name) => `RELEASE SAVEPOINT ${name}`,
    acquirer,
    borrower,
    transactionAcquirer,
    onCommitFailure,
    isTransaction
  })
})

const open = (file: string): Effect.Effect<DatabaseSync, OpenFailed> =>
  Effect.try({
    try: () => {
      const database = new DatabaseSync(file)
      try {
        database.exec("PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL")
        // From here on a wait for a lock must not hold the whole process.
        database.exec("PRAGMA busy_timeout = 0")
        return database
      } catch (cause) {
        database.close()
        throw cause
      }
    },
    catch: (cause) =>
      new OpenFailed({
        file,
        reason: codeOf(cause) === NOT_A_DATABASE ? "NotADatabase" : "CannotOpen",
        problem: cause instanceof Error ? cause.message : String(cause)
      })
  })

interface Prepared {
  readonly statement: StatementSync
  readonly givesRows: boolean
  arrays: boolean
  bigInts: boolean
}

type Form = "rows" | "arrays" | "raw"

const makeConnection = (database: DatabaseSync): Connection => {
  const prepared = new Map<string, Prepared>()
  const prepare = (sql: string): Prepared => {
    const known = prepared.get(sql)
    if (known !== undefined) return known
    const statement = database.prepare(sql)
    const made = { statement, givesRows: statement.columns().length > 0, arrays: false, bigInts: false }
    if (prepared.size >= MAX_PREPARED) prepared.clear()
    prepared.set(sql, made)
    return made
  }
  const execute = (sql: string, params: ReadonlyArray<unknown>, form: Form, bigInts: boolean) => {
    const made = prepare(sql)
    const { givesRows, statement } = made
    if (made.bigInts !== bigInts) statement.setReadBigInts(made.bigInts = bigInts)
    if (made.arrays !== (form === "arrays")) statement.setReturnArrays(made.arrays = !made.arrays)
    const values = params.map(toValue)
    if (givesRows) return statement.all(...values)
    const changes = statement.run(...values)
    return form === "raw" ? changes : []
  }
  // The form that is asked for says what comes: rows, arrays, or what a change did.
  const attempt = <A>(sql: string, params: ReadonlyArray<unknown>, form: Form) =>
    Effect.withFiber<A, SqlError.SqlError>((fiber) => {
      try {
        return Effect.succeed(retype<A>(execute(sql, params, form, fiber.getRef(SqlClient.SafeIntegers))))
      } catch (cause) {
        return Effect.fail(toSqlError(cause))
      }
    })
  const run = <A>(sql: string, params: ReadonlyArray<unknown>, form: Form) => {
    const once = attempt<A>(sql, params, form)
    return Effect.catchIf(once, isLocked, () => Effect.retry(once, { while: isLocked, schedule: whileLocked }))
  }
  const rows: Connection["execute"] = (sql, params, transform) => {
    const found = run<ReadonlyArray<Row>>(sql, params, "rows")
    return transform === undefined ? found : Effect.map(found, transform)
  }
  const values: Connection["executeValues"] = (sql, params) =>
    run<ReadonlyArray<ReadonlyArray<unknown>>>(sql, params, "arrays")
  return {
    execute: rows,
    executeUnprepared: rows,
    executeRaw: (sql, params) => run<unknown>(sql, params, "raw"),
    executeValues: values,
    executeValuesUnprepared: values,
    executeStream: (sql, params, transform) =>
      Stream.unwrap(Effect.map(rows(sql, params, transform), Stream.fromIterable))
  }
}

const isLocked = ({ reason }: SqlError.SqlError): boolean => reason._tag === "LockTimeoutError"

const whileLocked = Schedule.spaced("2 millis").pipe(Schedule.jittered, Schedule.upTo({ duration: "5 seconds" }))

const toValue = (value: unknown): SQLInputValue => {
  switch (typeof value) {
    case "string":
    case "number":
    case "bigint":
      return value
    case "boolean":
      return value ? 1 : 0
  }
  if (value === null || value === undefined) return null
  if (value instanceof Date) return value.toISOString()
  if (value instanceof Uint8Array) return value
  throw new TypeError(`a value of a statement is ${typeof value}, which SQLite can't take`)
}

const codeOf = (cause: unknown): number | undefined =>
  hasProperty(cause, "errcode") && typeof cause.errcode === "number" ? cause.errcode : undefined

const toSqlError = (cause: unknown): SqlError.SqlError => {
  const errno = codeOf(cause)
  // Effect's classifier reads SQLite's code from `errno`.
  const known = errno === undefined || !(cause instanceof Error) ? cause : Object.assign(cause, { errno })
  const message = "the statement could not be executed"
  return new SqlError.SqlError({ reason: SqlError.classifySqliteError(known, { message, operation: "execute" }) })
}
