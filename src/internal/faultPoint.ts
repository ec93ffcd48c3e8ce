/**
 * The seam at which what waits for something outside, such as a store, gets faults in a simulation.
 *
 * @internal
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

/**
 * A simulation has let a `faultPoint` fail.
 *
 * @since 0.1.0
 * @category errors
 */
export class InjectedFault extends Schema.TaggedError<InjectedFault>("effect-troupe/testing/InjectedFault")(
  "InjectedFault",
  { point: Schema.String }
) {
  override get message() {
    return `the simulation lets ${this.point} fail`
  }
}

/** What a simulation does at a point: nothing, be late, fail. */
export const AtFaultPoint = Context.Reference<((point: string) => Effect.Effect<void, InjectedFault>) | undefined>(
  "effect-troupe/internal/AtFaultPoint",
  { defaultValue: () => undefined }
)

/**
 * A place where a simulation may be late or fail: `pointLate` and `pointFails`. Outside of simulations it does nothing.
 *
 * Before the work of a store, it stands for a store that could not be reached; after it, for an answer that was lost.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Simulation } from "effect-troupe/testing"
 *
 * const orders = new Map<string, number>()
 *
 * const save = (id: string, amount: number) =>
 *   Simulation.faultPoint("orders.save").pipe(
 *     Effect.andThen(Effect.sync(() => orders.set(id, amount))),
 *     Effect.andThen(Simulation.faultPoint("orders.saved"))
 *   )
 * ```
 *
 * @since 0.1.0
 * @category faults
 */
export const faultPoint = (point: string): Effect.Effect<void, InjectedFault> =>
  Effect.withFiber((fiber) => fiber.getRef(AtFaultPoint)?.(point) ?? Effect.void)
