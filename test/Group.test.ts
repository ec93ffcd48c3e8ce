import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Latch, Schedule } from "effect"
import { Rpc } from "effect/rpc"
import { TestClock } from "effect/testing"
import * as Actor from "../src/Actor.ts"
import * as ActorSystem from "../src/ActorSystem.ts"
import * as Group from "../src/Group.ts"
import * as Supervisor from "../src/Supervisor.ts"
import { TestActor } from "../src/testing/index.ts"
import { find, makeLog, pass, puppet, run, settle, spawn, tell, turns } from "./fixtures/actors.ts"
import { crash, immediately, makeWorker, Worker } from "./fixtures/workers.ts"

describe("Group", () => {
  const start = (strategy: Group.Strategy, options?: {
    readonly restart?: Supervisor.Restart
    readonly kinds?: ReadonlyArray<"permanent" | "transient" | "temporary">
  }) =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const children = ["a", "b", "c"].map((name, i) =>
        Group.child(makeWorker(name, log), { name, restart: options?.kinds?.[i] })
      )
      const group = yield* Actor.spawn(
        Group.make(strategy, children, { restart: options?.restart ?? immediately }),
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
      yield* turns
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
      yield* turns
      assert.deepStrictEqual(log, ["end c", "end b", "start b", "start c"])
    })))

  it.effect("a permanent child that stops is started anew under its name, a transient one only after a crash", () =>
    run(Effect.gen(function*() {
      const { child, clear, log } = yield* start("oneForOne", { kinds: ["permanent", "transient", "temporary"] })
      const [a, b, c] = [yield* child("a"), yield* child("b"), yield* child("c")]
      yield* clear
      yield* a.stop
      yield* turns
      assert.deepStrictEqual(log, ["end a", "start a"])
      assert.strictEqual(yield* (yield* child("a")).ask("Add"), 1)
      yield* clear
      yield* crash(b)
      assert.strictEqual(yield* b.ask("Add"), 1)
      yield* b.stop
      yield* crash(c)
      yield* turns
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
      yield* turns
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
      yield* turns
      assert.deepStrictEqual(log, ["end c", "end b", "end a", "start a", "start b", "start c"])
    })))

  it.effect("a child whose setup fails at a restart is the next one to mend", () =>
    run(Effect.gen(function*() {
      const log: Array<string> = []
      let starts = 0
      const fails = Effect.suspend(() => ++starts === 2 ? Effect.fail("no disk") : Effect.void)
      const children = [
        Group.child(makeWorker("a", log), { name: "a" }),
        Group.child(makeWorker("b", log, undefined, fails), { name: "b" }),
        Group.child(makeWorker("c", log), { name: "c" })
      ]
      yield* Actor.spawn(Group.make("restForOne", children, { restart: immediately }), { name: "group" })
      const a = yield* ActorSystem.lookup(Worker, "/user/group/a")
      yield* crash(a)
      yield* turns
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
      yield* turns
      yield* group.stop
      assert.deepStrictEqual(log.slice(3), ["end c", "end b", "end a"])
    })))

  it.effect("names the child that cannot start, and the second of two with one name", () =>
    run(Effect.gen(function*() {
      const log: Array<string> = []
      const good = Group.child(makeWorker("good", log), { name: "good" })
      const twice = yield* Effect.flip(Actor.spawn(Group.make("oneForOne", [good, good]), { name: "g" }))
      assert.strictEqual(String(twice).includes("/user/g/good: the name is taken"), true)
      assert.deepStrictEqual(log, ["start good", "end good"])
      const bad = Group.child(makeWorker("bad", log, undefined, Effect.fail("no disk")), { name: "bad" })
      assert.strictEqual(yield* Effect.flip(Actor.spawn(Group.make("oneForOne", [good, bad]))), "no disk")
    })))

  it.effect("its schedule's backoff starts afresh after a healthy minute, its intensity counts on", () =>
    run(Effect.gen(function*() {
      const restart = Supervisor.restart(Schedule.max([
        Supervisor.intensity({ restarts: 3, within: "1 hour" }),
        Schedule.exponential("1 second")
      ]))
      const { child, group } = yield* start("oneForOne", { restart })
      // The crashes of all its children are the group's.
      for (const name of ["a", "b", "a"]) {
        yield* crash(yield* child(name))
        yield* pass("1 second")
        assert.deepStrictEqual(yield* settle((yield* child(name)).ask("Add")), Exit.succeed(1))
        yield* pass("10 minutes")
      }
      yield* crash(yield* child("b"))
      const ended = yield* settle(group.awaitStopped)
      assert(ended !== undefined && Exit.isSuccess(ended))
      assert.strictEqual(ended.value.reason._tag, "Crashed")
    })))

  it.effect("its intensity forgets what is longer ago than its span", () =>
    run(Effect.gen(function*() {
      const restart = Supervisor.restart(Supervisor.intensity({ restarts: 2, within: "1 hour" }))
      const { child } = yield* start("oneForAll", { restart })
      for (let i = 0; i < 6; i++) {
        const a = yield* child("a")
        yield* crash(a)
        yield* turns
        assert.deepStrictEqual(yield* settle(a.ask("Add")), Exit.succeed(1))
        yield* pass("31 minutes")
      }
    })))

  const hanging = {
    "a child that cannot be interrupted": { path: "/user/group/puppet", kind: "permanent", uninterruptible: true },
    "a temporary child": { path: "/user/group/puppet", kind: "temporary", uninterruptible: false },
    "a child's child": { path: "/user/group/puppet/below", kind: "permanent", uninterruptible: false }
  } as const

  for (const [who, { kind, path, uninterruptible }] of Object.entries(hanging)) {
    it.effect(`goes on though ${who} hangs`, () =>
      run(Effect.gen(function*() {
        const log: Array<string> = []
        const latch = yield* Latch.make()
        const children = [
          Group.child(makeWorker("worker", log), { name: "worker" }),
          Group.child(puppet({ setup: spawn("below") }), { name: "puppet", restart: kind })
        ]
        const restart = { restart: immediately }
        const group = yield* Actor.spawn(Group.make("oneForAll", children, restart), { name: "group" })
        const worker = yield* ActorSystem.lookup(Worker, "/user/group/worker")
        yield* tell(yield* find(path), uninterruptible ? Rpc.uninterruptible(latch.await) : Effect.never)
        yield* crash(worker)
        yield* pass("10 seconds")
        assert.deepStrictEqual(log, ["start worker", "end worker", "start worker"])
        assert.deepStrictEqual(yield* settle(worker.ask("Add")), Exit.succeed(1))
        const puppets = (yield* ActorSystem.list).filter(({ path }) => path === "/user/group/puppet")
        assert.strictEqual(puppets.length, kind === "temporary" ? 0 : 1)
        assert.isDefined(yield* settle(group.stop))
        yield* latch.open
      })))
  }

  it.effect("that is given up is logged with the child's path", () => {
    const { layer, logged } = makeLog()
    return run(Effect.gen(function*() {
      const { child, group } = yield* start("oneForOne", { restart: Supervisor.restart(Schedule.recurs(1)) })
      for (let i = 0; i < 2; i++) {
        yield* crash(yield* child("b"), "no disk")
        yield* turns
      }
      assert.isDefined(yield* settle(group.awaitStopped))
      const errors = logged.filter((line) => line.startsWith("Error") && line.includes("no disk"))
      assert.isTrue(errors.some((line) => line.includes("/user/group/b")))
    })).pipe(Effect.provide(layer))
  })

  it.effect("is a behavior like any other: groups nest, and the inner one's end is the outer one's crash", () =>
    run(Effect.gen(function*() {
      const log: Array<string> = []
      const inner = Group.make("oneForOne", [Group.child(makeWorker("w", log), { name: "w" })], {
        restart: Supervisor.restart(Schedule.recurs(1))
      })
      yield* Actor.spawn(Group.make("oneForOne", [Group.child(inner, { name: "inner" })], { restart: immediately }), {
        name: "outer"
      })
      for (let i = 0; i < 2; i++) {
        yield* crash(yield* ActorSystem.lookup(Worker, "/user/outer/inner/w"))
        yield* turns
      }
      assert.deepStrictEqual(log, ["start w", "end w", "start w", "end w", "start w"])
    })))

  it.effect("has a child that escalates mended as one that crashed", () =>
    run(Effect.gen(function*() {
      const setup = spawn("below", { supervisor: Supervisor.escalate })
      yield* Actor.spawn(
        Group.make("oneForOne", [Group.child(puppet({ setup }), { name: "above" })], { restart: immediately }),
        { name: "group" }
      )
      yield* TestActor.crash(yield* find("/user/group/above/below"))
      yield* turns
      assert.deepStrictEqual(yield* settle((yield* find("/user/group/above/below")).ask("Ping")), Exit.succeed("pong"))
    })))
})
