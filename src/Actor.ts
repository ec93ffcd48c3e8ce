/**
 * Runs supervised actors: a protocol of typed messages, a behavior that handles them one at a time, and references
 * that tell, ask and stream.
 *
 * An actor handles its messages in mailbox order. A handler's typed failure is its answer; a defect is a crash, which
 * the behavior's supervisor decides about. Local messages go by reference: they are neither encoded nor copied.
 *
 * ```ts
 * import { Effect, Ref, Schema } from "effect"
 * import { Rpc } from "effect/rpc"
 * import { Actor, ActorSystem } from "effect-troupe"
 *
 * const Counter = Actor.make("Counter", [
 *   Rpc.make("Add", { payload: { by: Schema.Finite } }),
 *   Rpc.make("Get", { success: Schema.Finite })
 * ])
 *
 * const counter = Counter.behavior(Effect.gen(function*() {
 *   const count = yield* Ref.make(0)
 *   return {
 *     Add: ({ by }) => Ref.update(count, (n) => n + by),
 *     Get: () => Ref.get(count)
 *   }
 * }))
 *
 * const program = Effect.gen(function*() {
 *   const ref = yield* Actor.spawn(counter, { name: "clicks" })
 *   yield* ref.tell("Add", { by: 2 })
 *   return yield* ref.ask("Get") // 2
 * }).pipe(Effect.provide(ActorSystem.layer({ name: "app" })))
 * ```
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Rpc from "effect/rpc/Rpc"
import * as RpcGroup from "effect/rpc/RpcGroup"
import type * as RpcSchema from "effect/rpc/RpcSchema"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { ActorError, SpawnError } from "./internal/actor/actorError.ts"
import * as Cell from "./internal/actor/cell.ts"
import * as Definition from "./internal/actor/definition.ts"
import * as Lifecycle from "./internal/actor/lifecycle.ts"
import * as LocalRef from "./internal/actor/localRef.ts"
import { stashSignal } from "./internal/actor/message.ts"
import * as Payload from "./internal/actor/payload.ts"
import * as Spawn from "./internal/actor/spawn.ts"
import { type ActorSystem, rootOf } from "./internal/actor/system.ts"
import * as Watch from "./internal/actor/watch.ts"
import * as Check from "./internal/check.ts"
import { retype } from "./internal/retype.ts"

export {
  /** @since 0.1.0 @category errors */
  ActorError,
  /** @since 0.1.0 @category errors */
  ActorErrorReason,
  /** @since 0.1.0 @category errors */
  SpawnError
} from "./internal/actor/actorError.ts"
export type { BehaviorOptions } from "./internal/actor/definition.ts"

const TypeId = "~effect-troupe/Actor/Protocol"
const BehaviorTypeId = "~effect-troupe/Actor/Behavior"

/**
 * A name and the messages that go by it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Protocol<out Name extends string, in out Rpcs extends Rpc.Any> {
  readonly [TypeId]: typeof TypeId
  readonly name: Name
  readonly group: RpcGroup.RpcGroup<Rpcs>
  /**
   * Pairs the protocol with a setup effect, which returns one handler a message. Setup runs at start and again at each
   * restart, in a fresh scope that lives as long as that incarnation; handlers run in the same scope.
   */
  readonly behavior: <H extends Handlers<Rpcs>, E, R>(
    setup: Effect.Effect<H, E, R>,
    options?: Definition.BehaviorOptions
  ) => Behavior<Name, Rpcs, E, Exclude<R | RpcGroup.HandlersServices<Rpcs, H>, Scope.Scope | Self<Name>>>
  /** A message as a value, for `Actor.watch`. */
  readonly message: <const Tag extends TellTag<Rpcs>>(
    tag: Tag,
    ...payload: PayloadArguments<Rpcs, Tag>
  ) => Message<Name>
}

