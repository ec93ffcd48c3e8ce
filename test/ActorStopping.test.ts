/** What `stop`, `drain`, `kill` and the release of a system do, and in which time. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Exit, Fiber, Latch, Schedule, Stream } from "effect"
import { Rpc } from "effect/rpc"
import * as Actor from "../src/Actor.ts"
import * as ActorSystem from "../src/ActorSystem.ts"
import * as Supervisor from "../src/Supervisor.ts"
import { TestActor } from "../src/testing/index.ts"
import {
  ask,
  begin,
  collectEvents,
  find,
  hang,
  lines,
  makeLog,
  makeSystem,
  outcome,
  outcomeOf,
  pass,
  Puppet,
  type PuppetOptions,
  run,
  self,
  settle,
  spawn,
  tell,
  turns,
  within
} from "./fixtures/actors.ts"

const immediately = Supervisor.restart(Schedule.forever)

/** Nothing but the latch ends it. */
const stuck = (latch: Latch.Latch, log: Array<string> = []) =>
  Rpc.uninterruptible(Effect.as(Effect.andThen(latch.await, Effect.sync(() => log.push("end"))), "late"))

/** How an actor has ended, `undefined` if it has not. */
const reasonOf = (ref: Actor.LocalRefOf<typeof Puppet>) =>
  Effect.map(settle(ref.awaitStopped), (exit) => exit !== undefined && Exit.isSuccess(exit) ? exit.value.reason : exit)

const abandoned = { _tag: "Abandoned", messages: ["Do"] } as const

