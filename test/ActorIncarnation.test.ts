import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Latch, Logger, Schedule, Schema } from "effect"
import { Rpc } from "effect/rpc"
import { TestClock } from "effect/testing"
import * as Actor from "../src/Actor.ts"
import * as ActorSystem from "../src/ActorSystem.ts"
import * as Supervisor from "../src/Supervisor.ts"
import { ActorProbe, TestActor } from "../src/testing/index.ts"
import {
  ask,
  begin,
  find,
  hang,
  outcome,
  outcomeOf,
  pass,
  type Puppet,
  run,
  self,
  settle,
  spawn,
  tell,
  turns,
  withJumpingClock
} from "./fixtures/actors.ts"

/** How an actor ended, of what `settle(ref.awaitStopped)` gives. */
const reasonOf = (exit: Exit.Exit<Actor.Terminated> | undefined) =>
  exit !== undefined && Exit.isSuccess(exit) ? exit.value.reason._tag : undefined

const immediately = Supervisor.restart(Schedule.forever)

const Job = Actor.make("Job", [
  Rpc.make("Do"),
  Rpc.make("Ended"),
  Rpc.make("Seen", { success: Schema.Array(Schema.String) })
])

/** An actor that does `work` when told so; `seen` outlives its incarnations. */
const makeJob = (
  work: Effect.Effect<unknown>,
  options: Actor.BehaviorOptions & {
    readonly setup?: Effect.Effect<unknown, string, Actor.Self<"Job"> | ActorSystem.ActorSystem>
  } = {}
) => {
  const seen: Array<string> = []
  const behavior = Job.behavior(
    Effect.as(options.setup ?? Effect.void, {
      Do: () => Rpc.uninterruptible(Effect.asVoid(work)),
      Ended: () => Effect.sync(() => void seen.push("Ended")),
      Seen: () => Effect.succeed(seen)
    }),
    options
  )
  return { behavior, seen }
}

