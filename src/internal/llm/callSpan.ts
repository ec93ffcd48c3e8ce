/**
 * What the span of a model call says, by OpenTelemetry's conventions for generative AI, and what its metrics count.
 *
 * @internal
 */
import * as AiError from "effect/ai/AiError"
import type * as LanguageModel from "effect/ai/LanguageModel"
import type * as Prompt from "effect/ai/Prompt"
import type * as Response from "effect/ai/Response"
import type * as Telemetry from "effect/ai/Telemetry"
import type * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type * as Tracer from "effect/Tracer"
import * as Prices from "../../Llm/Prices.ts"
import { RequestSettings, type Settings } from "../../Llm/Settings.ts"
import type { AnyPart } from "./bareModel.ts"
import * as CallMetrics from "./callMetrics.ts"
import { secretsFrom } from "./redact.ts"
import * as SecretsUsed from "./secretsUsed.ts"
import * as SpanContent from "./spanContent.ts"

/** The conversation that calls belong to. */
export const ConversationId = Context.Reference<string | undefined>("effect-troupe/Llm/ConversationId", {
  defaultValue: () => undefined
})

/**
 * Told of the settings of a call's layer, where a span around the call says the rest already: a backend that adds up
 * the tokens of spans would count a call that two of them tell of twice.
 */
export const Outer = Context.Reference<((settings: Settings) => void) | undefined>("effect-troupe/Llm/Outer", {
  defaultValue: () => undefined
})

/** A model whose calls are told. */
export interface Observed {
  readonly model: string | undefined
  /** Those of the model's layer; a request's own win. */
  readonly settings: Settings
  readonly name: string
  /** What each span and metric of a call says. */
  readonly labels: Readonly<Record<string, string>>
  readonly metrics: CallMetrics.CallMetrics
}

/** The names of a model and its provider, as far as they are known. */
export interface Names {
  readonly provider: string | undefined
  readonly model: string | undefined
}

export const observe = (names: Names, settings: Settings = {}): Observed => {
  const labels = labelsOf("chat", names)
  return { model: names.model, settings, name: spanName("chat", names), labels, metrics: CallMetrics.make(labels) }
}

export interface Call {
  readonly output: "text" | "json"
  readonly streamed: boolean
  readonly prompt: () => Prompt.Prompt
}

export interface CallSpan {
  /** Tells of the settings of the model's layer. */
  readonly asks: (settings: Settings) => void
  readonly notes: (parts: ReadonlyArray<AnyPart>) => void
  readonly fails: (error: AiError.AiError) => void
  readonly inside: SecretsUsed.Collector["inside"]
  readonly insideStream: SecretsUsed.Collector["insideStream"]
}

export const spanOptions = ({ labels }: Observed) => ({ kind: "client", attributes: labels }) as const

/** Begins to tell of a call on its span, which has the model's labels already. */
export const begin = (
  { metrics, model }: Pick<Observed, "metrics" | "model">,
  span: Tracer.Span,
  { output, prompt, streamed }: Call
): Effect.Effect<CallSpan> =>
  Effect.contextWith((context: Context.Context<never>) => {
    const clock = Context.get(context, Clock.Clock)
    const prices = Context.get(context, Prices.Prices)
    const request = Context.get(context, RequestSettings)
    const conversation = Context.get(context, ConversationId)
    span.attribute("gen_ai.output.type", output)
    if (streamed) span.attribute("gen_ai.request.stream", true)
    if (conversation !== undefined) span.attribute("gen_ai.conversation.id", conversation)
    const startedAt = clock.currentTimeMillisUnsafe()
    const seconds = () => (clock.currentTimeMillisUnsafe() - startedAt) / 1000
    const models = [model]
    let waiting = streamed
    const make = (collector: SecretsUsed.Collector | undefined): CallSpan => {
      const answer: Array<AnyPart> = []
      const end = () => {
        if (collector === undefined) return
        const secrets = secretsFrom(collector.found)
        SpanContent.writePrompt(span, prompt(), secrets)
        if (answer.length > 0) SpanContent.writeAnswer(span, answer, secrets)
      }
      return {
        inside: collector?.inside ?? ((call) => call),
        insideStream: collector?.insideStream ?? ((call) => call),
        asks: (settings) => writeSettings(span, settings, request),
        notes: (parts) => {
          if (collector !== undefined) answer.push(...parts)
          if (waiting && parts.some(isContent)) {
            waiting = false
            span.attribute("gen_ai.response.time_to_first_chunk", seconds())
          }
          for (const part of parts) {
            if (part.type === "response-metadata") {
              // Its price may be more precise than that of the name that was asked for.
              models.unshift(part.modelId)
              write(span, "gen_ai.response.id", part.id)
              write(span, "gen_ai.response.model", part.modelId)
            } else if (part.type === "finish") {
              writeFinish(span, part, costOf(models, part.usage, prices))
              metrics.used(context, {
                input: part.usage.inputTokens.total,
                output: part.usage.outputTokens.total
              })
              metrics.took(context, seconds())
              end()
            }
          }
        },
        fails: ({ reason }) => {
          span.attribute("error.type", reason._tag)
          metrics.took(context, seconds(), reason._tag)
          end()
        }
      }
    }
    return Context.get(context, SpanContent.RecordContent)
      ? Effect.map(SecretsUsed.collector, make)
      : Effect.succeed(make(undefined))
  })

