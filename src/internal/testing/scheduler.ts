/**
 * A scheduler that runs one task after the other when it is told to, and lets `Choices` say which and for how long.
 *
 * @internal
 */
import type * as Fiber from "effect/Fiber"
import type * as Scheduler from "effect/Scheduler"
import type { Choices } from "./choices.ts"
import { describe } from "./waiting.ts"

export interface SimScheduler extends Scheduler.Scheduler {
  /** Runs `body` as a part of the simulation. */
  readonly within: <A>(body: () => A) => A
  /** Runs one ready task; `false` when there is none. */
  readonly step: () => boolean
  readonly add: (tasks: ReadonlyArray<() => void>) => void
  readonly steps: () => number
  /** The fibers that have not ended, in the order of their first steps. */
  readonly waiting: () => ReadonlyArray<string>
  /** The fiber that something outside of the simulation has resumed, if any. */
  readonly intruder: () => string | undefined
}

/** `watch` hears of each fiber that begins or goes on. */
export const make = (choices: Choices, watch?: (who: string) => void): SimScheduler => {
  const ready: Array<() => void> = []
  const known = new Map<AnyFiber, Known>()
  let steps = 0
  let depth = 0
  let intruder: string | undefined
  /** Most questions are about the fiber of the last one. */
  let lastFiber: AnyFiber | undefined
  let last: Known = { index: 0, operation: 0, preempted: false }

  const lookUp = (fiber: AnyFiber): Known => {
    lastFiber = fiber
    const found = known.get(fiber)
    if (found !== undefined) return last = found
    last = { index: known.size, operation: 0, preempted: false }
    known.set(fiber, last)
    return last
  }

  const dispatcher: Scheduler.SchedulerDispatcher = {
    scheduleTask: (task) => void ready.push(task),
    flush: () => {}
  }

  return {
    executionMode: "async",
    makeDispatcher: () => dispatcher,

    // An operation is known by its fiber and its place in it. Neither the first one after a fiber has begun or gone on
    // counts, nor the second question about the one before which it had to yield: so that the rest of a schedule
    // means the same when a part of it is left out.
    shouldYield: (fiber) => {
      const own = fiber === lastFiber ? last : lookUp(fiber)
      if (fiber.currentOpCount === 1) {
        if (depth === 0) intruder ??= describe(fiber, own.index === 0)
        watch?.(describe(fiber, own.index === 0))
        return false
      }
      if (own.preempted) {
        own.preempted = false
        return false
      }
      if (choices.preempt(own.index, own.operation++)) {
        own.preempted = true
        return true
      }
      return fiber.currentOpCount >= fiber.cache.maxOpsBeforeYield
    },

    within: (body) => {
      depth++
      try {
        return body()
      } finally {
        depth--
      }
    },
    step: () => {
      const { length } = ready
      if (length === 0) return false
      steps++
      // The others keep their order, so that the next choice means the same.
      const [task] = ready.splice(length === 1 ? 0 : choices.pick(length), 1)
      task!()
      return true
    },
    add: (tasks) => void ready.push(...tasks),
    steps: () => steps,
    waiting: () => {
      const unfinished = Array.from(known).filter(([fiber]) => fiber.pollUnsafe() === undefined)
      return Array.from(new Set(unfinished.map(([fiber, { index }]) => describe(fiber, index === 0))))
    },
    intruder: () => intruder
  }
}

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

type AnyFiber = Fiber.Fiber<unknown, unknown>

interface Known {
  readonly index: number
  operation: number
  /** Whether it yields, or has just yielded, before its operation. */
  preempted: boolean
}
