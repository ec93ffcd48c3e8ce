/**
 * A database as the store sees it: named parameters, one text for two dialects, the database's clock.
 *
 * @internal
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { hasProperty } from "effect/Predicate"
import * as SqlClient from "effect/sql/SqlClient"
import { isSqlError, type SqlError } from "effect/sql/SqlError"
import { errorMessage } from "../errorMessage.ts"
import { type Keys, operation } from "./operation.ts"
import { NotADatabase, type StoreError, type StoreErrorReason, Unavailable } from "./storeError.ts"

/** What a statement or a transaction fails with. */
export type Failure = StoreErrorReason | SqlError

export type Row = Readonly<Record<string, unknown>>

export type Value = string | number | null

/** A statement, called with the values of its `:names`; `:now` is given. */
export type Query = (values?: Readonly<Record<string, Value>>) => Effect.Effect<ReadonlyArray<Row>, SqlError>

export interface Database {
  readonly dialect: Dialect
  /**
   * Makes a statement. `{now}` is the database's time in milliseconds, `{int}` the type of whole numbers, `{lock}`,
   * `{share}` and `{skip}` the row locks that Postgres needs where SQLite has one writer, `{each :name}` the elements of a
   * JSON array of texts.
   */
  readonly query: (text: string) => Query
  readonly transaction: <A>(effect: Effect.Effect<A, Failure>) => Effect.Effect<A, Failure>
}

export type Dialect = "pg" | "sqlite"

/** The database behind a client, unless its dialect is another. */
export const makeDatabase = (client: SqlClient.SqlClient): Database | undefined => {
  const dialect = client.onDialectOrElse({
    pg: (): Dialect => "pg",
    sqlite: (): Dialect => "sqlite",
    orElse: (): Dialect | undefined => undefined
  })
  if (dialect === undefined) return undefined
  const sql = client.withoutTransforms()
  return {
    dialect,
    query: (text) => {
      const { names, statement } = compile(dialect, text)
      const isTimed = names.includes("now")
      const run = (values: Readonly<Record<string, Value>>) =>
        Effect.withTracerEnabled(sql.unsafe<Row>(statement, names.map((name) => values[name] ?? null)), false)
      return (values = {}) =>
        isTimed
          ? Clock.clockWith((clock) => run({ ...values, now: clock.currentTimeMillisUnsafe() }))
          : run(values)
    },
    transaction: dialect === "pg"
      ? sql.withTransaction
      : (effect) =>
        sql.withTransaction(effect).pipe(Effect.provideService(SqlClient.BeginTransaction, "BEGIN IMMEDIATE"))
  }
}

/** An operation on a database. What two transactions did to each other is tried again. */
export const run = <A>(name: string, keys: Keys, effect: Effect.Effect<A, Failure>): Effect.Effect<A, StoreError> =>
  operation(
    name,
    keys,
    effect.pipe(
      Effect.catchIf(isCollision, () => Effect.retry(effect, { times: 2, while: isCollision })),
      Effect.mapError(toReason)
    )
  )

/** A failure of the database, without what was said in the session. */
export const toReason = (failure: Failure): StoreErrorReason => {
  if (!isSqlError(failure)) return failure
  const { reason } = failure
  if (isNotADatabase(reason.cause)) return new NotADatabase()
  return new Unavailable({ problem: `${reason._tag}: ${errorMessage(reason.cause)}`, isRetryable: failure.isRetryable })
}

export const toNumber = (value: unknown): number => Number(value)

export const toText = (value: unknown): string => String(value)

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const slots: Readonly<Record<Dialect, Readonly<Record<string, string>>>> = {
  pg: {
    now: "cast(extract(epoch from clock_timestamp()) * 1000 as bigint)",
    int: "bigint",
    lock: "for update",
    share: "for share of s",
    skip: "for update skip locked"
  },
  sqlite: { now: ":now", int: "integer", lock: "", share: "", skip: "" }
}

const compile = (dialect: Dialect, text: string) => {
  const names: Array<string> = []
  const filled = text.replaceAll(/\{(\w+)\}/g, (_, slot: string) => slots[dialect][slot]!)
    .replaceAll(
      /\{each (:\w+)\}/g,
      dialect === "pg" ? "(select json_array_elements_text(cast($1 as json)))" : "(select value from json_each($1))"
    )
  const statement = filled.replaceAll(/:([a-z]\w*)/gi, (_, name: string) => {
    if (dialect === "sqlite") return names.push(name), "?"
    const known = names.indexOf(name)
    return `$${known < 0 ? names.push(name) : known + 1}`
  })
  return { names, statement }
}

const isCollision = (failure: Failure): boolean =>
  isSqlError(failure) && (failure.reason._tag === "DeadlockError" || failure.reason._tag === "SerializationError")

const isNotADatabase = (cause: unknown): boolean =>
  hasProperty(cause, "errno") && cause.errno === 26 || hasProperty(cause, "code") && cause.code === "SQLITE_NOTADB"