describe("stop", () => {
  it.effect("interrupts a handler that has not ended 5 seconds later", () =>
    run(Effect.gen(function*() {
      const log: Array<string> = []
      const ref = yield* spawn("a")
      yield* tell(ref, hang(log))
      // What counts is the time since the stop, not since the message.
      yield* pass("1 minute")
      const stop = yield* begin(ref.stop)
      yield* pass("4999 millis")
      assert.isUndefined(stop.pollUnsafe())
      assert.deepStrictEqual(log, [])
      yield* pass("1 millis")
      assert.isDefined(stop.pollUnsafe())
      assert.deepStrictEqual(log, ["interrupted"])
      assert.deepStrictEqual(yield* reasonOf(ref), { _tag: "Stopped" })
    })))

  it.effect("lets a handler end that needs less than the stopTimeout, and its asker gets the answer", () =>
    run(Effect.gen(function*() {
      const ref = yield* spawn("a")
      const asker = yield* begin(ask(ref, Effect.as(Effect.sleep("4 seconds"), "done")))
      const stop = yield* begin(ref.stop)
      yield* pass("4 seconds")
      assert.deepStrictEqual(asker.pollUnsafe(), Exit.succeed("done"))
      assert.isDefined(stop.pollUnsafe())
    })))

  it.effect("answers Stopped to the asker whose handler it interrupts, and that is no crash", () =>
    run(Effect.gen(function*() {
      const ref = yield* spawn("a", { supervisor: immediately })
      const events = yield* collectEvents
      const asker = yield* begin(outcome(ask(ref, Effect.never)))
      yield* begin(ref.stop)
      yield* pass("5 seconds")
      assert.deepStrictEqual(asker.pollUnsafe(), Exit.succeed("Stopped"))
      assert.deepStrictEqual(lines(events), ["Stopped /user/a"])
    })))

  it.effect("takes its time from the behavior's stopTimeout", () =>
    run(Effect.gen(function*() {
      const ref = yield* spawn("a", { stopTimeout: "200 millis" })
      yield* tell(ref, Effect.never)
      const stop = yield* begin(ref.stop)
      yield* pass("199 millis")
      assert.isUndefined(stop.pollUnsafe())
      yield* pass("1 millis")
      assert.isDefined(stop.pollUnsafe())
    })))

  it.effect("with a stopTimeout of Infinity waits until the handler has ended by itself", () =>
    run(Effect.gen(function*() {
      const ref = yield* spawn("a", { stopTimeout: "Infinity" })
      const asker = yield* begin(ask(ref, Effect.as(Effect.sleep("1 hour"), "done")))
      const stop = yield* begin(ref.stop)
      yield* pass("59 minutes")
      assert.isUndefined(stop.pollUnsafe())
      yield* pass("1 minute")
      assert.isDefined(stop.pollUnsafe())
      assert.deepStrictEqual(asker.pollUnsafe(), Exit.succeed("done"))
    })))

  it.effect("gives an interrupted handler the same time again to clean up", () =>
    run(Effect.gen(function*() {
      const log: Array<string> = []
      const ref = yield* spawn("a")
      const cleanUp = Effect.andThen(Effect.sleep("4 seconds"), Effect.sync(() => log.push("clean")))
      yield* tell(ref, Effect.onInterrupt(Effect.never, () => cleanUp))
      const stop = yield* begin(ref.stop)
      yield* pass("8 seconds")
      assert.isUndefined(stop.pollUnsafe())
      yield* pass("1 second")
      assert.isDefined(stop.pollUnsafe())
      assert.deepStrictEqual(log, ["clean"])
      assert.deepStrictEqual(yield* reasonOf(ref), { _tag: "Stopped" })
    })))

  it.effect("interrupts a stream whose consumer has stalled, and the consumer gets Stopped", () =>
    run(Effect.gen(function*() {
      const ref = yield* spawn("a")
      const items = Stream.range(1, 1000).pipe(Stream.rechunk(1))
      const waiting = yield* Latch.make()
      const consumer = yield* begin(outcome(Stream.runForEach(ref.stream("Pour", { items }), () => waiting.await)))
      const stop = yield* begin(ref.stop)
      yield* pass("4 seconds")
      assert.isUndefined(stop.pollUnsafe())
      yield* pass("1 second")
      assert.isDefined(stop.pollUnsafe())
      yield* waiting.open
      yield* turns
      assert.deepStrictEqual(consumer.pollUnsafe(), Exit.succeed("Stopped"))
    })))

  it.effect("interrupts all runs of an actor with concurrency, forked ones too", () =>
    run(Effect.gen(function*() {
      const log: Array<string> = []
      const ref = yield* spawn("a", { concurrency: 2 })
      yield* tell(ref, hang(log, "one"))
      yield* tell(ref, hang(log, "two"))
      // Only the first two keep the third waiting, and a stop does not wait for it.
      yield* tell(ref, Rpc.fork(hang(log, "never begun")))
      assert.isDefined(yield* within("5 seconds", ref.stop))
      assert.deepStrictEqual(log.toSorted(), ["one", "two"])
      const forking = yield* spawn("b")
      yield* tell(forking, Rpc.fork(hang(log, "forked")))
      assert.isDefined(yield* within("5 seconds", forking.stop))
      assert.strictEqual(log.at(-1), "forked")
    })))

  it.effect("two actors that stop each other from their handlers both end", () =>
    run(Effect.gen(function*() {
      const a = yield* spawn("a")
      const b = yield* spawn("b")
      const both = yield* Latch.make()
      yield* tell(a, Effect.andThen(both.await, b.stop))
      yield* tell(b, Effect.andThen(both.await, a.stop))
      yield* both.open
      yield* pass("10 seconds")
      assert.deepStrictEqual(yield* reasonOf(a), { _tag: "Stopped" })
      assert.deepStrictEqual(yield* reasonOf(b), { _tag: "Stopped" })
    })))

  it.effect("two actors that drain each other from their handlers end when one is stopped", () =>
    run(Effect.gen(function*() {
      const a = yield* spawn("a")
      const b = yield* spawn("b")
      const both = yield* Latch.make()
      yield* tell(a, Effect.andThen(both.await, b.drain))
      yield* tell(b, Effect.andThen(both.await, a.drain))
      yield* both.open
      yield* pass("1 minute")
      assert.isUndefined(yield* reasonOf(a))
      assert.isDefined(yield* within("10 seconds", a.stop))
      assert.deepStrictEqual(yield* reasonOf(b), { _tag: "Stopped" })
    })))

  it.effect("an actor that stops itself and goes on for ever is interrupted, too", () =>
    run(Effect.gen(function*() {
      const log: Array<string> = []
      const ref = yield* spawn("a")
      yield* tell(ref, Effect.flatMap(self, ({ stop }) => Effect.andThen(stop, hang(log))))
      yield* pass("5 seconds")
      assert.deepStrictEqual(log, ["interrupted"])
      assert.deepStrictEqual(yield* reasonOf(ref), { _tag: "Stopped" })
    })))

  it.effect("of a parent whose child hangs ends", () =>
    run(Effect.gen(function*() {
      const log: Array<string> = []
      const ref = yield* spawn("p", { setup: spawn("child") })
      yield* tell(yield* find("/user/p/child"), hang(log))
      const stop = yield* begin(ref.stop)
      yield* pass("5 seconds")
      assert.isDefined(stop.pollUnsafe())
      assert.deepStrictEqual(log, ["interrupted"])
    })))

  it.effect("of a parent that hangs as its child does ends after both timeouts", () =>
    run(Effect.gen(function*() {
      const ref = yield* spawn("p", { setup: spawn("child") })
      yield* tell(yield* find("/user/p/child"), Effect.never)
      yield* tell(ref, Effect.never)
      assert.isDefined(yield* within("10 seconds", ref.stop))
    })))

  it.effect("bounds a setup that hangs at a restart, even one that cannot be interrupted", () =>
    run(Effect.gen(function*() {
      for (const region of [Effect.interruptible, Effect.uninterruptible]) {
        let setups = 0
        const setup = region(Effect.suspend(() => setups++ === 0 ? Effect.void : Effect.never))
        const ref = yield* spawn("a", { setup, supervisor: immediately })
        yield* TestActor.crash(ref)
        yield* turns
        assert.strictEqual(setups, 2)
        const asker = yield* begin(outcome(ref.ask("Ping")))
        const stop = yield* begin(ref.stop)
        yield* pass("10 seconds")
        assert.isDefined(stop.pollUnsafe())
        assert.deepStrictEqual(asker.pollUnsafe(), Exit.succeed("Stopped"))
      }
    })))

  it.effect("bounds a first setup that hangs, and its spawner gets a SpawnError", () =>
    run(Effect.gen(function*() {
      const latch = yield* Latch.make()
      const spawning = yield* begin(outcome(spawn("a", { setup: Effect.uninterruptible(latch.await) })))
      const stop = yield* begin((yield* find("/user/a")).stop)
      yield* pass("10 seconds")
      assert.isDefined(stop.pollUnsafe())
      assert.deepStrictEqual(spawning.pollUnsafe(), Exit.succeed("ParentStopped"))
      yield* latch.open
    })))

  it.effect("answers Stopped to the asker whose message its handler stashes meanwhile", () =>
    run(Effect.gen(function*() {
      const latch = yield* Latch.make()
      const ref = yield* spawn("a")
      const asker = yield* begin(outcome(ask(ref, Effect.andThen(latch.await, Actor.stash))))
      const stop = yield* begin(ref.stop)
      yield* latch.open
      yield* turns
      assert.isDefined(stop.pollUnsafe())
      assert.deepStrictEqual(asker.pollUnsafe(), Exit.succeed("Stopped"))
    })))

  it.effect("is not kept waiting by a finalizer that asks its restarting parent", () =>
    run(Effect.gen(function*() {
      const log: Array<unknown> = []
      const child: Effect.Effect<void, never, ActorSystem.ActorSystem> = Effect.gen(function*() {
        const parent = yield* Effect.orDie(find("/user/p"))
        log.push(yield* outcome(parent.ask("Ping")))
      })
      const setup = Effect.gen(function*() {
        const system = yield* Effect.context<ActorSystem.ActorSystem>()
        yield* spawn("child", { setup: Effect.addFinalizer(() => Effect.provide(child, system)) })
      })
      const ref = yield* spawn("p", { setup, supervisor: immediately })
      yield* TestActor.crash(ref)
      yield* pass("15 seconds")
      assert.deepStrictEqual(yield* settle(ref.ask("Ping")), Exit.succeed("pong"))
      yield* TestActor.crash(ref)
      yield* turns
      assert.isDefined(yield* within("20 seconds", ref.stop))
    })))

  it("a stopTimeout that makes no sense is a defect that names it", () => {
    for (const stopTimeout of [-1, Duration.negate(Duration.seconds(1))]) {
      assert.throws(
        () => Puppet.behavior(Effect.die("never made"), { stopTimeout }),
        "Puppet.behavior: stopTimeout must"
      )
    }
  })
})

