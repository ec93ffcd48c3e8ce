/**
 * The events of a run.
 *
 * A run is a stream of these events. They are plain values with a `_tag`, and they encode to JSON, so that they cross
 * process borders. Each one places itself: it has the id of its run and the name of its agent, and where the run is
 * inside of another one (in a tool, or of a member of a team), that run and call. So events of agents at any depth can
 * be told apart in one stream.
 *
 * @since 0.1.0
 */
import * as Response from "effect/ai/Response"
import * as Schema from "effect/Schema"
import * as Decision from "./internal/agent/decision.ts"
import * as Transcript from "./Transcript.ts"

/**
 * The run that another run is inside of, and its tool call where it is one that runs the other.
 *
 * @since 0.1.0
 * @category models
 */
export const Parent = Schema.Struct({ run: Schema.String, call: Schema.optionalKey(Schema.String) })

/**
 * @since 0.1.0
 * @category models
 */
export interface Parent extends Schema.Schema.Type<typeof Parent> {}

/**
 * The fields that every event has: the id of its run, the name of the run's agent (or team), and the parent of a run
 * that is inside of another one.
 *
 * @since 0.1.0
 * @category models
 */
export const Place = Schema.Struct({
  run: Schema.String,
  agent: Schema.String,
  parent: Schema.optionalKey(Parent)
})

/**
 * @since 0.1.0
 * @category models
 */
export interface Place extends Schema.Schema.Type<typeof Place> {}

const place = Place.fields

/** Data that only its provider reads, which wants to see it again with the next request. */
const metadata = Schema.optionalKey(Response.ProviderMetadata)

/**
 * A run begins: always its first event.
 *
 * @since 0.1.0
 * @category events
 */
export const RunStarted = Schema.TaggedStruct("RunStarted", place)

/**
 * @since 0.1.0
 * @category events
 */
export interface RunStarted extends Schema.Schema.Type<typeof RunStarted> {}

/**
 * A piece of the answer's text, in order. `id` is that of its block: a turn may have several, and no two blocks in a
 * stream have the same.
 *
 * A member that speaks for its team streams its text under the team's run and name. `delta` is empty where only
 * `metadata` is new.
 *
 * @since 0.1.0
 * @category events
 */
export const TextDelta = Schema.TaggedStruct("TextDelta", {
  ...place,
  id: Schema.String,
  delta: Schema.String,
  metadata
})

/**
 * @since 0.1.0
 * @category events
 */
export interface TextDelta extends Schema.Schema.Type<typeof TextDelta> {}

/**
 * The object that the run was asked for (`output`), as far as the model has given it: each event has all of it. Strings
 * may lack their end, everything else is there when it is whole.
 *
 * @since 0.1.0
 * @category events
 */
export const OutputPartial = Schema.TaggedStruct("OutputPartial", { ...place, output: Schema.Unknown })

/**
 * @since 0.1.0
 * @category events
 */
export interface OutputPartial extends Schema.Schema.Type<typeof OutputPartial> {}

/**
 * A piece of the model's reasoning, where the provider shows it. `id` is that of its block, as in `TextDelta`.
 *
 * @since 0.1.0
 * @category events
 */
export const ReasoningDelta = Schema.TaggedStruct("ReasoningDelta", {
  ...place,
  id: Schema.String,
  delta: Schema.String,
  metadata
})

/**
 * @since 0.1.0
 * @category events
 */
export interface ReasoningDelta extends Schema.Schema.Type<typeof ReasoningDelta> {}

/**
 * A source that the model names for its answer: a page by its `url`, or a document.
 *
 * @since 0.1.0
 * @category events
 */
export const Source = Schema.TaggedStruct("Source", {
  ...place,
  id: Schema.String,
  sourceType: Schema.Literals(["url", "document"]),
  title: Schema.String,
  url: Schema.optionalKey(Schema.String),
  mediaType: Schema.optionalKey(Schema.String),
  fileName: Schema.optionalKey(Schema.String),
  metadata
})

/**
 * @since 0.1.0
 * @category events
 */
export interface Source extends Schema.Schema.Type<typeof Source> {}

/**
 * A file that the model made, such as an image. `data` is base64 in JSON.
 *
 * @since 0.1.0
 * @category events
 */
export const File = Schema.TaggedStruct("File", {
  ...place,
  mediaType: Schema.String,
  data: Schema.Uint8ArrayFromBase64,
  metadata
})

