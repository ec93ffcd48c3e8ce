/**
 * The entries of a run log, one JSON line each. Exported through `RunLog`.
 *
 * @internal
 */
import { hasProperty } from "effect/Predicate"
import * as Schema from "effect/Schema"
import { Place } from "../../AgentEvent.ts"
import { retype } from "../retype.ts"

/** The version of the logs that are written here, and read. */
export const version = 1

/** The first line. `startedAt` is in milliseconds since the epoch, `seed` that of the program's random numbers. */
export const Header = Schema.Struct({
  runLog: Schema.Literal(version),
  seed: Schema.Int,
  startedAt: Schema.Int
})

export type Header = typeof Header.Type

/** In milliseconds since the start. */
const at = { at: Schema.Finite }

/**
 * Something that the program asks the world for. `number` counts the calls of a log, from 1 on. `key` is the kind and
 * the path; the second call with the same ones ends in `#2`. `run` is empty where no run asks.
 *
 * @since 0.1.0
 * @category models
 */
export const Call = Schema.TaggedStruct("Call", {
  ...at,
  number: Schema.Int,
  key: Schema.String,
  kind: Schema.Literals(["model", "tool", "embedding", "compaction", "approval"]),
  ...Place.fields,
  turn: Schema.Int,
  path: Schema.String,
  request: Schema.Json
})

/**
 * @since 0.1.0
 * @category models
 */
export interface Call extends Schema.Schema.Type<typeof Call> {}

/**
 * Something that comes in: a part of the answer to the call of this key, a timer (`timer 3`), a message to an actor that
 * nobody in the program sends, or that its sender takes it back (`message 1`), an interruption of the program
 * (`interrupt`), or a step that the program owes to something else outside of it (`outside`).
 *
 * @since 0.1.0
 * @category models
 */
export const Input = Schema.TaggedStruct("Input", { ...at, key: Schema.String, value: Schema.Json })

/**
 * @since 0.1.0
 * @category models
 */
export interface Input extends Schema.Schema.Type<typeof Input> {}

/**
 * What an ask or a stream from outside ends with: the message's `key`, and its result, error or defect as JSON. The items
 * of a stream are not in it.
 *
 * @since 0.1.0
 * @category models
 */
export const Reply = Schema.TaggedStruct("Reply", { ...at, key: Schema.String, value: Schema.Json })

/**
 * @since 0.1.0
 * @category models
 */
export interface Reply extends Schema.Schema.Type<typeof Reply> {}

/**
 * An event that a run emits (`AgentEvent`), as JSON. `OutputPartial` is left out: it says again what came before.
 *
 * @since 0.1.0
 * @category models
 */
export const Emitted = Schema.TaggedStruct("Event", {
  ...at,
  event: Schema.StructWithRest(
    Schema.Struct({ _tag: Schema.String, ...Place.fields }),
    [Schema.Record(Schema.String, Schema.Json)]
  )
})

/**
 * @since 0.1.0
 * @category models
 */
export interface Emitted extends Schema.Schema.Type<typeof Emitted> {}

const outcome = Schema.Literals(["Success", "Failure", "Interrupted"])

/**
 * A run is over.
 *
 * @since 0.1.0
 * @category models
 */
export const RunEnded = Schema.TaggedStruct("RunEnded", { ...at, run: Schema.String, outcome })

/**
 * @since 0.1.0
 * @category models
 */
export interface RunEnded extends Schema.Schema.Type<typeof RunEnded> {}

/**
 * The program is over: the last entry, but of a log that was cut off.
 *
 * @since 0.1.0
 * @category models
 */
export const Ended = Schema.TaggedStruct("Ended", { ...at, outcome })

/**
 * @since 0.1.0
 * @category models
 */
export interface Ended extends Schema.Schema.Type<typeof Ended> {}

/**
 * An entry of a log. What comes from the program (calls, events, replies) stands between the inputs that lead to it.
 *
 * @since 0.1.0
 * @category models
 */
export const Entry = Schema.Union([Call, Input, Reply, Emitted, RunEnded, Ended])

/**
 * @since 0.1.0
 * @category models
 */
export type Entry = typeof Entry.Type

/**
 * What a program did, and all that came into it from outside.
 *
 * `complete` is `false` where the log was cut off, because its process was killed, say.
 *
 * @since 0.1.0
 * @category models
 */
export interface RunLog {
  readonly seed: number
  readonly startedAt: number
  readonly entries: ReadonlyArray<Entry>
  /** The lines of the entries. */
  readonly lines: ReadonlyArray<string>
  readonly complete: boolean
}

/** A message from outside, as its input has it. `gone` is there if its actor had stopped. */
export interface Message {
  readonly system: string
  readonly actor: string
  readonly how: "tell" | "ask" | "stream"
  readonly tag: string
  readonly payload: Schema.Json
  readonly gone?: true
}

/** The message that an input brings. */
export const messageOf = (entry: Entry): Message | undefined =>
  entry._tag === "Input" && isMessageKey(entry.key) && hasProperty(entry.value, "actor")
    ? retype(entry.value)
    : undefined

export const messageKey = (number: number): string => `message ${number}`

export const isMessageKey = (key: string): boolean => key.startsWith("message ")

/** Tells how an effect ended. */
export type Outcome = Ended["outcome"]
