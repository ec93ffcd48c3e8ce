import * as Response from "effect/ai/Response"

/** @internal */
export const noUsage = new Response.Usage({ inputTokens: {}, outputTokens: {} })

const add = (a: number | undefined, b: number | undefined): number | undefined =>
  a === undefined ? b : b === undefined ? a : a + b

/**
 * The usage of model calls together. What none of them reports stays unknown.
 *
 * Made once, when it is asked for: each `Usage` that is made is checked by its schema.
 *
 * @internal
 */
export const sumUsage = (usages: ReadonlyArray<Response.Usage>): Response.Usage => {
  const [first = noUsage] = usages
  if (usages.length < 2) return first
  const input = { ...first.inputTokens }
  const output = { ...first.outputTokens }
  for (let i = 1; i < usages.length; i++) {
    const { inputTokens, outputTokens } = usages[i]!
    input.uncached = add(input.uncached, inputTokens.uncached)
    input.total = add(input.total, inputTokens.total)
    input.cacheRead = add(input.cacheRead, inputTokens.cacheRead)
    input.cacheWrite = add(input.cacheWrite, inputTokens.cacheWrite)
    output.total = add(output.total, outputTokens.total)
    output.text = add(output.text, outputTokens.text)
    output.reasoning = add(output.reasoning, outputTokens.reasoning)
  }
  return new Response.Usage({ inputTokens: input, outputTokens: output })
}
