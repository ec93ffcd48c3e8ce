/**
 * The system that actors are spawned in, and the parent of all that are nobody's child. Exported through `ActorSystem`.
 *
 * @internal
 */
import * as Context from "effect/Context"
import type { Cell } from "./cell.ts"

/**
 * The system that `Actor.spawn` starts actors in.
 *
 * @since 0.1.0
 * @category services
 */
export class ActorSystem extends Context.Service<ActorSystem, {
  readonly name: string
}>()("effect-troupe/ActorSystem") {}

/** @internal */
export class RootCell extends Context.Service<RootCell, Cell>()("effect-troupe/ActorSystem/RootCell") {}

/**
 * Whoever asks for it needs an `ActorSystem`, whose layer brings it along.
 *
 * @internal
 */
export const rootOf = (context: Context.Context<never>): Cell =>
  Context.getUnsafe(context as Context.Context<RootCell>, RootCell)
