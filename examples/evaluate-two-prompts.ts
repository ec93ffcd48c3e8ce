/**
 * Two prompts for the same work: is the second one better, or was it lucky?
 *
 * Shows: cases, trials and scorers (a predicate, the tools that are called, a judge, limits), the table of a report, and
 * comparisons: of one prompt with itself, where different luck is no progress, and of two prompts.
 * Run: `npm run build && node examples/evaluate-two-prompts.ts`
 */
import { Effect, Schema } from "effect"
import { Agent, Scripted, Tool } from "effect-troupe"
import { Evals } from "effect-troupe/testing"
import { openAiOr, questionOf } from "./lib/models.ts"
import { say } from "./lib/print.ts"

const Ticket = Schema.Struct({ team: Schema.Literals(["billing", "shipping", "account"]), reply: Schema.String })

const cases = [
  { name: "charged twice", input: "Order 17 was charged twice.", expected: "billing", order: true },
  { name: "late parcel", input: "Where is order 21? It should be here.", expected: "shipping", order: true },
  { name: "password", input: "I can't sign in any more.", expected: "account", order: false },
  { name: "broken cup", input: "The cup of order 3 came in two pieces.", expected: "shipping", order: true },
  { name: "invoice", input: "I need an invoice with our tax number.", expected: "billing", order: false },
  { name: "new address", input: "I moved. Please change my address.", expected: "account", order: false },
  { name: "refund", input: "My refund for order 9 has not come.", expected: "billing", order: true },
  { name: "wrong size", input: "Order 30 is the wrong size.", expected: "shipping", order: true }
]

const findOrder = Tool.fn("find_order", {
  description: "The state of an order",
  parameters: { order: Schema.Int },
  success: Schema.String,
  effect: "pure"
}, ({ order }) => Effect.succeed(`order ${order}: paid, sent yesterday`))

const evaluate = (version: string, instructions: string) =>
  Evals.run("tickets", {
    version,
    cases,
    task: Evals.ask(Agent.make("triage", { instructions, tools: [findOrder] }), { output: Ticket }),
    scorers: {
      team: ({ expected, output }) => output.team === expected,
      tools: Evals.trajectory(({ case: { order } }) => order ? ["find_order"] : []),
      kind: Evals.judge({ rubric: "The reply thanks the customer or says sorry.", model: judge }),
      cheap: Evals.within({ maxTokens: 2000, maxDuration: "30 seconds" })
    },
    trials: 5,
    timeout: "1 minute"
  })

const plain = "Sort tickets by team."
const careful = "Sort tickets by team. Billing is about money, shipping about parcels, account about people."

const program = Effect.gen(function*() {
  const first = yield* evaluate("plain", plain)
  yield* Evals.print(first)
  yield* say("\n--- The same prompt once more:\n")
  yield* Evals.print(Evals.compare(first, yield* evaluate("plain again", plain)))
  yield* say("\n--- Another prompt:\n")
  yield* Evals.print(Evals.compare(first, yield* evaluate("careful", careful)))
})

// The scripted model is right more often where it was told what the teams are for. Its luck is another one each time.
const times = new Map<string, number>()

const script = (request: Scripted.ModelRequest) => {
  const question = questionOf(request)
  const index = cases.findIndex(({ input }) => input === question)
  const { expected, order } = cases[index]!
  const isFirst = request.prompt.content.at(-1)?.role === "user"
  if (order && isFirst) return Scripted.toolCall("find_order", { order: Number(/\d+/.exec(question)![0]) })
  const isCareful = Scripted.lines(request)[0]!.includes("Billing")
  const count = (times.get(`${isCareful} ${index}`) ?? 0) + 1
  times.set(`${isCareful} ${index}`, count)
  const isRight = (index * 7 + count * 5) % 11 < (isCareful ? 10 : 5)
  return JSON.stringify({ team: isRight ? expected : "account", reply: "Thank you, we look into it." })
}

const judge = openAiOr(() => JSON.stringify({ criterion_1: { reasons: "It says thank you.", met: "yes" } }))

await Effect.runPromise(Effect.provide(program, openAiOr(script)))
