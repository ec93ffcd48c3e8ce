/**
 * What all operations of a store have in common: keys are checked first, and errors name operation, session and key.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import { problemOf } from "./keys.ts"
import { StoreError, type StoreErrorReason } from "./storeError.ts"

/** Checks the keys that are given and names the reasons of a failure. `key` is the second name in errors. */
export interface Keys {
  readonly session?: string | undefined
  readonly turn?: string | undefined
  readonly owner?: string | undefined
  readonly key?: string | undefined
  readonly path?: string | undefined
}

/** An operation on these keys. */
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
  return Effect.mapError(run, named)
}
