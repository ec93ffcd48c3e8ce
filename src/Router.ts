/**
 * Runs a pool of equal actors, the routees, behind one reference of their protocol.
 *
 * The sender itself picks the routee: a message goes straight into that routee's mailbox, so a full one holds up or
 * refuses only who sends to it, and interrupting an ask reaches its handler. The routees are children of the router,
 * which is an actor of the same protocol: they stop before it does, and what they escalate it passes on. A routee that
 * stopped for good is replaced; while it is, the others get its messages, but for `consistentHash`, where its keys get
 * `Stopped`.
 *
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { Rpc } from "effect/rpc"
 * import { Actor, Router } from "effect-troupe"
 *
 * const Hasher = Actor.make("Hasher", [
 *   Rpc.make("Hash", { payload: { text: Schema.String }, success: Schema.Int })
 * ])
 *
 * const hasher = Hasher.behavior(Effect.succeed({ Hash: ({ text }) => Effect.succeed(text.length) }))
 *
 * const program = Effect.gen(function*() {
 *   const pool = yield* Router.spawn(hasher, { size: 4, strategy: "leastLoaded", name: "hashers" })
 *   yield* Router.resize(pool, 8)
 *   return yield* pool.ask("Hash", { text: "figs" })
 * })
 * ```
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as HashRing from "effect/HashRing"
import * as PrimaryKey from "effect/PrimaryKey"
import * as Random from "effect/Random"
import type * as Rpc from "effect/rpc/Rpc"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import * as Actor from "./Actor.ts"
import * as Cell from "./internal/actor/cell.ts"
import * as Erased from "./internal/actor/erased.ts"
import * as LocalRef from "./internal/actor/localRef.ts"
import type { ActorSystem } from "./internal/actor/system.ts"
import * as Check from "./internal/check.ts"
import { retype } from "./internal/retype.ts"
import * as Supervisor from "./Supervisor.ts"

const TypeId = "~effect-troupe/Router"

/**
 * Which routee gets a message:
 *
 * - `"roundRobin"`: the next one.
 * - `"random"`: any, by Effect's `Random`.
 * - `"leastLoaded"`: the one with the fewest messages that wait or are in work, in turn where several have.
 * - `"broadcast"`: all. Telling reaches every routee and fails with the first refusal; asking gives the first success
 *   and interrupts the others; streaming gives the stream that has an item first.
 * - `Router.consistentHash(key)`: always the same one for one key.
 *
 * @since 0.1.0
 * @category models
 */
export type Strategy<Rpcs extends Rpc.Any> =
  | "roundRobin"
  | "random"
  | "leastLoaded"
  | "broadcast"
  | ConsistentHash<Rpcs>

/**
 * Sends all messages of one key to one routee, see `Router.consistentHash`.
 *
 * @since 0.1.0
 * @category models
 */
export interface ConsistentHash<in Rpcs extends Rpc.Any> {
  readonly _tag: "ConsistentHash"
  readonly key: (message: Routed<Rpcs>) => string
}

/**
 * What the key of `Router.consistentHash` is made from: a message's tag, and its payload as the sender wrote it.
 *
 * @since 0.1.0
 * @category models
 */
export type Routed<Rpcs extends Rpc.Any> = Rpcs extends Rpc.Any
  ? { readonly tag: Rpcs["_tag"]; readonly payload: Rpc.PayloadConstructor<Rpcs> }
  : never

/**
 * How a router runs.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options<Rpcs extends Rpc.Any> {
  /** How many routees, a positive integer. */
  readonly size: number
  readonly strategy: Strategy<Rpcs>
  /** Names the router; its routees are its children `1` to `size`. */
  readonly name?: string | undefined
}

/**
 * A reference to a router: an ordinary one of the routees' protocol, which `Router.resize` takes too. Its mailbox is
 * the sum of the routees' mailboxes, and draining it drains them.
 *
 * @since 0.1.0
 * @category models
 */
export interface RouterRef<out Name extends string, in out Rpcs extends Rpc.Any>
  extends Actor.LocalActorRef<Name, Rpcs>
{
  readonly [TypeId]: (size: number) => Effect.Effect<void, RouteeError>
}

