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
import { toJson } from "../json.ts"
import { lazy } from "../lazy.ts"
import { type Answer, type CallOptions, fromBare, type Part, toBare } from "./bareModel.ts"
import * as CallSpan from "./callSpan.ts"
import { carrier } from "./carried.ts"
import { onDirectCall } from "./directCall.ts"

/** As a provider answers: what `LanguageModel.make` takes. */
export interface Hooks {
  readonly generateText: (
    request: LanguageModel.ProviderOptions
  ) => Effect.Effect<Array<Response.PartEncoded>, AiError.AiError>
  readonly streamText: (
    request: LanguageModel.ProviderOptions
  ) => Stream.Stream<Response.StreamPartEncoded, AiError.AiError>
  readonly codecTransformer?: LanguageModel.CodecTransformer | undefined
  /** The model whose calls these are, to be told in spans and metrics; without it, they are told elsewhere. */
  readonly observed?: CallSpan.Observed | undefined
  readonly supportsSystemMessagesInHistory?: LanguageModel.LanguageModel["supportsSystemMessagesInHistory"] | undefined
}

export const make = (hooks: Hooks): Effect.Effect<LanguageModel.LanguageModel> =>
  Effect.map(LanguageModel.make(hiding(telling(hooks))), (service) => {
    const bare = toBare(service)
    return fromBare(service, {
      generateText: (options) => Effect.andThen(onDirectCall, Effect.map(bare.generateText(options), showAll)),
      generateObject: (options) => Effect.andThen(onDirectCall, Effect.map(bare.generateObject(options), showAll)),
      streamText: (options) =>
        isTurn(options)
          ? Stream.unwrap(Effect.contextWith((context: Context.Context<never>) =>
            isObserved(context) ? Effect.succeed(shown(bare.streamText(options))) : streamTurn(hooks, options)
          ))
          : Stream.unwrap(Effect.as(onDirectCall, shown(bare.streamText(options))))
    })
  })

/** A streamed part as the turn loop reads it. Throws where it is none. */
export const toPart = (part: Response.StreamPartEncoded): Part => {
  switch (part.type) {
    case "text-start":
      return Response.makePart("text-start", part)
    // As `makePart` makes them, which takes twenty times as long: an answer may have some thousand of them.
    case "text-delta":
      return {
        [PartTypeId]: PartTypeId,
        type: "text-delta",
        id: part.id,
        delta: part.delta,
        metadata: part.metadata ?? {}
      }
    case "text-end":
      return Response.makePart("text-end", part)
    case "reasoning-start":
      return Response.makePart("reasoning-start", part)
    case "reasoning-delta":
      return {
        [PartTypeId]: PartTypeId,
        type: "reasoning-delta",
        id: part.id,
        delta: part.delta,
        metadata: part.metadata ?? {}
      }
    case "reasoning-end":
      return Response.makePart("reasoning-end", part)
    case "tool-params-delta":
      return Response.makePart("tool-params-delta", part)
    case "tool-params-end":
      return Response.makePart("tool-params-end", part)
    case "tool-call":
      return Response.makePart("tool-call", { ...part, providerExecuted: part.providerExecuted ?? false })
    case "finish":
      return Response.makePart("finish", withUsage(part))
    default:
      return decodePart()(part)
  }
}

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const telling = ({ generateText, observed, streamText, ...rest }: Hooks): Hooks =>
  observed === undefined ? { ...rest, generateText, streamText } : {
    ...rest,
    generateText: (request) => CallSpan.around(observed, request, generateText(request)),
    streamText: (request) => CallSpan.aroundStream(observed, request, streamText(request))
  }

/** Parts that Effect would refuse or misread pass its schemas in the metadata of an empty piece of reasoning. */
const hiding = ({ generateText, streamText, ...rest }: Hooks): Hooks => ({
  ...rest,
  generateText: (request) =>
    Effect.map(
      generateText(request),
      (parts) =>
        parts.map((part): Response.PartEncoded =>
          isUndeclared(part, request) || isComment(part, request)
            ? { type: "reasoning", text: "", metadata: hide(part) }
            : part
        )
    ),
  streamText: (request) =>
    Stream.mapArray(
      streamText(request),
      (parts) =>
        Arr.map(parts, (part): Response.StreamPartEncoded =>
          isUndeclared(part, request) ? { type: "reasoning-delta", id: "", delta: "", metadata: hide(part) } : part)
    )
})

