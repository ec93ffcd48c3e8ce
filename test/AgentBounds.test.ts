import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Ref, Schema, Stream } from "effect"
import { LanguageModel, Prompt, Response } from "effect/ai"
import * as Agent from "../src/Agent.ts"
import * as Approvals from "../src/Approvals.ts"
import * as Guardrail from "../src/Guardrail.ts"
import * as OpenAi from "../src/Llm/OpenAi.ts"
import * as Scripted from "../src/Llm/Scripted.ts"
import * as Tool from "../src/Tool.ts"
import * as Transcript from "../src/Transcript.ts"
import { collect, lines, only, results } from "./fixtures/agents.ts"
import { refused } from "./fixtures/badOptions.ts"
import { variables } from "./fixtures/config.ts"
import * as Loopback from "./fixtures/loopbackServer.ts"
import * as Wire from "./fixtures/openAiWire.ts"

/** So many arrays in each other. */
const nested = (levels: number): unknown => {
  let value: unknown = 1
  for (let level = 0; level < levels; level++) value = [value]
  return value
}

const deepCall = "Not run: the arguments are nested deeper than 128 levels"

const deepResult = "The tool answered with a result that is nested deeper than 128 levels"

/** A tool that gives back its argument. */
const echo = Tool.fn("echo", {
  description: "Says it again",
  parameters: { value: Schema.Unknown },
  success: Schema.Unknown
}, ({ value }) => Effect.succeed(value))

const returning = (value: unknown) =>
  Tool.fn("get", { description: "Gets it", success: Schema.Unknown }, () => Effect.succeed(value))

const get = Scripted.toolCall("get", {})

const runWith = (tool: Tool.Tool<string>, options: Agent.Limits = {}) =>
  Agent.response(Agent.run(Agent.make("assistant", { tools: [tool], ...options }), "Go."))

/** The result of the only call. */
const resultOf = ({ transcript }: { readonly transcript: Transcript.Transcript }) => {
  const part = transcript.entries[1]!.content[0]!
  assert(part.type === "tool-use")
  return part
}

