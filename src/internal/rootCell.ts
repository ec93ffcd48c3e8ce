/**
 * The parent of all actors that are nobody's child.
 *
 * @internal
 */
import * as Context from "effect/Context"
import type { Cell } from "./cell.ts"

export class RootCell extends Context.Service<RootCell, Cell>()("effect-troupe/internal/RootCell") {}
