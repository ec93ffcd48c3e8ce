import { assert, describe, expectTypeOf, it } from "@effect/vitest"
import { Context, Deferred, Effect, Exit, Fiber, Logger, Ref, References, Schema } from "effect"
import type { LanguageModel } from "effect/ai"
import { Rpc } from "effect/rpc"
import * as Actor from "../src/Actor.ts"
import * as ActorSystem from "../src/ActorSystem.ts"
import * as Agent from "../src/Agent.ts"
import * as Team from "../src/Team.ts"
import {
  ask,
  begin,
  hang,
  outcome,
  outcomeOf,
  pass,
  puppet,
  type PuppetRef,
  run,
  settle,
  turns
} from "./fixtures/actors.ts"
import { actor, play } from "./fixtures/teams.ts"

const Other = Actor.make("Other", [Rpc.make("X")])
const other = Other.behavior(Effect.succeed({ X: () => Effect.void }))

/** A behavior whose setups are counted, and wait until they are let go on. */
const makeSlow = Effect.gen(function*() {
  const setups = yield* Ref.make(0)
  const gate = yield* Deferred.make<void, string>()
  const setup = Effect.andThen(Ref.update(setups, (n) => n + 1), Deferred.await(gate))
  return { setups: Ref.get(setups), gate, behavior: puppet({ setup }) }
})

