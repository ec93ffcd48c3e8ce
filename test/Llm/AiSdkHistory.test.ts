import type { LanguageModelV4, LanguageModelV4Content, LanguageModelV4Prompt } from "@ai-sdk/provider"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { Prompt, Tool, Toolkit } from "effect/ai"
import * as AiSdk from "../../src/Llm/AiSdk.ts"
import type * as Settings from "../../src/Llm/Settings.ts"

const usage = {
  inputTokens: { total: 1, noCache: 1, cacheRead: undefined, cacheWrite: undefined },
  outputTokens: { total: 1, text: 1, reasoning: undefined }
}

const WebSearch = Tool.providerDefined({
  id: "anthropic.web_search_20250305",
  customName: "WebSearch",
  providerName: "web_search",
  parameters: Schema.Unknown,
  success: Schema.Unknown
})

const toolkit = Toolkit.make(WebSearch())

/** A model of an API that answers with this content and keeps the prompts that it is given. */
const modelOf = (provider: string, content: ReadonlyArray<LanguageModelV4Content> = []) => {
  const prompts: Array<LanguageModelV4Prompt> = []
  const model: LanguageModelV4 = {
    specificationVersion: "v4",
    provider,
    modelId: "m",
    supportedUrls: {},
    doGenerate: async ({ prompt }) => {
      prompts.push(prompt)
      return { content: [...content], finishReason: { unified: "stop", raw: "stop" }, usage, warnings: [] }
    },
    doStream: () => Promise.reject(new Error("not asked for"))
  }
  return { model, prompts }
}

const ask = (
  { model }: ReturnType<typeof modelOf>,
  prompt: Prompt.RawInput,
  settings?: Settings.Settings
) =>
  Effect.gen(function*() {
    const service = yield* AiSdk.make({ model, provider: "test", settings })
    return yield* service.generateText({ prompt, toolkit, disableToolCallResolution: true })
  }).pipe(Effect.provide(toolkit.toLayer({})))

/** The conversation after a question that was answered with this content. */
const after = (provider: string, content: ReadonlyArray<LanguageModelV4Content>) =>
  Effect.map(
    ask(modelOf(provider, content), "First?"),
    (answer) => Prompt.make("First?").pipe(Prompt.concat(Prompt.fromResponseParts(answer.content)))
  )

/** What a model of an API is given of that conversation, with one question more. */
const read = (provider: string, history: Prompt.Prompt, settings?: Settings.Settings) =>
  Effect.gen(function*() {
    const reader = modelOf(provider)
    yield* ask(reader, Prompt.concat(history, "And now?"), settings)
    return reader.prompts[0]!.flatMap((message) => message.role === "assistant" ? message.content : [])
  })

const search: ReadonlyArray<LanguageModelV4Content> = [
  { type: "tool-call", toolCallId: "s1", toolName: "web_search", input: `{"query":"rain"}`, providerExecuted: true },
  {
    type: "tool-result",
    toolCallId: "s1",
    toolName: "web_search",
    result: [{ type: "web_search_result", url: "https://a.test", title: null, encryptedContent: "Eq" }]
  },
  { type: "text", text: "It rains." }
]

const png = { type: "data", data: "iVBORw0KGgo=" } as const

