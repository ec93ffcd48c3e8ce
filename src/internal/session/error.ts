/**
 * How a session fails. Exported through `Session`.
 *
 * @internal
 */
import * as Schema from "effect/Schema"
import { AgentError } from "../../AgentError.ts"
import { StoreError } from "../store/storeError.ts"

/**
 * So many prompts wait already. Nothing was kept of this one.
 *
 * @since 0.1.0
 * @category errors
 */
export class BacklogFull extends Schema.TaggedError<BacklogFull>("effect-troupe/SessionError/BacklogFull")(
  "BacklogFull",
  { waiting: Schema.Int }
) {
  override get message() {
    return `${this.waiting} prompts wait already`
  }
}

/**
 * Somebody else was first: another turn is in work (`whenBusy: "reject"`), or another process took this one over. Nothing of
 * this one was written.
 *
 * @since 0.1.0
 * @category errors
 */
export class ConcurrentWrite extends Schema.TaggedError<ConcurrentWrite>("effect-troupe/SessionError/ConcurrentWrite")(
  "ConcurrentWrite",
  {}
) {
  override get message() {
    return "somebody else was first"
  }
}

/**
 * The turn id was sent before, with other input.
 *
 * @since 0.1.0
 * @category errors
 */
export class TurnConflict extends Schema.TaggedError<TurnConflict>("effect-troupe/SessionError/TurnConflict")(
  "TurnConflict",
  { turn: Schema.String }
) {
  override get message() {
    return `turn ${JSON.stringify(this.turn.slice(0, 80))} was sent before, with other input`
  }
}

/**
 * Somebody cancelled the turn, or a newer prompt interrupted it.
 *
 * @since 0.1.0
 * @category errors
 */
export class Cancelled extends Schema.TaggedError<Cancelled>("effect-troupe/SessionError/Cancelled")("Cancelled", {}) {
  override get message() {
    return "the turn was cancelled"
  }
}

/**
 * A newer prompt came before the turn had begun. Nothing was kept of it.
 *
 * @since 0.1.0
 * @category errors
 */
export class Superseded extends Schema.TaggedError<Superseded>("effect-troupe/SessionError/Superseded")(
  "Superseded",
  {}
) {
  override get message() {
    return "a newer prompt came before the turn had begun"
  }
}

/**
 * The store failed. If it was the commit of a turn, nobody knows of the answer: the session goes on from what the store
 * has, and the same turn id tells what became of it.
 *
 * @since 0.1.0
 * @category errors
 */
export class StoreFailed extends Schema.TaggedError<StoreFailed>("effect-troupe/SessionError/StoreFailed")(
  "StoreFailed",
  { error: StoreError }
) {
  override get message() {
    return this.error.message
  }
}

/**
 * The agent's run failed.
 *
 * @since 0.1.0
 * @category errors
 */
export class AgentFailed extends Schema.TaggedError<AgentFailed>("effect-troupe/SessionError/AgentFailed")(
  "AgentFailed",
  { error: AgentError }
) {
  override get message() {
    return this.error.message
  }
}

/**
 * The session belongs to somebody else.
 *
 * @since 0.1.0
 * @category errors
 */
export class Forbidden extends Schema.TaggedError<Forbidden>("effect-troupe/SessionError/Forbidden")("Forbidden", {}) {
  override get message() {
    return "it belongs to somebody else"
  }
}

/**
 * There is no such session, turn or version.
 *
 * @since 0.1.0
 * @category errors
 */
export class NotFound extends Schema.TaggedError<NotFound>("effect-troupe/SessionError/NotFound")("NotFound", {}) {
  override get message() {
    return "there is no such session, turn or version"
  }
}

/**
 * An id, an owner or a name is empty or too long.
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidSessionId
  extends Schema.TaggedError<InvalidSessionId>("effect-troupe/SessionError/InvalidSessionId")(
    "InvalidSessionId",
    { field: Schema.String, problem: Schema.String }
  )
{
  override get message() {
    return `${this.field} ${this.problem}`
  }
}

/**
 * A state value does not fit its schema.
 *
 * @since 0.1.0
 * @category errors
 */
export class StateInvalid extends Schema.TaggedError<StateInvalid>("effect-troupe/SessionError/StateInvalid")(
  "StateInvalid",
  { key: Schema.String, problem: Schema.String }
) {
  override get message() {
    return `its state ${this.key} does not fit: ${this.problem}`
  }
}

/**
 * The session has more messages than its mailbox takes.
 *
 * @since 0.1.0
 * @category errors
 */
export class Overloaded extends Schema.TaggedError<Overloaded>("effect-troupe/SessionError/Overloaded")(
  "Overloaded",
  {}
) {
  override get message() {
    return "it has more messages than its mailbox takes"
  }
}

/**
 * The sessions of this process end. A turn that was in work is committed as far as it came.
 *
 * @since 0.1.0
 * @category errors
 */
export class ShuttingDown extends Schema.TaggedError<ShuttingDown>("effect-troupe/SessionError/ShuttingDown")(
  "ShuttingDown",
  {}
) {
  override get message() {
    return "the sessions of this process end"
  }
}

/**
 * The session's actor crashed, or the process that worked on the turn went away. The turn is not run again by itself.
 *
 * @since 0.1.0
 * @category errors
 */
export class Unreachable extends Schema.TaggedError<Unreachable>("effect-troupe/SessionError/Unreachable")(
  "Unreachable",
  { problem: Schema.String }
) {
  override get message() {
    return this.problem
  }
}

/**
 * @since 0.1.0
 * @category errors
 */
export const SessionErrorReason = Schema.Union([
  BacklogFull,
  ConcurrentWrite,
  TurnConflict,
  Cancelled,
  Superseded,
  StoreFailed,
  AgentFailed,
  Forbidden,
  NotFound,
  InvalidSessionId,
  StateInvalid,
  Overloaded,
  ShuttingDown,
  Unreachable
])

/**
 * @since 0.1.0
 * @category errors
 */
export type SessionErrorReason = typeof SessionErrorReason.Type

/**
 * A session that could not do as it was asked: its id, and the `reason` to branch on.
 *
 * @since 0.1.0
 * @category errors
 */
export class SessionError extends Schema.TaggedError<SessionError>("effect-troupe/SessionError")("SessionError", {
  session: Schema.String,
  reason: SessionErrorReason
}) {
  override get message() {
    return `session ${JSON.stringify(this.session.slice(0, 80))}: ${this.reason.message}`
  }
}

/** What a failure of the store is for the caller of a session. */
export const fromStore = (error: StoreError): SessionErrorReason => {
  switch (error.reason._tag) {
    case "Conflict":
      return new ConcurrentWrite()
    case "NotFound":
      return new NotFound()
    case "Forbidden":
      return new Forbidden()
    case "InvalidKey":
      return new InvalidSessionId({ field: error.reason.field, problem: error.reason.problem })
    default:
      return new StoreFailed({ error })
  }
}
