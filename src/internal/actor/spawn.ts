/**
 * Makes actors and starts them.
 *
 * @internal
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as References from "effect/References"
import * as Tracer from "effect/Tracer"
import { stop } from "../../Supervisor.ts"
import { SpawnError } from "./actorError.ts"
import * as Cell from "./cell.ts"
import * as Lifecycle from "./lifecycle.ts"
import * as MailboxQueue from "./mailboxQueue.ts"
import * as Metrics from "./metrics.ts"
import { WaitingRun } from "./waits.ts"

/**
 * Starts an actor under `parent`, and succeeds with its cell once its first setup has. The current context becomes
 * what all its incarnations run with.
 */
export const spawn = (
  parent: Cell.Cell,
  definition: Cell.Definition,
  name: string | undefined
): Effect.Effect<Cell.Cell, unknown> => Effect.withFiber((fiber) => spawnWith(parent, definition, name, lasting(fiber)))

/**
 * The child of that name once its first setup has succeeded. One that is ending is waited for, unless it waits for whoever
 * asks, and where there is none, it is spawned: nothing comes between the look and the spawn.
 */
export const getOrSpawn = (
  parent: Cell.Cell,
  definition: Cell.Definition,
  name: string
): Effect.Effect<Cell.Cell, unknown> =>
  Effect.suspend(() => {
    const child = parent.children?.get(name)
    if (child === undefined) {
      return Effect.withFiber((fiber) => spawnWith(parent, definition, name, shared(parent, fiber)))
    }
    const isOpen = Cell.isOpen(child)
    const taken = Effect.fail(nameTaken(child.path))
    if (isOpen && child.definition.protocol !== definition.protocol) return taken
    if (isOpen && child.state !== Cell.starting) return Effect.succeed(child)
    return Effect.flatMap(Lifecycle.awaitSettled(child), (settled) => {
      if (settled === "stuck") return taken
      return isOpen && settled === "started" ? Effect.succeed(child) : getOrSpawn(parent, definition, name)
    })
  })

/** Makes the cell above all actors: it has no behavior, and its children are the actors at `/user`. */
export const makeRoot = (system: Cell.System, context: Context.Context<never>): Cell.Cell => {
  const root = Cell.make({
    system,
    parent: undefined,
    name: "user",
    path: "/user",
    definition: rootDefinition,
    stats: Cell.makeStats("user"),
    queue: MailboxQueue.make(rootDefinition.mailbox)
  }, () => context)
  root.state = Cell.running
  return root
}

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const rootDefinition: Cell.Definition = {
  name: "user",
  protocol: { name: "user", payload: (_tag, input) => input },
  setup: Effect.succeed({}),
  mailbox: { capacity: 1, policy: "fail" },
  // A crash that escalates to the root ends the system with its cause.
  supervisor: stop,
  concurrency: 1,
  stashCapacity: 0,
  idleTimeout: undefined,
  stopTimeout: Lifecycle.defaultStopTimeout,
  inGroup: false,
  stopsAtOnce: false,
  reference: undefined
}

const spawnWith = (
  parent: Cell.Cell,
  definition: Cell.Definition,
  name: string | undefined,
  context: Context.Context<never>
): Effect.Effect<Cell.Cell, unknown> => {
  const refused = refuseName(parent, name)
  if (refused !== undefined) return Effect.fail(refused)
  const cell = makeCell(parent, definition, name ?? `$${(parent.nextChild++).toString(36)}`, context)
  ;(parent.children ??= new Map()).set(cell.name, cell)
  return Effect.as(Lifecycle.start(cell), cell)
}

/** What of a spawner's context still holds when the spawner has ended: not its spans, nor the run that it works for. */
const lasting = (fiber: Fiber.Fiber<unknown, unknown>): Context.Context<never> =>
  fiber.cache.span === undefined && fiber.getRef(WaitingRun) === undefined
    && fiber.getRef(References.CurrentLogSpans).length === 0
    ? fiber.context
    : Context.omit(Tracer.ParentSpan, WaitingRun, References.CurrentLogSpans)(fiber.context)

/** The same for an actor that others will ask for: log annotations of the first of them would be in the logs of all. */
const shared = (parent: Cell.Cell, fiber: Fiber.Fiber<unknown, unknown>): Context.Context<never> =>
  Context.add(
    lasting(fiber),
    References.CurrentLogAnnotations,
    Context.get(parent.base, References.CurrentLogAnnotations)
  )

const makeCell = (
  parent: Cell.Cell,
  definition: Cell.Definition,
  name: string,
  context: Context.Context<never>
): Cell.Cell => {
  const path = `${parent.path}/${name}`
  return Cell.make({
    system: parent.system,
    parent,
    name,
    path,
    definition,
    stats: Metrics.statsOf(parent.system, definition.name),
    queue: MailboxQueue.make(definition.mailbox)
  }, (cell) =>
    context.pipe(
      Context.add(Cell.CurrentCell, cell),
      Context.add(References.CurrentLogAnnotations, {
        ...Context.get(context, References.CurrentLogAnnotations),
        actor: path
      })
    ))
}

const refuseName = (parent: Cell.Cell, name: string | undefined): SpawnError | undefined => {
  const fail = (reason: SpawnError["reason"]) => new SpawnError({ actor: `${parent.path}/${name ?? "$"}`, reason })
  if (Cell.isEnding(parent)) return fail({ _tag: "ParentStopped" })
  if (name === undefined) return undefined
  if (name === "" || name.startsWith("$") || name.includes("/")) return fail({ _tag: "InvalidName" })
  return parent.children?.has(name) ? nameTaken(`${parent.path}/${name}`) : undefined
}

const nameTaken = (actor: string) => new SpawnError({ actor, reason: { _tag: "NameTaken" } })
