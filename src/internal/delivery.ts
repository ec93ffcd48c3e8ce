/**
 * Brings messages into mailboxes and runs their handlers.
 *
 * An idle actor has no fiber. A message that arrives schedules a delivery, which takes messages and runs each handler as a
 * fiber of its own; most end at once, and it goes on with the next. A handler that suspends ends the delivery, and
 * its end schedules another one.
 *
 * @internal
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Rpc from "effect/rpc/Rpc"
import * as Stream from "effect/Stream"
import * as Tracer from "effect/Tracer"
import type { ActorError } from "./actorError.ts"
import * as Cell from "./cell.ts"
import type { Envelope } from "./envelope.ts"
import * as Lifecycle from "./lifecycle.ts"
import * as MailboxQueue from "./mailboxQueue.ts"

/** Messages handled in one go before other actors get their share. */
const deliveryLimit = 256

/** Handles what waits, until a run suspends or other actors should have their share. */
export const deliver = (cell: Cell.Cell): void => {
  cell.delivery = "running"
  let left = deliveryLimit
  while (canTake(cell)) {
    if (left-- === 0) {
      cell.delivery = "none"
      return Cell.wake(cell)
    }
    const envelope = MailboxQueue.take(cell.queue)
    if (envelope === undefined) break
    if (cell.queue.blocked !== undefined) admit(cell)
    run(cell, envelope)
  }
  cell.delivery = "none"
  if (cell.state._tag === "Draining" && cell.busy === 0 && MailboxQueue.isEmpty(cell.queue)) {
    Lifecycle.requestStop(cell, "stop", { _tag: "Stopped" })
  }
  Lifecycle.endIfQuiet(cell)
}

/**
 * Puts a message into the mailbox. Succeeds when it was accepted (or dropped unasked), fails when it was refused;
 * `undefined` when the sender has to wait: see `wait`.
 */
export const offer = (cell: Cell.Cell, envelope: Envelope): Exit.Exit<void, ActorError> | undefined => {
  const queue = cell.queue
  switch (cell.state._tag) {
    case "Draining":
    case "Stopping":
    case "Ending":
    case "Stopped": {
      cell.stats.sent++
      Cell.deadLetter(cell, { ...envelope, reply: undefined })
      return Exit.fail(Cell.failure(cell, envelope.tag, Cell.stopped))
    }
  }
  if (MailboxQueue.isFull(queue)) {
    const overflowed = overflow(cell, envelope)
    if (overflowed !== accepted) return overflowed
  }
  cell.stats.sent++
  MailboxQueue.append(queue, envelope)
  if (cell.delivery === "none" && cell.busy < cell.definition.concurrency) Cell.wake(cell)
  return accepted
}

/** Lets a message wait for capacity; `envelope.accepted` is resumed when it has it. */
export const wait = (cell: Cell.Cell, envelope: Envelope): void => {
  cell.stats.sent++
  MailboxQueue.appendBlocked(cell.queue, envelope)
}

/** Puts a message of the runtime itself before all others, whatever the capacity. */
export const notify = (cell: Cell.Cell, envelope: Envelope): void => {
  cell.stats.sent++
  const state = cell.state._tag
  if (state === "Stopping" || state === "Ending" || state === "Stopped") return Cell.deadLetter(cell, envelope)
  MailboxQueue.appendUrgent(cell.queue, envelope)
  Cell.wake(cell)
}

/** Takes a message back, or interrupts its run. */
export const cancel = (cell: Cell.Cell, envelope: Envelope): Effect.Effect<unknown> => {
  switch (envelope.status) {
    case "blocked":
    case "queued":
      MailboxQueue.remove(cell.queue, envelope)
      if (envelope.status === "queued") admit(cell)
      break
    case "stashed":
      cell.stash?.splice(cell.stash.indexOf(envelope), 1)
      break
    case "running": {
      const fiber = envelope.fiber
      envelope.status = "done"
      return fiber === undefined || envelope.abort !== undefined ? Effect.void : Fiber.interrupt(fiber)
    }
    default: {
      const forwarded = envelope.forwarded
      return forwarded === undefined ? Effect.void : cancel(forwarded.cell, forwarded.envelope)
    }
  }
  envelope.status = "done"
  cell.stats.cancelled++
  return Effect.void
}

const ForwardTypeId = "~effect-troupe/internal/Forward"

/** A deferred answer that the runtime does not wait for: it hands the whole message on. */
export interface Forward extends Deferred.Deferred<unknown, unknown> {
  readonly [ForwardTypeId]: (from: Cell.Cell, envelope: Envelope) => void
}

