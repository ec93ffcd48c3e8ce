/** What happens when handlers, askers and their observers act on actors that are just acting on them. */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Deferred, Duration, Effect, Exit, Fiber, Latch, Logger, Schedule, Schema } from "effect"
import { Rpc } from "effect/rpc"
import * as Actor from "../src/Actor.ts"
import * as ActorSystem from "../src/ActorSystem.ts"
import * as Mailbox from "../src/Mailbox.ts"
import * as Router from "../src/Router.ts"
import * as Supervisor from "../src/Supervisor.ts"
import { TestActor } from "../src/testing/index.ts"
import { begin } from "./fixtures/actors.ts"

const run = <A, E>(effect: Effect.Effect<A, E, ActorSystem.ActorSystem>) =>
  Effect.provide(effect, ActorSystem.layer({ name: "test", shutdownTimeout: 0 }))

const Echo = Actor.make("Echo", [
  Rpc.make("Say", { payload: { text: Schema.String }, success: Schema.String }),
  Rpc.make("Note", { payload: { text: Schema.String } }),
  Rpc.make("Die")
])

const makeEcho = (options?: Actor.BehaviorOptions) => {
  const notes: Array<string> = []
  const behavior = Echo.behavior(
    Effect.succeed({
      Say: ({ text }) => Effect.sync(() => (notes.push(text), text)),
      Note: ({ text }) => Effect.sync(() => void notes.push(text)),
      Die: () => Effect.die("boom")
    }),
    options
  )
  return { behavior, notes }
}

const Runner = Actor.make("Runner", [
  Rpc.make("Run", { success: Schema.String }),
  Rpc.make("Start"),
  Rpc.make("Ping", { success: Schema.String })
])

const runner = (body: Effect.Effect<string>, options?: Actor.BehaviorOptions) =>
  Runner.behavior(
    Effect.succeed({ Run: () => body, Start: () => Effect.asVoid(body), Ping: () => Effect.succeed("pong") }),
    options
  )

/** Lets all that can go on do so, and gives the effect's exit: `undefined` when it hangs. */
const settle = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.forkChild(effect, { startImmediately: true })
    for (let i = 0; i < 20; i++) yield* Effect.yieldNow
    return fiber.pollUnsafe()
  })

const reasonOf = (exit: Exit.Exit<unknown, unknown> | undefined) => {
  if (exit === undefined || Exit.isSuccess(exit)) return exit
  const error = Cause.squash(exit.cause)
  return error instanceof Actor.ActorError ? error.reason._tag : error
}