describe("Actor.getOrSpawn", () => {
  it.effect("spawns where there is no such actor, and gives the one that is there", () =>
    run(Effect.gen(function*() {
      const first = yield* Actor.getOrSpawn(puppet(), { name: "p" })
      assert.strictEqual(first.path, "/user/p")
      const spawned = yield* Actor.spawn(puppet(), { name: "q" })
      assert.strictEqual(yield* ask(spawned, Effect.succeed(1)), 1)
      const second = yield* Actor.getOrSpawn(puppet(), { name: "q" })
      assert.strictEqual((yield* ActorSystem.list).find(({ path }) => path === second.path)?.handled, 1)
      assert.strictEqual((yield* ActorSystem.list).length, 2)
    })))

  it.effect("inside an actor it is a child", () =>
    run(Effect.gen(function*() {
      const parent = yield* Actor.spawn(puppet(), { name: "p" })
      const path = yield* ask(
        parent,
        Effect.map(Effect.orDie(Actor.getOrSpawn(puppet(), { name: "c" })), (ref) => ref.path)
      )
      assert.strictEqual(path, "/user/p/c")
    })))

  it.effect("many at once get one actor, and each waits for its setup", () =>
    run(Effect.gen(function*() {
      const { behavior, gate, setups } = yield* makeSlow
      const asking = Effect.forEach(
        Array.from({ length: 10 }),
        () => Effect.flatMap(Actor.getOrSpawn(behavior, { name: "p" }), (ref) => ref.ask("Ping")),
        { concurrency: "unbounded" }
      )
      const fiber = yield* begin(asking)
      assert.isUndefined(fiber.pollUnsafe())
      yield* Deferred.succeed(gate, undefined)
      assert.deepStrictEqual(yield* Fiber.join(fiber), Array.from({ length: 10 }, () => "pong"))
      assert.strictEqual(yield* setups, 1)
    })))

  it.effect("where somebody else's setup fails, each tries its own, and fails with its own error", () =>
    run(Effect.gen(function*() {
      const { behavior, gate, setups } = yield* makeSlow
      const first = yield* begin(Actor.getOrSpawn(behavior, { name: "p" }))
      const second = yield* begin(Actor.getOrSpawn(behavior, { name: "p" }))
      const other = yield* makeSlow
      const third = yield* begin(Actor.getOrSpawn(other.behavior, { name: "q" }))
      const fourth = yield* begin(Actor.getOrSpawn(puppet(), { name: "q" }))
      yield* Deferred.fail(gate, "no")
      yield* Deferred.fail(other.gate, "no")
      yield* turns
      assert.deepStrictEqual(outcomeOf(yield* Fiber.await(first)), "no")
      assert.deepStrictEqual(outcomeOf(yield* Fiber.await(second)), "no")
      assert.strictEqual(yield* setups, 2)
      assert.deepStrictEqual(outcomeOf(yield* Fiber.await(third)), "no")
      assert.strictEqual((yield* Fiber.join(fourth)).path, "/user/q")
    })))

  it.effect("waiting for somebody else's setup can be interrupted, and does not interrupt it", () =>
    run(Effect.gen(function*() {
      const { behavior, gate } = yield* makeSlow
      const first = yield* begin(Actor.getOrSpawn(behavior, { name: "p" }))
      const second = yield* begin(Actor.getOrSpawn(behavior, { name: "p" }))
      yield* Fiber.interrupt(second)
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual(yield* (yield* Fiber.join(first)).ask("Ping"), "pong")
    })))

  for (const way of ["stop", "drain"] as const) {
    it.effect(`an actor that is ending (${way}) is waited for and replaced`, () =>
      run(Effect.gen(function*() {
        const gate = yield* Deferred.make<void>()
        const old = yield* Actor.spawn(puppet(), { name: "p" })
        yield* begin(ask(old, Deferred.await(gate)))
        const ending = yield* begin(old[way])
        const asking = yield* begin(Actor.getOrSpawn(puppet(), { name: "p" }))
        assert.isUndefined(asking.pollUnsafe())
        yield* Deferred.succeed(gate, undefined)
        yield* Fiber.join(ending)
        const next = yield* Fiber.join(asking)
        assert.strictEqual(yield* outcome(old.ask("Ping")), "Stopped")
        assert.strictEqual(yield* next.ask("Ping"), "pong")
      })))
  }

  it.effect("an actor that drains while it restarts is waited for, too", () =>
    run(Effect.gen(function*() {
      const old = yield* Actor.spawn(puppet(), { name: "p" })
      yield* outcome(ask(old, Effect.die(new Error("boom"))))
      yield* begin(old.drain)
      const next = yield* begin(Effect.flatMap(Actor.getOrSpawn(puppet(), { name: "p" }), (ref) => ref.ask("Ping")))
      assert.isUndefined(next.pollUnsafe())
      yield* pass("1 second")
      assert.strictEqual(yield* Fiber.join(next), "pong")
    })))

  it.effect("setups that fail in time are tried one after the other", () =>
    run(Effect.gen(function*() {
      const failing = puppet({ setup: Effect.andThen(Effect.sleep("1 second"), Effect.fail("no")) })
      const asking = yield* begin(Effect.forEach(
        Array.from({ length: 5 }),
        () => outcome(Actor.getOrSpawn(failing, { name: "p" })),
        { concurrency: "unbounded" }
      ))
      yield* pass("4 seconds")
      assert.isUndefined(asking.pollUnsafe())
      yield* pass("1 second")
      assert.deepStrictEqual(yield* Fiber.join(asking), ["no", "no", "no", "no", "no"])
    })))

  it.effect("an actor between two incarnations is the one", () =>
    run(Effect.gen(function*() {
      const old = yield* Actor.spawn(puppet(), { name: "p" })
      yield* outcome(ask(old, Effect.die(new Error("boom"))))
      assert.strictEqual((yield* ActorSystem.list)[0]?.state, "Restarting")
      const exit = yield* settle(Actor.getOrSpawn(puppet(), { name: "p" }))
      assert(exit !== undefined && Exit.isSuccess(exit))
    })))

  it.effect("an actor of another protocol, and a name that can't be one, are typed errors", () =>
    run(Effect.gen(function*() {
      yield* Actor.spawn(other, { name: "p" })
      assert.strictEqual(yield* outcome(Actor.getOrSpawn(puppet(), { name: "p" })), "NameTaken")
      assert.strictEqual(yield* outcome(Actor.getOrSpawn(puppet(), { name: "a/b" })), "InvalidName")
    })))

  it.effect("a setup that asks the actor which waits for it gets Deadlock", () =>
    run(Effect.gen(function*() {
      const parent = yield* Actor.spawn(puppet(), { name: "p" })
      const asked = yield* Deferred.make<unknown>()
      const gate = yield* Deferred.make<void>()
      const setup = Effect.andThen(
        Deferred.await(gate),
        Effect.flatMap(outcome(ask(parent, Effect.void)), (result) => Deferred.succeed(asked, result))
      )
      const child = Effect.orDie(Actor.getOrSpawn(puppet({ setup }), { name: "c" }))
      yield* begin(ask(parent, Effect.andThen(Effect.forkScoped(child), Effect.andThen(turns, child))))
      yield* turns
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual(yield* Deferred.await(asked), "Deadlock")
    })))

  for (const way of ["stop", "drain"] as const) {
    it.effect(`an actor that is ending (${way}) and waits for whoever wants it is a taken name`, () =>
      run(Effect.gen(function*() {
        const parent = yield* Actor.spawn(puppet(), { name: "p" })
        const waiting = { stopTimeout: "Infinity" } as const
        const child = (yield* ask(parent, Effect.orDie(Actor.spawn(puppet(waiting), { name: "c" })))) as PuppetRef
        const gate = yield* Deferred.make<void>()
        const outcomes = yield* begin(ask(
          parent,
          Effect.andThen(Deferred.await(gate), outcome(Actor.getOrSpawn(puppet(), { name: "c" })))
        ))
        const asked = yield* begin(outcome(ask(child, outcome(ask(parent, Effect.succeed("yes"))))))
        yield* begin(child[way])
        yield* Deferred.succeed(gate, undefined)
        yield* turns
        assert.strictEqual(yield* Fiber.join(outcomes), "NameTaken")
        assert.strictEqual(yield* Fiber.join(asked), "yes")
      })))
  }

  it.effect("the release of the system ends the wait", () =>
    Effect.gen(function*() {
      const waiting = yield* run(Effect.gen(function*() {
        yield* begin(Actor.getOrSpawn(puppet({ setup: hang([]) }), { name: "p" }))
        return yield* begin(Actor.getOrSpawn(puppet(), { name: "p" }))
      }))
      assert.strictEqual(outcomeOf(yield* Fiber.await(waiting)), "ParentStopped")
    }))

  const op = Schema.Tuple([
    Schema.Literals(["get", "get", "stop", "drain", "kill", "restart", "crash"]),
    Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 3 }))
  ])

  it.effect.prop(
    "whatever ends it meanwhile, whoever asks for it gets an actor that lives",
    [Schema.Array(op)],
    ([ops]) =>
      run(Effect.gen(function*() {
        const setup = Effect.andThen(Effect.yieldNow, Effect.sleep("1 second"))
        const behavior = puppet({ setup, idleTimeout: "5 seconds" })
        const get = Actor.getOrSpawn(behavior, { name: "p" })
        const gotten: Array<unknown> = []
        const act: Record<typeof op.Type[0], (ref: PuppetRef) => Effect.Effect<unknown>> = {
          get: (ref) => outcome(ref.ask("Ping")),
          stop: (ref) => ref.stop,
          drain: (ref) => ref.drain,
          kill: (ref) => ref.kill,
          restart: (ref) => ref.restart,
          crash: (ref) => outcome(ask(ref, Effect.die(new Error("boom"))))
        }
        const fibers = yield* Effect.forEach(ops, ([what, seconds]) =>
          Effect.sleep(`${seconds} seconds`).pipe(
            Effect.andThen(get),
            Effect.tap((ref) => Effect.sync(() => gotten.push(ref.path))),
            Effect.andThen(act[what]),
            Effect.forkChild
          ))
        yield* pass("1 minute")
        yield* pass("1 minute")
        for (const fiber of fibers) assert.isTrue(Exit.isSuccess(fiber.pollUnsafe() ?? Exit.die("still waits")))
        assert.deepStrictEqual(gotten, ops.map(() => "/user/p"))
      }))
  )

  it("needs, gives and fails as spawn does", () => {
    class Bank extends Context.Service<Bank, { readonly fee: number }>()("test/Bank") {}
    const behavior = Other.behavior(Effect.gen(function*() {
      if ((yield* Bank).fee > 3) return yield* Effect.fail("setup" as const)
      return { X: () => Effect.void }
    }))
    const spawned = Actor.spawn(behavior)
    expectTypeOf(Actor.getOrSpawn(behavior, { name: "p" })).toEqualTypeOf<typeof spawned>()
    // @ts-expect-error the name says which one
    const nameless = () => Actor.getOrSpawn(behavior, {})
    expectTypeOf(nameless).toBeFunction()
  })
})

