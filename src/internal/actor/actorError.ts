/**
 * Why a message was not answered, in a form that crosses processes. Exported through `Actor`.
 *
 * @internal
 */
import * as Schema from "effect/Schema"

/**
 * The actor has stopped, or stopped before it came to the message.
 *
 * @since 0.1.0
 * @category errors
 */
export const Stopped = Schema.TaggedStruct("Stopped", {})

/**
 * The mailbox was full and its policy refuses, or waiting would never have ended.
 *
 * @since 0.1.0
 * @category errors
 */
export const MailboxFull = Schema.TaggedStruct("MailboxFull", { capacity: Schema.Number })

/**
 * The overflow policy dropped the message.
 *
 * @since 0.1.0
 * @category errors
 */
export const Dropped = Schema.TaggedStruct("Dropped", { policy: Schema.Literals(["dropNewest", "dropOldest"]) })

/**
 * The handler died of a defect, or the actor did while the handler ran.
 *
 * @since 0.1.0
 * @category errors
 */
export const Crashed = Schema.TaggedStruct("Crashed", { defect: Schema.Defect() })

/**
 * The answer would have waited for its own asker: `cycle` has the paths of the actors whose runs wait for each other,
 * beginning with the one whose message closed the cycle.
 *
 * @since 0.1.0
 * @category errors
 */
export const Deadlock = Schema.TaggedStruct("Deadlock", { cycle: Schema.Array(Schema.String) })

/**
 * The message did not reach the actor, or nobody knows whether it did: what carries messages between processes failed.
 *
 * @since 0.1.0
 * @category errors
 */
export const Unreachable = Schema.TaggedStruct("Unreachable", { cause: Schema.Defect() })

/**
 * What happened to a message that got no answer from its handler.
 *
 * @since 0.1.0
 * @category errors
 */
export const ActorErrorReason = Schema.Union([Stopped, MailboxFull, Dropped, Crashed, Deadlock, Unreachable])

/**
 * What happened to a message that got no answer from its handler.
 *
 * @since 0.1.0
 * @category errors
 */
export type ActorErrorReason = typeof ActorErrorReason.Type

/**
 * A message got no answer from its handler: `reason` says why, `actor` and `tag` name the culprit.
 *
 * @since 0.1.0
 * @category errors
 */
export class ActorError extends Schema.TaggedError<ActorError>()("ActorError", {
  actor: Schema.String,
  tag: Schema.String,
  reason: ActorErrorReason
}) {
  override get message(): string {
    return `${this.tag} to ${this.actor}: ${describe(this.reason)}`
  }
}

/**
 * What `new ActorError` gives, in a fraction of the time: without the constructor, which checks its input against the
 * schema, and without what makes an error a native one: a stack, which would show this runtime, and `Error.isError`. A
 * native one costs a fifth of a crash with its restart.
 *
 * @internal
 */
export const makeActorError = (actor: string, tag: string, reason: ActorErrorReason): ActorError =>
  new Bare(actor, tag, reason)

type Writable<A> = { -readonly [Key in keyof A]: A[Key] }

const Bare = function(this: Writable<ActorError>, actor: string, tag: string, reason: ActorErrorReason) {
  this._tag = "ActorError"
  this.actor = actor
  this.tag = tag
  this.reason = reason
} as unknown as new(actor: string, tag: string, reason: ActorErrorReason) => ActorError
Object.defineProperty(Bare, "prototype", { value: ActorError.prototype })

/**
 * Another child of the same parent has that name.
 *
 * @since 0.1.0
 * @category errors
 */
export const NameTaken = Schema.TaggedStruct("NameTaken", {})

/**
 * A name is empty, has a `/`, or begins with `$`, which is for generated names.
 *
 * @since 0.1.0
 * @category errors
 */
export const InvalidName = Schema.TaggedStruct("InvalidName", {})

/**
 * The parent, or the whole system, is stopping.
 *
 * @since 0.1.0
 * @category errors
 */
export const ParentStopped = Schema.TaggedStruct("ParentStopped", {})

/**
 * An actor could not be started: `actor` is the path it would have had.
 *
 * @since 0.1.0
 * @category errors
 */
export class SpawnError extends Schema.TaggedError<SpawnError>()("SpawnError", {
  actor: Schema.String,
  reason: Schema.Union([NameTaken, InvalidName, ParentStopped])
}) {
  override get message(): string {
    switch (this.reason._tag) {
      case "NameTaken":
        return `${this.actor}: the name is taken by another child of the same parent`
      case "InvalidName":
        return `${this.actor}: a name must not be empty, contain "/" or begin with "$"`
      case "ParentStopped":
        return `${this.actor}: its parent is stopping`
    }
  }
}

/**
 * No running actor has that path.
 *
 * @since 0.1.0
 * @category errors
 */
export const NotFound = Schema.TaggedStruct("NotFound", {})

/**
 * The actor at that path speaks another protocol.
 *
 * @since 0.1.0
 * @category errors
 */
export const OtherProtocol = Schema.TaggedStruct("OtherProtocol", { protocol: Schema.String })

/**
 * A path leads to no actor of the wanted protocol.
 *
 * @since 0.1.0
 * @category errors
 */
export class LookupError extends Schema.TaggedError<LookupError>()("LookupError", {
  path: Schema.String,
  protocol: Schema.String,
  reason: Schema.Union([NotFound, OtherProtocol])
}) {
  override get message(): string {
    return this.reason._tag === "NotFound"
      ? `${this.path}: no such actor`
      : `${this.path}: its protocol is ${this.reason.protocol}, not ${this.protocol}`
  }
}

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const describe = (reason: ActorErrorReason): string => {
  switch (reason._tag) {
    case "Stopped":
      return "the actor has stopped"
    case "MailboxFull":
      return `the mailbox is full (capacity ${reason.capacity})`
    case "Dropped":
      return `dropped by the mailbox policy "${reason.policy}"`
    case "Crashed":
      return `the handler crashed: ${shown(reason.defect)}`
    case "Deadlock":
      return `it would wait for its own answer (${reason.cycle.join(" -> ")})`
    case "Unreachable":
      return `it may not have reached the actor: ${shown(reason.cause)}`
  }
}

/** What somebody threw may throw itself when it is asked for its text. */
const shown = (defect: unknown): string => {
  try {
    return String(defect)
  } catch {
    return "a defect without a text"
  }
}
