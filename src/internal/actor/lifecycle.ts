/**
 * The states of an actor and every way from one to another: it starts, takes its turns, crashes, restarts, drains,
 * stops and ends.
 *
 * An actor at rest has no fiber. Whoever sends it a message wakes it: its turn comes in the dispatcher, and starts a
 * fiber for each message that its state and its concurrency allow. Each wait for such a fiber is bounded by the
 * behavior's `stopTimeout`.
 *
 * @internal
 */
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type { Restart } from "../../Supervisor.ts"
import { SpawnError } from "./actorError.ts"
import * as Cell from "./cell.ts"
import * as Incarnation from "./incarnation.ts"
import * as MailboxQueue from "./mailboxQueue.ts"
import * as Message from "./message.ts"
import * as Supervision from "./supervision.ts"
import * as Waits from "./waits.ts"

// -----------------------------------------------------------------------------------------------------------------
// turns
// -----------------------------------------------------------------------------------------------------------------

/** Asks the dispatcher for a turn, unless one is on its way. */
export const wake = (cell: Cell.Cell): void => {
  if (cell.turn !== "none" || cell.incarnation.busy >= cell.definition.concurrency) return
  cell.turn = "scheduled"
  cell.system.dispatcher.scheduleTask(() => takeTurn(cell), 0)
}

/** Lets the actor take no further message. */
export const pause = (cell: Cell.Cell): void => {
  cell.paused = true
}

export const resume = (cell: Cell.Cell): void => {
  cell.paused = false
  wake(cell)
}

/** Puts all stashed messages back before the queued ones, in their order. */
export const unstashAll = (cell: Cell.Cell): void => {
  MailboxQueue.unstash(cell.queue)
  wake(cell)
}

/** How many operations of handlers a turn may take: as many as Effect gives a fiber before it yields. */
const turnBudget = 2048
/** What the runtime itself does around each handler, in operations. */
const operationsAround = 8

const takeTurn = (cell: Cell.Cell): void => {
  let budget = turnBudget
  cell.turn = "running"
  while (budget > 0 && canTake(cell)) {
    const envelope = Message.take(cell)
    if (envelope === undefined) break
    budget -= operationsAround + handle(envelope)
  }
  cell.turn = "none"
  if (budget <= 0) return wake(cell)
  advance(cell)
}

const canTake = ({ definition, incarnation, paused, state }: Cell.Cell): boolean =>
  !paused && (state === Cell.running || state._tag === "Draining") && incarnation.busy < definition.concurrency

/** Runs the message's handler, and says how many operations it took before it suspended or ended. */
const handle = (envelope: Cell.Envelope): number => {
  const run = envelope.to.system.inContext(() => Message.start(envelope, proceedBeside))
  const fiber = run.fiber!
  const operations = fiber.currentOpCount
  const exit = fiber.pollUnsafe()
  if (exit === undefined) follow(run, fiber, (exit) => endRun(run, envelope, exit))
  else endRun(run, envelope, exit)
  return operations
}

/** Keeps a run that has suspended until it ends. */
const follow = (
  run: Cell.Run,
  fiber: Fiber.Fiber<unknown, unknown>,
  end: (exit: Exit.Exit<unknown, unknown>) => void
): void => {
  const runs = run.incarnation.runs ??= new Map()
  run.fiber = fiber
  runs.set(fiber, run)
  fiber.addObserver((exit) => {
    runs.delete(fiber)
    end(exit)
    proceed(run.incarnation.cell)
  })
}

const endRun = (run: Cell.Run, envelope: Cell.Envelope, exit: Exit.Exit<unknown, unknown>): void => {
  const { incarnation } = run
  incarnation.active--
  if (!run.forked) incarnation.busy--
  const settled = Message.settle(run, envelope, exit)
  switch (settled?._tag) {
    case "Crash":
      endByCrash(incarnation, envelope, settled.cause)
      break
    case "Owe":
      owe(incarnation, envelope, settled.answer)
      break
    case "Hold":
      hold(incarnation, envelope, settled.handingOn)
      break
  }
  Incarnation.noteEnd(incarnation)
}

