/**
 * Makes one agent out of several.
 *
 * A team is a behavior with the Agent protocol: it is spawned, asked and streamed like an agent, and it can be a member
 * of another team. Members that are agents or behaviors are started as children of the team's actor; refs are used as
 * they are. Every member keeps its own conversation, and `Agent.reset` of the team resets those that it started.
 *
 * The events of the members are in the team's stream while they happen, each marked with the agent that it comes from,
 * except for `Completed`, which is there once, at the end, and is the team's. The answer's text is in the `TextDelta`
 * events of the team's own run. Usage and turns are those of all members together.
 * Interrupting the team interrupts every member that is at work.
 *
 * A team that can't work (no members, no rounds) throws a `RangeError` where it is made. A member whose actor doesn't
 * answer fails the run with `MemberFailed`; any other failure of a member fails the run as it is.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Hash from "effect/Hash"
import * as Ref from "effect/Ref"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { type Agent, isAgent } from "./Agent.ts"
import { type AgentError, InvalidOutput, TeamLimitExceeded, UnknownMember } from "./AgentError.ts"
import type { AgentResponse } from "./AgentEvent.ts"
import { behaviorWith } from "./internal/agent/actor.ts"
import { converse, handoffTools, holderIn } from "./internal/agent/handoff.ts"
import * as AgentOutput from "./internal/agent/output.ts"
import type { AgentBehavior, Input } from "./internal/agent/protocol.ts"
import {
  choicePrompt,
  debatePrompt,
  joinPrompt,
  leadPrompt,
  quote,
  type Statement
} from "./internal/agent/teamPrompts.ts"
import type { Member, NamedMember, Reply, TeamError, TeamOptions, TeamServices } from "./internal/agent/teamRun.ts"
import * as TeamRun from "./internal/agent/teamRun.ts"
import { checkName } from "./internal/agent/toolName.ts"
import * as check from "./internal/check.ts"
import * as Tool from "./Tool.ts"
import * as Transcript from "./Transcript.ts"

export type {
  /** @since 0.1.0 @category models */
  Member,
  /** @since 0.1.0 @category models */
  Reply,
  /** @since 0.1.0 @category type utils */
  TeamError,
  /** @since 0.1.0 @category models */
  TeamOptions,
  /** @since 0.1.0 @category type utils */
  TeamServices
} from "./internal/agent/teamRun.ts"

/**
 * A team: `E` is the errors of starting it, `R` its requirements.
 *
 * @since 0.1.0
 * @category models
 */
export interface Team<out E, out R> extends AgentBehavior<E, R> {}

/**
 * Members that are told apart by their order. Their number is checked where it is known to the compiler.
 *
 * @since 0.1.0
 * @category type utils
 */
export type Listed<Members extends ReadonlyArray<Member>, TooFew extends number = 0> = Members["length"] extends TooFew
  ? "a team needs more members"
  : Members

/**
 * Members that are told apart by name, for a model or a key to choose from.
 *
 * @since 0.1.0
 * @category type utils
 */
export type Named<Members extends Record<string, Member>> = [keyof Members] extends [never]
  ? "a team needs more members"
  : Members

/**
 * A number from 1 on. It is checked where it is known to the compiler.
 *
 * @since 0.1.0
 * @category type utils
 */
export type Positive<N extends number> = `${N}` extends "0" | `-${string}` | `${string}.${string}`
  ? "a positive integer is needed"
  : N

/**
 * One after the other: each member's answer is the next one's prompt, and the last one's is the team's.
 *
 * @example
 * ```ts
 * import { Actor, Agent, Team } from "effect-troupe"
 *
 * const researcher = Agent.make("researcher", { instructions: "Collect the facts." })
 * const writer = Agent.make("writer", { instructions: "Write a paragraph from the facts." })
 *
 * const essay = Team.pipeline("essay", [researcher, writer])
 * const ref = Actor.spawn(essay)
 * ```
 *
 * @since 0.1.0
 * @category teams
 */
export const pipeline = <const Members extends ReadonlyArray<Member>>(
  name: string,
  members: Members & Listed<Members>,
  options: TeamOptions = {}
): Team<TeamError<Members[number]>, TeamServices<Members[number]>> => {
  checkCount("Team.pipeline", "members", members, 1)
  return TeamRun.make<Members[number]>(name, {
    kind: "pipeline",
    members: TeamRun.named(members),
    answer: Effect.fnUntraced(function*(members, run) {
      let { input } = run.request
      for (const member of members.slice(0, -1)) input = (yield* TeamRun.prompt(run, member, { input })).text
      return yield* TeamRun.answer(run, members.at(-1)!, input)
    })
  }, options)
}

