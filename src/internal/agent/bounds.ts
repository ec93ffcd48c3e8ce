/**
 * The bounds of a call's JSON. Code that walks through JSON (schemas, encoders, a provider's SDK) recurses, so a value
 * nested some thousand levels deep, which is a few KB, would break each request that carries it.
 *
 * @internal
 */
import * as Prompt from "effect/ai/Prompt"
import type * as Transcript from "../../Transcript.ts"
import { failure, type Outcome } from "./outcome.ts"

export interface Bounds {
  /** How deep arguments and results may be nested. */
  readonly maxDepth: number
  /** How many bytes of text or JSON a result may have. */
  readonly maxResultBytes: number
}

/** Deeper JSON breaks somebody, whatever an agent allows. */
export const deepest = 1000

export const defaultBounds: Bounds = { maxDepth: 128, maxResultBytes: 256 * 1024 }

/** Whether a value has more than `levels` arrays and objects inside of each other. */
export const isDeeper = (value: unknown, levels: number): boolean =>
  typeof value === "object" && value !== null &&
  (levels === 0 || Object.values(value).some((item) => isDeeper(item, levels - 1)))

/** For the model to read, of a call whose arguments are too deep. */
export const deepArguments = (maxDepth: number): string =>
  `Not run: the arguments are nested deeper than ${maxDepth} levels`

/** Why arguments that a guardrail or a decision puts in can't be run, if they can't. */
export const argumentsProblem = (params: unknown, maxDepth: number): string | undefined => {
  if (isDeeper(params, maxDepth)) return deepArguments(maxDepth)
  return toText(params) === undefined ? "Not run: the arguments are no JSON" : undefined
}

/** The outcome of a call whose result is too deep. */
export const deepResult = (maxDepth: number): Outcome =>
  failure(`The tool answered with a result that is nested deeper than ${maxDepth} levels`)

/** The outcome as a transcript may keep it: a deep result is a failure, a long one is cut. Files stay whole. */
export const bound = (outcome: Outcome, { maxDepth, maxResultBytes }: Bounds): Outcome => {
  const { modelOutput, params, result } = outcome
  // A field that is undefined is lost in JSON.
  if (result === undefined) return bound({ ...outcome, result: null }, { maxDepth, maxResultBytes })
  if (isDeeper(result, maxDepth)) return { ...(params !== undefined && { params }), ...deepResult(maxDepth) }
  const text = toText(result)
  if (text === undefined) return failure("The tool answered with a result that is no JSON")
  const kept = cut(text, maxResultBytes)
  const bounded = kept === text ? outcome : { ...outcome, result: kept }
  return modelOutput === undefined ? bounded : { ...bounded, modelOutput: cutParts(modelOutput, maxResultBytes) }
}

/** A conversation from outside, whose calls are bounded as those of a run are. */
export const boundEntry = (entry: Transcript.Entry): Transcript.Entry =>
  entry._tag === "User" ? entry : { ...entry, content: entry.content.map(boundPart) }

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const encoder = new TextEncoder()

const boundPart = (part: Transcript.AnswerPart): Transcript.AnswerPart => {
  if (part.type !== "tool-use") return part
  if (isDeeper(part.params, deepest)) {
    return { ...part, params: {}, result: deepArguments(deepest), isFailure: true }
  }
  return isDeeper(part.result, deepest) ? { ...part, ...deepResult(deepest) } : part
}

const toText = (result: unknown): string | undefined => {
  if (typeof result === "string") return result
  try {
    return JSON.stringify(result) ?? ""
  } catch {
    return undefined
  }
}

const cutParts = (parts: NonNullable<Outcome["modelOutput"]>, max: number): NonNullable<Outcome["modelOutput"]> => {
  let left = max
  return parts.map((part) => {
    if (part.type !== "text") return part
    const text = cut(part.text, left)
    left = Math.max(0, left - encoder.encode(text).length)
    return text === part.text ? part : Prompt.textPart({ text, options: part.options })
  })
}

/** The text, or its beginning with a note, in as many bytes of UTF-8. */
const cut = (text: string, max: number): string => {
  // No character has more than three bytes for each unit of its string.
  if (text.length * 3 <= max) return text
  const bytes = encoder.encode(text)
  if (bytes.length <= max) return text
  // As a stream, so that half a character at the end is left out.
  const beginning = new TextDecoder().decode(bytes.subarray(0, max), { stream: true })
  return `${beginning}\n[cut: these are the first ${max} of ${bytes.length} bytes]`
}
