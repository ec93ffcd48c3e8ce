/** The agent loop against AI SDK, OpenAI Agents and LangGraph; bench/README.md says what each metric is. */
import { generate, stream } from "./agents/aiSdk.ts"
import { run as langgraph } from "./agents/langgraph.ts"
import { run as openaiAgents } from "./agents/openaiAgents.ts"
import { longTranscript, run as ours, runActor, runBridge, team } from "./agents/ours.ts"
import { type Bench, cpuTime, type Side } from "./harness.ts"

/**
 * Microseconds of processor time a run. Each round warms its side up again: the collection before it makes the engine drop
 * code that it had optimized.
 */
const runs = (count: number, side: (count: number) => Promise<void>): Side => async () => {
  await side(Math.ceil(count / 5))
  return await cpuTime(() => side(count)) / count
}

const peers = {
  "ai-sdk": runs(5000, generate),
  "openai-agents": runs(2000, openaiAgents),
  langgraph: runs(500, langgraph)
}

const cost = { unit: "us a run", better: "lower" } as const

export const bench: Bench = {
  name: "agents",
  metrics: [
    {
      name: "run",
      ...cost,
      ours: runs(10_000, ours),
      baselines: peers
    },
    {
      name: "run-actor",
      ...cost,
      ours: runs(10_000, runActor),
      baselines: peers
    },
    {
      name: "run-bridge",
      ...cost,
      ours: runs(5000, runBridge),
      baselines: { "generate-text": runs(5000, generate), "stream-text": runs(2000, stream) }
    },
    {
      name: "long-transcript",
      unit: "x 20 messages",
      better: "lower",
      isolated: true,
      ours: longTranscript,
      baselines: { limit: 1.5 }
    },
    {
      name: "team",
      unit: "x 5 runs",
      better: "lower",
      isolated: true,
      ours: team,
      baselines: { limit: 1.4 }
    }
  ]
}
