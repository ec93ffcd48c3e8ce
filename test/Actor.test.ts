import { assert, describe, it } from "@effect/vitest"
import {
  Cause,
  Context,
  Deferred,
  Effect,
  Exit,
  Fiber,
  Latch,
  Logger,
  Random,
  Ref,
  References,
  Schedule,
  Schema,
  Stream,
  Tracer
} from "effect"
import { Rpc } from "effect/rpc"
import { TestClock } from "effect/testing"
import * as Actor from "../src/Actor.ts"
import * as ActorSystem from "../src/ActorSystem.ts"
import * as Mailbox from "../src/Mailbox.ts"
import * as Supervisor from "../src/Supervisor.ts"
import { TestActor } from "../src/testing/index.ts"
import { type Act, ask, collectEvents, makeLog, outcome, run, settle, spawn, tell, turns } from "./fixtures/actors.ts"

const Counter = Actor.make("Counter", [
  Rpc.make("Add", { payload: { by: Schema.Finite } }),
  Rpc.make("Get", { success: Schema.Finite }),
  Rpc.make("Fail", { error: Schema.String }),
  Rpc.make("Die"),
  Rpc.make("Interrupt"),
  Rpc.make("UpTo", { payload: { n: Schema.Finite }, success: Schema.Finite, stream: true })
])

const counterSetup = Effect.gen(function*() {
  const count = yield* Ref.make(0)
  return {
    Add: ({ by }: { readonly by: number }) => Ref.update(count, (n) => n + by),
    Get: () => Ref.get(count),
    Fail: () => Effect.fail("no"),
    Die: () => Effect.die(new Error("boom")),
    Interrupt: () => Effect.interrupt,
    UpTo: ({ n }: { readonly n: number }) => Stream.range(1, n)
  }
})

const counter = Counter.behavior(counterSetup)

/** An actor whose handler waits for a latch, and tells when it began, ended or was interrupted. */
const Gate = Actor.make("Gate", [
  Rpc.make("Pass", { payload: { id: Schema.String }, success: Schema.String }),
  Rpc.make("Items", { success: Schema.Finite, stream: true })
])

const makeGate = (options?: Actor.BehaviorOptions & { readonly uninterruptible?: boolean }) => {
  const log: Array<string> = []
  const latch = Latch.makeUnsafe(false)
  const pass = (id: string) =>
    Effect.sync(() => log.push(`begin ${id}`)).pipe(
      Effect.andThen(latch.await),
      Effect.as(id),
      Effect.onExit((exit) => Effect.sync(() => log.push(`${Exit.isSuccess(exit) ? "end" : "interrupted"} ${id}`)))
    )
  const behavior = Gate.behavior(
    Effect.succeed({
      Pass: ({ id }) => options?.uninterruptible ? Rpc.uninterruptible(pass(id)) : pass(id),
      Items: () =>
        Stream.iterate(0, (n) => n + 1).pipe(
          Stream.rechunk(1),
          Stream.tap((n) => Effect.sync(() => log.push(`item ${n}`))),
          Stream.onExit(() => Effect.sync(() => log.push("stream over")))
        )
    }),
    options
  )
  return { behavior, latch, log }
}

const turn = Effect.gen(function*() {
  for (let i = 0; i < 4; i++) yield* Effect.yieldNow
})

const reasonOf = <A, E>(effect: Effect.Effect<A, E | Actor.ActorError>) =>
  Effect.map(Effect.flip(effect), (error) => {
    if (!(error instanceof Actor.ActorError)) throw new Error(`not an ActorError: ${String(error)}`)
    return error.reason._tag
  })

