/**
 * Checks the prompts, the answers, the reasoning and the tools of an agent.
 *
 * A guardrail is a named effect that looks at one of them and passes it, replaces it, or trips: then the run fails with
 * `GuardrailTripped`, which names it. Guardrails of one kind run in order, each on the result of the one before.
 *
 * @since 0.1.0
 */
import type * as Prompt from "effect/ai/Prompt"
import type * as Effect from "effect/Effect"
import { notEmpty } from "./internal/check.ts"

/**
 * The decision of a guardrail.
 *
 * @since 0.1.0
 * @category models
 */
export type Verdict<A> =
  | { readonly _tag: "Pass" }
  | { readonly _tag: "Replace"; readonly value: A }
  | { readonly _tag: "Trip"; readonly problem: string }

/**
 * A tool call about to be run. `params` are the arguments as the model wrote them.
 *
 * @since 0.1.0
 * @category models
 */
export interface ProposedCall {
  readonly name: string
  readonly params: unknown
}

/**
 * The result of a tool call, before the model or anybody else sees it. `params` are the arguments that the model wrote.
 * `result` is JSON, and the message where the call failed; `modelOutput` is what the model reads in its place, where the
 * tool answered with texts and files.
 *
 * @since 0.1.0
 * @category models
 */
export interface CallResult extends ProposedCall {
  readonly result: unknown
  readonly isFailure: boolean
  readonly modelOutput?: ReadonlyArray<Prompt.ToolModelOutputPart> | undefined
}

/**
 * A user's message: its texts and files.
 *
 * @since 0.1.0
 * @category models
 */
export type Message = ReadonlyArray<Prompt.UserMessagePart>

/**
 * A named check. `R` is its requirements.
 *
 * @since 0.1.0
 * @category models
 */
export type Guardrail<R = never> =
  | { readonly on: "input"; readonly name: string; readonly check: Check<Message, R> }
  | { readonly on: "output"; readonly name: string; readonly check: Check<string, R> }
  | { readonly on: "reasoning"; readonly name: string; readonly check: Check<string, R> }
  | { readonly on: "toolCall"; readonly name: string; readonly check: Check<ProposedCall, R, unknown> }
  | { readonly on: "toolResult"; readonly name: string; readonly check: Check<CallResult, R, unknown> }

/**
 * Decides on a value; a `B` may replace it.
 *
 * @since 0.1.0
 * @category models
 */
export type Check<in A, out R, out B = A> = (value: A) => Effect.Effect<Verdict<B>, never, R>

/**
 * Lets it through as it is.
 *
 * @since 0.1.0
 * @category verdicts
 */
export const pass: Verdict<never> = { _tag: "Pass" }

/**
 * Lets something else through.
 *
 * @since 0.1.0
 * @category verdicts
 */
export const replace = <A>(value: A): Verdict<A> => ({ _tag: "Replace", value })

/**
 * Ends the run; `problem` says why.
 *
 * @since 0.1.0
 * @category verdicts
 */
export const trip = (problem: string): Verdict<never> => ({ _tag: "Trip", problem })

/**
 * Checks the prompt before anything else happens.
 *
 * @since 0.1.0
 * @category constructors
 */
export const input = <R>(name: string, check: Check<Message, R>): Guardrail<R> => ({
  on: "input",
  name: notEmpty("Guardrail.input", "name", name),
  check
})

/**
 * Checks the text of each turn, and an answer that a handoff gives in the agent's name.
 *
 * The text is held back until it has passed: a guarded agent does not stream it, and a run that breaks off before does
 * not remember it. Of a value (`Agent.object`) it is the JSON text.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Guardrail } from "effect-troupe"
 *
 * const noCardNumbers = Guardrail.output("no card numbers", (text) =>
 *   Effect.succeed(Guardrail.replace(text.replace(/\b\d{16}\b/g, "[card]"))))
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const output = <R>(name: string, check: Check<string, R>): Guardrail<R> => ({
  on: "output",
  name: notEmpty("Guardrail.output", "name", name),
  check
})

/**
 * Checks the reasoning of each turn.
 *
 * It is held back until it has passed, so it comes when the model has answered, before the tools run. Reasoning that was
 * replaced does not go back to the provider as its own: one that wants it back with its tool calls may refuse the next
 * turn.
 *
 * @since 0.1.0
 * @category constructors
 */
export const reasoning = <R>(name: string, check: Check<string, R>): Guardrail<R> => ({
  on: "reasoning",
  name: notEmpty("Guardrail.reasoning", "name", name),
  check
})

/**
 * Checks each tool call before it runs, and before it waits for approval. A replacement is the arguments to run it
 * with.
 *
 * @since 0.1.0
 * @category constructors
 */
export const toolCall = <R>(name: string, check: Check<ProposedCall, R, unknown>): Guardrail<R> => ({
  on: "toolCall",
  name: notEmpty("Guardrail.toolCall", "name", name),
  check
})

/**
 * Checks the result of each tool call before the model or a reader of the run sees it. A replacement is the result in its
 * place, without files.
 *
 * When it trips, the conversation says so in the place of the result. Tools that the provider runs itself are not checked:
 * the model has read their results by then.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Guardrail } from "effect-troupe"
 *
 * const noOrders = Guardrail.toolResult("no orders", ({ name, result }) =>
 *   Effect.succeed(
 *     name === "read_page" && /ignore (all|your) instructions/i.test(String(result))
 *       ? Guardrail.replace("The page gave orders to its reader and is left out.")
 *       : Guardrail.pass
 *   ))
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const toolResult = <R>(name: string, check: Check<CallResult, R, unknown>): Guardrail<R> => ({
  on: "toolResult",
  name: notEmpty("Guardrail.toolResult", "name", name),
  check
})
