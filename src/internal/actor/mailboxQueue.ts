/**
 * The waiting messages of one actor: an accepted lane, a lane of senders that wait for capacity, a lane of stashed
 * messages, and an urgent lane for what the runtime itself sends. All lanes are lists linked through the envelopes, so
 * an idle mailbox holds nothing and a cancelled message leaves from the middle.
 *
 * @internal
 */
import type { Mailbox } from "../../Mailbox.ts"

/**
 * - `new`: not in a mailbox yet
 * - `blocked`: its sender waits for capacity
 * - `queued`: in the mailbox
 * - `stashed`: put aside by its handler
 * - `running`: its handler runs
 * - `done`: answered, dropped or cancelled; nothing may happen to it any more
 */
export type Status = "new" | "blocked" | "queued" | "stashed" | "running" | "done"

/** What a mailbox needs of its messages. */
export interface Node<Self> {
  status: Status
  next: Self | undefined
  previous: Self | undefined
}

interface Lane<A> {
  head: A | undefined
  tail: A | undefined
  size: number
}

export interface MailboxQueue<A> {
  readonly mailbox: Mailbox
  readonly accepted: Lane<A>
  blocked: Lane<A> | undefined
  stashed: Lane<A> | undefined
  urgent: Lane<A> | undefined
}

/**
 * What became of one more message: it is in the mailbox, perhaps in the place of the oldest one; its sender has to wait
 * (see `wait`); or the policy does not take it.
 */
export type Offered<A> =
  | { readonly _tag: "Accepted"; readonly evicted: A | undefined }
  | { readonly _tag: "Wait" | "Full" | "Dropped" }

export const make = <A>(mailbox: Mailbox): MailboxQueue<A> => ({
  mailbox,
  accepted: makeLane(),
  blocked: undefined,
  stashed: undefined,
  urgent: undefined
})

export const size = <A>(self: MailboxQueue<A>): number => self.accepted.size + sizeOf(self.urgent)

export const blockedSize = <A>(self: MailboxQueue<A>): number => sizeOf(self.blocked)

export const stashedSize = <A>(self: MailboxQueue<A>): number => sizeOf(self.stashed)

export const isEmpty = <A>(self: MailboxQueue<A>): boolean => self.accepted.size === 0 && sizeOf(self.urgent) === 0

/** Takes a message in as the overflow policy says. */
export const offer = <A extends Node<A>>(self: MailboxQueue<A>, envelope: A): Offered<A> => {
  if (!isFull(self)) {
    append(self, envelope)
    return accepted
  }
  switch (self.mailbox.policy) {
    case "block":
      return mustWait
    case "fail":
      return full
    case "dropNewest":
      return dropped
    case "dropOldest": {
      const evicted = shift(self.accepted)
      append(self, envelope)
      return { _tag: "Accepted", evicted }
    }
  }
}

/** Lets a message wait for capacity. */
export const wait = <A extends Node<A>>(self: MailboxQueue<A>, envelope: A): void => {
  envelope.status = "blocked"
  push(self.blocked ??= makeLane(), envelope)
}

/** Puts a message before all others, whatever the capacity. */
export const urge = <A extends Node<A>>(self: MailboxQueue<A>, envelope: A): void => {
  envelope.status = "queued"
  push(self.urgent ??= makeLane(), envelope)
}

/** Puts a message aside, unless `capacity` are there. */
export const stash = <A extends Node<A>>(self: MailboxQueue<A>, envelope: A, capacity: number): boolean => {
  if (stashedSize(self) >= capacity) return false
  envelope.status = "stashed"
  push(self.stashed ??= makeLane(), envelope)
  return true
}

/** Puts what is stashed before all accepted messages, in its order; the capacity does not count for it. */
export const unstash = <A extends Node<A>>(self: MailboxQueue<A>): void => {
  if (self.stashed === undefined) return
  for (let envelope = pop(self.stashed); envelope !== undefined; envelope = pop(self.stashed)) prepend(self, envelope)
}

