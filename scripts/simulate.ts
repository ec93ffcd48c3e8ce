/**
 * Checks the laws of the library (test/laws) with as many seeds as one likes, or looks for the mutants with them:
 * `npm run simulate -- --seeds 10000 [--from 0] [--law "a part of its name"]`, `npm run simulate -- --mutants`.
 */
import { Effect } from "effect"
import { parseArgs } from "node:util"
import { laws } from "../test/laws/index.ts"
import { check } from "../test/laws/law.ts"
import { findMutant, mutants } from "../test/laws/mutants.ts"

const { values } = parseArgs({
  options: {
    seeds: { type: "string" },
    from: { type: "string", default: "0" },
    law: { type: "string", default: "" },
    mutants: { type: "boolean", default: false }
  }
})

const checkLaws = Effect.gen(function*() {
  const seeds = Number(values.seeds ?? 2000)
  for (const law of laws.filter(({ name }) => name.includes(values.law))) {
    const before = process.cpuUsage()
    const result = yield* Effect.result(check(law, { seeds, from: Number(values.from) }))
    const { system, user } = process.cpuUsage(before)
    const perSecond = Math.round(seeds / ((user + system) / 1e6))
    if (result._tag === "Success") console.log(`holds  ${String(perSecond).padStart(5)} seeds/s  ${law.name}`)
    else {
      process.exitCode = 1
      console.log(`BROKEN ${law.name}\n${result.failure.message}\n`)
    }
  }
})

const findMutants = Effect.gen(function*() {
  const seeds = Number(values.seeds ?? 100)
  for (const mutant of mutants.filter(({ name }) => name.includes(values.law))) {
    const found = yield* findMutant(mutant, seeds)
    if (found === undefined) process.exitCode = 1
    console.log(
      found === undefined
        ? `ALIVE  after ${seeds} seeds  ${mutant.name}`
        : `found  after ${String(found.seeds).padStart(3)} seeds  ${mutant.name}  (${
          found.error.message.split("\n")[0]
        })`
    )
  }
})

await Effect.runPromise(values.mutants ? findMutants : checkLaws)
