/**
 * Values as text of JSON, where strings, objects and lists over 64 KB are references to blobs.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import { Damaged } from "./storeError.ts"

/** A large value, named by its content. */
export interface Blob {
  readonly hash: string
  readonly body: string
}

export interface Encoded {
  readonly text: string
  readonly blobs: ReadonlyArray<Blob>
}

export const MAX_INLINE = 65_536

/** The text of a value without blobs, if that is all of it. */
export const encodeSmall = (value: Schema.Json): Encoded | undefined => {
  const text = JSON.stringify(value)
  return text.length <= MAX_INLINE && !text.includes(MARK) ? { text, blobs: [] } : undefined
}

export const encode = (value: Schema.Json): Effect.Effect<Encoded> => {
  const small = encodeSmall(value)
  return small === undefined ? Effect.promise(() => extract(value)) : Effect.succeed(small)
}

/** Each for itself: what holds them all is no value that could come again. */
export const encodeAll = (values: ReadonlyArray<Schema.Json>): Effect.Effect<ReadonlyArray<Encoded>> =>
  Effect.forEach(values, encode)

/**
 * The values of these texts. `fetch` gives the bodies of blobs by their hash.
 */
export const decodeAll = <E>(
  texts: ReadonlyArray<string>,
  fetch: (hashes: ReadonlyArray<string>) => Effect.Effect<ReadonlyMap<string, string>, E>
): Effect.Effect<ReadonlyArray<Schema.Json>, E | Damaged> =>
  Effect.suspend(() => {
    try {
      const values = texts.map((text): Schema.Json => JSON.parse(text))
      if (!texts.some((text) => text.includes(MARK))) return Effect.succeed(values)
      return fill(values, new Map(), fetch)
    } catch (cause) {
      return Effect.fail(new Damaged({ problem: cause instanceof SyntaxError ? "no JSON" : String(cause) }))
    }
  })

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const KEY = "~blob"

/** As it ends in JSON; with a further `~` before it, it is somebody's own key. */
const MARK = "~blob\""

const isMark = (key: string | undefined): key is string => key !== undefined && /^~+blob$/.test(key)

const extract = async (value: Schema.Json): Promise<Encoded> => {
  const blobs = new Map<string, Blob>()
  const shrink = async (value: Schema.Json, isRoot: boolean): Promise<Schema.Json> => {
    const shrunk = typeof value === "object" && value !== null ? await shrinkParts(value) : value
    if (isRoot && typeof value !== "string") return shrunk
    const body = JSON.stringify(shrunk)
    if (body.length <= MAX_INLINE) return shrunk
    const hash = await sha256(body)
    blobs.set(hash, { hash, body })
    return { [KEY]: hash }
  }
  const shrinkParts = async (value: object): Promise<Schema.Json> => {
    if (Array.isArray(value)) {
      const parts: Array<Schema.Json> = []
      for (const each of value) parts.push(await shrink(each, false))
      return parts
    }
    const entries: Array<[string, Schema.Json]> = []
    for (const [key, each] of Object.entries(value)) {
      entries.push([isMark(key) ? `~${key}` : key, await shrink(each, false)])
    }
    return Object.fromEntries(entries)
  }
  const text = JSON.stringify(await shrink(value, true))
  return { text, blobs: [...blobs.values()] }
}

const sha256 = async (text: string): Promise<string> => {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text))
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("")
}

/** Puts blobs in the place of their references, until there are none: a blob may refer to others. */
const fill = <E>(
  values: ReadonlyArray<Schema.Json>,
  bodies: Map<string, Schema.Json>,
  fetch: (hashes: ReadonlyArray<string>) => Effect.Effect<ReadonlyMap<string, string>, E>
): Effect.Effect<ReadonlyArray<Schema.Json>, E | Damaged> =>
  Effect.gen(function*() {
    let missing = referencesOf([...values], bodies)
    while (missing.size > 0) {
      const found = yield* fetch([...missing])
      for (const hash of missing) {
        const body = found.get(hash)
        if (body === undefined) return yield* new Damaged({ problem: `the blob ${hash} is missing` })
        bodies.set(hash, JSON.parse(body))
      }
      missing = referencesOf([...missing].map((hash) => bodies.get(hash)!), bodies)
    }
    return values.map((value) => resolve(value, bodies))
  })

const referenceOf = (value: object): string | undefined => {
  const [key, ...rest] = Object.keys(value)
  const hash: unknown = key === KEY && rest.length === 0 ? Object.values(value)[0] : undefined
  return typeof hash === "string" ? hash : undefined
}

const referencesOf = (values: ReadonlyArray<Schema.Json>, known: ReadonlyMap<string, Schema.Json>): Set<string> => {
  const hashes = new Set<string>()
  const visit = (value: unknown): void => {
    if (typeof value !== "object" || value === null) return
    const hash = Array.isArray(value) ? undefined : referenceOf(value)
    if (hash === undefined) Object.values(value).forEach(visit)
    else if (!known.has(hash)) hashes.add(hash)
  }
  values.forEach(visit)
  return hashes
}

const resolve = (value: Schema.Json, bodies: ReadonlyMap<string, Schema.Json>): Schema.Json => {
  if (typeof value !== "object" || value === null) return value
  if (Array.isArray(value)) return value.map((each) => resolve(each, bodies))
  const hash = referenceOf(value)
  if (hash !== undefined) return resolve(bodies.get(hash)!, bodies)
  return Object.fromEntries(
    Object.entries(value).map(([key, each]) => [isMark(key) ? key.slice(1) : key, resolve(each, bodies)])
  )
}
