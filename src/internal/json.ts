/**
 * Makes plain JSON of values that are meant to be JSON.
 *
 * @internal
 */
import type * as Schema from "effect/Schema"

/** The JSON of a value: without undefined fields, and null for a value that JSON cannot hold. */
export const toJson = (value: unknown): Schema.Json => JSON.parse(JSON.stringify(value) ?? "null")