/**
 * One handler a message. A handler may return `Rpc.fork` (not one at a time), `Rpc.uninterruptible`, or a `Deferred`
 * that is completed later with the answer.
 *
 * @since 0.1.0
 * @category models
 */
export type Handlers<Rpcs extends Rpc.Any> = {
  readonly [Current in Rpcs as Current["_tag"]]: (
    payload: Rpc.Payload<Current>
  ) => Rpc.WrapperOr<Rpc.ResultFrom<Current, unknown>>
}

/**
 * A protocol, a setup and options, for `spawn` to run. `E` is the setup's error, `R` what setup and handlers need.
 *
 * @since 0.1.0
 * @category models
 */
export interface Behavior<out Name extends string, in out Rpcs extends Rpc.Any, out E, out R> {
  readonly [BehaviorTypeId]: { readonly _E: () => E; readonly _R: () => R }
  readonly protocol: Protocol<Name, Rpcs>
  /** @internal */
  readonly definition: Cell.Definition
}

/**
 * A message as a value, made by its protocol.
 *
 * @since 0.1.0
 * @category models
 */
export interface Message<out Name extends string> {
  readonly protocol: Name
  readonly tag: string
  readonly payload: unknown
}

/**
 * The actor that setup and handlers of the protocol `Name` run in.
 *
 * @since 0.1.0
 * @category models
 */
export interface Self<out Name extends string> {
  readonly _: "effect-troupe/Actor/Self"
  readonly name: Name
}

/**
 * A reference to an actor, wherever it runs: its protocol and the three ways to send.
 *
 * @since 0.1.0
 * @category models
 */
export interface ActorRef<out Name extends string, in out Rpcs extends Rpc.Any> {
  readonly [LocalRef.RefTypeId]: typeof LocalRef.RefTypeId
  readonly protocol: Protocol<Name, Rpcs>
  /** Puts a message into the mailbox and does not wait for its handler. */
  readonly tell: <const Tag extends TellTag<Rpcs>>(
    tag: Tag,
    ...payload: PayloadArguments<Rpcs, Tag>
  ) => Effect.Effect<void, ActorError>
  /**
   * Sends a message and waits for the answer. Interrupting it interrupts the handler's run, or takes the message back.
   */
  readonly ask: <const Tag extends TellTag<Rpcs>>(
    tag: Tag,
    ...payload: PayloadArguments<Rpcs, Tag>
  ) => Effect.Effect<AskSuccess<Rpcs, Tag>, AskError<Rpcs, Tag> | ActorError>
  /** Sends a message and streams its handler's items; the handler goes no faster than the consumer. */
  readonly stream: <const Tag extends StreamTag<Rpcs>>(
    tag: Tag,
    ...payload: PayloadArguments<Rpcs, Tag>
  ) => Stream.Stream<
    Rpc.SuccessChunk<Rpc.ExtractTag<Rpcs, Tag>>,
    Rpc.ErrorExit<Rpc.ExtractTag<Rpcs, Tag>> | ActorError
  >
}

/**
 * A reference to an actor of this process.
 *
 * @since 0.1.0
 * @category models
 */
export interface LocalActorRef<out Name extends string, in out Rpcs extends Rpc.Any> extends ActorRef<Name, Rpcs> {
  /** For example `/user/alice`. */
  readonly path: string
  /**
   * Lets the current message finish, sends the rest to dead letters, and waits for the end. The current message is
   * interrupted after the behavior's `stopTimeout`, and abandoned after the same time again. A stream that is being
   * consumed is a current message, too.
   */
  readonly stop: Effect.Effect<void>
  /** Handles what is queued or stashed, takes nothing new, and waits for the end, however long that takes. */
  readonly drain: Effect.Effect<void>
  /** Interrupts the current message, and those of all children, now. Siblings end side by side; else as `stop`. */
  readonly kill: Effect.Effect<void>
  /** Takes no further message until `resume`; a `drain` waits for that, too. */
  readonly pause: Effect.Effect<void>
  /** Goes on after a `pause`. */
  readonly resume: Effect.Effect<void>
  /**
   * Interrupts the current message and starts the next incarnation at once, whatever the supervisor says (a child of a
   * group leaves it to its group). Succeeds when that has started, or when the actor has ended. An actor in its first
   * setup is left to it.
   */
  readonly restart: Effect.Effect<void>
  /** Waits for the end. */
  readonly awaitStopped: Effect.Effect<Terminated>
  /** How many messages wait, senders wait for capacity, the capacity, and how many messages are in work. */
  readonly mailbox: Effect.Effect<MailboxSizes>
}