describe("Agent.getOrSpawn", () => {
  it.effect("gives the actor that is there, with its conversation", () =>
    Effect.gen(function*() {
      const say = (text: string) =>
        Effect.flatMap(Agent.getOrSpawn(actor("a"), { name: "ada" }), (ref) => Agent.ask(ref, text))
      yield* say("1")
      yield* say("2")
      const ref = yield* ActorSystem.lookup(Agent.protocol, "/user/ada")
      assert.strictEqual((yield* Agent.transcript(ref)).entries.length, 4)
    }).pipe(play({ a: () => "Yes." })))

  it.effect("gives teams, too, with the options of their own", () =>
    Effect.gen(function*() {
      const team = Team.pipeline("team", [actor("a")])
      const [one, two] = yield* Effect.all([
        Agent.getOrSpawn(team, { name: "desk" }),
        Agent.getOrSpawn(team, { name: "desk" })
      ], { concurrency: 2 })
      assert.strictEqual(one.path, two.path)
      assert.strictEqual((yield* Agent.ask(two, "Go")).text, "Yes.")
    }).pipe(play({ a: () => "Yes." })))

  it("needs, gives and fails as spawn does", () => {
    const spawned = Agent.spawn(actor("a"), { name: "p" })
    expectTypeOf(Agent.getOrSpawn(actor("a"), { name: "p" })).toEqualTypeOf<typeof spawned>()
    expectTypeOf<Effect.Services<typeof spawned>>().toEqualTypeOf<
      LanguageModel.LanguageModel | ActorSystem.ActorSystem
    >()
  })
})

