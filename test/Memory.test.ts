import { assert, describe, expectTypeOf, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Latch, Layer, Logger, Ref, References, Schema, Stream } from "effect"
import { AiError, EmbeddingModel, LanguageModel, Prompt, Tokenizer } from "effect/ai"
import * as Scripted from "../src/Llm/Scripted.ts"
import * as Memory from "../src/Memory.ts"
import * as MemoryContract from "../src/testing/MemoryContract.ts"
import * as Transcript from "../src/Transcript.ts"
import { refused } from "./fixtures/badOptions.ts"

const user = Transcript.user

const says = (text: string): Transcript.Entry => ({
  _tag: "Answer",
  agent: "assistant",
  content: [Prompt.textPart({ text })]
})

const calls = (id: string, result: unknown = "ok"): Transcript.Entry => ({
  _tag: "Answer",
  agent: "assistant",
  content: [{
    type: "tool-use",
    id,
    name: "look_up",
    params: {},
    result,
    isFailure: false,
    providerExecuted: false,
    options: {},
    resultOptions: {}
  }]
})

/** Exchanges of two entries: `q0 a0 q1 a1 ...`. */
const exchanges = (count: number, from = 0): Array<Transcript.Entry> =>
  Array.from({ length: count }, (_, n) => [user(`q${n + from}`), says(`a${n + from}`)]).flat()

const lines = (entries: ReadonlyArray<Transcript.Entry>): ReadonlyArray<string> =>
  entries.map((entry) => {
    const [part] = entry.content
    return part?.type === "tool-use" ? part.id : Transcript.text(entry)
  })

const windowLines = Effect.flatMap(
  Memory.Memory,
  (memory) => Effect.map(memory.window, ({ entries }) => lines(entries))
)

const tell = (...entries: ReadonlyArray<Transcript.Entry>) =>
  Effect.flatMap(Memory.Memory, (memory) => memory.append(entries))

/** Vectors that say which of the known words a text has. */
const embeddingModel = (
  words: ReadonlyArray<string>,
  onBatch: (inputs: ReadonlyArray<string>) => Effect.Effect<void, AiError.AiError> = () => Effect.void
): Layer.Layer<EmbeddingModel.EmbeddingModel> =>
  Layer.effect(
    EmbeddingModel.EmbeddingModel,
    EmbeddingModel.make({
      embedMany: ({ inputs }) =>
        Effect.as(onBatch(inputs), {
          results: inputs.map((input) =>
            words.map((word) => input.split(/\W+/).filter((found) => found === word).length)
          ),
          usage: { inputTokens: undefined }
        })
    })
  )

const unavailable = AiError.make({
  module: "Test",
  method: "model",
  reason: new AiError.InternalProviderError({ description: "down" })
})

const summaryModel = Scripted.model(() => "Summary of everything.")

/** One token a word of the request. */
const wordTokenizer = Layer.succeed(
  Tokenizer.Tokenizer,
  Tokenizer.make({
    tokenize: (prompt) =>
      Effect.succeed(
        JSON.stringify(prompt.content).match(/"text":"[^"]*"/g)?.flatMap((text) => text.split(" ").map((_, n) => n)) ??
          []
      )
  })
)

/** Without the warnings that a test provokes. */
const quiet = Effect.provideService(References.MinimumLogLevel, "None")

/** Runs an effect and answers with what it logged too. */
const logged = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const messages: Array<string> = []
    const logger = Logger.make(({ logLevel, message }) => void messages.push(`${logLevel} ${String(message)}`))
    const value = yield* Effect.provide(effect, Logger.layer([logger]))
    return { value, messages }
  })

