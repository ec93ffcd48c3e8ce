/**
 * Holds a conversation in a shape that is always a valid model request.
 *
 * A transcript is a list of entries: a message of the user, or an agent's answer in one turn. A tool call and its
 * result are one value in it, so a call without a result can't be written down: a run that fails or is interrupted
 * leaves a transcript that is a valid beginning for the next request. Only the result of a tool that the provider runs
 * may be in a later answer (after a pause, an approval): there call and result are parts of their own. Instructions are
 * not part of it; they belong to the agent. Transcripts are immutable and encode to JSON.
 *
 * @since 0.1.0
 */
import * as Prompt from "effect/ai/Prompt"
import { hasProperty } from "effect/Predicate"
import * as Schema from "effect/Schema"
import * as SchemaTransformation from "effect/SchemaTransformation"
import { collectMessages, EntryChain, TypeId } from "./internal/entryChain.ts"

/**
 * A tool call together with its result, as one part of an answer.
 *
 * `params` and `result` are JSON. `providerExecuted` marks a tool that the provider ran itself, `options` and
 * `resultOptions` carry data that the provider wants to see again (item ids, signatures).
 *
 * @since 0.1.0
 * @category models
 */
export const ToolUse = Schema.Struct({
  type: Schema.Literal("tool-use"),
  id: Schema.String,
  name: Schema.String,
  params: Schema.Unknown,
  result: Schema.Unknown,
  isFailure: Schema.Boolean,
  providerExecuted: Schema.Boolean,
  modelOutput: Schema.optionalKey(Schema.Array(Prompt.ToolModelOutputPart)),
  options: Prompt.ProviderOptions,
  resultOptions: Prompt.ProviderOptions
})

/**
 * @since 0.1.0
 * @category models
 */
export type ToolUse = typeof ToolUse.Type

/**
 * A call of a tool that the provider runs, where the result is in a later answer: see {@link LateResult}.
 *
 * @since 0.1.0
 * @category models
 */
export const OpenCall = Schema.Struct({ ...Prompt.ToolCallPart.fields, providerExecuted: Schema.Literal(true) })

/**
 * @since 0.1.0
 * @category models
 */
export type OpenCall = typeof OpenCall.Type

/**
 * The result of an {@link OpenCall} in an earlier answer.
 *
 * @since 0.1.0
 * @category models
 */
export const LateResult = Schema.Struct({ ...Prompt.ToolResultPart.fields, providerExecuted: Schema.Literal(true) })

/**
 * @since 0.1.0
 * @category models
 */
export type LateResult = typeof LateResult.Type

/**
 * One part of an agent's answer.
 *
 * @since 0.1.0
 * @category models
 */
export const AnswerPart = Schema.Union([
  Prompt.TextPart,
  Prompt.ReasoningPart,
  Prompt.FilePart,
  ToolUse,
  OpenCall,
  LateResult
])

/**
 * @since 0.1.0
 * @category models
 */
export type AnswerPart = typeof AnswerPart.Type

/**
 * A message of the user: text and files.
 *
 * @since 0.1.0
 * @category models
 */
export const UserEntry = Schema.TaggedStruct("User", {
  content: Schema.Array(Prompt.UserMessagePart)
})

/**
 * @since 0.1.0
 * @category models
 */
export type UserEntry = typeof UserEntry.Type

/**
 * An agent's answer in one turn, with the results of the tools that it called.
 *
 * @since 0.1.0
 * @category models
 */
export const AnswerEntry = Schema.TaggedStruct("Answer", {
  agent: Schema.String,
  content: Schema.Array(AnswerPart)
})

/**
 * @since 0.1.0
 * @category models
 */
export type AnswerEntry = typeof AnswerEntry.Type

/**
 * One entry of a transcript.
 *
 * @since 0.1.0
 * @category models
 */
export const Entry = Schema.Union([UserEntry, AnswerEntry])

/**
 * @since 0.1.0
 * @category models
 */
export type Entry = typeof Entry.Type

/**
 * A conversation: its entries, and the same as messages of a model request.
 *
 * Both are put together when they are read, so that adding to a long conversation costs no more than to a short one.
 *
 * @since 0.1.0
 * @category models
 */
export interface Transcript {
  readonly [TypeId]: typeof TypeId
  readonly length: number
  readonly entries: ReadonlyArray<Entry>
  readonly messages: ReadonlyArray<Prompt.Message>
}

