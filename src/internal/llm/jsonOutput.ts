/**
 * An object that the model is asked for beside its tools. It is the argument of one more tool, so that any model with
 * tools can give it; a provider that has JSON output of its own gets its schema in the place of that tool.
 *
 * @internal
 */
import type * as LanguageModel from "effect/ai/LanguageModel"
import * as Tool from "effect/ai/Tool"
import * as Context from "effect/Context"
import type { JsonSchema } from "effect/JsonSchema"

/** The tool that carries an object of this JSON schema. */
export const tool = (name: string, jsonSchema: JsonSchema): Tool.Any =>
  Tool.dynamic(name, {
    description: "Gives the final answer. Call it once, when you know the answer.",
    parameters: jsonSchema
  }).annotate(CarriesOutput, true)

/** The request without the tool that carries its object, and that object's schema. */
export interface Native {
  readonly request: LanguageModel.ProviderOptions
  readonly name: string
  readonly jsonSchema: JsonSchema
}

/** `undefined` where no object is asked for beside tools. */
export const native = (request: LanguageModel.ProviderOptions): Native | undefined => {
  const carrier = request.tools.find((tool) => Context.get(tool.annotations, CarriesOutput))
  if (carrier === undefined) return undefined
  const tools = request.tools.filter((tool) => tool !== carrier)
  const toolChoice = tools.length === 0 ? "none" : withoutTool(request.toolChoice, carrier.name)
  return {
    request: { ...request, tools, toolChoice },
    name: carrier.name,
    jsonSchema: Tool.getJsonSchema(carrier)
  }
}

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const CarriesOutput = Context.Reference<boolean>("effect-troupe/internal/llm/CarriesOutput", {
  defaultValue: () => false
})

/** Whoever must call a tool may give the object instead; who must give the object may call none. */
const withoutTool = (choice: LanguageModel.ToolChoice<string>, carrier: string): LanguageModel.ToolChoice<string> => {
  if (choice === "required") return "auto"
  return typeof choice === "object" && "tool" in choice && choice.tool === carrier ? "none" : choice
}
