/**
 * Makes behaviors, with what only the runtime's own behaviors may set.
 *
 * @internal
 */
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import { defaultMailbox, type Mailbox } from "../../Mailbox.ts"
import { defaultPolicy, type Policy } from "../../Supervisor.ts"
import * as Check from "../check.ts"
import type * as Cell from "./cell.ts"
import { defaultStopTimeout } from "./lifecycle.ts"

/**
 * How a behavior runs.
 *
 * @since 0.1.0
 * @category models
 */
export interface BehaviorOptions {
  /** Default `Mailbox.bounded(1024, "block")`. */
  readonly mailbox?: Mailbox | undefined
  /** Default `Supervisor.defaultPolicy`. */
  readonly supervisor?: Policy | undefined
  /** How many messages may be handled at a time. Default 1. */
  readonly concurrency?: number | "unbounded" | undefined
  /** Stops the actor when it had nothing to do for that long. Default: never. */
  readonly idleTimeout?: Duration.Input | undefined
  /**
   * How long a stop or a restart waits for the current message until it interrupts it, and then for the interruption,
   * until it abandons it; also how long the release of the incarnation's resources may take. `"Infinity"` waits until
   * they end. Default 5 seconds.
   */
  readonly stopTimeout?: Duration.Input | undefined
  /** How many messages `Actor.stash` may put aside. Default 1024. */
  readonly stashCapacity?: number | undefined
}

/** @internal */
export interface InternalOptions extends BehaviorOptions, Partial<Pick<Cell.Definition, "stopsAtOnce" | "reference">> {}

/** @internal */
export const define = (
  protocol: Cell.Protocol,
  setup: Effect.Effect<unknown, unknown, unknown>,
  options: InternalOptions = {}
): Cell.Definition => {
  const where = `${protocol.name}.behavior`
  const { concurrency = 1, idleTimeout, stashCapacity = 1024, stopTimeout } = options
  return {
    name: protocol.name,
    protocol,
    // Only what a protocol takes as its handlers gets here.
    setup: setup as Cell.Definition["setup"],
    mailbox: options.mailbox ?? defaultMailbox,
    supervisor: options.supervisor ?? defaultPolicy,
    concurrency: concurrency === "unbounded"
      ? Number.POSITIVE_INFINITY
      : Check.positiveInteger(where, "concurrency", concurrency),
    stashCapacity: Check.positiveInteger(where, "stashCapacity", stashCapacity),
    idleTimeout: idleTimeout === undefined ? undefined : Check.positiveDuration(where, "idleTimeout", idleTimeout),
    stopTimeout: stopTimeout === undefined
      ? defaultStopTimeout
      : Check.positiveDuration(where, "stopTimeout", stopTimeout),
    inGroup: false,
    stopsAtOnce: options.stopsAtOnce ?? false,
    reference: options.reference
  }
}
