/**
 * What a log tells: its runs, the state at a call, a summary. Exported through `RunLog`.
 *
 * @internal
 */
import { hasProperty, isNumber, isString } from "effect/Predicate"
import type * as Schema from "effect/Schema"
import type { Parent } from "../../AgentEvent.ts"
import * as check from "../check.ts"
import type { MessageJson, RequestJson } from "../llm/request.ts"
import { retype } from "../retype.ts"
import {
  type Call,
  type Emitted,
  type Entry,
  type Input,
  isMessageKey,
  type Message,
  messageOf,
  type Outcome,
  type Reply,
  type RunLog
} from "./entry.ts"

/**
 * A run of a program. Times are in milliseconds since the program's start; `endedAt` and `outcome` are absent where the
 * log ends before the run.
 *
 * @since 0.1.0
 * @category models
 */
export interface RecordedRun {
  readonly run: string
  readonly agent: string
  readonly parent?: Parent
  readonly startedAt: number
  readonly endedAt?: number
  readonly outcome?: Outcome
  readonly events: ReadonlyArray<Emitted>
  readonly calls: ReadonlyArray<Call>
}

/**
 * The state of a program when a call was made: the runs that went on, the calls that waited, with that one, and the asks
 * and streams from outside that had no reply.
 *
 * @since 0.1.0
 * @category models
 */
export interface State {
  readonly at: number
  readonly runs: ReadonlyArray<RunState>
  readonly pending: ReadonlyArray<Call>
  readonly messages: ReadonlyArray<Input>
}

/**
 * A run under way. `messages` are those of its latest request to the model, as JSON, and `text` what has come of the
 * answer.
 *
 * @since 0.1.0
 * @category models
 */
export interface RunState {
  readonly run: string
  readonly agent: string
  readonly parent?: Parent
  readonly turn: number
  readonly messages: ReadonlyArray<MessageJson>
  readonly text: string
}

/**
 * What a program did, in short: the answers of its outermost runs, the tools that were called, how many messages came to
 * its actors from outside, the tokens and the cost in US dollars as far as they are known, and the time in milliseconds.
 *
 * @since 0.1.0
 * @category models
 */
export interface Summary {
  readonly answers: ReadonlyArray<{ readonly agent: string; readonly text: string }>
  readonly toolCalls: ReadonlyArray<{ readonly agent: string; readonly name: string; readonly params: Schema.Json }>
  readonly messages: number
  readonly inputTokens: number
  readonly outputTokens: number
  readonly cost: number
  readonly time: number
}

export const isCall = (entry: Entry): entry is Call => entry._tag === "Call"

/** The runs in the order in which they began. */
export const runs = ({ entries }: RunLog): ReadonlyArray<RecordedRun> => {
  const found = new Map<string, Building>()
  for (const entry of entries) {
    switch (entry._tag) {
      case "Event": {
        const { at, event: { agent, parent, run } } = entry
        const known = found.get(run)
        if (known !== undefined) known.events.push(entry)
        else found.set(run, { run, agent, ...(parent && { parent }), startedAt: at, events: [entry], calls: [] })
        break
      }
      case "Call":
        found.get(entry.run)?.calls.push(entry)
        break
      case "RunEnded": {
        const run = found.get(entry.run)
        if (run !== undefined) Object.assign(run, { endedAt: entry.at, outcome: entry.outcome })
      }
    }
  }
  return Array.from(found.values())
}

/** Calls count from 1 on; one more than the last is the end. */
export const checkCall = (where: string, field: string, log: RunLog, number: number): void => {
  check.positiveInteger(where, field, number)
  const calls = log.entries.filter(isCall).length
  if (number > calls + 1) check.fail(where, field, `a call of the log, or one more than its ${calls}`, number)
}

export const stopAt = (log: RunLog, number: number): State => {
  checkCall("RunLog.stopAt", "number", log, number)
  const { entries } = log
  const place = entries.findIndex((entry) => isCall(entry) && entry.number === number)
  const past = place < 0 ? entries : entries.slice(0, place + 1)
  const before = { ...log, entries: past }
  const ended = new Set(past.flatMap((entry) => entry._tag === "Input" && isExit(entry.value) ? [entry.key] : []))
  const replied = new Set(past.flatMap((entry) => isReply(entry) ? [entry.key] : []))
  return {
    at: past.at(-1)?.at ?? 0,
    runs: runs(before).filter(({ outcome }) => outcome === undefined).map((run) => stateOf(run, past)),
    pending: past.filter(isCall).filter(({ key }) => !ended.has(key)),
    messages: past.filter((entry): entry is Input => isAwaited(messageOf(entry))).filter(({ key }) => !replied.has(key))
  }
}

export const summary = ({ entries }: RunLog): Summary => {
  const answers: Array<Summary["answers"][number]> = []
  const toolCalls: Array<Summary["toolCalls"][number]> = []
  let [inputTokens, outputTokens, cost] = [0, 0, 0]
  for (const entry of entries) {
    if (entry._tag !== "Event") continue
    const { event } = entry
    const { agent } = event
    if (event._tag === "ToolCall") toolCalls.push({ agent, name: String(event.name), params: event.params ?? null })
    if (event._tag === "Completed" && event.parent === undefined) {
      answers.push({ agent, text: hasProperty(event.response, "text") ? String(event.response.text) : "" })
    }
    if (event._tag === "TurnFinished") {
      inputTokens += totalOf(event.usage, "inputTokens")
      outputTokens += totalOf(event.usage, "outputTokens")
      cost += isNumber(event.cost) ? event.cost : 0
    }
  }
  const messages = entries.filter((entry) => messageOf(entry) !== undefined).length
  return { answers, toolCalls, messages, inputTokens, outputTokens, cost, time: entries.at(-1)?.at ?? 0 }
}

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

interface Building extends RecordedRun {
  readonly events: Array<Emitted>
  readonly calls: Array<Call>
}

const isAwaited = (message: Message | undefined): boolean =>
  message !== undefined && message.how !== "tell" && !message.gone

/** An answer, or that the asker waits no more. */
const isReply = (entry: Entry): entry is Input | Reply =>
  entry._tag === "Reply" || (entry._tag === "Input" && isMessageKey(entry.key) && messageOf(entry) === undefined)

const isExit = (value: Schema.Json): boolean => value !== null && !hasProperty(value, "item")

/** A request may be made at the very time of the texts before it, so their places tell which answer they belong to. */
const stateOf = ({ agent, calls, parent, run }: RecordedRun, entries: ReadonlyArray<Entry>): RunState => {
  const asked = calls.findLast(({ kind }) => kind === "model")
  const answer = asked === undefined ? [] : entries.slice(entries.indexOf(asked))
  const text = answer.map((entry) =>
    entry._tag === "Event" && entry.event.run === run && entry.event._tag === "TextDelta" ? entry.event.delta : ""
  )
  return {
    run,
    agent,
    ...(parent && { parent }),
    turn: asked?.turn ?? 0,
    messages: asked === undefined ? [] : retype<RequestJson>(asked.request).prompt,
    text: text.filter(isString).join("")
  }
}

const totalOf = (usage: Schema.Json | undefined, field: "inputTokens" | "outputTokens"): number => {
  const tokens = hasProperty(usage, field) ? usage[field] : undefined
  return hasProperty(tokens, "total") && isNumber(tokens.total) ? tokens.total : 0
}