const memories = {
  "buffer(1)": Memory.buffer(1),
  "buffer(20)": Memory.buffer(20),
  "tokens(100)": Memory.tokens(100),
  "tokens(100) with a tokenizer": Layer.provide(Memory.tokens(100), wordTokenizer),
  "summarizing": Layer.provide(Memory.summarizing({ trigger: 100, keep: 30 }), summaryModel),
  "summarizing with a model that is down": Layer.provide(
    Memory.summarizing({ trigger: 100, keep: 30 }),
    Scripted.model(() => Scripted.fail(unavailable.reason))
  ),
  "semantic": Layer.provide(
    Memory.semantic({ k: 2, recent: 4 }),
    embeddingModel(["lighthouse", "keeper", "counts", "seven", "gulls", "door", "goat", "1", "2", "3", "4"])
  )
}

/** Kinds of entries, told in pieces. */
const Pieces = Schema.Array(Schema.Array(Schema.Literals(["prompt", "nothing", "answer", "long answer", "call"])))

const toEntries = (pieces: typeof Pieces.Type): ReadonlyArray<ReadonlyArray<Transcript.Entry>> => {
  let count = 0
  const toEntry = (kind: string): Transcript.Entry => {
    const text = `${kind} ${count++}`
    if (kind === "call") return calls(text)
    if (kind === "nothing") return user([])
    return kind === "prompt" ? user(text) : says(kind === "answer" ? text : text.repeat(40))
  }
  return pieces.map((piece) => piece.map(toEntry))
}

for (const [name, layer] of Object.entries(memories)) {
  describe(`${name} keeps the contract`, () => {
    for (const { check, name } of MemoryContract.promises(layer)) it.effect(name, () => quiet(check))

    it.effect.prop("whatever was said, in pieces of any size", [Pieces], ([pieces]) =>
      Effect.gen(function*() {
        const memory = yield* Memory.Memory
        const told: Array<Transcript.Entry> = []
        for (const entries of toEntries(pieces)) {
          yield* memory.append(entries)
          told.push(...entries)
          yield* MemoryContract.checkWindow(told, yield* memory.window)
        }
      }).pipe(Effect.provide(Layer.fresh(layer)), quiet))
  })
}

describe("MemoryContract", () => {
  /** A memory that cuts where it likes, does not bound a search and forgets only half. */
  const careless = Layer.sync(Memory.Memory, () => {
    let entries: ReadonlyArray<Transcript.Entry> = []
    return {
      append: (more) =>
        Effect.sync(() => {
          entries = [...entries, ...more]
        }),
      window: Effect.sync(() => Transcript.make(entries.slice(-4))),
      search: () => Effect.sync(() => entries),
      retract: Effect.void,
      clear: Effect.sync(() => {
        entries = entries.slice(entries.length / 2)
      })
    }
  })

  it.effect("names what a careless memory breaks", () =>
    Effect.gen(function*() {
      const outcomes = yield* Effect.forEach(MemoryContract.promises(careless), ({ check, name }) =>
        Effect.match(check, {
          onSuccess: () => undefined,
          onFailure: (error) => `${name}: ${error.message}`
        }))
      const broken = outcomes.filter((outcome) => outcome !== undefined).join("\n")
      assert.include(broken, "a window must begin with a user entry")
      assert.include(broken, "the limit is 2, got 30 entries")
      assert.include(broken, "an entry that was taken out is as if it had never been there")
      assert.include(broken, "a cleared memory is as good as new")
    }))

  it.effect("tells a window that must not be", () =>
    Effect.gen(function*() {
      const told = [...exchanges(3), user("now")]
      const wrong = (window: ReadonlyArray<Transcript.Entry>) =>
        Effect.map(Effect.flip(MemoryContract.checkWindow(told, Transcript.make(window))), (error) => error.message)
      assert.include(yield* wrong([]), "must begin with a user entry")
      assert.include(yield* wrong(told.slice(0, 4)), "the newest prompt must be in the window")
      assert.include(yield* wrong([...told, says("then")]), "must end with the newest entry")
      assert.include(yield* wrong([...exchanges(1, 2), ...told]), "once and in order")
      assert.include(yield* wrong([user("never said"), user("now")]), "the conversation's own")
      yield* MemoryContract.checkWindow(told, Transcript.make(told))
    }))
})

