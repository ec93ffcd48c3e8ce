import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, FileSystem, Schema } from "effect"
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import * as RunLog from "../../src/RunLog.ts"
import * as Server from "../fixtures/loopbackServer.ts"
import * as Wire from "../fixtures/openAiWire.ts"

const script = fileURLToPath(new URL("../fixtures/recordedRun.ts", import.meta.url))

const Printed = Schema.fromJsonString(Schema.Struct({ ran: Schema.Int, lines: Schema.Array(Schema.String) }))

/** Runs the program in a process of its own. */
const run = (mode: "record" | "replay", file: string, url: string, apiKey: string) =>
  Effect.callback<string, Error>((resume) => {
    const child = spawn(process.execPath, [script, mode, file], {
      env: { ...process.env, OPENAI_BASE_URL: `${url}/v1`, OPENAI_API_KEY: apiKey },
      stdio: ["ignore", "pipe", "pipe"]
    })
    let [out, err] = ["", ""]
    child.stdout.on("data", (chunk) => out += String(chunk))
    child.stderr.on("data", (chunk) => err += String(chunk))
    child.on(
      "exit",
      (code) => resume(code === 0 ? Effect.succeed(out) : Effect.fail(new Error(`${mode} failed: ${err}${out}`)))
    )
    return Effect.sync(() => child.kill("SIGKILL"))
  }).pipe(Effect.flatMap(Schema.decodeUnknownEffect(Printed)))

const pause = Effect.promise(() => new Promise<void>((resolve) => setTimeout(resolve, 30)))

/** Answers in pieces, with pauses between them: the lead asks for the time first. */
const reply: Server.Reply = (exchange) => {
  const asked = JSON.stringify(exchange.request.body)
  const events = !asked.includes("You lead.")
    ? Wire.chatText(["No ", "idea", "."])
    : asked.includes("\"role\":\"tool\"")
    ? Wire.chatText(["It ", "is ", "late."])
    : Wire.chatCalls([{ id: "call_1", name: "clock", arguments: ["{", "}"] }])
  return Server.sse(events.flatMap((event) => [event, pause]))(exchange)
}

describe("A run log", () => {
  it.live(
    "recorded over HTTP in one process is replayed in another, byte for byte, without the server",
    () =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const file = `${yield* fs.makeTempDirectoryScoped()}/run.jsonl`
        const key = "sk-test-0123456789abcdef0123"
        const recorded = yield* Effect.scoped(Effect.gen(function*() {
          const server = yield* Server.make(reply, reply, reply)
          const recorded = yield* run("record", file, server.url, key)
          assert.strictEqual(server.requests.length, 3)
          return recorded
        }))
        assert.strictEqual(recorded.ran, 1)
        assert.include(recorded.lines.at(-1), "It is late.")
        assert.notInclude(yield* fs.readFileString(file), key)
        for (let round = 0; round < 2; round++) {
          const replayed = yield* run("replay", file, yield* Server.refusedUrl, "none")
          assert.strictEqual(replayed.ran, 0)
          assert.deepStrictEqual(replayed.lines, recorded.lines)
        }
      }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)),
    60_000
  )

  it.live("of a process that is killed can be read up to there", () =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const file = `${yield* fs.makeTempDirectoryScoped()}/run.jsonl`
      const server = yield* Server.make(reply, reply, Server.silence)
      const recording = yield* Effect.forkChild(run("record", file, server.url, "none"))
      for (let request = 0; request < 3; request++) yield* server.received
      const hasResult = Effect.map(fs.readFileString(file), (text) => text.includes("\"ToolResult\""))
      while (!(yield* hasResult)) yield* pause
      yield* Fiber.interrupt(recording)
      const log = yield* RunLog.load(file)
      assert.isFalse(log.complete)
      assert.include(JSON.stringify(RunLog.summary(log).toolCalls), "clock")
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)), 60_000)
})
