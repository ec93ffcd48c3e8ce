import { describe, expectTypeOf, it } from "@effect/vitest"
import { type Config, Context, Effect, type FileSystem, Schema } from "effect"
import type { LanguageModel } from "effect/ai"
import * as Agent from "../src/Agent.ts"
import type { PackageMissing } from "../src/Llm/AiSdk.ts"
import * as OpenAi from "../src/Llm/OpenAi.ts"
import type { CassetteError } from "../src/Llm/Recorded.ts"
import * as Scripted from "../src/Llm/Scripted.ts"
import type { LogError } from "../src/RunLog.ts"
import * as Team from "../src/Team.ts"
import * as Evals from "../src/testing/Evals.ts"

class Orders extends Context.Service<Orders, { readonly of: (user: string) => number }>()("test/Orders") {}
class Dictionary extends Context.Service<Dictionary, ReadonlySet<string>>()("test/Dictionary") {}

const sums = [{ name: "one", input: [1, 2], expected: 3 }, { name: "two", input: [2, 2], expected: 4 }]
const add = (input: ReadonlyArray<number>) => Effect.succeed(input.reduce((a, b) => a + b, 0))

describe("Evals types", () => {
  it("the types of the cases and of the output flow into the scorers", () => {
    Evals.run("sums", {
      cases: [{ name: "one", input: 1, expected: "1", level: "easy" }, { name: "two", input: 2, expected: "2" }],
      task: (input) => {
        expectTypeOf(input).toEqualTypeOf<number>()
        return Effect.succeed({ text: String(input) })
      },
      scorers: {
        right: ({ case: { level }, expected, input, output }) => {
          expectTypeOf(input).toEqualTypeOf<number>()
          expectTypeOf(expected).toEqualTypeOf<string>()
          expectTypeOf(output).toEqualTypeOf<{ text: string }>()
          expectTypeOf(level).toEqualTypeOf<string | undefined>()
          return output.text === expected
        }
      }
    })
  })

  it("an expected output that only some cases have may be absent", () => {
    Evals.run("sums", {
      cases: [{ name: "one", input: 1, expected: "1" }, { name: "two", input: 2 }],
      task: (input) => Effect.succeed(String(input)),
      scorers: {
        right: ({ expected, output }) => {
          expectTypeOf(expected).toEqualTypeOf<string | undefined>()
          return output === expected
        }
      }
    })
    Evals.run("sums", {
      cases: [{ name: "one", input: 1 }],
      task: (input) => Effect.succeed(String(input)),
      scorers: {
        right: ({ expected }) => {
          expectTypeOf(expected).toEqualTypeOf<undefined>()
          return true
        }
      }
    })
  })

  it("an evaluation requires what its task and its scorers do, and fails with the cache's errors only", () => {
    const evaluation = Evals.run("orders", {
      cases: [{ name: "ada", input: "ada", expected: 3 }],
      task: (user) =>
        Effect.andThen(
          Effect.when(Effect.fail("no user"), Effect.succeed(user === "")),
          Orders.useSync((orders) => orders.of(user))
        ),
      scorers: {
        exact: Evals.exact,
        known: ({ output }) => Dictionary.useSync((words) => words.has(String(output))),
        judged: Evals.judge({ rubric: "It is a number.", model: OpenAi.model("gpt-5-mini") })
      }
    })
    expectTypeOf(evaluation).toEqualTypeOf<Effect.Effect<Evals.Report, never, Orders | Dictionary>>()
  })

  it("cassettes and run logs provide the model of the task", () => {
    const agent = Agent.make("assistant")
    const evaluation = Evals.run("hello", {
      cases: [{ name: "ada", input: "Hello?" }],
      task: Evals.ask(agent),
      scorers: { brief: ({ output }) => output.length < 10 }
    })
    expectTypeOf(evaluation).toEqualTypeOf<Effect.Effect<Evals.Report, never, LanguageModel.LanguageModel>>()
    const kept = Evals.run("hello", {
      cases: [{ name: "ada", input: "Hello?" }],
      task: Evals.ask(agent),
      scorers: { brief: ({ output }) => output.length < 10 },
      cache: Evals.cassettes("evals/cassettes", OpenAi.model("gpt-5-mini"))
    })
    expectTypeOf(kept).toEqualTypeOf<
      Effect.Effect<Evals.Report, CassetteError | Config.ConfigError | PackageMissing, FileSystem.FileSystem>
    >()
    const logged = Evals.run("hello", {
      cases: [{ name: "ada", input: "Hello?" }],
      task: Evals.ask(agent),
      scorers: { brief: ({ output }) => output.length < 10 },
      cache: Evals.runLogs("evals/logs", Scripted.model([]))
    })
    expectTypeOf(logged).toEqualTypeOf<Effect.Effect<Evals.Report, LogError, FileSystem.FileSystem>>()
  })

  it("agents and teams answer with text, or with a value of a schema", () => {
    const agent = Agent.make("assistant")
    const team = Team.pipeline("team", [agent])
    const Answer = Schema.Struct({ answer: Schema.Int })
    for (const target of [agent, team]) {
      expectTypeOf(Evals.ask(target)).toEqualTypeOf<
        Evals.Task<Agent.Input, string, Evals.AskError, LanguageModel.LanguageModel>
      >()
      expectTypeOf(Evals.ask(target, { output: Answer })).toEqualTypeOf<
        Evals.Task<Agent.Input, { readonly answer: number }, Evals.AskError, LanguageModel.LanguageModel>
      >()
    }
    Evals.run("answers", {
      cases: [{ name: "one", input: "1?", expected: 1 }],
      task: Evals.ask(team, { output: Answer }),
      scorers: {
        right: ({ expected, output }) => output.answer === expected,
        tools: Evals.trajectory(({ case: { expected } }) => expected === 1 ? ["look"] : [])
      }
    })
  })

  it("wrong evaluations do not compile", () => {
    const wrong = () => [
      // @ts-expect-error a trial's log is of the task as it is: there is no fork of it to replay
      Evals.runLogs("evals/logs", Scripted.model([]), { forked: { at: 1 } }),
      // @ts-expect-error a task for another input
      Evals.run("sums", { cases: sums, task: (input: string) => Effect.succeed(input), scorers: {} }),
      Evals.run("sums", {
        cases: [{ name: "one", input: [1, 2] }],
        task: add,
        // @ts-expect-error no case has an expected output
        scorers: { exact: Evals.exact }
      }),
      Evals.run("sums", {
        cases: sums,
        task: add,
        // @ts-expect-error the output is a number
        scorers: { brief: ({ output }) => output.length < 3 }
      }),
      // @ts-expect-error a scorer that says nothing
      Evals.run("sums", { cases: sums, task: add, scorers: { silent: () => "good" } }),
      Evals.run("sums", {
        // @ts-expect-error a case without a name
        cases: [{ input: [1] }],
        task: () => Effect.void,
        scorers: { any: () => true }
      }),
      Evals.judge({
        rubric: "It is kind.",
        model: Scripted.model([]),
        // @ts-expect-error no trial has it
        show: (trial: { readonly input: unknown; readonly output: unknown; readonly expected: unknown }) => trial.answer
      })
    ]
    expectTypeOf(wrong).toBeFunction()
  })
})
