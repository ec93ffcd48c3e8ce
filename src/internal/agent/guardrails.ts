/**
 * Runs the guardrails of an agent on its prompts, texts and calls.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import { GuardrailTripped } from "../../AgentError.ts"
import type { Check, Guardrail, Message, ProposedCall } from "../../Guardrail.ts"

/** Passes the prompt by all input guardrails. */
export const checkInput = <R>(self: ReadonlyArray<Guardrail<R>>, message: Message) =>
  checkAll(self.filter((guardrail) => guardrail.on === "input"), message, (_, value: Message) => value)

/** Whether text has to wait for a check. */
export const checksOutput = (self: ReadonlyArray<Guardrail<unknown>>): boolean => self.some(({ on }) => on === "output")

/** Passes a turn's text by all output guardrails. */
export const checkOutput = <R>(self: ReadonlyArray<Guardrail<R>>, text: string) =>
  checkAll(self.filter((guardrail) => guardrail.on === "output"), text, (_, value: string) => value)

/** Passes a call by all tool call guardrails. */
export const checkCall = <R>(self: ReadonlyArray<Guardrail<R>>, call: ProposedCall) =>
  checkAll(
    self.filter((guardrail) => guardrail.on === "toolCall"),
    call,
    ({ name }, params: unknown): ProposedCall => ({ name, params })
  )

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

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
