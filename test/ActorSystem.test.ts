import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Latch, Layer, Metric, Redacted, Schedule, Schema, Scope, Stream } from "effect"
import { Rpc } from "effect/rpc"
import { TestClock } from "effect/testing"
import { inspect } from "node:util"
import * as Actor from "../src/Actor.ts"
import * as ActorSystem from "../src/ActorSystem.ts"
import * as Mailbox from "../src/Mailbox.ts"
import * as Supervisor from "../src/Supervisor.ts"
import { TestActor } from "../src/testing/index.ts"
import {
  ask,
  begin,
  collectEvents,
  lines,
  makeSystem,
  outcome,
  puppet,
  type PuppetOptions,
  type PuppetRef,
  run,
  spawn,
  tell,
  turns
} from "./fixtures/actors.ts"

const Echo = Actor.make("Echo", [
  Rpc.make("Say", { payload: { text: Schema.String }, success: Schema.String }),
  Rpc.make("Hang"),
  Rpc.make("Die")
])

const makeEcho = (log: Array<string> = [], hang: Effect.Effect<void> = Effect.never) =>
  Echo.behavior(
    Effect.as(Effect.addFinalizer(() => Effect.sync(() => log.push("released"))), {
      Say: ({ text }) => Effect.succeed(text),
      Hang: () => Effect.onInterrupt(hang, () => Effect.sync(() => log.push("interrupted"))),
      Die: () => Effect.die("boom")
    }),
    { mailbox: Mailbox.bounded(1, "dropNewest"), supervisor: Supervisor.restart(Schedule.recurs(1)) }
  )

const Other = Actor.make("Other", [Rpc.make("X")])