describe("Actor incarnations", () => {
  it.effect("a watch ends with its incarnation", () =>
    run(Effect.gen(function*() {
      const { ref: watched } = yield* ActorProbe.make(Job)
      let incarnations = 0
      const setup = Effect.suspend(() =>
        incarnations++ === 0 ? Actor.watch(watched, () => Job.message("Ended")) : Effect.void
      )
      const ref = yield* Actor.spawn(makeJob(Effect.void, { setup, supervisor: immediately }).behavior)
      yield* TestActor.crash(ref)
      yield* watched.stop
      assert.deepStrictEqual(yield* ref.ask("Seen"), [])
      assert.strictEqual(incarnations, 2)
    })))

  it.effect("what an incarnation acquires is released before the next setup, and only its own", () =>
    run(Effect.gen(function*() {
      const log: Array<string> = []
      let incarnations = 0
      const acquire = (id: number) =>
        Effect.acquireRelease(
          Effect.sync(() => log.push(`acquire ${id}`)),
          () => Effect.sync(() => log.push(`release ${id}`))
        )
      // The first and the last one have nothing to release.
      const setup = Effect.suspend(() => {
        const id = incarnations++
        log.push(`setup ${id}`)
        return id === 1 || id === 2 ? acquire(id) : Effect.void
      })
      const ref = yield* Actor.spawn(
        Job.behavior(
          Effect.as(setup, {
            Do: () => Effect.die("crash"),
            Ended: () => Effect.void,
            Seen: () => Effect.succeed(log)
          }),
          { supervisor: immediately }
        )
      )
      for (let i = 0; i < 3; i++) yield* Effect.flip(ref.ask("Do"))
      yield* ref.stop
      assert.deepStrictEqual(log, [
        "setup 0",
        "setup 1",
        "acquire 1",
        "release 1",
        "setup 2",
        "acquire 2",
        "release 2",
        "setup 3"
      ])
    })))

  it.effect("a watch that begins while the incarnation ends, ends with it", () =>
    run(Effect.gen(function*() {
      const { ref: watched } = yield* ActorProbe.make(Job)
      const Late = Actor.make("Late", [Rpc.make("Wait"), Rpc.make("Ended")])
      let ended = 0
      const ref = yield* Actor.spawn(Late.behavior(
        Effect.succeed({
          Wait: () => Effect.onInterrupt(Effect.never, () => Actor.watch(watched, () => Late.message("Ended"))),
          Ended: () => Effect.sync(() => void ended++)
        }),
        { supervisor: immediately }
      ))
      yield* ref.tell("Wait")
      yield* turns
      yield* TestActor.crash(ref)
      yield* turns
      yield* watched.stop
      yield* turns
      assert.strictEqual(ended, 0)
    })))

  it.effect("a watcher whose notice cannot be made crashes with that", () =>
    run(Effect.gen(function*() {
      const { ref: watched } = yield* ActorProbe.make(Job)
      const setup = Actor.watch(watched, (): Actor.Message<"Job"> => {
        throw new Error("no notice")
      })
      const ref = yield* Actor.spawn(makeJob(Effect.void, { setup, supervisor: Supervisor.stop }).behavior)
      yield* watched.stop
      assert.strictEqual((yield* ref.awaitStopped).reason._tag, "Crashed")
    })))

  it.effect("the idleTimeout holds for the next incarnation too", () =>
    run(Effect.gen(function*() {
      const { behavior } = makeJob(Effect.void, { idleTimeout: "1 minute", supervisor: immediately })
      const ref = yield* Actor.spawn(behavior)
      yield* TestActor.crash(ref)
      yield* TestClock.adjust("2 minutes")
      assert.strictEqual((yield* ref.awaitStopped).reason._tag, "Idle")
    })))

  it.effect("an actor that handles a message is not idle, however long that takes", () =>
    run(Effect.gen(function*() {
      const latch = Latch.makeUnsafe(false)
      const { behavior } = makeJob(latch.await, { idleTimeout: "1 minute" })
      const ref = yield* Actor.spawn(behavior)
      yield* ref.tell("Do")
      yield* TestClock.adjust("5 minutes")
      yield* ref.tell("Ended")
      yield* latch.open
      assert.deepStrictEqual(yield* ref.ask("Seen"), ["Ended"])
    })))

  it.effect("an uninterruptible handler of a told message ends before its incarnation does", () =>
    run(Effect.gen(function*() {
      const latch = Latch.makeUnsafe(false)
      const log: Array<string> = []
      const work = Effect.onExit(latch.await, (exit) => Effect.sync(() => log.push(exit._tag)))
      const setup = Effect.sync(() => log.push("setup"))
      const ref = yield* Actor.spawn(makeJob(work, { setup, supervisor: immediately }).behavior)
      yield* ref.tell("Do")
      yield* turns
      yield* TestActor.crash(ref)
      yield* turns
      yield* latch.open
      yield* ref.ask("Seen")
      assert.deepStrictEqual(log, ["setup", "Success", "setup"])
    })))

  it.effect("escalation during the setup of a restart crashes the parent again, when that has ended", () =>
    run(Effect.gen(function*() {
      let incarnations = 0
      const setup = Effect.gen(function*() {
        const child = yield* Effect.orDie(
          Actor.spawn(makeJob(Effect.void, { supervisor: Supervisor.escalate }).behavior)
        )
        if (incarnations++ === 1) yield* TestActor.crash(child)
        yield* turns
      })
      const ref = yield* Actor.spawn(makeJob(Effect.void, { setup, supervisor: immediately }).behavior)
      yield* TestActor.crash(ref)
      yield* ref.ask("Seen")
      assert.strictEqual(incarnations, 3)
    })))

  it.effect("a setup that fails at a restart, and a release that fails, are logged", () => {
    const logged: Array<string> = []
    return run(Effect.gen(function*() {
      let incarnations = 0
      const setup = Effect.suspend(() => incarnations++ === 1 ? Effect.fail("no disk") : Effect.void)
      const ref = yield* Actor.spawn(makeJob(Effect.void, { setup, supervisor: immediately }).behavior)
      yield* TestActor.crash(ref)
      yield* ref.ask("Seen")
      const leaky = yield* Actor.spawn(Job.behavior(Effect.as(
        Effect.addFinalizer(() => Effect.die("stuck")),
        { Do: () => Effect.void, Ended: () => Effect.void, Seen: () => Effect.succeed([]) }
      )))
      assert.isTrue(Exit.isSuccess(yield* Effect.exit(leaky.stop)))
      assert.deepStrictEqual(logged, ["setup failed at a restart", "releasing its resources failed"])
    })).pipe(
      Effect.provide(Logger.layer([
        Logger.make(({ message }) => void logged.push(String(Array.isArray(message) ? message[0] : message)))
      ]))
    )
  })

  for (const concurrency of [1, 2]) {
    it.effect(`an actor with endless messages leaves others their turn (concurrency ${concurrency})`, () =>
      run(Effect.gen(function*() {
        let handled = 0
        const Endless = Actor.make("Endless", [Rpc.make("Go")])
        const ref = yield* Actor.spawn(Endless.behavior(
          Effect.gen(function*() {
            const self = yield* Actor.self(Endless)
            return { Go: () => Effect.suspend(() => ++handled < 20_000 ? Effect.orDie(self.tell("Go")) : Effect.void) }
          }),
          { concurrency }
        ))
        const other = yield* Actor.spawn(makeJob(Effect.void).behavior)
        yield* ref.tell("Go")
        yield* other.tell("Ended")
        assert.deepStrictEqual(yield* other.ask("Seen"), ["Ended"])
        assert.isBelow(handled, 10_000)
      })))
  }
})

