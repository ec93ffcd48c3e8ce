/**
 * What teams tell their members beside the prompt itself.
 *
 * @internal
 */
import * as Prompt from "effect/ai/Prompt"
import { isString } from "effect/Predicate"
import * as Transcript from "../../Transcript.ts"
import type { Input } from "./protocol.ts"
import * as TeamRun from "./teamRun.ts"

/** A prompt with text around it; its files stay files. */
export const quote = (before: string, input: Input, after: string): Input =>
  isString(input)
    ? `${before}${input}${after}`
    : [Prompt.textPart({ text: before }), ...input, Prompt.textPart({ text: after })]

/** The members that a model chooses from. */
export const listOf = (members: ReadonlyArray<TeamRun.NamedMember>): string =>
  members.map(([name, member]) => {
    const description = TeamRun.descriptionOf(member)
    return `- ${name}${description === undefined ? "" : `: ${description}`}`
  }).join("\n")

export const choicePrompt = (input: Input, members: ReadonlyArray<TeamRun.NamedMember>): Input =>
  quote(
    `Choose who answers the prompt below. The candidates:\n${listOf(members)}\n\nThe prompt:\n`,
    input,
    "\n\nAnswer with the name of one candidate and nothing else."
  )

export const leadPrompt = (input: Input, replies: ReadonlyArray<TeamRun.Reply>): Input =>
  quote(
    "",
    input,
    `\n\nYour team replied:\n\n${replies.map(({ member, text }) => `${member}:\n${text}`).join("\n\n")}` +
      "\n\nWrite the one answer from this."
  )

export const joinPrompt = (
  input: Input,
  replies: ReadonlyArray<{ readonly item: Input; readonly text: string }>
): Input => {
  const parts = replies.map(({ item, text }, index) => `${index + 1}. ${textOf(item)}\n\n${text}`).join("\n\n")
  return quote("", input, `\n\nThis was worked out in parts:\n\n${parts}\n\nWrite the one answer from this.`)
}

const textOf = (input: Input): string => Transcript.text(Transcript.user(input))

/** What somebody said in a debate. */
export interface Statement {
  readonly agent: string
  readonly round: number
  readonly text: string
}

export const debatePrompt = (input: Input, said: ReadonlyArray<Statement>, task: string): Input => {
  const debate = said.map(({ agent, round, text }) => `${agent} (round ${round}):\n${text}`).join("\n\n")
  return quote("", input, `${debate === "" ? "" : `\n\nThe debate so far:\n\n${debate}`}\n\n${task}`)
}
