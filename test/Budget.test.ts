import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Scope, Stream } from "effect"
import { LanguageModel, Model, Prompt, Response } from "effect/ai"
import { TestClock } from "effect/testing"
import * as fc from "fast-check"
import * as Agent from "../src/Agent.ts"
import * as Budget from "../src/Budget.ts"
import * as Prices from "../src/Llm/Prices.ts"
import * as Scripted from "../src/Llm/Scripted.ts"
import * as Tool from "../src/Tool.ts"
import { collect, lines, weather } from "./fixtures/agents.ts"
import { refused } from "./fixtures/badOptions.ts"

const lagos = Scripted.toolCall("get_weather", { city: "Lagos" })

describe("Budget", () => {
  it("whatever the interleaving, what is used and reserved never passes the limit", () => {
    const call = fc.record({ reserve: fc.nat(40), share: fc.double({ min: 0, max: 1, noNaN: true }) })
    fc.assert(fc.property(
      fc.array(call, { minLength: 1, maxLength: 20 }),
      // Whose turn it is: a call reserves when it comes first, and settles when it comes next.
      fc.array(fc.nat(), { maxLength: 60 }),
      fc.nat(100),
      (calls, order, max) => {
        const budget = Effect.runSync(Budget.make({ maxTokens: max }))
        const open = new Map<number, Budget.Reservation>()
        let inFlight = 0
        for (const turn of order) {
          const index = turn % calls.length
          const { reserve, share } = calls[index]!
          const reservation = open.get(index)
          if (reservation === undefined) {
            const result = Effect.runSync(Effect.result(budget.reserve({ tokens: reserve })))
            const fits = inFlight + Effect.runSync(budget.used).tokens + reserve <= max || reserve === 0
            assert.strictEqual(result._tag, fits ? "Success" : "Failure")
            if (result._tag === "Failure") continue
            open.set(index, result.success)
            inFlight += reserve
          } else {
            Effect.runSync(reservation.settle({ tokens: Math.floor(reserve * share) }))
            open.delete(index)
            inFlight -= reserve
          }
          assert.isAtMost(inFlight + Effect.runSync(budget.used).tokens, max)
        }
      }
    ))
  })

  it.effect("a refusal says which limit, how much is taken, and the limit", () =>
    Effect.gen(function*() {
      const budget = yield* Budget.make({ maxTokens: 100, maxToolCalls: 1, maxCost: 1, price: () => 0 })
      const first = yield* budget.reserve({ tokens: 60, toolCalls: 1 })
      assert.deepInclude(yield* Effect.flip(budget.reserve({ tokens: 50 })), { limit: "maxTokens", used: 60, max: 100 })
      assert.deepInclude(yield* Effect.flip(budget.reserve({ toolCalls: 1 })), {
        limit: "maxToolCalls",
        used: 1,
        max: 1
      })
      assert.deepInclude(yield* Effect.flip(budget.reserve({ cost: 2 })), { limit: "maxCost", used: 0, max: 1 })
      yield* first.settle({ tokens: 10 })
      yield* first.settle({ tokens: 10 })
      assert.deepStrictEqual(yield* budget.used, { tokens: 10, cost: 0, toolCalls: 0 })
      yield* budget.reserve({ tokens: 90 })
    }))

  it.effect("a grant is set aside in its parent, can't be passed, and gives back what it didn't use", () =>
    Effect.gen(function*() {
      const parent = yield* Budget.make({ maxTokens: 100, maxToolCalls: 5 })
      yield* Effect.scoped(Effect.gen(function*() {
        const child = yield* Budget.grant(parent, { maxTokens: 60 })
        assert.strictEqual((yield* Effect.flip(parent.reserve({ tokens: 50 }))).used, 60)
        assert.strictEqual((yield* Effect.flip(child.reserve({ tokens: 61 }))).max, 60)
        yield* (yield* child.reserve({ tokens: 30, toolCalls: 1 })).settle({ tokens: 20, toolCalls: 1 })
        assert.strictEqual((yield* parent.used).toolCalls, 1)
        assert.strictEqual(
          (yield* Effect.flip(Effect.scoped(Budget.grant(parent, { maxTokens: 41 })))).limit,
          "maxTokens"
        )
      }))
      assert.deepStrictEqual(yield* parent.used, { tokens: 20, cost: 0, toolCalls: 1 })
      yield* parent.reserve({ tokens: 80 })
    }))

  it.effect("what the parent refuses a grant takes nothing of the grant", () =>
    Effect.gen(function*() {
      const parent = yield* Budget.make({ maxTokens: 100, maxToolCalls: 1 })
      const child = yield* Budget.grant(parent, { maxTokens: 60 })
      const refused = yield* Effect.flip(child.reserve({ tokens: 40, toolCalls: 2 }))
      assert.strictEqual(refused.limit, "maxToolCalls")
      yield* child.reserve({ tokens: 60, toolCalls: 1 })
    }))

  it.effect("a grant pays for the budget that it came out of, wherever both are given", () =>
    Effect.gen(function*() {
      const parent = yield* Budget.make({ maxTokens: 10_000, expectedOutputTokens: 100 })
      yield* Effect.scoped(Effect.gen(function*() {
        const budget = yield* Budget.grant(parent, { maxTokens: 3_000 })
        const inner = Agent.make("inner", { budget })
        const outer = Agent.make("outer", { budget: parent, tools: [Tool.fromAgent(inner, { description: "" })] })
        yield* Agent.response(Agent.run(outer, "Go."))
        assert.strictEqual((yield* budget.used).tokens, 1_000)
        assert.strictEqual((yield* parent.used).tokens, 200)
        // Around a grant, its parent adds nothing either.
        yield* Agent.response(Agent.run(outer, "Go.")).pipe(Effect.provideService(Budget.Current, [budget]))
        assert.strictEqual((yield* budget.used).tokens, 2_200)
      }))
      assert.strictEqual((yield* parent.used).tokens, 2_400)
    }).pipe(Effect.provide(Scripted.model([
      [Scripted.toolCall("inner", { prompt: "Go." }), Scripted.usage(50, 50)],
      [Scripted.text("x"), Scripted.usage(500, 500)],
      [Scripted.text("y"), Scripted.usage(50, 50)],
      [Scripted.toolCall("inner", { prompt: "Go." }), Scripted.usage(50, 50)],
      [Scripted.text("x"), Scripted.usage(500, 500)],
      [Scripted.text("y"), Scripted.usage(50, 50)]
    ]))))

  it.effect("what a grant spends after its scope is its parent's to pay, and what was under way is paid once", () =>
    Effect.gen(function*() {
      const parent = yield* Budget.make({ maxTokens: 100 })
      const scope = yield* Scope.make()
      const child = yield* Scope.provide(Budget.grant(parent, { maxTokens: 60 }), scope)
      const underWay = yield* child.reserve({ tokens: 10 })
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual((yield* parent.used).tokens, 10)
      yield* underWay.settle({ tokens: 5 })
      yield* (yield* child.reserve({ tokens: 40 })).settle({ tokens: 40 })
      assert.strictEqual((yield* parent.used).tokens, 50)
      assert.strictEqual((yield* Effect.flip(child.reserve({ tokens: 51 }))).max, 60)
    }))

  it.effect("a bad grant is refused where it is made, and takes nothing from its parent", () =>
    Effect.gen(function*() {
      const parent = yield* Budget.make({ maxTokens: 100 })
      refused({
        "Budget.grant: maxTokens must be a number of at least 0, got -50": () =>
          Budget.grant(parent, { maxTokens: -50 })
      })
      assert.strictEqual((yield* Effect.flip(parent.reserve({ tokens: 101 }))).used, 0)
    }))

  it("a bad limit is refused where the budget is made, and the field is named", () =>
    refused({
      "Budget.make: maxTokens must be a number of at least 0, got -1": () => Budget.make({ maxTokens: -1 }),
      "Budget.make: maxCost must be a number of at least 0, got NaN": () => Budget.make({ maxCost: Number.NaN }),
      "Budget.make: maxToolCalls must be a number of at least 0, got -1": () => Budget.make({ maxToolCalls: -1 }),
      "Budget.make: expectedOutputTokens must be a number of at least 0, got -1": () =>
        Budget.make({ expectedOutputTokens: -1 }),
      "Budget.make: maxDuration must be a duration that is not negative, got -1ms": () =>
        Budget.make({ maxDuration: -1 })
    }))

  it.effect("a run ends in BudgetExceeded before the call that it can't pay", () =>
    Effect.gen(function*() {
      const budget = yield* Budget.make({ maxTokens: 200, expectedOutputTokens: 50 })
      const agent = Agent.make("assistant", { tools: [weather], budget })
      const error = yield* Effect.flip(collect(Agent.run(agent, "Weather?")))
      assert(error.reason._tag === "BudgetExceeded")
      assert.strictEqual(error.reason.used, 180)
      assert.isAbove(error.reason.asked ?? 0, 50)
      assert.include(error.message, `the next step asks for ${error.reason.asked}`)
      assert.strictEqual((yield* Effect.flatten(Scripted.Requests)).length, 1)
      assert.deepStrictEqual(lines(error.transcript), ["user: Weather?", "get_weather gave \"18 C in Lagos\""])
    }).pipe(Effect.provide(Scripted.model([[lagos, Scripted.usage(150, 30)], "Never said."]))))

  it.effect("tool calls and money are counted, also those of agents that tools run", () =>
    Effect.gen(function*() {
      const budget = yield* Budget.make({
        maxToolCalls: 2,
        maxCost: 10,
        price: ({ outputTokens }) => (outputTokens.total ?? 0) / 1000
      })
      const inner = Agent.make("inner", {
        tools: [weather],
        model: Scripted.model([[lagos, Scripted.usage(1, 500)], [Scripted.text("18."), Scripted.usage(1, 500)]])
      })
      const outer = Agent.make("outer", {
        tools: [Tool.fromAgent(inner, { description: "" })],
        budget,
        model: Scripted.model([
          [Scripted.toolCall("inner", { prompt: "Weather?" }), Scripted.usage(1, 500)],
          [Scripted.text("18 degrees."), Scripted.usage(1, 500)]
        ])
      })
      yield* Agent.response(Agent.run(outer, "Weather?"))
      assert.deepStrictEqual(yield* budget.used, { tokens: 2004, cost: 2, toolCalls: 2 })
    }))

  it.effect("counts the money of each agent's own model, by its name in Prices or by its own price", () =>
    Effect.gen(function*() {
      const named = (name: string, ...steps: ReadonlyArray<Scripted.Step>) =>
        Layer.merge(
          Scripted.model([[...steps, Scripted.text("Done."), Scripted.usage(1_000_000, 0)]]),
          Layer.succeed(Model.ModelName, name)
        )
      const helper = Agent.make("helper", { model: named("gpt-5-mini") })
      const spent = Effect.fnUntraced(function*(budget: Budget.Budget) {
        const lead = Agent.make("lead", {
          budget,
          tools: [Tool.fromAgent(helper, { description: "" })],
          model: named("gpt-5", Scripted.toolCall("helper", { prompt: "Help." })),
          stopWhen: () => true
        })
        yield* Agent.response(Agent.run(lead, "Go."))
        return (yield* budget.used).cost
      })
      const dollars = Budget.make({ maxCost: 10 })
      assert.strictEqual(yield* spent(yield* dollars), 1.25 + 0.25)
      const ours = { "gpt-5": { input: 3, output: 0 }, "gpt-5-mini": { input: 2, output: 0 } }
      assert.strictEqual(yield* Effect.provideService(Effect.flatMap(dollars, spent), Prices.Prices, ours), 5)
      const calls = Budget.make({
        maxCost: 10,
        price: (_, model) => model === "gpt-5" ? 1 : model === "gpt-5-mini" ? 0.5 : undefined
      })
      assert.strictEqual(yield* spent(yield* calls), 1.5)
    }))

  it.effect("under a maxCost a call that has no known cost is not made", () =>
    Effect.gen(function*() {
      const price = () => undefined
      const budget = yield* Budget.make({ maxCost: 1 })
      const granted = yield* Budget.grant(yield* Budget.make({ maxTokens: 10_000 }), { maxCost: 1 })
      for (const dear of [budget, granted, yield* Budget.make({ maxCost: 1, price })]) {
        const error = yield* Effect.flip(collect(Agent.run(Agent.make("a", { budget: dear }), "Hi")))
        assert.strictEqual(error.reason._tag, "InvalidAgent")
        assert.include(error.message, "nobody knows what a call of the model scripted costs")
      }
      assert.deepStrictEqual(yield* Effect.flatten(Scripted.Requests), [])
      const unlimited = yield* Budget.make({ maxTokens: 10_000, price })
      yield* collect(Agent.run(Agent.make("a", { budget: unlimited }), "Hi"))
    }).pipe(Effect.scoped, Effect.provide(Scripted.model(["Hi."]))))

  it.effect("a file of any size is estimated as a file, not as its bytes", () =>
    Effect.gen(function*() {
      const budget = yield* Budget.make({ maxTokens: 5_000, maxDuration: "1 minute" })
      const image = Prompt.filePart({ mediaType: "image/png", data: new Uint8Array(100_000) })
      yield* collect(Agent.run(Agent.make("a", { budget }), [Prompt.textPart({ text: "What is it?" }), image]))
    }).pipe(Effect.provide(Scripted.model([[Scripted.text("A cat."), Scripted.usage(800, 5)]]))))

  it.effect("a provider that doesn't count tokens is charged the estimate", () =>
    Effect.gen(function*() {
      const uncounted = new Response.Usage({ inputTokens: {}, outputTokens: {} })
      const model = yield* LanguageModel.LanguageModel
      const silent = LanguageModel.LanguageModel.of({
        ...model,
        streamText: ((options: Parameters<typeof model.streamText>[0]) =>
          Stream.map(
            model.streamText(options),
            (part) => part.type === "finish" ? { ...part, usage: uncounted } : part
          )) as typeof model.streamText
      })
      const budget = yield* Budget.make({ maxTokens: 2_000 })
      const run = collect(Agent.run(Agent.make("a", { budget }), "x".repeat(400)))
      yield* Effect.provideService(run, LanguageModel.LanguageModel, silent)
      const { tokens } = yield* budget.used
      assert.isAtLeast(tokens, 200)
      assert.isBelow(tokens, 250)
    }).pipe(Effect.provide(Scripted.model(["y".repeat(400)]))))

  it.effect("agents in parallel that share a budget can't overshoot together", () =>
    Effect.gen(function*() {
      const budget = yield* Budget.make({ maxTokens: 300, expectedOutputTokens: 100 })
      const agent = Agent.make("assistant", { budget, settings: { maxOutputTokens: 100 } })
      const run = Effect.result(Agent.response(Agent.run(agent, "Hi")))
      const fiber = yield* Effect.all([run, run, run, run], { concurrency: "unbounded" }).pipe(Effect.forkChild)
      yield* TestClock.adjust("1 second")
      const outcomes = yield* Fiber.join(fiber)
      assert.strictEqual(outcomes.filter(({ _tag }) => _tag === "Success").length, 2)
      assert.isAtMost((yield* budget.used).tokens, 300)
    }).pipe(
      Effect.provide(Scripted.model(() => [Scripted.delay("1 second"), Scripted.text("Hi."), Scripted.usage(20, 90)]))
    ))

  it.effect("an interrupted call is paid for as far as it came, and its reservation is free again", () =>
    Effect.gen(function*() {
      const budget = yield* Budget.make({ maxTokens: 2000 })
      const fiber = yield* Agent.run(Agent.make("a", { budget }), "Hi").pipe(Stream.runDrain, Effect.forkChild)
      yield* TestClock.adjust("1 second")
      yield* Fiber.interrupt(fiber)
      const { tokens } = yield* budget.used
      assert.isAbove(tokens, 0)
      assert.isBelow(tokens, 100)
      yield* budget.reserve({ tokens: 1900 })
    }).pipe(Effect.provide(Scripted.model([[Scripted.text("One"), Scripted.delay("1 hour")]]))))

  it.effect("a run under way when the budget's time is over is interrupted", () =>
    Effect.gen(function*() {
      const budget = yield* Budget.make({ maxDuration: "1 minute" })
      yield* TestClock.adjust("30 seconds")
      const agent = Agent.make("a", { budget })
      const fiber = yield* collect(Agent.run(agent, "Hi")).pipe(Effect.flip, Effect.forkChild)
      yield* TestClock.adjust("30 seconds")
      assert.deepInclude((yield* Fiber.join(fiber)).reason, {
        _tag: "BudgetExceeded",
        limit: "maxDuration",
        max: 60_000
      })
      const late = yield* Effect.flip(collect(Agent.run(agent, "Hi")))
      assert.strictEqual(late.reason._tag, "BudgetExceeded")
    }).pipe(Effect.provide(Scripted.model(() => [Scripted.delay("1 hour"), Scripted.text("Late.")]))))
})
