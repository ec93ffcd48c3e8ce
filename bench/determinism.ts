/** Simulations, records and replays; bench/README.md says what each metric is. */
import { checkThenAct, lostWakeup, staleApproval } from "../test/fixtures/plantedBugs.ts"
import { plainRuns, seedsToBug, simulatedRuns } from "./determinism/simulation.ts"
import type { Bench } from "./harness.ts"

export const bench: Bench = {
  name: "determinism",
  metrics: [
    {
      name: "simulated-runs",
      unit: "1/s",
      better: "higher",
      ours: simulatedRuns(500),
      baselines: { limit: 400, plain: plainRuns(500) }
    },
    ...[
      { bug: checkThenAct, limit: 2 },
      { bug: lostWakeup, limit: 3 },
      { bug: staleApproval, limit: 100 }
    ].map(({ bug, limit }, index) => ({
      name: `seeds-to-bug-${index + 1}`,
      unit: "seeds",
      better: "lower" as const,
      ours: seedsToBug(bug, 200),
      baselines: { limit }
    }))
  ]
}