describe("ActorSystem", () => {
  it.effect("lookup finds a running actor by its path, and says what is wrong otherwise", () =>
    run(Effect.gen(function*() {
      const ref = yield* Actor.spawn(makeEcho(), { name: "e" })
      const found = yield* ActorSystem.lookup(Echo, "/user/e")
      assert.strictEqual(yield* found.ask("Say", { text: "hi" }), "hi")
      for (const path of ["/user/x", "/user", "e", "/other/e", "/user/e/child"]) {
        assert.strictEqual((yield* Effect.flip(ActorSystem.lookup(Echo, path))).message, `${path}: no such actor`)
      }
      const other = yield* Effect.flip(ActorSystem.lookup(Other, "/user/e"))
      assert.strictEqual(other.message, "/user/e: its protocol is Echo, not Other")
      const namesake = yield* Effect.flip(ActorSystem.lookup(Actor.make("Echo", []), "/user/e"))
      assert.strictEqual(namesake.reason._tag, "OtherProtocol")
      yield* ref.stop
      assert.strictEqual((yield* Effect.flip(ActorSystem.lookup(Echo, "/user/e"))).reason._tag, "NotFound")
    })))

  it.effect("two systems share no names and no end", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const two = yield* Layer.buildWithScope(ActorSystem.layer({ name: "two" }), scope)
      const three = yield* Layer.build(ActorSystem.layer({ name: "three" }))
      const ref = yield* Effect.provide(Actor.spawn(makeEcho(), { name: "e" }), two)
      const kept = yield* Effect.provide(Actor.spawn(makeEcho(), { name: "e" }), three)
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual((yield* ref.awaitStopped).reason._tag, "Stopped")
      assert.strictEqual(yield* kept.ask("Say", { text: "still here" }), "still here")
    }))

  it.effect("events tell of starts, crashes, restarts, drops, dead letters and ends, in order", () =>
    run(Effect.gen(function*() {
      const collected = yield* Effect.forkChild(
        Stream.runCollect(Stream.takeUntil(ActorSystem.events, ({ _tag }) => _tag === "DeadLetter")),
        { startImmediately: true }
      )
      yield* turns
      const ref = yield* Actor.spawn(makeEcho(), { name: "e" })
      yield* Effect.ignore(ref.ask("Die"))
      yield* ref.pause
      yield* ref.tell("Say", { text: "kept" })
      yield* ref.tell("Say", { text: "dropped" })
      yield* ref.resume
      yield* ref.drain
      yield* Effect.ignore(ref.tell("Say", { text: "late" }))
      const events = yield* Fiber.join(collected)
      assert.deepStrictEqual(
        events.map((event) => [event._tag, event.path]),
        ["Started", "Crashed", "Restarted", "MessageDropped", "Stopped", "DeadLetter"].map((tag) => [tag, "/user/e"])
      )
      assert.deepStrictEqual(
        events.flatMap((event) => "payload" in event ? [Redacted.value(event.payload)] : []),
        [{ text: "dropped" }, { text: "late" }]
      )
    })))

  it.effect("events show nobody what was in a message", () =>
    run(Effect.gen(function*() {
      const ref = yield* Actor.spawn(makeEcho(), { name: "e" })
      const events = yield* collectEvents
      yield* ref.pause
      for (let i = 0; i < 2; i++) yield* ref.tell("Say", { text: "secret" })
      yield* ref.stop
      yield* turns
      assert.deepStrictEqual(lines(events), ["MessageDropped /user/e", "DeadLetter /user/e", "Stopped /user/e"])
      assert.notInclude(JSON.stringify(events), "secret")
      assert.notInclude(inspect(events, { depth: 9 }), "secret")
    })))

  it.effect("list says of each actor what it has done and what waits for it", () =>
    run(Effect.gen(function*() {
      const mailbox = Mailbox.bounded(2, "block")
      const ref = yield* spawn("a", { mailbox, supervisor: Supervisor.restart(Schedule.forever) })
      yield* spawn("b", { setup: spawn("c") })
      for (let i = 0; i < 3; i++) yield* ref.ask("Ping")
      for (let i = 0; i < 2; i++) yield* outcome(ask(ref, Effect.die("boom")))
      const idle = { protocol: "Puppet", state: "Running", mailboxSize: 0, restarts: 0, blocked: 0, handled: 0 }
      assert.deepStrictEqual(yield* ActorSystem.list, [
        { ...idle, path: "/user/a", capacity: 2, restarts: 2, handled: 5 },
        { ...idle, path: "/user/b", capacity: 1024 },
        { ...idle, path: "/user/b/c", capacity: 1024 }
      ] as ReadonlyArray<ActorSystem.ActorInfo>)
      yield* tell(ref, Effect.never)
      for (let i = 0; i < 2; i++) yield* ref.tell("Ping")
      for (let i = 0; i < 3; i++) yield* begin(ref.tell("Ping"))
      assert.deepInclude((yield* ActorSystem.list)[0], { mailboxSize: 2, blocked: 3, capacity: 2 })
    })))

  it.effect("its release lets handlers finish", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const latch = yield* Latch.make()
      const scope = yield* Scope.make()
      const system = yield* Layer.buildWithScope(ActorSystem.layer({ name: "s" }), scope)
      const ref = yield* Effect.provide(Actor.spawn(makeEcho(log, latch.await)), system)
      const ask = yield* Effect.forkChild(ref.ask("Hang"))
      yield* turns
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
      yield* turns
      yield* latch.open
      yield* Fiber.join(closing)
      yield* Fiber.join(ask)
      assert.deepStrictEqual(log, ["released"])
    }))

  it.effect("its release interrupts handlers after the shutdownTimeout; their askers get Stopped", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const scope = yield* Scope.make()
      const layer = ActorSystem.layer({ name: "s", shutdownTimeout: "5 seconds" })
      const system = yield* Layer.buildWithScope(layer, scope)
      const ref = yield* Effect.provide(Actor.spawn(makeEcho(log)), system)
      const ask = yield* Effect.forkChild(Effect.flip(ref.ask("Hang")))
      yield* turns
      const queued = yield* Effect.forkChild(Effect.flip(ref.ask("Hang")))
      yield* Effect.provide(Actor.spawn(makeEcho([], Effect.never)), system).pipe(
        Effect.flatMap((last) => last.tell("Hang"))
      )
      yield* turns
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
      yield* TestClock.adjust("4 seconds")
      assert.isUndefined(closing.pollUnsafe())
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(closing)
      assert.deepStrictEqual(log, ["interrupted", "released"])
      assert.strictEqual((yield* Fiber.join(ask)).reason._tag, "Stopped")
      assert.strictEqual((yield* Fiber.join(queued)).reason._tag, "Stopped")
    }))

  it.effect("its release interrupts streams that are being consumed after the shutdownTimeout", () =>
    Effect.gen(function*() {
      const Feed = Actor.make("Feed", [Rpc.make("Items", { success: Schema.Finite, stream: true })])
      const scope = yield* Scope.make()
      const system = yield* Layer.buildWithScope(ActorSystem.layer({ name: "s", shutdownTimeout: "5 seconds" }), scope)
      const ref = yield* Effect.provide(
        Actor.spawn(Feed.behavior(Effect.succeed({ Items: () => Stream.concat(Stream.make(1), Stream.never) }))),
        system
      )
      const consumer = yield* Effect.forkChild(Effect.flip(Stream.runDrain(ref.stream("Items"))))
      yield* turns
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
      yield* TestClock.adjust("4 seconds")
      assert.isUndefined(consumer.pollUnsafe())
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(closing)
      assert.strictEqual((yield* Fiber.join(consumer)).reason._tag, "Stopped")
    }))

  it.effect("its release waits for a first setup no longer than the shutdownTimeout", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const latch = yield* Latch.make()
      const scope = yield* Scope.make()
      const system = yield* Layer.buildWithScope(ActorSystem.layer({ name: "s", shutdownTimeout: "5 seconds" }), scope)
      const slow = Other.behavior(Effect.gen(function*() {
        yield* Effect.addFinalizer(() => Effect.sync(() => log.push("released")))
        yield* latch.await
        return { X: () => Effect.void }
      }))
      yield* Effect.forkChild(
        Effect.provide(
          Stream.runForEach(ActorSystem.events, ({ _tag, path }) => Effect.sync(() => log.push(`${_tag} ${path}`))),
          system
        ),
        { startImmediately: true }
      )
      const spawning = yield* Effect.forkChild(Effect.flip(Effect.provide(Actor.spawn(slow, { name: "slow" }), system)))
      yield* turns
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
      yield* TestClock.adjust("5 seconds")
      yield* Fiber.join(closing)
      yield* turns
      assert.deepStrictEqual(log, ["released", "Stopped /user/slow", "Stopped /user"])
      yield* latch.open
      assert.strictEqual((yield* Fiber.join(spawning)).reason._tag, "ParentStopped")
      yield* turns
      assert.deepStrictEqual(log, ["released", "Stopped /user/slow", "Stopped /user"])
    }))

  it("a negative shutdownTimeout is a defect that names it", () =>
    assert.throws(
      () => ActorSystem.layer({ name: "s", shutdownTimeout: -1 }),
      "ActorSystem.layer: shutdownTimeout must be a duration that is not negative, got"
    ))

  it.effect("metrics count messages by protocol; gauges go with the system, counters stay to be exported", () =>
    Effect.gen(function*() {
      const values = Effect.map(Metric.snapshot, (snapshot) =>
        Object.fromEntries(
          snapshot.flatMap((metric) =>
            metric.attributes?.["system"] === "metered" && (metric.type === "Counter" || metric.type === "Gauge")
              ? [[metric.id, "count" in metric.state ? metric.state.count : metric.state.value]]
              : []
          )
        ))
      const job = (count: number) =>
        Effect.gen(function*() {
          const ref = yield* Actor.spawn(makeEcho())
          yield* ref.ask("Say", { text: "a" })
          yield* Effect.ignore(ref.ask("Die"))
          yield* ref.ask("Say", { text: "b" })
          assert.deepInclude(yield* values, {
            troupe_messages_sent_total: 3 * count,
            troupe_messages_handled_total: 3 * count,
            troupe_crashes_total: count,
            troupe_restarts_total: count,
            troupe_actors: 1,
            troupe_mailbox_size: 0
          })
        }).pipe(Effect.provide(ActorSystem.layer({ name: "metered", timings: true })))
      for (const count of [1, 2]) {
        yield* job(count)
        const last = yield* values
        assert.deepInclude(last, { troupe_messages_handled_total: 3 * count, troupe_crashes_total: count })
        assert.notProperty(last, "troupe_actors")
        assert.notProperty(last, "troupe_mailbox_size")
      }
      const timings = (yield* Metric.snapshot).find(({ id }) => id === "troupe_processing_time")
      assert.isTrue(timings?.type === "Histogram" && timings.state.count === 6)
    }))
})

