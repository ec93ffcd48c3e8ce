import { assert, describe, it } from "@effect/vitest"
import { Cause, Data, Effect, Exit, Schema, type Tracer } from "effect"
import { AiError } from "effect/ai"
import * as Actor from "../src/Actor.ts"
import * as ActorSystem from "../src/ActorSystem.ts"
import * as Agent from "../src/Agent.ts"
import * as Scripted from "../src/Llm/Scripted.ts"
import * as Telemetry from "../src/Llm/Telemetry.ts"
import * as Team from "../src/Team.ts"
import * as Tool from "../src/Tool.ts"
import * as Spans from "./fixtures/spans.ts"

class Closed extends Data.TaggedError("Closed")<{ readonly message: string }> {}

const shop = Tool.fn("shop", {
  description: "Opens a shop",
  parameters: { how: Schema.Literals(["well", "typed", "defect", "slow"]) },
  success: Schema.String,
  timeout: "1 millis"
}, ({ how }) => {
  switch (how) {
    case "well":
      return Effect.succeed("open")
    case "typed":
      return Effect.fail(new Closed({ message: "closed on Sundays" }))
    case "defect":
      return Effect.die(new TypeError("no such door"))
    case "slow":
      return Effect.never
  }
})

const named = (spans: ReadonlyArray<Tracer.NativeSpan>, name: string) => spans.filter((span) => span.name === name)

/** The failure with which a span ended. */
const failureOf = (span: Tracer.NativeSpan | undefined) =>
  span?.status._tag === "Ended" && Exit.isFailure(span.status.exit) ? Cause.pretty(span.status.exit.cause) : undefined

const greeter = Agent.make("greeter", { description: "Greets", instructions: "Be kind." })

const spansOf = (span: string) => <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.map(Spans.collect(effect), ({ spans }) => named(spans, span))

