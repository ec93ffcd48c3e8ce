/**
 * A tool that asks before it acts.
 *
 * Shows: a call that waits for a decision while the run streams on, one that is approved, one that is edited before it
 * runs, one that is refused, all from one list, at any depth (here the agent that pays is a tool of another one).
 * Run: `npm run build && node examples/tool-approval.ts`
 */
import { NodeRuntime } from "@effect/platform-node"
import { Effect, Schema, Stream } from "effect"
import { Agent, Approvals, Scripted, Tool } from "effect-troupe"
import { openAiOr } from "./lib/models.ts"
import { say } from "./lib/print.ts"

const pay = Tool.fn("pay", {
  description: "Sends money to somebody",
  parameters: { to: Schema.String, euros: Schema.Finite },
  success: Schema.String,
  effect: "once",
  needsApproval: ({ euros }) => euros > 10
}, ({ euros, to }) => Effect.as(say(`  (sending ${euros} EUR to ${to})`), `sent ${euros} EUR`))

const accountant = Agent.make("accountant", {
  instructions: "You pay bills. Call pay once for each bill, all in one turn.",
  tools: [pay],
  model: openAiOr([
    [
      Scripted.toolCall("pay", { to: "Ada", euros: 5 }),
      Scripted.toolCall("pay", { to: "Grace", euros: 50 }),
      Scripted.toolCall("pay", { to: "Barbara", euros: 500 }),
      Scripted.toolCall("pay", { to: "Mallory", euros: 5000 })
    ],
    "Ada, Grace and Barbara are paid, Mallory is not."
  ])
})

const assistant = Agent.make("assistant", {
  instructions: "Give all bills to the accountant in one request, then report.",
  tools: [Tool.fromAgent(accountant, { description: "Pays bills" })],
  model: openAiOr([
    Scripted.toolCall("accountant", { prompt: "Ada 5, Grace 50, Barbara 500, Mallory 5000" }),
    "All done, except for Mallory."
  ])
})

/** Stands for a person who looks at the list: small sums pass, large ones are cut, very large ones are refused. */
const decide = Effect.fn("decide")(function*(id: string, params: unknown) {
  const approvals = yield* Approvals.Approvals
  const { euros, to } = yield* Schema.decodeUnknownEffect(Schema.Struct({ to: Schema.String, euros: Schema.Finite }))(
    params
  )
  if (euros < 100) yield* approvals.approve(id)
  else if (euros < 1000) yield* approvals.approve(id, { params: { to, euros: 99 } })
  else yield* approvals.reject(id, "we don't know this person")
})

const program = Agent.run(assistant, "Pay Ada 5, Grace 50, Barbara 500 and Mallory 5000 euros.").pipe(
  Stream.runForEach((event) => {
    switch (event._tag) {
      case "ApprovalRequested":
        return Effect.andThen(
          say(`${event.agent} asks: ${event.name} ${JSON.stringify(event.params)}`),
          decide(event.approval, event.params)
        )
      case "ToolResult":
        return say(`${event.agent}: ${event.name} -> ${JSON.stringify(event.result)}`)
      case "Completed":
        return say(event.response.text)
      default:
        return Effect.void
    }
  })
)

NodeRuntime.runMain(Effect.provide(program, Approvals.layer({ expireAfter: "10 minutes" })))
