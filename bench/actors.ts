/** The actor core against the smallest Effect program, nact and XState; bench/README.md says what each metric is. */
import { nact } from "./actors/nact.ts"
import { fairness, idleBytes, millionBytes, millionGrowth, ours, stopMany, supervised } from "./actors/ours.ts"
import { raw } from "./actors/raw.ts"
import { xstate, xstateSync } from "./actors/xstate.ts"
import type { Bench, Side } from "./harness.ts"

const GIB = 2 ** 30

const perSecond = { unit: "1/s", better: "higher" } as const
const bounded = (unit: string, ours: Side, limit: number) =>
  ({ unit, better: "lower", isolated: true, ours, baselines: { limit } }) as const

export const bench: Bench = {
  name: "actors",
  metrics: [
    {
      name: "tell",
      ...perSecond,
      ours: ours.tell,
      baselines: { raw: raw.tell, nact: nact.tell, xstate: xstate.tell, "xstate-sync": xstateSync.tell }
    },
    { name: "ask", ...perSecond, ours: ours.ask, baselines: { raw: raw.ask, nact: nact.ask, xstate: xstate.ask } },
    {
      name: "ask-64",
      ...perSecond,
      ours: ours.ask64,
      baselines: { raw: raw.ask64, nact: nact.ask64, xstate: xstate.ask64 }
    },
    // In a span an ask may cost twice as much.
    {
      name: "ask-in-span",
      ...perSecond,
      ours: ours.askInSpan,
      baselines: { limit: async () => 0.5 * await ours.ask() }
    },
    {
      name: "spawn",
      ...perSecond,
      ours: ours.spawn,
      baselines: { raw: raw.spawn, nact: nact.spawn, xstate: xstate.spawn, "xstate-sync": xstateSync.spawn }
    },
    { name: "supervised", ...perSecond, ours: supervised, baselines: { limit: async () => 0.3 * await ours.ask() } },
    { name: "idle-bytes", ...bounded("bytes", idleBytes, 1400) },
    { name: "million-actors", ...bounded("bytes", millionBytes, 5 * GIB) },
    { name: "million-actors-growth", ...bounded("x first spawns", millionGrowth, 1.5) },
    { name: "stop-100k", ...bounded("x spawning", stopMany, 3) },
    { name: "fairness", ...bounded("ms", fairness, 50) }
  ]
}
