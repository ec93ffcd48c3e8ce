/**
 * The base of all teams: members that are started or used as they are, and one run through several of them.
 *
 * @internal
 */
import * as Prompt from "effect/ai/Prompt"
import type * as Response from "effect/ai/Response"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Ref from "effect/Ref"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Actor from "../../Actor.ts"
import type { ActorSystem } from "../../ActorSystem.ts"
import { type Agent, behavior, isAgent } from "../../Agent.ts"
import { AgentError, type AgentErrorReason, EmptyPrompt, MemberFailed } from "../../AgentError.ts"
import type { AgentEvent, AgentResponse, Place, Source } from "../../AgentEvent.ts"
import * as Budget from "../../Budget.ts"
import * as Transcript from "../../Transcript.ts"
import type { Run } from "../actor/cell.ts"
import * as check from "../check.ts"
import * as Pushed from "../pushed.ts"
import type { Shown } from "../shown.ts"
import { type BehaviorOptions, serve } from "./actor.ts"
import { escape, nextPath, type RunPlace } from "./place.ts"
import type { AgentBehavior, AgentRef, Input, Request } from "./protocol.ts"
import { inAgentSpan } from "./spans.ts"
import { placeRun } from "./toolContext.ts"
import * as Turn from "./turn.ts"
import { waitAs, waitingRun } from "./waiting.ts"
import { watched } from "./watched.ts"

/**
 * Who can be in a team: an agent or a behavior (of an agent or of a team), which the team starts as its child, or the
 * ref of an actor that runs already, which the team only prompts.
 *
 * @since 0.1.0
 * @category models
 */
export type Member = Agent<unknown, unknown> | AgentBehavior<unknown, unknown, never> | AgentRef<never>

/**
 * How a team runs as an actor.
 *
 * @since 0.1.0
 * @category models
 */
export interface TeamOptions extends BehaviorOptions {
  /** Pays for what the team runs: members that it starts, and theirs. Default: the budgets around the team. */
  readonly budget?: Budget.Budget | undefined
}

/**
 * The reply of one member among several. `text` is its answer, or the message of its failure.
 *
 * @since 0.1.0
 * @category models
 */
export interface Reply {
  /** The member's name in the team. */
  readonly member: string
  readonly text: string
  readonly result: Result.Result<AgentResponse, AgentError>
}

/** What the failure of one member among several does: it fails the run, or is a reply. */
export type OnFailure = "fail" | "collect"

/**
 * The errors of starting a team: those of starting its members, or a taken name.
 *
 * @since 0.1.0
 * @category type utils
 */
export type TeamError<M extends Member> = Shown<
  | (M extends Agent<infer E, infer _R> ? E : M extends AgentBehavior<infer E, infer _R, never> ? E : never)
  | Actor.SpawnError
>

/**
 * The requirements of a team: those of its members, and its own.
 *
 * @since 0.1.0
 * @category type utils
 */
export type TeamServices<M extends Member, R = never> = Shown<
  | R
  | Exclude<
    M extends Agent<infer _E, infer R> ? R : M extends AgentBehavior<infer _E, infer R, never> ? R : never,
    Scope.Scope
  >
  | ActorSystem
>

/** One prompt under way through a team. */
export interface TeamRun {
  readonly at: RunPlace
  readonly request: Request
  readonly emit: Pushed.Emit<AgentEvent>
  /** The run of the team's actor, which waits for those of its members. */
  readonly waiting: Run | undefined
  /** The conversation before the run. */
  readonly transcript: Ref.Ref<Transcript.Transcript>
  /** The entries that the run adds to the conversation: the prompt, then the answers. */
  readonly added: Array<Transcript.Entry>
  /** How many prompts each member has had. */
  readonly prompts: Map<string, number>
  /** Whether members answer in the team's own conversation; then the run that does it now. */
  readonly shared: boolean
  speaker: Place | undefined
  /** The answer's turns as far as they were heard, for the transcript of a run that breaks off. */
  readonly heard: Array<Turn.Turn>
  readonly usages: Array<Response.Usage>
  /** Those of the members that have answered. */
  readonly sources: Array<Source>
  turns: number
}