export const makeForward = (handOn: (from: Cell.Cell, envelope: Envelope) => void): Forward =>
  Object.assign(Deferred.makeUnsafe<unknown, unknown>(), { [ForwardTypeId]: handOn })

/** The defect by which a handler says that its message is to be put aside. */
export const stashSignal = { _tag: "effect-troupe/internal/Stash" }

/** Puts all stashed messages back before the queued ones, in their order. */
export const unstashAll = (cell: Cell.Cell): void => {
  const stash = cell.stash
  if (stash === undefined) return
  cell.stash = undefined
  MailboxQueue.prepend(cell.queue, stash)
  Cell.wake(cell)
}

// -----------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------

const isForward = (deferred: Deferred.Deferred<unknown, unknown>): deferred is Forward => ForwardTypeId in deferred

const isStash = (cause: Cause.Cause<unknown>): boolean =>
  cause.reasons.some((reason) => Cause.isDieReason(reason) && reason.defect === stashSignal)

/** The run does not count as handling: the message will have another one. */
const stash = (cell: Cell.Cell, envelope: Envelope): void => {
  if (envelope.status !== "running") return
  cell.stats.handled--
  switch (cell.state._tag) {
    case "Stopping":
    case "Ending":
    case "Stopped":
      return Cell.deadLetter(cell, envelope)
  }
  const stashed = cell.stash ??= []
  const capacity = cell.definition.stashCapacity
  if (stashed.length < capacity) {
    envelope.status = "stashed"
    stashed.push(envelope)
    return
  }
  cell.stats.dropped++
  droppedEvent(cell, envelope)
  Cell.refuse(cell, envelope, { _tag: "MailboxFull", capacity })
}

const accepted = Exit.void

const canTake = (cell: Cell.Cell): boolean =>
  (cell.state._tag === "Running" || cell.state._tag === "Draining") && cell.busy < cell.definition.concurrency

/** Moves blocked messages in. Their senders go on later, in the dispatcher: by then there is room for many. */
const admit = (cell: Cell.Cell): void => {
  for (
    let envelope = MailboxQueue.admit(cell.queue);
    envelope !== undefined;
    envelope = MailboxQueue.admit(cell.queue)
  ) {
    const resume = envelope.accepted
    envelope.accepted = undefined
    if (resume !== undefined) cell.system.dispatcher.scheduleTask(() => resume(Exit.void), 0)
  }
}

/** What a full mailbox does; `accepted` when there is room now. */
const overflow = (cell: Cell.Cell, envelope: Envelope): Exit.Exit<void, ActorError> | undefined => {
  const mailbox = cell.queue.mailbox
  switch (mailbox.policy) {
    case "block":
      return undefined
    case "dropOldest":
      dropped(cell, MailboxQueue.takeOldest(cell.queue)!, "dropOldest")
      return accepted
    case "dropNewest": {
      cell.stats.sent++
      dropped(cell, { ...envelope, reply: undefined }, "dropNewest")
      return envelope.reply === undefined
        ? accepted_dropped
        : Exit.fail(Cell.failure(cell, envelope.tag, { _tag: "Dropped", policy: "dropNewest" }))
    }
    case "fail":
      cell.stats.sent++
      cell.stats.dropped++
      droppedEvent(cell, envelope)
      return Exit.fail(Cell.failure(cell, envelope.tag, { _tag: "MailboxFull", capacity: mailbox.capacity }))
  }
}

/** Success of a tell whose message was dropped: equal to `accepted`, yet another value. */
const accepted_dropped: Exit.Exit<void> = Exit.succeed(undefined)

const dropped = (cell: Cell.Cell, envelope: Envelope, policy: "dropNewest" | "dropOldest"): void => {
  cell.stats.dropped++
  droppedEvent(cell, envelope)
  Cell.refuse(cell, envelope, { _tag: "Dropped", policy })
}

const droppedEvent = (cell: Cell.Cell, envelope: Envelope): void =>
  Cell.emit(cell, (path, protocol) => ({
    _tag: "MessageDropped",
    path,
    protocol,
    tag: envelope.tag,
    payload: envelope.payload
  }))

const run = (cell: Cell.Cell, envelope: Envelope): void => {
  envelope.status = "running"
  cell.stats.handled++
  if (cell.definition.idleTimeout !== undefined) cell.activeAt = cell.system.clock.currentTimeMillisUnsafe()
  let result: object
  try {
    result = cell.handlers[envelope.tag]!(envelope.payload)
  } catch (defect) {
    return complete(cell, envelope, Exit.die(defect))
  }
  if (envelope.sink === undefined && Exit.isExit(result)) return complete(cell, envelope, result)
  const wrapper = Rpc.isWrapper(result) ? result : undefined
  start(cell, envelope, wrapper?.value ?? result, wrapper?.fork === true, wrapper?.uninterruptible === true)
}

