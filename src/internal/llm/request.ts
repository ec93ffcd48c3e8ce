/**
 * A model request as JSON: the same for requests that ask the same.
 *
 * @internal
 */
import type * as LanguageModel from "effect/ai/LanguageModel"
import * as Prompt from "effect/ai/Prompt"
import * as Tool from "effect/ai/Tool"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { RequestSettings, type Settings } from "../../Llm/Settings.ts"
import { toJson } from "../json.ts"
import { lazy } from "../lazy.ts"
import type { CallOptions } from "./bareModel.ts"

export interface MessageJson {
  readonly [field: string]: Schema.Json
}

export interface RequestJson {
  readonly prompt: ReadonlyArray<MessageJson>
  readonly tools: ReadonlyArray<Schema.Json>
  readonly toolChoice: Schema.Json
  /** The name and the JSON schema of a structured answer. */
  readonly object?: Schema.Json
  /** The settings of the request that shape its answer; headers may carry secrets. */
  readonly settings?: Schema.Json
}

export const fromProviderOptions = (
  { prompt, responseFormat, toolChoice, tools }: LanguageModel.ProviderOptions
): Effect.Effect<RequestJson> =>
  make(prompt, tools, toolChoice, responseFormat.type === "json" ? responseFormat : undefined)

export const fromCallOptions = (
  { objectName, prompt, schema, toolChoice = "auto", toolkit }: CallOptions
): Effect.Effect<RequestJson> =>
  Effect.flatMap(
    toolsOf(toolkit),
    (tools) => make(Prompt.make(prompt), tools, toolChoice, schema && { objectName, schema })
  )

/** The messages of a prompt, as JSON. */
export const encodePrompt = (prompt: Prompt.Prompt): ReadonlyArray<MessageJson> => encodeMessages()(prompt).content

/** The settings that shape an answer, if there are any. */
export const settingsJson = (all: Settings): { readonly settings?: Schema.Json } => {
  const { headers: _, maxResponseBytes: _2, ...settings } = all
  for (const _ in settings) return { settings: toJson(settings) }
  return {}
}

/** A tool as the request has it. Its schema is the same for as long as there is the tool, so it is made once. */
export const toolJson = (tool: Tool.Any): Schema.Json => {
  const known = toolsJson.get(tool)
  if (known !== undefined) return known
  const json = makeToolJson(tool)
  toolsJson.set(tool, json)
  return json
}

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const make = (
  prompt: Prompt.Prompt,
  tools: ReadonlyArray<Tool.Any>,
  toolChoice: LanguageModel.ToolChoice<string>,
  object: { readonly objectName: string | undefined; readonly schema: Schema.Top } | undefined
): Effect.Effect<RequestJson> =>
  Effect.map(RequestSettings, (settings) => ({
    prompt: encodePrompt(prompt),
    tools: tools.map(toolJson),
    toolChoice: toJson(toolChoice),
    ...(object && { object: { name: object.objectName ?? "", schema: jsonSchemaOf(object.schema) } }),
    ...settingsJson(settings)
  }))

const encodeMessages = lazy(() =>
  Schema.encodeSync(Schema.toCodecJson(Prompt.Prompt)) as (
    prompt: Prompt.Prompt
  ) => { readonly content: ReadonlyArray<MessageJson> }
)

// A toolkit has its tools at hand; any other effect must be asked for one.
const toolsOf = (toolkit: CallOptions["toolkit"]): Effect.Effect<ReadonlyArray<Tool.Any>> =>
  toolkit === undefined
    ? Effect.succeed([])
    : "tools" in toolkit
    ? Effect.succeed(Object.values(toolkit.tools))
    : Effect.map(toolkit, ({ tools }) => Object.values(tools))

/** Remembered by the tool itself, of which it says nothing but what follows from it; a turn sends its tools each time. */
const toolsJson = new WeakMap<Tool.Any, Schema.Json>()

const makeToolJson = (tool: Tool.Any): Schema.Json =>
  Tool.isProviderDefined(tool)
    ? { name: tool.name, args: toJson(tool.args) }
    : {
      name: tool.name,
      ...(tool.description !== undefined && { description: tool.description }),
      parameters: toJson(Tool.getJsonSchema(tool))
    }

const jsonSchemaOf = (schema: Schema.Top): Schema.Json => toJson(Tool.getJsonSchemaFromSchema(schema))
