/**
 * Turns an Effect prompt into an AI SDK prompt.
 *
 * Part and message `options` become `providerOptions` as they are, which is how reasoning signatures, encrypted
 * reasoning and item ids that arrived as response metadata travel back to the provider.
 *
 * @internal
 */
import type {
  JSONObject,
  LanguageModelV3Message,
  LanguageModelV3Prompt,
  LanguageModelV4FilePart,
  LanguageModelV4Message,
  LanguageModelV4Prompt,
  LanguageModelV4ToolApprovalResponsePart,
  LanguageModelV4ToolResultOutput,
  LanguageModelV4ToolResultPart,
  SharedV4FileData,
  SharedV4ProviderOptions
} from "@ai-sdk/provider"
import type * as Prompt from "effect/ai/Prompt"
import * as Base64 from "effect/encoding/Base64"
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import { toJson } from "../json.ts"
import { carriedIn, carrier } from "./carried.ts"
import { mergeProviderOptions } from "./settings.ts"

/** What is special to who reads the prompt. */
export interface PromptDialect {
  /** The provider's own name of a tool. */
  readonly providerName: (customName: string) => string
  /** Whether a tool takes a plain string instead of an object. */
  readonly takesText: (customName: string) => boolean
  /** Whether it reads files of text. Otherwise they are sent as text. */
  readonly takesTextFiles: boolean
}

export const toPrompt = (messages: ReadonlyArray<Prompt.Message>, dialect: PromptDialect): LanguageModelV4Prompt => {
  const prompt: LanguageModelV4Prompt = []
  for (const message of messages) {
    const converted = toMessage(message, dialect)
    if (converted !== undefined) prompt.push(converted)
    const decisions = message.role === "assistant" ? message.content.flatMap(toDecision) : []
    if (decisions.length > 0) prompt.push({ role: "tool", content: decisions })
  }
  return prompt
}

/** Specification V3 differs in how it holds file data. */
export const toPromptV3 = (prompt: LanguageModelV4Prompt): LanguageModelV3Prompt => prompt.map(toMessageV3)

export const toProviderOptions = (options: Prompt.ProviderOptions): SharedV4ProviderOptions | undefined => {
  const providerOptions: SharedV4ProviderOptions = {}
  for (const [provider, value] of Object.entries(options)) {
    if (provider !== carrier && isJsonObject(value)) providerOptions[provider] = value
  }
  return Object.keys(providerOptions).length === 0 ? undefined : providerOptions
}

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

type V4Content<Role extends LanguageModelV4Message["role"]> = Exclude<
  Extract<LanguageModelV4Message, { role: Role }>["content"],
  string
>[number]

type V3Content<Role extends LanguageModelV3Message["role"]> = Exclude<
  Extract<LanguageModelV3Message, { role: Role }>["content"],
  string
>[number]

const isJsonObject = (value: unknown): value is JSONObject => Predicate.isObject(value)

const withOptions = (options: Prompt.ProviderOptions, more?: SharedV4ProviderOptions) => {
  const providerOptions = toProviderOptions(options)
  if (more === undefined) return providerOptions === undefined ? undefined : { providerOptions }
  return { providerOptions: mergeProviderOptions(providerOptions ?? {}, more) }
}

const toMessage = (message: Prompt.Message, dialect: PromptDialect): LanguageModelV4Message | undefined => {
  const options = withOptions(message.options)
  switch (message.role) {
    case "system":
      return { role: "system", content: message.content, ...options }
    case "user": {
      const content = message.content.map((part) => part.type === "text" ? toText(part) : toUserFile(part, dialect))
      return content.length === 0 ? undefined : { role: "user", content, ...options }
    }
    case "assistant": {
      const content = message.content.flatMap((part) => toAssistantPart(part, dialect))
      return content.length === 0 ? undefined : { role: "assistant", content, ...options }
    }
    case "tool": {
      // Approvals of our own tools were settled before the request; what the provider sees of them is the tool result.
      const content = message.content.flatMap((part) =>
        part.type === "tool-result" ? [toToolResult(part, dialect)] : []
      )
      return content.length === 0 ? undefined : { role: "tool", content, ...options }
    }
  }
}

const toAssistantPart = (part: Prompt.AssistantMessagePart, dialect: PromptDialect): Array<V4Content<"assistant">> => {
  switch (part.type) {
    case "text":
      return [toText(part)]
    case "reasoning": {
      const { custom } = carriedIn(part.options)
      return [
        isCustomKind(custom)
          ? { type: "custom", kind: custom, ...withOptions(part.options) }
          : { type: "reasoning", text: part.text, ...withOptions(part.options) }
      ]
    }
    case "file":
      return [toAssistantFile(part)]
    case "tool-call": {
      const { approval } = carriedIn(part.options)
      return [{
        type: "tool-call",
        toolCallId: part.id,
        toolName: dialect.providerName(part.name),
        input: toInput(part, dialect),
        providerExecuted: part.providerExecuted,
        // By the id the package knows the call when its result comes.
        ...withOptions(
          part.options,
          approval && {
            openai: { approvalRequestId: approval.id, approvalRequest: approval.request ?? null }
          }
        )
      }]
    }
    case "tool-result":
      return [toToolResult(part, dialect)]
    case "tool-approval-request":
      return []
  }
}

const isCustomKind = (kind: string | undefined): kind is `${string}.${string}` => kind?.includes(".") === true

const toDecision = (part: Prompt.AssistantMessagePart): Array<LanguageModelV4ToolApprovalResponsePart> => {
  const approval = part.type === "tool-call" ? carriedIn(part.options).approval : undefined
  return approval === undefined ? [] : [{
    type: "tool-approval-response",
    approvalId: approval.id,
    approved: approval.approved,
    ...(approval.reason !== undefined && { reason: approval.reason })
  }]
}

