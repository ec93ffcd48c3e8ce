/**
 * How a session store fails.
 *
 * @internal
 */
import * as Schema from "effect/Schema"

/**
 * The database could not be reached, or could not do it: no connection, a full disk, a file that may not be written, no free
 * connection in time. If it was a commit, it may have happened all the same: `turn` of the store tells. `problem` is what
 * the driver says.
 *
 * @since 0.1.0
 * @category errors
 */
export class Unavailable extends Schema.TaggedError<Unavailable>("effect-troupe/SessionStore/Unavailable")(
  "Unavailable",
  { problem: Schema.String, isRetryable: Schema.Boolean }
) {
  override get message() {
    return `the database is unavailable: ${this.problem}`
  }
}

/**
 * Somebody else was first: the claim was lost to a higher attempt, or the version is no longer the session's, or a turn is
 * claimed. Nothing was written.
 *
 * @since 0.1.0
 * @category errors
 */
export class Conflict extends Schema.TaggedError<Conflict>("effect-troupe/SessionStore/Conflict")("Conflict", {}) {
  override get message() {
    return "somebody else was first; nothing was written"
  }
}

/**
 * There is no such session or version.
 *
 * @since 0.1.0
 * @category errors
 */
export class NotFound extends Schema.TaggedError<NotFound>("effect-troupe/SessionStore/NotFound")("NotFound", {}) {
  override get message() {
    return "there is no such session or version"
  }
}

/**
 * The session belongs to somebody else.
 *
 * @since 0.1.0
 * @category errors
 */
export class Forbidden extends Schema.TaggedError<Forbidden>("effect-troupe/SessionStore/Forbidden")("Forbidden", {}) {
  override get message() {
    return "the session belongs to somebody else"
  }
}

/**
 * An id, an owner, a path or a key is empty or too long.
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidKey extends Schema.TaggedError<InvalidKey>("effect-troupe/SessionStore/InvalidKey")(
  "InvalidKey",
  { field: Schema.String, problem: Schema.String }
) {
  override get message() {
    return `${this.field} ${this.problem}`
  }
}

/**
 * A row does not hold what it must: it was changed by other hands, or is damaged.
 *
 * @since 0.1.0
 * @category errors
 */
export class Damaged extends Schema.TaggedError<Damaged>("effect-troupe/SessionStore/Damaged")(
  "Damaged",
  { problem: Schema.String }
) {
  override get message() {
    return `a row is damaged: ${this.problem}`
  }
}

/**
 * The tables were written by a newer version of this library. Nothing was changed.
 *
 * @since 0.1.0
 * @category errors
 */
export class NewerFormat extends Schema.TaggedError<NewerFormat>("effect-troupe/SessionStore/NewerFormat")(
  "NewerFormat",
  { found: Schema.Finite, supported: Schema.Finite }
) {
  override get message() {
    return `the tables have format ${this.found}, this version of effect-troupe knows up to ${this.supported}: update it`
  }
}

/**
 * The file is no database.
 *
 * @since 0.1.0
 * @category errors
 */
export class NotADatabase extends Schema.TaggedError<NotADatabase>("effect-troupe/SessionStore/NotADatabase")(
  "NotADatabase",
  {}
) {
  override get message() {
    return "the file is no database"
  }
}

/**
 * @since 0.1.0
 * @category errors
 */
export const StoreErrorReason = Schema.Union([
  Unavailable,
  Conflict,
  NotFound,
  Forbidden,
  InvalidKey,
  Damaged,
  NewerFormat,
  NotADatabase
])

/**
 * @since 0.1.0
 * @category errors
 */
export type StoreErrorReason = typeof StoreErrorReason.Type

/**
 * A session store could not do what it was asked: the `operation`, the session and the key (a turn, a path, a wake's key;
 * "" where there is none), and the `reason` to branch on. It holds nothing that was said in the session.
 *
 * @since 0.1.0
 * @category errors
 */
export class StoreError extends Schema.TaggedError<StoreError>("effect-troupe/SessionStore/StoreError")("StoreError", {
  operation: Schema.String,
  session: Schema.String,
  key: Schema.String,
  reason: StoreErrorReason
}) {
  override get message() {
    const where = [this.session, this.key].filter((name) => name !== "").map((name) =>
      JSON.stringify(name.slice(0, 80))
    )
    return `SessionStore.${this.operation}${where.length > 0 ? `(${where.join(", ")})` : ""}: ${this.reason.message}`
  }
}
