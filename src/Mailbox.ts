/**
 * Says how many messages may wait for an actor, and what happens to one more.
 *
 * A mailbox is a plain value: sharing it between behaviors shares no queue. Messages that the runtime itself sends
 * (stops, termination notices) never wait for capacity.
 *
 * @since 0.1.0
 */
import * as Check from "./internal/check.ts"

/**
 * What a full mailbox does with one more message:
 *
 * - `"block"`: the sender waits, in order; interrupting it takes its message back.
 * - `"dropNewest"`: the new message is dropped; telling it succeeds, asking it fails with `Dropped`.
 * - `"dropOldest"`: the oldest waiting message is dropped and its asker, if any, gets `Dropped`.
 * - `"fail"`: the sender fails with `MailboxFull`.
 *
 * @since 0.1.0
 * @category models
 */
export type Policy = "block" | "dropNewest" | "dropOldest" | "fail"

/**
 * The capacity of a mailbox and its overflow policy.
 *
 * @since 0.1.0
 * @category models
 */
export interface Mailbox {
  readonly capacity: number
  readonly policy: Policy
}

/**
 * A mailbox for at most `capacity` waiting messages. Throws a `RangeError` when the capacity is not a positive
 * integer.
 *
 * @since 0.1.0
 * @category constructors
 */
export const bounded = (capacity: number, policy: Policy = "block"): Mailbox => ({
  capacity: Check.positiveInteger("Mailbox.bounded", "capacity", capacity),
  policy
})

/**
 * A mailbox without limit: a sender that is faster than the actor fills the memory.
 *
 * @since 0.1.0
 * @category constructors
 */
export const unbounded: Mailbox = { capacity: Number.POSITIVE_INFINITY, policy: "block" }

/**
 * The mailbox of a behavior that names none: 1024 messages, then senders wait.
 *
 * @since 0.1.0
 * @category constructors
 */
export const defaultMailbox: Mailbox = bounded(1024, "block")
