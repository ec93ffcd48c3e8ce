import { assert, describe, it } from "@effect/vitest"
import { Cause, Clock, Effect, Exit, Fiber, Random, Schedule } from "effect"
import { TestClock } from "effect/testing"
import * as Actor from "../src/Actor.ts"
import * as ActorSystem from "../src/ActorSystem.ts"
import * as Supervisor from "../src/Supervisor.ts"
import { TestActor } from "../src/testing/index.ts"
import {
  ask,
  begin,
  find,
  makeLog,
  outcome,
  pass,
  puppet,
  run,
  settle,
  spawn,
  turns,
  withJumpingClock
} from "./fixtures/actors.ts"
import { crash, immediately, makeWorker, Worker } from "./fixtures/workers.ts"

describe("Supervisor", () => {
  it.effect("restart: the next incarnation has fresh state, after the last one's scope has closed", () =>
    run(Effect.gen(function*() {
      const log: Array<string> = []
      const ref = yield* Actor.spawn(makeWorker("w", log, immediately))
      yield* ref.ask("Add")
      yield* crash(ref)
      assert.strictEqual(yield* ref.ask("Add"), 1)
      assert.deepStrictEqual(log, ["start w", "end w", "start w"])
    })))

  it.effect("restart: queued messages survive, the one being handled does not", () =>
    run(Effect.gen(function*() {
      const ref = yield* Actor.spawn(makeWorker("w", [], Supervisor.restart(Schedule.spaced("1 second"))))
      yield* ref.pause
      const dying = yield* begin(outcome(ref.ask("Crash", { why: "boom" })))
      const queued = yield* begin(ref.ask("Add"))
      yield* ref.resume
      yield* turns
      assert.deepStrictEqual(dying.pollUnsafe(), Exit.succeed("Crashed"))
      assert.isUndefined(queued.pollUnsafe())
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Fiber.join(queued), 1)
    })))

  it.effect("restart: stops with the cause when the schedule has ended", () =>
    run(Effect.gen(function*() {
      const ref = yield* Actor.spawn(makeWorker("w", [], Supervisor.restart(Schedule.recurs(2))))
      for (let i = 0; i < 2; i++) yield* crash(ref)
      yield* turns
      assert.strictEqual((yield* TestActor.inspect(ref)).state, "Running")
      yield* crash(ref, "the last")
      const { reason } = yield* ref.awaitStopped
      assert.isTrue(reason._tag === "Crashed" && Cause.squash(reason.cause) === "the last")
    })))

  it.effect("restart: each next incarnation waits for its delay of the schedule", () =>
    run(Effect.gen(function*() {
      const ref = yield* Actor.spawn(makeWorker("w", [], Supervisor.restart(Schedule.spaced("1 second"))))
      for (let i = 0; i < 5; i++) {
        yield* crash(ref)
        yield* pass("999 millis")
        assert.strictEqual((yield* TestActor.inspect(ref)).state, "Restarting")
        yield* pass("1 millis")
        assert.deepStrictEqual(yield* settle(ref.ask("Add")), Exit.succeed(1))
      }
    })))

  it.effect("restart: the schedule starts afresh after a healthy window, and not before", () =>
    run(Effect.gen(function*() {
      const policy = Supervisor.restart(Schedule.recurs(1), { window: "1 minute" })
      const ref = yield* Actor.spawn(makeWorker("w", [], policy))
      for (let i = 0; i < 3; i++) {
        yield* crash(ref)
        yield* TestClock.adjust("1 minute")
        assert.strictEqual((yield* TestActor.inspect(ref)).state, "Running")
      }
      yield* crash(ref)
      yield* TestClock.adjust("59 seconds")
      yield* crash(ref)
      assert.strictEqual((yield* ref.awaitStopped).reason._tag, "Crashed")
    })))

  it.effect("restart: a setup that fails is one more crash", () =>
    run(Effect.gen(function*() {
      let failures = 0
      const start = Effect.suspend(() => failures-- > 0 ? Effect.fail("not yet") : Effect.void)
      const ref = yield* Actor.spawn(makeWorker("w", [], Supervisor.restart(Schedule.recurs(5)), start))
      failures = 2
      yield* crash(ref)
      assert.strictEqual(yield* ref.ask("Add"), 1)
      failures = 9
      yield* crash(ref)
      const { reason } = yield* ref.awaitStopped
      assert.isTrue(reason._tag === "Crashed" && Cause.squash(reason.cause) === "not yet")
    })))

  it.effect("restart: stops the children, which setup starts again", () =>
    run(Effect.gen(function*() {
      const log: Array<string> = []
      const parent = Worker.behavior(
        Effect.gen(function*() {
          const child = yield* Actor.spawn(makeWorker("child", log), { name: "child" })
          return { Add: () => Effect.orDie(child.ask("Add")), Crash: ({ why }) => Effect.die(why) }
        }),
        { supervisor: immediately }
      )
      const ref = yield* Actor.spawn(parent)
      yield* ref.ask("Add")
      yield* crash(ref)
      assert.strictEqual(yield* ref.ask("Add"), 1)
      assert.deepStrictEqual(log, ["start child", "end child", "start child"])
    })))

  it.effect("resume keeps the state", () =>
    run(Effect.gen(function*() {
      const ref = yield* Actor.spawn(makeWorker("w", [], Supervisor.resume))
      yield* ref.ask("Add")
      yield* crash(ref)
      assert.strictEqual(yield* ref.ask("Add"), 2)
    })))

  it.effect("stop ends the actor with the cause", () =>
    run(Effect.gen(function*() {
      const ref = yield* Actor.spawn(makeWorker("w", [], Supervisor.stop), { name: "w" })
      yield* crash(ref)
      const { path, protocol, reason } = yield* ref.awaitStopped
      assert.deepStrictEqual([path, protocol, reason._tag], ["/user/w", "Worker", "Crashed"])
    })))

  it.effect("decide chooses by the cause", () =>
    run(Effect.gen(function*() {
      const policy = Supervisor.decide((cause) =>
        Cause.squash(cause) === "harmless" ? Supervisor.resume : Supervisor.stop
      )
      const ref = yield* Actor.spawn(makeWorker("w", [], policy))
      yield* ref.ask("Add")
      yield* crash(ref, "harmless")
      assert.strictEqual(yield* ref.ask("Add"), 2)
      yield* crash(ref, "serious")
      assert.strictEqual((yield* ref.awaitStopped).reason._tag, "Crashed")
    })))

  it.effect("escalate crashes the parent, whose supervisor decides", () =>
    run(Effect.gen(function*() {
      const log: Array<string> = []
      const parent = Worker.behavior(
        Effect.gen(function*() {
          log.push("start parent")
          const child = yield* Actor.spawn(makeWorker("child", log, Supervisor.escalate))
          return {
            Add: () => Effect.orDie(child.ask("Add")),
            Crash: ({ why }) => Effect.orDie(child.tell("Crash", { why }))
          }
        }),
        { supervisor: immediately }
      )
      const ref = yield* Actor.spawn(parent)
      yield* ref.ask("Add")
      yield* crash(ref)
      yield* turns
      assert.strictEqual(yield* ref.ask("Add"), 1)
      assert.deepStrictEqual(log, ["start parent", "start child", "end child", "start parent", "start child"])
    })))

  it.effect("escalation during the parent's setup crashes the parent when that has ended", () =>
    run(Effect.gen(function*() {
      let incarnations = 0
      const ref = yield* Actor.spawn(Worker.behavior(
        Effect.gen(function*() {
          const child = yield* Actor.spawn(makeWorker("child", [], Supervisor.escalate))
          if (incarnations++ === 0) yield* crash(child)
          yield* turns
          return { Add: () => Effect.orDie(child.ask("Add")), Crash: ({ why }) => Effect.die(why) }
        }),
        { supervisor: immediately }
      ))
      assert.strictEqual(yield* ref.ask("Add"), 1)
      assert.strictEqual(incarnations, 2)
    })))

  it.effect("escalation beyond the root stops the system with the cause", () =>
    run(Effect.gen(function*() {
      const log: Array<string> = []
      const other = yield* Actor.spawn(makeWorker("other", log))
      const ref = yield* Actor.spawn(makeWorker("w", log, Supervisor.escalate))
      yield* crash(ref, "the end")
      const reason = yield* ActorSystem.awaitStopped
      assert.isTrue(reason._tag === "Crashed" && Cause.squash(reason.cause) === "the end")
      assert.strictEqual((yield* other.awaitStopped).reason._tag, "Stopped")
      assert.strictEqual(
        (yield* Effect.flip(Actor.spawn(makeWorker("late", log)))).toString().includes("stopping"),
        true
      )
    })))

  it.effect("intensity ends after too many restarts within its span, however long the actor lives", () =>
    run(Effect.gen(function*() {
      const policy = Supervisor.restart(Supervisor.intensity({ restarts: 2, within: "10 seconds" }))
      const ref = yield* Actor.spawn(makeWorker("w", [], policy))
      for (let i = 0; i < 5; i++) {
        yield* crash(ref)
        yield* TestClock.adjust("6 seconds")
      }
      assert.strictEqual((yield* TestActor.inspect(ref)).state, "Running")
      yield* crash(ref)
      yield* crash(ref)
      assert.strictEqual((yield* ref.awaitStopped).reason._tag, "Crashed")
    })))

  it.effect("the default restarts five times, after 50 ms to 1 s, jittered", () =>
    run(Effect.gen(function*() {
      const ref = yield* Actor.spawn(makeWorker("w", []))
      yield* crash(ref)
      yield* TestClock.adjust("39 millis")
      assert.strictEqual((yield* TestActor.inspect(ref)).state, "Restarting")
      yield* TestClock.adjust("21 millis")
      assert.strictEqual((yield* TestActor.inspect(ref)).state, "Running")
      for (let i = 0; i < 4; i++) {
        yield* crash(ref)
        yield* TestClock.adjust("1200 millis")
      }
      assert.strictEqual(yield* ref.ask("Add"), 1)
      yield* crash(ref)
      assert.strictEqual((yield* ref.awaitStopped).reason._tag, "Crashed")
    })).pipe(Random.withSeed("supervisor")))

  it.effect("two actors that share a policy do not share its counters", () =>
    run(Effect.gen(function*() {
      const policy = Supervisor.restart(Schedule.recurs(1))
      const a = yield* Actor.spawn(makeWorker("a", [], policy))
      const b = yield* Actor.spawn(makeWorker("b", [], policy))
      yield* crash(a)
      yield* crash(b)
      assert.strictEqual((yield* a.ask("Add")) + (yield* b.ask("Add")), 2)
    })))

  it.effect("a stop during the backoff ends the actor at once and answers what waits", () =>
    run(Effect.gen(function*() {
      const ref = yield* Actor.spawn(makeWorker("w", [], Supervisor.restart(Schedule.spaced("1 hour"))))
      yield* crash(ref)
      const waiting = yield* Effect.forkChild(Effect.flip(ref.ask("Add")), { startImmediately: true })
      yield* ref.stop
      assert.strictEqual((yield* Fiber.join(waiting)).reason._tag, "Stopped")
    })))

  it.effect("a stop from within the setup of a restart ends that setup and the actor", () =>
    run(Effect.gen(function*() {
      let incarnations = 0
      const log: Array<string> = []
      const ref = yield* Actor.spawn(Worker.behavior(
        Effect.gen(function*() {
          if (incarnations++ > 0) {
            const self = yield* Actor.self(Worker)
            yield* Effect.onInterrupt(
              Effect.andThen(self.stop, Effect.never),
              () => Effect.andThen(Effect.yieldNow, Effect.sync(() => log.push("setup over")))
            )
          }
          return { Add: () => Effect.succeed(1), Crash: ({ why }) => Effect.die(why) }
        }),
        { supervisor: immediately }
      ))
      yield* crash(ref)
      assert.isDefined(yield* settle(ref.awaitStopped))
      assert.deepStrictEqual(log, ["setup over"])
    })))
})

