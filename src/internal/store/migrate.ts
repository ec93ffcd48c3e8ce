/**
 * Brings the tables to the format that this version of the library writes.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import { type Database, type Failure, toNumber } from "./database.ts"
import { formats } from "./schema.ts"
import { NewerFormat } from "./storeError.ts"

/**
 * Makes what is missing. Of several processes that start at once, one does it and the others wait; tables of a newer
 * format are left alone.
 */
export const migrate = (db: Database): Effect.Effect<void, Failure> =>
  Effect.gen(function*() {
    const known = formats(db.dialect)
    const find = Effect.gen(function*() {
      const tables = yield* db.query(
        db.dialect === "pg"
          // `to_regclass` may answer from before the lock.
          ? "select 1 as found from pg_class where relname = 'troupe_format' and pg_table_is_visible(oid)"
          : "select 1 as found from sqlite_master where type = 'table' and name = 'troupe_format'"
      )()
      if (tables.length === 0) return 0
      const [row] = yield* db.query("select max(format) as format from troupe_format")()
      const found = toNumber(row?.format)
      return found > known.length ? yield* new NewerFormat({ found, supported: known.length }) : found
    })
    if ((yield* find) === known.length) return
    yield* db.transaction(Effect.gen(function*() {
      if (db.dialect === "pg") yield* db.query(`select pg_advisory_xact_lock(${LOCK})`)()
      const found = yield* find
      if (found === 0) {
        yield* db.query("create table troupe_format (format {int} primary key, made_at {int} not null)")()
      }
      for (let format = found; format < known.length; format++) {
        for (const statement of known[format]!) yield* db.query(statement)()
        yield* db.query("insert into troupe_format (format, made_at) values (:format, {now})")({ format: format + 1 })
      }
    }))
  })

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

/** Any number that nobody else takes: "troupe" as bytes. */
const LOCK = 0x74726f757065
