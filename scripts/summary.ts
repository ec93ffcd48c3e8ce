/** A vitest reporter that closes with one plain line that any CI can read: `Tests: N passed, N failed, N skipped`. */
import type { Reporter } from "vitest/node"

export const summary: Reporter = {
  onTestRunEnd: (modules, unhandledErrors) => {
    const count = { passed: 0, failed: unhandledErrors.length, skipped: 0, pending: 0 }
    for (const module of modules) {
      const tests = [...module.children.allTests()]
      for (const test of tests) count[test.result().state]++
      // A file that does not load, or whose hooks fail, has no failed test of its own.
      if (module.state() === "failed" && tests.every((test) => test.result().state !== "failed")) count.failed++
    }
    console.log(`Tests: ${count.passed} passed, ${count.failed} failed, ${count.skipped + count.pending} skipped`)
  }
}
