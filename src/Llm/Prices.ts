/**
 * Says what a model call costs, from a table that can be replaced.
 *
 * The table that comes with the package has list prices of common models, gathered from public price lists in 2026, in
 * US dollars a million tokens. They are those of plain calls: a surcharge for a very long prompt, Anthropic's price of
 * a cache that lasts an hour, and rebates for batches or flexible tiers are not in it. Prices change and contracts
 * differ: provide your own table where the figure matters. What is not in the table has no cost, rather than a wrong
 * one; names that move to other models (`mistral-large-latest`) are therefore left out.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Prices } from "effect-troupe"
 *
 * const withOurPrices = Effect.provideService(Prices.Prices, {
 *   ...Prices.defaults,
 *   "our-model": { input: 0.4, output: 1.2 }
 * })
 * ```
 *
 * @since 0.1.0
 */
import type * as Response from "effect/ai/Response"
import * as Context from "effect/Context"

/**
 * What a million tokens cost, in US dollars.
 *
 * @since 0.1.0
 * @category models
 */
export interface Price {
  readonly input: number
  readonly output: number
  /** Input read from the provider's cache. Default: as `input`. */
  readonly cacheRead?: number | undefined
  /** Input written to the provider's cache. Default: as `input`. */
  readonly cacheWrite?: number | undefined
}

/**
 * Prices by model name.
 *
 * @since 0.1.0
 * @category models
 */
export type PriceTable = Readonly<Record<string, Price>>

/**
 * The table that comes with the package.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaults: PriceTable = {
  "gpt-5.1": { input: 1.25, cacheRead: 0.125, output: 10 },
  "gpt-5": { input: 1.25, cacheRead: 0.125, output: 10 },
  "gpt-5-mini": { input: 0.25, cacheRead: 0.025, output: 2 },
  "gpt-5-nano": { input: 0.05, cacheRead: 0.005, output: 0.4 },
  "gpt-4.1": { input: 2, cacheRead: 0.5, output: 8 },
  "gpt-4.1-mini": { input: 0.4, cacheRead: 0.1, output: 1.6 },
  "gpt-4.1-nano": { input: 0.1, cacheRead: 0.025, output: 0.4 },
  "gpt-4o": { input: 2.5, cacheRead: 1.25, output: 10 },
  "gpt-4o-mini": { input: 0.15, cacheRead: 0.075, output: 0.6 },
  "o3": { input: 2, cacheRead: 0.5, output: 8 },
  "o4-mini": { input: 1.1, cacheRead: 0.275, output: 4.4 },
  "claude-opus-4-7": { input: 5, cacheRead: 0.5, cacheWrite: 6.25, output: 25 },
  "claude-opus-4-6": { input: 5, cacheRead: 0.5, cacheWrite: 6.25, output: 25 },
  "claude-opus-4-5": { input: 5, cacheRead: 0.5, cacheWrite: 6.25, output: 25 },
  "claude-opus-4-1": { input: 15, cacheRead: 1.5, cacheWrite: 18.75, output: 75 },
  "claude-sonnet-4-6": { input: 3, cacheRead: 0.3, cacheWrite: 3.75, output: 15 },
  "claude-sonnet-4-5": { input: 3, cacheRead: 0.3, cacheWrite: 3.75, output: 15 },
  "claude-haiku-4-5": { input: 1, cacheRead: 0.1, cacheWrite: 1.25, output: 5 },
  "gemini-2.5-pro": { input: 1.25, cacheRead: 0.125, output: 10 },
  "gemini-2.5-flash": { input: 0.3, cacheRead: 0.03, output: 2.5 },
  "gemini-2.5-flash-lite": { input: 0.1, cacheRead: 0.01, output: 0.4 }
}

/**
 * The prices that costs are calculated with. Default: `defaults`.
 *
 * @since 0.1.0
 * @category references
 */
export const Prices = Context.Reference<PriceTable>("effect-troupe/Llm/Prices", { defaultValue: () => defaults })

/**
 * What a call cost, in US dollars, or `undefined` when the model's price or the number of its tokens is not known.
 *
 * A model is found by its name, with or without the vendor before it (`openai/gpt-5`) and the release behind it
 * (`gpt-5-2025-08-07`). Reasoning tokens are output tokens.
 *
 * @since 0.1.0
 * @category costs
 */
export const cost = (prices: PriceTable, model: string, usage: typeof Response.Usage.Encoded): number | undefined => {
  const price = priceOf(prices, model)
  const { inputTokens, outputTokens } = usage
  const cacheRead = inputTokens.cacheRead ?? 0
  const cacheWrite = inputTokens.cacheWrite ?? 0
  const uncached = inputTokens.uncached ??
    (inputTokens.total === undefined ? undefined : inputTokens.total - cacheRead - cacheWrite)
  if (price === undefined || uncached === undefined || outputTokens.total === undefined) return undefined
  const millionths = uncached * price.input + cacheRead * (price.cacheRead ?? price.input) +
    cacheWrite * (price.cacheWrite ?? price.input) + outputTokens.total * price.output
  return millionths / 1_000_000
}

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const priceOf = (prices: PriceTable, model: string): Price | undefined => {
  const priced = (name: string) => Object.hasOwn(prices, name) ? prices[name] : undefined
  const name = model.slice(model.lastIndexOf("/") + 1)
  return priced(model) ?? priced(name) ?? priced(name.replace(release, ""))
}

const release = /[-@](?:\d{4}-\d{2}-\d{2}|\d{8}|latest)$/
