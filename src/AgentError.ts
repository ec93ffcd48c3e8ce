/**
 * The errors of runs.
 *
 * There is one error, `AgentError`, with a tagged `reason` to branch on. It is a reply to the asker, not a crash.
 *
 * @since 0.1.0
 */
import * as AiError from "effect/ai/AiError"
import * as Schema from "effect/Schema"
import { BudgetExceeded } from "./Budget.ts"
import { ActorError } from "./internal/actor/actorError.ts"
import { errorMessage } from "./internal/errorMessage.ts"
import * as Transcript from "./Transcript.ts"

/**
 * The prompt has no text and no file in it. No request was made.
 *
 * @since 0.1.0
 * @category errors
 */
export class EmptyPrompt extends Schema.TaggedError<EmptyPrompt>("effect-troupe/AgentError/EmptyPrompt")(
  "EmptyPrompt",
  {}
) {
  override get message() {
    return "the prompt is empty: give it a text or a file"
  }
}

/**
 * The request brings no context, or none that the agent reads (`Agent.withContext`). No request was made to the model.
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidContext extends Schema.TaggedError<InvalidContext>("effect-troupe/AgentError/InvalidContext")(
  "InvalidContext",
  { service: Schema.String, problem: Schema.String }
) {
  override get message() {
    return `the request's context (${this.service}) does not fit: ${this.problem}`
  }
}

/**
 * The agent can't work in this run: two tools have one name, nobody knows the cost of a call under a `maxCost`, a
 * tool needs approval and nobody can approve. The request was not made.
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidAgent extends Schema.TaggedError<InvalidAgent>("effect-troupe/AgentError/InvalidAgent")(
  "InvalidAgent",
  { problem: Schema.String }
) {
  override get message() {
    return this.problem
  }
}

/**
 * The model failed, and its layer (retries, fallbacks) could not help.
 *
 * @since 0.1.0
 * @category errors
 */
export class ModelFailed extends Schema.TaggedError<ModelFailed>("effect-troupe/AgentError/ModelFailed")(
  "ModelFailed",
  { error: AiError.AiError }
) {
  override get message() {
    return this.error.message
  }
}

/**
 * The model called tools in every turn that it was allowed.
 *
 * @since 0.1.0
 * @category errors
 */
export class MaxTurnsExceeded extends Schema.TaggedError<MaxTurnsExceeded>("effect-troupe/AgentError/MaxTurnsExceeded")(
  "MaxTurnsExceeded",
  { maxTurns: Schema.Int }
) {
  override get message() {
    return `no answer after ${this.maxTurns} turns: raise maxTurns, or give the agent tools that bring it to an end`
  }
}

/**
 * The model asked for more tool calls than the run was allowed.
 *
 * @since 0.1.0
 * @category errors
 */
export class MaxToolCallsExceeded
  extends Schema.TaggedError<MaxToolCallsExceeded>("effect-troupe/AgentError/MaxToolCallsExceeded")(
    "MaxToolCallsExceeded",
    { maxToolCalls: Schema.Int }
  )
{
  override get message() {
    return `no answer after ${this.maxToolCalls} tool calls: raise maxToolCalls, or set finalAnswer`
  }
}

/**
 * The run took longer than it was allowed. `maxDuration` is in milliseconds.
 *
 * @since 0.1.0
 * @category errors
 */
export class MaxDurationExceeded
  extends Schema.TaggedError<MaxDurationExceeded>("effect-troupe/AgentError/MaxDurationExceeded")(
    "MaxDurationExceeded",
    { maxDuration: Schema.Finite }
  )
{
  override get message() {
    return `no answer after ${this.maxDuration} ms: raise maxDuration`
  }
}

/**
 * A tool whose `failureMode` is `"error"` failed.
 *
 * @since 0.1.0
 * @category errors
 */