describe("Idle", () => {
  const minute = { idleTimeout: "1 minute" } as const

  const stateOf = (ref: Actor.LocalRefOf<typeof Puppet>) => Effect.map(TestActor.inspect(ref), ({ state }) => state)

  it.effect("time counts from the end of the last message", () =>
    run(Effect.gen(function*() {
      const ref = yield* spawn("a", minute)
      yield* pass("30 seconds")
      yield* tell(ref, Effect.sleep("50 seconds"))
      yield* pass("50 seconds")
      yield* pass("59 seconds")
      assert.strictEqual(yield* stateOf(ref), "Running")
      yield* pass("1 second")
      assert.deepStrictEqual(yield* settle(ref.awaitStopped).pipe(Effect.map(reasonOf)), "Idle")
    })))

  it.effect("time begins when the last of several runs has ended", () =>
    run(Effect.gen(function*() {
      const ref = yield* spawn("a", { ...minute, concurrency: 2 })
      yield* tell(ref, Effect.sleep("50 seconds"))
      yield* tell(ref, Effect.sleep("100 seconds"))
      yield* pass("159 seconds")
      assert.strictEqual(yield* stateOf(ref), "Running")
      yield* pass("1 second")
      assert.deepStrictEqual(yield* settle(ref.awaitStopped).pipe(Effect.map(reasonOf)), "Idle")
    })))

  it.effect("is no actor with a stash", () =>
    run(Effect.gen(function*() {
      const ref = yield* spawn("a", minute)
      const latch = yield* Latch.make()
      const asker = yield* begin(ask(ref, Effect.andThen(latch.await, Actor.stash)))
      yield* latch.open
      yield* turns
      yield* pass("5 minutes")
      assert.strictEqual(yield* stateOf(ref), "Running")
      assert.isUndefined(asker.pollUnsafe())
      yield* Fiber.interrupt(asker)
      yield* pass("2 minutes")
      assert.deepStrictEqual(yield* settle(ref.awaitStopped).pipe(Effect.map(reasonOf)), "Idle")
    })))

  it.effect("is no actor that owes an answer", () =>
    run(Effect.gen(function*() {
      const ref = yield* spawn("a", minute)
      const owed = yield* Deferred.make<unknown>()
      const asker = yield* begin(ask(ref, Effect.succeed(owed)))
      yield* pass("5 minutes")
      assert.strictEqual(yield* stateOf(ref), "Running")
      yield* Deferred.succeed(owed, "at last")
      yield* turns
      assert.deepStrictEqual(asker.pollUnsafe(), Exit.succeed("at last"))
      yield* pass("2 minutes")
      assert.deepStrictEqual(yield* settle(ref.awaitStopped).pipe(Effect.map(reasonOf)), "Idle")
    })))

  it.effect("is no actor with a forked run", () =>
    run(Effect.gen(function*() {
      const ref = yield* spawn("a", minute)
      const asker = yield* begin(ask(ref, Rpc.fork(Effect.as(Effect.sleep("5 minutes"), "done"))))
      yield* pass("299 seconds")
      assert.strictEqual(yield* stateOf(ref), "Running")
      yield* pass("1 second")
      assert.deepStrictEqual(asker.pollUnsafe(), Exit.succeed("done"))
      yield* pass("2 minutes")
      assert.deepStrictEqual(yield* settle(ref.awaitStopped).pipe(Effect.map(reasonOf)), "Idle")
    })))

  it.effect("is no actor that restarts, and its time begins with the next incarnation", () =>
    run(Effect.gen(function*() {
      const supervisor = Supervisor.restart(Schedule.spaced("5 minutes"))
      const ref = yield* spawn("a", { ...minute, supervisor })
      yield* TestActor.crash(ref)
      yield* pass("5 minutes")
      assert.strictEqual(yield* stateOf(ref), "Running")
      yield* pass("59 seconds")
      assert.strictEqual(yield* stateOf(ref), "Running")
      yield* pass("1 second")
      assert.deepStrictEqual(yield* settle(ref.awaitStopped).pipe(Effect.map(reasonOf)), "Idle")
    })))

  for (const by of ["1 hour", "-1 hour"] as const) {
    it.effect(`time is monotonic: a wall clock that jumps by ${by} changes nothing`, () =>
      withJumpingClock((jump) =>
        run(Effect.gen(function*() {
          const ref = yield* spawn("a", minute)
          yield* pass("50 seconds")
          yield* ref.ask("Ping")
          yield* jump(by)
          yield* pass("59 seconds")
          assert.strictEqual(yield* stateOf(ref), "Running")
          yield* pass("1 second")
          assert.deepStrictEqual(yield* settle(ref.awaitStopped).pipe(Effect.map(reasonOf)), "Idle")
        }))
      ))
  }
})

