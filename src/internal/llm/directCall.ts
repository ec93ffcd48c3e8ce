/**
 * Tells whoever replays a program of the calls that it makes to a model by itself, not by an agent.
 *
 * @internal
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"

/** Run before each call of a model that is no agent's turn. */
export const OnDirectCall = Context.Reference<Effect.Effect<void>>("effect-troupe/Llm/OnDirectCall", {
  defaultValue: () => Effect.void
})

export const onDirectCall: Effect.Effect<void> = Effect.flatten(OnDirectCall)
