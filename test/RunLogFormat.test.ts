import { NodeFileSystem } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Redacted, Schema, Stream } from "effect"
import * as Agent from "../src/Agent.ts"
import { AgentEvent } from "../src/AgentEvent.ts"
import { OnSecrets } from "../src/internal/llm/secretsUsed.ts"
import * as Scripted from "../src/Llm/Scripted.ts"
import * as RunLog from "../src/RunLog.ts"
import * as Tool from "../src/Tool.ts"
import { modelOf } from "./fixtures/agents.ts"
import { divergence, recorded, watch } from "./fixtures/recorded.ts"
import { actor, cast } from "./fixtures/teams.ts"

const program = Agent.run(actor("a"), "Go")

const written = Effect.suspend(() =>
  recorded(Stream.runCollect(program)).pipe(Effect.provide(cast({ a: ["Hello there, you."] })))
)

const problemOf = (text: string) => Effect.map(Effect.flip(RunLog.parse(text, "run.jsonl")), ({ message }) => message)

describe("A run log", () => {
  it.effect("has an entry a line, and events that are events", () =>
    Effect.gen(function*() {
      const { log, text, value } = yield* written
      assert.strictEqual(text.split("\n").length, log.entries.length + 2)
      const decode = Schema.decodeUnknownEffect(Schema.toCodecJson(AgentEvent))
      const encode = Schema.encodeEffect(Schema.toCodecJson(AgentEvent))
      const events = yield* Effect.forEach(
        log.entries.filter((entry) => entry._tag === "Event"),
        ({ event }) => Effect.flatMap(decode(event), encode)
      )
      assert.deepStrictEqual(events, yield* Effect.forEach(value, (event) => encode(event)))
    }))

  it.effect("is refused where it is of another version, cut, changed or no log, with the line", () =>
    Effect.gen(function*() {
      const { text } = yield* written
      const lines = text.split("\n")
      const withLine = (line: number, json: string) =>
        [...lines.slice(0, line - 1), json, ...lines.slice(line)].join("\n")
      assert.strictEqual(yield* problemOf(""), "run.jsonl: is empty")
      assert.strictEqual(
        yield* problemOf(withLine(1, "{\"runLog\":2}")),
        "run.jsonl, line 1: is of version 2, and this is version 1"
      )
      assert.include(yield* problemOf("{\"calls\":[]}\n"), "run.jsonl, line 1: is not the beginning of a run log")
      assert.strictEqual(yield* problemOf(withLine(3, lines[2]!.slice(0, 40))), "run.jsonl, line 3: is not JSON")
      assert.include(
        yield* problemOf(withLine(3, lines[2]!.replace("\"Call\"", "\"Cal\""))),
        "run.jsonl, line 3: is not an entry of a run log"
      )
      assert.strictEqual(
        yield* problemOf(withLine(3, lines[2]!.replace("\"number\":1", "\"number\":7"))),
        "run.jsonl, line 3: is call 7 where call 1 is due"
      )
      assert.strictEqual(
        yield* problemOf(lines.filter((_, index) => index !== 2).join("\n")),
        "run.jsonl, line 3: answers model a/1, which was not called before"
      )
      assert.include(yield* problemOf(`${text}${lines[1]}\n`), "comes after the end of the program")
    }))

  it.effect("that was cut in its last line is read up to there", () =>
    Effect.gen(function*() {
      const { log, text } = yield* written
      const cut = yield* RunLog.parse(text.slice(0, -5))
      assert.deepStrictEqual(cut.entries, log.entries.slice(0, -1))
      assert.deepStrictEqual([log.complete, cut.complete], [true, false])
    }))

  it.effect("without its last line break, as an editor may leave it, is read whole", () =>
    Effect.gen(function*() {
      const { log, text } = yield* written
      assert.deepStrictEqual(yield* RunLog.parse(text.trimEnd()), log)
    }))

  it.effect("with an answer that is none ends its replay there", () =>
    Effect.gen(function*() {
      const { text } = yield* written
      const changed = yield* RunLog.parse(text.replace("\"type\":\"text-start\"", "\"type\":\"song-start\""))
      const error = yield* divergence(Stream.runDrain(RunLog.replay(program, changed))).pipe(
        Effect.provide(Scripted.model([]))
      )
      assert.include(error.message, "call 1 (a/1): the input model a/1 can't be read")
      // What was said is only a question of words.
      const other = yield* RunLog.parse(text.replaceAll("there", "where"))
      const events = yield* Stream.runCollect(RunLog.replay(program, other)).pipe(Effect.provide(Scripted.model([])))
      assert.include(JSON.stringify(events.at(-1)), "Hello where, you.")
    }))

  it.effect("holds no secret, whole or in pieces, and replays all the same", () =>
    Effect.gen(function*() {
      const secret = Redacted.make("swordfish, with \"quotes\"")
      const key = "sk-proj-abcdefghijklmnop0123456789"
      const tell = Tool.fn(
        "tell",
        { description: "", parameters: { password: Schema.String }, success: Schema.Unknown },
        () => Effect.as(Tool.emit({ authorization: "Token 4711" }), { apiKey: "hidden", text: Redacted.value(secret) })
      )
      const agent = Agent.make("a", { instructions: `Never say ${Redacted.value(secret)}`, tools: [tell] })
      const model = Scripted.model([
        [
          Scripted.text(`The key is ${key}, and ${Redacted.value(secret)}`),
          Scripted.toolCall("tell", { password: "letmein" })
        ],
        `Bearer ${key}`
      ])
      const delta = (delta: string) => ({ type: "text-delta" as const, id: "0", delta })
      const pieces = Stream.make(
        { type: "text-start" as const, id: "0" },
        delta(`Is it ${key.slice(0, 12)}`),
        delta(`${key.slice(12)}; swordf`)
      ).pipe(
        Stream.concat(Stream.fromEffect(Effect.as(Effect.sleep("1 second"), delta("ish, with \"quotes\"?")))),
        Stream.concat(Stream.make({ type: "text-end" as const, id: "0" })),
        Stream.concat(Stream.drain(Stream.fromEffect(Effect.sleep("1 second")))),
        Stream.concat(Stream.make(
          { type: "finish" as const, reason: "stop" as const, usage: { inputTokens: {}, outputTokens: {} } }
        ))
      )
      const other = Agent.make("other", { model: modelOf(pieces) })
      const later = Stream.unwrap(Effect.as(Effect.sleep("1 second"), Agent.run(other, "Go")))
      const program = Stream.runCollect(Stream.concat(Agent.run(agent, "Go"), later))
      const memory = RunLog.memory()
      const { exit } = yield* watch(RunLog.record(program, { to: memory, secrets: [secret] })).pipe(
        Effect.provide(model)
      )
      const events = yield* exit
      // The program itself has all of it.
      assert.include(JSON.stringify(events), key)
      const text = yield* memory.text
      for (
        const part of ["swordfish", "with \\\"quotes", "abcdefghijklmnop", "0123456789", "4711", "hidden", "letmein"]
      ) {
        assert.notInclude(text, part)
      }
      const log = yield* memory.log
      assert.isTrue(log.complete)
      const replayed = yield* watch(RunLog.replay(program, log)).pipe(Effect.provide(Scripted.model([])))
      assert.include(JSON.stringify(yield* replayed.exit), "Is it <redacted>; <redacted>?")
    }))

  it.effect("can be read and replayed where a secret is a word that logs are made of", () =>
    Effect.gen(function*() {
      const said = "The text: my model has a key of x."
      const program = Effect.asVoid(Agent.response(Agent.run(actor("a"), "Go")))
      for (
        const word of ["x", "key", "text", "model", "item", "_tag", "Input", "delta", "text-start", "finish", "stop"]
      ) {
        const memory = RunLog.memory()
        yield* RunLog.record(program, { to: memory, secrets: [Redacted.make(word)] }).pipe(
          Effect.provide(cast({ a: [said] }))
        )
        assert.strictEqual((yield* memory.text).includes(said), !said.includes(word))
        const { exit } = yield* watch(RunLog.replay(program, yield* memory.log)).pipe(
          Effect.provide(Scripted.model([]))
        )
        yield* exit
      }
    }))
  it.effect("holds no secret that only the model's layer knows, though it tells it after it was asked", () =>
    Effect.gen(function*() {
      const parts = Stream.make(
        { type: "finish" as const, reason: "stop" as const, usage: { inputTokens: {}, outputTokens: {} } }
      )
      const telling = Effect.gen(function*() {
        yield* Effect.sleep("1 second")
        ;(yield* OnSecrets)([Redacted.make("hunter22")])
        return parts
      })
      const agent = Agent.make("a", { instructions: "Is hunter22 a good one?", model: modelOf(Stream.unwrap(telling)) })
      const { log, text } = yield* recorded(Stream.runDrain(Agent.run(agent, "Go")))
      assert.notInclude(text, "hunter22")
      assert.include(text, "Is <redacted> a good one?")
      yield* RunLog.replay(Stream.runDrain(Agent.run(agent, "Go")), log)
    }))

  it.effect("is written to a file while the program goes on, which is replaced first", () =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const file = `${yield* fs.makeTempDirectoryScoped()}/run.jsonl`
      yield* fs.writeFileString(file, "something else")
      const seen: Array<number> = []
      const look = Tool.fn("look", { description: "" }, () =>
        fs.readFileString(file).pipe(
          Effect.map((text) => void seen.push(text.split("\n").length)),
          Effect.orDie
        ))
      const agent = Agent.make("a", { tools: [look] })
      const run = Effect.map(Agent.response(Agent.run(agent, "Go")), ({ text }) => text)
      const model = Scripted.model([Scripted.toolCall("look", {}), "Done."])
      yield* RunLog.record(run, { to: RunLog.file(file) }).pipe(Effect.provide(model))
      const log = yield* RunLog.load(file)
      assert.isTrue(log.complete)
      assert.strictEqual(yield* RunLog.replay(run, log).pipe(Effect.provide(Scripted.model([]))), "Done.")
      const missing = yield* Effect.flip(RunLog.load(`${file}.none`))
      assert.strictEqual(missing.message, `${file}.none: can't be read: there is none`)
      const nowhere = yield* RunLog.record(run, { to: RunLog.file(`${file}/x`) }).pipe(
        Effect.provide(Scripted.model([])),
        Effect.flip
      )
      assert.include(String(nowhere), "can't be written")
      assert.throws(() => RunLog.file(""), RangeError, "RunLog.file: path must be a text that is not empty")
    }).pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer)))

  it.effect("that can't be written any more ends the program", () =>
    Effect.gen(function*() {
      const full = new RunLog.LogError({ log: "disk", problem: "is full" })
      const to: RunLog.Sink = {
        open: Effect.succeed({
          append: () => {},
          end: Effect.fail(full),
          failure: Effect.delay(Effect.fail(full), "1 minute")
        })
      }
      let interrupted = false
      const { exit } = yield* watch(Effect.flip(RunLog.record(
        Effect.onInterrupt(Effect.never, () => Effect.sync(() => interrupted = true)),
        { to }
      )))
      assert.strictEqual(yield* exit, full)
      assert.isTrue(interrupted)
    }))
})
