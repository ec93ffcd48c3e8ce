/**
 * Guesses tokens where nobody counts them: about four characters are one, and a file is 1,000.
 *
 * @internal
 */
import type * as Prompt from "effect/ai/Prompt"
import type * as Transcript from "../Transcript.ts"

/** Of messages of a request or entries of a transcript. */
export const estimateTokens = (
  messages: Iterable<{ readonly content: string | ReadonlyArray<Prompt.Part | Transcript.ToolUse> }>
): number => {
  let tokens = 0
  for (const { content } of messages) {
    tokens += Math.ceil(typeof content === "string" ? content.length / 4 : sum(content, estimatePart))
  }
  return tokens
}

export const toJson = (value: unknown): string => typeof value === "string" ? value : JSON.stringify(value) ?? ""

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const estimatePart = (part: Prompt.Part | Transcript.ToolUse): number => {
  switch (part.type) {
    case "text":
    case "reasoning":
      return part.text.length / 4
    case "file":
      return 1000
    case "tool-call":
      return estimateCall(part)
    case "tool-result":
      return estimateResult(part)
    case "tool-use":
      return estimateCall(part) + estimateResult(part)
    default:
      return 0
  }
}

const estimateCall = ({ name, params }: { readonly name: string; readonly params: unknown }): number =>
  (name.length + toJson(params).length) / 4

const estimateResult = (
  { modelOutput, result }: Pick<Prompt.ToolResultPart, "modelOutput" | "result">
): number => modelOutput === undefined ? toJson(result).length / 4 : sum(modelOutput, estimatePart)

const sum = <A>(values: ReadonlyArray<A>, weigh: (value: A) => number): number =>
  values.reduce((total, value) => total + weigh(value), 0)
