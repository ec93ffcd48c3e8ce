/**
 * Compares two logs. Exported through `RunLog`.
 *
 * @internal
 */
import { isObject, isString } from "effect/Predicate"
import * as RegExp_ from "effect/RegExp"
import type * as Schema from "effect/Schema"
import { describeDifference } from "../difference.ts"
import { contentOf, nameOf } from "./diverged.ts"
import type { Call, Emitted, Entry, Input, RunLog } from "./entry.ts"
import { type Summary, summary } from "./read.ts"

/**
 * The first place where two logs have something else, of calls, inputs or events. `number` counts those from 1 on; one
 * side is absent where only the other one has as many. `text` shows the difference.
 *
 * @since 0.1.0
 * @category models
 */
export interface Difference<out A> {
  readonly number: number
  readonly a?: A
  readonly b?: A
  readonly text: string
}

/**
 * How two logs differ. Times, ids that differ from run to run, and what a provider adds to an answer (headers, signatures)
 * are not compared.
 *
 * @since 0.1.0
 * @category models
 */
export interface Comparison {
  readonly call?: Difference<Call>
  readonly input?: Difference<Input>
  readonly event?: Difference<Emitted>
  readonly a: Summary
  readonly b: Summary
}

export const compare = (a: RunLog, b: RunLog): Comparison => {
  const [first, second] = [sideOf(a), sideOf(b)]
  const call = firstOf(first, second, (entry) => entry._tag === "Call")
  const input = firstOf(first, second, (entry) => entry._tag === "Input")
  const event = firstOf(first, second, (entry) => entry._tag === "Event")
  return {
    ...(call && { call }),
    ...(input && { input }),
    ...(event && { event }),
    a: summary(a),
    b: summary(b)
  }
}

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

interface Side {
  readonly entries: ReadonlyArray<Entry>
  /** An entry without what differs from run to run. */
  readonly plain: (entry: Entry) => Entry
}

const sideOf = ({ entries }: RunLog): Side => {
  const names = namesOf(entries)
  const ids = Array.from(names.keys()).sort((a, b) => b.length - a.length)
  // Some servers number their calls: such an id is only meant where nothing else stands beside it in a text.
  const pattern = new RegExp(`(?<!\\w)(?:${ids.map(RegExp_.escape).join("|")})(?!\\w)`, "g")
  const rename = (_: string, value: unknown) =>
    isString(value) ? value.replace(pattern, (id) => names.get(id) ?? id) : value
  return { entries, plain: (entry) => JSON.parse(JSON.stringify(withoutTimes(entry)), rename) }
}

/** The ids in a log, in their order: of runs, tool calls and approvals. */
const namesOf = (entries: ReadonlyArray<Entry>): ReadonlyMap<string, string> => {
  const names = new Map<string, string>()
  const counts = { run: 0, call: 0, approval: 0 }
  const name = (kind: keyof typeof counts, id: unknown) => {
    if (isString(id) && id !== "" && !names.has(id)) names.set(id, `${kind}-${++counts[kind]}`)
  }
  for (const entry of entries) {
    if (entry._tag !== "Event") continue
    const { event } = entry
    name("run", event.run)
    if (event._tag === "ToolCall") name("call", event.id)
    if (event._tag === "ApprovalRequested") name("approval", event.approval)
  }
  return names
}

const withoutTimes = (entry: Entry): Entry => {
  if (entry._tag === "Input" && entry.key.startsWith("model ")) {
    return { ...entry, at: 0, value: withoutOrigin(entry.value) }
  }
  if (entry._tag !== "Event" || entry.event._tag !== "TurnFinished") return { ...entry, at: 0 }
  const { duration: _, response: _2, timeToFirstPart: _3, ...event } = entry.event
  return { ...entry, at: 0, event }
}

/** The parts of an answer without the ids, headers and signatures that a provider gives to each anew. */
const withoutOrigin = (value: Schema.Json): Schema.Json => {
  if (!isJsonObject(value) || !Array.isArray(value.item)) return value
  return {
    ...value,
    item: value.item.map((part: Schema.Json) => {
      if (!isJsonObject(part)) return part
      const { id, metadata: _, response: _2, timestamp: _3, ...rest } = part
      return isString(rest.type) && rest.type.startsWith("tool-") && id !== undefined ? { ...rest, id } : rest
    })
  }
}

const isJsonObject = (value: Schema.Json): value is Schema.JsonObject => isObject(value)

const firstOf = <A extends Entry>(
  first: Side,
  second: Side,
  is: (entry: Entry) => entry is A
): Difference<A> | undefined => {
  const [as, bs] = [first.entries.filter(is), second.entries.filter(is)]
  for (let place = 0; place < Math.max(as.length, bs.length); place++) {
    const a = as[place]
    const b = bs[place]
    const text = differenceOf(a && first.plain(a), b && second.plain(b))
    if (text !== undefined) return { number: place + 1, ...(a && { a }), ...(b && { b }), text }
  }
  return undefined
}

const differenceOf = (a: Entry | undefined, b: Entry | undefined): string | undefined => {
  if (a === undefined || b === undefined) {
    return `only ${a === undefined ? "b" : "a"} has ${nameOf(a ?? b)}`
  }
  const [nameA, nameB] = [nameOf(a), nameOf(b)]
  if (nameA !== nameB) return `a has ${nameA}, b has ${nameB}`
  const [contentA, contentB] = [contentOf(a), contentOf(b)]
  if (JSON.stringify(contentA) === JSON.stringify(contentB)) return undefined
  return `${nameA}\n${describeDifference(contentA, contentB, { from: "a", to: "b" })}`
}
