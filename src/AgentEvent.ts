/**
 * The events of a run.
 *
 * A run is a stream of these events. They are plain values with a `_tag`, they name the agent that they come from (so
 * that the events of nested agents can be told apart), and they encode to JSON, so that they cross process borders.
 *
 * @since 0.1.0
 */
import * as Response from "effect/ai/Response"
import * as Schema from "effect/Schema"
import * as Transcript from "./Transcript.ts"

const agent = Schema.String

/**
 * A piece of the answer's text, in order.
 *
 * @since 0.1.0
 * @category events
 */
export const TextDelta = Schema.TaggedStruct("TextDelta", { agent, delta: Schema.String })

/**
 * A piece of the model's reasoning, where the provider shows it.
 *
 * @since 0.1.0
 * @category events
 */
export const ReasoningDelta = Schema.TaggedStruct("ReasoningDelta", { agent, delta: Schema.String })

/**
 * The model calls a tool. `params` are the arguments as the model wrote them.
 *
 * @since 0.1.0
 * @category events
 */
export const ToolCall = Schema.TaggedStruct("ToolCall", {
  agent,
  id: Schema.String,
  name: Schema.String,
  params: Schema.Unknown
})

/**
 * The progress of a tool (`Tool.emit`). `data` is JSON.
 *
 * @since 0.1.0
 * @category events
 */
export const ToolProgress = Schema.TaggedStruct("ToolProgress", {
  agent,
  id: Schema.String,
  name: Schema.String,
  data: Schema.Unknown
})

/**
 * A tool call waits for a decision: `approval` is its id for `Approvals.approve` and `Approvals.reject`.
 *
 * @since 0.1.0
 * @category events
 */
export const ApprovalRequested = Schema.TaggedStruct("ApprovalRequested", {
  agent,
  approval: Schema.String,
  id: Schema.String,
  name: Schema.String,
  params: Schema.Unknown
})

/**
 * The result of a tool call, in the order of the calls. The `result` of a failure is its message.
 *
 * @since 0.1.0
 * @category events
 */
export const ToolResult = Schema.TaggedStruct("ToolResult", {
  agent,
  id: Schema.String,
  name: Schema.String,
  result: Schema.Unknown,
  isFailure: Schema.Boolean
})

/**
 * The model failed in this turn and is asked again (the agent's `recover`): the text of this turn until now is void.
 *
 * @since 0.1.0
 * @category events
 */
export const TurnRestarted = Schema.TaggedStruct("TurnRestarted", { agent, turn: Schema.Int, reason: Schema.String })

/**
 * One model call and the tools that it asked for are done. `turn` counts from 1, `usage` is that of the model call.
 *
 * @since 0.1.0
 * @category events
 */
export const TurnFinished = Schema.TaggedStruct("TurnFinished", {
  agent,
  turn: Schema.Int,
  finishReason: Response.FinishReason,
  usage: Response.Usage
})

/**
 * The response of a run: the last turn's text, the usage of all turns together (also of agents that its tools ran), and
 * the entries that the run adds to the conversation (also the prompt).
 *
 * `finishReason` says whether the text is whole (`"stop"`) or was cut (`"length"`, `"content-filter"`). `output` is the
 * answer as JSON where the run was asked for one.
 *
 * @since 0.1.0
 * @category models
 */
export const AgentResponse = Schema.Struct({
  agent,
  text: Schema.String,
  finishReason: Response.FinishReason,
  turns: Schema.Int,
  usage: Response.Usage,
  transcript: Transcript.Transcript,
  output: Schema.optionalKey(Schema.Unknown)
})

/**
 * @since 0.1.0
 * @category models
 */
export type AgentResponse = typeof AgentResponse.Type

/**
 * The run is over: always the last event of a run that did not fail, and there once. Runs inside of tools emit
 * their own events in the stream, but not this one: the tool's result stands for it.
 *
 * @since 0.1.0
 * @category events
 */
export const Completed = Schema.TaggedStruct("Completed", { agent, response: AgentResponse })

/**
 * Any event of a run.
 *
 * @since 0.1.0
 * @category events
 */
export const AgentEvent = Schema.Union([
  TextDelta,
  ReasoningDelta,
  ToolCall,
  ToolProgress,
  ApprovalRequested,
  ToolResult,
  TurnRestarted,
  TurnFinished,
  Completed
])

/**
 * @since 0.1.0
 * @category events
 */
export type AgentEvent = typeof AgentEvent.Type
