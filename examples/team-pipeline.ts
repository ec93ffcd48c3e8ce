/**
 * Three agents one after the other: facts, a draft, a headline. Everybody's text is shown; the last one's is the answer.
 *
 * Shows: a pipeline, events marked with their agent, usage of all members together.
 * Run: `node examples/team-pipeline.ts "the tides"` (after `npm run build`). Set OPENAI_API_KEY for a real model.
 */
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Effect, Stream } from "effect"
import { Actor, ActorSystem, Agent, Team } from "effect-troupe"
import { openAiOr, questionOf } from "./lib/models.ts"
import { printer } from "./lib/print.ts"

const researcher = Agent.make("researcher", {
  instructions: "Give three short facts about the topic, one a line, and nothing else.",
  model: openAiOr((request) => `- ${questionOf(request)} are older than we are\n- they come and go\n- they don't wait`)
})

const writer = Agent.make("writer", {
  instructions: "Write one paragraph from these facts.",
  model: openAiOr((request) => `Consider this: ${questionOf(request).replaceAll(/\n?- /g, "; ").slice(2)}.`)
})

const editor = Agent.make("editor", {
  instructions: "Give the paragraph back with a headline above it.",
  model: openAiOr((request) => `NOBODY WAITS\n\n${questionOf(request)}`)
})

const program = Effect.gen(function*() {
  const article = yield* Actor.spawn(Team.pipeline("article", [researcher, writer, editor]))
  const topic = process.argv.slice(2).join(" ").trim() || "the tides"
  yield* Stream.runForEach(Agent.stream(article, topic), printer({ names: true }))
}).pipe(Effect.provide([ActorSystem.layer({ name: "newsroom" }), NodeServices.layer]))

NodeRuntime.runMain(program)
