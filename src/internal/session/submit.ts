/**
 * Takes prompts: claims their turns, queues them, or tells why not.
 *
 * @internal
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Commit, Loaded, OpenTurn, TurnState } from "../store/contract.ts"
import type { StoreError } from "../store/storeError.ts"
import * as Codec from "./codec.ts"
import {
  BacklogFull,
  Cancelled,
  ConcurrentWrite,
  Forbidden,
  fromStore,
  NotFound,
  SessionError,
  type SessionErrorReason,
  Superseded,
  TurnConflict
} from "./error.ts"
import type { Request } from "./protocol.ts"
import { endLog, LEASE, logOf, type Session } from "./session.ts"
import * as TurnLog from "./turnLog.ts"

/**
 * The log of the prompt's turn, of which the session has the row by now. `work` has the session look after its turns.
 *
 * It goes on if nobody waits for it any more: a prompt may be in the store by then.
 */
export const submit = (
  self: Session,
  { author, context, input, owner, turn }: Request,
  work: Effect.Effect<void>
): Effect.Effect<TurnLog.TurnLog, SessionError> =>
  Effect.gen(function*() {
    const { json, text } = Codec.encodePrompt({ input, context })
    const prompt = {
      session: self.id,
      owner,
      turn,
      author,
      hash: yield* Codec.hash(text),
      input: json
    }
    const backlog = self.definition.whenBusy === "reject" ? 0 : self.definition.backlog
    const outcome = yield* self.store.claim(prompt, { lease: LEASE, backlog })
    switch (outcome._tag) {
      case "Claimed": {
        const log = logOf(self, turn)
        self.claimed.push(outcome.claimed)
        yield* work
        return log
      }
      case "Waiting": {
        const log = logOf(self, turn)
        const position = yield* makeWay(self, outcome.turn)
        TurnLog.add(log, [{ _tag: "Accepted", position }])
        yield* work
        return log
      }
      case "Running":
        return yield* Effect.as(work, logOf(self, turn))
      case "Committed":
        return ended(self, outcome.commit)
      case "Busy":
        return yield* Effect.fail(
          self.definition.whenBusy === "reject" ? new ConcurrentWrite() : new BacklogFull({ waiting: outcome.waiting })
        )
      case "TurnConflict":
        return yield* Effect.fail(new TurnConflict({ turn }))
      case "Forbidden":
        return yield* Effect.fail(new Forbidden())
    }
  }).pipe(self.submitting.withPermit, Effect.uninterruptible, named(self))

/** The log of a turn that was sent before: of this one, or of the one that runs or comes next. */
export const join = (
  self: Session,
  { owner, turn: wanted }: { readonly owner: string; readonly turn?: string | undefined },
  work: Effect.Effect<void>
): Effect.Effect<TurnLog.TurnLog, SessionError> =>
  Effect.gen(function*() {
    const { open } = yield* owned(self, owner)
    const turn = wanted ?? open[0]?.turn
    if (turn === undefined) return yield* Effect.fail(new NotFound())
    const known = self.logs.get(turn)
    if (known !== undefined) return known
    const found: TurnState = yield* self.store.turn(self.id, turn)
    if (found._tag === "Committed") return ended(self, found.commit)
    if (found._tag === "Unknown") return yield* Effect.fail(new NotFound())
    return yield* Effect.as(work, logOf(self, turn))
  }).pipe(named(self))

/** Cancels a turn, or the one that runs; false if there is none. Waits until one of this process has ended. */
export const cancel = (
  self: Session,
  { owner, turn: wanted }: { readonly owner: string; readonly turn?: string | undefined }
): Effect.Effect<boolean, SessionError> =>
  Effect.gen(function*() {
    const { open } = yield* owned(self, owner)
    const turn = wanted === undefined ? open[0] : open.find(({ turn }) => turn === wanted)
    if (turn === undefined) return false
    const log = self.logs.get(turn.turn)
    const isHere = (yield* stop(self, turn, new Cancelled())) === "here"
    if (log !== undefined && isHere) yield* Deferred.await(log.ending)
    return true
  }).pipe(named(self))

/** The session's open turns, if it belongs to this owner. */
export const owned = (
  { id, store }: Pick<Session, "id" | "store">,
  owner: string
): Effect.Effect<Loaded, StoreError | Forbidden | NotFound> =>
  Effect.flatMap(store.load(id, { recent: 1 }), (loaded): Effect.Effect<Loaded, Forbidden | NotFound> => {
    const found = Option.getOrUndefined(loaded)
    if (found === undefined) return Effect.fail(new NotFound())
    return found.head.owner === owner ? Effect.succeed(found) : Effect.fail(new Forbidden())
  })

/** An error with the session's name. */
export const named =
  ({ id }: { readonly id: string }) =>
  <A, R>(effect: Effect.Effect<A, StoreError | SessionErrorReason, R>): Effect.Effect<A, SessionError, R> =>
    Effect.mapError(
      effect,
      (error) => new SessionError({ session: id, reason: error._tag === "StoreError" ? fromStore(error) : error })
    )

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

/** The log of a turn that has ended: its receipt. */
const ended = (self: Session, commit: Commit): TurnLog.TurnLog => {
  const log = TurnLog.make(self.id, commit.turn, self.definition.maxTurnBytes)
  log.attempt = commit.attempt
  TurnLog.end(log, Codec.endingOf(commit))
  return log
}

/** Lets a prompt take the place of others, if that is how the session works; its place in the queue then. */
const makeWay = (self: Session, mine: OpenTurn): Effect.Effect<number, StoreError> => {
  const { whenBusy } = self.definition
  if (whenBusy !== "latest" && whenBusy !== "interrupt") return Effect.succeed(mine.position)
  return Effect.gen(function*() {
    const loaded = Option.getOrUndefined(yield* self.store.load(self.id, { recent: 1 }))
    for (const turn of loaded?.open ?? []) {
      if (turn.turn === mine.turn) continue
      if (turn.status === "waiting") yield* stop(self, turn, new Superseded())
      else if (whenBusy === "interrupt") yield* stop(self, turn, new Cancelled())
    }
    return 1
  })
}

/** Takes a turn that waits out of the queue. One that runs is ended by its owner: `here`, or in another process. */
const stop = (
  self: Session,
  { status, turn }: OpenTurn,
  reason: SessionErrorReason
): Effect.Effect<"withdrawn" | "here" | "elsewhere", StoreError> =>
  Effect.gen(function*() {
    if (status === "waiting" && (yield* self.store.withdraw(self.id, turn))) {
      endLog(self, turn, { failure: reason })
      return "withdrawn"
    }
    const log = self.logs.get(turn)
    const isHere = self.running?.turn === turn || self.claimed.some(({ claim }) => claim.turn === turn)
    if (log !== undefined && isHere) {
      Deferred.doneUnsafe(log.stop, Effect.void)
      return "here"
    }
    yield* self.store.requestCancel(self.id, turn, null)
    return "elsewhere"
  })
