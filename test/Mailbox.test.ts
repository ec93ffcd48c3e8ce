import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schema } from "effect"
import { Rpc } from "effect/rpc"
import * as Actor from "../src/Actor.ts"
import * as ActorSystem from "../src/ActorSystem.ts"
import * as Mailbox from "../src/Mailbox.ts"

const run = <A, E>(effect: Effect.Effect<A, E, ActorSystem.ActorSystem>) =>
  Effect.provide(effect, ActorSystem.layer({ name: "test" }))

const Log = Actor.make("Log", [
  Rpc.make("Put", { payload: { id: Schema.Finite } }),
  Rpc.make("Flood", { payload: { n: Schema.Finite }, success: Schema.String })
])

const makeLog = (mailbox: Mailbox.Mailbox) => {
  const seen: Array<number> = []
  const behavior = Log.behavior(
    Effect.succeed({
      Put: ({ id }) => Effect.sync(() => void seen.push(id)),
      Flood: ({ n }) =>
        Effect.gen(function*() {
          const self = yield* Actor.self(Log)
          for (let id = 0; id < n; id++) yield* self.tell("Put", { id })
          return "kept up"
        }).pipe(Effect.catch((error) => Effect.succeed(error.reason._tag)))
    }),
    { mailbox }
  )
  return { behavior, seen }
}

const turn = Effect.gen(function*() {
  for (let i = 0; i < 4; i++) yield* Effect.yieldNow
})

/** Runs `test` while the actor takes nothing, then lets it take everything. */
const whilePaused = <A, E>(
  mailbox: Mailbox.Mailbox,
  test: (ref: Actor.LocalRefOf<typeof Log>, seen: Array<number>) => Effect.Effect<A, E>
) =>
  run(Effect.gen(function*() {
    const { behavior, seen } = makeLog(mailbox)
    const ref = yield* Actor.spawn(behavior)
    yield* ref.pause
    const result = yield* Effect.ensuring(test(ref, seen), ref.resume)
    while ((yield* ref.mailbox).size > 0) yield* Effect.yieldNow
    yield* turn
    return { ref, seen, result }
  }))

const reason = (error: Actor.ActorError) => error.reason