export class ToolFailed extends Schema.TaggedError<ToolFailed>("effect-troupe/AgentError/ToolFailed")(
  "ToolFailed",
  { tool: Schema.String, cause: Schema.Defect() }
) {
  override get message() {
    return `tool ${this.tool} failed: ${errorMessage(this.cause)}`
  }
}

/**
 * A guardrail ended the run; `problem` says why.
 *
 * @since 0.1.0
 * @category errors
 */
export class GuardrailTripped extends Schema.TaggedError<GuardrailTripped>("effect-troupe/AgentError/GuardrailTripped")(
  "GuardrailTripped",
  {
    guardrail: Schema.String,
    on: Schema.Literals(["input", "output", "reasoning", "toolCall", "toolResult"]),
    problem: Schema.String
  }
) {
  override get message() {
    return `guardrail ${this.guardrail} tripped: ${this.problem}`
  }
}

/**
 * The answer does not fit its schema, after one chance to repair it.
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidOutput extends Schema.TaggedError<InvalidOutput>("effect-troupe/AgentError/InvalidOutput")(
  "InvalidOutput",
  { problem: Schema.String }
) {
  override get message() {
    return `the answer does not fit its schema: ${this.problem}`
  }
}

/**
 * A member of a team gave no answer: its actor has stopped, crashed, or refused the prompt.
 *
 * @since 0.1.0
 * @category errors
 */
export class MemberFailed extends Schema.TaggedError<MemberFailed>("effect-troupe/AgentError/MemberFailed")(
  "MemberFailed",
  { error: ActorError }
) {
  override get message() {
    return this.error.message
  }
}

/**
 * Somebody was chosen who is not a member of the team.
 *
 * @since 0.1.0
 * @category errors
 */
export class UnknownMember extends Schema.TaggedError<UnknownMember>("effect-troupe/AgentError/UnknownMember")(
  "UnknownMember",
  { member: Schema.String, members: Schema.Array(Schema.String) }
) {
  override get message() {
    return `there is no member ${JSON.stringify(this.member)}; the members are ${this.members.join(", ")}`
  }
}

/**
 * A team had no answer within its limit: the rounds of a loop, the handoffs of one prompt, or the
 * items of a plan.
 *
 * @since 0.1.0
 * @category errors
 */
export class TeamLimitExceeded
  extends Schema.TaggedError<TeamLimitExceeded>("effect-troupe/AgentError/TeamLimitExceeded")(
    "TeamLimitExceeded",
    { limit: Schema.Literals(["maxRounds", "maxHandoffs", "maxItems"]), max: Schema.Int }
  )
{
  override get message() {
    return `no answer within ${this.limit} (${this.max}): raise it, or give the members what brings them to an end`
  }
}

/**
 * Why a run failed.
 *
 * @since 0.1.0
 * @category errors
 */
export const AgentErrorReason = Schema.Union([
  EmptyPrompt,
  InvalidContext,
  InvalidAgent,
  ModelFailed,
  MaxTurnsExceeded,
  MaxToolCallsExceeded,
  MaxDurationExceeded,
  ToolFailed,
  GuardrailTripped,
  BudgetExceeded,
  InvalidOutput,
  MemberFailed,
  UnknownMember,
  TeamLimitExceeded
])

/**
 * @since 0.1.0
 * @category errors
 */
export type AgentErrorReason = typeof AgentErrorReason.Type

/**
 * A run that failed: which agent, why, and the entries that the run added to the conversation before, also where it took
 * the prompt out again (see `Agent.RunOptions`).
 *
 * Branch with `Effect.catchReason("AgentError", "MaxTurnsExceeded", ...)`.
 *
 * @since 0.1.0
 * @category errors
 */
export class AgentError extends Schema.TaggedError<AgentError>("effect-troupe/AgentError")("AgentError", {
  agent: Schema.String,
  reason: AgentErrorReason,
  transcript: Transcript.Transcript
}) {
  override get message() {
    return `agent ${this.agent}: ${this.reason.message}`
  }
}
