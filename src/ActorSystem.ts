/**
 * The root of all actors in a process, or of some of them: systems share nothing.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import type * as Rpc from "effect/rpc/Rpc"
import * as Scheduler from "effect/Scheduler"
import * as Stream from "effect/Stream"
import type { LocalActorRef, Protocol, TerminatedReason } from "./Actor.ts"
import { LookupError } from "./internal/actor/actorError.ts"
import * as AsyncContext from "./internal/actor/asyncContext.ts"
import * as Cell from "./internal/actor/cell.ts"
import { Faults } from "./internal/actor/faults.ts"
import { Intake } from "./internal/actor/intake.ts"
import * as Lifecycle from "./internal/actor/lifecycle.ts"
import * as LocalRef from "./internal/actor/localRef.ts"
import * as MailboxQueue from "./internal/actor/mailboxQueue.ts"
import * as Spawn from "./internal/actor/spawn.ts"
import { ActorSystem, RootCell, rootOf } from "./internal/actor/system.ts"
import * as Check from "./internal/check.ts"
import { retype } from "./internal/retype.ts"
import { Observer } from "./Observer.ts"

export {
  /** @since 0.1.0 @category errors */
  LookupError
} from "./internal/actor/actorError.ts"
export {
  /** @since 0.1.0 @category services */
  ActorSystem
} from "./internal/actor/system.ts"

/**
 * How a system runs.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Names the system in logs and metrics. */
  readonly name: string
  /**
   * How long actors may take to end when the layer is released, or when a sharded one has to move. Then all that is
   * left is interrupted, and abandoned one `stopTimeout` later. Default 10 seconds.
   */
  readonly shutdownTimeout?: Duration.Input | undefined
  /** Measures how long handlers take, as the metric `troupe_processing_time`. Default false; other metrics are free. */
  readonly timings?: boolean | undefined
  /**
   * Which messages are handled in a span of their own: none (`"off"`, the default), all, or a share between 0 and 1. In
   * any case the asker's span is the parent of what handlers do.
   */
  readonly spans?: "off" | "on" | { readonly sample: number } | undefined
}

/**
 * One actor as seen from outside.
 *
 * @since 0.1.0
 * @category models
 */
export interface ActorInfo {
  readonly path: string
  readonly protocol: string
  readonly state: Cell.State["_tag"]
  readonly mailboxSize: number
  /** How many senders wait for room in the mailbox. */
  readonly blocked: number
  readonly capacity: number
  /** How many messages it has handled, and how often it has restarted. */
  readonly handled: number
  readonly restarts: number
}

/**
 * Something that happened to an actor or to an undelivered message. A payload is `Redacted`, so that no log shows it.
 *
 * @since 0.1.0
 * @category models
 */
export type ActorEvent = Cell.ActorEvent

/**
 * A system that lives as long as the layer. Its release stops all actors, last started first.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<ActorSystem> => {
  const shutdownTimeout = Check.notNegativeDuration(
    "ActorSystem.layer",
    "shutdownTimeout",
    options.shutdownTimeout ?? "10 seconds"
  )
  const spans = shareOf(options.spans ?? "off")
  return Layer.effectContext(Effect.gen(function*() {
    const root = yield* Effect.acquireRelease(makeSystem(options, shutdownTimeout, spans), shutdown)
    return Context.make(ActorSystem, { name: options.name }).pipe(Context.add(RootCell, root))
  }))
}

/**
 * The running actor at `path`, for example `/user/alice`.
 *
 * @since 0.1.0
 * @category getters
 */
export const lookup = <Name extends string, Rpcs extends Rpc.Any>(
  protocol: Protocol<Name, Rpcs>,
  path: string
): Effect.Effect<LocalActorRef<Name, Rpcs>, LookupError, ActorSystem> =>
  withRoot((root) => {
    const fail = (reason: LookupError["reason"]) =>
      Effect.fail(new LookupError({ path, protocol: protocol.name, reason }))
    const cell = Cell.find(root, path)
    if (cell === undefined) return fail({ _tag: "NotFound" })
    const actual: object = cell.definition.protocol
    if (actual !== protocol) return fail({ _tag: "OtherProtocol", protocol: cell.definition.name })
    // It is the very protocol, so the types are its own.
    return Effect.succeed(retype(LocalRef.make(cell)))
  })

