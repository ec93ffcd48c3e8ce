/**
 * The scheduler and the clock of a program in its world.
 *
 * @internal
 */
import type * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scheduler from "effect/Scheduler"
import * as World from "./world.ts"

/** The scheduler of the program. */
export const scheduler = (self: World.World): Scheduler.Scheduler => {
  const base = new Scheduler.MixedScheduler("async", (task) => World.schedule(self, task))
  const live = Context.get(self.outside, Scheduler.Scheduler)
  return {
    executionMode: "async",
    shouldYield: (fiber) => {
      if (self.inside || self.phase === "over" || World.isOutside(fiber)) return base.shouldYield(fiber)
      return true
    },
    // A live call may run with services of the program around it.
    makeDispatcher: () => (World.isOutside(Fiber.getCurrent()) ? live : base).makeDispatcher()
  }
}

/** The clock of the program: it stands still until the next input. */
export const clock = (self: World.World): Clock.Clock => {
  const millis = () =>
    self.phase === "over" ? self.clock.currentTimeMillisUnsafe() : Math.floor(self.startedAt + self.now)
  const since = () => BigInt(Math.round(self.now * 1000)) * 1000n
  const nanos = () =>
    self.phase === "over" ? self.clock.currentTimeNanosUnsafe() : BigInt(self.startedAt) * 1_000_000n + since()
  const monotonic = () => self.phase === "over" ? self.clock.monotonicTimeNanosUnsafe() : since()
  return {
    currentTimeMillisUnsafe: millis,
    currentTimeMillis: Effect.sync(millis),
    currentTimeNanosUnsafe: nanos,
    currentTimeNanos: Effect.sync(nanos),
    monotonicTimeNanosUnsafe: monotonic,
    monotonicTimeNanos: Effect.sync(monotonic),
    sleep: (duration) =>
      Effect.withFiber((fiber) =>
        World.isOutside(fiber) || self.phase === "over" ? self.clock.sleep(duration) : sleep(self, duration)
      )
  }
}

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const sleep = (self: World.World, duration: Duration.Duration): Effect.Effect<void> => {
  const millis = Duration.toMillis(duration)
  if (millis <= 0) return Effect.yieldNow
  if (!Number.isFinite(millis)) return Effect.never
  return Effect.callback<void>((resume) => {
    const key = `timer ${++self.timers}`
    const until = self.now + millis
    const wake = () => {
      self.waiting.delete(key)
      resume(Effect.void)
    }
    let timer: Fiber.Fiber<void> | undefined
    const start = () => {
      timer = World.fork(self, self.clock.sleep(Duration.millis(until - self.now)), Context.empty())
      timer.addObserver((exit) => Exit.isSuccess(exit) ? World.arrive(self, key, () => null, wake) : undefined)
    }
    if (self.script === undefined) start()
    else self.waiting.set(key, { deliver: wake, goLive: start, stop: start })
    return Effect.sync(() => {
      timer?.interruptUnsafe()
      World.forget(self, key)
    })
  })
}
