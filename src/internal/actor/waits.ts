/**
 * Which runs wait for which, so that the one that would close a cycle is refused instead of waiting for ever.
 *
 * A run waits while its own fiber does: for an answer, for room in a mailbox, for the setup of an actor that it spawns.
 * What it forks, and so every `timeout`, `race` and concurrent `all`, may end without it and is no such wait.
 *
 * @internal
 */
import * as Context from "effect/Context"
import type * as Fiber from "effect/Fiber"
import type { Cell, Run, Wait } from "./cell.ts"
import { CurrentCell } from "./cell.ts"

/** The run that waits for what the fibers with this reference wait for, such as a model's calls of other agents. */
export const WaitingRun = Context.Reference<Run | undefined>("effect-troupe/internal/WaitingRun", {
  defaultValue: () => undefined
})

/** The run that waits while this fiber does. */
export const runOf = (fiber: Fiber.Fiber<unknown, unknown>): Run | undefined => {
  const cell = Context.getOrUndefined(fiber.context, CurrentCell)
  if (cell === undefined) return undefined
  const { runs, setup, starting } = cell.incarnation
  if (starting?.fiber === fiber) return starting
  if (setup?.fiber === fiber) return setup
  return runs?.get(fiber) ?? fiber.getRef(WaitingRun)
}

/** Notes that the run waits. It does so until `wait.status` is `done`. */
export const add = (run: Run, wait: Wait): void => {
  wait.nextWait = run.waits
  run.waits = wait
  for (let kept: Wait | undefined = wait; kept !== undefined; kept = kept.nextWait) {
    kept.nextWait = pending(kept.nextWait)
  }
}

/**
 * The paths of the actors whose runs would wait for each other for ever, beginning with the one of `run`; `undefined`
 * where something can still go on. To be asked about the newest wait of `run`, which alone can have closed a cycle.
 */
export const cycleOf = (run: Run): ReadonlyArray<string> | undefined => {
  const stuck = reachable(run)
  if (stuck === undefined) return undefined
  let before: number
  do {
    before = stuck.size
    // What was found last waits for nothing that was found before, in a chain: then one pass is enough.
    for (const found of Array.from(stuck).toReversed()) if (!isStuck(found, stuck)) stuck.delete(found)
  } while (stuck.size < before)
  return stuck.has(run) ? pathsOf(run, stuck) : undefined
}

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

/** Drops what is no longer waited for from the front of the list. */
const pending = (wait: Wait | undefined): Wait | undefined => {
  let current = wait
  while (current !== undefined && current.status === "done") current = current.nextWait
  return current
}

const waitsOf = (run: Run): ReadonlyArray<Wait> => {
  const waits: Array<Wait> = []
  for (let wait = pending(run.waits); wait !== undefined; wait = pending(wait.nextWait)) waits.push(wait)
  return waits
}

/** The runs of which one has to end before the wait can; `undefined` where something else may end it. */
const blockersOf = ({ run, status, to }: Wait): ReadonlyArray<Run> | undefined => {
  switch (status) {
    case "running":
      return run === undefined ? undefined : [run]
    case "new":
    case "blocked":
    case "queued":
      return occupantsOf(to)
    default:
      return undefined
  }
}

/** The runs that keep an actor from its next message, or its end; `undefined` when it may take one. */
const occupantsOf = ({ definition, incarnation, state }: Cell): ReadonlyArray<Run> | undefined => {
  if (incarnation.setup !== undefined) return [incarnation.setup]
  if (state._tag !== "Running" && state._tag !== "Draining" && state._tag !== "Stopping") return undefined
  if (incarnation.busy < definition.concurrency && state._tag !== "Stopping") return undefined
  return [...incarnation.runs?.values() ?? [], ...incarnation.starting === undefined ? [] : [incarnation.starting]]
    .filter(({ forked }) => !forked)
}

/** All runs that `run` may have to wait for, itself first; `undefined` when its newest wait surely ends. */
const reachable = (run: Run): Set<Run> | undefined => {
  const first = pending(run.waits)
  const direct = first === undefined ? undefined : blockersOf(first)
  if (direct === undefined || direct.some((blocker) => blocker !== run && pending(blocker.waits) === undefined)) {
    return undefined
  }
  const found = new Set([run])
  // A set's iterator also sees what is added during the iteration.
  for (const { waits } of found) {
    for (let wait = pending(waits); wait !== undefined; wait = pending(wait.nextWait)) {
      for (const blocker of blockersOf(wait) ?? []) found.add(blocker)
    }
  }
  return found
}

const isBlocked = (wait: Wait, stuck: ReadonlySet<Run>): boolean =>
  blockersOf(wait)?.every((run) => stuck.has(run)) ?? false

/** A run goes on only when all that it waits for has come. */
const isStuck = (run: Run, stuck: ReadonlySet<Run>): boolean => waitsOf(run).some((wait) => isBlocked(wait, stuck))

/** The shortest way from the run back to it: with concurrency, some of those that it waits for may wait beside it. */
const pathsOf = (run: Run, stuck: ReadonlySet<Run>): ReadonlyArray<string> => {
  const reachedFrom = new Map<Run, Run>()
  let last = run
  // A map's iterator also sees what is added during the iteration.
  const visit = (current: Run): boolean => {
    for (const wait of waitsOf(current)) {
      if (!isBlocked(wait, stuck)) continue
      for (const blocker of blockersOf(wait) ?? []) {
        if (blocker === run) return true
        if (!reachedFrom.has(blocker)) reachedFrom.set(blocker, current)
      }
    }
    return false
  }
  if (!visit(run)) { for (last of reachedFrom.keys()) if (visit(last)) break }
  const paths: Array<string> = []
  for (let current: Run | undefined = last; current !== undefined; current = reachedFrom.get(current)) {
    paths.push(current.incarnation.cell.path)
  }
  return paths.toReversed()
}
