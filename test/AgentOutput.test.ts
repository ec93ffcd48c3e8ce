import { assert, describe, expectTypeOf, it } from "@effect/vitest"
import { Context, Effect, Layer, Schema, SchemaGetter, Stream } from "effect"
import type { LanguageModel, Response } from "effect/ai"
import * as Agent from "../src/Agent.ts"
import type { AgentError } from "../src/AgentError.ts"
import * as AgentEvent from "../src/AgentEvent.ts"
import * as Guardrail from "../src/Guardrail.ts"
import * as Anthropic from "../src/Llm/Anthropic.ts"
import * as Mistral from "../src/Llm/Mistral.ts"
import * as OpenAi from "../src/Llm/OpenAi.ts"
import * as Scripted from "../src/Llm/Scripted.ts"
import { collect, lines, modelOf, only, tags, weather } from "./fixtures/agents.ts"
import * as AnthropicWire from "./fixtures/anthropicWire.ts"
import { variables } from "./fixtures/config.ts"
import * as Loopback from "./fixtures/loopbackServer.ts"
import * as MistralWire from "./fixtures/mistralWire.ts"
import * as OpenAiWire from "./fixtures/openAiWire.ts"

const Person = Schema.Struct({ name: Schema.String, age: Schema.Int })

const ada = { name: "Ada", age: 36 }

const json = JSON.stringify(ada)

const reader = Agent.make("reader")

const requests = Effect.flatten(Scripted.Requests)

const read = (agent: Agent.Agent<never, LanguageModel.LanguageModel> = reader) =>
  collect(Agent.run(agent, "Who?", { output: Person }))

const finish: Response.StreamPartEncoded = {
  type: "finish",
  reason: "tool-calls",
  usage: { inputTokens: { total: 1 }, outputTokens: { total: 1 } }
}

/** A model that gives the object in pieces, as the arguments of the tool, after these parts. */
const carrying = (pieces: ReadonlyArray<string>, ...before: ReadonlyArray<Response.StreamPartEncoded>) =>
  modelOf(
    Stream.fromIterable<Response.StreamPartEncoded>([
      ...before,
      { type: "tool-params-start", id: "c1", name: "final_answer", providerExecuted: false },
      ...pieces.map((delta) => ({ type: "tool-params-delta" as const, id: "c1", delta })),
      { type: "tool-params-end", id: "c1" },
      {
        type: "tool-call",
        id: "c1",
        name: "final_answer",
        params: JSON.parse(pieces.join("")),
        providerExecuted: false
      },
      finish
    ]).pipe(Stream.rechunk(1))
  )

const pieces = ["{\"name\":", "\"A", "da\",", "\"age\":3", "6}"]

const partials = [{}, { name: "A" }, { name: "Ada" }, { name: "Ada", age: 36 }]

