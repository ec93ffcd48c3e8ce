/** Promises of actors that a test clock could keep by accident. */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Layer, Logger, Schedule } from "effect"
import { Rpc } from "effect/rpc"
import * as Actor from "../../src/Actor.ts"
import * as ActorSystem from "../../src/ActorSystem.ts"
import * as Supervisor from "../../src/Supervisor.ts"
import { TestActor } from "../../src/testing/index.ts"

const Job = Actor.make("Job", [Rpc.make("Do")])

/** An actor whose setups fail after the first one; after too many of them the storm is over in any case. */
const makeFragile = (supervisor: Supervisor.Policy) => {
  const world = { setups: 0 }
  const setup = Effect.suspend(() => {
    const n = world.setups++
    if (n === 0) return Effect.succeed({ Do: () => Effect.void })
    return n > 1000 ? Effect.never : Effect.fail("no disk")
  })
  return { world, behavior: Job.behavior(setup, { supervisor }) }
}

const inSystem = Effect.provide(
  Layer.provideMerge(ActorSystem.layer({ name: "real", shutdownTimeout: 0 }), Logger.layer([]))
)

describe("Actors under the real clock", () => {
  it.live("an intensity stops the storm of a setup that fails at each restart", () =>
    Effect.gen(function*() {
      const policy = Supervisor.restart(Supervisor.intensity({ restarts: 3, within: "1 minute" }))
      const { behavior, world } = makeFragile(policy)
      const ref = yield* Actor.spawn(behavior)
      yield* TestActor.crash(ref)
      const ended = yield* Effect.timeout(ref.awaitStopped, "300 millis")
      assert.strictEqual(world.setups, 4)
      assert.isTrue(ended.reason._tag === "Crashed" && Cause.squash(ended.reason.cause) === "no disk")
    }).pipe(inSystem))

  it.live("the default policy backs off, and does not spin", () =>
    Effect.gen(function*() {
      const { behavior, world } = makeFragile(Supervisor.defaultPolicy)
      const ref = yield* Actor.spawn(behavior)
      yield* TestActor.crash(ref)
      yield* Effect.sleep("250 millis")
      assert.isAtLeast(world.setups, 2)
      assert.isAtMost(world.setups, 5)
    }).pipe(inSystem))

  it.live("a backoff counts up from the first crash of a process that has run for longer than the window", () =>
    Effect.gen(function*() {
      const policy = Supervisor.restart(Schedule.exponential("40 millis"), { window: "1 millis" })
      const { behavior, world } = makeFragile(policy)
      const ref = yield* Actor.spawn(behavior)
      yield* Effect.sleep("20 millis")
      yield* TestActor.crash(ref)
      // 40, 120 and 280 ms after the crash; each one a healthy window after the last.
      yield* Effect.sleep("240 millis")
      assert.isAtMost(world.setups, 3)
    }).pipe(inSystem))

  it.live("an idle actor stops, and one that is stopped while it hangs is interrupted in time", () =>
    Effect.gen(function*() {
      const idle = yield* Actor.spawn(
        Job.behavior(Effect.succeed({ Do: () => Effect.void }), { idleTimeout: "30 millis" })
      )
      const hanging = yield* Actor.spawn(
        Job.behavior(Effect.succeed({ Do: () => Effect.never }), { stopTimeout: "30 millis" })
      )
      yield* hanging.tell("Do")
      yield* Effect.sleep("5 millis")
      yield* Effect.timeout(hanging.stop, "2 seconds")
      const { reason } = yield* Effect.timeout(idle.awaitStopped, "2 seconds")
      assert.strictEqual(reason._tag, "Idle")
    }).pipe(inSystem))
})
