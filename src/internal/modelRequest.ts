/**
 * A model request as JSON: the same for requests that ask the same.
 *
 * @internal
 */
import type { LanguageModel } from "effect/ai"
import { Prompt, Tool } from "effect/ai"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { CallOptions } from "./bareModel.ts"

/** @internal */
export interface RequestJson {
  readonly prompt: Schema.Json
  readonly tools: ReadonlyArray<Schema.Json>
  readonly toolChoice: Schema.Json
  /** The name and the JSON schema of a structured answer. */
  readonly object?: Schema.Json
}

/** @internal */
export const fromProviderOptions = (
  { prompt, responseFormat, toolChoice, tools }: LanguageModel.ProviderOptions
): RequestJson => ({
  prompt: encodePrompt(prompt),
  tools: tools.map(toolJson),
  toolChoice: toolChoice as Schema.Json,
  ...(responseFormat.type === "json" && { object: objectJson(responseFormat.objectName, responseFormat.schema) })
})

/** @internal */
export const fromCallOptions = (options: CallOptions): Effect.Effect<RequestJson> =>
  Effect.map(toolsOf(options.toolkit), (tools) => ({
    prompt: encodePrompt(Prompt.make(options.prompt)),
    tools: tools.map(toolJson),
    toolChoice: (options.toolChoice ?? "auto") as Schema.Json,
    ...(options.schema && { object: objectJson(options.objectName, options.schema) })
  }))

/**
 * The messages of a prompt, as JSON.
 *
 * @internal
 */
export const encodePrompt = (prompt: Prompt.Prompt): Schema.Json => encodeMessages(prompt).content

const encodeMessages = Schema.encodeSync(Schema.toCodecJson(Prompt.Prompt)) as (
  prompt: Prompt.Prompt
) => { readonly content: Schema.Json }

// A toolkit has its tools at hand; any other effect must be asked for one.
const toolsOf = (toolkit: CallOptions["toolkit"]): Effect.Effect<ReadonlyArray<Tool.Any>> =>
  toolkit === undefined
    ? Effect.succeed([])
    : "tools" in toolkit
    ? Effect.succeed(Object.values(toolkit.tools))
    : Effect.map(toolkit, ({ tools }) => Object.values(tools))

const toolJson = (tool: Tool.Any): Schema.Json =>
  Tool.isProviderDefined(tool)
    ? { name: tool.name, args: tool.args as Schema.Json }
    : {
      name: tool.name,
      ...(tool.description !== undefined && { description: tool.description }),
      parameters: Tool.getJsonSchema(tool) as Schema.Json
    }

const objectJson = (name: string | undefined, schema: Schema.Top): Schema.Json => ({
  ...(name !== undefined && { name }),
  schema: Tool.getJsonSchemaFromSchema(schema) as Schema.Json
})