/**
 * The sizes of a mailbox, and how many messages its actor is working on.
 *
 * @since 0.1.0
 * @category models
 */
export interface MailboxSizes {
  readonly size: number
  readonly blocked: number
  readonly capacity: number
  readonly running: number
}

/**
 * How an actor ended.
 *
 * @since 0.1.0
 * @category models
 */
export type Terminated = Cell.Terminated

/**
 * Why an actor ended: it was asked to, was idle for its `idleTimeout`, crashed, or was abandoned since the messages
 * with these tags (none: its setup or a finalizer) did not end within its `stopTimeout`.
 *
 * @since 0.1.0
 * @category models
 */
export type TerminatedReason = Cell.TerminatedReason

/**
 * The tags that `tell` and `ask` take.
 *
 * @since 0.1.0
 * @category type utils
 */
export type TellTag<Rpcs extends Rpc.Any> = Exclude<Rpcs["_tag"], StreamTag<Rpcs>>

/**
 * The tags that `stream` takes.
 *
 * @since 0.1.0
 * @category type utils
 */
export type StreamTag<Rpcs extends Rpc.Any> = Rpcs extends Rpc.Any
  ? Rpc.SuccessSchema<Rpcs> extends RpcSchema.Stream<infer _A, infer _E> ? Rpcs["_tag"] : never
  : never

/**
 * The payload of a message as an argument list: empty for a message without payload.
 *
 * @since 0.1.0
 * @category type utils
 */
export type PayloadArguments<Rpcs extends Rpc.Any, Tag extends string> =
  Rpc.PayloadConstructor<Rpc.ExtractTag<Rpcs, Tag>> extends infer Payload
    ? [Payload] extends [void] ? [] : {} extends Payload ? [payload?: Payload] : [payload: Payload]
    : never

/**
 * The reference to an actor of a protocol: `Actor.RefOf<typeof Counter>`.
 *
 * @since 0.1.0
 * @category type utils
 */
export type RefOf<P> = P extends Protocol<infer Name, infer Rpcs> ? ActorRef<Name, Rpcs> : never

/**
 * The reference to a local actor of a protocol: `Actor.LocalRefOf<typeof Counter>`.
 *
 * @since 0.1.0
 * @category type utils
 */
export type LocalRefOf<P> = P extends Protocol<infer Name, infer Rpcs> ? LocalActorRef<Name, Rpcs> : never

/**
 * The success of an ask.
 *
 * @since 0.1.0
 * @category type utils
 */
export type AskSuccess<Rpcs extends Rpc.Any, Tag extends string> = Rpc.Success<Rpc.ExtractTag<Rpcs, Tag>>

/**
 * The typed failures of an ask's handler.
 *
 * @since 0.1.0
 * @category type utils
 */
export type AskError<Rpcs extends Rpc.Any, Tag extends string> = Rpc.Error<Rpc.ExtractTag<Rpcs, Tag>>