/** Puts a message before all accepted ones; the capacity does not count for it. */
export const prepend = <A extends Node<A>>(self: MailboxQueue<A>, envelope: A): void => {
  envelope.status = "queued"
  unshift(self.accepted, envelope)
}

/** Takes the next message without admitting a blocked sender: see `admit`. */
export const take = <A extends Node<A>>(self: MailboxQueue<A>): A | undefined => {
  const urgent = self.urgent
  return urgent !== undefined && urgent.head !== undefined ? shift(urgent) : shift(self.accepted)
}

/** Moves the first blocked message into the mailbox when there is room. */
export const admit = <A extends Node<A>>(self: MailboxQueue<A>): A | undefined => {
  const { blocked } = self
  if (blocked === undefined || blocked.head === undefined || self.accepted.size >= self.mailbox.capacity) {
    return undefined
  }
  const envelope = shift(blocked)!
  append(self, envelope)
  return envelope
}

/** Takes one sent message out; an urgent one has no sender who could take it back. */
export const remove = <A extends Node<A>>(self: MailboxQueue<A>, envelope: A): void => {
  switch (envelope.status) {
    case "blocked":
      return unlink(self.blocked!, envelope)
    case "stashed":
      return unlink(self.stashed!, envelope)
    default:
      return unlink(self.accepted, envelope)
  }
}

/** Takes out whatever waits: urgent and accepted messages, blocked ones, stashed ones. */
export const takeAny = <A extends Node<A>>(self: MailboxQueue<A>): A | undefined =>
  take(self) ?? (self.blocked && shift(self.blocked)) ?? (self.stashed && shift(self.stashed))

/** Forgets what the runtime sent to an incarnation that has ended. */
export const clearUrgent = <A>(self: MailboxQueue<A>): void => {
  self.urgent = undefined
}

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const accepted: Offered<never> = { _tag: "Accepted", evicted: undefined }
const mustWait: Offered<never> = { _tag: "Wait" }
const full: Offered<never> = { _tag: "Full" }
const dropped: Offered<never> = { _tag: "Dropped" }

const isFull = <A>(self: MailboxQueue<A>): boolean =>
  self.accepted.size >= self.mailbox.capacity || sizeOf(self.blocked) > 0

const append = <A extends Node<A>>(self: MailboxQueue<A>, envelope: A): void => {
  envelope.status = "queued"
  push(self.accepted, envelope)
}

const makeLane = <A>(): Lane<A> => ({ head: undefined, tail: undefined, size: 0 })

const sizeOf = <A>(lane: Lane<A> | undefined): number => lane === undefined ? 0 : lane.size

const push = <A extends Node<A>>(lane: Lane<A>, envelope: A): void => {
  envelope.previous = lane.tail
  if (lane.tail === undefined) lane.head = envelope
  else lane.tail.next = envelope
  lane.tail = envelope
  lane.size++
}

const unshift = <A extends Node<A>>(lane: Lane<A>, envelope: A): void => {
  envelope.next = lane.head
  if (lane.head === undefined) lane.tail = envelope
  else lane.head.previous = envelope
  lane.head = envelope
  lane.size++
}

const shift = <A extends Node<A>>(lane: Lane<A>): A | undefined => {
  const envelope = lane.head
  if (envelope !== undefined) unlink(lane, envelope)
  return envelope
}

const pop = <A extends Node<A>>(lane: Lane<A>): A | undefined => {
  const envelope = lane.tail
  if (envelope !== undefined) unlink(lane, envelope)
  return envelope
}

const unlink = <A extends Node<A>>(lane: Lane<A>, envelope: A): void => {
  const { next, previous } = envelope
  if (previous === undefined) lane.head = next
  else previous.next = next
  if (next === undefined) lane.tail = previous
  else next.previous = previous
  envelope.next = undefined
  envelope.previous = undefined
  lane.size--
}
