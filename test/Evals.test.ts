import { NodeFileSystem } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Console, Context, Deferred, Effect, Exit, Fiber, FileSystem, Layer, Ref, Schema } from "effect"
import { AiError } from "effect/ai"
import { TestClock } from "effect/testing"
import * as Agent from "../src/Agent.ts"
import * as Prices from "../src/Llm/Prices.ts"
import * as Scripted from "../src/Llm/Scripted.ts"
import { type Observation, Observer } from "../src/Observer.ts"
import * as Team from "../src/Team.ts"
import * as Evals from "../src/testing/Evals.ts"
import * as Tool from "../src/Tool.ts"
import { turns } from "./fixtures/actors.ts"
import { refused } from "./fixtures/badOptions.ts"

const numbers = [{ name: "one", input: 1, expected: 1 }, { name: "two", input: 2, expected: 4 }]
const square = (n: number) => Effect.succeed(n * n)

/** The outcomes of all trials, case by case. */
const outcomes = (report: Evals.Report) => report.cases.map(({ trials }) => trials.map(({ outcome }) => outcome))

/** What a scorer said of the first trial of the first case. */
const scoreOf = (report: Evals.Report, scorer: string) => {
  const outcome = outcomes(report)[0]![0]!
  assert(outcome._tag === "Answered")
  return outcome.scores[scorer]
}

const look = Tool.fn(
  "look",
  { description: "", parameters: { at: Schema.String }, success: Schema.String },
  ({ at }) => at === "nothing" ? Effect.fail("nothing there") : Effect.succeed(`seen: ${at}`)
)
const note = Tool.fn("note", { description: "" }, () => Effect.void)

const scout = Agent.make("scout", { tools: [look, note] })

