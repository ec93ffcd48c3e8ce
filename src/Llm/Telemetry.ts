/**
 * Traces model calls by OpenTelemetry's conventions for generative AI.
 *
 * The calls of this package's providers need nothing for it: the span that `effect/ai` makes of each says provider,
 * model, response id, finish reason, tokens (cached and reasoning ones too), time to the first part of a stream, and
 * the cost where the price is known, in `gen_ai.*` attributes. No prompt and no answer is in it. The spans go wherever
 * Effect's tracer sends them.
 *
 * `trace` says the same on a client span `chat MODEL` of its own, around any layer's calls: those of a model that says
 * nothing itself, or all attempts of a retry. The spans inside of it leave it to that one, so that no token counts
 * twice.
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
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as CallSpan from "../internal/llm/callSpan.ts"
import * as Internal from "../internal/llm/middleware.ts"
import type { Middleware } from "./Middleware.ts"

/**
 * A model layer whose calls are spans. Prices are those of `Prices.Prices` where the call is made.
 *
 * @since 0.1.0
 * @category middleware
 */
export const trace: Middleware = Internal.layer((model, services) => {
  const provider = Option.getOrUndefined(Context.getOption(services, Model.ProviderName))
  const name = Option.getOrUndefined(Context.getOption(services, Model.ModelName))

  const begin = Effect.fnUntraced(function*({ method }: Internal.ModelCall) {
    const span = yield* Effect.makeSpanScoped(name === undefined ? "chat" : `chat ${name}`, { kind: "client" })
    const { fails, notes } = yield* CallSpan.begin(span, {
      provider,
      model: name,
      output: method === "generateObject" ? "json" : "text",
      streamed: method === "streamText"
    })
    const inside = <A, E, R>(call: Effect.Effect<A, E, R>) =>
      call.pipe(Effect.withParentSpan(span), Effect.provideService(CallSpan.Told, true))
    return { fails, inside, notes }
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