/**
 * A routee could not be started: `routee` is the path it would have had, `cause` what its setup failed with, or the
 * `SpawnError`.
 *
 * @since 0.1.0
 * @category errors
 */
export class RouteeError extends Schema.TaggedError<RouteeError>()("RouteeError", {
  routee: Schema.String,
  cause: Schema.Defect()
}) {
  override get message(): string {
    return `${this.routee} could not be started: ${String(this.cause)}`
  }
}

/**
 * Starts a router and its routees, as `Actor.spawn` starts an actor. Fails with a `RouteeError`, and starts nothing,
 * when a routee cannot be started. Throws a `RangeError` when `size` is not a positive integer.
 *
 * @since 0.1.0
 * @category constructors
 */
export const spawn = <Name extends string, Rpcs extends Rpc.Any, E, R>(
  behavior: Actor.Behavior<Name, Rpcs, E, R>,
  options: Options<Rpcs>
): Effect.Effect<RouterRef<Name, Rpcs>, RouteeError | Actor.SpawnError, R | ActorSystem> => {
  const size = Check.positiveInteger("Router.spawn", "size", options.size)
  const spawned = Effect.suspend(() => {
    const pool = makePool(options.strategy, size)
    return Actor.spawn(routerBehavior(Erased.behavior(behavior), pool), { name: options.name })
  })
  // The reference is the one that the router's behavior makes; behind this seam the types of messages are erased.
  return retype(spawned)
}

/**
 * Sends all messages of one key to one routee. When a routee is added, all but about 1/n of the keys stay where they
 * are.
 *
 * @since 0.1.0
 * @category strategies
 */
export const consistentHash = <Rpcs extends Rpc.Any>(
  key: (message: Routed<Rpcs>) => string
): ConsistentHash<Rpcs> => ({ _tag: "ConsistentHash", key })

/**
 * Starts routees, or drains the last ones, until there are `size`; succeeds when that is done. After a `RouteeError`
 * the routees that did start remain. Throws a `RangeError` when `size` is not a positive integer.
 *
 * @since 0.1.0
 * @category combinators
 */
export const resize = <Name extends string, Rpcs extends Rpc.Any>(
  router: RouterRef<Name, Rpcs>,
  size: number
): Effect.Effect<void, RouteeError> => router[TypeId](Check.positiveInteger("Router.resize", "size", size))

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

/** One place in the pool; `ref` changes when its actor is replaced. */
interface Routee extends PrimaryKey.PrimaryKey {
  readonly name: string
  ref: Erased.Ref
  /** Replaces the actor whenever it has stopped. */
  readonly keeper: Fiber.Fiber<void>
}

interface Pool {
  readonly strategy: Strategy<never>
  readonly ring: HashRing.HashRing<Routee>
  readonly routees: Array<Routee>
  /** How many routees there are to be. */
  size: number
  /** Counts messages, for strategies that take turns. */
  turn: number
  /** Changes the number of routees from within the router, whose children they are. */
  resize: (size: number) => Effect.Effect<void, RouteeError>
}

const makePool = <Rpcs extends Rpc.Any>(strategy: Strategy<Rpcs>, size: number): Pool => ({
  // What its key takes is what the senders of these messages write.
  strategy: retype(strategy),
  ring: HashRing.make(),
  routees: [],
  size,
  turn: 0,
  resize: () => Effect.void
})

/** The router's own behavior: it owns the routees, and all references to it send to them. */
const routerBehavior = (behavior: Erased.Behavior, pool: Pool) =>
  Erased.makeBehavior(
    behavior.protocol,
    Effect.gen(function*() {
      const context = yield* Effect.context<ActorSystem | Scope.Scope>()
      const { path } = yield* Actor.self(behavior.protocol)
      const oneAtATime = Semaphore.makeUnsafe(1)
      pool.resize = (size) =>
        oneAtATime.withPermit(Effect.provideContext(resizeTo(pool, behavior, path, size), context))
      // Those of the last incarnation have stopped with it.
      for (const routee of pool.routees.splice(0)) HashRing.remove(pool.ring, routee)
      yield* pool.resize(pool.size)
      return {}
    }),
    { supervisor: Supervisor.escalate, reference: (ref) => new PoolRef(retype(ref), pool) }
  )

