/**
 * A message's life: accepted or refused, queued, handled, answered; or dropped, taken back, dead.
 *
 * Each message is handled in a fiber of its own, so that its asker can interrupt it and nothing else. The actor's turn
 * (see lifecycle.ts) starts that fiber; nothing runs on the sender's stack.
 *
 * @internal
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Predicate from "effect/Predicate"
import type * as Queue from "effect/Queue"
import * as Random from "effect/Random"
import * as Rpc from "effect/rpc/Rpc"
import * as Stream from "effect/Stream"
import * as Tracer from "effect/Tracer"
import * as Pushed from "../pushed.ts"
import type { ActorError, ActorErrorReason } from "./actorError.ts"
import * as Cell from "./cell.ts"
import * as MailboxQueue from "./mailboxQueue.ts"
import * as Metrics from "./metrics.ts"

/**
 * What is left to do once a handler has ended: its actor crashes, owes the asker an answer, or holds until the message
 * has been handed on.
 */
export type Settled =
  | { readonly _tag: "Crash"; readonly cause: Cause.Cause<unknown> }
  | { readonly _tag: "Owe"; readonly answer: Deferred.Deferred<unknown, unknown> }
  | { readonly _tag: "Hold"; readonly handingOn: Effect.Effect<void> }
  | undefined

/** Hands a message on; the effect, if there is one, waits for room. */
export type HandOn = (envelope: Cell.Envelope) => Effect.Effect<void> | undefined

/** A deferred answer that the runtime does not wait for: it hands the whole message on. */
export interface Forward extends Deferred.Deferred<unknown, unknown> {
  readonly [ForwardTypeId]: HandOn
}

export const make = (
  to: Cell.Cell,
  tag: string,
  payload: unknown,
  reply: Cell.Reply | undefined,
  sink: Cell.Sink | undefined,
  span: Tracer.AnySpan | undefined
): Cell.Envelope => ({
  to,
  status: "new",
  run: undefined,
  nextWait: undefined,
  tag,
  payload,
  reply,
  sink,
  span,
  asker: undefined,
  blocked: undefined,
  forwarded: undefined,
  sample: undefined,
  next: undefined,
  previous: undefined
})

export const makeRun = (incarnation: Cell.Incarnation, envelope: Cell.Envelope | undefined): Cell.Run => ({
  incarnation,
  envelope,
  fiber: undefined,
  forked: false,
  uninterruptible: false,
  abort: undefined,
  startedAt: undefined,
  waits: undefined
})

export const makeForward = (handOn: HandOn): Forward =>
  Object.assign(Deferred.makeUnsafe<unknown, unknown>(), { [ForwardTypeId]: handOn })

/** How many answers may resume their askers, and spawns may begin setups, on top of each other. */
export const maxDepth = 16

/** The defect by which a handler says that its message is to be put aside. */
export const stashSignal = { _tag: "effect-troupe/internal/Stash" }

// -----------------------------------------------------------------------------------------------------------------
// accepted or refused
// -----------------------------------------------------------------------------------------------------------------

/**
 * Puts a message into the mailbox. Succeeds when it was accepted (or dropped unasked), fails when it was refused;
 * `undefined` when the sender has to wait: see `wait`.
 */
export const offer = (envelope: Cell.Envelope): Exit.Exit<void, ActorError> | undefined => {
  const cell = envelope.to
  if (cell.state !== Cell.running && !Cell.isOpen(cell)) {
    cell.stats.sent++
    die(envelope)
    return fail(envelope, Cell.stopped)
  }
  const offered = MailboxQueue.offer(cell.queue, envelope)
  if (offered._tag === "Wait") return undefined
  count(envelope)
  switch (offered._tag) {
    case "Accepted":
      if (offered.evicted !== undefined) drop(offered.evicted, { _tag: "Dropped", policy: "dropOldest" })
      return Exit.void
    case "Full":
      drop(envelope, undefined)
      return fail(envelope, { _tag: "MailboxFull", capacity: cell.queue.mailbox.capacity })
    case "Dropped":
      drop(envelope, undefined)
      return envelope.reply === undefined ? Exit.void : fail(envelope, { _tag: "Dropped", policy: "dropNewest" })
  }
}