describe("The logs of an actor that several ask for", () => {
  const Diary = Actor.make("Diary", [Rpc.make("Note")])
  const diary = Diary.behavior(Effect.succeed({ Note: () => Effect.log("noted") }))

  /** The annotations and log spans of each line that `effect` and its actors log. */
  const logged = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.suspend(() => {
      const lines: Array<{ readonly annotations: object; readonly spans: ReadonlyArray<string> }> = []
      const logger = Logger.make(({ fiber }) => {
        lines.push({
          annotations: fiber.getRef(References.CurrentLogAnnotations),
          spans: fiber.getRef(References.CurrentLogSpans).map(([label]) => label)
        })
      })
      return Effect.as(effect, lines).pipe(
        Effect.provide(ActorSystem.layer({ name: "test" })),
        Effect.annotateLogs({ service: "api" }),
        Effect.provide(Logger.layer([logger]))
      )
    })

  const request = (
    user: string,
    open: Effect.Effect<Actor.LocalRefOf<typeof Diary>, Actor.SpawnError, ActorSystem.ActorSystem>
  ) =>
    Effect.flatMap(open, (ref) => ref.ask("Note")).pipe(
      Effect.annotateLogs({ user }),
      Effect.withLogSpan(user)
    )

  it.effect("have nothing of the request that started it, but the annotations around the system", () =>
    Effect.gen(function*() {
      const shared = Actor.getOrSpawn(diary, { name: "diary" })
      assert.deepStrictEqual(
        yield* logged(Effect.andThen(request("ada", shared), request("bob", shared))),
        [
          { annotations: { service: "api", actor: "/user/diary" }, spans: [] },
          { annotations: { service: "api", actor: "/user/diary" }, spans: [] }
        ]
      )
    }))

  it.effect("have the annotations of who spawned it for itself, but no log span of it", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* logged(request("ada", Actor.spawn(diary, { name: "diary" }))), [
        { annotations: { service: "api", user: "ada", actor: "/user/diary" }, spans: [] }
      ])
    }))
})
