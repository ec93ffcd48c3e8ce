/**
 * An answer that is a value, not a text.
 *
 * Shows: `Agent.run` with a schema as `output`, after the agent's own tools; the parts of the value while it comes in; and
 * how an answer that does not fit goes back to the model once with the problem. (Where only the value counts, `Agent.object`
 * gives it.)
 * Run: `npm run build && node examples/structured-output.ts`
 */
import { NodeRuntime } from "@effect/platform-node"
import { Effect, Schema, Stream } from "effect"
import { Agent, Scripted, Tool } from "effect-troupe"
import { openAiOr } from "./lib/models.ts"
import { say } from "./lib/print.ts"

const Invoice = Schema.Struct({
  customer: Schema.String,
  lines: Schema.NonEmptyArray(Schema.Struct({
    item: Schema.String,
    quantity: Schema.Int.check(Schema.isGreaterThan(0)),
    cents: Schema.Int
  }))
})

const price = Tool.fn("get_price", {
  description: "The price of an item in cents",
  parameters: { item: Schema.String },
  success: Schema.Int,
  effect: "pure"
}, ({ item }) => Effect.succeed(item.length * 100))

const clerk = Agent.make("clerk", {
  instructions: "Write invoices. Look up every price.",
  tools: [price]
})

const model = openAiOr([
  [Scripted.toolCall("get_price", { item: "apple" }), Scripted.toolCall("get_price", { item: "pear" })],
  // A quantity in words does not fit the schema ...
  Scripted.toolCall("final_answer", { customer: "Ada", lines: [{ item: "apple", quantity: "three", cents: 500 }] }),
  // ... so the model is told, and gives the whole answer again.
  JSON.stringify(
    { customer: "Ada", lines: [{ item: "apple", quantity: 3, cents: 500 }, { item: "pear", quantity: 1, cents: 400 }] },
    null,
    1
  )
])

const program = Effect.gen(function*() {
  const { output: invoice } = yield* Agent.run(clerk, "Ada bought three apples and a pear.", { output: Invoice }).pipe(
    Stream.tap((event) => event._tag === "OutputPartial" ? say(JSON.stringify(event.output)) : Effect.void),
    Agent.response
  )
  for (const { cents, item, quantity } of invoice.lines) {
    yield* say(`${quantity} x ${item} at ${cents} = ${quantity * cents}`)
  }
  const total = invoice.lines.reduce((sum, { cents, quantity }) => sum + quantity * cents, 0)
  yield* say(`${invoice.customer} owes ${total} cents`)
})

NodeRuntime.runMain(Effect.provide(program, model))
