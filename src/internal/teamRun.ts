/**
 * What all teams are made of: members that are started or used as they are, and one run through several of them.
 *
 * @internal
 */
import { Effect, Ref, Result, type Scope, Stream } from "effect"
import { Prompt, type Response } from "effect/ai"
import * as Actor from "../Actor.ts"
import type { ActorSystem } from "../ActorSystem.ts"
import { type Agent, isAgent } from "../Agent.ts"
import { AgentError, type AgentErrorReason, EmptyPrompt, InvalidAgent, MemberFailed } from "../AgentError.ts"
import type { AgentEvent, AgentResponse } from "../AgentEvent.ts"
import * as Transcript from "../Transcript.ts"
import { behavior, type BehaviorOptions, speak } from "./agentActor.ts"
import { type AgentBehavior, type AgentRef, type Input, isEmpty, type Request } from "./agentProtocol.ts"
import { addUsage, noUsage } from "./usage.ts"

/**
 * Who can be in a team: an agent or a behavior (of an agent or of a team), which the team starts as its child, or the
 * ref of an actor that runs already, which the team only prompts.
 *
 * @since 0.1.0
 * @category models
 */
export type Member = Agent<unknown, unknown> | AgentBehavior<unknown, unknown> | AgentRef

/**
 * What starting a team can fail with: what its members fail with, a taken name, or `InvalidAgent`.
 *
 * @since 0.1.0
 * @category type utils
 */
export type TeamError<M extends Member> =
  | (M extends Agent<infer E, infer _R> ? E : M extends AgentBehavior<infer E, infer _R> ? E : never)
  | AgentError
  | Actor.SpawnError

/**
 * What a team requires: what its members do.
 *
 * @since 0.1.0
 * @category type utils
 */
export type TeamServices<M extends Member> =
  | Exclude<
    M extends Agent<infer _E, infer R> ? R : M extends AgentBehavior<infer _E, infer R> ? R : never,
    Scope.Scope
  >
  | ActorSystem

/** @internal */
export type Events<R = never> = Stream.Stream<AgentEvent, AgentError, R>

/**
 * One prompt under way through a team.
 *
 * @internal
 */
export interface Run {
  readonly team: string
  readonly request: Request
  /** What the run adds to the conversation: the prompt, and what was said since. */
  readonly said: Array<Transcript.Entry>
  /** The answer's text as far as it was streamed. */
  text: string
  usage: Response.Usage
  turns: number
}

/**
 * How a team works: who is in it, what makes it pointless to start, and what becomes of a prompt.
 *
 * @internal
 */
export interface Plan<R> {
  readonly kind: string
  /** Who is started as a child gets this name in the actor tree. */
  readonly members: ReadonlyArray<readonly [name: string, member: Member]>
  readonly problem: string | undefined
  /** Gets the refs in the members' order. */
  readonly answer: (refs: ReadonlyArray<AgentRef>) => (run: Run) => Events<R>
}

/**
 * A behavior with the Agent protocol.
 *
 * @internal
 */
export const make = <M extends Member, R = never>(
  name: string,
  plan: Plan<R>,
  options: BehaviorOptions
): AgentBehavior<TeamError<M>, TeamServices<M> | Exclude<R, Scope.Scope>> => {
  const speaker = Effect.gen(function*() {
    if (plan.problem !== undefined) return yield* invalid(name, plan.problem)
    const started = yield* Effect.forEach(plan.members, ([name, member]) => start(name, member))
    const answer = plan.answer(started.map(({ ref }) => ref))
    return {
      run: (request: Request, transcript: Ref.Ref<Transcript.Transcript>) =>
        Stream.withSpan(runs(name, request, transcript, answer), `invoke_agent ${name}`, {
          attributes: { "gen_ai.agent.name": name, "troupe.team": plan.kind }
        }),
      reset: Effect.forEach(started, resetMember, { discard: true })
    }
  })
  // A list of members can't carry what each one fails with and requires; the signature, which saw them one by one, can.
  return speak(name, speaker, options) as AgentBehavior<TeamError<M>, TeamServices<M> | Exclude<R, Scope.Scope>>
}

/**
 * The members of a list with their names in the actor tree: those of their agents, numbered where two have the same.
 *
 * @internal
 */
export const named = (members: ReadonlyArray<Member>): Plan<never>["members"] => {
  const seen = new Map<string, number>()
  return members.map((member) => {
    const name = nameOf(member)
    const count = (seen.get(name) ?? 0) + 1
    seen.set(name, count)
    return [count === 1 ? name : `${name}-${count}`, member]
  })
}

/**
 * Prompts a member: its events become events of this run, all but its `Completed`, after which `next` goes on. Where
 * the run has a conversation of its own to go by, the member answers in that.
 *
 * @internal
 */
export const prompt = <R = never>(
  run: Run,
  ref: AgentRef,
  input: Input,
  next: (response: AgentResponse) => Events<R>,
  as?: string
): Events<R> =>
  Stream.suspend(() => {
    let response: AgentResponse | undefined
    return ref.stream("Run", { input, history: run.request.history, as }).pipe(
      Stream.catchTag("ActorError", (error) => Stream.fromEffect(fail(run, new MemberFailed({ error })))),
      Stream.filter((event) => {
        if (event._tag === "Completed") response = event.response
        else note(run, event)
        return event._tag !== "Completed"
      }),
      Stream.concat(Stream.suspend(() => next(response!)))
    )
  })