const stateOf = (ref: Actor.LocalRefOf<typeof Worker>) => Effect.map(TestActor.inspect(ref), ({ state }) => state)

describe("A setup that fails at a restart", () => {
  /** A worker whose setups fail once they shall; after too many the storm is over in any case. */
  const makeFragile = (supervisor: Supervisor.Policy) => {
    const at: Array<number> = []
    const world = { fails: false, at }
    const start = Effect.gen(function*() {
      if (!world.fails) return
      at.push(yield* Clock.currentTimeMillis)
      return yield* at.length > 100 ? Effect.never : Effect.fail("no disk")
    })
    return { world, behavior: makeWorker("w", [], supervisor, start) }
  }

  for (const healthy of ["0 seconds", "10 minutes"] as const) {
    it.effect(`spends the intensity, after ${healthy} of health`, () =>
      run(Effect.gen(function*() {
        yield* TestClock.setTime(Date.UTC(2030, 0))
        const policy = Supervisor.restart(Supervisor.intensity({ restarts: 3, within: "1 minute" }))
        const { behavior, world } = makeFragile(policy)
        const ref = yield* Actor.spawn(behavior)
        yield* pass(healthy)
        world.fails = true
        yield* crash(ref)
        yield* turns
        assert.strictEqual(world.at.length, 3)
        assert.deepStrictEqual(yield* settle(ref.awaitStopped).pipe(Effect.map(Boolean)), true)
      })))
  }

  it.effect("spends any schedule: it starts afresh only when a setup has succeeded", () =>
    run(Effect.gen(function*() {
      const { behavior, world } = makeFragile(Supervisor.restart(Schedule.recurs(2), { window: "1 second" }))
      const ref = yield* Actor.spawn(behavior)
      yield* pass("1 hour")
      world.fails = true
      yield* crash(ref)
      yield* turns
      assert.strictEqual(world.at.length, 2)
      assert.isDefined(yield* settle(ref.awaitStopped))
    })))

  it.effect("backs off, however long one attempt takes", () =>
    run(Effect.gen(function*() {
      const policy = Supervisor.restart(Schedule.exponential("1 minute"), { window: "30 seconds" })
      const { behavior, world } = makeFragile(policy)
      const ref = yield* Actor.spawn(behavior)
      yield* pass("1 hour")
      const begun = yield* Clock.currentTimeMillis
      world.fails = true
      yield* crash(ref)
      yield* pass("15 minutes")
      assert.deepStrictEqual(world.at.map((at) => (at - begun) / 60_000), [1, 3, 7, 15])
    })))

  it.effect("health is counted from the setup's end, not from its beginning", () =>
    run(Effect.gen(function*() {
      let setups = 0
      const start = Effect.suspend(() => setups++ === 0 ? Effect.void : Effect.sleep("2 minutes"))
      const policy = Supervisor.restart(Schedule.recurs(1), { window: "1 minute" })
      const ref = yield* Actor.spawn(makeWorker("w", [], policy, start))
      yield* crash(ref)
      yield* pass("2 minutes")
      assert.strictEqual(yield* stateOf(ref), "Running")
      yield* crash(ref)
      assert.isDefined(yield* settle(ref.awaitStopped))
    })))
})

