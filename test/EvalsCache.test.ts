import { NodeFileSystem } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Config, Effect, Fiber, FileSystem, Layer, Ref, type Scope } from "effect"
import { AiError, type LanguageModel } from "effect/ai"
import * as fc from "fast-check"
import * as Agent from "../src/Agent.ts"
import { keyPart } from "../src/internal/evals/cache.ts"
import type { CassetteError } from "../src/Llm/Recorded.ts"
import * as Scripted from "../src/Llm/Scripted.ts"
import type * as RunLog from "../src/RunLog.ts"
import * as Team from "../src/Team.ts"
import * as Evals from "../src/testing/Evals.ts"
import * as Tool from "../src/Tool.ts"
import { pass, turns } from "./fixtures/actors.ts"

const withFolder = <A, E>(test: (folder: string) => Effect.Effect<A, E, FileSystem.FileSystem>) =>
  Effect.scoped(Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    return yield* test(`${yield* fs.makeTempDirectoryScoped()}/cassettes`)
  })).pipe(Effect.provide(NodeFileSystem.layer))

const filesIn = (folder: string) =>
  Effect.flatMap(
    FileSystem.FileSystem,
    (fs) =>
      Effect.map(fs.readDirectory(folder, { recursive: true }), (files) => files.filter((file) => /\./.test(file)))
  )

/** A model that counts how often it is built and asked. */
const counting = (script: Scripted.Answer) =>
  Effect.gen(function*() {
    const built = yield* Ref.make(0)
    const asked = yield* Ref.make(0)
    const count = (request: Scripted.ModelRequest) => {
      Effect.runSync(Ref.update(asked, (n) => n + 1))
      return script(request)
    }
    const layer = Layer.unwrap(Effect.as(Ref.update(built, (n) => n + 1), Scripted.model(count)))
    return { layer, counts: Effect.all([Ref.get(built), Ref.get(asked)]) }
  })

const noKey: Layer.Layer<LanguageModel.LanguageModel, Config.ConfigError> = Layer.unwrap(
  Effect.map(Config.String("NO_SUCH_KEY_ANYWHERE"), () => Scripted.model([]))
)

const ways = {
  cassettes: { keep: Evals.cassettes, tag: "CassetteError", extension: "json", broken: "is not a cassette" },
  runLogs: { keep: Evals.runLogs, tag: "LogError", extension: "jsonl", broken: "line 1: " }
}

const greetWith = (way: keyof typeof ways) =>
<E1, E2>(
  folder: string,
  model: Layer.Layer<LanguageModel.LanguageModel, E1>,
  options: {
    readonly version?: string
    readonly instructions?: string
    readonly judge?: Layer.Layer<LanguageModel.LanguageModel, E2>
  } = {}
) => {
  const keep: (
    folder: string,
    model: Layer.Layer<LanguageModel.LanguageModel, E1>
  ) => Effect.Effect<
    Evals.Cache<LanguageModel.LanguageModel, E1 | CassetteError | RunLog.LogError>,
    never,
    FileSystem.FileSystem | Scope.Scope
  > = ways[way].keep
  return Evals.run("greeting", {
    version: options.version,
    cases: [{ name: "ada", input: "I am Ada.", expected: "Hi Ada" }, {
      name: "bob",
      input: "I am Bob.",
      expected: "Hi"
    }],
    task: Evals.ask(Agent.make("greeter", { instructions: options.instructions ?? "Greet." })),
    scorers: {
      greets: ({ expected, output }) => output.startsWith(expected),
      judged: Evals.judge({ rubric: "It is kind.", model: options.judge ?? Scripted.model(() => kind) })
    },
    trials: 2,
    cache: keep(folder, model)
  })
}

const kind = JSON.stringify({ criterion_1: { reasons: "It greets.", met: "yes" } })

const greeter: Scripted.Answer = (request) => `Hi ${/I am (\w+)/.exec(Scripted.lines(request).at(-1)!)![1]}!`

/** The report, but for its times. */
const untimed = (report: Evals.Report): unknown =>
  JSON.parse(JSON.stringify(report, (key, value) => key === "startedAt" || key === "duration" ? undefined : value))

