/**
 * What an intensity counts: the crashes of the actor or the group whose supervision steps it.
 *
 * @internal
 */
import * as Context from "effect/Context"

export interface CrashTimes {
  /** In monotonic milliseconds, the oldest first. */
  readonly times: Array<number>
  /** How many of them some intensity needs. */
  keep: number
}

export const make = (): CrashTimes => ({ times: [], keep: 1 })

export const record = (self: CrashTimes, now: number): void => {
  if (self.times.length >= self.keep) self.times.shift()
  self.times.push(now)
}

/** How many of the crashes, the current one among them, happened within the last `within` milliseconds. */
export const countWithin = ({ times }: CrashTimes, within: number): number => {
  const now = times.at(-1)
  return now === undefined ? 0 : times.filter((at) => now - at < within).length
}

/** The crashes that a schedule is stepped for; `undefined` where no supervision steps it. */
export const Current = Context.Reference<CrashTimes | undefined>("effect-troupe/internal/CrashTimes", {
  defaultValue: () => undefined
})
