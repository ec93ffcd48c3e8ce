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
import { retype } from "../retype.ts"
import type { ActorError, ActorErrorReason } from "./actorError.ts"
import * as Cell from "./cell.ts"
import * as Lifecycle from "./lifecycle.ts"
import * as MailboxQueue from "./mailboxQueue.ts"
import * as Message from "./message.ts"
import * as Waits from "./waits.ts"

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
  get kill() {
    return stop(this.cell, "kill")
  }
  get pause() {
    return Effect.sync(() => Lifecycle.pause(this.cell))
  }
  get resume() {
    return Effect.sync(() => Lifecycle.resume(this.cell))
  }
  get restart() {
    return Lifecycle.restart(this.cell)
  }
  get awaitStopped() {
    return Lifecycle.awaitStopped(this.cell)
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

/** The reference that others get; a router's stands before its own one. */
export const make = (cell: Cell.Cell): object => {
  const ref = new LocalRef(cell)
  return cell.definition.reference?.(ref) ?? ref
}

/** Not what stands before one, as a router's reference does. */
export const isLocalRef = (ref: object): ref is LocalRef => ref instanceof LocalRef

/** What a reference has that sends each message on to another one: it says to which. */
export const TargetTypeId = "~effect-troupe/internal/Target"

export interface Forwarding {
  readonly [TargetTypeId]: (tag: string, input: unknown) => Effect.Effect<LocalRef>
}

export const isForwarding = (ref: object): ref is Forwarding => TargetTypeId in ref

/** An answer that the target gives to the original asker, whatever becomes of the forwarding actor. */
export const forward = (
  ref: LocalRef | Forwarding,
  tag: string,
  input: unknown
): Effect.Effect<Message.Forward> =>
  isLocalRef(ref)
    ? Effect.sync(() => {
      const payload = ref.protocol.payload(tag, input)
      return Message.makeForward((envelope) => handOn(ref.cell, tag, payload, envelope))
    })
    : Effect.flatMap(ref[TargetTypeId](tag, input), (target) => forward(target, tag, input))

/** The same to an actor that may be elsewhere: its answer to an ask becomes the answer. */
export const forwardElsewhere = (
  ask: Effect.Effect<unknown, unknown>,
  tell: Effect.Effect<void, unknown>
): Effect.Effect<Message.Forward> =>
  Effect.withFiber(({ context }) =>
    Effect.succeed(Message.makeForward((envelope) => {
      const { reply } = envelope
      if (reply === undefined) return Effect.ignore(tell)
      const fiber = Effect.runForkWith(context)(ask)
      envelope.status = "done"
      envelope.forwarded = Fiber.interrupt(fiber)
      fiber.addObserver(reply)
      return undefined
    }))
  )

/** Puts in a message of nobody in the program, when it is its turn. The effect takes it back. */
export const enter = (
  { cell, how, payload, span, tag }: Cell.Entering,
  reply: Cell.Reply,
  sink: Cell.Sink | undefined
): Effect.Effect<unknown> => {
  if (how === "tell") {
    const envelope = Message.make(cell, tag, payload, undefined, undefined, span)
    const outcome = send(envelope)
    if (outcome === undefined) return block(envelope, reply)
    reply(outcome)
    return Effect.void
  }
  const envelope = Message.make(cell, tag, payload, reply, sink, span)
  place(envelope)
  return Effect.suspend(() => Message.cancel(envelope))
}

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const tell = (self: LocalRef, tag: string, input: unknown): Effect.Effect<void, ActorError> =>
  Effect.withFiber((fiber) => {
    const payload = self.protocol.payload(tag, input)
    const intake = intakeOf(self, fiber)
    if (intake !== undefined) {
      return Effect.callback((resume) => intake.send(entering(fiber, self, "tell", tag, payload), retype(resume)))
    }
    const envelope = Message.make(self.cell, tag, payload, undefined, undefined, fiber.cache.span)
    return send(envelope) ?? waitForRoom(envelope)
  })

const ask = (self: LocalRef, tag: string, input: unknown): Effect.Effect<unknown, unknown> =>
  Effect.callback((resume) => request(Fiber.getCurrent()!, self, tag, input, resume, undefined))

const stream = (self: LocalRef, tag: string, input: unknown): Stream.Stream<unknown, unknown> => {
  const inside = streamInside(self, tag, input)
  if (self.cell.system.intake === undefined) return inside
  return Pushed.unwrap(Effect.withFiber((fiber) => {
    const intake = intakeOf(self, fiber)
    return Effect.succeed(intake === undefined ? inside : streamOutside(intake, fiber, self, tag, input))
  }))
}

/** Its actor does not wait for a reader outside. */
const streamOutside = (
  intake: Cell.MessageIntake,
  fiber: Fiber.Fiber<unknown, unknown>,
  self: LocalRef,
  tag: string,
  input: unknown
): Stream.Stream<unknown, unknown> =>
  Stream.callback<unknown, unknown>(
    (queue) =>
      Effect.acquireRelease(
        Effect.sync(() =>
          intake.send(
            entering(fiber, self, "stream", tag, self.protocol.payload(tag, input)),
            (exit) => Exit.isSuccess(exit) ? Queue.endUnsafe(queue) : Queue.failCauseUnsafe(queue, exit.cause),
            (items) => Queue.offerAllUnsafe(queue, items)
          )
        ),
        (cancel) => cancel
      ),
    { bufferSize: Number.POSITIVE_INFINITY }
  )

const intakeOf = ({ cell }: LocalRef, fiber: Fiber.Fiber<unknown, unknown>): Cell.MessageIntake | undefined => {
  const { intake } = cell.system
  return intake !== undefined && intake.isOutside(fiber) ? intake : undefined
}

const entering = (
  { cache }: Fiber.Fiber<unknown, unknown>,
  { cell }: LocalRef,
  how: Cell.Entering["how"],
  tag: string,
  payload: unknown
): Cell.Entering => ({ cell, how, tag, payload, span: cache.span })

const streamInside = (self: LocalRef, tag: string, input: unknown): Stream.Stream<unknown, unknown> =>
  Pushed.withSource(
    () =>
      Stream.unwrap(Effect.gen(function*() {
        const queue = yield* Queue.bounded<ReadonlyArray<unknown>, unknown>(1)
        const end = (exit: Exit.Exit<unknown, unknown>) => {
          first.status = "done"
          if (Exit.isSuccess(exit)) Queue.endUnsafe(queue as Queue.Enqueue<ReadonlyArray<unknown>, Cause.Done>)
          else Queue.failCauseUnsafe(queue, exit.cause)
        }
        const first: Cell.Wait = { to: self.cell, status: "queued", run: undefined, nextWait: undefined }
        const sink: Cell.Sink = (items) => {
          first.status = "done"
          return items.length === 0 ? Effect.void : Effect.asVoid(Queue.offer(queue, items))
        }
        const envelope = Effect.withFiber((fiber) => {
          const payload = self.protocol.payload(tag, input)
          const envelope = Message.make(self.cell, tag, payload, end, sink, fiber.cache.span)
          place(envelope)
          // Only for the first item does the run surely wait.
          const run = Waits.runOf(fiber)
          if (run !== undefined) waitFor(run, envelope, first)
          return Effect.succeed(envelope)
        })
        yield* Effect.acquireRelease(envelope, (envelope) => {
          first.status = "done"
          return Message.cancel(envelope)
        })
        return Stream.flattenArray(Stream.fromQueue(queue) as Stream.Stream<[unknown], unknown>)
      })),
    // The same for a reader that takes the items in the handler's own fiber.
    (sink) => Effect.callback((resume) => request(Fiber.getCurrent()!, self, tag, input, resume, sink))
  )

/** Requests the end and waits for it; an actor (or a descendant) that stops itself does not wait for itself. */
const stop = (cell: Cell.Cell, mode: "drain" | "stop" | "kill"): Effect.Effect<void> =>
  Effect.withFiber(({ context }) => {
    Lifecycle.requestStop(cell, mode)
    if (cell.state._tag === "Stopped" || Cell.contains(cell, context)) return Effect.void
    return Effect.asVoid(Lifecycle.awaitStopped(cell))
  })

const sizes = ({ incarnation, queue }: Cell.Cell) => ({
  size: MailboxQueue.size(queue),
  blocked: MailboxQueue.blockedSize(queue),
  capacity: queue.mailbox.capacity,
  running: incarnation.active
})

/** Sends what the fiber will wait for; the effect takes it back. */
const request = (
  fiber: Fiber.Fiber<unknown, unknown>,
  self: LocalRef,
  tag: string,
  input: unknown,
  reply: Cell.Reply,
  sink: Cell.Sink | undefined
): Effect.Effect<unknown> => {
  const { cell, protocol } = self
  const payload = protocol.payload(tag, input)
  const intake = sink === undefined ? intakeOf(self, fiber) : undefined
  if (intake !== undefined) return intake.send(entering(fiber, self, "ask", tag, payload), reply)
  const envelope = Message.make(cell, tag, payload, reply, sink, fiber.cache.span)
  place(envelope)
  const run = Waits.runOf(fiber)
  if (run !== undefined) waitFor(run, envelope)
  return Effect.suspend(() => Message.cancel(envelope))
}

/** Puts an asked message into the mailbox, or in line for it. */
const place = (envelope: Cell.Envelope): void => {
  const outcome = send(envelope)
  if (outcome === undefined) return Message.wait(envelope)
  if (Exit.isSuccess(outcome)) return
  envelope.status = "done"
  envelope.reply!(outcome)
}

/** Has the run wait for the message's answer, unless it would wait for ever. */
const waitFor = (run: Cell.Run, envelope: Cell.Envelope, wait: Cell.Wait = envelope): void => {
  if (envelope.status === "done") return
  envelope.asker = run
  Waits.add(run, wait)
  const cycle = Waits.cycleOf(run)
  if (cycle !== undefined) Message.refuseWaiting(envelope, { _tag: "Deadlock", cycle })
}

/** Offers a message to its actor, and wakes it. */
const send = (envelope: Cell.Envelope): Exit.Exit<void, ActorError> | undefined => {
  const outcome = Message.offer(envelope)
  if (outcome !== undefined && Exit.isSuccess(outcome)) Lifecycle.wake(envelope.to)
  return outcome
}

/** The offer and the registration happen in one step, so that an interruption in between cannot leave a message. */
const waitForRoom = (envelope: Cell.Envelope): Effect.Effect<void, ActorError> =>
  Effect.callback((resume) => {
    const outcome = send(envelope)
    if (outcome !== undefined) return resume(outcome)
    const back = block(envelope, resume)
    const run = Waits.runOf(Fiber.getCurrent()!)
    if (run !== undefined) waitForRoomAs(run, envelope.blocked!.room, envelope)
    return back
  })

/** Has a message wait for room; the effect takes it back. */
const block = (envelope: Cell.Envelope, resume: Cell.Blocked["resume"]): Effect.Effect<unknown> => {
  const room: Cell.Wait = { to: envelope.to, status: "blocked", run: undefined, nextWait: undefined }
  envelope.blocked = { room, resume }
  Message.wait(envelope)
  return Effect.suspend(() => {
    room.status = "done"
    return Message.cancel(envelope)
  })
}

const waitForRoomAs = (run: Cell.Run, room: Cell.Wait, envelope: Cell.Envelope): void => {
  Waits.add(run, room)
  const cycle = Waits.cycleOf(run)
  if (cycle === undefined) return
  const reason: ActorErrorReason = run.incarnation.cell === envelope.to
    ? { _tag: "MailboxFull", capacity: envelope.to.queue.mailbox.capacity }
    : { _tag: "Deadlock", cycle }
  Message.refuseWaiting(envelope, reason)
}

/** Sends a message on to another actor. The forwarder waits for room there, as it would with a tell. */
const handOn = (
  cell: Cell.Cell,
  tag: string,
  payload: unknown,
  envelope: Cell.Envelope
): Effect.Effect<void> | undefined => {
  const onward = Message.make(cell, tag, payload, envelope.reply, undefined, envelope.span)
  const sent = send(onward)
  const settle = (exit: Exit.Exit<void, ActorError>): void => {
    if (Exit.isFailure(exit)) return void Message.answer(envelope, exit)
    envelope.status = "done"
    envelope.forwarded = Effect.suspend(() => Message.cancel(onward))
    if (envelope.asker !== undefined) waitFor(envelope.asker, onward)
  }
  if (sent === undefined) {
    return Effect.flatMap(Effect.exit(waitForRoom(onward)), (exit) => Effect.sync(() => settle(exit)))
  }
  settle(sent)
  return undefined
}
