/**
 * Fits a conversation to the provider that reads it next.
 *
 * A provider takes back only what it has made itself, and of that not everything: the calls of tools that another
 * provider ran, calls that never got a result, and files that a model made, become text that says so. Ids of calls are
 * rewritten where the provider takes only its own form of them, or where an earlier call has the same one.
 *
 * @internal
 */
import * as Prompt from "effect/ai/Prompt"
import { hasProperty, isNullish, isObject } from "effect/Predicate"
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
  const fitId = fittingIds(reader)
  return messages.map((message, index) => {
    const { options } = message
    switch (message.role) {
      case "assistant": {
        const content = message.content.flatMap((part) => fit(part, uses, index > lastUser, reader))
        return Prompt.assistantMessage({ content: content.map(fitId), options })
      }
      case "tool":
        return Prompt.toolMessage({ content: message.content.map(fitId), options })
      default:
        return message
    }
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

const fit = (
  part: Prompt.AssistantMessagePart,
  uses: ReadonlyMap<string, Use>,
  isOpen: boolean,
  reader: Reader
): Array<Prompt.AssistantMessagePart> => {
  switch (part.type) {
    case "text":
      return part.text !== "" || isGoogle(reader) ? [own(part, reader)] : []
    case "reasoning":
      return takesReasoning(reader, part) ? [own(part, reader)] : []
    case "file": {
      if (takesFiles(reader)) return [part]
      const text = `[Here was a file of type ${part.mediaType} that the model had made.]`
      return carriedIn(part.options).reasoning === true ? [] : [Prompt.textPart({ text })]
    }
    case "tool-call": {
      const use = uses.get(part.id)
      if (use === undefined) return [own(part, reader)]
      // A provider may tell of a call again when its result comes.
      if (use.call !== part) return []
      if (takes(use, isOpen, reader) || knows(use, reader)) return [part]
      return use.result === undefined ? [Prompt.textPart({ text: `[${called(part)}, and gave no result.]` })] : []
    }
    case "tool-result": {
      const outcome = part.isFailure ? "failed with" : "gave"
      const use = uses.get(part.id)
      if (use === undefined) {
        return [Prompt.textPart({ text: `[The provider's tool ${part.name} ${outcome}: ${legible(part.result)}]` })]
      }
      if (use.result !== part) return []
      if (takes(use, isOpen, reader)) return [withTitles(part, use, reader)]
      // The decision says it.
      if (knows(use, reader) && carriedIn(use.call.options).approval?.approved === false) return []
      return [Prompt.textPart({ text: `[${called(use.call)}, and ${outcome}: ${legible(part.result)}]` })]
    }
    default:
      return [part]
  }
}

const called = ({ name, params }: Prompt.ToolCallPart) =>
  `The provider's tool ${name} was called with ${legible(params)}`

// What is encrypted is for its own provider alone.
const legible = (value: unknown): string =>
  typeof value === "string"
    ? value
    : JSON.stringify(value, (key, field: unknown) => /^encrypted/i.test(key) ? undefined : field) ?? ""

/** Whether both halves can go back as they are. */
const takes = ({ call, result }: Use, isOpen: boolean, reader: Reader): boolean => {
  const { by } = carriedIn(call.options)
  if (by !== undefined && by !== reader.provider) return false
  if (result === undefined) return isOpen && by !== undefined
  return by === carriedIn(result.options).by && takesTool(reader, call, result)
}

/** Whether the reader has asked for approval of a call that is over: it takes the decision, if not the result. */
const knows = ({ call, result }: Use, { provider }: Reader): boolean => {
  const { approval, by } = carriedIn(call.options)
  return approval !== undefined && by === provider && result !== undefined
}

const takesTool = (reader: Reader, call: Prompt.ToolCallPart, result: Prompt.ToolResultPart): boolean => {
  const { provider, stores } = reader
  const name = reader.providerName(call.name)
  if (provider.endsWith(".responses")) return stores || takesUnstored(name, result)
  if (isGoogle(reader)) return name === "code_execution" || hasServerToolCall(call)
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

// Pages without a title come from Anthropic's search, and its package refuses to send them back.
const withTitles = (part: Prompt.ToolResultPart, { call }: Use, reader: Reader): Prompt.ToolResultPart =>
  reader.provider.startsWith("anthropic.") && reader.providerName(call.name) === "web_search" &&
    Array.isArray(part.result)
    ? Prompt.toolResultPart({
      ...part,
      result: part.result.map((page: unknown) =>
        isObject(page) && isNullish(page["title"]) ? { ...page, title: "" } : page
      )
    })
    : part

const isGoogle = ({ provider }: Reader): boolean => provider.startsWith("google.")

/** Only Google's models are shown again which files they made. */
const takesFiles = (reader: Reader): boolean =>
  isGoogle(reader) || !/\.(responses|chat|messages)$/.test(reader.provider)

/** OpenAI and Anthropic take only what they have signed, and a part that only its provider knows goes to nobody else. */
const takesReasoning = ({ provider }: Reader, { options }: Prompt.ReasoningPart): boolean => {
  const isSigned = /\.(responses|messages)$/.test(provider)
  return hasProperty(options, keyOf(provider)) || (!isSigned && carriedIn(options).custom === undefined)
}

/** The name under which a provider's package keeps its own in metadata. */
const keyOf = (provider: string): string => provider.includes("anthropic.") ? "anthropic" : provider.split(".")[0]!

/** The part without Google's signatures, which `@ai-sdk/openai-compatible` sends to any server. */
const own = <P extends Prompt.AssistantMessagePart>(part: P, reader: Reader): P => {
  const keys = isGoogle(reader) ? [] : Object.keys(part.options).filter((key) => googleKeys.has(key))
  if (keys.length === 0) return part
  const options = Object.fromEntries(Object.entries(part.options).filter(([key]) => !keys.includes(key)))
  return { ...part, options }
}

const googleKeys = new Set(["google", "vertex", "googleVertex"])

/**
 * Gives each call whose id the reader refuses, or an earlier call has, another one, and its result the same. Some
 * servers count the calls of each turn anew; Anthropic refuses a conversation in which two have one id.
 */
const fittingIds = ({ provider }: Reader) => {
  const [, form] = idForms.find(([api]) => api.test(provider)) ?? []
  const taken = new Set<string>()
  /** The ids that calls get, by those that they came with, and how many of them have their results. */
  const calls = new Map<string, { readonly ids: Array<string>; answered: number }>()
  let made = 0
  const make = (): string => {
    const id = `call${String(made++).padStart(5, "0")}`
    return taken.has(id) ? make() : id
  }
  const ofCall = ({ id, providerExecuted }: Prompt.ToolCallPart): string => {
    const fits = form === undefined || form.test(id)
    const given = fits && (providerExecuted || !taken.has(id)) ? id : make()
    taken.add(given)
    const others = calls.get(id)
    if (others === undefined) calls.set(id, { ids: [given], answered: 0 })
    else others.ids.push(given)
    return given
  }
  const ofResult = ({ id }: Prompt.ToolResultPart): string => {
    const of = calls.get(id)
    return of === undefined ? id : of.ids[of.answered++] ?? of.ids.at(-1)!
  }
  return <P extends Prompt.AssistantMessagePart | Prompt.ToolMessagePart>(part: P): P => {
    if (part.type !== "tool-call" && part.type !== "tool-result") return part
    const id = part.type === "tool-call" ? ofCall(part) : ofResult(part)
    return id === part.id ? part : { ...part, id }
  }
}

const idForms: ReadonlyArray<readonly [api: RegExp, form: RegExp]> = [
  [/^mistral\./, /^[a-zA-Z0-9]{9}$/],
  [/anthropic\./, /^[a-zA-Z0-9_-]+$/],
  [/\.(responses|chat)$/, /^.{1,64}$/]
]