/**
 * All at once with the same prompt. The team's answer is their answers in the members' order, joined.
 *
 * @since 0.1.0
 * @category teams
 */
export const broadcast = <const Members extends ReadonlyArray<Member>>(
  name: string,
  members: Members & Listed<Members>,
  options: TeamOptions & {
    /** Makes one answer of all. Default: their texts with `"\n---\n"` between them. */
    readonly join?: ((replies: ReadonlyArray<Reply>) => string) | undefined
    /**
     * With `"fail"` the first failure interrupts the others and fails the run. With `"collect"` a failure is one of the
     * replies, and the run fails only when all do. Default: `"fail"`.
     */
    readonly onFailure?: "fail" | "collect" | undefined
  } = {}
): Team<TeamError<Members[number]>, TeamServices<Members[number]>> => {
  checkCount("Team.broadcast", "members", members, 1)
  const { join = joinTexts, onFailure = "fail" } = options
  return TeamRun.make<Members[number]>(name, {
    kind: "broadcast",
    members: TeamRun.named(members),
    answer: Effect.fnUntraced(function*(members, run) {
      const replies = yield* Effect.flatMap(TeamRun.gather(run, members, onFailure), TeamRun.orFailure)
      return yield* TeamRun.emitAnswer(run, { text: join(replies), finishReason: "stop" })
    })
  }, options)
}

/**
 * One of several: a key sends a prompt to a member, the same key always to the same one, or a model chooses.
 *
 * With `key`, adding a member moves only the keys that it gets. A `classifier` is prompted with the members, their
 * descriptions and the prompt, and answers with a name; if that is no member's even on a second try, the run fails with
 * `UnknownMember`.
 *
 * @since 0.1.0
 * @category teams
 */
export const router = <const Members extends Record<string, Member>, Classifier extends Member = never>(
  name: string,
  members: Members & Named<Members>,
  options:
    & TeamOptions
    & (
      | { readonly key: (input: Input) => string; readonly classifier?: undefined }
      | { readonly classifier: Classifier; readonly key?: undefined }
    )
): Team<TeamError<Members[keyof Members] | Classifier>, TeamServices<Members[keyof Members] | Classifier>> => {
  const entries: ReadonlyArray<NamedMember> = Object.entries(members)
  const { classifier, key } = options
  checkCount("Team.router", "members", entries, 1)
  if (classifier === undefined && key === undefined) {
    check.fail("Team.router", "key", "given where no classifier is", key)
  }
  if (classifier !== undefined) checkFree("Team.router", "members", entries, "classifier")
  return TeamRun.make<Members[keyof Members] | Classifier>(name, {
    kind: "router",
    members: classifier === undefined ? entries : [...entries, ["classifier", classifier]],
    answer: Effect.fnUntraced(function*(started, run) {
      const { input } = run.request
      const index = key === undefined
        ? yield* choose(run, started.at(-1)!, entries)
        : memberOf(entries, key(input))
      return yield* TeamRun.answer(run, started[index]!, input)
    })
  }, options)
}

/**
 * A lead and its workers: all workers answer the prompt at once, then the lead writes the answer from the prompt and
 * their replies. A worker that fails fails the run.
 *
 * With `delegation: "tools"` the lead, which must be an agent then, decides: each worker is a tool of its own (the
 * worker's name, and its `description`), which the lead may call as often as it likes. A worker that fails is a failed
 * result for it to read.
 *
 * @example
 * ```ts
 * import { Agent, Team } from "effect-troupe"
 *
 * const lead = Agent.make("lead", { instructions: "You answer from what your team replied." })
 * const law = Agent.make("law", { description: "Knows the law" })
 * const money = Agent.make("money", { description: "Knows the numbers" })
 *
 * const office = Team.hierarchy("office", lead, { law, money }, { delegation: "tools" })
 * ```
 *
 * @since 0.1.0
 * @category teams
 */
