/**
 * Two agents argue for two rounds, a third one decides.
 *
 * Shows: a debate, in which each turn sees all that was said before.
 * Run: `node examples/team-debate.ts "Are monorepos worth it?"` (after `npm run build`). Set OPENAI_API_KEY for a real
 * model.
 */
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Effect, Stream } from "effect"
import { Actor, ActorSystem, Agent, Team } from "effect-troupe"
import { openAiOr, questionOf } from "./lib/models.ts"
import { bold, display, printer } from "./lib/print.ts"

/** What was said before this turn, as far as the script cares: how often. */
const turnsIn = (text: string) => text.match(/\(round \d+\):/g)?.length ?? 0

const pro = Agent.make("pro", {
  instructions: "You argue for it. Two sentences.",
  model: openAiOr((request) =>
    turnsIn(questionOf(request)) === 0
      ? "One change, one review, one version."
      : "Tools for that exist, and they are free."
  )
})

const con = Agent.make("con", {
  instructions: "You argue against it. Two sentences.",
  model: openAiOr((request) =>
    turnsIn(questionOf(request)) === 1
      ? "And one build that takes an hour."
      : "Free to install; not free to understand."
  )
})

const arbiter = Agent.make("arbiter", {
  instructions: "You weigh both sides and decide in one sentence.",
  model: openAiOr((request) => `After ${turnsIn(questionOf(request))} turns: yes, as long as the build stays fast.`)
})

const program = Effect.gen(function*() {
  const question = process.argv.slice(2).join(" ").trim() || "Are monorepos worth it?"
  const court = yield* Actor.spawn(Team.debate("court", { debaters: [pro, con], arbiter, rounds: 2 }))
  yield* display(`${bold(question)}\n`)
  yield* Stream.runForEach(Agent.stream(court, question), printer({ names: true }))
}).pipe(Effect.provide([ActorSystem.layer({ name: "court" }), NodeServices.layer]))

NodeRuntime.runMain(program)
