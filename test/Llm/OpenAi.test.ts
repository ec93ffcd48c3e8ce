import { assert, describe, expectTypeOf, it } from "@effect/vitest"
import { Effect, Layer, Schema, Stream } from "effect"
import type { Config } from "effect"
import { LanguageModel, Model, Prompt, Tool, Toolkit } from "effect/ai"
import type { Response } from "effect/ai"
import * as Agent from "../../src/Agent.ts"
import type * as AiSdk from "../../src/Llm/AiSdk.ts"
import * as OpenAi from "../../src/Llm/OpenAi.ts"
import * as Settings from "../../src/Llm/Settings.ts"
import * as AgentTool from "../../src/Tool.ts"
import { variables } from "../fixtures/config.ts"
import * as Loopback from "../fixtures/loopbackServer.ts"
import * as Wire from "../fixtures/openAiWire.ts"

const KEY = "sk-test-0123456789"

const at = (server: Loopback.LoopbackServer, settings?: OpenAi.Settings, name = "gpt-4o-mini") =>
  OpenAi.model(name, settings).pipe(
    Layer.provide(variables({ OPENAI_API_KEY: KEY, OPENAI_BASE_URL: `${server.url}/v1` }))
  )

const GetWeather = Tool.make("get_weather", {
  description: "Current weather in a city",
  parameters: Schema.Struct({ city: Schema.String }),
  success: Schema.String
})

const toolkit = Toolkit.make(GetWeather)

const handlers = toolkit.toLayer({ get_weather: () => Effect.die("never run here") })

/** The parts of one streamed turn, with tools offered the way the agent loop offers them. */
const streamed = (prompt: Prompt.RawInput) =>
  LanguageModel.streamText({
    prompt,
    toolkit,
    disableToolCallResolution: true,
    toolCallValidation: "deferred"
  }).pipe(Stream.runCollect, Effect.provide(handlers))

const generated = (prompt: Prompt.RawInput) =>
  LanguageModel.generateText({ prompt, toolkit, disableToolCallResolution: true, toolCallValidation: "deferred" }).pipe(
    Effect.provide(handlers)
  )

type Part = { readonly type: Response.AnyPart["type"] }

const ofType = <P extends Part, Type extends P["type"]>(parts: ReadonlyArray<P>, type: Type) =>
  parts.filter((part): part is Extract<P, { readonly type: Type }> => part.type === type)

const deltas = (parts: Effect.Success<ReturnType<typeof streamed>>) =>
  ofType(parts, "text-delta").map((part) => part.delta).filter((delta) => delta !== "")

const lagos: Wire.Call = { id: "call_1", name: "get_weather", arguments: ["{\"ci", "ty\":\"La", "gos\"}"] }
const oslo: Wire.Call = { id: "call_2", name: "get_weather", arguments: ["{\"city\"", ":\"Oslo\"}"] }

const callsOf = (parts: ReadonlyArray<Part>) =>
  ofType(parts as ReadonlyArray<Response.AnyPart>, "tool-call").map(({ id, name, params }) => ({ id, name, params }))

const expectedCalls = [
  { id: "call_1", name: "get_weather", params: { city: "Lagos" } },
  { id: "call_2", name: "get_weather", params: { city: "Oslo" } }
]

