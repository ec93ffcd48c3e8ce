import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Logger, Stream } from "effect"
import * as Actor from "../src/Actor.ts"
import * as ActorSystem from "../src/ActorSystem.ts"
import * as Agent from "../src/Agent.ts"
import type { AgentEvent } from "../src/AgentEvent.ts"
import * as Guardrail from "../src/Guardrail.ts"
import * as Scripted from "../src/Llm/Scripted.ts"
import { Observer, type RunObservation } from "../src/Observer.ts"
import * as Team from "../src/Team.ts"
import * as Tool from "../src/Tool.ts"
import { collect, only } from "./fixtures/agents.ts"
import { actor, cast, makeHanging } from "./fixtures/teams.ts"

/** An observer of runs, and what it was told. */
const makeObserver = () => {
  const seen: Array<RunObservation> = []
  const observer: Observer = {
    observe: (observation) => {
      if (observation._tag === "Run") seen.push(observation)
    }
  }
  return { seen, observer }
}

const eventsOf = (seen: ReadonlyArray<RunObservation>) => seen.flatMap(({ events }) => events)

const outcomes = (seen: ReadonlyArray<RunObservation>) =>
  seen.flatMap(({ agent, outcome }) => outcome === undefined ? [] : [`${agent} ${outcome}`])

/** Somebody who speaks for a team that speaks for a team, with a worker, a guarded agent and one that hands over. */
const everything = Effect.gen(function*() {
  const billing = yield* Agent.spawn(actor("billing"), { name: "billing" })
  const lead = Agent.make("lead", {
    instructions: "lead",
    tools: [
      Tool.fromAgent(actor("helper"), { description: "" }),
      Tool.handoff(billing, { name: "to_billing", description: "" })
    ]
  })
  const guarded = Agent.make("guarded", {
    instructions: "guarded",
    guardrails: [Guardrail.output("shout", (text) => Effect.succeed(Guardrail.replace(text.toUpperCase())))]
  })
  const team = Team.pipeline("outer", [guarded, Team.hierarchy("inner", lead, { worker: actor("worker") })])
  return yield* Actor.spawn(team, { name: "team" })
})

const model = cast({
  guarded: ["draft"],
  worker: ["worked"],
  lead: [Scripted.toolCall("helper", { prompt: "Go" }), Scripted.toolCall("to_billing", { message: "Go" })],
  helper: ["helped"],
  billing: ["paid"]
})

describe("An observer of runs", () => {
  it.effect("is told of each event in a stream once, by the run that it is of, with its parent and actor", () => {
    const { observer, seen } = makeObserver()
    return Effect.gen(function*() {
      const events = yield* collect(Agent.stream(yield* everything, "Go"))
      const told = eventsOf(seen)
      assert.strictEqual(new Set(told).size, told.length)
      const unheard = events.filter((event) => !told.includes(event))
      assert.deepStrictEqual(unheard, [])
      // What a stream leaves out of runs inside of it is their Completed.
      const completed = (event: { readonly _tag: string }) => event._tag === "Completed"
      assert.strictEqual(told.filter((event) => !completed(event)).length, events.length - 1)
      assert.strictEqual(told.filter(completed).length, only(events, "RunStarted").length)
      for (const { agent, events, parent, run } of seen) {
        for (const event of events) {
          assert.deepInclude(event, { run, agent, ...(parent !== undefined && { parent }) })
        }
      }
      const actors = new Map(seen.map(({ actor, agent }) => [agent, actor]))
      assert.deepStrictEqual(Object.fromEntries(actors), {
        outer: "/user/team",
        guarded: "/user/team/guarded",
        inner: "/user/team/inner",
        worker: "/user/team/inner/worker",
        lead: "/user/team/inner/lead",
        helper: "/user/team/inner/lead",
        billing: "/user/billing"
      })
      assert.sameMembers(outcomes(seen), [...actors.keys()].map((agent) => `${agent} Success`))
    }).pipe(Effect.provide([
      model,
      // The system's observer is that of the runs in its actors.
      Layer.provide(ActorSystem.layer({ name: "test" }), Layer.succeed(Observer, observer))
    ]))
  })

  it.effect("hears that a run failed, or was interrupted, which no event says", () => {
    const { observer, seen } = makeObserver()
    return Effect.gen(function*() {
      const failing = Agent.make("failing", { model: Scripted.model([Scripted.cut]) })
      yield* Effect.flip(collect(Agent.run(failing, "Go")))
      const { agent, began } = yield* makeHanging("hanging")
      const asker = yield* Effect.forkChild(collect(Agent.run(agent, "Go")))
      yield* Deferred.await(began)
      yield* Fiber.interrupt(asker)
      assert.deepStrictEqual(outcomes(seen), ["failing Failure", "hanging Interrupted"])
      assert.deepStrictEqual(eventsOf(seen).map(({ _tag, agent }) => `${agent} ${_tag}`), [
        "failing RunStarted",
        "hanging RunStarted",
        "hanging ToolCall"
      ])
    }).pipe(
      Effect.provide(cast({ hanging: [Scripted.toolCall("hang", {})] })),
      Effect.provideService(Observer, observer)
    )
  })

  it.effect("that throws ends nothing", () => {
    const logged: Array<unknown> = []
    const observe = () => {
      throw new Error("broken")
    }
    return Effect.gen(function*() {
      const events = yield* Stream.runCollect(Agent.run(Agent.make("a"), "Go"))
      assert.strictEqual((events.at(-1) as AgentEvent)._tag, "Completed")
      assert.isAbove(logged.length, 0)
    }).pipe(
      Effect.provide([
        Scripted.model(["Yes."]),
        Logger.layer([Logger.make(({ message }) => logged.push(message))])
      ]),
      Effect.provideService(Observer, { observe })
    )
  })
})
