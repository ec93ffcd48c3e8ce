import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Latch, Random, Schema, Stream } from "effect"
import { Rpc } from "effect/rpc"
import { TestClock } from "effect/testing"
import { expectTypeOf } from "vitest"
import * as Actor from "../src/Actor.ts"
import * as ActorSystem from "../src/ActorSystem.ts"
import * as Mailbox from "../src/Mailbox.ts"
import * as Router from "../src/Router.ts"
import * as Supervisor from "../src/Supervisor.ts"
import { pass, run } from "./fixtures/actors.ts"

const Worker = Actor.make("Worker", [
  Rpc.make("Who", { success: Schema.String }),
  Rpc.make("For", { payload: { key: Schema.String }, success: Schema.String }),
  Rpc.make("Note", { payload: { text: Schema.String } }),
  Rpc.make("Wait", { success: Schema.String }),
  Rpc.make("Try", { success: Schema.String, error: Schema.String }),
  Rpc.make("Crash"),
  Rpc.make("UpTo", { payload: { n: Schema.Int }, success: Schema.Int, stream: true })
])

/** What the routees did, what holds back `Wait`, and how many setups still succeed. */
const makeWorld = () => {
  const notes: Array<string> = []
  const interrupted: Array<string> = []
  const latch = Latch.makeUnsafe()
  const setups = { left: Number.POSITIVE_INFINITY }
  const worker = (options?: Actor.BehaviorOptions) =>
    Worker.behavior(
      Effect.gen(function*() {
        yield* Effect.yieldNow
        if (setups.left-- <= 0) return yield* Effect.fail("full")
        const { path } = yield* Actor.self(Worker)
        const me = path.slice(path.lastIndexOf("/") + 1)
        const wait = Effect.as(Effect.onInterrupt(latch.await, () => Effect.sync(() => interrupted.push(me))), me)
        return {
          Who: () => Effect.succeed(me),
          For: () => Effect.succeed(me),
          Note: ({ text }) =>
            Effect.sync(() => {
              notes.push(`${me}: ${text}`)
            }),
          Wait: () => wait,
          // Only the third succeeds, after the second has failed; the others wait for ever.
          Try: () => me === "2" ? Effect.fail("no") : me === "3" ? Effect.as(Effect.sleep("1 second"), me) : wait,
          Crash: () => Effect.die("crash"),
          UpTo: ({ n }) => me === "1" ? Stream.never : Stream.range(1, n)
        }
      }),
      options
    )
  return { interrupted, latch, notes, setups, worker }
}

const repeat = <A, E, R>(times: number, effect: Effect.Effect<A, E, R>) =>
  Effect.all(Array.from({ length: times }, () => effect))

const settled = repeat(20, Effect.yieldNow)

/** The latch opens at the end, so that no waiting handler holds up the system's end. */
const inWorld = <A, E>(body: (world: ReturnType<typeof makeWorld>) => Effect.Effect<A, E, ActorSystem.ActorSystem>) => {
  const world = makeWorld()
  return run(Effect.ensuring(body(world), world.latch.open))
}

const test = (name: string, body: Parameters<typeof inWorld<void, unknown>>[0]) => it.effect(name, () => inWorld(body))

