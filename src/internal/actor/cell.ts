/**
 * The records behind local actors: systems, actors, their incarnations, runs and messages.
 *
 * @internal
 */
import type * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type * as Metric from "effect/Metric"
import type * as Pull from "effect/Pull"
import * as Redacted from "effect/Redacted"
import type * as Scheduler from "effect/Scheduler"
import * as Scope from "effect/Scope"
import type * as Tracer from "effect/Tracer"
import type { Mailbox } from "../../Mailbox.ts"
import type { Observer } from "../../Observer.ts"
import type { Policy, Restart } from "../../Supervisor.ts"
import type { Emit } from "../pushed.ts"
import { retype } from "../retype.ts"
import { type ActorError, type ActorErrorReason, makeActorError } from "./actorError.ts"
import type * as AsyncContext from "./asyncContext.ts"
import type { CrashTimes } from "./crashTimes.ts"
import type { Fault, MessageToHandle } from "./faults.ts"
import type * as MailboxQueue from "./mailboxQueue.ts"

/** A handler as the runtime sees it: an effect or a stream, perhaps wrapped by `Rpc.fork` or `Rpc.uninterruptible`. */
export type Handler = (payload: unknown) => unknown

export type Handlers = { readonly [tag: string]: Handler }

/** What the runtime needs of a protocol: turning what a sender wrote into what the handler gets. */
export interface Protocol {
  readonly name: string
  readonly payload: (tag: string, input: unknown) => unknown
}

/** A behavior with its types erased. */
export interface Definition {
  readonly name: string
  /** The very protocol, as another one may have its name. */
  readonly protocol: Protocol
  readonly setup: Effect.Effect<Handlers, unknown, unknown>
  readonly mailbox: Mailbox
  readonly supervisor: Policy
  readonly concurrency: number
  readonly stashCapacity: number
  readonly idleTimeout: Duration.Duration | undefined
  readonly stopTimeout: Duration.Duration
  /** Whether its parent, a group, decides about its crashes. */
  readonly inGroup: boolean
  /** Whether a stop interrupts the current message instead of waiting for it. */
  readonly stopsAtOnce: boolean
  /** Makes the reference that others get of the actor's own one. */
  readonly reference: ((ref: object) => object) | undefined
}

export type TerminatedReason =
  | { readonly _tag: "Stopped" }
  | { readonly _tag: "Idle" }
  | { readonly _tag: "Crashed"; readonly cause: Cause.Cause<unknown> }
  | { readonly _tag: "Abandoned"; readonly messages: ReadonlyArray<string> }

export interface Terminated {
  readonly path: string
  readonly protocol: string
  readonly reason: TerminatedReason
}

interface Happened<Tag extends string> {
  readonly _tag: Tag
  readonly path: string
  readonly protocol: string
}

export type ActorEvent =
  | Happened<"Started">
  | Happened<"Restarted"> & { readonly cause: Cause.Cause<unknown> }
  | Happened<"Crashed"> & { readonly cause: Cause.Cause<unknown> }
  | Happened<"Abandoned"> & { readonly messages: ReadonlyArray<string> }
  | Happened<"Stopped"> & { readonly reason: TerminatedReason }
  | Happened<"DeadLetter" | "MessageDropped"> & {
    readonly tag: string
    readonly payload: Redacted.Redacted<unknown>
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
  /** The async context that handlers and restarts begin in. */
  readonly inContext: AsyncContext.Scope
  readonly listeners: Set<(event: ActorEvent) => void>
  readonly stats: Map<string, Stats>
  readonly registrations: Array<Metric.Registration>
  /** How long actors that have to end may take to finish their messages. */
  readonly shutdownTimeout: Duration.Duration
  /** Whether to measure how long handlers take, which costs two looks at the clock a message. */
  readonly timings: boolean
  /** Which share of messages gets a span of its own. */
  readonly spans: number
  readonly observer: Observer | undefined
  readonly faults: ((message: MessageToHandle) => Fault | undefined) | undefined
  readonly intake: MessageIntake | undefined
  readonly root: Cell
  /** How many messages go by until the observer is told of one. */
  untilSample: number
  /** How many answers and setups are under way on the current stack, on top of each other. */
  depth: number
}

