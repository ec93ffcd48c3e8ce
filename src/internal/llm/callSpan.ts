/**
 * What the span of a model call says, by OpenTelemetry's conventions for generative AI.
 *
 * @internal
 */
import type * as AiError from "effect/ai/AiError"
import type * as Response from "effect/ai/Response"
import * as Telemetry from "effect/ai/Telemetry"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as String from "effect/String"
import type * as Tracer from "effect/Tracer"
import * as Prices from "../../Llm/Prices.ts"
import type { Answer, Part } from "./bareModel.ts"

/**
 * Whether a span around the call says all of this already: a backend that adds up the tokens of spans would count a
 * call that two of them tell of twice.
 */
export const Told = Context.Reference<boolean>("effect-troupe/Llm/Told", { defaultValue: () => false })

export interface Labels {
  readonly provider: string | undefined
  readonly model: string | undefined
  readonly output: "text" | "json"
  readonly streamed: boolean
}

export type AnyPart = Part | Answer["content"][number] | Response.PartEncoded | Response.StreamPartEncoded

export interface CallSpan {
  readonly notes: (parts: ReadonlyArray<AnyPart>) => void
  readonly fails: (error: AiError.AiError) => Effect.Effect<void>
}

/** Writes the request on a span, and then the answer as its parts come. */
export const begin = (span: Tracer.Span, call: Labels): Effect.Effect<CallSpan> =>
  Effect.map(Effect.all([Clock.Clock, Prices.Prices, Told]), ([clock, prices, told]) => {
    if (told) return silent
    Telemetry.addGenAIAnnotations(span, {
      operation: { name: "chat" },
      provider: { name: toProviderName(call.provider) },
      request: { model: call.model },
      output: { type: call.output }
    })
    if (call.streamed) span.attribute("gen_ai.request.stream", true)
    const startedAt = clock.currentTimeMillisUnsafe()
    const models = [call.model]
    let waiting = call.streamed
    return {
      notes: (parts) => {
        if (waiting && parts.some(isContent)) {
          waiting = false
          span.attribute(
            "gen_ai.response.time_to_first_chunk",
            (clock.currentTimeMillisUnsafe() - startedAt) / 1000
          )
        }
        for (const part of parts) {
          if (part.type === "response-metadata") {
            // Its price may be more precise than that of the name that was asked for.
            models.unshift(part.modelId)
            Telemetry.addGenAIAnnotations(span, { response: { id: part.id, model: part.modelId } })
          } else if (part.type === "finish") finish(span, part, models, prices)
        }
      },
      fails: (error) => failed(span, error)
    }
  })

/** Says on the span around a call for embeddings what it asks, and what it used. */
export const embeddings = <A extends { readonly usage: { readonly inputTokens: number | undefined } }>(
  self: Effect.Effect<A, AiError.AiError>,
  { model, provider }: Pick<Labels, "model" | "provider">
): Effect.Effect<A, AiError.AiError> =>
  Effect.flatMap(Effect.option(Effect.currentSpan), (current) => {
    if (Option.isNone(current)) return self
    const span = current.value
    Telemetry.addGenAIAnnotations(span, {
      operation: { name: "embeddings" },
      provider: { name: toProviderName(provider) },
      request: { model }
    })
    return self.pipe(
      Effect.tap(({ usage }) => Effect.sync(() => Telemetry.addGenAIAnnotations(span, { usage }))),
      Effect.tapError((error) => failed(span, error))
    )
  })

/** Whether a part says something of the answer: what a provider says of the response as such does not. */
export const isContent = ({ type }: { readonly type: string }): boolean =>
  type !== "response-metadata" && type !== "error"

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const failed = (span: Tracer.Span, { reason }: AiError.AiError): Effect.Effect<void> =>
  Effect.sync(() => span.attribute("error.type", reason._tag))

const silent: CallSpan = { notes: () => {}, fails: () => Effect.void }

/** The names that the conventions fix, where ours differ. */
const wellKnown: Readonly<Record<string, Telemetry.WellKnownProviderName>> = {
  azure: "azure.ai.openai",
  gemini: "gcp.gemini",
  vertex: "gcp.vertex_ai",
  mistral: "mistral_ai"
}

const toProviderName = (provider: string | undefined): string | undefined =>
  provider !== undefined && Object.hasOwn(wellKnown, provider) ? wellKnown[provider] : provider

const finish = (
  span: Tracer.Span,
  { reason, usage }: Pick<Response.FinishPartEncoded, "reason" | "usage">,
  models: ReadonlyArray<string | undefined>,
  prices: Prices.PriceTable
): void => {
  Telemetry.addGenAIAnnotations(span, {
    response: { finishReasons: [reason] },
    usage: { inputTokens: usage.inputTokens.total, outputTokens: usage.outputTokens.total }
  })
  addUsageDetails(span, {
    "cacheRead.inputTokens": usage.inputTokens.cacheRead,
    "cacheCreation.inputTokens": usage.inputTokens.cacheWrite,
    "reasoning.outputTokens": usage.outputTokens.reasoning,
    cost: models.map((model) => model === undefined ? undefined : Prices.cost(prices, model, usage))
      .find((cost) => cost !== undefined)
  })
}

// The conventions have these, effect/ai has not yet; the cost is as observability tools read it, in US dollars.
const addUsageDetails = Telemetry.addSpanAttributes("gen_ai.usage", String.camelToSnake)