describe("A crashed parent", () => {
  const childDoes = (act: (log: Array<string>) => Effect.Effect<unknown>, options?: PuppetOptions) =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const ref = yield* spawn("p", { setup: spawn("child", options), supervisor: immediately })
      const child = yield* find("/user/p/child")
      yield* tell(child, act(log))
      return { child, log, ref }
    })

  it.effect("restarts though a child hangs, when that was interrupted", () =>
    run(Effect.gen(function*() {
      const { child, log, ref } = yield* childDoes(hang)
      yield* TestActor.crash(ref)
      const answer = yield* begin(ref.ask("Ping"))
      yield* pass("4 seconds")
      assert.isUndefined(answer.pollUnsafe())
      yield* pass("1 second")
      assert.deepStrictEqual(answer.pollUnsafe(), Exit.succeed("pong"))
      assert.deepStrictEqual(log, ["interrupted"])
      assert.deepStrictEqual(yield* reasonOf(child), { _tag: "Stopped" })
      assert.deepStrictEqual(yield* settle((yield* find("/user/p/child")).ask("Ping")), Exit.succeed("pong"))
    })))

  it.effect("restarts though a child's stream has a stalled consumer", () =>
    run(Effect.gen(function*() {
      const ref = yield* spawn("p", { setup: spawn("child"), supervisor: immediately })
      const child = yield* find("/user/p/child")
      const items = Stream.rechunk(Stream.range(1, 1000), 1)
      const consumer = yield* begin(Stream.runForEach(child.stream("Pour", { items }), () => Effect.never))
      yield* TestActor.crash(ref)
      yield* pass("5 seconds")
      assert.deepStrictEqual(yield* settle(ref.ask("Ping")), Exit.succeed("pong"))
      yield* Fiber.interrupt(consumer)
    })))

  it.effect("restarts though a child cannot be interrupted, with a new child of that name", () =>
    run(Effect.gen(function*() {
      const latch = yield* Latch.make()
      const ref = yield* spawn("p", { setup: spawn("child"), supervisor: immediately })
      const child = yield* find("/user/p/child")
      yield* tell(child, stuck(latch))
      yield* TestActor.crash(ref)
      yield* pass("9 seconds")
      assert.isUndefined(yield* settle(ref.ask("Ping")))
      yield* pass("1 second")
      assert.deepStrictEqual(yield* settle(ref.ask("Ping")), Exit.succeed("pong"))
      assert.deepStrictEqual(yield* reasonOf(child), abandoned)
      assert.deepStrictEqual(yield* settle((yield* find("/user/p/child")).ask("Ping")), Exit.succeed("pong"))
      yield* latch.open
    })))
})