describe("A tree 10,000 deep", () => {
  const depth = 10_000

  /** Actors, each the child of the one before; the root comes first. */
  const grow = (options: PuppetOptions = {}) =>
    Effect.gen(function*() {
      const behavior = puppet(options)
      const refs: Array<PuppetRef> = [yield* Actor.spawn(behavior)]
      while (refs.length < depth) {
        const child = Effect.orDie(Actor.spawn(behavior))
        refs.push((yield* ask(refs.at(-1)!, child)) as PuppetRef)
      }
      return refs
    })

  it.effect("can be listed and measured", () =>
    run(
      Effect.gen(function*() {
        yield* grow()
        const infos = yield* ActorSystem.list
        assert.strictEqual(infos.length, depth)
        const gauge = (yield* Metric.snapshot).find(({ attributes, id }) =>
          id === "troupe_actors" && attributes?.["system"] === "deep" && attributes?.["protocol"] === "Puppet"
        )
        assert(gauge?.type === "Gauge")
        assert.strictEqual(gauge.state.value, depth)
      }),
      { name: "deep" }
    ))

  it.effect("can be stopped and killed, leaves first", () =>
    run(Effect.gen(function*() {
      for (const end of ["stop", "kill"] as const) {
        const released: Array<number> = []
        let count = 0
        const setup = Effect.suspend(() => {
          const n = count++
          return Effect.addFinalizer(() => Effect.sync(() => released.push(n)))
        })
        const [root] = yield* grow({ setup })
        yield* root![end]
        assert.deepStrictEqual(released, Array.from({ length: depth }, (_, i) => depth - 1 - i))
        assert.deepStrictEqual(yield* ActorSystem.list, [])
      }
    })))

  it.effect("can be escalated from the leaf to the root of the system", () =>
    run(Effect.gen(function*() {
      const refs = yield* grow({ supervisor: Supervisor.escalate })
      yield* TestActor.crash(refs.at(-1)!, "at the bottom")
      const reason = yield* ActorSystem.awaitStopped
      assert.isTrue(reason._tag === "Crashed" && Cause.squash(reason.cause) === "at the bottom")
    })))

  it.effect("restarts with its root", () =>
    run(Effect.gen(function*() {
      const [root, ...below] = yield* grow({ supervisor: Supervisor.restart(Schedule.forever) })
      yield* TestActor.crash(root!)
      assert.strictEqual(yield* root!.ask("Ping"), "pong")
      assert.strictEqual((yield* below.at(-1)!.awaitStopped).reason._tag, "Stopped")
      assert.strictEqual((yield* ActorSystem.list).length, 1)
    })))

  it.effect("ends with its system", () =>
    Effect.gen(function*() {
      const { release, system } = yield* makeSystem()
      const refs = yield* Effect.provide(grow(), system)
      yield* release
      assert.strictEqual((yield* refs.at(-1)!.awaitStopped).reason._tag, "Stopped")
    }))
})
