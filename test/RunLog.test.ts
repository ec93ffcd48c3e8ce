import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Exit, Fiber, Layer, Random, Ref, Schedule, Schema, Stream } from "effect"
import { AiError, EmbeddingModel, type LanguageModel } from "effect/ai"
import * as Actor from "../src/Actor.ts"
import * as ActorSystem from "../src/ActorSystem.ts"
import * as Agent from "../src/Agent.ts"
import * as Approvals from "../src/Approvals.ts"
import * as Scripted from "../src/Llm/Scripted.ts"
import * as Memory from "../src/Memory.ts"
import * as Recover from "../src/Recover.ts"
import * as RunLog from "../src/RunLog.ts"
import * as Team from "../src/Team.ts"
import * as Tool from "../src/Tool.ts"
import * as Transcript from "../src/Transcript.ts"
import { divergence, keys, recorded, watch } from "./fixtures/recorded.ts"
import { actor, cast } from "./fixtures/teams.ts"

const system = Effect.provide(ActorSystem.layer({ name: "test" }))

/** A tool whose answers differ each time, and how often it ran. */
const makeDice = () => {
  let rolled = 0
  const tool = Tool.fn(
    "roll",
    { description: "", success: Schema.String, effect: "pure" },
    () =>
      Effect.gen(function*() {
        rolled++
        yield* Tool.emit({ rolling: rolled })
        yield* Effect.sleep("30 millis")
        return `rolled ${rolled} at ${yield* Clock.currentTimeMillis}`
      })
  )
  return { tool, rolled: () => rolled }
}

const ask = (agent: ReturnType<typeof actor>) => Tool.fromAgent(agent, { description: "" })

