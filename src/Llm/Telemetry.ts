/**
 * Traces model calls by OpenTelemetry's conventions for generative AI.
 *
 * Each call is a client span `chat MODEL` with `gen_ai.*` attributes: provider, model, response id, finish reason, tokens
 * (cached and reasoning ones too), time to the first part of a stream, and the cost where the price is known. No prompt
 * and no answer is in it. The spans go wherever Effect's tracer sends them.
 *
 * @example
 * ```ts
 * import { Schedule } from "effect"
 * import { Middleware, Scripted, Telemetry } from "effect-troupe"
 *
 * // Inside of a retry, every attempt is a span; outside of it, all attempts are one.
 * const model = Scripted.model(["Hello!"]).pipe(
 *   Telemetry.trace,
 *   Middleware.retry(Schedule.recurs(3))
 * )
 * ```
 *
 * @since 0.1.0
 */
import * as Model from "effect/ai/Model"
import type * as Response from "effect/ai/Response"
import * as Telemetry from "effect/ai/Telemetry"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as String from "effect/String"
import type * as Tracer from "effect/Tracer"
import * as Internal from "../internal/llm/middleware.ts"
import type { Middleware } from "./Middleware.ts"
import * as Prices from "./Prices.ts"

/**
 * A model layer whose calls are spans. Prices are those of `Prices.Prices` where the call is made.
 *
 * @since 0.1.0
 * @category middleware
 */
export const trace: Middleware = Internal.layer((model, services) => {
  const provider = Option.getOrUndefined(Context.getOption(services, Model.ProviderName))
  const name = Option.getOrUndefined(Context.getOption(services, Model.ModelName))

  const begin = Effect.fnUntraced(function*({ method }: Internal.Call) {
    const span = yield* Effect.makeSpanScoped(name === undefined ? "chat" : `chat ${name}`, { kind: "client" })
    const prices = yield* Prices.Prices
    Telemetry.addGenAIAnnotations(span, {
      operation: { name: "chat" },
      provider: { name: toProviderName(provider) },
      request: { model: name },
      output: { type: method === "generateObject" ? "json" : "text" }
    })
    if (method === "streamText") span.attribute("gen_ai.request.stream", true)
    return { span, end: (ending: Internal.Ending) => Effect.sync(() => annotate(span, ending, prices, name)) }
  })

  return Effect.succeed({
    generate: (run, call) =>
      Effect.scoped(
        Effect.flatMap(begin(call), ({ end, span }) =>
          Internal.observeAnswer(Effect.withParentSpan(run(model), span), end))
      ),
    stream: (run, call) =>
      Stream.unwrap(Effect.map(begin(call), ({ end, span }) => {
        // Whatever the request makes is inside of the span; to provide it to each pull as well would cost as much again.
        const parts = Stream.unwrap(Effect.withParentSpan(Internal.open(run(model)), span))
        return Internal.observeParts(parts, end)
      }))
  })
})

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

/** The names that the conventions fix, where ours differ. */
const wellKnown: Readonly<Record<string, Telemetry.WellKnownProviderName>> = {
  "azure-openai": "azure.ai.openai",
  gemini: "gcp.gemini",
  google: "gcp.gemini",
  vertex: "gcp.vertex_ai",
  mistral: "mistral_ai"
}

const toProviderName = (provider: string | undefined): string | undefined =>
  provider !== undefined && Object.hasOwn(wellKnown, provider) ? wellKnown[provider] : provider

const annotate = (
  span: Tracer.Span,
  { exit, finish, firstPartAt, metadata, startedAt }: Internal.Ending,
  prices: Prices.PriceTable,
  name: string | undefined
): void => {
  const usage = finish?.usage
  Telemetry.addGenAIAnnotations(span, {
    response: { id: metadata?.id, model: metadata?.modelId, finishReasons: finish && [finish.reason] },
    usage: { inputTokens: usage?.inputTokens.total, outputTokens: usage?.outputTokens.total }
  })
  addUsageDetails(span, {
    "cacheRead.inputTokens": usage?.inputTokens.cacheRead,
    "cacheWrite.inputTokens": usage?.inputTokens.cacheWrite,
    "reasoning.outputTokens": usage?.outputTokens.reasoning,
    cost: usage && costOf(prices, [metadata?.modelId, name], usage)
  })
  if (firstPartAt !== undefined) {
    span.attribute("gen_ai.response.time_to_first_chunk", (firstPartAt - startedAt) / 1000)
  }
  const error = Exit.isFailure(exit) ? Option.getOrUndefined(Cause.findErrorOption(exit.cause)) : undefined
  if (error !== undefined) span.attribute("error.type", error.reason._tag)
}

// The conventions have these, effect/ai has not yet; the cost is as observability tools read it, in US dollars.
const addUsageDetails = Telemetry.addSpanAttributes("gen_ai.usage", String.camelToSnake)

/** By the model that answered, which may be more precise, or else by the one that was asked. */
const costOf = (
  prices: Prices.PriceTable,
  models: ReadonlyArray<string | undefined>,
  usage: Response.Usage
): number | undefined => {
  for (const model of models) {
    const cost = model === undefined ? undefined : Prices.cost(prices, model, usage)
    if (cost !== undefined) return cost
  }
  return undefined
}
