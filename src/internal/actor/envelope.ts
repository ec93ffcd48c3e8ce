/**
 * One message on its way through a mailbox and a handler.
 *
 * @internal
 */
import type * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type * as Tracer from "effect/Tracer"
import type { Emit } from "../pushed.ts"
import type { ActorError } from "./actorError.ts"

/** What waits for the outcome of a message; `undefined` for a told one. */
export type Reply = (exit: Exit.Exit<unknown, unknown>) => void

/** Takes the items of an asked stream, a batch at a time. */
export type Sink = Emit<unknown>

/**
 * - `new`: not in a mailbox yet
 * - `blocked`: its sender waits for capacity
 * - `queued`: in the mailbox
 * - `stashed`: put aside by its handler
 * - `running`: its handler runs
 * - `done`: answered, dropped or cancelled; nothing may happen to it any more
 */
export type Status = "new" | "blocked" | "queued" | "stashed" | "running" | "done"

/** A node of the mailbox's list, so that taking it out of the middle costs nothing. */
export interface Envelope {
  readonly tag: string
  readonly payload: unknown
  readonly reply: Reply | undefined
  readonly sink: Sink | undefined
  readonly span: Tracer.AnySpan | undefined
  status: Status
  /** Resumes the sender of a told message that waited for capacity. */
  accepted: ((exit: Exit.Exit<void, ActorError>) => void) | undefined
  /** The handler's run, or the wait for its deferred answer, once it did not finish at once. */
  fiber: Fiber.Fiber<unknown, unknown> | undefined
  /** Whether its asker cannot interrupt the run. */
  uninterruptible: boolean
  /** What the asker gets when the runtime, not the asker, interrupts the handler. */
  abort: ActorError | undefined
  /** When its handler began, in nanoseconds, if the system measures that. */
  startedAt: bigint | undefined
  /** Takes the message back from where its handler forwarded it to. */
  forwarded: Effect.Effect<unknown> | undefined
  /** Whether its asker is on the current stack, and has not suspended yet. */
  atOnce: boolean
  next: Envelope | undefined
  previous: Envelope | undefined
}

export const make = (
  tag: string,
  payload: unknown,
  reply: Reply | undefined,
  sink: Sink | undefined,
  span: Tracer.AnySpan | undefined
): Envelope => ({
  tag,
  payload,
  reply,
  sink,
  span,
  status: "new",
  accepted: undefined,
  fiber: undefined,
  uninterruptible: false,
  abort: undefined,
  startedAt: undefined,
  forwarded: undefined,
  atOnce: false,
  next: undefined,
  previous: undefined
})
