/**
 * Decisions that a run waits for: one list of all tool calls that need a yes, wherever they come from.
 *
 * A call of a tool with `needsApproval` is put on the list and waits; anybody with the service can decide. Nothing is
 * held meanwhile but the waiting fiber. Agents and teams find the service in their context, so calls of nested agents
 * are on the same list. Each request is decided once: a later decision is a typed error and runs nothing.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { Place } from "./AgentEvent.ts"
import { Decision } from "./internal/agent/decision.ts"
import { positiveDuration } from "./internal/check.ts"

export {
  /** @since 0.1.0 @category models */
  Decision
} from "./internal/agent/decision.ts"

/**
 * The fields of a tool call that needs a decision: the place of its run, the way to the call from the outermost run, the
 * arguments as JSON, and the request's context as JSON.
 */
const callFields = {
  ...Place.fields,
  path: Schema.String,
  call: Schema.String,
  tool: Schema.String,
  params: Schema.Unknown,
  context: Schema.optionalKey(Schema.Unknown)
}

/**
 * A tool call that needs a decision. `path` is the way to it from the outermost run, which is the same when the run is
 * repeated; `params` are the arguments as JSON. `context` is what the request brought (`Agent.withContext`), as JSON: it
 * tells whose call it is.
 *
 * @since 0.1.0
 * @category models
 */
export const ApprovalCall = Schema.Struct(callFields)

/**
 * @since 0.1.0
 * @category models
 */
export type ApprovalCall = typeof ApprovalCall.Type

/**
 * A tool call that waits for a decision. It is data: it can be stored, and decided in another process (see `check`).
 * Times are milliseconds of Effect's clock.
 *
 * @since 0.1.0
 * @category models
 */
export const ApprovalRequest = Schema.Struct({
  ...callFields,
  id: Schema.String,
  requestedAt: Schema.Finite,
  expiresAt: Schema.optionalKey(Schema.Finite)
})

/**
 * @since 0.1.0
 * @category models
 */
export type ApprovalRequest = typeof ApprovalRequest.Type

/**
 * A change of the list: a call waits, was decided (or expired), or waits no longer because its run was interrupted.
 *
 * @since 0.1.0
 * @category models
 */
export const Change = Schema.Union([
  Schema.TaggedStruct("Requested", { request: ApprovalRequest }),
  Schema.TaggedStruct("Decided", { request: ApprovalRequest, decision: Decision }),
  Schema.TaggedStruct("Withdrawn", { request: ApprovalRequest })
])

/**
 * @since 0.1.0
 * @category models
 */
export type Change = typeof Change.Type

/**
 * The tool that waits for a decision, in its own process.
 *
 * @since 0.1.0
 * @category models
 */
export interface Waiting {
  /** Tells why arguments are not acceptable to the tool; an edit that isn't is refused with it. */
  readonly problemOf: (params: unknown) => Effect.Effect<string | undefined>
  /** Runs when the request is on the list, before the wait. */
  readonly requested: (request: ApprovalRequest) => Effect.Effect<void>
}

/**
 * No request of this id waits or was decided lately.
 *
 * @since 0.1.0
 * @category errors
 */
export class UnknownApproval extends Schema.TaggedError<UnknownApproval>("effect-troupe/Approvals/UnknownApproval")(
  "UnknownApproval",
  { id: Schema.String }
) {
  override get message() {
    return `there is no request ${this.id}: Approvals.list has those that wait`
  }
}

/**
 * The request is over: somebody decided, it expired, or the run that waited was interrupted.
 *
 * @since 0.1.0
 * @category errors
 */
export class AlreadyDecided extends Schema.TaggedError<AlreadyDecided>("effect-troupe/Approvals/AlreadyDecided")(
  "AlreadyDecided",
  { id: Schema.String, outcome: Schema.Literals(["approved", "rejected", "expired", "withdrawn"]) }
) {
  override get message() {
    return `request ${this.id} is ${this.outcome} already`
  }
}

