/**
 * Makes the script of a broken run smaller, as long as the same promise is broken: first its faults, then what is not
 * first in, first out in its schedule.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import { deviations, type Fault, fifo, type Schedule, type Script } from "./script.ts"

/** A plan to try; without a schedule it is drawn by the seed. */
export interface Candidate {
  readonly seed: number
  readonly faults: ReadonlyArray<Fault>
  readonly schedule: Schedule | undefined
}

/** Gives what the candidate's run was, when it breaks the same promise. */
export type Attempt<E> = (candidate: Candidate) => Effect.Effect<Script | undefined, E>

/** Gives the smallest script found in so many attempts, and how many it took. */
export const shrink = <E>(
  found: Script,
  max: number,
  attempt: Attempt<E>
): Effect.Effect<{ readonly script: Script; readonly attempts: number }, E> =>
  Effect.gen(function*() {
    const search: Search<E> = { attempt, max, attempts: 0, best: found }
    yield* fewerFaults(search)
    yield* calmerSchedule(search)
    return { script: search.best, attempts: search.attempts }
  })

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

interface Search<E> {
  readonly attempt: Attempt<E>
  readonly max: number
  attempts: number
  best: Script
}

const attemptOne = <E>(search: Search<E>, candidate: Candidate): Effect.Effect<boolean, E> =>
  Effect.gen(function*() {
    if (search.attempts >= search.max) return false
    // The event loop of the tests gets a turn now and then.
    if (++search.attempts % 32 === 0) yield* Effect.yieldNow
    const script = yield* search.attempt(candidate)
    if (script === undefined) return false
    search.best = script
    return true
  })

/** Other schedules that are tried with a smaller set of faults, which may need another one to break the promise. */
const otherSchedules = 10

const fewerFaults = <E>(search: Search<E>): Effect.Effect<void, E> =>
  without(() => search.best.faults, (faults) =>
    Effect.gen(function*() {
      const { schedule, seed } = search.best
      if (yield* attemptOne(search, { seed, faults, schedule })) return true
      if (yield* attemptOne(search, { seed, faults, schedule: fifo })) return true
      for (let other = 1; other <= otherSchedules; other++) {
        if (yield* attemptOne(search, { seed: seed + other, faults, schedule: undefined })) return true
      }
      return false
    }))

type Deviation = readonly [keyof Schedule, readonly [number, number]]

const calmerSchedule = <E>(search: Search<E>): Effect.Effect<void, E> =>
  Effect.gen(function*() {
    const { faults, seed } = search.best
    const attempt = (schedule: Schedule) => attemptOne(search, { seed, faults, schedule })
    if (deviations(search.best.schedule) === 0 || (yield* attempt(fifo))) return
    yield* without(() => toDeviations(search.best.schedule), (kept) => attempt(toSchedule(kept)))
    yield* nearerPicks(search, attempt)
  })

/** A task that has waited longer is nearer to first in, first out. */
const nearerPicks = <E>(
  search: Search<E>,
  attempt: (schedule: Schedule) => Effect.Effect<boolean, E>
): Effect.Effect<void, E> =>
  Effect.gen(function*() {
    for (let index = 0; index < search.best.schedule.picks.length; index++) {
      const [choice, task] = search.best.schedule.picks[index]!
      for (let nearer = 1; nearer < task; nearer++) {
        const { picks, ...others } = search.best.schedule
        if (yield* attempt({ ...others, picks: picks.with(index, [choice, nearer]) })) break
      }
    }
  })

const toDeviations = (schedule: Schedule): ReadonlyArray<Deviation> =>
  (["late", "preempts", "picks"] as const).flatMap((kind) =>
    schedule[kind].map((deviation): Deviation => [kind, deviation])
  )

const toSchedule = (all: ReadonlyArray<Deviation>): Schedule => {
  const of = (kind: keyof Schedule) => all.flatMap(([each, deviation]) => each === kind ? [deviation] : [])
  return { picks: of("picks"), preempts: of("preempts"), late: of("late") }
}

/**
 * Leaves out parts of a list as long as `keeps` says that the rest will do: halves first, single ones last. After a
 * success the list is read again, for it may have become smaller still.
 */
const without = <A, E>(
  list: () => ReadonlyArray<A>,
  keeps: (rest: ReadonlyArray<A>) => Effect.Effect<boolean, E>
): Effect.Effect<void, E> =>
  Effect.gen(function*() {
    for (let size = list().length; size >= 1; size = Math.floor(size / 2)) {
      for (let from = 0; from < list().length;) {
        const before = list()
        const smaller = yield* keeps([...before.slice(0, from), ...before.slice(from + size)])
        if (!smaller || list().length >= before.length) from += size
      }
    }
  })