describe("Mailbox", () => {
  it.effect("block: senders wait for room, in their order, and an ask waits too", () =>
    Effect.gen(function*() {
      const { result, seen } = yield* whilePaused(Mailbox.bounded(1, "block"), (ref) =>
        Effect.gen(function*() {
          yield* ref.tell("Put", { id: 1 })
          const second = yield* Effect.forkChild(ref.tell("Put", { id: 2 }), { startImmediately: true })
          const third = yield* Effect.forkDetach(ref.ask("Put", { id: 3 }), { startImmediately: true })
          assert.isUndefined(second.pollUnsafe())
          assert.deepStrictEqual(yield* ref.mailbox, { size: 1, blocked: 2, capacity: 1, running: 0 })
          return third
        }))
      yield* Fiber.join(result)
      assert.deepStrictEqual(seen.filter((id) => id !== 2), [1, 3])
    }))

  it.effect("block: an interrupted sender takes its message back and leaves nothing", () =>
    Effect.gen(function*() {
      const { seen } = yield* whilePaused(Mailbox.bounded(1, "block"), (ref) =>
        Effect.gen(function*() {
          yield* ref.tell("Put", { id: 1 })
          const tell = yield* Effect.forkChild(ref.tell("Put", { id: 2 }), { startImmediately: true })
          const ask = yield* Effect.forkChild(ref.ask("Put", { id: 3 }), { startImmediately: true })
          yield* Fiber.interruptAll([tell, ask])
          assert.deepStrictEqual(yield* ref.mailbox, { size: 1, blocked: 0, capacity: 1, running: 0 })
        }))
      assert.deepStrictEqual(seen, [1])
    }))

  it.effect("block: interrupting a queued ask makes room for a blocked sender", () =>
    Effect.gen(function*() {
      const { seen } = yield* whilePaused(Mailbox.bounded(1, "block"), (ref) =>
        Effect.gen(function*() {
          const first = yield* Effect.forkChild(ref.ask("Put", { id: 1 }), { startImmediately: true })
          const second = yield* Effect.forkChild(ref.tell("Put", { id: 2 }), { startImmediately: true })
          yield* Fiber.interrupt(first)
          yield* Fiber.join(second)
        }))
      assert.deepStrictEqual(seen, [2])
    }))

  it.effect("block: a stop answers blocked senders Stopped", () =>
    whilePaused(Mailbox.bounded(1, "block"), (ref) =>
      Effect.gen(function*() {
        yield* ref.tell("Put", { id: 1 })
        const tell = yield* Effect.forkChild(Effect.flip(ref.tell("Put", { id: 2 })), { startImmediately: true })
        const ask = yield* Effect.forkChild(Effect.flip(ref.ask("Put", { id: 3 })), { startImmediately: true })
        yield* ref.stop
        assert.strictEqual((yield* Fiber.join(tell)).reason._tag, "Stopped")
        assert.strictEqual((yield* Fiber.join(ask)).reason._tag, "Stopped")
      })))

  it.effect("block: an actor that tells itself with a full mailbox gets MailboxFull", () =>
    run(Effect.gen(function*() {
      const { behavior } = makeLog(Mailbox.bounded(2, "block"))
      const ref = yield* Actor.spawn(behavior)
      assert.strictEqual(yield* ref.ask("Flood", { n: 2 }), "kept up")
      assert.strictEqual(yield* ref.ask("Flood", { n: 3 }), "MailboxFull")
    })))

  it.effect("dropNewest: a tell is dropped silently, an ask fails with Dropped", () =>
    Effect.gen(function*() {
      const { seen } = yield* whilePaused(Mailbox.bounded(1, "dropNewest"), (ref) =>
        Effect.gen(function*() {
          yield* ref.tell("Put", { id: 1 })
          yield* ref.tell("Put", { id: 2 })
          const error = yield* Effect.flip(ref.ask("Put", { id: 3 }))
          assert.deepStrictEqual(reason(error), { _tag: "Dropped", policy: "dropNewest" })
        }))
      assert.deepStrictEqual(seen, [1])
    }))

  it.effect("dropOldest: the evicted message's asker gets Dropped", () =>
    Effect.gen(function*() {
      const { seen } = yield* whilePaused(Mailbox.bounded(2, "dropOldest"), (ref) =>
        Effect.gen(function*() {
          const first = yield* Effect.forkChild(Effect.flip(ref.ask("Put", { id: 1 })), { startImmediately: true })
          yield* ref.tell("Put", { id: 2 })
          yield* ref.tell("Put", { id: 3 })
          assert.deepStrictEqual(reason(yield* Fiber.join(first)), { _tag: "Dropped", policy: "dropOldest" })
        }))
      assert.deepStrictEqual(seen, [2, 3])
    }))

  it.effect("fail: the sender gets MailboxFull with the capacity", () =>
    Effect.gen(function*() {
      const { seen } = yield* whilePaused(Mailbox.bounded(1, "fail"), (ref) =>
        Effect.gen(function*() {
          yield* ref.tell("Put", { id: 1 })
          const full = { _tag: "MailboxFull" as const, capacity: 1 }
          assert.deepStrictEqual(reason(yield* Effect.flip(ref.tell("Put", { id: 2 }))), full)
          assert.deepStrictEqual(reason(yield* Effect.flip(ref.ask("Put", { id: 3 }))), full)
        }))
      assert.deepStrictEqual(seen, [1])
    }))

  it.effect("unbounded: takes everything", () =>
    Effect.gen(function*() {
      const { seen } = yield* whilePaused(Mailbox.unbounded, (ref) =>
        Effect.forEach(Array.from({ length: 3000 }), (_, id) => ref.tell("Put", { id }), { discard: true }))
      assert.strictEqual(seen.length, 3000)
    }))

  it.effect("a full mailbox does not delay a stop or a notice", () =>
    run(Effect.gen(function*() {
      const Watcher = Actor.make("Watcher", [Rpc.make("Busy"), Rpc.make("Ended")])
      const { behavior } = makeLog(Mailbox.unbounded)
      const watched = yield* Actor.spawn(behavior)
      const order: Array<string> = []
      const watcher = yield* Actor.spawn(Watcher.behavior(
        Effect.gen(function*() {
          yield* Actor.watch(watched, () => Watcher.message("Ended"))
          return {
            Busy: () => Effect.sync(() => void order.push("Busy")),
            Ended: () => Effect.sync(() => void order.push("Ended"))
          }
        }),
        { mailbox: Mailbox.bounded(1, "fail") }
      ))
      yield* watcher.pause
      yield* watcher.tell("Busy")
      yield* watched.stop
      yield* watcher.resume
      yield* turn
      assert.deepStrictEqual(order, ["Ended", "Busy"])
      yield* watcher.pause
      yield* watcher.tell("Busy")
      yield* watcher.stop
      assert.strictEqual(order.length, 2)
    })))
})