/**
 * The decision does not fit the request: the tool does not take the arguments, or is not there. The request still waits.
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidDecision extends Schema.TaggedError<InvalidDecision>("effect-troupe/Approvals/InvalidDecision")(
  "InvalidDecision",
  { id: Schema.String, problem: Schema.String }
) {
  override get message() {
    return `the decision about request ${this.id} does not fit: ${this.problem}`
  }
}

/**
 * The list of calls that wait for a decision.
 *
 * @since 0.1.0
 * @category services
 */
export class Approvals extends Context.Service<Approvals, {
  /** The waiting calls, oldest first. */
  readonly list: Effect.Effect<ReadonlyArray<ApprovalRequest>>
  /** The calls that wait when it is read, then each change as it comes. A slow reader misses none. */
  readonly changes: Stream.Stream<Change>
  /** Lets a call run, with other arguments where `params` are given. */
  readonly approve: (
    id: string,
    edit?: { readonly params: unknown }
  ) => Effect.Effect<void, UnknownApproval | AlreadyDecided | InvalidDecision>
  /** Refuses a call. The model reads the message. */
  readonly reject: (id: string, message?: string) => Effect.Effect<void, UnknownApproval | AlreadyDecided>
  /** Puts a call on the list and waits for the decision. Tools call it. */
  readonly request: (call: ApprovalCall, waiting: Waiting) => Effect.Effect<Decision>
}>()("effect-troupe/Approvals") {}

/**
 * A tool as far as decisions need it. `R` is the services that decoding its arguments requires.
 *
 * @since 0.1.0
 * @category models
 */
export interface DecidableTool<out R = never> {
  readonly name: string
  readonly problemOf: (params: unknown) => Effect.Effect<string | undefined, never, R>
}

/**
 * A decision about a stored request, checked against the tools of the process where it is made, which need not be the
 * one that waits. Fails where an approved call has no tool here, or one that does not take its arguments.
 *
 * @example
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { Approvals, Tool } from "effect-troupe"
 *
 * declare const pay: Tool.Tool<"pay">
 *
 * const decide = Effect.fn("decide")(function*(row: unknown) {
 *   const request = yield* Schema.decodeUnknownEffect(Approvals.ApprovalRequest)(row)
 *   return yield* Approvals.check(request, { _tag: "Approved", params: { euros: 5 } }, [pay])
 * })
 * ```
 *
 * @since 0.1.0
 * @category decisions
 */
export const check = Effect.fnUntraced(function*<R = never>(
  request: ApprovalRequest,
  decision: Decision,
  tools: ReadonlyArray<DecidableTool<R>>
): Effect.fn.Return<Decision, InvalidDecision, R> {
  if (decision._tag !== "Approved") return decision
  const { id, params, tool: name } = request
  const tool = tools.find((tool) => tool.name === name)
  const problem = tool === undefined
    ? `there is no tool ${name}`
    : yield* tool.problemOf("params" in decision ? decision.params : params)
  return problem === undefined ? decision : yield* new InvalidDecision({ id, problem })
})

/**
 * A list in memory.
 *
 * `expireAfter` is how long a request waits before it counts as refused. Default: for ever.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Approvals } from "effect-troupe"
 *
 * const approveAll = Effect.gen(function*() {
 *   const approvals = yield* Approvals.Approvals
 *   for (const { id } of yield* approvals.list) yield* approvals.approve(id)
 * }).pipe(Effect.provide(Approvals.layer({ expireAfter: "10 minutes" })))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options?: {
  readonly expireAfter?: Duration.Input | undefined
}): Layer.Layer<Approvals> => {
  const expireAfter = options?.expireAfter === undefined
    ? undefined
    : Duration.toMillis(positiveDuration("Approvals.layer", "expireAfter", options.expireAfter))
  return Layer.effect(
    Approvals,
    Effect.map(Random.nextIntBetween(0, 0xffffff), (random) => {
      const state: State = {
        // An id that outlives its process must not name a request of the next one.
        prefix: random.toString(16).padStart(6, "0"),
        count: 0,
        expireAfter,
        waiting: new Map(),
        decided: new Map(),
        listeners: new Set()
      }
      return {
        list: Effect.sync(() => Array.from(state.waiting.values(), ({ request }) => request)),
        changes: changes(state),
        approve: (id, edit) => approve(state, id, edit),
        reject: (id, message = "no reason given") => decide(state, id, "rejected", { _tag: "Rejected", message }),
        request: (call, waiting) => wait(state, call, waiting)
      }
    })
  )
}

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

type Outcome = AlreadyDecided["outcome"]

interface Entry {
  readonly request: ApprovalRequest
  readonly waiting: Waiting
  readonly decision: Deferred.Deferred<Decision>
}

interface State {
  readonly prefix: string
  count: number
  readonly expireAfter: number | undefined
  readonly waiting: Map<string, Entry>
  /** The outcomes of the latest requests, for decisions that come too late. */
  readonly decided: Map<string, Outcome>
  readonly listeners: Set<(change: Change) => void>
}

