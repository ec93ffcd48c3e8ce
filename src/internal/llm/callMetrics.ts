/**
 * The metrics of model calls, by OpenTelemetry's conventions for generative AI.
 *
 * @internal
 */
import type * as Context from "effect/Context"
import * as Metric from "effect/Metric"

export interface CallMetrics {
  /** So many tokens were used; what the provider does not say is not counted. */
  readonly used: (context: Context.Context<never>, tokens: Tokens) => void
  /** A call took so many seconds, and ended with an error of this type if with any. */
  readonly took: (context: Context.Context<never>, seconds: number, errorType?: string) => void
}

export interface Tokens {
  readonly input: number | undefined
  readonly output?: number | undefined
}

/** The metrics of one model, made once: to make a series takes longer than to update it. */
export const make = (labels: Readonly<Record<string, string>>): CallMetrics => {
  const input = tokenUsage({ ...labels, "gen_ai.token.type": "input" })
  const output = tokenUsage({ ...labels, "gen_ai.token.type": "output" })
  const durations = new Map<string | undefined, Metric.Histogram<number>>()
  const durationOf = (errorType: string | undefined) => {
    let metric = durations.get(errorType)
    if (metric === undefined) {
      metric = operationDuration(errorType === undefined ? labels : { ...labels, "error.type": errorType })
      durations.set(errorType, metric)
    }
    return metric
  }
  return {
    used: (context, tokens) => {
      if (tokens.input !== undefined) input.updateUnsafe(tokens.input, context)
      if (tokens.output !== undefined) output.updateUnsafe(tokens.output, context)
    },
    took: (context, seconds, errorType) => durationOf(errorType).updateUnsafe(seconds, context)
  }
}

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

type Attributes = Readonly<Record<string, string>>

const tokenUsage = (attributes: Attributes) =>
  Metric.histogram("gen_ai.client.token.usage", {
    description: "Number of input and output tokens used",
    attributes: { ...attributes, unit: "{token}" },
    boundaries: powers(1, 4, 14)
  })

const operationDuration = (attributes: Attributes) =>
  Metric.histogram("gen_ai.client.operation.duration", {
    description: "GenAI operation duration",
    attributes: { ...attributes, unit: "s" },
    boundaries: powers(0.01, 2, 14)
  })

/** The boundaries that the conventions ask for grow by a factor. */
const powers = (first: number, factor: number, count: number): ReadonlyArray<number> =>
  Array.from({ length: count }, (_, index) => first * factor ** index)
