/**
 * The run around a tool call, as the handler of the tool finds it in its context.
 *
 * @internal
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { AgentEvent } from "../../AgentEvent.ts"
import * as Transcript from "../../Transcript.ts"
import { defaultBounds } from "./bounds.ts"

/** The call that a handler answers. */
export interface ToolContext {
  readonly agent: string
  readonly id: string
  readonly name: string
  /** How deep the JSON of the call may be nested. */
  readonly maxDepth: number
  /** The conversation before the turn that made the call. */
  readonly conversation: Effect.Effect<Transcript.Transcript>
  /** Emits events in the stream of the run that made the call; waits while its reader is behind. */
  readonly emit: (events: ReadonlyArray<AgentEvent>) => Effect.Effect<void>
}

/** Outside of a run nobody listens. */
export const CurrentTool = Context.Reference<ToolContext>("effect-troupe/internal/CurrentTool", {
  defaultValue: () => ({
    agent: "",
    id: "",
    name: "",
    maxDepth: defaultBounds.maxDepth,
    conversation: Effect.succeed(Transcript.empty),
    emit: () => Effect.void
  })
})