/**
 * - `Starting`: its first setup runs
 * - `Running`
 * - `Draining`: handles what is queued and takes nothing new
 * - `Restarting`: between two incarnations, by a fiber of its own, or by its group
 * - `Stopping`: waits for the runs in flight
 * - `Ending`: releases children and scope
 * - `Stopped`
 */
export type State =
  | { readonly _tag: "Starting" }
  | { readonly _tag: "Running" }
  | {
    readonly _tag: "Draining"
    /** How many messages had been handled when the stash was put back last. */
    unstashedAt: number | undefined
  }
  | Restarting
  | {
    readonly _tag: "Stopping"
    readonly reason: TerminatedReason
    readonly escalate: boolean
    /** The first setup or the restart that it interrupted, and has to wait for. */
    readonly interrupted: Fiber.Fiber<unknown, unknown> | undefined
    /** Ends the wait. */
    timer: Fiber.Fiber<unknown, unknown> | undefined
  }
  | {
    readonly _tag: "Ending"
    readonly reason: TerminatedReason
    readonly escalate: boolean
    fiber: Fiber.Fiber<unknown, unknown> | undefined
  }
  | { readonly _tag: "Stopped"; readonly terminated: Terminated }

export interface Restarting {
  readonly _tag: "Restarting"
  readonly by: "self" | "group"
  /** Ends the last incarnation, waits, and starts the next one. */
  fiber: Fiber.Fiber<unknown, unknown> | undefined
  /** Ends the wait between the two. */
  backoff: (() => void) | undefined
  /** Whether the next incarnation handles what is queued and ends. */
  draining: boolean
}

export const starting: State = { _tag: "Starting" }
export const running: State = { _tag: "Running" }
export const makeDraining = (): State => ({ _tag: "Draining", unstashedAt: undefined })

/** One schedule's progress through the crashes of one actor. */
export type ScheduleStep = (
  now: number,
  cause: Cause.Cause<unknown>
) => Pull.Pull<[unknown, Duration.Duration], never, unknown>

/** What an actor or a group knows of its crashes; times in monotonic milliseconds. */
export interface Supervision {
  readonly steps: Map<Restart, ScheduleStep>
  readonly crashes: CrashTimes
}

/** What lives from one setup to the crash or the end after it. */
export interface Incarnation {
  readonly cell: Cell
  /** From 1. */
  readonly number: number
  handlers: Handlers
  /** What its setup and its handlers run with. */
  context: Context.Context<never>
  scope: Scope.Closeable
  /** When its setup had succeeded, in monotonic milliseconds. */
  healthySince: number | undefined
  /** The setup, while it runs. */
  setup: Run | undefined
  /** The run that is on the stack for the first time. */
  starting: Run | undefined
  /** Runs and owed answers that have suspended. */
  runs: Map<Fiber.Fiber<unknown, unknown>, Run> | undefined
  /** Runs that keep the next message waiting. */
  busy: number
  /** All runs, without owed answers. */
  active: number
  /** Called when the last run has ended. */
  quiet: (() => void) | undefined
  /** The runs that nobody waits for any more; the end of the last one closes the scope. */
  abandoned: ReadonlyArray<string> | undefined
  watching: Set<Cell> | undefined
  /** What it was told last of an actor's end, and whether it began to watch only after that. */
  notices: WeakMap<Cell, { readonly notice: Envelope; readonly isLate: boolean }> | undefined
}

/** A handler or a setup at work, or an owed answer. */
export interface Run {
  readonly incarnation: Incarnation
  /** `undefined` for a setup. */
  readonly envelope: Envelope | undefined
  fiber: Fiber.Fiber<unknown, unknown> | undefined
  /** Whether it keeps no other message waiting: it returned `Rpc.fork`, or is an owed answer. */
  forked: boolean
  /** Whether its asker cannot interrupt it. */
  uninterruptible: boolean
  /** What the asker gets when the runtime, not the asker, interrupts it. */
  abort: ActorError | undefined
  startedAt: bigint | undefined
  /** What its fiber waits for, the newest first; what is `done` counts no more. */
  waits: Wait | undefined
}

/** What waits for the outcome of a message; `undefined` for a told one. */
export type Reply = (exit: Exit.Exit<unknown, unknown>) => void

/** Takes the items of an asked stream, a batch at a time. */
export type Sink = Emit<unknown>

