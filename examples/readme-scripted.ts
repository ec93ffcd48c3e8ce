/**
 * The README's first example: one agent, one tool, and a model that plays a script, so that it runs without a key.
 */
import { Console, Effect, Schema, Stream } from "effect"
import { Agent, Scripted, Tool } from "effect-troupe"

const weather = Tool.fn("get_weather", {
  description: "Current weather in a city",
  parameters: { city: Schema.String },
  success: Schema.String
}, ({ city }) => Effect.succeed(`18 C and cloudy in ${city}`))

const assistant = Agent.make("assistant", { instructions: "You are concise.", tools: [weather] })

const program = Agent.run(assistant, "Weather in Lagos?").pipe(
  Stream.runForEach((event) => Console.log(event)),
  Effect.provide(Scripted.model([
    Scripted.toolCall("get_weather", { city: "Lagos" }),
    "18 degrees and cloudy in Lagos."
  ]))
)

Effect.runFork(program)
