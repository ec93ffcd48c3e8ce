/**
 * A planner splits a question, a researcher answers each part, an editor writes the report.
 *
 * Shows: a plan whose items run side by side, two at a time, with answers in the plan's order.
 * Run: `node examples/team-map.ts "How do tides work?"` (after `npm run build`). Set OPENAI_API_KEY for a real model.
 */
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Effect, Stream } from "effect"
import { Actor, ActorSystem, Agent, Team } from "effect-troupe"
import { openAiOr, questionOf } from "./lib/models.ts"
import { bold, display, printer } from "./lib/print.ts"

const planner = Agent.make("planner", {
  instructions: "You list two to four questions whose answers make a short report on the prompt.",
  model: openAiOr([`{ "items": ["What pulls the water?", "Why twice a day?", "Why do heights differ?"] }`])
})

const answers: Record<string, string> = {
  "What pulls the water?": "The moon most of all, and the sun about half as much.",
  "Why twice a day?": "The earth turns under two bulges, one towards the moon and one away from it.",
  "Why do heights differ?": "Coasts funnel the water, and at full and new moon the sun pulls along."
}

const researcher = Agent.make("researcher", {
  instructions: "You answer the question in one sentence.",
  model: openAiOr((request) => answers[questionOf(request)] ?? "Nobody knows.")
})

const editor = Agent.make("editor", {
  instructions: "You write one short paragraph from the parts.",
  model: openAiOr(["The moon and the sun pull two bulges, under which the earth turns; coasts do the rest."])
})

const program = Effect.gen(function*() {
  const question = process.argv.slice(2).join(" ").trim() || "How do tides work?"
  const report = yield* Actor.spawn(Team.map("report", planner, researcher, { join: editor, concurrency: 2 }))
  yield* display(`${bold(question)}\n`)
  yield* Stream.runForEach(Agent.stream(report, question), printer({ names: true }))
}).pipe(Effect.provide([ActorSystem.layer({ name: "report" }), NodeServices.layer]))

NodeRuntime.runMain(program)