describe("A drain", () => {
  it.effect("waits for an owed answer, which its asker gets", () =>
    run(Effect.gen(function*() {
      const ref = yield* spawn("a")
      const owed = yield* Deferred.make<unknown>()
      const asker = yield* begin(ask(ref, Effect.succeed(owed)))
      const drain = yield* begin(ref.drain)
      yield* pass("1 minute")
      assert.isUndefined(drain.pollUnsafe())
      yield* Deferred.succeed(owed, "at last")
      yield* turns
      assert.deepStrictEqual(asker.pollUnsafe(), Exit.succeed("at last"))
      assert.isDefined(drain.pollUnsafe())
    })))

  it.effect("waits for a forked run", () =>
    run(Effect.gen(function*() {
      const ref = yield* spawn("a")
      const asker = yield* begin(ask(ref, Rpc.fork(Effect.as(Effect.sleep("1 minute"), "done"))))
      const drain = yield* begin(ref.drain)
      yield* pass("59 seconds")
      assert.isUndefined(drain.pollUnsafe())
      yield* pass("1 second")
      assert.deepStrictEqual(asker.pollUnsafe(), Exit.succeed("done"))
      assert.isDefined(drain.pollUnsafe())
    })))

  it.effect("handles what is stashed, too", () =>
    run(Effect.gen(function*() {
      let open = false
      const enter = Effect.suspend(() => open ? Effect.succeed("welcome") : Actor.stash)
      // Something else in the actor opens the door later.
      const opens = Effect.andThen(
        Effect.sleep("1 minute"),
        Effect.suspend(() => {
          open = true
          return Actor.unstashAll
        })
      )
      const ref = yield* spawn("a", { setup: Effect.forkScoped(opens) })
      const asker = yield* begin(ask(ref, enter))
      const drain = yield* begin(ref.drain)
      yield* pass("59 seconds")
      assert.isUndefined(drain.pollUnsafe())
      yield* pass("1 second")
      assert.deepStrictEqual(asker.pollUnsafe(), Exit.succeed("welcome"))
      assert.isDefined(drain.pollUnsafe())
    })))

  it.effect("tries what is stashed again and again only as long as that handles something", () =>
    run(Effect.gen(function*() {
      const ref = yield* spawn("a")
      let tries = 0
      yield* tell(ref, Effect.andThen(Effect.sync(() => void tries++), Actor.stash))
      const drain = yield* begin(ref.drain)
      yield* pass("1 minute")
      assert.strictEqual(tries, 2)
      assert.isUndefined(drain.pollUnsafe())
      yield* ref.stop
      yield* turns
      assert.isDefined(drain.pollUnsafe())
    })))

  it.effect("handles what was stashed and unstashed while it drains", () =>
    run(Effect.gen(function*() {
      let open = false
      const ref = yield* spawn("a")
      const asker = yield* begin(ask(ref, Effect.suspend(() => open ? Effect.succeed("welcome") : Actor.stash)))
      yield* ref.tell("Do", { act: Effect.sleep("1 second") })
      yield* ref.tell("Do", {
        act: Effect.suspend(() => {
          open = true
          return Actor.unstashAll
        })
      })
      const drain = yield* begin(ref.drain)
      yield* pass("1 second")
      assert.deepStrictEqual(asker.pollUnsafe(), Exit.succeed("welcome"))
      assert.isDefined(drain.pollUnsafe())
    })))
})

