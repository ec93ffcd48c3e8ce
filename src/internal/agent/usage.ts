import * as Response from "effect/ai/Response"

const add = (a: number | undefined, b: number | undefined): number | undefined =>
  a === undefined ? b : b === undefined ? a : a + b

/** @internal */
export const noUsage = new Response.Usage({ inputTokens: {}, outputTokens: {} })

/**
 * The usage of two model calls together. What neither reports stays unknown.
 *
 * @internal
 */
export const addUsage = (a: Response.Usage, b: Response.Usage): Response.Usage =>
  a === noUsage ? b : new Response.Usage({
    inputTokens: {
      uncached: add(a.inputTokens.uncached, b.inputTokens.uncached),
      total: add(a.inputTokens.total, b.inputTokens.total),
      cacheRead: add(a.inputTokens.cacheRead, b.inputTokens.cacheRead),
      cacheWrite: add(a.inputTokens.cacheWrite, b.inputTokens.cacheWrite)
    },
    outputTokens: {
      total: add(a.outputTokens.total, b.outputTokens.total),
      text: add(a.outputTokens.text, b.outputTokens.text),
      reasoning: add(a.outputTokens.reasoning, b.outputTokens.reasoning)
    }
  })
