import { fileURLToPath } from "node:url"
import { defineConfig } from "vitest/config"
import { summary } from "./scripts/summary.ts"

const source = (path: string) => fileURLToPath(new URL(`./src/${path}`, import.meta.url))

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    testTimeout: 20_000,
    // By default a core stays free, which is half of two.
    maxWorkers: "100%",
    reporters: ["default", summary]
  },
  resolve: {
    alias: [
      { find: /^effect-troupe\/node$/, replacement: source("node/index.ts") },
      { find: /^effect-troupe\/testing$/, replacement: source("testing/index.ts") },
      { find: /^effect-troupe\/vitest$/, replacement: source("testing/vitest.ts") },
      { find: /^effect-troupe\/(.+)$/, replacement: source("$1.ts") },
      { find: /^effect-troupe$/, replacement: source("index.ts") }
    ]
  }
})
