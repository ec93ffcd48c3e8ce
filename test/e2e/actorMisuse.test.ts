/** Actors under the real clock: what looks like a deadlock and is none, operators, and user code that breaks. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Latch, Schedule, Scheduler } from "effect"
import { AsyncLocalStorage } from "node:async_hooks"
import * as Actor from "../../src/Actor.ts"
import * as ActorSystem from "../../src/ActorSystem.ts"
import * as Mailbox from "../../src/Mailbox.ts"
import * as Router from "../../src/Router.ts"
import * as Supervisor from "../../src/Supervisor.ts"
import { ask, outcome, Puppet, puppet, self, spawn } from "../fixtures/actors.ts"

const one = Mailbox.bounded(1)
const system = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.provide(effect, ActorSystem.layer({ name: "t", shutdownTimeout: 200 }))
const soon = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.timeoutOrElse(effect, { duration: 5000, orElse: () => Effect.succeed("HANGS" as const) })

describe("no Deadlock is false", () => {
  it.live("a consumer asks its producer, whose blocked tell has just got room", () =>
    system(Effect.gen(function*() {
      const consumer = yield* spawn("consumer", { mailbox: one })
      const producer = yield* spawn("producer")
      const busy = yield* Latch.make()
      let answer: unknown, told: unknown
      yield* consumer.tell("Do", { act: busy.await })
      yield* Effect.sleep(100)
      const askProducer = Effect.tap(outcome(producer.ask("Ping")), (o) => Effect.sync(() => void (answer = o)))
      yield* consumer.tell("Do", { act: askProducer }) // waits in the mailbox: full
      yield* producer.tell("Do", { // waits for room
        act: Effect.tap(outcome(consumer.tell("Ping")), (o) => Effect.sync(() => void (told = o ?? "accepted")))
      })
      yield* Effect.sleep(100)
      yield* busy.open // askProducer is taken, the producer's Ping gets its place: nobody waits for anybody in a circle
      yield* Effect.sleep(200)
      assert.deepStrictEqual({ answer, told }, { answer: "pong", told: "accepted" })
    })))

  it.live("b asks a in the tick in which a is refused by its own full mailbox", () =>
    system(Effect.gen(function*() {
      const a = yield* spawn("a", { mailbox: one }), b = yield* spawn("b")
      const start = yield* Latch.make()
      const out: Record<string, unknown> = {}
      const noting = (name: string, effect: Effect.Effect<unknown>) =>
        Effect.andThen(start.await, Effect.tap(effect, (o) => Effect.sync(() => void (out[name] = o))))
      const fa = yield* Effect.forkChild(ask(a, noting("a", outcome(a.tell("Ping")))))
      yield* Effect.sleep(100)
      yield* a.tell("Ping")
      const fb = yield* Effect.forkChild(ask(b, noting("b", outcome(a.ask("Ping")))))
      yield* Effect.sleep(100)
      yield* start.open
      yield* Fiber.await(fa)
      yield* Fiber.await(fb)
      assert.deepStrictEqual(out, { a: "MailboxFull", b: "pong" })
    })))
})

/** Makes each fiber yield before its first operation. */
class HesitantScheduler extends Scheduler.MixedScheduler {
  readonly seen = new WeakSet<object>()
  override shouldYield(fiber: Fiber.Fiber<unknown, unknown>) {
    if (this.seen.has(fiber)) return super.shouldYield(fiber)
    this.seen.add(fiber)
    return true
  }
}

describe("a scheduler that explores interleavings", () => {
  it.live("may make a fiber yield before its first operation", () =>
    system(Effect.gen(function*() {
      const ref = yield* Actor.spawn(puppet(), { name: "a" })
      for (let i = 0; i < 3; i++) assert.strictEqual(yield* ref.ask("Ping"), "pong")
    })).pipe(Effect.provideService(Scheduler.Scheduler, new HesitantScheduler())))
})

