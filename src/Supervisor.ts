/**
 * Says what happens to an actor after a crash.
 *
 * A policy is a pure value: two actors that share one do not share its counters. Delays run on Effect's `Clock` and
 * jitter on Effect's `Random`.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as CrashTimes from "./internal/actor/crashTimes.ts"
import * as Check from "./internal/check.ts"

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
 * A directive for every crash, or a function that chooses it.
 *
 * @since 0.1.0
 * @category models
 */
export type Policy = Directive | Decide

/**
 * Chooses the directive by the crash's cause and by the actor that crashed.
 *
 * @since 0.1.0
 * @category models
 */
export interface Decide {
  readonly _tag: "Decide"
  readonly directive: (cause: Cause.Cause<unknown>, crashed: Crashed) => Directive
}

/**
 * The actor that crashed: the supervised one itself, or its child that escalated.
 *
 * @since 0.1.0
 * @category models
 */
export interface Crashed {
  readonly path: string
  readonly protocol: string
}

/**
 * Restarts on a schedule, which sees the crash's cause as its input; the actor stops when the schedule ends. `window`
 * (default one minute) is how long an incarnation must stay healthy for the schedule to start afresh; health begins
 * when its setup has succeeded. An `intensity` in the schedule keeps counting.
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
  window: Check.positiveDuration("Supervisor.restart", "window", options?.window ?? "1 minute")
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
 * Chooses the directive by the cause and by the actor that crashed. Make each `restart` once, outside of the function:
 * the progress of its schedule belongs to that value.
 *
 * @since 0.1.0
 * @category constructors
 */
export const decide = (directive: Decide["directive"]): Policy => ({ _tag: "Decide", directive })

/**
 * A schedule without delay that ends when there were more than `restarts` crashes within the last `within`. Combine it
 * with a backoff by `Schedule.max`. It counts the crashes of the actor or the group that it supervises, on the
 * monotonic clock; elsewhere it counts its own steps.
 *
 * @since 0.1.0
 * @category schedules
 */
export const intensity = (options: {
  readonly restarts: number
  readonly within: Duration.Input
}): Schedule.Schedule<number> => {
  const restarts = Check.positiveInteger("Supervisor.intensity", "restarts", options.restarts)
  const within = Duration.toMillis(Check.positiveDuration("Supervisor.intensity", "within", options.within))
  return Schedule.fromStep(Effect.sync(() => {
    const own = CrashTimes.make()
    return (now: number) =>
      Effect.withFiber((fiber) => {
        let crashes = fiber.getRef(CrashTimes.Current)
        if (crashes === undefined) CrashTimes.record(crashes = own, now)
        crashes.keep = Math.max(crashes.keep, restarts + 1)
        const count = CrashTimes.countWithin(crashes, within)
        return count > restarts
          ? Cause.done(restarts)
          : Effect.succeed<[number, Duration.Duration]>([count, Duration.zero])
      })
  }))
}

/**
 * The policy of a behavior that names none: five restarts a minute, after 50 ms to 1 s, jittered.
 *
 * @since 0.1.0
 * @category constructors
 */
export const defaultPolicy: Restart = restart(Schedule.max([
  intensity({ restarts: 5, within: "1 minute" }),
  Schedule.jittered(Schedule.min([Schedule.exponential("50 millis"), Schedule.spaced("1 second")]))
]))
