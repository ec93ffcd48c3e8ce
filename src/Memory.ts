/**
 * Decides what of a conversation the next request carries.
 *
 * A memory is told every entry of one conversation, in order, and answers with a window: the entries that a model is
 * asked with. The transcript stays the journal of all that was said; no memory takes anything out of it. What every
 * window promises, so that each provider takes it and the model knows what it is doing:
 *
 * - it begins with a user entry, and answers from before the first one are not in it;
 * - the newest user entry and the newest entry are in it, however large they are;
 * - its entries are the conversation's own, in their order (a summary, clearly marked, may come first);
 * - a tool call stays with its result, as both are one entry. Instructions are the agent's and never pass through here.
 *
 * Older exchanges (a user entry and its answers) enter and leave a window whole. Only a run that is by itself longer than
 * the limit loses turns from its middle.
 *
 * A memory never fails a run: when its model or its embeddings fail it says so in the log and the window does without.
 *
 * Whoever runs an agent builds the layer once for each conversation (`Layer.fresh`, since equal layers are otherwise
 * built once and two conversations would share a memory), appends the entries that the journal has already, then each
 * entry as it is written to the journal, and asks with `(yield* memory.window).messages`. `append` does not wait for
 * anything and can be called in a finalizer. `clear` belongs to a reset.
 *
 * @since 0.1.0
 */
import { Context, Effect, Layer, Option, Schema } from "effect"
import { Prompt, Tokenizer } from "effect/ai"
import { errorMessage } from "./internal/errorMessage.ts"
import * as Transcript from "./Transcript.ts"

/**
 * The memory of one conversation.
 *
 * @since 0.1.0
 * @category services
 */
export class Memory extends Context.Service<Memory, {
  /** Adds entries at the end. */
  readonly append: (entries: ReadonlyArray<Transcript.Entry>) => Effect.Effect<void>
  /** What the next request carries. Costs in proportion to the window, not to the conversation. */
  readonly window: Effect.Effect<Transcript.Transcript>
  /** The entries of the whole conversation that fit a query best, best first. Tool calls are not searched. */
  readonly search: (
    query: string,
    options?: SearchOptions
  ) => Effect.Effect<ReadonlyArray<Transcript.Entry>, SearchFailed>
  /** Forgets everything. */
  readonly clear: Effect.Effect<void>
}>()("effect-troupe/Memory") {}

/**
 * What can be said of a search.
 *
 * @since 0.1.0
 * @category models
 */
export interface SearchOptions {
  /** How many entries to answer with at most. Default: 5. */
  readonly limit?: number | undefined
}

/**
 * A search that failed, with what it failed of (an `AiError` where it is the embedding model).
 *
 * @since 0.1.0
 * @category errors
 */
export class SearchFailed extends Schema.TaggedError<SearchFailed>("effect-troupe/Memory/SearchFailed")(
  "SearchFailed",
  { cause: Schema.Defect() }
) {
  override get message() {
    return `the memory can't be searched: ${errorMessage(this.cause)}`
  }
}

/**
 * Remembers the last `n` entries: a prompt is one entry, each turn that answers it another.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Memory, Transcript } from "effect-troupe"
 *
 * const program = Effect.gen(function*() {
 *   const memory = yield* Memory.Memory
 *   yield* memory.append([Transcript.user("My name is Ada.")])
 *   const window = yield* memory.window
 *   return window.messages
 * }).pipe(Effect.provide(Memory.buffer(20)))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const buffer = (n: number): Layer.Layer<Memory> => {
  checkPositive("buffer", "n", n)
  return Layer.sync(Memory, () => make(emptyJournal, (journal) => newest(journal, n, countOne)))
}

/**
 * Remembers the newest entries that come to at most `max` tokens.
 *
 * Tokens are counted with the `Tokenizer` of `effect/ai` if there is one where the layer is built. Otherwise they are
 * estimated: 4 characters a token (too few for scripts like Chinese) and 1,000 tokens a file.
 *
 * @since 0.1.0
 * @category layers
 */
export const tokens = (max: number): Layer.Layer<Memory> => {
  checkPositive("tokens", "max", max)
  return Layer.effect(
    Memory,
    Effect.map(countTokens, (count) => make(emptyJournal, (journal) => newest(journal, max, count)))
  )
}

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const checkPositive = (constructor: string, field: string, value: number): void => {
  if (!Number.isInteger(value) || value < 1) {
    throw new RangeError(`Memory.${constructor}: ${field} must be a positive integer, got ${value}`)
  }
}

/** What a memory was told. `clear` starts another one, so work under way on the old one can't write into the new. */
interface Journal {
  readonly entries: Array<Transcript.Entry>
  /** What each entry weighs, once it was asked for. */
  readonly weights: Array<number>
  /** Where the newest prompt is, or -1. */
  prompt: number
}

const emptyJournal = (): Journal => ({ entries: [], weights: [], prompt: -1 })

/** An empty entry comes to no message, so it can't begin a request. */
const isPrompt = (entry: Transcript.Entry): boolean => entry._tag === "User" && entry.content.length > 0