describe("Actor", () => {
  describe("messages", () => {
    it.effect("an ask sees what the same sender told before it", () =>
      run(Effect.gen(function*() {
        const ref = yield* Actor.spawn(counter)
        yield* ref.tell("Add", { by: 1 })
        yield* ref.tell("Add", { by: 2 })
        assert.strictEqual(yield* ref.ask("Get"), 3)
      })))

    it.effect("a typed failure is an answer and leaves the state alone", () =>
      run(Effect.gen(function*() {
        const ref = yield* Actor.spawn(counter)
        yield* ref.tell("Add", { by: 1 })
        assert.strictEqual(yield* Effect.flip(ref.ask("Fail")), "no")
        yield* ref.tell("Fail")
        assert.strictEqual(yield* ref.ask("Get"), 1)
      })))

    it.effect("a defect answers Crashed with the defect, the actor's path and the tag", () =>
      run(Effect.gen(function*() {
        const ref = yield* Actor.spawn(counter, { name: "alice" })
        const error = yield* Effect.flip(ref.ask("Die"))
        assert.strictEqual(error.message, "Die to /user/alice: the handler crashed: Error: boom")
      })))

    it.effect("the error of an ask is what its class constructs, and crosses processes", () =>
      run(Effect.gen(function*() {
        const ref = yield* Actor.spawn(counter, { name: "alice" })
        yield* ref.stop
        const error = yield* Effect.flip(ref.ask("Get"))
        const constructed = new Actor.ActorError({ actor: "/user/alice", tag: "Get", reason: { _tag: "Stopped" } })
        assert.instanceOf(error, Actor.ActorError)
        assert.deepStrictEqual(Object.entries(error), Object.entries(constructed))
        assert.deepStrictEqual([String(error), JSON.stringify(error)], [
          String(constructed),
          JSON.stringify(constructed)
        ])
        const encoded = yield* Schema.encodeEffect(Actor.ActorError)(error)
        const decoded = yield* Schema.decodeEffect(Actor.ActorError)(encoded)
        assert.strictEqual(decoded.message, error.message)
        assert.deepStrictEqual(
          yield* Effect.flip(Effect.gen(function*() {
            return yield* error
          })),
          error
        )
      })))

    it.effect("a handler that interrupts itself answers Crashed", () =>
      run(Effect.gen(function*() {
        const ref = yield* Actor.spawn(counter)
        assert.strictEqual(yield* reasonOf(ref.ask("Interrupt")), "Crashed")
      })))

    it.effect("messages are handled one at a time, in order", () =>
      run(Effect.gen(function*() {
        const { behavior, latch, log } = makeGate()
        const ref = yield* Actor.spawn(behavior)
        yield* ref.tell("Pass", { id: "a" })
        yield* ref.tell("Pass", { id: "b" })
        yield* turn
        assert.deepStrictEqual(log, ["begin a"])
        yield* latch.open
        assert.strictEqual(yield* ref.ask("Pass", { id: "c" }), "c")
        assert.deepStrictEqual(log, ["begin a", "end a", "begin b", "end b", "begin c", "end c"])
      })))

    it.effect("concurrency lets that many messages run at a time", () =>
      run(Effect.gen(function*() {
        const { behavior, latch, log } = makeGate({ concurrency: 2 })
        const ref = yield* Actor.spawn(behavior)
        for (const id of ["a", "b", "c"]) yield* ref.tell("Pass", { id })
        yield* turn
        assert.deepStrictEqual(log, ["begin a", "begin b"])
        yield* latch.open
      })))

    it.effect("a forked handler does not keep the next message waiting", () =>
      run(Effect.gen(function*() {
        const latch = yield* Latch.make()
        const ref = yield* Actor.spawn(Gate.behavior(Effect.succeed({
          Pass: ({ id }) => id === "slow" ? Rpc.fork(Effect.as(latch.await, id)) : Effect.succeed(id),
          Items: () => Stream.empty
        })))
        const slow = yield* Effect.forkChild(ref.ask("Pass", { id: "slow" }))
        assert.strictEqual(yield* ref.ask("Pass", { id: "fast" }), "fast")
        yield* latch.open
        assert.strictEqual(yield* Fiber.join(slow), "slow")
      })))

    it.effect("a deferred is answered later, while the actor goes on", () =>
      run(Effect.gen(function*() {
        const answer = yield* Deferred.make<string>()
        const ref = yield* Actor.spawn(Gate.behavior(Effect.succeed({
          Pass: ({ id }) => id === "later" ? Effect.succeed(answer) : Effect.succeed(id),
          Items: () => Stream.empty
        })))
        const later = yield* Effect.forkChild(ref.ask("Pass", { id: "later" }))
        assert.strictEqual(yield* ref.ask("Pass", { id: "now" }), "now")
        yield* Deferred.succeed(answer, "at last")
        assert.strictEqual(yield* Fiber.join(later), "at last")
      })))

    it.effect("a payload gets its defaults, and one that fails its checks is the sender's defect", () =>
      run(Effect.gen(function*() {
        const Greeter = Actor.make("Greeter", [
          Rpc.make("Greet", {
            payload: {
              name: Schema.NonEmptyString,
              greeting: Schema.String.pipe(Schema.withConstructorDefault(Effect.succeed("Hello")))
            },
            success: Schema.String
          })
        ])
        const ref = yield* Actor.spawn(Greeter.behavior(Effect.succeed({
          Greet: ({ greeting, name }) => Effect.succeed(`${greeting} ${name}`)
        })))
        assert.strictEqual(yield* ref.ask("Greet", { name: "Ada" }), "Hello Ada")
        const exit = yield* Effect.exit(ref.ask("Greet", { name: "" }))
        assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
        const nan = yield* Effect.exit((yield* Actor.spawn(counter)).tell("Add", { by: Number.NaN }))
        assert.isTrue(Exit.isFailure(nan) && Cause.hasDies(nan.cause))
        assert.include(String(Exit.isFailure(nan) && Cause.squash(nan.cause)), "Counter.Add: the payload")
        assert.include(String(Exit.isFailure(nan) && Cause.squash(nan.cause)), `["by"]`)
      })))

    it.effect("a payload of unions goes through as it is, and what fits none of them is refused", () =>
      run(Effect.gen(function*() {
        class Point extends Schema.Class<Point>("Point")({ x: Schema.Number }) {}
        const Fields = Schema.Struct({
          size: Schema.Literals(["small", "large"]),
          note: Schema.optional(Schema.String),
          at: Schema.Union([Schema.Null, Schema.Number, Schema.Date, Point]),
          one: Schema.optional(Schema.Union([Schema.Literal("a"), Schema.String], { mode: "oneOf" }))
        })
        const Plotter = Actor.make("Plotter", [Rpc.make("Plot", { payload: Fields, success: Schema.Boolean })])
        const point = new Point({ x: 1 })
        const date = new Date(0)
        const ref = yield* Actor.spawn(Plotter.behavior(Effect.succeed({
          Plot: ({ at }) => Effect.succeed(at === point || at === date || at === null || at === 2)
        })))
        for (const at of [null, 2, date, point]) {
          assert.isTrue(yield* ref.ask("Plot", { size: "small", note: undefined, at }))
        }
        for (
          const wrong of [{ size: "huge", at: 2 }, { size: "small", at: "2" }, { size: "small", at: 2, one: "a" }]
        ) {
          const exit = yield* Effect.exit(ref.ask("Plot", wrong as typeof Fields.Type))
          assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
        }
      })))

    it.effect("an actor that asks itself gets Deadlock, and one that asks itself in the background its answer", () =>
      run(Effect.gen(function*() {
        const Narcissus = Actor.make("Narcissus", [
          Rpc.make("Look", { success: Schema.String }),
          Rpc.make("Peek", { payload: { late: Schema.Boolean }, success: Schema.String }),
          Rpc.make("Glance", { success: Schema.String })
        ])
        const look = Effect.flatMap(Actor.self(Narcissus), (self) => self.ask("Look"))
        const ref = yield* Actor.spawn(Narcissus.behavior(Effect.succeed({
          Look: () => Effect.succeed("me"),
          Peek: ({ late }) =>
            Effect.andThen(late ? Effect.yieldNow : Effect.void, look).pipe(
              Effect.catch((error) => Effect.succeed(error.reason._tag))
            ),
          Glance: () =>
            Effect.gen(function*() {
              const answer = yield* Deferred.make<string>()
              yield* Effect.forkScoped(Effect.flatMap(Effect.orDie(look), (me) => Deferred.succeed(answer, me)))
              return answer
            })
        })))
        assert.strictEqual(yield* ref.ask("Peek", { late: false }), "Deadlock")
        assert.strictEqual(yield* ref.ask("Peek", { late: true }), "Deadlock")
        assert.strictEqual(yield* ref.ask("Glance"), "me")
      })))

    it.effect("askers that never wait for an answer leave others their turn", () =>
      run(Effect.gen(function*() {
        const ref = yield* Actor.spawn(counter)
        let turns = 0
        const other = yield* Effect.forkChild(Effect.forever(Effect.andThen(
          Effect.sync(() => turns++),
          Effect.yieldNow
        )))
        for (let i = 0; i < 10_000; i++) yield* ref.ask("Get")
        yield* Fiber.interrupt(other)
        assert.isAbove(turns, 2)
      })))

    it.effect("a handler may interrupt its asker before it has an answer, and the actor goes on", () =>
      run(Effect.gen(function*() {
        const Rude = Actor.make("Rude", [
          Rpc.make("Hangup", { success: Schema.String }),
          Rpc.make("Hello", { success: Schema.String })
        ])
        let asker: Fiber.Fiber<unknown, unknown> | undefined
        const ref = yield* Actor.spawn(Rude.behavior(Effect.succeed({
          Hangup: () => Effect.sync(() => (asker!.interruptUnsafe(), "too late")),
          Hello: () => Effect.succeed("hello")
        })))
        asker = yield* Effect.forkChild(ref.ask("Hangup"))
        const exit = yield* Fiber.await(asker)
        assert.isTrue(Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause))
        assert.strictEqual(yield* ref.ask("Hello"), "hello")
      })))

    it.effect("asks that wait for each other ten thousand deep do not overflow the stack", () =>
      run(Effect.gen(function*() {
        const Chain = Actor.make("Chain", [
          Rpc.make("Depth", { payload: { n: Schema.Finite }, success: Schema.Finite })
        ])
        const link = (next: Actor.RefOf<typeof Chain> | undefined) =>
          Chain.behavior(Effect.succeed({
            Depth: ({ n }) => next === undefined ? Effect.succeed(n) : Effect.orDie(next.ask("Depth", { n: n + 1 }))
          }))
        let ref = yield* Actor.spawn(link(undefined))
        for (let i = 0; i < 10_000; i++) ref = yield* Actor.spawn(link(ref))
        assert.strictEqual(yield* ref.ask("Depth", { n: 0 }), 10_000)
      })))
  })

  describe("streams", () => {
    it.effect("a stream gives the handler's items and its end", () =>
      run(Effect.gen(function*() {
        const ref = yield* Actor.spawn(counter)
        assert.deepStrictEqual(yield* Stream.runCollect(ref.stream("UpTo", { n: 3 })), [1, 2, 3])
      })))

    it.effect("a handler goes no faster than its consumer, and ends with it", () =>
      run(Effect.gen(function*() {
        const { behavior, log } = makeGate()
        const ref = yield* Actor.spawn(behavior)
        const taken = yield* Stream.runCollect(Stream.take(ref.stream("Items"), 3))
        assert.deepStrictEqual(taken, [0, 1, 2])
        assert.isBelow(log.filter((entry) => entry.startsWith("item")).length, 8)
        assert.strictEqual(log.at(-1), "stream over")
      })))

    it.effect("messages behind a stream wait until it is over", () =>
      run(Effect.gen(function*() {
        const { behavior, latch, log } = makeGate()
        yield* latch.open
        const ref = yield* Actor.spawn(behavior)
        const consumer = yield* Effect.forkChild(Stream.runForEach(ref.stream("Items"), () => Effect.never))
        yield* turn
        const ask = yield* Effect.forkChild(ref.ask("Pass", { id: "a" }))
        yield* turn
        assert.notInclude(log, "begin a")
        yield* Fiber.interrupt(consumer)
        assert.strictEqual(yield* Fiber.join(ask), "a")
      })))

    it.effect("a stream's consumer gets Crashed when its handler dies and Stopped when the actor is gone", () =>
      run(Effect.gen(function*() {
        const ref = yield* Actor.spawn(Gate.behavior(Effect.succeed({
          Pass: ({ id }) => Effect.succeed(id),
          Items: () => Stream.concat(Stream.make(1), Stream.die("boom"))
        })))
        const seen: Array<number> = []
        const reason = yield* reasonOf(Stream.runForEach(ref.stream("Items"), (n) => Effect.sync(() => seen.push(n))))
        assert.strictEqual(reason, "Crashed")
        assert.deepStrictEqual(seen, [1])
        yield* ref.stop
        assert.strictEqual(yield* reasonOf(Stream.runDrain(ref.stream("Items"))), "Stopped")
      })))
  })

  describe("interruption", () => {
    it.effect("interrupting an ask interrupts its run and nothing else", () =>
      run(Effect.gen(function*() {
        const { behavior, latch, log } = makeGate()
        const ref = yield* Actor.spawn(behavior)
        const a = yield* Effect.forkChild(ref.ask("Pass", { id: "a" }), { startImmediately: true })
        const b = yield* Effect.forkChild(ref.ask("Pass", { id: "b" }))
        yield* turn
        yield* Fiber.interrupt(a)
        assert.include(log, "interrupted a")
        yield* latch.open
        assert.strictEqual(yield* Fiber.join(b), "b")
      })))

    it.effect("a queued ask that is interrupted is skipped", () =>
      run(Effect.gen(function*() {
        const { behavior, latch, log } = makeGate()
        const ref = yield* Actor.spawn(behavior)
        yield* ref.tell("Pass", { id: "a" })
        const b = yield* Effect.forkChild(ref.ask("Pass", { id: "b" }))
        yield* turn
        yield* Fiber.interrupt(b)
        yield* latch.open
        yield* ref.ask("Pass", { id: "c" })
        assert.notInclude(log, "begin b")
      })))

    it.effect("an uninterruptible handler ends, and its asker does not wait for that", () =>
      run(Effect.gen(function*() {
        const { behavior, latch, log } = makeGate({ uninterruptible: true })
        const ref = yield* Actor.spawn(behavior)
        const a = yield* Effect.forkChild(ref.ask("Pass", { id: "a" }))
        yield* turn
        yield* Fiber.interrupt(a)
        assert.deepStrictEqual(log, ["begin a"])
        yield* latch.open
        yield* turn
        assert.deepStrictEqual(log, ["begin a", "end a"])
      })))

    it.effect("an ask can be interrupted while the actor restarts, and is then skipped", () =>
      run(Effect.gen(function*() {
        const ref = yield* Actor.spawn(counter)
        yield* TestActor.crash(ref)
        const ask = yield* Effect.forkChild(ref.ask("Get"))
        yield* turn
        yield* Fiber.interrupt(ask)
        assert.strictEqual((yield* TestActor.inspect(ref)).mailbox.size, 0)
        yield* TestClock.adjust("1 minute")
        assert.strictEqual(yield* ref.ask("Get"), 0)
      })))

    it.effect("an ask can be interrupted while the actor stops", () =>
      run(Effect.gen(function*() {
        const { behavior, log } = makeGate()
        const ref = yield* Actor.spawn(behavior)
        const ask = yield* Effect.forkChild(ref.ask("Pass", { id: "a" }))
        yield* turn
        const stop = yield* Effect.forkChild(ref.stop)
        yield* turn
        yield* Fiber.interrupt(ask)
        yield* Fiber.join(stop)
        assert.deepStrictEqual(log, ["begin a", "interrupted a"])
      })))

    it.effect("interrupting a spawn during setup releases what it acquired and frees the name", () =>
      run(Effect.gen(function*() {
        const log: Array<string> = []
        const stuck = Counter.behavior(Effect.gen(function*() {
          yield* Effect.acquireRelease(
            Effect.sync(() => log.push("acquired")),
            () => Effect.sync(() => log.push("released"))
          )
          return yield* Effect.never
        }))
        const spawning = yield* Effect.forkChild(Actor.spawn(stuck, { name: "stuck" }))
        yield* turn
        yield* Fiber.interrupt(spawning)
        assert.deepStrictEqual(log, ["acquired", "released"])
        yield* Actor.spawn(counter, { name: "stuck" })
      })))
  })

  describe("spawn", () => {
    it.effect("fails with the setup's error, and frees the name", () =>
      run(Effect.gen(function*() {
        const failing = Counter.behavior(Effect.fail("no database"))
        assert.strictEqual(yield* Effect.flip(Actor.spawn(failing, { name: "x" })), "no database")
        const ref = yield* Actor.spawn(counter, { name: "x" })
        assert.strictEqual(ref.path, "/user/x")
      })))

    it.effect("names the culprit of a taken and of an invalid name", () =>
      run(Effect.gen(function*() {
        yield* Actor.spawn(counter, { name: "x" })
        const taken = yield* Effect.flip(Actor.spawn(counter, { name: "x" }))
        assert.strictEqual(taken.message, "/user/x: the name is taken by another child of the same parent")
        for (const name of ["", "a/b", "$1"]) {
          assert.strictEqual((yield* Effect.flip(Actor.spawn(counter, { name }))).reason._tag, "InvalidName")
        }
      })))

    it.effect("captures what setup and handlers need once", () =>
      run(Effect.gen(function*() {
        class Greeting extends Context.Service<Greeting, string>()("test/Greeting") {}
        const ref = yield* Actor.spawn(Gate.behavior(Effect.succeed({
          Pass: ({ id }) => Effect.map(Greeting, (greeting) => `${greeting} ${id}`),
          Items: () => Stream.empty
        }))).pipe(Effect.provideService(Greeting, "Hi"))
        assert.strictEqual(yield* ref.ask("Pass", { id: "Ada" }), "Hi Ada")
        yield* Effect.provideService(ref.ask("Pass", { id: "Bob" }), Greeting, "Bye").pipe(
          Effect.map((answer) => assert.strictEqual(answer, "Hi Bob"))
        )
      })))

    it.effect("inside an actor makes a child, which stops before its parent, last started first", () =>
      run(Effect.gen(function*() {
        const log: Array<string> = []
        const logging = (name: string) =>
          Effect.addFinalizer(() => Effect.andThen(Effect.yieldNow, Effect.sync(() => log.push(name))))
        const child = (name: string) => Counter.behavior(Effect.andThen(logging(name), counterSetup))
        const Parent = Actor.make("Parent", [Rpc.make("Ping")])
        const parent = Parent.behavior(Effect.gen(function*() {
          yield* logging("parent")
          yield* Actor.spawn(child("first"), { name: "first" })
          yield* Actor.spawn(child("second"), { name: "second" })
          return { Ping: () => Effect.void }
        }))
        const ref = yield* Actor.spawn(parent, { name: "p" })
        assert.deepStrictEqual((yield* ActorSystem.list).map(({ path }) => path), [
          "/user/p",
          "/user/p/first",
          "/user/p/second"
        ])
        yield* ref.stop
        assert.deepStrictEqual(log, ["second", "first", "parent"])
        assert.deepStrictEqual(yield* ActorSystem.list, [])
      })))
  })

  describe("the end", () => {
    it.effect("stop finishes the current message and answers Stopped to the rest", () =>
      run(Effect.gen(function*() {
        const { behavior, latch } = makeGate()
        const ref = yield* Actor.spawn(behavior)
        const a = yield* Effect.forkChild(ref.ask("Pass", { id: "a" }), { startImmediately: true })
        const b = yield* Effect.forkChild(reasonOf(ref.ask("Pass", { id: "b" })))
        yield* turn
        const stop = yield* Effect.forkChild(ref.stop)
        yield* turn
        assert.strictEqual(yield* Fiber.join(b), "Stopped")
        assert.strictEqual(yield* reasonOf(ref.tell("Pass", { id: "c" })), "Stopped")
        assert.isUndefined(stop.pollUnsafe())
        yield* latch.open
        yield* Fiber.join(stop)
        assert.strictEqual(yield* Fiber.join(a), "a")
      })))

    it.effect("drain handles what is queued, and nothing newer", () =>
      run(Effect.gen(function*() {
        const { behavior, latch, log } = makeGate()
        const ref = yield* Actor.spawn(behavior)
        yield* ref.tell("Pass", { id: "a" })
        yield* ref.tell("Pass", { id: "b" })
        yield* turn
        const drain = yield* Effect.forkChild(ref.drain)
        yield* turn
        assert.strictEqual(yield* reasonOf(ref.ask("Pass", { id: "c" })), "Stopped")
        yield* latch.open
        yield* Fiber.join(drain)
        assert.deepStrictEqual(log, ["begin a", "end a", "begin b", "end b"])
      })))

    it.effect("stop waits for a stream that is being consumed, and its consumer gets the rest", () =>
      run(Effect.gen(function*() {
        const latch = yield* Latch.make()
        const ref = yield* Actor.spawn(Gate.behavior(Effect.succeed({
          Pass: ({ id }) => Effect.succeed(id),
          Items: () => Stream.concat(Stream.make(1), Stream.fromEffect(Effect.as(latch.await, 2)))
        })))
        const items = yield* Effect.forkChild(Stream.runCollect(ref.stream("Items")))
        yield* turn
        const stop = yield* Effect.forkChild(ref.stop)
        yield* turn
        assert.isUndefined(stop.pollUnsafe())
        yield* latch.open
        assert.deepStrictEqual(yield* Fiber.join(items), [1, 2])
        yield* Fiber.join(stop)
      })))

    it.effect("drain during a restart handles what is queued in the next incarnation", () =>
      run(Effect.gen(function*() {
        const supervisor = Supervisor.restart(Schedule.spaced("1 second"))
        const ref = yield* Actor.spawn(Counter.behavior(counterSetup, { supervisor }))
        yield* TestActor.crash(ref)
        yield* ref.tell("Add", { by: 2 })
        const queued = yield* Effect.forkChild(ref.ask("Get"), { startImmediately: true })
        const drain = yield* Effect.forkChild(ref.drain, { startImmediately: true })
        assert.strictEqual(yield* reasonOf(ref.ask("Get")), "Stopped")
        yield* TestClock.adjust("1 second")
        assert.strictEqual(yield* Fiber.join(queued), 2)
        yield* Fiber.join(drain)
      })))

    it.effect("an actor that stops itself does not wait for itself", () =>
      run(Effect.gen(function*() {
        const Quitter = Actor.make("Quitter", [Rpc.make("Quit", { success: Schema.String })])
        const ref = yield* Actor.spawn(Quitter.behavior(Effect.succeed({
          Quit: () =>
            Effect.gen(function*() {
              const self = yield* Actor.self(Quitter)
              yield* self.stop
              return "bye"
            })
        })))
        assert.strictEqual(yield* ref.ask("Quit"), "bye")
        assert.strictEqual((yield* ref.awaitStopped).reason._tag, "Stopped")
      })))

    it.effect("an idle actor stops after its idleTimeout, counted from its last message", () =>
      run(Effect.gen(function*() {
        const ref = yield* Actor.spawn(Counter.behavior(counterSetup, { idleTimeout: "1 minute" }))
        yield* TestClock.adjust("50 seconds")
        yield* ref.ask("Get")
        yield* TestClock.adjust("50 seconds")
        assert.strictEqual((yield* TestActor.inspect(ref)).state, "Running")
        yield* TestClock.adjust("10 seconds")
        assert.strictEqual((yield* ref.awaitStopped).reason._tag, "Idle")
      })))

    it.effect("a handler that takes longer than the idleTimeout is not cut off", () =>
      run(Effect.gen(function*() {
        const { behavior, latch } = makeGate({ idleTimeout: "1 minute" })
        const ref = yield* Actor.spawn(behavior)
        const ask = yield* Effect.forkChild(ref.ask("Pass", { id: "a" }))
        yield* TestClock.adjust("5 minutes")
        yield* latch.open
        assert.strictEqual(yield* Fiber.join(ask), "a")
      })))
  })

  describe("watch", () => {
    const Watcher = Actor.make("Watcher", [
      Rpc.make("Watch"),
      Rpc.make("Unwatch"),
      Rpc.make("Ended", { payload: { path: Schema.String, reason: Schema.String } }),
      Rpc.make("Seen", { success: Schema.Array(Schema.String) })
    ])
    const watcher = (ref: Actor.LocalRefOf<typeof Counter>) =>
      Watcher.behavior(Effect.sync(() => {
        const seen: Array<string> = []
        return {
          Watch: () => Actor.watch(ref, ({ path, reason }) => Watcher.message("Ended", { path, reason: reason._tag })),
          Unwatch: () => Actor.unwatch(ref),
          Ended: ({ path, reason }) => Effect.sync(() => void seen.push(`${path} ${reason}`)),
          Seen: () => Effect.succeed(seen)
        }
      }))
    const spawnCounter = () => Actor.spawn(counter, { name: "watched" })

    it.effect("watching twice tells once, watching a stopped actor tells at once", () =>
      run(Effect.gen(function*() {
        const ref = yield* spawnCounter()
        const observer = yield* Actor.spawn(watcher(ref))
        yield* observer.ask("Watch")
        yield* observer.ask("Watch")
        yield* ref.stop
        assert.deepStrictEqual(yield* observer.ask("Seen"), ["/user/watched Stopped"])
        yield* observer.ask("Watch")
        assert.strictEqual((yield* observer.ask("Seen")).length, 2)
      })))

    it.effect("unwatch undoes it", () =>
      run(Effect.gen(function*() {
        const ref = yield* spawnCounter()
        const observer = yield* Actor.spawn(watcher(ref))
        yield* observer.ask("Watch")
        yield* observer.ask("Unwatch")
        yield* ref.stop
        assert.deepStrictEqual(yield* observer.ask("Seen"), [])
      })))
  })

  describe("forward", () => {
    it.effect("the target answers the original asker, even after the forwarder has stopped", () =>
      run(Effect.gen(function*() {
        const { behavior, latch } = makeGate()
        const target = yield* Actor.spawn(behavior)
        const front = yield* Actor.spawn(Gate.behavior(Effect.succeed({
          Pass: (payload) => Actor.forward(target, "Pass", payload),
          Items: () => Stream.empty
        })))
        const ask = yield* Effect.forkChild(front.ask("Pass", { id: "a" }))
        yield* turn
        yield* front.stop
        yield* latch.open
        assert.strictEqual(yield* Fiber.join(ask), "a")
      })))

    it.effect("interrupting the asker interrupts the target's run", () =>
      run(Effect.gen(function*() {
        const { behavior, log } = makeGate()
        const target = yield* Actor.spawn(behavior)
        const front = yield* Actor.spawn(Gate.behavior(Effect.succeed({
          Pass: (payload) => Actor.forward(target, "Pass", payload),
          Items: () => Stream.empty
        })))
        const ask = yield* Effect.forkChild(front.ask("Pass", { id: "a" }))
        yield* turn
        yield* Fiber.interrupt(ask)
        assert.deepStrictEqual(log, ["begin a", "interrupted a"])
      })))
  })

  describe("stash", () => {
    const Door = Actor.make("Door", [
      Rpc.make("Enter", { payload: { name: Schema.String }, success: Schema.String }),
      Rpc.make("Open")
    ])
    const door = Door.behavior(
      Effect.gen(function*() {
        const open = yield* Ref.make(false)
        return {
          Enter: ({ name }) =>
            Effect.flatMap(Ref.get(open), (open) => open ? Effect.succeed(`welcome ${name}`) : Actor.stash),
          Open: () => Effect.andThen(Ref.set(open, true), Actor.unstashAll)
        }
      }),
      { stashCapacity: 2 }
    )

    it.effect("keeps messages and their askers until unstashAll, in order", () =>
      run(Effect.gen(function*() {
        const ref = yield* Actor.spawn(door)
        const a = yield* Effect.forkChild(ref.ask("Enter", { name: "a" }))
        const b = yield* Effect.forkChild(ref.ask("Enter", { name: "b" }))
        yield* turn
        assert.strictEqual((yield* TestActor.inspect(ref)).stashed, 2)
        assert.strictEqual(yield* reasonOf(ref.ask("Enter", { name: "c" })), "MailboxFull")
        yield* ref.tell("Open")
        assert.deepStrictEqual([yield* Fiber.join(a), yield* Fiber.join(b)], ["welcome a", "welcome b"])
      })))

    it.effect("an interrupted asker takes its message out, a stop answers the others", () =>
      run(Effect.gen(function*() {
        const ref = yield* Actor.spawn(door)
        const a = yield* Effect.forkChild(ref.ask("Enter", { name: "a" }))
        const b = yield* Effect.forkChild(reasonOf(ref.ask("Enter", { name: "b" })))
        yield* turn
        yield* Fiber.interrupt(a)
        assert.strictEqual((yield* TestActor.inspect(ref)).stashed, 1)
        yield* ref.stop
        assert.strictEqual(yield* Fiber.join(b), "Stopped")
      })))
  })

  it.effect("a told message's crash is logged with its cause and the actor's path; an asked one's is its asker's", () =>
    run(Effect.gen(function*() {
      const logged: Array<unknown> = []
      const logger = Logger.make(({ fiber, logLevel, message }) => {
        logged.push([logLevel, message, fiber.getRef(References.CurrentLogAnnotations)["actor"]])
      })
      const ref = yield* Actor.spawn(Counter.behavior(counterSetup, { supervisor: Supervisor.resume }), { name: "c" })
        .pipe(Effect.provide(Logger.layer([logger])))
      yield* ref.tell("Die")
      yield* Effect.ignore(ref.ask("Die"))
      assert.deepStrictEqual(logged, [["Error", ["Die crashed"], "/user/c"]])
    })))

  it.effect("handlers log with their actor's path", () =>
    run(Effect.gen(function*() {
      const logged: Array<unknown> = []
      const logger = Logger.make(({ fiber }) =>
        void logged.push(fiber.getRef(References.CurrentLogAnnotations)["actor"])
      )
      const ref = yield* spawn("t").pipe(Effect.provide(Logger.layer([logger])))
      yield* ask(ref, Effect.log("here"))
      yield* tell(ref, Effect.log("here"))
      assert.deepStrictEqual(logged, ["/user/t", "/user/t"])
    })))

  it("wrong constants are defects that name the field and the value", () => {
    assert.throws(() => Mailbox.bounded(0), "Mailbox.bounded: capacity must be a positive integer, got 0")
    assert.throws(() => Mailbox.bounded(2.5), "Mailbox.bounded: capacity must be a positive integer, got 2.5")
    assert.throws(() => Actor.make("", []), "Actor.make: name must be a text that is not empty, got")
    assert.throws(
      () => Actor.make("A", [Rpc.make("X"), Rpc.make("X")]),
      `Actor.make(A): rpcs must be messages with different tags, got "X"`
    )
    const setup = Effect.succeed({ X: () => Effect.void })
    const One = Actor.make("One", [Rpc.make("X")])
    assert.throws(() => One.behavior(setup, { concurrency: 0 }), "One.behavior: concurrency must be a positive integer")
    assert.throws(
      () => One.behavior(setup, { idleTimeout: "0 seconds" }),
      "One.behavior: idleTimeout must be a positive"
    )
    assert.throws(() => One.behavior(setup, { concurrency: NaN }), "got NaN")
    assert.throws(() => One.behavior(setup, { stashCapacity: 0 }), "One.behavior: stashCapacity must be a positive")
    assert.throws(
      () => Supervisor.restart(Schedule.forever, { window: "0 seconds" }),
      "Supervisor.restart: window must be a positive duration, got 0"
    )
    assert.throws(
      () => Supervisor.intensity({ restarts: 1, within: -1 }),
      "Supervisor.intensity: within must be a positive duration, got"
    )
    assert.throws(
      () => Supervisor.intensity({ restarts: 0, within: "1 minute" }),
      "Supervisor.intensity: restarts must"
    )
  })
})

