/**
 * Turns AI SDK content and stream parts into Effect response parts.
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

export type StreamPart = LanguageModelV4StreamPart | LanguageModelV3StreamPart

export type GenerateResult = LanguageModelV4GenerateResult | LanguageModelV3GenerateResult

/** The parts of a whole answer, with the response's metadata first and the finish part last. */
export const toParts = (result: GenerateResult, headers: Headers): Array<Response.PartEncoded> => [
  toResponseMetadata(result.response),
  ...result.content.flatMap((content) => toPart(content)),
  toFinish(result, headers)
]

/** Nothing for the parts that Effect has no name for. */
export const toStreamPart = (part: StreamPart, headers: Headers): Response.StreamPartEncoded | undefined => {
  switch (part.type) {
    case "text-delta":
    case "reasoning-delta":
      return part.providerMetadata === undefined
        ? { type: part.type, id: part.id, delta: part.delta }
        : { type: part.type, id: part.id, delta: part.delta, ...toMetadata(part) }
    case "text-start":
    case "text-end":
    case "reasoning-start":
    case "reasoning-end":
      return { type: part.type, id: part.id, ...toMetadata(part) }
    case "tool-input-start":
      return {
        type: "tool-params-start",
        id: part.id,
        name: part.toolName,
        providerExecuted: part.providerExecuted === true,
        ...toMetadata(part)
      }
    case "tool-input-delta":
      return { type: "tool-params-delta", id: part.id, delta: part.delta, ...toMetadata(part) }
    case "tool-input-end":
      return { type: "tool-params-end", id: part.id, ...toMetadata(part) }
    case "response-metadata":
      return toResponseMetadata(part)
    case "finish":
      return toFinish(part, headers)
    case "stream-start":
    case "ping":
    case "raw":
    case "error":
      return undefined
    default:
      return toToolOrFile(part)
  }
}

/** Whether a finish part only says that the provider's stream ran out: the provider never sent a reason of its own. */
export const isTruncated = ({ raw, unified }: LanguageModelV4FinishReason | LanguageModelV3FinishReason): boolean =>
  raw === undefined && (unified === "interrupted" || unified === "other" || unified === "error")

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

type Content = LanguageModelV4Content | LanguageModelV3Content

type Headers = Record<string, string>

const toPart = (content: Content): Array<Response.PartEncoded> => {
  switch (content.type) {
    case "text":
    case "reasoning":
      return [{ type: content.type, text: content.text, ...toMetadata(content) }]
    default: {
      const part = toToolOrFile(content)
      return part === undefined ? [] : [part]
    }
  }
}

type ToolOrFile =
  | Response.ToolCallPartEncoded
  | Response.ToolResultPartEncoded
  | Response.ToolApprovalRequestPartEncoded
  | Response.FilePartEncoded
  | Response.UrlSourcePartEncoded
  | Response.DocumentSourcePartEncoded

// `text` and `reasoning` are content only, and both callers have taken what is special to them.
const toToolOrFile = (
  content: Exclude<Content, { readonly type: "text" | "reasoning" }>
): ToolOrFile | undefined => {
  switch (content.type) {
    case "tool-call":
      return {
        type: "tool-call",
        id: content.toolCallId,
        name: content.toolName,
        params: parseParams(content.input),
        providerExecuted: content.providerExecuted === true,
        ...toMetadata(content)
      }
    case "tool-result":
      return {
        type: "tool-result",
        id: content.toolCallId,
        name: content.toolName,
        result: content.result,
        isFailure: content.isError === true,
        providerExecuted: true,
        preliminary: content.preliminary === true,
        ...toMetadata(content)
      }
    case "tool-approval-request":
      return {
        type: content.type,
        approvalId: content.approvalId,
        toolCallId: content.toolCallId,
        ...toMetadata(content)
      }
    case "file":
      return toFile(content)
    case "source":
      return toSource(content)
    case "custom":
    case "reasoning-file":
      return undefined
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
  { data, mediaType, ...file }: Extract<Content, { type: "file" }>
): Response.FilePartEncoded | Response.UrlSourcePartEncoded => {
  const metadata = toMetadata(file)
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

const toFinish = (
  finish: {
    readonly finishReason: LanguageModelV4FinishReason | LanguageModelV3FinishReason
    readonly usage: LanguageModelV4Usage | LanguageModelV3Usage
    readonly providerMetadata?: Metadata
  },
  headers: Headers
): Response.FinishPartEncoded => {
  const { inputTokens, outputTokens } = finish.usage
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
    ...toMetadata(finish)
  }
}

const toFinishReason = (
  { raw, unified }: LanguageModelV4FinishReason | LanguageModelV3FinishReason
): Response.FinishReason => {
  // Anthropic's word for "send this back and I go on", which the AI SDK reads as a plain stop.
  if (raw === "pause_turn") return "pause"
  return unified === "interrupted" ? "unknown" : unified
}

type Metadata = LanguageModelV4GenerateResult["providerMetadata"]

const toMetadata = ({ providerMetadata }: { readonly providerMetadata?: Metadata }) =>
  providerMetadata === undefined ? undefined : { metadata: withoutUndefined(providerMetadata) }

// Providers leave undefined fields in what they call JSON, and Effect's schema of metadata takes none.
const withoutUndefined = (metadata: NonNullable<Metadata>): Response.ProviderMetadata =>
  JSON.parse(JSON.stringify(metadata))
