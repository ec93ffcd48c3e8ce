/**
 * Writes the entries of a log as lines, without the secrets.
 *
 * @internal
 */
import { hasProperty } from "effect/Predicate"
import type * as Redacted from "effect/Redacted"
import type * as Schema from "effect/Schema"
import * as Redact from "../llm/redact.ts"
import { retype } from "../retype.ts"
import type { Entry, Header, Input } from "./entry.ts"

export interface Journal {
  readonly append: (text: string) => void
  /** Those that are known, also the ones that a model's layer has told of since. */
  readonly secrets: Array<Redacted.Redacted>
  redaction: Redact.Secrets | undefined
  /** Entries that wait for the end of a text that comes in pieces: together they may be a secret. */
  held: Array<Entry>
  /** The texts that are under way, and the calls of models that have not told their secrets yet; where each began. */
  readonly open: Map<string, Entry>
}

export const make = (
  header: Header,
  secrets: ReadonlyArray<Redacted.Redacted>,
  append: (text: string) => void
): Journal => {
  append(`${JSON.stringify(header)}\n`)
  return { append, secrets: [...secrets], redaction: undefined, held: [], open: new Map() }
}

/** A secret that a model's layer has told of. */
export const learn = (self: Journal, secrets: ReadonlyArray<Redacted.Redacted>): void => {
  self.secrets.push(...secrets)
  self.redaction = undefined
}

export const write = (self: Journal, entry: Entry): void => {
  self.held.push(entry)
  if (entry._tag === "Call" && entry.kind === "model") self.open.set(entry.key, entry)
  else if (entry._tag === "Input") note(self, entry)
}

/** The call of this key gets no more answers. */
export const closed = (self: Journal, key: string): void => {
  if (self.open.size === 0) return
  for (const open of self.open.keys()) {
    if (open === key || open.startsWith(`${key}\n`)) self.open.delete(open)
  }
}

/** Hands on what is whole. */
export const flush = (self: Journal, all = false): void => {
  const whole = all || self.open.size === 0 ? self.held.length : wholeOf(self)
  if (whole === 0) return
  const entries = self.held.splice(0, whole)
  const secrets = self.redaction ??= Redact.secretsFrom(self.secrets)
  const text = `${entries.map((entry) => JSON.stringify(entry)).join("\n")}\n`
  self.append(Redact.isSuspicious(text + textsOf(entries), secrets) ? redact(text, secrets) : text)
}

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

/** A part of a model's answer or an event, as far as texts that come in pieces are concerned. */
interface Item {
  readonly type?: string
  readonly _tag?: string
  readonly run?: string
  readonly id: string
  delta?: string
  readonly metadata?: unknown
}

/** How many entries stand before whatever is under way, and before all texts that are not whole there. */
const wholeOf = ({ held, open }: Journal): number => {
  let whole = held.length
  for (const entry of open.values()) {
    whole = Math.min(whole, held.indexOf(entry))
    if (whole === 0) return 0
  }
  const first = new Map<string, number>()
  const last = new Map<string, number>()
  held.forEach((entry, place) => {
    for (const { block } of piecesOf(entry)) {
      if (!first.has(block)) first.set(block, place)
      last.set(block, place)
    }
  })
  // In the order of their last pieces no text has to be looked at again.
  for (const [block, end] of Array.from(last).sort(([, a], [, b]) => b - a)) {
    if (end >= whole) whole = Math.min(whole, first.get(block)!)
  }
  return whole
}

/** Follows the texts of a model, and those of runs inside of a tool. */
const note = (self: Journal, entry: Input): void => {
  const { key } = entry
  self.open.delete(key)
  for (const { _tag, id, type } of itemsOf(entry.value)) {
    const text = `${key}\n${id}`
    if (type?.endsWith("-end")) self.open.delete(text)
    else if ((type?.endsWith("-start") || _tag?.endsWith("Delta")) && !self.open.has(text)) self.open.set(text, entry)
  }
}

const itemsOf = (value: Schema.Json): ReadonlyArray<Item> =>
  hasProperty(value, "item") && Array.isArray(value.item) ? retype(value.item) : []

interface Piece {
  readonly block: string
  readonly item: Item
}

const noPieces: ReadonlyArray<Piece> = []

/** The pieces of texts in an entry, and the text that each belongs to. */
const piecesOf = (entry: Entry): ReadonlyArray<Piece> => {
  switch (entry._tag) {
    case "Event": {
      if (entry.event.delta === undefined) return noPieces
      const item = retype<Item>(entry.event)
      return [{ block: `${item._tag} ${item.run} ${item.id}`, item }]
    }
    case "Input":
      return itemsOf(entry.value).flatMap((item) =>
        item.delta === undefined
          ? noPieces
          : [{ block: `${entry.key} ${item.run} ${item.type ?? item._tag} ${item.id}`, item }]
      )
    default:
      return noPieces
  }
}

/** The texts that came in several pieces, each in one; a text that came in one is in its entry. */
const textsOf = (entries: ReadonlyArray<Entry>): string => {
  let texts: Map<string, string> | undefined
  for (const entry of entries) {
    for (const { block, item } of piecesOf(entry)) {
      texts ??= new Map()
      texts.set(block, (texts.get(block) ?? "") + item.delta)
    }
  }
  return texts === undefined ? "" : Array.from(texts.values()).join("\n")
}

const redact = (text: string, secrets: Redact.Secrets): string => {
  const entries = text.trimEnd().split("\n").map((line): Entry => JSON.parse(line))
  const pieces = entries.flatMap(piecesOf)
  const safe = Redact.redactPieces(pieces.map(({ block, item }) => ({ block, text: item.delta! })), secrets)
  for (const [place, delta] of safe) pieces[place]!.item.delta = delta
  return entries
    // An empty piece of a text is no event.
    .filter((entry) => entry._tag !== "Event" || entry.event.delta !== "" || entry.event.metadata !== undefined)
    .map((entry) => `${JSON.stringify(redactEntry(entry, secrets))}\n`)
    .join("")
}

/** What every log is made of, and can't be read without, should a secret be such a word. */
const words: ReadonlySet<string> = new Set(
  `_tag at event input kind key number outcome parent path request run agent turn value call
  Call Input Event RunEnded Ended Success Failure Interrupted
  model tool embedding compaction approval timer interrupt outside item result error interrupted defect
  RunStarted TextDelta ReasoningDelta OutputPartial Source File ToolParamsDelta ToolCall ToolProgress ApprovalRequested
  ApprovalDecided ToolResult TurnRestarted TurnFinished Completed
  type id name params delta metadata data decision isFailure duration timeToFirstPart response reason finishReason usage
  inputTokens outputTokens uncached total cacheRead cacheWrite reasoning text sources transcript turns output cost
  text-start text-delta text-end reasoning-start reasoning-delta reasoning-end tool-params-start tool-params-delta
  tool-params-end tool-call tool-result tool-approval-request response-metadata source file finish providerExecuted
  encodedResult preliminary modelOutput params answer errorType
  prompt tools toolChoice role content options system user assistant tool-use resultOptions parameters description
  auto none required stop length content-filter tool-calls pause other unknown stream
  Approved Rejected Expired Answer User message Reply actor how tag payload gone tell ask`.split(/\s+/)
)

const redactEntry = (entry: Entry, secrets: Redact.Secrets): unknown => {
  const safe = retype<object>(Redact.redactJson(entry, secrets, words))
  if (!hasProperty(entry, "key")) return safe
  const afterKind = entry.key.search(/ |$/)
  return { ...safe, key: entry.key.slice(0, afterKind) + Redact.redactText(entry.key.slice(afterKind), secrets) }
}
