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
import * as Pushed from "../pushed.ts"
import type { ActorError } from "./actorError.ts"
import * as Cell from "./cell.ts"
import * as Delivery from "./delivery.ts"
import * as Envelope from "./envelope.ts"
import * as MailboxQueue from "./mailboxQueue.ts"
import * as Run from "./run.ts"
import * as Stop from "./stop.ts"

/** What every reference carries, whatever its placement. */
export const RefTypeId = "~effect-troupe/Actor/ActorRef"

/** A class, since the engine forgets the shape of what only has a prototype when the last one is collected. */
export class LocalRef {
  readonly protocol: Cell.Protocol
  readonly cell: Cell.Cell
  constructor(cell: Cell.Cell) {
    this.protocol = cell.definition.protocol
    this.cell = cell
  }
  get [RefTypeId]() {
    return RefTypeId
  }
  tell(tag: string, payload?: unknown) {
    return tell(this, tag, payload)
  }
  ask(tag: string, payload?: unknown) {
    return ask(this, tag, payload)
  }
  stream(tag: string, payload?: unknown) {
    return stream(this, tag, payload)
  }
  get path() {
    return this.cell.path
  }
  get stop() {
    return stop(this.cell, "stop")
  }
  get drain() {
    return stop(this.cell, "drain")
  }
  get awaitStopped() {
    return Stop.awaitStopped(this.cell)
  }
  get mailbox() {
    return Effect.sync(() => sizes(this.cell))
  }
  toString() {
    return `ActorRef(${this.cell.path})`
  }
  toJSON() {
    return { _id: "ActorRef", path: this.cell.path }
  }
}

export const make = (cell: Cell.Cell): LocalRef => {
  const ref = new LocalRef(cell)
  return cell.definition.reference?.(ref) as LocalRef | undefined ?? ref
}

/** Not what stands before one, as a router's reference does. */
export const isLocalRef = (ref: object): ref is LocalRef => Object.getPrototypeOf(ref) === LocalRef.prototype

/** An answer that the target gives to the original asker, whatever becomes of the forwarding actor. */
export const forward = (self: LocalRef, tag: string, input: unknown): Effect.Effect<Run.Forward> =>
  Effect.sync(() => {
    const payload = self.protocol.payload(tag, input)
    return Run.makeForward((envelope) => {
      if (envelope.status !== "running") return
      const onward = Envelope.make(tag, payload, envelope.reply, undefined, envelope.span)
      envelope.status = "done"
      envelope.forwarded = Effect.suspend(() => Delivery.cancel(self.cell, onward))
      send(self.cell, onward)
    })
  })

/** The same to an actor that may be elsewhere: its answer to an ask becomes the answer. */
export const forwardElsewhere = (
  ask: Effect.Effect<unknown, unknown>,
  tell: Effect.Effect<void, unknown>
): Effect.Effect<Run.Forward> =>
  Effect.withFiber(({ context }) =>
    Effect.succeed(Run.makeForward((envelope) => {
      if (envelope.status !== "running") return
      envelope.status = "done"
      const { reply } = envelope
      const fiber = Effect.runForkWith(context)(reply === undefined ? tell : ask)
      envelope.forwarded = Fiber.interrupt(fiber)
      if (reply !== undefined) fiber.addObserver(reply)
    }))
  )

// -----------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------

const tell = (self: LocalRef, tag: string, input: unknown): Effect.Effect<void, ActorError> =>
  Effect.withFiber((fiber) => {
    const cell = self.cell
    const envelope = Envelope.make(tag, self.protocol.payload(tag, input), undefined, undefined, fiber.cache.span)
    return Delivery.offer(cell, envelope) ?? waitForRoom(cell, envelope)
  })

const ask = (self: LocalRef, tag: string, input: unknown): Effect.Effect<unknown, unknown> =>
  Effect.callback((resume) => {
    const cell = self.cell
    return request(cell, Envelope.make(tag, self.protocol.payload(tag, input), resume, undefined, currentSpan()))
  })

