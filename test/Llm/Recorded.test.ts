import { NodeFileSystem } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect, Fiber, FileSystem, Layer, Random, Redacted, Schema, Stream } from "effect"
import { AiError, LanguageModel, Model, type Response, Tool as AiTool, Toolkit } from "effect/ai"
import { TestClock } from "effect/testing"
import * as Agent from "../../src/Agent.ts"
import * as OpenAi from "../../src/Llm/OpenAi.ts"
import * as Recorded from "../../src/Llm/Recorded.ts"
import * as Scripted from "../../src/Llm/Scripted.ts"
import * as Tool from "../../src/Tool.ts"
import { variables } from "../fixtures/config.ts"
import * as Loopback from "../fixtures/loopbackServer.ts"
import * as Wire from "../fixtures/openAiWire.ts"

/** Runs a test with the name of a cassette that does not exist yet. */
const withCassette = <A, E>(test: (file: string) => Effect.Effect<A, E, FileSystem.FileSystem>) =>
  Effect.scoped(Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    return yield* test(`${yield* fs.makeTempDirectoryScoped()}/cassette.json`)
  })).pipe(Effect.provide(NodeFileSystem.layer))

const read = (file: string) => Effect.flatMap(FileSystem.FileSystem, (fs) => fs.readFileString(file))

/** Each part with the time at which it came. */
const timed = (prompt: string) =>
  Effect.gen(function*() {
    const start = yield* Clock.currentTimeMillis
    const fiber = yield* LanguageModel.streamText({ prompt }).pipe(
      Stream.mapEffect((part) => Effect.map(Clock.currentTimeMillis, (now) => [now - start, part] as const)),
      Stream.runCollect,
      Effect.forkChild
    )
    yield* TestClock.adjust("1 minute")
    return yield* Fiber.join(fiber)
  })

const ask = (prompt: string) => Effect.map(LanguageModel.generateText({ prompt }), ({ text }) => text)

const descriptionOf = (error: AiError.AiError | Recorded.CassetteError) => {
  assert(error._tag === "AiError" && error.reason._tag === "InvalidRequestError")
  return error.reason.description ?? ""
}