describe("Evals.run", () => {
  it.effect("each case is tried as often as asked and scored by all scorers", () =>
    Effect.gen(function*() {
      const runs = yield* Ref.make(0)
      const report = yield* Evals.run("squares", {
        cases: numbers,
        task: (n) => Effect.andThen(Ref.update(runs, (count) => count + 1), square(n)),
        scorers: {
          exact: Evals.exact,
          half: () => 0.5,
          small: ({ output }) => Effect.succeed({ score: output < 2 ? 1 : 0.2, why: `it is ${output}` }),
          fine: () => ({ score: 0.5, passed: true })
        },
        trials: 3,
        version: "b"
      })
      assert.strictEqual(yield* Ref.get(runs), 6)
      assert.deepStrictEqual([report.name, report.version, report.scorers], ["squares", "b", [
        "exact",
        "half",
        "small",
        "fine"
      ]])
      assert.deepStrictEqual(report.cases.map(({ trials }) => trials.map(({ trial }) => trial)), [[1, 2, 3], [1, 2, 3]])
      assert.deepStrictEqual(outcomes(report)[1]![2], {
        _tag: "Answered",
        output: 4,
        scores: {
          exact: { _tag: "Scored", score: 1, passed: true },
          half: { _tag: "Scored", score: 0.5, passed: false },
          small: { _tag: "Scored", score: 0.2, passed: false, why: "it is 4" },
          fine: { _tag: "Scored", score: 0.5, passed: true }
        }
      })
      const { failed, pass, passed, scores } = Evals.summary(report)
      assert.deepStrictEqual({ failed, pass, passed, scores }, {
        failed: 6,
        pass: 0,
        passed: 0,
        scores: { exact: 1, half: 0.5, small: 0.6, fine: 0.5 }
      })
    }))

  it.effect("a case that fails, dies or is interrupted is a failed trial with its reason, and the others go on", () =>
    Effect.gen(function*() {
      class Lost extends Schema.TaggedError<Lost>()("Lost", { what: Schema.String }) {
        override get message() {
          return `${this.what} is lost`
        }
      }
      const report = yield* Evals.run("failing", {
        cases: [
          { name: "fails", input: Effect.fail(new Lost({ what: "the key" })) },
          { name: "dies", input: Effect.die(new Error("a bug")) },
          { name: "throws", input: Effect.suspend(() => Effect.succeed(assert.fail("thrown"))) },
          { name: "is interrupted", input: Effect.interrupt },
          { name: "works", input: Effect.succeed("fine") }
        ],
        task: (input) => input,
        scorers: { any: () => true }
      })
      assert.deepStrictEqual(outcomes(report).map(([outcome]) => outcome), [
        { _tag: "Failed", kind: "error", problem: "the key is lost" },
        { _tag: "Failed", kind: "defect", problem: "a bug" },
        { _tag: "Failed", kind: "defect", problem: "thrown" },
        { _tag: "Failed", kind: "interrupted", problem: "All fibers interrupted without error" },
        { _tag: "Answered", output: "fine", scores: { any: { _tag: "Scored", score: 1, passed: true } } }
      ])
      assert.deepStrictEqual(Evals.summary(report).scores, { any: 1 / 5 })
      assert.strictEqual(Evals.summary(report).pass, 1 / 5)
    }))

  it.effect("a trial that takes too long has failed; a scorer that does gives no score", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.forkChild(Evals.run("slow", {
        cases: [{ name: "hangs", input: "1 hour" }, { name: "answers", input: "1 second" }] as const,
        task: (time) => Effect.sleep(time),
        scorers: { hanging: () => Effect.never, quick: () => true },
        timeout: "1 minute"
      }))
      yield* turns
      yield* TestClock.adjust("1 minute")
      yield* TestClock.adjust("1 minute")
      const report = yield* Fiber.join(fiber)
      assert.deepStrictEqual(outcomes(report), [
        [{ _tag: "Failed", kind: "timeout", problem: "no answer after 1m" }],
        [{
          _tag: "Answered",
          output: null,
          scores: {
            hanging: { _tag: "Unscored", problem: "no answer after 1m" },
            quick: { _tag: "Scored", score: 1, passed: true }
          }
        }]
      ])
      assert.deepStrictEqual(report.cases.map(({ trials }) => trials[0]!.duration), [60_000, 1000])
    }))

  it.effect("a scorer that fails, dies, or gives no score from 0 to 1 leaves its trial unscored, unless another failed it", () =>
    Effect.gen(function*() {
      const report = yield* Evals.run("odd", {
        cases: [{ name: "passes", input: true }, { name: "does not", input: false }],
        task: (input) => Effect.succeed(input),
        scorers: {
          fails: () => Effect.fail({ message: "no idea" }),
          dies: (): boolean => assert.fail("a bug"),
          huge: () => 3,
          none: () => Number.NaN,
          nothing: (): boolean => JSON.parse("null"),
          plain: ({ output }) => output
        }
      })
      const outcome = outcomes(report)[0]![0]!
      assert(outcome._tag === "Answered")
      assert.deepStrictEqual(outcome.scores, {
        fails: { _tag: "Unscored", problem: "no idea" },
        dies: { _tag: "Unscored", problem: "defect: a bug" },
        huge: { _tag: "Unscored", problem: "a score must be a number from 0 to 1, got 3" },
        none: { _tag: "Unscored", problem: "a score must be a number from 0 to 1, got NaN" },
        nothing: { _tag: "Unscored", problem: "a score must be a number from 0 to 1, got null" },
        plain: { _tag: "Scored", score: 1, passed: true }
      })
      const { failed, pass, passed, scores, unscored } = Evals.summary(report)
      assert.deepStrictEqual({ failed, pass, passed, unscored }, { failed: 1, pass: 0, passed: 0, unscored: 1 })
      assert.deepStrictEqual([scores["huge"], scores["plain"]], [undefined, 0.5])
    }))

  it.effect("as many trials run at once as the concurrency says", () =>
    Effect.gen(function*() {
      const running = yield* Ref.make(0)
      const most = yield* Ref.make(0)
      const evaluate = (concurrency: number | "unbounded") =>
        Evals.run("many", {
          cases: Array.from({ length: 5 }, (_, index) => ({ name: `case ${index}`, input: index })),
          task: () =>
            Effect.gen(function*() {
              const now = yield* Ref.updateAndGet(running, (count) => count + 1)
              yield* Ref.update(most, (most) => Math.max(most, now))
              yield* turns
              yield* Ref.update(running, (count) => count - 1)
            }),
          scorers: { any: () => true },
          trials: 2,
          concurrency
        })
      for (const [concurrency, expected] of [[1, 1], [3, 3], ["unbounded", 10]] as const) {
        yield* Ref.set(most, 0)
        yield* evaluate(concurrency)
        assert.strictEqual(yield* Ref.get(most), expected)
      }
    }))

  it.effect("interrupting an evaluation interrupts its trials", () =>
    Effect.gen(function*() {
      const started = yield* Deferred.make<void>()
      const stopped = yield* Deferred.make<void>()
      const fiber = yield* Effect.forkChild(Evals.run("endless", {
        cases: [{ name: "endless", input: null }],
        task: () =>
          Effect.andThen(Deferred.succeed(started, undefined), Effect.never).pipe(
            Effect.onInterrupt(() => Deferred.succeed(stopped, undefined))
          ),
        scorers: { any: () => true }
      }))
      yield* Deferred.await(started)
      yield* Fiber.interrupt(fiber)
      assert.isTrue(yield* Deferred.isDone(stopped))
    }))

  it.effect("each trial has a scope of its own", () =>
    Effect.gen(function*() {
      const open = yield* Ref.make(0)
      const report = yield* Evals.run("scoped", {
        cases: numbers,
        task: () => Effect.acquireRelease(Ref.updateAndGet(open, (n) => n + 1), () => Ref.update(open, (n) => n - 1)),
        scorers: { alone: ({ output }) => output === 1 },
        concurrency: 1,
        trials: 2
      })
      assert.strictEqual(Evals.summary(report).pass, 1)
    }))

  it("wrong options are refused where the evaluation is made", () => {
    const evaluate = (options: object) => () =>
      Evals.run("name", { cases: numbers, task: square, scorers: { exact: Evals.exact }, ...options })
    refused({
      "Evals.run: name must be a text that is not empty, got \"\"": () =>
        Evals.run("", { cases: numbers, task: square, scorers: { exact: Evals.exact } }),
      "Evals.run: version must be a text that is not empty, got \"\"": evaluate({ version: "" }),
      "Evals.run: trials must be a positive integer, got 0": evaluate({ trials: 0 }),
      "Evals.run: concurrency must be a positive integer, got 1.5": evaluate({ concurrency: 1.5 }),
      "Evals.run: timeout must be a positive duration, got 0": evaluate({ timeout: 0 }),
      "Evals.run: cases must be at least one, got 0": evaluate({ cases: [] }),
      "Evals.run: cases must be of different names, got \"one\"": evaluate({ cases: [numbers[0], numbers[0]] }),
      "Evals.run: cases[0].name must be a text that is not empty, got \"\"": evaluate({
        cases: [{ name: "", input: 1 }]
      }),
      "Evals.run: scorers must be at least one, got 0": evaluate({ scorers: {} }),
      "Evals.run: scorers must be named otherwise than \"pass\", which is what they say together, got \"pass\"":
        evaluate({
          scorers: { pass: () => true }
        }),
      "Evals.within: maxCost must be a number of at least 0, got -1": () => Evals.within({ maxCost: -1 }),
      "Evals.judge: rubric must be a text that is not empty, got \"\"": () =>
        Evals.judge({ rubric: "", model: Scripted.model([]) }),
      "Evals.cassettes: folder must be a text that is not empty, got \"\"": () =>
        Evals.cassettes("", Scripted.model([]))
    })
  })
})