/** Lets a message wait for capacity; `envelope.blocked` is resumed when it has it. */
export const wait = (envelope: Cell.Envelope): void => {
  count(envelope)
  MailboxQueue.wait(envelope.to.queue, envelope)
}

/** Puts a message of the runtime itself before all others, whatever the capacity. */
export const urge = (envelope: Cell.Envelope): void => {
  const cell = envelope.to
  cell.stats.sent++
  if (Cell.isEnding(cell)) return deadLetter(envelope)
  MailboxQueue.urge(cell.queue, envelope)
}

// -----------------------------------------------------------------------------------------------------------------
// queued
// -----------------------------------------------------------------------------------------------------------------

/** Takes the next message out of the mailbox, and lets blocked senders in. */
export const take = (cell: Cell.Cell): Cell.Envelope | undefined => {
  const envelope = MailboxQueue.take(cell.queue)
  if (envelope !== undefined && cell.queue.blocked !== undefined) admit(cell)
  return envelope
}

/** Takes a message back, or interrupts its run. */
export const cancel = (envelope: Cell.Envelope): Effect.Effect<unknown> => {
  const { forwarded, run, status } = envelope
  switch (status) {
    case "blocked":
    case "queued":
    case "stashed":
      withdraw(envelope)
      envelope.status = "done"
      return Effect.void
    case "running":
      envelope.status = "done"
      return run === undefined ? Effect.void : interrupt(run)
    default:
      return forwarded ?? Effect.void
  }
}

/** Refuses a message that waits already. */
export const refuseWaiting = (envelope: Cell.Envelope, reason: ActorErrorReason): void => {
  withdraw(envelope)
  refuse(envelope, reason)
}

/** Sends everything that waits to dead letters, one by one: the asker of one may take another back. */
export const flush = (cell: Cell.Cell): void => {
  for (
    let envelope = MailboxQueue.takeAny(cell.queue);
    envelope !== undefined;
    envelope = MailboxQueue.takeAny(cell.queue)
  ) deadLetter(envelope)
}

// -----------------------------------------------------------------------------------------------------------------
// handled
// -----------------------------------------------------------------------------------------------------------------

/** Starts the message's handler in a fiber of its own. `onFork` hears of a run that keeps no other message waiting. */
export const start = (envelope: Cell.Envelope, onFork: (run: Cell.Run) => void): Cell.Run => {
  const { incarnation, stats } = envelope.to
  const run = makeRun(incarnation, envelope)
  envelope.status = "running"
  envelope.run = run
  if (envelope.sample !== undefined) envelope.sample.startedAt = envelope.to.system.clock.monotonicTimeNanosUnsafe()
  envelope.to.handled++
  stats.handled++
  incarnation.active++
  incarnation.busy++
  incarnation.starting = run
  run.fiber = Effect.runForkWith(contextOf(incarnation, envelope))(Effect.withFiber((fiber) => {
    run.fiber = fiber
    return handle(run, envelope, onFork)
  }))
  incarnation.starting = undefined
  return run
}

/** Does with a handler's exit what its sender expects; what concerns its actor is left to the caller. */
export const settle = (run: Cell.Run, envelope: Cell.Envelope, exit: Exit.Exit<unknown, unknown>): Settled => {
  measure(run, envelope)
  if (isStash(exit)) return stash(run, envelope)
  const { sample } = envelope
  if (sample !== undefined) {
    envelope.sample = undefined
    observe(envelope, sample, exit)
  }
  if (Exit.isSuccess(exit)) {
    const value = exit.value
    if (!Deferred.isDeferred<unknown, unknown>(value)) return answer(envelope, exit)
    if (isForward(value)) return handOn(envelope, value)
    return isAwaited(envelope) ? { _tag: "Owe", answer: value } : answer(envelope, Exit.void)
  }
  const cause = exit.cause
  if (Cause.hasDies(cause)) return { _tag: "Crash", cause: withoutSignal(cause) }
  if (run.abort !== undefined) return answer(envelope, Exit.fail(run.abort))
  // Its asker interrupted the run, and nobody else is concerned.
  if (envelope.status === "done") return undefined
  // A handler that interrupts itself leaves its asker without an answer: that is a crash, too.
  if (!Cause.hasFails(cause)) return { _tag: "Crash", cause }
  if (envelope.reply === undefined) {
    log(run, Effect.logWarning(`${envelope.tag} failed, and nobody asked`, cause))
  }
  return answer(envelope, exit)
}