describe("An actor that is abandoned", () => {
  /** Has an actor that nothing interrupts, with an asker, and stops it. */
  const abandon = (options?: PuppetOptions) =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const latch = yield* Latch.make()
      const release = Effect.addFinalizer(() => Effect.sync(() => log.push("release")))
      const ref = yield* spawn("a", { ...options, setup: release })
      const events = yield* collectEvents
      const asker = yield* begin(outcome(ask(ref, stuck(latch, log))))
      const stop = yield* begin(ref.stop)
      return { asker, events, latch, log, ref, stop }
    })

  it.effect("is so twice the stopTimeout after the stop", () =>
    run(Effect.gen(function*() {
      const { asker, latch, ref, stop } = yield* abandon({ stopTimeout: "2 seconds" })
      yield* pass("3999 millis")
      assert.isUndefined(stop.pollUnsafe())
      yield* pass("1 millis")
      assert.isDefined(stop.pollUnsafe())
      assert.deepStrictEqual(yield* reasonOf(ref), abandoned)
      assert.deepStrictEqual(asker.pollUnsafe(), Exit.succeed("Stopped"))
      yield* latch.open
    })))

  it.effect("is told of by an event with its messages, and then by its end", () =>
    run(Effect.gen(function*() {
      const { events, latch } = yield* abandon()
      yield* pass("10 seconds")
      assert.deepStrictEqual(events, [
        { _tag: "Abandoned", path: "/user/a", protocol: "Puppet", messages: ["Do"] },
        { _tag: "Stopped", path: "/user/a", protocol: "Puppet", reason: abandoned }
      ])
      yield* latch.open
    })))

  it.effect("names all messages that did not end", () =>
    run(Effect.gen(function*() {
      const latch = yield* Latch.make()
      const ref = yield* spawn("a", { concurrency: 3 })
      yield* tell(ref, stuck(latch))
      yield* tell(ref, Effect.never)
      const items = Stream.fromEffect(Effect.uninterruptible(latch.await))
      yield* begin(outcome(Stream.runDrain(ref.stream("Pour", { items }))))
      assert.isDefined(yield* within("10 seconds", ref.stop))
      const reason = yield* reasonOf(ref)
      assert(reason !== undefined && reason._tag === "Abandoned")
      assert.deepStrictEqual([...reason.messages].sort(), ["Do", "Pour"])
      yield* latch.open
    })))

  it.effect("is logged with its path and its message", () => {
    const { layer, logged } = makeLog()
    return run(Effect.gen(function*() {
      const { latch } = yield* abandon()
      yield* pass("10 seconds")
      assert.strictEqual(logged.filter((line) => line.includes("/user/a") && line.includes("Do")).length, 1)
      yield* latch.open
    })).pipe(Effect.provide(layer))
  })

  it.effect("leaves its name to others", () =>
    run(Effect.gen(function*() {
      const { latch, ref } = yield* abandon()
      yield* pass("10 seconds")
      assert.deepStrictEqual(yield* ActorSystem.list, [])
      const next = yield* spawn("a")
      assert.strictEqual(yield* next.ask("Ping"), "pong")
      assert.strictEqual(yield* outcome(ref.ask("Ping")), "Stopped")
      // The end of the old run does not touch the new actor.
      yield* latch.open
      yield* turns
      assert.strictEqual(yield* (yield* find("/user/a")).ask("Ping"), "pong")
    })))

  it.effect("has its watchers told", () =>
    run(Effect.gen(function*() {
      const Watcher = Actor.make("Watcher", [Rpc.make("Ended")])
      const reasons: Array<string> = []
      const { latch, ref } = yield* abandon()
      yield* Actor.spawn(Watcher.behavior(
        Effect.as(
          Actor.watch(ref, ({ reason }) => {
            reasons.push(reason._tag)
            return Watcher.message("Ended")
          }),
          { Ended: () => Effect.void }
        )
      ))
      yield* pass("10 seconds")
      assert.deepStrictEqual(reasons, ["Abandoned"])
      yield* latch.open
    })))

  it.effect("closes its scope when its run has really ended", () =>
    run(Effect.gen(function*() {
      const { latch, log } = yield* abandon()
      yield* pass("1 minute")
      assert.deepStrictEqual(log, [])
      yield* latch.open
      yield* turns
      assert.deepStrictEqual(log, ["end", "release"])
    })))

  it.effect("answers nobody when its run has ended at last, even with a defect", () => {
    const { layer } = makeLog()
    return run(Effect.gen(function*() {
      const answers: Array<unknown> = []
      const latch = yield* Latch.make()
      const ref = yield* spawn("a", { supervisor: immediately })
      const events = yield* collectEvents
      for (const after of [Effect.succeed("late"), Effect.die("late")]) {
        const act = Rpc.uninterruptible(Effect.andThen(latch.await, after))
        yield* begin(Effect.flatMap(outcome(ask(ref, act)), (answer) => Effect.sync(() => answers.push(answer))))
      }
      assert.isDefined(yield* within("10 seconds", ref.stop))
      yield* latch.open
      yield* turns
      assert.deepStrictEqual(answers, ["Stopped", "Stopped"])
      assert.deepStrictEqual(lines(events).filter((line) => line.startsWith("Restarted")), [])
      assert.deepStrictEqual(yield* reasonOf(ref), abandoned)
    })).pipe(Effect.provide(layer))
  })

  it.effect("lets its parent go on, the last child first", () =>
    run(Effect.gen(function*() {
      const latch = yield* Latch.make()
      const log: Array<string> = []
      const noting = (name: string) => Effect.addFinalizer(() => Effect.sync(() => log.push(name)))
      const setup = Effect.gen(function*() {
        yield* noting("parent")
        yield* spawn("first", { setup: noting("first") })
        yield* spawn("second")
      })
      const ref = yield* spawn("p", { setup })
      yield* tell(yield* find("/user/p/second"), stuck(latch))
      const stop = yield* begin(ref.stop)
      yield* pass("9 seconds")
      assert.deepStrictEqual(log, [])
      yield* pass("1 second")
      assert.isDefined(stop.pollUnsafe())
      assert.deepStrictEqual(log, ["first", "parent"])
      assert.deepStrictEqual(yield* reasonOf(ref), { _tag: "Stopped" })
      yield* latch.open
    })))
})

