import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { vi } from "vitest"
import { simulate } from "../src/testing/vitest.ts"

describe("simulate", () => {
  let runs = 0
  simulate("makes a test of a program", Effect.sync(() => runs++), { seeds: 20 })
  it("which runs it with each seed", () => assert.strictEqual(runs, 20))

  it("ends with its timeout, and says how to go on", async () => {
    const tests: Array<() => Promise<void>> = []
    vi.doMock("vitest", () => ({ test: (_name: string, _options: unknown, f: () => Promise<void>) => tests.push(f) }))
    vi.resetModules()
    const fresh = await import("../src/testing/vitest.ts")
    vi.doUnmock("vitest")
    fresh.simulate("too long", Effect.sync(() => runs++), { seeds: 1e9, timeout: 20 })
    const error = await tests[0]!().catch(String)
    assert.include(error, "1000000000 seeds")
    assert.include(error, "a longer timeout, in the options of simulate")
    const before = runs
    await new Promise(setImmediate)
    assert.strictEqual(runs, before)
  })
})

describe("simulate of a program that breaks a promise", { fails: true }, () => {
  simulate("fails its test", Effect.die(new Error("broken")), { seeds: 1 })
})