describe("intensity", () => {
  it.effect("counts over its own span, which a healthy window does not cut short", () =>
    run(Effect.gen(function*() {
      const policy = Supervisor.restart(Supervisor.intensity({ restarts: 5, within: "1 hour" }))
      const ref = yield* Actor.spawn(makeWorker("w", [], policy))
      for (let i = 0; i < 5; i++) {
        yield* crash(ref)
        yield* pass("10 minutes")
        assert.strictEqual(yield* stateOf(ref), "Running")
      }
      yield* crash(ref)
      assert.isDefined(yield* settle(ref.awaitStopped))
    })))

  it.effect("forgets what is longer ago than its span", () =>
    run(Effect.gen(function*() {
      const policy = Supervisor.restart(Supervisor.intensity({ restarts: 5, within: "1 hour" }))
      const ref = yield* Actor.spawn(makeWorker("w", [], policy))
      for (let i = 0; i < 20; i++) {
        yield* crash(ref)
        yield* pass("13 minutes")
        assert.strictEqual(yield* stateOf(ref), "Running")
      }
    })))

  it.effect("counts on within Schedule.max, while health resets the backoff beside it", () =>
    run(Effect.gen(function*() {
      const policy = Supervisor.restart(Schedule.max([
        Supervisor.intensity({ restarts: 3, within: "1 hour" }),
        Schedule.exponential("1 second")
      ]))
      const ref = yield* Actor.spawn(makeWorker("w", [], policy))
      for (let i = 0; i < 3; i++) {
        yield* crash(ref)
        yield* pass("999 millis")
        assert.strictEqual(yield* stateOf(ref), "Restarting")
        yield* pass("1 millis")
        assert.strictEqual(yield* stateOf(ref), "Running")
        yield* pass("2 minutes")
      }
      yield* crash(ref)
      assert.isDefined(yield* settle(ref.awaitStopped))
    })))

  it.effect("of one policy counts for each actor by itself", () =>
    run(Effect.gen(function*() {
      const policy = Supervisor.restart(Supervisor.intensity({ restarts: 1, within: "1 hour" }))
      const [a, b] = [yield* Actor.spawn(makeWorker("a", [], policy)), yield* Actor.spawn(makeWorker("b", [], policy))]
      yield* crash(a)
      yield* crash(b)
      assert.strictEqual((yield* a.ask("Add")) + (yield* b.ask("Add")), 2)
      yield* crash(a)
      assert.isDefined(yield* settle(a.awaitStopped))
      assert.strictEqual(yield* b.ask("Add"), 2)
    })))

  it.effect("two of one schedule both hold: few in a short time, more in a long one", () =>
    run(Effect.gen(function*() {
      const policy = Supervisor.restart(Schedule.max([
        Supervisor.intensity({ restarts: 2, within: "1 minute" }),
        Supervisor.intensity({ restarts: 4, within: "1 hour" })
      ]))
      const slow = yield* Actor.spawn(makeWorker("slow", [], policy))
      for (let i = 0; i < 4; i++) {
        yield* crash(slow)
        yield* pass("5 minutes")
      }
      assert.strictEqual(yield* stateOf(slow), "Running")
      yield* crash(slow)
      assert.isDefined(yield* settle(slow.awaitStopped))
      const fast = yield* Actor.spawn(makeWorker("fast", [], policy))
      for (let i = 0; i < 3; i++) yield* crash(fast)
      assert.isDefined(yield* settle(fast.awaitStopped))
    })))

  it.effect("counts crashes, and no restart that an operator asked for", () =>
    run(Effect.gen(function*() {
      const policy = Supervisor.restart(Supervisor.intensity({ restarts: 1, within: "1 hour" }))
      const ref = yield* Actor.spawn(makeWorker("w", [], policy))
      for (let i = 0; i < 3; i++) yield* ref.restart
      yield* crash(ref)
      assert.deepStrictEqual(yield* settle(ref.ask("Add")), Exit.succeed(1))
    })))
})

