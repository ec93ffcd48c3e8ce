/**
 * Runs a program in a world of its own. Exported through `RunLog`.
 *
 * @internal
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Random from "effect/Random"
import type * as Redacted from "effect/Redacted"
import * as Scheduler from "effect/Scheduler"
import * as Stream from "effect/Stream"
import { Approvals } from "../../Approvals.ts"
import { Observer } from "../../Observer.ts"
import { Tap } from "../../Tap.ts"
import { Intake } from "../actor/intake.ts"
import { ActorSystem } from "../actor/system.ts"
import type { TurnInfo, TurnPlan } from "../agent/agent.ts"
import { PlanOverride } from "../agent/planOverride.ts"
import { OnDirectCall } from "../llm/directCall.ts"
import { OnSecrets } from "../llm/secretsUsed.ts"
import * as Pushed from "../pushed.ts"
import { retype } from "../retype.ts"
import { version } from "./entry.ts"
import { LogError } from "./format.ts"
import * as Journal from "./journal.ts"
import * as Messages from "./messages.ts"
import type { Script } from "./script.ts"
import * as Seams from "./seams.ts"
import * as Services from "./services.ts"
import type { Sink, Writing } from "./sink.ts"
import * as World from "./world.ts"

/** How a program is run. */
export interface How<R> {
  readonly name: string
  /** Made for each time that the program is run. */
  readonly script?: (() => Script) | undefined
  readonly to?: Sink<R> | undefined
  readonly secrets?: ReadonlyArray<Redacted.Redacted> | undefined
  /** From which call on turns are given something else. */
  readonly fork?: {
    readonly at: number
    readonly with?: ((turn: TurnInfo) => TurnPlan<unknown, unknown>) | undefined
  } | undefined
}

export const effect = <A, E, R, R2>(how: How<R2>, program: Effect.Effect<A, E, R>) => inWorld(how, () => program)

/** The program does not wait for its reader: when it goes on must not depend on who reads. */
export const stream = <A, E, R, R2>(how: How<R2>, program: Stream.Stream<A, E, R>) =>
  Stream.callback<A, Effect.Error<ReturnType<typeof effect<void, E, R, R2>>>, R | R2>(
    (queue) =>
      Effect.andThen(
        inWorld(how, (world) =>
          Pushed.runForEach(program, (items) =>
            Effect.sync(() =>
              World.leave(world, () => void Queue.offerAllUnsafe(queue, items))
            ))),
        Queue.end(queue)
      ),
    { bufferSize: Number.POSITIVE_INFINITY }
  )

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const inWorld = <A, E, R, R2>(
  { fork, name, script: makeScript, secrets = [], to }: How<R2>,
  program: (world: World.World) => Effect.Effect<A, E, R>
): Effect.Effect<A, E | World.Diverged | LogError, R | R2> =>
  Effect.scoped(Effect.gen(function*() {
    const services = yield* Effect.context<R>()
    if (Context.getOrUndefined(services, ActorSystem) !== undefined) {
      const problem =
        `${name}: provide ActorSystem.layer inside of the program; actors of a system outside can't be replayed`
      return yield* new LogError({ log: name, problem })
    }
    const script = makeScript?.()
    const seed = script?.log.seed ?? (yield* Random.nextIntBetween(0, 0x7fffffff))
    const startedAt = script?.log.startedAt ?? (yield* Clock.currentTimeMillis)
    const writer = to && (yield* to.open)
    const journal = writer && Journal.make({ runLog: version, seed, startedAt }, secrets, writer.append)
    const world = World.make({ outside: outsideOf(services, journal), startedAt, journal, script })
    const random = yield* Random.withSeed(Random.Random, seed)
    const inside = insideOf(world, services, random)
    const context = fork?.with === undefined
      ? inside
      : Context.add(inside, PlanOverride, Seams.plan(world, fork.at, retype(fork.with)))
    const run = World.run(world, program(world), context)
    return yield* writer === undefined ? run : during(writer, run)
  }))

/** The services of what is made live. */
const outsideOf = (services: Context.Context<never>, journal: Journal.Journal | undefined): Context.Context<never> => {
  const onSecrets = Context.get(services, OnSecrets)
  const approvals = Context.getOrUndefined(services, Approvals)
  const outside = Context.make(World.IsOutside, true).pipe(
    Context.add(Scheduler.Scheduler, Context.get(services, Scheduler.Scheduler)),
    Context.add(Clock.Clock, Context.get(services, Clock.Clock)),
    Context.add(Random.Random, Context.get(services, Random.Random)),
    Context.add(Tap, Context.get(services, Tap)),
    Context.add(Observer, Context.get(services, Observer)),
    Context.add(Intake, Context.get(services, Intake)),
    Context.add(OnDirectCall, Context.get(services, OnDirectCall)),
    Context.add(OnSecrets, (secrets) => {
      if (journal !== undefined) Journal.learn(journal, secrets)
      onSecrets(secrets)
    })
  )
  return approvals === undefined ? outside : Context.add(outside, Approvals, approvals)
}

/** The services of the program. */
const insideOf = <R>(
  world: World.World,
  services: Context.Context<R>,
  random: (typeof Random.Random)["Service"]
): Context.Context<R> => {
  const approvals = Context.getOrUndefined(services, Approvals)
  const scheduler = Services.scheduler(world)
  const inside = services.pipe(
    Context.add(Scheduler.Scheduler, scheduler),
    Context.add(Clock.Clock, Services.clock(world)),
    Context.add(Random.Random, random),
    Context.add(Tap, Seams.tap(world, Context.get(services, Tap))),
    Context.add(Observer, Seams.observer(world, Context.get(services, Observer))),
    Context.add(Intake, Messages.intake(world, scheduler)),
    Context.add(OnDirectCall, Seams.onDirectCall(world))
  )
  return approvals === undefined ? inside : Context.add(inside, Approvals, Seams.approvals(world, approvals))
}

/** Ends the program if the log can't be written, and waits for the rest of the log. */
const during = <A, E, R>(
  { end, failure }: Writing,
  program: Effect.Effect<A, E, R>
): Effect.Effect<A, E | LogError, R> => {
  const watched = failure === undefined ? program : Effect.raceFirst(program, failure)
  return Effect.matchCauseEffect(watched, {
    onFailure: (cause) => Effect.andThen(Effect.ignoreCause(end), Effect.failCause(cause)),
    onSuccess: (value) => Effect.as(end, value)
  })
}