describe("Evals.ask", () => {
  const cases = [{ name: "hello", input: "Hello?" }]

  it.effect("prompts an agent or a team, in a conversation of its own for each trial", () =>
    Effect.gen(function*() {
      const team = Team.pipeline("team", [Agent.make("first"), Agent.make("second")])
      for (const [target, requests] of [[Agent.make("first"), 1], [team, 2]] as const) {
        yield* Effect.gen(function*() {
          const report = yield* Evals.run("greeting", {
            cases,
            task: Evals.ask(target),
            scorers: { greets: ({ output }) => output.startsWith("Hi") },
            trials: 3
          })
          assert.strictEqual(Evals.summary(report).pass, 1)
          const asked = yield* Effect.flatten(Scripted.Requests)
          assert.strictEqual(asked.length, 3 * requests)
          assert.isTrue(asked.every(({ prompt }) => prompt.content.length === 1))
          assert.strictEqual(report.cases[0]!.trials[0]!.usage.turns, requests)
        }).pipe(Effect.provide(Scripted.model(() => "Hi there")))
      }
    }))

  it.effect("asks for a value of a schema", () =>
    Effect.gen(function*() {
      const Answer = Schema.Struct({ sum: Schema.Int })
      for (const target of [Agent.make("adder"), Team.pipeline("team", [Agent.make("adder")])]) {
        const report = yield* Evals.run("sums", {
          cases: [{ name: "one", input: "1 + 2?", expected: { sum: 3 } }],
          task: Evals.ask(target, { output: Answer }),
          scorers: { exact: Evals.exact }
        })
        assert.strictEqual(Evals.summary(report).pass, 1)
      }
    }).pipe(Effect.provide(Scripted.model(() => `{"sum":3}`))))

  it.effect("a run that fails is a failed trial with what it used until then", () =>
    Effect.gen(function*() {
      const report = yield* Evals.run("limited", {
        cases,
        task: Evals.ask(Agent.with(scout, { maxTurns: 1 })),
        scorers: { any: () => true }
      })
      const { outcome, toolCalls, usage } = report.cases[0]!.trials[0]!
      assert(outcome._tag === "Failed" && outcome.kind === "error")
      assert.include(outcome.problem, "agent scout: no answer after 1 turns")
      assert.deepStrictEqual(toolCalls, [{ agent: "scout", name: "note", isFailure: false }])
      assert.deepStrictEqual([usage.turns, usage.tokens], [1, 12])
    }).pipe(Effect.provide(Scripted.model(() => [Scripted.toolCall("note", {}), Scripted.usage(10, 2)]))))
})