const endByCrash = (incarnation: Cell.Incarnation, envelope: Cell.Envelope, cause: Cause.Cause<unknown>): void => {
  const { cell } = incarnation
  const isCurrent = cell.incarnation === incarnation && incarnation.abandoned === undefined
  const stops = isCurrent && crash(cell, cause)
  // Nobody else would hear of a told message's crash, nor of why the actor stopped.
  if (stops || envelope.reply === undefined) Incarnation.log(cell, Effect.logError(`${envelope.tag} crashed`, cause))
  Message.answerFailure(envelope, { _tag: "Crashed", defect: Cause.squash(cause) })
}

/** A handler that returned a `Deferred` lets the actor go on; the answer follows, unless the incarnation ends first. */
const owe = (
  incarnation: Cell.Incarnation,
  envelope: Cell.Envelope,
  deferred: Deferred.Deferred<unknown, unknown>
): void => {
  const run = Message.makeRun(incarnation, envelope)
  run.forked = true
  envelope.run = run
  follow(run, Effect.runForkWith(incarnation.context)(Deferred.await(deferred)), (exit) => {
    Message.answer(envelope, run.abort === undefined ? exit : Exit.fail(run.abort))
    Incarnation.noteEnd(incarnation)
  })
}

/** A message that is handed on keeps its actor from the next one until there is room for it. */
const hold = (incarnation: Cell.Incarnation, envelope: Cell.Envelope, handingOn: Effect.Effect<void>): void => {
  const run = Message.makeRun(incarnation, envelope)
  incarnation.active++
  incarnation.busy++
  envelope.run = run
  const effect = Effect.withFiber((fiber) => {
    // It waits as this run from the start.
    ;(incarnation.runs ??= new Map()).set(fiber, run)
    return handingOn
  })
  follow(run, Effect.runForkWith(incarnation.context)(effect), (exit) => endRun(run, envelope, exit))
}

/** A forked run lets the next message in: in this turn, or in one of its own. */
const proceedBeside = ({ incarnation }: Cell.Run): void => proceed(incarnation.cell)

/** Goes on after something has ended beyond the actor's turn. */
const proceed = (cell: Cell.Cell): void => {
  if (cell.turn !== "none") return
  if (MailboxQueue.isEmpty(cell.queue)) advance(cell)
  else wake(cell)
}

/** Takes the way that the state leads to when nothing more is to be handled. */
const advance = (cell: Cell.Cell): void => {
  const { incarnation, queue, state } = cell
  switch (state._tag) {
    case "Draining": {
      if (!MailboxQueue.isEmpty(queue) || !Incarnation.isQuiet(incarnation)) return
      if (MailboxQueue.stashedSize(queue) > 0) {
        // What is stashed gets another chance as long as that handles something, and else waits for `Actor.unstashAll`.
        if (state.unstashedAt === cell.handled) return
        state.unstashedAt = cell.handled
        return unstashAll(cell)
      }
      return beginStop(cell, { _tag: "Stopped" }, false)
    }
    case "Stopping": {
      const waits = incarnation.active > 0 || incarnation.setup !== undefined ||
        (state.interrupted !== undefined && state.interrupted.pollUnsafe() === undefined)
      return waits ? undefined : beginEnding(cell)
    }
  }
}

// -----------------------------------------------------------------------------------------------------------------
// start
// -----------------------------------------------------------------------------------------------------------------

/**
 * Runs the first setup, in a fiber of the actor's own, and fails as it does. The actor is there for others, who may
 * stop it, before the setup has ended.
 */