describe("RunLog.replay", () => {
  it.effect("gives the same events at the same times, without a model or a tool", () =>
    Effect.gen(function*() {
      const { rolled, tool } = makeDice()
      const lead = Agent.make("lead", {
        instructions: "lead",
        tools: [tool, ask(actor("helper"))],
        recover: () => Recover.retry(Schedule.exponential("20 millis").pipe(Schedule.jittered)),
        prepareTurn: () =>
          Effect.all([Clock.currentTimeMillis, Random.nextInt]).pipe(
            Effect.map(([now, luck]) => ({ settings: { seed: luck, providerOptions: { test: { now } } } }))
          )
      })
      const team = Team.broadcast("team", [lead, actor("other")])
      const program = Effect.gen(function*() {
        const ref = yield* Actor.spawn(team)
        const events = yield* Stream.runCollect(Agent.stream(ref, "Go"))
        return JSON.stringify([events, yield* Random.next, yield* Clock.currentTimeMillis])
      }).pipe(Effect.scoped, system)
      const model = cast({
        lead: [
          [Scripted.fail(new AiError.RateLimitError({}))],
          [
            Scripted.text("Hm."),
            Scripted.delay("70 millis"),
            Scripted.toolCall("roll", {}),
            Scripted.toolCall("helper", { prompt: "Go" })
          ],
          [Scripted.reasoning("So."), Scripted.delay("10 millis"), Scripted.text("Done.")]
        ],
        helper: [[Scripted.delay("40 millis"), Scripted.text("helped")]],
        other: [[Scripted.delay("35 millis"), Scripted.text("a"), Scripted.delay("1 minute"), Scripted.text("b")]]
      })
      const { log, seen, value } = yield* recorded(program).pipe(Effect.provide(model))
      assert.strictEqual(rolled(), 1)
      for (let round = 0; round < 3; round++) {
        const replayed = yield* watch(RunLog.replay(program, log)).pipe(Effect.provide(Scripted.model([])))
        assert.deepStrictEqual(replayed.exit, Exit.succeed(value))
        assert.deepStrictEqual(replayed.seen, seen)
      }
      assert.strictEqual(rolled(), 1)
      const started = yield* Clock.currentTimeMillis
      yield* RunLog.replay(program, log).pipe(Effect.provide(Scripted.model([])))
      assert.strictEqual(yield* Clock.currentTimeMillis, started)
    }))
  it.effect("repeats what memories ask for", () =>
    Effect.gen(function*() {
      let asked = 0
      const embeddings = Layer.effect(
        EmbeddingModel.EmbeddingModel,
        EmbeddingModel.make({
          embedMany: ({ inputs }) =>
            Effect.sync(() => ({
              results: inputs.map(() => [++asked, 1]),
              usage: { inputTokens: undefined }
            }))
        })
      )
      const summary = Scripted.model(() => `A summary, number ${++asked}.`)
      const library = Agent.make("library", {
        memory: Memory.semantic({ k: 1, recent: 1 }).pipe(Layer.provide(embeddings))
      })
      const secretary = Agent.make("secretary", {
        memory: Memory.summarizing({ trigger: 20, keep: 5 }).pipe(Layer.provide(summary))
      })
      const long = Transcript.make([Transcript.user("Something that was said a long while ago. ".repeat(4))])
      const answer = (agent: typeof library) =>
        Effect.flatMap(Ref.make(long), (transcript) => Agent.response(Agent.run(agent, "Go", { transcript }))).pipe(
          Effect.map(({ text }) => text)
        )
      const program = Effect.all([answer(library), answer(secretary)])
      const model = Scripted.model(({ prompt }) => `Of ${JSON.stringify(prompt.content[0]?.content).slice(0, 60)}.`)
      const { log, value } = yield* recorded(program).pipe(Effect.provide(model))
      assert.deepStrictEqual(keys(log), [
        "embedding library/1/~embedding",
        "model library/1",
        "compaction secretary/1/~compaction",
        "model secretary/1"
      ])
      const before = asked
      assert.deepStrictEqual(yield* RunLog.replay(program, log).pipe(Effect.provide(Scripted.model([]))), value)
      assert.strictEqual(asked, before)
    }))

  it.effect("decides as it was decided outside, and shows the list as it was", () =>
    Effect.gen(function*() {
      let paid = 0
      const pay = Tool.fn(
        "pay",
        { description: "", parameters: { euros: Schema.Int }, success: Schema.String, needsApproval: true },
        ({ euros }) => Effect.sync(() => `paid ${euros}, ${++paid} times`)
      )
      const clerk = Agent.make("clerk", { tools: [pay] })
      const program = Effect.gen(function*() {
        const approvals = yield* Approvals.Approvals
        const listed = yield* approvals.changes.pipe(
          Stream.take(4),
          Stream.map((change) => `${change._tag} ${change.request.id}`),
          Stream.runCollect,
          Effect.forkChild
        )
        const { text } = yield* Agent.response(Agent.run(clerk, "Pay"))
        return [text, ...yield* Fiber.join(listed), (yield* approvals.list).length]
      })
      const turns = [
        [Scripted.toolCall("pay", { euros: 5 }), Scripted.toolCall("pay", { euros: 50 })],
        (request: Scripted.ModelRequest) => Scripted.lines(request).join("\n")
      ]
      const decider = Effect.gen(function*() {
        const approvals = yield* Approvals.Approvals
        const [first, second] = yield* approvals.changes.pipe(
          Stream.filter(({ _tag }) => _tag === "Requested"),
          Stream.take(2),
          Stream.runCollect
        )
        yield* approvals.reject(second!.request.id, "too much")
        yield* Effect.sleep("1 minute")
        yield* approvals.approve(first!.request.id, { params: { euros: 4 } })
      })
      const memory = RunLog.memory()
      const [exit] = yield* Effect.all([
        Effect.map(watch(RunLog.record(program, { to: memory })), ({ exit }) => exit),
        decider
      ], { concurrency: "unbounded" }).pipe(Effect.provide([Approvals.layer(), Scripted.model(turns)]))
      const value = yield* exit
      assert.include(String(value[0]), "paid 4, 1 times")
      const log = yield* memory.log
      // Nobody decides now.
      const replayed = yield* watch(RunLog.replay(program, log)).pipe(
        Effect.provide([Approvals.layer(), Scripted.model([])])
      )
      assert.deepStrictEqual(replayed.exit, Exit.succeed(value))
      assert.strictEqual(paid, 1)
    }))

  it.effect("interrupts what was interrupted from outside, where it was", () =>
    Effect.gen(function*() {
      const program = Agent.response(Agent.run(actor("a"), "Go")).pipe(
        Effect.onInterrupt(() => Effect.flatMap(Clock.currentTimeMillis, (at) => Effect.sync(() => stopped.push(at))))
      )
      const stopped: Array<number> = []
      const model = cast({ a: [[Scripted.text("One."), Scripted.delay("1 hour"), Scripted.text("Two.")]] })
      const memory = RunLog.memory()
      const interrupted = RunLog.record(program, { to: memory }).pipe(Effect.timeoutOption("1 minute"))
      const { seen } = yield* watch(interrupted).pipe(Effect.provide(model))
      const log = yield* memory.log
      assert.isTrue(log.complete)
      const replayed = yield* watch(RunLog.replay(program, log)).pipe(Effect.provide(Scripted.model([])))
      assert.isTrue(Exit.hasInterrupts(replayed.exit))
      assert.deepStrictEqual(replayed.seen, seen)
      assert.deepStrictEqual(stopped, [stopped[0], stopped[0]])
    }))

  it.effect("streams what was streamed", () =>
    Effect.gen(function*() {
      const { tool } = makeDice()
      const program = Agent.run(Agent.make("a", { tools: [tool] }), "Go").pipe(
        Stream.map((event) => JSON.stringify(event))
      )
      const turns = [Scripted.toolCall("roll", {}), [
        Scripted.text("One."),
        Scripted.delay("1 second"),
        Scripted.text("Two.")
      ]]
      const memory = RunLog.memory()
      const { exit } = yield* watch(Stream.runCollect(RunLog.record(program, { to: memory }))).pipe(
        Effect.provide(Scripted.model(turns))
      )
      const log = yield* memory.log
      const replayed = RunLog.replay(program, log).pipe(Stream.provide(Scripted.model([])))
      assert.deepStrictEqual(yield* Stream.runCollect(replayed), yield* exit)
      const first = yield* Stream.runCollect(Stream.take(replayed, 2))
      assert.strictEqual(first.length, 2)
    }))

  it.effect("fails as it failed, and dies as it died", () =>
    Effect.gen(function*() {
      const broken = Tool.fn("broken", { description: "", failureMode: "error" }, () => Effect.fail("out of paper"))
      const run = (agent: Agent.Agent<never, LanguageModel.LanguageModel>) =>
        Effect.exit(Agent.response(Agent.run(agent, "Go"))).pipe(Effect.map((exit) => JSON.stringify(exit)))
      const program = Effect.all([run(actor("cut")), run(Agent.make("b", { instructions: "b", tools: [broken] }))])
      const model = cast({ cut: [[Scripted.text("Well,"), Scripted.cut]], b: [Scripted.toolCall("broken", {})] })
      const { log, value } = yield* recorded(program).pipe(Effect.provide(model))
      assert.deepStrictEqual(yield* RunLog.replay(program, log).pipe(Effect.provide(Scripted.model([]))), value)
    }))

  it.effect("runs agents inside of handlers no more than other tools, and tools that are chosen by name for real", () =>
    Effect.gen(function*() {
      const { rolled, tool } = makeDice()
      const twice = Tool.fn(
        "twice",
        { description: "", success: Schema.String },
        () =>
          Effect.forEach([1, 2], () => Agent.response(Agent.run(actor("inner"), "Go"))).pipe(
            Effect.map((all) => all.map(({ text }) => text).join()),
            Effect.orDie
          )
      )
      const program = Agent.response(Agent.run(Agent.make("a", { instructions: "a", tools: [twice, tool] }), "Go"))
        .pipe(
          Effect.map(({ text }) => text)
        )
      const model = cast({
        a: [Scripted.toolCall("twice", {}), Scripted.toolCall("roll", {}), "Done."],
        inner: () => "x"
      })
      const { log, value } = yield* recorded(program).pipe(Effect.provide(model))
      assert.strictEqual(yield* RunLog.replay(program, log).pipe(Effect.provide(Scripted.model([]))), value)
      assert.strictEqual(rolled(), 1)
      const error = yield* divergence(RunLog.replay(program, log, { live: ["roll"] })).pipe(
        Effect.provide(Scripted.model([]))
      )
      assert.strictEqual(rolled(), 2)
      assert.deepInclude(error, { agent: "a", turn: 2 })
      assert.include(error.message, "rolling\":2")
    }))

  it.effect("takes steps that something outside leads to in their order, such as a promise", () =>
    Effect.gen(function*() {
      const program = Effect.gen(function*() {
        const order: Array<string> = []
        const wait = (name: string) =>
          Effect.promise(async () => {
            await Promise.resolve()
            return name
          }).pipe(Effect.andThen((name) => Effect.sync(() => order.push(name))))
        yield* Effect.all([wait("a"), wait("b"), Agent.response(Agent.run(actor("m"), "Go"))], {
          concurrency: "unbounded"
        })
        return order
      })
      const { log, value } = yield* recorded(program).pipe(Effect.provide(cast({ m: ["x"] })))
      assert.deepStrictEqual(yield* RunLog.replay(program, log).pipe(Effect.provide(Scripted.model([]))), value)
    }))
})
