/**
 * Whether calls of a model are let through: not for a while after so many failures in a row, then one, then all.
 *
 * Effect's own breaker stands on its persistence modules, which load databases, and guards no streams.
 *
 * @internal
 */
import * as AiError from "effect/ai/AiError"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Stream from "effect/Stream"
import type { Part } from "./bareModel.ts"
import { failureOf } from "./middleware.ts"
import { retryAfterOf } from "./retryAfter.ts"

export interface Circuit {
  readonly limit: number
  /** Milliseconds. */
  readonly openFor: number
  /** Failures in a row. */
  failures: number
  /** In milliseconds on the clock; `undefined` while the circuit is closed. */
  openUntil: number | undefined
  /** The call that tries whether the model is back. */
  trial: Call | undefined
}

/** A call that was let through, known by itself. */
interface Call {
  /** Milliseconds on the clock. */
  readonly startedAt: number
}

export const make = (limit: number, openFor: Duration.Input): Circuit => ({
  limit,
  openFor: Duration.toMillis(openFor),
  failures: 0,
  openUntil: undefined,
  trial: undefined
})

export const guard = <A>(
  circuit: Circuit,
  call: Effect.Effect<A, AiError.AiError>
): Effect.Effect<A, AiError.AiError> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(
      admit(circuit),
      (admitted) => Effect.onExit(restore(call), (exit) => settle(circuit, admitted, exit))
    )
  )

export const guardStream = (
  circuit: Circuit,
  stream: Stream.Stream<Part, AiError.AiError>
): Stream.Stream<Part, AiError.AiError> =>
  Stream.unwrap(Effect.map(
    // A reader may be gone before the stream starts.
    Effect.acquireRelease(admit(circuit), (call) => Effect.sync(() => endTrial(circuit, call))),
    (call) => Stream.onExit(stream, (exit) => settle(circuit, call, exit))
  ))

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const admit = (circuit: Circuit): Effect.Effect<Call, AiError.AiError> =>
  Effect.flatMap(Clock.currentTimeMillis, (now) => {
    const { openUntil, trial } = circuit
    const call: Call = { startedAt: now }
    if (openUntil !== undefined) {
      if (trial !== undefined) return refuse("not asked while a first call tries whether the model is back")
      if (now < openUntil) {
        const wait = Duration.format(Duration.millis(openUntil - now))
        return refuse(`not asked for another ${wait}, because the model failed too often`)
      }
      circuit.trial = call
    }
    return Effect.succeed(call)
  })

const settle = (circuit: Circuit, call: Call, exit: Exit.Exit<unknown, AiError.AiError>): Effect.Effect<void> =>
  Effect.suspend(() => {
    const tried = endTrial(circuit, call)
    // What was called before it opened says nothing of whether the model is back.
    if (circuit.openUntil !== undefined && !tried) return Effect.void
    if (Exit.isSuccess(exit)) {
      circuit.failures = 0
      circuit.openUntil = undefined
      return Effect.void
    }
    const error = failureOf(exit)
    if (error === undefined || !outages.has(error.reason._tag)) return Effect.void
    circuit.failures++
    return tried || circuit.failures >= circuit.limit ? open(circuit, error) : Effect.void
  })

const endTrial = (circuit: Circuit, call: Call): boolean => {
  const tried = circuit.trial === call
  if (tried) circuit.trial = undefined
  return tried
}

const open = (circuit: Circuit, error: AiError.AiError): Effect.Effect<void> =>
  Effect.zipWith(Clock.currentTimeMillis, retryAfterOf(error), (now, retryAfter) => {
    const asked = retryAfter === undefined ? 0 : Math.min(Duration.toMillis(retryAfter), longestAsked)
    circuit.openUntil = now + Math.max(circuit.openFor, asked)
    circuit.failures = 0
  })

/** A provider that asks for more than an hour is tried again after one. */
const longestAsked = 3_600_000

const outages: ReadonlySet<string> = new Set<AiError.AiErrorReason["_tag"]>([
  "NetworkError",
  "RateLimitError",
  "InternalProviderError"
])

const refuse = (description: string): Effect.Effect<never, AiError.AiError> =>
  Effect.fail(AiError.make({
    module: "Middleware",
    method: "circuitBreaker",
    reason: new AiError.InternalProviderError({ description })
  }))