export const start = (cell: Cell.Cell): Effect.Effect<void, unknown> =>
  Effect.withFiber((spawner) => {
    const { incarnation } = cell
    const wait = waitForSetup(spawner, cell)
    const started = Effect.onExit(Incarnation.setup(incarnation), (exit) => settleStart(incarnation, exit))
    // Setups that spawn in setups must not overflow the stack.
    const isDeep = cell.system.depth >= Message.maxDepth
    cell.system.depth++
    const fiber = Effect.runForkWith(incarnation.context)(isDeep ? Effect.andThen(Effect.yieldNow, started) : started)
    cell.system.depth--
    const exit = fiber.pollUnsafe()
    if (exit !== undefined) {
      if (wait !== undefined) wait.status = "done"
      return Effect.asVoid(exit)
    }
    return Effect.callback<void, unknown>((resume) => {
      fiber.addObserver((exit) => {
        if (wait !== undefined) wait.status = "done"
        Message.resume(cell, resume, Effect.asVoid(exit))
      })
      // Nor does its spawner wait for a setup that is abandoned.
      watch(cell, fiber, () => incarnation.abandoned !== undefined && Message.resume(cell, resume, refuse(cell)))
      return Fiber.interrupt(fiber)
    })
  })

/** A run that spawns waits for the setup. */
const waitForSetup = (spawner: Fiber.Fiber<unknown, unknown>, cell: Cell.Cell): Cell.Wait | undefined => {
  const run = Waits.runOf(spawner)
  if (run === undefined) return undefined
  const wait: Cell.Wait = { to: cell, status: "queued", run: undefined, nextWait: undefined }
  Waits.add(run, wait)
  return wait
}

const settleStart = (
  incarnation: Cell.Incarnation,
  exit: Exit.Exit<Cell.Handlers, unknown>
): Effect.Effect<void, SpawnError> => {
  const { cell } = incarnation
  if (cell.state !== Cell.starting) {
    if (cell.state._tag === "Stopping") beginEnding(cell)
    return Effect.andThen(awaitStopped(cell), refuse(cell))
  }
  if (Exit.isSuccess(exit)) {
    Cell.emit(cell, (path, protocol) => ({ _tag: "Started", path, protocol }))
    begin(cell, exit.value, Cell.running)
    return Effect.void
  }
  beginStop(cell, { _tag: "Crashed", cause: exit.cause }, false)
  return Effect.asVoid(awaitStopped(cell))
}

const refuse = ({ path }: Cell.Cell): Effect.Effect<never, SpawnError> =>
  Effect.fail(new SpawnError({ actor: path, reason: { _tag: "ParentStopped" } }))

/** Begins to handle messages. */
const begin = (cell: Cell.Cell, handlers: Cell.Handlers, state: Cell.State): void => {
  const { incarnation } = cell
  incarnation.handlers = handlers
  incarnation.healthySince = Cell.monotonicMillis(cell.system)
  cell.state = state
  if (cell.definition.idleTimeout !== undefined) watchIdle(incarnation, cell.definition.idleTimeout)
  if (!MailboxQueue.isEmpty(cell.queue) || state !== Cell.running) wake(cell)
  const { escalated } = cell
  cell.escalated = undefined
  if (escalated !== undefined) climb(cell, escalated.cause, escalated.by)
}

/** Stops the actor once it had nothing to do for `timeout`; the timer lives in the incarnation's scope. */
const watchIdle = ({ cell, context, scope }: Cell.Incarnation, timeout: Duration.Duration): void => {
  const limit = Duration.toMillis(timeout)
  cell.activeAt = Cell.monotonicMillis(cell.system)
  const timer = Effect.gen(function*() {
    while (true) {
      const idleFor = isIdle(cell) ? Cell.monotonicMillis(cell.system) - cell.activeAt : 0
      if (idleFor >= limit) return requestStop(cell, "stop", { _tag: "Idle" })
      yield* Effect.sleep(Duration.millis(Math.max(limit - idleFor, 1)))
    }
  })
  Fiber.runIn(Effect.runForkWith(context)(timer), scope)
}

const isIdle = ({ incarnation, queue }: Cell.Cell): boolean =>
  Incarnation.isQuiet(incarnation) && MailboxQueue.isEmpty(queue) && MailboxQueue.stashedSize(queue) === 0

// -----------------------------------------------------------------------------------------------------------------
// crash and restart
// -----------------------------------------------------------------------------------------------------------------

/**
 * Handles a crash of the running incarnation, or of a child that escalated it, as the actor's supervisor says. Answers
 * whether the actor stops for it, and nobody above decides about it any more.
 */