const remembered = 1000

const changes = (state: State): Stream.Stream<Change> =>
  Stream.callback((queue) => {
    const listener = (change: Change) => void Queue.offerUnsafe(queue, change)
    return Effect.acquireRelease(
      Effect.sync(() => {
        for (const { request } of state.waiting.values()) listener({ _tag: "Requested", request })
        state.listeners.add(listener)
      }),
      () => Effect.sync(() => state.listeners.delete(listener))
    )
  }, { bufferSize: Number.POSITIVE_INFINITY })

const tell = ({ listeners }: State, change: Change): void => {
  for (const listener of listeners) listener(change)
}

const wait = Effect.fnUntraced(function*(state: State, call: ApprovalCall, waiting: Waiting) {
  const requestedAt = yield* Clock.currentTimeMillis
  const { expireAfter } = state
  const request: ApprovalRequest = {
    ...call,
    id: `${state.prefix}-${++state.count}`,
    requestedAt,
    ...(expireAfter !== undefined && { expiresAt: requestedAt + expireAfter })
  }
  const decision = yield* Deferred.make<Decision>()
  const expired = Effect.suspend(() => {
    settle(state, request.id, "expired", { _tag: "Expired" })
    // A decision that came in the same moment counts.
    return Deferred.await(decision)
  })
  const listed = Effect.sync(() => {
    state.waiting.set(request.id, { request, waiting, decision })
    tell(state, { _tag: "Requested", request })
  })
  // A reader that is slow to hear of it does not make it last longer than the list says.
  const decided = Effect.andThen(waiting.requested(request), Deferred.await(decision))
  return yield* listed.pipe(
    Effect.andThen(
      expireAfter === undefined
        ? decided
        : Effect.timeoutOrElse(decided, { duration: expireAfter, orElse: () => expired })
    ),
    Effect.ensuring(Effect.sync(() => settle(state, request.id, "withdrawn", { _tag: "Expired" })))
  )
})

const approve = Effect.fnUntraced(function*(state: State, id: string, edit?: { readonly params: unknown }) {
  if (edit === undefined) return yield* decide(state, id, "approved", { _tag: "Approved" })
  const entry = state.waiting.get(id)
  const problem = entry && (yield* entry.waiting.problemOf(edit.params))
  if (problem !== undefined) return yield* new InvalidDecision({ id, problem })
  return yield* decide(state, id, "approved", { _tag: "Approved", params: edit.params })
})

const decide = (
  state: State,
  id: string,
  outcome: Outcome,
  decision: Decision
): Effect.Effect<void, UnknownApproval | AlreadyDecided> =>
  Effect.suspend(() => {
    if (settle(state, id, outcome, decision)) return Effect.void
    const earlier = state.decided.get(id)
    return Effect.fail(
      earlier === undefined ? new UnknownApproval({ id }) : new AlreadyDecided({ id, outcome: earlier })
    )
  })

/** The one transition of a request, in one tick: false where it is over already. */
const settle = (state: State, id: string, outcome: Outcome, decision: Decision): boolean => {
  const entry = state.waiting.get(id)
  if (entry === undefined) return false
  const { request } = entry
  state.waiting.delete(id)
  state.decided.set(id, outcome)
  if (state.decided.size > remembered) state.decided.delete(state.decided.keys().next().value!)
  Deferred.doneUnsafe(entry.decision, Effect.succeed(decision))
  tell(state, outcome === "withdrawn" ? { _tag: "Withdrawn", request } : { _tag: "Decided", request, decision })
  return true
}