/**
 * Whether a value is a transcript.
 *
 * @since 0.1.0
 * @category guards
 */
export const isTranscript = (u: unknown): u is Transcript => hasProperty(u, TypeId)

/**
 * A transcript of these entries.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (entries: Iterable<Entry>): Transcript => new EntryChain(toMessages, Array.from(entries))

/**
 * The empty conversation.
 *
 * @since 0.1.0
 * @category constructors
 */
export const empty: Transcript = new EntryChain<Entry, Prompt.Message>((entry) => toMessages(entry), [])

/**
 * A message of the user, as an entry.
 *
 * @since 0.1.0
 * @category constructors
 */
export const user = (input: string | ReadonlyArray<Prompt.UserMessagePart>): UserEntry => ({
  _tag: "User",
  content: typeof input === "string" ? [Prompt.textPart({ text: input })] : input
})

/**
 * Whether a message has nothing to answer: no file, and no text but spaces.
 *
 * @internal
 */
export const isBlank = ({ content }: UserEntry): boolean =>
  content.every((part) => part.type === "text" && part.text.trim() === "")

/**
 * The answer with a text in the place of its tools' results. Those of a provider's own tools stay, as it wants them back.
 *
 * @internal
 */
export const leaveOutResults = (self: AnswerEntry, text: string): AnswerEntry => ({
  ...self,
  content: self.content.map((part) => {
    if (part.type !== "tool-use" || part.providerExecuted) return part
    const { modelOutput: _, ...use } = part
    return { ...use, result: text, isFailure: true }
  })
})

/**
 * Adds entries at the end; the given transcript stays as it is.
 *
 * @since 0.1.0
 * @category combinators
 */
export const append = (self: Transcript, ...entries: ReadonlyArray<Entry>): Transcript =>
  entries.length === 0 ? self : new EntryChain(toMessages, entries, chainOf(self))

/**
 * The codec of a transcript: its entries as JSON.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Transcript = Schema.Array(Entry).pipe(
  Schema.decodeTo(
    Schema.declare(isTranscript, { identifier: "Transcript" }),
    SchemaTransformation.transform({ decode: make, encode: (transcript) => transcript.entries })
  )
)

/**
 * An entry as messages of a model request: none for an empty answer, which providers refuse.
 *
 * @since 0.1.0
 * @category conversions
 */
export const toMessages = (entry: Entry): ReadonlyArray<Prompt.Message> => {
  if (entry.content.length === 0) return []
  if (entry._tag === "User") return [Prompt.userMessage({ content: entry.content })]
  const answer: Array<Prompt.AssistantMessagePart> = []
  const results: Array<Prompt.ToolMessagePart> = []
  for (const part of entry.content) {
    if (part.type !== "tool-use") {
      answer.push(part)
      continue
    }
    answer.push(Prompt.toolCallPart({
      id: part.id,
      name: part.name,
      params: part.params,
      providerExecuted: part.providerExecuted,
      options: part.options
    }))
    const target = part.providerExecuted ? answer : results
    target.push(Prompt.toolResultPart({
      id: part.id,
      name: part.name,
      isFailure: part.isFailure,
      result: part.result,
      ...(part.modelOutput && { modelOutput: part.modelOutput }),
      providerExecuted: part.providerExecuted,
      options: part.resultOptions
    }))
  }
  const assistant = Prompt.assistantMessage({ content: answer })
  return results.length === 0 ? [assistant] : [assistant, Prompt.toolMessage({ content: results })]
}

/**
 * The request that carries a conversation, after the instructions where there are any.
 *
 * @since 0.1.0
 * @category conversions
 */
export const toPrompt = (self: Transcript, instructions?: string): Prompt.Prompt => {
  const system: ReadonlyArray<Prompt.Message> = instructions === undefined
    ? []
    : [Prompt.systemMessage({ content: instructions })]
  return Prompt.fromMessages(system.concat(collectMessages(chainOf(self))))
}

/**
 * The text of an entry, without reasoning, files and tools.
 *
 * @since 0.1.0
 * @category conversions
 */
export const text = (entry: Entry): string => {
  let out = ""
  for (const part of entry.content) {
    if (part.type === "text") out += part.text
  }
  return out
}

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const chainOf = (self: Transcript): EntryChain<Entry, Prompt.Message> =>
  self instanceof EntryChain ? self : new EntryChain(toMessages, self.entries)
