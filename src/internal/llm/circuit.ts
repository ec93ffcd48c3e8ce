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
  trial: Admission | undefined
  /** Counts openings and closings: calls from before one of them say nothing of now. */
  era: number
}

export const make = (limit: number, openFor: Duration.Input): Circuit => ({
  limit,
  openFor: Duration.toMillis(openFor),
  failures: 0,
  openUntil: undefined,
  trial: undefined,
  era: 0
})

export const guard = <A>(
  circuit: Circuit,
  call: Effect.Effect<A, AiError.AiError>
): Effect.Effect<A, AiError.AiError> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(
      admit(circuit),
      (admission) => Effect.onExit(restore(call), (exit) => settle(circuit, admission, exit))
    )
  )

export const guardStream = (
  circuit: Circuit,
  stream: Stream.Stream<Part, AiError.AiError>
): Stream.Stream<Part, AiError.AiError> =>
  Stream.unwrap(Effect.map(
    // A reader may be gone before the stream starts.
    Effect.acquireRelease(admit(circuit), (admission) => Effect.sync(() => endTrial(circuit, admission))),
    (admission) => Stream.onExit(stream, (exit) => settle(circuit, admission, exit))
  ))

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

/** A call that was let through. */
interface Admission {
  readonly era: number
}

const admit = (circuit: Circuit): Effect.Effect<Admission, AiError.AiError> =>
  Effect.flatMap(Clock.currentTimeMillis, (now) => {
    const { era, openUntil, trial } = circuit
    const admission: Admission = { era }
    if (openUntil !== undefined) {
      if (trial !== undefined) return refuse("not asked while a first call tries whether the model is back")
      if (now < openUntil) {
        const wait = Duration.format(Duration.millis(openUntil - now))
        return refuse(`not asked for another ${wait}, because the model failed too often`)
      }
      circuit.trial = admission
    }
    return Effect.succeed(admission)
  })

const settle = (
  circuit: Circuit,
  admission: Admission,
  exit: Exit.Exit<unknown, AiError.AiError>
): Effect.Effect<void> =>
  Effect.suspend(() => {
    if (circuit.era !== admission.era) return Effect.void
    const tried = endTrial(circuit, admission)
    if (Exit.isSuccess(exit)) {
      circuit.failures = 0
      if (tried) turn(circuit, undefined)
      return Effect.void
    }
    const error = failureOf(exit)
    if (error === undefined || !outages.has(error.reason._tag)) return Effect.void
    circuit.failures++
    return tried || circuit.failures >= circuit.limit ? open(circuit, error) : Effect.void
  })

const endTrial = (circuit: Circuit, admission: Admission): boolean => {
  const tried = circuit.trial === admission
  if (tried) circuit.trial = undefined
  return tried
}

const open = (circuit: Circuit, error: AiError.AiError): Effect.Effect<void> =>
  Effect.zipWith(Clock.currentTimeMillis, retryAfterOf(error), (now, retryAfter) => {
    const asked = retryAfter === undefined ? 0 : Math.min(Duration.toMillis(retryAfter), longestAsked)
    turn(circuit, now + Math.max(circuit.openFor, asked))
  })

const turn = (circuit: Circuit, openUntil: number | undefined): void => {
  circuit.openUntil = openUntil
  circuit.failures = 0
  circuit.era++
}

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