describe("Memory", () => {
  it.effect("buffer carries the last n entries, older exchanges whole or not at all", () =>
    Effect.gen(function*() {
      yield* tell(...exchanges(5))
      assert.deepStrictEqual(yield* windowLines, ["q3", "a3", "q4", "a4"])
    }).pipe(Effect.provide(Memory.buffer(5))))

  it.effect("a run longer than the limit keeps its prompt and its newest turns", () =>
    Effect.gen(function*() {
      yield* tell(...exchanges(2), user("all of it"), calls("c1"), calls("c2"), calls("c3"))
      assert.deepStrictEqual(yield* windowLines, ["all of it", "c2", "c3"])
    }).pipe(Effect.provide(Memory.buffer(3))))

  it.effect("a window is a transcript in which each call is followed by its result", () =>
    Effect.gen(function*() {
      yield* tell(user("first"), says("one"), user("second"), calls("c1"), calls("c2"))
      const memory = yield* Memory.Memory
      assert.deepStrictEqual((yield* memory.window).messages.map(({ role }) => role), ["user", "assistant", "tool"])
    }).pipe(Effect.provide(Memory.buffer(2))))

  it.effect("memories of one layer, built afresh, share nothing", () =>
    Effect.gen(function*() {
      const layer = Layer.fresh(Memory.buffer(5))
      yield* Effect.provide(tell(user("mine")), layer)
      assert.deepStrictEqual(yield* Effect.provide(windowLines, layer), [])
    }))

  it.effect("a window of a long conversation touches no entry before it", () =>
    Effect.gen(function*() {
      let counted = 0
      const tokenizer = Tokenizer.make({ tokenize: () => Effect.sync(() => [++counted]) })
      yield* Effect.gen(function*() {
        yield* tell(...exchanges(1000))
        assert.strictEqual((yield* windowLines).length, 4)
        assert.isAtMost(counted, 5)
      }).pipe(Effect.provide(Memory.tokens(4)), Effect.provideService(Tokenizer.Tokenizer, tokenizer))
    }))

  it.effect("tokens are counted by the tokenizer that is there", () =>
    Effect.gen(function*() {
      yield* tell(user("one two three"), says("four five"), user("six seven"), says("eight"))
      assert.deepStrictEqual(yield* windowLines, ["six seven", "eight"])
    }).pipe(Effect.provide(Layer.provide(Memory.tokens(7), wordTokenizer))))

  it.effect("without a tokenizer 4 characters are a token and a file is 1,000", () =>
    Effect.gen(function*() {
      yield* tell(user("x".repeat(400)), says("y".repeat(400)), user("z".repeat(400)), says("w".repeat(397)))
      assert.strictEqual((yield* windowLines).length, 4)
      yield* tell(user([Prompt.filePart({ mediaType: "image/png", data: new Uint8Array(1_000_000) })]))
      assert.strictEqual((yield* windowLines).length, 3)
    }).pipe(Effect.provide(Memory.tokens(1200))))

  it.effect("an entry that can't be tokenized is estimated, and the log says so", () =>
    Effect.gen(function*() {
      const tokenizer = Tokenizer.make({ tokenize: () => Effect.fail(unavailable) })
      const { messages, value } = yield* Effect.andThen(tell(...exchanges(20)), windowLines).pipe(
        Effect.provide(Memory.tokens(4)),
        Effect.provideService(Tokenizer.Tokenizer, tokenizer),
        logged
      )
      assert.strictEqual(value.length, 4)
      assert.include(messages[0], "Warn")
      assert.include(messages[0], "estimated")
    }))

  it.effect("a search puts the entry with most of the query's words first, and the newest of equals", () =>
    Effect.gen(function*() {
      const memory = yield* Memory.Memory
      yield* tell(says("The Lagos office"), says("rain in Lagos"), says("rain in Oslo"), calls("Lagos"))
      const found = yield* memory.search("RAIN, Lagos?", { limit: 2 })
      assert.deepStrictEqual(lines(found), ["rain in Lagos", "rain in Oslo"])
    }).pipe(Effect.provide(Memory.buffer(5))))

  it("a bad option is refused where the memory is made, and the field is named", () =>
    refused({
      "Memory.buffer: n must be a positive integer, got 0": () => Memory.buffer(0),
      "Memory.tokens: max must be a positive integer, got NaN": () => Memory.tokens(Number.NaN),
      "Memory.summarizing: trigger must be a positive integer, got 0.5": () =>
        Memory.summarizing({ trigger: 0.5, keep: 10 }),
      "Memory.summarizing: keep must be a positive integer, got 0": () => Memory.summarizing({ trigger: 10, keep: 0 }),
      "Memory.summarizing: keep must be less than trigger (10), got 10": () =>
        Memory.summarizing({ trigger: 10, keep: 10 }),
      "Memory.semantic: k must be a positive integer, got 1.5": () => Memory.semantic({ k: 1.5 }),
      "Memory.semantic: recent must be a positive integer, got -1": () => Memory.semantic({ k: 1, recent: -1 })
    }))

  it.effect("a bad limit of a search is refused when it is asked", () =>
    Effect.gen(function*() {
      const memory = yield* Memory.Memory
      refused({
        "Memory.search: limit must be a positive integer, got 0": () => memory.search("rain", { limit: 0 })
      })
    }).pipe(Effect.provide(Memory.buffer(5))))

  it("what a memory requires is in its type", () => {
    expectTypeOf(Memory.buffer(1)).toEqualTypeOf<Layer.Layer<Memory.Memory>>()
    expectTypeOf(Memory.tokens(1)).toEqualTypeOf<Layer.Layer<Memory.Memory>>()
    expectTypeOf(Memory.summarizing).returns.toEqualTypeOf<
      Layer.Layer<Memory.Memory, never, LanguageModel.LanguageModel>
    >()
    expectTypeOf(Memory.semantic).returns.toEqualTypeOf<
      Layer.Layer<Memory.Memory, never, EmbeddingModel.EmbeddingModel>
    >()
  })
})

