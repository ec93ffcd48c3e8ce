import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { simulate } from "../src/testing/vitest.ts"

describe("simulate", () => {
  let runs = 0
  simulate("makes a test of a program", Effect.sync(() => runs++), { seeds: 20 })
  it("which runs it with each seed", () => assert.strictEqual(runs, 20))
})

describe("simulate of a program that breaks a promise", { fails: true }, () => {
  simulate("fails its test", Effect.die(new Error("broken")), { seeds: 1 })
})