export const hierarchy = <const Workers extends Record<string, Member>, Lead extends Member>(
  name: string,
  lead: Lead,
  workers: Workers & Named<Workers>,
  options: TeamOptions & {
    /** Which workers are asked: `"all"`, or with `"tools"` those that the lead calls. Default: `"all"`. */
    readonly delegation?: (Lead extends Agent<unknown, unknown> ? "all" | "tools" : "all") | undefined
  } = {}
): Team<TeamError<Workers[keyof Workers] | Lead>, TeamServices<Workers[keyof Workers] | Lead>> => {
  const entries: ReadonlyArray<NamedMember> = Object.entries(workers)
  const leader: Member = lead
  const callsWorkers = options.delegation === "tools" && isAgent(leader)
  checkCount("Team.hierarchy", "workers", entries, 1)
  checkFree("Team.hierarchy", "workers", entries, "lead")
  if (options.delegation === "tools" && !isAgent(leader)) {
    check.fail("Team.hierarchy", "delegation", `"all" where the lead is no agent`, options.delegation)
  }
  if (callsWorkers) { for (const [worker] of entries) checkName("Team.hierarchy", "a worker's name", worker) }
  return TeamRun.make<Workers[keyof Workers] | Lead>(name, {
    kind: "hierarchy",
    members: [
      ...entries,
      ["lead", callsWorkers ? (started) => behaviorWith(leader, workerTools(entries, started)) : lead]
    ],
    answer: Effect.fnUntraced(function*(members, run) {
      const { input } = run.request
      if (callsWorkers) return yield* TeamRun.answer(run, members.at(-1)!, input)
      const replies = yield* TeamRun.gather(run, members.slice(0, -1), "fail")
      return yield* TeamRun.answer(run, members.at(-1)!, leadPrompt(input, replies))
    })
  }, options)
}

/**
 * A conversation that moves between members: the one that has control answers, or hands over to the one that its model
 * names, with the whole conversation. Control stays there for the next prompts too.
 *
 * Each member that is an agent gets a tool `handoff` that names the others with their descriptions; a
 * name that is none of theirs is a failed result for the model to read. A member that is a behavior or a ref can't hand
 * over: when it has answered, control is back where it came from. The team owns the conversation: members answer in it
 * and keep none of their own. More than `maxHandoffs` for one prompt fail the run with `TeamLimitExceeded`.
 *
 * @example
 * ```ts
 * import { Agent, Team } from "effect-troupe"
 *
 * const triage = Agent.make("triage", { instructions: "Find out what it is about and hand over." })
 * const billing = Agent.make("billing", { description: "Invoices and refunds" })
 *
 * const support = Team.handoff("support", { triage, billing }, { start: "triage" })
 * ```
 *
 * @since 0.1.0
 * @category teams
 */
export const handoff = <const Members extends Record<string, Member>>(
  name: string,
  members: Members & Named<Members>,
  options: TeamOptions & {
    /** Who has control at first. Default: the first member. */
    readonly start?: (keyof Members & string) | undefined
    /** How often one prompt may be handed over. Default: 10. */
    readonly maxHandoffs?: number | undefined
  } = {}
): Team<TeamError<Members[keyof Members]>, TeamServices<Members[keyof Members]>> => {
  const entries: ReadonlyArray<NamedMember> = Object.entries(members)
  const { maxHandoffs = 10, start = entries[0]?.[0] } = options
  const names = entries.map(([name]) => name)
  checkCount("Team.handoff", "members", entries, 1)
  check.positiveInteger("Team.handoff", "maxHandoffs", maxHandoffs)
  if (names.every((name) => name !== start)) check.fail("Team.handoff", "start", `one of ${names.join(", ")}`, start)
  return TeamRun.make<Members[keyof Members]>(name, {
    kind: "handoff",
    members: entries.map(([name, member]) => [
      name,
      isAgent(member) ? behaviorWith(member, handoffTools(entries.filter(([other]) => other !== name))) : member
    ]),
    shared: true,
    answer: (started, run) =>
      Effect.flatMap(Ref.get(run.transcript), (conversation) =>
        converse(run, started, entries, {
          index: holderIn(conversation, entries) ?? entries.findIndex(([name]) => name === start),
          maxHandoffs,
          conversation
        }))
  }, options)
}

/**
 * A debate in rounds, which an arbiter decides. In each round every debater speaks once, in order, and each is prompted
 * with the question and the debate so far; the arbiter's answer is the team's.
 *
 * @since 0.1.0
 * @category teams
 */
export const debate = <
  const Debaters extends ReadonlyArray<Member>,
  Arbiter extends Member,
  const Rounds extends number