describe("Actors that act on each other", () => {
  describe("a child that its parent's handler asks", () => {
    const parent = (log: Array<string>, how: "asks" | "crashes", options: Actor.BehaviorOptions) => {
      let incarnations = 0
      return Runner.behavior(
        Effect.gen(function*() {
          const n = ++incarnations
          yield* Effect.addFinalizer(() => Effect.sync(() => log.push(`release ${n}`)))
          log.push(`setup ${n}`)
          const child = yield* Actor.spawn(makeEcho({ supervisor: Supervisor.escalate }).behavior)
          const self = yield* Actor.self(Runner)
          const body = Effect.gen(function*() {
            if (how === "asks") yield* Effect.exit(child.ask("Die"))
            else yield* TestActor.crash(self)
            log.push(`go on in ${n}`)
            return yield* Effect.never
          }).pipe(Effect.onInterrupt(() => Effect.sync(() => log.push(`interrupt ${n}`))))
          return { Run: () => body, Start: () => body, Ping: () => Effect.succeed(`pong ${n}`) }
        }),
        options
      )
    }
    const restarts = ["setup 1", "go on in 1", "interrupt 1", "release 1", "setup 2"]

    for (const how of ["asks", "crashes"] as const) {
      it.effect(`(${how}) and that escalates ends the handler and its scope before the next setup`, () =>
        run(Effect.gen(function*() {
          for (const concurrency of [1, 2]) {
            const options = { concurrency, supervisor: Supervisor.restart(Schedule.forever) }
            const asked: Array<string> = []
            const ref = yield* Actor.spawn(parent(asked, how, options))
            assert.strictEqual(reasonOf(yield* settle(ref.ask("Run"))), "Crashed")
            assert.deepStrictEqual(asked, restarts)
            assert.strictEqual(yield* ref.ask("Ping"), "pong 2")
            const told: Array<string> = []
            const other = yield* Actor.spawn(parent(told, how, options))
            yield* settle(other.tell("Start"))
            assert.deepStrictEqual(told, restarts)
            assert.strictEqual(yield* other.ask("Ping"), "pong 2")
          }
        })))

      it.effect(`(${how}) and that stops it by its crash interrupts the handler`, () =>
        run(Effect.gen(function*() {
          for (const message of ["Run", "Start"] as const) {
            const ref = yield* Actor.spawn(parent([], how, { supervisor: Supervisor.stop }))
            yield* settle(Effect.exit(message === "Run" ? ref.ask("Run") : ref.tell("Start")))
            assert.isDefined(yield* settle(ref.awaitStopped))
          }
        })))
    }
  })

  it.effect("a handler that has stopped its asker's actor still answers, and then that one ends", () =>
    run(Effect.gen(function*() {
      let asker: Actor.LocalRefOf<typeof Runner> | undefined
      const killer = yield* Actor.spawn(
        runner(
          Effect.suspend(() => Effect.as(Effect.forkDetach(asker!.stop, { startImmediately: true }), "stopped you"))
        )
      )
      asker = yield* Actor.spawn(runner(Effect.orDie(killer.ask("Run"))))
      assert.strictEqual(yield* asker.ask("Run"), "stopped you")
      assert.isDefined(yield* settle(asker.awaitStopped))
    })))

  it.effect("a child that stops its parent while that asks it answers first", () =>
    run(Effect.gen(function*() {
      const ref = yield* Actor.spawn(Runner.behavior(Effect.gen(function*() {
        const parent = yield* Actor.self(Runner)
        const child = yield* Actor.spawn(runner(Effect.as(parent.stop, "the end")))
        const ask = Effect.orDie(child.ask("Run"))
        return { Run: () => ask, Start: () => Effect.asVoid(ask), Ping: () => Effect.succeed("pong") }
      })))
      assert.strictEqual(yield* ref.ask("Run"), "the end")
      assert.isDefined(yield* settle(ref.awaitStopped))
    })))

  it.effect("asking after telling, and telling after asking, keeps the order, idle or not", () =>
    run(Effect.gen(function*() {
      const { behavior, notes } = makeEcho()
      const ref = yield* Actor.spawn(behavior)
      const order = ["a", "b", "c", "d", "e"]
      yield* ref.ask("Say", { text: "a" })
      yield* ref.tell("Note", { text: "b" })
      yield* ref.ask("Say", { text: "c" })
      yield* ref.tell("Note", { text: "d" })
      yield* ref.ask("Say", { text: "e" })
      assert.deepStrictEqual(notes, order)
    })))

  it.effect("a handler that has its own actor asked before it returns an effect is alone nevertheless", () =>
    run(Effect.gen(function*() {
      const context = yield* Effect.context<ActorSystem.ActorSystem>()
      const log: Array<string> = []
      let asker: Fiber.Fiber<unknown, unknown> | undefined
      const ref: Actor.LocalRefOf<typeof Runner> = yield* Actor.spawn(Runner.behavior(Effect.succeed({
        Run: () => {
          asker = Effect.runForkWith(context)(ref.ask("Ping"))
          log.push("begin")
          return Effect.as(Effect.yieldNow, "done").pipe(Effect.tap(() => Effect.sync(() => log.push("end"))))
        },
        Start: () => Effect.void,
        Ping: () => Effect.sync(() => (log.push("ping"), "pong"))
      })))
      assert.strictEqual(yield* ref.ask("Run"), "done")
      assert.deepStrictEqual(yield* settle(Fiber.join(asker!)), Exit.succeed("pong"))
      assert.deepStrictEqual(log, ["begin", "end", "ping"])
    })))

  it.effect("an idle actor that is paused does not handle an ask before it is resumed", () =>
    run(Effect.gen(function*() {
      const { behavior, notes } = makeEcho()
      const ref = yield* Actor.spawn(behavior)
      yield* ref.pause
      const asker = yield* Effect.forkChild(ref.ask("Say", { text: "a" }), { startImmediately: true })
      yield* settle(Effect.void)
      assert.deepStrictEqual(notes, [])
      yield* ref.resume
      assert.strictEqual(yield* Fiber.join(asker), "a")
    })))

  it.effect("an asker of a router's routee may ask the router again at once", () =>
    run(Effect.gen(function*() {
      const pool = yield* Router.spawn(makeEcho().behavior, { size: 2, strategy: "leastLoaded" })
      const all = Effect.forEach(Array.from({ length: 100 }, (_, n) => `${n}`), (text) => pool.ask("Say", { text }))
      assert.strictEqual((yield* all).length, 100)
    })))

  it.effect("dropOldest: an evicted asker that asks again at once finds the mailbox full", () =>
    run(Effect.gen(function*() {
      const ref = yield* Actor.spawn(makeEcho({ mailbox: Mailbox.bounded(1, "dropOldest") }).behavior)
      yield* ref.pause
      const ask = (text: string) => Effect.retry(ref.ask("Say", { text }), { times: 1 })
      yield* Effect.forkChild(ask("first"), { startImmediately: true })
      yield* Effect.forkChild(ask("second"), { startImmediately: true })
      assert.strictEqual((yield* ref.mailbox).size, 1)
    })))

  it.effect("a stop answers everybody once, even if one asker then interrupts another", () =>
    run(Effect.gen(function*() {
      const latch = Latch.makeUnsafe(false)
      const ref = yield* Actor.spawn(
        runner(Effect.as(latch.await, "ok"), { mailbox: Mailbox.bounded(1, "block") })
      )
      const current = yield* begin(ref.ask("Run"))
      let blocked: Fiber.Fiber<unknown, unknown> | undefined
      const queued = yield* Effect.forkChild(
        Effect.ensuring(ref.ask("Ping"), Effect.sync(() => blocked!.interruptUnsafe())),
        { startImmediately: true }
      )
      blocked = yield* Effect.forkChild(ref.tell("Start"), { startImmediately: true })
      yield* Effect.forkChild(ref.stop, { startImmediately: true })
      assert.strictEqual(reasonOf(yield* Fiber.await(queued)), "Stopped")
      // It may have its answer before the interruption.
      const end = yield* Fiber.await(blocked)
      assert.isTrue(Exit.hasInterrupts(end) || reasonOf(end) === "Stopped")
      assert.deepInclude(yield* ref.mailbox, { size: 0, blocked: 0 })
      yield* latch.open
      assert.strictEqual(yield* Fiber.join(current), "ok")
    })))

  it.effect("who asks an actor whose setup fails gets Stopped, also when it asks again or during the release", () =>
    run(Effect.gen(function*() {
      const context = yield* Effect.context<ActorSystem.ActorSystem>()
      const askers: Array<Fiber.Fiber<unknown, unknown>> = []
      const failing = Runner.behavior(Effect.gen(function*() {
        const self = yield* Actor.self(Runner)
        const ask = Effect.sync(() =>
          askers.push(Effect.runForkWith(context)(Effect.retry(self.ask("Ping"), { times: 1 })))
        )
        yield* ask
        yield* Effect.addFinalizer(() => Effect.andThen(ask, Effect.yieldNow))
        return yield* Effect.fail("no" as const)
      }))
      assert.strictEqual(yield* Effect.flip(Actor.spawn(failing)), "no")
      yield* settle(Effect.void)
      assert.deepStrictEqual(askers.map((asker) => reasonOf(asker.pollUnsafe())), ["Stopped", "Stopped"])
    })))

  it.effect("a told message that its handler forwards to a stopped or full actor is lost, and nothing else", () =>
    run(
      Effect.gen(function*() {
        const full = yield* Actor.spawn(makeEcho({ mailbox: Mailbox.bounded(1, "fail") }).behavior)
        yield* full.pause
        yield* full.tell("Note", { text: "first" })
        const stopped = yield* Actor.spawn(makeEcho().behavior)
        yield* stopped.stop
        for (const target of [full, stopped]) {
          for (const concurrency of [1, 2]) {
            const ref = yield* Actor.spawn(Echo.behavior(
              Effect.succeed({
                Say: ({ text }) => Effect.succeed(text),
                Note: ({ text }) => Actor.forward(target, "Note", { text }),
                Die: () => Effect.void
              }),
              { concurrency, supervisor: Supervisor.stop }
            ))
            yield* ref.tell("Note", { text: "lost" })
            assert.strictEqual(yield* ref.ask("Say", { text: "hi" }), "hi")
          }
        }
      })
    ))

  it.effect("what an asker's observer throws is logged, and no actor is stuck for it", () => {
    const logged: Array<unknown> = []
    return run(Effect.gen(function*() {
      const latch = Latch.makeUnsafe(false)
      const ref = yield* Actor.spawn(runner(Effect.as(latch.await, "ok")))
      const asker = yield* Effect.forkChild(ref.ask("Run"), { startImmediately: true })
      asker.addObserver(() => {
        throw new Error("observer")
      })
      yield* ref.tell("Start")
      yield* latch.open
      assert.deepStrictEqual(yield* settle(ref.ask("Ping")), Exit.succeed("pong"))
      assert.strictEqual(logged.length, 1)
    })).pipe(Effect.provide(Logger.layer([Logger.make(({ message }) => logged.push(message))])))
  })
})

