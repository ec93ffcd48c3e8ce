/**
 * Brings messages into mailboxes and, one after the other, to their handlers.
 *
 * An idle actor has no fiber. A message that arrives schedules a delivery, or is one if somebody waits for its answer. A
 * delivery takes messages and runs their handlers; most end at once, and it goes on with the next. A handler that
 * suspends ends the delivery, and its end schedules another one.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type { Mailbox } from "../../Mailbox.ts"
import type { ActorError } from "./actorError.ts"
import * as Cell from "./cell.ts"
import type { Envelope } from "./envelope.ts"
import * as MailboxQueue from "./mailboxQueue.ts"
import * as Run from "./run.ts"
import * as Stop from "./stop.ts"

/** Messages handled in one go before other actors get their share. */
const deliveryLimit = 1024

/** Handles what waits, until a run suspends or other actors should have their share. */
export const deliver = (cell: Cell.Cell): void => {
  cell.delivery = "running"
  cell.share = deliveryLimit
  handleAll(cell)
  cell.delivery = "none"
  if (cell.share === 0) return Cell.wake(cell)
  if (cell.state._tag === "Draining" && cell.busy === 0 && MailboxQueue.isEmpty(cell.queue)) {
    Stop.requestStop(cell, "stop", { _tag: "Stopped" })
  }
  Stop.endIfQuiet(cell)
}

/**
 * Puts a message into the mailbox. Succeeds when it was accepted (or dropped unasked), fails when it was refused;
 * `undefined` when the sender has to wait: see `wait`.
 */
export const offer = (
  cell: Cell.Cell,
  envelope: Envelope,
  wake: (cell: Cell.Cell) => void = Cell.wake
): Exit.Exit<void, ActorError> | undefined => {
  const queue = cell.queue
  if (cell.state !== Cell.Running && !Cell.isOpen(cell)) {
    cell.stats.sent++
    Cell.deadLetter(cell, { ...envelope, reply: undefined })
    return Exit.fail(Cell.failure(cell, envelope.tag, Cell.stopped))
  }
  const full = MailboxQueue.isFull(queue)
  if (full && queue.mailbox.policy !== "dropOldest") return refuseFull(cell, envelope, queue.mailbox)
  const oldest = full ? MailboxQueue.takeOldest(queue) : undefined
  cell.stats.sent++
  MailboxQueue.append(queue, envelope)
  // An evicted asker that goes on and sends again has to find the mailbox full.
  if (oldest !== undefined) evict(cell, oldest)
  if (cell.busy < cell.definition.concurrency) wake(cell)
  return Exit.void
}

/**
 * Wakes an idle actor for an ask: its handler runs on the asker's own stack until it suspends, which is much faster than a
 * way through the dispatcher. That is left for an actor that has others' messages too, and for a stack that is deep.
 */
export const deliverAtOnce = (cell: Cell.Cell): void => {
  const { system } = cell
  if (system.depth >= Cell.maxDepth || MailboxQueue.size(cell.queue) > 1) return Cell.wake(cell)
  system.depth++
  if (cell.delivery === "none") deliver(cell)
  // The asker was just answered on top of a delivery.
  else if (cell.delivery === "running") handleAll(cell)
  system.depth--
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
      envelope.status = "done"
      // A handler that is on the stack right now has no fiber yet that could be interrupted.
      return envelope.fiber === undefined
        ? Effect.andThen(Effect.yieldNow, interruptRun(envelope))
        : interruptRun(envelope)
    }
    default:
      return envelope.forwarded ?? Effect.void
  }
  envelope.status = "done"
  cell.stats.cancelled++
  return Effect.void
}

/**
 * Refuses, before long, an ask that is made by the very run that keeps it waiting. Only when that run has suspended is
 * its fiber known. A cycle over several actors is not seen.
 */
export const refuseDeadlock = (cell: Cell.Cell, envelope: Envelope): void => {
  const asker = Fiber.getCurrent()
  if (cell.definition.concurrency > 1 || asker === undefined || !Stop.runsIn(asker.context, cell)) return
  cell.system.dispatcher.scheduleTask(() => {
    if (envelope.status !== "queued" && envelope.status !== "blocked") return
    for (const run of cell.running ?? []) {
      if (run.fiber !== asker) continue
      MailboxQueue.remove(cell.queue, envelope)
      admit(cell)
      cell.stats.cancelled++
      return Cell.refuse(cell, envelope, { _tag: "Deadlock" })
    }
  }, 0)
}

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

const interruptRun = (envelope: Envelope): Effect.Effect<unknown> =>
  Effect.suspend(() => {
    const { abort, fiber, uninterruptible } = envelope
    return fiber === undefined || uninterruptible || abort !== undefined ? Effect.void : Fiber.interrupt(fiber)
  })

const handleAll = (cell: Cell.Cell): void => {
  while (canTake(cell)) {
    const envelope = take(cell)
    if (envelope === undefined) return
    if (cell.definition.concurrency === 1 && isTold(envelope)) Run.runTold(cell, envelope, takeTold)
    else Run.run(cell, envelope)
  }
}

const canTake = (cell: Cell.Cell): boolean => takes(cell) && cell.busy < cell.definition.concurrency

const takes = (cell: Cell.Cell): boolean =>
  cell.share > 0 && !cell.paused && (cell.state === Cell.Running || cell.state === Cell.Draining)

const take = (cell: Cell.Cell): Envelope | undefined => {
  const envelope = MailboxQueue.take(cell.queue)
  if (envelope === undefined) return undefined
  cell.share--
  if (cell.queue.blocked !== undefined) admit(cell)
  return envelope
}

/** The next message, if it may run in the fiber of the told one before it. */
const takeTold = (cell: Cell.Cell): Envelope | undefined => {
  const next = MailboxQueue.peek(cell.queue)
  return next !== undefined && isTold(next) && takes(cell) ? take(cell) : undefined
}

/** Whether nobody waits for the message's outcome or traces it. */
const isTold = (envelope: Envelope): boolean =>
  envelope.reply === undefined && envelope.sink === undefined && envelope.span === undefined

/** Moves blocked messages in. Their senders go on later, in the dispatcher: by then there is room for many. */
const admit = (cell: Cell.Cell): void => {
  for (
    let envelope = MailboxQueue.admit(cell.queue);
    envelope !== undefined;
    envelope = MailboxQueue.admit(cell.queue)
  ) {
    const resume = envelope.accepted
    envelope.accepted = undefined
    if (resume !== undefined) Cell.resumeLater(cell, resume, Exit.void)
  }
}

/** What a full mailbox does with one more message; `undefined` when that has to wait. */
const refuseFull = (
  cell: Cell.Cell,
  envelope: Envelope,
  { capacity, policy }: Mailbox
): Exit.Exit<void, ActorError> | undefined => {
  if (policy === "block") return undefined
  cell.stats.sent++
  cell.stats.dropped++
  Cell.emitDropped(cell, envelope)
  if (policy === "fail") return Exit.fail(Cell.failure(cell, envelope.tag, { _tag: "MailboxFull", capacity }))
  return envelope.reply === undefined
    ? Exit.void
    : Exit.fail(Cell.failure(cell, envelope.tag, { _tag: "Dropped", policy: "dropNewest" }))
}

const evict = (cell: Cell.Cell, envelope: Envelope): void => {
  cell.stats.dropped++
  Cell.emitDropped(cell, envelope)
  Cell.refuse(cell, envelope, { _tag: "Dropped", policy: "dropOldest" })
}
