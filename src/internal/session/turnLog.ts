/**
 * The events of one turn, for any number of readers. Writing never waits: adjacent deltas are merged, the oldest events
 * give way to a bound, and each reader has a cursor of its own.
 *
 * @internal
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import type { AgentEvent } from "../../AgentEvent.ts"
import * as Pushed from "../pushed.ts"
import { SessionError, type SessionErrorReason } from "./error.ts"
import type { Accepted, Committed, SessionEvent } from "./event.ts"

/** Events next to each other that were merged into one: those from `from` to `to`. */
interface Item {
  event: SessionEvent["event"]
  readonly attempt: number
  readonly from: number
  to: number
  size: number
}

/** How a turn ended for its readers: its last event, and the failure after it. */
export interface Ending {
  readonly committed?: Committed | undefined
  readonly failure?: SessionErrorReason | undefined
}

export interface TurnLog {
  readonly session: string
  readonly turn: string
  readonly maxBytes: number
  attempt: number
  seq: number
  bytes: number
  /** How many items have given way. */
  dropped: number
  readonly items: Array<Item>
  /** Whether the model or a tool has done anything. */
  seen: boolean
  readonly stop: Deferred.Deferred<void>
  readonly ending: Deferred.Deferred<Ending>
  /** Those that wait for the next event. */
  readonly waiting: Set<() => void>
}

export const make = (session: string, turn: string, maxBytes: number): TurnLog => ({
  session,
  turn,
  maxBytes,
  attempt: 0,
  seq: 0,
  bytes: 0,
  dropped: 0,
  items: [],
  seen: false,
  stop: Deferred.makeUnsafe(),
  ending: Deferred.makeUnsafe(),
  waiting: new Set()
})

/** Adds events of the run, but for its `Completed`: `Committed` stands for it. */
export const add = (self: TurnLog, events: ReadonlyArray<AgentEvent | Accepted>): void => {
  for (const event of events) {
    if (event._tag === "Completed") continue
    self.seen ||= event._tag !== "RunStarted" && event._tag !== "Accepted"
    push(self, event)
  }
  while (self.bytes > self.maxBytes && self.items.length > 1) {
    self.bytes -= self.items.shift()!.size
    self.dropped++
  }
  notify(self)
}

/** Ends the turn for its readers; a second time does nothing. */
export const end = (self: TurnLog, ending: Ending): void => {
  if (Deferred.isDoneUnsafe(self.ending)) return
  if (ending.committed !== undefined) push(self, ending.committed)
  Deferred.doneUnsafe(self.ending, Effect.succeed(ending))
  notify(self)
}

/** The events from the beginning, as far as they are kept, then as they come. Leaving it is of no concern to the turn. */
export const read = (self: TurnLog): Stream.Stream<SessionEvent, SessionError> =>
  Pushed.make<SessionEvent, SessionError, never>((emit) =>
    Effect.gen(function*() {
      const cursor: Cursor = { item: 0, length: 0, seq: 0 }
      while (true) {
        const { seq } = self
        const events = take(self, cursor)
        if (events.length > 0) {
          yield* emit(events)
          continue
        }
        if (Deferred.isDoneUnsafe(self.ending)) break
        yield* next(self, seq)
      }
      const { failure } = yield* Deferred.await(self.ending)
      if (failure !== undefined) return yield* new SessionError({ session: self.session, reason: failure })
    }), AHEAD)

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

/** How many events may lie between a cursor and its reader. */
const AHEAD = 64

/** A longer delta is not merged any further, so that the oldest part of a long text can give way. */
const MERGED = 16_384

/** `length` is how much of the item's delta was read, `seq` the last event of which anything was. */
interface Cursor {
  item: number
  length: number
  seq: number
}

const deltaOf = (event: SessionEvent["event"]): string | undefined =>
  event._tag === "TextDelta" || event._tag === "ReasoningDelta" || event._tag === "ToolParamsDelta"
    ? event.delta
    : undefined

const push = (self: TurnLog, event: SessionEvent["event"]): void => {
  const seq = ++self.seq
  const last = self.items.at(-1)
  const merged = last !== undefined && last.attempt === self.attempt && last.size < MERGED
    ? merge(last.event, event)
    : undefined
  if (last !== undefined && merged !== undefined) {
    const size = sizeOf(event)
    last.event = merged
    last.to = seq
    last.size += size
    self.bytes += size
    return
  }
  const size = sizeOf(event)
  self.items.push({ event, attempt: self.attempt, from: seq, to: seq, size })
  self.bytes += size
}

const merge = (a: SessionEvent["event"], b: SessionEvent["event"]): SessionEvent["event"] | undefined => {
  switch (b._tag) {
    case "TextDelta":
    case "ReasoningDelta":
      return a._tag === b._tag && a.id === b.id && a.run === b.run && a.metadata === undefined &&
          b.metadata === undefined
        ? { ...b, delta: a.delta + b.delta }
        : undefined
    case "ToolParamsDelta":
      return a._tag === b._tag && a.id === b.id && a.run === b.run ? { ...b, delta: a.delta + b.delta } : undefined
    default:
      return undefined
  }
}

const sizeOf = (event: SessionEvent["event"]): number => {
  const delta = deltaOf(event)
  if (delta !== undefined) return delta.length
  return event._tag === "File" ? event.data.length : event._tag === "Committed" ? 0 : JSON.stringify(event).length
}

/** What the cursor has before it, at most as much as may lie between it and its reader. */
const take = (self: TurnLog, cursor: Cursor): ReadonlyArray<SessionEvent> => {
  const { dropped, items, turn } = self
  const events: Array<SessionEvent> = []
  if (cursor.item < dropped) {
    const { attempt, from } = items[0]!
    const skipped = from - 1 - cursor.seq
    cursor.item = dropped
    cursor.length = 0
    cursor.seq = from - 1
    if (skipped > 0) events.push({ turn, attempt, seq: from - 1, event: { _tag: "Skipped", events: skipped } })
  }
  while (events.length < AHEAD) {
    const item = items[cursor.item - dropped]
    if (item === undefined) break
    const { attempt, event, to } = item
    const delta = deltaOf(event)
    if (to > cursor.seq) {
      const rest = delta === undefined || cursor.length === 0 ? event : { ...event, delta: delta.slice(cursor.length) }
      // Only events with a delta are read in parts.
      events.push({ turn, attempt, seq: to, event: rest as SessionEvent["event"] })
      cursor.seq = to
    }
    if (item === items.at(-1)) {
      // It may grow.
      cursor.length = delta?.length ?? 0
      break
    }
    cursor.item++
    cursor.length = 0
  }
  return events
}

/** Waits for an event after `seq`, or the end. */
const next = (self: TurnLog, seq: number): Effect.Effect<void> =>
  Effect.callback((resume) => {
    // Since whoever waits has looked, others may have had their turn.
    if (self.seq > seq || Deferred.isDoneUnsafe(self.ending)) return resume(Effect.void)
    const wake = () => resume(Effect.void)
    self.waiting.add(wake)
    return Effect.sync(() => void self.waiting.delete(wake))
  })

const notify = (self: TurnLog): void => {
  const waiting = [...self.waiting]
  self.waiting.clear()
  for (const wake of waiting) wake()
}