/**
 * The answer of a run. `entries` are those that it adds to the conversation beyond `added`. Default: the text.
 */
export interface Answer extends Pick<AgentResponse, "text" | "finishReason" | "output"> {
  readonly entries?: ReadonlyArray<Transcript.Entry>
}

export type NamedMember = readonly [name: string, member: Member]

/** A member that can be prompted. `owned` is one that the team has started itself. */
export interface Started {
  readonly name: string
  readonly ref: AgentRef<never>
  readonly owned: boolean
}

/** How a team works: who is in it, and how a prompt is answered. */
export interface Plan<R> {
  readonly kind: string
  /** Whether members answer in the team's own conversation. Default: no. */
  readonly shared?: boolean | undefined
  /** Who is started as a child gets the name in the actor tree. A function gets those that were started before. */
  readonly members: ReadonlyArray<
    readonly [name: string, member: Member | ((started: ReadonlyArray<Started>) => Member)]
  >
  /** Gets the members in their order. */
  readonly answer: (members: ReadonlyArray<Started>, run: TeamRun) => Effect.Effect<Answer, AgentError, R>
}

/** A behavior with the Agent protocol. */
export const make = <M extends Member, R = never>(
  name: string,
  plan: Plan<R>,
  options: TeamOptions
): AgentBehavior<TeamError<M>, TeamServices<M, Exclude<R, Scope.Scope>>> => {
  check.notEmpty(`Team.${plan.kind}`, "name", name)
  const handler = Effect.gen(function*() {
    const budgets = Budget.join(yield* Budget.Current, options.budget)
    const started: Array<Started> = []
    for (const [name, member] of plan.members) {
      const starting = start(name, typeof member === "function" ? member(started) : member)
      started.push(yield* Effect.provideService(starting, Budget.Current, budgets))
    }
    return {
      run: (request: Request, transcript: Ref.Ref<Transcript.Transcript>, emit: TeamRun["emit"], actor: string) =>
        Effect.flatMap(placeRun(name, { parent: request.parent, as: request.as }), (at) =>
          inAgentSpan(
            at,
            { id: actor, description: options.description, team: plan.kind },
            perform(at, plan, started, request, transcript, emit).pipe(
              Effect.provideService(Budget.Current, budgets),
              Effect.scoped
            )
          )),
      restore: (transcript: Transcript.Transcript) =>
        Effect.forEach(started, (member) => restoreMember(member, transcript), { discard: true })
    }
  })
  // A list of members can't carry what each one fails with and requires; the signature, which saw them one by one, can.
  return serve(name, handler, options) as AgentBehavior<TeamError<M>, TeamServices<M, Exclude<R, Scope.Scope>>>
}

/**
 * The members of a list with their names in the actor tree: those of their agents, numbered where two have the same.
 */
export const named = (members: ReadonlyArray<Member>): ReadonlyArray<NamedMember> => {
  const seen = new Map<string, number>()
  return members.map((member) => {
    const name = nameOf(member)
    const count = (seen.get(name) ?? 0) + 1
    seen.set(name, count)
    return [count === 1 ? name : `${name}-${count}`, member]
  })
}

/**
 * Prompts a member: its events become events of this run, all but its `Completed`.
 *
 * Where the run was given a conversation to go by, the member answers in that.
 */
export const prompt = (
  run: TeamRun,
  { name, ref }: Started,
  request: Partial<Request> & Pick<Request, "input">
): Effect.Effect<AgentResponse, AgentError> =>
  Effect.suspend(() => {
    const path = nextPath({ path: run.at.path, counts: run.prompts }, escape(name))
    const parent = { run: run.at.self.run, path }
    let response: AgentResponse | undefined
    const relay = (events: ReadonlyArray<AgentEvent>) => {
      for (const event of events) note(run, event)
      const last = events.at(-1)
      if (last?._tag !== "Completed") return run.emit(events)
      response = last.response
      run.sources.push(...response.sources)
      return events.length === 1 ? Effect.void : run.emit(events.slice(0, -1))
    }
    const events = ref.stream("Run", { history: run.request.history, context: run.request.context, ...request, parent })
    return waitAs(run.waiting, Pushed.runForEach(events, relay)).pipe(
      Effect.catchTag("ActorError", (error) => fail(run, new MemberFailed({ error }))),
      Effect.flatMap(() => response === undefined ? cutOff(run, ref) : Effect.succeed(response))
    )
  })

