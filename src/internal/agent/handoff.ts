/**
 * Members that hand a conversation over to each other.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { isAgent } from "../../Agent.ts"
import { TeamLimitExceeded } from "../../AgentError.ts"
import type { AgentResponse } from "../../AgentEvent.ts"
import * as Tool from "../../Tool.ts"
import * as Transcript from "../../Transcript.ts"
import { listOf } from "./teamPrompts.ts"
import * as TeamRun from "./teamRun.ts"

/** The tool by which a member says who goes on. It ends the member's run; the team sees the call in its transcript. */
export const handoffTools = (others: ReadonlyArray<TeamRun.NamedMember>): ReadonlyArray<Tool.Tool<string>> => {
  if (others.length === 0) return []
  const tool = Tool.fn(handoffName, {
    description: `Hands the conversation over to somebody else, who answers instead of you:\n${listOf(others)}`,
    parameters: {
      to: Schema.Literals(others.map(([name]) => name)),
      message: Schema.NonEmptyString.annotate({ description: "What they have to do, in a sentence" })
    },
    success: Schema.String
  }, ({ to }) => Effect.succeed(`${to} has the conversation now`))
  const ends = (outcome: Tool.Outcome): Tool.Outcome =>
    outcome.isFailure ? outcome : { ...outcome, answer: { text: "" } }
  return [{ ...tool, handle: (params, id) => Effect.map(tool.handle(params, id), ends) }]
}

/** The member that was handed control last, and is able to hand it on. */
export const holderIn = (
  conversation: Transcript.Transcript,
  members: ReadonlyArray<TeamRun.NamedMember>
): number | undefined => {
  for (const entry of conversation.entries.toReversed()) {
    const handoff = handoffIn(entry, members)
    if (handoff !== undefined && isAgent(members[handoff.index]![1])) return handoff.index
  }
  return undefined
}

/** Lets the members answer in turn, until one answers without handing over. */
export const converse = Effect.fnUntraced(function*(
  run: TeamRun.TeamRun,
  started: ReadonlyArray<TeamRun.Started>,
  members: ReadonlyArray<TeamRun.NamedMember>,
  begin: { readonly index: number; readonly maxHandoffs: number; readonly conversation: Transcript.Transcript }
) {
  let { conversation: history, index } = begin
  let { input } = run.request
  for (let handoffs = 0; handoffs <= begin.maxHandoffs; handoffs++) {
    if (handoffs > 0) run.added.push(Transcript.user(input))
    const request = { input, history, output: run.request.output, as: run.at.voice }
    const response: AgentResponse = yield* Effect.tapError(
      TeamRun.prompt(run, started[index]!, request),
      (error) => Effect.sync(() => error.reason._tag !== "MemberFailed" && TeamRun.adopt(run, error.transcript.entries))
    )
    const { entries } = response.transcript
    TeamRun.adopt(run, entries)
    const next = handoffIn(entries.at(-1), members)
    if (next === undefined) return { ...TeamRun.toAnswer(response), entries: [] }
    history = Transcript.append(history, ...entries)
    input = `${started[index]!.name} has handed over to you: ${next.message}`
    index = next.index
  }
  return yield* TeamRun.fail(run, new TeamLimitExceeded({ limit: "maxHandoffs", max: begin.maxHandoffs }))
})

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const handoffName = "handoff"

const Handoff = Schema.Struct({ to: Schema.String, message: Schema.String })

/** The member that an entry hands over to, and the message for it. */
const handoffIn = (entry: Transcript.Entry | undefined, members: ReadonlyArray<TeamRun.NamedMember>) => {
  if (entry?._tag !== "Answer") return undefined
  for (const part of entry.content) {
    if (part.type !== "tool-use" || part.name !== handoffName || part.isFailure || !Schema.is(Handoff)(part.params)) {
      continue
    }
    const { message, to } = part.params
    const index = members.findIndex(([name]) => name === to)
    if (index >= 0) return { index, message }
  }
  return undefined
}