/**
 * Lets a member speak for the team: its answer, streamed under the team's name, is the team's.
 *
 * @internal
 */
export const answer = (run: Run, ref: AgentRef, input: Input): Events =>
  prompt(run, ref, input, (response) => complete(run, response), run.team)

/**
 * Prompts members at once with what the team was prompted with. `"fail"` ends all with the first failure.
 *
 * @internal
 */
export const gather = (
  run: Run,
  refs: ReadonlyArray<AgentRef>,
  onFailure: "fail" | "collect",
  next: (outcomes: ReadonlyArray<Result.Result<AgentResponse, AgentError>>) => Events
): Events => {
  const outcomes: Array<Result.Result<AgentResponse, AgentError>> = []
  const all = refs.map((ref, index) => {
    const events = prompt(run, ref, run.request.input, (response) => {
      outcomes[index] = Result.succeed(response)
      return Stream.empty
    })
    return onFailure === "fail" ? events : Stream.catch(events, (error) => {
      outcomes[index] = Result.fail(error)
      return Stream.empty
    })
  })
  return Stream.mergeAll(all, { concurrency: "unbounded", bufferSize: 1 }).pipe(
    Stream.concat(Stream.suspend(() => next(outcomes)))
  )
}

/**
 * Answers with a text that no member has streamed as the answer.
 *
 * @internal
 */
export const say = (run: Run, text: string, finishReason: Response.FinishReason = "stop"): Events =>
  Stream.concat(
    Stream.succeed<AgentEvent>({ _tag: "TextDelta", agent: run.team, delta: text }),
    complete(run, { text, finishReason })
  )

/**
 * Ends the run. `entries` are what it adds to the conversation beyond what is said already. Default: the text.
 *
 * @internal
 */
export const complete = (
  run: Run,
  { finishReason, text }: Pick<AgentResponse, "text" | "finishReason">,
  entries: ReadonlyArray<Transcript.Entry> = [answerEntry(run, text)]
): Events =>
  Stream.sync(() => {
    run.said.push(...entries)
    run.text = ""
    const transcript = Transcript.make(run.said)
    const { team: agent, turns, usage } = run
    return { _tag: "Completed", agent, response: { agent, text, finishReason, turns, usage, transcript } }
  })

/** @internal */
export const fail = (run: Run, reason: AgentErrorReason): Effect.Effect<never, AgentError> =>
  Effect.fail(new AgentError({ agent: run.team, reason, transcript: Transcript.make(run.said) }))

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

interface Started {
  readonly ref: AgentRef
  readonly owned: boolean
}

const isBehavior = (member: Member): member is AgentBehavior<unknown, unknown> => "definition" in member

const nameOf = (member: Member): string => isAgent(member) ? member.name : isBehavior(member) ? member.agent : "member"

const start = (name: string, member: Member): Effect.Effect<Started, unknown, unknown> => {
  if (!isAgent(member) && !isBehavior(member)) return Effect.succeed({ ref: member, owned: false })
  return Effect.map(
    Actor.spawn(isAgent(member) ? behavior(member) : member, { name }),
    (ref) => ({ ref, owned: true })
  )
}

/** A member that has stopped has no conversation to forget. */
const resetMember = ({ owned, ref }: Started): Effect.Effect<void> =>
  owned ? Effect.ignore(ref.ask("Reset")) : Effect.void

const invalid = (team: string, problem: string): Effect.Effect<never, AgentError> =>
  Effect.fail(new AgentError({ agent: team, reason: new InvalidAgent({ problem }), transcript: Transcript.empty }))

const runs = <R>(
  team: string,
  request: Request,
  transcript: Ref.Ref<Transcript.Transcript>,
  answer: (run: Run) => Events<R>
): Events<R> =>
  Stream.suspend(() => {
    const run: Run = { team, request, said: [Transcript.user(request.input)], text: "", usage: noUsage, turns: 0 }
    if (isEmpty(request.input)) return Stream.fromEffect(fail(run, new EmptyPrompt()))
    // However the run ends, the conversation has the prompt and the answer as far as it came.
    const write = Effect.suspend(() => {
      if (run.text !== "") run.said.push(answerEntry(run, run.text))
      return Ref.update(transcript, (transcript) => Transcript.append(transcript, ...run.said))
    })
    return Stream.ensuring(answer(run), write)
  })

const note = (run: Run, event: AgentEvent): void => {
  if (event._tag === "TurnFinished") {
    run.usage = addUsage(run.usage, event.usage)
    run.turns++
  }
  if (event._tag === "TextDelta" && event.agent === run.team) run.text += event.delta
}

const answerEntry = (run: Run, text: string): Transcript.Entry => ({
  _tag: "Answer",
  agent: run.team,
  content: text === "" ? [] : [Prompt.textPart({ text })]
})
