import { assert, describe, it } from "@effect/vitest"
import { Effect, Random } from "effect"
import * as fc from "fast-check"
import type { CaseReport, Report } from "../src/internal/evals/report.ts"
import { bootstrapInterval, exactUpTo, passAllOf, signFlipP } from "../src/internal/evals/stats.ts"
import * as Evals from "../src/testing/Evals.ts"

const seeded = (seed: number | string): () => number =>
  Effect.runSync(Random.Random.pipe(
    Effect.map((random) => () => random.nextDoubleUnsafe()),
    Random.withSeed(seed)
  ))

/** All ways to choose `k` of the indexes. */
const choices = (n: number, k: number): ReadonlyArray<ReadonlyArray<number>> =>
  k === 0
    ? [[]]
    : n < k
    ? []
    : [...choices(n - 1, k), ...choices(n - 1, k - 1).map((rest) => rest.concat(n - 1))]

const usage = { turns: 0, tokens: 0, cost: 0 }

const trialOf = (passed: boolean | number, trial: number): CaseReport["trials"][number] => {
  const score = Number(passed)
  return {
    trial,
    duration: 10,
    usage,
    judging: usage,
    toolCalls: [],
    outcome: { _tag: "Answered", output: null, scores: { right: { _tag: "Scored", score, passed: score === 1 } } }
  }
}

/** A report whose cases have trials with these scores. */
const reportOf = (version: string, cases: ReadonlyArray<ReadonlyArray<boolean | number>>): Report => ({
  format: 1,
  name: "test",
  version,
  startedAt: 0,
  scorers: ["right"],
  cases: cases.map((trials, index) => ({
    name: `case ${index}`,
    input: index,
    trials: trials.map((passed, trial) => trialOf(passed, trial + 1))
  }))
})

const withTrials = (one: CaseReport, trials: CaseReport["trials"]): CaseReport => ({ ...one, trials })

const asking = (input: string, one: CaseReport): CaseReport => ({ ...one, input })

/** A version whose cases pass with these probabilities. */
const draw = (next: () => number, chances: ReadonlyArray<number>, trials: number) =>
  chances.map((chance) => Array.from({ length: trials }, () => next() < chance))

describe("pass^k", () => {
  it("is the share of all choices of k trials in which all passed", () => {
    for (let trials = 1; trials <= 7; trials++) {
      for (let passed = 0; passed <= trials; passed++) {
        for (let k = 1; k <= trials; k++) {
          const all = choices(trials, k)
          const good = all.filter((choice) => choice.every((index) => index < passed))
          assert.closeTo(passAllOf(passed, trials, k)!, good.length / all.length, 1e-12)
        }
      }
    }
    // C(3, 2) / C(5, 2)
    assert.closeTo(passAllOf(3, 5, 2)!, 3 / 10, 1e-12)
    assert.isUndefined(passAllOf(3, 3, 4))
  })

  it("is right on average: where a trial passes with probability q, it is q to the power of k", () => {
    const [q, trials, k] = [0.7, 5, 3]
    let expected = 0
    for (let passed = 0; passed <= trials; passed++) {
      const ways = choices(trials, passed).length
      expected += ways * q ** passed * (1 - q) ** (trials - passed) * passAllOf(passed, trials, k)!
    }
    assert.closeTo(expected, q ** k, 1e-12)
  })

  it("of a report is the mean over cases; those with too few trials are left out", () => {
    const report = reportOf("a", [[true, true, false], [true, true, true], [true]])
    assert.closeTo(Evals.passAll(report, 2)!, (1 / 3 + 1) / 2, 1e-12)
    assert.closeTo(Evals.passAll(report, 1)!, (2 / 3 + 1 + 1) / 3, 1e-12)
    assert.isUndefined(Evals.passAll(report, 4))
    for (const k of [0, -1, 1.5, Number.NaN]) {
      assert.throws(() => Evals.passAll(report, k), RangeError, `Evals.passAll: k must be a positive integer, got ${k}`)
    }
  })
})