// -----------------------------------------------------------------------------------------------------------------
// answered
// -----------------------------------------------------------------------------------------------------------------

/** Answers whoever still waits for the message. */
export const answer = (envelope: Cell.Envelope, exit: Exit.Exit<unknown, unknown>): undefined => {
  if (envelope.status === "done") return undefined
  envelope.status = "done"
  if (envelope.reply !== undefined) resume(envelope.to, envelope.reply, exit)
  return undefined
}

/** The same for a message of which the runtime itself disposes. */
export const answerFailure = (envelope: Cell.Envelope, reason: ActorErrorReason): void => {
  answer(envelope, fail(envelope, reason))
}

/**
 * Lets somebody else's fiber go on: on this very stack, as a `Deferred` does, unless a fiber is running on it, which
 * may be starting others just now (a bounded `Effect.forEach` is not re-entrant). A long chain of answers goes through
 * the dispatcher, too, so that it cannot overflow the stack.
 */
export const resume = <A>(cell: Cell.Cell, resumed: (value: A) => void, value: A): void => {
  const { system } = cell
  if (system.depth >= maxDepth || Fiber.getCurrent() !== undefined) return resumeLater(cell, resumed, value)
  system.depth++
  Cell.guarded(cell, resumed, value)
  system.depth--
}

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const ForwardTypeId = "~effect-troupe/internal/Forward"

const resumeLater = <A>(cell: Cell.Cell, resumed: (value: A) => void, value: A): void =>
  cell.system.dispatcher.scheduleTask(() => Cell.guarded(cell, resumed, value), 0)

const fail = ({ tag, to }: Cell.Envelope, reason: ActorErrorReason): Exit.Exit<never, ActorError> =>
  Exit.fail(Cell.failure(to, tag, reason))

const isForward = (deferred: Deferred.Deferred<unknown, unknown>): deferred is Forward => ForwardTypeId in deferred

const handOn = (envelope: Cell.Envelope, forward: Forward): Settled => {
  if (envelope.status !== "running") return undefined
  const handingOn = forward[ForwardTypeId](envelope)
  return handingOn === undefined ? undefined : { _tag: "Hold", handingOn }
}

const isAwaited = ({ reply, status }: Cell.Envelope): boolean => reply !== undefined && status === "running"

const log = ({ incarnation }: Cell.Run, effect: Effect.Effect<void>): void => {
  Effect.runForkWith(incarnation.context)(effect)
}

/** Ends a message that will never be handled: its asker and its blocked sender get the error. */
const refuse = (envelope: Cell.Envelope, reason: ActorErrorReason): void => {
  const { blocked, reply } = envelope
  if (blocked === undefined && reply === undefined) {
    envelope.status = "done"
    return
  }
  const exit = fail(envelope, reason)
  answer(envelope, exit)
  if (blocked !== undefined) unblock(envelope, blocked, exit)
}

const die = (envelope: Cell.Envelope): void => {
  envelope.to.stats.deadLetters++
  Cell.emitMessage(envelope.to, "DeadLetter", envelope)
}

const deadLetter = (envelope: Cell.Envelope): void => {
  die(envelope)
  refuse(envelope, Cell.stopped)
}

/** Tells of a message that the mailbox dropped; whoever waits for it gets `reason`. */
const drop = (envelope: Cell.Envelope, reason: ActorErrorReason | undefined): void => {
  envelope.to.stats.dropped++
  Cell.emitMessage(envelope.to, "MessageDropped", envelope)
  if (reason !== undefined) refuse(envelope, reason)
}

