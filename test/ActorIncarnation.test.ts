import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Latch, Logger, Schedule, Schema } from "effect"
import { Rpc } from "effect/rpc"
import { TestClock } from "effect/testing"
import * as Actor from "../src/Actor.ts"
import * as ActorSystem from "../src/ActorSystem.ts"
import * as Supervisor from "../src/Supervisor.ts"
import { ActorProbe, TestActor } from "../src/testing/index.ts"

const run = <A, E>(effect: Effect.Effect<A, E, ActorSystem.ActorSystem>) =>
  Effect.provide(effect, ActorSystem.layer({ name: "test" }))

const turn = Effect.gen(function*() {
  for (let i = 0; i < 10; i++) yield* Effect.yieldNow
})

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
      yield* turn
      yield* TestActor.crash(ref)
      yield* turn
      yield* watched.stop
      yield* turn
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
      yield* turn
      yield* TestActor.crash(ref)
      yield* turn
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
        yield* turn
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
      assert.deepStrictEqual(logged, ["setup failed at a restart", `${leaky.path}: releasing its resources failed`])
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

describe("Actor spans", () => {
  it.effect("a told message's span is its sender's, names the actor, and outlives no spawner", () =>
    run(Effect.gen(function*() {
      const spans: Array<readonly [string, string | undefined, unknown]> = []
      const note = Effect.map(Effect.option(Effect.currentSpan), (span) => {
        if (span._tag === "None") return void spans.push(["none", undefined, undefined])
        const parent = span.value.parent
        const name = parent._tag === "Some" && parent.value._tag === "Span" ? parent.value.name : undefined
        spans.push([span.value.name, name, span.value.attributes.get("actor")])
      })
      const ref = yield* Effect.withSpan(
        Actor.spawn(
          Job.behavior(Effect.succeed({ Do: () => note, Ended: () => note, Seen: () => Effect.succeed([]) })),
          {
            name: "job"
          }
        ),
        "spawner"
      )
      yield* ref.tell("Do")
      yield* Effect.withSpan(ref.tell("Do"), "teller")
      yield* ref.ask("Seen")
      assert.deepStrictEqual(spans, [["none", undefined, undefined], ["Job.Do", "teller", "/user/job"]])
    })))
})

describe("ActorProbe", () => {
  it.effect("expect dies of another message, and expectNone of any", () =>
    run(Effect.gen(function*() {
      const probe = yield* ActorProbe.make(Job)
      yield* probe.ref.tell("Do")
      assert.include(String(yield* Effect.exit(probe.expect("Ended"))), "expected Ended, received Do")
      yield* probe.ref.tell("Do")
      assert.include(String(yield* Effect.exit(probe.expectNone)), "expected no message, received Do")
    })))
})
