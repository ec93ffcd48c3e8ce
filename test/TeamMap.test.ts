import { assert, describe, expectTypeOf, it } from "@effect/vitest"
import { Context, Effect, Fiber, Result, Schema } from "effect"
import { type LanguageModel, Prompt } from "effect/ai"
import * as Actor from "../src/Actor.ts"
import * as ActorSystem from "../src/ActorSystem.ts"
import * as Agent from "../src/Agent.ts"
import { AgentError } from "../src/AgentError.ts"
import * as Scripted from "../src/Llm/Scripted.ts"
import * as Tap from "../src/Tap.ts"
import * as Team from "../src/Team.ts"
import * as Tool from "../src/Tool.ts"
import { pass } from "./fixtures/actors.ts"
import { collect, lines, only } from "./fixtures/agents.ts"
import { refused } from "./fixtures/badOptions.ts"
import { actor, makeHanging, play, questions, textBy } from "./fixtures/teams.ts"

const planner = actor("planner")
const worker = actor("worker")
const editor = actor("editor")

/** The planner's answer. */
const plan = (...items: ReadonlyArray<string>) => JSON.stringify({ items })

const words = (input: Agent.Input) => String(input).split(" ")

const reasonOf = (error: unknown) => {
  assert.instanceOf(error, AgentError)
  return error.reason
}

