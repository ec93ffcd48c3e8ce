/**
 * Stops actors: when what they run has ended, or at once.
 *
 * @internal
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import type { ActorErrorReason } from "./actorError.ts"
import * as Cell from "./cell.ts"
import * as MailboxQueue from "./mailboxQueue.ts"

/** Asks the actor to stop, at once (`stop`) or after what is queued (`drain`). Asking again changes nothing. */
export const requestStop = (cell: Cell.Cell, mode: "stop" | "drain", reason: Cell.TerminatedReason): void => {
  const state = cell.state
  switch (state._tag) {
    case "Ending":
    case "Stopping":
    case "Stopped":
      return
    case "Restarting":
      if (mode === "drain") {
        state.draining = true
        return
      }
      cell.state = { _tag: "Stopping", reason, escalate: false }
      flush(cell)
      if (state.by === "group") return endIfQuiet(cell)
      // The end of that fiber ends the actor.
      if (state.by !== "self") state.by.interruptUnsafe()
      return
    case "Starting":
      cell.state = { _tag: "Stopping", reason, escalate: false }
      flush(cell)
      return
    case "Running":
    case "Draining":
      if (mode === "stop") return beginStop(cell, reason, false)
      cell.state = Cell.Draining
      return Cell.wake(cell)
  }
}

export const beginStop = (cell: Cell.Cell, reason: Cell.TerminatedReason, escalate: boolean): void => {
  cell.state = { _tag: "Stopping", reason, escalate }
  flush(cell)
  if (reason._tag === "Crashed") abortAll(cell, crashedBy(reason.cause))
  else if (cell.definition.stopsAtOnce) abortAll(cell, Cell.stopped)
  endIfQuiet(cell)
}

/** Whether the end of this incarnation would end nothing else: runs, children, watches, resources. */
export const leavesNothing = (cell: Cell.Cell): boolean =>
  isAlone(cell) && cell.watching === undefined && cell.scope?.state._tag === "Empty"

/** Ends the actor as `requestStop` does, and kills it when the system's `shutdownTimeout` is up. */
export const end = (cell: Cell.Cell, mode: "stop" | "drain"): Effect.Effect<Cell.Terminated> =>
  Effect.suspend(() => {
    requestStop(cell, mode, { _tag: "Stopped" })
    const ended = awaitStopped(cell)
    const late = Effect.andThen(Effect.sleep(cell.system.shutdownTimeout), Effect.sync(() => kill(cell)))
    return Effect.raceFirst(ended, Effect.andThen(late, ended))
  })

/** Ends runs, children (last first) and scope, in this order. `undefined` when that needed no time. */
export const endIncarnation = (
  cell: Cell.Cell,
  exit: Exit.Exit<unknown, unknown>
): Effect.Effect<void> | undefined => {
  unwatchAll(cell)
  const scope = cell.scope
  cell.scope = undefined
  if (isAlone(cell)) {
    const closing = scope === undefined ? undefined : Scope.closeUnsafe(scope, exit)
    return closing === undefined ? undefined : Effect.asVoid(logged(cell, closing))
  }
  return Effect.gen(function*() {
    // By the dispatcher's turn, what is on this stack has ended or has a fiber.
    if (cell.onStack > 0) yield* Effect.yieldNow
    yield* Fiber.awaitAll(abort(cell, Exit.isFailure(exit) ? crashedBy(exit.cause) : Cell.stopped))
    // The runs may have begun to watch, even while they ended.
    unwatchAll(cell)
    yield* stopChildren(cell)
    if (scope !== undefined) yield* logged(cell, Scope.close(scope, exit))
  })
}

/** Ends a stopping actor when none of its runs is in flight any more. */
export const endIfQuiet = (cell: Cell.Cell): void => {
  const state = cell.state
  if (state._tag !== "Stopping" || cell.active > 0 || cell.delivery === "running") return
  cell.state = { _tag: "Ending", reason: state.reason, escalate: state.escalate }
  const finish = () => terminate(cell, state.reason, state.escalate)
  const ending = endIncarnation(cell, exitOf(state.reason))
  if (ending === undefined) return finish()
  Effect.runForkWith(cell.base)(ending).addObserver(finish)
}

export const terminate = (cell: Cell.Cell, reason: Cell.TerminatedReason, escalate: boolean): void => {
  const terminated: Cell.Terminated = { path: cell.path, protocol: cell.definition.name, reason }
  cell.state = { _tag: "Stopped", terminated }
  cell.context = Context.empty()
  cell.handlers = {}
  const parent = cell.parent
  parent?.children?.delete(cell.name)
  Cell.emit(cell, (path, protocol) => ({ _tag: "Stopped", path, protocol, reason }))
  const watchers = cell.watchers
  cell.watchers = undefined
  if (watchers !== undefined) { for (const notify of watchers.values()) Cell.guarded(cell, notify, terminated) }
  if (escalate && reason._tag === "Crashed" && parent !== undefined) climb(parent, reason.cause)
}

