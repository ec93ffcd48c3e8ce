/**
 * What a supervisor's policy is made of. Exported through `Supervisor`.
 *
 * @internal
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type { Cell } from "./cell.ts"

/**
 * Start a fresh incarnation after the schedule's next delay; stop when the schedule ends. The schedule starts afresh
 * once an incarnation has stayed healthy for `window`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Restart {
  readonly _tag: "Restart"
  readonly schedule: Schedule.Schedule<unknown, Cause.Cause<unknown>>
  readonly window: Duration.Duration
}

/**
 * What to do about one crash.
 *
 * @since 0.1.0
 * @category models
 */
export type Directive =
  | Restart
  | { readonly _tag: "Resume" }
  | { readonly _tag: "Stop" }
  | { readonly _tag: "Escalate" }

/**
 * A directive for every crash, or a function from the cause to the directive.
 *
 * @since 0.1.0
 * @category models
 */
export type Policy = Directive | Decide

/**
 * Leaves the crash to the group that the actor is a child of.
 *
 * @internal
 */
export interface Delegate {
  readonly _tag: "Delegate"
  readonly crashed: (cell: Cell, cause: Cause.Cause<unknown>) => void
}

/**
 * Chooses the directive by the crash's cause.
 *
 * @since 0.1.0
 * @category models
 */
export interface Decide {
  readonly _tag: "Decide"
  readonly directive: (cause: Cause.Cause<unknown>) => Directive
}

/**
 * Restarts on a schedule, which sees the crash's cause as its input; the actor stops when the schedule ends.
 * `window` (default one minute) is how long an incarnation must stay healthy for the schedule to start afresh.
 *
 * @since 0.1.0
 * @category constructors
 */
export const restart = (
  schedule: Schedule.Schedule<unknown, Cause.Cause<unknown>>,
  options?: { readonly window?: Duration.Input | undefined }
): Restart => ({
  _tag: "Restart",
  schedule,
  window: positive("Supervisor.restart", "window", options?.window ?? "1 minute")
})

/**
 * Keeps the incarnation and its state, and goes on with the next message.
 *
 * @since 0.1.0
 * @category constructors
 */
export const resume: Directive = { _tag: "Resume" }

/**
 * Stops the actor; whoever watches it gets the cause.
 *
 * @since 0.1.0
 * @category constructors
 */
export const stop: Directive = { _tag: "Stop" }

/**
 * Stops the actor and crashes its parent with the same cause; at the root it stops the system.
 *
 * @since 0.1.0
 * @category constructors
 */
export const escalate: Directive = { _tag: "Escalate" }

/**
 * Chooses the directive by the cause. Make each `restart` once, outside of the function: its counters belong to that
 * value.
 *
 * @since 0.1.0
 * @category constructors
 */
export const decide = (directive: (cause: Cause.Cause<unknown>) => Directive): Policy => ({ _tag: "Decide", directive })

/**
 * A schedule without delay that ends when there were more than `restarts` within the last `within`. Combine it with
 * a backoff by `Schedule.max`.
 *
 * @since 0.1.0
 * @category schedules
 */
export const intensity = (options: {
  readonly restarts: number
  readonly within: Duration.Input
}): Schedule.Schedule<number> => {
  if (!Number.isSafeInteger(options.restarts) || options.restarts < 1) {
    throw new RangeError(`Supervisor.intensity: restarts must be a positive integer, got ${options.restarts}`)
  }
  const within = Duration.toMillis(positive("Supervisor.intensity", "within", options.within))
  return Schedule.fromStep(Effect.sync(() => {
    let restarts: ReadonlyArray<number> = []
    return (now: number) =>
      Effect.suspend(() => {
        restarts = restarts.filter((at) => now - at < within)
        if (restarts.length >= options.restarts) return Cause.done(restarts.length)
        restarts = [...restarts, now]
        return Effect.succeed<[number, Duration.Duration]>([restarts.length, Duration.zero])
      })
  }))
}

/**
 * What a behavior gets when it names no supervisor: five restarts a minute, after 50 ms to 1 s, jittered.
 *
 * @since 0.1.0
 * @category constructors
 */
export const defaultPolicy: Restart = restart(Schedule.max([
  intensity({ restarts: 5, within: "1 minute" }),
  Schedule.jittered(Schedule.min([Schedule.exponential("50 millis"), Schedule.spaced("1 second")]))
]))

// -----------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------

// Hoisted, because `defaultPolicy` above is made while the module loads.
function positive(where: string, field: string, input: Duration.Input): Duration.Duration {
  const duration = Duration.fromInputUnsafe(input)
  if (!(Duration.toMillis(duration) > 0)) {
    throw new RangeError(`${where}: ${field} must be a positive duration, got ${Duration.format(duration)}`)
  }
  return duration
}