>(
  name: string,
  options: TeamOptions & {
    /** At least two. */
    readonly debaters: Debaters & Listed<Debaters, 0 | 1>
    readonly arbiter: Arbiter
    /** At least one. */
    readonly rounds: Rounds & Positive<Rounds>
  }
): Team<TeamError<Debaters[number] | Arbiter>, TeamServices<Debaters[number] | Arbiter>> => {
  const { arbiter, debaters, rounds } = options
  checkCount("Team.debate", "debaters", debaters, 2)
  check.positiveInteger("Team.debate", "rounds", rounds)
  return TeamRun.make<Debaters[number] | Arbiter>(name, {
    kind: "debate",
    members: TeamRun.named([...debaters, arbiter]),
    answer: Effect.fnUntraced(function*(members, run) {
      const { input } = run.request
      const said: Array<Statement> = []
      for (let round = 1; round <= rounds; round++) {
        for (const member of members.slice(0, -1)) {
          const task = `It is your turn in round ${round} of ${rounds}. Make your point and answer the others.`
          const { agent, text } = yield* TeamRun.prompt(run, member, { input: debatePrompt(input, said, task) })
          said.push({ agent, round, text })
        }
      }
      return yield* TeamRun.answer(run, members.at(-1)!, debatePrompt(input, said, "The debate is over. Decide it."))
    })
  }, options)
}

/**
 * Says whether an answer is good enough.
 *
 * @since 0.1.0
 * @category models
 */
export type Until = (response: AgentResponse, round: number) => boolean | Effect.Effect<boolean, AgentError, unknown>

/**
 * The requirements of an `Until`.
 *
 * @since 0.1.0
 * @category type utils
 */
export type UntilServices<U extends Until> = ReturnType<U> extends infer Done
  ? Done extends Effect.Effect<infer _A, infer _E, infer R> ? Exclude<R, Scope.Scope> : never
  : never

/**
 * The same member again and again: its answer is its next prompt, until `until` says that it is the team's answer.
 *
 * The run fails with `TeamLimitExceeded` when `maxRounds` answers were not enough.
 *
 * @example
 * ```ts
 * import { Agent, Team } from "effect-troupe"
 *
 * const editor = Team.loop("editor", Agent.make("writer", { instructions: "Shorten what you are given." }), {
 *   until: ({ text }) => text.length < 280,
 *   maxRounds: 4
 * })
 * ```
 *
 * @since 0.1.0
 * @category teams
 */
export const loop = <M extends Member, const Rounds extends number, U extends Until>(
  name: string,
  member: M,
  options: TeamOptions & {
    /** Whether this answer is the team's. `round` counts from 1. */
    readonly until: U
    readonly maxRounds: Rounds & Positive<Rounds>
  }
): Team<TeamError<M>, TeamServices<M, UntilServices<U>>> => {
  const { maxRounds } = options
  check.positiveInteger("Team.loop", "maxRounds", maxRounds)
  // Only the type of `until` knows its requirements.
  const until = options.until as (
    ...args: Parameters<Until>
  ) => boolean | Effect.Effect<boolean, AgentError, UntilServices<U>>
  return TeamRun.make<M, UntilServices<U>>(name, {
    kind: "loop",
    members: TeamRun.named([member]),
    answer: Effect.fnUntraced(function*([started], run) {
      let { input } = run.request
      for (let round = 1; round <= maxRounds; round++) {
        const response = yield* TeamRun.prompt(run, started!, { input, output: run.request.output })
        const done = until(response, round)
        if (Effect.isEffect(done) ? yield* done : done) {
          return yield* TeamRun.emitAnswer(run, TeamRun.toAnswer(response))
        }
        input = response.text
      }
      return yield* TeamRun.fail(run, new TeamLimitExceeded({ limit: "maxRounds", max: maxRounds }))
    })
  }, options)
}

/**
 * Makes the items of a `Team.map` from its prompt.
 *
 * @since 0.1.0
 * @category models
 */
export type Planner = (
  input: Input
) => ReadonlyArray<Input> | Effect.Effect<ReadonlyArray<Input>, AgentError, unknown>

/**
 * The reply to one item of a `Team.map`.
 *
 * @since 0.1.0
 * @category models
 */
export interface ItemReply extends Reply {
  readonly item: Input
}

/**
 * Makes one answer of the replies to all items, in the plan's order.
 *
 * @since 0.1.0
 * @category models
 */
export type Join = (replies: ReadonlyArray<ItemReply>) => string

