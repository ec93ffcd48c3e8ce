/**
 * Does with crashes what the supervisor says, and begins the next incarnation.
 *
 * @internal
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schedule from "effect/Schedule"
import * as Cell from "./cell.ts"
import * as Incarnation from "./incarnation.ts"
import * as MailboxQueue from "./mailboxQueue.ts"
import type { Directive, Policy, Restart } from "./policy.ts"
import * as Stop from "./stop.ts"

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
  let directive: Directive
  try {
    directive = decide(policy, cause)
  } catch (defect) {
    return Stop.beginStop(cell, { _tag: "Crashed", cause: Cause.combine(cause, Cause.die(defect)) }, false)
  }
  switch (directive._tag) {
    case "Resume":
      return
    case "Restart":
      return beginRestart(cell, cause, directive, state._tag === "Draining")
    case "Stop":
    case "Escalate":
      return Stop.beginStop(cell, { _tag: "Crashed", cause }, directive._tag === "Escalate")
  }
}

export const crashOfEscalated = (cell: Cell.Cell): void => {
  const cause = cell.escalated
  cell.escalated = undefined
  if (cause !== undefined) crash(cell, cause)
}

/** Ends the incarnation of a group's child; its mailbox and references wait for `startSuspended`. */
export const suspend = (cell: Cell.Cell, cause: Cause.Cause<unknown>): Effect.Effect<void> =>
  Effect.suspend(() => {
    const state = cell.state
    if (state._tag === "Running" || state._tag === "Draining") {
      cell.state = { _tag: "Restarting", by: "group", draining: state._tag === "Draining" }
    } else if (state._tag !== "Restarting") return Effect.void
    const ended = Stop.endIncarnation(cell, Exit.failCause(cause))
    return Effect.uninterruptible(ended ?? Effect.void)
  })

/** Starts the next incarnation of a suspended child, and fails as its setup does. */
export const startSuspended = (cell: Cell.Cell, cause: Cause.Cause<unknown>): Effect.Effect<void, unknown> =>
  Effect.suspend(() => {
    if (cell.state._tag !== "Restarting") return Effect.void
    cell.active++
    return Effect.onExit(Incarnation.setup(cell), (exit) =>
      Effect.sync(() => {
        cell.active--
        if (Exit.isSuccess(exit)) resumeAfterRestart(cell, cause, exit.value)
        Stop.endIfQuiet(cell)
      }))
  })

/** Ends a child for the crash that its group does not mend. */
export const stopCrashed = (cell: Cell.Cell, cause: Cause.Cause<unknown>): void => {
  if (cell.state._tag === "Restarting") Stop.beginStop(cell, { _tag: "Crashed", cause }, false)
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
  const step = steps.get(directive)
  if (step !== undefined) return delayOf(step, now, cause)
  return Effect.flatMap(Schedule.toStep(directive.schedule), (step) => {
    steps.set(directive, step)
    return delayOf(step, now, cause)
  })
}

// -----------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------

const beginRestart = (cell: Cell.Cell, cause: Cause.Cause<unknown>, directive: Restart, draining: boolean): void => {
  const restarting: Cell.State = { _tag: "Restarting", by: "self", draining }
  cell.state = restarting
  cell.active++
  const next = restart(cell, cause, directive)
  // By now this may be the next incarnation's context, which spares its setup from changing it.
  const fiber = Effect.runForkWith(cell.context)(next)
  const exit = fiber.pollUnsafe()
  if (exit !== undefined) return endRestart(cell, cause, exit)
  restarting.by = fiber
  fiber.addObserver((exit) => endRestart(cell, cause, exit))
  // It was asked to stop while the restart still was on this stack.
  if (cell.state !== restarting) fiber.interruptUnsafe()
}

const endRestart = (cell: Cell.Cell, cause: Cause.Cause<unknown>, exit: Exit.Exit<void>): void => {
  cell.active--
  // The policy itself died, and there is no other one to ask.
  if (Exit.isFailure(exit) && cell.state._tag === "Restarting") giveUp(cell, Cause.combine(cause, exit.cause), false)
  Stop.endIfQuiet(cell)
}

/**
 * Ends this incarnation and starts the next, as often and as slowly as the schedule says. What needs no time happens
 * before there is a fiber, and what leaves nothing to release keeps its scope: that is most of what a restart costs.
 */
