/**
 * Works on the turns of a session, one after the other, until nobody waits for one.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Claimed, Write } from "../store/contract.ts"
import type { StoreError } from "../store/storeError.ts"
import * as Codec from "./codec.ts"
import { Cancelled, ConcurrentWrite, Forbidden, fromStore, type SessionError } from "./error.ts"
import { perform } from "./perform.ts"
import type { Change } from "./protocol.ts"
import { endLog, LEASE, logOf, type Session } from "./session.ts"
import { named } from "./submit.ts"

/** Works until all turns that somebody here waits for have ended, wherever they run. */
export const work = (self: Session): Effect.Effect<void> =>
  Effect.gen(function*() {
    while (self.claimed.length > 0 || self.logs.size > 0) {
      self.news.closeUnsafe()
      const performed = yield* Effect.catch(self.committing.withPermit(takeOne(self)), (error) => giveUp(self, error))
      if (performed) continue
      yield* Effect.catch(follow(self), (error) => giveUp(self, error))
      // Another process has the session: its queue goes on there, or here once it is gone.
      if (self.logs.size > 0) yield* Effect.raceFirst(Effect.sleep("1 second"), self.news.await)
    }
    self.working = false
  })

/** A commit that is no turn: between two turns, on the version that `change` was given. */
export const write = (
  self: Session,
  { author, change, owner }: { readonly owner: string; readonly author: string; readonly change: Change }
): Effect.Effect<number, SessionError> => {
  const once = Effect.gen(function*() {
    const loaded = Option.getOrUndefined(yield* self.store.load(self.id, { recent: 1 }))
    if (loaded !== undefined && loaded.head.owner !== owner) return yield* Effect.fail(new Forbidden())
    const changes = yield* change(loaded)
    const version = loaded?.head.version ?? 0
    const write: Write = { session: self.id, owner, author, version, ...changes }
    const commit = yield* self.store.write(write)
    const { memory } = self
    const isKnown = memory?.version === version && changes.rewindTo === undefined
    self.memory = isKnown
      ? { ...memory, version: commit.version, states: { ...memory.states, ...changes.states } }
      : undefined
    return commit.version
  })
  // A prompt of this process may have claimed its turn before it had the permit: it waits for the write, and the other
  // way round.
  return once.pipe(
    self.committing.withPermit,
    Effect.uninterruptible,
    Effect.catchTag("SessionError", (error) => Effect.fail(error.reason)),
    named(self),
    Effect.retry({ times: 10, while: ({ reason }) => reason._tag === "ConcurrentWrite" && self.working })
  )
}

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

/** Performs the turn that was claimed, or the next one of the queue; false if there is none for this process. */
const takeOne = (self: Session): Effect.Effect<boolean, StoreError> =>
  Effect.gen(function*() {
    const claimed: Claimed | undefined = self.claimed[0]
      ?? Option.getOrUndefined(yield* self.store.resume(self.id, { lease: LEASE }))
    if (claimed === undefined) return false
    if (self.claimed[0] === undefined) self.claimed.push(claimed)
    yield* perform(self, claimed)
    return true
  })

/** Looks up what became of the turns that somebody here waits for. */
const follow = (self: Session): Effect.Effect<void, StoreError> =>
  Effect.forEach([...self.logs.keys()], (turn) =>
    Effect.map(self.store.turn(self.id, turn), (found) => {
      if (self.claimed.some(({ claim }) => claim.turn === turn)) return
      if (found._tag === "Committed") {
        logOf(self, turn).attempt = found.commit.attempt
        endLog(self, turn, Codec.endingOf(found.commit))
      } else if (found._tag === "Unknown") endLog(self, turn, { failure: new Cancelled() })
    }), { discard: true })

/** Tells those who wait that the store can't be reached; what they sent is in it, and goes on with the next prompt. */
const giveUp = (self: Session, error: StoreError): Effect.Effect<boolean> =>
  Effect.sync(() => {
    const failure = error.reason._tag === "Conflict" ? new ConcurrentWrite() : fromStore(error)
    for (const turn of self.logs.keys()) {
      if (!self.claimed.some(({ claim }) => claim.turn === turn)) endLog(self, turn, { failure })
    }
    return false
  })
