import { mergeConfig } from "vitest/config"
import base from "./vitest.config.ts"

/** The unit tests of actors and agents, where what is ready goes on in another order: see test/fixtures/shuffled.ts. */
const config = mergeConfig(base, {
  test: { setupFiles: ["test/fixtures/shuffled.ts"], testTimeout: 60_000 }
})
config.test!.include = [
  "Actor*",
  "Agent*",
  "Approvals",
  "Budget",
  "Faults",
  "GetOrSpawn",
  "Group",
  "Guardrail",
  "Mailbox",
  "Memory",
  "Observe*",
  "Recover",
  "Router",
  "Supervisor",
  "Tap",
  "Team*",
  "Tool"
].map((name) => `test/${name}.test.ts`)

export default config
