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
 * import { Effect } from "effect"
 * import { Router } from "effect-troupe"
 * import { resizer } from "./resizer.ts"
 *
 * const program = Effect.gen(function*() {
 *   const pool = yield* Router.spawn(resizer, { size: 4, strategy: "leastLoaded", name: "resizers" })
 *   const image = yield* pool.ask("Resize", { file: "cat.png", width: 100 })
 *   yield* Router.resize(pool, 8)
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
import type { ActorSystem } from "./ActorSystem.ts"
import * as Supervisor from "./Supervisor.ts"

const TypeId = "~effect-troupe/Router"

/**
 * Which routee gets a message:
 *
 * - `"roundRobin"`: the next one.
 * - `"random"`: any, by Effect's `Random`.
 * - `"leastLoaded"`: the one with the fewest waiting messages, in turn where several have.
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
 * when a routee cannot be started. Dies when `size` is not a positive integer.
 *
 * @since 0.1.0
 * @category constructors
 */
export const spawn = <Name extends string, Rpcs extends Rpc.Any, E, R>(
  behavior: Actor.Behavior<Name, Rpcs, E, R>,
  options: Options<Rpcs>
): Effect.Effect<RouterRef<Name, Rpcs>, RouteeError | Actor.SpawnError, R | ActorSystem> => {
  checkSize("Router.spawn", options.size)
  return Effect.suspend(() => {
    const pool = makePool<Name, Rpcs>(options.strategy)
    return Effect.map(
      Actor.spawn(routerBehavior(behavior, pool, options.size), { name: options.name }),
      (ref) => routerRef(ref, pool)
    )
  })
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
 * the routees that did start remain. Dies when `size` is not a positive integer.
 *
 * @since 0.1.0
 * @category combinators
 */
export const resize = <Name extends string, Rpcs extends Rpc.Any>(
  router: RouterRef<Name, Rpcs>,
  size: number
): Effect.Effect<void, RouteeError> => {
  checkSize("Router.resize", size)
  return router[TypeId](size)
}

// -----------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------

/** One place in the pool; `ref` changes when its actor is replaced. */
interface Routee<Name extends string, Rpcs extends Rpc.Any> extends PrimaryKey.PrimaryKey {
  ref: Actor.LocalActorRef<Name, Rpcs>
  live: boolean
  /** Replaces the actor whenever it has stopped. */
  keeper: Fiber.Fiber<void> | undefined
}

interface Pool<Name extends string, Rpcs extends Rpc.Any> {
  readonly strategy: Strategy<Rpcs>
  readonly ring: HashRing.HashRing<Routee<Name, Rpcs>>
  readonly routees: Array<Routee<Name, Rpcs>>
  /** Counts messages, for strategies that take turns. */
  turn: number
  /** Changes the number of routees from within the router, whose children they are. */
  resize: (size: number) => Effect.Effect<void, RouteeError>
}

const makePool = <Name extends string, Rpcs extends Rpc.Any>(strategy: Strategy<Rpcs>): Pool<Name, Rpcs> => ({
  strategy,
  ring: HashRing.make(),
  routees: [],
  turn: 0,
  resize: () => Effect.void
})

const checkSize = (where: string, size: number): void => {
  if (!Number.isSafeInteger(size) || size < 1) {
    throw new RangeError(`${where}: size must be a positive integer, got ${size}`)
  }
}

/** The router's own behavior: it owns the routees. Only a reference that was looked up by path sends to itself. */
const routerBehavior = <Name extends string, Rpcs extends Rpc.Any, E, R>(
  behavior: Actor.Behavior<Name, Rpcs, E, R>,
  pool: Pool<Name, Rpcs>,
  size: number
): Actor.Behavior<Name, Rpcs, RouteeError, R | ActorSystem> => {
  const setup = Effect.gen(function*() {
    const context = yield* Effect.context<R | ActorSystem | Scope.Scope>()
    const { path } = yield* Actor.self(behavior.protocol)
    const oneAtATime = Semaphore.makeUnsafe(1)
    pool.resize = (size) => oneAtATime.withPermit(Effect.provideContext(resizeTo(pool, behavior, path, size), context))
    yield* pool.resize(size)
    return {}
  })
  // The handlers' types can't be spelled for a protocol that isn't known yet, nor R without the router's own scope.
  return behavior.protocol.behavior(setup as never, { supervisor: Supervisor.escalate }) as never
}

const resizeTo = Effect.fnUntraced(function*<Name extends string, Rpcs extends Rpc.Any, E, R>(
  pool: Pool<Name, Rpcs>,
  behavior: Actor.Behavior<Name, Rpcs, E, R>,
  path: string,
  size: number
) {
  while (pool.routees.length < size) {
    const routee = yield* startRoutee(behavior, `${path}/${pool.routees.length + 1}`)
    pool.routees.push(routee)
    HashRing.add(pool.ring, routee)
  }
  const removed = pool.routees.splice(size)
  yield* Effect.forEach(removed, (routee) => {
    HashRing.remove(pool.ring, routee)
    return Effect.andThen(Fiber.interrupt(routee.keeper!), routee.ref.drain)
  }, { concurrency: "unbounded", discard: true })
})

const startRoutee = Effect.fnUntraced(function*<Name extends string, Rpcs extends Rpc.Any, E, R>(
  behavior: Actor.Behavior<Name, Rpcs, E, R>,
  path: string
) {
  const start = Effect.mapError(
    Actor.spawn(behavior, { name: path.slice(path.lastIndexOf("/") + 1) }),
    (cause) => new RouteeError({ routee: path, cause })
  )
  const routee: Routee<Name, Rpcs> = {
    ref: yield* start,
    live: true,
    keeper: undefined,
    [PrimaryKey.symbol]: () => path
  }
  routee.keeper = yield* Effect.forkIn(keep(routee, start), yield* Scope.Scope)
  return routee
})

/** Replaces a routee whenever it has stopped, until the router stops. */
const keep = <Name extends string, Rpcs extends Rpc.Any, R>(
  routee: Routee<Name, Rpcs>,
  start: Effect.Effect<Actor.LocalActorRef<Name, Rpcs>, RouteeError, R>
): Effect.Effect<void, never, R> =>
  Effect.gen(function*() {
    while (true) {
      yield* routee.ref.awaitStopped
      routee.live = false
      routee.ref = yield* Effect.retry(start, { schedule: replacing, until: isOver })
      routee.live = true
    }
  }).pipe(Effect.ignore)

const replacing = Schedule.min([Schedule.exponential("50 millis"), Schedule.spaced("1 second")])

const isOver = ({ cause }: RouteeError): boolean =>
  cause instanceof Actor.SpawnError && cause.reason._tag === "ParentStopped"

/** The router's reference with sending replaced; the rest, such as its path and its end, is the router's own. */
const routerRef = <Name extends string, Rpcs extends Rpc.Any>(
  ref: Actor.LocalActorRef<Name, Rpcs>,
  pool: Pool<Name, Rpcs>
): RouterRef<Name, Rpcs> => {
  const sending: Partial<Writable<RouterRef<Name, Rpcs>>> = {
    [TypeId]: (size) => pool.resize(size),
    tell: (tag, ...payload) =>
      pool.strategy === "broadcast"
        ? Effect.suspend(() => tellAll(live(pool).map((ref) => ref.tell(tag, ...payload))))
        : Effect.flatMap(pick(pool, tag, payload[0]), (ref) => ref.tell(tag, ...payload)),
    ask: (tag, ...payload) =>
      pool.strategy === "broadcast"
        ? Effect.suspend(() => Effect.raceAll(live(pool).map((ref) => ref.ask(tag, ...payload))))
        : Effect.flatMap(pick(pool, tag, payload[0]), (ref) => ref.ask(tag, ...payload)),
    stream: (tag, ...payload) =>
      pool.strategy === "broadcast"
        ? Stream.suspend(() => Stream.raceAll(...live(pool).map((ref) => ref.stream(tag, ...payload))))
        : Stream.unwrap(Effect.map(pick(pool, tag, payload[0]), (ref) => ref.stream(tag, ...payload))),
    mailbox: Effect.suspend(() => Effect.map(Effect.all(pool.routees.map(({ ref }) => ref.mailbox)), sum)),
    drain: Effect.suspend(() =>
      Effect.andThen(
        Effect.forEach(pool.routees, ({ keeper, ref }) => Effect.andThen(Fiber.interrupt(keeper!), ref.drain), {
          concurrency: "unbounded",
          discard: true
        }),
        ref.stop
      )
    )
  }
  return Object.create(ref, Object.getOwnPropertyDescriptors(sending))
}

const live = <Name extends string, Rpcs extends Rpc.Any>(
  pool: Pool<Name, Rpcs>
): ReadonlyArray<Actor.LocalActorRef<Name, Rpcs>> => {
  const live = pool.routees.filter((routee) => routee.live)
  return (live.length === 0 ? pool.routees : live).map(({ ref }) => ref)
}

/** The routee for one message; with none alive a stopped one, which says so to the sender. */
const pick = <Name extends string, Rpcs extends Rpc.Any>(
  pool: Pool<Name, Rpcs>,
  tag: string,
  payload: unknown
): Effect.Effect<Actor.LocalActorRef<Name, Rpcs>> =>
  Effect.suspend(() => {
    const { strategy } = pool
    if (typeof strategy === "object") {
      const message = { tag, payload } as Routed<Rpcs>
      return Effect.succeed(HashRing.get(pool.ring, strategy.key(message))!.ref)
    }
    const refs = live(pool)
    const turn = pool.turn++ % refs.length
    if (strategy === "random") {
      return Effect.map(Random.nextIntBetween(0, refs.length, { halfOpen: true }), (index) => refs[index]!)
    }
    return strategy === "leastLoaded"
      ? leastLoaded([...refs.slice(turn), ...refs.slice(0, turn)])
      : Effect.succeed(refs[turn]!)
  })

const leastLoaded = <Name extends string, Rpcs extends Rpc.Any>(
  refs: ReadonlyArray<Actor.LocalActorRef<Name, Rpcs>>
): Effect.Effect<Actor.LocalActorRef<Name, Rpcs>> =>
  Effect.map(Effect.all(refs.map((ref) => ref.mailbox)), (mailboxes) => {
    const loads = mailboxes.map(({ blocked, size }) => size + blocked)
    return refs[loads.indexOf(Math.min(...loads))]!
  })

/** Tells every routee, whatever the others do, and fails with the first refusal. */
const tellAll = (
  tells: ReadonlyArray<Effect.Effect<void, Actor.ActorError>>
): Effect.Effect<void, Actor.ActorError> =>
  Effect.flatMap(
    Effect.all(tells.map(Effect.exit), { concurrency: "unbounded" }),
    (exits) => exits.find(Exit.isFailure) ?? Effect.void
  )

const sum = (
  mailboxes: ReadonlyArray<{ readonly size: number; readonly blocked: number; readonly capacity: number }>
) =>
  mailboxes.reduce((total, { blocked, capacity, size }) => ({
    size: total.size + size,
    blocked: total.blocked + blocked,
    capacity: total.capacity + capacity
  }))

type Writable<A> = { -readonly [K in keyof A]: A[K] }
