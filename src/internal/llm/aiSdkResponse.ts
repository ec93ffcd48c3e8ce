/**
 * Turns AI SDK content and stream parts into Effect response parts.
 *
 * Whatever Effect's parts have no field for goes along in their metadata, see `carried.ts`.
 *
 * @internal
 */
import type {
  LanguageModelV3Content,
  LanguageModelV3FinishReason,
  LanguageModelV3GenerateResult,
  LanguageModelV3StreamPart,
  LanguageModelV3Usage,
  LanguageModelV4Content,
  LanguageModelV4FinishReason,
  LanguageModelV4GenerateResult,
  LanguageModelV4ResponseMetadata,
  LanguageModelV4StreamPart,
  LanguageModelV4Usage
} from "@ai-sdk/provider"
import type * as Response from "effect/ai/Response"
import * as Tool from "effect/ai/Tool"
import * as Base64 from "effect/encoding/Base64"
import * as Predicate from "effect/Predicate"
import { toJson } from "../json.ts"
import { type Carried, carry } from "./carried.ts"

export type StreamPart = LanguageModelV4StreamPart | LanguageModelV3StreamPart

export type GenerateResult = LanguageModelV4GenerateResult | LanguageModelV3GenerateResult

export type Finish = Pick<GenerateResult, "finishReason" | "usage" | "providerMetadata">

/** What is known of an answer before it is read. */
export interface Source {
  /** The AI SDK's name of the provider and its API: `openai.responses`. */
  readonly provider: string
  /** The name that the user gave a tool of the provider. */
  readonly customName: (providerName: string) => string
  /** The response's headers without credentials. */
  readonly headers: Record<string, string>
}

/** The parts of a whole answer, with the response's metadata first and the finish part last. */
export const toParts = (result: GenerateResult, source: Source): Array<Response.PartEncoded> => [
  toResponseMetadata(result.response),
  ...result.content.flatMap((content) => toPart(content, source)),
  toFinish(result, source)
]

/** Adds what a part of a stream says: nothing where Effect has no name for it, and two parts where it has no one part. */
export const addStreamParts = (
  part: StreamPart,
  source: Source,
  parts: Array<Response.StreamPartEncoded>
): void => {
  switch (part.type) {
    case "text-delta":
    case "reasoning-delta":
      parts.push(
        part.providerMetadata === undefined
          ? { type: part.type, id: part.id, delta: part.delta }
          : { type: part.type, id: part.id, delta: part.delta, ...toMetadata(part) }
      )
      return
    case "text-end":
      parts.push({ type: part.type, id: part.id, ...toMetadata(part, citationsOf(part)) })
      return
    case "text-start":
    case "reasoning-start":
    case "reasoning-end":
      parts.push({ type: part.type, id: part.id, ...toMetadata(part) })
      return
    case "tool-input-start":
      parts.push({
        type: "tool-params-start",
        id: part.id,
        name: source.customName(part.toolName),
        providerExecuted: part.providerExecuted === true,
        ...toMetadata(part)
      })
      return
    case "tool-input-delta":
      parts.push({ type: "tool-params-delta", id: part.id, delta: part.delta, ...toMetadata(part) })
      return
    case "tool-input-end":
      parts.push({ type: "tool-params-end", id: part.id, ...toMetadata(part) })
      return
    case "response-metadata":
      parts.push(toResponseMetadata(part))
      return
    case "finish":
      parts.push(toFinish(part, source))
      return
    case "custom":
      if (!isNoPart(part)) {
        const id = `custom ${part.kind}`
        const custom = { custom: part.kind }
        parts.push({ type: "reasoning-start", id, ...toMetadata(part, custom) })
        parts.push({ type: "reasoning-end", id, ...toMetadata({}, custom) })
      }
      return
    case "stream-start":
    case "ping":
    case "raw":
    case "error":
      return
    default:
      parts.push(toToolOrFile(part, source))
  }
}

/** Whether a finish part only says that the provider's stream ran out: the provider never sent a reason of its own. */
export const isTruncated = ({ raw, unified }: Finish["finishReason"]): boolean =>
  raw === undefined && (unified === "interrupted" || unified === "other" || unified === "error")

/** Whether a whole answer is one that the provider still works on. */
export const isInProgress = ({ response }: GenerateResult): boolean =>
  Predicate.hasProperty(response?.body, "status") &&
  (response.body.status === "in_progress" || response.body.status === "queued")

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

type Content = LanguageModelV4Content | LanguageModelV3Content

const toPart = (content: Content, source: Source): Array<Response.PartEncoded> => {
  switch (content.type) {
    case "text":
      return [{ type: "text", text: content.text, ...toMetadata(content, citationsOf(content)) }]
    case "reasoning":
      return [{ type: "reasoning", text: content.text, ...toMetadata(content) }]
    case "custom":
      return isNoPart(content)
        ? []
        : [{ type: "reasoning", text: "", ...toMetadata(content, { custom: content.kind }) }]
    default:
      return [toToolOrFile(content, source)]
  }
}

// What it says of the message is in the metadata of the response and of its end.
const isNoPart = ({ kind }: Extract<Content, { readonly type: "custom" }>) => kind === "anthropic.message_start"