describe("Recorded", () => {
  it.effect("a replay gives the same parts at the same times, without the model", () =>
    withCassette((file) =>
      Effect.gen(function*() {
        const turn = [
          Scripted.delay("2 seconds"),
          Scripted.reasoning("Hm.", { scripted: { signature: "abc" } }),
          Scripted.delay("3 seconds"),
          Scripted.text("One two."),
          Scripted.usage(10, 2)
        ]
        const live = yield* Effect.provide(timed("Count!"), Recorded.record(file)(Scripted.model([turn])))
        const again = yield* Effect.provide(timed("Count!"), Recorded.replay(file))
        assert.deepStrictEqual(again, live)
        assert.deepStrictEqual(Array.from(new Set(live.map(([at]) => at))), [2000, 5000])
        const names = Effect.all([Model.ProviderName, Model.ModelName])
        assert.deepStrictEqual(yield* Effect.provide(names, Recorded.replay(file)), ["scripted", "scripted"])
      })
    ))

  it.effect("a run of an agent is the same again, its tools run for real", () =>
    withCassette((file) =>
      Effect.gen(function*() {
        let runs = 0
        const agent = Agent.make("assistant", {
          tools: [
            Tool.fn("get_weather", {
              description: "Weather",
              parameters: { city: Schema.String },
              success: Schema.String
            }, ({ city }) =>
              Effect.sync(() => {
                runs++
                return `18 C in ${city}`
              }))
          ]
        })
        // A run has an id.
        const run = Stream.runCollect(Agent.run(agent, "Weather in Lagos?")).pipe(Random.withSeed("the same"))
        const live = yield* Effect.provide(
          run,
          Recorded.record(file)(Scripted.model([Scripted.toolCall("get_weather", { city: "Lagos" }), "18 degrees."]))
        )
        const again = yield* Effect.provide(run, Recorded.replay(file))
        assert.deepStrictEqual(again, live)
        assert.strictEqual(runs, 2)
      })
    ))

  it.effect("answers that are not streamed and structured ones are replayed too, tools of a call run around them", () =>
    withCassette((file) =>
      Effect.gen(function*() {
        const toolkit = Toolkit.make(AiTool.make("now", { success: Schema.DateTimeUtcFromString }))
        let runs = 0
        const handlers = toolkit.toLayer({
          now: () =>
            Effect.sync(() => {
              runs++
              return Schema.decodeSync(Schema.DateTimeUtcFromString)("1970-01-01T00:00:00.000Z")
            })
        })
        const run = Effect.all([
          ask("Hello?"),
          Effect.map(
            LanguageModel.generateObject({
              prompt: "When?",
              schema: Schema.Struct({ at: Schema.DateTimeUtcFromString })
            }),
            ({ value }) => value.at.epochMilliseconds
          ),
          Effect.map(LanguageModel.generateText({ prompt: "Now?", toolkit }), ({ toolResults }) => toolResults.length)
        ]).pipe(Effect.provide(handlers))
        const script = Scripted.model(["Hello.", `{"at":"1970-01-01T00:00:01.000Z"}`, Scripted.toolCall("now", {})])
        const live = yield* Effect.provide(run, Recorded.record(file)(script))
        assert.deepStrictEqual(live, ["Hello.", 1000, 1])
        assert.deepStrictEqual(yield* Effect.provide(run, Recorded.replay(file)), live)
        assert.strictEqual(runs, 2)
      })
    ))

  it.effect("a failure is replayed after what was said before it, with its reason", () =>
    withCassette((file) =>
      Effect.gen(function*() {
        const reason = new AiError.RateLimitError({ retryAfter: Duration.seconds(7) })
        const script = Scripted.model([[Scripted.text("One"), Scripted.fail(reason)]])
        const said: Array<string> = []
        const run = LanguageModel.streamText({ prompt: "Count!" }).pipe(
          Stream.runForEach((part) => Effect.sync(() => part.type === "text-delta" && said.push(part.delta))),
          Effect.flip
        )
        const live = yield* Effect.provide(run, Recorded.record(file)(script))
        const again = yield* Effect.provide(run, Recorded.replay(file))
        assert.deepStrictEqual(said, ["One", "One"])
        assert.strictEqual(again.message, live.message)
        assert.deepStrictEqual(again.retryAfter, Duration.seconds(7))
      })
    ))

  it.effect("a stream that nobody read to its end is recorded as far as it was read", () =>
    withCassette((file) =>
      Effect.gen(function*() {
        const first = LanguageModel.streamText({ prompt: "Count!" }).pipe(
          Stream.rechunk(1),
          Stream.filter((part) => part.type === "text-delta"),
          Stream.runHead
        )
        const script = Scripted.model([[Scripted.text("One"), Scripted.delay("1 hour"), Scripted.text("two")]])
        const live = yield* Effect.provide(first, Recorded.record(file)(script))
        assert.deepStrictEqual(yield* Effect.provide(first, Recorded.replay(file)), live)
        const further = yield* Effect.forkChild(Effect.flip(Effect.provide(timed("Count!"), Recorded.replay(file))))
        while (further.pollUnsafe() === undefined) yield* TestClock.adjust("1 second")
        assert.include(descriptionOf(yield* Fiber.join(further)), "the recording ends here")
      })
    ))

  it.effect("calls are found by their request, in any order; the same one twice gives the answers in turn", () =>
    withCassette((file) =>
      Effect.gen(function*() {
        yield* Effect.provide(
          Effect.forEach(["a", "b", "a"], ask),
          Recorded.record(file)(Scripted.model(["First a.", "Only b.", "Second a."]))
        )
        yield* Effect.gen(function*() {
          assert.deepStrictEqual(yield* Effect.forEach(["b", "a", "a"], ask), ["Only b.", "First a.", "Second a."])
          const error = yield* Effect.flip(ask("a"))
          assert.strictEqual(descriptionOf(error), "this request was recorded 2 times and is asked once more")
        }).pipe(Effect.provide(Recorded.replay(file)))
      })
    ))

  it.effect("calls at once are recorded apart, in the order in which they began", () =>
    withCassette((file) =>
      Effect.gen(function*() {
        const run = Effect.gen(function*() {
          const fiber = yield* Effect.forkChild(Effect.forEach(["a", "b"], ask, { concurrency: 2 }))
          yield* TestClock.adjust("10 seconds")
          return yield* Fiber.join(fiber)
        })
        const script = Scripted.model([[Scripted.delay("9 seconds"), Scripted.text("A.")], "B."])
        assert.deepStrictEqual(yield* Effect.provide(run, Recorded.record(file)(script)), ["A.", "B."])
        assert.deepStrictEqual(yield* Effect.provide(run, Recorded.replay(file)), ["A.", "B."])
        const text = yield* read(file)
        assert.isBelow(text.indexOf(`"A."`), text.indexOf(`"B."`))
      })
    ))

  it.live("a model on the wire is replayed without it, and its headers are not in the file", () =>
    withCassette((file) =>
      Effect.gen(function*() {
        const key = "sk-test-0123456789abcdefghij"
        const server = yield* Loopback.make(
          Loopback.sse(Wire.chatText(["18 degrees", " and cloudy."]), {
            headers: { "set-cookie": "session=1", "x-organization": "acme-inc" }
          })
        )
        const live = OpenAi.model("gpt-4o-mini", { api: "chat" }).pipe(
          Layer.provide(variables({ OPENAI_API_KEY: key, OPENAI_BASE_URL: `${server.url}/v1` }))
        )
        const run = Agent.response(Agent.run(Agent.make("assistant"), "Weather?"))
        const first = yield* Effect.provide(run, Recorded.record(file)(live))
        const again = yield* Effect.provide(run, Recorded.replay(file))
        assert.strictEqual(again.text, "18 degrees and cloudy.")
        assert.strictEqual(JSON.stringify(again.usage), JSON.stringify(first.usage))
        assert.strictEqual(server.requests.length, 1)
        for (const secret of [key, "session=1", "acme-inc"]) assert.notInclude(yield* read(file), secret)
      }).pipe(Effect.scoped)
    ))

  it.effect("a request that was not recorded fails with the difference from the closest one", () =>
    withCassette((file) =>
      Effect.gen(function*() {
        const long = "Tell me everything that you know of the weather in Lagos, in detail and in order."
        yield* Effect.provide(
          Effect.forEach(["Hello?", long], ask),
          Recorded.record(file)(Scripted.model(["Hello.", "No."]))
        )
        const other = long.replace("Lagos", "Paris")
        const error = yield* Effect.flip(Effect.provide(ask(other), Recorded.replay(file)))
        const lines = descriptionOf(error).split("\n")
        assert.strictEqual(lines.filter((line) => line.startsWith("-") && line.includes("Lagos")).length, 1)
        assert.strictEqual(lines.filter((line) => line.startsWith("+") && line.includes("Paris")).length, 1)
        assert.notInclude(descriptionOf(error), "Hello")
      })
    ))

  it.effect("no secret is in the file: not those handed in, and not what looks like one", () =>
    withCassette((file) =>
      Effect.gen(function*() {
        const options = { secrets: [Redacted.make("correct horse battery")] }
        const secrets = [
          "correct horse battery",
          "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789",
          "AIzaSyA1234567890abcdefghijklmnopqrstuv",
          "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
          "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N",
          "hunter2hunter2"
        ]
        const [given, openai, google, github, jwt, password] = secrets
        const prompt = `Use ${given}, ${openai}, ${github} and Bearer ${jwt} at https://me:${password}@example.com`
        const reason = new AiError.NetworkError({
          reason: "TransportError",
          method: "POST",
          url: `https://example.com/v1?key=${google}`,
          description: `refused ${openai}`
        })
        const script = Scripted.model([
          [Scripted.text(`It is ${given}`), Scripted.toolCall("login", { authorization: password, user: "me" })],
          Scripted.fail(reason)
        ])
        const bare = { prompt, disableToolCallResolution: true as const, toolCallValidation: "deferred" as const }
        const run = Effect.exit(Effect.forEach([1, 2], () => LanguageModel.generateText(bare)))
        yield* Effect.provide(run, Recorded.record(file, options)(script))
        const text = yield* read(file)
        for (const secret of secrets) assert.notInclude(text, secret)
        assert.include(text, `"user":"me"`)
        // The request that is asked again has its secrets, and is found all the same.
        const { content } = yield* Effect.provide(LanguageModel.generateText(bare), Recorded.replay(file, options))
        assert.strictEqual(content.length, 3)
      })
    ))

  it.effect("a secret that streams in pieces is in none of them", () =>
    withCassette((file) =>
      Effect.gen(function*() {
        const secret = "correct horse battery"
        const options = { secrets: [Redacted.make(secret)] }
        const script = Scripted.model([[Scripted.reasoning("Nothing."), Scripted.text(`It is ${secret}, I think.`)]])
        const run = LanguageModel.streamText({ prompt: "What is it?" }).pipe(
          Stream.runFold(() => "", (text, part) => part.type === "text-delta" ? text + part.delta : text)
        )
        yield* Effect.provide(run, Recorded.record(file, options)(script))
        for (const word of secret.split(" ")) assert.notInclude(yield* read(file), word)
        assert.strictEqual(
          yield* Effect.provide(run, Recorded.replay(file, options)),
          "It is <redacted>, I think."
        )
      })
    ))

  it.effect("a password among a call's arguments is neither in the call nor in the pieces that it streams in", () =>
    withCassette((file) =>
      Effect.gen(function*() {
        const params = { user: "me", password: "open \"sesame\"", "sk-proj-abcdefghijklmnopqrst": "a key as a name" }
        const deltas = JSON.stringify(params).match(/.{1,7}/g) ?? []
        const call = { id: "1", name: "login" }
        const model = Layer.effect(
          LanguageModel.LanguageModel,
          LanguageModel.make({
            generateText: () => Effect.succeed([]),
            streamText: () =>
              Stream.fromArray<Response.StreamPartEncoded>([
                { type: "tool-params-start", ...call },
                ...deltas.map((delta) => ({ type: "tool-params-delta" as const, id: "1", delta })),
                { type: "tool-params-end", id: "1" },
                { type: "tool-call", ...call, params }
              ])
          })
        )
        const run = Stream.runDrain(LanguageModel.streamText({
          prompt: "Log me in.",
          disableToolCallResolution: true,
          toolCallValidation: "deferred"
        }))
        yield* Effect.provide(run, Recorded.record(file)(model))
        const text = yield* read(file)
        for (const secret of ["sesame", "sk-proj"]) assert.notInclude(text, secret)
        assert.include(text, String.raw`\"password\":\"<redacted>\"`)
        assert.include(text, `"password":"<redacted>"`)
      })
    ))

  it.effect("of a failure the HTTP response is not in the file", () =>
    withCassette((file) =>
      Effect.gen(function*() {
        const reason = new AiError.InternalProviderError({
          description: "overloaded",
          http: { response: { status: 503, headers: { "x-organization": "acme-inc" } }, body: "for acme-inc" }
        })
        const run = Effect.flip(ask("Hello?"))
        yield* Effect.provide(run, Recorded.record(file)(Scripted.model([Scripted.fail(reason)])))
        assert.notInclude(yield* read(file), "acme-inc")
        const again = yield* Effect.provide(run, Recorded.replay(file))
        assert.include(again.message, "overloaded")
      })
    ))

  it.effect("the file is written after each call, one line for what fits into one", () =>
    withCassette((file) =>
      Effect.gen(function*() {
        const lines = Effect.map(read(file), (text) => text.split("\n"))
        yield* Effect.gen(function*() {
          assert.deepStrictEqual(yield* lines, [
            `{"version":1,"provider":"scripted","model":"scripted","calls":[]}`,
            ""
          ])
          yield* Stream.runDrain(LanguageModel.streamText({ prompt: "Count!" }))
          const written = yield* lines
          assert.include(written, `        {"at":0,"part":{"type":"text-delta","id":"0","delta":"One"}},`)
          assert.include(written, `      "end": {"at":0,"outcome":"complete"}`)
        }).pipe(Effect.provide(Recorded.record(file)(Scripted.model(["One two"]))))
      })
    ))

  it.effect("replayOrRecord asks the model where there is no cassette, and builds no model where there is one", () =>
    withCassette((file) =>
      Effect.gen(function*() {
        let built = 0
        const model = Layer.unwrap(Effect.sync(() => {
          built++
          return Scripted.model(["18 degrees."])
        })).pipe(Recorded.replayOrRecord(file))
        assert.strictEqual(yield* Effect.provide(ask("Weather?"), model, { local: true }), "18 degrees.")
        assert.strictEqual(yield* Effect.provide(ask("Weather?"), model, { local: true }), "18 degrees.")
        assert.strictEqual(built, 1)
        assert.include(descriptionOf(yield* Effect.flip(Effect.provide(ask("News?"), model))), "was not recorded")
      })
    ))

  it.effect("a cassette that is missing, unwritable or no cassette is an error that says so", () =>
    withCassette((file) =>
      Effect.gen(function*() {
        const problemOf = <A>(model: Layer.Layer<A, Recorded.CassetteError, FileSystem.FileSystem>) =>
          Effect.map(Effect.flip(Effect.scoped(Layer.build(model))), (error) => error.message)
        assert.include(yield* problemOf(Recorded.replay(file)), "cassette.json: can't be read: ")
        assert.include(
          yield* problemOf(Recorded.record(`${file}-folder/cassette.json`)(Scripted.model([]))),
          "can't be written: there is no such folder"
        )
        const fs = yield* FileSystem.FileSystem
        yield* fs.writeFileString(file, `{"version":2}`)
        assert.include(yield* problemOf(Recorded.replay(file)), "cassette.json: is not a cassette: ")
      })
    ))

  it("a cassette without a name throws where the layer is made", () => {
    assert.throws(() => Recorded.record(""), RangeError, "Recorded.record: file must be a text that is not empty")
    assert.throws(() => Recorded.replay(""), RangeError, "Recorded.replay: file must be a text that is not empty")
  })
})