describe("Each message", () => {
  it.effect("has a fiber of its own, told in a burst or asked, and an actor at rest has none", () =>
    run(Effect.gen(function*() {
      const fibers: Array<Fiber.Fiber<unknown, unknown> | undefined> = []
      const note = Effect.sync(() => void fibers.push(Fiber.getCurrent()))
      const ref = yield* spawn("a")
      for (let i = 0; i < 10; i++) yield* ref.tell("Do", { act: note })
      yield* ask(ref, note)
      yield* turns
      assert.strictEqual(new Set(fibers).size, 11)
      assert.isTrue(fibers.every((fiber) => fiber?.pollUnsafe() !== undefined))
    })))

  it.effect("is handled in the dispatcher's turn, and never on the sender's stack", () =>
    run(Effect.gen(function*() {
      const log: Array<string> = []
      const ref = yield* spawn("a")
      for (const how of ["ask", "tell"] as const) {
        yield* Effect.forkChild(ref[how]("Do", { act: Effect.sync(() => log.push(how)) }), { startImmediately: true })
        assert.deepStrictEqual(log, [])
        yield* turns
        assert.deepStrictEqual(log.splice(0), [how])
      }
    })))

  it.effect("ends with the fibers that its handler forked, also in a burst", () =>
    run(Effect.gen(function*() {
      const log: Array<string> = []
      const child = Effect.onInterrupt(Effect.never, () => Effect.sync(() => log.push("child over")))
      const ref = yield* spawn("a")
      yield* ref.tell("Do", { act: Effect.forkChild(child, { startImmediately: true }) })
      yield* ref.tell("Do", { act: Effect.sync(() => log.push("next")) })
      yield* turns
      assert.includeMembers(log, ["child over", "next"])
    })))
})