describe("A watch", () => {
  it.effect("of a dead actor, done twice, is one notice", () =>
    run(Effect.gen(function*() {
      const { ref: watched } = yield* ActorProbe.make(Job)
      yield* watched.stop
      const watch = Actor.watch(watched, () => Job.message("Ended"))
      const ref = yield* Actor.spawn(makeJob(Effect.void, { setup: Effect.andThen(watch, watch) }).behavior)
      yield* turns
      assert.deepStrictEqual(yield* ref.ask("Seen"), ["Ended"])
    })))

  it.effect("of a former incarnation gives the next one no notice, even one that was in the mailbox", () =>
    run(Effect.gen(function*() {
      const { ref: watched } = yield* ActorProbe.make(Job)
      let incarnations = 0
      const setup = Effect.suspend(() =>
        incarnations++ === 0 ? Actor.watch(watched, () => Job.message("Ended")) : Effect.void
      )
      const ref = yield* Actor.spawn(makeJob(Effect.void, { setup, supervisor: immediately }).behavior)
      yield* ref.pause
      yield* watched.stop
      yield* turns
      yield* TestActor.crash(ref)
      yield* turns
      yield* ref.resume
      assert.deepStrictEqual(yield* ref.ask("Seen"), [])
      assert.strictEqual(incarnations, 2)
    })))

  it.effect("of both incarnations gives the next one its own notice, once", () =>
    run(Effect.gen(function*() {
      const { ref: watched } = yield* ActorProbe.make(Job)
      const setup = Actor.watch(watched, () => Job.message("Ended"))
      const ref = yield* Actor.spawn(makeJob(Effect.void, { setup, supervisor: immediately }).behavior)
      yield* ref.pause
      yield* watched.stop
      yield* TestActor.crash(ref)
      yield* turns
      yield* ref.resume
      assert.deepStrictEqual(yield* ref.ask("Seen"), ["Ended"])
    })))
})

