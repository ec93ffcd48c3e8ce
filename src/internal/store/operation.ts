/**
 * What all operations of a store have in common: keys are checked first, and errors name operation, session and key.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import { faultPoint } from "../faultPoint.ts"
import { problemOf } from "./keys.ts"
import { StoreError, type StoreErrorReason, Unavailable } from "./storeError.ts"

/** Checks the keys that are given and names the reasons of a failure. `key` is the second name in errors. */
export interface Keys {
  readonly session?: string | undefined
  readonly turn?: string | undefined
  readonly owner?: string | undefined
  readonly key?: string | undefined
  readonly path?: string | undefined
}

/**
 * An operation on these keys. A simulation may let it fail before it begins (`SessionStore.commit`), or lose its answer
 * (`SessionStore.commit.done`).
 */
export const operation = <A>(
  name: string,
  keys: Keys,
  run: Effect.Effect<A, StoreErrorReason>
): Effect.Effect<A, StoreError> => {
  const named = (reason: StoreErrorReason): StoreError =>
    new StoreError({
      operation: name,
      session: keys.session ?? "",
      key: keys.path ?? keys.key ?? keys.turn ?? keys.owner ?? "",
      reason
    })
  for (const field of ["session", "turn", "owner", "key", "path"] as const) {
    const value = keys[field]
    const problem = value === undefined ? undefined : problemOf(field, value)
    if (problem !== undefined) return Effect.fail(named(problem))
  }
  return injectable(`SessionStore.${name}`).pipe(
    Effect.andThen(run),
    Effect.tap(injectable(`SessionStore.${name}.done`)),
    Effect.mapError(named)
  )
}

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const injectable = (point: string): Effect.Effect<void, Unavailable> =>
  Effect.mapError(faultPoint(point), ({ message }) => new Unavailable({ problem: message, isRetryable: true }))
