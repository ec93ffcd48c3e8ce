/**
 * Actors as entities of effect/cluster. Loaded when a program uses a cluster. Exported through `Cluster`.
 *
 * @internal
 */
import * as ClusterError from "effect/cluster/ClusterError"
import { InterruptOnTermination, Persisted } from "effect/cluster/ClusterSchema"
import * as Entity from "effect/cluster/Entity"
import type { Sharding } from "effect/cluster/Sharding"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Record from "effect/Record"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as RpcSchema from "effect/rpc/RpcSchema"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import * as Actor from "../Actor.ts"
import * as ActorSystem from "../ActorSystem.ts"
import * as Erased from "./actor/erased.ts"
import * as Lifecycle from "./actor/lifecycle.ts"
import { retype } from "./retype.ts"

export const deploy = <Name extends string, Rpcs extends Rpc.Any, E, R>(
  behavior: Actor.Behavior<Name, Rpcs, E, R>
): Layer.Layer<never, never, R | ActorSystem.ActorSystem | Sharding | Rpc.Services<Rpcs> | Rpc.Middleware<Rpcs>> => {
  const erased = Erased.behavior(behavior)
  const layer = entityOf(erased.protocol).toLayer(makeHandlers(erased), {
    // The actor has the mailbox and decides what is handled when.
    concurrency: "unbounded",
    mailboxCapacity: "unbounded",
    disableFatalDefects: true,
    // Without an actor (see `Alive`) there is nothing to keep.
    maxIdleTime: "30 seconds"
  })
  return retype(layer)
}

export const ref = <Name extends string, Rpcs extends Rpc.Any>(
  protocol: Actor.Protocol<Name, Rpcs>,
  id: string
): Effect.Effect<Actor.ActorRef<Name, Rpcs>, never, Sharding> => {
  const erased = Erased.protocol(protocol)
  const persisted = persistedTags(erased)
  return Effect.map(entityOf(erased).client, (client) => {
    const send: Client = retype(client(id))
    const undelivered = (tag: string) => (error: unknown) =>
      isClusterError(error)
        ? new Actor.ActorError({ actor: `${protocol.name}:${id}`, tag, reason: { _tag: "Unreachable", cause: error } })
        : error
    const tell = (tag: string, payload: unknown) =>
      persisted.has(tag) ? send[tag]!(payload, { discard: true }) : send[tellTag(tag)]!(payload)
    return Erased.makeRef(protocol, {
      tell: (tag, payload) => Effect.mapError(Effect.suspend(() => tell(tag, payload)), undelivered(tag)),
      ask: (tag, payload) => Effect.mapError(Effect.suspend(() => send[tag]!(payload)), undelivered(tag)),
      stream: (tag, payload) => Stream.mapError(Stream.suspend(() => send[tag]!(payload)), undelivered(tag))
    })
  })
}

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

/** Sends a message; the result is an effect or a stream, as the protocol says. */
interface Client {
  readonly [tag: string]: (
    payload: unknown,
    options?: { readonly discard: true }
  ) => Effect.Effect<unknown, unknown> & Stream.Stream<unknown, unknown>
}

const persistedTags = (protocol: Erased.Protocol): ReadonlySet<string> =>
  new Set(
    Erased.messages(protocol).filter(({ annotations }) => Context.get(annotations, Persisted)).map(({ _tag }) => _tag)
  )

const isClusterError = (error: unknown): boolean =>
  error instanceof ClusterError.MailboxFull ||
  error instanceof ClusterError.AlreadyProcessingMessage ||
  error instanceof ClusterError.PersistenceError ||
  error instanceof ClusterError.EntityNotAssignedToRunner

const tellTag = (tag: string): string => `tell/${tag}`

/**
 * A request of the entity to itself that lasts as long as its actor: to effect/cluster, an entity without a request is
 * idle, though its actor may still handle what it was told, or talk to itself.
 */
const Alive: Rpc.Any = Rpc.make("effect-troupe/Alive").annotate(InterruptOnTermination, true)

