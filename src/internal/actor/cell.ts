/**
 * The record behind a local actor, and the few facts that its runtime works on.
 *
 * @internal
 */
import type * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Metric from "effect/Metric"
import type * as Pull from "effect/Pull"
import type * as Scheduler from "effect/Scheduler"
import type * as Scope from "effect/Scope"
import type { Mailbox } from "../../Mailbox.ts"
import { type ActorError, type ActorErrorReason, makeActorError } from "./actorError.ts"
import type { Envelope } from "./envelope.ts"
import type * as MailboxQueue from "./mailboxQueue.ts"
import * as Metrics from "./metrics.ts"
import type { Delegate, Policy, Restart } from "./policy.ts"

/** A handler as the runtime sees it: an effect or a stream, perhaps wrapped by `Rpc.fork` or `Rpc.uninterruptible`. */
export type Handler = (payload: unknown) => object

export type Handlers = { readonly [tag: string]: Handler }

/** What the runtime needs of a protocol: turning what a sender wrote into what the handler gets. */
export interface Protocol {
  readonly name: string
  readonly payload: (tag: string, input: unknown) => unknown
}

/** What `Actor.behavior` made, with its types erased. */
export interface Definition {
  readonly name: string
  /** The very protocol, as another one may have its name. */
  readonly protocol: Protocol
  readonly setup: Effect.Effect<Handlers, unknown, unknown>
  readonly mailbox: Mailbox
  readonly supervisor: Policy | Delegate
  readonly concurrency: number
  readonly stashCapacity: number
  readonly idleTimeout: Duration.Duration | undefined
  /** Whether a stop interrupts the current message instead of waiting for it. */
  readonly stopsAtOnce: boolean
  /** Whether a message that comes with a span is handled in one of its own; not where handlers make theirs. */
  readonly traced: boolean
  /** Makes the reference that others get of the actor's own one. */
  readonly reference: ((ref: object) => object) | undefined
}

export type TerminatedReason =
  | { readonly _tag: "Stopped" }
  | { readonly _tag: "Idle" }
  | { readonly _tag: "Crashed"; readonly cause: Cause.Cause<unknown> }

export interface Terminated {
  readonly path: string
  readonly protocol: string
  readonly reason: TerminatedReason
}

export type ActorEvent =
  | { readonly _tag: "Started"; readonly path: string; readonly protocol: string }
  | {
    readonly _tag: "Restarted"
    readonly path: string
    readonly protocol: string
    readonly cause: Cause.Cause<unknown>
  }
  | { readonly _tag: "Crashed"; readonly path: string; readonly protocol: string; readonly cause: Cause.Cause<unknown> }
  | {
    readonly _tag: "Stopped"
    readonly path: string
    readonly protocol: string
    readonly reason: TerminatedReason
  }
  | {
    readonly _tag: "DeadLetter" | "MessageDropped"
    readonly path: string
    readonly protocol: string
    readonly tag: string
    readonly payload: unknown
  }

/** Counters of all actors of one protocol in one system. */
export interface Stats {
  readonly protocol: string
  sent: number
  handled: number
  dropped: number
  deadLetters: number
  cancelled: number
  crashes: number
  restarts: number
}

export interface System {
  readonly name: string
  readonly context: Context.Context<never>
  readonly clock: Clock.Clock
  readonly dispatcher: Scheduler.SchedulerDispatcher
  readonly listeners: Set<(event: ActorEvent) => void>
  readonly stats: Map<string, Stats>
  readonly registrations: Array<Metric.Registration>
  /** How long actors that have to end may take to finish their messages. */
  readonly shutdownTimeout: Duration.Duration
  /** Whether to measure how long handlers take, which costs two looks at the clock a message. */
  readonly timings: boolean
  readonly root: Cell
  /** Runs a scheduled cell: `deliver` of delivery.ts, handed in because what wakes a cell comes before that. */
  readonly deliver: (cell: Cell) => void
  /** Crashes a parent by its child: `crash` of restart.ts, handed in because stop.ts comes before that. */
  readonly crash: (cell: Cell, cause: Cause.Cause<unknown>) => void
  /** How many deliveries to askers and answers to them are on the current stack. */
  depth: number
}

