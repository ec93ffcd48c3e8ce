/**
 * How a program differs from its log. Exported through `RunLog`.
 *
 * @internal
 */
import * as Schema from "effect/Schema"
import { describeDifference } from "../difference.ts"
import { type Entry, messageOf } from "./entry.ts"

/**
 * A program did something else than its log says.
 *
 * `call` is the number of the call, or of the last one before it; `agent`, `turn` and `path` are of that call or
 * event. Of `recorded` and `now` one is absent where only the other side has something.
 *
 * @since 0.1.0
 * @category errors
 */
export class Diverged extends Schema.TaggedError<Diverged>("effect-troupe/RunLog/Diverged")("Diverged", {
  call: Schema.Int,
  agent: Schema.optionalKey(Schema.String),
  turn: Schema.optionalKey(Schema.Int),
  path: Schema.optionalKey(Schema.String),
  problem: Schema.String,
  recorded: Schema.optionalKey(Schema.Json),
  now: Schema.optionalKey(Schema.Json),
  /** The failure of a program that ends where its log goes on. */
  cause: Schema.optionalKey(Schema.Defect())
}) {
  override get message(): string {
    const { call, now, path, problem, recorded } = this
    const where = path === undefined ? `after call ${call}` : `call ${call} (${path})`
    const difference = recorded === undefined || now === undefined
      ? ""
      : `\n${describeDifference(recorded, now, { from: "recorded", to: "now" })}`
    return `${where}: ${problem}${difference}`
  }
}

/** An entry in a few words. */
export const nameOf = (entry: Entry | undefined): string => {
  switch (entry?._tag) {
    case undefined:
      return "nothing"
    case "Call":
      return `the call ${entry.key}`
    case "Input":
      return entry.key === "outside" ? "a step that something outside of the program led to" : nameOfInput(entry)
    case "Reply":
      return `the reply to ${entry.key}`
    case "Event":
      return `the event ${entry.event._tag} of ${entry.event.agent}`
    case "RunEnded":
      return `the end (${entry.outcome}) of the run ${entry.run}`
    case "Ended":
      return `the end of the program (${entry.outcome})`
  }
}

const nameOfInput = (entry: Extract<Entry, { readonly _tag: "Input" }>): string => {
  const message = messageOf(entry)
  return message === undefined ? `the input ${entry.key}` : `${entry.key} (${message.tag} to ${message.actor})`
}

/** An entry without what names it already. */
export const contentOf = (entry: Entry): Schema.Json => {
  switch (entry._tag) {
    case "Call":
      return entry.request
    case "Input":
    case "Reply":
      return entry.value
    case "Event":
      return entry.event
    case "RunEnded":
    case "Ended":
      return entry.outcome
  }
}
