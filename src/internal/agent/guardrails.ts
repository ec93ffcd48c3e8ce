/**
 * Runs the guardrails of an agent on its prompts, texts, reasoning, calls and results.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import { GuardrailTripped } from "../../AgentError.ts"
import type { CallResult, Check, Guardrail, Message, ProposedCall } from "../../Guardrail.ts"

/** Passes the prompt by all input guardrails. */
export const checkInput = <R>(self: ReadonlyArray<Guardrail<R>>, message: Message) =>
  checkAll(self.filter((guardrail) => guardrail.on === "input"), message, (_, value: Message) => value)

/** Whether something has to wait for a check. */
export const checks = (self: ReadonlyArray<Guardrail<unknown>>, what: Guardrail["on"]): boolean =>
  self.some(({ on }) => on === what)

/** Passes a turn's text by all output guardrails. */
export const checkOutput = <R>(self: ReadonlyArray<Guardrail<R>>, text: string) =>
  checkAll(self.filter((guardrail) => guardrail.on === "output"), text, (_, value: string) => value)

/** Passes a turn's reasoning by all reasoning guardrails. */
export const checkReasoning = <R>(self: ReadonlyArray<Guardrail<R>>, text: string) =>
  checkAll(self.filter((guardrail) => guardrail.on === "reasoning"), text, (_, value: string) => value)

/** Passes a call by all tool call guardrails. */
export const checkCall = <R>(self: ReadonlyArray<Guardrail<R>>, call: ProposedCall) =>
  checkAll(
    self.filter((guardrail) => guardrail.on === "toolCall"),
    call,
    ({ name }, params: unknown): ProposedCall => ({ name, params })
  )

/** Passes a result by all tool result guardrails; one that was replaced has no other form for the model. */
export const checkResult = <R>(self: ReadonlyArray<Guardrail<R>>, result: CallResult) =>
  checkAll(
    self.filter((guardrail) => guardrail.on === "toolResult"),
    result,
    ({ isFailure, name, params }, result: unknown): CallResult => ({ name, params, isFailure, result })
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
