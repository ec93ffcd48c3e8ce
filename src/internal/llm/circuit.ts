/**
 * A circuit breaker for model calls: Effect's own, with what counts as a failure of a provider, and for streams too.
 * It is loaded when it is first used, because Effect's brings databases along.
 *
 * @internal
 */
import * as AiError from "effect/ai/AiError"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as CircuitBreaker from "effect/persistence/CircuitBreaker"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Part } from "./bareModel.ts"
import { failureOf } from "./middleware.ts"
import { retryAfterOf } from "./retryAfter.ts"

/** A circuit for the calls of one model, which opens after so many failures in a row. */
export interface Circuit {
  readonly guard: <A>(call: Effect.Effect<A, AiError.AiError>) => Effect.Effect<A, AiError.AiError>
  readonly guardStream: (stream: Stream.Stream<Part, AiError.AiError>) => Stream.Stream<Part, AiError.AiError>
}

/** Makes circuits that open and close together. */
export const makeBreaker: Effect.Effect<
  (failures: number, openFor: Duration.Input) => Effect.Effect<Circuit, never, Scope.Scope>
> = Effect.map(
  Effect.scoped(Layer.build(CircuitBreaker.layerStoreMemory())),
  (store) => (failures, openFor) =>
    CircuitBreaker.make({ tripPolicy: CircuitBreaker.consecutive(failures), openDuration: openFor }).pipe(
      Effect.provideContext(store),
      Effect.map((breaker) => ({
        guard: (call) => guard(breaker, call),
        guardStream: (stream) => guardStream(breaker, stream)
      }))
    )
)

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const guard = <A>(
  breaker: CircuitBreaker.CircuitBreaker,
  call: Effect.Effect<A, AiError.AiError>
): Effect.Effect<A, AiError.AiError> =>
  breaker.execute(call, { key: "model", classify: toOutcome }).pipe(
    Effect.catchTag("CircuitBreakerError", (error) => Effect.fail(circuitOpen(error)))
  )

/** The breaker guards an effect, so beside the stream runs one that ends as the stream does. */
const guardStream = (
  breaker: CircuitBreaker.CircuitBreaker,
  stream: Stream.Stream<Part, AiError.AiError>
): Stream.Stream<Part, AiError.AiError> =>
  Stream.unwrap(Effect.gen(function*() {
    const admitted = yield* Deferred.make<void, AiError.AiError>()
    const ended = yield* Deferred.make<void, AiError.AiError>()
    const fiber = yield* guard(
      breaker,
      Effect.andThen(Deferred.succeed(admitted, undefined), Deferred.await(ended))
    ).pipe(
      Effect.onError((cause) => Deferred.failCause(admitted, cause)),
      Effect.forkScoped({ startImmediately: true })
    )
    yield* Deferred.await(admitted)
    return Stream.onExit(
      stream,
      (exit) => Effect.andThen(Deferred.done(ended, Exit.asVoid(exit)), Fiber.await(fiber))
    )
  }))

const toOutcome = (exit: Exit.Exit<unknown, AiError.AiError>): Effect.Effect<CircuitBreaker.Outcome> => {
  if (Exit.isSuccess(exit)) return Effect.succeed(CircuitBreaker.success)
  const error = failureOf(exit)
  return error !== undefined && outages.has(error.reason._tag)
    ? Effect.map(retryAfterOf(error), (retryAfter) => CircuitBreaker.failure({ retryAfter }))
    : Effect.succeed(CircuitBreaker.ignored)
}

const outages: ReadonlySet<string> = new Set<AiError.AiErrorReason["_tag"]>([
  "NetworkError",
  "RateLimitError",
  "InternalProviderError"
])

const circuitOpen = ({ reason }: CircuitBreaker.CircuitBreakerError): AiError.AiError =>
  AiError.make({
    module: "Middleware",
    method: "circuitBreaker",
    reason: new AiError.InternalProviderError({
      description: reason._tag === "CircuitOpen"
        ? `not asked for another ${Duration.format(reason.retryAfter)}, because the model failed too often`
        : "not asked while a first call tries whether the model is back"
    })
  })
