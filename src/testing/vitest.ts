/**
 * Simulations as tests of vitest. Exported as `effect-troupe/vitest`, apart, so that nothing else needs vitest.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { test } from "vitest"
import * as Simulation from "./Simulation.ts"

/**
 * A test that checks a program with one seed after the other; it fails with the smallest script that breaks a promise.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { simulate } from "effect-troupe/vitest"
 *
 * const program = Effect.asVoid(Effect.all([Effect.yieldNow, Effect.sleep("1 hour")], { concurrency: "unbounded" }))
 *
 * simulate("ends for whatever interleaving", program, { seeds: 200 })
 * ```
 *
 * @since 0.1.0
 * @category running
 */
export const simulate = <A, E>(
  name: string,
  program: Effect.Effect<A, E, Scope.Scope>,
  options: Simulation.CheckOptions<A, E> & {
    /** How long the test may take, in milliseconds. Default: a minute. */
    readonly timeout?: number | undefined
  }
): void => {
  const { timeout = 60_000, ...check } = options
  const checked = Simulation.check(program, check)
  // The framework's own time limit would leave the simulation running, beside all later tests.
  const inTime = Effect.timeoutOrElse(checked, {
    duration: timeout,
    orElse: () =>
      Effect.die(
        new Error(
          `simulate: ${check.seeds} seeds (with shrinking, where one breaks a promise) take longer than ${timeout} ms ` +
            "here: give fewer seeds, or a longer timeout, in the options of simulate"
        )
      )
  })
  test(name, { timeout: timeout + 10_000 }, () => Effect.runPromise(inTime))
}