for (const way of ["cassettes", "runLogs"] as const) {
  const { broken, extension, tag } = ways[way]
  const greet = greetWith(way)
  describe(`Evals.${way}`, () => {
    it.effect("a second evaluation gives the same report, and needs neither model nor judge", () =>
      withFolder((folder) =>
        Effect.gen(function*() {
          const model = yield* counting(greeter)
          const judge = yield* counting(() => kind)
          const report = yield* greet(folder, model.layer, { judge: judge.layer })
          assert.deepStrictEqual([yield* model.counts, yield* judge.counts], [[1, 4], [1, 4]])
          assert.strictEqual(Evals.summary(report).pass, 1)
          assert.sameMembers(yield* filesIn(folder), [
            `greeting/current/ada/1.${extension}`,
            `greeting/current/ada/1-judged.${extension}`,
            `greeting/current/ada/2.${extension}`,
            `greeting/current/ada/2-judged.${extension}`,
            `greeting/current/bob/1.${extension}`,
            `greeting/current/bob/1-judged.${extension}`,
            `greeting/current/bob/2.${extension}`,
            `greeting/current/bob/2-judged.${extension}`
          ])
          const again = yield* greet(folder, noKey, { judge: noKey })
          assert.deepStrictEqual(untimed(again), untimed(report))
        })
      ))

    it.effect("requests that were not recorded end the evaluation with the file; another version records its own", () =>
      withFolder((folder) =>
        Effect.gen(function*() {
          yield* greet(folder, Scripted.model(greeter))
          const error = yield* Effect.flip(greet(folder, noKey, { instructions: "Greet warmly." }))
          assert.strictEqual(error._tag, tag)
          assert.match(
            error.message,
            /greeting\/current\/(ada|bob)\/[12]\.jsonl?: is a recording of other requests; delete it/
          )
          assert.include(error.message, "+")
          assert.include(error.message, "Greet warmly.")
          const model = yield* counting(greeter)
          yield* greet(folder, model.layer, { instructions: "Greet warmly.", version: "warm" })
          assert.deepStrictEqual(yield* model.counts, [1, 4])
        })
      ))

    it.effect("a judge of other requests leaves its trial unscored", () =>
      withFolder((folder) =>
        Effect.gen(function*() {
          yield* greet(folder, Scripted.model(greeter))
          const fs = yield* FileSystem.FileSystem
          yield* fs.remove(`${folder}/greeting/current/ada/1.${extension}`)
          const report = yield* greet(folder, Scripted.model(() => "Hi Ada, again!"), { judge: noKey })
          const { outcome } = report.cases[0]!.trials[0]!
          assert(outcome._tag === "Answered" && outcome.scores["judged"]?._tag === "Unscored")
          assert.include(outcome.scores["judged"].problem, `1-judged.${extension}: is a recording of other requests`)
        })
      ))

    it.effect("a model that can't be built ends the evaluation with its error, a judge's leaves trials unscored", () =>
      withFolder((folder) =>
        Effect.gen(function*() {
          const error = yield* Effect.flip(greet(folder, noKey))
          assert.strictEqual(error._tag, "ConfigError")
          assert.deepStrictEqual(yield* Effect.orElseSucceed(filesIn(folder), () => []), [])
          const report = yield* greet(folder, Scripted.model(greeter), { judge: noKey })
          assert.strictEqual(Evals.summary(report).unscored, 4)
        })
      ))

    it.effect("a trial that was interrupted leaves nothing and is recorded the next time", () =>
      withFolder((folder) =>
        Effect.gen(function*() {
          const fiber = yield* Effect.forkChild(
            greet(folder, Scripted.model(() => [Scripted.text("Hi "), Scripted.delay("1 hour"), Scripted.text("Ada!")]))
          )
          const recording = Effect.gen(function*() {
            while ((yield* Effect.orElseSucceed(filesIn(folder), () => [])).length < 4) yield* turns
          })
          yield* recording
          yield* Fiber.interrupt(fiber)
          assert.deepStrictEqual(yield* filesIn(folder), [])
          const report = yield* greet(folder, Scripted.model(greeter))
          assert.strictEqual(Evals.summary(report).pass, 1)
        })
      ))

    it.live("evaluations that record the same trials at once leave whole recordings", () =>
      withFolder((folder) =>
        Effect.gen(function*() {
          const slowly = Scripted.model((
            request
          ) => [Scripted.delay("5 millis"), Scripted.text(String(greeter(request)))])
          yield* Effect.all([greet(folder, slowly), greet(folder, slowly)], { concurrency: "unbounded" })
          assert.strictEqual(Evals.summary(yield* greet(folder, noKey)).pass, 1)
          assert.deepStrictEqual((yield* filesIn(folder)).filter((file) => file.endsWith("unfinished")), [])
        })
      ))

    it.live("a trial that took too long does so again", () =>
      withFolder((folder) =>
        Effect.gen(function*() {
          const slow = <E>(model: Layer.Layer<LanguageModel.LanguageModel, E>) => {
            const keep: (
              folder: string,
              model: Layer.Layer<LanguageModel.LanguageModel, E>
            ) => Effect.Effect<
              Evals.Cache<LanguageModel.LanguageModel, E | CassetteError | RunLog.LogError>,
              never,
              FileSystem.FileSystem | Scope.Scope
            > = ways[way].keep
            return Evals.run("slow", {
              cases: [{ name: "ada", input: "I am Ada." }],
              task: Evals.ask(Agent.make("greeter")),
              scorers: { any: () => true },
              trials: 4,
              timeout: "50 millis",
              cache: keep(folder, model)
            })
          }
          const report = yield* slow(Scripted.model(() => [Scripted.text("Hi"), Scripted.delay("1 hour")]))
          const again = yield* slow(noKey)
          assert.deepStrictEqual(untimed(again), untimed(report))
          assert.strictEqual(Evals.summary(again).failed, 4)
        })
      ))

    it.effect("a trial that failed is kept as it failed", () =>
      withFolder((folder) =>
        Effect.gen(function*() {
          const overloaded = Scripted.fail(new AiError.InternalProviderError({ description: "overloaded" }))
          const report = yield* greet(folder, Scripted.model(() => overloaded))
          const { outcome } = report.cases[0]!.trials[0]!
          assert(outcome._tag === "Failed" && outcome.kind === "error")
          assert.deepStrictEqual(untimed(yield* greet(folder, noKey)), untimed(report))
        })
      ))

    it.effect("a file that is no recording ends the evaluation", () =>
      withFolder((folder) =>
        Effect.gen(function*() {
          const fs = yield* FileSystem.FileSystem
          yield* fs.makeDirectory(`${folder}/greeting/current/ada`, { recursive: true })
          yield* fs.writeFileString(`${folder}/greeting/current/ada/1.${extension}`, "{ cut off\n")
          const error = yield* Effect.flip(greet(folder, Scripted.model(greeter)))
          assert.include(error.message, `ada/1.${extension}`)
          assert.include(error.message, broken)
        })
      ))
  })
}