describe("A handler that returns no effect", () => {
  const Odd = Actor.make("Odd", [
    Rpc.make("Go", { payload: { what: Schema.String }, success: Schema.String }),
    Rpc.make("Items", { payload: { what: Schema.String }, success: Schema.String, stream: true }),
    Rpc.make("Ping", { success: Schema.String })
  ])
  const results: Record<string, () => unknown> = {
    undefined: () => undefined,
    null: () => null,
    "a number": () => 42,
    "a text": () => "pong",
    "a plain object": () => ({}),
    "a function": () => () => Effect.succeed("pong"),
    "a promise": () => Promise.resolve("pong"),
    "a promise that fails": () => {
      const promise = Promise.reject(new Error("boom"))
      promise.catch(() => {})
      return promise
    },
    "what throws": () => {
      throw new Error("boom")
    },
    "what throws when it is looked at": () =>
      new Proxy({}, {
        get: () => {
          throw new Error("boom")
        },
        has: () => {
          throw new Error("boom")
        },
        getPrototypeOf: () => {
          throw new Error("boom")
        }
      }),
    "a fork of nothing": () => Rpc.fork(undefined as unknown as Effect.Effect<string>)
  }
  const odd = (supervisor: Supervisor.Policy) =>
    Odd.behavior(
      Effect.succeed({
        Go: ({ what }) => results[what]!() as Effect.Effect<string>,
        Items: ({ what }) => results[what]!() as Stream.Stream<string>,
        Ping: () => Effect.succeed("pong")
      }),
      { supervisor }
    )

  for (const what of Object.keys(results)) {
    it.effect(`but ${what} has crashed, and its asker is told so`, () => {
      const { layer } = makeLog()
      return run(Effect.gen(function*() {
        const ref = yield* Actor.spawn(odd(Supervisor.restart(Schedule.forever)), { name: "odd" })
        const events = yield* collectEvents
        const answers = [
          yield* settle(outcome(ref.ask("Go", { what }))),
          yield* settle(outcome(Stream.runCollect(ref.stream("Items", { what }))))
        ]
        assert.deepStrictEqual(answers, [Exit.succeed("Crashed"), Exit.succeed("Crashed")])
        yield* ref.tell("Go", { what })
        yield* turns
        assert.strictEqual(events.filter(({ _tag }) => _tag === "Restarted").length, 3)
        assert.deepStrictEqual(yield* settle(ref.ask("Ping")), Exit.succeed("pong"))
      })).pipe(Effect.provide(layer))
    })
  }
})

