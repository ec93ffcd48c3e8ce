/**
 * Words for fibers that wait.
 *
 * @internal
 */
import * as Context from "effect/Context"
import type * as Fiber from "effect/Fiber"
import * as Cell from "../actor/cell.ts"
import { toPlace } from "./stack.ts"

/** Says which fiber it is: of which actor and message, in which span or `Effect.fn`. */
export const describe = (fiber: Fiber.Fiber<unknown, unknown>, isRoot: boolean): string => {
  const cell = Context.getOrUndefined(fiber.context, Cell.CurrentCell)
  const own = cell === undefined || cell.parent === undefined ? undefined : describeRun(cell, fiber)
  const { span, stackFrame } = fiber.cache
  const name = stackFrame?.name ?? (span?._tag === "Span" ? span.name : undefined)
  const place = stackFrame?.stack()?.trim().split("\n")[0]
  const where = `${name === undefined ? "" : ` in ${name}`}${place === undefined ? "" : ` (${toPlace(place)})`}`
  return `${own ?? (isRoot ? "the program" : "a fiber of the program")}${where}`
}

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const describeRun = ({ incarnation, path }: Cell.Cell, fiber: Fiber.Fiber<unknown, unknown>): string => {
  const run = incarnation.runs?.get(fiber)
  if (run?.envelope !== undefined) return `${path} with ${run.envelope.tag}`
  return incarnation.setup?.fiber === fiber ? `the setup of ${path}` : `a fiber of ${path}`
}
