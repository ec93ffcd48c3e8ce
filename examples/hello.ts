/**
 * The smallest actor: a protocol, a behavior, and a reference to talk to it.
 *
 * Shows: state that belongs to one actor, `tell` that does not wait, `ask` that waits for a typed answer.
 * Run: `npm run build && node examples/hello.ts`
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Schema } from "effect"
import { Actor, ActorSystem } from "effect-troupe"
import { Rpc } from "effect/rpc"

const Greeter = Actor.make("Greeter", [
  Rpc.make("Meet", { payload: { name: Schema.String } }),
  Rpc.make("Greeting", { success: Schema.String })
])

// The setup runs once a life; what it makes is the actor's state, which nobody else can touch.
const greeter = Greeter.behavior(Effect.sync(() => {
  const names: Array<string> = []
  return {
    Meet: ({ name }) =>
      Effect.sync(() => {
        names.push(name)
      }),
    Greeting: () => Effect.sync(() => `Hello ${names.join(", ")}!`)
  }
}))

const program = Effect.gen(function*() {
  const ref = yield* Actor.spawn(greeter, { name: "greeter" })
  for (const name of ["Ada", "Grace", "Joan"]) yield* ref.tell("Meet", { name })
  // Messages are handled one at a time, in order: all three are known by now.
  yield* Console.log(yield* ref.ask("Greeting"))
})

NodeRuntime.runMain(Effect.provide(program, ActorSystem.layer({ name: "hello" })))
