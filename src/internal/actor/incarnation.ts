/**
 * What an incarnation consists of while it lives, and what its end has to release: runs, watches and resources. When it
 * ends is up to lifecycle.ts.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import type { ActorErrorReason } from "./actorError.ts"
import * as Cell from "./cell.ts"
import * as Message from "./message.ts"

/** Runs the setup, as a run that others can see, with the context that the handlers will have. */
export const setup = (incarnation: Cell.Incarnation): Effect.Effect<Cell.Handlers, unknown> =>
  Effect.withFiber((fiber) => {
    incarnation.setup = Message.makeRun(incarnation, undefined)
    incarnation.setup.fiber = fiber
    // The context was captured where `spawn` asked for all that the setup needs.
    const setup = incarnation.cell.definition.setup as Effect.Effect<Cell.Handlers, unknown>
    const inContext = fiber.context === incarnation.context ? setup : Effect.setContext(setup, incarnation.context)
    return Effect.onExit(inContext, () => Effect.sync(() => endSetup(incarnation)))
  })

const endSetup = (incarnation: Cell.Incarnation): void => {
  incarnation.setup = undefined
  noteEnd(incarnation)
}

/** Notes that a run has ended: somebody may have waited for that. */
export const noteEnd = (incarnation: Cell.Incarnation): void => {
  const { cell } = incarnation
  if (cell.definition.idleTimeout !== undefined) cell.activeAt = Cell.monotonicMillis(cell.system)
  if (!isQuiet(incarnation)) return
  incarnation.quiet?.()
  if (incarnation.abandoned !== undefined) closeLate(incarnation)
}

/** Whether nothing runs, and no answer is owed. */
export const isQuiet = ({ active, runs, setup }: Cell.Incarnation): boolean =>
  active === 0 && setup === undefined && (runs === undefined || runs.size === 0)

/** Whether nothing has to end before the scope. */
export const isAlone = ({ children, incarnation }: Cell.Cell): boolean =>
  isQuiet(incarnation) && (children === undefined || children.size === 0)

/** Whether its end would end nothing else. Then the next incarnation goes on with its scope, which is faster. */
export const leavesNothing = (cell: Cell.Cell): boolean =>
  isAlone(cell) && cell.incarnation.watching === undefined && cell.incarnation.scope.state._tag === "Empty"

/** Interrupts all runs and the setup; their askers get `reason`. */
export const abort = (incarnation: Cell.Incarnation, reason: ActorErrorReason): void => {
  const { cell, runs, setup, starting } = incarnation
  for (const run of [...runs?.values() ?? [], starting, setup]) {
    if (run === undefined) continue
    if (run.envelope !== undefined) run.abort ??= Cell.failure(cell, run.envelope.tag, reason)
    run.fiber?.interruptUnsafe()
  }
}

/** Waits until nothing runs any more. */
export const awaitQuiet = (incarnation: Cell.Incarnation): Effect.Effect<void> =>
  Effect.callback((resume) => {
    const { quiet } = incarnation
    incarnation.quiet = () => {
      quiet?.()
      resume(Effect.void)
    }
  })

/** Waits no longer for runs that do not end: their askers are answered, and what they do from now on goes nowhere. */
export const abandon = (incarnation: Cell.Incarnation): void => {
  const { runs, setup } = incarnation
  const messages: Array<string> = []
  for (const { abort, envelope } of runs?.values() ?? []) {
    if (envelope === undefined) continue
    messages.push(envelope.tag)
    if (abort === undefined) Message.answerFailure(envelope, Cell.stopped)
    else Message.answer(envelope, Exit.fail(abort))
  }
  noteAbandoned(incarnation, messages, setup === undefined ? messages.join(", ") : "its setup")
}

/** Runs the finalizers, at most for the `stopTimeout`. Those of an abandoned run wait for its end. */
export const close = (
  incarnation: Cell.Incarnation,
  exit: Exit.Exit<unknown, unknown>
): Effect.Effect<void> | undefined => {
  if (incarnation.abandoned !== undefined) return undefined
  const { cell, scope } = incarnation
  const closing = Scope.closeUnsafe(scope, exit)
  if (closing === undefined) return undefined
  const fiber = Effect.runForkWith(cell.base)(logged(closing))
  if (fiber.pollUnsafe() !== undefined) return undefined
  return Effect.flatMap(
    Effect.timeoutOption(Fiber.await(fiber), cell.definition.stopTimeout),
    (ended) => Option.isSome(ended) ? Effect.void : Effect.sync(() => noteAbandoned(incarnation, [], "a finalizer"))
  )
}

/** Ends all watches. */
export const unwatchAll = (incarnation: Cell.Incarnation): void => {
  if (incarnation.watching === undefined) return
  for (const watched of incarnation.watching) watched.watchers?.delete(incarnation)
  incarnation.watching = undefined
}

/** Logs with the actor's path. */
export const log = ({ base }: Cell.Cell, effect: Effect.Effect<void>): void => {
  Effect.runForkWith(base)(effect)
}

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const noteAbandoned = (incarnation: Cell.Incarnation, messages: ReadonlyArray<string>, what: string): void => {
  const { cell } = incarnation
  incarnation.abandoned = messages
  Cell.emit(cell, (path, protocol) => ({ _tag: "Abandoned", path, protocol, messages }))
  const besides = cell.state._tag === "Restarting" ? ", and runs on beside the next incarnation" : ""
  log(cell, Effect.logWarning(`abandoned after its stopTimeout: ${what} did not end${besides}`))
}

/** Runs the finalizers of an abandoned incarnation, whose last run has ended. */
const closeLate = ({ cell, scope }: Cell.Incarnation): void => {
  const closing = Scope.closeUnsafe(scope, Exit.void)
  if (closing !== undefined) log(cell, logged(closing))
}

const logged = (closing: Effect.Effect<unknown>): Effect.Effect<void> =>
  Effect.catchCause(Effect.asVoid(closing), (cause) => Effect.logError("releasing its resources failed", cause))
