/**
 * Three stages with three providers: Gemini drafts, Claude criticises, GPT decides. Each stage whose key is missing is
 * played by a script.
 *
 * Shows: agents with models of their own in one team, and a team as a member of a team.
 * Run: `node examples/team-mixed-providers.ts` (after `npm run build`), with any of GEMINI_API_KEY, ANTHROPIC_API_KEY and
 * OPENAI_API_KEY.
 */
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Effect, Stream } from "effect"
import { Actor, ActorSystem, Agent, Anthropic, Gemini, Team } from "effect-troupe"
import { modelOr, openAiOr, questionOf } from "./lib/models.ts"
import { printer } from "./lib/print.ts"

const drafter = Agent.make("drafter", {
  instructions: "Propose a name for the product, in one sentence.",
  model: modelOr("GEMINI_API_KEY", Gemini.model("gemini-2.5-flash"), () => "Call it Lantern, because it shows the way.")
})

const critic = Agent.make("critic", {
  instructions: "Repeat the proposal, then say in one sentence what is wrong with it.",
  model: modelOr(
    "ANTHROPIC_API_KEY",
    Anthropic.model("claude-haiku-4-5"),
    (request) => `${questionOf(request)} But everybody has a lantern.`
  )
})

const decider = Agent.make("decider", {
  instructions: "Decide on a name from the proposal and its criticism. One sentence.",
  model: openAiOr(() => "Lighthouse: it shows the way too, and there is only one.")
})

const naming = Team.pipeline("naming", [Team.pipeline("proposal", [drafter, critic]), decider])

const program = Effect.gen(function*() {
  const ref = yield* Actor.spawn(naming, { name: "naming" })
  yield* Stream.runForEach(Agent.stream(ref, "An app that finds the way out of a building"), printer({ names: true }))
}).pipe(Effect.provide([ActorSystem.layer({ name: "studio" }), NodeServices.layer]))

NodeRuntime.runMain(program)
