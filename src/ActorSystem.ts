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
import * as Scheduler from "effect/Scheduler"
import type * as Cell from "./internal/cell.ts"
import * as Delivery from "./internal/delivery.ts"
import * as Lifecycle from "./internal/lifecycle.ts"
import { RootCell } from "./internal/rootCell.ts"

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
  /** How long actors may take to finish their messages when the layer is released, before they are interrupted. Default 10 seconds. */
  readonly shutdownTimeout?: Duration.Input | undefined
}

/**
 * A system that lives as long as the layer. Its release stops all actors, last started first.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<ActorSystem> => {
  const shutdownTimeout = Duration.fromInputUnsafe(options.shutdownTimeout ?? "10 seconds")
  return Layer.effectContext(Effect.gen(function*() {
    const root = yield* Effect.acquireRelease(makeSystem(options.name), (root) => shutdown(root, shutdownTimeout))
    return Context.make(ActorSystem, { name: options.name }).pipe(Context.add(RootCell, root))
  }))
}

// -----------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------

const makeSystem = (name: string) =>
  Effect.contextWith((context: Context.Context<never>) =>
    Effect.sync(() => {
      const system: { -readonly [K in keyof Cell.System]: Cell.System[K] } = {
        name,
        context,
        clock: Context.get(context, Clock.Clock),
        dispatcher: Context.get(context, Scheduler.Scheduler).makeDispatcher(),
        listeners: new Set(),
        stats: new Map(),
        // The root needs its system first.
        root: undefined as unknown as Cell.Cell,
        deliver: Delivery.deliver,
        onEscalated: () => {},
        depth: 0
      }
      system.root = Lifecycle.makeRoot(system, context)
      return system.root
    })
  )

const shutdown = (root: Cell.Cell, timeout: Duration.Duration) =>
  Effect.suspend(() => {
    root.state = { _tag: "Stopping", reason: { _tag: "Stopped" }, escalate: false }
    return Effect.raceFirst(
      Lifecycle.stopChildren(root),
      Effect.andThen(
        Effect.sleep(timeout),
        Effect.suspend(() => {
          Lifecycle.kill(root)
          return Effect.never
        })
      )
    )
  })