describe("AgentSpans", () => {
  it.live("a tool call is a span, and an error with its type where the call failed, though the run goes on", () =>
    Effect.gen(function*() {
      const calls = ["well", "typed", "defect", "slow", "badly"].map((how) => Scripted.toolCall("shop", { how }))
      const agent = Agent.make("assistant", { tools: [shop] })
      const { exit, spans } = yield* Spans.collect(
        Effect.provide(Agent.response(Agent.run(agent, "Open!")), Scripted.model([calls, "Done."]))
      )
      assert.isTrue(Exit.isSuccess(exit))
      const told = named(spans, "execute_tool shop")
      assert.deepStrictEqual(told.map((span) => Spans.attributes(span)["error.type"]), [
        undefined,
        "Closed",
        "TypeError",
        "TimeoutError",
        "InvalidArguments"
      ])
      assert.deepStrictEqual(told.map((span) => failureOf(span) !== undefined), [false, true, true, true, true])
      assert.include(failureOf(told[1]), "closed on Sundays")
      const { "gen_ai.tool.call.id": id, "gen_ai.conversation.id": conversation, ...rest } = Spans.attributes(told[0])
      assert.isString(id)
      assert.isString(conversation)
      assert.deepStrictEqual(rest, {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "shop",
        "gen_ai.tool.type": "function",
        "gen_ai.tool.description": "Opens a shop",
        "gen_ai.agent.name": "assistant"
      })
    }))

  it.effect("a tool that fails the run leaves its type on its span and on the agent's", () =>
    Effect.gen(function*() {
      const strict = Tool.fn("strict", { description: "Fails", failureMode: "error" }, () =>
        Effect.fail(new Closed({ message: "closed" })))
      const agent = Agent.make("assistant", { tools: [strict] })
      const { exit, spans } = yield* Spans.collect(
        Effect.provide(
          Agent.response(Agent.run(agent, "Open!")),
          Scripted.model([Scripted.toolCall("strict", {})])
        )
      )
      assert.isTrue(Exit.isFailure(exit))
      for (const name of ["execute_tool strict", "invoke_agent assistant"]) {
        const [span] = named(spans, name)
        assert.strictEqual(Spans.attributes(span)["error.type"], "ToolFailed")
        assert.isDefined(failureOf(span))
      }
    }))

  it.effect("a run is a span with the agent's name and id, and its calls and tools belong to one conversation", () =>
    Effect.gen(function*() {
      const agent = Agent.make("assistant", { description: "Helps", tools: [shop] })
      const model = Scripted.model([Scripted.toolCall("shop", { how: "well" }), "Done.", "Hello."])
      const { spans } = yield* Spans.collect(
        Effect.all([
          Agent.response(Agent.run(agent, "Open!")),
          Agent.response(Agent.run(agent, "Hello!"))
        ]).pipe(Effect.provide(model))
      )
      const [first, second] = named(spans, "invoke_agent assistant").map(Spans.attributes)
      const { "gen_ai.conversation.id": conversation, ...rest } = first!
      assert.deepStrictEqual(rest, {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.id": "assistant",
        "gen_ai.agent.name": "assistant",
        "gen_ai.agent.description": "Helps"
      })
      assert.notStrictEqual(second!["gen_ai.conversation.id"], conversation)
      const inside = spans.filter(({ name }) => /^(chat|execute_tool)/.test(name)).map(Spans.attributes)
      assert.deepStrictEqual(inside.map((span) => span["gen_ai.conversation.id"]), [
        conversation,
        conversation,
        conversation,
        second!["gen_ai.conversation.id"]
      ])
    }))

  it.effect("an agent's actor has its path for an id, and one conversation until it is reset", () =>
    Effect.gen(function*() {
      const told = yield* Effect.gen(function*() {
        const ref = yield* Agent.spawn(greeter, { name: "alice" })
        yield* Agent.ask(ref, "Hi")
        yield* Agent.ask(ref, "Hi again")
        yield* ref.ask("Reset")
        yield* Agent.ask(ref, "Hi")
      }).pipe(
        Effect.provide(Scripted.model(["a", "b", "c"])),
        Effect.provide(ActorSystem.layer({ name: "spans" })),
        spansOf("invoke_agent greeter")
      )
      const ids = told.map((span) => Spans.attributes(span))
      assert.deepStrictEqual(ids.map((span) => span["gen_ai.agent.id"]), Array.from({ length: 3 }, () => "/user/alice"))
      const [first, second, third] = ids.map((span) => span["gen_ai.conversation.id"])
      assert.strictEqual(first, second)
      assert.notStrictEqual(second, third)
    }))

  it.effect("a team is a span, too, with the spans of its members inside", () =>
    Effect.gen(function*() {
      const told = yield* Spans.collect(
        Effect.gen(function*() {
          const ref = yield* Actor.spawn(Team.pipeline("crew", [greeter]), { name: "crew" })
          yield* Agent.ask(ref, "Hi")
        }).pipe(Effect.provide(Scripted.model(["a"])), Effect.provide(ActorSystem.layer({ name: "spans" })))
      )
      const [team] = named(told.spans, "invoke_agent crew").map(Spans.attributes)
      assert.deepInclude(team, {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.id": "/user/crew",
        "troupe.team": "pipeline"
      })
      const [member] = named(told.spans, "invoke_agent greeter").map(Spans.attributes)
      assert.strictEqual(member!["gen_ai.agent.id"], "/user/crew/greeter")
    }))

  it.effect("a conversation that is named around a run is the run's", () =>
    Effect.gen(function*() {
      const [run] = yield* Agent.response(Agent.run(greeter, "Hi")).pipe(
        Effect.provideService(Telemetry.ConversationId, "support-42"),
        Effect.provide(Scripted.model(["Hello."])),
        spansOf("invoke_agent greeter")
      )
      assert.strictEqual(Spans.attributes(run)["gen_ai.conversation.id"], "support-42")
    }))

  it.effect("a run whose model fails has the reason for its error's type", () =>
    Effect.gen(function*() {
      const down = Scripted.fail(new AiError.InternalProviderError({ description: "overloaded" }))
      const [run] = yield* Agent.response(Agent.run(greeter, "Hi")).pipe(
        Effect.provide(Scripted.model([down])),
        spansOf("invoke_agent greeter")
      )
      assert.strictEqual(Spans.attributes(run)["error.type"], "ModelFailed")
    }))

  it.effect("arguments and results of tools are in their spans on request only", () =>
    Effect.gen(function*() {
      const agent = Agent.make("assistant", { tools: [shop] })
      for (const recorded of [false, true]) {
        const [call] = yield* Agent.response(Agent.run(agent, "Open!")).pipe(
          Effect.provide(Scripted.model([Scripted.toolCall("shop", { how: "well" }), "Done."])),
          Effect.provideService(Telemetry.RecordContent, recorded),
          spansOf("execute_tool shop")
        )
        const told = Spans.attributes(call)
        assert.strictEqual(told["gen_ai.tool.call.arguments"], recorded ? `{"how":"well"}` : undefined)
        assert.strictEqual(told["gen_ai.tool.call.result"], recorded ? `"open"` : undefined)
      }
    }))
})
