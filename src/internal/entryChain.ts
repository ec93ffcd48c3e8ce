/**
 * The form in which a transcript is kept: the one before, and the added entries. Entries and messages are put together
 * once somebody reads them, so that adding to a long conversation costs no more than to a short one.
 *
 * @internal
 */
import * as Equal from "effect/Equal"
import * as Hash from "effect/Hash"
import * as Inspectable from "effect/Inspectable"

export const TypeId = "~effect-troupe/Transcript"

export class EntryChain<Entry, Message> {
  readonly length: number
  readonly depth: number
  readonly toMessages: (entry: Entry) => ReadonlyArray<Message>
  readonly added: ReadonlyArray<Entry>
  before: EntryChain<Entry, Message> | undefined
  whole: Whole<Entry, Message> | undefined = undefined

  constructor(
    toMessages: (entry: Entry) => ReadonlyArray<Message>,
    added: ReadonlyArray<Entry>,
    before?: EntryChain<Entry, Message>
  ) {
    this.length = (before?.length ?? 0) + added.length
    this.depth = before === undefined || before.whole !== undefined ? 0 : before.depth + 1
    this.toMessages = toMessages
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

  get messages(): ReadonlyArray<Message> {
    return wholeOf(this).messages
  }

  // Two transcripts are the same if their entries are, however they were put together.
  [Equal.symbol](that: Equal.Equal): boolean {
    return that instanceof EntryChain && Equal.equals(this.entries, that.entries)
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

/** The messages for one use: a chain that nobody has read stays as it is. */
export const collectMessages = <Entry, Message>(self: EntryChain<Entry, Message>): ReadonlyArray<Message> => {
  const [base, added] = partsOf(self)
  return base.messages.concat(added.flatMap(self.toMessages))
}

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

/** All of a chain, kept once somebody has read it. */
interface Whole<Entry, Message> {
  readonly entries: ReadonlyArray<Entry>
  readonly messages: ReadonlyArray<Message>
}

/** How many links may hang on each other before they are put together. */
const maxDepth = 32

const wholeOf = <Entry, Message>(self: EntryChain<Entry, Message>): Whole<Entry, Message> => {
  if (self.whole !== undefined) return self.whole
  const [base, added] = partsOf(self)
  self.whole = {
    entries: base.entries.concat(added),
    messages: base.messages.concat(added.flatMap(self.toMessages))
  }
  self.before = undefined
  return self.whole
}

/** The nearest whole that a chain begins with, and the entries since. */
const partsOf = <Entry, Message>(
  self: EntryChain<Entry, Message>
): [base: Whole<Entry, Message>, added: ReadonlyArray<Entry>] => {
  const links: Array<ReadonlyArray<Entry>> = []
  let at = self
  for (; at.whole === undefined && at.before !== undefined; at = at.before) links.push(at.added)
  at.whole ??= { entries: at.added, messages: at.added.flatMap(self.toMessages) }
  return [at.whole, links.toReversed().flat()]
}
