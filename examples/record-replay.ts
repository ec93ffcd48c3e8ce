/**
 * A run with a model is recorded once, then replayed without it; a changed prompt shows what changed.
 *
 * Shows: a cassette, tools that run for real while the model is replayed, and the difference that a changed request is
 * refused with. The recorded model is scripted: put any other one in its place.
 * Run: `node examples/record-replay.ts`
 */
import { NodeServices } from "@effect/platform-node"
import { Duration, Effect, FileSystem, Schema } from "effect"
import { Agent, Recorded, Scripted, Tool } from "effect-troupe"
import { say } from "./lib/print.ts"

const weather = Tool.fn("get_weather", {
  description: "Current weather in a city",
  parameters: { city: Schema.String },
  success: Schema.String
}, ({ city }) => Effect.as(say(`  (the tool runs for ${city})`), `18 C and cloudy in ${city}`))

const live = Scripted.model([
  [Scripted.delay("600 millis"), Scripted.toolCall("get_weather", { city: "Lagos" })],
  [Scripted.delay("400 millis"), Scripted.text("It is 18 degrees and cloudy in Lagos.")]
])

const ask = (instructions: string) =>
  Effect.map(
    Agent.response(Agent.run(Agent.make("assistant", { instructions, tools: [weather] }), "Weather in Lagos?")),
    ({ text }) => text
  )

const program = Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  const cassette = `${yield* fs.makeTempDirectoryScoped()}/weather.json`
  const recording = Recorded.record(cassette)(live)
  const replaying = Recorded.replay(cassette)

  yield* say("Recorded:")
  yield* say(`  ${yield* Effect.provide(ask("Be brief."), recording)}`)

  yield* say("\nReplayed, without the model:")
  const [took, text] = yield* Effect.timed(Effect.provide(ask("Be brief."), replaying))
  yield* say(`  ${text}`)
  yield* say(`  (with the pauses of the recording: ${Math.round(Duration.toMillis(took))} ms)`)

  yield* say("\nReplayed with other instructions:")
  const error = yield* Effect.flip(Effect.provide(ask("Be thorough."), replaying))
  yield* say(error.message)
})

await Effect.runPromise(Effect.provide(Effect.scoped(program), NodeServices.layer))