/**
 * A plan, and one run of the same member for each of its items: the answers are joined in the plan's order.
 *
 * The planner is a function of the prompt, or a member that is prompted with it and answers with a list of texts. One that
 * is none goes back to it once; then the run fails with `InvalidOutput`, and with `TeamLimitExceeded` where it has more than
 * `maxItems`. An item is the whole prompt of its run: the worker remembers neither the team's prompts nor the other items.
 *
 * @example
 * ```ts
 * import { Agent, Team } from "effect-troupe"
 *
 * const planner = Agent.make("planner", { instructions: "List the questions that have to be answered for a report." })
 * const researcher = Agent.make("researcher", { instructions: "Answer the question in a paragraph." })
 * const editor = Agent.make("editor", { instructions: "Write the report." })
 *
 * const report = Team.map("report", planner, researcher, { join: editor, concurrency: 8 })
 *
 * const lines = Team.map("lines", (text) => String(text).split("\n"), researcher)
 * ```
 *
 * @since 0.1.0
 * @category teams
 */
export const map = <
  P extends Member | Planner,
  Worker extends Member,
  J extends Member | Join = Join
>(
  name: string,
  planner: P,
  worker: Worker,
  options: TeamOptions & {
    /**
     * Makes one answer of all: a function, or a member that is prompted with the prompt and all replies. Default: their
     * texts with `"\n---\n"` between them.
     */
    readonly join?: J | undefined
    /** How many items are at work at once; so many copies of the worker are started, unless it is a ref. Default: 4. */
    readonly concurrency?: number | undefined
    /** How many items a plan may have. Default: 100. */
    readonly maxItems?: number | undefined
    /** What a failed item does, as in `broadcast`. Default: `"fail"`. */
    readonly onFailure?: "fail" | "collect" | undefined
  } = {}
): Team<
  TeamError<Extract<P | J, Member> | Worker>,
  TeamServices<Extract<P | J, Member> | Worker, PlannerServices<P>>
> => {
  const { concurrency = 4, maxItems = 100, onFailure = "fail" } = options
  const plan: Member | Planner = planner
  const join: Member | Join = options.join ?? joinTexts
  check.positiveInteger("Team.map", "concurrency", concurrency)
  check.positiveInteger("Team.map", "maxItems", maxItems)
  const before: ReadonlyArray<Member> = typeof plan === "function" ? [] : [plan]
  const workers = Array.from({ length: TeamRun.isRef(worker) ? 1 : concurrency }, () => worker)
  return TeamRun.make<Extract<P | J, Member> | Worker, PlannerServices<P>>(name, {
    kind: "map",
    members: TeamRun.named([...before, ...workers, ...typeof join === "function" ? [] : [join]]),
    answer: Effect.fnUntraced(function*(members, run) {
      const { input } = run.request
      const items = typeof plan === "function" ? yield* planned<P>(plan(input)) : yield* askForItems(run, members[0]!)
      if (items.length > maxItems) {
        return yield* TeamRun.fail(run, new TeamLimitExceeded({ limit: "maxItems", max: maxItems }))
      }
      const started = members.slice(before.length, before.length + workers.length)
      const replies = yield* Effect.flatMap(
        runItems(run, started, { items, concurrency, onFailure }),
        TeamRun.orFailure
      )
      return typeof join === "function"
        ? yield* TeamRun.emitAnswer(run, { text: join(replies), finishReason: "stop" })
        : yield* TeamRun.answer(run, members.at(-1)!, joinPrompt(input, replies))
    })
  }, options)
}

/**
 * The requirements of a `Planner`.
 *
 * @since 0.1.0
 * @category type utils
 */
export type PlannerServices<P> = P extends Planner
  ? ReturnType<P> extends infer Items ?
    Items extends Effect.Effect<infer _A, infer _E, infer R> ? Exclude<R, Scope.Scope>
    : never
  : never
  : never

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const checkCount = (where: string, field: string, { length }: ReadonlyArray<unknown>, least: number): void => {
  if (length < least) check.fail(where, field, `at least ${least}`, length)
}

/** The team gives one of its members a name itself. */
const checkFree = (where: string, field: string, entries: ReadonlyArray<NamedMember>, name: string): void => {
  if (entries.some(([taken]) => taken === name)) check.fail(where, field, `named otherwise than the ${name}`, name)
}

const joinTexts = (replies: ReadonlyArray<Reply>): string => replies.map(({ text }) => text).join("\n---\n")

/**
 * The member that scores highest for a key, so that one more member takes only its own keys from the others. (Effect's
 * `HashRing` sends keys that differ in their last letters to one node.)
 */
const memberOf = (members: ReadonlyArray<NamedMember>, key: string): number => {
  const hash = scatter(Hash.string(key))
  const scores = members.map(([name]) => scatter(hash ^ Hash.string(name)))
  return scores.indexOf(Math.max(...scores))
}