describe("A run that is asked for a value", () => {
  it.effect("shows it while it comes in, and has it in its response", () =>
    Effect.gen(function*() {
      const events = yield* read()
      assert.deepStrictEqual(only(events, "OutputPartial").map(({ output }) => output), partials)
      const completed = events.at(-1)!
      assert(completed._tag === "Completed")
      assert.strictEqual(completed.response.output.age, 36)
      assert.strictEqual(completed.response.text, json)
    }).pipe(Effect.provide(carrying(pieces))))

  it.effect("tells nobody of the tool that carried it, whether its arguments came in pieces or whole", () =>
    Effect.gen(function*() {
      for (
        const model of [carrying(pieces), carrying([json]), Scripted.model([Scripted.toolCall("final_answer", ada)])]
      ) {
        const events = yield* Effect.provide(read(), model)
        assert.notInclude(JSON.stringify(events), "final_answer")
        assert.deepStrictEqual(tags(events).filter((tag) => tag.startsWith("T")), ["TurnFinished"])
        assert.deepStrictEqual(only(events, "OutputPartial").at(-1)!.output, ada)
        assert.deepStrictEqual(lines(only(events, "Completed")[0]!.response.transcript), [
          "user: Who?",
          `text: ${json}`
        ])
      }
    }))

  it.effect("takes JSON text for it, which is no text of the answer then; other text is", () =>
    Effect.gen(function*() {
      const fenced = "```json\n" + json + "\n```"
      for (const text of [json, ` ${json}`, fenced]) {
        const events = yield* Effect.provide(read(), Scripted.model([text]))
        assert.deepStrictEqual(only(events, "TextDelta"), [])
        assert.deepStrictEqual(only(events, "OutputPartial").at(-1)!.output, ada)
        assert.deepStrictEqual(only(events, "Completed")[0]!.response.output, ada)
      }
      const said = [Scripted.text("`Ada` it is."), Scripted.toolCall("final_answer", ada)]
      const events = yield* Effect.provide(read(), Scripted.model([said]))
      assert.strictEqual(only(events, "TextDelta").map(({ delta }) => delta).join(""), "`Ada` it is.")
      assert.deepStrictEqual(only(events, "Completed")[0]!.response.output, ada)
      const around = yield* Effect.provide(read(), Scripted.model([`Here it is: ${json}. Done.`]))
      assert.deepStrictEqual(only(around, "Completed")[0]!.response.output, ada)
    }))

  it.effect("lets the agent use its tools first", () =>
    Effect.gen(function*() {
      const agent = Agent.make("reader", { tools: [weather] })
      const events = yield* read(agent)
      assert.deepStrictEqual(only(events, "ToolCall").map(({ name }) => name), ["get_weather"])
      assert.deepStrictEqual(only(events, "Completed")[0]!.response.output, ada)
      const [first] = yield* requests
      assert.deepStrictEqual(first!.tools, ["get_weather", "final_answer"])
      assert.strictEqual(first!.toolChoice, "required")
    }).pipe(Effect.provide(
      Scripted.model([Scripted.toolCall("get_weather", { city: "Lagos" }), Scripted.toolCall("final_answer", ada)])
    )))

  it.effect("asks once more in the same run where the answer doesn't fit", () =>
    Effect.gen(function*() {
      const events = yield* read()
      assert.strictEqual(only(events, "RunStarted").length, 1)
      const [completed, ...others] = only(events, "Completed")
      assert.deepStrictEqual(others, [])
      assert.deepStrictEqual(completed!.response.output, ada)
      assert.strictEqual(completed!.response.turns, 2)
      assert.strictEqual(completed!.response.usage.outputTokens.total, 7)
      const [question, wrong, repair, right] = lines(completed!.response.transcript)
      assert.deepStrictEqual([question, wrong, right], ["user: Who?", `text: {"name":"Ada"}`, `text: ${json}`])
      assert.match(repair!, /^user: Your answer does not fit: Missing key[^]*Give the whole answer again\.$/)
    }).pipe(Effect.provide(Scripted.model([
      [Scripted.toolCall("final_answer", { name: "Ada" }), Scripted.usage(1, 3)],
      [Scripted.toolCall("final_answer", ada), Scripted.usage(1, 4)]
    ]))))

  it.effect("fails with InvalidOutput on the second one that doesn't fit, and where it may not ask again", () =>
    Effect.gen(function*() {
      const wrong = Scripted.model(() => "Ada.")
      for (const [agent, asked] of [[reader, 2], [Agent.make("reader", { maxTurns: 1 }), 1]] as const) {
        const asking = Effect.all([Effect.flip(read(agent)), requests])
        const [error, { length }] = yield* Effect.provide(asking, wrong, { local: true })
        assert.strictEqual(error.reason._tag, "InvalidOutput")
        assert.include(error.message, "Expected JSON, got another text")
        assert.strictEqual(length, asked)
      }
    }))

  it.effect("an answer that nobody could walk through is none", () =>
    Effect.gen(function*() {
      const events = yield* read()
      assert.deepStrictEqual(only(events, "Completed")[0]!.response.output, ada)
    }).pipe(Effect.provide(Scripted.model([`${"{\"a\":".repeat(4000)}1${"}".repeat(4000)}`, json]))))

  it.effect("any value will do: one that is no object is shown without the object that carries it", () =>
    Effect.gen(function*() {
      const events = yield* collect(Agent.run(reader, "When?", { output: Schema.Array(Schema.DateFromString) }))
      assert.deepStrictEqual(only(events, "OutputPartial").map(({ output }) => output), [[], ["1815-12-"], [
        "1815-12-10"
      ]])
      const completed = events.at(-1)!
      assert(completed._tag === "Completed")
      assert.strictEqual(completed.response.output[0]!.getUTCFullYear(), 1815)
    }).pipe(Effect.provide(carrying(["{\"value\":", "[", "\"1815-12-", "10\"", "]}"]))))

  it.effect("its output guardrails see it first, and what they make of it is the answer", () =>
    Effect.gen(function*() {
      const agent = Agent.make("reader", {
        guardrails: [Guardrail.output("older", (text) => Effect.succeed(Guardrail.replace(text.replace("36", "37"))))]
      })
      for (const model of [carrying(pieces), Scripted.model([json])]) {
        const events = yield* Effect.provide(read(agent), model)
        assert.deepStrictEqual(only(events, "OutputPartial").map(({ output }) => output), [{ name: "Ada", age: 37 }])
        assert.deepStrictEqual(only(events, "TextDelta"), [])
        assert.strictEqual(only(events, "Completed")[0]!.response.output.age, 37)
      }
    }))

  it.effect("its events encode to JSON and back", () =>
    Effect.gen(function*() {
      const codec = Schema.toCodecJson(AgentEvent.AgentEvent)
      for (const event of yield* read()) {
        const encoded: unknown = JSON.parse(JSON.stringify(yield* Schema.encodeEffect(codec)(event)))
        const decoded = yield* Schema.decodeUnknownEffect(codec)(encoded)
        assert.deepStrictEqual(yield* Schema.encodeEffect(codec)(decoded), encoded)
      }
    }).pipe(Effect.provide(carrying(pieces))))

  it("is typed by its schema, from the run to the response", () => {
    class Names extends Context.Service<Names, { readonly of: (id: string) => string }>()("Names") {}
    const Named = Schema.String.pipe(Schema.decodeTo(Schema.String, {
      decode: SchemaGetter.transformEffect((id: string) => Effect.map(Names, (names) => names.of(id))),
      encode: SchemaGetter.passthrough()
    }))
    const run = Agent.run(reader, "Who?", { output: Person })
    expectTypeOf(run).toEqualTypeOf<
      Stream.Stream<AgentEvent.AgentEventOf<typeof Person.Type>, AgentError, LanguageModel.LanguageModel>
    >()
    expectTypeOf(Agent.response(run)).toEqualTypeOf<
      Effect.Effect<AgentEvent.AgentResponseOf<typeof Person.Type>, AgentError, LanguageModel.LanguageModel>
    >()
    expectTypeOf(run.pipe(Agent.response, Effect.map(({ output }) => output.age))).toEqualTypeOf<
      Effect.Effect<number, AgentError, LanguageModel.LanguageModel>
    >()
    expectTypeOf(Agent.response(Agent.run(reader, "Who?"))).toEqualTypeOf<
      Effect.Effect<AgentEvent.AgentResponse, AgentError, LanguageModel.LanguageModel>
    >()
    expectTypeOf(Agent.run(reader, "Who?", { output: Named })).toEqualTypeOf<
      Stream.Stream<AgentEvent.AgentEventOf<string>, AgentError, LanguageModel.LanguageModel | Names>
    >()
  })
})

