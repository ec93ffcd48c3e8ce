/**
 * The ways for an agent to go on when a model call has failed.
 *
 * A recovery is data: an agent's `recover` is a function from the reason to one of these, and the turn loop carries it
 * out. The text of the failed call is void (the event `TurnRestarted`), and the turn is asked again.
 *
 * @since 0.1.0
 */
import type * as LanguageModel from "effect/ai/LanguageModel"
import type * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Schedule from "effect/Schedule"
import type { ModelFailed } from "./AgentError.ts"
import type { BudgetExceeded } from "./Budget.ts"
import type { Transcript } from "./Transcript.ts"

/**
 * A reason to recover from: a model call that failed, or that the budget doesn't allow.
 *
 * @since 0.1.0
 * @category models
 */
export type Reason = ModelFailed | BudgetExceeded

/**
 * A way to go on. `E` is the errors of building another model, `R` the requirements.
 *
 * @since 0.1.0
 * @category models
 */
export type Recovery<E = never, R = never> =
  | { readonly _tag: "Fail" }
  | { readonly _tag: "Retry"; readonly schedule: Schedule.Schedule<unknown, Reason, never, R> }
  | { readonly _tag: "WithModel"; readonly model: Layer.Layer<LanguageModel.LanguageModel, E, R> }
  | { readonly _tag: "Compact"; readonly compact: (transcript: Transcript) => Effect.Effect<Transcript, never, R> }

/**
 * The errors of a recovery: those of building another model.
 *
 * @since 0.1.0
 * @category models
 */
export type RecoveryError<A> = A extends { readonly model: Layer.Layer<infer _A, infer E, infer _R> } ? E : never

/**
 * The requirements of a recovery.
 *
 * @since 0.1.0
 * @category models
 */
export type RecoveryServices<A> = A extends { readonly model: Layer.Layer<infer _A, infer _E, infer R> } ? R
  : A extends { readonly schedule: Schedule.Schedule<infer _O, infer _I, infer _E, infer R> } ? R
  : A extends { readonly compact: (transcript: Transcript) => Effect.Effect<infer _A, infer _E, infer R> } ? R
  : never

/**
 * Fails the run, as without `recover`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const fail: Recovery = { _tag: "Fail" }

/**
 * Asks the same again as long as the schedule says, then fails. Each turn starts the schedule afresh.
 *
 * @since 0.1.0
 * @category constructors
 */
export const retry = <R = never>(schedule: Schedule.Schedule<unknown, Reason, never, R>): Recovery<never, R> => ({
  _tag: "Retry",
  schedule
})

/**
 * Asks another model, for the rest of the run. Fails when that is the model that failed.
 *
 * @since 0.1.0
 * @category constructors
 */
export const withModel = <E, R>(model: Layer.Layer<LanguageModel.LanguageModel, E, R>): Recovery<E, R> => ({
  _tag: "WithModel",
  model
})

/**
 * Goes on with a shorter version of the conversation, for the rest of the run. The transcript itself stays whole.
 *
 * Fails when the result is not shorter, in characters (a file counts as 4,000).
 *
 * @since 0.1.0
 * @category constructors
 */
export const compact = <R>(
  compact: (transcript: Transcript) => Effect.Effect<Transcript, never, R>
): Recovery<never, R> => ({ _tag: "Compact", compact })
