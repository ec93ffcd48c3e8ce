/**
 * Takes a run of deltas through `LanguageModel` as one.
 *
 * `LanguageModel` decodes every part of a stream with its schema, which costs more than all that we do with a delta
 * ourselves. Deltas of one block that arrive together go through as one delta, whose metadata says where to cut it, and
 * are cut again behind it.
 *
 * @internal
 */
import type { Response } from "effect/ai"
import * as Arr from "effect/Array"

type Encoded = Response.StreamPartEncoded

type Delta = Extract<Encoded, { readonly type: "text-delta" | "reasoning-delta" }>

/**
 * Joins each run of deltas that belong to one block and carry no metadata of their own.
 *
 * @internal
 */
export const join = (parts: Arr.NonEmptyReadonlyArray<Encoded>): Arr.NonEmptyReadonlyArray<Encoded> => {
  const joined: Array<Encoded> = []
  for (let from = 0; from < parts.length;) {
    const first = parts[from]!
    const to = isPlainDelta(first) ? endOfRun(first, parts, from) : from + 1
    joined.push(isPlainDelta(first) && to - from > 1 ? joinRun(first, parts.slice(from, to)) : first)
    from = to
  }
  return Arr.isArrayNonEmpty(joined) ? joined : parts
}

/**
 * Cuts joined deltas where they were apart, and leaves all other parts as they are.
 *
 * @internal
 */
export const split = <Part extends Response.AnyPart>(
  parts: Arr.NonEmptyReadonlyArray<Part>
): Arr.NonEmptyReadonlyArray<Part> => {
  const apart: Array<Part> = []
  for (const part of parts) {
    const ends = part.metadata[KEY]
    if (typeof ends === "string" && "delta" in part) splitRun(part, part.delta, ends, apart)
    else apart.push(part)
  }
  return Arr.isArrayNonEmpty(apart) ? apart : parts
}

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const KEY = "effect-troupe/deltas"

const isPlainDelta = (part: Encoded): part is Delta =>
  (part.type === "text-delta" || part.type === "reasoning-delta") && part.metadata === undefined

const endOfRun = (first: Delta, parts: ReadonlyArray<Encoded>, from: number): number => {
  for (let index = from + 1; index < parts.length; index++) {
    const part = parts[index]!
    if (!isPlainDelta(part) || part.type !== first.type || part.id !== first.id) return index
  }
  return parts.length
}

const joinRun = (first: Delta, run: ReadonlyArray<Encoded>): Delta => {
  let delta = ""
  let ends = ""
  for (const part of run) {
    delta += isPlainDelta(part) ? part.delta : ""
    ends += `${delta.length} `
  }
  return { ...first, delta, metadata: { [KEY]: ends } }
}

const splitRun = <Part extends Response.AnyPart>(part: Part, text: string, ends: string, into: Array<Part>): void => {
  let start = 0
  for (const end of ends.trimEnd().split(" ")) {
    into.push({ ...part, delta: text.slice(start, Number(end)), metadata: {} })
    start = Number(end)
  }
}