describe("A wall clock that jumps", () => {
  for (const by of ["1 hour", "-1 hour"] as const) {
    it.effect(`by ${by} neither trips an intensity nor makes it forget`, () =>
      withJumpingClock((jump) =>
        run(Effect.gen(function*() {
          const policy = Supervisor.restart(Supervisor.intensity({ restarts: 2, within: "1 minute" }))
          const [a, b] = [
            yield* Actor.spawn(makeWorker("a", [], policy)),
            yield* Actor.spawn(makeWorker("b", [], policy))
          ]
          for (const ref of [a, a, b, b]) yield* crash(ref)
          yield* jump(by)
          yield* crash(a)
          assert.isDefined(yield* settle(a.awaitStopped))
          yield* pass("2 minutes")
          yield* crash(b)
          assert.deepStrictEqual(yield* settle(b.ask("Add")), Exit.succeed(1))
        }))
      ))

    it.effect(`by ${by} is no health, and takes none away`, () =>
      withJumpingClock((jump) =>
        run(Effect.gen(function*() {
          const policy = Supervisor.restart(Schedule.recurs(1), { window: "1 minute" })
          const [a, b] = [
            yield* Actor.spawn(makeWorker("a", [], policy)),
            yield* Actor.spawn(makeWorker("b", [], policy))
          ]
          for (const ref of [a, b]) yield* crash(ref)
          yield* turns
          yield* jump(by)
          yield* crash(a)
          assert.isDefined(yield* settle(a.awaitStopped))
          yield* pass("1 minute")
          yield* crash(b)
          assert.deepStrictEqual(yield* settle(b.ask("Add")), Exit.succeed(1))
        }))
      ))
  }
})

