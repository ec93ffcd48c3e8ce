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
import * as Cell from "./cell.ts"
import * as Delivery from "./delivery.ts"
import * as Envelope from "./envelope.ts"
import type * as Policy from "./policy.ts"
import * as Restart from "./restart.ts"
import * as Spawn from "./spawn.ts"
import * as Stop from "./stop.ts"

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
  readonly restart: Policy.Restart
  /** In the order of their start. */
  children: ReadonlyArray<Child>
}

/** A child crashed and waits for the group; `state` tells this crash from a later one. */
interface Crashed {
  readonly cell: Cell.Cell
  readonly state: Cell.State
  readonly cause: Cause.Cause<unknown>
}

/** Starts the children in order and returns the handlers that mend them. */
export const setup = (
  strategy: Strategy,
  specs: ReadonlyArray<ChildSpec>,
  restart: Policy.Restart
): Effect.Effect<Cell.Handlers, unknown> =>
  Effect.gen(function*() {
    const cell = yield* Effect.withFiber((fiber) => Effect.succeed(Cell.current(fiber.context)))
    const group: Group = { cell, strategy, restart, children: [] }
    for (const spec of specs) {
      group.children = [...group.children, { spec, cell: yield* startChild(group, spec) }]
    }
    return {
      Crashed: (crash) => onCrashed(group, crash as Crashed),
      Ended: (ended) => onEnded(group, ended as Cell.Cell)
    }
  })

// -----------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------

const startChild = (group: Group, spec: ChildSpec): Effect.Effect<Cell.Cell, unknown> => {
  const crashed = (cell: Cell.Cell, cause: Cause.Cause<unknown>) =>
    notify(group, "Crashed", { cell, state: cell.state, cause } satisfies Crashed)
  const definition: Cell.Definition = { ...spec.definition, supervisor: { _tag: "Delegate", crashed } }
  return Effect.map(Spawn.spawn(group.cell, definition, spec.name), (cell) => {
    ;(cell.watchers ??= new Map()).set(group, () => notify(group, "Ended", cell))
    return cell
  })
}

const notify = (group: Group, tag: "Crashed" | "Ended", payload: unknown): void =>
  Delivery.notify(group.cell, Envelope.make(tag, payload, undefined, undefined, undefined))

const onCrashed = (group: Group, { cause, cell, state }: Crashed): Effect.Effect<void> => {
  const child = group.children.find((child) => child.cell === cell)
  // Another restart has mended it, or it was stopped meanwhile.
  if (child === undefined || cell.state !== state) return Effect.void
  if (child.spec.restart !== "temporary") return mend(group, child, cause)
  return Effect.sync(() => Restart.stopCrashed(cell, cause))
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
      else yield* Restart.suspend(cell, cause)
    }
    const delay = yield* Restart.nextDelay(group.cell, group.restart, cause)
    if (delay === undefined) return yield* Effect.failCause(Cause.die(Cause.squash(cause)))
    if (!Duration.isZero(delay)) yield* Effect.sleep(delay)
    const failed = yield* startAgain(group, affected, cause)
    group.cell.healthySince = group.cell.system.clock.currentTimeMillisUnsafe()
    if (failed === undefined) return
    culprit = failed.child
    cause = failed.cause
  }
})

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
  Stop.requestStop(cell, "stop", { _tag: "Stopped" })
  return Stop.awaitStopped(cell)
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
      yield* Stop.awaitStopped(child.cell)
    }
    const ended = child.cell.state._tag === "Stopped"
    // A transient child that ended by itself stays so; the group learns of it by its own message.
    if (ended && child.spec.restart !== "permanent") continue
    const exit = yield* Effect.exit(
      ended ? startChild(group, child.spec) : Effect.as(Restart.startSuspended(child.cell, cause), child.cell)
    )
    if (Exit.isFailure(exit)) return { child, cause: exit.cause }
    child.cell = exit.value
  }
  return undefined
})
