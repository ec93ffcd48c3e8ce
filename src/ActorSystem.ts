/**
 * The root of all actors in a process, or of some of them: systems share nothing.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import type * as Rpc from "effect/rpc/Rpc"
import * as Scheduler from "effect/Scheduler"
import * as Stream from "effect/Stream"
import type { LocalActorRef, Protocol, TerminatedReason } from "./Actor.ts"
import { LookupError } from "./internal/actor/actorError.ts"
import type * as Cell from "./internal/actor/cell.ts"
import * as Delivery from "./internal/actor/delivery.ts"
import * as LocalRef from "./internal/actor/localRef.ts"
import * as MailboxQueue from "./internal/actor/mailboxQueue.ts"
import * as Restart from "./internal/actor/restart.ts"
import { RootCell, rootOf } from "./internal/actor/rootCell.ts"
import * as Spawn from "./internal/actor/spawn.ts"
import * as Stop from "./internal/actor/stop.ts"

export {
  /** @since 0.1.0 @category errors */
  LookupError
} from "./internal/actor/actorError.ts"

/**
 * The system that `Actor.spawn` starts actors in.
 *
 * @since 0.1.0
 * @category services
 */
export class ActorSystem extends Context.Service<ActorSystem, {
  readonly name: string
}>()("effect-troupe/ActorSystem") {}

/**
 * How a system runs.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Names the system in logs and metrics. */
  readonly name: string
  /**
   * How long actors may take to finish their messages when the layer is released, or when a sharded one has to move, before
   * they are interrupted. Default 10 seconds.
   */
  readonly shutdownTimeout?: Duration.Input | undefined
  /** Measures how long handlers take, as the metric `troupe_processing_time`. Default false; all other metrics are free. */
  readonly timings?: boolean | undefined
}

/**
 * What is known of one actor from outside.
 *
 * @since 0.1.0
 * @category models
 */
export interface ActorInfo {
  readonly path: string
  readonly protocol: string
  readonly state: Cell.State["_tag"]
  readonly mailboxSize: number
}

/**
 * Something that happened to an actor or to an undelivered message.
 *
 * @since 0.1.0
 * @category models
 */
export type ActorEvent = Cell.ActorEvent

/**
 * A system that lives as long as the layer. Its release stops all actors, last started first.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<ActorSystem> => {
  const shutdownTimeout = Duration.fromInputUnsafe(options.shutdownTimeout ?? "10 seconds")
  if (!(Duration.toMillis(shutdownTimeout) >= 0)) {
    throw new RangeError(
      `ActorSystem.layer: shutdownTimeout must not be negative, got ${Duration.format(shutdownTimeout)}`
    )
  }
  return Layer.effectContext(Effect.gen(function*() {
    const root = yield* Effect.acquireRelease(makeSystem(options, shutdownTimeout), shutdown)
    return Context.make(ActorSystem, { name: options.name }).pipe(Context.add(RootCell, root))
  }))
}

/**
 * The running actor at `path`, for example `/user/alice`.
 *
 * @since 0.1.0
 * @category getters
 */
export const lookup = <Name extends string, Rpcs extends Rpc.Any>(
  protocol: Protocol<Name, Rpcs>,
  path: string
): Effect.Effect<LocalActorRef<Name, Rpcs>, LookupError, ActorSystem> =>
  withRoot((root) => {
    const fail = (reason: LookupError["reason"]) =>
      Effect.fail(new LookupError({ path, protocol: protocol.name, reason }))
    const cell = find(root, path)
    if (cell === undefined) return fail({ _tag: "NotFound" })
    const actual: object = cell.definition.protocol
    if (actual !== protocol) return fail({ _tag: "OtherProtocol", protocol: cell.definition.name })
    // It is the very protocol, so the types are its own.
    return Effect.succeed(LocalRef.make(cell) as unknown as LocalActorRef<Name, Rpcs>)
  })

/**
 * All actors, parents before children, in the order of their start.
 *
 * @since 0.1.0
 * @category getters
 */
export const list: Effect.Effect<ReadonlyArray<ActorInfo>, never, ActorSystem> = withRoot((root) =>
  Effect.sync(() => {
    const infos: Array<ActorInfo> = []
    const visit = (cell: Cell.Cell) => {
      infos.push({
        path: cell.path,
        protocol: cell.definition.name,
        state: cell.state._tag,
        mailboxSize: MailboxQueue.size(cell.queue)
      })
      cell.children?.forEach(visit)
    }
    root.children?.forEach(visit)
    return infos
  })
)

/**
 * What happens to actors and undelivered messages, from now on. A reader that falls more than 4096 events behind
 * loses the oldest ones; without a reader, events cost nothing.
 *
 * @since 0.1.0
 * @category getters
 */
export const events: Stream.Stream<ActorEvent, never, ActorSystem> = Stream.unwrap(
  withRoot((root) =>
    Effect.succeed(Stream.callback<ActorEvent>((queue) => {
      const listener = (event: ActorEvent) => {
        Queue.offerUnsafe(queue, event)
      }
      const listeners = root.system.listeners
      return Effect.acquireRelease(
        Effect.sync(() => listeners.add(listener)),
        () => Effect.sync(() => listeners.delete(listener))
      )
    }, { bufferSize: 4096, strategy: "sliding" }))
  )
)

/**
 * Waits for the system's end: its layer was released, or a crash escalated to the root.
 *
 * @since 0.1.0
 * @category getters
 */
export const awaitStopped: Effect.Effect<TerminatedReason, never, ActorSystem> = withRoot((root) =>
  Effect.map(Stop.awaitStopped(root), (terminated) => terminated.reason)
)

// -----------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------

function withRoot<A, E>(f: (root: Cell.Cell) => Effect.Effect<A, E>): Effect.Effect<A, E, ActorSystem> {
  return Effect.withFiber((fiber) => f(rootOf(fiber.context)))
}

const find = (root: Cell.Cell, path: string): Cell.Cell | undefined => {
  const [empty, top, ...names] = path.split("/")
  if (empty !== "" || top !== root.name || names.length === 0) return undefined
  let cell: Cell.Cell | undefined = root
  for (const name of names) cell = cell?.children?.get(name)
  return cell
}

const makeSystem = ({ name, timings = false }: Options, shutdownTimeout: Duration.Duration) =>
  Effect.contextWith((context: Context.Context<never>) =>
    Effect.sync(() => {
      const system: { -readonly [K in keyof Cell.System]: Cell.System[K] } = {
        name,
        context,
        clock: Context.get(context, Clock.Clock),
        dispatcher: Context.get(context, Scheduler.Scheduler).makeDispatcher(),
        listeners: new Set(),
        stats: new Map(),
        registrations: [],
        shutdownTimeout,
        timings,
        // The root needs its system first.
        root: undefined as unknown as Cell.Cell,
        deliver: Delivery.deliver,
        crash: Restart.crash,
        depth: 0
      }
      system.root = Spawn.makeRoot(system, context)
      return system.root
    })
  )

const shutdown = (root: Cell.Cell) =>
  Effect.ensuring(
    Stop.end(root, "stop"),
    Effect.sync(() => root.system.registrations.forEach((registration) => registration.remove()))
  )
