/**
 * Runs behaviors sharded over a cluster, behind the same references that local actors have.
 *
 * A deployed behavior is an entity of `effect/cluster`, which knows the members, places each id on one of them, carries
 * the messages and redelivers persisted ones. The entity owns a local actor and hands every message on to it, so
 * mailbox, supervision, restarts and interruption are not rebuilt here but are the very same code in both placements.
 *
 * The actor starts with the first message to its id. When it has stopped, whether idle for its `idleTimeout` or given
 * up by its supervisor, the next message starts it again; a setup that fails answers that message with `Crashed`. When
 * its shard moves on, the actor handles what it has accepted, within the `shutdownTimeout` of its system, and stops. A
 * reference outlives all of this, so what ties one to a single incarnation on one node (`path`, `stop`, `drain`,
 * `awaitStopped`, watching and the like) is not part of its type. What the cluster itself fails to deliver is
 * `Unreachable`.
 *
 * ```ts
 * import { Effect, Layer, Schema } from "effect"
 * import { TestRunner } from "effect/cluster"
 * import { Rpc } from "effect/rpc"
 * import { Actor, ActorSystem, Cluster } from "effect-troupe"
 *
 * const Counter = Actor.make("Counter", [Rpc.make("Next", { success: Schema.Int })])
 *
 * const counter = Counter.behavior(Effect.sync(() => {
 *   let n = 0
 *   return { Next: () => Effect.sync(() => ++n) }
 * }))
 *
 * const node = Cluster.deploy(counter).pipe(
 *   Layer.provideMerge(TestRunner.layer),
 *   Layer.provide(ActorSystem.layer({ name: "node" }))
 * )
 *
 * const program = Effect.gen(function*() {
 *   const ref = yield* Cluster.ref(Counter, "visits")
 *   return yield* ref.ask("Next")
 * }).pipe(Effect.provide(node))
 * ```
 *
 * @since 0.1.0
 */
import type { Sharding } from "effect/cluster/Sharding"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Rpc from "effect/rpc/Rpc"
import type * as Actor from "./Actor.ts"
import type { ActorSystem } from "./ActorSystem.ts"

/**
 * Registers a behavior with the cluster: this node runs the actors of its share of the ids. What setup and handlers
 * need becomes a requirement of the layer.
 *
 * @since 0.1.0
 * @category layers
 */
export const deploy = <Name extends string, Rpcs extends Rpc.Any, E, R>(
  behavior: Actor.Behavior<Name, Rpcs, E, R>
): Layer.Layer<never, never, R | ActorSystem | Sharding | Rpc.Services<Rpcs> | Rpc.Middleware<Rpcs>> =>
  Layer.unwrap(Effect.map(entity, ({ deploy }) => deploy(behavior)))

/**
 * A reference to the actor `id`, wherever it runs. `tell` succeeds once that actor's mailbox has the message; a message
 * with `ClusterSchema.Persisted` once the storage has it, which delivers it again until it has been handled.
 *
 * @since 0.1.0
 * @category constructors
 */
export const ref = <Name extends string, Rpcs extends Rpc.Any>(
  protocol: Actor.Protocol<Name, Rpcs>,
  id: string
): Effect.Effect<Actor.ActorRef<Name, Rpcs>, never, Sharding> => Effect.flatMap(entity, ({ ref }) => ref(protocol, id))

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

/** A program without a cluster loads nothing of effect/cluster. */
const entity = Effect.promise(() => import("./internal/entity.ts"))
