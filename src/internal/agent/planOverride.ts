/**
 * Changes the plans of turns from outside of their agents.
 *
 * @internal
 */
import * as Context from "effect/Context"
import type { TurnInfo, TurnPlan } from "./agent.ts"

/** What a turn's plan has instead of the agent's own; `undefined` for nothing. */
export const PlanOverride = Context.Reference<((turn: TurnInfo) => TurnPlan) | undefined>(
  "effect-troupe/internal/PlanOverride",
  { defaultValue: () => undefined }
)
