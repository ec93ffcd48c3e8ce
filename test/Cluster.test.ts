import { assert, describe, it } from "@effect/vitest"
import { Context, Deferred, Effect, Exit, Fiber, Latch, Layer, Schedule, Schema, type Scope, Stream } from "effect"
import {
  MessageStorage,
  RunnerHealth,
  Runners,
  RunnerStorage,
  Sharding,
  ShardingConfig,
  TestRunner
} from "effect/cluster"
import { Persisted } from "effect/cluster/ClusterSchema"
import { Rpc } from "effect/rpc"
import { TestClock } from "effect/testing"
import { expectTypeOf } from "vitest"
import * as Actor from "../src/Actor.ts"
import * as ActorSystem from "../src/ActorSystem.ts"
import * as Cluster from "../src/Cluster.ts"
import * as Mailbox from "../src/Mailbox.ts"
import * as Supervisor from "../src/Supervisor.ts"

class Overdrawn extends Schema.TaggedError<Overdrawn>()("Overdrawn", { missing: Schema.Finite }) {}

const Account = Actor.make("Account", [
  Rpc.make("Deposit", { payload: { amount: Schema.Finite, from: Schema.optional(Schema.String) } }),
  Rpc.make("Withdraw", { payload: { amount: Schema.Finite }, success: Schema.Finite, error: Overdrawn }),
  Rpc.make("History", { success: Schema.Array(Schema.String) }),
  Rpc.make("Hold", { success: Schema.String }),
  Rpc.make("Later", { success: Schema.String }),
  Rpc.make("Crash"),
  Rpc.make("Count", { payload: { to: Schema.Finite }, success: Schema.Finite, error: Overdrawn, stream: true }),
  Rpc.make("Forever", { success: Schema.Finite, stream: true })
])

/** What accounts did, and what holds back `Hold`. */
const makeWorld = () => {
  const lives: Array<string> = []
  const deposits: Array<number> = []
  const held = Latch.makeUnsafe()
  const holding = Latch.makeUnsafe()
  const interrupted = Deferred.makeUnsafe<void>()
  const later = Deferred.makeUnsafe<string>()
  const setups = { left: Number.POSITIVE_INFINITY }
  const account = (options?: Actor.BehaviorOptions) =>
    Account.behavior(
      Effect.gen(function*() {
        yield* Effect.repeat(Effect.yieldNow, { times: 10 })
        if (setups.left-- <= 0) return yield* Effect.fail("no database")
        yield* Effect.acquireRelease(Effect.sync(() => lives.push("start")), () => Effect.sync(() => lives.push("end")))
        let balance = 0
        const history: Array<string> = []
        return {
          Deposit: ({ amount, from }) =>
            Effect.sync(() => {
              balance += amount
              deposits.push(amount)
              history.push(`${from ?? ""}${amount}`)
            }),
          Withdraw: ({ amount }) =>
            balance < amount
              ? Effect.fail(new Overdrawn({ missing: amount - balance }))
              : Effect.sync(() => balance -= amount),
          History: () => Effect.succeed(history),
          Hold: () =>
            holding.open.pipe(
              Effect.andThen(held.await),
              Effect.onInterrupt(() => Deferred.succeed(interrupted, undefined)),
              Effect.as("held")
            ),
          Later: () => Effect.as(Effect.yieldNow, later),
          Crash: () => Effect.die(new Error("boom")),
          Count: ({ to }) =>
            Stream.concat(Stream.range(1, to), to > 3 ? Stream.fail(new Overdrawn({ missing: to })) : Stream.empty),
          Forever: () =>
            Stream.concat(Stream.make(1), Stream.never).pipe(
              Stream.onExit(() => Deferred.succeed(interrupted, undefined))
            )
        }
      }),
      options
    )
  return { account, deposits, held, holding, interrupted, later, lives, setups }
}

type World = ReturnType<typeof makeWorld>

const system = ActorSystem.layer({ name: "test" })
const cluster = Layer.merge(TestRunner.layer, system)

type Services = Layer.Success<typeof cluster> | Scope.Scope