describe("A restart beside a run that does not end", () => {
  const restartBeside = Effect.gen(function*() {
    const log: Array<string> = []
    const latch = yield* Latch.make()
    let incarnations = 0
    const setup = Effect.suspend(() => {
      const n = ++incarnations
      log.push(`setup ${n}`)
      return Effect.addFinalizer(() => Effect.sync(() => log.push(`release ${n}`)))
    })
    const ref = yield* spawn("a", { setup, supervisor: immediately })
    const events = yield* collectEvents
    const asker = yield* begin(outcome(ask(ref, stuck(latch, log))))
    const queued = yield* begin(outcome(ref.ask("Ping")))
    yield* TestActor.crash(ref)
    yield* turns
    return { asker, events, latch, log, queued, ref }
  })

  it.effect("begins when that was abandoned, and what waits is handled", () =>
    run(Effect.gen(function*() {
      const { latch, log, queued } = yield* restartBeside
      yield* pass("4 seconds")
      assert.deepStrictEqual(log, ["setup 1"])
      yield* pass("6 seconds")
      assert.deepStrictEqual(log, ["setup 1", "setup 2"])
      assert.deepStrictEqual(queued.pollUnsafe(), Exit.succeed("pong"))
      yield* latch.open
    })))

  it.effect("is told of by an event, and logged", () => {
    const { layer, logged } = makeLog()
    return run(Effect.gen(function*() {
      const { events, latch } = yield* restartBeside
      yield* pass("10 seconds")
      assert.deepStrictEqual(lines(events), ["Crashed /user/a", "Abandoned /user/a", "Restarted /user/a"])
      assert.isTrue(logged.some((line) => line.includes("/user/a") && line.includes("Do")))
      yield* latch.open
    })).pipe(Effect.provide(layer))
  })

  it.effect("has the old scope closed when the old run has really ended, and only that", () =>
    run(Effect.gen(function*() {
      const { latch, log, ref } = yield* restartBeside
      yield* pass("10 seconds")
      yield* latch.open
      yield* turns
      assert.deepStrictEqual(log, ["setup 1", "setup 2", "end", "release 1"])
      assert.strictEqual(yield* ref.ask("Ping"), "pong")
      yield* ref.stop
      assert.deepStrictEqual(log.slice(4), ["release 2"])
    })))

  it.effect("answers the old asker once, before the old run has ended", () =>
    run(Effect.gen(function*() {
      const { asker, latch } = yield* restartBeside
      yield* pass("10 seconds")
      const exit = asker.pollUnsafe()
      assert.oneOf(outcomeOf(exit), ["Crashed", "Stopped"])
      yield* latch.open
      yield* turns
      assert.strictEqual(asker.pollUnsafe(), exit)
    })))
})