/** Sends everything that waits to dead letters, one by one: the asker of one may take another back. */
export const flush = (cell: Cell.Cell): void => {
  for (let envelope = takeWaiting(cell); envelope !== undefined; envelope = takeWaiting(cell)) {
    Cell.deadLetter(cell, envelope)
  }
}

/** Waits until the actor has ended. */
export const awaitStopped = (cell: Cell.Cell): Effect.Effect<Cell.Terminated> =>
  Effect.callback<Cell.Terminated>((resume) => {
    if (cell.state._tag === "Stopped") return resume(Effect.succeed(cell.state.terminated))
    const key = {}
    ;(cell.watchers ??= new Map()).set(
      key,
      (terminated: Cell.Terminated) => Cell.resume(cell, resume, Effect.succeed(terminated))
    )
    return Effect.sync(() => cell.watchers?.delete(key))
  })

/** Whether a fiber with this context belongs to the actor or one of its descendants. */
export const runsIn = (context: Context.Context<never>, cell: Cell.Cell): boolean => {
  let current: Cell.Cell | undefined = Context.getOrUndefined(context, Cell.CurrentCell)
  while (current !== undefined && current !== cell) current = current.parent
  return current !== undefined
}

// -----------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------

/** Stops the actor and its descendants without waiting for what they run: that is interrupted. */
const kill = (cell: Cell.Cell): void => {
  requestStop(cell, "stop", { _tag: "Stopped" })
  abortAll(cell, Cell.stopped)
  if (cell.children !== undefined) { for (const child of Array.from(cell.children.values())) kill(child) }
  // A first setup is its spawner's to interrupt: it is not waited for any more.
  endIfQuiet(cell)
}

const crashedBy = (cause: Cause.Cause<unknown>): ActorErrorReason => ({ _tag: "Crashed", defect: Cause.squash(cause) })

const takeWaiting = (cell: Cell.Cell) => MailboxQueue.takeAny(cell.queue) ?? cell.stash?.shift()

/** Whether nothing has to end before the actor's scope. */
const isAlone = ({ children, onStack, running }: Cell.Cell): boolean =>
  onStack === 0 && (running === undefined || running.size === 0) && (children === undefined || children.size === 0)

/** Interrupts all runs, those on the current stack when they have left it. */
const abortAll = (cell: Cell.Cell, reason: ActorErrorReason): void => {
  abort(cell, reason)
  if (cell.onStack > 0) cell.system.dispatcher.scheduleTask(() => void abort(cell, reason), 0)
}

/** Interrupts the runs that are not on the current stack; their askers get `reason`. */
const abort = (cell: Cell.Cell, reason: ActorErrorReason): Array<Fiber.Fiber<unknown, unknown>> => {
  const fibers: Array<Fiber.Fiber<unknown, unknown>> = []
  if (cell.running === undefined) return fibers
  for (const envelope of cell.running) {
    envelope.abort ??= Cell.failure(cell, envelope.tag, reason)
    if (envelope.fiber !== undefined) fibers.push(envelope.fiber)
  }
  for (const fiber of fibers) fiber.interruptUnsafe()
  return fibers
}

/** Stops the children one after the other, last started first. */
const stopChildren = Effect.fnUntraced(function*(cell: Cell.Cell) {
  if (cell.children === undefined) return
  for (const child of Array.from(cell.children.values()).toReversed()) {
    requestStop(child, "stop", { _tag: "Stopped" })
    if (child.state._tag !== "Stopped") yield* awaitStopped(child)
  }
})

const logged = (cell: Cell.Cell, closing: Effect.Effect<unknown>): Effect.Effect<unknown> =>
  Effect.catchCause(closing, (cause) => Effect.logError(`${cell.path}: releasing its resources failed`, cause))

/** Crashes a parent by its child. While its setup is on the way, that has to wait for the setup's end. */
const climb = (cell: Cell.Cell, cause: Cause.Cause<unknown>): void => {
  const inSetup = cell.state._tag === "Starting" || (cell.state._tag === "Restarting" && cell.scope !== undefined)
  if (inSetup) cell.escalated = cause
  else cell.system.crash(cell, cause)
}

const unwatchAll = (cell: Cell.Cell): void => {
  if (cell.watching === undefined) return
  for (const watched of cell.watching) watched.watchers?.delete(cell)
  cell.watching = undefined
}

const exitOf = (reason: Cell.TerminatedReason): Exit.Exit<void, unknown> =>
  reason._tag === "Crashed" ? Exit.failCause(reason.cause) : Exit.void