const stream = (self: LocalRef, tag: string, input: unknown): Stream.Stream<unknown, unknown> =>
  Pushed.withSource(
    () =>
      Stream.unwrap(Effect.gen(function*() {
        const cell = self.cell
        const queue = yield* Queue.bounded<ReadonlyArray<unknown>, unknown>(1)
        const end = (exit: Exit.Exit<unknown, unknown>) => {
          if (Exit.isSuccess(exit)) Queue.endUnsafe(queue as Queue.Enqueue<ReadonlyArray<unknown>, Cause.Done>)
          else Queue.failCauseUnsafe(queue, exit.cause)
        }
        const sink: Envelope.Sink = (items) =>
          items.length === 0 ? Effect.void : Effect.asVoid(Queue.offer(queue, items))
        const envelope = Envelope.make(tag, self.protocol.payload(tag, input), end, sink, currentSpan())
        yield* Effect.acquireRelease(Effect.sync(() => request(cell, envelope)), (takeBack) => takeBack)
        return Stream.flattenArray(Stream.fromQueue(queue) as Stream.Stream<[unknown], unknown>)
      })),
    (sink) => listen(self, tag, input, sink)
  )

/** The same for a reader that takes the items in the handler's own fiber. */
const listen = (self: LocalRef, tag: string, input: unknown, sink: Envelope.Sink): Effect.Effect<unknown, unknown> =>
  Effect.callback((resume) => {
    const cell = self.cell
    return request(cell, Envelope.make(tag, self.protocol.payload(tag, input), resume, sink, currentSpan()))
  })

/** Requests the end and waits for it; an actor (or a descendant) that stops itself does not wait for itself. */
const stop = (cell: Cell.Cell, mode: "stop" | "drain"): Effect.Effect<void> =>
  Effect.withFiber((fiber) => {
    Stop.requestStop(cell, mode, { _tag: "Stopped" })
    if (cell.state._tag === "Stopped" || Stop.runsIn(fiber.context, cell)) return Effect.void
    return Effect.asVoid(Stop.awaitStopped(cell))
  })

const sizes = (cell: Cell.Cell) => ({
  size: MailboxQueue.size(cell.queue),
  blocked: MailboxQueue.blockedSize(cell.queue),
  capacity: cell.queue.mailbox.capacity
})

/** Sends what the current fiber will wait for; the effect takes it back. */
const request = (cell: Cell.Cell, envelope: Envelope.Envelope): Effect.Effect<unknown> => {
  if (cell.busy > 0) Delivery.refuseDeadlock(cell, envelope)
  envelope.atOnce = true
  const takeBack = send(cell, envelope, Delivery.deliverAtOnce)
  envelope.atOnce = false
  return takeBack
}

/** Sends an envelope that somebody may wait for; the effect takes it back. */
const send = (
  cell: Cell.Cell,
  envelope: Envelope.Envelope,
  wake?: (cell: Cell.Cell) => void
): Effect.Effect<unknown> => {
  const refused = Delivery.offer(cell, envelope, wake)
  if (refused === undefined) Delivery.wait(cell, envelope)
  else if (Exit.isFailure(refused)) Cell.answer(cell, envelope, refused)
  return Effect.suspend(() => Delivery.cancel(cell, envelope))
}

const currentSpan = () => Fiber.getCurrent()?.cache.span

/** The offer and the registration happen in one step, so that an interruption in between cannot leave a message. */
const waitForRoom = (cell: Cell.Cell, envelope: Envelope.Envelope): Effect.Effect<void, ActorError> =>
  Effect.callback((resume) => {
    const outcome = Delivery.offer(cell, envelope)
    if (outcome !== undefined) return resume(outcome)
    const fiber = Fiber.getCurrent()
    if (fiber !== undefined && Stop.runsIn(fiber.context, cell)) {
      return resume(Effect.fail(Cell.failure(cell, envelope.tag, {
        _tag: "MailboxFull",
        capacity: cell.queue.mailbox.capacity
      })))
    }
    envelope.accepted = resume
    Delivery.wait(cell, envelope)
    return Effect.suspend(() => Delivery.cancel(cell, envelope))
  })
