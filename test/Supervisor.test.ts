import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Fiber, Random, Ref, Schedule, Schema } from "effect"
import { Rpc } from "effect/rpc"
import { TestClock } from "effect/testing"
import * as Actor from "../src/Actor.ts"
import * as ActorSystem from "../src/ActorSystem.ts"
import * as Supervisor from "../src/Supervisor.ts"
import { TestActor } from "../src/testing/index.ts"

const run = <A, E>(effect: Effect.Effect<A, E, ActorSystem.ActorSystem>) =>
  Effect.provide(effect, ActorSystem.layer({ name: "test" }))

const Worker = Actor.make("Worker", [
  Rpc.make("Add", { success: Schema.Finite }),
  Rpc.make("Crash", { payload: { why: Schema.String } })
])

/** A worker that writes down its incarnations' lives; `start` may fail a setup. */
const makeWorker = (
  name: string,
  log: Array<string>,
  supervisor?: Supervisor.Policy,
  start: Effect.Effect<void, string> = Effect.void
) =>
  Worker.behavior(
    Effect.gen(function*() {
      yield* start
      yield* Effect.acquireRelease(
        Effect.sync(() => log.push(`start ${name}`)),
        () => Effect.andThen(Effect.yieldNow, Effect.sync(() => log.push(`end ${name}`)))
      )
      const count = yield* Ref.make(0)
      return {
        Add: () => Ref.updateAndGet(count, (n) => n + 1),
        Crash: ({ why }) => Effect.die(why)
      }
    }),
    { supervisor }
  )

const immediately = Supervisor.restart(Schedule.forever)

const turn = Effect.gen(function*() {
  for (let i = 0; i < 6; i++) yield* Effect.yieldNow
})

