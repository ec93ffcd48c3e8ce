/**
 * The choices that make one interleaving: drawn by a seed, or given by a schedule. Whatever is not first in, first out is
 * noted, and gives the same choices again.
 *
 * @internal
 */
import * as Prng from "../prng.ts"
import type { Schedule } from "./script.ts"

export interface Choices {
  /** Which of `n` ready tasks goes on, by its index; 0 is the oldest. */
  readonly pick: (n: number) => number
  /** Whether the fiber has to yield before this operation. */
  readonly preempt: (fiber: number, operation: number) => boolean
  /** How many milliseconds more the next sleep takes. */
  readonly late: (millis: number) => number
  /** What was not first in, first out until now. */
  readonly taken: () => Schedule
}

/** How a machine behaves; each seed draws another one, since some bugs need a calm machine and some a wild one. */
export interface Machine {
  /** The share of operations before which a fiber has to yield. */
  readonly preempt: number
  /** By how much of its time a sleep may be late. */
  readonly lateness: number
}

export const drawMachine = (seed: number): Machine => {
  const next = Prng.make(seed, "machine")
  return { preempt: Prng.choose(next, [0, 0.01, 0.05, 0.2]), lateness: Prng.choose(next, [0, 0, 0.5, 3]) }
}

export const drawn = (seed: number, { lateness, preempt }: Machine): Choices => {
  const next = Prng.make(seed, "schedule")
  const gap = () => preempt === 0 ? Infinity : 1 + Math.floor(Math.log(1 - next()) / Math.log(1 - preempt))
  let untilPreempt = gap()
  return noting({
    pick: (_, n) => Prng.below(next, n),
    preempt: () => {
      if (--untilPreempt > 0) return false
      untilPreempt = gap()
      return true
    },
    late: (_, millis) => lateness === 0 ? 0 : Prng.below(next, lateness * millis)
  })
}

export const given = ({ late, picks, preempts }: Schedule): Choices => {
  const lateBySleep = new Map(late)
  const taskByChoice = new Map(picks)
  const byFiber = Map.groupBy(preempts, ([fiber]) => fiber)
  const operations = new Map(
    Array.from(byFiber, ([fiber, preempts]) => [fiber, new Set(preempts.map(([, operation]) => operation))])
  )
  return noting({
    pick: (choice, n) => Math.min(taskByChoice.get(choice) ?? 0, n - 1),
    preempt: (fiber, operation) => operations.get(fiber)?.has(operation) ?? false,
    late: (sleep) => lateBySleep.get(sleep) ?? 0
  })
}

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

/** Numbers the choices and the sleeps, and notes what is not first in, first out. */
const noting = (source: {
  readonly pick: (choice: number, n: number) => number
  readonly preempt: (fiber: number, operation: number) => boolean
  readonly late: (sleep: number, millis: number) => number
}): Choices => {
  const picks: Array<readonly [number, number]> = []
  const preempts: Array<readonly [number, number]> = []
  const late: Array<readonly [number, number]> = []
  let choices = 0
  let sleeps = 0
  return {
    pick: (n) => {
      const choice = choices++
      const task = source.pick(choice, n)
      if (task !== 0) picks.push([choice, task])
      return task
    },
    preempt: (fiber, operation) => {
      const yields = source.preempt(fiber, operation)
      if (yields) preempts.push([fiber, operation])
      return yields
    },
    late: (millis) => {
      const sleep = sleeps++
      const more = source.late(sleep, millis)
      if (more > 0) late.push([sleep, more])
      return more
    },
    taken: () => ({ picks, preempts, late })
  }
}