describe("Router", () => {
  test(
    "roundRobin gives each routee its turn",
    Effect.fnUntraced(function*({ worker }) {
      const pool = yield* Router.spawn(worker(), { size: 3, strategy: "roundRobin", name: "pool" })
      assert.deepStrictEqual(yield* repeat(6, pool.ask("Who")), ["1", "2", "3", "1", "2", "3"])
      assert.strictEqual(pool.path, "/user/pool")
    })
  )

  test(
    "random is drawn from Effect's Random and reaches every routee",
    Effect.fnUntraced(function*({ worker }) {
      const pool = yield* Router.spawn(worker(), { size: 3, strategy: "random" })
      const draw = repeat(50, pool.ask("Who")).pipe(Random.withSeed("seed"))
      const first = yield* draw
      assert.deepStrictEqual(yield* draw, first)
      assert.deepStrictEqual([...new Set(first)].sort(), ["1", "2", "3"])
    })
  )

  test(
    "leastLoaded counts senders that wait for room",
    Effect.fnUntraced(function*({ latch, notes, worker }) {
      const options = { size: 2, strategy: "leastLoaded", name: "pool" } as const
      const pool = yield* Router.spawn(worker({ mailbox: Mailbox.bounded(1, "block") }), options)
      const [first, second] = yield* Effect.all(
        ["/user/pool/1", "/user/pool/2"].map((path) => ActorSystem.lookup(Worker, path))
      )
      const tell = (ref: Actor.RefOf<typeof Worker>, text: string) =>
        Effect.forkChild(ref.tell("Note", { text }), { startImmediately: true })
      for (const ref of [first!, second!]) {
        yield* Effect.forkChild(ref.ask("Wait"), { startImmediately: true })
        yield* tell(ref, "queued")
      }
      for (const text of ["blocked", "too"]) yield* tell(first!, text)
      for (const text of ["x", "y"]) yield* tell(pool, text)
      yield* latch.open
      yield* settled
      assert.includeMembers(notes, ["2: x", "2: y"])
    })
  )

  test(
    "leastLoaded counts the messages in work: who is busy gets nothing while others are idle",
    Effect.fnUntraced(function*({ notes, worker }) {
      const pool = yield* Router.spawn(worker(), { size: 4, strategy: "leastLoaded" })
      const busy = yield* Effect.forkChild(pool.ask("Wait"), { startImmediately: true })
      yield* TestClock.adjust("10 minutes")
      for (let i = 0; i < 9; i++) yield* Effect.andThen(pool.tell("Note", { text: "x" }), settled)
      assert.strictEqual(notes.length, 9)
      assert.deepStrictEqual([...new Set(notes)].sort(), ["2: x", "3: x", "4: x"])
      assert.deepStrictEqual(yield* pool.mailbox, { size: 0, blocked: 0, capacity: 4096, running: 1 })
      yield* Fiber.interrupt(busy)
    })
  )

  test(
    "leastLoaded counts forked runs as work, too",
    Effect.fnUntraced(function*() {
      const Forking = Actor.make("Forking", [Rpc.make("Fork"), Rpc.make("Who", { success: Schema.String })])
      const forking = Forking.behavior(Effect.map(Actor.self(Forking), ({ path }) => ({
        Fork: () => Rpc.fork(Effect.never),
        Who: () => Effect.succeed(path.slice(path.lastIndexOf("/") + 1))
      })))
      const pool = yield* Router.spawn(forking, { size: 3, strategy: "leastLoaded" })
      const forked = yield* repeat(2, Effect.forkChild(pool.ask("Fork"), { startImmediately: true }))
      yield* settled
      assert.deepStrictEqual(yield* repeat(4, pool.ask("Who")), ["3", "3", "3", "3"])
      yield* Fiber.interruptAll(forked)
    })
  )

  test(
    "telling a broadcast router reaches every routee, even when one refuses",
    Effect.fnUntraced(function*({ notes, worker }) {
      const pool = yield* Router.spawn(worker({ mailbox: Mailbox.bounded(1, "fail") }), {
        size: 3,
        strategy: "broadcast"
      })
      yield* pool.tell("Note", { text: "a" })
      yield* settled
      assert.deepStrictEqual(notes.sort(), ["1: a", "2: a", "3: a"])
      const refused = yield* Effect.forkChild(Effect.flip(Effect.andThen(
        repeat(2, pool.tell("Wait")),
        pool.tell("Note", { text: "b" })
      )))
      assert.strictEqual((yield* Fiber.join(refused)).reason._tag, "MailboxFull")
    })
  )

  test(
    "asking a broadcast router answers with the first success and interrupts the rest",
    Effect.fnUntraced(function*({ interrupted, worker }) {
      const pool = yield* Router.spawn(worker(), { size: 3, strategy: "broadcast" })
      const asked = yield* Effect.forkChild(pool.ask("Try"))
      yield* pass("1 second")
      assert.strictEqual(yield* Fiber.join(asked), "3")
      assert.deepStrictEqual(interrupted, ["1"])
      assert.deepStrictEqual(yield* Stream.runCollect(pool.stream("UpTo", { n: 3 })), [1, 2, 3])
    })
  )

  test(
    "asking a broadcast router fails when every routee does",
    Effect.fnUntraced(function*({ worker }) {
      const pool = yield* Router.spawn(worker({ supervisor: Supervisor.resume }), {
        size: 2,
        strategy: "broadcast"
      })
      assert.strictEqual((yield* Effect.flip(pool.ask("Crash"))).reason._tag, "Crashed")
    })
  )

  it.effect.prop(
    "consistentHash keeps all but about 1/n of the keys in place when a routee is added",
    { size: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 8 })), salt: Schema.String },
    ({ salt, size }) =>
      inWorld(Effect.fnUntraced(function*({ worker }) {
        const pool = yield* Router.spawn(worker(), {
          size,
          strategy: Router.consistentHash((message) => message.tag === "For" ? message.payload.key : message.tag)
        })
        const keys = Array.from({ length: 300 }, (_, i) => `${salt}${i}`)
        const places = Effect.forEach(keys, (key) => pool.ask("For", { key }))
        const before = yield* places
        assert.deepStrictEqual(yield* places, before)
        yield* Router.resize(pool, size + 1)
        const after = yield* places
        const moved = after.filter((place, i) => place !== before[i])
        assert.deepStrictEqual([...new Set(moved)], [`${size + 1}`])
        assert.isBelow(moved.length / keys.length, 2 / (size + 1))
        yield* Router.resize(pool, size)
        assert.deepStrictEqual(yield* places, before)
      })),
    { arbitrary: { runs: 20 } }
  )

  test(
    "a routee that stopped for good is replaced, and meanwhile the others get its messages",
    Effect.fnUntraced(function*({ notes, worker }) {
      const pool = yield* Router.spawn(worker({ supervisor: Supervisor.stop }), { size: 3, strategy: "roundRobin" })
      yield* Effect.flip(pool.ask("Crash"))
      yield* repeat(6, pool.tell("Note", { text: "x" }))
      yield* settled
      assert.deepStrictEqual([...notes].sort(), ["2: x", "2: x", "2: x", "3: x", "3: x", "3: x"])
      assert.deepStrictEqual((yield* repeat(3, pool.ask("Who"))).sort(), ["1", "2", "3"])
    })
  )

  test(
    "a replacement that cannot start is tried again, and the others get its messages",
    Effect.fnUntraced(function*({ setups, worker }) {
      const pool = yield* Router.spawn(worker({ supervisor: Supervisor.stop }), { size: 2, strategy: "roundRobin" })
      setups.left = 0
      yield* Effect.flip(pool.ask("Crash"))
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual([...new Set(yield* repeat(4, pool.ask("Who")))], ["2"])
      setups.left = 1
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual((yield* repeat(2, pool.ask("Who"))).sort(), ["1", "2"])
    })
  )

  test(
    "resizing starts routees, and drains the last ones",
    Effect.fnUntraced(function*({ latch, notes, worker }) {
      const pool = yield* Router.spawn(worker(), { size: 1, strategy: "roundRobin" })
      yield* Router.resize(pool, 3)
      assert.deepStrictEqual(yield* repeat(3, pool.ask("Who")), ["1", "2", "3"])
      const waiting = yield* Effect.forkChild(Effect.all(Array.from({ length: 3 }, () => pool.ask("Wait")), {
        concurrency: "unbounded"
      }))
      yield* settled
      yield* repeat(3, pool.tell("Note", { text: "queued" }))
      const resized = yield* Effect.forkChild(Router.resize(pool, 1))
      yield* settled
      yield* latch.open
      yield* Fiber.join(resized)
      assert.deepStrictEqual([...yield* Fiber.join(waiting)].sort(), ["1", "2", "3"])
      assert.deepStrictEqual([...notes].sort(), ["1: queued", "2: queued", "3: queued"])
      assert.deepStrictEqual(yield* repeat(2, pool.ask("Who")), ["1", "1"])
      yield* settled
      assert.deepStrictEqual((yield* ActorSystem.list).map(({ path }) => path), [pool.path, `${pool.path}/1`])
    })
  )

  test(
    "resizing goes on where the resizing before it ended",
    Effect.fnUntraced(function*({ worker }) {
      const pool = yield* Router.spawn(worker(), { size: 1, strategy: "roundRobin" })
      yield* Effect.forEach([3, 2, 4], (size) => Router.resize(pool, size), { concurrency: "unbounded" })
      assert.deepStrictEqual((yield* repeat(4, pool.ask("Who"))).sort(), ["1", "2", "3", "4"])
    })
  )

  test(
    "a routee that cannot start is a typed error that names it, and nothing remains",
    Effect.fnUntraced(function*({ setups, worker }) {
      setups.left = 2
      const error = yield* Effect.flip(Router.spawn(worker(), { size: 3, strategy: "roundRobin", name: "pool" }))
      assert.isTrue(error._tag === "RouteeError" && error.routee === "/user/pool/3" && error.cause === "full")
      assert.strictEqual(error.message, "/user/pool/3 could not be started: full")
      // The name is free again, so the router and its first routees are gone.
      setups.left = 3
      yield* Router.spawn(worker(), { size: 3, strategy: "roundRobin", name: "pool" })
    })
  )

  test(
    "a routee's refusal goes to the sender",
    Effect.fnUntraced(function*({ worker }) {
      const pool = yield* Router.spawn(worker({ mailbox: Mailbox.bounded(1, "fail") }), {
        size: 1,
        strategy: "roundRobin"
      })
      yield* repeat(2, Effect.andThen(Effect.forkChild(pool.ask("Wait")), settled))
      const error = yield* Effect.flip(pool.tell("Note", { text: "one too many" }))
      assert.strictEqual(error.reason._tag, "MailboxFull")
    })
  )

  test(
    "interrupting an ask interrupts its handler",
    Effect.fnUntraced(function*({ interrupted, worker }) {
      const pool = yield* Router.spawn(worker(), { size: 2, strategy: "roundRobin" })
      const asked = yield* Effect.forkChild(pool.ask("Wait"))
      yield* settled
      yield* Fiber.interrupt(asked)
      assert.deepStrictEqual(interrupted, ["1"])
      assert.strictEqual(yield* pool.ask("Who"), "2")
      assert.strictEqual(yield* pool.ask("Who"), "1")
    })
  )

  test(
    "stopping stops the routees; draining handles their messages first",
    Effect.fnUntraced(function*({ latch, notes, worker }) {
      const drained = yield* Router.spawn(worker(), { size: 2, strategy: "roundRobin" })
      yield* repeat(4, drained.tell("Note", { text: "x" }))
      yield* drained.drain
      assert.deepStrictEqual([...notes].sort(), ["1: x", "1: x", "2: x", "2: x"])
      assert.strictEqual((yield* drained.awaitStopped).reason._tag, "Stopped")
      const stopped = yield* Router.spawn(worker(), { size: 2, strategy: "roundRobin" })
      const asked = yield* Effect.forkChild(stopped.ask("Wait"), { startImmediately: true })
      yield* repeat(2, stopped.tell("Note", { text: "y" }))
      yield* settled
      const stop = yield* Effect.forkChild(stopped.stop)
      yield* settled
      assert.strictEqual((yield* Effect.flip(stopped.ask("Who"))).reason._tag, "Stopped")
      yield* latch.open
      yield* Fiber.join(stop)
      assert.strictEqual(yield* Fiber.join(asked), "1")
      assert.deepStrictEqual(notes.slice(4), ["2: y"])
    })
  )

  test(
    "a wrong size dies at construction and names the field and the value",
    Effect.fnUntraced(function*({ worker }) {
      for (const size of [0, 2.5, -1, Number.NaN]) {
        const message = `size must be a positive integer, got ${size}`
        assert.throws(() => Router.spawn(worker(), { size, strategy: "random" }), `Router.spawn: ${message}`)
        const pool = yield* Router.spawn(worker(), { size: 1, strategy: "random" })
        assert.throws(() => Router.resize(pool, size), `Router.resize: ${message}`)
      }
    })
  )

  test(
    "a reference that was looked up by path sends to the routees too",
    Effect.fnUntraced(function*({ notes, worker }) {
      yield* Router.spawn(worker(), { size: 2, strategy: "roundRobin", name: "turns" })
      const turns = yield* ActorSystem.lookup(Worker, "/user/turns")
      assert.deepStrictEqual(yield* repeat(3, turns.ask("Who")), ["1", "2", "1"])
      yield* Router.spawn(worker(), { size: 3, strategy: "broadcast", name: "all" })
      const all = yield* ActorSystem.lookup(Worker, "/user/all")
      yield* all.tell("Note", { text: "x" })
      yield* settled
      assert.deepStrictEqual([...notes].sort(), ["1: x", "2: x", "3: x"])
      assert.deepStrictEqual(yield* Stream.runCollect(all.stream("UpTo", { n: 2 })), [1, 2])
      assert.deepStrictEqual(yield* all.mailbox, { size: 0, blocked: 0, capacity: 3072, running: 0 })
    })
  )

  test(
    "a reference that was looked up by path reports what a routee refuses",
    Effect.fnUntraced(function*({ worker }) {
      const mailbox = Mailbox.bounded(1, "fail")
      const pool = yield* Router.spawn(worker({ mailbox }), { size: 1, strategy: "roundRobin", name: "pool" })
      yield* repeat(2, Effect.andThen(pool.tell("Wait"), settled))
      const found = yield* ActorSystem.lookup(Worker, "/user/pool")
      const error = yield* Effect.flip(found.tell("Note", { text: "one too many" }))
      assert.strictEqual(error.reason._tag, "MailboxFull")
    })
  )

  test(
    "interrupting the asker of a message that was forwarded to a router interrupts the routee's handler",
    Effect.fnUntraced(function*({ interrupted, latch, worker }) {
      const pool = yield* Router.spawn(worker(), { size: 2, strategy: "roundRobin" })
      const Front = Actor.make("Front", [Rpc.make("Wait", { success: Schema.String })])
      const front = yield* Actor.spawn(Front.behavior(Effect.succeed({ Wait: () => Actor.forward(pool, "Wait") })))
      const [first, second] = yield* repeat(
        2,
        Effect.andThen(Effect.forkChild(front.ask("Wait")), (fiber) => Effect.as(settled, fiber))
      )
      yield* Fiber.interrupt(first!)
      assert.deepStrictEqual(interrupted, ["1"])
      // The asker does not need the forwarder any more.
      yield* front.stop
      yield* latch.open
      assert.strictEqual(yield* Fiber.join(second!), "2")
    })
  )

  test(
    "an actor forwards to a router and watches it, as it would any actor",
    Effect.fnUntraced(function*({ worker }) {
      const Front = Actor.make("Front", [
        Rpc.make("Who", { success: Schema.String }),
        Rpc.make("Ended", { payload: { path: Schema.String } })
      ])
      const ended: Array<string> = []
      const pool = yield* Router.spawn(worker(), { size: 2, strategy: "roundRobin", name: "pool" })
      const front = yield* Actor.spawn(Front.behavior(
        Effect.as(Actor.watch(pool, ({ path }) => Front.message("Ended", { path })), {
          Who: () => Actor.forward(pool, "Who"),
          Ended: ({ path }) =>
            Effect.sync(() => {
              ended.push(path)
            })
        })
      ))
      assert.deepStrictEqual(yield* repeat(3, front.ask("Who")), ["1", "2", "1"])
      yield* pool.stop
      yield* settled
      assert.deepStrictEqual(ended, ["/user/pool"])
    })
  )

  test(
    "what a routee escalates climbs past the router",
    Effect.fnUntraced(function*({ worker }) {
      const pool = yield* Router.spawn(worker({ supervisor: Supervisor.escalate }), { size: 2, strategy: "roundRobin" })
      yield* Effect.flip(pool.ask("Crash"))
      assert.strictEqual((yield* pool.awaitStopped).reason._tag, "Crashed")
    })
  )

  test(
    "an operator restarts a router with all its routees, as many as there were last",
    Effect.fnUntraced(function*({ worker }) {
      const pool = yield* Router.spawn(worker(), { size: 1, strategy: "roundRobin" })
      yield* Router.resize(pool, 2)
      yield* pool.restart
      assert.deepStrictEqual((yield* repeat(4, pool.ask("Who"))).sort(), ["1", "1", "2", "2"])
    })
  )

  test(
    "an operator pauses and resumes all routees",
    Effect.fnUntraced(function*({ notes, worker }) {
      const pool = yield* Router.spawn(worker(), { size: 2, strategy: "broadcast" })
      yield* pool.pause
      yield* pool.tell("Note", { text: "x" })
      yield* settled
      assert.deepStrictEqual(notes, [])
      yield* pool.resume
      yield* settled
      assert.deepStrictEqual(notes.toSorted(), ["1: x", "2: x"])
    })
  )

  it("keeps the protocol's types", () => {
    const spawned = Router.spawn(makeWorld().worker(), {
      size: 1,
      strategy: Router.consistentHash((message) => {
        expectTypeOf(message.tag).toEqualTypeOf<"Who" | "For" | "Note" | "Wait" | "Try" | "Crash" | "UpTo">()
        return message.tag === "For" ? message.payload.key : message.tag
      })
    })
    expectTypeOf<Effect.Error<typeof spawned>>().toEqualTypeOf<Router.RouteeError | Actor.SpawnError>()
    const use = (pool: Effect.Success<typeof spawned>, actor: Effect.Success<ReturnType<typeof spawnWorker>>) => {
      const ordinary: typeof actor = pool
      // @ts-expect-error: an actor that is no router has no size
      return [ordinary, Router.resize(actor, 2)]
    }
    assert.isFunction(use)
  })
})

const spawnWorker = () => Actor.spawn(makeWorld().worker())