describe("Evals scorers", () => {
  const evaluate = <O, S extends Record<string, Evals.Score | Effect.Effect<Evals.Score, unknown>>>(
    output: O,
    scorers: {
      readonly [Name in keyof S]: (trial: Evals.Trial<{ name: string; input: string; expected: O }, O>) => S[Name]
    },
    expected: O = output
  ) =>
    Evals.run("scoring", {
      cases: [{ name: "one", input: "?", expected }],
      task: () => Effect.succeed(output),
      scorers
    })

  it.effect("exact passes what is equal by value, and says what it got instead", () =>
    Effect.gen(function*() {
      const scorers = { exact: Evals.exact }
      const same = yield* evaluate({ cities: ["Lagos"] }, scorers, { cities: ["Lagos"] })
      assert.strictEqual(Evals.summary(same).pass, 1)
      const other = yield* evaluate("Lagos ", scorers, "Lagos")
      assert.deepStrictEqual(scoreOf(other, "exact"), {
        _tag: "Scored",
        score: 0,
        passed: false,
        why: `expected "Lagos", got "Lagos "`
      })
    }))

  it.effect("schema passes what it decodes, with the services that it needs", () =>
    Effect.gen(function*() {
      class Smallest extends Context.Service<Smallest, number>()("test/Smallest") {}
      const Age = Schema.fromJsonString(Schema.Struct({ age: Schema.Int }))
      assert.strictEqual(Evals.summary(yield* evaluate(`{"age":36}`, { json: Evals.schema(Age) })).pass, 1)
      const wrong = scoreOf(yield* evaluate(`{"age":"old"}`, { json: Evals.schema(Age) }), "json")
      assert(wrong?._tag === "Scored" && !wrong.passed)
      assert.include(wrong.why!, "age")
      const report = yield* Evals.run("services", {
        cases: [{ name: "one", input: 1 }],
        task: (input) => Effect.succeed(input),
        scorers: { large: ({ output }) => Smallest.useSync((smallest) => output >= smallest) }
      }).pipe(Effect.provideService(Smallest, 1))
      assert.strictEqual(Evals.summary(report).pass, 1)
    }))

  it.effect("trajectory compares the tools that were called, at any depth, with those that are expected", () =>
    Effect.gen(function*() {
      const helper = Tool.fromAgent(Agent.make("helper", { tools: [note] }), { description: "" })
      const lead = Agent.make("lead", { tools: [look, helper] })
      const report = yield* Evals.run("tools", {
        cases: [{ name: "go", input: "Go.", tools: ["look", "helper", "note"] }],
        task: Evals.ask(lead),
        scorers: {
          exact: Evals.trajectory(["look", "helper", "note"]),
          ofCase: Evals.trajectory(({ case: { tools } }) => tools),
          swapped: Evals.trajectory(["look", "note", "helper"]),
          fewer: Evals.trajectory(["look", "helper"]),
          inOrder: Evals.trajectory(["look", "note"], { match: "inOrder" }),
          notInOrder: Evals.trajectory(["note", "look"], { match: "inOrder" }),
          anyOrder: Evals.trajectory(["note", "look"], { match: "anyOrder" }),
          twice: Evals.trajectory(["note", "note"], { match: "anyOrder" }),
          none: Evals.trajectory([]),
          params: ({ toolCalls: [first] }) => {
            assert.deepStrictEqual(first, {
              agent: "lead",
              name: "look",
              params: { at: "nothing" },
              result: "nothing there",
              isFailure: true
            })
            return true
          }
        }
      })
      const outcome = outcomes(report)[0]![0]!
      assert(outcome._tag === "Answered")
      assert.deepStrictEqual(
        Object.entries(outcome.scores).flatMap(([name, score]) =>
          score._tag === "Scored" && score.passed ? [name] : []
        ),
        ["exact", "ofCase", "inOrder", "anyOrder", "params"]
      )
      assert.deepStrictEqual(scoreOf(report, "none"), {
        _tag: "Scored",
        score: 0,
        passed: false,
        why: "expected no calls, got look, helper, note"
      })
      assert.deepStrictEqual(report.cases[0]!.trials[0]!.toolCalls.map(({ agent }) => agent), [
        "lead",
        "lead",
        "helper"
      ])
    }).pipe(Effect.provide(Scripted.model([
      Scripted.toolCall("look", { at: "nothing" }),
      Scripted.toolCall("helper", { prompt: "Note it." }),
      Scripted.toolCall("note", {}),
      "noted",
      "done"
    ]))))

  it.effect("within limits tokens, cost, tool calls and time of a trial", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.forkChild(Evals.run("limits", {
        cases: [{ name: "go", input: "Go." }],
        task: Evals.ask(scout),
        scorers: {
          enough: Evals.within({ maxTokens: 112, maxCost: 0.001, maxToolCalls: 1, maxDuration: "2 seconds" }),
          tokens: Evals.within({ maxTokens: 111 }),
          cost: Evals.within({ maxCost: 0.0001 }),
          calls: Evals.within({ maxToolCalls: 0 }),
          time: Evals.within({ maxDuration: 1999, maxTokens: 1 })
        }
      }))
      yield* turns
      yield* TestClock.adjust("2 seconds")
      const report = yield* Fiber.join(fiber)
      const outcome = outcomes(report)[0]![0]!
      assert(outcome._tag === "Answered")
      assert.deepStrictEqual(
        Object.values(outcome.scores).map((score) => score._tag === "Scored" ? score.why ?? "passed" : "unscored"),
        [
          "passed",
          "112 tokens of at most 111",
          "0.00015 US dollars of at most 0.0001",
          "1 tool calls of at most 0",
          "112 tokens of at most 1, 2000 ms of at most 1999"
        ]
      )
    }).pipe(
      Effect.provide(Scripted.model([
        [Scripted.toolCall("note", {}), Scripted.usage(50, 4)],
        [Scripted.delay("2 seconds"), Scripted.text("Done."), Scripted.usage(52, 6)]
      ])),
      Effect.provideService(Prices.Prices, { scripted: { input: 0.5, output: 9.9 } })
    ))

  it.effect("a limit of an amount that nobody knows gives no score, unless another one is passed", () =>
    Effect.gen(function*() {
      const report = yield* Evals.run("unknown", {
        cases: [{ name: "go", input: "Go." }],
        task: Evals.ask(Agent.make("any")),
        scorers: { cost: Evals.within({ maxCost: 1 }), both: Evals.within({ maxCost: 1, maxTokens: 0 }) }
      })
      assert.deepStrictEqual(scoreOf(report, "cost"), {
        _tag: "Unscored",
        problem: "the US dollars of the trial are not known"
      })
      assert.strictEqual(scoreOf(report, "both")?._tag, "Scored")
    }).pipe(Effect.provide(Scripted.model(["Done."]))))

  it.effect("the observer around an evaluation hears its runs, too", () =>
    Effect.gen(function*() {
      const heard: Array<Observation> = []
      yield* Evals.run("heard", {
        cases: [{ name: "go", input: "Go." }],
        task: Evals.ask(Agent.make("any")),
        scorers: { any: () => true }
      }).pipe(Effect.provideService(Observer, { observe: (observation) => void heard.push(observation) }))
      assert.isTrue(heard.some((observation) => observation._tag === "Run" && observation.agent === "any"))
    }).pipe(Effect.provide(Scripted.model(["Done."]))))
})