/** Runs the handler's effect as a fiber; what it does before it suspends happens here and now. */
const start = (cell: Cell.Cell, envelope: Envelope, value: object, forked: boolean, uninterruptible: boolean): void => {
  cell.active++
  if (!forked) cell.busy++
  const end = (exit: Exit.Exit<unknown, unknown>) => {
    cell.active--
    if (!forked) cell.busy--
    complete(cell, envelope, exit)
  }
  const effect = envelope.sink === undefined ? value as Effect.Effect<unknown, unknown> : pour(value, envelope.sink)
  const context = envelope.span === undefined
    ? cell.context
    : Context.add(cell.context, Tracer.ParentSpan, envelope.span)
  const fiber = Effect.runForkWith(context)(
    envelope.span === undefined ? effect : Effect.withSpan(effect, `${cell.definition.name}.${envelope.tag}`),
    uninterruptible ? { uninterruptible: true } : undefined
  )
  const exit = fiber.pollUnsafe()
  if (exit !== undefined) return end(exit)
  track(cell, envelope, fiber)
  if (uninterruptible) envelope.fiber = undefined
  fiber.addObserver((exit) => {
    cell.running!.delete(envelope)
    end(exit)
    if (cell.delivery === "none") Cell.wake(cell)
  })
}

const track = (cell: Cell.Cell, envelope: Envelope, fiber: Fiber.Fiber<unknown, unknown>): void => {
  envelope.fiber = fiber
  ;(cell.running ??= new Set()).add(envelope)
}

/** Streams the handler's items to their consumer, as fast as the consumer takes them. */
const pour = (
  value: object,
  sink: Queue.Enqueue<ReadonlyArray<unknown>, unknown>
): Effect.Effect<unknown, unknown> => {
  const stream = Stream.isStream(value)
    ? value as Stream.Stream<unknown, unknown>
    : Stream.unwrap(Effect.map(value as Effect.Effect<Queue.Dequeue<unknown, unknown>, unknown>, Stream.fromQueue))
  return Stream.runForEachArray(stream, (items) => Queue.offer(sink, items))
}

const complete = (cell: Cell.Cell, envelope: Envelope, exit: Exit.Exit<unknown, unknown>): void => {
  envelope.fiber = undefined
  if (Exit.isSuccess(exit)) {
    const value = exit.value
    if (!Deferred.isDeferred<unknown, unknown>(value)) return answerIfWaiting(cell, envelope, exit)
    return isForward(value) ? value[ForwardTypeId](cell, envelope) : answerLater(cell, envelope, value)
  }
  const cause = exit.cause
  if (isStash(cause)) return stash(cell, envelope)
  if (Cause.hasDies(cause)) return crashed(cell, envelope, cause)
  if (envelope.abort !== undefined) return answerIfWaiting(cell, envelope, Exit.fail(envelope.abort))
  // Its asker interrupted the run, and nobody else is concerned.
  if (envelope.status === "done") return
  if (Cause.hasFails(cause)) return answerIfWaiting(cell, envelope, exit)
  // A handler that interrupts itself left its asker without an answer, so that is a crash too.
  crashed(cell, envelope, cause)
}

const crashed = (cell: Cell.Cell, envelope: Envelope, cause: Cause.Cause<unknown>): void => {
  const error = Cell.failure(cell, envelope.tag, { _tag: "Crashed", defect: Cause.squash(cause) })
  Lifecycle.crash(cell, cause)
  answerIfWaiting(cell, envelope, Exit.fail(error))
}

const answerIfWaiting = (cell: Cell.Cell, envelope: Envelope, exit: Exit.Exit<unknown, unknown>): void => {
  if (envelope.status === "running") Cell.answer(cell, envelope, exit)
}

/** A handler that returned a deferred lets the actor go on; the answer follows, unless the incarnation ends first. */
const answerLater = (cell: Cell.Cell, envelope: Envelope, deferred: Deferred.Deferred<unknown, unknown>): void => {
  if (envelope.reply === undefined) return
  const fiber = Effect.runForkWith(cell.context)(Deferred.await(deferred))
  track(cell, envelope, fiber)
  fiber.addObserver((exit) => {
    cell.running!.delete(envelope)
    answerIfWaiting(cell, envelope, envelope.abort === undefined ? exit : Exit.fail(envelope.abort))
  })
}