describe("AiSdkHistory", () => {
  it.effect("a tool that its provider ran goes back to it by its own name, and is told by the user's", () =>
    Effect.gen(function*() {
      const history = yield* after("anthropic.messages", search)
      assert.include(JSON.stringify(history), `"WebSearch"`)
      const [call, result, text] = yield* read("anthropic.messages", history)
      assert.deepInclude(call, { type: "tool-call", toolCallId: "s1", toolName: "web_search", providerExecuted: true })
      assert.deepInclude(result, { type: "tool-result", toolCallId: "s1", toolName: "web_search" })
      assert.deepInclude(text, { type: "text", text: "It rains." })
      assert.notInclude(JSON.stringify([call, result, text]), "effect-troupe")
    }))

  it.effect("to any other provider it goes as text, without what only its own can read", () =>
    Effect.gen(function*() {
      const history = yield* after("anthropic.messages", search)
      for (
        const provider of [
          "openai.responses",
          "openai.chat",
          "google.generative-ai",
          "mistral.chat",
          "vllm.chat",
          "my.own"
        ]
      ) {
        const content = yield* read(provider, history)
        assert.deepStrictEqual(content, [
          {
            type: "text",
            text: `[The provider's tool WebSearch was called with {"query":"rain"}, and gave: ` +
              `[{"type":"web_search_result","url":"https://a.test","title":null}]]`
          },
          { type: "text", text: "It rains." }
        ], provider)
      }
    }))

  it.effect("a result that OpenAI has not stored goes as text where it takes only ids", () =>
    Effect.gen(function*() {
      const history = yield* after("openai.responses", [
        { type: "tool-call", toolCallId: "f1", toolName: "file_search", input: "{}", providerExecuted: true },
        { type: "tool-result", toolCallId: "f1", toolName: "file_search", result: { results: ["12 tonnes"] } }
      ])
      const stored = yield* read("openai.responses", history)
      assert.deepStrictEqual(stored.map(({ type }) => type), ["tool-call", "tool-result"])
      const unstored = yield* read("openai.responses", history, { providerOptions: { openai: { store: false } } })
      assert.deepStrictEqual(unstored, [
        {
          type: "text",
          text: `[The provider's tool file_search was called with {}, and gave: {"results":["12 tonnes"]}]`
        }
      ])
    }))

  it.effect("a call without a result goes back while the answer is open, and as text once the user has gone on", () =>
    Effect.gen(function*() {
      const history = yield* after("anthropic.messages", search.slice(0, 1))
      const open = modelOf("anthropic.messages")
      yield* ask(open, history)
      assert.deepInclude(open.prompts[0]?.at(-1), { role: "assistant" })
      assert.include(JSON.stringify(open.prompts[0]), `"toolCallId":"s1"`)
      assert.deepStrictEqual(yield* read("anthropic.messages", history), [
        { type: "text", text: `[The provider's tool WebSearch was called with {"query":"rain"}, and gave no result.]` }
      ])
    }))

  it.effect("a file that a model made is shown again to Google's models, and named to others", () =>
    Effect.gen(function*() {
      const history = yield* after("google.generative-ai", [
        { type: "file", mediaType: "image/png", data: png },
        {
          type: "reasoning-file",
          mediaType: "image/png",
          data: png,
          providerMetadata: { google: { thoughtSignature: "t" } }
        }
      ])
      const own = yield* read("google.generative-ai", history)
      assert.deepStrictEqual(own.map(({ type }) => type), ["file", "reasoning-file"])
      assert.deepInclude(own[1], { providerOptions: { google: { thoughtSignature: "t" } } })
      assert.deepStrictEqual(yield* read("anthropic.messages", history), [
        { type: "text", text: "[Here was a file of type image/png that the model had made.]" }
      ])
    }))

  it.effect("a part that only its provider knows goes back to it with all that it carries, and to nobody else", () =>
    Effect.gen(function*() {
      const providerMetadata = { openai: { itemId: "cmp_1", encryptedContent: "gAAAA" } }
      const history = yield* after("openai.responses", [
        { type: "custom", kind: "openai.compaction", providerMetadata },
        { type: "text", text: "Where were we?" }
      ])
      assert.deepStrictEqual((yield* read("openai.responses", history))[0], {
        type: "custom",
        kind: "openai.compaction",
        providerOptions: providerMetadata
      })
      assert.deepStrictEqual((yield* read("anthropic.messages", history)).map(({ type }) => type), ["text"])
    }))

  it.effect("an id that the reader refuses is another one, the same for a call and its result", () =>
    Effect.gen(function*() {
      const id = "functions.look:0"
      const result = { id, name: "look", isFailure: false, result: "18 C", providerExecuted: false }
      const history = Prompt.fromMessages([
        Prompt.userMessage({ content: [Prompt.textPart({ text: "Weather?" })] }),
        Prompt.assistantMessage({
          content: [Prompt.toolCallPart({ id, name: "look", params: {}, providerExecuted: false })]
        }),
        Prompt.toolMessage({ content: [Prompt.toolResultPart(result)] })
      ])
      const idsFor = (provider: string) =>
        Effect.gen(function*() {
          const reader = modelOf(provider)
          yield* ask(reader, history)
          return Array.from(JSON.stringify(reader.prompts[0]).matchAll(/"toolCallId":"([^"]*)"/g), ([, id]) => id)
        })
      assert.deepStrictEqual(yield* idsFor("mistral.chat"), ["call00000", "call00000"])
      assert.deepStrictEqual(yield* idsFor("anthropic.messages"), ["call00000", "call00000"])
      assert.deepStrictEqual(yield* idsFor("openai.chat"), [id, id])
    }))

  it.effect("no two calls of a conversation have one id, and each result has that of its call", () =>
    Effect.gen(function*() {
      const id = "call_0"
      const turn = (...words: ReadonlyArray<string>) => [
        Prompt.assistantMessage({
          content: words.map((word) =>
            Prompt.toolCallPart({ id, name: "say", params: { word }, providerExecuted: false })
          )
        }),
        Prompt.toolMessage({
          content: words.map((word) =>
            Prompt.toolResultPart({ id, name: "say", isFailure: false, result: word, providerExecuted: false })
          )
        })
      ]
      const reader = modelOf("anthropic.messages")
      yield* ask(
        reader,
        Prompt.fromMessages([
          Prompt.userMessage({ content: [Prompt.textPart({ text: "Say." })] }),
          ...turn("a", "b"),
          ...turn("c")
        ])
      )
      const ids = Array.from(JSON.stringify(reader.prompts[0]).matchAll(/"toolCallId":"([^"]*)"/g), ([, id]) => id)
      assert.deepStrictEqual(ids, [id, "call00000", id, "call00000", "call00001", "call00001"])
    }))

  it.effect("a text file of the user's is text for a provider that reads none", () =>
    Effect.gen(function*() {
      const data = new TextEncoder().encode("Harvest: 12 tonnes.")
      const file = Prompt.filePart({ mediaType: "text/plain", fileName: "report.txt", data })
      const contentFor = (provider: string) =>
        Effect.gen(function*() {
          const reader = modelOf(provider)
          yield* ask(reader, Prompt.fromMessages([Prompt.userMessage({ content: [file] })]))
          const content: unknown = reader.prompts[0]![0]!.content
          return content
        })
      const asText = [{ type: "text", text: "[report.txt]\nHarvest: 12 tonnes." }]
      assert.deepStrictEqual(yield* contentFor("openai.responses"), asText)
      assert.deepStrictEqual(yield* contentFor("mistral.chat"), asText)
      assert.include(JSON.stringify(yield* contentFor("anthropic.messages")), `"type":"file"`)
    }))

  it.effect("signatures go to nobody but who has signed", () =>
    Effect.gen(function*() {
      const history = yield* after("google.generative-ai", [
        { type: "text", text: "", providerMetadata: { google: { thoughtSignature: "sealed" } } },
        { type: "reasoning", text: "Hm.", providerMetadata: { google: { thoughtSignature: "sealed" } } },
        { type: "text", text: "Yes.", providerMetadata: { google: { thoughtSignature: "sealed" } } }
      ])
      assert.lengthOf(yield* read("google.generative-ai", history), 3)
      for (const provider of ["openrouter.chat", "openai.responses", "anthropic.messages"]) {
        const content = yield* read(provider, history)
        assert.notInclude(JSON.stringify(content), "sealed")
        assert.deepInclude(content.at(-1), { type: "text", text: "Yes." })
      }
    }))
})
