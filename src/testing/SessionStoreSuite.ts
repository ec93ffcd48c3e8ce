/**
 * What every session store promises, as checks that run in any test framework.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { BrokenPromise } from "../internal/testing/brokenPromise.ts"
import * as callChecks from "../internal/testing/storeCalls.ts"
import { type Check, makeFixture } from "../internal/testing/storeFixture.ts"
import * as historyChecks from "../internal/testing/storeHistory.ts"
import * as rowChecks from "../internal/testing/storeRows.ts"
import * as turnChecks from "../internal/testing/storeTurns.ts"
import type * as SessionStore from "../SessionStore.ts"
import { SessionStore as Service } from "../SessionStore.ts"

export {
  /** @since 0.1.0 @category errors */
  BrokenPromise
} from "../internal/testing/brokenPromise.ts"

/**
 * A promise of the contract. `check` builds the store and fails with `BrokenPromise` if it is not kept.
 *
 * @since 0.1.0
 * @category models
 */
export interface Promised<E, R> {
  readonly name: string
  readonly check: Effect.Effect<void, BrokenPromise | SessionStore.StoreError | E, R>
}

/**
 * The promises of a session store, to be checked one after the other: on the same tables they would see each other's rows.
 *
 * Each check removes the rows of its own sessions first, so that it can run again on tables that stayed, and one of them
 * prunes every idle session: use a database of its own. No check waits: leases that are over have no duration.
 *
 * @example
 * ```ts
 * import { it } from "@effect/vitest"
 * import { SessionStore } from "effect-troupe"
 * import { SessionStoreSuite } from "effect-troupe/testing"
 *
 * for (const { check, name } of SessionStoreSuite.promises(SessionStore.layerMemory)) it.effect(name, () => check)
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const promises = <E, R>(
  layer: Layer.Layer<SessionStore.SessionStore, E, R>
): ReadonlyArray<Promised<E, R>> =>
  Object.entries(checks).map(([name, check], index) => ({
    name,
    check: Effect.gen(function*() {
      const store = yield* Service
      yield* check(yield* makeFixture(store, `suite-${index}`))
    }).pipe(Effect.provide(Layer.fresh(layer)))
  }))

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const checks: Readonly<Record<string, Check>> = {
  ...turnChecks.checks,
  ...historyChecks.checks,
  ...callChecks.checks,
  ...rowChecks.checks
}
