/**
 * Splits a model's call from the tools around it: what is asked of the model is a bare call, which leaves its tool
 * calls for others to answer.
 *
 * @internal
 */
import type * as AiError from "effect/ai/AiError"
import type * as LanguageModel from "effect/ai/LanguageModel"
import * as Response from "effect/ai/Response"
import type * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { lazy } from "../lazy.ts"

export type Tools = Record<string, Tool.Any>

export type Part = Response.StreamPart<Tools, "deferred">

export type Answer = LanguageModel.GenerateTextResponse<Tools, "deferred">

/** A part in any of the forms that it takes on its way. */
export type AnyPart = Part | Answer["content"][number] | Response.PartEncoded | Response.StreamPartEncoded

export interface CallOptions extends Omit<LanguageModel.GenerateTextOptions<Tools>, "toolkit" | "toolChoice"> {
  readonly toolkit?: Toolkit.Any | Effect.Effect<Toolkit.WithHandler<Tools>> | undefined
  readonly toolChoice?: LanguageModel.ToolChoice<string> | undefined
  readonly schema?: Schema.Top | undefined
  readonly objectName?: string | undefined
}

/**
 * A `LanguageModel` whose signatures leave out what the toolkit and the schema of one call require and fail with: that
 * is between the caller and the call, and in the fiber's context when it runs.
 */
export interface BareModel {
  readonly generateText: (options: CallOptions) => Effect.Effect<Answer, AiError.AiError>
  readonly generateObject: (options: CallOptions) => Effect.Effect<Answer, AiError.AiError>
  readonly streamText: (options: CallOptions) => Stream.Stream<Part, AiError.AiError>
}

export const toBare = (model: LanguageModel.LanguageModel): BareModel => model as unknown as BareModel

/** The model again, with other calls behind its signatures. */
export const fromBare = (model: LanguageModel.LanguageModel, calls: BareModel): LanguageModel.LanguageModel =>
  ({ ...model, ...calls }) as unknown as LanguageModel.LanguageModel

/** Makes a bare call and gives its answer as a provider would. */
export const generate = (
  model: BareModel,
  request: LanguageModel.ProviderOptions
): Effect.Effect<Array<Response.PartEncoded>, AiError.AiError> =>
  request.responseFormat.type === "json"
    ? generateObject(model, toOptions(request), request.responseFormat)
    : Effect.map(model.generateText(toOptions(request)), ({ content }) => content.map((part) => encodePart(part)))

/** Makes a bare streamed call and gives its parts as a provider would. */
export const stream = (
  model: BareModel,
  request: LanguageModel.ProviderOptions
): Stream.Stream<Response.StreamPartEncoded, AiError.AiError> =>
  Stream.map(model.streamText(toOptions(request)), (part) => encodeStreamPart(part))

/** A streamed part as a provider would give it. */
export const encodeStreamPart = (part: Part): Response.StreamPartEncoded =>
  encodeAnyStreamPart()(withEncodedResult(part))

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const toOptions = ({ prompt, toolChoice, tools }: LanguageModel.ProviderOptions): CallOptions => ({
  prompt,
  toolkit: Toolkit.make(...tools),
  toolChoice,
  disableToolCallResolution: true,
  toolCallValidation: "deferred"
})

// The provider may have fitted the schema to what it takes, so its text is not what the caller's schema reads: the
// value is.
const generateObject = (
  model: BareModel,
  options: CallOptions,
  { objectName, schema }: Extract<LanguageModel.ProviderOptions["responseFormat"], { type: "json" }>
): Effect.Effect<Array<Response.PartEncoded>, AiError.AiError> =>
  Effect.map(model.generateObject({ ...options, objectName, schema }), (answer) => [
    { type: "text", text: encodeObject(schema, "value" in answer ? answer.value : undefined) },
    ...answer.content.filter((part) => part.type !== "text").map((part) => encodePart(part))
  ])

const encodeObject = (schema: Schema.Top, value: unknown): string =>
  Schema.encodeUnknownSync(Schema.fromJsonString(schema as Schema.Codec<unknown>))(value)

const withEncodedResult = <P extends { readonly type: string }>(part: P) =>
  "encodedResult" in part ? { ...part, result: part.encodedResult } : part

const encodeAnyPart = lazy(() => Schema.encodeUnknownSync(Response.Part()))

const encodeAnyStreamPart = lazy(() => Schema.encodeUnknownSync(Response.StreamPart()))

const encodePart = (part: Answer["content"][number]): Response.PartEncoded => encodeAnyPart()(withEncodedResult(part))