type Rubric = Parameters<typeof Evals.judge>[0]["rubric"]

describe("Evals.judge", () => {
  const verdict = (...met: ReadonlyArray<"yes" | "no" | "unknown">) =>
    JSON.stringify(
      Object.fromEntries(met.map((met, index) => [`criterion_${index + 1}`, { reasons: `because ${met}`, met }]))
    )

  const evaluate = (model: ReturnType<typeof Scripted.model>, rubric: Rubric) =>
    Evals.run("judged", {
      cases: [{ name: "one", input: "Hello?", expected: "Hi!" }],
      task: Evals.ask(Agent.make("greeter")),
      scorers: { kind: Evals.judge({ rubric, model }) }
    }).pipe(Effect.provide(Scripted.model([[Scripted.text("Hi!"), Scripted.usage(7, 3)]])))

  it.effect("asks its own model for a verdict on each criterion, and shows it input, output and expected output", () =>
    Effect.gen(function*() {
      const requests = yield* Ref.make<ReadonlyArray<string>>([])
      const model = Scripted.model((request) => {
        Effect.runSync(Ref.set(requests, Scripted.lines(request)))
        return [Scripted.text(verdict("yes", "no")), Scripted.usage(100, 20)]
      })
      const report = yield* evaluate(model, ["It is polite.", "It is long."])
      assert.deepStrictEqual(scoreOf(report, "kind"), {
        _tag: "Scored",
        score: 0.5,
        passed: false,
        why: "It is long.: because no"
      })
      const [system, user] = yield* Ref.get(requests)
      assert.include(system!, "criterion_1: It is polite.\ncriterion_2: It is long.")
      assert.strictEqual(user, `user: ${JSON.stringify({ input: "Hello?", output: "Hi!", expected: "Hi!" }, null, 1)}`)
    }))

  it.effect("passes when all criteria are met; its cost is counted apart from the task's", () =>
    Effect.gen(function*() {
      const report = yield* evaluate(
        Scripted.model([[Scripted.text(verdict("yes")), Scripted.usage(100, 20)]]),
        "Kind."
      )
      assert.deepStrictEqual(scoreOf(report, "kind"), {
        _tag: "Scored",
        score: 1,
        passed: true,
        why: "Kind.: because yes"
      })
      const { judging, usage } = Evals.summary(report)
      assert.deepStrictEqual([usage.tokens, judging.tokens, usage.turns, judging.turns], [10, 120, 1, 1])
    }))

  it.effect("a judge that can't decide, fails, or answers otherwise than asked gives no score", () =>
    Effect.gen(function*() {
      const answers = [
        [Scripted.text(verdict("unknown"))],
        [Scripted.fail(new AiError.InternalProviderError({ description: "overloaded" }))],
        [Scripted.text("10 of 10!")]
      ]
      const problems: Array<string> = []
      for (const answer of answers) {
        const report = yield* evaluate(Scripted.model(() => answer), "Kind.")
        const score = scoreOf(report, "kind")
        assert(score?._tag === "Unscored")
        problems.push(score.problem)
        assert.deepStrictEqual(Evals.summary(report).unscored, 1)
      }
      assert.strictEqual(problems[0], "the judge can't decide: Kind.: because unknown")
      assert.match(problems[1]!, /^the judge failed: .*overloaded/)
      assert.match(problems[2]!, /^the judge failed: .*does not fit its schema/)
    }))

  it.effect("fails with a reason to branch on, and may be asked outside of an evaluation", () =>
    Effect.gen(function*() {
      const score = Evals.judge({ rubric: "Kind.", model: Scripted.model(() => verdict("unknown")) })
      const asked = score({ input: 1, output: 2, expected: undefined })
      assert(Effect.isEffect(asked))
      const error = yield* Effect.flip(asked)
      assert.strictEqual(error.reason, "Undecided")
    }))

  it.effect("its model is built once an evaluation, and shows what it is told to", () =>
    Effect.gen(function*() {
      const built = yield* Ref.make(0)
      const seen: Array<string> = []
      const model = Layer.unwrap(Effect.as(
        Ref.update(built, (n) => n + 1),
        Scripted.model((request) => {
          seen.push(Scripted.lines(request).at(-1)!)
          return verdict("yes")
        })
      ))
      yield* Evals.run("judged", {
        cases: numbers,
        task: square,
        scorers: { kind: Evals.judge({ rubric: "Kind.", model, show: ({ output }) => ({ output }) }) },
        trials: 4,
        concurrency: 3
      })
      assert.strictEqual(yield* Ref.get(built), 1)
      assert.strictEqual(seen.length, 8)
      assert.isTrue(seen.every((line) => /^user: \{\n "output": \d\n\}$/.test(line)))
    }))
})

