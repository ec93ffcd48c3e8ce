/**
 * Supervises several children together: a crash of one concerns those that the group's strategy says.
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Actor, ActorSystem, Group } from "effect-troupe"
 * import { Rpc } from "effect/rpc"
 *
 * const Worker = Actor.make("Worker", [Rpc.make("Work")])
 *
 * const worker = Worker.behavior(Effect.succeed({ Work: () => Effect.void }))
 *
 * const pair = Group.make("oneForAll", [
 *   Group.child(worker, { name: "reader" }),
 *   Group.child(worker, { name: "writer", restart: "transient" })
 * ])
 *
 * const program = Actor.spawn(pair, { name: "pair" }).pipe(
 *   Effect.provide(ActorSystem.layer({ name: "app" }))
 * )
 * ```
 *
 * @since 0.1.0
 */
import type * as Rpc from "effect/rpc/Rpc"
import * as Actor from "./Actor.ts"
import * as Erased from "./internal/actor/erased.ts"
import * as GroupRun from "./internal/actor/groupRun.ts"
import { retype } from "./internal/retype.ts"
import { unbounded } from "./Mailbox.ts"
import { defaultPolicy, type Restart, stop } from "./Supervisor.ts"

export type { Strategy } from "./internal/actor/groupRun.ts"

/**
 * A child of a group: see `child`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Child<out E, out R> {
  readonly name: string
  readonly restart: "permanent" | "transient" | "temporary"
  readonly behavior: Actor.Behavior<string, never, E, R>
}

/**
 * A behavior that starts its children in order, stops them in reverse, and restarts them by a strategy. A child that
 * crashed keeps its references and its mailbox; a permanent one that stopped is started again under its name.
 *
 * `restart` (by default that of `Supervisor.defaultPolicy`) says how fast and how often; when its schedule ends, the
 * group stops with the last cause, which is a crash to a group above it.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <E, R>(
  strategy: GroupRun.Strategy,
  children: ReadonlyArray<Child<E, R>>,
  options?: { readonly restart?: Restart | undefined }
): Actor.Behavior<"Group", never, E | Actor.SpawnError, R> => {
  const specs = children.map(({ behavior, name, restart }) => ({ name, restart, definition: behavior.definition }))
  const setup = GroupRun.setup<E, R>(strategy, specs, options?.restart ?? defaultPolicy)
  return Erased.makeBehavior(protocol, setup, { supervisor: stop, mailbox: unbounded, stopsAtOnce: true })
}

/**
 * Names a behavior as a child of a group, and says when it is started again: always (`"permanent"`, the default), only
 * after a crash (`"transient"`), or never (`"temporary"`). In a group, the group's strategy takes the place of the
 * behavior's own supervisor.
 *
 * @since 0.1.0
 * @category constructors
 */
export const child = <Name extends string, Rpcs extends Rpc.Any, E, R>(
  behavior: Actor.Behavior<Name, Rpcs, E, R>,
  options: { readonly name: string; readonly restart?: Child<E, R>["restart"] | undefined }
): Child<E, R> => ({
  name: options.name,
  restart: options.restart ?? "permanent",
  // A group only starts its children: it never sends them anything.
  behavior: retype(behavior)
})

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const protocol = Actor.make("Group", [])
