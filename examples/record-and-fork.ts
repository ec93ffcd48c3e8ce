/**
 * A run is recorded, replayed without the model and the tools, stopped in the middle, and forked there with other
 * instructions; the comparison shows where the fork goes another way.
 *
 * Shows: `RunLog.record`, `replay`, `stopAt`, `fork` and `compare`. The model is scripted: put any other one in its place.
 * Run: `node examples/record-and-fork.ts`
 */
import { NodeServices } from "@effect/platform-node"
import { Duration, Effect, FileSystem, Schema } from "effect"
import { Agent, RunLog, Scripted, Tool } from "effect-troupe"
import { say } from "./lib/print.ts"

const stock = Tool.fn("get_stock", {
  description: "Pieces in stock",
  parameters: { article: Schema.String },
  success: Schema.Int
}, ({ article }) => Effect.as(say(`  (the tool looks for ${article})`), 12))

const clerk = Agent.make("clerk", { instructions: "You sell.", tools: [stock] })

const program = Effect.map(Agent.response(Agent.run(clerk, "Do you have umbrellas?")), ({ text }) => text)

const model = Scripted.model((request) => {
  const last = request.prompt.content.at(-1)
  if (last?.role !== "tool") {
    return [Scripted.delay("600 millis"), Scripted.toolCall("get_stock", { article: "umbrella" })]
  }
  const isCurt = JSON.stringify(request.prompt.content[0]).includes("curt")
  return [Scripted.delay("400 millis"), Scripted.text(isCurt ? "Yes." : "We have 12 fine umbrellas for you!")]
})

const noModel = Scripted.model([])

const main = Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  const file = `${yield* fs.makeTempDirectoryScoped()}/run.jsonl`

  yield* say("Recorded:")
  yield* say(`  ${yield* RunLog.record(program, { to: RunLog.file(file) }).pipe(Effect.provide(model))}`)
  const log = yield* RunLog.load(file)

  yield* say("\nReplayed, without the model and the tool:")
  const [took, text] = yield* Effect.timed(RunLog.replay(program, log).pipe(Effect.provide(noModel)))
  yield* say(
    `  ${text} (in ${Math.round(Duration.toMillis(took))} ms; it took ${Math.round(RunLog.summary(log).time)} ms)`
  )

  const state = RunLog.stopAt(log, 3)
  yield* say(`\nAt call 3 (${state.pending.map(({ key }) => key).join()}) the clerk's conversation is:`)
  for (const { role } of state.runs.flatMap(({ messages }) => messages)) {
    yield* say(`  a message of the role ${String(role)}`)
  }

  yield* say("\nForked there, with other instructions:")
  const memory = RunLog.memory()
  const forked = RunLog.fork(program, log, { at: 3, with: () => ({ instructions: "You sell. Be curt." }), to: memory })
  yield* say(`  ${yield* Effect.provide(forked, model)}`)
  const { call } = RunLog.compare(log, yield* memory.log)
  yield* say(`\nThe first call that differs is number ${call?.number}:\n${call?.text}`)
})

await Effect.runPromise(Effect.provide(Effect.scoped(main), NodeServices.layer))
