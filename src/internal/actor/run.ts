/**
 * Runs handlers, and does with their exits what the sender and the supervisor expect.
 *
 * @internal
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type * as Queue from "effect/Queue"
import * as Rpc from "effect/rpc/Rpc"
import * as Stream from "effect/Stream"
import * as Tracer from "effect/Tracer"
import * as Pushed from "../pushed.ts"
import * as Cell from "./cell.ts"
import * as Envelope from "./envelope.ts"
import * as Metrics from "./metrics.ts"
import * as Restart from "./restart.ts"

const ForwardTypeId = "~effect-troupe/internal/Forward"

/** A deferred answer that the runtime does not wait for: it hands the whole message on. */
export interface Forward extends Deferred.Deferred<unknown, unknown> {
  readonly [ForwardTypeId]: (envelope: Envelope.Envelope) => void
}

export const makeForward = (handOn: (envelope: Envelope.Envelope) => void): Forward =>
  Object.assign(Deferred.makeUnsafe<unknown, unknown>(), { [ForwardTypeId]: handOn })

/** The defect by which a handler says that its message is to be put aside. */
export const stashSignal = { _tag: "effect-troupe/internal/Stash" }

/** Runs one message's handler as a fiber of its own, so that its asker can interrupt it and nothing else. */
export const run = (cell: Cell.Cell, envelope: Envelope.Envelope): void => {
  const result = call(cell, envelope)
  if (envelope.sink === undefined && Exit.isExit(result)) return complete(cell, envelope, result)
  const wrapper = Rpc.isWrapper(result) ? result : undefined
  start(cell, envelope, wrapper?.value ?? result, wrapper?.fork === true, wrapper?.uninterruptible === true)
}

/**
 * Runs told messages in one fiber, one after the other, as long as `next` has one. A failure ends the fiber, and with
 * it nothing but its message: the next delivery goes on with a new fiber.
 */
export const runTold = (
  cell: Cell.Cell,
  first: Envelope.Envelope,
  next: (cell: Cell.Cell) => Envelope.Envelope | undefined
): void => {
  let current: Envelope.Envelope | undefined = first
  let begun = false
  cell.active++
  cell.busy++
  cell.onStack++
  const fiber = Effect.runForkWith(cell.context)(Effect.whileLoop({
    while: () => {
      if (begun) current = next(cell)
      begun = true
      return current !== undefined
    },
    body: () => begin(cell, current!),
    step: (value) => {
      measure(cell, current!)
      if (Deferred.isDeferred<unknown, unknown>(value)) succeed(cell, current!, value)
      else if (value !== forked) current!.status = "done"
    }
  }))
  cell.onStack--
  const end = (exit: Exit.Exit<unknown, unknown>, abort: Envelope.Envelope["abort"]) => {
    cell.active--
    cell.busy--
    if (current === undefined) return
    current.abort = abort
    complete(cell, current, exit)
  }
  const exit = fiber.pollUnsafe()
  if (exit !== undefined) return end(exit, undefined)
  // Stands for whichever message the fiber is at.
  const run = Envelope.make("", undefined, undefined, undefined, undefined)
  track(cell, run, fiber)
  fiber.addObserver((exit) => {
    cell.running!.delete(run)
    end(exit, run.abort)
    if (cell.delivery === "none") Cell.wake(cell)
  })
}

// -----------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------

/** The handler's effect, as part of another one; only a forked one gets its own fiber. */
const begin = (cell: Cell.Cell, envelope: Envelope.Envelope): Effect.Effect<unknown, unknown> => {
  const value = invoke(cell, envelope)
  if (!Rpc.isWrapper(value)) return value as Effect.Effect<unknown, unknown>
  if (!value.fork) return Effect.uninterruptible(value.value as Effect.Effect<unknown, unknown>)
  start(cell, envelope, value.value as object, true, value.uninterruptible)
  return Effect.succeed(forked)
}

/** Stands for the value of a run that goes on elsewhere. */
const forked = { _tag: "effect-troupe/internal/Forked" }

