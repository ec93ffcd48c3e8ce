/**
 * A clock that stands still until it is moved to its next timer. Its wall time can jump, its monotonic time cannot.
 *
 * @internal
 */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"

export interface VirtualClock extends Clock.Clock {
  /** Milliseconds since the start. */
  readonly elapsed: () => number
  /** When the next timer is due, in milliseconds since the start; `undefined` without timers. */
  readonly next: () => number | undefined
  /** Moves to the next timer, and gives all that are due then. */
  readonly advance: () => ReadonlyArray<() => void>
  /** Lets the wall time jump by milliseconds, forward or back. */
  readonly jump: (millis: number) => void
}

/** `late` says how many milliseconds more a sleep of so many milliseconds takes. */
export const make = (late: (millis: number) => number): VirtualClock => {
  /** The next one is the last in the array. */
  const timers: Array<Timer> = []
  let now = 0
  let wall = 0
  const elapsed = () => now
  const monotonic = () => BigInt(Math.round(now * 1e6))
  const wallNanos = () => BigInt(Math.round((now + wall) * 1e6))
  // Whole milliseconds, as everywhere.
  const wallMillis = () => Math.floor(now + wall)
  return {
    elapsed,
    next: () => timers.at(-1)?.at,
    advance: () => {
      const first = timers.pop()
      if (first === undefined) return []
      now = first.at
      const due = [first.wake]
      while (timers.at(-1)?.at === now) due.push(timers.pop()!.wake)
      return due
    },
    jump: (millis) => {
      wall += millis
    },
    currentTimeMillisUnsafe: wallMillis,
    currentTimeNanosUnsafe: wallNanos,
    monotonicTimeNanosUnsafe: monotonic,
    currentTimeMillis: Effect.sync(wallMillis),
    currentTimeNanos: Effect.sync(wallNanos),
    monotonicTimeNanos: Effect.sync(monotonic),
    sleep: (duration) => {
      const millis = Duration.toMillis(duration)
      if (millis <= 0) return Effect.yieldNow
      if (!Number.isFinite(millis)) return Effect.never
      return Effect.callback<void>((resume) => {
        const timer = { at: now + millis + late(millis), wake: () => resume(Effect.void) }
        insert(timers, timer)
        return Effect.sync(() => {
          const index = timers.indexOf(timer)
          if (index >= 0) timers.splice(index, 1)
        })
      })
    }
  }
}

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

interface Timer {
  readonly at: number
  readonly wake: () => void
}

/** Before those that are due at the same time, which have come earlier: the next one is the last. */
const insert = (timers: Array<Timer>, timer: Timer): void => {
  let low = 0
  let high = timers.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (timers[middle]!.at > timer.at) low = middle + 1
    else high = middle
  }
  timers.splice(low, 0, timer)
}
