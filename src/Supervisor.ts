/**
 * Says what happens to an actor after a crash.
 *
 * A policy is a pure value: two actors that share one do not share its counters. Delays run on Effect's `Clock` and
 * jitter on Effect's `Random`.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Rpc from "effect/rpc/Rpc"
import * as Actor from "./Actor.ts"
import * as Group from "./internal/actor/group.ts"
import { defaultPolicy, type Restart, stop } from "./internal/actor/policy.ts"
import { unbounded } from "./Mailbox.ts"

export {
  type Decide,
  decide,
  defaultPolicy,
  type Directive,
  escalate,
  intensity,
  type Policy,
  type Restart,
  restart,
  resume,
  stop
} from "./internal/actor/policy.ts"

/**
 * Whom a crash concerns besides the child that crashed: nobody, all other children, or those started after it.
 *
 * @since 0.1.0
 * @category models
 */
export type Strategy = Group.Strategy

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
 * Names a behavior as a child of a group, and says when it is started again: always (`"permanent"`, the default), only
 * after a crash (`"transient"`), or never (`"temporary"`). In a group, the group's strategy takes the place of the
 * behavior's own supervisor.
 *
 * @since 0.1.0
 * @category groups
 */
export const child = <Name extends string, Rpcs extends Rpc.Any, E, R>(
  behavior: Actor.Behavior<Name, Rpcs, E, R>,
  options: { readonly name: string; readonly restart?: Child<E, R>["restart"] | undefined }
): Child<E, R> => ({
  name: options.name,
  restart: options.restart ?? "permanent",
  // A group only starts its children: it never sends them anything.
  behavior: behavior as unknown as Actor.Behavior<string, never, E, R>
})

/**
 * A behavior that starts its children in order, stops them in reverse, and restarts them by a strategy. A child that
 * crashed keeps its references and its mailbox; a permanent one that stopped is started anew under its name.
 *
 * `restart` (by default that of `defaultPolicy`) says how fast and how often; when its schedule ends, the group stops
 * with the last cause, which is a crash to a group above it.
 *
 * @since 0.1.0
 * @category groups
 */
export const group = <E, R>(
  strategy: Strategy,
  children: ReadonlyArray<Child<E, R>>,
  options?: { readonly restart?: Restart | undefined }
): Actor.Behavior<"Group", never, E | Actor.SpawnError, R> => {
  const specs = children.map(({ behavior, name, restart }) => ({ name, restart, definition: behavior.definition }))
  const behavior = protocol.behavior(Effect.succeed({}), { supervisor: stop, mailbox: unbounded })
  const setup = Group.setup(strategy, specs, options?.restart ?? defaultPolicy)
  // Its only messages are its children's ends, which no protocol has; what they need was asked for in `R`.
  return { ...behavior, definition: { ...behavior.definition, setup, stopsAtOnce: true } } as Actor.Behavior<
    "Group",
    never,
    E | Actor.SpawnError,
    R
  >
}

// -----------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------

const protocol = Actor.make("Group", [])
