/** Scripted runs as they are, recorded, replayed, and with a tap that does nothing; CPU time of one against the other. */
import { Effect, Schema } from "effect"
import type { LanguageModel } from "effect/ai"
import * as Agent from "../../src/Agent.ts"
import * as Scripted from "../../src/Llm/Scripted.ts"
import * as RunLog from "../../src/RunLog.ts"
import { Tap } from "../../src/Tap.ts"
import * as Tool from "../../src/Tool.ts"
import { check, cpuTime, type Side } from "../harness.ts"

const answer = "It is 18 C and cloudy in Lagos, with a little rain towards the evening."

const weather = Tool.fn("get_weather", {
  description: "Current weather in a city",
  parameters: { city: Schema.String },
  success: Schema.String,
  effect: "pure"
}, ({ city }) => Effect.succeed(`18 C in ${city}`))

const assistant = Agent.make("assistant", { instructions: "You are concise.", tools: [weather] })

const model = Scripted.model(({ prompt }) =>
  prompt.content.at(-1)?.role === "tool" ? answer : Scripted.toolCall("get_weather", { city: "Lagos" }, "call_1")
)

const run = Effect.map(
  Agent.response(Agent.run(assistant, "Weather in Lagos?")),
  ({ text }) => check("answer", text, answer)
)

type Program = Effect.Effect<unknown, unknown, LanguageModel.LanguageModel>

export const times = (count: number, program: Program): Promise<void> =>
  Effect.runPromise(
    Effect.gen(function*() {
      for (let i = 0; i < count; i++) yield* program
    }).pipe(Effect.provide(model))
  )

/** How many times as much processor time one program takes as plain runs do, in turns so that they meet the same heap. */
const against = (count: number, makeProgram: () => Promise<Program>): Side => async () => {
  const program = await makeProgram()
  let [plain, other] = [0, 0]
  for (let round = -5; round < 20; round++) {
    const a = await cpuTime(() => times(count, run))
    const b = await cpuTime(() => times(count, program))
    if (round < 0) continue
    plain += a
    other += b
  }
  return other / plain
}

export const programs = {
  plain: () => Promise.resolve(run),
  record: () => Promise.resolve(Effect.suspend(() => RunLog.record(run, { to: RunLog.memory() }))),
  replay: async () => {
    const memory = RunLog.memory()
    await times(1, RunLog.record(run, { to: memory }))
    const log = await Effect.runPromise(memory.log)
    return RunLog.replay(run, log)
  },
  noopTap: () => Promise.resolve(Effect.provideService(run, Tap, noop))
}

const noop: Tap = {
  model: (_, live) => live,
  tool: (call, live) => live(call.emit),
  embedding: (_, live) => live,
  compaction: (_, live) => live
}

/** How many times as much processor time as a plain run one of these takes. */
export const costOf = (name: keyof typeof programs, count: number): Side => against(count, programs[name])