describe("OpenAi over chat completions", () => {
  it.live("a streamed answer arrives delta by delta and ends with its reason, usage and headers", () =>
    Effect.gen(function*() {
      const usage = { input: 30, cached: 20, output: 9, reasoning: 4 }
      const server = yield* Loopback.make(
        Loopback.sse(Wire.chatText(["Hel", "lo, ", "wörld"], usage), {
          headers: { "x-ratelimit-remaining-requests": "41", "set-cookie": "session=1" }
        })
      )
      const parts = yield* streamed("Hi").pipe(Effect.provide(at(server)))
      assert.deepStrictEqual(deltas(parts), ["Hel", "lo, ", "wörld"])
      const [metadata] = ofType(parts, "response-metadata")
      assert.strictEqual(metadata?.id, "chatcmpl-1")
      assert.strictEqual(metadata?.modelId, "gpt-4o-mini-2024-07-18")
      assert.strictEqual(metadata?.timestamp?.epochMilliseconds, 1_750_000_000_000)
      const finish = parts.at(-1)!
      assert(finish.type === "finish")
      assert.strictEqual(finish.reason, "stop")
      assert.deepStrictEqual({ ...finish.usage.inputTokens }, {
        total: 30,
        uncached: 10,
        cacheRead: 20,
        cacheWrite: undefined
      })
      assert.deepStrictEqual({ ...finish.usage.outputTokens }, { total: 9, text: 5, reasoning: 4 })
      assert.strictEqual(finish.response?.headers["x-ratelimit-remaining-requests"], "41")
      assert.notProperty(finish.response?.headers, "set-cookie")
    }))

  it.live("a whole answer has the same text, reason and usage", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(
        Loopback.json(200, Wire.chatBody({ content: "Hello" }, "length", { input: 3, cached: 1, output: 2 }))
      )
      const answer = yield* generated("Hi").pipe(Effect.provide(at(server)))
      assert.strictEqual(answer.text, "Hello")
      assert.strictEqual(answer.finishReason, "length")
      assert.strictEqual(answer.usage.inputTokens.cacheRead, 1)
      assert.strictEqual(answer.usage.outputTokens.total, 2)
    }))

  it.live("parallel tool calls whose arguments come in interleaved pieces arrive whole and in order", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(
        Loopback.sse(Wire.chatCalls([lagos, oslo])),
        Loopback.json(200, Wire.chatCallBody([lagos, oslo]))
      )
      const model = at(server)
      const parts = yield* streamed("Weather?").pipe(Effect.provide(model))
      assert.deepStrictEqual(callsOf(parts), expectedCalls)
      const input = ofType(parts, "tool-params-delta").filter((part) => part.id === "call_1")
      assert.strictEqual(input.map((part) => part.delta).join(""), lagos.arguments.join(""))
      assert.strictEqual(ofType(parts, "finish")[0]?.reason, "tool-calls")
      const whole = yield* generated("Weather?").pipe(Effect.provide(model))
      assert.deepStrictEqual(callsOf(whole.content), expectedCalls)
    }))

  it.live("a conversation with a tool call, its result and a failed one is sent in OpenAI's form", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(Loopback.sse(Wire.chatText(["ok"])))
      const call = { type: "tool-call", name: "get_weather", providerExecuted: false } as const
      const result = { type: "tool-result", name: "get_weather", providerExecuted: false } as const
      yield* streamed([
        { role: "system", content: "Be brief." },
        { role: "user", content: "Weather?" },
        {
          role: "assistant",
          content: [
            { type: "text", text: "Let me see." },
            { ...call, id: "call_1", params: { city: "Lagos" } },
            { ...call, id: "call_2", params: "{\"city" }
          ]
        },
        {
          role: "tool",
          content: [
            { ...result, id: "call_1", isFailure: false, result: { celsius: 18 } },
            { ...result, id: "call_2", isFailure: true, result: "bad arguments" }
          ]
        }
      ]).pipe(Effect.provide(at(server)))
      assert.deepNestedInclude(server.requests[0]?.body, {
        messages: [
          { role: "system", content: "Be brief." },
          { role: "user", content: "Weather?" },
          {
            role: "assistant",
            content: "Let me see.",
            tool_calls: [
              { id: "call_1", type: "function", function: { name: "get_weather", arguments: "{\"city\":\"Lagos\"}" } },
              {
                id: "call_2",
                type: "function",
                function: { name: "get_weather", arguments: "{\"input\":\"{\\\"city\"}" }
              }
            ]
          },
          { role: "tool", tool_call_id: "call_1", content: "{\"celsius\":18}" },
          { role: "tool", tool_call_id: "call_2", content: "{\"error\":\"bad arguments\"}" }
        ]
      })
    }))

  it.live("images as bytes, data URL, base64 and address reach the server", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(Loopback.sse(Wire.chatText(["a cat"])))
      const image = { type: "file", mediaType: "image/png" } as const
      yield* streamed([{
        role: "user",
        content: [
          { type: "text", text: "What is this?" },
          { ...image, data: new Uint8Array([1, 2, 3]) },
          { ...image, data: "data:image/jpeg;base64,AQID" },
          { ...image, data: "AQID" },
          { ...image, data: new URL("https://example.com/cat.png") },
          { ...image, data: "https://example.com/dog.png" }
        ]
      }]).pipe(Effect.provide(at(server)))
      const url = (url: string) => ({ type: "image_url", image_url: { url } })
      assert.deepNestedInclude(server.requests[0]?.body, {
        "messages[0].content": [
          { type: "text", text: "What is this?" },
          url("data:image/png;base64,AQID"),
          url("data:image/jpeg;base64,AQID"),
          url("data:image/png;base64,AQID"),
          url("https://example.com/cat.png"),
          url("https://example.com/dog.png")
        ]
      })
    }))

  it.live("settings of the layer reach the request, and those of the effect win over them", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(Loopback.sse(Wire.chatText(["ok"])))
      yield* streamed("Hi").pipe(
        Effect.provideService(Settings.RequestSettings, {
          temperature: 0,
          maxOutputTokens: 50,
          topP: undefined,
          providerOptions: { openai: { user: "ada" } }
        }),
        Effect.provide(at(server, {
          temperature: 1,
          topP: 0.5,
          stopSequences: ["END"],
          seed: 7,
          headers: { "x-team": "red" },
          providerOptions: { openai: { user: "bob", parallelToolCalls: false } }
        }))
      )
      const request = server.requests[0]!
      assert.strictEqual(request.headers.authorization, `Bearer ${KEY}`)
      assert.strictEqual(request.headers["x-team"], "red")
      const { body } = request
      assert.deepInclude(body, { temperature: 0, max_tokens: 50, top_p: 0.5, stop: ["END"], seed: 7 })
      assert.deepInclude(body, { user: "ada", parallel_tool_calls: false })
    }))
})