/** Effect reads only the tools of the toolkit, and a provider may run others: those of an MCP server, for example. */
const isUndeclared = (
  part: Response.PartEncoded | Response.StreamPartEncoded,
  { tools }: LanguageModel.ProviderOptions
): boolean =>
  (part.type === "tool-call" || part.type === "tool-result") && part.providerExecuted === true &&
  !tools.some(({ name }) => name === part.name)

/** Effect reads an object out of all texts together, and OpenAI's models may comment on their work before it. */
const isComment = (part: Response.PartEncoded, { responseFormat }: LanguageModel.ProviderOptions): boolean =>
  responseFormat.type === "json" && part.type === "text" &&
  Object.values(part.metadata ?? {}).some((fields) => hasProperty(fields, "phase") && fields.phase === "commentary")

const hide = (part: unknown): Response.ProviderMetadata => ({ [carrier]: { hidden: toJson(part) } })

const shown = (stream: Stream.Stream<Part, AiError.AiError>): Stream.Stream<Part, AiError.AiError> =>
  Stream.mapArray(stream, (parts) => Arr.map(parts, (part) => show(part)))

const showAll = (answer: Answer): Answer => {
  const content = answer.content.map((part) => show(part))
  return answer instanceof LanguageModel.GenerateObjectResponse
    ? new LanguageModel.GenerateObjectResponse(answer.value, content)
    : new LanguageModel.GenerateTextResponse(content)
}

const show = <P extends Part | Answer["content"][number]>(part: P): P => {
  const carried = part.metadata[carrier]
  return hasProperty(carried, "hidden") ? decodeAny()(carried.hidden) as P : part
}

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
  const outer = yield* CallSpan.Outer
  const observed = outer === undefined ? hooks.observed : undefined
  if (hooks.observed !== undefined) outer?.(hooks.observed.settings)
  const span = yield* observed === undefined
    ? Effect.makeSpanScoped("LanguageModel.streamText", { kind: "client" })
    : Effect.makeSpanScoped(observed.name, CallSpan.spanOptions(observed))
  const tools = Object.values(toolkit.tools)
  const request: LanguageModel.ProviderOptions = {
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
  }
  const parts = hooks.streamText(request)
  return observed === undefined
    ? Stream.mapArrayEffect(parts, convert)
    : yield* CallSpan.streamOn(observed, span, request, parts, convert)
})

const convert = (
  parts: Arr.NonEmptyReadonlyArray<Response.StreamPartEncoded>
): Effect.Effect<Arr.NonEmptyReadonlyArray<Part>, AiError.AiError> => {
  try {
    return Effect.succeed(Arr.map(parts, toPart))
  } catch (error) {
    return Effect.fail(invalidPart(error))
  }
}

const PartTypeId = "~effect/ai/Response/Part"

type FinishParams = Parameters<typeof Response.makePart<"finish">>[1]

// The type of the part has a field `response` that a part without one has not.
const withUsage = (part: Response.FinishPartEncoded) => ({ ...part, usage: decodeUsage()(part.usage) }) as FinishParams

const decodeUsage = lazy(() => Schema.decodeUnknownSync(Response.Usage))

const decodeAny = lazy(() => Schema.decodeUnknownSync(Response.AllParts()))

const decodePart = lazy(() => Schema.decodeUnknownSync(Response.StreamPart()))

const invalidPart = (error: unknown): AiError.AiError =>
  AiError.make({
    module: "LanguageModel",
    method: "streamText",
    reason: Schema.isSchemaError(error)
      ? AiError.InvalidOutputError.fromSchemaError(error)
      : new AiError.InvalidOutputError({ description: String(error) })
  })
