/** A vitest reporter that closes with one plain line that any CI can read: `Tests: N passed, N failed, N skipped`. */
import type { Reporter } from "vitest/node"

export const summary: Reporter = {
  onTestRunEnd: (modules) => {
    const count = { passed: 0, failed: 0, skipped: 0, pending: 0 }
    for (const module of modules) {
      // A file that does not even load has no tests to fail.
      if (module.state() === "failed" && module.children.size === 0) count.failed++
      for (const test of module.children.allTests()) count[test.result().state]++
    }
    console.log(`Tests: ${count.passed} passed, ${count.failed} failed, ${count.skipped + count.pending} skipped`)
  }
}