/**
 * Moves forward only, but for the Running - Restarting cycle. `Draining` handles what is queued and takes nothing new;
 * `Stopping` waits for the runs in flight; `Ending` releases children and scope.
 */
export type State =
  | { readonly _tag: "Starting" }
  | { readonly _tag: "Running" }
  | { readonly _tag: "Draining" }
  | {
    readonly _tag: "Restarting"
    /** Who starts the next incarnation: a fiber of the actor's own (once it suspends), or its group. */
    by: Fiber.Fiber<unknown, unknown> | "self" | "group"
    /** Whether the next incarnation handles what is queued and ends. */
    draining: boolean
  }
  | { readonly _tag: "Stopping"; readonly reason: TerminatedReason; readonly escalate: boolean }
  | { readonly _tag: "Ending"; readonly reason: TerminatedReason; readonly escalate: boolean }
  | { readonly _tag: "Stopped"; readonly terminated: Terminated }

export const Starting: State = { _tag: "Starting" }
export const Running: State = { _tag: "Running" }
export const Draining: State = { _tag: "Draining" }

/** One schedule's progress through the crashes of one actor. */
export type ScheduleStep = (
  now: number,
  cause: Cause.Cause<unknown>
) => Pull.Pull<[unknown, Duration.Duration], never, unknown>

export interface Cell {
  readonly system: System
  readonly parent: Cell | undefined
  readonly name: string
  readonly path: string
  readonly definition: Definition
  readonly stats: Stats
  readonly queue: MailboxQueue.MailboxQueue
  /** What `spawn` captured, and the actor itself; an incarnation's `context` adds its scope. */
  base: Context.Context<never>
  context: Context.Context<never>
  scope: Scope.Closeable | undefined
  handlers: Handlers
  state: State
  /** A delivery is under way on the stack, or waits in the dispatcher. */
  delivery: "none" | "scheduled" | "running"
  /** How many messages the delivery under way may still handle before other actors get their share. */
  share: number
  /** A child's crash that climbed here before the setup had ended. */
  escalated: Cause.Cause<unknown> | undefined
  /** Whether a test keeps it from taking messages. */
  paused: boolean
  /** Runs that keep the next message waiting. */
  busy: number
  /** Runs on the current stack: nobody has their fibers yet. */
  onStack: number
  /** Runs and answers that have not ended, when there are any beyond the stack. */
  running: Set<Envelope> | undefined
  /** All that a stop waits for: runs, forked ones included, and restarts. */
  active: number
  stash: Array<Envelope> | undefined
  children: Map<string, Cell> | undefined
  nextChild: number
  watchers: Map<unknown, (terminated: Terminated) => void> | undefined
  watching: Set<Cell> | undefined
  supervision: Map<Restart, ScheduleStep> | undefined
  /** When the incarnation began, if it is not the first; when it last had a message, if it may go idle. */
  healthySince: number
  activeAt: number
}

/** The actor that runs the current fiber; what `Actor.self` and its like read. */
export class CurrentCell extends Context.Service<CurrentCell, Cell>()("effect-troupe/internal/CurrentCell") {}

/** The cell that a setup or a handler runs in. */
export const current = (context: Context.Context<never>): Cell =>
  Context.getUnsafe(context as Context.Context<CurrentCell>, CurrentCell)

export const makeStats = (protocol: string): Stats => ({
  protocol,
  sent: 0,
  handled: 0,
  dropped: 0,
  deadLetters: 0,
  cancelled: 0,
  crashes: 0,
  restarts: 0
})

/** Whether the actor takes new messages, now or after its restart. */
export const isOpen = (cell: Cell): boolean => {
  const state = cell.state
  return state === Running || state === Starting || (state._tag === "Restarting" && !state.draining)
}

