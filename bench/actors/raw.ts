/**
 * The baseline `raw`: the smallest Effect program that does the same, one fiber that takes one message at a time from a
 * bounded queue and runs an effect for it. Of the ways to write it, this loop and this question were the fastest.
 */
import { Deferred, Effect, Queue } from "effect"
import { effectSides } from "./counters.ts"

type Message =
  | { readonly _tag: "Add"; readonly n: number }
  | { readonly _tag: "Total"; readonly reply: Deferred.Deferred<number> }

type Counter = Queue.Queue<Message>

const setup = Effect.sync(() => {
  let total = 0
  return (message: Message): Effect.Effect<unknown> =>
    message._tag === "Add"
      ? Effect.sync(() => {
        total += message.n
      })
      : Deferred.succeed(message.reply, total)
})

const start = Effect.gen(function*() {
  const queue: Counter = yield* Queue.bounded<Message>(1024)
  const handle = yield* setup
  yield* Effect.forkScoped(Effect.gen(function*() {
    while (true) yield* handle(yield* Queue.take(queue))
  }))
  return queue
})

const add = (counter: Counter): Effect.Effect<boolean> => Queue.offer(counter, { _tag: "Add", n: 1 })

const total = (counter: Counter): Effect.Effect<number> =>
  Effect.flatMap(
    Deferred.make<number>(),
    (reply) => Effect.andThen(Queue.offer(counter, { _tag: "Total", reply }), Deferred.await(reply))
  )

export const raw = effectSides({ start, add, total, run: (effect) => Effect.runPromise(Effect.scoped(effect)) })
