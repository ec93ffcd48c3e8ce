/**
 * How a contract suite tells that a promise is not kept.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

/**
 * An implementation did not do what every one must.
 *
 * @since 0.1.0
 * @category errors
 */
export class BrokenPromise extends Schema.TaggedError<BrokenPromise>("effect-troupe/testing/BrokenPromise")(
  "BrokenPromise",
  { message: Schema.String }
) {}

/** Fails with the message unless the promise is kept. */
export const expect = (kept: boolean, message: string): Effect.Effect<void, BrokenPromise> =>
  kept ? Effect.void : Effect.fail(new BrokenPromise({ message }))

/** Fails unless both are the same JSON, whatever the order of keys in an object. */
export const same = (what: string, actual: unknown, expected: unknown): Effect.Effect<void, BrokenPromise> => {
  const [a, b] = [ordered(actual), ordered(expected)]
  return expect(a === b, `${what} must be ${b.slice(0, 300)}, got ${a.slice(0, 300)}`)
}

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const ordered = (value: unknown): string =>
  JSON.stringify(value, (_, each: unknown) =>
    typeof each === "object" && each !== null && !Array.isArray(each)
      ? Object.fromEntries(Object.entries(each).sort(([a], [b]) => a < b ? -1 : 1))
      : each) ?? "undefined"