export const crash = (cell: Cell.Cell, cause: Cause.Cause<unknown>, by: Cell.Cell = cell): boolean => {
  const { state } = cell
  countCrash(cell, cause)
  if (state !== Cell.running && state._tag !== "Draining") return false
  if (cell.definition.inGroup) suspendForGroup(cell, cause)
  else {
    const { directive, reason } = Supervision.decide(cell, cause, by)
    switch (directive._tag) {
      case "Resume":
        return false
      case "Restart":
        beginRestart(cell, cause, (restarting) => restartOn(cell, restarting, cause, directive))
        return false
      case "Stop":
      case "Escalate":
        beginStop(cell, { _tag: "Crashed", cause: reason }, directive._tag === "Escalate")
        return directive._tag === "Stop"
    }
  }
  return false
}

/**
 * Ends the incarnation and starts the next one, whatever the supervisor says; a backoff, or a setup that hangs at a restart,
 * ends at once. Succeeds when the next one has started, or the actor has ended; from inside, it waits for nothing.
 */
export const restart = (cell: Cell.Cell): Effect.Effect<void> =>
  Effect.withFiber(({ context }) =>
    Cell.contains(cell, context)
      ? Effect.sync(() => isRunning(cell) && requestRestart(cell))
      : Effect.suspend(() =>
        Cell.isEnding(cell) ? Effect.void : Effect.asVoid(awaitStart(cell, () => requestRestart(cell)))
      )
  )

/**
 * Waits for the first setup of an actor that somebody else has spawned, or for the end of one that takes nothing new, and
 * says which of the two it was; at once, where either would wait for whoever waits here.
 */
export const awaitSettled = (cell: Cell.Cell): Effect.Effect<"started" | "stopped" | "stuck"> =>
  Effect.withFiber((waiter) => {
    const settled = cell.state === Cell.starting
      ? awaitStart(cell, () => {})
      : Effect.as(awaitStopped(cell), "stopped" as const)
    const wait = waitForSetup(waiter, cell)
    if (wait === undefined) return settled
    return Effect.ensuring(
      Effect.suspend(() =>
        Waits.cycleOf(Waits.runOf(waiter)!) === undefined ? settled : Effect.succeed("stuck" as const)
      ),
      Effect.sync(() => wait.status = "done")
    )
  })

/** Begins something and waits for the start of an incarnation, or the end of the actor. */
const awaitStart = (cell: Cell.Cell, begin: () => void): Effect.Effect<"started" | "stopped"> =>
  Effect.callback((resume) => {
    const { listeners } = cell.system
    const listener = ({ _tag, path }: Cell.ActorEvent): void => {
      if (path !== cell.path || !isStart.has(_tag)) return
      listeners.delete(listener)
      Message.resume(cell, resume, Effect.succeed(_tag === "Stopped" ? "stopped" : "started"))
    }
    listeners.add(listener)
    begin()
    return Effect.sync(() => listeners.delete(listener))
  })

const isStart: ReadonlySet<string> = new Set(
  ["Started", "Restarted", "Stopped"] satisfies Array<Cell.ActorEvent["_tag"]>
)

const isRunning = ({ state }: Cell.Cell): boolean => state === Cell.running || state._tag === "Draining"

const requestRestart = (cell: Cell.Cell): void => {
  const { incarnation, state } = cell
  const cause = Cause.die(new Error(`${cell.path}: a restart was requested`))
  if (isRunning(cell)) {
    if (cell.definition.inGroup) suspendForGroup(cell, cause)
    else beginRestart(cell, cause, (restarting) => startNext(cell, restarting, cause))
  } else if (state._tag === "Restarting" && state.by === "self") {
    if (state.backoff !== undefined) state.backoff()
    // Its end interrupts the setup, which nobody knows the end of.
    else if (incarnation.setup !== undefined) {
      beginRestart(cell, cause, (restarting) => startNext(cell, restarting, cause))
    }
  }
}

