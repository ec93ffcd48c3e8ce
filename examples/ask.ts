/**
 * Everything that can become of a question, in its type.
 *
 * Shows: a success, a typed failure (the actor lives on), a defect (it restarts), a timeout (its handler is
 * interrupted), a stream, and a question to an actor that has stopped.
 * Run: `npm run build && node examples/ask.ts`
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Schema, Stream } from "effect"
import { Actor, ActorSystem } from "effect-troupe"
import { Rpc } from "effect/rpc"

class InsufficientFunds extends Schema.TaggedError<InsufficientFunds>()("InsufficientFunds", {
  balance: Schema.Finite
}) {}

const Account = Actor.make("Account", [
  Rpc.make("Deposit", { payload: { amount: Schema.Finite } }),
  Rpc.make("Withdraw", { payload: { amount: Schema.Finite }, success: Schema.Finite, error: InsufficientFunds }),
  Rpc.make("Audit", { success: Schema.String }),
  Rpc.make("History", { success: Schema.String, stream: true })
])

const account = Account.behavior(Effect.sync(() => {
  let balance = 0
  const history: Array<string> = []
  return {
    Deposit: ({ amount }) =>
      Effect.sync(() => {
        balance += amount
        history.push(`+${amount}`)
      }),
    Withdraw: ({ amount }) =>
      Effect.suspend(() => {
        if (amount < 0) return Effect.die(new Error("withdrew less than nothing"))
        if (balance < amount) return Effect.fail(new InsufficientFunds({ balance }))
        balance -= amount
        history.push(`-${amount}`)
        return Effect.succeed(balance)
      }),
    Audit: () =>
      Effect.onInterrupt(
        Effect.as(Effect.sleep("1 hour"), "all is well"),
        () => Console.log("  (the audit was called off)")
      ),
    History: () => Stream.fromIterable(history)
  }
}))

const program = Effect.gen(function*() {
  const alice = yield* Actor.spawn(account, { name: "alice" })
  yield* alice.tell("Deposit", { amount: 10 })

  // InsufficientFunds | ActorError: both are in the type, and handling them takes them out of it.
  const withdraw = (amount: number) =>
    alice.ask("Withdraw", { amount }).pipe(
      Effect.map((balance) => `${balance} left`),
      Effect.catchTags({
        InsufficientFunds: ({ balance }) => Effect.succeed(`refused, there is only ${balance}`),
        ActorError: ({ message }) => Effect.succeed(message)
      }),
      Effect.flatMap((outcome) => Console.log(`withdraw ${amount}: ${outcome}`))
    )

  yield* withdraw(3)
  yield* withdraw(30)
  yield* Console.log(`history: ${(yield* Stream.runCollect(alice.stream("History"))).join(" ")}`)

  const audit = alice.ask("Audit").pipe(
    Effect.timeout("100 millis"),
    Effect.catchTag("TimeoutError", () => Effect.succeed("took too long"))
  )
  yield* Console.log(`audit: ${yield* audit}`)

  yield* withdraw(-1)
  yield* withdraw(1) // a fresh life: the balance is gone with the one that crashed

  yield* alice.stop
  yield* withdraw(1)
})

NodeRuntime.runMain(Effect.provide(program, ActorSystem.layer({ name: "ask" })))
