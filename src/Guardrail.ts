/**
 * Checks what goes into an agent, what it says, and what it calls.
 *
 * A guardrail is a named effect that looks at one of the three and passes it, replaces it, or trips: then the run fails
 * with `GuardrailTripped`, which names it. Guardrails of one kind run in order, each on what the one before let through.
 *
 * @since 0.1.0
 */
import type * as Prompt from "effect/ai/Prompt"
import * as Effect from "effect/Effect"
import { GuardrailTripped } from "./AgentError.ts"
import { notEmpty } from "./internal/check.ts"

/**
 * What a guardrail decides.
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
 * A user's message: its texts and files.
 *
 * @since 0.1.0
 * @category models
 */
export type Message = ReadonlyArray<Prompt.UserMessagePart>

/**
 * A named check. `R` is what it requires.
 *
 * @since 0.1.0
 * @category models
 */
export type Guardrail<R = never> =
  | { readonly on: "input"; readonly name: string; readonly check: Check<Message, R> }
  | { readonly on: "output"; readonly name: string; readonly check: Check<string, R> }
  | { readonly on: "toolCall"; readonly name: string; readonly check: Check<ProposedCall, R, unknown> }

/**
 * Decides on a value; `B` is what may replace it.
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
 * Checks the text of each turn, and an answer that a handoff gives in the agent's name. It is held back until it has
 * passed, so a guarded agent does not stream its text, and what breaks off before is not remembered. An answer that is a
 * value (`Agent.object`) is no text.
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
 * Checks each tool call before it runs (and before it is put up for approval); a replacement are other arguments.
 *
 * @since 0.1.0
 * @category constructors
 */
export const toolCall = <R>(name: string, check: Check<ProposedCall, R, unknown>): Guardrail<R> => ({
  on: "toolCall",
  name: notEmpty("Guardrail.toolCall", "name", name),
  check
})

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

/**
 * Passes the prompt by all input guardrails.
 *
 * @internal
 */
export const checkInput = <R>(self: ReadonlyArray<Guardrail<R>>, message: Message) =>
  checkAll(self.filter((guardrail) => guardrail.on === "input"), message, (_, value: Message) => value)

/**
 * Whether text has to wait for a check.
 *
 * @internal
 */
export const checksOutput = (self: ReadonlyArray<Guardrail<unknown>>): boolean => self.some(({ on }) => on === "output")

/**
 * Passes a turn's text by all output guardrails.
 *
 * @internal
 */
export const checkOutput = <R>(self: ReadonlyArray<Guardrail<R>>, text: string) =>
  checkAll(self.filter((guardrail) => guardrail.on === "output"), text, (_, value: string) => value)

/**
 * Passes a call by all tool call guardrails.
 *
 * @internal
 */
export const checkCall = <R>(self: ReadonlyArray<Guardrail<R>>, call: ProposedCall) =>
  checkAll(
    self.filter((guardrail) => guardrail.on === "toolCall"),
    call,
    ({ name }, params: unknown): ProposedCall => ({ name, params })
  )

const checkAll = <A, B, R>(
  guardrails: ReadonlyArray<
    { readonly on: GuardrailTripped["on"]; readonly name: string; readonly check: Check<A, R, B> }
  >,
  value: A,
  replaced: (value: A, by: B) => A
): Effect.Effect<A, GuardrailTripped, R> =>
  Effect.reduce(guardrails, () => value, (current, guardrail) =>
    Effect.flatMap(guardrail.check(current), (verdict) => {
      switch (verdict._tag) {
        case "Pass":
          return Effect.succeed(current)
        case "Replace":
          return Effect.succeed(replaced(current, verdict.value))
        case "Trip":
          return Effect.fail(
            new GuardrailTripped({ guardrail: guardrail.name, on: guardrail.on, problem: verdict.problem })
          )
      }
    }))