describe("The sign flip test", () => {
  it("gives hand-computed p-values", () => {
    const never = () => assert.fail("no chance is needed")
    // All six on one side: 2 of 64 ways of the signs are as far from 0.
    assert.strictEqual(signFlipP([1, 1, 1, 1, 1, 1], never), 2 / 64)
    assert.strictEqual(signFlipP([-0.5, -1, -2, -0.25, -0.1, -3], never), 2 / 64)
    // The sum is 4; of 8 ways {6, 4, 2, 0, 0, -2, -4, -6} four are as far.
    assert.strictEqual(signFlipP([3, 2, -1], never), 4 / 8)
    // Cases without a difference add nothing.
    assert.strictEqual(signFlipP([1, 0, 1, 0, 1], never), 2 / 8)
    assert.strictEqual(signFlipP([0, 0, 0], never), 1)
    assert.strictEqual(signFlipP([], never), 1)
  })

  it("counts ways that are equal but for the rounding of their sums", () => {
    fc.assert(fc.property(fc.array(fc.integer({ min: -9, max: 9 }), { maxLength: 8 }), (tenths) => {
      const whole = signFlipP(tenths, seeded(1))
      assert.strictEqual(signFlipP(tenths.map((tenth) => tenth / 10), seeded(1)), whole)
    }))
  })

  it("never says that something can't be chance, however many cases agree", () => {
    const p = signFlipP(Array.from({ length: 40 }, () => 1), seeded(1))
    assert.isAbove(p, 0)
    assert.isBelow(p, 0.001)
  })

  it("drawn signs give what all signs do", () => {
    const differences = [0.3, 0.2, -0.1, 0.4, 0.15, -0.05, 0.25, 0.1, -0.2, 0.35, 0.05, 0.1]
    assert.strictEqual(differences.length, exactUpTo)
    const exact = signFlipP(differences, seeded(1))
    // Two equal halves on both sides leave the sums as they are, up to one factor.
    const drawn = signFlipP([...differences, 1e-7], seeded(1))
    assert.closeTo(drawn, exact, 0.01)
    assert.isBelow(exact, 0.05)
  })

  it("a p-value is above 0 and at most 1, and the same for the versions the other way round", () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { maxLength: 20 }),
        fc.integer(),
        (differences, seed) => {
          const p = signFlipP(differences, seeded(seed))
          const mirrored = signFlipP(differences.map((difference) => -difference), seeded(seed))
          return p > 0 && p <= 1 && p === mirrored
        }
      ),
      { numRuns: 60 }
    )
  })
})

describe("The bootstrap interval", () => {
  it("lies within the differences, around their mean", () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: 6, maxLength: 20 }),
        fc.integer(),
        (differences, seed) => {
          const [low, high] = bootstrapInterval(differences, seeded(seed))
          const mean = differences.reduce((a, b) => a + b) / differences.length
          return low <= mean + 1e-9 && mean <= high + 1e-9 && low >= Math.min(...differences) - 1e-9 &&
            high <= Math.max(...differences) + 1e-9
        }
      ),
      { numRuns: 40 }
    )
  })

  it("is as wide as the error of a mean", () => {
    const differences = Array.from({ length: 100 }, (_, index) => index % 2)
    const [low, high] = bootstrapInterval(differences, seeded(3))
    // 1.96 standard errors of 0.05 on both sides of 0.5
    assert.closeTo(low, 0.402, 0.015)
    assert.closeTo(high, 0.598, 0.015)
  })
})