/** Where the very same behavior runs. */
interface Placement {
  readonly name: string
  readonly place: <Name extends string, Rpcs extends Rpc.Any, E>(
    behavior: Actor.Behavior<Name, Rpcs, E, never>
  ) => Effect.Effect<Actor.ActorRef<Name, Rpcs>, E | Actor.SpawnError, Services>
}

const local: Placement = {
  name: "a local actor",
  place: (behavior) => Actor.spawn(behavior, { name: "alice" })
}

const sharded: Placement = {
  name: "a sharded actor",
  place: (behavior) =>
    Layer.build(Cluster.deploy(behavior) as Layer.Layer<never, never, Services>).pipe(
      // The node takes its shards.
      Effect.andThen(TestClock.adjust("1 second")),
      Effect.andThen(Cluster.ref(behavior.protocol, "alice"))
    )
}

const inWorld = <A, E>(body: (world: World) => Effect.Effect<A, E, Services>) => {
  const world = makeWorld()
  // Opened before anything ends: a handler that waits would hold up the end of its actor.
  return body(world).pipe(Effect.ensuring(world.held.open), Effect.scoped, Effect.provide(cluster))
}

/** Lets all that can go on without the clock do so. */
const settled = Effect.repeat(Effect.yieldNow, { times: 100 })

const noDelay = { supervisor: Supervisor.restart(Schedule.forever) }