describe("A router", () => {
  it.live("that an operator restarts has its routees again", () =>
    system(Effect.gen(function*() {
      const pool = yield* Router.spawn(puppet(), { size: 2, strategy: "roundRobin", name: "r" })
      yield* pool.restart
      yield* Effect.sleep(1500)
      const paths = (yield* ActorSystem.list).map(({ path }) => path)
      assert.deepStrictEqual([yield* outcome(pool.ask("Ping")), ...paths], [
        "pong",
        "/user/r",
        "/user/r/1",
        "/user/r/2"
      ])
    })))
})

describe("nothing that user code does can leave the dispatcher in a broken state", () => {
  for (
    const [what, defect] of [
      ["getter", () => ({
        get x() {
          throw new Error("getter")
        }
      })],
      ["proxy", () =>
        new Proxy({}, {
          ownKeys() {
            throw new Error("proxy")
          }
        })]
    ] as const
  ) {
    it.live(`a policy that throws an object whose ${what} throws stops the actor`, () =>
      system(Effect.gen(function*() {
        const a = yield* spawn("a", {
          supervisor: Supervisor.decide(() => {
            throw defect()
          })
        })
        assert.notStrictEqual(yield* soon(outcome(ask(a, Effect.die("boom")))), "HANGS")
        const end = yield* soon(a.awaitStopped)
        assert.notStrictEqual(end, "HANGS")
      })))
  }
})

describe("restart", () => {
  it.live("called in the first setup does not keep spawn waiting for ever", () =>
    system(Effect.gen(function*() {
      let n = 0
      const setup = Effect.suspend(() => ++n === 1 ? Effect.flatMap(self, (me) => me.restart) : Effect.void)
      assert.notStrictEqual(yield* soon(outcome(spawn("a", { stopTimeout: 50, setup }))), "HANGS")
    })))

  it.live("called in the setup of a restart does not keep the actor from its messages for ever", () =>
    system(Effect.gen(function*() {
      let n = 0
      const setup = Effect.suspend(() => ++n === 2 ? Effect.flatMap(self, (me) => me.restart) : Effect.void)
      const a = yield* spawn("a", { stopTimeout: 50, setup, supervisor: Supervisor.restart(Schedule.forever) })
      yield* outcome(ask(a, Effect.die("boom")))
      assert.strictEqual(yield* soon(outcome(a.ask("Ping"))), "pong")
    })))

  it.live("of an actor whose setup hangs at a restart starts the next incarnation now", () =>
    system(Effect.gen(function*() {
      let n = 0
      const setup = Effect.suspend(() => ++n === 2 ? Effect.never : Effect.void)
      const a = yield* spawn("a", { stopTimeout: 50, setup, supervisor: Supervisor.restart(Schedule.forever) })
      yield* outcome(ask(a, Effect.die("boom")))
      assert.notStrictEqual(yield* soon(a.restart), "HANGS")
      assert.strictEqual(yield* soon(outcome(a.ask("Ping"))), "pong")
    })))
})

describe("Async context", () => {
  it.live("of a told message does not depend on whether it came in a burst", () =>
    system(Effect.gen(function*() {
      const store = new AsyncLocalStorage<number>()
      const a = yield* spawn("a")
      const seen: Array<readonly [number, number | undefined]> = []
      const tell = (i: number) =>
        store.run(i, () =>
          Effect.runPromise(a.tell("Do", { act: Effect.sync(() => void seen.push([i, store.getStore()])) })))
      for (const i of [1, 2]) {
        yield* Effect.promise(() =>
          tell(i)
        ).pipe(Effect.andThen(Effect.sleep(100)))
      }
      const alone = seen.splice(0)
      yield* Effect.promise(() => Promise.all([tell(1), tell(2)]))
      yield* Effect.sleep(100)
      assert.deepStrictEqual(seen, alone)
    })))
})

describe("Watching a dead actor twice", () => {
  it.live("from two messages of one incarnation is one notice", () =>
    system(Effect.gen(function*() {
      const a = yield* spawn("a"), b = yield* spawn("b")
      let notices = 0
      const watch = Actor.watch(b, () => Puppet.message("Do", { act: Effect.sync(() => void notices++) }))
      yield* b.stop
      yield* ask(a, watch)
      yield* ask(a, watch)
      yield* Effect.sleep(100)
      assert.strictEqual(notices, 1)
    })))
})