describe("drain", () => {
  it.effect("takes as long as its messages do", () =>
    run(Effect.gen(function*() {
      const log: Array<string> = []
      const ref = yield* spawn("a")
      for (const name of ["one", "two"]) {
        yield* tell(ref, Effect.andThen(Effect.sleep("1 hour"), Effect.sync(() => log.push(name))))
      }
      const drain = yield* begin(ref.drain)
      yield* pass("1 hour")
      yield* pass("59 minutes")
      assert.isUndefined(drain.pollUnsafe())
      yield* pass("1 minute")
      assert.isDefined(drain.pollUnsafe())
      assert.deepStrictEqual(log, ["one", "two"])
    })))

  it.effect("becomes a stop when somebody stops the actor", () =>
    run(Effect.gen(function*() {
      const ref = yield* spawn("a")
      yield* tell(ref, Effect.never)
      const queued = yield* begin(outcome(ref.ask("Ping")))
      const drain = yield* begin(ref.drain)
      yield* pass("1 hour")
      yield* begin(ref.stop)
      assert.deepStrictEqual(queued.pollUnsafe(), Exit.succeed("Stopped"))
      yield* pass("5 seconds")
      assert.isDefined(drain.pollUnsafe())
    })))

  it.effect("is bounded by the release of its system", () =>
    Effect.gen(function*() {
      const { release, system } = yield* makeSystem({ shutdownTimeout: "10 seconds" })
      const drain = yield* Effect.gen(function*() {
        const ref = yield* spawn("a")
        yield* tell(ref, Effect.never)
        return yield* begin(ref.drain)
      }).pipe(Effect.provide(system))
      yield* pass("1 hour")
      assert.isUndefined(drain.pollUnsafe())
      assert.isDefined(yield* within("10 seconds", release))
      assert.isDefined(drain.pollUnsafe())
    }))
})