describe("Evals.table", () => {
  const evaluate = (version: string, right: (n: number, trial: number) => boolean) =>
    Effect.gen(function*() {
      const counts = new Map<number, number>()
      return yield* Evals.run("squares", {
        version,
        cases: Array.from({ length: 6 }, (_, index) => ({ name: `case ${index}`, input: index, expected: true })),
        task: (n) => {
          const trial = (counts.get(n) ?? 0) + 1
          counts.set(n, trial)
          return n === 5 ? Effect.fail("no\n\u001b[31manswer") : Effect.succeed(right(n, trial))
        },
        scorers: { exact: Evals.exact, any: () => ({ score: 0.5, passed: true }) },
        trials: 2
      })
    })

  it.effect("shows cases, pass^k, scores, and what failed, on lines that command no terminal", () =>
    Effect.gen(function*() {
      const report = yield* evaluate("a", (n, trial) => n > 1 || trial === 1)
      assert.strictEqual(
        Evals.table(report),
        [
          "squares, version a: 6 cases, 2 trials each",
          "",
          "case    pass  pass^2  exact   any  ms  tokens     USD",
          "case 0   1/2    0.00   0.50  0.50   0       0  0.0000",
          "case 1   1/2    0.00   0.50  0.50   0       0  0.0000",
          "case 2   2/2    1.00   1.00  0.50   0       0  0.0000",
          "case 3   2/2    1.00   1.00  0.50   0       0  0.0000",
          "case 4   2/2    1.00   1.00  0.50   0       0  0.0000",
          "case 5   0/2    0.00   0.00  0.00   0       0  0.0000",
          "all     8/12    0.50   0.67  0.42   0       0  0.0000",
          "",
          "8 trials passed, 4 failed, 0 could not be scored",
          "  case 0 #2: exact 0.00: expected true, got false",
          "  case 1 #2: exact 0.00: expected true, got false",
          "  case 5 #1: error: no [31manswer",
          "  case 5 #2: error: no [31manswer"
        ].join("\n")
      )
    }))

  it.effect("shows a comparison: the figures, the verdict with its reason, and the cases that moved", () =>
    Effect.gen(function*() {
      const before = yield* evaluate("a", () => false)
      const after = yield* evaluate("b", (_, trial) => trial === 1)
      assert.strictEqual(
        Evals.table(Evals.compare(before, after)),
        [
          "squares: version b against a, 6 cases",
          "",
          "metric         a       b   change",
          "pass        0.00    0.42    +0.42",
          "pass^2      0.00    0.00    +0.00",
          "exact       0.00    0.42    +0.42",
          "any         0.42    0.42    +0.00",
          "duration    0 ms    0 ms    +0 ms",
          "tokens         0       0       +0",
          "cost      0.0000  0.0000  +0.0000",
          "",
          "unclear by pass: +0.417 (95 % interval: +0.250 to +0.500); p = 0.063: chance alone does as much",
          "  case 0: pass 0.00 -> 0.50",
          "  case 1: pass 0.00 -> 0.50",
          "  case 2: pass 0.00 -> 0.50",
          "  case 3: pass 0.00 -> 0.50",
          "  case 4: pass 0.00 -> 0.50"
        ].join("\n")
      )
    }))

  it.effect("is printed with Console", () =>
    Effect.gen(function*() {
      const printed: Array<unknown> = []
      const report = yield* evaluate("a", () => true)
      const around = yield* Console.Console
      yield* Effect.provideService(Evals.print(report), Console.Console, {
        ...around,
        log: (...args) => void printed.push(...args)
      })
      assert.deepStrictEqual(printed, [Evals.table(report)])
    }))
})