const make = <J extends Journal>(
  empty: () => J,
  window: (journal: J) => Effect.Effect<ReadonlyArray<Transcript.Entry>>,
  search: (
    journal: J,
    query: string,
    limit: number
  ) => Effect.Effect<ReadonlyArray<Transcript.Entry>, SearchFailed> = searchWords
): Memory["Service"] => {
  let journal = empty()
  return {
    append: (entries) =>
      Effect.sync(() => {
        for (const entry of entries) {
          if (isPrompt(entry)) journal.prompt = journal.entries.length
          journal.entries.push(entry)
        }
      }),
    window: Effect.suspend(() => Effect.map(window(journal), Transcript.make)),
    search: (query, options) => Effect.suspend(() => search(journal, query, options?.limit ?? 5)),
    clear: Effect.sync(() => {
      journal = empty()
    })
  }
}

type Weigh = (entry: Transcript.Entry) => Effect.Effect<number>

const countOne: Weigh = () => Effect.succeed(1)

const weightAt = (journal: Journal, index: number, weigh: Weigh): Effect.Effect<number> => {
  const known = journal.weights[index]
  return known !== undefined
    ? Effect.succeed(known)
    : Effect.tap(weigh(journal.entries[index]!), (weight) => Effect.sync(() => journal.weights[index] = weight))
}

/** Where the newest entries begin that weigh no more than `max`: at a prompt, unless the last run alone is too heavy. */
const fit = Effect.fnUntraced(function*(journal: Journal, max: number, weigh: Weigh) {
  const { entries, prompt } = journal
  if (prompt < 0) return entries.length
  let start = entries.length
  let total = 0
  for (let index = entries.length - 1; index >= 0; index--) {
    total += yield* weightAt(journal, index, weigh)
    if (total > max) break
    if (isPrompt(entries[index]!)) start = index
  }
  if (start <= prompt) return start
  start = entries.length - 1
  total = (yield* weightAt(journal, prompt, weigh)) + (yield* weightAt(journal, start, weigh))
  while (start > prompt + 1) {
    total += yield* weightAt(journal, start - 1, weigh)
    if (total > max) break
    start--
  }
  return start
})

/** The entries from `start` on, and before them the newest prompt if it is an older one. */
const from = ({ entries, prompt }: Journal, start: number): Array<Transcript.Entry> =>
  prompt >= 0 && prompt < start ? [entries[prompt]!, ...entries.slice(start)] : entries.slice(start)

const newest = (journal: Journal, max: number, weigh: Weigh): Effect.Effect<ReadonlyArray<Transcript.Entry>> =>
  Effect.map(fit(journal, max, weigh), (start) => from(journal, start))

const countTokens: Effect.Effect<Weigh> = Effect.map(
  Effect.serviceOption(Tokenizer.Tokenizer),
  (tokenizer): Weigh =>
    Option.isNone(tokenizer)
      ? (entry) => Effect.sync(() => estimateTokens(entry))
      : (entry) =>
        tokenizer.value.tokenize(Prompt.fromMessages(Transcript.toMessages(entry))).pipe(
          Effect.map((tokens) => tokens.length),
          Effect.catch((error) =>
            Effect.as(
              Effect.logWarning("Memory: an entry can't be tokenized, its tokens are estimated", error),
              estimateTokens(entry)
            )
          )
        )
)

const estimateTokens = (entry: Transcript.Entry): number => {
  let tokens = 0
  for (const part of entry.content) {
    switch (part.type) {
      case "text":
      case "reasoning":
        tokens += part.text.length / 4
        break
      case "tool-use":
        tokens += (part.name.length + toJson(part.params).length + toJson(part.modelOutput ?? part.result).length) / 4
        break
      case "file":
        tokens += 1000
    }
  }
  return Math.ceil(tokens)
}

const toJson = (value: unknown): string => typeof value === "string" ? value : JSON.stringify(value) ?? ""

/** The entries that have most of the query's words, the newest of equals first. */
const searchWords = (
  journal: Journal,
  query: string,
  limit: number
): Effect.Effect<ReadonlyArray<Transcript.Entry>> =>
  Effect.sync(() => {
    const words = new Set(query.toLowerCase().match(/[\p{L}\p{N}]+/gu))
    return best(journal, limit, 1, (entry) => {
      const text = Transcript.text(entry).toLowerCase()
      let found = 0
      for (const word of words) if (text.includes(word)) found++
      return found
    })
  })

/** The entries that score highest and at least `least`, the newest of equals first. */
const best = (
  { entries }: Journal,
  limit: number,
  least: number,
  score: (entry: Transcript.Entry, index: number) => number
): ReadonlyArray<Transcript.Entry> =>
  entries
    .map((entry, index) => ({ entry, index, score: score(entry, index) }))
    .filter((hit) => hit.score >= least)
    .sort((a, b) => b.score - a.score || b.index - a.index)
    .slice(0, limit)
    .map((hit) => hit.entry)