/**
 * Makes a protocol. Throws a `RangeError` when the name is empty or two messages have one tag.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <const Name extends string, const Rpcs extends ReadonlyArray<Rpc.Any>>(
  name: Name,
  rpcs: Rpcs
): Protocol<Name, Rpcs[number]> => {
  Check.notEmpty("Actor.make", "name", name)
  const tags = new Set<string>()
  for (const { _tag } of rpcs) {
    if (tags.has(_tag)) Check.fail(`Actor.make(${name})`, "rpcs", "messages with different tags", _tag)
    tags.add(_tag)
  }
  const payload = Payload.make(name, rpcs)
  const protocol = {
    [TypeId]: TypeId,
    name,
    group: RpcGroup.make(...rpcs),
    payload,
    behavior: (setup: Cell.Definition["setup"], options?: Definition.BehaviorOptions) => ({
      [BehaviorTypeId]: BehaviorTypeId,
      protocol,
      definition: Definition.define(protocol, setup, options)
    }),
    message: (tag: string, input: unknown) => ({ protocol: name, tag, payload: payload(tag, input) })
  }
  // The runtime knows messages by their tags.
  return retype(protocol)
}

/**
 * Starts an actor: a child when called inside an actor, else at `/user`. Succeeds when the first setup has, and fails
 * with its error otherwise. What setup and handlers need is captured here, once for all incarnations.
 *
 * @since 0.1.0
 * @category constructors
 */
export const spawn = <Name extends string, Rpcs extends Rpc.Any, E, R>(
  behavior: Behavior<Name, Rpcs, E, R>,
  options?: { readonly name?: string | undefined }
): Effect.Effect<LocalActorRef<Name, Rpcs>, E | SpawnError, R | ActorSystem> =>
  withParent((parent) => Spawn.spawn(parent, behavior.definition, options?.name))

/**
 * The actor of that name, a child of the actor that asks or at `/user`: the one that is there, or a new one. Whoever asks
 * at the same time gets the same actor, once its setup has succeeded; one that is ending is waited for and replaced.
 *
 * An actor of the same protocol is taken as it is, whatever behavior it has. One of another protocol fails it with
 * `NameTaken`, and so does one that can't end or start as it waits for whoever asks. Where somebody else's setup
 * fails, the behavior is tried once for each that waits.
 *
 * @example
 * ```ts
 * import { Effect, Ref } from "effect"
 * import { Actor, ActorSystem } from "effect-troupe"
 * import { Rpc } from "effect/rpc"
 *
 * const Visits = Actor.make("Visits", [Rpc.make("Count")])
 *
 * const visits = Visits.behavior(Effect.gen(function*() {
 *   const count = yield* Ref.make(0)
 *   return { Count: () => Ref.update(count, (n) => n + 1) }
 * }), { idleTimeout: "10 minutes" })
 *
 * const count = Effect.fnUntraced(function*(user: string) {
 *   const ref = yield* Actor.getOrSpawn(visits, { name: user })
 *   yield* ref.tell("Count")
 * })
 *
 * const program = Effect.provide(count("alice"), ActorSystem.layer({ name: "app" }))
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const getOrSpawn = <Name extends string, Rpcs extends Rpc.Any, E, R>(
  behavior: Behavior<Name, Rpcs, E, R>,
  options: { readonly name: string }
): Effect.Effect<LocalActorRef<Name, Rpcs>, E | SpawnError, R | ActorSystem> =>
  withParent((parent) => Spawn.getOrSpawn(parent, behavior.definition, options.name))

/**
 * The actor that runs this setup or handler.
 *
 * @since 0.1.0
 * @category context
 */
export const self = <Name extends string, Rpcs extends Rpc.Any>(
  protocol: Protocol<Name, Rpcs>
): Effect.Effect<LocalActorRef<Name, Rpcs>, never, Self<Name>> =>
  Effect.withFiber<LocalActorRef<Name, Rpcs>, never, Self<Name>>((fiber) =>
    Effect.succeed(refOf<Name, Rpcs>(currentOf(protocol, fiber.context)))
  )

/**
 * Puts a message of the current actor's own protocol into its mailbox when `ref` has ended, before all that waits
 * there; at once when it has ended already. Watching twice is watching once, also after the end. A watch ends with the
 * incarnation.
 *
 * @since 0.1.0
 * @category watching
 */
