/**
 * The messages of every agent and every team. Exported through `Agent`.
 *
 * @internal
 */
import * as Prompt from "effect/ai/Prompt"
import * as Rpc from "effect/rpc/Rpc"
import * as Schema from "effect/Schema"
import * as Actor from "../../Actor.ts"
import { AgentError } from "../../AgentError.ts"
import { AgentEvent, AgentResponse, Place } from "../../AgentEvent.ts"
import * as Transcript from "../../Transcript.ts"
import { RunParent } from "./place.ts"

const input = Schema.Union([Schema.String, Schema.Array(Prompt.UserMessagePart)])

/**
 * A prompt: a text, or texts and files.
 *
 * @since 0.1.0
 * @category models
 */
export const Input: Schema.Codec<Input, typeof input.Encoded> = input

/**
 * @since 0.1.0
 * @category models
 */
export type Input = string | ReadonlyArray<Prompt.UserMessagePart>

/**
 * An answer that is not text: the JSON schema of an object.
 *
 * @since 0.1.0
 * @category models
 */
export const Output = Schema.Struct({ jsonSchema: Schema.Record(Schema.String, Schema.Unknown) })

/**
 * @since 0.1.0
 * @category models
 */
export type Output = typeof Output.Type

/**
 * A prompt to an agent or a team.
 *
 * - `output` asks for an answer of this shape, unchecked, in the response's `output`. `Agent.object` checks it.
 * - `history` is a conversation to answer in instead of the actor's own, which then stays as it is.
 * - `context` is what the request brings for the tools (see `Agent.withContext`), as JSON.
 * - `parent` is the run that the prompt comes from, with the tool call where it is one that prompts, and the path of the
 *   new run (see `Tap`).
 * - `as` is the run under whose place the answer's text (`TextDelta`) goes out instead of its own: so a member speaks
 *   for its team.
 *
 * @since 0.1.0
 * @category models
 */
export const Request = Schema.Struct({
  input: Input,
  output: Schema.optional(Output),
  history: Schema.optional(Transcript.Transcript),
  context: Schema.optional(Schema.Unknown),
  parent: Schema.optional(RunParent),
  as: Schema.optional(Place)
})

/**
 * @since 0.1.0
 * @category models
 */
export interface Request extends Schema.Schema.Type<typeof Request> {}

// Classes, so that an editor shows their names where it would spell them out.
export class RunMessage
  extends Rpc.make("Run", { payload: Request, success: AgentEvent, error: AgentError, stream: true })
{}
export class PromptMessage
  extends Rpc.make("Prompt", { payload: Request, success: AgentResponse, error: AgentError })
{}
export class TranscriptMessage extends Rpc.make("Transcript", { success: Transcript.Transcript }) {}
export class RestoreMessage extends Rpc.make("Restore", { payload: { transcript: Transcript.Transcript } }) {}
export class ResetMessage extends Rpc.make("Reset") {}

/**
 * The messages of `Agent.protocol` as a union.
 *
 * @since 0.1.0
 * @category protocol
 */
export type Messages =
  | typeof RunMessage
  | typeof PromptMessage
  | typeof TranscriptMessage
  | typeof RestoreMessage
  | typeof ResetMessage

/**
 * The messages that agents and teams understand:
 *
 * - `Run` streams the events of a run, `Prompt` answers with the response of the same run.
 * - `Transcript` gives the conversation so far, `Restore` puts another in its place, `Reset` forgets it.
 *
 * They are handled one at a time, so a prompt that arrives during a run waits in the mailbox, or meets its policy.
 *
 * @since 0.1.0
 * @category protocol
 */
export const protocol: Actor.Protocol<"Agent", Messages> = Actor.make("Agent", [
  RunMessage,
  PromptMessage,
  TranscriptMessage,
  RestoreMessage,
  ResetMessage
])

const ContextTypeId = "~effect-troupe/Agent/Context"

/**
 * A reference to an agent or a team, wherever it runs. `C` is what each request must bring (`Agent.withContext`):
 * `unknown` is nothing, and `AgentRef<never>` is a reference of which that is not known.
 *
 * @since 0.1.0
 * @category models
 */
export interface AgentRef<in C = unknown> extends Actor.ActorRef<"Agent", Messages> {
  readonly [ContextTypeId]?: (context: C) => void
}

/**
 * A reference to an agent or a team of this process. `C` is what each request must bring.
 *
 * @since 0.1.0
 * @category models
 */
export interface LocalAgentRef<in C = unknown> extends Actor.LocalActorRef<"Agent", Messages>, AgentRef<C> {
  readonly [ContextTypeId]?: (context: C) => void
}

/**
 * The behavior of an agent or a team as an actor. `agent` is the name that its events carry, `C` what each request must
 * bring.
 *
 * @since 0.1.0
 * @category models
 */
export interface AgentBehavior<out E, out R, in C = unknown> extends Actor.Behavior<"Agent", Messages, E, R> {
  readonly [ContextTypeId]?: (context: C) => void
  readonly agent: string
  readonly description: string | undefined
}
