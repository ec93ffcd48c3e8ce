/**
 * One simulated run, from its plan to its outcome.
 *
 * @internal
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Logger from "effect/Logger"
import * as Metric from "effect/Metric"
import * as Random from "effect/Random"
import * as Scheduler from "effect/Scheduler"
import { Tap } from "../../Tap.ts"
import { Faults } from "../actor/faults.ts"
import { AtFaultPoint } from "../faultPoint.ts"
import * as Prng from "../prng.ts"
import * as Choices from "./choices.ts"
import * as Injector from "./injector.ts"
import * as Outside from "./outside.ts"
import * as Pending from "./pending.ts"
import * as SimScheduler from "./scheduler.ts"
import type { Fault, Schedule, Script } from "./script.ts"
import { Deadlock, NotDeterministic, NotFinished, SimulationError, WaitedOutside } from "./simulationError.ts"
import * as VirtualClock from "./virtualClock.ts"

export interface Plan {
  readonly seed: number
  readonly faults: Injector.FaultChances | ReadonlyArray<Fault>
  /** By chance if there is none. */
  readonly schedule: Schedule | undefined
  readonly maxSteps: number
  readonly liveness: Liveness | undefined
  readonly loggers: ReadonlySet<Logger.Logger<unknown, unknown>>
}

/** In milliseconds. */
export interface Liveness {
  readonly faultsFor: number
  readonly finishWithin: number
}

/**
 * What has become of a run.
 *
 * @since 0.1.0
 * @category models
 */
export interface Outcome<out A, out E> {
  /** How the program ended, if it did. */
  readonly exit: Exit.Exit<A, E | Deadlock | NotFinished>
  /** Gives the same run again. */
  readonly script: Script
  /** How many tasks were run. */
  readonly steps: number
  /** How much virtual time went by, in milliseconds. */
  readonly elapsed: number
}

/**
 * Runs the program. An end that is no success may come of something outside, for which the clock cannot wait: unless that
 * is `known` not to be so, the simulation makes sure. `watch` hears who begins or goes on, in which order and when.
 */
export const execute = <A, E>(
  program: Effect.Effect<A, E>,
  plan: Plan,
  { known = false, watch }: { readonly known?: boolean; readonly watch?: (who: string) => void } = {}
): Effect.Effect<Outcome<A, E>, SimulationError> =>
  Effect.suspend(() => {
    const machine = build(plan, watch)
    const exit = runIn(machine, program, plan)
    const read = machine.outside.read()
    if (read !== undefined) return refuse(new NotDeterministic(read))
    const outcome = toOutcome(machine, plan, exit)
    if (known || Exit.isSuccess(exit)) return Effect.succeed(outcome)
    const begun = () => Pending.begunBy(() => void runIn(build(plan), program, plan), drive.name)
    return Effect.as(ensureInside(machine, begun), outcome)
  })

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

interface SimulatedMachine {
  readonly choices: Choices.Choices
  readonly clock: VirtualClock.VirtualClock
  readonly injector: Injector.Injector
  readonly outside: Outside.Outside
  readonly scheduler: SimScheduler.SimScheduler
  readonly context: Context.Context<never>
}

const build = ({ faults, loggers, schedule, seed }: Plan, watch?: (who: string) => void): SimulatedMachine => {
  const choices = schedule === undefined
    ? Choices.drawn(seed, Choices.drawMachine(seed))
    : Choices.given(schedule)
  const clock = VirtualClock.make(choices.late)
  const injector = isList(faults) ? Injector.given(faults) : Injector.drawn(seed, faults)
  const scheduler = SimScheduler.make(
    choices,
    watch && ((who) => watch(`${who}, at ${clock.elapsed()} ms`))
  )
  const random = Prng.makeRandom(seed)
  const context = Context.make(Scheduler.Scheduler, scheduler).pipe(
    Context.add(Clock.Clock, clock),
    Context.add(Random.Random, random),
    Context.add(Metric.MetricRegistry, new Map()),
    Context.add(Logger.CurrentLoggers, loggers),
    Context.add(Faults, injector.message),
    Context.add(Tap, injector.tap),
    Context.add(AtFaultPoint, injector.point)
  )
  const sources = { millis: clock.currentTimeMillisUnsafe, elapsed: clock.elapsed, random: random.nextDoubleUnsafe }
  const outside = Outside.make(sources, drive.name)
  return { choices, clock, injector, outside, scheduler, context }
}

