import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, type Fiber, Logger, Metric, Schema, Stream } from "effect"
import { Rpc } from "effect/rpc"
import { TestClock } from "effect/testing"
import * as fc from "fast-check"
import * as Actor from "../src/Actor.ts"
import * as ActorSystem from "../src/ActorSystem.ts"
import * as Supervisor from "../src/Supervisor.ts"
import { TestActor } from "../src/testing/index.ts"
import { type Common, countsOf, optionsWith, parameters, playCommon, supervisors } from "./fixtures/actorLaws.ts"

/** Actors 0 to 3, each the child of the one before. A handler sends only to actors further down, so none waits for itself. */
const levels = 4

type How = "tell" | "ask" | "stream"

type Act =
  | { readonly _tag: "yield" | "sleep" | "unstash" | "die" | "fail" | "interrupt" }
  | { readonly _tag: "stop" | "drain" | "crash"; readonly level: number }
  | { readonly _tag: "send"; readonly how: How; readonly down: number; readonly plan: Plan }

/** What a message makes its handler do. */
interface Plan {
  readonly end: "answer" | "fork" | "pinned" | "later" | "forward" | "stash"
  readonly acts: ReadonlyArray<Act>
}

interface Message {
  readonly sender: number
  readonly id: number
  readonly plan: Plan
}

const Message = Schema.declare((input: unknown): input is Message => input !== undefined)

const Node = Actor.make("Node", [
  Rpc.make("Do", { payload: Message, success: Schema.Finite, error: Schema.String }),
  Rpc.make("Items", { payload: Message, success: Schema.Finite, error: Schema.String, stream: true })
])

type NodeRef = Actor.LocalRefOf<typeof Node>

type NodeBehavior = typeof Node extends Actor.Protocol<"Node", infer Rpcs>
  ? Actor.Behavior<"Node", Rpcs, never, ActorSystem.ActorSystem>
  : never

/** All that a play leaves behind. */
interface World {
  readonly options: ReadonlyArray<Actor.BehaviorOptions & { readonly concurrency: number | "unbounded" }>
  readonly refs: Array<NodeRef>
  readonly fibers: Array<Fiber.Fiber<unknown, unknown>>
  readonly begun: Array<Message & { readonly level: number }>
  readonly wrong: Array<string>
  ids: number
  incarnations: number
}

/** Sends a message; an ask or a stream must give the message's own id. */
const send = (world: World, sender: number, level: number, how: How, plan: Plan): Effect.Effect<unknown, unknown> =>
  Effect.suspend(() => {
    const message = { sender, id: world.ids++, plan }
    const ref = world.refs[level]
    if (ref === undefined) return Effect.void
    const check = (answer: unknown) =>
      Effect.sync(() => {
        if (answer !== message.id) world.wrong.push(`${message.id} was answered with ${answer}`)
      })
    switch (how) {
      case "tell":
        return ref.tell("Do", message)
      case "ask":
        return Effect.flatMap(ref.ask("Do", message), check)
      case "stream":
        return Stream.runForEach(ref.stream("Items", message), check)
    }
  })

const perform = (world: World, level: number, id: number, act: Act): Effect.Effect<unknown, string> => {
  switch (act._tag) {
    case "yield":
      return Effect.yieldNow
    case "sleep":
      return Effect.sleep("1 second")
    case "unstash":
      return Actor.unstashAll as Effect.Effect<void>
    case "die":
      return Effect.die("boom")
    case "fail":
      return Effect.fail("declared")
    case "interrupt":
      return Effect.sync(() => world.fibers[id % world.fibers.length]?.interruptUnsafe())
    case "stop":
    case "drain":
      return world.refs[act.level]?.[act._tag] ?? Effect.void
    case "crash":
      return world.refs[act.level] === undefined ? Effect.void : TestActor.crash(world.refs[act.level]!)
    case "send":
      return level + act.down < levels
        ? Effect.exit(send(world, 1000 + id, level + act.down, act.how, act.plan))
        : Effect.void
  }
}