// Its loop starts one asker after the other, and does not stand it when a sibling goes on in between.
describe("Asks out of an Effect.forEach of bounded concurrency", () => {
  const Numbers = Actor.make("Numbers", [
    Rpc.make("Same", { payload: { n: Schema.Number }, success: Schema.Number })
  ])
  const numbers = Array.from({ length: 200 }, (_, n) => n)
  const supervisor = Supervisor.restart(Schedule.forever)

  for (const concurrency of [2, 3, 10, 50]) {
    for (const handlers of [1, 3]) {
      it.effect(`each is made once and has its own answer: ${concurrency} askers, ${handlers} at once in the middle`, () =>
        run(Effect.gen(function*() {
          let calls = 0
          const last = yield* Actor.spawn(Numbers.behavior(
            Effect.succeed({
              Same: ({ n }) => {
                calls++
                if (n % 7 === 0) return Effect.die("crash")
                return n % 3 === 0 ? Effect.as(Effect.yieldNow, n) : Effect.succeed(n)
              }
            }),
            { supervisor }
          ))
          const first = yield* Actor.spawn(Numbers.behavior(
            Effect.succeed({ Same: ({ n }) => Effect.orElseSucceed(last.ask("Same", { n }), () => n) }),
            { supervisor, concurrency: handlers }
          ))
          for (const ref of [last, first]) {
            calls = 0
            const ask = (n: number) => Effect.orElseSucceed(ref.ask("Same", { n }), () => n)
            assert.deepStrictEqual(yield* Effect.forEach(numbers, ask, { concurrency }), numbers)
            assert.strictEqual(calls, numbers.length)
          }
        })))
    }
  }

  it.effect("a handler that answers an earlier asker lets it go on after itself", () =>
    run(Effect.gen(function*() {
      const later = Deferred.makeUnsafe<number>()
      const ref = yield* Actor.spawn(Numbers.behavior(Effect.succeed({
        Same: ({ n }) =>
          n === 0
            ? Effect.succeed(later)
            : n === 2
            ? Effect.as(Deferred.succeed(later, 0), n)
            : Effect.as(Effect.yieldNow, n)
      })))
      const answers = yield* Effect.forEach([0, 1, 2, 3, 4, 5], (n) => ref.ask("Same", { n }), { concurrency: 2 })
      assert.deepStrictEqual(answers, [0, 1, 2, 3, 4, 5])
    })))

  it.effect("each is made once, though one of them stops the actor, which answers those before it", () =>
    run(Effect.gen(function*() {
      const ref = yield* Actor.spawn(Numbers.behavior(Effect.succeed({ Same: ({ n }) => Effect.succeed(n) })))
      yield* ref.pause
      const made: Array<number> = []
      const step = (n: number) =>
        Effect.suspend(() => {
          made.push(n)
          if (n === 0) return Effect.yieldNow
          return n === 3 ? ref.stop : Effect.exit(ref.ask("Same", { n }))
        })
      yield* Effect.forEach([0, 1, 2, 3, 4, 5], step, { concurrency: 3 })
      assert.deepStrictEqual(made, [0, 1, 2, 3, 4, 5])
    })))
})

