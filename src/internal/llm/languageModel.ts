/**
 * `LanguageModel.make` with a short way for the requests of the turn loop.
 *
 * Effect's constructor decodes every streamed part through the schemas of the request's tools, which it compiles again
 * for each toolkit. The loop decodes arguments itself, and the hooks here make their parts themselves, so for its
 * requests (no resolution of tool calls, deferred validation) the frequent parts are taken as they are. That takes the
 * agent loop from about 1.0 to 1.6 times AI SDK's own (`npm run bench -- agents run`); a test holds both ways to the
 * same parts.
 *
 * @internal
 */
import * as AiError from "effect/ai/AiError"
import * as LanguageModel from "effect/ai/LanguageModel"
import * as Prompt from "effect/ai/Prompt"
import * as Response from "effect/ai/Response"
import * as ResponseIdTracker from "effect/ai/ResponseIdTracker"
import * as Telemetry from "effect/ai/Telemetry"
import type * as Toolkit from "effect/ai/Toolkit"
import * as Arr from "effect/Array"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { hasProperty } from "effect/Predicate"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { type CallOptions, fromBare, type Part, toBare } from "./bareModel.ts"

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
    const bare = toBare(service)
    return fromBare(service, {
      ...bare,
      streamText: (options) =>
        isTurn(options)
          ? Stream.unwrap(Effect.contextWith((context: Context.Context<never>) =>
            isObserved(context) ? Effect.succeed(bare.streamText(options)) : streamTurn(hooks, options)
          ))
          : bare.streamText(options)
    })
  })

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

interface TurnOptions extends CallOptions {
  readonly toolkit: Toolkit.Any
}

const isTurn = (options: CallOptions): options is TurnOptions =>
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
      catch: invalidPart
    }))
})

const toPart = (part: Response.StreamPartEncoded): Part => {
  switch (part.type) {
    case "text-start":
      return Response.makePart("text-start", part)
    case "text-delta":
      return Response.makePart("text-delta", part)
    case "text-end":
      return Response.makePart("text-end", part)
    case "reasoning-start":
      return Response.makePart("reasoning-start", part)
    case "reasoning-delta":
      return Response.makePart("reasoning-delta", part)
    case "reasoning-end":
      return Response.makePart("reasoning-end", part)
    case "tool-params-delta":
      return Response.makePart("tool-params-delta", part)
    case "tool-params-end":
      return Response.makePart("tool-params-end", part)
    case "tool-call":
      return Response.makePart("tool-call", { ...part, providerExecuted: part.providerExecuted ?? false })
    case "finish":
      // What a provider's response was like has a schema of its own.
      return part.response === undefined
        ? Response.makePart("finish", withUsage(part))
        : decodePart(part)
    default:
      return decodePart(part)
  }
}

type FinishParams = Parameters<typeof Response.makePart<"finish">>[1]

// The type of the part has a field `response` that a part without one has not.
const withUsage = (part: Response.FinishPartEncoded) => ({ ...part, usage: decodeUsage(part.usage) }) as FinishParams

const decodeUsage = Schema.decodeUnknownSync(Response.Usage)

const decodePart = Schema.decodeUnknownSync(Response.StreamPart())

const invalidPart = (error: unknown): AiError.AiError =>
  AiError.make({
    module: "LanguageModel",
    method: "streamText",
    reason: Schema.isSchemaError(error)
      ? AiError.InvalidOutputError.fromSchemaError(error)
      : new AiError.InvalidOutputError({ description: String(error) })
  })
