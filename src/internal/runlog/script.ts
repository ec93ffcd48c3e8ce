/**
 * What a log says that a program does next.
 *
 * @internal
 */
import * as Cause from "effect/Cause"
import type * as Schema from "effect/Schema"
import { errorMessage } from "../errorMessage.ts"
import { toJson } from "../json.ts"
import { isRedactionOf } from "../llm/redact.ts"
import { contentOf, Diverged, nameOf } from "./diverged.ts"
import type { Call, Entry, Input, Message, RunLog } from "./entry.ts"

export { Diverged }

export interface Script {
  readonly log: RunLog
  /** The place of the next entry. */
  cursor: number
  /** The number of the first call that is made live. */
  readonly forkAt: number | undefined
  /** The names of the tools that run live, and the keys of their calls. */
  readonly liveTools: ReadonlySet<string>
  readonly liveKeys: Set<string>
  /** The place of the step that is waited for. */
  awaited: number
}

export const make = (
  log: RunLog,
  { forkAt, live = [] }: { readonly forkAt?: number | undefined; readonly live?: ReadonlyArray<string> | undefined }
): Script => ({ log, cursor: 0, forkAt, liveTools: new Set(live), liveKeys: new Set(), awaited: -1 })

/** The next entry. */
export const next = ({ cursor, log }: Script): Entry | undefined => log.entries[cursor]

/** A fork has come to where its log was cut off, which may be in the middle of what an input led to. */
export const isCutOff = (self: Script): boolean =>
  self.forkAt !== undefined && !self.log.complete && next(self) === undefined

/** Takes what the program has done, if it is next; tells how it differs otherwise. */
export const expect = (self: Script, entry: Entry, calls: number): Diverged | undefined => {
  const recorded = next(self)
  if (recorded !== undefined && isSame(recorded, self.log.lines[self.cursor], entry)) {
    self.cursor++
    return undefined
  }
  return differ(self, recorded, entry, calls)
}

/** The program waits, and the log says that it does something, or that it is over. */
export const stopped = (self: Script, calls: number): Diverged => {
  const recorded = next(self)
  if (recorded !== undefined) return differ(self, recorded, undefined, calls)
  return new Diverged({
    call: calls,
    ...placeOf(self.log.entries.findLast((entry) => entry._tag === "Call")),
    problem: self.log.complete
      ? "the program goes on where it ended when it was recorded"
      : cutOff(self.log)
  })
}

/** A call that the seams do not see. */
export const unrecorded = (calls: number): Diverged =>
  new Diverged({
    call: calls,
    problem: "a model was called outside of an agent, which no log has: let an agent or a tool call it"
  })

/** The next input is one that nobody waits for, or that does not come. */
export const unwanted = (self: Script, calls: number): Diverged => {
  const recorded = next(self)
  const problem = recorded?._tag === "Input" && recorded.key === "outside"
    ? "here something outside of the program's calls led to a step of it (a promise, a socket, or a tool that " +
      "talks to an actor inside), and now it does not; if it was a tool, name it in `live`"
    : `nobody waits for ${nameOf(recorded)}`
  return new Diverged({ call: calls, ...placeOf(callOf(self.log, recorded)), problem })
}

/** The next input is no answer to what was asked: somebody has changed the log. */
export const unreadable = (self: Script, recorded: Input, problem: string, calls: number): Diverged =>
  new Diverged({
    call: calls,
    ...placeOf(callOf(self.log, recorded)),
    problem: `${nameOf(recorded)} can't be read: ${problem}`,
    recorded: recorded.value
  })

/** A message from outside is for an actor that is not there, or can't be read. */
export const undeliverable = (
  { actor, tag }: Message,
  recorded: Input,
  problem: string,
  calls: number
): Diverged =>
  new Diverged({
    call: calls,
    path: actor,
    problem: `${recorded.key} (${tag} to ${actor}) came from outside when it was recorded, and now ${problem}`,
    recorded: recorded.value
  })

/** The program failed where its log says something else: the failure is the reason. */
export const failed = (self: Diverged, cause: Cause.Cause<unknown>): Diverged => {
  const error = Cause.squash(cause)
  return new Diverged({ ...self, problem: `${self.problem}: ${errorMessage(error)}`, cause: error })
}

/** The answers in the rest of the log, by the keys of their calls. */
export const left = ({ cursor, log }: Script): ReadonlyMap<string, ReadonlyArray<Schema.Json>> => {
  const answers = new Map<string, Array<Schema.Json>>()
  for (const entry of log.entries.slice(cursor)) {
    if (entry._tag !== "Input") continue
    const list = answers.get(entry.key)
    if (list === undefined) answers.set(entry.key, [entry.value])
    else list.push(entry.value)
  }
  return answers
}

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

/** A log that was changed by hand may have other spaces in its lines. */
const isSame = (recorded: Entry, line: string | undefined, now: Entry): boolean => {
  if (recorded._tag !== now._tag) return false
  const text = JSON.stringify(now)
  return line === text || isRedactionOf(JSON.stringify(recorded), text)
}

const cutOff = ({ entries }: RunLog): string => {
  const calls = entries.filter(({ _tag }) => _tag === "Call").length
  return `the log was cut off here, and the program goes on: RunLog.fork with at ${calls + 1} goes on live`
}

const differ = (
  { log }: Script,
  recorded: Entry | undefined,
  now: Entry | undefined,
  calls: number
): Diverged => {
  if (recorded === undefined && now !== undefined && !log.complete) {
    return new Diverged({
      call: calls,
      ...placeOf(callOf(log, now, calls)),
      problem: `${cutOff(log)}; it comes to ${nameOf(now)}`,
      now: toJson(contentOf(now))
    })
  }
  const isKind = recorded !== undefined && now !== undefined && nameOf(recorded) === nameOf(now)
  return new Diverged({
    call: calls,
    ...placeOf(callOf(log, now, calls) ?? callOf(log, recorded, calls)),
    problem: isKind
      ? `${nameOf(now)} is not as it was recorded`
      : `recorded was ${nameOf(recorded)}, now comes ${nameOf(now)}`,
    ...(recorded && { recorded: contentOf(recorded) }),
    ...(now && { now: toJson(contentOf(now)) })
  })
}

/** The call that an entry belongs to; of an event, the latest call of its run. */
const callOf = (log: RunLog, entry: Entry | undefined, calls = Number.POSITIVE_INFINITY): Call | undefined => {
  switch (entry?._tag) {
    case "Call":
      return entry
    case "Input":
      return log.entries.find((call): call is Call => call._tag === "Call" && call.key === entry.key)
    case "Event":
      return log.entries.findLast((call): call is Call =>
        call._tag === "Call" && call.run === entry.event.run && call.number <= calls
      )
    default:
      return undefined
  }
}

const placeOf = (call: Entry | undefined) =>
  call?._tag === "Call" ? { agent: call.agent, turn: call.turn, path: call.path } : undefined