/** Something that runs wait for: an answer, room in a mailbox, or another actor's setup. */
export interface Wait {
  readonly to: Cell
  status: MailboxQueue.Status
  /** The run that has to end first, once it runs. */
  run: Run | undefined
  /** The asker's other waits. */
  nextWait: Wait | undefined
}

/** One message on its way through a mailbox and a handler. */
export interface Envelope extends Wait, MailboxQueue.Node<Envelope> {
  readonly tag: string
  readonly payload: unknown
  readonly reply: Reply | undefined
  readonly sink: Sink | undefined
  readonly span: Tracer.AnySpan | undefined
  /** The run that waits for it. */
  asker: Run | undefined
  /** The sender of a told message, while it waits for capacity. */
  blocked: Blocked | undefined
  /** Takes the message back from where its handler forwarded it to. */
  forwarded: Effect.Effect<unknown> | undefined
  /** What an observer is told when it has been handled. */
  sample: Sample | undefined
}

/** A sender that waits for capacity, and the wait of its run. */
export interface Blocked {
  readonly room: Wait
  readonly resume: (exit: Exit.Exit<void, ActorError>) => void
}

/** Times in monotonic nanoseconds. */
export interface Sample {
  readonly from: string | undefined
  readonly sentAt: bigint
  startedAt: bigint
}

/** A message that is not in its mailbox yet. */
export interface Entering {
  readonly cell: Cell
  readonly how: "tell" | "ask" | "stream"
  readonly tag: string
  readonly payload: unknown
  readonly span: Tracer.AnySpan | undefined
}

/** Takes messages that nobody in a recorded program sends. */
export interface MessageIntake {
  readonly opened: (root: Cell) => void
  readonly closed: (root: Cell) => void
  readonly isOutside: (sender: Fiber.Fiber<unknown, unknown>) => boolean
  /**
   * Puts the message in when it is its turn. `reply` gets what a tell, an ask or a stream ends with, `push` the items;
   * both are called outside. The effect takes the message back.
   */
  readonly send: (
    message: Entering,
    reply: Reply,
    push?: (items: ReadonlyArray<unknown>) => void
  ) => Effect.Effect<unknown>
}

export interface Cell {
  readonly system: System
  readonly parent: Cell | undefined
  readonly name: string
  readonly path: string
  readonly definition: Definition
  readonly stats: Stats
  readonly queue: MailboxQueue.MailboxQueue<Envelope>
  /** What `spawn` captured, and the actor itself; an incarnation's `context` adds its scope. */
  readonly base: Context.Context<never>
  incarnation: Incarnation
  state: State
  /** Whether its turn waits in the dispatcher, or is on the stack. */
  turn: "none" | "scheduled" | "running"
  /** Whether it takes no message until `resume`. */
  paused: boolean
  /** A child's crash that climbed here before the setup had ended. */
  escalated: { readonly cause: Cause.Cause<unknown>; readonly by: Cell } | undefined
  children: Map<string, Cell> | undefined
  nextChild: number
  watchers: Map<unknown, (terminated: Terminated) => void> | undefined
  supervision: Supervision | undefined
  handled: number
  /** When it last had a message, in monotonic milliseconds. */
  activeAt: number
}

/** The actor that runs the current fiber; what `Actor.self` and its like read. */
export class CurrentCell extends Context.Service<CurrentCell, Cell>()("effect-troupe/internal/CurrentCell") {}

/** The cell that a setup or a handler runs in. */
export const current = (context: Context.Context<never>): Cell =>
  Context.getUnsafe(context as Context.Context<CurrentCell>, CurrentCell)

/** Whether the actor takes new messages, now or after its restart. */
export const isOpen = ({ state }: Cell): boolean =>
  state === running || state === starting || (state._tag === "Restarting" && !state.draining)

/** Whether the actor is on its way out, or gone. */
export const isEnding = ({ state }: Cell): boolean =>
  state._tag === "Stopping" || state._tag === "Ending" || state._tag === "Stopped"

/** Whether a fiber with this context belongs to the actor or one of its descendants. */
export const contains = (cell: Cell, context: Context.Context<never>): boolean => {
  let current: Cell | undefined = Context.getOrUndefined(context, CurrentCell)
  while (current !== undefined && current !== cell) current = current.parent
  return current !== undefined
}