/** Lets a member speak for the team: its answer, streamed under the team's run and name, is the team's. */
export const answer = (run: TeamRun, member: Started, input: Input): Effect.Effect<Answer, AgentError> =>
  prompt(run, member, { input, output: run.request.output, as: run.at.voice })

/** The part of a member's response that is the team's answer. */
export const toAnswer = ({ finishReason, output, text }: AgentResponse): Answer => ({ finishReason, output, text })

/** Gives an answer that no member has streamed as the team's. */
export const emitAnswer = (run: TeamRun, answer: Answer): Effect.Effect<Answer> => {
  const { output, text } = answer
  return Effect.as(
    run.emit([output === undefined ? Turn.toText(run.at, text) : Turn.toPartial(run.at, output)]),
    answer
  )
}

/** Prompts a member. With `"collect"` its failure is a reply, too. */
export const reply = (
  run: TeamRun,
  member: Started,
  request: Parameters<typeof prompt>[2],
  onFailure: OnFailure
): Effect.Effect<Reply, AgentError> => {
  const response = prompt(run, member, request)
  return Effect.map(
    onFailure === "fail" ? Effect.map(response, Result.succeed) : Effect.result(response),
    (result) => ({
      member: member.name,
      text: Result.isSuccess(result) ? result.success.text : result.failure.message,
      result
    })
  )
}

/** Prompts members at once with the team's own prompt. `"fail"` ends all with the first failure. */
export const gather = (
  run: TeamRun,
  members: ReadonlyArray<Started>,
  onFailure: OnFailure
): Effect.Effect<ReadonlyArray<Reply>, AgentError> =>
  Effect.forEach(members, (member) => reply(run, member, { input: run.request.input }, onFailure), {
    concurrency: "unbounded"
  })

/** Fails with the first failure where there is nothing else. */
export const orFailure = <R extends Reply>(replies: ReadonlyArray<R>): Effect.Effect<ReadonlyArray<R>, AgentError> => {
  const [failure, ...others] = replies.flatMap(({ result }) => Result.isFailure(result) ? [result.failure] : [])
  return failure !== undefined && others.length === replies.length - 1 ? Effect.fail(failure) : Effect.succeed(replies)
}

/** Takes the entries that a member's run added over into the conversation of the team. */
export const adopt = (run: TeamRun, entries: ReadonlyArray<Transcript.Entry>): void => {
  // The prompt is the first of them, as the member's guardrails have let it through.
  if (entries.length > 0) run.added.splice(-1, 1, ...entries)
  run.heard.length = 0
}

/** Whether the member is an actor that somebody else has started. */
export const isRef = (member: Member): member is AgentRef<never> => !isAgent(member) && !isBehavior(member)

export const descriptionOf = (member: Member): string | undefined =>
  isAgent(member) || isBehavior(member) ? member.description : undefined

export const fail = (run: TeamRun, reason: AgentErrorReason): Effect.Effect<never, AgentError> =>
  Effect.fail(new AgentError({ agent: run.at.self.agent, reason, transcript: Transcript.make(run.added) }))

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const isBehavior = (member: Member): member is AgentBehavior<unknown, unknown, never> => "definition" in member

const nameOf = (member: Member): string => isAgent(member) ? member.name : isBehavior(member) ? member.agent : "member"

const start = (name: string, member: Member): Effect.Effect<Started, unknown, unknown> => {
  if (isRef(member)) return Effect.succeed({ name, ref: member, owned: false })
  return Effect.map(
    Actor.spawn(isAgent(member) ? behavior(member) : member, { name }),
    (ref) => ({ name, ref, owned: true })
  )
}

/** A member that has stopped has no conversation to go on with. */
const restoreMember = ({ owned, ref }: Started, transcript: Transcript.Transcript): Effect.Effect<void> =>
  owned ? Effect.ignore(ref.ask("Restore", { transcript })) : Effect.void

