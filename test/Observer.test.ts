import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Latch, Schedule, Schema } from "effect"
import { Rpc } from "effect/rpc"
import * as Actor from "../src/Actor.ts"
import type * as ActorSystem from "../src/ActorSystem.ts"
import * as Observer from "../src/Observer.ts"
import * as Supervisor from "../src/Supervisor.ts"
import { Faults, TestActor } from "../src/testing/index.ts"
import {
  ask,
  begin,
  makeLog,
  makeSystem,
  outcome,
  pass,
  run,
  self,
  settle,
  spawn,
  tell,
  turns,
  within
} from "./fixtures/actors.ts"

type Message = Extract<Observer.Observation, { readonly _tag: "Message" }>

const observer = (observe: Observer.Observer["observe"], sampleEvery?: number): Observer.Observer =>
  sampleEvery === undefined ? { observe } : { observe, sampleEvery }

/** Runs with a system that is observed. */
const observed = <A, E>(
  body: (seen: Array<Observer.Observation>) => Effect.Effect<A, E, ActorSystem.ActorSystem>,
  sampleEvery?: number
) => {
  const seen: Array<Observer.Observation> = []
  return run(body(seen)).pipe(
    Effect.provideService(Observer.Observer, observer((observation) => void seen.push(observation), sampleEvery))
  )
}

const messages = (seen: ReadonlyArray<Observer.Observation>): ReadonlyArray<Message> =>
  seen.flatMap((observation) => observation._tag === "Message" ? [observation] : [])

const immediately = Supervisor.restart(Schedule.forever)

const Vault = Actor.make("Vault", [
  Rpc.make("Open", { payload: { code: Schema.String }, success: Schema.String, error: Schema.String })
])

