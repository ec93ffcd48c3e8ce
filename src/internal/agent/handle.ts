/**
 * Handles a call of a tool: decodes its arguments, waits for its approval, and does its work, through the tap.
 *
 * @internal
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Scheduler from "effect/Scheduler"
import { ToolFailed } from "../../AgentError.ts"
import { Approvals } from "../../Approvals.ts"
import { Tap } from "../../Tap.ts"
import { errorMessage } from "../errorMessage.ts"
import { decisionOn, refusalIn } from "./approval.ts"
import { argumentsProblem } from "./bounds.ts"
import { errorTypeOf, failure, failureOf, type Outcome } from "./outcome.ts"
import { CurrentTool, isOutside } from "./toolContext.ts"

/** What a tool does with a call. `P` is its arguments as it takes them. */
export interface Work<P, R> {
  readonly name: string
  readonly decode: (params: unknown) => Effect.Effect<P, { readonly message: string }, R>
  /** Whether the call waits for a decision of `Approvals`. */
  readonly asks: (params: P, callId: string) => boolean | Effect.Effect<boolean>
  /** Why it does not take arguments that a decision puts in. */
  readonly problemOf: (params: unknown) => Effect.Effect<string | undefined, never, R>
  readonly run: (params: P, callId: string) => Effect.Effect<Outcome, ToolFailed, R>
  /** Whose failure a defect is: the call's, or the run's. */
  readonly failureMode?: FailureMode
}

export type FailureMode = "return" | "error" | undefined

export const handle = <P, R>(work: Work<P, R>) =>
  Effect.fnUntraced(function*(params: unknown, callId: string): Effect.fn.Return<Outcome, ToolFailed, R> {
    const prepared = yield* catchDefects(work, prepare(work, params, callId))
    if ("isFailure" in prepared) return prepared
    if (!prepared.asks) return yield* perform(work, params, prepared.params, callId)
    // A toolkit does not say in its type whether a tool needs approval; an agent looks before its run starts.
    const approvals = yield* Effect.serviceOption(Approvals)
    if (Option.isNone(approvals)) return failure(`Not run: tool ${work.name} needs approval: provide Approvals.layer`)
    const services = yield* Effect.context<R>()
    const decision = yield* decisionOn(
      approvals.value,
      { ...yield* CurrentTool, params },
      // Whoever decides may be in a world of its own: it looks at the arguments on its own scheduler.
      (params) =>
        Effect.withFiber((decider) =>
          Effect.provideContext(
            work.problemOf(params),
            Context.add(services, Scheduler.Scheduler, decider.getRef(Scheduler.Scheduler))
          )
        )
    )
    if (decision._tag !== "Approved") return failure(refusalIn(decision))
    return decision.params === undefined
      ? yield* perform(work, params, prepared.params, callId)
      : { ...yield* performEdited(work, decision.params, callId), params: decision.params }
  })

export const onFailure = (name: string, mode: FailureMode, cause: unknown): Effect.Effect<Outcome, ToolFailed> =>
  mode === "error" ? Effect.fail(new ToolFailed({ tool: name, cause })) : Effect.succeed(failureOf(cause))

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

interface Prepared<P> {
  readonly params: P
  readonly asks: boolean
}

const prepare = <P, R>(
  { asks, decode, name }: Work<P, R>,
  params: unknown,
  callId: string
): Effect.Effect<Prepared<P> | Outcome, never, R> =>
  Effect.matchEffect(decode(params), {
    onFailure: ({ message }) => Effect.succeed(invalidArguments(name, message)),
    onSuccess: (params) => {
      const asked = asks(params, callId)
      return Effect.isEffect(asked)
        ? Effect.map(asked, (asks) => ({ params, asks }))
        : Effect.succeed({ params, asks: asked })
    }
  })

/** Does the work; its outcome goes through the tap, where there is one. */
const perform = <P, R>(
  work: Work<P, R>,
  params: unknown,
  decoded: P,
  callId: string
): Effect.Effect<Outcome, ToolFailed, R> =>
  Effect.withFiber((fiber) => {
    const live = catchDefects(work, Effect.suspend(() => work.run(decoded, callId)))
    const tap = fiber.getRef(Tap)?.tool
    const tool = fiber.getRef(CurrentTool)
    if (tap === undefined || isOutside(tool)) return live
    const { at, effect, emit, id, name, path, runs, turn } = tool
    return tap(
      { ...at.self, path, turn, id, name, params, effect, runs, emit },
      (emit) => emit === tool.emit ? live : Effect.provideService(live, CurrentTool, { ...tool, emit })
    )
  })

/** Does the work with arguments that the decision has put in. */
const performEdited = Effect.fnUntraced(function*<P, R>(
  work: Work<P, R>,
  params: unknown,
  callId: string
): Effect.fn.Return<Outcome, ToolFailed, R> {
  const { maxDepth } = yield* CurrentTool
  const problem = argumentsProblem(params, maxDepth)
  if (problem !== undefined) return failure(problem)
  const decoded = yield* Effect.result(work.decode(params))
  return decoded._tag === "Failure"
    ? invalidArguments(work.name, decoded.failure.message)
    : yield* perform(work, params, decoded.success, callId)
})

const invalidArguments = (name: string, problem: string): Outcome => ({
  ...failure(`Invalid arguments for tool ${name}: ${problem}`),
  errorType: "InvalidArguments"
})

const catchDefects = <A, P, R, R2>(
  { failureMode, name }: Work<P, R>,
  self: Effect.Effect<A, ToolFailed, R2>
): Effect.Effect<A | Outcome, ToolFailed, R2> =>
  Effect.catchCause(self, (cause) => {
    if (Cause.hasFails(cause)) return Effect.failCause(cause)
    const defect = Cause.squash(cause)
    const problem = { ...failure(`Tool ${name} failed: ${errorMessage(defect)}`), errorType: errorTypeOf(defect) }
    return Effect.andThen(
      // A logger dies of a value that is nested too deep.
      Effect.catchDefect(Effect.logError(`Tool ${name} died`, cause), () => Effect.logError(problem.result)),
      failureMode === "error" ? onFailure(name, failureMode, defect) : Effect.succeed(problem)
    )
  })