/**
 * @since 0.1.0
 * @category events
 */
export interface File extends Schema.Schema.Type<typeof File> {}

/**
 * A piece of the arguments of a tool call, as JSON text, while the model writes them. `id` is that of the call, whose
 * `ToolCall` follows when it is whole. Not every provider streams arguments.
 *
 * @since 0.1.0
 * @category events
 */
export const ToolParamsDelta = Schema.TaggedStruct("ToolParamsDelta", {
  ...place,
  id: Schema.String,
  name: Schema.String,
  delta: Schema.String
})

/**
 * @since 0.1.0
 * @category events
 */
export interface ToolParamsDelta extends Schema.Schema.Type<typeof ToolParamsDelta> {}

/**
 * The model calls a tool. `params` are the arguments as the model wrote them. A tool that is `providerExecuted` is run
 * by the provider itself.
 *
 * @since 0.1.0
 * @category events
 */
export const ToolCall = Schema.TaggedStruct("ToolCall", {
  ...place,
  id: Schema.String,
  name: Schema.String,
  params: Schema.Unknown,
  providerExecuted: Schema.Boolean,
  metadata
})

/**
 * @since 0.1.0
 * @category events
 */
export interface ToolCall extends Schema.Schema.Type<typeof ToolCall> {}

/**
 * The progress of a tool (`Tool.emit`). `data` is JSON.
 *
 * @since 0.1.0
 * @category events
 */
export const ToolProgress = Schema.TaggedStruct("ToolProgress", {
  ...place,
  id: Schema.String,
  name: Schema.String,
  data: Schema.Unknown
})

/**
 * @since 0.1.0
 * @category events
 */
export interface ToolProgress extends Schema.Schema.Type<typeof ToolProgress> {}

/**
 * A tool call waits for a decision: `approval` is its id for `Approvals.approve` and `Approvals.reject`.
 *
 * @since 0.1.0
 * @category events
 */
export const ApprovalRequested = Schema.TaggedStruct("ApprovalRequested", {
  ...place,
  approval: Schema.String,
  id: Schema.String,
  name: Schema.String,
  params: Schema.Unknown
})

/**
 * @since 0.1.0
 * @category events
 */
export interface ApprovalRequested extends Schema.Schema.Type<typeof ApprovalRequested> {}

/**
 * A tool call waits no longer: it was approved (with other arguments, where the decision has `params`), rejected, or
 * nobody decided in time.
 *
 * @since 0.1.0
 * @category events
 */
export const ApprovalDecided = Schema.TaggedStruct("ApprovalDecided", {
  ...place,
  approval: Schema.String,
  id: Schema.String,
  name: Schema.String,
  decision: Decision.Decision
})

/**
 * @since 0.1.0
 * @category events
 */
export interface ApprovalDecided extends Schema.Schema.Type<typeof ApprovalDecided> {}

/**
 * The result of a tool call, as soon as there is one: a quick call does not wait for a slow one before it (the
 * transcript keeps the calls' order). The `result` of a failure is its message.
 *
 * @since 0.1.0
 * @category events
 */
export const ToolResult = Schema.TaggedStruct("ToolResult", {
  ...place,
  id: Schema.String,
  name: Schema.String,
  result: Schema.Unknown,
  isFailure: Schema.Boolean,
  metadata
})

/**
 * @since 0.1.0
 * @category events
 */
export interface ToolResult extends Schema.Schema.Type<typeof ToolResult> {}

/**
 * The model failed in this turn and is asked again (the agent's `recover`): text and calls of this turn are void.
 *
 * @since 0.1.0
 * @category events
 */
export const TurnRestarted = Schema.TaggedStruct("TurnRestarted", {
  ...place,
  turn: Schema.Int,
  reason: Schema.String
})

/**
 * @since 0.1.0
 * @category events
 */
export interface TurnRestarted extends Schema.Schema.Type<typeof TurnRestarted> {}

/**
 * What a provider says of its response: the id that it knows it by, and the headers, but for credentials.
 *
 * @since 0.1.0
 * @category models
 */
export const ResponseInfo = Schema.Struct({
  id: Schema.optionalKey(Schema.String),
  headers: Schema.Record(Schema.String, Schema.String)
})

/**
 * @since 0.1.0
 * @category models
 */
export interface ResponseInfo extends Schema.Schema.Type<typeof ResponseInfo> {}

