import { NodeFileSystem } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Config, Effect, Fiber, FileSystem, Layer, Ref } from "effect"
import { AiError, type LanguageModel } from "effect/ai"
import * as fc from "fast-check"
import * as Agent from "../src/Agent.ts"
import { keyPart } from "../src/internal/evals/cache.ts"
import { CassetteError } from "../src/Llm/Recorded.ts"
import * as Scripted from "../src/Llm/Scripted.ts"
import * as Evals from "../src/testing/Evals.ts"
import { turns } from "./fixtures/actors.ts"

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

const greet = <E1, E2>(
  folder: string,
  model: Layer.Layer<LanguageModel.LanguageModel, E1>,
  options: {
    readonly version?: string
    readonly instructions?: string
    readonly judge?: Layer.Layer<LanguageModel.LanguageModel, E2>
  } = {}
) =>
  Evals.run("greeting", {
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
    cache: Evals.cassettes(folder, model)
  })

const kind = JSON.stringify({ criterion_1: { reasons: "It greets.", met: "yes" } })

const greeter: Scripted.Answer = (request) => `Hi ${/I am (\w+)/.exec(Scripted.lines(request).at(-1)!)![1]}!`

/** The report, but for its times. */
const untimed = (report: Evals.Report): unknown =>
  JSON.parse(JSON.stringify(report, (key, value) => key === "startedAt" || key === "duration" ? undefined : value))

describe("Evals.cassettes", () => {
  it.effect("a second evaluation gives the same report, and needs neither model nor judge", () =>
    withFolder((folder) =>
      Effect.gen(function*() {
        const model = yield* counting(greeter)
        const judge = yield* counting(() => kind)
        const report = yield* greet(folder, model.layer, { judge: judge.layer })
        assert.deepStrictEqual([yield* model.counts, yield* judge.counts], [[1, 4], [1, 4]])
        assert.strictEqual(Evals.summary(report).pass, 1)
        assert.sameMembers(yield* filesIn(folder), [
          "greeting/current/ada/1.json",
          "greeting/current/ada/1-judged.json",
          "greeting/current/ada/2.json",
          "greeting/current/ada/2-judged.json",
          "greeting/current/bob/1.json",
          "greeting/current/bob/1-judged.json",
          "greeting/current/bob/2.json",
          "greeting/current/bob/2-judged.json"
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
        assert.instanceOf(error, CassetteError)
        assert.match(
          error.message,
          /greeting\/current\/(ada|bob)\/[12]\.json: is a recording of other requests; delete it/
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
        yield* fs.remove(`${folder}/greeting/current/ada/1.json`)
        const report = yield* greet(folder, Scripted.model(() => "Hi Ada, again!"), { judge: noKey })
        const { outcome } = report.cases[0]!.trials[0]!
        assert(outcome._tag === "Answered" && outcome.scores["judged"]?._tag === "Unscored")
        assert.include(outcome.scores["judged"].problem, "1-judged.json: is a recording of other requests")
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

  it.effect("a cassette that is none ends the evaluation", () =>
    withFolder((folder) =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        yield* fs.makeDirectory(`${folder}/greeting/current/ada`, { recursive: true })
        yield* fs.writeFileString(`${folder}/greeting/current/ada/1.json`, "{ cut off")
        const error = yield* Effect.flip(greet(folder, Scripted.model(greeter)))
        assert.include(error.message, "ada/1.json: is not a cassette")
      })
    ))

  it("names of files are those that any system takes, and different for different names", () => {
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