/** The protocol as an entity's: each answer may be an `ActorError`, and a told message is answered on acceptance. */
const entityOf = (protocol: Erased.Protocol) => {
  const rpcs = Erased.messages(protocol).flatMap((message): ReadonlyArray<Rpc.Any> => {
    const { errorSchema, successSchema } = message
    if (RpcSchema.isStreamSchema(successSchema)) {
      const { error, success } = successSchema
      return [message.setSuccess(RpcSchema.Stream(success, Schema.Union([error, Actor.ActorError])))]
    }
    return [
      message.setError(Schema.Union([errorSchema, Actor.ActorError])),
      message.prefix(tellTag("")).setSuccess(Schema.Void).setError(Actor.ActorError)
    ]
  })
  return Entity.fromRpcGroup(protocol.name, RpcGroup.make(...rpcs, Alive).annotateMerge(protocol.group.annotations))
}

interface EntityRequest {
  readonly payload: unknown
}

const makeHandlers = Effect.fnUntraced(function*(behavior: Erased.Behavior) {
  const { protocol } = behavior
  const { actor, alive } = yield* makeActivation(behavior)
  const asked = Erased.handlers<EntityRequest>(protocol, {
    unary: ({ _tag: tag }) => ({ payload }) => Effect.flatMap(actor(tag), (ref) => ref.ask(tag, payload)),
    stream: ({ _tag: tag }) => ({ payload }) => Stream.unwrap(Effect.map(actor(tag), (ref) => ref.stream(tag, payload)))
  })
  const told = Erased.handlers<EntityRequest>(protocol, {
    unary: ({ _tag: tag }) => ({ payload }) => Effect.flatMap(actor(tag), (ref) => ref.tell(tag, payload))
  })
  return { ...asked, ...Record.mapKeys(told, tellTag), [Alive._tag]: () => alive as never }
})

/** The entity's actor, started for the first message and again when it has stopped. The entity's end is its end. */
const makeActivation = Effect.fnUntraced(function*(behavior: Erased.Behavior) {
  const { entityId } = yield* Entity.CurrentAddress
  const name = `${behavior.protocol.name}:${encodeURIComponent(entityId)}`
  const context = yield* Effect.context<ActorSystem.ActorSystem | Sharding | Scope.Scope>()
  const { [Alive._tag]: stayAlive } = retype<Client>((yield* entityOf(behavior.protocol).client)(entityId))
  const oneAtATime = Semaphore.makeUnsafe(1)
  let current: Erased.Ref | undefined
  // Messages that wait for the start; later ones must not overtake them.
  let waiting = 0
  const start = Effect.gen(function*() {
    if (current !== undefined && Erased.isOpen(current)) return current
    // The last one may still be stopping, in this activation of the entity or in the one before.
    const last = yield* Effect.option(ActorSystem.lookup(behavior.protocol, `/user/${name}`))
    if (Option.isSome(last)) yield* last.value.awaitStopped
    current = Erased.ref(yield* Actor.spawn(behavior, { name }))
    yield* Effect.forkScoped(Effect.ignore(Effect.suspend(() => stayAlive!(undefined))))
    return current
  })
  yield* Effect.addFinalizer(() => current === undefined ? Effect.void : end(current))
  const actor = (tag: string): Effect.Effect<Erased.Ref, Actor.ActorError> =>
    Effect.suspend(() => {
      if (waiting === 0 && current !== undefined && Erased.isOpen(current)) return Effect.succeed(current)
      waiting++
      return Effect.onExit(oneAtATime.withPermit(start), () => Effect.sync(() => waiting--)).pipe(
        Effect.provideContext(context),
        Effect.mapError((cause) => new Actor.ActorError({ actor: `/user/${name}`, tag, reason: notStarted(cause) }))
      )
    })
  return {
    actor,
    alive: Effect.suspend(() => current === undefined ? Effect.void : Effect.asVoid(current.awaitStopped))
  }
})

/** A setup that failed is a crash; an actor system that takes no more actors is not. */
const notStarted = (cause: unknown): Actor.ActorErrorReason =>
  cause instanceof Actor.SpawnError ? { _tag: "Unreachable", cause } : { _tag: "Crashed", defect: cause }

/** Lets the actor handle what it has accepted. */
const end = (ref: Erased.Ref): Effect.Effect<void> => {
  const cell = Erased.cellOf(ref)
  return cell === undefined ? ref.drain : Lifecycle.release(cell, "drain")
}