const crash = (ref: Actor.RefOf<typeof Worker>, why = "boom") => Effect.ignore(ref.ask("Crash", { why }))

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
      const [dying, queued] = yield* Effect.scoped(Effect.gen(function*() {
        yield* TestActor.pause(ref)
        const dying = yield* Effect.forkDetach(Effect.flip(ref.ask("Crash", { why: "boom" })), {
          startImmediately: true
        })
        return [dying, yield* Effect.forkDetach(ref.ask("Add"), { startImmediately: true })] as const
      }))
      assert.strictEqual((yield* Fiber.join(dying)).reason._tag, "Crashed")
      assert.isUndefined(queued.pollUnsafe())
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Fiber.join(queued), 1)
    })))

  it.effect("restart: stops with the cause when the schedule has ended", () =>
    run(Effect.gen(function*() {
      const ref = yield* Actor.spawn(makeWorker("w", [], Supervisor.restart(Schedule.recurs(2))))
      for (let i = 0; i < 2; i++) yield* crash(ref)
      yield* turn
      assert.strictEqual((yield* TestActor.inspect(ref)).state, "Running")
      yield* crash(ref, "the last")
      const { reason } = yield* ref.awaitStopped
      assert.isTrue(reason._tag === "Crashed" && Cause.squash(reason.cause) === "the last")
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
      yield* turn
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
          yield* turn
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
            yield* self.stop
            yield* Effect.onInterrupt(
              Effect.never,
              () => Effect.andThen(Effect.yieldNow, Effect.sync(() => log.push("setup over")))
            )
          }
          return { Add: () => Effect.succeed(1), Crash: ({ why }) => Effect.die(why) }
        }),
        { supervisor: immediately }
      ))
      yield* crash(ref)
      assert.strictEqual((yield* ref.awaitStopped).reason._tag, "Stopped")
      assert.deepStrictEqual(log, ["setup over"])
    })))

  describe("group", () => {
    const start = (strategy: Supervisor.Strategy, options?: {
      readonly restart?: Supervisor.Restart
      readonly kinds?: ReadonlyArray<"permanent" | "transient" | "temporary">
    }) =>
      Effect.gen(function*() {
        const log: Array<string> = []
        const children = ["a", "b", "c"].map((name, i) =>
          Supervisor.child(makeWorker(name, log), { name, restart: options?.kinds?.[i] })
        )
        const group = yield* Actor.spawn(
          Supervisor.group(strategy, children, { restart: options?.restart ?? immediately }),
          { name: "group" }
        )
        const child = (name: string) => ActorSystem.lookup(Worker, `/user/group/${name}`)
        const clear = Effect.sync(() => void log.splice(0))
        return { log, group, child, clear }
      })

    it.effect("starts in order, stops in reverse", () =>
      run(Effect.gen(function*() {
        const { group, log } = yield* start("oneForOne")
        yield* group.stop
        assert.deepStrictEqual(log, ["start a", "start b", "start c", "end c", "end b", "end a"])
      })))

    it.effect("oneForOne restarts the child that crashed, and its references stay", () =>
      run(Effect.gen(function*() {
        const { child, clear, log } = yield* start("oneForOne")
        const b = yield* child("b")
        yield* b.ask("Add")
        yield* clear
        yield* crash(b)
        assert.strictEqual(yield* b.ask("Add"), 1)
        assert.deepStrictEqual(log, ["end b", "start b"])
      })))

    it.effect("oneForAll restarts all: ends them in reverse, starts them in order", () =>
      run(Effect.gen(function*() {
        const { child, clear, log } = yield* start("oneForAll")
        const [a, b] = [yield* child("a"), yield* child("b")]
        yield* a.ask("Add")
        yield* clear
        yield* crash(b)
        yield* turn
        assert.strictEqual(yield* a.ask("Add"), 1)
        assert.deepStrictEqual(log, ["end c", "end b", "end a", "start a", "start b", "start c"])
      })))

    it.effect("restForOne restarts the child and those started after it", () =>
      run(Effect.gen(function*() {
        const { child, clear, log } = yield* start("restForOne")
        const b = yield* child("b")
        yield* clear
        yield* crash(b)
        yield* b.ask("Add")
        yield* turn
        assert.deepStrictEqual(log, ["end c", "end b", "start b", "start c"])
      })))

    it.effect("a permanent child that stops is started anew under its name, a transient one only after a crash", () =>
      run(Effect.gen(function*() {
        const { child, clear, log } = yield* start("oneForOne", { kinds: ["permanent", "transient", "temporary"] })
        const [a, b, c] = [yield* child("a"), yield* child("b"), yield* child("c")]
        yield* clear
        yield* a.stop
        yield* turn
        assert.deepStrictEqual(log, ["end a", "start a"])
        assert.strictEqual(yield* (yield* child("a")).ask("Add"), 1)
        yield* clear
        yield* crash(b)
        assert.strictEqual(yield* b.ask("Add"), 1)
        yield* b.stop
        yield* crash(c)
        yield* turn
        assert.deepStrictEqual(log, ["end b", "start b", "end b", "end c"])
        assert.strictEqual((yield* Effect.flip(child("b"))).reason._tag, "NotFound")
        assert.strictEqual((yield* c.awaitStopped).reason._tag, "Crashed")
      })))

    it.effect("oneForAll ends a temporary child for good, and leaves a transient one that has ended alone", () =>
      run(Effect.gen(function*() {
        const { child, clear, log } = yield* start("oneForAll", { kinds: ["permanent", "transient", "temporary"] })
        const [a, c] = [yield* child("a"), yield* child("c")]
        yield* (yield* child("b")).stop
        yield* clear
        yield* crash(a)
        yield* turn
        assert.deepStrictEqual(log, ["end c", "end a", "start a"])
        assert.strictEqual((yield* c.awaitStopped).reason._tag, "Stopped")
      })))

    it.effect("two children that crash at once are mended once", () =>
      run(Effect.gen(function*() {
        const { child, clear, log } = yield* start("oneForAll")
        const [a, b] = [yield* child("a"), yield* child("b")]
        yield* clear
        yield* TestActor.crash(a)
        yield* TestActor.crash(b)
        yield* turn
        assert.deepStrictEqual(log, ["end c", "end b", "end a", "start a", "start b", "start c"])
      })))

    it.effect("a child whose setup fails at a restart is the next one to mend", () =>
      run(Effect.gen(function*() {
        const log: Array<string> = []
        let starts = 0
        const fails = Effect.suspend(() => ++starts === 2 ? Effect.fail("no disk") : Effect.void)
        const children = [
          Supervisor.child(makeWorker("a", log), { name: "a" }),
          Supervisor.child(makeWorker("b", log, undefined, fails), { name: "b" }),
          Supervisor.child(makeWorker("c", log), { name: "c" })
        ]
        yield* Actor.spawn(Supervisor.group("restForOne", children, { restart: immediately }), { name: "group" })
        const a = yield* ActorSystem.lookup(Worker, "/user/group/a")
        yield* crash(a)
        yield* turn
        assert.deepStrictEqual(log.slice(3), ["end c", "end b", "end a", "start a", "start b", "start c"])
      })))

    it.effect("its schedule starts afresh after a healthy window", () =>
      run(Effect.gen(function*() {
        const { child, group } = yield* start("oneForOne", {
          restart: Supervisor.restart(Schedule.recurs(1), { window: "1 minute" })
        })
        const a = yield* child("a")
        yield* TestClock.adjust("2 minutes")
        for (let i = 0; i < 3; i++) {
          yield* crash(a)
          assert.strictEqual(yield* a.ask("Add"), 1)
          yield* TestClock.adjust("1 minute")
        }
        yield* crash(a)
        yield* a.ask("Add")
        yield* TestClock.adjust("59 seconds")
        yield* crash(a)
        assert.strictEqual((yield* group.awaitStopped).reason._tag, "Crashed")
      })))

    it.effect("stops with the last cause when its schedule has ended", () =>
      run(Effect.gen(function*() {
        const { child, group } = yield* start("oneForOne", { restart: Supervisor.restart(Schedule.recurs(1)) })
        const a = yield* child("a")
        yield* crash(a)
        yield* a.ask("Add")
        yield* crash(a, "again")
        const { reason } = yield* group.awaitStopped
        assert.isTrue(reason._tag === "Crashed" && Cause.squash(reason.cause) === "again")
        assert.strictEqual((yield* a.awaitStopped).reason._tag, "Stopped")
      })))

    it.effect("can be stopped while it waits to restart", () =>
      run(Effect.gen(function*() {
        const { child, group, log } = yield* start("oneForAll", {
          restart: Supervisor.restart(Schedule.spaced("1 hour"))
        })
        yield* crash(yield* child("a"))
        yield* turn
        yield* group.stop
        assert.deepStrictEqual(log.slice(3), ["end c", "end b", "end a"])
      })))

    it.effect("names the child that cannot start, and the second of two with one name", () =>
      run(Effect.gen(function*() {
        const log: Array<string> = []
        const good = Supervisor.child(makeWorker("good", log), { name: "good" })
        const twice = yield* Effect.flip(Actor.spawn(Supervisor.group("oneForOne", [good, good]), { name: "g" }))
        assert.strictEqual(String(twice).includes("/user/g/good: the name is taken"), true)
        assert.deepStrictEqual(log, ["start good", "end good"])
        const bad = Supervisor.child(makeWorker("bad", log, undefined, Effect.fail("no disk")), { name: "bad" })
        assert.strictEqual(yield* Effect.flip(Actor.spawn(Supervisor.group("oneForOne", [good, bad]))), "no disk")
      })))
  })
})