/** The actor at a path. */
export const find = (root: Cell, path: string): Cell | undefined => {
  const [empty, top, ...names] = path.split("/")
  if (empty !== "" || top !== root.name || names.length === 0) return undefined
  let cell: Cell | undefined = root
  for (const name of names) cell = cell?.children?.get(name)
  return cell
}

/** All actors below `root`, parents before children, in the order of their start. */
export const descendants = (root: Cell): ReadonlyArray<Cell> => {
  const found: Array<Cell> = []
  const stack = childrenOf(root).toReversed()
  for (let cell = stack.pop(); cell !== undefined; cell = stack.pop()) {
    found.push(cell)
    for (const child of childrenOf(cell).toReversed()) stack.push(child)
  }
  return found
}

export const childrenOf = ({ children }: Cell): ReadonlyArray<Cell> =>
  children === undefined ? [] : Array.from(children.values())

/** Milliseconds that no change of the wall clock moves. */
export const monotonicMillis = ({ clock }: System): number => Number(clock.monotonicTimeNanosUnsafe()) / 1e6

/** Makes an actor that waits for its first setup; `base` gives the context that it and what it runs have in common. */
export const make = (
  fixed: Pick<Cell, "system" | "parent" | "name" | "path" | "definition" | "stats" | "queue">,
  base: (cell: Cell) => Context.Context<never>
): Cell => {
  const cell: { -readonly [Field in keyof Cell]: Cell[Field] } = {
    ...fixed,
    base: Context.empty(),
    // The incarnation needs its cell first.
    incarnation: retype(undefined),
    state: starting,
    turn: "none",
    paused: false,
    escalated: undefined,
    children: undefined,
    nextChild: 1,
    watchers: undefined,
    supervision: undefined,
    handled: 0,
    activeAt: 0
  }
  cell.base = base(cell)
  cell.incarnation = makeIncarnation(cell)
  return cell
}

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

/** The next incarnation; where the last one left its scope open, nothing had been added to that. */
export const makeIncarnation = (cell: Cell, last?: Incarnation): Incarnation => {
  const isFresh = last === undefined || last.scope.state._tag !== "Empty"
  const scope = isFresh ? Scope.makeUnsafe() : last.scope
  return {
    cell,
    number: last === undefined ? 1 : last.number + 1,
    handlers: noHandlers,
    context: isFresh ? Context.add(cell.base, Scope.Scope, scope) : last.context,
    scope,
    healthySince: undefined,
    setup: undefined,
    starting: undefined,
    runs: undefined,
    busy: 0,
    active: 0,
    quiet: undefined,
    abandoned: undefined,
    watching: undefined,
    notices: undefined
  }
}

export const noHandlers: Handlers = {}

export const failure = (cell: Cell, tag: string, reason: ActorErrorReason): ActorError =>
  makeActorError(cell.path, tag, reason)

export const stopped: ActorErrorReason = { _tag: "Stopped" }

export const emit = (cell: Cell, event: (path: string, protocol: string) => ActorEvent): void => {
  const { listeners, observer } = cell.system
  if (listeners.size === 0 && observer === undefined) return
  const value = event(cell.path, cell.definition.name)
  // Whoever begins to listen because of this event is not told of it.
  for (const listener of Array.from(listeners)) listener(value)
  if (observer !== undefined) observe(cell, observer, value)
}

/** Calls what others wrote. What it throws must not end what runs below on the stack. */
export const guarded = <A>(cell: Cell, call: (value: A) => void, value: A): void => {
  try {
    call(value)
  } catch (defect) {
    Effect.runForkWith(cell.base)(Effect.logError("an observer threw", defect))
  }
}

export const emitMessage = (cell: Cell, _tag: "DeadLetter" | "MessageDropped", { payload, tag }: Envelope): void =>
  emit(cell, (path, protocol) => ({ _tag, path, protocol, tag, payload: Redacted.make(payload) }))

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const observe = (cell: Cell, { observe }: Observer, { _tag: event, path, protocol }: ActorEvent): void => {
  if (event === "DeadLetter" || event === "MessageDropped") return
  const at = cell.system.clock.currentTimeMillisUnsafe()
  guarded(cell, observe, { _tag: "Actor", at, path, protocol, incarnation: cell.incarnation.number, event })
}