export const watch = <Name extends string, Watched extends string, Rpcs extends Rpc.Any>(
  ref: LocalActorRef<Watched, Rpcs>,
  onTerminated: (terminated: Terminated) => Message<Name>
): Effect.Effect<void, never, Self<Name>> => withCurrent((cell) => Watch.watch(cell, cellOf(ref), onTerminated))

/**
 * Ends a watch; a notice that is in the mailbox already stays there.
 *
 * @since 0.1.0
 * @category watching
 */
export const unwatch = <Watched extends string, Rpcs extends Rpc.Any>(
  ref: LocalActorRef<Watched, Rpcs>
): Effect.Effect<void, never, Self<never>> => withCurrent((cell) => Watch.unwatch(cell, cellOf(ref)))

/**
 * Hands the current message on, perhaps as another one: the target answers the original asker. Return it from the
 * handler.
 *
 * @since 0.1.0
 * @category messages
 */
export const forward = <Name extends string, Rpcs extends Rpc.Any, const Tag extends TellTag<Rpcs>>(
  ref: ActorRef<Name, Rpcs>,
  tag: Tag,
  ...payload: PayloadArguments<Rpcs, Tag>
): Effect.Effect<Deferred.Deferred<AskSuccess<Rpcs, Tag>, AskError<Rpcs, Tag>>> => {
  const forwarded = LocalRef.isLocalRef(ref) || LocalRef.isForwarding(ref)
    ? LocalRef.forward(ref, tag, payload[0])
    : LocalRef.forwardElsewhere(ref.ask(tag, ...payload), ref.tell(tag, ...payload))
  return retype(forwarded)
}

/**
 * Ends the handler and puts its message aside, unanswered, until `unstashAll` or the next restart. With a full stash
 * (`stashCapacity`) the asker gets `MailboxFull`.
 *
 * @since 0.1.0
 * @category messages
 */
export const stash: Effect.Effect<never, never, Self<never>> = Effect.die(stashSignal)

/**
 * Puts all stashed messages back before those that wait, in their order.
 *
 * @since 0.1.0
 * @category messages
 */
export const unstashAll: Effect.Effect<void, never, Self<never>> = withCurrent(Lifecycle.unstashAll)

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

function withCurrent(f: (cell: Cell.Cell) => void): Effect.Effect<void> {
  return Effect.withFiber((fiber) => Effect.sync(() => f(Cell.current(fiber.context))))
}

/** Starts an actor under the one that this fiber belongs to, else under the root. */
function withParent<Name extends string, Rpcs extends Rpc.Any, E, R>(
  start: (parent: Cell.Cell) => Effect.Effect<Cell.Cell, unknown>
): Effect.Effect<LocalActorRef<Name, Rpcs>, E | SpawnError, R | ActorSystem> {
  return Effect.withFiber((fiber) => {
    const root = rootOf(fiber.context)
    const current = Context.getOrUndefined(fiber.context, Cell.CurrentCell)
    // The definition's error is `E`: `behavior` erased it.
    const started: Effect.Effect<Cell.Cell, E | SpawnError> = retype(
      start(current?.system === root.system ? current : root)
    )
    return Effect.map(started, (cell) => refOf<Name, Rpcs>(cell))
  })
}

/** Every local reference, a router's among them, has its cell. */
const cellOf = (ref: object): Cell.Cell => retype<LocalRef.LocalRef>(ref).cell

/** The one place where the runtime's references get their types back. */
const refOf = <Name extends string, Rpcs extends Rpc.Any>(cell: Cell.Cell): LocalActorRef<Name, Rpcs> =>
  retype(LocalRef.make(cell))

const currentOf = (protocol: { readonly name: string }, context: Context.Context<never>): Cell.Cell => {
  const cell = Cell.current(context)
  if (cell.definition.protocol.name === protocol.name) return cell
  throw new Error(`Actor.self(${protocol.name}): ${cell.path} speaks ${cell.definition.name}`)
}