const resizeTo = Effect.fnUntraced(function*(pool: Pool, behavior: Erased.Behavior, path: string, size: number) {
  pool.size = size
  while (pool.routees.length < size) {
    const routee = yield* startRoutee(behavior, `${path}/${pool.routees.length + 1}`)
    pool.routees.push(routee)
    HashRing.add(pool.ring, routee)
  }
  const removed = pool.routees.splice(size)
  for (const routee of removed) HashRing.remove(pool.ring, routee)
  yield* Effect.withFiber(({ context }) => drain(Cell.current(context), removed))
})

const startRoutee = Effect.fnUntraced(function*(behavior: Erased.Behavior, path: string) {
  const name = path.slice(path.lastIndexOf("/") + 1)
  const start = Actor.spawn(behavior, { name }).pipe(
    Effect.map(Erased.ref),
    Effect.mapError((cause) => new RouteeError({ routee: path, cause }))
  )
  const routee = { name, ref: yield* start, [PrimaryKey.symbol]: () => path }
  const keeper = yield* Effect.forkIn(keep(routee, start), yield* Scope.Scope)
  return Object.assign(routee, { keeper }) satisfies Routee
})

/** Replaces a routee whenever it has stopped, until the router stops. */
const keep = <R>(
  routee: Pick<Routee, "ref">,
  start: Effect.Effect<Erased.Ref, RouteeError, R>
): Effect.Effect<void, never, R> =>
  Effect.gen(function*() {
    while (true) {
      yield* routee.ref.awaitStopped
      routee.ref = yield* Effect.retry(start, replacing)
    }
  }).pipe(Effect.orDie)

const replacing = Schedule.min([Schedule.exponential("50 millis"), Schedule.spaced("1 second")])

/** Drains whoever has a routee's place: a keeper may be interrupted when it has started the next one. */
const drain = (router: Cell.Cell, routees: ReadonlyArray<Routee>): Effect.Effect<void> => {
  const drainPlace = ({ name }: Routee) =>
    Effect.suspend(() => {
      const cell = router.children?.get(name)
      return cell === undefined ? Effect.void : retype<Erased.Ref>(LocalRef.make(cell)).drain
    })
  return Effect.forEach(routees, (routee) => Effect.andThen(Fiber.interrupt(routee.keeper), drainPlace(routee)), {
    concurrency: "unbounded",
    discard: true
  })
}

/** The router's reference: it sends to the routees; its path, its end and the like are the router's own. */
class PoolRef {
  readonly router: LocalRef.LocalRef
  readonly pool: Pool
  constructor(router: LocalRef.LocalRef, pool: Pool) {
    this.router = router
    this.pool = pool
  }
  get [LocalRef.RefTypeId]() {
    return LocalRef.RefTypeId
  }
  [TypeId](size: number) {
    return this.pool.resize(size)
  }
  [LocalRef.TargetTypeId](tag: string, payload: unknown) {
    return pick(this.pool, tag, payload)
  }
  get protocol() {
    return this.router.protocol
  }
  get cell() {
    return this.router.cell
  }
  get path() {
    return this.router.path
  }
  tell(tag: string, payload: unknown) {
    return tell(this.pool, tag, payload)
  }
  ask(tag: string, payload: unknown) {
    return ask(this.pool, tag, payload)
  }
  stream(tag: string, payload: unknown) {
    return stream(this.pool, tag, payload)
  }
  get mailbox() {
    return Effect.suspend(() => Effect.map(Effect.all(this.pool.routees.map(({ ref }) => ref.mailbox)), sum))
  }
  get drain() {
    return Effect.andThen(Effect.suspend(() => drain(this.router.cell, this.pool.routees)), this.router.stop)
  }
  get pause() {
    return forEachRoutee(this.pool, (ref) => ref.pause)
  }
  get resume() {
    return forEachRoutee(this.pool, (ref) => ref.resume)
  }
  get restart() {
    return this.router.restart
  }
  get stop() {
    return this.router.stop
  }
  get kill() {
    return this.router.kill
  }
  get awaitStopped() {
    return this.router.awaitStopped
  }
  toString() {
    return `ActorRef(${this.path})`
  }
  toJSON() {
    return this.router.toJSON()
  }
}

