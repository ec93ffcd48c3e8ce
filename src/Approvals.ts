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
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import type { Decision } from "./internal/agent/decision.ts"
import { positiveDuration } from "./internal/check.ts"

export {
  /** @since 0.1.0 @category models */
  Decision
} from "./internal/agent/decision.ts"

/**
 * A tool call that waits for a decision. Times are milliseconds of Effect's clock.
 *
 * @since 0.1.0
 * @category models
 */
export interface Pending {
  readonly id: string
  readonly agent: string
  readonly tool: string
  readonly callId: string
  /** The arguments as JSON. */
  readonly params: unknown
  readonly requestedAt: number
  readonly expiresAt: number | undefined
}

/**
 * A tool's request for a decision.
 *
 * @since 0.1.0
 * @category models
 */
export interface ApprovalRequest {
  readonly agent: string
  readonly tool: string
  readonly callId: string
  readonly params: unknown
  /** Says why arguments are not acceptable to the tool; an edit that isn't is refused with it. */
  readonly problemOf: (params: unknown) => Effect.Effect<string | undefined>
  /** Runs when the request is on the list, before the wait. */
  readonly announce: (pending: Pending) => Effect.Effect<void>
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
 * The edited arguments don't fit the tool; the request still waits.
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidEdit extends Schema.TaggedError<InvalidEdit>("effect-troupe/Approvals/InvalidEdit")(
  "InvalidEdit",
  { id: Schema.String, problem: Schema.String }
) {
  override get message() {
    return `the arguments given with request ${this.id} don't fit the tool: ${this.problem}`
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
  readonly list: Effect.Effect<ReadonlyArray<Pending>>
  /** Lets a call run, with other arguments where `params` are given. */
  readonly approve: (
    id: string,
    edit?: { readonly params: unknown }
  ) => Effect.Effect<void, UnknownApproval | AlreadyDecided | InvalidEdit>
  /** Refuses a call. The model reads the message. */
  readonly reject: (id: string, message?: string) => Effect.Effect<void, UnknownApproval | AlreadyDecided>
  /** Puts a call on the list and waits for the decision. Tools call it. */
  readonly request: (request: ApprovalRequest) => Effect.Effect<Decision>
}>()("effect-troupe/Approvals") {}

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
        decided: new Map()
      }
      return {
        list: Effect.sync(() => Array.from(state.waiting.values(), ({ pending }) => pending)),
        approve: (id, edit) => approve(state, id, edit),
        reject: (id, message = "no reason given") => decide(state, id, "rejected", { _tag: "Rejected", message }),
        request: (request) => wait(state, request)
      }
    })
  )
}

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

type Outcome = AlreadyDecided["outcome"]

interface Waiting {
  readonly pending: Pending
  readonly request: ApprovalRequest
  readonly decision: Deferred.Deferred<Decision>
}

interface State {
  readonly prefix: string
  count: number
  readonly expireAfter: number | undefined
  readonly waiting: Map<string, Waiting>
  /** The outcomes of the latest requests, for decisions that come too late. */
  readonly decided: Map<string, Outcome>
}

const remembered = 1000

const wait = Effect.fnUntraced(function*(state: State, request: ApprovalRequest) {
  const requestedAt = yield* Clock.currentTimeMillis
  const { expireAfter } = state
  const pending: Pending = {
    id: `${state.prefix}-${++state.count}`,
    agent: request.agent,
    tool: request.tool,
    callId: request.callId,
    params: request.params,
    requestedAt,
    expiresAt: expireAfter === undefined ? undefined : requestedAt + expireAfter
  }
  const decision = yield* Deferred.make<Decision>()
  const expired = Effect.suspend(() => {
    settle(state, pending.id, "expired", { _tag: "Expired" })
    // A decision that came in the same moment counts.
    return Deferred.await(decision)
  })
  // A reader that is slow to hear of it does not make it last longer than the list says.
  const decided = Effect.andThen(request.announce(pending), Deferred.await(decision))
  return yield* Effect.sync(() => state.waiting.set(pending.id, { pending, request, decision })).pipe(
    Effect.andThen(
      expireAfter === undefined
        ? decided
        : Effect.timeoutOrElse(decided, { duration: expireAfter, orElse: () => expired })
    ),
    Effect.ensuring(Effect.sync(() => settle(state, pending.id, "withdrawn", { _tag: "Expired" })))
  )
})

const approve = Effect.fnUntraced(function*(state: State, id: string, edit?: { readonly params: unknown }) {
  if (edit === undefined) return yield* decide(state, id, "approved", { _tag: "Approved" })
  const waiting = state.waiting.get(id)
  const problem = waiting && (yield* waiting.request.problemOf(edit.params))
  if (problem !== undefined) return yield* new InvalidEdit({ id, problem })
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
  const waiting = state.waiting.get(id)
  if (waiting === undefined) return false
  state.waiting.delete(id)
  state.decided.set(id, outcome)
  if (state.decided.size > remembered) state.decided.delete(state.decided.keys().next().value!)
  Deferred.doneUnsafe(waiting.decision, Effect.succeed(decision))
  return true
}