export const statsOf = (system: System, protocol: string): Stats => {
  let stats = system.stats.get(protocol)
  if (stats === undefined) {
    system.stats.set(protocol, stats = makeStats(protocol))
    system.registrations.push(...Metrics.register(system, stats))
  }
  return stats
}

export const emit = (cell: Cell, event: (path: string, protocol: string) => ActorEvent): void => {
  const listeners = cell.system.listeners
  if (listeners.size === 0) return
  const value = event(cell.path, cell.definition.name)
  for (const listener of listeners) listener(value)
}

export const failure = (cell: Cell, tag: string, reason: ActorErrorReason): ActorError =>
  makeActorError(cell.path, tag, reason)

export const stopped: ActorErrorReason = { _tag: "Stopped" }

/** How many deliveries to askers, and answers to them, may run on top of each other. */
export const maxDepth = 16

/** Answers whoever waits for the message. */
export const answer = (cell: Cell, envelope: Envelope, exit: Exit.Exit<unknown, unknown>): void => {
  envelope.status = "done"
  const reply = envelope.reply
  if (reply === undefined) return
  // An asker that has not suspended yet only takes note of the answer.
  if (envelope.atOnce) return reply(exit)
  resume(cell, reply, exit)
}

/**
 * Lets somebody else's fiber go on: on this very stack, which is fast, unless a fiber is running on it, which may be starting
 * others just now (a bounded `Effect.forEach` is not re-entrant). A long chain goes through the dispatcher too, so that it
 * cannot overflow the stack.
 */
export const resume = <A>(cell: Cell, resumed: (value: A) => void, value: A): void => {
  const { system } = cell
  if (system.depth >= maxDepth || Fiber.getCurrent() !== undefined) return resumeLater(cell, resumed, value)
  system.depth++
  guarded(cell, resumed, value)
  system.depth--
}

/** The same in the dispatcher's turn. */
export const resumeLater = <A>(cell: Cell, resumed: (value: A) => void, value: A): void =>
  cell.system.dispatcher.scheduleTask(() => guarded(cell, resumed, value), 0)

/** Calls what may resume a fiber. What that fiber's observers throw must not end what runs below on the stack. */
export const guarded = <A>(cell: Cell, call: (value: A) => void, value: A): void => {
  try {
    call(value)
  } catch (defect) {
    Effect.runForkWith(cell.base)(Effect.logError("an observer of a fiber that this actor resumed threw", defect))
  }
}

/** Ends a message that will never be handled: its asker and its blocked sender get the error. */
export const refuse = (cell: Cell, envelope: Envelope, reason: ActorErrorReason): void => {
  const blocked = envelope.accepted
  envelope.accepted = undefined
  if (blocked === undefined && envelope.reply === undefined) {
    envelope.status = "done"
    return
  }
  const exit = Exit.fail(failure(cell, envelope.tag, reason))
  answer(cell, envelope, exit)
  if (blocked !== undefined) resumeLater(cell, blocked, exit)
}

export const deadLetter = (cell: Cell, envelope: Envelope): void => {
  cell.stats.deadLetters++
  emit(cell, (path, protocol) => ({
    _tag: "DeadLetter",
    path,
    protocol,
    tag: envelope.tag,
    payload: envelope.payload
  }))
  refuse(cell, envelope, stopped)
}

export const emitDropped = (cell: Cell, envelope: Envelope): void =>
  emit(cell, (path, protocol) => ({
    _tag: "MessageDropped",
    path,
    protocol,
    tag: envelope.tag,
    payload: envelope.payload
  }))

/** Asks the dispatcher for a delivery, unless one is on its way. */
export const wake = (cell: Cell): void => {
  if (cell.delivery !== "none") return
  cell.delivery = "scheduled"
  const system = cell.system
  system.dispatcher.scheduleTask(() => system.deliver(cell), 0)
}
