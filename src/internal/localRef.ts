/**
 * The reference to a local actor: messages go by reference, without being encoded.
 *
 * @internal
 */
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import type { ActorError } from "./actorError.ts"
import * as Cell from "./cell.ts"
import * as Delivery from "./delivery.ts"
import * as Envelope from "./envelope.ts"
import * as Lifecycle from "./lifecycle.ts"
import * as MailboxQueue from "./mailboxQueue.ts"

/** Turns what a sender wrote into what the handler gets. */
export type Payloads = (tag: string, input: unknown) => unknown

export interface LocalRef {
  readonly protocol: { readonly payload: Payloads }
  readonly cell: Cell.Cell
}

export const tell = (self: LocalRef, tag: string, input: unknown): Effect.Effect<void, ActorError> =>
  Effect.suspend(() => {
    const cell = self.cell
    const envelope = Envelope.make(tag, self.protocol.payload(tag, input), undefined, undefined, currentSpan())
    return Delivery.offer(cell, envelope) ?? waitForRoom(cell, envelope)
  })

export const ask = (self: LocalRef, tag: string, input: unknown): Effect.Effect<unknown, unknown> =>
  Effect.callback((resume) => {
    const cell = self.cell
    const envelope = Envelope.make(tag, self.protocol.payload(tag, input), resume, undefined, currentSpan())
    return send(cell, envelope)
  })

export const stream = (self: LocalRef, tag: string, input: unknown): Stream.Stream<unknown, unknown> =>
  Stream.unwrap(Effect.gen(function*() {
    const cell = self.cell
    const sink = yield* Queue.bounded<ReadonlyArray<unknown>, unknown>(1)
    const end = (exit: Exit.Exit<unknown, unknown>) => {
      if (Exit.isSuccess(exit)) Queue.endUnsafe(sink as Queue.Enqueue<ReadonlyArray<unknown>, Cause.Done>)
      else Queue.failCauseUnsafe(sink, exit.cause)
    }
    const envelope = Envelope.make(tag, self.protocol.payload(tag, input), end, sink, currentSpan())
    yield* Effect.acquireRelease(
      Effect.sync(() => {
        const refused = Delivery.offer(cell, envelope)
        if (refused === undefined) Delivery.wait(cell, envelope)
        else if (Exit.isFailure(refused)) end(refused)
      }),
      () => Effect.suspend(() => Delivery.cancel(cell, envelope))
    )
    return Stream.flattenArray(Stream.fromQueue(sink) as Stream.Stream<[unknown], unknown>)
  }))

/** Requests the end and waits for it; an actor (or a descendant) that stops itself does not wait for itself. */
export const stop = (self: LocalRef, mode: "stop" | "drain"): Effect.Effect<void> =>
  Effect.withFiber((fiber) => {
    const cell = self.cell
    Lifecycle.requestStop(cell, mode, { _tag: "Stopped" })
    if (cell.state._tag === "Stopped" || Lifecycle.runsIn(fiber.context, cell)) return Effect.void
    return Effect.asVoid(Lifecycle.awaitStopped(cell))
  })

export const sizes = (self: LocalRef) => ({
  size: MailboxQueue.size(self.cell.queue),
  blocked: MailboxQueue.blockedSize(self.cell.queue),
  capacity: self.cell.queue.mailbox.capacity
})

/** Sends an envelope that somebody waits for; the effect takes it back. */
export const send = (cell: Cell.Cell, envelope: Envelope.Envelope): Effect.Effect<unknown> => {
  const refused = Delivery.offer(cell, envelope)
  if (refused === undefined) Delivery.wait(cell, envelope)
  else if (Exit.isFailure(refused)) envelope.reply!(refused)
  return Effect.suspend(() => Delivery.cancel(cell, envelope))
}

// -----------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------

const currentSpan = () => Fiber.getCurrent()?.cache.span

/** The offer and the registration happen in one step, so that an interruption in between cannot leave a message. */
const waitForRoom = (cell: Cell.Cell, envelope: Envelope.Envelope): Effect.Effect<void, ActorError> =>
  Effect.callback((resume) => {
    const outcome = Delivery.offer(cell, envelope)
    if (outcome !== undefined) return resume(outcome)
    const fiber = Fiber.getCurrent()
    if (fiber !== undefined && Lifecycle.runsIn(fiber.context, cell)) {
      return resume(Effect.fail(Cell.failure(cell, envelope.tag, {
        _tag: "MailboxFull",
        capacity: cell.queue.mailbox.capacity
      })))
    }
    envelope.accepted = resume
    Delivery.wait(cell, envelope)
    return Effect.suspend(() => Delivery.cancel(cell, envelope))
  })
