/**
 * A pipeline of typed stages whose slowest sets the pace.
 *
 * Shows: actors that hold references to the next one, bounded mailboxes that hold back who sends too fast (no buffer
 * grows, whatever the source offers), and draining the stages in order.
 * Run: `npm run build && node examples/pipeline.ts`
 */
import { NodeRuntime } from "@effect/platform-node"
import { Clock, Console, Effect, Schema } from "effect"
import { Actor, ActorSystem, Mailbox } from "effect-troupe"
import { Rpc } from "effect/rpc"

const LINES = 24

const Order = Schema.Struct({ id: Schema.Int, item: Schema.String, quantity: Schema.Int })
const Priced = Schema.Struct({ ...Order.fields, total: Schema.Finite })

const Parser = Actor.make("Parser", [Rpc.make("Line", { payload: { text: Schema.String } })])
const Pricer = Actor.make("Pricer", [Rpc.make("Order", { payload: Order })])
const Store = Actor.make("Store", [
  Rpc.make("Save", { payload: Priced }),
  Rpc.make("Saved", { success: Schema.Int })
])

// Each stage takes at most two messages that it can't handle yet; the next sender waits.
const stage = { mailbox: Mailbox.bounded(2, "block") }

const parser = (next: Actor.RefOf<typeof Pricer>) =>
  Parser.behavior(
    Effect.succeed({
      Line: ({ text }) => {
        const [id, item, quantity] = text.split(";")
        return Effect.orDie(next.tell("Order", { id: Number(id), item: item ?? "", quantity: Number(quantity) }))
      }
    }),
    stage
  )

const prices: Record<string, number> = { tea: 3, rice: 2, figs: 5 }

const pricer = (next: Actor.RefOf<typeof Store>) =>
  Pricer.behavior(
    Effect.succeed({
      Order: (order) => Effect.orDie(next.tell("Save", { ...order, total: order.quantity * (prices[order.item] ?? 0) }))
    }),
    stage
  )

// The slow one: 25 ms an order.
const store = Store.behavior(
  Effect.sync(() => {
    let saved = 0
    return {
      Save: ({ id, item, quantity, total }) =>
        Effect.andThen(
          Effect.sleep("25 millis"),
          Effect.suspend(() =>
            ++saved % 6 === 0 ? Console.log(`  saved ${id}: ${quantity} ${item} for ${total}`) : Effect.void
          )
        ),
      Saved: () => Effect.sync(() => saved)
    }
  }),
  stage
)

const program = Effect.gen(function*() {
  const stores = yield* Actor.spawn(store, { name: "store" })
  const pricers = yield* Actor.spawn(pricer(stores), { name: "pricer" })
  const parsers = yield* Actor.spawn(parser(pricers), { name: "parser" })

  let held = 0
  for (let id = 1; id <= LINES; id++) {
    const before = yield* Clock.currentTimeMillis
    yield* parsers.tell("Line", { text: `${id};${Object.keys(prices)[id % 3]};${id % 4 + 1}` })
    if ((yield* Clock.currentTimeMillis) - before >= 10) held++
  }
  yield* Console.log(`the source has sent all ${LINES} lines, and was held back at ${held} of them`)

  yield* parsers.drain
  yield* pricers.drain
  yield* Console.log(`saved ${yield* stores.ask("Saved")} orders`)
})

NodeRuntime.runMain(Effect.provide(program, ActorSystem.layer({ name: "pipeline" })))