describe("A provider with JSON output of its own", () => {
  const schema = {
    type: "object",
    properties: { name: { type: "string" }, age: { type: "integer" } },
    required: ["name", "age"],
    additionalProperties: false
  }
  const format = { type: "json_schema" }
  const bodies = ({ requests }: Loopback.LoopbackServer) => requests.map(({ body }) => body as Body)
  const toolsOf = ({ tools = [] }: Body) => tools.map((tool) => tool.name ?? tool.function?.name)
  const openAi = (server: Loopback.LoopbackServer) =>
    OpenAi.model("gpt-5-mini", { api: "responses" }).pipe(
      Layer.provide(variables({ OPENAI_API_KEY: "sk-1", OPENAI_BASE_URL: `${server.url}/v1` }))
    )

  it.live("gets the schema and no tool for it; the agent's own tools stay", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(
        Loopback.sse([...OpenAiWire.responsesOpening, ...OpenAiWire.responsesEvents([OpenAiWire.message(pieces)])])
      )
      const agent = Agent.make("reader", { tools: [weather] })
      const events = yield* Effect.provide(read(agent), openAi(server))
      assert.deepStrictEqual(only(events, "OutputPartial").at(-1)!.output, ada)
      assert.deepStrictEqual(only(events, "TextDelta"), [])
      assert.deepStrictEqual(only(events, "Completed")[0]!.response.output, ada)
      const [body] = bodies(server)
      assert.deepInclude(body!.text?.format, { ...format, strict: true })
      assert.deepStrictEqual(withoutBounds(body!.text?.format?.schema), schema)
      assert.deepStrictEqual(toolsOf(body!), ["get_weather"])
      assert.strictEqual(body!.tool_choice, "auto")
    }))

  it.live("gets the tool where it would refuse the schema", () =>
    Effect.gen(function*() {
      const call = { id: "c1", name: "final_answer", arguments: ["{\"name\":\"Ada\"}"] }
      const server = yield* Loopback.make(
        Loopback.sse([
          ...OpenAiWire.responsesOpening,
          ...OpenAiWire.responsesEvents([OpenAiWire.functionCall(call)])
        ])
      )
      const output = Schema.Struct({ name: Schema.String, age: Schema.optionalKey(Schema.Int) })
      const response = yield* Agent.response(Agent.run(reader, "Who?", { output })).pipe(
        Effect.provide(openAi(server))
      )
      assert.deepStrictEqual(response.output, { name: "Ada" })
      const [body] = bodies(server)
      assert.deepStrictEqual(toolsOf(body!), ["final_answer"])
      assert.isUndefined(body!.text?.format)
    }))

  it.live("Anthropic takes it beside tools, Mistral only without them", () =>
    Effect.gen(function*() {
      const anthropic = yield* Loopback.make(Loopback.sse(AnthropicWire.message([AnthropicWire.text(pieces)])))
      const agent = Agent.make("reader", { tools: [weather] })
      const model = Anthropic.model("claude-sonnet-4-5").pipe(
        Layer.provide(variables({ ANTHROPIC_API_KEY: "sk-1", ANTHROPIC_BASE_URL: anthropic.url }))
      )
      yield* Effect.provide(read(agent), model)
      const [body] = bodies(anthropic)
      assert.deepInclude(body!.output_config?.format, format)
      assert.deepStrictEqual(toolsOf(body!), ["get_weather"])

      const mistral = yield* Loopback.make(
        Loopback.sse(MistralWire.text(pieces)),
        Loopback.sse([MistralWire.opening, ...MistralWire.call("c1", "final_answer", ada)])
      )
      const small = Mistral.model("mistral-small-latest").pipe(
        Layer.provide(variables({ MISTRAL_API_KEY: "1", MISTRAL_BASE_URL: `${mistral.url}/v1` }))
      )
      yield* Effect.provide(read(), small)
      yield* Effect.provide(read(agent), small)
      const [without, beside] = bodies(mistral)
      assert.deepInclude(without!.response_format, format)
      assert.deepStrictEqual(toolsOf(without!), [])
      assert.deepStrictEqual(toolsOf(beside!), ["get_weather", "final_answer"])
      assert.isUndefined(beside!.response_format)
    }))
})

interface Format {
  readonly type: string
  readonly strict?: boolean
  readonly schema?: unknown
}

interface Body {
  readonly tools?: ReadonlyArray<{ readonly name?: string; readonly function?: { readonly name: string } }>
  readonly tool_choice?: unknown
  readonly text?: { readonly format?: Format }
  readonly output_config?: { readonly format?: Format }
  readonly response_format?: Format
}

/** Without the bounds that every integer has. */
const withoutBounds = (schema: unknown): unknown =>
  JSON.parse(JSON.stringify(schema, (key, value) => key === "minimum" || key === "maximum" ? undefined : value))
