import { assert, describe, it } from "@effect/vitest"
import { Effect, Ref, Schema, Stream } from "effect"
import { Rpc } from "effect/rpc"
import * as Actor from "../src/Actor.ts"
import * as ActorSystem from "../src/ActorSystem.ts"

const Counter = Actor.make("Counter", [
  Rpc.make("Add", { payload: { by: Schema.Finite } }),
  Rpc.make("Get", { success: Schema.Finite }),
  Rpc.make("Fail", { error: Schema.String }),
  Rpc.make("UpTo", { payload: { n: Schema.Finite }, success: Schema.Finite, stream: true })
])

const counter = Counter.behavior(Effect.gen(function*() {
  const count = yield* Ref.make(0)
  return {
    Add: ({ by }) => Ref.update(count, (n) => n + by),
    Get: () => Ref.get(count),
    Fail: () => Effect.fail("no"),
    UpTo: ({ n }) => Stream.range(1, n)
  }
}))

const system = ActorSystem.layer({ name: "test" })

describe("Actor", () => {
  it.effect("answers an ask after the messages told before it", () =>
    Effect.gen(function*() {
      const ref = yield* Actor.spawn(counter, { name: "alice" })
      yield* ref.tell("Add", { by: 1 })
      yield* ref.tell("Add", { by: 2 })
      assert.strictEqual(yield* ref.ask("Get"), 3)
      assert.strictEqual(ref.path, "/user/alice")
      assert.strictEqual(yield* Effect.flip(ref.ask("Fail")), "no")
      assert.deepStrictEqual(yield* Stream.runCollect(ref.stream("UpTo", { n: 3 })), [1, 2, 3])
      yield* ref.stop
      const error = yield* Effect.flip(ref.ask("Get"))
      assert.strictEqual(error.message, "Get to /user/alice: the actor has stopped")
    }).pipe(Effect.provide(system)))
})
