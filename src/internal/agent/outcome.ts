/**
 * The outcomes of tool calls. Exported through `Tool`.
 *
 * @internal
 */
import type * as Prompt from "effect/ai/Prompt"
import { hasProperty, isString } from "effect/Predicate"
import type { AgentResponse } from "../../AgentEvent.ts"
import { errorMessage } from "../errorMessage.ts"

/**
 * The outcome of a call: JSON for the model to read. The result of a failure is its message.
 *
 * `modelOutput` replaces the result in the model's eyes where a tool answers with text and files. `params` are the
 * arguments that the tool was run with, where a decision has changed them. An `answer` is the answer of the whole run,
 * which ends with this turn: see `handoff`. The `errorType` of a failure is the tag or name of its error, for its span.
 *
 * @since 0.1.0
 * @category models
 */
export interface Outcome {
  readonly result: unknown
  readonly isFailure: boolean
  readonly modelOutput?: ReadonlyArray<Prompt.ToolModelOutputPart>
  readonly params?: unknown
  readonly answer?: Pick<AgentResponse, "text" | "output">
  readonly errorType?: string
}

/**
 * The effect of a tool on the world: none (`"pure"`), the same once or many times (`"idempotent"`), or something
 * that must not happen twice (`"once"`). Only a tool that is not `"once"` can be retried, here and by a durable run.
 *
 * @since 0.1.0
 * @category models
 */
export type EffectClass = "pure" | "idempotent" | "once"

/**
 * Where the work of a tool is done: in its own handler, in a run of an agent inside of the call, or by an actor that it
 * prompts.
 *
 * @since 0.1.0
 * @category models
 */
export type Runs = "handler" | "agent" | "actor"

/**
 * The outcome of a call that failed, with the message that the model reads.
 *
 * @since 0.1.0
 * @category constructors
 */
export const failure = (message: string): Outcome => ({ result: message, isFailure: true })

/** The outcome of a call that failed with an error. */
export const failureOf = (error: unknown): Outcome => ({
  ...failure(errorMessage(error)),
  errorType: errorTypeOf(error)
})

/** The class of an error: its tag, or its name. */
export const errorTypeOf = (error: unknown): string =>
  hasProperty(error, "_tag") && isString(error._tag) ? error._tag : error instanceof Error ? error.name : "_OTHER"