describe("An operator", () => {
  it.effect("pauses an actor: it ends what it handles, and takes nothing further until it is resumed", () =>
    run(Effect.gen(function*() {
      const ref = yield* spawn("a")
      const latch = yield* Latch.make()
      const current = yield* begin(ask(ref, Effect.as(latch.await, "done")))
      yield* ref.pause
      const next = yield* begin(ref.ask("Ping"))
      yield* latch.open
      yield* turns
      assert.deepStrictEqual(current.pollUnsafe(), Exit.succeed("done"))
      yield* pass("1 hour")
      assert.isUndefined(next.pollUnsafe())
      assert.deepInclude(yield* ref.mailbox, { size: 1, running: 0 })
      yield* ref.resume
      yield* turns
      assert.deepStrictEqual(next.pollUnsafe(), Exit.succeed("pong"))
    })))

  it.effect("stops and kills a paused actor like any other", () =>
    run(Effect.gen(function*() {
      for (const end of ["stop", "kill"] as const) {
        const ref = yield* spawn("a")
        yield* ref.pause
        const queued = yield* begin(outcome(ref.ask("Ping")))
        assert.isDefined(yield* settle(ref[end]))
        assert.deepStrictEqual(queued.pollUnsafe(), Exit.succeed("Stopped"))
      }
    })))

  it.effect("pausing twice is pausing once, and resuming what is not paused changes nothing", () =>
    run(Effect.gen(function*() {
      const ref = yield* spawn("a")
      yield* ref.resume
      yield* ref.pause
      yield* ref.pause
      assert.isUndefined(yield* settle(ref.ask("Ping")))
      yield* ref.resume
      assert.deepStrictEqual(yield* settle(ref.ask("Ping")), Exit.succeed("pong"))
    })))

  it.effect("restarts an actor: its run is interrupted, its state fresh, what waits is handled", () =>
    run(Effect.gen(function*() {
      const log: Array<string> = []
      let incarnations = 0
      const setup = Effect.suspend(() => {
        const n = ++incarnations
        log.push(`setup ${n}`)
        return Effect.addFinalizer(() => Effect.sync(() => log.push(`release ${n}`)))
      })
      const ref = yield* spawn("a", { setup, supervisor: Supervisor.stop })
      const current = yield* begin(outcome(ask(ref, hang(log))))
      const queued = yield* begin(ref.ask("Ping"))
      assert.isDefined(yield* settle(ref.restart))
      assert.deepStrictEqual(log, ["setup 1", "interrupted", "release 1", "setup 2"])
      assert.oneOf(outcomeOf(current.pollUnsafe()), ["Crashed", "Stopped"])
      assert.deepStrictEqual(queued.pollUnsafe(), Exit.succeed("pong"))
    })))

  it.effect("restarts an actor with its children", () =>
    run(Effect.gen(function*() {
      const ref = yield* spawn("p", { setup: spawn("child"), supervisor: Supervisor.stop })
      const child = yield* find("/user/p/child")
      assert.isDefined(yield* settle(ref.restart))
      assert.deepStrictEqual(yield* settle(child.awaitStopped).pipe(Effect.map(reasonOf)), "Stopped")
      assert.deepStrictEqual(yield* settle((yield* find("/user/p/child")).ask("Ping")), Exit.succeed("pong"))
    })))

  it.effect("restarts an actor now that waits for its backoff", () =>
    run(Effect.gen(function*() {
      const ref = yield* spawn("a", { supervisor: Supervisor.restart(Schedule.spaced("1 hour")) })
      yield* TestActor.crash(ref)
      assert.isUndefined(yield* settle(ref.ask("Ping")))
      assert.isDefined(yield* settle(ref.restart))
      assert.deepStrictEqual(yield* settle(ref.ask("Ping")), Exit.succeed("pong"))
      // The backoff's end starts no third one.
      yield* pass("2 hours")
      assert.deepStrictEqual((yield* ActorSystem.list).map(({ restarts }) => restarts), [1])
    })))

  it.effect("restarting succeeds when the next setup has", () =>
    run(Effect.gen(function*() {
      let setups = 0
      const setup = Effect.suspend(() => setups++ === 0 ? Effect.void : Effect.sleep("1 second"))
      const ref = yield* spawn("a", { setup })
      const restart = yield* begin(ref.restart)
      yield* pass("999 millis")
      assert.isUndefined(restart.pollUnsafe())
      yield* pass("1 millis")
      assert.isDefined(restart.pollUnsafe())
    })))

  it.effect("waits for the first setup instead of restarting it", () =>
    run(Effect.gen(function*() {
      const hold = yield* Latch.make()
      const spawning = yield* begin(spawn("a", { setup: hold.await }))
      const restarting = yield* begin((yield* find("/user/a")).restart)
      assert.isUndefined(restarting.pollUnsafe())
      yield* hold.open
      yield* turns
      assert.isDefined(spawning.pollUnsafe())
      assert.deepStrictEqual(restarting.pollUnsafe(), Exit.void)
    })))

  it.effect("may be the actor itself, whose handler is interrupted", () =>
    run(Effect.gen(function*() {
      const log: Array<string> = []
      const ref = yield* spawn("a")
      yield* tell(ref, Effect.flatMap(self, ({ restart }) => Effect.andThen(restart, hang(log))))
      assert.deepStrictEqual(yield* settle(ref.ask("Ping")), Exit.succeed("pong"))
      assert.deepStrictEqual((yield* ActorSystem.list).map(({ restarts }) => restarts), [1])
    })))
})
