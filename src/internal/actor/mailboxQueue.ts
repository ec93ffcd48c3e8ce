/**
 * The waiting messages of one actor: an accepted lane, a lane of senders that wait for capacity, and an urgent lane
 * for what the runtime itself sends. All lanes are lists linked through the envelopes, so an idle mailbox holds
 * nothing and a cancelled message leaves from the middle.
 *
 * @internal
 */
import type { Mailbox } from "../../Mailbox.ts"
import type { Envelope } from "./envelope.ts"

interface Lane {
  head: Envelope | undefined
  tail: Envelope | undefined
  size: number
}

export interface MailboxQueue {
  readonly mailbox: Mailbox
  readonly accepted: Lane
  blocked: Lane | undefined
  urgent: Lane | undefined
}

export const make = (mailbox: Mailbox): MailboxQueue => ({
  mailbox,
  accepted: makeLane(),
  blocked: undefined,
  urgent: undefined
})

export const size = (self: MailboxQueue): number => self.accepted.size + (self.urgent?.size ?? 0)

export const blockedSize = (self: MailboxQueue): number => self.blocked?.size ?? 0

export const isFull = (self: MailboxQueue): boolean =>
  self.accepted.size >= self.mailbox.capacity || (self.blocked !== undefined && self.blocked.size > 0)

export const isEmpty = (self: MailboxQueue): boolean =>
  self.accepted.size === 0 && (self.urgent === undefined || self.urgent.size === 0)

export const append = (self: MailboxQueue, envelope: Envelope): void => {
  envelope.status = "queued"
  push(self.accepted, envelope)
}

export const appendBlocked = (self: MailboxQueue, envelope: Envelope): void => {
  envelope.status = "blocked"
  push(self.blocked ??= makeLane(), envelope)
}

export const appendUrgent = (self: MailboxQueue, envelope: Envelope): void => {
  envelope.status = "queued"
  push(self.urgent ??= makeLane(), envelope)
}

/** Puts messages back before all accepted ones, in their order; the capacity does not count for them. */
export const prepend = (self: MailboxQueue, envelopes: ReadonlyArray<Envelope>): void => {
  for (let i = envelopes.length - 1; i >= 0; i--) {
    const envelope = envelopes[i]!
    envelope.status = "queued"
    unshift(self.accepted, envelope)
  }
}

/** Takes the next message without admitting a blocked sender: see `admit`. */
export const take = (self: MailboxQueue): Envelope | undefined => {
  const urgent = self.urgent
  if (urgent !== undefined && urgent.head !== undefined) return shift(urgent)
  return shift(self.accepted)
}

/** What `take` would take. */
export const peek = (self: MailboxQueue): Envelope | undefined => self.urgent?.head ?? self.accepted.head

/** Takes the oldest message that the capacity counts for. */
export const takeOldest = (self: MailboxQueue): Envelope | undefined => shift(self.accepted)

/** Moves the first blocked message into the mailbox when there is room. */
export const admit = (self: MailboxQueue): Envelope | undefined => {
  const blocked = self.blocked
  if (blocked === undefined || blocked.head === undefined || self.accepted.size >= self.mailbox.capacity) {
    return undefined
  }
  const envelope = shift(blocked)!
  append(self, envelope)
  return envelope
}

/** Takes one sent message out; an urgent one has no sender who could take it back. */
export const remove = (self: MailboxQueue, envelope: Envelope): void => {
  unlink(envelope.status === "blocked" ? self.blocked! : self.accepted, envelope)
}

/** Takes out what waits, blocked messages last. */
export const takeAny = (self: MailboxQueue): Envelope | undefined =>
  take(self) ?? (self.blocked === undefined ? undefined : shift(self.blocked))

// -----------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------

const makeLane = (): Lane => ({ head: undefined, tail: undefined, size: 0 })

const push = (lane: Lane, envelope: Envelope): void => {
  envelope.previous = lane.tail
  if (lane.tail === undefined) lane.head = envelope
  else lane.tail.next = envelope
  lane.tail = envelope
  lane.size++
}

const unshift = (lane: Lane, envelope: Envelope): void => {
  envelope.next = lane.head
  if (lane.head === undefined) lane.tail = envelope
  else lane.head.previous = envelope
  lane.head = envelope
  lane.size++
}

const shift = (lane: Lane): Envelope | undefined => {
  const envelope = lane.head
  if (envelope === undefined) return undefined
  const next = envelope.next
  lane.head = next
  if (next === undefined) lane.tail = undefined
  else next.previous = undefined
  envelope.next = undefined
  lane.size--
  return envelope
}

const unlink = (lane: Lane, envelope: Envelope): void => {
  const { next, previous } = envelope
  if (previous === undefined) lane.head = next
  else previous.next = next
  if (next === undefined) lane.tail = previous
  else next.previous = previous
  envelope.next = undefined
  envelope.previous = undefined
  lane.size--
}
