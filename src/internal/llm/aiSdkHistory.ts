/**
 * Fits a conversation to the provider that reads it next.
 *
 * A provider takes back only what it has made itself, and of that not everything: the calls of tools that another
 * provider ran, calls that never got a result, and files that a model made, become text that says so.
 *
 * @internal
 */
import * as Prompt from "effect/ai/Prompt"
import { hasProperty } from "effect/Predicate"
import { carriedIn } from "./carried.ts"

/** Who reads the conversation. */
export interface Reader {
  /** The AI SDK's name of the provider and its API: `openai.responses`. */
  readonly provider: string
  /** Whether the provider keeps what it has answered, so that it can be named by its id. */
  readonly stores: boolean
  /** The provider's own name of a tool. */
  readonly providerName: (customName: string) => string
}

/** The same conversation in a form that the reader takes. */
export const readable = (prompt: Prompt.Prompt, reader: Reader): ReadonlyArray<Prompt.Message> => {
  const messages = prompt.content
  const uses = usesOf(messages)
  const lastUser = messages.findLastIndex(({ role }) => role === "user")
  return messages.map((message, index) => {
    if (message.role !== "assistant" || !message.content.some(isSpecial)) return message
    const isOpen = index > lastUser
    return Prompt.assistantMessage({
      content: message.content.flatMap((part) => toReadable(part, uses, isOpen, reader)),
      options: message.options
    })
  })
}

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

/** A call of a tool that the provider ran, and its result, which may be in a later message. */
interface Use {
  readonly call: Prompt.ToolCallPart
  result: Prompt.ToolResultPart | undefined
}

const usesOf = (messages: ReadonlyArray<Prompt.Message>): ReadonlyMap<string, Use> => {
  const uses = new Map<string, Use>()
  for (const message of messages) {
    if (message.role !== "assistant") continue
    for (const part of message.content) {
      if (part.type === "tool-call" && part.providerExecuted) uses.set(part.id, { call: part, result: undefined })
      if (part.type === "tool-result") {
        const use = uses.get(part.id)
        if (use !== undefined) use.result = part
      }
    }
  }
  return uses
}

const isSpecial = (part: Prompt.AssistantMessagePart): boolean =>
  part.type === "file" || part.type === "tool-result" || (part.type === "tool-call" && part.providerExecuted) ||
  (part.type === "reasoning" && carriedIn(part.options).custom !== undefined)

const toReadable = (
  part: Prompt.AssistantMessagePart,
  uses: ReadonlyMap<string, Use>,
  isOpen: boolean,
  reader: Reader
): Array<Prompt.AssistantMessagePart> => {
  switch (part.type) {
    case "file":
      return takesFiles(reader) ? [part] : carriedIn(part.options).reasoning === true ? [] : [says(
        `[Here was a file of type ${part.mediaType} that the model had made.]`
      )]
    case "reasoning":
      return isOf(reader, part.options) ? [part] : []
    case "tool-call": {
      const use = uses.get(part.id)
      if (use === undefined || use.call !== part) return use === undefined ? [part] : []
      if (takes(use, isOpen, reader)) return [part]
      return use.result === undefined ? [says(`[${called(part)}, and gave no result.]`)] : []
    }
    case "tool-result": {
      const use = uses.get(part.id)
      if (use === undefined || use.result !== part || takes(use, isOpen, reader)) return [part]
      const outcome = part.isFailure ? "failed with" : "gave"
      return [says(`[${called(use.call)}, and ${outcome}: ${legible(part.result)}]`)]
    }
    default:
      return [part]
  }
}

const says = (text: string) => Prompt.textPart({ text })

const called = ({ name, params }: Prompt.ToolCallPart) => `The provider ran the tool ${name} with ${legible(params)}`

// What is encrypted is for its own provider alone.
const legible = (value: unknown): string =>
  typeof value === "string"
    ? value
    : JSON.stringify(value, (key, field: unknown) => /^encrypted/i.test(key) ? undefined : field) ?? ""

/** Whether both halves can go back as they are. */
const takes = ({ call, result }: Use, isOpen: boolean, reader: Reader): boolean => {
  const { approval, by } = carriedIn(call.options)
  if (by !== undefined && by !== reader.provider) return false
  // A call that was refused has a result of our own, and the provider knows of it.
  if (result === undefined || approval?.approved === false) return isOpen || (result !== undefined && reader.stores)
  return by === carriedIn(result.options).by && takesTool(reader, call, result)
}

const takesTool = (reader: Reader, call: Prompt.ToolCallPart, result: Prompt.ToolResultPart): boolean => {
  const { provider, stores } = reader
  const name = reader.providerName(call.name)
  if (provider.endsWith(".responses")) return stores || takesUnstored(name, result)
  if (provider.startsWith("google.")) return name === "code_execution" || hasServerToolCall(call)
  return !provider.endsWith(".chat")
}

/** Tools of OpenAI whose results are sent in full; of the others it takes only the ids of what it has stored. */
const takesUnstored = (name: string, { result }: Prompt.ToolResultPart): boolean => {
  switch (name) {
    case "web_search":
    case "web_search_preview":
      return hasProperty(result, "action") && result.action !== undefined
    case "tool_search":
    case "programmatic_tool_calling":
    case "shell":
      return true
    default:
      return false
  }
}

const hasServerToolCall = ({ options }: Prompt.ToolCallPart): boolean =>
  Object.values(options).some((fields) => hasProperty(fields, "serverToolCallId"))

/** Only Google's models are shown again which files they made. */
const takesFiles = ({ provider }: Reader): boolean =>
  provider.startsWith("google.") || !/\.(responses|chat|messages)$/.test(provider)

const isOf = ({ provider }: Reader, options: Prompt.ProviderOptions): boolean =>
  carriedIn(options).custom === undefined || hasProperty(options, provider.split(".")[0]!)