describe("OpenAi tools", () => {
  interface Body {
    readonly tools: ReadonlyArray<
      { readonly type: string; readonly function: { readonly name: string; readonly [key: string]: unknown } }
    >
    readonly tool_choice: unknown
  }

  /** What goes over the wire for this request. */
  const bodyOf = Effect.fnUntraced(function*<A, E>(request: Stream.Stream<A, E, LanguageModel.LanguageModel>) {
    const server = yield* Loopback.make(Loopback.sse(Wire.chatText(["ok"])))
    yield* Stream.runDrain(request).pipe(Effect.provide(at(server)))
    return server.requests[0]!.body as Body
  }, Effect.scoped)

  const never = () => Effect.die("never run here")

  it.live("a tool is strict where its schema allows it, and says so where it does not", () =>
    Effect.gen(function*() {
      const loose = Tool.make("loose", { parameters: Schema.Struct({ note: Schema.optional(Schema.String) }) })
      const nested = Tool.make("nested", {
        parameters: Schema.Struct({ rows: Schema.Array(Schema.Struct({ id: Schema.Int })) })
      })
      const deep = Tool.make("deep", {
        parameters: Schema.Struct({ rows: Schema.Array(Schema.Struct({ id: Schema.optional(Schema.Int) })) })
      })
      const empty = Tool.make("empty", { parameters: Schema.Struct({}) })
      const offered = Toolkit.make(GetWeather, loose, nested, deep, empty, Tool.make("bare"))
      const { tools } = yield* bodyOf(
        LanguageModel.streamText({ prompt: "Hi", toolkit: offered, disableToolCallResolution: true }).pipe(
          Stream.provide(
            offered.toLayer({ get_weather: never, loose: never, nested: never, deep: never, empty: never, bare: never })
          )
        )
      )
      assert.deepStrictEqual(tools[0], {
        type: "function",
        function: {
          name: "get_weather",
          description: "Current weather in a city",
          strict: true,
          parameters: {
            type: "object",
            properties: { city: { type: "string" } },
            required: ["city"],
            additionalProperties: false
          }
        }
      })
      assert.deepStrictEqual(tools.map((tool) => tool.function.strict), [true, false, true, false, true, true])
      const nothing = { type: "object", properties: {}, additionalProperties: false }
      assert.deepStrictEqual(tools[4]?.function.parameters, nothing)
      assert.deepStrictEqual(tools[5]?.function.parameters, nothing)
    }))

  it.live("arguments that are a class, or refer to themselves, are an object at their root", () =>
    Effect.gen(function*() {
      interface Tree {
        readonly not: string
        readonly children: ReadonlyArray<Tree>
      }
      const Tree = Schema.Struct({
        not: Schema.String,
        children: Schema.Array(Schema.suspend((): Schema.Codec<Tree> => Tree))
      }).annotate({ identifier: "Tree" })
      class Named extends Schema.Class<Named>("app/Named~1")({ name: Schema.String }) {}
      const offered = Toolkit.make(
        Tool.make("tree", { parameters: Tree }),
        Tool.make("named", { parameters: Named }),
        Tool.make("length", { parameters: Schema.Struct({ name: Schema.NonEmptyString }) })
      )
      const { tools } = yield* bodyOf(
        LanguageModel.streamText({ prompt: "Hi", toolkit: offered, disableToolCallResolution: true }).pipe(
          Stream.provide(offered.toLayer({ tree: never, named: never, length: never }))
        )
      )
      const [tree, named, length] = tools.map((tool) => tool.function)
      assert.deepNestedInclude(tree, {
        strict: true,
        "parameters.type": "object",
        "parameters.properties.children.items": { $ref: "#/$defs/Tree" },
        "parameters.$defs.Tree.type": "object"
      })
      assert.deepStrictEqual(named?.parameters, {
        type: "object",
        properties: { name: { type: "string" } },
        required: ["name"],
        additionalProperties: false
      })
      assert.strictEqual(length?.strict, false)
    }))

  it.live("each form of tool choice has its form on the wire", () =>
    Effect.gen(function*() {
      const offered = Toolkit.make(GetWeather, Tool.make("other"))
      const body = (toolChoice: LanguageModel.ToolChoice<"get_weather" | "other">) =>
        bodyOf(
          LanguageModel.streamText({ prompt: "Hi", toolkit: offered, toolChoice, disableToolCallResolution: true })
            .pipe(
              Stream.provide(offered.toLayer({ get_weather: never, other: never }))
            )
        )
      const choice = (toolChoice: LanguageModel.ToolChoice<"get_weather" | "other">) =>
        Effect.map(body(toolChoice), (body) => body.tool_choice)
      assert.strictEqual(yield* choice("auto"), "auto")
      assert.strictEqual(yield* choice("none"), "none")
      assert.strictEqual(yield* choice("required"), "required")
      assert.deepStrictEqual(yield* choice({ tool: "other" }), { type: "function", function: { name: "other" } })
      const oneOf = yield* body({ mode: "required", oneOf: ["other"] })
      assert.strictEqual(oneOf.tool_choice, "required")
      assert.deepStrictEqual(oneOf.tools.map((tool) => tool.function.name), ["other"])
    }))
})

