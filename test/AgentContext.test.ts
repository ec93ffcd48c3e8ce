import { assert, describe, expectTypeOf, it } from "@effect/vitest"
import { Context, Effect, Fiber, Layer, Schema, Stream } from "effect"
import type { LanguageModel } from "effect/ai"
import { TestRunner } from "effect/cluster"
import type * as Actor from "../src/Actor.ts"
import * as ActorSystem from "../src/ActorSystem.ts"
import * as Agent from "../src/Agent.ts"
import * as Approvals from "../src/Approvals.ts"
import * as Cluster from "../src/Cluster.ts"
import * as Scripted from "../src/Llm/Scripted.ts"
import * as Team from "../src/Team.ts"
import * as Tool from "../src/Tool.ts"
import { run as inSystem } from "./fixtures/actors.ts"
import { results } from "./fixtures/agents.ts"

const User = Schema.Struct({ id: Schema.String, since: Schema.DateFromString })

class CurrentUser extends Context.Service<CurrentUser, typeof User.Type>()("app/CurrentUser") {}

const user = { service: CurrentUser, schema: User }

const ada = { id: "ada", since: "1815-12-10" }

const bob = { id: "bob", since: "2001-01-01" }

const whoami = Tool.fn(
  "whoami",
  { description: "", success: Schema.String },
  () => CurrentUser.useSync(({ id, since }) => `${id} since ${since.getUTCFullYear()}`)
)

/** Answers with the result of the tool that it calls first. */
const echo = (tool: string, params: object = {}): Parameters<typeof Scripted.model>[0] => ({ prompt }) => {
  const last = prompt.content.at(-1)!
  if (last.role !== "tool") return Scripted.toolCall(tool, params)
  const [part] = last.content
  return part?.type === "tool-result" ? String(part.result) : "?"
}

const clerk = Agent.make("clerk", { tools: [whoami], model: Scripted.model(echo("whoami")) })

const support = Agent.withContext(clerk, user)

const textOf = Effect.map(({ text }: { readonly text: string }) => text)

