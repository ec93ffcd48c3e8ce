/**
 * Crashes and inspects actors, for tests of what happens then.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Rpc from "effect/rpc/Rpc"
import type { LocalActorRef } from "../Actor.ts"
import type * as Cell from "../internal/actor/cell.ts"
import * as Lifecycle from "../internal/actor/lifecycle.ts"
import type { LocalRef } from "../internal/actor/localRef.ts"
import * as MailboxQueue from "../internal/actor/mailboxQueue.ts"
import { retype } from "../internal/retype.ts"

/**
 * The inside of an actor at one moment.
 *
 * @since 0.1.0
 * @category models
 */
export interface Inspection {
  readonly state: Cell.State["_tag"]
  /** Messages in the mailbox, and senders that wait for room in it. */
  readonly mailbox: { readonly size: number; readonly blocked: number }
  /** Handlers that run now. */
  readonly running: number
  readonly stashed: number
  /** The children's names, in the order of their start. */
  readonly children: ReadonlyArray<string>
}

/**
 * Crashes the actor with a defect, as if a handler had died of it; what it handles now is interrupted.
 *
 * @since 0.1.0
 * @category actions
 */
export const crash = <Name extends string, Rpcs extends Rpc.Any>(
  ref: LocalActorRef<Name, Rpcs>,
  defect: unknown = new Error("TestActor.crash")
): Effect.Effect<void> => Effect.sync(() => Lifecycle.crash(cellOf(ref), Cause.die(defect)))

/**
 * Looks into the actor.
 *
 * @since 0.1.0
 * @category actions
 */
export const inspect = <Name extends string, Rpcs extends Rpc.Any>(
  ref: LocalActorRef<Name, Rpcs>
): Effect.Effect<Inspection> =>
  Effect.sync(() => {
    const cell = cellOf(ref)
    return {
      state: cell.state._tag,
      mailbox: { size: MailboxQueue.size(cell.queue), blocked: MailboxQueue.blockedSize(cell.queue) },
      running: cell.incarnation.active,
      stashed: MailboxQueue.stashedSize(cell.queue),
      children: Array.from(cell.children?.keys() ?? [])
    }
  })

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const cellOf = (ref: object): Cell.Cell => retype<LocalRef>(ref).cell