/** Takes a message that waits out of the mailbox. */
const withdraw = (envelope: Cell.Envelope): void => {
  const { status, to } = envelope
  to.stats.cancelled++
  MailboxQueue.remove(to.queue, envelope)
  if (status === "queued") admit(to)
}

/** Moves blocked messages in. Their senders go on later, in the dispatcher: by then there is room for many. */
const admit = (cell: Cell.Cell): void => {
  for (
    let envelope = MailboxQueue.admit(cell.queue);
    envelope !== undefined;
    envelope = MailboxQueue.admit(cell.queue)
  ) {
    const { blocked } = envelope
    if (blocked !== undefined) unblock(envelope, blocked, Exit.void)
  }
}

/** From here on the sender waits no more, though its fiber goes on later. */
const unblock = (
  envelope: Cell.Envelope,
  { resume, room }: Cell.Blocked,
  exit: Exit.Exit<void, ActorError>
): void => {
  envelope.blocked = undefined
  room.status = "done"
  resumeLater(envelope.to, resume, exit)
}

const interrupt = (run: Cell.Run): Effect.Effect<unknown> =>
  Effect.suspend(() => {
    const { abort, fiber, uninterruptible } = run
    return fiber === undefined || uninterruptible || abort !== undefined ? Effect.void : Fiber.interrupt(fiber)
  })

const contextOf = ({ context }: Cell.Incarnation, { span }: Cell.Envelope): Context.Context<never> =>
  span === undefined ? context : Context.add(context, Tracer.ParentSpan, span)

/** The handler's effect, with the fault that a test has for it. */
const handle = (
  run: Cell.Run,
  envelope: Cell.Envelope,
  onFork: (run: Cell.Run) => void
): Effect.Effect<unknown, unknown> => {
  const { tag, to } = envelope
  const { faults } = to.system
  if (faults === undefined || envelope.reply === nobody) return invoke(run, envelope, onFork)
  const fault = faults({ path: to.path, protocol: to.definition.name, tag, n: to.handled })
  switch (fault) {
    case undefined:
      return invoke(run, envelope, onFork)
    case "crashBefore":
      return Effect.die(new Error(`Faults: ${to.path} crashes before ${tag}`))
    case "crashAfter":
      return Effect.andThen(
        invoke(run, envelope, onFork),
        Effect.die(new Error(`Faults: ${to.path} crashes after ${tag}`))
      )
    case "double":
      uncount(to)
      MailboxQueue.prepend(to.queue, copyOf(envelope))
      return invoke(run, envelope, onFork)
    default:
      return Effect.andThen(Effect.sleep(fault.delay), Effect.suspend(() => invoke(run, envelope, onFork)))
  }
}

/** The same message once more, of which nobody takes the answer or the items, and which has no fault. */
const copyOf = ({ payload, sink, tag, to }: Cell.Envelope): Cell.Envelope =>
  make(to, tag, payload, nobody, sink === undefined ? undefined : () => Effect.void, undefined)

const nobody: Cell.Reply = () => {}

/** What is handled twice counts once. */
const uncount = (cell: Cell.Cell): void => {
  cell.handled--
  cell.stats.handled--
}

const invoke = (
  run: Cell.Run,
  envelope: Cell.Envelope,
  onFork: (run: Cell.Run) => void
): Effect.Effect<unknown, unknown> => {
  const { incarnation } = run
  const { clock, spans, timings } = envelope.to.system
  if (timings) run.startedAt = clock.monotonicTimeNanosUnsafe()
  const result = incarnation.handlers[envelope.tag]!(envelope.payload)
  if (!Predicate.isObject(result)) return invalid(envelope)
  let value: object = result
  if (Rpc.isWrapper(result)) {
    value = result.value
    run.uninterruptible = result.uninterruptible
    if (result.fork) {
      run.forked = true
      incarnation.busy--
      onFork(run)
    }
  }
  const handler = envelope.sink === undefined
    ? Effect.isEffect(value) ? value as Effect.Effect<unknown, unknown> : invalid(envelope)
    : pour(envelope, value, envelope.sink)
  const effect = spans === 0 ? handler : traced(envelope, handler, spans)
  return run.uninterruptible ? Effect.uninterruptible(effect) : effect
}