describe.each([local, sharded])("$name", ({ place }) => {
  const test = (name: string, body: (world: World) => Effect.Effect<void, unknown, Services>) =>
    it.effect(name, () => inWorld(body))

  test(
    "answers with the handler's success, after the messages told before",
    Effect.fnUntraced(function*({ account }) {
      const ref = yield* place(account())
      yield* ref.tell("Deposit", { amount: 3 })
      yield* ref.tell("Deposit", { amount: 4 })
      assert.strictEqual(yield* ref.ask("Withdraw", { amount: 5 }), 2)
      assert.deepStrictEqual(yield* ref.ask("History"), ["3", "4"])
    })
  )

  test(
    "answers with the handler's typed failure, which is no crash",
    Effect.fnUntraced(function*({ account, lives }) {
      const ref = yield* place(account())
      const error = yield* Effect.flip(ref.ask("Withdraw", { amount: 5 }))
      assert.instanceOf(error, Overdrawn)
      assert.strictEqual(error._tag === "Overdrawn" && error.missing, 5)
      assert.deepStrictEqual(lives, ["start"])
    })
  )

  test(
    "streams items, and the handler's typed failure after them",
    Effect.fnUntraced(function*({ account }) {
      const ref = yield* place(account())
      assert.deepStrictEqual(yield* Stream.runCollect(ref.stream("Count", { to: 3 })), [1, 2, 3])
      const seen: Array<number> = []
      const failing = Stream.runForEach(ref.stream("Count", { to: 4 }), (n) => Effect.sync(() => seen.push(n)))
      assert.instanceOf(yield* Effect.flip(failing), Overdrawn)
      assert.deepStrictEqual(seen, [1, 2, 3, 4])
    })
  )

  test(
    "handles each sender's messages in their order",
    Effect.fnUntraced(function*({ account }) {
      const ref = yield* place(account())
      const amounts = Array.from({ length: 50 }, (_, i) => i)
      yield* Effect.forEach(
        ["a", "b", "c"],
        (from) => Effect.forEach(amounts, (amount) => ref.tell("Deposit", { amount, from }), { discard: true }),
        { concurrency: "unbounded", discard: true }
      )
      const history = yield* ref.ask("History")
      for (const from of ["a", "b", "c"]) {
        assert.deepStrictEqual(history.filter((entry) => entry.startsWith(from)), amounts.map((n) => `${from}${n}`))
      }
    })
  )

  test(
    "answers the message that crashes it with Crashed, and restarts with fresh state",
    Effect.fnUntraced(function*({ account, lives }) {
      const ref = yield* place(account(noDelay))
      yield* ref.tell("Deposit", { amount: 3 })
      const error = yield* Effect.flip(ref.ask("Crash"))
      assert.strictEqual(error.reason._tag, "Crashed")
      assert.include(error.message, "boom")
      assert.deepStrictEqual(yield* ref.ask("History"), [])
      assert.deepStrictEqual(lives, ["start", "end", "start"])
    })
  )

  test(
    "goes on while an answer is deferred, and gives its asker that answer, be it a defect",
    Effect.fnUntraced(function*({ account, later, lives }) {
      const ref = yield* place(account())
      const asked = yield* Effect.forkChild(Effect.exit(ref.ask("Later")), { startImmediately: true })
      yield* ref.tell("Deposit", { amount: 1 })
      assert.deepStrictEqual(yield* ref.ask("History"), ["1"])
      yield* Deferred.die(later, "boom")
      assert.isTrue(Exit.hasDies(yield* Fiber.join(asked)))
      assert.deepStrictEqual(yield* ref.ask("History"), ["1"])
      assert.deepStrictEqual(lives, ["start"])
    })
  )

  test(
    "keeps queued messages over a restart, which its supervisor's schedule delays",
    Effect.fnUntraced(function*({ account }) {
      const ref = yield* place(account({ supervisor: Supervisor.restart(Schedule.spaced("10 seconds")) }))
      yield* Effect.flip(ref.ask("Crash"))
      yield* ref.tell("Deposit", { amount: 1 })
      const history = yield* Effect.forkChild(ref.ask("History"), { startImmediately: true })
      yield* TestClock.adjust("9 seconds")
      assert.isUndefined(history.pollUnsafe())
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* Fiber.join(history), ["1"])
    })
  )

  test(
    "refuses with MailboxFull what its mailbox has no room for",
    Effect.fnUntraced(function*({ account, holding }) {
      const ref = yield* place(account({ mailbox: Mailbox.bounded(1, "fail") }))
      yield* ref.tell("Hold")
      yield* holding.await
      yield* ref.tell("Deposit", { amount: 1 })
      assert.deepStrictEqual((yield* Effect.flip(ref.tell("Deposit", { amount: 2 }))).reason, {
        _tag: "MailboxFull",
        capacity: 1
      })
      assert.strictEqual((yield* Effect.flip(ref.ask("History")))._tag, "ActorError")
    })
  )

  test(
    "answers an asker whose message is dropped with Dropped",
    Effect.fnUntraced(function*({ account, held, holding }) {
      const ref = yield* place(account({ mailbox: Mailbox.bounded(1, "dropOldest") }))
      yield* ref.tell("Hold")
      yield* holding.await
      const dropped = yield* Effect.forkChild(Effect.flip(ref.ask("History")), { startImmediately: true })
      yield* settled
      yield* ref.tell("Deposit", { amount: 1 })
      assert.strictEqual((yield* Fiber.join(dropped)).reason._tag, "Dropped")
      yield* held.open
      yield* settled
      assert.deepStrictEqual(yield* ref.ask("History"), ["1"])
    })
  )

  test(
    "holds senders back when its mailbox is full, and an interrupted one leaves nothing behind",
    Effect.fnUntraced(function*({ account, held, holding }) {
      const ref = yield* place(account({ mailbox: Mailbox.bounded(1, "block") }))
      yield* ref.tell("Hold")
      yield* holding.await
      yield* ref.tell("Deposit", { amount: 1 })
      const [second, third] = yield* Effect.forEach(
        [2, 3],
        (amount) => Effect.forkChild(ref.tell("Deposit", { amount }), { startImmediately: true })
      )
      yield* settled
      assert.isUndefined(second!.pollUnsafe())
      yield* Fiber.interrupt(second!)
      yield* held.open
      yield* Fiber.join(third!)
      assert.deepStrictEqual(yield* ref.ask("History"), ["1", "3"])
    })
  )

  test(
    "skips a queued message whose asker was interrupted",
    Effect.fnUntraced(function*({ account, held, holding }) {
      const ref = yield* place(account(noDelay))
      const hold = yield* Effect.forkChild(ref.ask("Hold"), { startImmediately: true })
      yield* holding.await
      const crash = yield* Effect.forkChild(ref.ask("Crash"), { startImmediately: true })
      yield* settled
      yield* Fiber.interrupt(crash)
      yield* ref.tell("Deposit", { amount: 1 })
      yield* held.open
      assert.strictEqual(yield* Fiber.join(hold), "held")
      assert.deepStrictEqual(yield* ref.ask("History"), ["1"])
    })
  )

  test(
    "interrupts the handler whose asker was interrupted, and nothing else",
    Effect.fnUntraced(function*({ account, holding, interrupted, lives }) {
      const ref = yield* place(account())
      yield* ref.tell("Deposit", { amount: 1 })
      const hold = yield* Effect.forkChild(ref.ask("Hold"), { startImmediately: true })
      yield* holding.await
      yield* Fiber.interrupt(hold)
      yield* Deferred.await(interrupted)
      assert.deepStrictEqual(yield* ref.ask("History"), ["1"])
      assert.deepStrictEqual(lives, ["start"])
    })
  )

  test(
    "interrupts a stream's handler when its consumer ends early",
    Effect.fnUntraced(function*({ account, interrupted }) {
      const ref = yield* place(account())
      assert.deepStrictEqual(yield* Stream.runCollect(Stream.take(ref.stream("Forever"), 1)), [1])
      yield* Deferred.await(interrupted)
      assert.deepStrictEqual(yield* ref.ask("History"), [])
    })
  )

  test(
    "is not idle while it handles a message that nobody waits for",
    Effect.fnUntraced(function*({ account, held, interrupted, lives }) {
      const ref = yield* place(account({ idleTimeout: "1 minute" }))
      yield* ref.tell("Hold")
      yield* ref.tell("Deposit", { amount: 1 })
      yield* TestClock.adjust("10 minutes")
      assert.isFalse(yield* Deferred.isDone(interrupted))
      yield* held.open
      assert.deepStrictEqual(yield* ref.ask("History"), ["1"])
      assert.deepStrictEqual(lives, ["start"])
    })
  )

  test(
    "is not idle while it sends messages to itself",
    Effect.fnUntraced(function*() {
      const Ticker = Actor.make("Ticker", [Rpc.make("Tick"), Rpc.make("Ticks", { success: Schema.Finite })])
      const ref = yield* place(Ticker.behavior(
        Effect.sync(() => {
          let ticks = 0
          const tickLater = Effect.flatMap(Actor.self(Ticker), (self) => Effect.delay(self.tell("Tick"), "30 seconds"))
          return {
            Tick: () => Effect.asVoid(Effect.andThen(Effect.sync(() => ticks++), Effect.forkScoped(tickLater))),
            Ticks: () => Effect.sync(() => ticks)
          }
        }),
        { idleTimeout: "1 minute" }
      ))
      yield* ref.tell("Tick")
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual(yield* ref.ask("Ticks"), 21)
    })
  )

  test(
    "ends when it had no message for its idleTimeout, and releases what it holds",
    Effect.fnUntraced(function*({ account, lives }) {
      const ref = yield* place(account({ idleTimeout: "1 minute" }))
      yield* ref.tell("Deposit", { amount: 1 })
      yield* TestClock.adjust("59 seconds")
      assert.deepStrictEqual(yield* ref.ask("History"), ["1"])
      yield* TestClock.adjust("59 seconds")
      assert.deepStrictEqual(lives, ["start"])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(lives, ["start", "end"])
    })
  )
})

