/**
 * What a turn tells its readers. Exported through `Session`.
 *
 * @internal
 */
import * as Schema from "effect/Schema"
import { AgentEvent, AgentResponse } from "../../AgentEvent.ts"

/**
 * The prompt waits until its turn comes; `position` is its place in the queue, from 1 on.
 *
 * @since 0.1.0
 * @category events
 */
export const Accepted = Schema.TaggedStruct("Accepted", { position: Schema.Int })

/**
 * @since 0.1.0
 * @category events
 */
export interface Accepted extends Schema.Schema.Type<typeof Accepted> {}

/**
 * So many events of the turn are no longer kept (`maxTurnBytes`): the reader was too slow, or came too late.
 *
 * @since 0.1.0
 * @category events
 */
export const Skipped = Schema.TaggedStruct("Skipped", { events: Schema.Int })

/**
 * @since 0.1.0
 * @category events
 */
export interface Skipped extends Schema.Schema.Type<typeof Skipped> {}

/**
 * How a turn ended: with an answer, with an error of its agent, by `cancel` (or a newer prompt), with its process's
 * shutdown (`interrupted`), or unseen, as its process went away (`lost`).
 *
 * @since 0.1.0
 * @category models
 */
export const TurnEnd = Schema.Literals(["completed", "failed", "cancelled", "interrupted", "lost"])

/**
 * @since 0.1.0
 * @category models
 */
export type TurnEnd = typeof TurnEnd.Type

/**
 * The turn is the session's next version: always its last event. All events before it are provisional. Where the turn was
 * not completed, there is no `response`, and the stream fails after it.
 *
 * @since 0.1.0
 * @category events
 */
export const Committed = Schema.TaggedStruct("Committed", {
  version: Schema.Int,
  end: TurnEnd,
  response: Schema.optionalKey(AgentResponse)
})

/**
 * @since 0.1.0
 * @category events
 */
export interface Committed extends Schema.Schema.Type<typeof Committed> {}

const event = Schema.Struct({
  turn: Schema.String,
  attempt: Schema.Int,
  seq: Schema.Int,
  event: Schema.Union([AgentEvent, Accepted, Skipped, Committed])
})

/**
 * An event of a turn. `seq` counts the turn's events from 1; where adjacent deltas were merged for a reader, it is that of
 * the last of them. A higher `attempt` begins the turn again: what lower ones said is void.
 *
 * @since 0.1.0
 * @category events
 */
export const SessionEvent: Schema.Codec<SessionEvent, typeof event.Encoded> = event

/**
 * @since 0.1.0
 * @category events
 */
export interface SessionEvent extends Schema.Schema.Type<typeof event> {}
