/**
 * What a supervisor says of a crash: the directive, and how long a restart has to wait.
 *
 * @internal
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Predicate from "effect/Predicate"
import * as Pull from "effect/Pull"
import * as Schedule from "effect/Schedule"
import type { Directive, Restart } from "../../Supervisor.ts"
import * as Cell from "./cell.ts"
import * as CrashTimes from "./crashTimes.ts"

/** The policy's directive; a policy that has none stops the actor, which then crashed for both reasons. */
export const decide = (
  { definition: { supervisor } }: Cell.Cell,
  cause: Cause.Cause<unknown>,
  by: Cell.Cell
): { readonly directive: Directive; readonly reason: Cause.Cause<unknown> } => {
  if (supervisor._tag !== "Decide") return { directive: supervisor, reason: cause }
  try {
    const directive = supervisor.directive(cause, { path: by.path, protocol: by.definition.name })
    if (isDirective(directive)) return { directive, reason: cause }
    throw new TypeError(`Supervisor.decide: the function must return a directive, got ${directive}`)
  } catch (defect) {
    return { directive: { _tag: "Stop" }, reason: both(cause, Cause.die(defect)) }
  }
}

/**
 * The schedule's next delay, `undefined` when it has ended. Health for the directive's window starts it afresh; what an
 * intensity in it counts is not forgotten.
 */
export const nextDelay = (
  cell: Cell.Cell,
  directive: Restart,
  cause: Cause.Cause<unknown>,
  healthySince: number | undefined
): Effect.Effect<Duration.Duration | undefined> => {
  const now = Cell.monotonicMillis(cell.system)
  const { crashes, steps } = cell.supervision ??= { steps: new Map(), crashes: CrashTimes.make() }
  CrashTimes.record(crashes, now)
  if (healthySince !== undefined && now - healthySince >= Duration.toMillis(directive.window)) steps.delete(directive)
  const step = steps.get(directive)
  if (step !== undefined) return delayOf(step, now, cause, crashes)
  return Effect.flatMap(Schedule.toStep(directive.schedule), (step) => {
    steps.set(directive, step)
    return delayOf(step, now, cause, crashes)
  })
}

/** Whether the effect's value is there already. */
export const hasSucceeded = <A, E>(effect: Effect.Effect<A, E>): effect is Exit.Success<A, E> =>
  Exit.isExit(effect) && effect._tag === "Success"

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

/** Two causes in one. Unlike `Cause.combine` it does not look into the defects, which may throw when it does. */
export const both = (self: Cause.Cause<unknown>, that: Cause.Cause<unknown>): Cause.Cause<unknown> =>
  Cause.fromReasons([...self.reasons, ...that.reasons])

const isDirective = (directive: Directive): boolean =>
  Predicate.hasProperty(directive, "_tag") && ["Restart", "Resume", "Stop", "Escalate"].includes(directive._tag)

const delayOf = (
  step: Cell.ScheduleStep,
  now: number,
  cause: Cause.Cause<unknown>,
  crashes: CrashTimes.CrashTimes
): Effect.Effect<Duration.Duration | undefined> => {
  let pulled: ReturnType<Cell.ScheduleStep>
  try {
    pulled = step(now, cause)
  } catch (defect) {
    return Effect.die(defect)
  }
  if (hasSucceeded(pulled)) return Exit.succeed(pulled.value[1])
  return Effect.provideService(pulled, CrashTimes.Current, crashes).pipe(
    Effect.map(([, delay]) => delay),
    // An ended schedule; a policy's schedule has no other error.
    Pull.catchDone(() => Effect.undefined)
  )
}