const invoke = (cell: Cell.Cell, envelope: Envelope.Envelope): object => {
  envelope.status = "running"
  cell.stats.handled++
  if (cell.definition.idleTimeout !== undefined) cell.activeAt = cell.system.clock.currentTimeMillisUnsafe()
  if (cell.system.timings) envelope.startedAt = cell.system.clock.currentTimeNanosUnsafe()
  return cell.handlers[envelope.tag]!(envelope.payload)
}

/** What the handler returns; while it does, its actor takes no other message, though there is no run yet. */
const call = (cell: Cell.Cell, envelope: Envelope.Envelope): object => {
  cell.busy++
  try {
    return invoke(cell, envelope)
  } catch (defect) {
    return Exit.die(defect)
  } finally {
    cell.busy--
  }
}

const measure = (cell: Cell.Cell, envelope: Envelope.Envelope): void => {
  if (envelope.startedAt === undefined) return
  const { clock, context } = cell.system
  Metrics.recordProcessing(context, cell.stats, clock.currentTimeNanosUnsafe() - envelope.startedAt)
}

const isForward = (deferred: Deferred.Deferred<unknown, unknown>): deferred is Forward => ForwardTypeId in deferred

const isStash = (cause: Cause.Cause<unknown>): boolean =>
  cause.reasons.some((reason) => Cause.isDieReason(reason) && reason.defect === stashSignal)

/** The run does not count as handling: the message will have another one. */
const stash = (cell: Cell.Cell, envelope: Envelope.Envelope): void => {
  if (envelope.status !== "running") return
  cell.stats.handled--
  switch (cell.state._tag) {
    case "Stopping":
    case "Ending":
    case "Stopped":
      return Cell.deadLetter(cell, envelope)
  }
  const stashed = cell.stash ??= []
  const capacity = cell.definition.stashCapacity
  if (stashed.length < capacity) {
    envelope.status = "stashed"
    stashed.push(envelope)
    return
  }
  cell.stats.dropped++
  Cell.emitDropped(cell, envelope)
  Cell.refuse(cell, envelope, { _tag: "MailboxFull", capacity })
}

/** Runs the handler's effect as a fiber; what it does before it suspends happens here and now. */
const start = (
  cell: Cell.Cell,
  envelope: Envelope.Envelope,
  value: object,
  forked: boolean,
  uninterruptible: boolean
): void => {
  cell.active++
  if (!forked) cell.busy++
  const effect = envelope.sink === undefined ? value as Effect.Effect<unknown, unknown> : pour(value, envelope.sink)
  const context = envelope.span === undefined
    ? cell.context
    : Context.add(cell.context, Tracer.ParentSpan, envelope.span)
  cell.onStack++
  const fiber = Effect.runForkWith(context)(
    envelope.span !== undefined && cell.definition.traced ? traced(cell, envelope, effect) : effect,
    uninterruptible ? { uninterruptible: true } : undefined
  )
  cell.onStack--
  const exit = fiber.pollUnsafe()
  if (exit !== undefined) return end(cell, envelope, exit, forked)
  envelope.uninterruptible = uninterruptible
  follow(cell, envelope, fiber, forked)
}

const end = (cell: Cell.Cell, envelope: Envelope.Envelope, exit: Exit.Exit<unknown, unknown>, forked: boolean) => {
  cell.active--
  if (!forked) cell.busy--
  complete(cell, envelope, exit)
}

const follow = (
  cell: Cell.Cell,
  envelope: Envelope.Envelope,
  fiber: Fiber.Fiber<unknown, unknown>,
  forked: boolean
): void => {
  track(cell, envelope, fiber)
  fiber.addObserver((exit) => {
    cell.running!.delete(envelope)
    end(cell, envelope, exit, forked)
    if (cell.delivery === "none") Cell.wake(cell)
  })
}

