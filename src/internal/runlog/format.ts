/**
 * Run logs as text: a header and an entry a line. Exported through `RunLog`.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import { hasProperty } from "effect/Predicate"
import * as Schema from "effect/Schema"
import { lazy } from "../lazy.ts"
import { retype } from "../retype.ts"
import { type Call, Entry, Header, isMessageKey, messageOf, type RunLog, version } from "./entry.ts"

/**
 * A log can't be read, understood or written. `log` names it, and `line` counts its lines from 1 on.
 *
 * @since 0.1.0
 * @category errors
 */
export class LogError extends Schema.TaggedError<LogError>("effect-troupe/RunLog/LogError")("LogError", {
  log: Schema.String,
  line: Schema.optionalKey(Schema.Int),
  problem: Schema.String
}) {
  override get message(): string {
    return `${this.log}${this.line === undefined ? "" : `, line ${this.line}`}: ${this.problem}`
  }
}

/** Reads a log. A last line that was cut off is left out: the process that wrote it was stopped. */
export const parse = (text: string, log: string): Effect.Effect<RunLog, LogError> =>
  Effect.suspend(() => {
    const lines = text.split("\n")
    if (!isWhole(lines.at(-1)!)) lines.pop()
    const state: Reading = { log, calls: 0, keys: new Set(), ended: false }
    const [first, ...rest] = lines
    if (first === undefined) return Effect.fail(new LogError({ log, problem: "is empty" }))
    return Effect.gen(function*() {
      const { seed, startedAt } = yield* readHeader(state, first)
      const entries: Array<Entry> = []
      for (const [index, line] of rest.entries()) entries.push(yield* readEntry(state, line, index + 2))
      return { seed, startedAt, entries, lines: rest, complete: state.ended }
    })
  })

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

interface Reading {
  readonly log: string
  calls: number
  readonly keys: Set<string>
  ended: boolean
}

const decodeHeader = lazy(() => Schema.decodeUnknownEffect(Header))

const decodeEntry = lazy(() => Schema.decodeUnknownEffect(Entry))

const readHeader = Effect.fnUntraced(function*(state: Reading, line: string): Effect.fn.Return<Header, LogError> {
  const json = yield* readJson(state, line, 1)
  if (hasProperty(json, "runLog") && json.runLog !== version) {
    const problem = `is of version ${JSON.stringify(json.runLog)}, and this is version ${version}`
    return yield* new LogError({ log: state.log, line: 1, problem })
  }
  return yield* Effect.mapError(
    decodeHeader()(json),
    ({ message }) => new LogError({ log: state.log, line: 1, problem: `is not the beginning of a run log: ${message}` })
  )
})

const readEntry = Effect.fnUntraced(function*(
  state: Reading,
  text: string,
  line: number
): Effect.fn.Return<Entry, LogError> {
  const json = yield* readJson(state, text, line)
  // The entry as it stands there: decoded it is the same, but for the order of its fields.
  const entry = yield* Effect.mapError(
    Effect.as(decodeEntry()(json), retype<Entry>(json)),
    ({ message }) => new LogError({ log: state.log, line, problem: `is not an entry of a run log: ${message}` })
  )
  const problem = problemOf(state, entry)
  if (problem !== undefined) return yield* new LogError({ log: state.log, line, problem })
  return entry
})

const readJson = ({ log }: Reading, text: string, line: number): Effect.Effect<unknown, LogError> =>
  Effect.try({
    try: (): unknown => JSON.parse(text),
    catch: () => new LogError({ log, line, problem: "is not JSON" })
  })

/** No part of an entry is JSON, so a last line that is one lacks only its line break, as some editors leave it. */
const isWhole = (line: string): boolean => {
  try {
    JSON.parse(line)
    return true
  } catch {
    return false
  }
}

/** Why an entry can't stand where it does. */
const problemOf = (state: Reading, entry: Entry): string | undefined => {
  if (state.ended) return "comes after the end of the program"
  switch (entry._tag) {
    case "Call":
      return problemOfCall(state, entry)
    case "Input":
      if (messageOf(entry) !== undefined) state.keys.add(entry.key)
      return (isCallKey(entry.key) || isMessageKey(entry.key)) && !state.keys.has(entry.key)
        ? `answers ${entry.key}, which was not called before`
        : undefined
    case "Reply":
      return state.keys.has(entry.key) ? undefined : `replies to ${entry.key}, which did not come before`
    case "Ended":
      state.ended = true
  }
  return undefined
}

const problemOfCall = (state: Reading, { key, number }: Call): string | undefined => {
  if (number !== ++state.calls) return `is call ${number} where call ${state.calls} is due`
  if (state.keys.has(key)) return `calls ${key} a second time`
  state.keys.add(key)
  return undefined
}

const isCallKey = (key: string): boolean => /^(?:model|tool|embedding|compaction|approval) /.test(key)