describe("Team.map", () => {
  it.effect("the worker runs once for each item of the plan; the answers are joined in the plan's order", () =>
    Effect.gen(function*() {
      const ref = yield* Actor.spawn(Team.map("report", planner, worker))
      const fiber = yield* Effect.forkChild(Agent.ask(ref, "Write"))
      yield* pass("1 minute")
      const response = yield* Fiber.join(fiber)
      assert.strictEqual(response.text, "slow!\n---\nquick!")
      assert.strictEqual(response.agent, "report")
      assert.sameMembers([...yield* questions], ["planner: Write", "worker: slow", "worker: quick"])
      assert.deepStrictEqual(lines(response.transcript), ["user: Write", "text: slow!\n---\nquick!"])
    }).pipe(play({
      planner: [plan("slow", "quick")],
      worker: (text) => text === "slow" ? [Scripted.delay("1 second"), Scripted.text("slow!")] : "quick!"
    })))

  it.effect("a function plans, with files and with services of its own", () =>
    Effect.gen(function*() {
      class Parts extends Context.Service<Parts, ReadonlyArray<string>>()("Parts") {}
      const team = Team.map(
        "report",
        (input) =>
          Effect.map(Parts, (parts) => parts.map((part) => [Prompt.textPart({ text: `${part} of ${input}` })])),
        worker
      )
      const ref = yield* Effect.provideService(Actor.spawn(team), Parts, ["1", "2"])
      assert.strictEqual((yield* Agent.ask(ref, "it")).text, "1 of it!\n---\n2 of it!")
    }).pipe(play({ worker: (text) => `${text}!` })))

  it.effect("a function joins, and knows the items", () =>
    Effect.gen(function*() {
      const team = Team.map("report", words, worker, {
        join: (replies) => replies.map(({ item, member, text }) => `${member} ${String(item)}=${text}`).join()
      })
      const ref = yield* Actor.spawn(team)
      assert.strictEqual((yield* Agent.ask(ref, "a b")).text, "worker a=a!,worker b=b!")
    }).pipe(play({ worker: (text) => `${text}!` })))

  it.effect("a member joins: its text is the team's while it streams, and it is asked for values", () =>
    Effect.gen(function*() {
      const ref = yield* Actor.spawn(Team.map("report", words, worker, { join: editor }))
      const events = yield* collect(Agent.stream(ref, "a b"))
      assert.strictEqual(textBy(events, "report"), "Done.")
      const [, , last] = yield* questions
      assert.strictEqual(
        last,
        "editor: a b\n\nThis was worked out in parts:\n\n1. a\n\na!\n\n2. b\n\nb!\n\nWrite the one answer from this."
      )
      assert.deepStrictEqual(yield* Agent.object(ref, "c", Schema.Struct({ n: Schema.Int })), { n: 1 })
    }).pipe(play({ worker: (text) => `${text}!`, editor: ["Done.", `{ "n": 1 }`] })))

  it.effect("an empty plan is an answer of no replies", () =>
    Effect.gen(function*() {
      const ref = yield* Actor.spawn(Team.map("report", planner, worker))
      assert.strictEqual((yield* Agent.ask(ref, "Write")).text, "")
    }).pipe(play({ planner: [plan()] })))

  it.effect("so many items are at work at once, each worker on one, and no more than that", () =>
    Effect.gen(function*() {
      const ref = yield* Actor.spawn(
        Team.map("report", words, Team.pipeline("pair", [worker, editor]), { concurrency: 2 })
      )
      const fiber = yield* Effect.forkChild(Agent.ask(ref, "a b c d"))
      const begun: Array<number> = []
      for (let i = 0; i < 4; i++) {
        yield* pass("1 second")
        begun.push((yield* questions).length)
      }
      assert.deepStrictEqual(begun, [4, 6, 8, 8])
      assert.strictEqual((yield* Fiber.join(fiber)).turns, 8)
    }).pipe(play({
      worker: () => [Scripted.delay("1 second"), Scripted.text("x")],
      editor: () => [Scripted.delay("1 second"), Scripted.text("y")]
    })))

  it.effect("an item is the whole prompt: its run remembers nothing, and leaves nothing", () =>
    Effect.gen(function*() {
      const ref = yield* Actor.spawn(Team.map("report", words, worker, { concurrency: 1 }), { name: "report" })
      yield* Agent.ask(ref, "a b")
      yield* Agent.ask(ref, "c")
      const requests = yield* Effect.flatten(Scripted.Requests)
      assert.deepStrictEqual(requests.map(({ prompt }) => prompt.content.length), [2, 2, 2])
      const child = yield* ActorSystem.lookup(Agent.protocol, "/user/report/worker")
      assert.deepStrictEqual(lines(yield* Agent.transcript(child)), [])
    }).pipe(play({ worker: () => "x" })))

  it.effect("a ref works as it is, and is sent as many items at once", () =>
    Effect.gen(function*() {
      const shared = yield* Agent.spawn(worker, { name: "shared" })
      const ref = yield* Actor.spawn(Team.map("report", words, shared, { concurrency: 3 }), { name: "report" })
      assert.strictEqual((yield* Agent.ask(ref, "a b c d")).text, "a!\n---\nb!\n---\nc!\n---\nd!")
      assert.deepStrictEqual((yield* ActorSystem.list).map(({ path }) => path), ["/user/shared", "/user/report"])
    }).pipe(play({ worker: (text) => `${text}!` })))

  it.effect("a plan is a bare list as well", () =>
    Effect.gen(function*() {
      const ref = yield* Actor.spawn(Team.map("report", planner, worker))
      assert.strictEqual((yield* Agent.ask(ref, "Write")).text, "a!\n---\nb!")
    }).pipe(play({ planner: [`["a", "b"]`], worker: (text) => `${text}!` })))

  it.effect("a plan that doesn't fit goes back once, and then fails the run", () =>
    Effect.gen(function*() {
      const ref = yield* Actor.spawn(Team.map("report", planner, worker))
      assert.strictEqual((yield* Agent.ask(ref, "Write")).text, "a!")
      assert.match((yield* questions)[1]!, /^planner: Write\n\nYour answer does not fit: /)
      assert.strictEqual(reasonOf(yield* Effect.flip(Agent.ask(ref, "Again")))._tag, "InvalidOutput")
    }).pipe(play({ planner: [`{ "items": 1 }`, plan("a"), "Hm.", "Well."], worker: (text) => `${text}!` })))

  it.effect("a plan of too many items fails the run before any of them is begun", () =>
    Effect.gen(function*() {
      const ref = yield* Actor.spawn(Team.map("report", planner, worker, { maxItems: 1 }))
      const reason = reasonOf(yield* Effect.flip(Agent.ask(ref, "Write")))
      assert(reason._tag === "TeamLimitExceeded")
      assert.strictEqual(reason.limit, "maxItems")
      assert.deepStrictEqual(yield* questions, ["planner: Write"])
    }).pipe(play({ planner: [plan("a", "b")] })))

  it.effect("the first failure interrupts the other items, and is the run's", () =>
    Effect.gen(function*() {
      const { agent, released } = yield* makeHanging("worker")
      const ref = yield* Actor.spawn(Team.map("report", words, agent))
      const asker = yield* Effect.forkChild(Effect.flip(Agent.ask(ref, "hang bad hang")))
      yield* pass("1 second")
      assert.include((yield* Fiber.join(asker)).message, "agent worker")
      assert.deepStrictEqual(released, ["worker", "worker"])
    }).pipe(play({
      worker: (text) => text === "hang" ? Scripted.toolCall("hang", {}) : [Scripted.delay("1 second"), Scripted.cut]
    })))

  it.effect("collects failures as replies, and fails when there is nothing else", () =>
    Effect.gen(function*() {
      const ref = yield* Actor.spawn(Team.map("report", words, worker, {
        onFailure: "collect",
        join: (replies) => replies.map(({ result }) => Result.isSuccess(result)).join()
      }))
      assert.strictEqual((yield* Agent.ask(ref, "a bad")).text, "true,false")
      assert.include((yield* Effect.flip(Agent.ask(ref, "bad bad"))).message, "agent worker")
    }).pipe(play({ worker: (text) => text === "bad" ? Scripted.cut : "x" })))

  it.effect("a worker that crashes fails its item, and works again for the next ones", () =>
    Effect.gen(function*() {
      const ref = yield* Actor.spawn(Team.map("report", words, worker, { onFailure: "collect", concurrency: 1 }))
      const fiber = yield* Effect.forkChild(Agent.ask(ref, "bad good"))
      yield* pass("1 minute")
      const { text } = yield* Fiber.join(fiber)
      assert.match(text, /boom[^]*\n---\nx$/)
    }).pipe(play({
      worker: (text) => {
        if (text === "bad") throw new Error("boom")
        return "x"
      }
    })))

  it.effect("interrupting the asker releases every item's tool", () =>
    Effect.gen(function*() {
      const { agent, released } = yield* makeHanging("worker")
      const ref = yield* Actor.spawn(Team.map("report", words, agent))
      const asker = yield* Effect.forkChild(Agent.ask(ref, "a b"))
      yield* pass(0)
      yield* Fiber.interrupt(asker)
      assert.deepStrictEqual(released, ["worker", "worker"])
    }).pipe(play({ worker: () => Scripted.toolCall("hang", {}) })))

  it.effect("usage and turns are those of all TurnFinished events in the stream, also of items that failed", () =>
    Effect.gen(function*() {
      const ask = Tool.fromAgent(actor("helper"), { description: "Helps" })
      const failing = Agent.make("worker", { instructions: "worker", tools: [ask] })
      const ref = yield* Actor.spawn(Team.map("report", planner, failing, { onFailure: "collect" }))
      const events = yield* collect(Agent.stream(ref, "Write"))
      const used = only(events, "TurnFinished").map(({ usage }) => usage.inputTokens.total ?? 0)
      assert.sameMembers(used, [1, 10, 100, 1000])
      const { response } = only(events, "Completed")[0]!
      assert.strictEqual(response.usage.inputTokens.total, 1111)
      assert.strictEqual(response.turns, 4)
    }).pipe(play({
      planner: [[Scripted.text(plan("a", "b")), Scripted.usage(1, 0)]],
      worker: [
        [Scripted.text("x"), Scripted.usage(10, 0)],
        [Scripted.toolCall("helper", { prompt: "Help!" }), Scripted.usage(100, 0)],
        Scripted.cut
      ],
      helper: [[Scripted.text("x"), Scripted.usage(1000, 0)]]
    })))

  it.effect("events place themselves in the team's run, and paths tell the item, whichever copy did it", () =>
    Effect.gen(function*() {
      const paths: Array<string> = []
      const tap: Tap.Tap = {
        model: (call, live) => {
          paths.push(call.path)
          return live
        },
        tool: (call, live) => live(call.emit)
      }
      const ref = yield* Effect.provideService(
        Actor.spawn(Team.map("report", planner, worker, { concurrency: 2 })),
        Tap.Tap,
        tap
      )
      const fiber = yield* Effect.forkChild(collect(Agent.stream(ref, "Write")))
      yield* pass("1 minute")
      const events = yield* Fiber.join(fiber)
      const [team, ...others] = only(events, "RunStarted")
      assert.strictEqual(new Set(others.map(({ run }) => run)).size, 4)
      assert.deepStrictEqual(others.map(({ parent }) => parent?.run), Array.from({ length: 4 }, () => team!.run))
      assert.deepStrictEqual(paths.toSorted(), [
        "report/planner/1",
        "report/worker/1",
        "report/worker~2/1",
        "report/worker~3/1"
      ])
    }).pipe(play({
      planner: [plan("1", "9", "1")],
      worker: (text) => [Scripted.delay(`${Number(text)} seconds`), Scripted.text("x")]
    })))

  it.effect("is a member of other teams, and has them as members", () =>
    Effect.gen(function*() {
      const inner = Team.map("inner", words, Team.loop("loop", worker, { until: () => true, maxRounds: 1 }))
      const ref = yield* Actor.spawn(Team.pipeline("outer", [inner, Team.map("last", planner, inner)]))
      const events = yield* collect(Agent.stream(ref, "a b"))
      assert.strictEqual(textBy(events, "outer"), "c!\n---\nd!")
      assert.strictEqual(only(events, "Completed").length, 1)
    }).pipe(play({ worker: (text) => `${text}!`, planner: [plan("c d")] })))

  it("is refused where it is made, and the field is named", () =>
    refused({
      "Team.map: name must be a text that is not empty, got \"\"": () => Team.map("", planner, worker),
      "Team.map: concurrency must be a positive integer, got 0": () =>
        Team.map("t", planner, worker, { concurrency: 0 }),
      "Team.map: maxItems must be a positive integer, got 0.5": () => Team.map("t", planner, worker, { maxItems: 0.5 })
    }))

  it("what its members and its planner require is in its type", () => {
    class Db extends Context.Service<Db, { readonly get: Effect.Effect<string> }>()("Db") {}
    class Parts extends Context.Service<Parts, ReadonlyArray<string>>()("Parts") {}
    class Style extends Context.Service<Style, { readonly get: Effect.Effect<string> }>()("Style") {}
    const reading = <I>(service: Context.Key<I, { readonly get: Effect.Effect<string> }>) =>
      Tool.fn("read", { description: "", success: Schema.String }, () => Effect.flatMap(service, ({ get }) => get))
    const team = Team.map("t", () => Effect.map(Parts, (parts) => parts), Agent.make("w", { tools: [reading(Db)] }), {
      join: Agent.make("e", { tools: [reading(Style)] })
    })
    const spawn = Actor.spawn(team)
    expectTypeOf<Effect.Services<typeof spawn>>().toEqualTypeOf<
      Db | Parts | Style | LanguageModel.LanguageModel | ActorSystem.ActorSystem
    >()
    const plain = Actor.spawn(Team.map("t", words, worker))
    expectTypeOf<Effect.Services<typeof plain>>().toEqualTypeOf<LanguageModel.LanguageModel | ActorSystem.ActorSystem>()
    expectTypeOf<Effect.Error<typeof plain>>().toEqualTypeOf<Actor.SpawnError>()
  })
})