describe("Evals reports", () => {
  const withFolder = <A, E>(test: (folder: string) => Effect.Effect<A, E, FileSystem.FileSystem>) =>
    Effect.scoped(Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      return yield* test(yield* fs.makeTempDirectoryScoped())
    })).pipe(Effect.provide(NodeFileSystem.layer))

  it.effect("a saved report is read back as it was, with secrets and bytes taken out", () =>
    withFolder((folder) =>
      Effect.gen(function*() {
        const report = yield* Evals.run("saved", {
          cases: [
            { name: "secret", input: { key: "sk-abcdefghijklmnopqrstuvwxyz" }, expected: [new Uint8Array([1, 2])] },
            { name: "date", input: { key: "none" }, expected: [] }
          ],
          task: ({ key }) =>
            key === "none" ? Effect.fail(`no ${"sk-abcdefghijklmnopqrstuvwxyz"}`) : Effect.succeed(10n),
          scorers: { why: () => ({ score: 0, why: "Bearer abcdefghijklmnop" }) }
        })
        const file = `${folder}/reports/saved.json`
        yield* Evals.save(report, file)
        assert.deepStrictEqual(yield* Evals.load(file), report)
        const text = yield* Effect.flatMap(FileSystem.FileSystem, (fs) => fs.readFileString(file))
        assert.notMatch(text, /abcdefgh/)
        assert.include(text, `"key": "<redacted>"`)
        assert.match(text, /"2 bytes, hash -?\d+"/)
      })
    ))

  it.effect("a file that is no report, or one of another format, is refused by name", () =>
    withFolder((folder) =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const file = `${folder}/report.json`
        const problemOf = Effect.fnUntraced(function*(text: string) {
          yield* fs.writeFileString(file, text)
          const error = yield* Effect.flip(Evals.load(file))
          assert.strictEqual(error.message, `${file}: ${error.problem}`)
          return error.problem
        })
        assert.match(yield* problemOf("{ cut off"), /^is no JSON: /)
        assert.match(yield* problemOf(`{"format":1}`), /^is no report: /)
        assert.strictEqual(
          yield* problemOf(`{"format":2}`),
          "is a report of format 2, and this version of effect-troupe reads 1"
        )
        assert.match((yield* Effect.flip(Evals.load(`${folder}/none.json`))).problem, /^can't be read: /)
        const report = yield* Evals.run("any", { cases: numbers, task: square, scorers: { exact: Evals.exact } })
        const exit = yield* Effect.exit(Evals.save(report, folder))
        assert.isTrue(Exit.isFailure(exit))
      })
    ))
})