/** Tells of a call that gives its whole answer on a span of its own, unless a span around it tells of it. */
export const around = (
  observed: Observed,
  request: LanguageModel.ProviderOptions,
  call: Effect.Effect<Array<Response.PartEncoded>, AiError.AiError>
): Effect.Effect<Array<Response.PartEncoded>, AiError.AiError> =>
  unlessTold(
    observed,
    call,
    () =>
      Effect.useSpan(observed.name, spanOptions(observed), (span) =>
        Effect.flatMap(begin(observed, span, toCall(request, false)), ({ asks, fails, inside, notes }) => {
          asks(observed.settings)
          return inside(call).pipe(
            Effect.tap((parts) =>
              Effect.sync(() =>
                notes(parts)
              )
            ),
            Effect.tapError((error) => Effect.sync(() => fails(error))),
            Effect.withParentSpan(span)
          )
        }))
  )

/** As {@link around}, for a call that streams. */
export const aroundStream = (
  observed: Observed,
  request: LanguageModel.ProviderOptions,
  call: Stream.Stream<Response.StreamPartEncoded, AiError.AiError>
): Stream.Stream<Response.StreamPartEncoded, AiError.AiError> =>
  Stream.unwrap(unlessTold(observed, Effect.succeed(call), () =>
    Effect.flatMap(
      Effect.makeSpanScoped(observed.name, spanOptions(observed)),
      (span) => streamOn(observed, span, request, call, Effect.succeed)
    )))

/** Tells of a streamed call on a span, and converts its parts on the way. */
export const streamOn = <A>(
  observed: Observed,
  span: Tracer.Span,
  request: LanguageModel.ProviderOptions,
  call: Stream.Stream<Response.StreamPartEncoded, AiError.AiError>,
  convert: (
    parts: Arr.NonEmptyReadonlyArray<Response.StreamPartEncoded>
  ) => Effect.Effect<Arr.NonEmptyReadonlyArray<A>, AiError.AiError>
): Effect.Effect<Stream.Stream<A, AiError.AiError>> =>
  Effect.map(begin(observed, span, toCall(request, true)), ({ asks, fails, insideStream, notes }) => {
    asks(observed.settings)
    // One step a pull for all of it: each operator would cost as much again.
    return Stream.transformPull(insideStream(call), (pull) =>
      Effect.succeed(Effect.matchCauseEffect(pull, {
        onSuccess: (parts) => {
          notes(parts)
          return convert(parts)
        },
        onFailure: (cause) => {
          const error = Option.getOrUndefined(Cause.findErrorOption(cause))
          if (AiError.isAiError(error)) fails(error)
          return Effect.failCause(cause)
        }
      })))
  })

