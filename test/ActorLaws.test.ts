import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, type Fiber, Logger, Metric, Schema, Stream } from "effect"
import { Rpc } from "effect/rpc"
import { TestClock } from "effect/testing"
import * as fc from "fast-check"
import * as Actor from "../src/Actor.ts"
import * as ActorSystem from "../src/ActorSystem.ts"
import { TestActor } from "../src/testing/index.ts"
import { type Common, countsOf, optionsWith, parameters, playCommon, supervisors } from "./fixtures/actorLaws.ts"

/** What the handler does with a message. */
const Kind = Schema.Literals([
  "sync",
  "yield",
  "sleep",
  "fail",
  "die",
  "fork",
  "stop",
  "stash",
  "unstash",
  "pinned",
  "later"
])
type Kind = typeof Kind.Type

const Subject = Actor.make("Subject", [
  Rpc.make("Do", {
    payload: { sender: Schema.Finite, id: Schema.Finite, kind: Kind },
    success: Schema.Finite,
    error: Schema.String
  }),
  Rpc.make("Items", {
    payload: { sender: Schema.Finite, id: Schema.Finite, kind: Kind },
    success: Schema.Finite,
    error: Schema.String,
    stream: true
  })
])

interface Begun {
  readonly sender: number
  readonly id: number
  readonly kind: Kind
}

const makeSubject = (begun: Array<Begun>, options: Actor.BehaviorOptions) => {
  const simple = (kind: Kind, id: number) => {
    switch (kind) {
      case "yield":
        return Effect.as(Effect.yieldNow, id)
      case "sleep":
        return Effect.as(Effect.sleep("1 second"), id)
      case "fail":
        return Effect.fail("declared")
      case "die":
        return Effect.die("boom")
      default:
        return Effect.succeed(id)
    }
  }
  const act = (kind: Kind, id: number) => {
    switch (kind) {
      case "fork":
        return Rpc.fork(Effect.as(Effect.sleep("1 second"), id))
      case "stop":
        return Effect.gen(function*() {
          yield* (yield* Actor.self(Subject)).stop
          return id
        })
      case "stash":
        return Actor.stash
      case "pinned":
        return Rpc.uninterruptible(Effect.as(Effect.sleep("1 second"), id))
      case "later":
        return Effect.gen(function*() {
          const answer = yield* Deferred.make<number, string>()
          yield* Effect.forkScoped(Effect.andThen(Effect.sleep("1 second"), Deferred.succeed(answer, id)))
          return answer
        })
      case "unstash":
        return Effect.as(Actor.unstashAll, id)
      default:
        return simple(kind, id)
    }
  }
  return Subject.behavior(
    Effect.succeed({
      Do: ({ id, kind, sender }) => {
        begun.push({ sender, id, kind })
        return act(kind, id)
      },
      Items: ({ id, kind, sender }) => {
        begun.push({ sender, id, kind })
        return Stream.concat(Stream.make(id), Stream.fromEffect(simple(kind, id)))
      }
    }),
    options
  )
}

type Step =
  | { readonly _tag: "tell" | "ask" | "stream"; readonly sender: number; readonly kind: Kind }
  | Common
  | { readonly _tag: "crash" | "stop" | "drain" }

const weighted = (kinds: ReadonlyArray<Kind>) => fc.constantFrom(...kinds)

const steps = (kinds: ReadonlyArray<Kind>): fc.Arbitrary<ReadonlyArray<Step>> =>
  fc.array(
    fc.oneof(
      {
        weight: 20,
        arbitrary: fc.record({
          _tag: fc.constantFrom("tell" as const, "ask" as const, "stream" as const),
          sender: fc.nat(2),
          kind: weighted(kinds)
        })
      },
      { weight: 4, arbitrary: fc.record({ _tag: fc.constant("interrupt" as const), index: fc.nat(20) }) },
      {
        weight: 4,
        arbitrary: fc.record({ _tag: fc.constantFrom("yield" as const, "second" as const, "crash" as const) })
      },
      { weight: 1, arbitrary: fc.record({ _tag: fc.constantFrom("stop" as const, "drain" as const) }) }
    ),
    { maxLength: 40 }
  )

