/**
 * The cost of a model call.
 *
 * @internal
 */
import type * as Response from "effect/ai/Response"
import type { Price } from "../../Budget.ts"
import * as Prices from "../../Llm/Prices.ts"

/**
 * The cost of a call by the first of the model's names that has a price: the one that an answer came with may be more
 * precise than the one that was asked for.
 */
export const costOf = (
  usage: Response.Usage,
  names: ReadonlyArray<string | undefined>,
  prices: Prices.PriceTable,
  price: Price = (usage, model) => model === undefined ? undefined : Prices.cost(prices, model, usage)
): number | undefined => {
  for (const name of names) {
    const cost = price(usage, name)
    if (cost !== undefined) return cost
  }
  return undefined
}
