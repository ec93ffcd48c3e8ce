/** Scripted team runs as they are, recorded, replayed, and with a tap that does nothing: the CPU time of one against the other. */
import { Effect } from "effect"
import * as RunLog from "../../src/RunLog.ts"
import { Tap } from "../../src/Tap.ts"
import { cpuTime, type Side } from "../harness.ts"
import { teamRun } from "./simulation.ts"

const times = (count: number, program: Effect.Effect<unknown, unknown>): Promise<void> =>
  Effect.runPromise(Effect.gen(function*() {
    for (let i = 0; i < count; i++) yield* program
  }))

const noop: Tap = {
  model: (_, live) => live,
  tool: (call, live) => live(call.emit),
  embedding: (_, live) => live,
  compaction: (_, live) => live
}

const programs: Record<string, Effect.Effect<Effect.Effect<unknown, unknown>, unknown>> = {
  record: Effect.succeed(Effect.suspend(() => RunLog.record(teamRun, { to: RunLog.memory() }))),
  replay: Effect.gen(function*() {
    const memory = RunLog.memory()
    yield* RunLog.record(teamRun, { to: memory })
    return RunLog.replay(teamRun, yield* memory.log)
  }),
  noopTap: Effect.succeed(Effect.provideService(teamRun, Tap, noop))
}

/** How many times as much processor time as a plain run one of these takes, in turns so that they meet the same heap. */
export const costOf = (name: "record" | "replay" | "noopTap", count: number): Side => async () => {
  const program = await Effect.runPromise(programs[name]!)
  let [plain, other] = [0, 0]
  for (let round = -5; round < 15; round++) {
    const a = await cpuTime(() => times(count, teamRun))
    const b = await cpuTime(() => times(count, program))
    if (round < 0) continue
    plain += a
    other += b
  }
  return other / plain
}