const forEachRoutee = ({ routees }: Pool, f: (ref: Erased.Ref) => Effect.Effect<void>): Effect.Effect<void> =>
  Effect.suspend(() => Effect.forEach(routees, ({ ref }) => f(ref), { discard: true }))

const tell = (pool: Pool, tag: string, payload: unknown): Effect.Effect<void, Actor.ActorError> =>
  pool.strategy === "broadcast"
    ? Effect.suspend(() => tellAll(open(pool).map((ref) => ref.tell(tag, payload))))
    : Effect.flatMap(pick(pool, tag, payload), (ref) => ref.tell(tag, payload))

const ask = (pool: Pool, tag: string, payload: unknown): Effect.Effect<unknown, unknown> =>
  pool.strategy === "broadcast"
    ? Effect.suspend(() => Effect.raceAll(open(pool).map((ref) => ref.ask(tag, payload))))
    : Effect.flatMap(pick(pool, tag, payload), (ref) => ref.ask(tag, payload))

const stream = (pool: Pool, tag: string, payload: unknown): Stream.Stream<unknown, unknown> =>
  pool.strategy === "broadcast"
    ? Stream.suspend(() => Stream.raceAll(...open(pool).map((ref) => ref.stream(tag, payload))))
    : Stream.unwrap(Effect.map(pick(pool, tag, payload), (ref) => ref.stream(tag, payload)))

/** Tells every routee, whatever the others do, and fails with the first refusal. */
const tellAll = (
  tells: ReadonlyArray<Effect.Effect<void, Actor.ActorError>>
): Effect.Effect<void, Actor.ActorError> =>
  Effect.flatMap(
    Effect.all(tells.map(Effect.exit), { concurrency: "unbounded" }),
    (exits) => exits.find(Exit.isFailure) ?? Effect.void
  )

/** The routee for one message; when all have stopped one of these, which tells the sender so. */
const pick = (pool: Pool, tag: string, payload: unknown): Effect.Effect<Erased.Ref> =>
  Effect.suspend(() => {
    const { strategy } = pool
    if (typeof strategy === "object") {
      const key = strategy.key({ tag, payload } as never)
      // The hash of a very short string depends on few bits: without the prefix, keys such as "7" would share a routee.
      return Effect.succeed(HashRing.get(pool.ring, `effect-troupe/${key}`)!.ref)
    }
    const refs = open(pool)
    const turn = pool.turn++ % refs.length
    if (strategy === "random") {
      return Effect.map(Random.nextIntBetween(0, refs.length, { halfOpen: true }), (index) => refs[index]!)
    }
    return strategy === "leastLoaded"
      ? leastLoaded([...refs.slice(turn), ...refs.slice(0, turn)])
      : Effect.succeed(refs[turn]!)
  })

const leastLoaded = (refs: ReadonlyArray<Erased.Ref>): Effect.Effect<Erased.Ref> =>
  Effect.map(Effect.all(refs.map((ref) => ref.mailbox)), (mailboxes) => {
    const loads = mailboxes.map(({ blocked, running, size }) => size + blocked + running)
    return refs[loads.indexOf(Math.min(...loads))]!
  })

/** The routees that take messages: all of them, unless one has just stopped. */
const open = (pool: Pool): ReadonlyArray<Erased.Ref> => {
  const refs = pool.routees.map(({ ref }) => ref)
  const taking = refs.filter(Erased.isOpen)
  return taking.length === 0 ? refs : taking
}

const sum = (mailboxes: ReadonlyArray<Actor.MailboxSizes>): Actor.MailboxSizes =>
  mailboxes.reduce((total, { blocked, capacity, running, size }) => ({
    size: total.size + size,
    blocked: total.blocked + blocked,
    capacity: total.capacity + capacity,
    running: total.running + running
  }))