/** Spreads the bits of a number over all 32. */
const scatter = (n: number): number => {
  const once = Math.imul(n ^ (n >>> 16), 0x85ebca6b)
  const twice = Math.imul(once ^ (once >>> 13), 0xc2b2ae35)
  return (twice ^ (twice >>> 16)) >>> 0
}

const Items = Schema.Struct({
  items: Schema.Array(Schema.String).annotate({
    description: "The parts of the task, in order; each is a whole prompt for somebody who sees nothing but it"
  })
})

const planned = <P>(
  // Only the type of the planner knows its requirements.
  items: ReturnType<Planner>
): Effect.Effect<ReadonlyArray<Input>, AgentError, PlannerServices<P>> =>
  Effect.isEffect(items)
    ? items as Effect.Effect<ReadonlyArray<Input>, AgentError, PlannerServices<P>>
    : Effect.succeed(items)

/** Asks for the items, and once more where the answer has none. */
const askForItems = Effect.fnUntraced(function*(run: TeamRun.TeamRun, planner: TeamRun.Started) {
  const { input } = run.request
  const { jsonSchema, read: readItems } = AgentOutput.request(Items, Context.empty())
  // A model that gives the bare list has understood, too.
  const read = (json: unknown) => readItems(Array.isArray(json) ? { items: json } : json)
  const output = { jsonSchema }
  const first = yield* Effect.result(read((yield* TeamRun.prompt(run, planner, { input, output })).output))
  if (first._tag === "Success") return first.success.items
  const again = quote("", input, `\n\n${AgentOutput.repair(first.failure.message)}`)
  const second = read((yield* TeamRun.prompt(run, planner, { input: again, output })).output)
  const { items } = yield* Effect.catch(
    second,
    ({ message }) => TeamRun.fail(run, new InvalidOutput({ problem: message }))
  )
  return items
})

/** Runs each item on a worker that is free, in a conversation of its own. */
const runItems = (
  run: TeamRun.TeamRun,
  workers: ReadonlyArray<TeamRun.Started>,
  { concurrency, items, onFailure }: {
    readonly items: ReadonlyArray<Input>
    readonly concurrency: number
    readonly onFailure: TeamRun.OnFailure
  }
): Effect.Effect<ReadonlyArray<ItemReply>, AgentError> => {
  const { name } = workers[0]!
  const free = [...workers]
  return Effect.forEach(items, (item) =>
    Effect.suspend(() => {
      // A ref has one mailbox for all that it is sent.
      const worker = free.pop() ?? workers[0]!
      // The path of a run tells the item, not the copy that happened to be free.
      const reply = TeamRun.reply(run, { ...worker, name }, { input: item, history: Transcript.empty }, onFailure)
      return Effect.ensuring(
        Effect.map(reply, (reply) => ({ ...reply, item })),
        Effect.sync(() => free.push(worker))
      )
    }), { concurrency })
}

/** Asks for a member's name, and once more where the answer is none. */
const choose = Effect.fnUntraced(
  function*(run: TeamRun.TeamRun, classifier: TeamRun.Started, members: ReadonlyArray<NamedMember>) {
    const question = choicePrompt(run.request.input, members)
    const first = choiceOf(yield* TeamRun.prompt(run, classifier, { input: question }), members)
    if (first.index >= 0) return first.index
    const again = quote("", question, `\n\nYou answered: ${first.name}. That is none of them.`)
    const second = choiceOf(yield* TeamRun.prompt(run, classifier, { input: again }), members)
    if (second.index >= 0) return second.index
    return yield* TeamRun.fail(
      run,
      new UnknownMember({ member: second.name, members: members.map(([name]) => name) })
    )
  }
)

/** Models like to say it with quotes and a full stop. */
const choiceOf = ({ text }: AgentResponse, members: ReadonlyArray<NamedMember>) => {
  const name = text.trim().replaceAll(/^["'`*]+|["'`*.]+$/g, "")
  return { name, index: members.findIndex(([member]) => member === name) }
}

const workerTools = (workers: ReadonlyArray<NamedMember>, started: ReadonlyArray<TeamRun.Started>) =>
  workers.map(([name, member], index): Tool.Tool<string> => {
    const { owned, ref } = started[index]!
    const tool = Tool.fromAgent(ref, { name, description: TeamRun.descriptionOf(member) ?? `Asks ${name}` })
    // A member that the team started is as much inside of the run as the team itself.
    return owned ? { ...tool, runs: "agent" } : tool
  })