describe("OpenAi structured output", () => {
  const Trip = Schema.Struct({ city: Schema.String, days: Schema.Int, note: Schema.optional(Schema.String) })

  it.live("the schema is sent in OpenAI's dialect and the answer is decoded with it", () =>
    Effect.gen(function*() {
      const content = JSON.stringify({ city: "Oslo", days: 3, note: null })
      const server = yield* Loopback.make(Loopback.json(200, Wire.chatBody({ content })))
      const answer = yield* LanguageModel.generateObject({ prompt: "A trip", schema: Trip, objectName: "trip" }).pipe(
        Effect.provide(at(server))
      )
      assert.deepStrictEqual(answer.value, { city: "Oslo", days: 3 })
      assert.deepNestedInclude(server.requests[0]?.body, {
        "response_format.type": "json_schema",
        "response_format.json_schema.name": "trip",
        "response_format.json_schema.strict": true,
        "response_format.json_schema.schema.required": ["city", "days", "note"]
      })
    }))

  it.live("an answer that does not fit the schema is a StructuredOutputError", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(Loopback.json(200, Wire.chatBody({ content: "{\"city\":1}" })))
      const error = yield* LanguageModel.generateObject({ prompt: "A trip", schema: Trip }).pipe(
        Effect.provide(at(server)),
        Effect.flip
      )
      assert(error._tag === "AiError")
      assert.strictEqual(error.reason._tag, "StructuredOutputError")
    }))

  it.live("a schema that OpenAI has no form for fails before any request", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make()
      const schema = Schema.Union([Trip, Schema.Struct({ other: Schema.String })])
      const error = yield* LanguageModel.generateObject({ prompt: "A trip", schema }).pipe(
        Effect.provide(at(server)),
        Effect.flip
      )
      assert(error._tag === "AiError")
      assert.strictEqual(error.reason._tag, "UnsupportedSchemaError")
      assert.lengthOf(server.requests, 0)
    }))
})

