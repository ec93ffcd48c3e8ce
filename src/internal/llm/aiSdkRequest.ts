/**
 * Turns one request of Effect's `LanguageModel` into the call options of an AI SDK model.
 *
 * @internal
 */
import type {
  JSONSchema7,
  LanguageModelV4CallOptions,
  LanguageModelV4FunctionTool,
  LanguageModelV4ProviderTool,
  LanguageModelV4ToolChoice
} from "@ai-sdk/provider"
import type * as LanguageModel from "effect/ai/LanguageModel"
import * as Tool from "effect/ai/Tool"
import type { JsonSchema } from "effect/JsonSchema"
import * as Predicate from "effect/Predicate"
import type { Settings } from "../../Llm/Settings.ts"
import { readable } from "./aiSdkHistory.ts"
import { toPrompt } from "./aiSdkPrompt.ts"
import { toClosedSchema } from "./closedSchema.ts"
import * as JsonOutput from "./jsonOutput.ts"
import { reveal } from "./redact.ts"
import { definedOnly } from "./settings.ts"

export interface Dialect {
  /** The AI SDK's name of the provider and its API: `openai.responses`. */
  readonly provider: string
  readonly codecTransformer: LanguageModel.CodecTransformer
  readonly strictTools: boolean
  readonly jsonOutput: "always" | "withoutTools" | undefined
  /** The tools of former requests as the AI SDK takes them: to write the schema of one takes as long as the rest. */
  readonly written: WeakMap<Tool.Any, SdkTool>
}

/** The provider's own names of tools. */
export type Names = Tool.NameMapper<ReadonlyArray<Tool.Any>>

type SdkTool = LanguageModelV4FunctionTool | LanguageModelV4ProviderTool

/** Throws what the codec transformer throws for a schema that the provider has no form for. */
export const toCallOptions = (
  request: LanguageModel.ProviderOptions,
  settings: Settings,
  dialect: Dialect,
  names: Names
): LanguageModelV4CallOptions => {
  const providerName = (name: string) => names.getProviderName(name)
  const takesText = (name: string) => names.customNames.includes(name)
  // The packages of these refuse any other file than images and PDF.
  const takesTextFiles = !/^(openai|azure|mistral)\./.test(dialect.provider)
  const history = readable(request.prompt, {
    provider: dialect.provider,
    stores: stores(dialect, settings),
    providerName
  })
  return {
    prompt: toPrompt(history, { providerName, takesText, takesTextFiles }),
    ...toAnswer(request, dialect, names),
    ...toSettings(settings)
  }
}

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const toSettings = (settings: Settings): Omit<LanguageModelV4CallOptions, "prompt"> => {
  const { maxResponseBytes: _, ...call } = settings
  return definedOnly({
    ...call,
    headers: settings.headers && reveal(settings.headers),
    stopSequences: settings.stopSequences && [...settings.stopSequences]
  })
}

/** The tools, and the object that the answer shall be. */
const toAnswer = (request: LanguageModel.ProviderOptions, dialect: Dialect, names: Names) => {
  const asked = JsonOutput.native(request)
  if (asked !== undefined && takesSchema(asked, dialect)) {
    const responseFormat = toResponseFormat(asked.name, asked.jsonSchema)
    return { ...toTools(asked.request, dialect, names), responseFormat }
  }
  const { responseFormat } = request
  const tools = toTools(request, dialect, names)
  if (responseFormat.type === "text") return tools
  const { jsonSchema } = dialect.codecTransformer(responseFormat.schema)
  return { ...tools, responseFormat: toResponseFormat(responseFormat.objectName, jsonSchema) }
}

const toResponseFormat = (name: string, schema: JsonSchema) =>
  ({ type: "json", name, schema: asJsonSchema7(schema) }) as const

const takesSchema = ({ jsonSchema, request }: JsonOutput.Native, { jsonOutput, strictTools }: Dialect): boolean =>
  (jsonOutput === "always" || jsonOutput === "withoutTools" && request.tools.length === 0) &&
  (!strictTools || isStrict(jsonSchema))