type ToolOrFile =
  | Response.ToolCallPartEncoded
  | Response.ToolResultPartEncoded
  | Response.ToolApprovalRequestPartEncoded
  | Response.FilePartEncoded
  | Response.UrlSourcePartEncoded
  | Response.DocumentSourcePartEncoded

// The other kinds are not the same in a stream and in a whole answer, and both callers have taken them.
const toToolOrFile = (
  content: Exclude<Content, { readonly type: "text" | "reasoning" | "custom" }>,
  { customName, provider }: Source
): ToolOrFile => {
  switch (content.type) {
    case "tool-call": {
      const providerExecuted = content.providerExecuted === true
      return {
        type: "tool-call",
        id: content.toolCallId,
        name: customName(content.toolName),
        params: parseParams(content.input),
        providerExecuted,
        ...toMetadata(content, providerExecuted ? { by: provider } : undefined)
      }
    }
    case "tool-result":
      return {
        type: "tool-result",
        id: content.toolCallId,
        name: customName(content.toolName),
        result: toJson(content.result),
        isFailure: content.isError === true,
        providerExecuted: true,
        preliminary: content.preliminary === true,
        ...toMetadata(content, { by: provider })
      }
    case "tool-approval-request":
      return {
        type: content.type,
        approvalId: content.approvalId,
        toolCallId: content.toolCallId,
        ...toMetadata(content)
      }
    case "file":
      return toFile(content, undefined)
    case "reasoning-file":
      return toFile(content, { reasoning: true })
    case "source":
      return toSource(content)
  }
}

// What is not JSON stays a string: it cannot decode as a tool's parameters, which tells the model what it got wrong.
const parseParams = (input: string): unknown => {
  if (input.trim() === "") return {}
  try {
    return Tool.unsafeSecureJsonParse(input)
  } catch {
    return input
  }
}

const toFile = (
  { data, mediaType, ...file }: Extract<Content, { type: "file" | "reasoning-file" }>,
  carried: Carried | undefined
): Response.FilePartEncoded | Response.UrlSourcePartEncoded => {
  const metadata = toMetadata(file, carried)
  const content = Predicate.hasProperty(data, "type") ? (data.type === "data" ? data.data : data.url) : data
  return content instanceof URL
    // Effect's file part holds bytes only.
    ? { type: "source", sourceType: "url", id: content.href, url: content.href, title: mediaType, ...metadata }
    : { type: "file", mediaType, data: typeof content === "string" ? content : Base64.encode(content), ...metadata }
}

const toSource = (
  source: Extract<Content, { type: "source" }>
): Response.UrlSourcePartEncoded | Response.DocumentSourcePartEncoded =>
  source.sourceType === "url"
    ? {
      type: "source",
      sourceType: "url",
      id: source.id,
      url: source.url,
      title: source.title ?? source.url,
      ...toMetadata(source)
    }
    : {
      type: "source",
      sourceType: "document",
      id: source.id,
      mediaType: source.mediaType,
      title: source.title,
      ...(source.filename === undefined ? undefined : { fileName: source.filename }),
      ...toMetadata(source)
    }

const toResponseMetadata = (
  response: LanguageModelV4ResponseMetadata | undefined
): Response.ResponseMetadataPartEncoded => ({
  type: "response-metadata",
  id: response?.id,
  modelId: response?.modelId,
  timestamp: response?.timestamp?.toISOString()
})

const toFinish = (finish: Finish, { headers }: Source): Response.FinishPartEncoded => {
  const { raw: finishReason } = finish.finishReason
  const { inputTokens, outputTokens, raw: usage }: LanguageModelV4Usage | LanguageModelV3Usage = finish.usage
  return {
    type: "finish",
    reason: toFinishReason(finish.finishReason),
    usage: {
      inputTokens: {
        total: inputTokens.total,
        uncached: inputTokens.noCache,
        cacheRead: inputTokens.cacheRead,
        cacheWrite: inputTokens.cacheWrite
      },
      outputTokens: { total: outputTokens.total, text: outputTokens.text, reasoning: outputTokens.reasoning }
    },
    response: { status: 200, headers },
    ...toMetadata(finish, {
      ...(finishReason !== undefined && { finishReason }),
      ...(usage !== undefined && { usage: toJson(usage) })
    })
  }
}

const toFinishReason = (
  { raw, unified }: LanguageModelV4FinishReason | LanguageModelV3FinishReason
): Response.FinishReason => {
  // Anthropic's word for "send this back and I go on", which the AI SDK reads as a plain stop.
  if (raw === "pause_turn") return "pause"
  return unified === "interrupted" ? "unknown" : unified
}

const citationsOf = (text: object): Carried | undefined =>
  "citations" in text && text.citations !== undefined ? { citations: toJson(text.citations) } : undefined

type Metadata = LanguageModelV4GenerateResult["providerMetadata"]

const toMetadata = ({ providerMetadata }: { readonly providerMetadata?: Metadata }, carried?: Carried) => {
  // Providers leave undefined fields in what they call JSON, and Effect's schema of metadata takes none.
  const metadata: Response.ProviderMetadata | undefined = providerMetadata &&
    JSON.parse(JSON.stringify(providerMetadata))
  if (carried !== undefined && Object.keys(carried).length > 0) return { metadata: carry(metadata, carried) }
  return metadata && { metadata }
}
