import { simulate } from "effect-troupe/vitest"
import { describe } from "vitest"
import { laws } from "./index.ts"

/** The short form; `npm run simulate -- --seeds N` is the long one. */
const seeds = 150

describe("In any order of fibers, and under faults,", () => {
  for (const { faults, name, program } of laws) {
    simulate(name, program, { seeds, ...(faults && { faults }) })
  }
})
