/** Simulations, records and replays; bench/README.md says what each metric is. */
import { checkThenAct, lostWakeup, staleApproval } from "../test/fixtures/plantedBugs.ts"
import { costOf } from "./determinism/runLog.ts"
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
      { name: "record", ours: costOf("record", 40), limit: 2 },
      { name: "replay", ours: costOf("replay", 40), limit: 1.3 },
      { name: "noop-tap", ours: costOf("noopTap", 40), limit: 1.1 }
    ].map(({ limit, name, ours }) => ({
      name,
      unit: "x a plain run",
      better: "lower" as const,
      isolated: true,
      ours,
      baselines: { limit }
    })),
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
