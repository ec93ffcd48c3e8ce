/**
 * Puts a tool call up for approval, and tells the reader of the run about it.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import type { AgentEvent } from "../../AgentEvent.ts"
import type { Approvals } from "../../Approvals.ts"
import type { Decision } from "./decision.ts"
import type { RunPlace } from "./place.ts"
import * as RequestContext from "./requestContext.ts"

/** A call that waits. */
export interface Waiting {
  readonly at: RunPlace
  readonly id: string
  readonly name: string
  /** The way to the call from the outermost run. */
  readonly path: string
  readonly params: unknown
  readonly emit: (events: ReadonlyArray<AgentEvent>) => Effect.Effect<void>
}

/** Waits for the decision on a call. `problemOf` says why other arguments are not acceptable. */
export const decisionOn = Effect.fnUntraced(function*(
  approvals: Approvals["Service"],
  { at, emit, id, name, params, path }: Waiting,
  problemOf: (params: unknown) => Effect.Effect<string | undefined>
) {
  let approval = ""
  const context = yield* RequestContext.Current
  const brought = context === undefined ? {} : { context }
  const decision = yield* approvals.request({ ...at.self, path, call: id, tool: name, params, ...brought }, {
    problemOf,
    requested: (request) => {
      approval = request.id
      return emit([{ ...at.self, _tag: "ApprovalRequested", approval, id, name, params }])
    }
  })
  yield* emit([{ ...at.self, _tag: "ApprovalDecided", approval, id, name, decision }])
  return decision
})

/** For the model to read, of a call that may not run. */
export const refusalIn = (decision: Exclude<Decision, { readonly _tag: "Approved" }>): string =>
  decision._tag === "Rejected"
    ? `Not run: the call was rejected: ${decision.message}`
    : "Not run: nobody approved the call in time"
