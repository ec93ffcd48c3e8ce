/**
 * A team that charges a customer's card passes every plain run, and charges twice when an answer gets lost.
 *
 * Shows: a simulation with faults, an invariant, the script that is left of a broken run, and the mended team.
 * Run: `npm run build && node examples/simulate-team.ts`
 */
import { Console, Effect, Exit, Schema } from "effect"
import { Actor, ActorSystem, Agent, Scripted, Team, Tool } from "effect-troupe"
import { Simulation } from "effect-troupe/testing"
import { Rpc } from "effect/rpc"

const Bank = Actor.make("Bank", [
  Rpc.make("Charge", { payload: { order: Schema.String, cents: Schema.Int } }),
  Rpc.make("Total", { success: Schema.Int })
])

/** With `receipts` the bank knows an order that it has charged. */
const bank = (receipts: boolean) =>
  Bank.behavior(Effect.sync(() => {
    const charged: Array<{ readonly order: string; readonly cents: number }> = []
    return {
      Charge: ({ cents, order }) =>
        Effect.sync(() => {
          if (!receipts || charged.every((other) => other.order !== order)) charged.push({ order, cents })
        }),
      Total: () => Effect.sync(() => charged.reduce((total, { cents }) => total + cents, 0))
    }
  }))

/** It does what most models do with a call that failed: it tries again. */
const model = Scripted.model(Scripted.matching([
  [/^user: A pot/, "Order 7: a pot of tea, 250 cents."],
  [/^user: Order 7:/, Scripted.toolCall("charge", { order: "7", cents: 250 })],
  [/^charge gave null/, "Order 7 is paid."],
  [/^charge failed/, Scripted.toolCall("charge", { order: "7", cents: 250 })],
  [/^user: .*paid/, "Thank you! Your tea is on its way."]
]))

/** Gives what the customer has paid in the end. */
const teaRoom = (receipts: boolean) =>
  Effect.gen(function*() {
    const account = yield* Actor.spawn(bank(receipts), { name: "bank" })
    const charge = Tool.fn("charge", {
      description: "Charges the customer's card",
      parameters: { order: Schema.String, cents: Schema.Int }
    }, (order) => account.ask("Charge", order))
    const team = yield* Actor.spawn(Team.pipeline("tea-room", [
      Agent.make("waiter", { instructions: "Write down the order." }),
      Agent.make("cashier", { instructions: "Charge the order.", tools: [charge] }),
      Agent.make("host", { instructions: "Say goodbye." })
    ]))
    yield* Agent.ask(team, "A pot of tea, please.")
    return yield* account.ask("Total")
  }).pipe(Effect.scoped, Effect.provide([model, ActorSystem.layer({ name: "tea-room" })]))

const options: Simulation.CheckOptions<number, unknown> = {
  seeds: 500,
  faults: { toolFails: 0.1, toolLost: 0.1, delay: 0.05 },
  invariant: (exit) =>
    Exit.isSuccess(exit) && exit.value > 250 ? `charged ${exit.value} cents for a tea of 250` : undefined
}

const program = Effect.gen(function*() {
  yield* Console.log(`A plain run charges ${yield* teaRoom(false)} cents.\n`)

  const error = yield* Effect.flip(Simulation.check(teaRoom(false), options))
  yield* Console.log(`${error.message}\n`)
  if (error._tag === "Broken") {
    const { exit } = yield* Simulation.run(teaRoom(false), error.script)
    yield* Console.log(`The script again: ${Exit.isSuccess(exit) ? `${exit.value} cents` : "it failed"}.`)
  }

  yield* Simulation.check(teaRoom(true), options)
  yield* Console.log("A bank that knows its orders passes 500 seeds.")
})

await Effect.runPromise(program)
