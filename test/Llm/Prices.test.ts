import { assert, describe, it } from "@effect/vitest"
import { Response } from "effect/ai"
import * as Prices from "../../src/Llm/Prices.ts"

describe("Prices", () => {
  const used = (inputTokens: Response.Usage["inputTokens"], outputTokens: Response.Usage["outputTokens"]) =>
    new Response.Usage({ inputTokens, outputTokens })

  it("a model is found with its vendor and its release, and never by the beginning of its name", () => {
    const million = used({ total: 1_000_000 }, { total: 0 })
    const prices = { "gpt-5": { input: 2, output: 8 }, "acme/gpt-6": { input: 7, output: 7 } }
    const costs = ["gpt-5", "openai/gpt-5", "gpt-5-2025-08-07", "gpt-5-pro", "gpt-5-mini", "acme/gpt-6", "toString"]
      .map((model) => Prices.cost(prices, model, million))
    assert.deepStrictEqual(costs, [2, 2, 2, undefined, undefined, 7, undefined])
  })

  it("what was read from and written to a cache costs what it costs there", () => {
    const price = { "m": { input: 10, cacheRead: 1, cacheWrite: 12, output: 100 } }
    const usage = used({ total: 1_000_000, cacheRead: 500_000, cacheWrite: 250_000 }, { total: 10_000 })
    assert.strictEqual(Prices.cost(price, "m", usage), 2.5 + 0.5 + 3 + 1)
  })

  it("a call whose tokens are not known has no cost", () => {
    assert.isUndefined(Prices.cost(Prices.defaults, "gpt-5", used({}, { total: 1 })))
    assert.isUndefined(Prices.cost(Prices.defaults, "gpt-5", used({ total: 1 }, {})))
  })
})