describe("OpenAi over responses", () => {
  const responses = (server: Loopback.LoopbackServer) =>
    at(server, { api: "responses", reasoning: "low" }, "gpt-5-mini")

  const items = [Wire.reasoning(["Think", "ing."], "enc-1"), Wire.message(["It is ", "18 C."])]
  const usage = { input: 40, cached: 16, output: 25, reasoning: 20 }

  it.live("text, reasoning and usage arrive, streamed and whole", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(
        Loopback.sse(Wire.responsesEvents(items, usage)),
        Loopback.json(200, Wire.responsesBody(items, usage))
      )
      const parts = yield* streamed("Weather?").pipe(Effect.provide(responses(server)))
      assert.deepStrictEqual(deltas(parts), ["It is ", "18 C."])
      assert.strictEqual(ofType(parts, "reasoning-delta").map((part) => part.delta).join(""), "Thinking.")
      const whole = yield* generated("Weather?").pipe(Effect.provide(responses(server)))
      assert.strictEqual(whole.text, "It is 18 C.")
      assert.strictEqual(whole.reasoningText, "Thinking.")
      const [finish] = ofType(parts, "finish")
      for (const { inputTokens, outputTokens } of [finish!.usage, whole.usage]) {
        assert.deepInclude({ ...inputTokens }, { total: 40, cacheRead: 16, uncached: 24 })
        assert.deepStrictEqual({ ...outputTokens }, { total: 25, text: 5, reasoning: 20 })
      }
      assert.strictEqual(server.requests[0]?.path, "/v1/responses")
      assert.deepInclude(server.requests[0]?.body, { store: false, include: ["reasoning.encrypted_content"] })
      assert.deepNestedInclude(server.requests[0]?.body, { "reasoning.effort": "low" })
    }))

  it.live("reasoning and tool calls of one turn travel back with the next, encrypted content and ids included", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(
        Loopback.sse(Wire.responsesEvents([Wire.reasoning(["Hm."], "enc-1"), Wire.functionCall(lagos)])),
        Loopback.sse(Wire.responsesEvents([Wire.message(["18 C."])]))
      )
      const first = yield* streamed("Weather?").pipe(Effect.provide(responses(server)))
      assert.deepStrictEqual(callsOf(first), expectedCalls.slice(0, 1))
      assert.deepNestedInclude(ofType(first, "tool-call")[0], { "metadata.openai.itemId": "fc_call_1" })
      const prompt = Prompt.make("Weather?").pipe(
        Prompt.concat(Prompt.fromResponseParts(first)),
        Prompt.concat([{
          role: "tool",
          content: [{ type: "tool-result", id: "call_1", name: "get_weather", isFailure: false, result: "18 C" }]
        }])
      )
      yield* streamed(prompt).pipe(Effect.provide(responses(server)))
      const { input } = server.requests[1]!.body as { readonly input: ReadonlyArray<{ readonly type?: string }> }
      assert.deepStrictEqual(input.slice(1), [
        {
          type: "reasoning",
          id: "rs_1",
          encrypted_content: "enc-1",
          summary: [{ type: "summary_text", text: "Hm." }]
        },
        {
          type: "function_call",
          call_id: "call_1",
          name: "get_weather",
          arguments: "{\"city\":\"Lagos\"}"
        },
        { type: "function_call_output", call_id: "call_1", output: "18 C" }
      ] as ReadonlyArray<object>)
    }))

  it.live("parallel calls arrive whole, and structured output goes out in this API's form", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(
        Loopback.sse(Wire.responsesEvents([Wire.functionCall(lagos), Wire.functionCall(oslo)])),
        Loopback.json(200, Wire.responsesBody([Wire.message(["{\"city\":\"Oslo\"}"])]))
      )
      assert.deepStrictEqual(
        callsOf(yield* streamed("Weather?").pipe(Effect.provide(responses(server)))),
        expectedCalls
      )
      const schema = Schema.Struct({ city: Schema.String })
      const object = yield* LanguageModel.generateObject({ prompt: "A city", schema }).pipe(
        Effect.provide(responses(server))
      )
      assert.deepStrictEqual(object.value, { city: "Oslo" })
      assert.deepNestedInclude(server.requests[1]?.body, { "text.format.type": "json_schema" })
    }))
})

