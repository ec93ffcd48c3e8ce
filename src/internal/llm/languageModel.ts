/**
 * `LanguageModel.make` with a short way for the requests of the turn loop.
 *
 * Effect's constructor decodes every streamed part through the schemas of the request's tools, which it compiles anew for each
 * toolkit. The loop decodes arguments itself, and the hooks here make their parts themselves, so for its requests (no
 * resolution of tool calls, deferred validation) the frequent parts are taken as they are. That takes the agent loop from
 * about 1.0 to 1.6 times AI SDK's own (`npm run bench -- agents run`); a test holds both ways to the same parts.
 *
 * @internal
 */
import * as AiError from "effect/ai/AiError"
import * as LanguageModel from "effect/ai/LanguageModel"
import * as Prompt from "effect/ai/Prompt"
import * as Response from "effect/ai/Response"
import * as ResponseIdTracker from "effect/ai/ResponseIdTracker"
import * as Telemetry from "effect/ai/Telemetry"
import type * as Tool from "effect/ai/Tool"
import * as Arr from "effect/Array"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { hasProperty } from "effect/Predicate"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"

export interface Hooks {
  readonly generateText: (
    request: LanguageModel.ProviderOptions
  ) => Effect.Effect<Array<Response.PartEncoded>, AiError.AiError>
  readonly streamText: (
    request: LanguageModel.ProviderOptions
  ) => Stream.Stream<Response.StreamPartEncoded, AiError.AiError>
  readonly codecTransformer?: LanguageModel.CodecTransformer | undefined
}

export const make = (hooks: Hooks): Effect.Effect<LanguageModel.LanguageModel> =>
  Effect.map(LanguageModel.make(hooks), (service) => {
    // The signatures follow from the options, and both ways give what they promise.
    const decoding = service.streamText as (options: Options) => Stream.Stream<Part, AiError.AiError>
    const streamText = (options: Options) =>
      isTurn(options)
        ? Stream.unwrap(Effect.contextWith((context: Context.Context<never>) =>
          isObserved(context) ? Effect.succeed(decoding(options)) : streamTurn(hooks, options)
        ))
        : decoding(options)
    return { ...service, streamText: streamText as LanguageModel.LanguageModel["streamText"] }
  })

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

type Part = Response.StreamPart<{}, "deferred">

type Options = LanguageModel.GenerateTextOptions<Record<string, Tool.Any>>

interface TurnOptions extends Options {
  readonly toolkit: LanguageModel.ToolkitInput<Record<string, Tool.Any>> & { readonly tools: Record<string, Tool.Any> }
}

const isTurn = (options: Options): options is TurnOptions =>
  options.disableToolCallResolution === true && options.toolCallValidation === "deferred" &&
  hasProperty(options.toolkit, "tools")

/** These services want to see what Effect's own way shows them. */
const isObserved = (context: Context.Context<never>): boolean =>
  Context.getOrUndefined(context, Telemetry.CurrentSpanTransformer) !== undefined ||
  Context.getOrUndefined(context, ResponseIdTracker.ResponseIdTracker) !== undefined

const streamTurn = Effect.fnUntraced(function*(hooks: Hooks, { prompt, toolChoice = "auto", toolkit }: TurnOptions) {
  const span = yield* Effect.makeSpanScoped("LanguageModel.streamText", { kind: "client" })
  span.attribute("gen_ai.output.type", "text")
  span.attribute("effect.ai.tool_choice", typeof toolChoice === "string" ? toolChoice : JSON.stringify(toolChoice))
  const tools = Object.values(toolkit.tools)
  const parts = hooks.streamText({
    prompt: Prompt.make(prompt),
    tools: typeof toolChoice === "object" && "oneOf" in toolChoice
      ? tools.filter((tool) => toolChoice.oneOf.includes(tool.name))
      : tools,
    toolChoice: tools.length === 0 ? "none" : toolChoice,
    responseFormat: { type: "text" },
    span,
    previousResponseId: undefined,
    incrementalPrompt: undefined,
    toolCallValidation: "deferred"
  })
  return Stream.mapArrayEffect(parts, (parts) =>
    Effect.try({
      try: () => Arr.map(parts, toPart),
      catch: (error) => invalidPart(error as Schema.SchemaError)
    }))
})

const toPart = (part: Response.StreamPartEncoded): Part => {
  switch (part.type) {
    case "text-start":
    case "text-delta":
    case "text-end":
    case "reasoning-start":
    case "reasoning-delta":
    case "reasoning-end":
    case "tool-params-delta":
    case "tool-params-end":
      return Response.makePart(part.type, part as never)
    case "tool-call":
      return Response.makePart("tool-call", { ...part, providerExecuted: part.providerExecuted ?? false })
    case "finish":
      // What a provider's response was like has a schema of its own.
      return part.response === undefined
        ? Response.makePart("finish", { ...part, usage: decodeUsage(part.usage) } as never)
        : decodePart(part) as Part
    default:
      return decodePart(part) as Part
  }
}

const decodeUsage = Schema.decodeUnknownSync(Response.Usage)

const decodePart = Schema.decodeUnknownSync(Response.AllParts())

const invalidPart = (error: Schema.SchemaError): AiError.AiError =>
  AiError.make({
    module: "LanguageModel",
    method: "streamText",
    reason: AiError.InvalidOutputError.fromSchemaError(error)
  })