describe("The context of a request", () => {
  it.effect("reaches the tools of an agent's actor, each request's own", () =>
    Effect.gen(function*() {
      const ref = yield* Agent.spawn(support, { name: "support" })
      const asks = [ada, bob, ada].map((context) => textOf(Agent.ask(ref, "Who am I?", { context })))
      assert.deepStrictEqual(yield* Effect.all(asks, { concurrency: "unbounded" }), [
        "ada since 1815",
        "bob since 2001",
        "ada since 1815"
      ])
      const events = yield* Stream.runCollect(Agent.stream(ref, "Who am I?", { context: bob }))
      assert.deepStrictEqual(results(events), ["bob since 2001"])
    }).pipe(inSystem))

  it.effect("is in the requests for approval, so that a list of many tenants' calls can be told apart", () =>
    Effect.gen(function*() {
      const pay = Tool.fn(
        "pay",
        { description: "", success: Schema.String, needsApproval: true },
        () => Effect.succeed("paid")
      )
      const payer = Agent.make("payer", { tools: [pay], model: Scripted.model(echo("pay")) })
      const ref = yield* Agent.spawn(Agent.withContext(payer, user))
      const approvals = yield* Approvals.Approvals
      const asks = yield* Effect.forkChild(
        Effect.all([ada, bob].map((context) => Agent.ask(ref, "Pay.", { context })))
      )
      const asked = approvals.changes.pipe(
        Stream.filter(({ _tag }) => _tag === "Requested"),
        Stream.mapEffect(({ request }) => Effect.as(Effect.orDie(approvals.approve(request.id)), request.context)),
        Stream.take(2),
        Stream.runCollect
      )
      assert.deepStrictEqual(yield* asked, [ada, bob])
      yield* Fiber.join(asks)
    }).pipe(Effect.provide(Approvals.layer()), inSystem))

  it.effect("reaches whatever else runs in the run", () =>
    Effect.gen(function*() {
      const agent = Agent.make("assistant", {
        prepareTurn: () => Effect.map(CurrentUser, ({ id }) => ({ model: Scripted.model([`Hello, ${id}.`]) })),
        model: Scripted.model(["Never said."])
      })
      const ref = yield* Agent.spawn(Agent.withContext(agent, user))
      assert.strictEqual((yield* Agent.ask(ref, "Hi", { context: ada })).text, "Hello, ada.")
    }).pipe(inSystem))

  it.effect("reaches members of teams, and agents and actors behind tools, at any depth", () =>
    Effect.gen(function*() {
      const behindRef = yield* Agent.spawn(support, { name: "behind" })
      const asking = (name: string, tool: Tool.Tool<string, CurrentUser>) =>
        Agent.make(name, { tools: [tool], model: Scripted.model(echo(tool.name, { prompt: "Who?", message: "Who?" })) })
      const members = [
        clerk,
        Team.loop("inner", clerk, { until: () => true, maxRounds: 1 }),
        asking("lead", Tool.fromAgent(clerk, { description: "" })),
        asking("caller", Tool.fromAgent(behindRef, { name: "behind", description: "" })),
        asking("handing", Tool.handoff(behindRef, { name: "behind", description: "" })),
        behindRef
      ] as const
      const team = Agent.withContext(Team.broadcast("team", members, { join: (all) => all.map(textIn).join() }), user)
      const ref = yield* Agent.spawn(team, { name: "team" })
      for (const context of [ada, bob]) {
        const { text } = yield* Agent.ask(ref, "Who am I?", { context })
        assert.deepStrictEqual(
          text.split(","),
          members.map(() => context === ada ? "ada since 1815" : "bob since 2001")
        )
      }
    }).pipe(inSystem))

  it.effect("an actor that a tool starts has the one of the request that the tool runs for", () =>
    Effect.gen(function*() {
      const start = Tool.fn("start", { description: "", success: Schema.String }, () =>
        Effect.gen(function*() {
          const ref = yield* Agent.spawn(clerk)
          return yield* textOf(Agent.ask(ref, "Who am I?"))
        }))
      const lead = Agent.make("lead", { tools: [start], model: Scripted.model(echo("start")) })
      const ref = yield* Agent.spawn(Agent.withContext(lead, user))
      assert.strictEqual((yield* Agent.ask(ref, "Who am I?", { context: bob })).text, "bob since 2001")
    }).pipe(inSystem))

  it.effect("a request without one, or with one that doesn't fit, fails before the model is asked", () =>
    Effect.gen(function*() {
      const model = Effect.flatten(Scripted.Requests)
      const agent = Agent.make("clerk", { tools: [whoami] })
      const actors = [agent, Team.pipeline("team", [agent])] as const
      for (const actor of actors) {
        const ref = yield* Agent.spawn(
          Agent.isAgent(actor) ? Agent.withContext(actor, user) : Agent.withContext(actor, user)
        )
        const missing = yield* Effect.flip(ref.ask("Prompt", { input: "Hi" }))
        const wrong = yield* Effect.flip(ref.ask("Prompt", { input: "Hi", context: { id: "ada" } }))
        assert(missing._tag === "AgentError" && missing.reason._tag === "InvalidContext")
        assert.include(missing.message, "the request's context (app/CurrentUser) does not fit: the request has none")
        assert(wrong._tag === "AgentError" && wrong.reason._tag === "InvalidContext")
        assert.include(wrong.message, `["since"]`)
      }
      assert.deepStrictEqual(yield* model, [])
    }).pipe(inSystem, Effect.provide(Scripted.model(["Never said."]))))

  it.live("crosses to actors in a cluster", () =>
    Effect.gen(function*() {
      const ref: Agent.AgentRef<typeof User.Encoded> = yield* Cluster.ref(Agent.protocol, "ada")
      assert.strictEqual((yield* Agent.ask(ref, "Who am I?", { context: ada })).text, "ada since 1815")
    }).pipe(Effect.provide(
      Cluster.deploy(support).pipe(
        Layer.provideMerge(TestRunner.layer),
        Layer.provide(ActorSystem.layer({ name: "node" }))
      )
    )))

  it.effect("comes with the request for a value, too, and with its second try", () =>
    Effect.gen(function*() {
      const reader = Agent.make("reader", {
        prepareTurn: () => Effect.map(CurrentUser, ({ id }) => ({ instructions: id })),
        model: Scripted.model([
          "No.",
          ({ prompt }) => prompt.content[0]!.content === "ada" ? `{"ok":true}` : "No."
        ])
      })
      const ref = yield* Agent.spawn(Agent.withContext(reader, user))
      const value = yield* Agent.object(ref, "Ok?", Schema.Struct({ ok: Schema.Boolean }), { context: ada })
      assert.deepStrictEqual(value, { ok: true })
    }).pipe(inSystem))

  it("is typed from the tool to the request", () => {
    expectTypeOf(support).toEqualTypeOf<Agent.AgentBehavior<never, never, typeof User.Encoded>>()
    const mixed = Agent.withContext(Team.pipeline("team", [Agent.make("a", { tools: [whoami] })]), user)
    expectTypeOf(mixed).toEqualTypeOf<
      Agent.AgentBehavior<
        Actor.SpawnError,
        ActorSystem.ActorSystem | LanguageModel.LanguageModel,
        typeof User.Encoded
      >
    >()
    const check = (ref: Agent.AgentRef<typeof User.Encoded>, plain: Agent.AgentRef) => {
      expectTypeOf(Agent.ask(ref, "Hi", { context: ada })).toEqualTypeOf<
        ReturnType<typeof plain.ask<"Prompt">>
      >()
      // @ts-expect-error a request must bring its user
      Agent.ask(ref, "Hi")
      // @ts-expect-error with all fields
      Agent.ask(ref, "Hi", { context: { id: "ada" } })
      // @ts-expect-error and no others
      Agent.stream(ref, "Hi", { context: { ...ada, name: "Ada" } as const, model: 1 })
      // @ts-expect-error a reference whose requests bring something is none whose requests bring nothing
      const wrong: Agent.AgentRef = ref
      const right: Agent.AgentRef<typeof User.Encoded> = plain
      return [wrong, right, Agent.transcript(ref), Tool.fromAgent(ref, { name: "a", description: "" })]
    }
    expectTypeOf(check).toBeFunction()
    // @ts-expect-error a date is no JSON
    Agent.withContext(clerk, { service: CurrentUser, schema: Schema.Struct({ id: Schema.String, since: Schema.Date }) })
  })
})

const textIn = ({ text }: Team.Reply) => text
