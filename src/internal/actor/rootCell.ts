/**
 * The parent of all actors that are nobody's child.
 *
 * @internal
 */
import * as Context from "effect/Context"
import type { Cell } from "./cell.ts"

export class RootCell extends Context.Service<RootCell, Cell>()("effect-troupe/ActorSystem/RootCell") {}

/** Whoever asks for it needs an `ActorSystem`, whose layer brings it along. */
export const rootOf = (context: Context.Context<never>): Cell =>
  Context.getUnsafe(context as Context.Context<RootCell>, RootCell)