/** Tells of a call for embeddings on a span of its own. */
export const embeddings = (
  names: Names
): <A extends { readonly usage: { readonly inputTokens: number | undefined } }>(
  call: Effect.Effect<A, AiError.AiError>,
  dimensions: number | undefined
) => Effect.Effect<A, AiError.AiError> => {
  const labels = labelsOf("embeddings", names)
  const metrics = CallMetrics.make(labels)
  return (call, dimensions) =>
    Effect.useSpan(
      spanName("embeddings", names),
      { kind: "client", attributes: labels },
      (span) =>
        Effect.contextWith((context: Context.Context<never>) => {
          const clock = Context.get(context, Clock.Clock)
          const startedAt = clock.currentTimeMillisUnsafe()
          const seconds = () => (clock.currentTimeMillisUnsafe() - startedAt) / 1000
          if (dimensions !== undefined) span.attribute("gen_ai.embeddings.dimension.count", dimensions)
          return call.pipe(
            Effect.tap(({ usage }) =>
              Effect.sync(() => {
                write(span, "gen_ai.usage.input_tokens", usage.inputTokens)
                metrics.used(context, { input: usage.inputTokens })
                metrics.took(context, seconds())
              })
            ),
            Effect.tapError(({ reason }) =>
              Effect.sync(() => {
                span.attribute("error.type", reason._tag)
                metrics.took(context, seconds(), reason._tag)
              })
            ),
            Effect.withParentSpan(span)
          )
        })
    )
}

/** Whether a part says something of the answer: what a provider says of the response as such does not. */
export const isContent = ({ type }: { readonly type: string }): boolean =>
  type !== "response-metadata" && type !== "error"

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const unlessTold = <A, E, R, R2>(
  { settings }: Observed,
  call: Effect.Effect<A, E, R>,
  tell: () => Effect.Effect<A, E, R2>
): Effect.Effect<A, E, R | R2> =>
  Effect.contextWith((context: Context.Context<never>): Effect.Effect<A, E, R | R2> => {
    const outer = Context.get(context, Outer)
    if (outer === undefined) return tell()
    outer(settings)
    return call
  })

const toCall = ({ prompt, responseFormat }: LanguageModel.ProviderOptions, streamed: boolean): Call => ({
  output: responseFormat.type,
  streamed,
  prompt: () => prompt
})

const spanName = (operation: string, { model }: Names): string =>
  model === undefined ? operation : `${operation} ${model}`

const labelsOf = (operation: string, { model, provider }: Names): Readonly<Record<string, string>> => ({
  "gen_ai.operation.name": operation,
  ...(provider !== undefined && { "gen_ai.provider.name": toProviderName(provider) }),
  ...(model !== undefined && { "gen_ai.request.model": model })
})

/** The names that the conventions fix, where ours differ. */
const wellKnown: Readonly<Record<string, Telemetry.WellKnownProviderName>> = {
  azure: "azure.ai.openai",
  gemini: "gcp.gemini",
  vertex: "gcp.vertex_ai",
  mistral: "mistral_ai"
}

const toProviderName = (provider: string): string =>
  Object.hasOwn(wellKnown, provider) ? wellKnown[provider]! : provider

const writeSettings = (span: Tracer.Span, layer: Settings, request: Settings): void => {
  write(span, "gen_ai.request.temperature", request.temperature ?? layer.temperature)
  write(span, "gen_ai.request.top_p", request.topP ?? layer.topP)
  write(span, "gen_ai.request.max_tokens", request.maxOutputTokens ?? layer.maxOutputTokens)
  write(span, "gen_ai.request.stop_sequences", request.stopSequences ?? layer.stopSequences)
  write(span, "gen_ai.request.seed", request.seed ?? layer.seed)
}

const writeFinish = (
  span: Tracer.Span,
  { reason, usage: { inputTokens, outputTokens } }: Pick<Response.FinishPartEncoded, "reason" | "usage">,
  cost: number | undefined
): void => {
  write(span, "gen_ai.response.finish_reasons", [reason])
  write(span, "gen_ai.usage.input_tokens", inputTokens.total)
  write(span, "gen_ai.usage.cache_read.input_tokens", inputTokens.cacheRead)
  write(span, "gen_ai.usage.cache_creation.input_tokens", inputTokens.cacheWrite)
  write(span, "gen_ai.usage.output_tokens", outputTokens.total)
  write(span, "gen_ai.usage.reasoning.output_tokens", outputTokens.reasoning)
  // As observability tools read it, in US dollars.
  write(span, "gen_ai.usage.cost", cost)
}

/** The cost by the first of the names that has a price. */
const costOf = (
  models: ReadonlyArray<string | undefined>,
  usage: Response.FinishPartEncoded["usage"],
  prices: Prices.PriceTable
): number | undefined => {
  for (const model of models) {
    const cost = model === undefined ? undefined : Prices.cost(prices, model, usage)
    if (cost !== undefined) return cost
  }
  return undefined
}

const write = (span: Tracer.Span, attribute: string, value: unknown): void => {
  if (value !== undefined && value !== null) span.attribute(attribute, value)
}