/** Ends the incarnation of a group's child; its mailbox and references wait for `startSuspended`. */
export const suspend = (cell: Cell.Cell, cause: Cause.Cause<unknown>): Effect.Effect<void> =>
  Effect.suspend(() => {
    const { state } = cell
    if (state === Cell.running || state._tag === "Draining") setRestarting(cell, "group")
    else if (state._tag !== "Restarting") return Effect.void
    return Effect.uninterruptible(endIncarnation(cell, Exit.failCause(cause)) ?? Effect.void)
  })

/** Starts the next incarnation of a suspended child, and fails as its setup does. */
export const startSuspended = (cell: Cell.Cell, cause: Cause.Cause<unknown>): Effect.Effect<void, unknown> =>
  Effect.suspend(() => {
    const { state } = cell
    if (state._tag !== "Restarting") return Effect.void
    return Effect.onExit(Incarnation.setup(nextIncarnation(cell)), (exit) =>
      Effect.sync(() => {
        if (Exit.isSuccess(exit)) settleRestart(cell, state, cause, exit.value)
        advance(cell)
      }))
  })

/** Ends a child for the crash that its group does not mend. */
export const stopCrashed = (cell: Cell.Cell, cause: Cause.Cause<unknown>): void => {
  if (cell.state._tag === "Restarting") beginStop(cell, { _tag: "Crashed", cause }, false)
}

const countCrash = (cell: Cell.Cell, cause: Cause.Cause<unknown>): void => {
  cell.stats.crashes++
  Cell.emit(cell, (path, protocol) => ({ _tag: "Crashed", path, protocol, cause }))
}

/** Ends an actor between two incarnations. */
const giveUp = (cell: Cell.Cell, cause: Cause.Cause<unknown>, escalate: boolean): void => {
  if (!escalate) Incarnation.log(cell, Effect.logError("is not restarted any more", cause))
  beginStop(cell, { _tag: "Crashed", cause }, escalate)
}

const setRestarting = (cell: Cell.Cell, by: Cell.Restarting["by"]): Cell.Restarting => {
  const { state } = cell
  const restarting: Cell.Restarting = {
    _tag: "Restarting",
    by,
    fiber: undefined,
    backoff: undefined,
    draining: state._tag === "Draining" || (state._tag === "Restarting" && state.draining)
  }
  cell.state = restarting
  return restarting
}

/** Leaves a crash to the group above. */
const suspendForGroup = (cell: Cell.Cell, cause: Cause.Cause<unknown>): void => {
  const state = setRestarting(cell, "group")
  const group = cell.parent!
  Message.urge(Message.make(group, "Crashed", { cell, state, cause }, undefined, undefined, undefined))
  wake(group)
}

/** Ends this incarnation and does what `next` says. What needs no time happens on this stack. */
const beginRestart = (
  cell: Cell.Cell,
  cause: Cause.Cause<unknown>,
  next: (restarting: Cell.Restarting) => Effect.Effect<void>
): void => {
  const restarting = setRestarting(cell, "self")
  const ending = Incarnation.leavesNothing(cell) ? undefined : endIncarnation(cell, Exit.failCause(cause))
  const restart = Effect.withFiber<void>((fiber) => {
    restarting.fiber = fiber
    const started = Effect.suspend(() => next(restarting))
    return ending === undefined ? started : Effect.andThen(Effect.uninterruptible(ending), started)
  })
  cell.system.inContext(() => {
    // Where the next incarnation has this very context, its setup needs no other one.
    const fiber = Effect.runForkWith(cell.incarnation.context)(restart)
    restarting.fiber = fiber
    fiber.addObserver((exit) => endRestart(cell, restarting, cause, exit))
  })
}

const endRestart = (
  cell: Cell.Cell,
  restarting: Cell.Restarting,
  cause: Cause.Cause<unknown>,
  exit: Exit.Exit<void>
): void => {
  // The policy itself died, and there is no other one to ask.
  if (Exit.isFailure(exit) && cell.state === restarting) giveUp(cell, Supervision.both(cause, exit.cause), false)
  proceed(cell)
}

