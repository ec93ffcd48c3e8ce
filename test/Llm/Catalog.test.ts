import { assert, describe, expectTypeOf, it } from "@effect/vitest"
import { Config, ConfigProvider, Context, Effect, Layer } from "effect"
import { LanguageModel } from "effect/ai"
import { TestClock } from "effect/testing"
import type * as AiSdk from "../../src/Llm/AiSdk.ts"
import * as Catalog from "../../src/Llm/Catalog.ts"
import * as Scripted from "../../src/Llm/Scripted.ts"

/** A provider whose models answer with their own name, and the names of those that were built and closed. */
const recorded = () => {
  const built: Array<string> = []
  const closed: Array<string> = []
  const provider = (name: string) =>
    Scripted.model(() => `I am ${name}.`).pipe(
      Layer.merge(Layer.effectDiscard(Effect.acquireRelease(
        Effect.sync(() => built.push(name)),
        () => Effect.sync(() => closed.push(name))
      )))
    )
  return { built, closed, provider }
}

const ask = Effect.map(LanguageModel.generateText({ prompt: "Who are you?" }), ({ text }) => text)

const askFor = (name: string) => Effect.provide(ask, Catalog.resolve(name))

describe("Catalog", () => {
  it.effect("a name gives the model of its provider", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* askFor("one/small"), "I am small.")
      assert.strictEqual(yield* askFor("two/big"), "I am also big.")
    }).pipe(Effect.provide(Catalog.layer({
      one: recorded().provider,
      two: (name) => Scripted.model(() => `I am also ${name}.`)
    }))))

  it.effect("everything after the first slash is the provider's name of the model", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* askFor("openrouter/meta/llama-3:free"), "I am meta/llama-3:free.")
    }).pipe(Effect.provide(Catalog.layer({ openrouter: recorded().provider }))))

  it.effect("a name can come from configuration", () =>
    Effect.gen(function*() {
      const model = Layer.unwrap(Effect.map(Config.String("MODEL"), Catalog.resolve))
      assert.strictEqual(yield* Effect.provide(ask, model), "I am small.")
    }).pipe(
      Effect.provide(Catalog.layer({ one: recorded().provider })),
      Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromUnknown({ MODEL: "one/small" }))
    ))

  it.effect("a model is built when it is first used, and shared", () => {
    const { built, provider } = recorded()
    return Effect.gen(function*() {
      const layers = [Catalog.resolve("one/small"), Catalog.resolve("one/small"), Catalog.resolve("one/big")]
      assert.deepStrictEqual(built, [])
      yield* Effect.forEach(layers, (layer) => Effect.provide(ask, layer), { concurrency: "unbounded" })
      yield* askFor("one/small")
      assert.deepStrictEqual(built, ["small", "big"])
    }).pipe(Effect.provide(Catalog.layer({ one: provider })))
  })

  it.effect("a model is closed when nobody has used it for 10 minutes, and with the catalog", () => {
    const { built, closed, provider } = recorded()
    return Effect.gen(function*() {
      yield* Effect.gen(function*() {
        yield* askFor("one/small")
        yield* TestClock.adjust("9 minutes")
        yield* askFor("one/small")
        yield* TestClock.adjust("9 minutes")
        assert.deepStrictEqual(closed, [])
        yield* TestClock.adjust("1 minutes")
        assert.deepStrictEqual(closed, ["small"])
        yield* askFor("one/small")
        assert.deepStrictEqual(built, ["small", "small"])
      }).pipe(Effect.provide(Catalog.layer({ one: provider })))
      assert.deepStrictEqual(closed, ["small", "small"])
    })
  })

  it.effect("a name without provider or model is malformed", () =>
    Effect.gen(function*() {
      for (const name of ["gpt-5", "", "/", "/gpt-5", "one/"]) {
        const error = yield* Effect.flip(askFor(name))
        assert(error._tag === "CatalogError")
        assert.strictEqual(error.reason._tag, "MalformedName")
        assert.strictEqual(
          error.message,
          `${JSON.stringify(name)} is not of the form provider/model. The providers are: one, two`
        )
      }
    }).pipe(Effect.provide(Catalog.layer({ one: recorded().provider, two: recorded().provider }))))

  it.effect("an unknown provider is an error that lists the known ones", () =>
    Effect.gen(function*() {
      for (const provider of ["three", "ONE", "toString", "__proto__"]) {
        const error = yield* Effect.flip(askFor(`${provider}/big`))
        assert(error._tag === "CatalogError" && error.reason._tag === "UnknownProvider")
        assert.strictEqual(error.reason.provider, provider)
        assert.deepStrictEqual(error.providers, ["one"])
        assert.include(error.message, `there is no provider "${provider}". The providers are: one`)
      }
    }).pipe(Effect.provide(Catalog.layer({ one: recorded().provider }))))

  it.effect("an empty catalog says that it has none", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(askFor("one/small"))
      assert.include(error.message, "The providers are: none")
    }).pipe(Effect.provide(Catalog.layer({}))))

  it.effect("a model that can't be built says why, and the next use tries again", () => {
    let key: string | undefined
    const provider = (name: string) =>
      Layer.unwrap(
        Effect.suspend(() =>
          key === undefined ? Effect.fail(new Error("ONE_KEY is missing")) : Effect.succeed(recorded().provider(name))
        )
      )
    return Effect.gen(function*() {
      const error = yield* Effect.flip(askFor("one/small"))
      assert(error._tag === "CatalogError" && error.reason._tag === "ModelUnavailable")
      assert.strictEqual(error.message, "\"one/small\" can't be built: ONE_KEY is missing")
      key = "here"
      assert.strictEqual(yield* askFor("one/small"), "I am small.")
    }).pipe(Effect.provide(Catalog.layer({ one: provider })))
  })

  it.effect("the built-in providers take their keys from configuration, and say which one is missing", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(askFor("openai/gpt-5-mini"))
      assert(error._tag === "CatalogError" && error.reason._tag === "ModelUnavailable")
      assert.include(error.message, "OPENAI_API_KEY")
    }).pipe(
      Effect.provide(Catalog.layerBuiltIn),
      Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromUnknown({}))
    ))

  it("a provider whose name has a slash throws where the catalog is made", () => {
    assert.throws(
      () => Catalog.layer({ "a/b": recorded().provider }),
      RangeError,
      "Catalog.layer: a provider's name must be not empty and without a slash, got \"a/b\""
    )
  })

  it("what the providers require, the catalog requires; the model of a name requires the catalog", () => {
    class Tenant extends Context.Service<Tenant, string>()("test/Tenant") {}
    class Region extends Context.Service<Region, string>()("test/Region") {}
    const of = <R>(tag: Effect.Effect<string, never, R>) => (name: string) =>
      Layer.unwrap(Effect.map(tag, (prefix) => Scripted.model([`${prefix} ${name}`])))
    const catalog = Catalog.layer({ one: of(Tenant), two: of(Region), three: recorded().provider })
    expectTypeOf(catalog).toEqualTypeOf<Layer.Layer<Catalog.Catalog, never, Tenant | Region>>()
    expectTypeOf(Catalog.resolve("one/small")).toEqualTypeOf<
      AiSdk.ModelLayer<Catalog.CatalogError, Catalog.Catalog>
    >()
    // @ts-expect-error a layer that gives no model is no provider
    Catalog.layer({ one: () => Layer.succeed(Tenant, "none") })
  })
})