/**
 * All actors, parents before children, in the order of their start.
 *
 * @since 0.1.0
 * @category getters
 */
export const list: Effect.Effect<ReadonlyArray<ActorInfo>, never, ActorSystem> = withRoot((root) =>
  Effect.sync(() =>
    Cell.descendants(root).map((cell) => ({
      path: cell.path,
      protocol: cell.definition.name,
      state: cell.state._tag,
      mailboxSize: MailboxQueue.size(cell.queue),
      blocked: MailboxQueue.blockedSize(cell.queue),
      capacity: cell.queue.mailbox.capacity,
      handled: cell.handled,
      restarts: cell.incarnation.number - 1
    }))
  )
)

/**
 * What happens to actors and undelivered messages, from now on. A reader that falls more than 4096 events behind
 * loses the oldest ones; without a reader, events cost nothing.
 *
 * @since 0.1.0
 * @category getters
 */
export const events: Stream.Stream<ActorEvent, never, ActorSystem> = Stream.unwrap(
  withRoot((root) =>
    Effect.succeed(Stream.callback<ActorEvent>((queue) => {
      const listener = (event: ActorEvent) => {
        Queue.offerUnsafe(queue, event)
      }
      const listeners = root.system.listeners
      return Effect.acquireRelease(
        Effect.sync(() => listeners.add(listener)),
        () => Effect.sync(() => listeners.delete(listener))
      )
    }, { bufferSize: 4096, strategy: "sliding" }))
  )
)

/**
 * Waits for the system's end: its layer was released, or a crash escalated to the root.
 *
 * @since 0.1.0
 * @category getters
 */
export const awaitStopped: Effect.Effect<TerminatedReason, never, ActorSystem> = withRoot((root) =>
  Effect.map(Lifecycle.awaitStopped(root), (terminated) => terminated.reason)
)

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

function withRoot<A, E>(f: (root: Cell.Cell) => Effect.Effect<A, E>): Effect.Effect<A, E, ActorSystem> {
  return Effect.withFiber((fiber) => f(rootOf(fiber.context)))
}

const shareOf = (spans: NonNullable<Options["spans"]>): number => {
  if (spans === "off") return 0
  if (spans === "on") return 1
  const { sample } = spans
  return sample > 0 && sample <= 1
    ? sample
    : Check.fail("ActorSystem.layer", "spans.sample", "a share above 0 and at most 1", sample)
}

const makeSystem = ({ name, timings = false }: Options, shutdownTimeout: Duration.Duration, spans: number) =>
  Effect.contextWith((context: Context.Context<never>) =>
    Effect.sync(() => {
      const observer = Context.get(context, Observer)
      const { sampleEvery } = observer ?? {}
      const system: { -readonly [K in keyof Cell.System]: Cell.System[K] } = {
        name,
        context,
        clock: Context.get(context, Clock.Clock),
        dispatcher: Context.get(context, Scheduler.Scheduler).makeDispatcher(),
        inContext: AsyncContext.capture(),
        listeners: new Set(),
        stats: new Map(),
        registrations: [],
        shutdownTimeout,
        timings,
        spans,
        observer,
        faults: Context.get(context, Faults),
        intake: Context.get(context, Intake),
        // The root needs its system first.
        root: retype(undefined),
        untilSample: sampleEvery === undefined
          ? 0
          : Check.positiveInteger("Observer", "sampleEvery", sampleEvery),
        depth: 0
      }
      system.root = Spawn.makeRoot(system, context)
      system.intake?.opened(system.root)
      return system.root
    })
  )

const shutdown = (root: Cell.Cell) =>
  Effect.ensuring(
    Lifecycle.release(root, "stop"),
    Effect.sync(() => {
      root.system.intake?.closed(root)
      root.system.registrations.forEach((registration) => registration.remove())
    })
  )