const traced = (cell: Cell.Cell, envelope: Envelope.Envelope, effect: Effect.Effect<unknown, unknown>) =>
  effect.pipe(
    Effect.withSpan(`${cell.definition.name}.${envelope.tag}`, { attributes: { actor: cell.path } }, {
      captureStackTrace: false
    })
  )

const track = (cell: Cell.Cell, envelope: Envelope.Envelope, fiber: Fiber.Fiber<unknown, unknown>): void => {
  envelope.fiber = fiber
  ;(cell.running ??= new Set()).add(envelope)
}

/** Streams the handler's items to their consumer, as fast as the consumer takes them. */
const pour = (value: object, sink: Envelope.Sink): Effect.Effect<unknown, unknown> =>
  Pushed.runForEach(
    Stream.isStream(value)
      ? value as Stream.Stream<unknown, unknown>
      : Stream.unwrap(Effect.map(value as Effect.Effect<Queue.Dequeue<unknown, unknown>, unknown>, Stream.fromQueue)),
    sink
  )

const complete = (cell: Cell.Cell, envelope: Envelope.Envelope, exit: Exit.Exit<unknown, unknown>): void => {
  envelope.fiber = undefined
  measure(cell, envelope)
  if (Exit.isSuccess(exit)) {
    const value = exit.value
    return Deferred.isDeferred<unknown, unknown>(value)
      ? succeed(cell, envelope, value)
      : answerIfWaiting(cell, envelope, exit)
  }
  const cause = exit.cause
  if (isStash(cause)) return stash(cell, envelope)
  if (Cause.hasDies(cause)) return crashed(cell, envelope, cause)
  if (envelope.abort !== undefined) return answerIfWaiting(cell, envelope, Exit.fail(envelope.abort))
  // Its asker interrupted the run, and nobody else is concerned.
  if (envelope.status === "done") return
  if (Cause.hasFails(cause)) {
    if (envelope.reply === undefined) report(cell, Effect.logDebug(`${envelope.tag} failed, and nobody asked`, cause))
    return answerIfWaiting(cell, envelope, exit)
  }
  // A handler that interrupts itself left its asker without an answer, so that is a crash too.
  crashed(cell, envelope, cause)
}

const crashed = (cell: Cell.Cell, envelope: Envelope.Envelope, cause: Cause.Cause<unknown>): void => {
  if (envelope.reply === undefined) {
    envelope.status = "done"
    // Nobody else would hear of a told message's crash.
    report(cell, Effect.logError(`${envelope.tag} crashed`, cause))
    return Restart.crash(cell, cause)
  }
  Restart.crash(cell, cause)
  const error = Cell.failure(cell, envelope.tag, { _tag: "Crashed", defect: Cause.squash(cause) })
  answerIfWaiting(cell, envelope, Exit.fail(error))
}

const report = (cell: Cell.Cell, log: Effect.Effect<void>): void => {
  Effect.runForkWith(cell.context)(log)
}

const answerIfWaiting = (cell: Cell.Cell, envelope: Envelope.Envelope, exit: Exit.Exit<unknown, unknown>): void => {
  if (envelope.status === "running") Cell.answer(cell, envelope, exit)
}

const succeed = (cell: Cell.Cell, envelope: Envelope.Envelope, value: Deferred.Deferred<unknown, unknown>): void =>
  isForward(value) ? value[ForwardTypeId](envelope) : answerLater(cell, envelope, value)

/** A handler that returned a deferred lets the actor go on; the answer follows, unless the incarnation ends first. */
const answerLater = (
  cell: Cell.Cell,
  envelope: Envelope.Envelope,
  deferred: Deferred.Deferred<unknown, unknown>
): void => {
  if (envelope.reply === undefined || envelope.status !== "running") return
  const fiber = Effect.runForkWith(cell.context)(Deferred.await(deferred))
  track(cell, envelope, fiber)
  fiber.addObserver((exit) => {
    cell.running!.delete(envelope)
    answerIfWaiting(cell, envelope, envelope.abort === undefined ? exit : Exit.fail(envelope.abort))
  })
}