describe("OpenAi under an agent", () => {
  it.live("a run calls its tool and answers, and the second turn carries reasoning, call and result", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(
        Loopback.sse(Wire.responsesEvents([Wire.reasoning(["Hm."], "enc-1"), Wire.functionCall(lagos)])),
        Loopback.sse(Wire.responsesEvents([Wire.message(["18 ", "C."])]))
      )
      const weather = AgentTool.fn("get_weather", {
        description: "Current weather in a city",
        parameters: { city: Schema.String },
        success: Schema.String
      }, ({ city }) => Effect.succeed(`18 C in ${city}`))
      const events = yield* Agent.run(Agent.make("assistant", { tools: [weather] }), "Weather?").pipe(
        Stream.runCollect,
        Effect.provide(at(server, { api: "responses" }, "gpt-5-mini"))
      )
      const last = events.at(-1)
      assert.strictEqual(last?._tag === "Completed" ? last.response.text : undefined, "18 C.")
      const { input } = server.requests[1]!.body as { readonly input: ReadonlyArray<unknown> }
      assert.deepNestedInclude(input.at(-3), { type: "reasoning", encrypted_content: "enc-1" })
      assert.deepNestedInclude(input.at(-2), { type: "function_call", call_id: "call_1" })
      assert.deepNestedInclude(input.at(-1), { type: "function_call_output", output: "18 C in Lagos" })
    }))
})

describe("OpenAi configuration", () => {
  const build = (values: Record<string, string>, settings?: OpenAi.Settings) =>
    Effect.scoped(Layer.build(OpenAi.model("gpt-5-mini", settings).pipe(Layer.provide(variables(values)))))

  it.effect("without a key the layer fails with a ConfigError that names variable and provider", () =>
    Effect.gen(function*() {
      for (const values of [{}, { OPENAI_API_KEY: "  " }]) {
        const error = yield* Effect.flip(build(values))
        assert.strictEqual(error._tag, "ConfigError")
        assert.include(error.message, "OpenAI")
        assert.include(error.message, "OPENAI_API_KEY")
      }
    }))

  it.live("a server of one's own needs no key and is spoken to over chat completions", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(Loopback.sse(Wire.chatText(["ok"])))
      const model = OpenAi.model("local").pipe(Layer.provide(variables({ OPENAI_BASE_URL: `${server.url}/v1/` })))
      yield* streamed("Hi").pipe(Effect.provide(model))
      assert.strictEqual(server.requests[0]?.path, "/v1/chat/completions")
    }))

  it.effect("an address that is none is a ConfigError that names the variable", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(build({ OPENAI_BASE_URL: "localhost" }))
      assert.strictEqual(error._tag, "ConfigError")
      assert.include(error.message, "OPENAI_BASE_URL")
    }))

  it.effect("provides the names of provider and model", () =>
    Effect.gen(function*() {
      const context = yield* build({ OPENAI_API_KEY: KEY })
      const names = Effect.all([Model.ProviderName, Model.ModelName]).pipe(Effect.provide(context))
      assert.deepStrictEqual(yield* names, ["openai", "gpt-5-mini"])
    }))

  it("shows in its type what it needs and how it can fail", () => {
    expectTypeOf(OpenAi.model("gpt-5-mini")).toEqualTypeOf<
      AiSdk.ModelLayer<Config.ConfigError | AiSdk.PackageMissing>
    >()
    // @ts-expect-error an unknown effort
    OpenAi.model("gpt-5-mini", { reasoning: "enormous" })
  })
})
