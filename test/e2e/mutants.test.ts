/** The laws of test/laws find what they are there to find: each mutant of the runtime, within 100 seeds. */
import { assert, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import { promisify } from "node:util"
import { mutants } from "../laws/mutants.ts"

it("the laws find each mutant within 100 seeds", { timeout: 240_000 }, async () => {
  const { stdout } = await promisify(execFile)(process.execPath, ["scripts/simulate.ts", "--mutants", "--seeds", "100"])
  const lines = stdout.trim().split("\n")
  assert.deepStrictEqual(lines.filter((line) => !line.startsWith("found")), [])
  assert.lengthOf(lines, mutants.length)
})