describe("Nothing that user code does breaks anybody else", () => {
  /** Another actor, and the rest of the system, go on. */
  const others = Effect.gen(function*() {
    const name = `other-${(yield* ActorSystem.list).length}`
    const other = yield* spawn(name)
    assert.deepStrictEqual(yield* settle(other.ask("Ping")), Exit.succeed("pong"))
    assert.isDefined(yield* settle(other.stop))
  })

  const silent = <A, E>(effect: Effect.Effect<A, E, ActorSystem.ActorSystem>) =>
    run(effect).pipe(Effect.provide(makeLog().layer))

  const One = Actor.make("One", [Rpc.make("Go", { success: Schema.String })])

  const setups: Record<string, Effect.Effect<unknown>> = {
    "without a handler": Effect.succeed({}),
    "with a handler that is no function": Effect.succeed({ Go: 42 }),
    "with no handlers at all": Effect.succeed(undefined),
    "with handlers that throw when they are looked up": Effect.succeed({
      get Go() {
        throw new Error("boom")
      }
    })
  }

  for (const [what, setup] of Object.entries(setups)) {
    it.effect(`a setup ${what}`, () =>
      silent(Effect.gen(function*() {
        const behavior = One.behavior(setup as Effect.Effect<{ Go: () => Effect.Effect<string> }>, {
          supervisor: Supervisor.resume
        })
        const spawned = yield* settle(Actor.spawn(behavior))
        assert.isDefined(spawned)
        if (spawned !== undefined && Exit.isSuccess(spawned)) {
          assert.deepStrictEqual(yield* settle(outcome(spawned.value.ask("Go"))), Exit.succeed("Crashed"))
          yield* spawned.value.tell("Go")
          yield* turns
        }
        yield* others
      })))
  }

  it.effect("a setup that throws, at the start or at a restart", () =>
    silent(Effect.gen(function*() {
      let setups = 0
      const setup = Effect.suspend((): Effect.Effect<void> => {
        if (setups++ === 1) throw new Error("boom")
        return Effect.void
      })
      const ref = yield* spawn("a", { setup, supervisor: Supervisor.restart(Schedule.forever) })
      yield* TestActor.crash(ref)
      assert.deepStrictEqual(yield* settle(ref.ask("Ping")), Exit.succeed("pong"))
      setups = 1
      assert.isDefined(yield* settle(Effect.exit(spawn("b", { setup }))))
      yield* others
    })))

  it.effect("a finalizer that dies at a restart and at the end", () =>
    silent(Effect.gen(function*() {
      const setup = Effect.addFinalizer(() => Effect.die("stuck"))
      const ref = yield* spawn("a", { setup, supervisor: Supervisor.restart(Schedule.forever) })
      yield* TestActor.crash(ref)
      assert.deepStrictEqual(yield* settle(ref.ask("Ping")), Exit.succeed("pong"))
      assert.isDefined(yield* settle(ref.stop))
      yield* others
    })))

  it.effect("a schedule that gives a delay that is no time", () =>
    silent(Effect.gen(function*() {
      const wrong = Schedule.forever.pipe(Schedule.addDelay(() => Effect.succeed(Number.NaN)))
      const ref = yield* spawn("a", { supervisor: Supervisor.restart(wrong) })
      assert.strictEqual(yield* outcome(ask(ref, Effect.die("boom"))), "Crashed")
      yield* turns
      assert.isDefined(yield* settle(ref.kill))
      yield* others
    })))

  it.effect("an interruption of everything that a handler has to do with", () =>
    silent(Effect.gen(function*() {
      const ref = yield* spawn("a", { supervisor: Supervisor.resume })
      const acts: ReadonlyArray<Act> = [
        Effect.interrupt,
        Effect.sync(() => Fiber.getCurrent()!.interruptUnsafe()),
        Effect.failCause(Cause.combine(Cause.interrupt(1), Cause.die("boom"))),
        Rpc.fork(Effect.interrupt),
        Rpc.uninterruptible(Effect.interrupt)
      ]
      for (const act of acts) assert.deepStrictEqual(yield* settle(outcome(ask(ref, act))), Exit.succeed("Crashed"))
      assert.deepStrictEqual(yield* settle(ref.ask("Ping")), Exit.succeed("pong"))
      yield* others
    })))
})