describe("Agent bounds", () => {
  it.live("arguments that a provider nests 4,000 levels deep are a failed call, and the conversation goes on", () =>
    Effect.gen(function*() {
      const depth = 4000
      const json = `{"value":${"[".repeat(depth)}${"]".repeat(depth)}}`
      const server = yield* Loopback.make(
        Loopback.sse(Wire.chatCalls([
          { id: "1", name: "echo", arguments: [json] },
          { id: "2", name: "nobody", arguments: [json] }
        ])),
        Loopback.sse(Wire.chatText(["Fine."])),
        Loopback.sse(Wire.chatText(["Still fine."]))
      )
      const model = OpenAi.model("gpt-5-mini", { api: "chat" }).pipe(
        Layer.provide(variables({ OPENAI_API_KEY: "key", OPENAI_BASE_URL: `${server.url}/v1` }))
      )
      const transcript = yield* Ref.make(Transcript.empty)
      const agent = Agent.make("assistant", { tools: [echo], model })
      const events = yield* collect(Agent.run(agent, "Go.", { transcript }))
      yield* collect(Agent.run(agent, "Again.", { transcript }))
      assert.deepStrictEqual(only(events, "ToolCall").map(({ params }) => params), [{}, {}])
      assert.deepStrictEqual(lines(yield* Ref.get(transcript)), [
        "user: Go.",
        `echo failed "${deepCall}"`,
        `nobody failed "${deepCall}"`,
        "text: Fine.",
        "user: Again.",
        "text: Still fine."
      ])
    }).pipe(Effect.scoped))

  it.effect("a result that is nested too deep is a failed result, up to the limit it is kept", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual((yield* runWith(returning(nested(128)))).text, "Done.")
      assert.strictEqual(resultOf(yield* runWith(returning(nested(129)))).result, deepResult)
      assert.strictEqual(resultOf(yield* runWith(returning(nested(20_000)))).result, deepResult)
      const flat = resultOf(yield* runWith(returning([[1]]), { maxDepth: 1 }))
      assert.deepStrictEqual(
        [flat.isFailure, flat.result],
        [true, "The tool answered with a result that is nested deeper than 1 levels"]
      )
    }).pipe(Effect.provide(Scripted.model([get, "Done.", get, "Done.", get, "Done.", get, "Done."]))))

  it.effect("a result that its own recursive schema can't encode is a failed result", () =>
    Effect.gen(function*() {
      interface Tree {
        readonly children: ReadonlyArray<Tree>
      }
      const Tree = Schema.Struct({ children: Schema.Array(Schema.suspend((): Schema.Codec<Tree> => Tree)) })
      let tree: Tree = { children: [] }
      for (let level = 0; level < 4000; level++) tree = { children: [tree] }
      const tool = Tool.fn("get", { description: "", success: Tree, failureMode: "error" }, () => Effect.succeed(tree))
      const { isFailure, result } = resultOf(yield* runWith(tool))
      assert.isTrue(isFailure)
      assert.match(String(result), /can't be encoded/)
    }).pipe(Effect.provide(Scripted.model([get, "Done."]))))

  it.effect("arguments that a guardrail or an approval puts in are bounded, too, and so is progress", () =>
    Effect.gen(function*() {
      const ran: Array<unknown> = []
      const tool = Tool.fn("echo", {
        description: "",
        parameters: { value: Schema.Unknown },
        needsApproval: ({ value }) => value === "ask"
      }, ({ value }) => {
        ran.push(value)
        return Tool.emit(nested(200))
      })
      const deeper = Guardrail.toolCall("deeper", ({ params }) =>
        Effect.succeed(
          JSON.stringify(params).includes("replace") ? Guardrail.replace({ value: nested(200) }) : Guardrail.pass
        ))
      const agent = Agent.make("assistant", { tools: [tool], guardrails: [deeper] })
      const approvals = yield* Approvals.Approvals
      const events = yield* Agent.run(agent, "Go.").pipe(
        Stream.tap((event) =>
          event._tag === "ApprovalRequested"
            ? approvals.approve(event.approval, { params: { value: nested(200) } })
            : Effect.void
        ),
        collect
      )
      assert.sameMembers(results(events), [deepCall, deepCall, null])
      assert.deepStrictEqual(ran, ["run"])
      assert.deepStrictEqual(only(events, "ToolProgress").map(({ data }) => data), ["(nested too deep)"])
    }).pipe(Effect.provide([
      Approvals.layer(),
      Scripted.model([["replace", "ask", "run"].map((value) => Scripted.toolCall("echo", { value })), "Done."])
    ])))

  it.effect("a provider's own tool whose result is nested too deep has failed", () =>
    Effect.gen(function*() {
      const call = { id: "1", name: "web_search", providerExecuted: true, metadata: {} }
      const response = yield* Agent.response(Agent.run(Agent.make("assistant"), "Go.")).pipe(
        Effect.provideService(LanguageModel.LanguageModel, {
          ...(yield* LanguageModel.LanguageModel),
          streamText: () =>
            Stream.fromIterable([
              Response.makePart("tool-call", { ...call, params: {} }),
              Response.makePart("tool-result", {
                ...call,
                result: nested(4000),
                encodedResult: nested(4000),
                isFailure: false,
                preliminary: false
              }),
              Response.makePart("finish", {
                reason: "stop",
                usage: new Response.Usage({ inputTokens: {}, outputTokens: {} }),
                response: undefined
              })
            ]) as never
        })
      )
      assert.deepStrictEqual(lines(response.transcript), ["user: Go.", `web_search failed "${deepResult}"`])
    }).pipe(Effect.provide(Scripted.model([]))))

  it.effect("a result that is no JSON is a failed result", () =>
    Effect.gen(function*() {
      const wrong = { ...returning(1), handle: () => Effect.succeed<Tool.Outcome>({ result: 1n, isFailure: false }) }
      const { isFailure, result } = resultOf(yield* runWith(wrong))
      assert.deepStrictEqual([isFailure, result], [true, "The tool answered with a result that is no JSON"])
    }).pipe(Effect.provide(Scripted.model([get, "Done."]))))

  it.effect("a defect or a failure that nobody can print is a failed result", () =>
    Effect.gen(function*() {
      const circle: { self?: unknown } = {}
      circle.self = circle
      for (const thrown of [nested(4_000), nested(50_000), circle, Object.create(null)]) {
        for (const handler of [Effect.die(thrown), Effect.fail(thrown)]) {
          const { isFailure, result } = resultOf(
            yield* runWith(Tool.fn("get", { description: "" }, () => handler)).pipe(
              Effect.provide(Scripted.model([get, "Done."]))
            )
          )
          assert.strictEqual(isFailure, true)
          assert.typeOf(result, "string")
        }
      }
    }))

  it.effect("what a guardrail puts in the place of arguments and results is JSON, or the call has failed", () =>
    Effect.gen(function*() {
      const runs = (guardrail: Guardrail.Guardrail) =>
        Agent.response(Agent.run(Agent.make("assistant", { tools: [echo], guardrails: [guardrail] }), "Go.")).pipe(
          Effect.provide(Scripted.model([Scripted.toolCall("echo", { value: 1 }), "Done."])),
          Effect.map(resultOf)
        )
      const nothing = yield* runs(Guardrail.toolResult("nothing", () => Effect.succeed(Guardrail.replace(undefined))))
      assert.deepInclude(nothing, { isFailure: false, result: null })
      const wrong = yield* runs(Guardrail.toolCall("wrong", () => Effect.succeed(Guardrail.replace({ value: 1n }))))
      assert.deepInclude(wrong, { params: { value: 1 }, isFailure: true, result: "Not run: the arguments are no JSON" })
    }))

  it.effect("of a result that is too long the model reads the beginning, and that it is cut", () =>
    Effect.gen(function*() {
      const cut = "\n[cut: these are the first 5 of 12 bytes]"
      const text = resultOf(yield* runWith(returning("ääääää"), { maxResultBytes: 5 }))
      assert.deepStrictEqual([text.result, text.isFailure], [`ää${cut}`, false])
      const json = resultOf(yield* runWith(returning({ text: "ab" }), { maxResultBytes: 5 }))
      assert.strictEqual(json.result, `{"tex${cut.replace("12", "13")}`)
      const fits = resultOf(yield* runWith(returning("äää"), { maxResultBytes: 6 }))
      assert.strictEqual(fits.result, "äää")
      const long = resultOf(yield* runWith(returning("x".repeat(300_000))))
      assert.strictEqual(
        String(long.result).slice(262_143),
        "x\n[cut: these are the first 262144 of 300000 bytes]"
      )
    }).pipe(Effect.provide(Scripted.model([get, "Done.", get, "Done.", get, "Done.", get, "Done."]))))

  it.effect("texts for the model beside files are cut together, and a failure's message is cut", () =>
    Effect.gen(function*() {
      const file = Prompt.filePart({ mediaType: "image/png", data: "AAAA" })
      const withOutput = {
        ...returning("abcdefgh"),
        handle: () =>
          Effect.succeed<Tool.Outcome>({
            result: "abcdefgh",
            isFailure: false,
            modelOutput: [Prompt.textPart({ text: "abcd" }), file, Prompt.textPart({ text: "efgh" })]
          })
      }
      const { modelOutput } = resultOf(yield* runWith(withOutput, { maxResultBytes: 6 }))
      assert.deepStrictEqual(modelOutput?.map((part) => part.type === "text" ? part.text : part.type), [
        "abcd",
        "file",
        "ef\n[cut: these are the first 2 of 4 bytes]"
      ])
      const failing = Tool.fn("get", { description: "" }, () => Effect.fail("abcdefgh"))
      const { isFailure, result } = resultOf(yield* runWith(failing, { maxResultBytes: 6 }))
      assert.deepStrictEqual([isFailure, result], [true, "abcdef\n[cut: these are the first 6 of 8 bytes]"])
    }).pipe(Effect.provide(Scripted.model([get, "Done.", get, "Done."]))))

  it("that can't be kept are refused where the agent is made", () => {
    refused({
      "Agent.make: maxDepth must be an integer from 1 to 1000, got 0": () => Agent.make("a", { maxDepth: 0 }),
      "Agent.make: maxDepth must be an integer from 1 to 1000, got 1001": () => Agent.make("a", { maxDepth: 1001 }),
      "Agent.make: maxResultBytes must be a positive integer, got 0": () => Agent.make("a", { maxResultBytes: 0 })
    })
  })
})