const node = (world: World, level: number): NodeBehavior =>
  Node.behavior(
    Effect.gen(function*() {
      const incarnation = { number: ++world.incarnations, released: false, running: 0 }
      yield* Effect.addFinalizer(() => Effect.sync(() => (incarnation.released = true)))
      world.refs[level] = yield* Actor.self(Node)
      if (level + 1 < levels) yield* Effect.orDie(Actor.spawn(node(world, level + 1), { name: "child" }))

      const act = ({ id, plan }: Message) => {
        const step = (act: Act) =>
          Effect.andThen(
            Effect.sync(() => {
              if (incarnation.released) world.wrong.push(`${id} goes on after the release of ${incarnation.number}`)
            }),
            perform(world, level, id, act)
          )
        const alone = world.options[level]!.concurrency === 1 && plan.end !== "fork"
        return Effect.suspend(() => {
          if (alone && incarnation.running++ > 0) world.wrong.push(`${id} is not handled alone`)
          return Effect.as(Effect.forEach(plan.acts, step, { discard: true }), id)
        }).pipe(Effect.ensuring(Effect.sync(() => alone && incarnation.running--)))
      }
      const begin = (message: Message) => {
        world.begun.push({ ...message, level })
        return act(message)
      }
      return {
        Do: (message) => {
          const acts = begin(message)
          const below = world.refs[level + 1]
          switch (message.plan.end) {
            case "answer":
              return acts
            case "fork":
              return Rpc.fork(acts)
            case "pinned":
              return Rpc.uninterruptible(acts)
            case "stash":
              // Once: what crashes the actor and is stashed each time would do so for ever.
              return world.begun.filter(({ id }) => id === message.id).length > 1
                ? acts
                : Effect.andThen(acts, Actor.stash)
            case "forward":
              return below === undefined ? acts : Effect.andThen(
                acts,
                Actor.forward(below, "Do", { ...message, plan: { end: "answer", acts: [] } })
              )
            case "later":
              return Effect.gen(function*() {
                const answer = yield* Deferred.make<number, string>()
                yield* Effect.forkScoped(Effect.andThen(Effect.sleep("1 second"), Deferred.succeed(answer, message.id)))
                yield* acts
                return answer
              })
          }
        },
        Items: (message) => Stream.concat(Stream.make(message.id), Stream.fromEffect(begin(message)))
      }
    }),
    world.options[level]
  )

type Step =
  | { readonly _tag: "send"; readonly how: How; readonly sender: number; readonly level: number; readonly plan: Plan }
  | Common
  | { readonly _tag: "crash" | "stop" | "drain"; readonly level: number }

const how = fc.constantFrom("tell" as const, "ask" as const, "ask" as const, "stream" as const)
const level = fc.nat(levels - 1)

const plans = (ends: ReadonlyArray<Plan["end"]>): fc.Arbitrary<Plan> =>
  fc.letrec<{ plan: Plan; act: Act }>((tie) => ({
    plan: fc.record({
      end: fc.constantFrom(...ends),
      acts: fc.array(tie("act"), { maxLength: 4, depthIdentifier: "plan" })
    }),
    act: fc.oneof(
      { depthIdentifier: "plan", maxDepth: 6 },
      {
        weight: 3,
        arbitrary: fc.record({ _tag: fc.constantFrom("yield", "sleep", "unstash", "die", "fail", "interrupt") })
      },
      {
        weight: 6,
        arbitrary: fc.record({
          _tag: fc.constant("send"),
          how,
          down: fc.integer({ min: 1, max: 2 }),
          plan: tie("plan")
        })
      },
      { weight: 1, arbitrary: fc.record({ _tag: fc.constantFrom("stop", "drain", "crash"), level }) }
    ) as fc.Arbitrary<Act>
  })).plan

const steps = (ends: ReadonlyArray<Plan["end"]>): fc.Arbitrary<ReadonlyArray<Step>> =>
  fc.array(
    fc.oneof(
      {
        weight: 12,
        arbitrary: fc.record({ _tag: fc.constant("send"), how, sender: fc.nat(1), level, plan: plans(ends) })
      },
      { weight: 2, arbitrary: fc.record({ _tag: fc.constant("interrupt"), index: fc.nat(10) }) },
      { weight: 3, arbitrary: fc.record({ _tag: fc.constantFrom("yield", "second") }) },
      { weight: 1, arbitrary: fc.record({ _tag: fc.constantFrom("crash", "stop", "drain"), level }) }
    ) as fc.Arbitrary<Step>,
    { maxLength: 12 }
  )

