/**
 * A supervisor of several actors: what happens to one happens to those that its strategy says.
 *
 * The children's crashes and ends come as urgent messages to the group's own mailbox, so they are handled one at a
 * time. A crashed child restarts in place: its references and its mailbox stay.
 *
 * @internal
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { Restart } from "../../Supervisor.ts"
import { retype } from "../retype.ts"
import type { SpawnError } from "./actorError.ts"
import * as Cell from "./cell.ts"
import * as Lifecycle from "./lifecycle.ts"
import * as Message from "./message.ts"
import * as Spawn from "./spawn.ts"
import * as Supervision from "./supervision.ts"

/**
 * Whom a crash concerns besides the child that crashed: nobody, all other children, or those started after it.
 *
 * @since 0.1.0
 * @category models
 */
export type Strategy = "oneForOne" | "oneForAll" | "restForOne"

export interface ChildSpec {
  readonly name: string
  readonly restart: "permanent" | "transient" | "temporary"
  readonly definition: Cell.Definition
}

interface Child {
  readonly spec: ChildSpec
  cell: Cell.Cell
}

interface Group {
  readonly cell: Cell.Cell
  readonly strategy: Strategy
  readonly restart: Restart
  /** In the order of their start. */
  children: ReadonlyArray<Child>
  /** Since when all of them run, in monotonic milliseconds; `undefined` while they are mended. */
  healthySince: number | undefined
}

/** A child crashed and waits for the group; `state` tells this crash from a later one. */
interface Crashed {
  readonly cell: Cell.Cell
  readonly state: Cell.State
  readonly cause: Cause.Cause<unknown>
}

/**
 * Starts the children in order and returns the handlers that mend them. `E` and `R` are what the children's setups fail
 * with and need, which their definitions do not say.
 */
export const setup = <E, R>(
  strategy: Strategy,
  specs: ReadonlyArray<ChildSpec>,
  restart: Restart
): Effect.Effect<Cell.Handlers, E | SpawnError, R> => {
  const started = Effect.gen(function*() {
    const cell = yield* Effect.withFiber((fiber) => Effect.succeed(Cell.current(fiber.context)))
    const group: Group = { cell, strategy, restart, children: [], healthySince: undefined }
    for (const spec of specs) {
      group.children = [...group.children, { spec, cell: yield* startChild(group, spec) }]
    }
    group.healthySince = Cell.monotonicMillis(cell.system)
    return {
      Crashed: (crash: Crashed) => onCrashed(group, crash),
      Ended: (ended: Cell.Cell) => onEnded(group, ended)
    }
  })
  return retype(started)
}

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const startChild = (group: Group, spec: ChildSpec): Effect.Effect<Cell.Cell, unknown> =>
  Effect.map(Spawn.spawn(group.cell, { ...spec.definition, inGroup: true }, spec.name), (cell) => {
    Lifecycle.watch(cell, group, () => {
      Message.urge(Message.make(group.cell, "Ended", cell, undefined, undefined, undefined))
      Lifecycle.wake(group.cell)
    })
    return cell
  })

const onCrashed = (group: Group, { cause, cell, state }: Crashed): Effect.Effect<void> => {
  const child = group.children.find((child) => child.cell === cell)
  // Another restart has mended it, or it was stopped meanwhile.
  if (child === undefined || cell.state !== state) return Effect.void
  if (child.spec.restart !== "temporary") return mend(group, child, cause)
  return Effect.sync(() => Lifecycle.stopCrashed(cell, cause))
}

const onEnded = (group: Group, cell: Cell.Cell): Effect.Effect<void> => {
  const child = group.children.find((child) => child.cell === cell)
  if (child === undefined) return Effect.void
  if (child.spec.restart === "permanent") {
    return mend(group, child, Cause.die(new Error(`${cell.path} stopped, though it is permanent`)))
  }
  group.children = group.children.filter((other) => other !== child)
  return Effect.void
}

/** Ends what the strategy says, last first, waits for the schedule, and starts it again in order. */
const mend = Effect.fnUntraced(function*(group: Group, child: Child, firstCause: Cause.Cause<unknown>) {
  let culprit = child
  let cause = firstCause
  while (true) {
    const affected = affectedBy(group, culprit)
    for (const { cell, spec } of affected.toReversed()) {
      if (spec.restart === "temporary") yield* stopChild(group, cell)
      else yield* Lifecycle.suspend(cell, cause)
    }
    const delay = yield* Supervision.nextDelay(group.cell, group.restart, cause, group.healthySince)
    group.healthySince = undefined
    if (delay === undefined) return yield* giveUp(group, culprit, cause)
    if (!Duration.isZero(delay)) yield* Effect.sleep(delay)
    const failed = yield* startAgain(group, affected, cause)
    if (failed === undefined) {
      group.healthySince = Cell.monotonicMillis(group.cell.system)
      return
    }
    culprit = failed.child
    cause = failed.cause
  }
})

/** A crash of the group itself, of which its supervisor, or the group above, hears. */
const giveUp = (group: Group, { cell }: Child, cause: Cause.Cause<unknown>): Effect.Effect<void> =>
  Effect.andThen(
    Effect.logError(`${cell.path} is not restarted any more`, cause),
    Effect.sync(() => void Lifecycle.crash(group.cell, cause, cell))
  )

const affectedBy = (group: Group, culprit: Child): ReadonlyArray<Child> => {
  switch (group.strategy) {
    case "oneForOne":
      return [culprit]
    case "oneForAll":
      return group.children
    case "restForOne":
      return group.children.slice(group.children.indexOf(culprit))
  }
}

const stopChild = (group: Group, cell: Cell.Cell): Effect.Effect<unknown> => {
  group.children = group.children.filter((child) => child.cell !== cell)
  Lifecycle.requestStop(cell, "stop")
  return Lifecycle.awaitStopped(cell)
}

/** Starts suspended and stopped children in order, up to the first that fails. */
const startAgain = Effect.fnUntraced(function*(
  group: Group,
  children: ReadonlyArray<Child>,
  cause: Cause.Cause<unknown>
) {
  for (const child of children) {
    if (child.spec.restart === "temporary") continue
    if (child.cell.state._tag === "Stopping" || child.cell.state._tag === "Ending") {
      yield* Lifecycle.awaitStopped(child.cell)
    }
    const ended = child.cell.state._tag === "Stopped"
    // A transient child that ended by itself stays so; the group learns of it by its own message.
    if (ended && child.spec.restart !== "permanent") continue
    const exit = yield* Effect.exit(
      ended ? startChild(group, child.spec) : Effect.as(Lifecycle.startSuspended(child.cell, cause), child.cell)
    )
    if (Exit.isFailure(exit)) return { child, cause: exit.cause }
    child.cell = exit.value
  }
  return undefined
})
