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
  LanguageModelV4ToolResultOutput,
  LanguageModelV4ToolResultPart,
  SharedV4FileData,
  SharedV4ProviderOptions
} from "@ai-sdk/provider"
import type * as Prompt from "effect/ai/Prompt"
import * as Base64 from "effect/encoding/Base64"
import * as Predicate from "effect/Predicate"
import { toJson } from "./json.ts"

/** `textInputTools` are the tools whose argument is a plain string instead of an object. */
export const toPrompt = (prompt: Prompt.Prompt, textInputTools: ReadonlySet<string>): LanguageModelV4Prompt =>
  prompt.content.flatMap((message) => toMessage(message, textInputTools))

/** Specification V3 differs in how it holds file data. */
export const toPromptV3 = (prompt: LanguageModelV4Prompt): LanguageModelV3Prompt => prompt.map(toMessageV3)

export const toProviderOptions = (options: Prompt.ProviderOptions): SharedV4ProviderOptions | undefined => {
  const providerOptions: SharedV4ProviderOptions = {}
  for (const [provider, value] of Object.entries(options)) if (isJsonObject(value)) providerOptions[provider] = value
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

const withOptions = (options: Prompt.ProviderOptions) => {
  const providerOptions = toProviderOptions(options)
  return providerOptions === undefined ? undefined : { providerOptions }
}

const toMessage = (message: Prompt.Message, textInputTools: ReadonlySet<string>): Array<LanguageModelV4Message> => {
  const options = withOptions(message.options)
  switch (message.role) {
    case "system":
      return [{ role: "system", content: message.content, ...options }]
    case "user": {
      const content = message.content.map((part) => part.type === "text" ? toText(part) : toFile(part))
      return content.length === 0 ? [] : [{ role: "user", content, ...options }]
    }
    case "assistant": {
      const content = message.content.flatMap((part) => toAssistantPart(part, textInputTools))
      return content.length === 0 ? [] : [{ role: "assistant", content, ...options }]
    }
    case "tool": {
      // Approvals were settled before the request; what the provider sees of them is the tool result.
      const content = message.content.flatMap((part) => part.type === "tool-result" ? [toToolResult(part)] : [])
      return content.length === 0 ? [] : [{ role: "tool", content, ...options }]
    }
  }
}

const toAssistantPart = (
  part: Prompt.AssistantMessagePart,
  textInputTools: ReadonlySet<string>
): Array<V4Content<"assistant">> => {
  switch (part.type) {
    case "text":
      return [toText(part)]
    case "reasoning":
      return [{ type: "reasoning", text: part.text, ...withOptions(part.options) }]
    case "file":
      return [toFile(part)]
    case "tool-call":
      return [{
        type: "tool-call",
        toolCallId: part.id,
        toolName: part.name,
        input: toInput(part, textInputTools),
        providerExecuted: part.providerExecuted,
        ...withOptions(part.options)
      }]
    case "tool-result":
      return [toToolResult(part)]
    case "tool-approval-request":
      return []
  }
}

// Providers reject a function call whose arguments are not an object, and a model may well have written such a call.
const toInput = (part: Prompt.ToolCallPart, textInputTools: ReadonlySet<string>): unknown =>
  Predicate.isObject(part.params) || textInputTools.has(part.name) ? part.params : { input: part.params ?? null }

const toText = (part: Prompt.TextPart) => ({ type: "text", text: part.text, ...withOptions(part.options) }) as const

const toFile = (part: Prompt.FilePart): LanguageModelV4FilePart => ({
  type: "file",
  ...toFileData(part),
  ...(part.fileName === undefined ? undefined : { filename: part.fileName }),
  ...withOptions(part.options)
})

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

const toToolResult = (part: Prompt.ToolResultPart): LanguageModelV4ToolResultPart => ({
  type: "tool-result",
  toolCallId: part.id,
  toolName: part.name,
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
