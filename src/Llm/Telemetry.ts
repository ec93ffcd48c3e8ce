/**
 * Traces model calls by OpenTelemetry's conventions for generative AI.
 *
 * The calls of this package's models need nothing for it. Each is a client span `chat MODEL` (or `embeddings MODEL`)
 * that says provider, model, settings, conversation, response id, finish reason, tokens (cached and reasoning ones
 * too), time to the first part of a stream, and the cost where the price is known, in `gen_ai.*` attributes; a run is a
 * span `invoke_agent AGENT`, a tool call a span `execute_tool TOOL`. No prompt and no answer is in them, unless
 * {@link RecordContent} says so. The metrics `gen_ai.client.token.usage` and `gen_ai.client.operation.duration` count
 * the same calls. All of it goes wherever Effect's tracer and metrics go.
 *
 * `trace` makes such a span around any layer's calls: those of a model that says nothing itself, or all attempts of a
 * retry. The calls inside of it leave it to that one, so that no token counts twice.
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
import type * as AiError from "effect/ai/AiError"
import * as Model from "effect/ai/Model"
import * as Prompt from "effect/ai/Prompt"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as CallSpan from "../internal/llm/callSpan.ts"
import * as Internal from "../internal/llm/middleware.ts"
import * as SpanContent from "../internal/llm/spanContent.ts"
import type { Middleware } from "./Middleware.ts"

/**
 * A model layer whose calls are spans. Prices are those of `Prices.Prices` where the call is made.
 *
 * @since 0.1.0
 * @category middleware
 */
export const trace: Middleware = Internal.layer((model, services) => {
  const observed = CallSpan.observe({
    provider: Option.getOrUndefined(Context.getOption(services, Model.ProviderName)),
    model: Option.getOrUndefined(Context.getOption(services, Model.ModelName))
  })

  const begin = Effect.fnUntraced(function*({ method, options: { prompt } }: Internal.ModelCall) {
    const span = yield* Effect.makeSpanScoped(observed.name, CallSpan.spanOptions(observed))
    const telling = yield* CallSpan.begin(observed, span, {
      output: method === "generateObject" ? "json" : "text",
      streamed: method === "streamText",
      prompt: () => Prompt.make(prompt)
    })
    telling.asks({})
    const inside = <A, E, R>(call: Effect.Effect<A, E, R>) =>
      telling.inside(call).pipe(
        Effect.withParentSpan(span),
        Effect.provideService(CallSpan.Outer, telling.asks)
      )
    const fails = (error: AiError.AiError) => Effect.sync(() => telling.fails(error))
    return { fails, inside, notes: telling.notes }
  })

  return Effect.succeed({
    generate: (run, call) =>
      Effect.scoped(Effect.flatMap(begin(call), ({ fails, inside, notes }) =>
        inside(run(model)).pipe(
          Effect.tap(({ content }) => Effect.sync(() => notes(content))),
          Effect.tapError(fails)
        ))),
    stream: (run, call) =>
      Stream.unwrap(Effect.map(begin(call), ({ fails, inside, notes }) =>
        // Whatever the request makes is inside of the span; to provide it to each pull as well would cost as much
        // again.
        Stream.unwrap(inside(Internal.open(run(model)))).pipe(
          Stream.mapArray((parts) => {
            notes(parts)
            return parts
          }),
          Stream.tapError(fails)
        )))
  })
})

/**
 * Whether the spans of model calls and tools have what was asked and answered: `gen_ai.system_instructions`,
 * `gen_ai.input.messages`, `gen_ai.output.messages`, `gen_ai.tool.call.arguments` and `gen_ai.tool.call.result`, as
 * JSON without secrets and without the bytes of files. Default: `false`.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { LanguageModel } from "effect/ai"
 * import { Telemetry } from "effect-troupe"
 *
 * const told = LanguageModel.generateText({ prompt: "Why is the sky blue?" }).pipe(
 *   Effect.provideService(Telemetry.RecordContent, true)
 * )
 * ```
 *
 * @since 0.1.0
 * @category references
 */
export const RecordContent: Context.Reference<boolean> = SpanContent.RecordContent

/**
 * The conversation that model calls, tools and agents belong to, in their spans' `gen_ai.conversation.id`. An agent's
 * actor sets it to an id of its own conversation, and a run without an actor to the run's, where it is not set.
 *
 * @since 0.1.0
 * @category references
 */
export const ConversationId: Context.Reference<string | undefined> = CallSpan.ConversationId
