/**
 * The run around a tool call, as the handler of the tool finds it in its context.
 *
 * @internal
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import type { AgentEvent } from "../../AgentEvent.ts"
import * as Transcript from "../../Transcript.ts"
import type { Run } from "../actor/cell.ts"
import { defaultBounds } from "./bounds.ts"
import * as Place from "./place.ts"

/** The call that a handler answers. */
export interface ToolContext {
  /** The place of the run that made the call. */
  readonly at: Place.RunPlace
  readonly id: string
  readonly name: string
  /** The way to the call from the outermost run. */
  readonly path: string
  /** How many runs of each name it has started. */
  readonly runs: Map<string, number>
  /** The fiber of the call, and the run of an actor that waits while it does. */
  readonly waiting: { readonly fiber: Fiber.Fiber<unknown, unknown>; readonly run: Run } | undefined
  /** How deep the JSON of the call may be nested. */
  readonly maxDepth: number
  /** The conversation before the turn that made the call. */
  readonly conversation: Effect.Effect<Transcript.Transcript>
  /** Emits events in the stream of the run that made the call; waits while its reader is behind. */
  readonly emit: (events: ReadonlyArray<AgentEvent>) => Effect.Effect<void>
}

const nowhere = { run: "", agent: "" }

const outside: ToolContext = {
  at: { self: nowhere, voice: nowhere, path: "", blocks: 0 },
  id: "",
  name: "",
  path: "",
  runs: new Map(),
  waiting: undefined,
  maxDepth: defaultBounds.maxDepth,
  conversation: Effect.succeed(Transcript.empty),
  emit: () => Effect.void
}

/** Outside of a run nobody listens. */
export const CurrentTool = Context.Reference<ToolContext>("effect-troupe/internal/CurrentTool", {
  defaultValue: () => outside
})

/** The parent of a run that is started in a tool call, by the name that it has there; none outside of a call. */
export const parentIn = (tool: ToolContext, name: string): Place.RunParent | undefined => {
  if (tool === outside) return undefined
  const count = (tool.runs.get(name) ?? 0) + 1
  tool.runs.set(name, count)
  return { run: tool.at.self.run, call: tool.id, path: Place.pathOf(tool.path, name, count) }
}

/** Places a run that begins: inside of the tool call around it, where nobody says otherwise. */
export const placeRun = (agent: string, origin: Place.Origin | undefined): Effect.Effect<Place.RunPlace> =>
  Effect.withFiber((fiber) =>
    Effect.succeed(
      Place.make(
        agent,
        origin ?? { parent: parentIn(fiber.getRef(CurrentTool), agent) },
        fiber.getRef(Random.Random)
      )
    )
  )