const restartOn = (
  cell: Cell.Cell,
  restarting: Cell.Restarting,
  cause: Cause.Cause<unknown>,
  directive: Restart
): Effect.Effect<void> => {
  const delay = Supervision.nextDelay(cell, directive, cause, cell.incarnation.healthySince)
  const startAfter = (delay: Duration.Duration | undefined): Effect.Effect<void> => {
    if (delay === undefined) return Effect.sync(() => giveUp(cell, cause, false))
    if (Duration.isZero(delay)) return startNext(cell, restarting, cause)
    return Effect.andThen(backOff(restarting, delay), Effect.suspend(() => startNext(cell, restarting, cause)))
  }
  return Supervision.hasSucceeded(delay) ? startAfter(delay.value) : Effect.flatMap(delay, startAfter)
}

/** Waits before the next incarnation, until an operator restarts the actor. */
const backOff = (restarting: Cell.Restarting, delay: Duration.Duration): Effect.Effect<void> => {
  const requested = Effect.callback<void>((resume) => {
    restarting.backoff = () => resume(Effect.void)
    return Effect.sync(() => restarting.backoff = undefined)
  })
  return Effect.raceFirst(requested, Effect.sleep(delay))
}

const startNext = (
  cell: Cell.Cell,
  restarting: Cell.Restarting,
  cause: Cause.Cause<unknown>
): Effect.Effect<void> => {
  // Another restart has taken this one's place.
  if (cell.state !== restarting) return Effect.void
  return Effect.matchCauseEffect(Incarnation.setup(nextIncarnation(cell)), {
    onSuccess: (handlers) => {
      settleRestart(cell, restarting, cause, handlers)
      return Effect.void
    },
    onFailure: (cause) => crashInSetup(cell, restarting, cause)
  })
}

/** A setup that fails is one more crash. There is no state to resume, so that means to start again, too. */
const crashInSetup = (
  cell: Cell.Cell,
  restarting: Cell.Restarting,
  cause: Cause.Cause<unknown>
): Effect.Effect<void> => {
  if (cell.state !== restarting) return Effect.void
  countCrash(cell, cause)
  const { directive, reason } = Supervision.decide(cell, cause, cell)
  const ending = endIncarnation(cell, Exit.failCause(cause)) ?? Effect.void
  const next = directive._tag === "Restart"
    ? Effect.suspend(() => restartOn(cell, restarting, cause, directive))
    : Effect.sync(() => giveUp(cell, reason, directive._tag === "Escalate"))
  return Effect.uninterruptible(ending).pipe(
    Effect.andThen(Effect.logError("setup failed at a restart", cause)),
    Effect.andThen(next)
  )
}

const nextIncarnation = (cell: Cell.Cell): Cell.Incarnation =>
  cell.incarnation = Cell.makeIncarnation(cell, cell.incarnation)

const settleRestart = (
  cell: Cell.Cell,
  restarting: Cell.Restarting,
  cause: Cause.Cause<unknown>,
  handlers: Cell.Handlers
): void => {
  if (cell.state !== restarting) return
  MailboxQueue.unstash(cell.queue)
  cell.stats.restarts++
  Cell.emit(cell, (path, protocol) => ({ _tag: "Restarted", path, protocol, cause }))
  begin(cell, handlers, restarting.draining ? Cell.makeDraining() : Cell.running)
}

// -----------------------------------------------------------------------------------------------------------------
// stop
// -----------------------------------------------------------------------------------------------------------------

/**
 * Asks the actor to end: after what is queued (`drain`), after the current message (`stop`), or at once with all below
 * it (`kill`). Asking again changes nothing, but for a more urgent way.
 */
export const requestStop = (
  cell: Cell.Cell,
  mode: "drain" | "stop" | "kill",
  reason: Cell.TerminatedReason = { _tag: "Stopped" }
): void => {
  if (mode !== "kill") return requestOne(cell, mode, reason)
  for (const each of [cell, ...Cell.descendants(cell)]) requestOne(each, mode, reason)
}

/** Waits until the actor has ended. */
export const awaitStopped = (cell: Cell.Cell): Effect.Effect<Cell.Terminated> =>
  Effect.callback((resume) => {
    if (cell.state._tag === "Stopped") return resume(Effect.succeed(cell.state.terminated))
    const key = {}
    watch(cell, key, (terminated) => Message.resume(cell, resume, Effect.succeed(terminated)))
    return Effect.sync(() => cell.watchers?.delete(key))
  })

