/**
 * What goes between a program and the world, as JSON and back.
 *
 * @internal
 */
import * as AiError from "effect/ai/AiError"
import * as Prompt from "effect/ai/Prompt"
import type * as Response from "effect/ai/Response"
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import { hasProperty, isString } from "effect/Predicate"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { ToolFailed } from "../../AgentError.ts"
import { AgentEvent } from "../../AgentEvent.ts"
import * as Approvals from "../../Approvals.ts"
import type { Part } from "../../Tap.ts"
import { Transcript } from "../../Transcript.ts"
import type { Outcome } from "../agent/outcome.ts"
import { errorMessage } from "../errorMessage.ts"
import { toJson } from "../json.ts"
import { lazy } from "../lazy.ts"
import { encodeStreamPart } from "../llm/bareModel.ts"
import { toPart } from "../llm/languageModel.ts"
import { retype } from "../retype.ts"

/** A value as JSON, and back. */
export interface Codec<A> {
  readonly encode: (value: A) => Schema.Json
  readonly decode: (json: Schema.Json) => A
}

/** What answers a call: items while it goes on, and its exit. */
export type Answer<I, A, E> =
  | { readonly _tag: "Item"; readonly item: I }
  | { readonly _tag: "Exit"; readonly exit: Exit.Exit<A, E> }

/** The codec of the answers to calls of one kind. */
export const answer = <I, A, E>(item: Codec<I>, value: Codec<A>, error: Codec<E>): Codec<Answer<I, A, E>> => ({
  encode: (answer) => {
    if (answer._tag === "Item") return { item: item.encode(answer.item) }
    const { exit } = answer
    if (Exit.isSuccess(exit)) return { result: value.encode(exit.value) }
    const failure = Cause.findError(exit.cause)
    if (Result.isSuccess(failure)) return { error: error.encode(failure.success) }
    return Cause.hasInterruptsOnly(exit.cause)
      ? { interrupted: true }
      : { defect: errorMessage(Cause.squash(exit.cause)) }
  },
  decode: (json) => {
    if (hasProperty(json, "item")) return { _tag: "Item", item: item.decode(retype(json.item)) }
    return { _tag: "Exit", exit: decodeExit(json, value, error) }
  }
})

const decodeExit = <A, E>(json: Schema.Json, value: Codec<A>, error: Codec<E>): Exit.Exit<A, E> => {
  if (hasProperty(json, "result")) return Exit.succeed(value.decode(retype(json.result)))
  if (hasProperty(json, "error")) return Exit.fail(error.decode(retype(json.error)))
  if (hasProperty(json, "interrupted")) return Exit.interrupt()
  return Exit.die(new Error(hasProperty(json, "defect") ? String(json.defect) : "the answer is none"))
}

export const fromSchema = <A, I>(make: () => Schema.Codec<A, I>): Codec<A> => {
  const codec = lazy(() => {
    const json = Schema.toCodecJson(make())
    return { encode: Schema.encodeSync(json), decode: Schema.decodeUnknownSync(json) }
  })
  return { encode: (value) => codec().encode(value), decode: (json) => codec().decode(json) }
}

/** Values that are JSON already. */
const asItIs = <A>(): Codec<A> => ({ encode: (value) => toJson(value), decode: (json) => retype(json) })

export const nothing: Codec<void> = { encode: () => null, decode: () => undefined }

/** A message of a request; one with files or other things that JSON does not have goes through its schema. */
export const encodeMessage = (message: Prompt.Message): unknown => {
  const { content, role } = message
  if (typeof content === "string") return { role, content, ...optionsOf(message) }
  return isPlain(content)
    ? { role, content: content.map(plainPart), ...optionsOf(message) }
    : anyMessage.encode(message)
}

const isPlain = (content: ReadonlyArray<{ readonly type: string }>): boolean =>
  content.every((part) => part.type !== "file" && !("modelOutput" in part))

const anyMessage = fromSchema(() => Prompt.Message)

const plainPart = (part: PromptPart): unknown => {
  if (part.type === "tool-use") return part
  const { "~effect/ai/Prompt/Part": _, options, ...rest } = part
  for (const _ in options) return { ...rest, options }
  return rest
}

interface PromptPart {
  readonly type: string
  readonly "~effect/ai/Prompt/Part"?: string
  readonly options?: object
}

const optionsOf = ({ options }: { readonly options: object }) => {
  for (const _ in options) return { options }
  return undefined
}

