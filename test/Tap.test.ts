import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Layer, Random, Ref, Schedule, Schema, Stream } from "effect"
import { AiError, EmbeddingModel } from "effect/ai"
import { TestClock } from "effect/testing"
import * as Actor from "../src/Actor.ts"
import * as ActorSystem from "../src/ActorSystem.ts"
import * as Agent from "../src/Agent.ts"
import type { AgentEvent } from "../src/AgentEvent.ts"
import * as Approvals from "../src/Approvals.ts"
import * as Scripted from "../src/Llm/Scripted.ts"
import * as Memory from "../src/Memory.ts"
import * as Recover from "../src/Recover.ts"
import { type Part, Tap } from "../src/Tap.ts"
import * as Team from "../src/Team.ts"
import * as Tool from "../src/Tool.ts"
import * as Transcript from "../src/Transcript.ts"
import { collect, only, results } from "./fixtures/agents.ts"
import { actor, cast } from "./fixtures/teams.ts"

/** A tap that lets everything through, and the calls that it saw. */
const makeWatching = () => {
  const seen: Array<string> = []
  const note = (kind: string, { path }: { readonly path: string }) => seen.push(`${kind} ${path}`)
  const tap: Tap = {
    model: (call, live) => {
      note("model", call)
      return live
    },
    tool: (call, live) => {
      note(call.runs === "handler" ? call.effect : call.runs, call)
      return live(call.emit)
    },
    embedding: (call, live) => {
      note("embedding", call)
      return live
    },
    compaction: (call, live) => {
      note("compaction", call)
      return live
    }
  }
  return { seen, tap }
}

const ask = <R>(agent: Agent.Agent<never, R>) => Tool.fromAgent(agent, { description: "" })

const prompted = (name: string) => Scripted.toolCall(name, { prompt: "Go" }, name)

const look = Tool.fn("look", { description: "", success: Schema.String, effect: "pure" }, () => Effect.succeed("seen"))

const overloaded = new AiError.InternalProviderError({ description: "overloaded" })

const embeddings = Layer.effect(
  EmbeddingModel.EmbeddingModel,
  EmbeddingModel.make({
    embedMany: ({ inputs }) =>
      Effect.succeed({ results: inputs.map(({ length }) => [length, 1]), usage: { inputTokens: undefined } })
  })
)