describe("What is logged of messages", () => {
  it.effect("a told message's typed failure is a warning with the actor's path and the failure", () => {
    const { layer, logged } = makeLog()
    return run(Effect.gen(function*() {
      const ref = yield* Actor.spawn(counter, { name: "c" })
      yield* ref.tell("Fail")
      yield* turns
      assert.strictEqual(logged.length, 1)
      assert.match(logged[0]!, /^Warn/)
      for (const part of ["/user/c", "Fail", "no"]) assert.include(logged[0]!, part)
      // Who asks has it as the answer.
      yield* Effect.flip(ref.ask("Fail"))
      yield* turns
      assert.strictEqual(logged.length, 1)
    })).pipe(Effect.provide(layer))
  })

  it.effect("a defect of a finalizer after Actor.stash is not swallowed", () => {
    const { layer, logged } = makeLog()
    return run(Effect.gen(function*() {
      const ref = yield* spawn("a", { supervisor: Supervisor.resume })
      const events = yield* collectEvents
      yield* tell(ref, Effect.ensuring(Actor.stash, Effect.die("leak")))
      const crashes = events.flatMap((event) => event._tag === "Crashed" ? [Cause.pretty(event.cause)] : [])
      assert.isTrue([...logged, ...crashes].some((text) => text.includes("leak")))
      assert.deepStrictEqual(yield* settle(ref.ask("Ping")), Exit.succeed("pong"))
    })).pipe(Effect.provide(layer))
  })
})