/** A part whose fields are JSON already is taken as it is. */
const encodePart = (part: Part): unknown => {
  switch (part.type) {
    case "text-start":
    case "text-delta":
    case "text-end":
    case "reasoning-start":
    case "reasoning-delta":
    case "reasoning-end":
    case "tool-params-start":
    case "tool-params-delta":
    case "tool-params-end":
    case "tool-call":
      return readable(part)
    case "finish":
      return readable(part.response === undefined ? part : encodeStreamPart(part))
    default:
      return readable(encodeStreamPart(part))
  }
}

/** Without what only the program is interested in. */
const readable = (part: {
  readonly type: string
  readonly metadata?: object | undefined
  readonly "~effect/ai/Response/Part"?: string
}): unknown => {
  const { "~effect/ai/Response/Part": _, metadata, type, ...rest } = part
  for (const _ in metadata) return { type, ...rest, metadata }
  return { type, ...rest }
}

export const parts: Codec<ReadonlyArray<Part>> = {
  encode: (parts) => retype(parts.map(encodePart)),
  decode: (json) => retype<ReadonlyArray<Response.StreamPartEncoded>>(json).map(toPart)
}

const anyEvent = fromSchema(() => AgentEvent)

/** An event as JSON. Of those with nothing but JSON in them no copy is made. */
export const encodeEvent = (event: AgentEvent): Schema.Json => {
  switch (event._tag) {
    case "File":
      return anyEvent.encode(event)
    case "Completed":
      return encodeCompleted(event)
    default:
      return retype(event)
  }
}

const encodeCompleted = (event: Extract<AgentEvent, { readonly _tag: "Completed" }>): Schema.Json => {
  const { response } = event
  const { entries } = response.transcript
  if (!entries.every(({ content }) => isPlain(content))) return anyEvent.encode(event)
  const transcript = entries.map((entry) => Object.assign({}, entry, { content: entry.content.map(plainPart) }))
  return retype({ ...event, response: { ...response, transcript } })
}

export const events: Codec<ReadonlyArray<AgentEvent>> = {
  encode: (events) => events.map(encodeEvent),
  // The fields stay in their order, so that the events are the same texts again.
  decode: (json) =>
    retype<ReadonlyArray<Schema.JsonObject>>(json).map((event) => Object.assign({}, event, anyEvent.decode(event)))
}

const modelOutput = fromSchema(() => Schema.Array(Prompt.ToolModelOutputPart))

export const outcome: Codec<Outcome> = {
  encode: ({ modelOutput: output, ...outcome }) => ({
    ...retype<Schema.JsonObject>(outcome),
    ...(output && { modelOutput: modelOutput.encode(output) })
  }),
  decode: (json) => {
    const { modelOutput: output, ...outcome } = retype<Outcome>(json)
    return { ...outcome, ...(output && { modelOutput: modelOutput.decode(retype(output)) }) }
  }
}

export const transcript: Codec<Transcript> = fromSchema(() => Transcript)

export const vectors = asItIs<ReadonlyArray<ReadonlyArray<number>>>()

export const aiError: Codec<AiError.AiError> = fromSchema(() => AiError.AiError)

export const toolFailed: Codec<ToolFailed> = fromSchema(() => ToolFailed)

/** Any error: one that nobody knows the schema of keeps its tag, name and message. */
export const anyError = <E>(): Codec<E> => ({
  encode: (error) => {
    if (AiError.isAiError(error)) return aiError.encode(error)
    const tag = hasProperty(error, "_tag") && isString(error._tag) ? error._tag : undefined
    return { ...(tag !== undefined && { _tag: tag }), message: errorMessage(error) }
  },
  decode: (json) => {
    if (hasProperty(json, "_tag") && json._tag === "AiError") return retype(aiError.decode(json))
    return retype(Object.assign(new Error(), json))
  }
})

export const request: Codec<Approvals.ApprovalRequest> = fromSchema(() => Approvals.ApprovalRequest)

export const requests: Codec<ReadonlyArray<Approvals.ApprovalRequest>> = fromSchema(() =>
  Schema.Array(Approvals.ApprovalRequest)
)

export const changes: Codec<ReadonlyArray<Approvals.Change>> = fromSchema(() => Schema.Array(Approvals.Change))

export const decision: Codec<Approvals.Decision> = fromSchema(() => Approvals.Decision)

export const undecided: Codec<
  Approvals.UnknownApproval | Approvals.AlreadyDecided | Approvals.InvalidDecision
> = fromSchema(() => Schema.Union([Approvals.UnknownApproval, Approvals.AlreadyDecided, Approvals.InvalidDecision]))

/** Where there is no such thing. */
export const never: Codec<never> = {
  encode: () => null,
  decode: () => retype<never>(undefined)
}
