/**
 * Starts, restarts and stops actors.
 *
 * @internal
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as References from "effect/References"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"
import { SpawnError } from "./actorError.ts"
import type { ActorErrorReason } from "./actorError.ts"
import * as Cell from "./cell.ts"
import * as MailboxQueue from "./mailboxQueue.ts"
import type { Directive, Policy, Restart } from "./policy.ts"

/**
 * Starts an actor under `parent`, and succeeds with its cell once its first setup has. The current context becomes
 * what all its incarnations run with.
 */
export const spawn = (
  parent: Cell.Cell,
  definition: Cell.Definition,
  name: string | undefined
): Effect.Effect<Cell.Cell, unknown> =>
  Effect.withFiber((fiber) => {
    const refused = refuseName(parent, name)
    if (refused !== undefined) return Effect.fail(refused)
    // The spawner's span ends long before the actor does.
    const context = fiber.cache.span === undefined ? fiber.context : Context.omit(Tracer.ParentSpan)(fiber.context)
    const cell = makeCell(parent, definition, name ?? `$${(parent.nextChild++).toString(36)}`, context)
    ;(parent.children ??= new Map()).set(cell.name, cell)
    const started = Effect.onExit(setup(cell), (exit) => settleStart(cell, exit))
    return Effect.as(started, cell)
  })

/** Makes the cell above all actors: it has no behavior, and its children are the actors at `/user`. */
export const makeRoot = (system: Cell.System, context: Context.Context<never>): Cell.Cell => ({
  ...emptyCell,
  system,
  parent: undefined,
  name: "user",
  definition: rootDefinition,
  stats: Cell.makeStats("user"),
  queue: MailboxQueue.make(rootDefinition.mailbox),
  base: context,
  context,
  state: Cell.Running
})

/** Handles a crash of the running incarnation as the actor's supervisor says. */
export const crash = (cell: Cell.Cell, cause: Cause.Cause<unknown>): void => {
  const state = cell.state
  cell.stats.crashes++
  Cell.emit(cell, (path, protocol) => ({ _tag: "Crashed", path, protocol, cause }))
  if (state._tag !== "Running" && state._tag !== "Draining") return
  const policy = cell.definition.supervisor
  if (policy._tag === "Delegate") {
    cell.state = { _tag: "Restarting", by: "group", draining: state._tag === "Draining" }
    return policy.crashed(cell, cause)
  }
  const directive = decide(policy, cause)
  switch (directive._tag) {
    case "Resume":
      return
    case "Restart": {
      const restarting: Cell.State = { _tag: "Restarting", by: "self", draining: state._tag === "Draining" }
      cell.state = restarting
      cell.active++
      const fiber = Effect.runForkWith(cell.base)(restart(cell, cause, directive))
      restarting.by = fiber
      fiber.addObserver(() => {
        cell.active--
        endIfQuiet(cell)
      })
      // It was asked to stop while the restart still was on this stack.
      if (cell.state !== restarting) fiber.interruptUnsafe()
      return
    }
    case "Stop":
    case "Escalate":
      return beginStop(cell, { _tag: "Crashed", cause }, directive._tag === "Escalate")
  }
}

/** Ends the incarnation of a group's child; its mailbox and references wait for `startSuspended`. */
export const suspend = (cell: Cell.Cell, cause: Cause.Cause<unknown>): Effect.Effect<void> =>
  Effect.suspend(() => {
    const state = cell.state
    if (state._tag === "Running" || state._tag === "Draining") {
      cell.state = { _tag: "Restarting", by: "group", draining: state._tag === "Draining" }
    } else if (state._tag !== "Restarting") return Effect.void
    const ended = endIncarnation(cell, Exit.failCause(cause), { _tag: "Crashed", defect: Cause.squash(cause) })
    return Effect.uninterruptible(ended ?? Effect.void)
  })