describe("Evals.runLogs", () => {
  it.effect("replays tools, times and models of the agents' own, without waiting", () =>
    withFolder((folder) =>
      Effect.gen(function*() {
        const looked = yield* Ref.make(0)
        const look = Tool.fn("look", { description: "" }, () => Ref.update(looked, (n) => n + 1))
        const model = yield* counting((request) =>
          request.prompt.content.length === 1
            ? Scripted.toolCall("look", {})
            : [Scripted.delay("5 seconds"), Scripted.text("Seen.")]
        )
        const evaluation = Evals.run("looking", {
          cases: [{ name: "one", input: "Look." }],
          task: Evals.ask(Team.pipeline("team", [Agent.make("scout", { tools: [look], model: model.layer })])),
          scorers: { tools: Evals.trajectory(["look"]), slow: ({ duration }) => duration === 5000 },
          cache: Evals.runLogs(folder, Scripted.model([]))
        })
        const recording = yield* Effect.forkChild(evaluation)
        while ((yield* model.counts)[1] < 2) yield* turns
        yield* pass("5 seconds")
        const report = yield* Fiber.join(recording)
        assert.strictEqual(Evals.summary(report).pass, 1)
        const again = yield* evaluation
        assert.deepStrictEqual(again.cases, report.cases)
        assert.deepStrictEqual([(yield* model.counts)[1], yield* Ref.get(looked)], [2, 1])
      })
    ))
})

describe("The files of trials", () => {
  it("have names that any system takes, different ones for different cases", () => {
    assert.strictEqual(keyPart("refund-2"), "refund-2")
    fc.assert(fc.property(fc.string({ minLength: 1 }), fc.string({ minLength: 1 }), (a, b) => {
      assert.match(keyPart(a), /^[a-z0-9-]{1,80}$/)
      return a === b || keyPart(a) !== keyPart(b)
    }))
    for (const [a, b] of [["a b", "a-b"], ["A", "a"], ["?", "!"], ["x".repeat(99), "x".repeat(98)]] as const) {
      assert.notStrictEqual(keyPart(a), keyPart(b))
    }
  })
})
