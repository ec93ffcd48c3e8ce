/**
 * Faults that a test puts between messages and their handlers. Exported through `effect-troupe/testing`.
 *
 * @internal
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"

/**
 * A message that is about to be handled: `n` counts the actor's messages from 1, over all its incarnations.
 *
 * @since 0.1.0
 * @category models
 */
export interface MessageToHandle {
  readonly path: string
  readonly protocol: string
  readonly tag: string
  readonly n: number
}

/**
 * What happens to a message:
 *
 * - `"crashBefore"`: its actor crashes instead of handling it.
 * - `"crashAfter"`: its actor crashes once it has handled it; the asker gets `Crashed`.
 * - `"double"`: it is handled twice; the second time it has no fault, and nobody takes its answer.
 * - `{ delay }`: it is handled that much later, and the messages behind it wait.
 *
 * @since 0.1.0
 * @category models
 */
export type Fault = "crashBefore" | "crashAfter" | "double" | { readonly delay: Duration.Input }

/**
 * Chooses a fault for each message of the systems that start with it; `undefined` for none.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { ActorSystem } from "effect-troupe"
 * import { Faults } from "effect-troupe/testing"
 *
 * const third = Effect.provideService(
 *   Effect.scoped(Effect.provide(Effect.void, ActorSystem.layer({ name: "test" }))),
 *   Faults.Faults,
 *   ({ n }) => n === 3 ? "crashBefore" : undefined
 * )
 * ```
 *
 * @since 0.1.0
 * @category references
 */
export const Faults = Context.Reference<((message: MessageToHandle) => Fault | undefined) | undefined>(
  "effect-troupe/testing/Faults",
  { defaultValue: () => undefined }
)