describe("What a supervisor tells", () => {
  it.effect("decide is told of the actor that crashed: itself, or the child that escalated", () =>
    run(Effect.gen(function*() {
      const told: Array<unknown> = []
      const supervisor = Supervisor.decide((cause, { path, protocol }) => {
        told.push([Cause.squash(cause), path, protocol])
        return immediately
      })
      const setup = Effect.gen(function*() {
        yield* Actor.spawn(makeWorker("w", [], Supervisor.escalate), { name: "worker" })
        yield* spawn("puppet", { supervisor: Supervisor.escalate })
      })
      const ref = yield* spawn("p", { setup, supervisor })
      yield* outcome(ask(ref, Effect.die("own")))
      yield* turns
      yield* crash(yield* ActorSystem.lookup(Worker, "/user/p/worker"), "child's")
      yield* turns
      yield* TestActor.crash(yield* find("/user/p/puppet"), "other child's")
      yield* turns
      assert.deepStrictEqual(told, [
        ["own", "/user/p", "Puppet"],
        ["child's", "/user/p/worker", "Worker"],
        ["other child's", "/user/p/puppet", "Puppet"]
      ])
    })))

  it.effect("decide may spare a parent what one of its children did", () =>
    run(Effect.gen(function*() {
      const supervisor = Supervisor.decide((_, { path }) =>
        path.endsWith("/rash") ? Supervisor.resume : Supervisor.stop
      )
      const ref = yield* spawn("p", { setup: spawn("rash", { supervisor: Supervisor.escalate }), supervisor })
      yield* TestActor.crash(yield* find("/user/p/rash"))
      yield* turns
      assert.deepStrictEqual(yield* settle(ref.ask("Ping")), Exit.succeed("pong"))
    })))

  it.effect("an actor that is given up after asked crashes is logged, once, with its path and the cause", () => {
    const { layer, logged } = makeLog()
    const policies = [Supervisor.stop, Supervisor.restart(Schedule.recurs(1))]
    return run(Effect.gen(function*() {
      for (const [i, supervisor] of policies.entries()) {
        const ref = yield* Actor.spawn(makeWorker("w", [], supervisor), { name: `w${i}` })
        for (let n = 0; n < i; n++) yield* crash(ref, "mended")
        assert.deepStrictEqual(logged, [])
        yield* crash(ref, "the last")
        assert.isDefined(yield* settle(ref.awaitStopped))
        const [line, ...more] = logged.splice(0)
        assert.deepStrictEqual(more, [])
        assert.match(line!, /^Error/)
        assert.include(line!, `/user/w${i}`)
        assert.include(line!, "the last")
      }
    })).pipe(Effect.provide(layer))
  })

  it.effect("a policy that gives no directive stops the actor, and nothing else", () =>
    run(Effect.gen(function*() {
      const broken = Supervisor.decide(() => undefined as unknown as Supervisor.Directive)
      const ref = yield* Actor.spawn(puppet({ supervisor: broken }))
      const other = yield* spawn("other")
      assert.strictEqual(yield* outcome(ask(ref, Effect.die("boom"))), "Crashed")
      assert.isDefined(yield* settle(ref.awaitStopped))
      assert.deepStrictEqual(yield* settle(other.ask("Ping")), Exit.succeed("pong"))
    })))
})