const restart = (cell: Cell.Cell, cause: Cause.Cause<unknown>, directive: Restart): Effect.Effect<void> => {
  const ending = Stop.leavesNothing(cell) ? undefined : Stop.endIncarnation(cell, Exit.failCause(cause))
  if (ending === undefined) return startAgain(cell, cause, directive)
  return Effect.andThen(Effect.uninterruptible(ending), Effect.suspend(() => startAgain(cell, cause, directive)))
}

const startAgain = (cell: Cell.Cell, cause: Cause.Cause<unknown>, directive: Restart): Effect.Effect<void> => {
  const delay = nextDelay(cell, directive, cause)
  return hasSucceeded(delay)
    ? startAfter(cell, cause, delay.value)
    : Effect.flatMap(delay, (delay) => startAfter(cell, cause, delay))
}

const startAfter = (
  cell: Cell.Cell,
  cause: Cause.Cause<unknown>,
  delay: Duration.Duration | undefined
): Effect.Effect<void> => {
  if (delay === undefined) return Effect.sync(() => giveUp(cell, cause, false))
  return Duration.isZero(delay)
    ? start(cell, cause)
    : Effect.andThen(Effect.sleep(delay), Effect.suspend(() => start(cell, cause)))
}

const start = (cell: Cell.Cell, cause: Cause.Cause<unknown>): Effect.Effect<void> =>
  Effect.matchCauseEffect(Incarnation.setup(cell), {
    onSuccess: (handlers) => {
      resumeAfterRestart(cell, cause, handlers)
      return Effect.void
    },
    onFailure: (cause) => crashInSetup(cell, cause)
  })

/** A setup that fails is one more crash. There is no state to resume, so that means to start again, too. */
const crashInSetup = (cell: Cell.Cell, cause: Cause.Cause<unknown>): Effect.Effect<void> => {
  cell.stats.crashes++
  Cell.emit(cell, (path, protocol) => ({ _tag: "Crashed", path, protocol, cause }))
  const policy = cell.definition.supervisor
  const directive = policy._tag === "Delegate" ? stopDirective : decide(policy, cause)
  const ending = Stop.endIncarnation(cell, Exit.failCause(cause)) ?? Effect.void
  const logged = Effect.logError("setup failed at a restart", cause)
  const next = directive._tag === "Restart"
    ? startAgain(cell, cause, directive)
    : Effect.sync(() => giveUp(cell, cause, directive._tag === "Escalate"))
  return Effect.andThen(Effect.andThen(Effect.uninterruptible(ending), logged), next)
}

const stopDirective: Directive = { _tag: "Stop" }

const giveUp = (cell: Cell.Cell, cause: Cause.Cause<unknown>, escalate: boolean): void => {
  cell.state = { _tag: "Stopping", reason: { _tag: "Crashed", cause }, escalate }
  Stop.flush(cell)
}

const resumeAfterRestart = (cell: Cell.Cell, cause: Cause.Cause<unknown>, handlers: Cell.Handlers): void => {
  const state = cell.state
  if (state._tag !== "Restarting") return
  cell.handlers = handlers
  cell.state = state.draining ? Cell.Draining : Cell.Running
  if (cell.stash !== undefined) {
    MailboxQueue.prepend(cell.queue, cell.stash)
    cell.stash = undefined
  }
  cell.healthySince = cell.system.clock.currentTimeMillisUnsafe()
  cell.stats.restarts++
  Cell.emit(cell, (path, protocol) => ({ _tag: "Restarted", path, protocol, cause }))
  if (cell.definition.idleTimeout !== undefined) Incarnation.watchIdle(cell, cell.definition.idleTimeout)
  Cell.wake(cell)
  crashOfEscalated(cell)
}

const delayOf = (
  step: Cell.ScheduleStep,
  now: number,
  cause: Cause.Cause<unknown>
): Effect.Effect<Duration.Duration | undefined> => {
  let pulled: ReturnType<Cell.ScheduleStep>
  try {
    pulled = step(now, cause)
  } catch (defect) {
    return Effect.die(defect)
  }
  if (hasSucceeded(pulled)) return Exit.succeed(pulled.value[1])
  return Effect.matchCause(pulled, {
    onSuccess: ([, delay]) => delay,
    // An ended schedule; nothing else can fail, as a policy's schedule has no error.
    onFailure: () => undefined
  })
}

/** Whether the effect's value is there already, so that no fiber needs to run for it. */
const hasSucceeded = <A, E>(effect: Effect.Effect<A, E>): effect is Exit.Success<A, E> =>
  Exit.isExit(effect) && effect._tag === "Success"

const decide = (policy: Policy, cause: Cause.Cause<unknown>): Directive =>
  policy._tag === "Decide" ? policy.directive(cause) : policy
