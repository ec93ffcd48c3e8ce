import { simulate } from "effect-troupe/vitest"
import { describe } from "vitest"
import { laws } from "./index.ts"
import { optionsOf } from "./law.ts"

/** The short form; `npm run simulate -- --seeds N` is the long one. */
const seeds = 150

describe("In any order of fibers, and under faults,", () => {
  for (const law of laws) simulate(law.name, law.program, { seeds, ...optionsOf(law) })
})
