/**
 * The object that a run is asked for in the place of text. The model gives it as text where its provider has JSON output
 * of its own, else as the arguments of one more tool; the transcript and the events show the same for both.
 *
 * @internal
 */
import type * as AiTool from "effect/ai/Tool"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { hasProperty } from "effect/Predicate"
import * as Schema from "effect/Schema"
import { toClosedSchema } from "../llm/closedSchema.ts"
import * as JsonOutput from "../llm/jsonOutput.ts"
import * as PartialJson from "./partialJson.ts"
import type { Output } from "./protocol.ts"
import { outputTool } from "./toolName.ts"

/** What a run is asked for. Without `read` any JSON will do. */
export interface OutputRequest extends Output {
  /** The part of a value that is there already. Default: the JSON. */
  readonly partial?: (json: unknown) => unknown
  /** The value, or what is wrong with it. */
  readonly read?: (json: unknown) => Effect.Effect<unknown, { readonly message: string }>
}

/** What a run is asked for where it is asked for a value of `A`. */
export interface ValueRequest<out A> extends OutputRequest {
  readonly read: (json: unknown) => Effect.Effect<A, { readonly message: string }>
}

/** Asks for a value of a schema. Providers take nothing but objects, so any other value is put into one. */
export const request = <S extends Schema.Top>(
  schema: S,
  services: Context.Context<S["DecodingServices"]>
): ValueRequest<S["Type"]> => {
  const codec = Schema.toCodecJson(schema)
  const decode = Schema.decodeUnknownEffect(codec)
  const read = (json: unknown) =>
    json === undefined
      ? Effect.fail({ message: "Expected JSON, got another text or none" })
      : Effect.provideContext(decode(json), services)
  const jsonSchema = toClosedSchema(codec)
  if (jsonSchema.type === "object") return { jsonSchema, read }
  return {
    jsonSchema: toClosedSchema(Schema.Struct({ value: codec })),
    partial: (json) => hasProperty(json, "value") ? json.value : undefined,
    read: (json) => read(hasProperty(json, "value") ? json.value : json)
  }
}

/** The tools of a request: those of the agent, and where an output is asked for, the one that may carry it. */
export const withOutput = (
  definitions: ReadonlyArray<AiTool.Any>,
  output: Output | undefined
): ReadonlyArray<AiTool.Any> =>
  output === undefined ? definitions : [...definitions, JsonOutput.tool(outputTool, output.jsonSchema)]

/** Asks for the output again. */
export const repair = (problem: string): string => `Your answer does not fit: ${problem}\nGive the whole answer again.`

/** The output in a text, with whatever stands around it. */
export const parse = (text: string): unknown => {
  const bare = text.trim().replace(/^```(?:json)?\n?|\n?```$/g, "")
  return parseJson(bare) ?? parseJson(bare.slice(bare.indexOf("{"), bare.lastIndexOf("}") + 1))
}

/** The output of a turn while it comes in. */
export interface Reader {
  readonly partial: (json: unknown) => unknown
  /** The call that carries it. */
  call: string | undefined
  json: PartialJson.PartialJson
  /** Whether there is more of it than was told. */
  changed: boolean
}

export const makeReader = ({ partial = (json) => json }: OutputRequest): Reader => ({
  partial,
  call: undefined,
  json: PartialJson.make(),
  changed: false
})

/** Begins another output; the one before was none. */
export const begin = (self: Reader, call: string | undefined): void => {
  self.call = call
  self.json = PartialJson.make()
}

export const push = (self: Reader, json: string): void => {
  self.changed = PartialJson.push(self.json, json) || self.changed
}

/** The output so far, if it is another one than before. */
export const take = (self: Reader): unknown => {
  if (!self.changed) return undefined
  self.changed = false
  return self.partial(PartialJson.value(self.json))
}

/** Whether a text that begins like this is the output. */
export const isOutput = (beginning: string): "yes" | "no" | "undecided" => {
  if (/^\s*(?:```(?:json)?\s*)?\{/.test(beginning)) return "yes"
  return /^\s*(?:`{0,2}|```(?:j|js|jso|json)?\s*)$/.test(beginning) ? "undecided" : "no"
}

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