describe("Spans", () => {
  /** The spans made within `effect`: each with its parent's name. */
  const spansOf = (
    effect: Effect.Effect<unknown, unknown, ActorSystem.ActorSystem>,
    options?: Partial<
      ActorSystem.Options
    >
  ) =>
    Effect.gen(function*() {
      const spans: Array<Tracer.Span> = []
      const tracer = Tracer.make({
        span: (options) => {
          const span = new Tracer.NativeSpan(options)
          spans.push(span)
          return span
        }
      })
      yield* run(effect, options).pipe(Effect.provideService(Tracer.Tracer, tracer))
      return spans.map(({ attributes, name, parent }) => ({
        name,
        parent: parent._tag === "Some" && parent.value._tag === "Span" ? parent.value.name : undefined,
        actor: attributes.get("actor")
      }))
    })

  const work = Effect.withSpan(Effect.void, "work")

  const program = Effect.gen(function*() {
    const ref = yield* Effect.withSpan(spawn("a"), "spawner")
    yield* Effect.withSpan(ask(ref, work), "asker")
    yield* Effect.withSpan(tell(ref, work), "teller")
    yield* tell(ref, work)
  })

  it.effect("are off by default: what handlers do has the sender's span as its parent, and outlives no spawner", () =>
    Effect.gen(function*() {
      const spans = [
        { name: "spawner", parent: undefined, actor: undefined },
        { name: "asker", parent: undefined, actor: undefined },
        { name: "work", parent: "asker", actor: undefined },
        { name: "teller", parent: undefined, actor: undefined },
        { name: "work", parent: "teller", actor: undefined },
        { name: "work", parent: undefined, actor: undefined }
      ]
      assert.deepStrictEqual(yield* spansOf(program), spans)
      assert.deepStrictEqual(yield* spansOf(program, { spans: "off" }), spans)
    }))

  it.effect("that are on give a message that is sent within a span one of its own, which names the actor", () =>
    Effect.gen(function*() {
      const spans = yield* spansOf(program, { spans: "on" })
      assert.deepStrictEqual(spans.filter(({ name }) => name === "Puppet.Do").slice(0, 2), [
        { name: "Puppet.Do", parent: "asker", actor: "/user/a" },
        { name: "Puppet.Do", parent: "teller", actor: "/user/a" }
      ])
      const parents = spans.flatMap(({ name, parent }) => name === "work" ? [parent] : [])
      assert.deepStrictEqual(parents.slice(0, 2), ["Puppet.Do", "Puppet.Do"])
    }))

  it.effect("that are sampled give that share of messages one, and the others keep the sender's as their parent", () =>
    Effect.gen(function*() {
      const count = (sample: number) =>
        Effect.gen(function*() {
          const asks = Effect.gen(function*() {
            const ref = yield* spawn("a")
            for (let i = 0; i < 1000; i++) yield* Effect.withSpan(ask(ref, work), "asker")
          })
          const spans = yield* spansOf(asks, { spans: { sample } })
          const parents = spans.flatMap(({ name, parent }) => name === "work" ? [parent] : [])
          assert.isTrue(parents.every((parent) => parent === "asker" || parent === "Puppet.Do"))
          return parents.filter((parent) => parent === "Puppet.Do").length
        })
      assert.strictEqual(yield* count(1), 1000)
      const tenth = yield* count(0.1)
      assert.isAbove(tenth, 50)
      assert.isBelow(tenth, 170)
    }).pipe(Random.withSeed("spans")))

  it.effect("reach the actors that a handler asks in turn", () =>
    Effect.gen(function*() {
      const nested = Effect.gen(function*() {
        const [a, b] = [yield* spawn("a"), yield* spawn("b")]
        yield* Effect.withSpan(ask(a, Effect.orDie(ask(b, work))), "asker")
      })
      assert.deepStrictEqual((yield* spansOf(nested)).map(({ name, parent }) => [name, parent]), [
        ["asker", undefined],
        ["work", "asker"]
      ])
      assert.deepStrictEqual(
        (yield* spansOf(nested, { spans: "on" })).map(({ actor, name, parent }) => [name, parent, actor]),
        [
          ["asker", undefined, undefined],
          ["Puppet.Do", "asker", "/user/a"],
          ["Puppet.Do", "Puppet.Do", "/user/b"],
          ["work", "Puppet.Do", undefined]
        ]
      )
    }))

  it("a share that is none is a defect that names it", () => {
    for (const sample of [0, -1, 1.5, Number.NaN]) {
      assert.throws(() => ActorSystem.layer({ name: "s", spans: { sample } }), "sample must be")
    }
  })
})