const isList = (faults: Plan["faults"]): faults is ReadonlyArray<Fault> => Array.isArray(faults)

const runIn = <A, E>(
  machine: SimulatedMachine,
  program: Effect.Effect<A, E>,
  plan: Plan
): Exit.Exit<A, E | Deadlock | NotFinished> =>
  machine.outside.during(() => machine.scheduler.within(() => drive(machine, program, plan)))

/** Runs the program to its end, or to where it does not go on. */
const drive = <A, E>(
  machine: SimulatedMachine,
  program: Effect.Effect<A, E>,
  { liveness, maxSteps }: Plan
): Exit.Exit<A, E | Deadlock | NotFinished> => {
  const { clock, injector, scheduler } = machine
  const fiber = Effect.runForkWith(machine.context)(program)
  for (;;) {
    const exit = fiber.pollUnsafe()
    if (exit !== undefined) return exit
    if (scheduler.steps() >= maxSteps) return Exit.fail(new NotFinished(whereabouts(machine)))
    try {
      if (scheduler.step()) continue
    } catch (defect) {
      // A task that throws would end the process.
      return Exit.die(defect)
    }
    const next = clock.next()
    if (next === undefined) return Exit.fail(new Deadlock(whereabouts(machine)))
    if (liveness !== undefined && next >= liveness.faultsFor) {
      injector.stop()
      if (next > liveness.faultsFor + liveness.finishWithin) return Exit.fail(new NotFinished(whereabouts(machine)))
    }
    scheduler.add(clock.advance())
    clock.jump(injector.jump())
  }
}

const whereabouts = ({ clock, scheduler }: SimulatedMachine) => ({
  waiting: scheduler.waiting(),
  at: clock.elapsed(),
  steps: scheduler.steps()
})

const toOutcome = <A, E>(
  { choices, clock, injector, scheduler }: SimulatedMachine,
  { seed }: Plan,
  exit: Exit.Exit<A, E | Deadlock | NotFinished>
): Outcome<A, E> => ({
  exit,
  script: { version: 1, seed, faults: injector.injected, schedule: choices.taken() },
  steps: scheduler.steps(),
  elapsed: clock.elapsed()
})

/** Fails when something outside goes on, or resumes a fiber, while the simulation does nothing. */
const ensureInside = (
  { outside, scheduler }: SimulatedMachine,
  begunAgain: () => ReadonlyArray<Pending.Begun>
): Effect.Effect<void, SimulationError> =>
  Effect.gen(function*() {
    const started = outside.started()
    const atWork = outside.atWork()
    const waiting = scheduler.waiting()
    for (let turn = 0; turn < patience && scheduler.intruder() === undefined; turn++) yield* Effect.yieldNow
    // By now the tests around may have something at work as well: that costs time, and says nothing.
    for (let wait = 0; wait < 50 && scheduler.intruder() === undefined && outside.atWork().length > 0; wait++) {
      yield* Effect.provideService(Effect.sleep("20 millis"), Clock.Clock, liveClock)
    }
    const intruder = scheduler.intruder()
    const begun = started.length === 0 ? begunAgain() : []
    const isInside = intruder === undefined && started.length === 0 && atWork.length === 0 &&
      begun.every(({ isPromise }) => isPromise)
    if (isInside) return
    const lines = [...started, ...begun.map(({ what }) => what)]
    const used = Array.from(new Set(lines.length === 0 ? atWork : lines))
    return yield* refuse(new WaitedOutside({ waiting: intruder === undefined ? waiting : [intruder], used }))
  })

const liveClock = Context.get(Context.empty(), Clock.Clock)

/** Turns of the event loop, in which promises and short work of the platform come back: about a millisecond. */
const patience = 100

const refuse = (reason: SimulationError["reason"]): Effect.Effect<never, SimulationError> =>
  Effect.fail(new SimulationError({ reason }))
