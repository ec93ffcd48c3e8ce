/** The agent loop against AI SDK, OpenAI Agents and LangGraph; bench/README.md says what each metric is. */
import { run as aiSdk } from "./agents/aiSdk.ts"
import { run as langgraph } from "./agents/langgraph.ts"
import { run as openaiAgents } from "./agents/openaiAgents.ts"
import { longTranscript, run as ours, runActor, team } from "./agents/ours.ts"
import { type Bench, rate, type Side } from "./harness.ts"

/** Each round warms its side up again: the collection before it makes the engine drop code that it had optimized. */
const runs = (count: number, side: (count: number) => Promise<void>): Side => async () => {
  await side(Math.ceil(count / 5))
  return await rate(count, () => side(count))
}

export const bench: Bench = {
  name: "agents",
  metrics: [
    {
      name: "run",
      unit: "1/s",
      better: "higher",
      ours: runs(10_000, ours),
      baselines: {
        "ai-sdk": runs(5000, aiSdk),
        "openai-agents": runs(2000, openaiAgents),
        langgraph: runs(500, langgraph)
      }
    },
    {
      name: "run-actor",
      unit: "1/s",
      better: "higher",
      ours: runs(10_000, runActor),
      baselines: { "ai-sdk": runs(5000, aiSdk) }
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
      baselines: { limit: 1.2 }
    }
  ]
}