describe("kill", () => {
  it.effect("interrupts the current run now, runs finalizers and waits for the end", () =>
    run(Effect.gen(function*() {
      const log: Array<string> = []
      const release = Effect.addFinalizer(() => Effect.andThen(Effect.yieldNow, Effect.sync(() => log.push("release"))))
      const ref = yield* spawn("a", { setup: release })
      yield* tell(ref, hang(log))
      assert.deepStrictEqual(yield* settle(ref.kill), Exit.void)
      assert.deepStrictEqual(log, ["interrupted", "release"])
      assert.deepStrictEqual(yield* reasonOf(ref), { _tag: "Stopped" })
    })))

  it.effect("answers Stopped to all askers, and sends what waits to dead letters", () =>
    run(Effect.gen(function*() {
      const ref = yield* spawn("a")
      const events = yield* collectEvents
      const current = yield* begin(outcome(ask(ref, Effect.never)))
      const queued = yield* begin(outcome(ref.ask("Ping")))
      yield* tell(ref, Effect.never)
      yield* settle(ref.kill)
      assert.deepStrictEqual(current.pollUnsafe(), Exit.succeed("Stopped"))
      assert.deepStrictEqual(queued.pollUnsafe(), Exit.succeed("Stopped"))
      assert.deepStrictEqual(lines(events), ["DeadLetter /user/a", "DeadLetter /user/a", "Stopped /user/a"])
      assert.strictEqual(yield* outcome(ref.ask("Ping")), "Stopped")
    })))

  it.effect("ends a stop or a drain that waits", () =>
    run(Effect.gen(function*() {
      for (const end of ["stop", "drain"] as const) {
        const ref = yield* spawn("a", { stopTimeout: "Infinity" })
        yield* tell(ref, Effect.never)
        const ending = yield* begin(ref[end])
        assert.isUndefined(ending.pollUnsafe())
        yield* settle(ref.kill)
        assert.isDefined(ending.pollUnsafe())
      }
    })))

  it.effect("abandons what cannot be interrupted after one stopTimeout", () =>
    run(Effect.gen(function*() {
      const latch = yield* Latch.make()
      const ref = yield* spawn("a")
      yield* tell(ref, stuck(latch))
      const kill = yield* begin(ref.kill)
      yield* pass("4 seconds")
      assert.isUndefined(kill.pollUnsafe())
      yield* pass("1 second")
      assert.isDefined(kill.pollUnsafe())
      assert.deepStrictEqual(yield* reasonOf(ref), abandoned)
      yield* latch.open
    })))

  it.effect("ends an actor in its backoff or in a setup that hangs at a restart", () =>
    run(Effect.gen(function*() {
      const backoff = yield* spawn("backoff", { supervisor: Supervisor.restart(Schedule.spaced("1 hour")) })
      let setups = 0
      const setup = Effect.suspend(() => setups++ === 0 ? Effect.void : Effect.never)
      const hanging = yield* spawn("hanging", { setup, supervisor: immediately })
      for (const ref of [backoff, hanging]) {
        yield* TestActor.crash(ref)
        yield* turns
        assert.isDefined(yield* settle(ref.kill))
        assert.deepStrictEqual(yield* reasonOf(ref), { _tag: "Stopped" })
      }
    })))

  it.effect("by the actor itself ends it", () =>
    run(Effect.gen(function*() {
      const log: Array<string> = []
      const ref = yield* spawn("a")
      yield* tell(ref, Effect.flatMap(self, ({ kill }) => Effect.andThen(kill, hang(log))))
      assert.deepStrictEqual(yield* reasonOf(ref), { _tag: "Stopped" })
    })))

  it.effect("of a parent ends its children within their stopTimeout", () =>
    run(Effect.gen(function*() {
      const log: Array<string> = []
      const ref = yield* spawn("p", { setup: spawn("child") })
      yield* tell(yield* find("/user/p/child"), hang(log))
      assert.isDefined(yield* within("5 seconds", ref.kill))
      assert.deepStrictEqual(log, ["interrupted"])
    })))

  it.effect("of an actor that has ended does nothing", () =>
    run(Effect.gen(function*() {
      const ref = yield* spawn("a")
      yield* ref.stop
      assert.deepStrictEqual(yield* settle(ref.kill), Exit.void)
    })))
})

