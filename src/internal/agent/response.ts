/**
 * The fold of a run. Exported through `Agent`.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import type { AgentEvent, AgentResponse } from "../../AgentEvent.ts"
import * as Pushed from "../pushed.ts"

/**
 * The response that a run comes to: what its `Completed` event carries.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Agent, Scripted } from "effect-troupe"
 *
 * const program = Agent.run(Agent.make("greeter"), "Hello?").pipe(
 *   Agent.response,
 *   Effect.map((response) => response.text),
 *   Effect.provide(Scripted.model(["Hello!"]))
 * )
 * ```
 *
 * @since 0.1.0
 * @category running
 */
export const response = <E, R>(events: Stream.Stream<AgentEvent, E, R>): Effect.Effect<AgentResponse, E, R> =>
  responseOf((emit) => Pushed.runForEach(events, emit))

/**
 * The same of what pushes the events.
 *
 * @internal
 */
export const responseOf = <E, R>(events: Pushed.Source<AgentEvent, E, R>): Effect.Effect<AgentResponse, E, R> =>
  Effect.suspend(() => {
    let last: AgentEvent | undefined
    const note = (events: ReadonlyArray<AgentEvent>) => {
      last = events.at(-1) ?? last
      return Effect.void
    }
    return Effect.flatMap(events(note), () =>
      last?._tag === "Completed"
        ? Effect.succeed(last.response)
        : Effect.die(new Error("Agent.response: the stream of events must end with Completed")))
  })
