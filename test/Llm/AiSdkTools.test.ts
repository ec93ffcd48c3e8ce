import type { LanguageModelV4, LanguageModelV4CallOptions, LanguageModelV4Content } from "@ai-sdk/provider"
import { NodeFileSystem } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Schema } from "effect"
import { LanguageModel, Prompt, type Response, Tool, Toolkit } from "effect/ai"
import * as AiSdk from "../../src/Llm/AiSdk.ts"
import * as Middleware from "../../src/Llm/Middleware.ts"
import * as Recorded from "../../src/Llm/Recorded.ts"

const usage = {
  inputTokens: { total: 1, noCache: 1, cacheRead: undefined, cacheWrite: undefined },
  outputTokens: { total: 1, text: 1, reasoning: undefined }
}

/** A model that answers with this content and keeps the calls that it gets. */
const modelOf = (content: ReadonlyArray<LanguageModelV4Content>) => {
  const calls: Array<LanguageModelV4CallOptions> = []
  const model: LanguageModelV4 = {
    specificationVersion: "v4",
    provider: "openai.responses",
    modelId: "m",
    supportedUrls: {},
    doGenerate: async (call) => {
      calls.push(call)
      return { content: [...content], finishReason: { unified: "stop", raw: "stop" }, usage, warnings: [] }
    },
    doStream: () => Promise.reject(new Error("not asked for"))
  }
  return { layer: AiSdk.layer(Effect.succeed({ model, provider: "test" })), calls }
}

/** What an MCP server answered that no toolkit knows of. */
const rolled: ReadonlyArray<LanguageModelV4Content> = [
  { type: "tool-call", toolCallId: "r1", toolName: "mcp.roll", input: "{}", providerExecuted: true },
  { type: "tool-result", toolCallId: "r1", toolName: "mcp.roll", result: { output: "5", error: undefined } },
  { type: "text", text: "A five." }
]

const typesOf = ({ content }: { readonly content: ReadonlyArray<Response.AnyPart> }) => content.map(({ type }) => type)

const allTypes = ["response-metadata", "tool-call", "tool-result", "text", "finish"]

const Time = Tool.make("get_time", { success: Schema.String })

const time = Toolkit.make(Time)

const handlers = time.toLayer({ get_time: () => Effect.succeed("12:00") })

describe("AiSdk tools of the provider", () => {
  it.effect("calls and results that no toolkit declares are read, with and without a toolkit", () =>
    Effect.gen(function*() {
      const alone = yield* LanguageModel.generateText({ prompt: "Roll!" })
      const beside = yield* LanguageModel.generateText({ prompt: "Roll!", toolkit: time })
      for (const answer of [alone, beside]) {
        assert.deepStrictEqual(typesOf(answer), allTypes)
        assert.strictEqual(answer.text, "A five.")
        const result: unknown = answer.content.find((part) => part.type === "tool-result")
        assert.deepInclude(result, { id: "r1", name: "mcp.roll", encodedResult: { output: "5" } })
      }
    }).pipe(Effect.provide([modelOf(rolled).layer, handlers])))

  it.effect("they are no part of an object's text", () =>
    Effect.gen(function*() {
      const schema = Schema.Struct({ dots: Schema.Int })
      const answer = yield* LanguageModel.generateObject({ prompt: "Roll!", schema })
      assert.deepStrictEqual(answer.value, { dots: 5 })
      assert.deepStrictEqual(typesOf(answer), allTypes)
    }).pipe(Effect.provide(modelOf([...rolled.slice(0, 2), { type: "text", text: `{"dots":5}` }]).layer)))

  it.effect("they are read behind middleware, too, and out of a recording", () =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const cassette = `${yield* fs.makeTempDirectoryScoped()}/mcp.json`
      const ask = LanguageModel.generateText({ prompt: "Roll!", toolkit: time })
      const live = modelOf(rolled).layer.pipe(Middleware.concurrency(1), Recorded.record(cassette))
      const answer = yield* Effect.provide(ask, live)
      const again = yield* Effect.provide(ask, Recorded.replay(cassette))
      assert.deepStrictEqual(typesOf(answer), allTypes)
      assert.deepStrictEqual(typesOf(again), allTypes)
      assert.deepStrictEqual(again.content[2], answer.content[2])
    }).pipe(Effect.scoped, Effect.provide([handlers, NodeFileSystem.layer])))

  it.effect("a tool that we answer is called by its provider's name, and answered under the user's", () =>
    Effect.gen(function*() {
      const Shell = Tool.providerDefined({
        id: "anthropic.bash_20250124",
        customName: "Shell",
        providerName: "bash",
        requiresHandler: true,
        args: Schema.Struct({}),
        parameters: Schema.Struct({ command: Schema.String }),
        success: Schema.String
      })
      const toolkit = Toolkit.make(Shell({}))
      const commands: Array<string> = []
      const layer = toolkit.toLayer({
        Shell: ({ command }) =>
          Effect.sync(() => {
            commands.push(command)
            return "README.md"
          })
      })
      const model = modelOf([
        { type: "tool-call", toolCallId: "b1", toolName: "bash", input: JSON.stringify({ command: "ls" }) }
      ])
      yield* Effect.gen(function*() {
        const answer = yield* LanguageModel.generateText({ prompt: "Files?", toolkit })
        assert.deepStrictEqual(commands, ["ls"])
        assert.deepInclude(answer.toolResults[0], { id: "b1", name: "Shell", result: "README.md" })
        const prompt = Prompt.concat(Prompt.make("Files?"), Prompt.fromResponseParts(answer.content))
        yield* LanguageModel.generateText({ prompt, toolkit, toolChoice: { tool: "Shell" } })
      }).pipe(Effect.provide([model.layer, layer]))
      const [, second] = model.calls
      assert.deepInclude(second?.tools?.[0], { type: "provider", id: "anthropic.bash_20250124", name: "bash" })
      assert.deepStrictEqual(second?.toolChoice, { type: "tool", toolName: "bash" })
      assert.deepStrictEqual(JSON.stringify(second?.prompt).match(/"toolName":"\w+"/g), [
        `"toolName":"bash"`,
        `"toolName":"bash"`
      ])
    }))
})
