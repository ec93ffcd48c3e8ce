import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Option, Schema } from "effect"
import * as Agent from "../src/Agent.ts"
import * as Scripted from "../src/Llm/Scripted.ts"
import * as Session from "../src/Session.ts"
import * as SessionStore from "../src/SessionStore.ts"
import * as Tool from "../src/Tool.ts"
import { begin, pass } from "./fixtures/actors.ts"
import { live, process, said, watch } from "./fixtures/sessions.ts"

const Cart = Session.state("cart", Schema.Array(Schema.String))

const items = Option.getOrElse((): ReadonlyArray<string> => [])

const add = Tool.fn("add", {
  description: "Puts an item into the cart",
  parameters: { item: Schema.String },
  success: Schema.Int
}, ({ item }) =>
  Cart.get.pipe(
    Effect.andThen(Effect.sleep("1 second")),
    Effect.andThen(Cart.update((cart) => [...items(cart), item])),
    Effect.map((cart) => cart.length)
  ))

const Shop = Session.make("shop", { agent: Agent.make("clerk", { tools: [add] }) })

const call = (item: string) => Scripted.toolCall("add", { item })

const shopping = [[call("tea"), call("milk"), call("bread")], "Done."] as const

const cart = Effect.map(Shop.state("a", Cart), items)

describe("a session's state", () => {
  it.effect("is changed by parallel tools, each after the other, and commits with the turn", () =>
    Effect.gen(function*() {
      const turn = yield* watch(Shop.run("a", "three things"))
      assert.deepStrictEqual(yield* cart, [])
      yield* pass("1 second")
      assert.strictEqual((yield* turn.ended).at(-1), "completed as 1")
      assert.deepStrictEqual([...yield* cart].sort(), ["bread", "milk", "tea"])
    }).pipe(Effect.provide(live(Shop, shopping))))

  it.effect("of a cancelled turn keeps what finished tools did, and is the same after a restart", () =>
    Effect.gen(function*() {
      const one = yield* process(Shop, [call("tea"), [Scripted.delay("1 hour")], call("milk"), "Done."])
      yield* one.in(watch(Shop.run("a", "tea")))
      yield* pass("1 second")
      yield* one.in(Shop.cancel("a"))
      assert.deepStrictEqual(yield* one.in(cart), ["tea"])
      yield* one.close
      const two = yield* process(Shop, [call("milk"), "Done."])
      yield* begin(two.in(said(Shop.run("a", "milk"))))
      yield* pass("1 second")
      assert.deepStrictEqual(yield* two.in(cart), ["tea", "milk"])
      yield* two.close
    }).pipe(Effect.provide(SessionStore.layerMemory)))

  it.effect("is changed by a caller with a commit of its own, between turns", () =>
    Effect.gen(function*() {
      const empty = yield* Shop.update("a", Cart, () => ["salt"])
      assert.deepStrictEqual(empty, ["salt"])
      const turn = yield* watch(Shop.run("a", "three things"))
      const update = yield* begin(Shop.update("a", Cart, (cart) => [...items(cart), "pepper"]))
      assert.strictEqual(update.pollUnsafe(), undefined)
      yield* pass("1 second")
      assert.strictEqual((yield* turn.ended).at(-1), "completed as 2")
      assert.strictEqual((yield* cart).at(-1), "pepper")
      const { versions } = yield* Shop.history("a")
      assert.deepStrictEqual(versions.map(({ kind, version }) => [version, kind]), [
        [3, "update"],
        [2, "turn"],
        [1, "update"]
      ])
    }).pipe(Effect.provide(live(Shop, shopping))))

  it.effect("goes back with a rewind", () =>
    Effect.gen(function*() {
      for (const item of ["tea", "milk"]) yield* Shop.update("a", Cart, (cart) => [...items(cart), item])
      assert.strictEqual(yield* Shop.rewind("a", 1), 3)
      assert.deepStrictEqual(yield* cart, ["tea"])
    }).pipe(Effect.provide(live(Shop, []))))

  it.effect("that no longer decodes names session and key, unless it is migrated", () => {
    const Count = Session.state("cart", Schema.Int)
    const Migrated = Session.state("cart", Schema.Int, {
      migrate: (json) => Array.isArray(json) ? json.length : json
    })
    return Effect.gen(function*() {
      yield* Shop.update("a", Cart, () => ["tea"])
      const error = yield* Effect.flip(Shop.state("a", Count))
      assert.match(error.message, /^session "a": its state cart does not fit: /)
      assert.strictEqual(error.reason._tag, "StateInvalid")
      assert.strictEqual((yield* Effect.flip(Shop.update("a", Count, () => 1))).reason._tag, "StateInvalid")
      assert.deepStrictEqual(yield* Shop.state("a", Migrated), Option.some(1))
      assert.strictEqual(yield* Shop.update("a", Migrated, (n) => Option.getOrElse(n, () => 0) + 1), 2)
      assert.deepStrictEqual(yield* Shop.state("a", Count), Option.some(2))
    }).pipe(Effect.provide(live(Shop, [])))
  })

  it.effect("must fit its schema", () => {
    const Positive = Session.state("n", Schema.Int.check(Schema.isGreaterThan(0)))
    return Effect.gen(function*() {
      assert.strictEqual((yield* Effect.flip(Shop.update("a", Positive, () => -1))).reason._tag, "StateInvalid")
      assert.strictEqual((yield* Effect.flip(Shop.history("a"))).reason._tag, "NotFound")
    }).pipe(Effect.provide(live(Shop, [])))
  })

  it.effect("is asked for by the type of a tool: the layer of sessions provides it", () =>
    Effect.gen(function*() {
      // @ts-expect-error nobody provides CurrentSession
      const outside: Effect.Effect<unknown, unknown> = Cart.get
      assert.isDefined(outside)
      const layer: Layer.Layer<Session.Sessions<"shop">, unknown, SessionStore.SessionStore> = Shop.layer.pipe(
        Layer.provide(Scripted.model([]))
      )
      yield* Layer.build(Layer.provide(layer, SessionStore.layerMemory))
    }))
})