/** Plays the steps, each message by a fiber of its own, and lets everything come to its end. */
const play = Effect.fnUntraced(function*(script: ReadonlyArray<Step>, options: World["options"]) {
  const world: World = { options, refs: [], fibers: [], begun: [], wrong: [], ids: 0, incarnations: 0 }
  yield* Actor.spawn(node(world, 0), { name: "top" })
  const fork = (effect: Effect.Effect<unknown, unknown>) => Effect.forkChild(effect, { startImmediately: true })
  for (const step of script) {
    switch (step._tag) {
      case "send":
        world.fibers.push(yield* fork(send(world, step.sender, step.level, step.how, step.plan)))
        break
      case "interrupt":
      case "yield":
      case "second":
        yield* playCommon(step, world.fibers)
        break
      default:
        yield* fork(perform(world, -1, 0, step))
    }
  }
  for (const ref of world.refs) yield* fork(ref.drain)
  // Some sleeps begin only when others are over.
  for (let i = 0; i < 20; i++) yield* TestClock.adjust("1 minute")
  // What one stop lets go on may start to wait for another actor.
  for (let i = 0; i < 20; i++) {
    for (const ref of world.refs) yield* fork(ref.stop)
    yield* TestClock.adjust("1 minute")
  }
  // What is on its way through the scheduler arrives; what is stuck stays so.
  for (let i = 0; i < 50; i++) yield* Effect.yieldNow
  const left = (yield* ActorSystem.list).map(({ path, state }) => `${path} is ${state}`)
  return { world, left, counts: yield* countsOf("nesting") }
})

type Played = Effect.Success<ReturnType<typeof play>>

const ends = ["answer", "answer", "fork", "pinned", "later", "forward", "stash"] as const

const check = (ends: ReadonlyArray<Plan["end"]>, law: (played: Played) => void) =>
  Effect.promise(() =>
    fc.assert(
      fc.asyncProperty(
        steps(ends),
        fc.array(optionsWith([...supervisors, Supervisor.escalate]), { minLength: levels, maxLength: levels }),
        (script, options) =>
          Effect.runPromise(
            play(script, options).pipe(
              Effect.map(law),
              Effect.provide(ActorSystem.layer({ name: "nesting", shutdownTimeout: 0 })),
              Effect.provide([TestClock.layer(), Logger.layer([])]),
              // Counters outlive their system: each run has its own.
              Effect.provideService(Metric.MetricRegistry, new Map())
            )
          )
      ),
      parameters
    )
  )

describe("Actor laws, for actors that send to each other from within their handlers", () => {
  it.live("every sender goes on and every actor ends", () =>
    check(ends, ({ left, world }) => {
      assert.isTrue(world.fibers.every((fiber) => fiber.pollUnsafe() !== undefined))
      assert.deepStrictEqual(left, [])
    }))

  it.live("an answer is the message's own, a handler runs alone, and no longer than its incarnation", () =>
    check(ends, ({ world }) => assert.deepStrictEqual(world.wrong, [])))

  it.live("no message is handled twice, unless its handler stashed it", () =>
    check(ends.filter((end) => end !== "forward"), ({ world }) => {
      const once = world.begun.filter(({ plan }) => plan.end !== "stash").map(({ id }) => id)
      assert.strictEqual(new Set(once).size, once.length)
    }))

  it.live("messages of one sender to one actor are handled in their order", () =>
    check(["answer", "fork", "pinned", "later"], ({ world }) => {
      const last = new Map<string, number>()
      for (const { id, level, sender } of world.begun) {
        const key = `${sender} to ${level}`
        assert.isAbove(id, last.get(key) ?? -1, key)
        last.set(key, id)
      }
    }))

  it.live("sent = handled + dropped + dead letters + cancelled", () =>
    check(
      ends,
      ({ counts: { cancelled, deadLetters, dropped, handled, sent } }) =>
        assert.strictEqual(sent, handled + dropped + deadLetters + cancelled)
    ))
})