/**
 * One model call and the tools that it asked for are done. `turn` counts from 1; everything else is of the model call.
 *
 * `model` is the one that answered, as far as it says so, `cost` is in US dollars, where `Prices` knows its price.
 * `duration` and `timeToFirstPart` are milliseconds from the request to the end of the answer, and to its beginning, by
 * a clock that is never set back. `metadata` has the usage and the finish reason in the provider's own words, under
 * `"effect-troupe"`, beside what the provider adds.
 *
 * @since 0.1.0
 * @category events
 */
export const TurnFinished = Schema.TaggedStruct("TurnFinished", {
  ...place,
  turn: Schema.Int,
  finishReason: Response.FinishReason,
  usage: Response.Usage,
  model: Schema.optionalKey(Schema.String),
  cost: Schema.optionalKey(Schema.Finite),
  duration: Schema.Finite,
  timeToFirstPart: Schema.Finite,
  response: Schema.optionalKey(ResponseInfo),
  metadata
})

/**
 * @since 0.1.0
 * @category events
 */
export interface TurnFinished extends Schema.Schema.Type<typeof TurnFinished> {}

const response = Schema.Struct({
  agent: Schema.String,
  text: Schema.String,
  finishReason: Response.FinishReason,
  turns: Schema.Int,
  usage: Response.Usage,
  transcript: Transcript.Transcript,
  sources: Schema.Array(Source),
  output: Schema.optionalKey(Schema.Unknown)
})

/**
 * The response of a run: the last turn's text, the usage of all turns together (also of agents that its tools ran), and
 * the entries that the run adds to the conversation (also the prompt).
 *
 * `finishReason` says whether the text is whole (`"stop"`) or was cut (`"length"`, `"content-filter"`). `sources` are those
 * that the run's own turns named, a team's those of its members; files are in the transcript. `output` is the answer as
 * JSON where the run was asked for one.
 *
 * @since 0.1.0
 * @category models
 */
export const AgentResponse: Schema.Codec<AgentResponse, typeof response.Encoded> = response

/**
 * @since 0.1.0
 * @category models
 */
export interface AgentResponse extends Schema.Schema.Type<typeof response> {}

/**
 * The response of a run that was asked for a value of `A`.
 *
 * @since 0.1.0
 * @category models
 */
export interface AgentResponseOf<out A> extends AgentResponse {
  readonly output: A
}

/**
 * The run is over: always the last event of a run that did not fail, and there once. Runs inside of tools emit
 * their own events in the stream, but not this one: the tool's result stands for it.
 *
 * @since 0.1.0
 * @category events
 */
export const Completed = Schema.TaggedStruct("Completed", { ...place, response: AgentResponse })

/**
 * @since 0.1.0
 * @category events
 */
export interface Completed extends Schema.Schema.Type<typeof Completed> {}

const event = Schema.Union([
  RunStarted,
  TextDelta,
  OutputPartial,
  ReasoningDelta,
  Source,
  File,
  ToolParamsDelta,
  ToolCall,
  ToolProgress,
  ApprovalRequested,
  ApprovalDecided,
  ToolResult,
  TurnRestarted,
  TurnFinished,
  Completed
])

/**
 * Any event of a run.
 *
 * @since 0.1.0
 * @category events
 */
export const AgentEvent: Schema.Codec<AgentEvent, typeof event.Encoded> = event

/**
 * @since 0.1.0
 * @category events
 */
export type AgentEvent =
  | RunStarted
  | TextDelta
  | OutputPartial
  | ReasoningDelta
  | Source
  | File
  | ToolParamsDelta
  | ToolCall
  | ToolProgress
  | ApprovalRequested
  | ApprovalDecided
  | ToolResult
  | TurnRestarted
  | TurnFinished
  | Completed

/**
 * The last event of a run that was asked for a value of `A`.
 *
 * @since 0.1.0
 * @category events
 */
export interface CompletedOf<out A> extends Completed {
  readonly response: AgentResponseOf<A>
}

/**
 * Any event of a run that was asked for a value of `A`.
 *
 * @since 0.1.0
 * @category events
 */
export type AgentEventOf<A> = Exclude<AgentEvent, Completed> | CompletedOf<A>

/**
 * The response at the end of a stream of these events.
 *
 * @since 0.1.0
 * @category models
 */
export type ResponseOf<Event extends AgentEvent> = Extract<Event, Completed>["response"]
