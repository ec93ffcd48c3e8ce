/**
 * Starts actors.
 *
 * @internal
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as References from "effect/References"
import * as Tracer from "effect/Tracer"
import { SpawnError } from "./actorError.ts"
import * as Cell from "./cell.ts"
import * as Incarnation from "./incarnation.ts"
import * as MailboxQueue from "./mailboxQueue.ts"
import * as Restart from "./restart.ts"
import * as Stop from "./stop.ts"

/**
 * Starts an actor under `parent`, and succeeds with its cell once its first setup has. The current context becomes
 * what all its incarnations run with.
 */
export const spawn = (
  parent: Cell.Cell,
  definition: Cell.Definition,
  name: string | undefined
): Effect.Effect<Cell.Cell, unknown> =>
  Effect.withFiber((fiber) => {
    const refused = refuseName(parent, name)
    if (refused !== undefined) return Effect.fail(refused)
    // The spawner's span ends long before the actor does.
    const context = fiber.cache.span === undefined ? fiber.context : Context.omit(Tracer.ParentSpan)(fiber.context)
    const cell = makeCell(parent, definition, name ?? `$${(parent.nextChild++).toString(36)}`, context)
    ;(parent.children ??= new Map()).set(cell.name, cell)
    const started = Effect.onExit(Incarnation.setup(cell), (exit) => settleStart(cell, exit))
    return Effect.as(started, cell)
  })

/** Makes the cell above all actors: it has no behavior, and its children are the actors at `/user`. */
export const makeRoot = (system: Cell.System, context: Context.Context<never>): Cell.Cell => ({
  ...emptyCell,
  system,
  parent: undefined,
  name: "user",
  path: "/user",
  definition: rootDefinition,
  stats: Cell.makeStats("user"),
  queue: MailboxQueue.make(rootDefinition.mailbox),
  base: context,
  context,
  state: Cell.Running
})

// -----------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------

const rootDefinition: Cell.Definition = {
  name: "user",
  protocol: { name: "user", payload: (_tag, input) => input },
  setup: Effect.succeed({}),
  mailbox: { capacity: 1, policy: "fail" },
  // A crash that escalates to the root ends the system with its cause.
  supervisor: { _tag: "Stop" },
  concurrency: 1,
  stashCapacity: 0,
  idleTimeout: undefined,
  stopsAtOnce: false,
  traced: false,
  reference: undefined
}

const emptyCell = {
  scope: undefined,
  handlers: {},
  state: Cell.Starting,
  delivery: "none",
  share: 0,
  paused: false,
  escalated: undefined,
  busy: 0,
  onStack: 0,
  running: undefined,
  active: 0,
  stash: undefined,
  children: undefined,
  nextChild: 1,
  watchers: undefined,
  watching: undefined,
  supervision: undefined,
  healthySince: 0,
  activeAt: 0
} satisfies Partial<Cell.Cell>

const makeCell = (
  parent: Cell.Cell,
  definition: Cell.Definition,
  name: string,
  context: Context.Context<never>
): Cell.Cell => {
  const cell: Cell.Cell = {
    ...emptyCell,
    system: parent.system,
    parent,
    name,
    path: `${parent.path}/${name}`,
    definition,
    stats: Cell.statsOf(parent.system, definition.name),
    queue: MailboxQueue.make(definition.mailbox),
    base: context,
    context
  }
  cell.base = context.pipe(
    Context.add(Cell.CurrentCell, cell),
    Context.add(References.CurrentLogAnnotations, {
      ...Context.get(context, References.CurrentLogAnnotations),
      actor: cell.path
    })
  )
  return cell
}

const refuseName = (parent: Cell.Cell, name: string | undefined): SpawnError | undefined => {
  const fail = (reason: SpawnError["reason"]) => new SpawnError({ actor: `${parent.path}/${name ?? "$"}`, reason })
  switch (parent.state._tag) {
    case "Stopping":
    case "Ending":
    case "Stopped":
      return fail({ _tag: "ParentStopped" })
  }
  if (name === undefined) return undefined
  if (name === "" || name.startsWith("$") || name.includes("/")) return fail({ _tag: "InvalidName" })
  return parent.children?.has(name) ? fail({ _tag: "NameTaken" }) : undefined
}

const settleStart = (cell: Cell.Cell, exit: Exit.Exit<Cell.Handlers, unknown>): Effect.Effect<void, SpawnError> => {
  if (Exit.isSuccess(exit) && cell.state._tag === "Starting") {
    cell.handlers = exit.value
    cell.state = Cell.Running
    Cell.emit(cell, (path, protocol) => ({ _tag: "Started", path, protocol }))
    if (cell.definition.idleTimeout !== undefined) Incarnation.watchIdle(cell, cell.definition.idleTimeout)
    if (!MailboxQueue.isEmpty(cell.queue)) Cell.wake(cell)
    Restart.crashOfEscalated(cell)
    return Effect.void
  }
  const refused = new SpawnError({ actor: cell.path, reason: { _tag: "ParentStopped" } })
  if (cell.state._tag === "Ending" || cell.state._tag === "Stopped") return Effect.fail(refused)
  const reason: Cell.TerminatedReason = Exit.isSuccess(exit)
    ? { _tag: "Stopped" }
    : { _tag: "Crashed", cause: exit.cause }
  cell.state = { _tag: "Ending", reason, escalate: false }
  Stop.flush(cell)
  const ending = Stop.endIncarnation(cell, exit) ?? Effect.void
  return Effect.andThen(
    Effect.ensuring(ending, Effect.sync(() => Stop.terminate(cell, reason, false))),
    Exit.isSuccess(exit) ? Effect.fail(refused) : Effect.void
  )
}