describe("Supervisors that die themselves", () => {
  const policies = {
    "decide at a crash": Supervisor.decide(() => {
      throw new Error("broken policy")
    }),
    "a schedule's first step": Supervisor.restart(Schedule.fromStep(Effect.succeed(() => {
      throw new Error("broken policy")
    }))),
    "a schedule's second step": Supervisor.restart(Schedule.fromStep(Effect.sync(() => {
      let steps = 0
      return () => {
        if (steps++ > 0) throw new Error("broken policy")
        return Effect.succeed<[number, Duration.Duration]>([steps, Duration.zero])
      }
    })))
  }

  for (const [name, supervisor] of Object.entries(policies)) {
    it.effect(`${name} stops the actor with both causes`, () =>
      run(Effect.gen(function*() {
        const ref = yield* Actor.spawn(makeEcho({ supervisor }).behavior)
        for (let i = 0; i < 2; i++) yield* Effect.exit(ref.ask("Die"))
        const exit = yield* settle(ref.awaitStopped)
        const reason = exit !== undefined && Exit.isSuccess(exit) ? exit.value.reason : undefined
        const causes = reason?._tag === "Crashed" ? Cause.pretty(reason.cause) : ""
        assert.include(causes, "boom")
        assert.include(causes, "broken policy")
      })))
  }
})
