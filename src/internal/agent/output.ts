/**
 * How a run is asked for an answer that fits a schema: the model gives it as the arguments of one more tool.
 *
 * @internal
 */
import * as AiTool from "effect/ai/Tool"
import * as Schema from "effect/Schema"
import * as Transcript from "../../Transcript.ts"
import type { Output } from "./protocol.ts"
import { outputTool } from "./toolName.ts"
import type * as Turn from "./turn.ts"

/** The tools of a request: those of the agent, and where an output is asked for, the one that gives it. */
export const withOutput = (
  definitions: ReadonlyArray<AiTool.Any>,
  output: Output | undefined
): ReadonlyArray<AiTool.Any> =>
  output === undefined ? definitions : [
    ...definitions,
    AiTool.dynamic(outputTool, {
      description: "Gives the final answer. Call it once, when you know the answer.",
      parameters: output.jsonSchema
    })
  ]

/** The output of a turn: the arguments of the call, or its text where that is JSON (some models don't call). */
export const outputOf = (turn: Turn.Turn, entry: Transcript.Entry): unknown => {
  const call = turn.calls.find(({ outcome, part }) => part.name === outputTool && outcome?.isFailure === false)
  if (call !== undefined) return call.part.params
  const text = Transcript.text(entry).trim().replace(/^```(?:json)?\n?|\n?```$/g, "")
  const parsed = parseJson(text)
  return parsed._tag === "Some" ? parsed.value : undefined
}

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const parseJson = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Unknown))