/** How many ids take up memory on this node. */
const residents = Effect.flatMap(Sharding.Sharding, (sharding) => sharding.activeEntityCount)

describe("Cluster", () => {
  const test = (name: string, body: (world: World) => Effect.Effect<void, unknown, Services>) =>
    it.effect(name, () => inWorld(body))
  const { place } = sharded

  test(
    "gives each id an actor of its own, and each id's references the same one",
    Effect.fnUntraced(function*({ account, lives }) {
      const alice = yield* place(account())
      const bob = yield* Cluster.ref(Account, "bob/of the second floor")
      yield* alice.tell("Deposit", { amount: 1 })
      yield* bob.tell("Deposit", { amount: 2 })
      yield* (yield* Cluster.ref(Account, "alice")).tell("Deposit", { amount: 3 })
      assert.deepStrictEqual(yield* alice.ask("History"), ["1", "3"])
      assert.deepStrictEqual(yield* bob.ask("History"), ["2"])
      assert.deepStrictEqual(lives, ["start", "start"])
    })
  )

  test(
    "starts an idle actor again with the next message",
    Effect.fnUntraced(function*({ account, lives }) {
      const ref = yield* place(account({ idleTimeout: "1 minute" }))
      yield* ref.tell("Deposit", { amount: 1 })
      for (const times of [1, 2, 3]) {
        yield* TestClock.adjust("1 minute")
        assert.strictEqual(lives.filter((life) => life === "end").length, times)
        assert.deepStrictEqual(yield* ref.ask("History"), [])
      }
      yield* TestClock.adjust("2 minutes")
      assert.strictEqual(yield* residents, 0)
    })
  )

  test(
    "starts an actor again that its supervisor gave up",
    Effect.fnUntraced(function*({ account, lives }) {
      const ref = yield* place(account({ supervisor: Supervisor.stop }))
      assert.strictEqual((yield* Effect.flip(ref.ask("Crash"))).reason._tag, "Crashed")
      assert.deepStrictEqual(yield* ref.ask("History"), [])
      assert.deepStrictEqual(lives, ["start", "end", "start"])
      yield* Effect.flip(ref.ask("Crash"))
      assert.strictEqual(yield* residents, 1)
      yield* TestClock.adjust("2 minutes")
      assert.strictEqual(yield* residents, 0)
    })
  )

  test(
    "answers with Crashed while the setup fails, and tries it again for the next message",
    Effect.fnUntraced(function*({ account, setups }) {
      setups.left = 0
      const ref = yield* place(account())
      const error = yield* Effect.flip(ref.tell("Deposit", { amount: 1 }))
      assert.strictEqual(error.message, "Deposit to /user/Account:alice: the handler crashed: no database")
      setups.left = 1
      assert.deepStrictEqual(yield* ref.ask("History"), [])
    })
  )

  test(
    "keeps the order of messages that arrive while the actor starts",
    Effect.fnUntraced(function*({ account }) {
      const ref = yield* place(account())
      const amounts = Array.from({ length: 100 }, (_, i) => i)
      const sent: Array<Fiber.Fiber<void, unknown>> = []
      for (const amount of amounts) {
        sent.push(yield* Effect.forkChild(ref.tell("Deposit", { amount }), { startImmediately: true }))
        yield* Effect.yieldNow
      }
      yield* Fiber.joinAll(sent)
      assert.deepStrictEqual(yield* ref.ask("History"), amounts.map(String))
    })
  )

  test(
    "keeps a persisted message in the storage until it has been handled, told or asked",
    Effect.fnUntraced(function*({ held }) {
      const Outbox = Actor.make("Outbox", [Rpc.make("Mail", { success: Schema.String }).annotate(Persisted, true)])
      const ref = yield* place(Outbox.behavior(Effect.succeed({ Mail: () => Effect.as(held.await, "sent") })))
      const { unprocessed } = yield* MessageStorage.MemoryDriver
      yield* ref.tell("Mail")
      yield* settled
      assert.strictEqual(unprocessed.size, 1)
      const asked = yield* Effect.forkChild(ref.ask("Mail"), { startImmediately: true })
      yield* settled
      assert.strictEqual(unprocessed.size, 2)
      yield* held.open
      assert.strictEqual(yield* Fiber.join(asked), "sent")
      yield* settled
      assert.strictEqual(unprocessed.size, 0)
    })
  )

  it.effect("answers with an ActorError what the cluster does not deliver", () => {
    const { account, lives } = makeWorld()
    const full = Sharding.layer.pipe(
      Layer.provideMerge(Runners.layerNoop),
      Layer.provideMerge(MessageStorage.layerMemory),
      Layer.provide([RunnerStorage.layerMemory, RunnerHealth.layerNoop]),
      Layer.provide(ShardingConfig.layer({ maxResidentEntities: 1 }))
    )
    return Effect.gen(function*() {
      const alice = yield* place(account())
      const bob = yield* Cluster.ref(Account, "bob")
      yield* alice.tell("Deposit", { amount: 1 })
      for (
        const send of [bob.tell("Deposit", { amount: 1 }), bob.ask("History"), Stream.runDrain(bob.stream("Forever"))]
      ) {
        const error = yield* Effect.flip(send)
        assert.isTrue(
          error._tag === "ActorError" && error.actor === "Account:bob" && error.reason._tag === "Unreachable"
        )
      }
      assert.deepStrictEqual(lives, ["start"])
    }).pipe(Effect.scoped, Effect.provide(Layer.merge(full, system)))
  })

  it.effect("handles what an actor has accepted before its node gives up its shard", () =>
    Effect.gen(function*() {
      const { account, deposits, held, holding, lives } = makeWorld()
      const notes: Array<string> = []
      const node = yield* Effect.forkChild(
        Effect.scoped(Effect.gen(function*() {
          const ref = yield* place(account())
          yield* ref.tell("Hold")
          yield* holding.await
          yield* ref.tell("Deposit", { amount: 1 })
          notes.push("leaving")
        })).pipe(Effect.provide(cluster))
      )
      yield* TestClock.adjust("1 second")
      yield* settled
      assert.deepStrictEqual(notes, ["leaving"])
      assert.deepStrictEqual(lives, ["start"])
      yield* held.open
      yield* Fiber.join(node)
      assert.deepStrictEqual(deposits, [1])
      assert.deepStrictEqual(lives, ["start", "end"])
    }))

  it.effect("interrupts what an actor has not finished shutdownTimeout after its node gave up its shard", () =>
    Effect.gen(function*() {
      const { account, holding, interrupted, lives } = makeWorld()
      const patient = ActorSystem.layer({ name: "test", shutdownTimeout: "1 hour" })
      const left = yield* Latch.make()
      const node = yield* Effect.forkChild(
        Effect.scoped(Effect.gen(function*() {
          const ref = yield* place(account())
          yield* ref.tell("Hold")
          yield* holding.await
          yield* left.open
        })).pipe(
          Effect.provide(TestRunner.layer),
          // The actor's system is still there.
          Effect.andThen(Effect.sync(() => lives.push("left"))),
          Effect.provide(patient)
        )
      )
      yield* TestClock.adjust("1 second")
      yield* left.await
      yield* TestClock.adjust("59 minutes")
      assert.isFalse(yield* Deferred.isDone(interrupted))
      yield* TestClock.adjust("2 minutes")
      yield* Fiber.join(node)
      assert.isTrue(yield* Deferred.isDone(interrupted))
      assert.deepStrictEqual(lives, ["start", "end", "left"])
    }))

  it("has no type for what a sharded actor cannot have", () => {
    const ref = Cluster.ref(Account, "alice")
    type Sharded = Effect.Success<typeof ref>
    expectTypeOf<Sharded>().toEqualTypeOf<Actor.RefOf<typeof Account>>()
    expectTypeOf<Actor.LocalRefOf<typeof Account>>().toExtend<Sharded>()
    expectTypeOf<keyof Sharded & ("path" | "stop" | "drain" | "awaitStopped" | "mailbox")>().toEqualTypeOf<never>()
    const watch = (ref: Sharded) =>
      // @ts-expect-error: a local parent cannot watch a sharded actor
      Actor.watch(ref, () => Account.message("Crash"))
    assert.isFunction(watch)
  })

  it("requires from its surroundings what setup and handlers do", () => {
    class Bank extends Context.Service<Bank, { readonly rate: number }>()("test/Bank") {}
    class Fees extends Context.Service<Fees, { readonly fee: number }>()("test/Fees") {}
    const Rates = Actor.make("Rates", [Rpc.make("Rate", { success: Schema.Finite })])
    const node = Cluster.deploy(Rates.behavior(
      Effect.as(Bank, { Rate: () => Effect.map(Fees, ({ fee }) => fee) })
    ))
    expectTypeOf<Layer.Services<typeof node>>().toEqualTypeOf<
      Bank | Fees | Sharding.Sharding | ActorSystem.ActorSystem
    >()
  })
})
