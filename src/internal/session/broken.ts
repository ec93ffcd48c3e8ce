/**
 * The entries of a turn that broke off, so that the next one can go on from them.
 *
 * @internal
 */
import * as Prompt from "effect/ai/Prompt"
import * as Transcript from "../../Transcript.ts"
import type { Input } from "../agent/protocol.ts"
import * as Turn from "../agent/turn.ts"
import type { TurnEnd } from "./event.ts"
import type { TurnLog } from "./turnLog.ts"

/**
 * The prompt, what was said until then, marked, and a note in the place of an answer, so that no later turn gives one.
 * Without `keepPartial` the text and the reasoning of the last answer are left out; calls and their results stay.
 */
export const close = (
  entries: ReadonlyArray<Transcript.Entry>,
  { agent, end, input, keepPartial }: {
    readonly agent: string
    readonly input: Input
    readonly end: TurnEnd
    readonly keepPartial: boolean
  }
): ReadonlyArray<Transcript.Entry> => {
  const all = entries[0]?._tag === "User" ? entries : [Transcript.user(input), ...entries]
  const last = all.at(-1)!
  const note = Prompt.textPart({ text: noteOf(end), options: mark })
  if (last._tag === "User") return [...all, { _tag: "Answer", agent, content: [note] }]
  const content = last.content.flatMap((part): ReadonlyArray<Transcript.AnswerPart> => {
    if (part.type !== "text" && part.type !== "reasoning") return [part]
    if (!keepPartial) return []
    return part.type === "text" ? [{ ...part, options: { ...part.options, ...mark } }] : [part]
  })
  // Results of tools come between what was said before and after them.
  const hasCalls = content.some(({ type }) => type === "tool-use")
  const before = all.slice(0, -1)
  return hasCalls
    ? [...before, { ...last, content }, { _tag: "Answer", agent, content: [note] }]
    : [...before, { ...last, content: [...content, note] }]
}

/** What a turn's readers were told, as entries: for a run whose own were lost with its actor. */
export const heard = ({ items }: TurnLog): ReadonlyArray<Transcript.Entry> => {
  const turns: Array<Turn.Turn> = []
  let run: string | undefined
  for (const { event } of items) {
    if (!("run" in event)) continue
    if (run === undefined) run = event.run
    if (event.run !== run) continue
    if (turns.length === 0 || event._tag === "TurnFinished" || event._tag === "TurnRestarted") {
      if (event._tag === "TurnRestarted") turns.pop()
      const self = { run, agent: event.agent }
      turns.push(Turn.make({ self, voice: self, path: "", blocks: 0 }, turns.length + 1))
    }
    const asked = event._tag === "ToolResult" ? turns.findLast((turn) => Turn.hasCall(turn, event.id)) : undefined
    Turn.hear(asked ?? turns.at(-1)!, event)
  }
  return turns.map(Turn.toEntry).filter(({ content }) => content.length > 0)
}

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

/** For those that show the conversation; models don't see it. */
const mark = { "effect-troupe": { interrupted: true } }

const noteOf = (end: TurnEnd): string =>
  end === "cancelled"
    ? "[This answer was stopped on request. It is not to be continued unless somebody asks for it.]"
    : "[This answer broke off. It is not to be continued unless somebody asks for it.]"
