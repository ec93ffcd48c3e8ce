import { describe, expectTypeOf, it } from "@effect/vitest"
import { Context, Effect, Schema, type Scope, Stream } from "effect"
import { Rpc } from "effect/rpc"
import * as Actor from "../src/Actor.ts"
import type * as ActorSystem from "../src/ActorSystem.ts"
import * as Group from "../src/Group.ts"

class Overdrawn extends Schema.TaggedError<Overdrawn>()("Overdrawn", {}) {}
class Bank extends Context.Service<Bank, { readonly fee: number }>()("test/Bank") {}

const Account = Actor.make("Account", [
  Rpc.make("Deposit", { payload: { amount: Schema.Finite } }),
  Rpc.make("Withdraw", { payload: { amount: Schema.Finite }, success: Schema.Finite, error: Overdrawn }),
  Rpc.make("Close"),
  Rpc.make("History", { success: Schema.String, error: Overdrawn, stream: true })
])

const handlers = {
  Deposit: () => Effect.void,
  Withdraw: () => Effect.succeed(1),
  Close: () => Effect.void,
  History: () => Stream.empty
}

// Never called: only its types are looked at.
const ref: Actor.LocalRefOf<typeof Account> = Object.create(null)

describe("Actor types", () => {
  it("an ask has its handler's success and failures, a stream its items", () => {
    expectTypeOf(ref.ask<"Withdraw">).returns.toEqualTypeOf<Effect.Effect<number, Overdrawn | Actor.ActorError>>()
    expectTypeOf(ref.tell<"Withdraw">).returns.toEqualTypeOf<Effect.Effect<void, Actor.ActorError>>()
    expectTypeOf(ref.stream<"History">).returns.toEqualTypeOf<Stream.Stream<string, Overdrawn | Actor.ActorError>>()
  })

  it("wrong tags and payloads do not compile", () => {
    const wrong = () => [
      // @ts-expect-error no such message
      ref.tell("Depost", { amount: 1 }),
      // @ts-expect-error a payload is missing
      ref.tell("Deposit"),
      // @ts-expect-error a payload of another type
      ref.tell("Deposit", { amount: "1" }),
      // @ts-expect-error a payload that nobody wants
      ref.tell("Close", { amount: 1 }),
      // @ts-expect-error a stream is not asked for
      ref.ask("History"),
      // @ts-expect-error an answer is not streamed
      ref.stream("Withdraw", { amount: 1 })
    ]
    expectTypeOf(wrong).toBeFunction()
  })

  it("a behavior handles all messages and returns only what is declared", () => {
    const { Close: _, ...withoutClose } = handlers
    // @ts-expect-error a handler is missing
    Account.behavior(Effect.succeed(withoutClose))
    // @ts-expect-error an undeclared failure
    Account.behavior(Effect.succeed({ ...handlers, Deposit: () => Effect.fail("undeclared") }))
    // @ts-expect-error an undeclared success
    Account.behavior(Effect.succeed({ ...handlers, Withdraw: () => Effect.succeed("one") }))
    // @ts-expect-error an effect where a stream is declared
    Account.behavior(Effect.succeed({ ...handlers, History: () => Effect.succeed("one") }))
  })

  it("what setup and handlers need, and the setup's error, surface at spawn", () => {
    const behavior = Account.behavior(Effect.gen(function*() {
      yield* Effect.acquireRelease(Effect.void, () => Effect.void)
      if (Math.PI < 3) return yield* Effect.fail("setup" as const)
      yield* Actor.self(Account)
      return { ...handlers, Withdraw: () => Effect.map(Bank, ({ fee }) => fee) }
    }))
    expectTypeOf(Actor.spawn(behavior)).toEqualTypeOf<
      Effect.Effect<Actor.LocalRefOf<typeof Account>, "setup" | Actor.SpawnError, Bank | ActorSystem.ActorSystem>
    >()
    type Needs = Effect.Services<ReturnType<typeof Actor.spawn<"Account", never, never, Bank>>>
    expectTypeOf<Scope.Scope>().not.toExtend<Needs>()
  })

  it("another actor's self, and an actor's context outside of any, are requirements that nothing gives", () => {
    const Other = Actor.make("Other", [Rpc.make("X")])
    const behavior = Other.behavior(Effect.succeed({ X: () => Effect.asVoid(Actor.self(Account)) }))
    expectTypeOf(Actor.spawn(behavior)).toEqualTypeOf<
      Effect.Effect<
        Actor.LocalRefOf<typeof Other>,
        Actor.SpawnError,
        Actor.Self<"Account"> | ActorSystem.ActorSystem
      >
    >()
    expectTypeOf(Actor.stash).toEqualTypeOf<Effect.Effect<never, never, Actor.Self<never>>>()
    const foreignNotice = Other.behavior(Effect.succeed({ X: () => Actor.watch(ref, () => Account.message("Close")) }))
    expectTypeOf(foreignNotice).toEqualTypeOf<
      Actor.Behavior<"Other", Rpc.Rpc<"X">, never, Actor.Self<"Account">>
    >()
  })

  it("only what every placement has is in an ActorRef", () => {
    expectTypeOf<Actor.LocalRefOf<typeof Account>>().toExtend<Actor.RefOf<typeof Account>>()
    expectTypeOf<Actor.RefOf<typeof Account>>().not.toHaveProperty("path")
    for (const _ of ["stop", "drain", "kill", "pause", "resume", "restart"] as const) {
      expectTypeOf<Actor.RefOf<typeof Account>>().not.toHaveProperty(_)
      expectTypeOf<Actor.LocalRefOf<typeof Account>>().toHaveProperty(_).toEqualTypeOf<Effect.Effect<void>>()
    }
  })

  it("a group needs what its children need", () => {
    const needsBank = Account.behavior(Effect.as(Bank, handlers))
    const group = Group.make("oneForOne", [Group.child(needsBank, { name: "a" })])
    expectTypeOf(group).toEqualTypeOf<Actor.Behavior<"Group", never, Actor.SpawnError, Bank>>()
  })
})