// OpenAI and those who speak its API keep answers unless they are told not to.
const stores = ({ provider }: Dialect, { providerOptions }: Settings): boolean =>
  provider.endsWith(".responses") && providerOptions?.[provider.split(".")[0]!]?.["store"] !== false

const toTools = ({ toolChoice, tools }: LanguageModel.ProviderOptions, dialect: Dialect, names: Names) =>
  tools.length === 0
    ? undefined
    : { tools: tools.map((tool) => writtenOnce(tool, dialect)), toolChoice: toToolChoice(toolChoice, names) }

const toToolChoice = (choice: LanguageModel.ToolChoice<string>, names: Names): LanguageModelV4ToolChoice => {
  if (typeof choice === "string") return { type: choice }
  // LanguageModel has already cut the tools down to the ones of `oneOf`.
  return "tool" in choice
    ? { type: "tool", toolName: names.getProviderName(choice.tool) }
    : { type: choice.mode ?? "auto" }
}

const writtenOnce = (tool: Tool.Any, dialect: Dialect): SdkTool => {
  const written = dialect.written.get(tool) ?? toTool(tool, dialect)
  dialect.written.set(tool, written)
  return written
}

const toTool = (tool: Tool.Any, dialect: Dialect): SdkTool => {
  if (Tool.isProviderDefined(tool)) {
    // By its own name the provider calls it, so that nobody but us maps names.
    const args = Predicate.isObject(tool.args) ? tool.args : {}
    return { type: "provider", id: tool.id, name: tool.providerName, args }
  }
  const inputSchema = toInputSchema(tool)
  const description = Tool.getDescription(tool)
  const strict = Tool.getStrictMode(tool) ?? (dialect.strictTools ? isStrict(inputSchema) : undefined)
  return {
    type: "function",
    name: tool.name,
    inputSchema,
    ...(description === undefined ? undefined : { description }),
    ...(strict === undefined ? undefined : { strict })
  }
}

const toInputSchema = (tool: Tool.Any): JSONSchema7 => {
  const schema = Tool.getJsonSchema(tool, { transformer: closedTransformer })
  // A struct without fields reads as "anything but null", which no provider takes for a function's arguments.
  return schema.type === "object" ? asJsonSchema7({ properties: {}, ...schema }) : emptyInput
}

const emptyInput: JSONSchema7 = { type: "object", properties: {}, additionalProperties: false }

// Closed objects keep models from inventing arguments, and strict mode asks for them. A schema with an identifier is
// written as a reference, but a function's arguments must be an object at their root.
const closedTransformer: LanguageModel.CodecTransformer = (codec) => ({ codec, jsonSchema: toClosedSchema(codec) })

// Strict mode wants every object closed and every property required, and rejects a keyword that it cannot enforce.
const isStrict = (schema: unknown): boolean => {
  if (!Predicate.isObject(schema)) return false
  const { $defs = {}, anyOf = [], items, properties = {}, required = [] } = schema
  const names = Predicate.isObject(properties) ? Object.keys(properties) : []
  const isClosed = schema.type !== "object" ||
    (schema.additionalProperties === false && Array.isArray(required) && names.every((name) => required.includes(name)))
  const children = [Object.values(properties ?? {}), Object.values($defs ?? {}), anyOf, items ?? []].flat()
  return isClosed && Object.keys(schema).every((key) => strictKeywords.has(key)) && children.every(isStrict)
}

const strictKeywords = new Set([
  "$defs",
  "$ref",
  "additionalProperties",
  "anyOf",
  "description",
  "enum",
  "exclusiveMaximum",
  "exclusiveMinimum",
  "items",
  "maxItems",
  "maximum",
  "minItems",
  "minimum",
  "multipleOf",
  "pattern",
  "properties",
  "required",
  "title",
  "type"
])

// Effect writes draft 2020-12 and types it as open records; the AI SDK types the same JSON after draft 7.
const asJsonSchema7 = (schema: object): JSONSchema7 => schema