describe("Evals.compare", () => {
  it("under six cases it can't tell, however large the difference is", () => {
    const [before, after] = [false, true].map((passed) =>
      reportOf(String(passed), Array.from({ length: 5 }, () => Array.from({ length: 20 }, () => passed)))
    )
    const { difference, interval, p, verdict, why } = Evals.compare(before!, after!)
    assert.deepStrictEqual({ verdict, difference, p, interval }, {
      verdict: "unclear",
      difference: 1,
      p: undefined,
      interval: undefined
    })
    assert.strictEqual(why, "5 cases are too few to tell: it takes at least 6")
  })

  it("more trials of a case are no more cases", () => {
    // One case is better in each of its thousand trials, the five others are as they were.
    const cases = (passed: boolean) =>
      Array.from({ length: 6 }, (_, index) => Array.from({ length: 1000 }, () => index > 0 || passed))
    const { difference, p, verdict } = Evals.compare(reportOf("a", cases(false)), reportOf("b", cases(true)))
    assert.deepStrictEqual([verdict, p], ["unclear", 1])
    assert.closeTo(difference!, 1 / 6, 1e-12)
  })

  it("a clear improvement is found, and the other way round a clear decline", () => {
    const next = seeded("improvement")
    for (const cases of [8, 12, 30]) {
      const chances = Array.from({ length: cases }, () => 0.1 + 0.3 * next())
      const before = reportOf("before", draw(next, chances, 5))
      const after = reportOf("after", draw(next, chances.map((chance) => chance + 0.55), 5))
      const better = Evals.compare(before, after)
      assert.strictEqual(better.verdict, "better")
      assert.isAbove(better.interval![0], 0)
      const worse = Evals.compare(after, before)
      assert.strictEqual(worse.verdict, "worse")
      assert.isBelow(worse.interval![1], 0)
      assert.deepStrictEqual(worse.difference, -better.difference!)
    }
  })

  it("versions that are the same are called different no more often than 1 time in 20", () => {
    for (
      const { cases, rounds } of [{ cases: 6, rounds: 300 }, { cases: 10, rounds: 150 }, { cases: 15, rounds: 50 }]
    ) {
      const next = seeded(`same ${cases}`)
      let different = 0
      for (let round = 0; round < rounds; round++) {
        const chances = Array.from({ length: cases }, next)
        const [a, b] = ["a", "b"].map((version) => reportOf(version, draw(next, chances, 3)))
        if (Evals.compare(a!, b!).verdict !== "unclear") different++
      }
      // Three standard errors above 1 in 20.
      assert.isAtMost(different / rounds, 0.05 + 3 * Math.sqrt(0.05 * 0.95 / rounds))
    }
  })

  it("a report compared with itself has no difference, and the same reports give the same comparison", () => {
    const next = seeded("self")
    const [a, b] = ["a", "b"].map((version) => reportOf(version, draw(next, Array.from({ length: 20 }, next), 3)))
    const same = Evals.compare(a!, a!)
    assert.deepStrictEqual([same.verdict, same.difference, same.p, same.interval], ["unclear", 0, 1, [0, 0]])
    assert.deepStrictEqual(Evals.compare(a!, b!), Evals.compare(a!, b!))
  })

  it("cases are paired by name, and only where they are the same question", () => {
    const before = reportOf("a", [[true], [true], [false], [true]])
    const after = {
      ...reportOf("b", [[true], [true], [true], [true]]),
      cases: reportOf("b", [[true], [true], [true]]).cases.toReversed()
    }
    const other = {
      ...after,
      cases: after.cases.map((one) => one.name === "case 1" ? asking("new", one) : one)
    }
    const comparison = Evals.compare(before, other)
    assert.deepStrictEqual(comparison.cases.map(({ name }) => name), ["case 0", "case 2"])
    assert.deepStrictEqual([comparison.changed, comparison.onlyBefore, comparison.onlyAfter], [["case 1"], [
      "case 3"
    ], []])
    assert.strictEqual(comparison.difference, 1 / 2)
    const back = Evals.compare(other, before)
    assert.deepStrictEqual([back.onlyBefore, back.onlyAfter], [[], ["case 3"]])
  })

  it("unscored trials are left out, failed tasks count as not passed", () => {
    const report = reportOf("a", Array.from({ length: 6 }, () => [true, true]))
    const end = (outcome: CaseReport["trials"][number]["outcome"]): Report => ({
      ...report,
      version: outcome._tag,
      cases: report.cases.map((one) => ({ ...one, trials: [one.trials[0]!, { ...one.trials[1]!, outcome }] }))
    })
    const unscored = end({ _tag: "Answered", output: null, scores: { right: { _tag: "Unscored", problem: "?" } } })
    assert.strictEqual(Evals.compare(report, unscored).difference, 0)
    const failed = end({ _tag: "Failed", kind: "error", problem: "!" })
    const comparison = Evals.compare(report, failed, { by: "right" })
    assert.deepStrictEqual([comparison.verdict, comparison.difference], ["worse", -0.5])
    assert.deepStrictEqual(Evals.summary(unscored).unscored, 6)
  })

  it("an outage of a judge is no decline: a verdict must hold if all unscored trials spoke against it", () => {
    const unscored = { _tag: "Answered", output: null, scores: { right: { _tag: "Unscored", problem: "?" } } } as const
    const eight = (trials: ReadonlyArray<boolean>) => reportOf("a", Array.from({ length: 8 }, () => trials))
    /** The report, of which the last trials of each case were not scored. */
    const outage = (report: Report, count: number): Report => ({
      ...report,
      cases: report.cases.map((one) =>
        withTrials(
          one,
          one.trials.map((trial) => trial.trial > one.trials.length - count ? { ...trial, outcome: unscored } : trial)
        )
      )
    })
    // Each case passes 6 times of 10, but the trials that passed could not be scored.
    const steady = eight([false, false, false, false, true, true, true, true, true, true])
    const { difference, p, verdict, why } = Evals.compare(steady, outage(steady, 5))
    assert.strictEqual(verdict, "unclear")
    assert.isBelow(difference!, 0)
    assert.isBelow(p!, 0.05)
    assert.strictEqual(why, "40 trials could not be scored, and may be the difference")
    const back = Evals.compare(outage(steady, 5), steady)
    assert.deepStrictEqual([back.verdict, back.difference! > 0], ["unclear", true])
    // From none to all but one of ten, one unscored trial each changes nothing.
    const bad = eight(Array.from({ length: 10 }, () => false))
    const good = eight(Array.from({ length: 10 }, (_, index) => index > 0))
    assert.strictEqual(Evals.compare(outage(bad, 1), outage(good, 1)).verdict, "better")
  })

  it("versions with other scorers are compared by one that both have, and by no other", () => {
    const before = reportOf("a", Array.from({ length: 6 }, () => [false]))
    const after = { ...reportOf("b", Array.from({ length: 6 }, () => [true])), scorers: ["right", "brief"] }
    const byPass = Evals.compare(before, after)
    assert.strictEqual(byPass.verdict, "unclear")
    assert.include(byPass.why, "different scorers")
    assert.strictEqual(Evals.compare(before, after, { by: "right" }).verdict, "better")
    assert.throws(
      () => Evals.compare(before, after, { by: "brief" }),
      RangeError,
      `Evals.compare: by must be one of pass, right, got "brief"`
    )
  })
})