describe("Memory.summarizing", () => {
  /** Weighs 10 tokens an entry; three of them are over the trigger, one stays. */
  const options = { trigger: 25, keep: 10 }
  const heavy = (text: string) => text.padEnd(40, ".")
  const requests = Effect.flatten(Scripted.Requests)
  const provide = (script: Parameters<typeof Scripted.model>[0]) =>
    Effect.provide(Memory.summarizing(options).pipe(Layer.provideMerge(Scripted.model(script))))

  it.effect("below the trigger the window is whole and the model is not asked", () =>
    Effect.gen(function*() {
      yield* tell(user(heavy("q0")), says(heavy("a0")))
      assert.strictEqual((yield* windowLines).length, 2)
      assert.strictEqual((yield* requests).length, 0)
    }).pipe(provide([])))

  it.effect("over the trigger the older entries become a marked summary before the newest ones", () =>
    Effect.gen(function*() {
      const memory = yield* Memory.Memory
      yield* tell(user(heavy("q0")), says(heavy("a0")), user(heavy("q1")))
      const { entries } = yield* memory.window
      assert.deepStrictEqual(entries.map(Memory.isSummary), [true, false])
      assert.include(Transcript.text(entries[0]!), "They talked about q0.")
      assert.strictEqual(Transcript.text(entries[1]!), heavy("q1"))
      yield* memory.window
      const all = yield* requests
      assert.strictEqual(all.length, 1)
      const asked = JSON.stringify(all[0]!.prompt)
      assert.include(asked, `user: ${heavy("q0")}`)
      assert.include(asked, `assistant: ${heavy("a0")}`)
      assert.notInclude(asked, "q1")
    }).pipe(provide(["They talked about q0."])))

  it.effect("the next summary is made of the one before and what came since, nothing else", () =>
    Effect.gen(function*() {
      yield* tell(user(heavy("q0")), says(heavy("a0")), user(heavy("q1")))
      yield* windowLines
      yield* tell(calls("c1", heavy("result")), says(heavy("a1")), user(heavy("q2")))
      assert.deepStrictEqual((yield* windowLines).slice(1), [heavy("q2")])
      const asked = JSON.stringify((yield* requests)[1]!.prompt)
      assert.include(asked, "They talked about q0.")
      assert.include(asked, `look_up({}), which gave ${heavy("result")}`)
      assert.include(asked, "q1")
      assert.notInclude(asked, heavy("q0"))
      assert.notInclude(asked, heavy("q2"))
    }).pipe(provide(["They talked about q0.", "And about q1."])))

  it.effect("what was summarized can still be searched", () =>
    Effect.gen(function*() {
      const memory = yield* Memory.Memory
      yield* tell(user(heavy("q0")), says(heavy("a0")), user(heavy("q1")))
      yield* memory.window
      assert.deepStrictEqual(lines(yield* memory.search("a0")), [heavy("a0")])
    }).pipe(provide(["Summary."])))

  it.effect("a model that fails, is cut off or is silent leaves the window whole, and the next one tries again", () =>
    Effect.gen(function*() {
      yield* tell(user(heavy("q0")), says(heavy("a0")), user(heavy("q1")))
      const { messages, value } = yield* logged(Effect.all([windowLines, windowLines, windowLines]))
      for (const window of value) assert.deepStrictEqual(window, [heavy("q0"), heavy("a0"), heavy("q1")])
      assert.strictEqual(messages.length, 3)
      assert.include(messages[1], "cut off (length)")
      assert.include(messages[2], "empty")
      assert.strictEqual((yield* windowLines).length, 2)
    }).pipe(provide([
      Scripted.fail(unavailable.reason),
      [Scripted.text("They talked ab"), Scripted.finish("length")],
      Scripted.finish("stop"),
      "They talked about q0."
    ])))

  it.effect("a long journal told at once is summarized in pieces, and what succeeded is not repeated", () =>
    Effect.gen(function*() {
      const told = Array.from({ length: 10 }, (_, n) => [user(heavy(`q${n}`)), says(heavy(`a${n}`))]).flat()
      yield* tell(...told)
      yield* quiet(windowLines)
      assert.deepStrictEqual((yield* windowLines).slice(1), [heavy("q9"), heavy("a9")])
      const asked = (yield* requests).map(({ prompt }) => JSON.stringify(prompt))
      const carries = asked.map((request) => told.filter((entry) => request.includes(Transcript.text(entry))).length)
      assert.deepStrictEqual(carries, [5, 5, 5, 5, 4])
      assert.include(asked[3], "Second.")
      assert.notInclude(asked[3], heavy("q2"))
    }).pipe(provide(["First.", "Second.", Scripted.fail(unavailable.reason), "Third.", "Fourth."])))

  /** A memory whose model says when it is asked and waits until it may answer. */
  const gated = Effect.gen(function*() {
    const asked = yield* Deferred.make<void>()
    const gate = yield* Latch.make()
    const count = yield* Ref.make(0)
    const model = Layer.effect(
      LanguageModel.LanguageModel,
      LanguageModel.make({
        generateText: () =>
          Ref.update(count, (n) => n + 1).pipe(
            Effect.andThen(Deferred.succeed(asked, undefined)),
            Effect.andThen(gate.await),
            Effect.as([
              { type: "text", text: "Summary." },
              { type: "finish", reason: "stop", usage: { inputTokens: {}, outputTokens: {} } }
            ])
          ),
        streamText: () => Stream.empty
      })
    )
    return { asked: Deferred.await(asked), gate, count, layer: Layer.provide(Memory.summarizing(options), model) }
  })

  it.effect("windows that are asked for at once share one summary", () =>
    Effect.gen(function*() {
      const { asked, count, gate, layer } = yield* gated
      yield* Effect.gen(function*() {
        yield* tell(user(heavy("q0")), says(heavy("a0")), user(heavy("q1")))
        const one = yield* Effect.forkChild(windowLines, { startImmediately: true })
        const other = yield* Effect.forkChild(windowLines, { startImmediately: true })
        yield* asked
        yield* gate.open
        const [first, second] = yield* Effect.all([Fiber.join(one), Fiber.join(other)])
        assert.deepStrictEqual(first, second)
        assert.strictEqual(first.length, 2)
        assert.strictEqual(yield* Ref.get(count), 1)
      }).pipe(Effect.provide(layer))
    }))

  it.effect("what is said while a summary is written comes after it", () =>
    Effect.gen(function*() {
      const { asked, gate, layer } = yield* gated
      yield* Effect.gen(function*() {
        yield* tell(user(heavy("q0")), says(heavy("a0")), user(heavy("q1")))
        const window = yield* Effect.forkChild(windowLines)
        yield* asked
        yield* tell(says("a1"))
        yield* gate.open
        assert.deepStrictEqual((yield* Fiber.join(window)).slice(1), [heavy("q1"), "a1"])
      }).pipe(Effect.provide(layer))
    }))

  it.effect("interrupted or cleared while it summarizes, it writes nothing", () =>
    Effect.gen(function*() {
      const { asked, gate, layer } = yield* gated
      yield* Effect.gen(function*() {
        const memory = yield* Memory.Memory
        yield* tell(user(heavy("q0")), says(heavy("a0")), user(heavy("q1")))
        const interrupted = yield* Effect.forkChild(windowLines)
        yield* asked
        yield* Fiber.interrupt(interrupted)
        const cleared = yield* Effect.forkChild(windowLines, { startImmediately: true })
        yield* memory.clear
        yield* tell(user("new"))
        yield* gate.open
        yield* Fiber.join(cleared)
        assert.deepStrictEqual(yield* windowLines, ["new"])
      }).pipe(Effect.provide(layer))
    }))

  it.effect("the prompt of a long run stays as it was said, while its older turns are summarized", () =>
    Effect.gen(function*() {
      yield* tell(user(heavy("do it")), calls("c1", heavy("")), calls("c2", heavy("")), calls("c3", heavy("")))
      assert.deepStrictEqual((yield* windowLines).slice(1), [heavy("do it"), "c3"])
    }).pipe(provide(["Two calls."])))

  it.effect("a prompt larger than the trigger is not summarized over and over", () =>
    Effect.gen(function*() {
      yield* tell(user(heavy("big").repeat(10)))
      for (let turn = 0; turn < 3; turn++) {
        yield* windowLines
        yield* tell(calls(`c${turn}`))
      }
      assert.strictEqual((yield* requests).length, 1)
      assert.deepStrictEqual((yield* windowLines).slice(2), ["c0", "c1", "c2"])
    }).pipe(provide(["A large prompt."])))
})

