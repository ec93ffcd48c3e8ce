/**
 * The messages of a session's actor.
 *
 * @internal
 */
import type * as Effect from "effect/Effect"
import { isFunction } from "effect/Predicate"
import * as Rpc from "effect/rpc/Rpc"
import * as Schema from "effect/Schema"
import * as Actor from "../../Actor.ts"
import { Input } from "../agent/protocol.ts"
import type { Changes, Loaded } from "../store/contract.ts"
import { SessionError } from "./error.ts"
import { SessionEvent } from "./event.ts"

/** A change of a session that is no turn, from how it is now. */
export type Change = (now: Loaded | undefined) => Effect.Effect<
  Changes & { readonly rewindTo?: number | undefined },
  SessionError
>

const Request = Schema.Struct({
  owner: Schema.String,
  author: Schema.String,
  turn: Schema.String,
  input: Input,
  context: Schema.optional(Schema.Json)
})

/** A prompt to a session. */
export interface Request extends Schema.Schema.Type<typeof Request> {}

const asked = { owner: Schema.String, turn: Schema.optional(Schema.String) }

// Classes, so that an editor shows their names where it would spell them out.
class RunMessage
  extends Rpc.make("Run", { payload: Request, success: SessionEvent, error: SessionError, stream: true })
{}
class JoinMessage
  extends Rpc.make("Join", { payload: asked, success: SessionEvent, error: SessionError, stream: true })
{}
class CancelMessage extends Rpc.make("Cancel", { payload: asked, success: Schema.Boolean, error: SessionError }) {}
class WriteMessage extends Rpc.make("Write", {
  payload: {
    owner: Schema.String,
    author: Schema.String,
    change: Schema.declare((u): u is Change => isFunction(u))
  },
  success: Schema.Int,
  error: SessionError
}) {}
class WorkMessage extends Rpc.make("Work") {}

/**
 * The messages of a session: `Run` and `Join` stream the events of a turn, `Write` answers with the new version. `Work` it
 * tells itself: to work on the turns that are there.
 */
export const protocol = Actor.make("Session", [RunMessage, JoinMessage, CancelMessage, WriteMessage, WorkMessage])

export type SessionRef = Actor.LocalRefOf<typeof protocol>

/** The messages of the actor above all sessions of one definition. */
export const parent = Actor.make("Sessions", [
  Rpc.make("Open", {
    payload: { id: Schema.String },
    success: Schema.declare((u): u is SessionRef => typeof u === "object"),
    error: SessionError
  })
])