// Providers reject a function call whose arguments are not an object, and a model may well have written such a call.
const toInput = (part: Prompt.ToolCallPart, { takesText }: PromptDialect): unknown =>
  Predicate.isObject(part.params) || takesText(part.name) ? part.params : { input: part.params ?? null }

const toText = (part: Prompt.TextPart) => ({ type: "text", text: part.text, ...withOptions(part.options) }) as const

const toFile = (part: Prompt.FilePart): LanguageModelV4FilePart => ({
  type: "file",
  ...toFileData(part),
  ...(part.fileName === undefined ? undefined : { filename: part.fileName }),
  ...withOptions(part.options)
})

const toUserFile = (part: Prompt.FilePart, { takesTextFiles }: PromptDialect): V4Content<"user"> => {
  const file = toFile(part)
  if (takesTextFiles || !file.mediaType.startsWith("text/") || file.data.type !== "data") return file
  const { data } = file.data
  const text = typeof data === "string"
    ? Result.getOrUndefined(Base64.decodeString(data))
    : new TextDecoder().decode(data)
  if (text === undefined) return file
  const { filename, providerOptions } = file
  return { type: "text", text: `[${filename ?? "A file"}]\n${text}`, ...(providerOptions && { providerOptions }) }
}

const toAssistantFile = (
  part: Prompt.FilePart
): LanguageModelV4FilePart | Extract<V4Content<"assistant">, { readonly type: "reasoning-file" }> => {
  const file = toFile(part)
  return carriedIn(part.options).reasoning === true && (file.data.type === "data" || file.data.type === "url")
    ? { ...file, type: "reasoning-file", data: file.data }
    : file
}

const dataUrl = /^data:([^;,]*)(?:;[^;,]+)*;base64,/

const toFileData = (part: Prompt.FilePart): { readonly mediaType: string; readonly data: SharedV4FileData } => {
  if (part.data instanceof Uint8Array) {
    return { mediaType: part.mediaType, data: { type: "data", data: part.data } }
  }
  const text = part.data.toString()
  const inline = dataUrl.exec(text)
  if (inline !== null) {
    return { mediaType: inline[1] || part.mediaType, data: { type: "data", data: text.slice(inline[0].length) } }
  }
  const url = URL.parse(text)
  return { mediaType: part.mediaType, data: url === null ? { type: "data", data: text } : { type: "url", url } }
}

const toToolResult = (part: Prompt.ToolResultPart, { providerName }: PromptDialect): LanguageModelV4ToolResultPart => ({
  type: "tool-result",
  toolCallId: part.id,
  toolName: providerName(part.name),
  output: toOutput(part),
  ...withOptions(part.options)
})

const toOutput = (part: Prompt.ToolResultPart): LanguageModelV4ToolResultOutput => {
  if (part.modelOutput !== undefined) {
    return {
      type: "content",
      value: part.modelOutput.map((content) => content.type === "text" ? toText(content) : toFile(content))
    }
  }
  const { isFailure, result } = part
  if (isFailure && Predicate.hasProperty(result, "type") && result.type === "execution-denied") {
    const reason = "reason" in result && typeof result.reason === "string" ? { reason: result.reason } : undefined
    return { type: "execution-denied", ...reason }
  }
  return typeof result === "string"
    ? { type: isFailure ? "error-text" : "text", value: result }
    : { type: isFailure ? "error-json" : "json", value: toJson(result) }
}

const toMessageV3 = (message: LanguageModelV4Message): LanguageModelV3Message => {
  switch (message.role) {
    case "system":
      return message
    case "user":
      return { ...message, content: message.content.map((part) => part.type === "file" ? toFileV3(part) : part) }
    case "assistant":
      return { ...message, content: message.content.flatMap(toAssistantPartV3) }
    case "tool":
      return {
        ...message,
        content: message.content.map((part) => part.type === "tool-result" ? toToolResultV3(part) : part)
      }
  }
}

const toAssistantPartV3 = (part: V4Content<"assistant">): Array<V3Content<"assistant">> => {
  switch (part.type) {
    case "file":
      return [toFileV3(part)]
    case "tool-result":
      return [toToolResultV3(part)]
    case "custom":
    case "reasoning-file":
      return []
    default:
      return [part]
  }
}

const toDataV3 = (data: SharedV4FileData): string | Uint8Array | URL => {
  switch (data.type) {
    case "data":
      return data.data
    case "url":
      return data.url
    case "text":
      return new TextEncoder().encode(data.text)
    case "reference":
      return JSON.stringify(data.reference)
  }
}

const toFileV3 = (part: LanguageModelV4FilePart) => ({ ...part, data: toDataV3(part.data) })

const toToolResultV3 = (part: LanguageModelV4ToolResultPart) => ({
  ...part,
  output: part.output.type === "content"
    ? {
      ...part.output,
      value: part.output.value.map((content) => content.type === "file" ? toOutputV3(content) : content)
    }
    : part.output
})

const toOutputV3 = ({ data, mediaType }: Pick<LanguageModelV4FilePart, "data" | "mediaType">) => {
  const content = toDataV3(data)
  const isImage = mediaType.startsWith("image/")
  return content instanceof URL
    ? { type: isImage ? "image-url" : "file-url", url: content.href } as const
    : { type: isImage ? "image-data" : "file-data", data: toBase64(content), mediaType } as const
}

const toBase64 = (content: string | Uint8Array) => typeof content === "string" ? content : Base64.encode(content)
