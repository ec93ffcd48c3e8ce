import { mergeConfig } from "vitest/config"
import base from "./vitest.config.ts"

/** The unit tests of actors and agents with another order of what is ready: see test/fixtures/shuffled.ts. */
export default mergeConfig(base, {
  test: {
    exclude: ["node_modules/**", "test/e2e/**", "test/Llm/**", "test/Bundle.test.ts", "test/ExamplesPrint.test.ts"],
    setupFiles: ["test/fixtures/shuffled.ts"]
  }
})
