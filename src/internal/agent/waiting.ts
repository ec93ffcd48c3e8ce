/**
 * Which run of an actor waits for what an agent or a team waits for, so that a cycle of agents that wait for each other is
 * seen, however many agents, teams and calls side by side are in between.
 *
 * Code of users may stop waiting (`Effect.timeout`, `Effect.race`), which takes a fiber of its own. So only the fiber of
 * the run itself counts, and that of each call, and only for the waits that the runtime makes in it.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import type { Run } from "../actor/cell.ts"
import { runOf, WaitingRun } from "../actor/waits.ts"
import { CurrentTool } from "./toolContext.ts"

/** The run that waits for what this fiber waits for. */
export const waitingRun: Effect.Effect<Run | undefined> = Effect.withFiber((fiber) => {
  const { waiting } = fiber.getRef(CurrentTool)
  return Effect.succeed(runOf(fiber) ?? (waiting?.fiber === fiber ? waiting.run : undefined))
})

/** Waits for another actor in the name of the run. */
export const waitAs = <A, E, R>(run: Run | undefined, wait: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  run === undefined ? wait : Effect.provideService(wait, WaitingRun, run)
