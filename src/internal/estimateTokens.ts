/**
 * Guesses tokens where nobody counts them: about four characters are one, and a file is 1,000.
 *
 * @internal
 */
import type * as Transcript from "../Transcript.ts"

export const estimateTokens = (entry: Transcript.Entry): number => {
  let tokens = 0
  for (const part of entry.content) tokens += estimatePart(part)
  return Math.ceil(tokens)
}

export const estimateText = (text: string): number => Math.ceil(text.length / 4)

export const toJson = (value: unknown): string => typeof value === "string" ? value : JSON.stringify(value) ?? ""

// -----------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------

const estimatePart = (part: Transcript.Entry["content"][number]): number => {
  switch (part.type) {
    case "text":
    case "reasoning":
      return part.text.length / 4
    case "file":
      return 1000
    case "tool-use": {
      const call = (part.name.length + toJson(part.params).length) / 4
      return part.modelOutput === undefined
        ? call + toJson(part.result).length / 4
        : part.modelOutput.reduce((sum, output) => sum + estimatePart(output), call)
    }
  }
}