const invalid = ({ tag, to }: Cell.Envelope): Effect.Effect<never> =>
  Effect.die(new TypeError(`${to.definition.name}.${tag}: the handler returned neither an Effect nor a Stream`))

/** Streams the handler's items to their consumer, as fast as the consumer takes them. */
const pour = (envelope: Cell.Envelope, value: object, sink: Cell.Sink): Effect.Effect<unknown, unknown> => {
  if (Stream.isStream(value)) return Pushed.runForEach(value as Stream.Stream<unknown, unknown>, sink)
  if (!Effect.isEffect(value)) return invalid(envelope)
  const queue = value as Effect.Effect<Queue.Dequeue<unknown, unknown>, unknown>
  return Pushed.runForEach(Stream.unwrap(Effect.map(queue, Stream.fromQueue)), sink)
}

const traced = ({ tag, to }: Cell.Envelope, effect: Effect.Effect<unknown, unknown>, share: number) => {
  const span = effect.pipe(
    Effect.withSpan(`${to.definition.name}.${tag}`, { attributes: { actor: to.path } }, { captureStackTrace: false })
  )
  return share === 1 ? span : Effect.flatMap(Random.next, (n) => n < share ? span : effect)
}

const measure = ({ startedAt }: Cell.Run, { to: { stats, system } }: Cell.Envelope): void => {
  if (startedAt === undefined) return
  Metrics.recordProcessing(system.context, stats, system.clock.monotonicTimeNanosUnsafe() - startedAt)
}

const count = (envelope: Cell.Envelope): void => {
  envelope.to.stats.sent++
  if (envelope.to.system.untilSample > 0) sample(envelope)
}

/** Marks every so many messages, so that the observer is told of them. */
const sample = (envelope: Cell.Envelope): void => {
  const { system } = envelope.to
  if (--system.untilSample > 0) return
  system.untilSample = system.observer!.sampleEvery!
  const sender = Fiber.getCurrent()
  const from = sender === undefined ? undefined : Context.getOrUndefined(sender.context, Cell.CurrentCell)
  envelope.sample = { from: from?.path, sentAt: system.clock.monotonicTimeNanosUnsafe(), startedAt: 0n }
}

const observe = (
  { tag, to }: Cell.Envelope,
  { from, sentAt, startedAt }: Cell.Sample,
  exit: Exit.Exit<unknown, unknown>
): void => {
  const { definition, path, system } = to
  const { observe, sampleEvery: weight } = system.observer!
  Cell.guarded(to, observe, {
    _tag: "Message",
    at: system.clock.currentTimeMillisUnsafe(),
    from,
    to: path,
    protocol: definition.name,
    tag,
    waited: startedAt - sentAt,
    took: system.clock.monotonicTimeNanosUnsafe() - startedAt,
    outcome: exit._tag,
    weight: weight!
  })
}

const isSignal = (reason: Cause.Reason<unknown>): boolean => Cause.isDieReason(reason) && reason.defect === stashSignal

/** Whether the handler has put its message aside. A defect beside that, of a finalizer, is a crash nevertheless. */
const isStash = (exit: Exit.Exit<unknown, unknown>): boolean =>
  Exit.isFailure(exit) && exit.cause.reasons.some(isSignal) && !Cause.hasDies(withoutSignal(exit.cause))

const withoutSignal = (cause: Cause.Cause<unknown>): Cause.Cause<unknown> =>
  cause.reasons.some(isSignal) ? Cause.fromReasons(cause.reasons.filter((reason) => !isSignal(reason))) : cause

const stash = ({ incarnation }: Cell.Run, envelope: Cell.Envelope): undefined => {
  const { to } = envelope
  if (envelope.status !== "running") return undefined
  uncount(to)
  if (Cell.isEnding(to) || incarnation.abandoned !== undefined) {
    deadLetter(envelope)
    return undefined
  }
  const capacity = to.definition.stashCapacity
  if (!MailboxQueue.stash(to.queue, envelope, capacity)) drop(envelope, { _tag: "MailboxFull", capacity })
  return undefined
}