describe("The release of a system", () => {
  it.effect("ends what hangs at the shutdownTimeout, though the stopTimeout is longer", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const { release, system } = yield* makeSystem({ shutdownTimeout: "3 seconds" })
      const askers = yield* Effect.gen(function*() {
        const patient = yield* spawn("patient", { stopTimeout: "Infinity" })
        const ordinary = yield* spawn("ordinary")
        return [
          yield* begin(outcome(ask(patient, hang(log)))),
          yield* begin(outcome(ask(ordinary, hang(log))))
        ]
      }).pipe(Effect.provide(system))
      const releasing = yield* begin(release)
      yield* pass("2999 millis")
      assert.isUndefined(releasing.pollUnsafe())
      yield* pass("1 millis")
      assert.isDefined(releasing.pollUnsafe())
      assert.deepStrictEqual(log, ["interrupted", "interrupted"])
      for (const asker of askers) assert.deepStrictEqual(asker.pollUnsafe(), Exit.succeed("Stopped"))
    }))

  it.effect("abandons what ignores that 5 seconds later, where its stopTimeout is infinite", () =>
    Effect.gen(function*() {
      const latch = yield* Latch.make()
      const { release, system } = yield* makeSystem({ shutdownTimeout: "3 seconds" })
      const patient = yield* Effect.provide(spawn("patient", { stopTimeout: "Infinity" }), system)
      yield* tell(patient, stuck(latch))
      const releasing = yield* begin(release)
      yield* pass("7999 millis")
      assert.isUndefined(releasing.pollUnsafe())
      yield* pass("1 millis")
      assert.isDefined(releasing.pollUnsafe())
      yield* latch.open
    }))

  it.effect("ends within the shutdownTimeout and one stopTimeout, however many actors are stuck", () => {
    const { layer, logged } = makeLog()
    return Effect.gen(function*() {
      const latch = yield* Latch.make()
      const { release, system } = yield* makeSystem({ shutdownTimeout: "10 seconds" })
      const { events, paths } = yield* Effect.gen(function*() {
        const top = yield* spawn("top", { setup: spawn("middle", { setup: spawn("leaf") }) })
        const refs = [top, yield* find("/user/top/middle"), yield* find("/user/top/middle/leaf")]
        for (let i = 0; i < 20; i++) refs.push(yield* spawn(`stuck-${i}`))
        for (const ref of refs) yield* tell(ref, stuck(latch))
        return { events: yield* collectEvents, paths: refs.map(({ path }) => path) }
      }).pipe(Effect.provide(system))
      const releasing = yield* begin(release)
      yield* pass("15 seconds")
      assert.isDefined(releasing.pollUnsafe())
      const named = events.flatMap((event) => event._tag === "Abandoned" ? [event.path] : [])
      assert.deepStrictEqual(named.toSorted(), paths.toSorted())
      for (const path of paths) assert.isTrue(logged.some((line) => line.includes(path)), path)
      yield* latch.open
      yield* turns
    }).pipe(Effect.provide(layer))
  })

  it.effect("does not wait for a setup that hangs at a restart, nor for a finalizer that never ends", () =>
    Effect.gen(function*() {
      const latch = yield* Latch.make()
      const { release, system } = yield* makeSystem({ shutdownTimeout: "10 seconds" })
      yield* Effect.gen(function*() {
        let setups = 0
        const setup = Effect.suspend(() => setups++ === 0 ? Effect.void : Effect.uninterruptible(latch.await))
        const hanging = yield* spawn("setup", { setup, supervisor: immediately })
        yield* spawn("finalizer", { setup: Effect.addFinalizer(() => latch.await) })
        yield* TestActor.crash(hanging)
        yield* turns
      }).pipe(Effect.provide(system))
      assert.isDefined(yield* within("15 seconds", release))
      yield* latch.open
      yield* turns
    }))

  it.effect("ends actors that are asked nothing without any time", () =>
    Effect.gen(function*() {
      const { release, system } = yield* makeSystem()
      yield* Effect.provide(spawn("a", { setup: spawn("b", { setup: spawn("c") }) }), system)
      assert.isDefined(yield* settle(release))
    }))

  it.effect("answers an owed answer's asker", () =>
    Effect.gen(function*() {
      const never = yield* Deferred.make<unknown>()
      const { release, system } = yield* makeSystem({ shutdownTimeout: "10 seconds" })
      const asker = yield* Effect.gen(function*() {
        const ref = yield* spawn("a")
        return yield* begin(outcome(ask(ref, Effect.succeed(never))))
      }).pipe(Effect.provide(system))
      const releasing = yield* begin(release)
      yield* pass("15 seconds")
      assert.isDefined(releasing.pollUnsafe())
      assert.deepStrictEqual(asker.pollUnsafe(), Exit.succeed("Stopped"))
    }))
})