describe("Memory.semantic", () => {
  const topics = [
    user("the cat sleeps"),
    says("cat noted"),
    user("the ship sails"),
    calls("chart"),
    says("ship noted"),
    user("the cat and the dog eat"),
    says("dog noted"),
    user("the moon shines"),
    says("moon noted")
  ]
  const provide = (
    options: Memory.SemanticOptions,
    onBatch?: (inputs: ReadonlyArray<string>) => Effect.Effect<void, AiError.AiError>
  ) => Effect.provide(Layer.provide(Memory.semantic(options), embeddingModel(["cat", "dog", "ship", "moon"], onBatch)))

  it.effect("the nearest older exchanges come whole and in their order, before the recent entries", () =>
    Effect.gen(function*() {
      yield* tell(...topics, user("where is my cat?"))
      assert.deepStrictEqual(yield* windowLines, [
        "the cat sleeps",
        "cat noted",
        "the cat and the dog eat",
        "dog noted",
        "where is my cat?"
      ])
    }).pipe(provide({ k: 2, recent: 1 })))

  it.effect("a recalled exchange brings its tool calls along", () =>
    Effect.gen(function*() {
      yield* tell(...topics, user("ship"))
      assert.deepStrictEqual(yield* windowLines, ["the ship sails", "chart", "ship noted", "ship"])
    }).pipe(provide({ k: 1, recent: 1 })))

  it.effect("each prompt costs one batch of what was not embedded yet, the turns that answer it none", () => {
    const batches: Array<ReadonlyArray<string>> = []
    return Effect.gen(function*() {
      yield* tell(...topics.slice(0, 5))
      yield* windowLines
      yield* tell(user("one"))
      yield* windowLines
      yield* tell(calls("c1"), says("more"))
      yield* windowLines
      assert.deepStrictEqual(batches, [["the cat sleeps", "cat noted", "the ship sails"], ["ship noted", "one"]])
    }).pipe(provide({ k: 1, recent: 1 }, (inputs) => Effect.sync(() => batches.push(inputs))))
  })

  it.effect("an exchange that leaves the recent entries during a run can be recalled at once", () =>
    Effect.gen(function*() {
      yield* tell(user("the ship"), says("sails"), user("the cat"), says("sleeps"), user("cat?"))
      assert.deepStrictEqual(yield* windowLines, ["the ship", "sails", "the cat", "sleeps", "cat?"])
      yield* tell(calls("c1"))
      assert.deepStrictEqual(yield* windowLines, ["the cat", "sleeps", "cat?", "c1"])
    }).pipe(provide({ k: 1, recent: 3 })))

  it.effect("what is asked at once is embedded once", () => {
    const batches: Array<ReadonlyArray<string>> = []
    return Effect.gen(function*() {
      yield* tell(...topics, user("my cat?"))
      const windows = yield* Effect.all([windowLines, windowLines], { concurrency: "unbounded" })
      assert.deepStrictEqual(windows[0], windows[1])
      assert.strictEqual(batches.length, 1)
    }).pipe(
      provide({ k: 1, recent: 1 }, (inputs) => Effect.andThen(Effect.yieldNow, Effect.sync(() => batches.push(inputs))))
    )
  })

  it.effect("while everything is recent nothing is embedded", () => {
    let batches = 0
    return Effect.gen(function*() {
      yield* tell(...topics)
      assert.strictEqual((yield* windowLines).length, topics.length)
      assert.strictEqual(batches, 0)
    }).pipe(provide({ k: 1 }, () => Effect.sync(() => batches++)))
  })

  it.effect("a search goes by nearness, over everything that was said", () =>
    Effect.gen(function*() {
      const memory = yield* Memory.Memory
      yield* tell(...topics)
      const found = yield* memory.search("ship", { limit: 2 })
      assert.deepStrictEqual(lines(found), ["ship noted", "the ship sails"])
    }).pipe(provide({ k: 1 })))

  it.effect("failing embeddings cost only the recall, are logged, and are made up for later", () => {
    let down = true
    const onBatch = () => down ? Effect.fail(unavailable) : Effect.void
    return Effect.gen(function*() {
      const memory = yield* Memory.Memory
      yield* tell(...topics, user("my cat?"))
      const { messages, value } = yield* logged(windowLines)
      assert.deepStrictEqual(value, ["my cat?"])
      assert.include(messages[0], "embedding failed")
      const error = yield* Effect.flip(memory.search("cat"))
      assert.strictEqual(error._tag, "SearchFailed")
      assert.include(error.message, "down")
      down = false
      assert.deepStrictEqual((yield* windowLines).slice(0, 2), ["the cat sleeps", "cat noted"])
    }).pipe(provide({ k: 1, recent: 1 }, onBatch))
  })

  it.effect("what is embedded while the memory is cleared is not found afterwards", () =>
    Effect.gen(function*() {
      const asked = yield* Deferred.make<void>()
      const gate = yield* Latch.make()
      const onBatch = () => Effect.andThen(Deferred.succeed(asked, undefined), gate.await)
      yield* Effect.gen(function*() {
        const memory = yield* Memory.Memory
        yield* tell(...topics)
        const search = yield* Effect.forkChild(memory.search("cat"))
        yield* Deferred.await(asked)
        yield* memory.clear
        yield* tell(user("a dog"))
        yield* gate.open
        yield* Fiber.join(search)
        assert.deepStrictEqual(lines(yield* memory.search("dog")), ["a dog"])
      }).pipe(provide({ k: 1, recent: 1 }, onBatch))
    }))
})
