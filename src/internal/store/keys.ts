/**
 * What names a row: checked, and as a text that every database takes.
 *
 * @internal
 */
import { InvalidKey } from "./storeError.ts"

/** Bytes, so that any three keys and a path fit into one index entry of Postgres (2,704). */
const MAX_KEY = 500
const MAX_PATH = 1000

const limits = {
  session: MAX_KEY,
  turn: MAX_KEY,
  owner: MAX_KEY,
  key: MAX_KEY,
  path: MAX_PATH
}

/** The problem of a key, if it has one. Only an owner may be empty. */
export const problemOf = (field: keyof typeof limits, value: string): InvalidKey | undefined => {
  if (value === "" && field !== "owner") return new InvalidKey({ field, problem: "is empty" })
  const max = limits[field]
  // A UTF-16 unit has three bytes at most.
  return value.length * 3 <= max && isPlain(value) || utf8.encode(toKey(value)).length <= max
    ? undefined
    : new InvalidKey({ field, problem: `is longer than ${max} bytes` })
}

/**
 * A string as a database's text: itself, but escaped where it holds what UTF-8 or Postgres can't (lone surrogates, NUL), or
 * looks escaped.
 */
export const toKey = (value: string): string => isPlain(value) ? value : `~${JSON.stringify(value).slice(1, -1)}`

/** The string behind a key. */
export const fromKey = (key: string): string => key.startsWith("~") ? JSON.parse(`"${key.slice(1)}"`) : key

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const isPlain = (value: string): boolean => !value.startsWith("~") && !value.includes("\0") && value.isWellFormed()

const utf8 = new TextEncoder()