const send = (
  ref: Actor.RefOf<typeof Subject>,
  how: "tell" | "ask" | "stream",
  payload: { readonly sender: number; readonly id: number; readonly kind: Kind }
): Effect.Effect<unknown, unknown> => {
  switch (how) {
    case "tell":
      return ref.tell("Do", payload)
    case "ask":
      return ref.ask("Do", payload)
    case "stream":
      return Stream.runCollect(ref.stream("Items", payload))
  }
}

const isSend = ({ _tag }: Step) => _tag === "tell" || _tag === "ask" || _tag === "stream"

/** Plays the steps, each message by a fiber of its own, and lets everything come to its end. */
const play = Effect.fnUntraced(function*(script: ReadonlyArray<Step>, options: Actor.BehaviorOptions) {
  const begun: Array<Begun> = []
  const ref = yield* Actor.spawn(makeSubject(begun, options))
  const fibers: Array<Fiber.Fiber<unknown, unknown>> = []
  let id = 0
  for (const step of script) {
    switch (step._tag) {
      case "tell":
      case "ask":
      case "stream": {
        const payload = { sender: step.sender, id: id++, kind: step.kind }
        fibers.push(yield* Effect.forkChild(send(ref, step._tag, payload), { startImmediately: true }))
        break
      }
      case "crash":
        yield* TestActor.crash(ref)
        break
      case "interrupt":
      case "yield":
      case "second":
        yield* playCommon(step, fibers)
        break
      default:
        yield* Effect.forkChild(ref[step._tag], { startImmediately: true })
    }
  }
  yield* Effect.forkChild(ref.drain, { startImmediately: true })
  yield* TestClock.adjust("2 minutes")
  yield* ref.stop
  // What is on its way through the scheduler arrives; what is stuck stays so.
  for (let i = 0; i < 20; i++) yield* Effect.yieldNow
  return { begun, exits: fibers.map((fiber) => fiber.pollUnsafe()), counts: yield* countsOf("laws") }
})

const all = ["sync", "yield", "sleep", "fail", "die", "fork", "stop", "stash", "unstash", "pinned", "later"] as const

const check = (
  kinds: ReadonlyArray<Kind>,
  law: (
    played: Effect.Success<ReturnType<typeof play>>,
    script: ReadonlyArray<Step>,
    options: Actor.BehaviorOptions
  ) => void
) =>
  Effect.promise(() =>
    fc.assert(
      fc.asyncProperty(steps(kinds), optionsWith(supervisors), (script, options) =>
        Effect.runPromise(
          play(script, options).pipe(
            Effect.provide(ActorSystem.layer({ name: "laws" })),
            Effect.map((played) => law(played, script, options)),
            Effect.provide([TestClock.layer(), Logger.layer([])]),
            // Counters outlive their system: each run has its own.
            Effect.provideService(Metric.MetricRegistry, new Map())
          )
        )),
      parameters
    )
  )

describe("Actor laws, for any interleaving of tells, asks, crashes, stops and interruptions", () => {
  it.live("every ask and every tell ends", () =>
    check(all, ({ exits }) => assert.isTrue(exits.every((exit) => exit !== undefined))))

  it.live("no message is handled twice, unless its handler stashed it", () =>
    check(all, ({ begun }) => {
      const once = begun.filter(({ kind }) => kind !== "stash").map(({ id }) => id)
      assert.strictEqual(new Set(once).size, once.length)
    }))

  it.live("messages of one sender are handled in their order", () =>
    check(all.filter((kind) => kind !== "stash"), ({ begun }) => {
      for (const sender of [0, 1, 2]) {
        const ids = begun.filter((message) => message.sender === sender).map(({ id }) => id)
        assert.deepStrictEqual(ids, ids.toSorted((a, b) => a - b))
      }
    }))

  it.live("sent = handled + dropped + dead letters + cancelled", () =>
    check(all, ({ counts }, script) => {
      const { cancelled, deadLetters, dropped, handled, sent } = counts
      assert.strictEqual(sent, script.filter(isSend).length)
      assert.strictEqual(sent, handled + dropped + deadLetters + cancelled)
    }))
})