const perform = <R>(
  at: RunPlace,
  { answer, shared = false }: Plan<R>,
  members: ReadonlyArray<Started>,
  request: Request,
  transcript: Ref.Ref<Transcript.Transcript>,
  listener: TeamRun["emit"]
): Effect.Effect<void, AgentError, R> =>
  Effect.flatMap(waitingRun, (waiting) =>
    watched(at, listener, (emit) => {
      const prompt = Transcript.user(request.input)
      const added: Array<Transcript.Entry> = [prompt]
      const run: TeamRun = {
        at,
        request,
        emit,
        waiting,
        transcript,
        added,
        prompts: new Map(),
        shared,
        speaker: undefined,
        heard: [],
        usages: [],
        sources: [],
        turns: 0
      }
      const started = emit([{ ...at.self, _tag: "RunStarted" }])
      if (Transcript.isBlank(prompt)) return Effect.andThen(started, fail(run, new EmptyPrompt()))
      // The conversation gets the answer as far as it came, and no prompt that nobody answered, unless its user left.
      const write = (exit: Exit.Exit<unknown, unknown>) => {
        added.push(...run.heard.map(Turn.toEntry).filter(({ content }) => content.length > 0))
        const failed = Exit.isFailure(exit) && !Cause.hasInterruptsOnly(exit.cause)
        const kept = failed ? added.slice(0, answeredOf(run)) : added
        return Ref.update(transcript, (transcript) => Transcript.append(transcript, ...kept))
      }
      const answered = Effect.map(Effect.andThen(started, answer(members, run)), (answer) => settle(run, answer))
      return Effect.flatMap(
        Effect.onExit(answered, write),
        (response) => emit([{ ...at.self, _tag: "Completed", response }])
      )
    }))

/** How many of the entries that the run adds are answered: all until the last answer, or the prompt by a member. */
const answeredOf = ({ added, turns }: TeamRun): number =>
  Math.max(added.findLastIndex(({ _tag }) => _tag === "Answer") + 1, turns > 0 ? 1 : 0)

const settle = (run: TeamRun, { entries, finishReason, output, text }: Answer): AgentResponse => {
  run.added.push(...entries ?? [toEntry(run, text)])
  run.heard.length = 0
  return {
    agent: run.at.self.agent,
    text,
    finishReason,
    turns: run.turns,
    usage: Turn.sumUsage(run.usages),
    transcript: Transcript.make(run.added),
    sources: run.sources,
    ...(output !== undefined && { output })
  }
}

const note = (run: TeamRun, event: AgentEvent): void => {
  if (event._tag === "TurnFinished") {
    run.usages.push(event.usage)
    run.turns++
  }
  if (event._tag === "RunStarted") {
    if (run.shared && event.parent?.run === run.at.self.run) run.speaker = event
  } else if (event.run === (event._tag === "TextDelta" ? run.at.voice.run : run.speaker?.run)) hear(run, event)
}

const hear = (run: TeamRun, event: AgentEvent): void => {
  const { heard } = run
  const { agent } = run.speaker ?? run.at.self
  if (heard.length === 0) heard.push(Turn.make(run.at, 1, { agent }))
  // A result may come in a later turn than its call.
  const asked = event._tag === "ToolResult" ? heard.findLast((turn) => Turn.hasCall(turn, event.id)) : undefined
  Turn.hear(asked ?? heard.at(-1)!, event)
  if (event._tag === "TurnRestarted") heard.pop()
  if (event._tag === "TurnFinished" || event._tag === "TurnRestarted") {
    heard.push(Turn.make(run.at, heard.length + 1, { agent }))
  }
}

const toEntry = (run: TeamRun, text: string): Transcript.Entry => ({
  _tag: "Answer",
  agent: run.at.self.agent,
  content: text === "" ? [] : [Prompt.textPart({ text })]
})

/** A stream that ends without its last event, as one from another process may, is no answer. */
const cutOff = (run: TeamRun, ref: AgentRef<never>): Effect.Effect<never, AgentError> => {
  const actor = "path" in ref ? String(ref.path) : ref.protocol.name
  const defect = new Error("its events ended before the run was completed")
  return fail(
    run,
    new MemberFailed({ error: new Actor.ActorError({ actor, tag: "Run", reason: { _tag: "Crashed", defect } }) })
  )
}