/** Calls the watcher when the actor has ended, unless its key is deleted before. */
export const watch = (cell: Cell.Cell, key: unknown, watcher: (terminated: Cell.Terminated) => void): void => {
  ;(cell.watchers ??= new Map()).set(key, watcher)
}

/**
 * Ends the actor as `requestStop` does. What has not ended after the system's `shutdownTimeout` is interrupted, all of
 * it together; what has not ended one `stopTimeout` later (the default one where that is infinite) is abandoned.
 */
export const release = Effect.fnUntraced(function*(cell: Cell.Cell, mode: "stop" | "drain") {
  requestStop(cell, mode)
  if (yield* endsWithin(cell, cell.system.shutdownTimeout)) return
  requestStop(cell, "kill")
  const timeouts = [cell, ...Cell.descendants(cell)].map(({ definition }) => definition.stopTimeout)
  const finite = timeouts.map((timeout) => Duration.isFinite(timeout) ? timeout : defaultStopTimeout)
  if (yield* endsWithin(cell, finite.reduce(Duration.max))) return
  const left = [cell, ...Cell.descendants(cell)].toReversed()
  for (const each of left) abandonNow(each)
  yield* Effect.logWarning(`abandoned when the system was released: ${left.map(({ path }) => path).join(", ")}`)
})

export const defaultStopTimeout = Duration.seconds(5)

const endsWithin = (cell: Cell.Cell, timeout: Duration.Duration): Effect.Effect<boolean> =>
  Effect.map(Effect.timeoutOption(awaitStopped(cell), timeout), Option.isSome)

const requestOne = (cell: Cell.Cell, mode: "drain" | "stop" | "kill", reason: Cell.TerminatedReason): void => {
  const { state } = cell
  switch (state._tag) {
    case "Running":
    case "Draining":
      if (mode !== "drain") beginStop(cell, reason, false)
      else if (state === Cell.running) cell.state = Cell.makeDraining()
      if (mode === "drain") return wake(cell)
      break
    case "Restarting":
      if (mode === "drain") {
        state.draining = true
        return
      }
      beginStop(cell, reason, false, state.fiber)
      break
    case "Starting":
      beginStop(cell, reason, false, cell.incarnation.setup?.fiber)
      break
    default:
      break
  }
  if (mode === "kill" && cell.state._tag === "Stopping") hurry(cell)
}

/** Takes nothing more, and waits for the current runs. */
const beginStop = (
  cell: Cell.Cell,
  reason: Cell.TerminatedReason,
  escalate: boolean,
  interrupted?: Fiber.Fiber<unknown, unknown>
): void => {
  const stopping: Cell.State = { _tag: "Stopping", reason, escalate, interrupted, timer: undefined }
  cell.state = stopping
  Message.flush(cell)
  interrupted?.interruptUnsafe()
  if (cell.state !== stopping) return
  if (reason._tag === "Crashed" || cell.definition.stopsAtOnce) return beginEnding(cell)
  advance(cell)
  if (cell.state !== stopping || !Duration.isFinite(cell.definition.stopTimeout)) return
  stopping.timer = Effect.runForkWith(cell.base)(
    Effect.andThen(Effect.sleep(cell.definition.stopTimeout), Effect.sync(() => hurry(cell)))
  )
}

/** Waits no longer for the runs to end by themselves. */
const hurry = (cell: Cell.Cell): void => {
  const { incarnation, state } = cell
  if (state._tag !== "Stopping") return
  // The end of the last incarnation, which a restart has begun, is bounded by itself.
  if (state.interrupted === undefined || incarnation.setup !== undefined) beginEnding(cell)
}

/** Ends the incarnation, and the actor with it. */
const beginEnding = (cell: Cell.Cell): void => {
  const { state } = cell
  if (state._tag !== "Stopping") return
  const { escalate, reason, timer } = state
  const ending: Cell.State = { _tag: "Ending", reason, escalate, fiber: undefined }
  cell.state = ending
  timer?.interruptUnsafe()
  const exit = reason._tag === "Crashed" ? Exit.failCause(reason.cause) : Exit.void
  const end = endIncarnation(cell, exit)
  if (end === undefined) return terminate(cell, reason, escalate)
  ending.fiber = Effect.runForkWith(cell.base)(end)
  ending.fiber.addObserver(() => terminate(cell, reason, escalate))
}

