/**
 * Random numbers of a seed. What draws for one purpose does not shift the draws for another: each has a stream.
 *
 * @internal
 */
import type * as Random from "effect/Random"

/** The purposes that numbers are drawn for. */
export type Purpose = keyof typeof purposes

const purposes = { machine: 1, schedule: 2, faults: 3, values: 4, comparing: 6 }

/** Gives the next number, from 0 to 1 (exclusive), with 32 random bits: xoshiro128++. */
export const make = (seed: number, purpose: Purpose): () => number => {
  const scramble = scrambler(seed, purposes[purpose])
  let [a, b, c, d] = [scramble(), scramble(), scramble(), scramble()]
  return () => {
    const sum = (a + d) | 0
    const out = (rotate(sum, 7) + a) | 0
    const shifted = b << 9
    c ^= a
    d ^= b
    b ^= c
    a ^= d
    c ^= shifted
    d = rotate(d, 11)
    return (out >>> 0) / 2 ** 32
  }
}

/** Effect's `Random`, by the seed. */
export const makeRandom = (seed: number): (typeof Random.Random)["Service"] => {
  const next = make(seed, "values")
  const nextDoubleUnsafe = () => (Math.floor(next() * 2 ** 21) * 2 ** 32 + next() * 2 ** 32) / 2 ** 53
  return {
    nextDoubleUnsafe,
    nextIntUnsafe: () =>
      Math.floor(nextDoubleUnsafe() * (Number.MAX_SAFE_INTEGER - Number.MIN_SAFE_INTEGER + 1)) +
      Number.MIN_SAFE_INTEGER
  }
}

/** A whole number from 0 to `n` (exclusive). */
export const below = (next: () => number, n: number): number => Math.floor(next() * n)

/** One of them. */
export const choose = <A>(next: () => number, all: readonly [A, ...ReadonlyArray<A>]): A =>
  all[below(next, all.length)] ?? all[0]

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const rotate = (n: number, by: number): number => (n << by) | (n >>> (32 - by))

/** Spreads neighbouring seeds over all states: the finalizer of MurmurHash3 over a Weyl sequence. */
const scrambler = (seed: number, purpose: number): () => number => {
  let state = (seed ^ Math.imul(Math.floor(seed / 2 ** 32) + purpose, 0x85ebca6b)) | 0
  return () => {
    state = (state + 0x9e3779b9) | 0
    let mixed = Math.imul(state ^ (state >>> 16), 0x85ebca6b)
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
    return mixed ^ (mixed >>> 16)
  }
}
