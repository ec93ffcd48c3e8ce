/**
 * The operations of a session's service: through the session's actor where they change it, else from the store.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import * as Random from "effect/Random"
import type * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type * as Actor from "../../Actor.ts"
import type { ActorError } from "../actor/actorError.ts"
import { makeId } from "../agent/place.ts"
import type { Input } from "../agent/protocol.ts"
import type { Store } from "../store/contract.ts"
import { Overloaded, SessionError, ShuttingDown, Unreachable } from "./error.ts"
import type { SessionEvent } from "./event.ts"
import type { Change, parent, SessionRef } from "./protocol.ts"
import { change, type State } from "./state.ts"
import { named, owned } from "./submit.ts"

/** Opens sessions, and the store behind them. */
export interface Sessions {
  readonly opener: Actor.RefOf<typeof parent>
  readonly store: Store
}

/** Streams the events of a prompt's turn. */
export const run = (
  self: Sessions,
  id: string,
  input: Input,
  options: {
    readonly turnId?: string | undefined
    readonly owner?: string | undefined
    readonly author?: string | undefined
    readonly context?: Schema.Json | undefined
  }
): Stream.Stream<SessionEvent, SessionError> =>
  Stream.unwrap(Effect.map(Random.Random, (random) => {
    const { author, context, owner = "", turnId: turn = makeId(random) } = options
    return events(self, id, (ref) => ref.stream("Run", { owner, author: author ?? owner, turn, input, context }))
  }))

/** The events that a session's actor streams; one that was passivated just then is opened again. */
export const events = (
  self: Sessions,
  id: string,
  stream: (ref: SessionRef) => Stream.Stream<SessionEvent, SessionError | ActorError>,
  tries = TRIES
): Stream.Stream<SessionEvent, SessionError> =>
  Stream.suspend(() => {
    let begun = false
    const once = Stream.tap(Stream.unwrap(Effect.map(open(self, id), stream)), () =>
      Effect.sync(() => {
        begun = true
      }))
    return Stream.catch(once, (error) =>
      isPassivated(error) && !begun && tries > 1
        ? events(self, id, stream, tries - 1)
        : Stream.fail(toError(id, error)))
  })

/** Asks a session's actor; one that was passivated just then is opened again. */
export const ask = <A>(
  self: Sessions,
  id: string,
  ask: (ref: SessionRef) => Effect.Effect<A, SessionError | ActorError>
): Effect.Effect<A, SessionError> =>
  Effect.suspend(() => Effect.flatMap(open(self, id), ask)).pipe(
    Effect.retry({ times: TRIES - 1, while: isPassivated }),
    Effect.mapError((error) => toError(id, error))
  )

/** Commits a change that is no turn, and gives its version. */
export const write = (
  self: Sessions,
  id: string,
  { author, owner = "" }: { readonly owner?: string | undefined; readonly author?: string | undefined },
  change: Change
): Effect.Effect<number, SessionError> =>
  ask(self, id, (ref) => ref.ask("Write", { owner, author: author ?? owner, change }))

/** The committed value of a state. */
export const read = <A>(self: Sessions, id: string, state: State<A>, owner: string) =>
  owned({ id, store: self.store }, owner).pipe(
    named({ id }),
    Effect.flatMap(({ states }) => Effect.fromResult(state.decode(id, states[state.name])))
  )

/** Changes a state between two turns. */
export const update = <A>(
  self: Sessions,
  id: string,
  state: State<A>,
  f: (value: Option.Option<A>) => A,
  options: Parameters<typeof write>[2]
): Effect.Effect<A, SessionError> =>
  Effect.suspend(() => {
    let updated: A | undefined
    const changed: Change = (now) =>
      Effect.map(Effect.fromResult(change(state, id, now?.states[state.name], f)), ({ json, value }) => {
        updated = value
        return { states: { [state.name]: json } }
      })
    return Effect.map(write(self, id, options, changed), () => updated!)
  })

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

/** How often a session is opened that is passivated before it has the message. */
const TRIES = 5

/** `undefined` once the sessions end. */
const open = ({ opener }: Sessions, id: string): Effect.Effect<SessionRef, SessionError> =>
  Effect.catchTag(opener.ask("Open", { id }), "ActorError", (error) =>
    Effect.fail(
      new SessionError({
        session: id,
        reason: error.reason._tag === "Stopped" ? new ShuttingDown() : toError(id, error).reason
      })
    ))

const isPassivated = (error: SessionError | ActorError): boolean =>
  error._tag === "ActorError" && error.reason._tag === "Stopped"

const toError = (session: string, error: SessionError | ActorError): SessionError => {
  if (error._tag === "SessionError") return error
  switch (error.reason._tag) {
    case "Stopped":
      return new SessionError({ session, reason: new ShuttingDown() })
    case "MailboxFull":
      return new SessionError({ session, reason: new Overloaded() })
    default:
      return new SessionError({ session, reason: new Unreachable({ problem: error.message }) })
  }
}