/** Ends runs, children (last first) and scope, in this order. `undefined` when that needed no time. */
const endIncarnation = (cell: Cell.Cell, exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> | undefined => {
  const { incarnation } = cell
  Incarnation.unwatchAll(incarnation)
  MailboxQueue.clearUrgent(cell.queue)
  return Incarnation.isAlone(cell) ? Incarnation.close(incarnation, exit) : endAll(incarnation, exit)
}

const endAll = Effect.fnUntraced(function*(incarnation: Cell.Incarnation, exit: Exit.Exit<unknown, unknown>) {
  const { cell } = incarnation
  // A deep tree ends level by level, and not on one stack.
  yield* Effect.yieldNow
  Incarnation.abort(
    incarnation,
    Exit.isFailure(exit) ? { _tag: "Crashed", defect: Cause.squash(exit.cause) } : Cell.stopped
  )
  if (!Incarnation.isQuiet(incarnation)) {
    yield* Effect.timeoutOption(Incarnation.awaitQuiet(incarnation), cell.definition.stopTimeout)
  }
  if (!Incarnation.isQuiet(incarnation)) Incarnation.abandon(incarnation)
  // The runs may have begun to watch, even while they ended.
  Incarnation.unwatchAll(incarnation)
  yield* stopChildren(cell)
  yield* Incarnation.close(incarnation, exit) ?? Effect.void
})

/** Ends an actor whose time is up, whatever it waits for. */
const abandonNow = (cell: Cell.Cell): void => {
  const { incarnation, state } = cell
  if (state._tag === "Stopped") return
  if (!Incarnation.isQuiet(incarnation)) Incarnation.abandon(incarnation)
  else incarnation.abandoned = []
  if (state._tag === "Ending") return state.fiber?.interruptUnsafe()
  terminate(cell, { _tag: "Stopped" }, false)
}

/** Stops the children one after the other, last started first. */
const stopChildren = Effect.fnUntraced(function*(cell: Cell.Cell) {
  for (const child of Cell.childrenOf(cell).toReversed()) {
    requestStop(child, "stop")
    if (child.state._tag !== "Stopped") yield* awaitStopped(child)
  }
})

const terminate = (cell: Cell.Cell, wanted: Cell.TerminatedReason, escalate: boolean): void => {
  const { incarnation, parent, watchers } = cell
  const messages = incarnation.abandoned
  const reason: Cell.TerminatedReason = messages === undefined || wanted._tag === "Crashed"
    ? wanted
    : { _tag: "Abandoned", messages }
  const terminated: Cell.Terminated = { path: cell.path, protocol: cell.definition.name, reason }
  cell.state = { _tag: "Stopped", terminated }
  cell.watchers = undefined
  // Whoever holds a reference to it shall hold nothing else.
  incarnation.context = cell.base
  incarnation.handlers = Cell.noHandlers
  parent?.children?.delete(cell.name)
  Cell.emit(cell, (path, protocol) => ({ _tag: "Stopped", path, protocol, reason }))
  if (watchers !== undefined) { for (const notify of watchers.values()) Cell.guarded(cell, notify, terminated) }
  if (escalate && reason._tag === "Crashed" && parent !== undefined) {
    // In a turn of its own: a crash may climb through a deep tree.
    cell.system.dispatcher.scheduleTask(() => climb(parent, reason.cause, cell), 0)
  }
}

/** Crashes a parent by its child. While its setup is on the way, that has to wait for the setup's end. */
const climb = (cell: Cell.Cell, cause: Cause.Cause<unknown>, by: Cell.Cell): void => {
  if (cell.incarnation.setup !== undefined) cell.escalated = { cause, by }
  else if (crash(cell, cause, by)) {
    Incarnation.log(cell, Effect.logError(`stopped after the crash of ${by.path}`, cause))
  }
}
