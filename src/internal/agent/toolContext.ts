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
import type { EffectClass, Runs } from "./outcome.ts"
import * as Place from "./place.ts"

/** Where in a run calls are made that its model has not asked for. */
export interface RunSite extends Place.Site {
  readonly at: Place.RunPlace
  readonly turn: number
}

/** The call that a handler answers. */
export interface ToolContext extends RunSite {
  readonly id: string
  readonly name: string
  readonly effect: EffectClass
  readonly runs: Runs
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
  turn: 0,
  path: "",
  counts: undefined,
  effect: "once",
  runs: "handler",
  waiting: undefined,
  maxDepth: defaultBounds.maxDepth,
  conversation: Effect.succeed(Transcript.empty),
  emit: () => Effect.void
}

/** Outside of a run nobody listens. */
export const CurrentTool = Context.Reference<ToolContext>("effect-troupe/internal/CurrentTool", {
  defaultValue: () => outside
})

/** Whether it is no call of a run. */
export const isOutside = (tool: ToolContext): boolean => tool === outside

/** The parent of a run that is started in a tool call, by the name that it has there; none outside of a call. */
export const parentIn = (tool: ToolContext, name: string): Place.RunParent | undefined => {
  if (tool === outside) return undefined
  return { run: tool.at.self.run, call: tool.id, path: Place.nextPath(tool, Place.escape(name)) }
}

/** The place between the turns where a memory or a recovery works. */
export const CurrentSite = Context.Reference<RunSite | undefined>("effect-troupe/internal/CurrentSite", {
  defaultValue: () => undefined
})

/** Where in a run the fiber is, if it is in one: the inner place, where there are two. */
export const siteOf = (fiber: Fiber.Fiber<unknown, unknown>): RunSite | undefined => {
  const site = fiber.getRef(CurrentSite)
  const tool = fiber.getRef(CurrentTool)
  return tool === outside || (site !== undefined && site.path.length > tool.path.length) ? site : tool
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