/** Starts the next incarnation of a suspended child, and fails as its setup does. */
export const startSuspended = (cell: Cell.Cell, cause: Cause.Cause<unknown>): Effect.Effect<void, unknown> =>
  Effect.suspend(() => {
    if (cell.state._tag !== "Restarting") return Effect.void
    cell.active++
    return Effect.onExit(setup(cell), (exit) =>
      Effect.sync(() => {
        cell.active--
        if (Exit.isSuccess(exit)) resumeAfterRestart(cell, cause)
        endIfQuiet(cell)
      }))
  })

/** Ends a child for the crash that its group does not mend. */
export const stopCrashed = (cell: Cell.Cell, cause: Cause.Cause<unknown>): void => {
  if (cell.state._tag === "Restarting") beginStop(cell, { _tag: "Crashed", cause }, false)
}

/** Asks the actor to stop, at once (`stop`) or after what is queued (`drain`). Asking again changes nothing. */
export const requestStop = (cell: Cell.Cell, mode: "stop" | "drain", reason: Cell.TerminatedReason): void => {
  const state = cell.state
  switch (state._tag) {
    case "Ending":
    case "Stopping":
    case "Stopped":
      return
    case "Restarting":
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

/** Ends a stopping actor when none of its runs is in flight any more. */
export const endIfQuiet = (cell: Cell.Cell): void => {
  const state = cell.state
  if (state._tag !== "Stopping" || cell.active > 0 || cell.delivery === "running") return
  cell.state = { _tag: "Ending", reason: state.reason, escalate: state.escalate }
  const finish = () => terminate(cell, state.reason, state.escalate)
  const ending = endIncarnation(cell, exitOf(state.reason), Cell.stopped)
  if (ending === undefined) return finish()
  Effect.runForkWith(cell.base)(ending).addObserver(finish)
}

/** Stops the actor and its descendants without waiting for what they run: that is interrupted. */
export const kill = (cell: Cell.Cell): void => {
  requestStop(cell, "stop", { _tag: "Stopped" })
  abort(cell, Cell.stopped)
  if (cell.children !== undefined) { for (const child of Array.from(cell.children.values())) kill(child) }
}

/** Whether a fiber with this context belongs to the actor or one of its descendants. */
export const runsIn = (context: Context.Context<never>, cell: Cell.Cell): boolean => {
  let current: Cell.Cell | undefined = Context.getOrUndefined(context, Cell.CurrentCell)
  while (current !== undefined && current !== cell) current = current.parent
  return current !== undefined
}

/** Waits until the actor has ended. */
export const awaitStopped = (cell: Cell.Cell): Effect.Effect<Cell.Terminated> =>
  Effect.callback<Cell.Terminated>((resume) => {
    if (cell.state._tag === "Stopped") return resume(Effect.succeed(cell.state.terminated))
    const key = {}
    ;(cell.watchers ??= new Map()).set(key, (terminated: Cell.Terminated) => resume(Effect.succeed(terminated)))
    return Effect.sync(() => cell.watchers?.delete(key))
  })

// -----------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------

const rootDefinition: Cell.Definition = {
  name: "user",
  protocol: { name: "user", payload: (_tag, input) => input },
  setup: Effect.succeed({}),
  mailbox: { capacity: 1, policy: "fail" },
  // A crash that escalates to the root ends the system with its cause.
  supervisor: { _tag: "Stop" },
  concurrency: 1,
  stashCapacity: 0,
  idleTimeout: undefined,
  stopsAtOnce: false
}

const emptyCell = {
  scope: undefined,
  handlers: {},
  state: Cell.Starting,
  delivery: "none",
  share: 0,
  paused: false,
  escalated: undefined,
  busy: 0,
  running: undefined,
  active: 0,
  stash: undefined,
  children: undefined,
  nextChild: 1,
  watchers: undefined,
  watching: undefined,
  supervision: undefined,
  healthySince: 0,
  activeAt: 0
} satisfies Partial<Cell.Cell>

const makeCell = (
  parent: Cell.Cell,
  definition: Cell.Definition,
  name: string,
  context: Context.Context<never>
): Cell.Cell => {
  const cell: Cell.Cell = {
    ...emptyCell,
    system: parent.system,
    parent,
    name,
    definition,
    stats: Cell.statsOf(parent.system, definition.name),
    queue: MailboxQueue.make(definition.mailbox),
    base: context,
    context
  }
  cell.base = context.pipe(
    Context.add(Cell.CurrentCell, cell),
    Context.add(References.CurrentLogAnnotations, {
      ...Context.get(context, References.CurrentLogAnnotations),
      actor: Cell.path(cell)
    })
  )
  return cell
}

const refuseName = (parent: Cell.Cell, name: string | undefined): SpawnError | undefined => {
  const fail = (reason: SpawnError["reason"]) =>
    new SpawnError({ actor: `${Cell.path(parent)}/${name ?? "$"}`, reason })
  switch (parent.state._tag) {
    case "Stopping":
    case "Ending":
    case "Stopped":
      return fail({ _tag: "ParentStopped" })
  }
  if (name === undefined) return undefined
  if (name === "" || name.startsWith("$") || name.includes("/")) return fail({ _tag: "InvalidName" })
  return parent.children?.has(name) ? fail({ _tag: "NameTaken" }) : undefined
}

/** Runs the setup in a fresh scope, with the context that the handlers will have too. */
const setup = (cell: Cell.Cell): Effect.Effect<void, unknown> => {
  // The context was captured where `spawn` asked for all that the setup needs.
  const setup = cell.definition.setup as Effect.Effect<Cell.Handlers, unknown>
  const scope = Scope.makeUnsafe()
  cell.scope = scope
  cell.context = Context.add(cell.base, Scope.Scope, scope)
  return Effect.map(
    Effect.setContext(setup, cell.context),
    (handlers) => {
      cell.handlers = handlers
    }
  )
}

const settleStart = (cell: Cell.Cell, exit: Exit.Exit<void, unknown>): Effect.Effect<void, SpawnError> => {
  if (Exit.isSuccess(exit) && cell.state._tag === "Starting") {
    cell.state = Cell.Running
    Cell.emit(cell, (path, protocol) => ({ _tag: "Started", path, protocol }))
    if (cell.definition.idleTimeout !== undefined) watchIdle(cell, cell.definition.idleTimeout)
    if (!MailboxQueue.isEmpty(cell.queue)) Cell.wake(cell)
    crashOfEscalated(cell)
    return Effect.void
  }
  flush(cell)
  const reason: Cell.TerminatedReason = Exit.isSuccess(exit)
    ? { _tag: "Stopped" }
    : { _tag: "Crashed", cause: exit.cause }
  const ending = endIncarnation(cell, exit, Cell.stopped) ?? Effect.void
  const refused = new SpawnError({ actor: Cell.path(cell), reason: { _tag: "ParentStopped" } })
  return Effect.andThen(
    Effect.ensuring(ending, Effect.sync(() => terminate(cell, reason, false))),
    Exit.isSuccess(exit) ? Effect.fail(refused) : Effect.void
  )
}

/** Ends this incarnation and starts the next, as often and as slowly as the schedule says. */
const restart = (cell: Cell.Cell, cause: Cause.Cause<unknown>, directive: Restart): Effect.Effect<void> => {
  const ending = endIncarnation(cell, Exit.failCause(cause), { _tag: "Crashed", defect: Cause.squash(cause) })
  const next = startAgain(cell, cause, directive)
  return ending === undefined ? next : Effect.andThen(Effect.uninterruptible(ending), next)
}

const startAgain = (cell: Cell.Cell, cause: Cause.Cause<unknown>, directive: Restart): Effect.Effect<void> =>
  Effect.flatMap(nextDelay(cell, directive, cause), (delay) => {
    if (delay === undefined) return Effect.sync(() => giveUp(cell, cause, false))
    const start = Effect.matchCauseEffect(setup(cell), {
      onSuccess: () => Effect.sync(() => resumeAfterRestart(cell, cause)),
      onFailure: (cause) => crashInSetup(cell, cause)
    })
    return Duration.isZero(delay) ? start : Effect.andThen(Effect.sleep(delay), start)
  })

/** A setup that fails is one more crash. There is no state to resume, so that means to start again, too. */
const crashInSetup = (cell: Cell.Cell, cause: Cause.Cause<unknown>): Effect.Effect<void> => {
  cell.stats.crashes++
  Cell.emit(cell, (path, protocol) => ({ _tag: "Crashed", path, protocol, cause }))
  const policy = cell.definition.supervisor
  const directive = policy._tag === "Delegate" ? stopDirective : decide(policy, cause)
  const ending = endIncarnation(cell, Exit.failCause(cause), Cell.stopped) ?? Effect.void
  const logged = Effect.logError("setup failed at a restart", cause)
  const next = directive._tag === "Restart"
    ? startAgain(cell, cause, directive)
    : Effect.sync(() => giveUp(cell, cause, directive._tag === "Escalate"))
  return Effect.andThen(Effect.andThen(Effect.uninterruptible(ending), logged), next)
}

const stopDirective: Directive = { _tag: "Stop" }

const giveUp = (cell: Cell.Cell, cause: Cause.Cause<unknown>, escalate: boolean): void => {
  cell.state = { _tag: "Stopping", reason: { _tag: "Crashed", cause }, escalate }
  flush(cell)
}

const resumeAfterRestart = (cell: Cell.Cell, cause: Cause.Cause<unknown>): void => {
  const state = cell.state
  if (state._tag !== "Restarting") return
  cell.state = state.draining ? Cell.Draining : Cell.Running
  if (cell.stash !== undefined) {
    MailboxQueue.prepend(cell.queue, cell.stash)
    cell.stash = undefined
  }
  cell.healthySince = cell.system.clock.currentTimeMillisUnsafe()
  cell.stats.restarts++
  Cell.emit(cell, (path, protocol) => ({ _tag: "Restarted", path, protocol, cause }))
  if (cell.definition.idleTimeout !== undefined) watchIdle(cell, cell.definition.idleTimeout)
  Cell.wake(cell)
  crashOfEscalated(cell)
}

const crashOfEscalated = (cell: Cell.Cell): void => {
  const cause = cell.escalated
  cell.escalated = undefined
  if (cause !== undefined) crash(cell, cause)
}

/** The schedule's next delay, `undefined` when it has ended. Health for the directive's window starts it afresh. */
export const nextDelay = (
  cell: Cell.Cell,
  directive: Restart,
  cause: Cause.Cause<unknown>
): Effect.Effect<Duration.Duration | undefined> => {
  const now = cell.system.clock.currentTimeMillisUnsafe()
  const steps = cell.supervision ??= new Map<Restart, Cell.ScheduleStep>()
  if (now - cell.healthySince >= Duration.toMillis(directive.window)) steps.delete(directive)
  const take = (step: Cell.ScheduleStep) =>
    Effect.matchCause(step(now, cause), {
      onSuccess: ([, delay]) => delay,
      // An ended schedule; nothing else can fail, as a policy's schedule has no error.
      onFailure: () => undefined
    })
  const step = steps.get(directive)
  if (step !== undefined) return take(step)
  return Effect.flatMap(Schedule.toStep(directive.schedule), (step) => {
    steps.set(directive, step)
    return take(step)
  })
}

const decide = (policy: Policy, cause: Cause.Cause<unknown>): Directive =>
  policy._tag === "Decide" ? policy.directive(cause) : policy

const beginStop = (cell: Cell.Cell, reason: Cell.TerminatedReason, escalate: boolean): void => {
  cell.state = { _tag: "Stopping", reason, escalate }
  flush(cell)
  if (reason._tag === "Crashed") abort(cell, { _tag: "Crashed", defect: Cause.squash(reason.cause) })
  else if (cell.definition.stopsAtOnce) abort(cell, Cell.stopped)
  endIfQuiet(cell)
}

/** Sends everything that waits to dead letters. */
const flush = (cell: Cell.Cell): void => {
  const stash = cell.stash
  cell.stash = undefined
  for (const envelope of MailboxQueue.takeAll(cell.queue)) Cell.deadLetter(cell, envelope)
  if (stash !== undefined) { for (const envelope of stash) Cell.deadLetter(cell, envelope) }
}

/** Interrupts all runs; their askers get `reason`. */
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

/** Ends runs, children (last first) and scope, in this order. `undefined` when that needed no time. */
const endIncarnation = (
  cell: Cell.Cell,
  exit: Exit.Exit<unknown, unknown>,
  reason: ActorErrorReason
): Effect.Effect<void> | undefined => {
  unwatchAll(cell)
  const scope = cell.scope
  cell.scope = undefined
  if (
    (cell.running === undefined || cell.running.size === 0) && (cell.children === undefined || cell.children.size === 0)
  ) {
    const closing = scope === undefined ? undefined : Scope.closeUnsafe(scope, exit)
    return closing === undefined ? undefined : Effect.asVoid(logged(cell, closing))
  }
  return Effect.gen(function*() {
    yield* Fiber.awaitAll(abort(cell, reason))
    yield* stopChildren(cell)
    if (scope !== undefined) yield* logged(cell, Scope.close(scope, exit))
  })
}

/** Stops the children one after the other, last started first. */
export const stopChildren = Effect.fnUntraced(function*(cell: Cell.Cell) {
  if (cell.children === undefined) return
  for (const child of Array.from(cell.children.values()).toReversed()) {
    requestStop(child, "stop", { _tag: "Stopped" })
    if (child.state._tag !== "Stopped") yield* awaitStopped(child)
  }
})

const logged = (cell: Cell.Cell, closing: Effect.Effect<unknown>): Effect.Effect<unknown> =>
  Effect.catchCause(closing, (cause) => Effect.logError(`${Cell.path(cell)}: releasing its resources failed`, cause))

const terminate = (cell: Cell.Cell, reason: Cell.TerminatedReason, escalate: boolean): void => {
  const terminated: Cell.Terminated = { path: Cell.path(cell), protocol: cell.definition.name, reason }
  cell.state = { _tag: "Stopped", terminated }
  cell.context = Context.empty()
  cell.handlers = {}
  const parent = cell.parent
  parent?.children?.delete(cell.name)
  Cell.emit(cell, (path, protocol) => ({ _tag: "Stopped", path, protocol, reason }))
  const watchers = cell.watchers
  cell.watchers = undefined
  if (watchers !== undefined) { for (const notify of watchers.values()) notify(terminated) }
  if (escalate && reason._tag === "Crashed" && parent !== undefined) climb(parent, reason.cause)
}

/** Crashes a parent by its child. While its setup is on the way, that has to wait for the setup's end. */
const climb = (cell: Cell.Cell, cause: Cause.Cause<unknown>): void => {
  const inSetup = cell.state._tag === "Starting" || (cell.state._tag === "Restarting" && cell.scope !== undefined)
  if (inSetup) cell.escalated = cause
  else crash(cell, cause)
}

const unwatchAll = (cell: Cell.Cell): void => {
  if (cell.watching === undefined) return
  for (const watched of cell.watching) watched.watchers?.delete(cell)
  cell.watching = undefined
}

const exitOf = (reason: Cell.TerminatedReason): Exit.Exit<void, unknown> =>
  reason._tag === "Crashed" ? Exit.failCause(reason.cause) : Exit.void

/** Stops the actor once it had no message for `timeout`; the timer lives in the incarnation's scope. */
const watchIdle = (cell: Cell.Cell, timeout: Duration.Duration): void => {
  const clock = cell.system.clock
  const limit = Duration.toMillis(timeout)
  cell.activeAt = clock.currentTimeMillisUnsafe()
  const timer = Effect.gen(function*() {
    while (true) {
      const idleFor = cell.busy > 0 ? 0 : clock.currentTimeMillisUnsafe() - cell.activeAt
      if (idleFor >= limit && MailboxQueue.isEmpty(cell.queue)) {
        return requestStop(cell, "stop", { _tag: "Idle" })
      }
      yield* Effect.sleep(Duration.millis(Math.max(limit - idleFor, 1)))
    }
  })
  Fiber.runIn(Effect.runForkWith(cell.base)(timer), cell.scope!)
}
