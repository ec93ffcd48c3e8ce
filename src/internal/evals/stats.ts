/**
 * The statistics of evaluations.
 *
 * @internal
 */

/** A source of numbers from 0 to below 1. */
export type Next = () => number

/** Differences up to which all signs are tried; above, they are drawn. */
export const exactUpTo = 12

const flips = 10_000
const resamples = 2000

/**
 * The unbiased estimate of the probability that `k` trials all pass, where `passed` of `trials` did:
 * C(passed, k) / C(trials, k).
 */
export const passAllOf = (passed: number, trials: number, k: number): number | undefined => {
  if (k > trials) return undefined
  let share = 1
  for (let i = 0; i < k; i++) share *= Math.max(0, passed - i) / (trials - i)
  return share
}

/**
 * How probable a mean as far from 0 as this one is, if each difference had its sign by chance: the two-sided p-value of a
 * sign flip test. It is never 0: what was observed is one of the possibilities.
 */
export const signFlipP = (differences: ReadonlyArray<number>, next: Next): number => {
  // A difference of 0 has no sign.
  const values = differences.filter((difference) => difference !== 0)
  const observed = Math.abs(values.reduce((a, b) => a + b, 0))
  const size = values.reduce((a, b) => a + Math.abs(b), 0)
  // Sums of the same numbers in another order differ by their rounding.
  const isExtreme = (sum: number) => Math.abs(sum) >= observed - 1e-9 * size
  if (values.length <= exactUpTo) {
    const all = 2 ** values.length
    let extreme = 0
    for (let signs = 0; signs < all; signs++) {
      if (isExtreme(flipped(values, (index) => (signs >> index & 1) === 1))) extreme++
    }
    return extreme / all
  }
  let extreme = 0
  for (let round = 0; round < flips; round++) if (isExtreme(flipped(values, () => next() < 0.5))) extreme++
  return (extreme + 1) / (flips + 1)
}

/** Between which means 95 of 100 lie, when cases are drawn again from these with replacement. */
export const bootstrapInterval = (differences: ReadonlyArray<number>, next: Next): readonly [number, number] => {
  const count = differences.length
  const means = new Float64Array(resamples)
  for (let round = 0; round < resamples; round++) {
    let sum = 0
    for (let draw = 0; draw < count; draw++) sum += differences[Math.floor(next() * count)]!
    means[round] = sum / count
  }
  means.sort()
  return [means[Math.floor(resamples * 0.025)]!, means[Math.ceil(resamples * 0.975) - 1]!]
}

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const flipped = (values: ReadonlyArray<number>, isMinus: (index: number) => boolean): number => {
  let sum = 0
  for (let index = 0; index < values.length; index++) sum += isMinus(index) ? -values[index]! : values[index]!
  return sum
}
