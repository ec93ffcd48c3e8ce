/**
 * Holds what was said in a conversation, in a shape that a model can always be asked with.
 *
 * A transcript is a list of entries: what the user said, and what an agent answered in one turn. A tool call and its
 * result are one value in it, so a call without a result can't be written down: whatever interrupts or fails a run, the
 * transcript that it leaves is a valid beginning for the next request. Instructions are not part of it; they belong to
 * the agent. Transcripts are immutable and encode to JSON.
 *
 * @since 0.1.0
 */
import * as Prompt from "effect/ai/Prompt"
import * as Equal from "effect/Equal"
import * as Hash from "effect/Hash"
import * as Inspectable from "effect/Inspectable"
import { hasProperty } from "effect/Predicate"
import * as Schema from "effect/Schema"
import * as SchemaTransformation from "effect/SchemaTransformation"

const TypeId = "~effect-troupe/Transcript"

/**
 * A tool call together with its result, as one part of an answer.
 *
 * `params` and `result` are JSON. `providerExecuted` marks a tool that the provider ran itself, `options` and
 * `resultOptions` carry what the provider wants to see again (item ids, signatures).
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
 * One part of what an agent answered.
 *
 * @since 0.1.0
 * @category models
 */
export const AnswerPart = Schema.Union([Prompt.TextPart, Prompt.ReasoningPart, Prompt.FilePart, ToolUse])

/**
 * @since 0.1.0
 * @category models
 */
export type AnswerPart = typeof AnswerPart.Type

/**
 * What a user said: text and files.
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
 * What an agent answered in one turn, with the results of the tools that it called.
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

/** A transcript is what was said before and what it adds; the `whole` of it once somebody has read that. */
class Link implements Transcript {
  readonly length: number
  readonly depth: number
  readonly added: ReadonlyArray<Entry>
  before: Link | undefined
  whole: Whole | undefined = undefined
  constructor(before: Link | undefined, added: ReadonlyArray<Entry>) {
    this.length = (before?.length ?? 0) + added.length
    this.depth = before === undefined || before.whole !== undefined ? 0 : before.depth + 1
    this.added = added
    this.before = before
    if (this.depth === maxDepth) wholeOf(this)
  }
  get [TypeId](): typeof TypeId {
    return TypeId
  }
  get entries(): ReadonlyArray<Entry> {
    return wholeOf(this).entries
  }
  get messages(): ReadonlyArray<Prompt.Message> {
    return wholeOf(this).messages
  }
  // Two transcripts are the same if their entries are, however they were put together.
  [Equal.symbol](that: Equal.Equal): boolean {
    return isTranscript(that) && Equal.equals(this.entries, that.entries)
  }
  [Hash.symbol](): number {
    return Hash.hash(this.entries)
  }
  toJSON(): ReadonlyArray<Entry> {
    return this.entries
  }
  [Inspectable.NodeInspectSymbol]() {
    return { _id: "Transcript", entries: this.entries }
  }
}

interface Whole {
  readonly entries: ReadonlyArray<Entry>
  readonly messages: ReadonlyArray<Prompt.Message>
}

/** How many links may hang on each other before they are put together. */
const maxDepth = 32

const wholeOf = (self: Link): Whole => {
  if (self.whole !== undefined) return self.whole
  const [base, added] = partsOf(self)
  self.whole = {
    entries: base.entries.concat(added),
    messages: base.messages.concat(added.flatMap(toMessages))
  }
  self.before = undefined
  return self.whole
}

/** The nearest whole that a transcript begins with, and what was added to it. */
const partsOf = (self: Link): [base: Whole, added: ReadonlyArray<Entry>] => {
  const links: Array<ReadonlyArray<Entry>> = []
  let at = self
  for (; at.whole === undefined && at.before !== undefined; at = at.before) links.push(at.added)
  at.whole ??= { entries: at.added, messages: at.added.flatMap(toMessages) }
  return [at.whole, links.toReversed().flat()]
}

/**
 * The conversation in which nothing was said yet.
 *
 * @since 0.1.0
 * @category constructors
 */
export const empty: Transcript = new Link(undefined, [])

/**
 * A transcript of these entries.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (entries: Iterable<Entry>): Transcript => new Link(undefined, Array.from(entries))

/**
 * What a user said, as an entry.
 *
 * @since 0.1.0
 * @category constructors
 */
export const user = (input: string | ReadonlyArray<Prompt.UserMessagePart>): UserEntry => ({
  _tag: "User",
  content: typeof input === "string" ? [Prompt.textPart({ text: input })] : input
})

/**
 * Whether there is nothing in what a user said to answer: no file, and no text but spaces.
 *
 * @internal
 */
export const isBlank = ({ content }: UserEntry): boolean =>
  content.every((part) => part.type === "text" && part.text.trim() === "")

/**
 * Adds entries at the end; the given transcript stays as it is.
 *
 * @since 0.1.0
 * @category combinators
 */
export const append = (self: Transcript, ...entries: ReadonlyArray<Entry>): Transcript =>
  entries.length === 0 ? self : new Link(self as Link, entries)

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
 * The messages of a model request that say the same as an entry: none for an empty answer, which providers refuse.
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
  const [base, added] = partsOf(self as Link)
  return Prompt.fromMessages(system.concat(base.messages, added.flatMap(toMessages)))
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