describe("Tap", () => {
  it.effect("sees each request and each tool call with the way to it, through teams, tools and actors", () => {
    const { seen, tap } = makeWatching()
    return Effect.gen(function*() {
      const archive = yield* Agent.spawn(actor("archive"))
      const helper = Agent.make("help/er", { instructions: "helper", tools: [look] })
      const lead = Agent.make("lead", {
        instructions: "lead",
        tools: [
          Tool.fromAgent(helper, { name: "helper", description: "" }),
          Tool.fromAgent(archive, { name: "archive", description: "" }),
          Tool.fn(
            "twice",
            { description: "" },
            () => Effect.forEach([1, 2], () => Agent.response(Agent.run(actor("a"), "Go"))).pipe(Effect.orDie)
          )
        ]
      })
      const office = Team.hierarchy("office", lead, { worker: actor("worker") }, { delegation: "tools" })
      const debate = Team.debate("debate", { debaters: [actor("x"), actor("x")], arbiter: office, rounds: 2 })
      const ref = yield* Actor.spawn(debate)
      yield* Agent.ask(ref, "Go")
      assert.sameMembers(seen, [
        "model debate/x/1",
        "model debate/x-2/1",
        "model debate/x~2/1",
        "model debate/x-2~2/1",
        "model debate/office/lead/1",
        "agent debate/office/lead/1/helper",
        "model debate/office/lead/1/helper/help%2Fer/1",
        "pure debate/office/lead/1/helper/help%2Fer/1/call_1",
        "model debate/office/lead/1/helper/help%2Fer/2",
        "model debate/office/lead/2",
        "agent debate/office/lead/2/worker",
        "actor debate/office/lead/2/archive",
        "once debate/office/lead/2/twice",
        "model debate/office/lead/2/worker/worker/1",
        "model debate/office/lead/2/archive/archive/1",
        "model debate/office/lead/2/twice/a/1",
        "model debate/office/lead/2/twice/a~2/1",
        "model debate/office/lead/3"
      ])
    }).pipe(
      Effect.provide([
        cast({
          x: () => "x",
          a: () => "a",
          worker: ["worked"],
          archive: ["found"],
          helper: [Scripted.toolCall("look", {}, "call_1"), "helped"],
          lead: [
            prompted("helper"),
            [prompted("worker"), prompted("archive"), Scripted.toolCall("twice", {}, "twice")],
            "done"
          ]
        }),
        ActorSystem.layer({ name: "test" })
      ]),
      Effect.provideService(Tap, tap)
    )
  })

  it.effect("sees what a memory asks for, what a recovery makes shorter, and each try", () => {
    const { seen, tap } = makeWatching()
    return Effect.gen(function*() {
      const summarizing = Agent.make("summarizing", {
        memory: Memory.summarizing({ trigger: 20, keep: 5 }).pipe(Layer.provide(Scripted.model(() => "A summary."))),
        model: Scripted.model(() => "An answer that is rather long, for somebody who wants to be done with it.")
      })
      const transcript = Transcript.make([Transcript.user("Something that has been said a long while ago. ".repeat(4))])
      yield* collect(Agent.run(summarizing, "Go", { transcript: yield* Ref.make(transcript) }))
      assert.deepStrictEqual(seen.splice(0), ["compaction summarizing/1/~compaction", "model summarizing/1"])

      const semantic = Memory.semantic({ k: 1, recent: 1 }).pipe(Layer.provide(embeddings))
      const library = yield* Layer.build(Layer.fresh(semantic))
      const searched = Effect.flatMap(Memory.Memory, (memory) => memory.search("long")).pipe(Effect.provide(library))
      const recalling = Agent.make("recalling", {
        memory: semantic,
        tools: [Tool.fn("recall", { description: "" }, () => Effect.orDie(Effect.asVoid(searched)))],
        model: Scripted.model([Scripted.toolCall("recall", {}, "r"), "Done."])
      })
      yield* collect(Agent.run(recalling, "Go", { transcript: yield* Ref.make(transcript) }))
      assert.deepStrictEqual(seen.splice(0), [
        "embedding recalling/1/~embedding",
        "model recalling/1",
        "once recalling/1/r",
        "embedding recalling/1/r/~embedding",
        "model recalling/2"
      ])

      const recovering = Agent.make("recovering", {
        recover: (reason) =>
          reason._tag === "ModelFailed" && reason.error.reason._tag === "InternalProviderError"
            ? Recover.retry(Schedule.recurs(1))
            : Recover.compact(({ entries }) => Effect.succeed(Transcript.make(entries.slice(-1)))),
        model: Scripted.model([
          Scripted.fail(overloaded),
          Scripted.fail(new AiError.InvalidRequestError({ description: "too long" })),
          "Done."
        ])
      })
      yield* collect(Agent.run(recovering, "Go", { transcript: yield* Ref.make(transcript) }))
      assert.deepStrictEqual(seen.splice(0), [
        "model recovering/1",
        "model recovering/1~2",
        "compaction recovering/1~2/~compaction",
        "model recovering/1~3"
      ])
    }).pipe(Effect.scoped, Effect.provideService(Tap, tap))
  })

  it.effect("what it answers is the answer: a recorded run is repeated without model and tool", () =>
    Effect.gen(function*() {
      const parts = new Map<string, Array<Part>>()
      const outcomes = new Map<string, { readonly outcome: Tool.Outcome; readonly events: Array<AgentEvent> }>()
      const recording: Tap = {
        model: ({ path }, live) => {
          const said: Array<Part> = []
          parts.set(path, said)
          return Stream.tap(live, (part) => Effect.sync(() => said.push(part)))
        },
        tool: ({ emit, path, runs }, live) => {
          if (runs !== "handler") return live(emit)
          const events: Array<AgentEvent> = []
          const noting = (more: ReadonlyArray<AgentEvent>) => {
            events.push(...more)
            return emit(more)
          }
          return Effect.tap(live(noting), (outcome) => Effect.sync(() => outcomes.set(path, { outcome, events })))
        }
      }
      const repeating: Tap = {
        model: ({ path }) => Stream.fromIterable(parts.get(path)!),
        tool: (call, live) => {
          if (call.runs !== "handler") return live(call.emit)
          const { events, outcome } = outcomes.get(call.path)!
          return Effect.as(call.emit(events), outcome)
        }
      }
      let worked = 0
      const team = (outside: boolean) => {
        const work = Tool.fn(
          "work",
          { description: "", success: Schema.Int },
          () => outside ? Effect.andThen(Tool.emit("half"), Effect.sync(() => ++worked)) : Effect.die("no tool is run")
        )
        const model = outside
          ? cast({ a: [Scripted.toolCall("work", {}), "done"], lead: [prompted("a"), "answer"] })
          : Scripted.model([])
        const lead = Agent.make("lead", {
          instructions: "lead",
          tools: [ask(Agent.make("a", { instructions: "a", tools: [work] }))]
        })
        return Effect.flatMap(Actor.spawn(Team.pipeline("team", [lead])), (ref) => collect(Agent.stream(ref, "Go")))
          .pipe(
            Effect.provide([model, ActorSystem.layer({ name: "test" })]),
            Random.withSeed("seed")
          )
      }
      const recorded = yield* Effect.provideService(team(true), Tap, recording)
      const repeated = yield* Effect.provideService(team(false), Tap, repeating)
      const withoutModel = (events: ReadonlyArray<AgentEvent>) =>
        events.map((event) => event._tag === "TurnFinished" ? { ...event, model: "" } : event)
      assert.deepStrictEqual(withoutModel(repeated), withoutModel(recorded))
      assert.deepStrictEqual(only(repeated, "ToolProgress").map(({ data }) => data), ["half"])
      assert.strictEqual(worked, 1)
    }))

  it.effect("sees a call that needs approval when it has it, with the arguments that it has then", () => {
    const calls: Array<unknown> = []
    const tap: Tap = {
      tool: (call, live) => {
        calls.push(call.params)
        return live(call.emit)
      }
    }
    return Effect.gen(function*() {
      const pay = Tool.fn(
        "pay",
        { description: "", parameters: { n: Schema.Int }, success: Schema.Int, needsApproval: true },
        ({ n }) => Effect.succeed(n)
      )
      const agent = Agent.make("a", { tools: [pay] })
      const fiber = yield* Effect.forkChild(collect(Agent.run(agent, "Go")))
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(calls, [])
      const approvals = yield* Approvals.Approvals
      const [first, second] = yield* approvals.list
      yield* approvals.approve(first!.id, { params: { n: 7 } })
      yield* approvals.reject(second!.id)
      assert.include(results(yield* Fiber.join(fiber)), 7)
      assert.deepStrictEqual(calls, [{ n: 7 }])
    }).pipe(
      Effect.provide([
        Approvals.layer(),
        Scripted.model([[1, 2].map((n) => Scripted.toolCall("pay", { n })), "Done."])
      ]),
      Effect.provideService(Tap, tap)
    )
  })

  it.effect("that dies ends the run: it is no failed call of a tool", () =>
    Effect.gen(function*() {
      const agent = Agent.make("a", { tools: [look], model: Scripted.model([Scripted.toolCall("look", {})]) })
      const exit = yield* Effect.exit(
        collect(Agent.run(agent, "Go")).pipe(
          Effect.provideService(Tap, { tool: () => Effect.die("diverged") })
        )
      )
      assert(Exit.isFailure(exit))
      assert.strictEqual(Cause.squash(exit.cause), "diverged")
    }))

  it.effect("sees the request as the model gets it", () =>
    Effect.gen(function*() {
      const requests: Array<unknown> = []
      const tap: Tap = {
        model: ({ agent, model, prompt, run, settings, toolChoice, tools, turn }, live) => {
          requests.push({
            agent,
            model,
            turn,
            prompt: prompt.content.map(({ role }) => role),
            tools: tools.map(({ name }) => name),
            toolChoice,
            settings
          })
          assert.isNotEmpty(run)
          return live
        }
      }
      const agent = Agent.make("a", {
        instructions: "Be brief.",
        tools: [look],
        settings: { temperature: 0 },
        model: Scripted.model(["Yes."])
      })
      yield* Effect.provideService(collect(Agent.run(agent, "Go")), Tap, tap)
      assert.deepStrictEqual(requests, [{
        agent: "a",
        model: "scripted",
        turn: 1,
        prompt: ["system", "user"],
        tools: ["look"],
        toolChoice: "auto",
        settings: { temperature: 0 }
      }])
    }))
})