describe("Observer", () => {
  it.effect("is told of an actor's life, with its incarnations and times", () =>
    observed((seen) =>
      Effect.gen(function*() {
        const ref = yield* spawn("a", { supervisor: Supervisor.restart(Schedule.spaced("2 seconds")) })
        yield* pass("1 second")
        yield* TestActor.crash(ref)
        yield* pass("2 seconds")
        yield* ref.stop
        const told = seen.flatMap((observation) => observation._tag === "Actor" ? [observation] : [])
        const first = told[0]!.incarnation
        assert.deepStrictEqual(
          told,
          ([["Started", 0, 0], ["Crashed", 1000, 0], ["Restarted", 3000, 1], ["Stopped", 3000, 1]] as const).map(
            ([event, at, later]) => ({
              _tag: "Actor",
              at,
              path: "/user/a",
              protocol: "Puppet",
              incarnation: first + later,
              event
            })
          )
        )
      })
    ))

  it.effect("is told of an actor that was abandoned", () =>
    observed((seen) =>
      Effect.gen(function*() {
        const latch = yield* Latch.make()
        const ref = yield* spawn("a")
        yield* tell(ref, Rpc.uninterruptible(latch.await))
        assert.isDefined(yield* within("10 seconds", ref.stop))
        assert.deepStrictEqual(seen.map((observation) => observation._tag === "Actor" && observation.event), [
          "Started",
          "Abandoned",
          "Stopped"
        ])
        yield* latch.open
      })
    ))

  it.effect("is told of a message: who sent it to whom, how long it waited and took, and how it ended", () =>
    observed((seen) =>
      Effect.gen(function*() {
        const [a, b] = [yield* spawn("a"), yield* spawn("b")]
        yield* tell(b, Effect.sleep("2 seconds"))
        const asker = yield* begin(ask(a, Effect.orDie(ask(b, Effect.sleep("3 seconds")))))
        yield* pass("5 seconds")
        assert.isDefined(asker.pollUnsafe())
        const message = { _tag: "Message", protocol: "Puppet", tag: "Do", outcome: "Success", weight: 1 } as const
        const second = 1_000_000_000n
        assert.deepStrictEqual(messages(seen), [
          { ...message, at: 2000, from: undefined, to: "/user/b", waited: 0n, took: 2n * second },
          { ...message, at: 5000, from: "/user/a", to: "/user/b", waited: 2n * second, took: 3n * second },
          { ...message, at: 5000, from: undefined, to: "/user/a", waited: 0n, took: 5n * second }
        ])
      }), 1))

  it.effect("names the actor whose setup, forked run or child fiber sent the message", () =>
    observed((seen) =>
      Effect.gen(function*() {
        const target = yield* spawn("target")
        yield* spawn("setup", { setup: Effect.orDie(target.tell("Ping")) })
        const forking = yield* spawn("forking")
        yield* tell(forking, Rpc.fork(Effect.orDie(target.ask("Ping"))))
        yield* tell(forking, Effect.forkScoped(Effect.orDie(target.ask("Ping"))))
        yield* turns
        const to = messages(seen).filter(({ to }) => to === "/user/target")
        assert.deepStrictEqual(to.map(({ from }) => from), ["/user/setup", "/user/forking", "/user/forking"])
      }), 1))

  it.effect("tells a defect and a typed failure as a failure", () =>
    observed((seen) =>
      Effect.gen(function*() {
        const supervisor = Supervisor.resume
        const ref = yield* Actor.spawn(Vault.behavior(
          Effect.succeed({
            Open: ({ code }) =>
              code === "1234" ? Effect.succeed("gold") : code === "" ? Effect.die("boom") : Effect.fail("no")
          }),
          { supervisor }
        ))
        for (const code of ["1234", "4321", ""]) yield* outcome(ref.ask("Open", { code }))
        yield* turns
        assert.deepStrictEqual(messages(seen).map(({ outcome }) => outcome), ["Success", "Failure", "Failure"])
      }), 1))

  it.effect("is told of a stashed message once, when it has been handled", () =>
    observed((seen) =>
      Effect.gen(function*() {
        const Door = Actor.make("Door", [Rpc.make("Enter"), Rpc.make("Open")])
        let isOpen = false
        const ref = yield* Actor.spawn(Door.behavior(Effect.succeed({
          Enter: () => isOpen ? Effect.void : Actor.stash,
          Open: () => Effect.andThen(Effect.sync(() => void (isOpen = true)), Actor.unstashAll)
        })))
        yield* ref.tell("Enter")
        yield* pass("1 second")
        yield* ref.ask("Open")
        yield* turns
        assert.deepStrictEqual(messages(seen).map(({ outcome, tag, waited }) => [tag, outcome, waited]), [
          ["Open", "Success", 0n],
          ["Enter", "Success", 1_000_000_000n]
        ])
      }), 1))

  it.effect("is told true times of a message that a fault crashes", () =>
    observed((seen) =>
      Effect.gen(function*() {
        yield* pass("1 second")
        const ref = yield* spawn("a")
        assert.strictEqual(yield* outcome(ask(ref, Effect.void)), "Crashed")
        assert.deepStrictEqual(messages(seen).map(({ took, waited }) => [waited, took]), [[0n, 0n]])
      }), 1).pipe(Effect.provideService(Faults.Faults, () => "crashBefore")))

  it.effect("is never told what is in a message or its answer", () =>
    observed((seen) =>
      Effect.gen(function*() {
        const ref = yield* Actor.spawn(Vault.behavior(Effect.succeed({
          Open: ({ code }) => code === "secret" ? Effect.succeed("gold") : Effect.fail("wrong code")
        })))
        for (const code of ["secret", "guess"]) yield* outcome(ref.ask("Open", { code }))
        yield* turns
        const text = JSON.stringify(seen, (_, value) => typeof value === "bigint" ? `${value}` : value)
        for (const secret of ["secret", "guess", "gold", "wrong code"]) assert.notInclude(text, secret)
        assert.strictEqual(messages(seen).length, 2)
      }), 1))

  it.effect("is told of one message in sampleEvery, with that weight, and of no message by default", () =>
    Effect.gen(function*() {
      const count = (sampleEvery?: number) =>
        observed((seen) =>
          Effect.gen(function*() {
            const ref = yield* spawn("a")
            for (let i = 0; i < 1000; i++) yield* i % 2 === 0 ? ref.tell("Ping") : ref.ask("Ping")
            yield* turns
            const weights = messages(seen).map(({ weight }) => weight)
            return { number: weights.length, weight: weights[0] }
          }), sampleEvery)
      assert.deepStrictEqual(yield* count(10), { number: 100, weight: 10 })
      assert.deepStrictEqual(yield* count(100), { number: 10, weight: 100 })
      assert.deepStrictEqual(yield* count(), { number: 0, weight: undefined })
    }))

  it.effect("is read when a system starts: two systems have their own, or none", () =>
    Effect.gen(function*() {
      const seen: Record<string, Array<string>> = { one: [], two: [], late: [] }
      const start = (name: string) =>
        Effect.provideService(
          makeSystem({ name }),
          Observer.Observer,
          observer((observation) => void seen[name]!.push(observation._tag))
        )
      const one = yield* start("one")
      const two = yield* start("two")
      const none = yield* makeSystem({ name: "none" })
      yield* Effect.provide(spawn("a"), one.system)
      yield* Effect.provide(spawn("b"), none.system).pipe(
        Effect.provideService(Observer.Observer, observer((observation) => void seen["late"]!.push(observation._tag)))
      )
      assert.deepStrictEqual(seen, { one: ["Actor"], two: [], late: [] })
      for (const { release } of [one, two, none]) assert.isDefined(yield* settle(release))
    }))

  it.effect("that throws disturbs nobody", () => {
    const { layer } = makeLog()
    return run(Effect.gen(function*() {
      const ref = yield* spawn("a", { supervisor: immediately })
      assert.deepStrictEqual(yield* settle(ref.ask("Ping")), Exit.succeed("pong"))
      yield* tell(ref, Effect.die("boom"))
      assert.deepStrictEqual(yield* settle(ref.ask("Ping")), Exit.succeed("pong"))
      assert.deepStrictEqual(yield* settle(ask(ref, Effect.map(self, ({ path }) => path))), Exit.succeed("/user/a"))
      assert.isDefined(yield* settle(ref.stop))
    })).pipe(
      Effect.provideService(
        Observer.Observer,
        observer(() => {
          throw new Error("broken observer")
        }, 1)
      ),
      Effect.provide(layer)
    )
  })
})
