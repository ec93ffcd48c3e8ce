import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Ref, Stream } from "effect"
import { LanguageModel, type Prompt, type Response } from "effect/ai"
import { TestClock } from "effect/testing"
import * as Agent from "../src/Agent.ts"
import * as Approvals from "../src/Approvals.ts"
import { carriedIn } from "../src/internal/llm/carried.ts"
import { make as makeLanguageModel } from "../src/internal/llm/languageModel.ts"
import * as Transcript from "../src/Transcript.ts"
import { collect, lines, only, tags } from "./fixtures/agents.ts"

const finish = (reason: Response.FinishReason): Response.StreamPartEncoded => ({
  type: "finish",
  reason,
  usage: { inputTokens: {}, outputTokens: {} }
})

const search: Response.StreamPartEncoded = {
  type: "tool-call",
  id: "s1",
  name: "web_search",
  params: { query: "rain" },
  providerExecuted: true,
  metadata: { "effect-troupe": { by: "anthropic.messages" } }
}

const found: Response.StreamPartEncoded = {
  type: "tool-result",
  id: "s1",
  name: "web_search",
  result: ["It rains."],
  isFailure: false,
  providerExecuted: true,
  metadata: { acme: { seal: "x" } }
}

const says = (text: string): ReadonlyArray<Response.StreamPartEncoded> => [
  { type: "text-start", id: "t" },
  { type: "text-delta", id: "t", delta: text },
  { type: "text-end", id: "t" },
  finish("stop")
]

/** The call that waits for a decision. */
const wants: ReadonlyArray<Response.StreamPartEncoded> = [
  { ...search, id: "m1", name: "mcp.roll", params: { sides: 6 } },
  {
    type: "tool-approval-request",
    approvalId: "mcpr_1",
    toolCallId: "m1",
    metadata: { "effect-troupe": { request: { server_label: "dice" } } }
  },
  finish("stop")
]

const rolled: ReadonlyArray<Response.StreamPartEncoded> = [
  { ...search, id: "m1", name: "mcp.roll", params: { sides: 6 } },
  { ...found, id: "m1", name: "mcp.roll", result: { output: "5" } },
  ...says("A five.")
]

/** A model that gives these answers in turn, and keeps what it is asked. */
const modelOf = (...answers: ReadonlyArray<ReadonlyArray<Response.StreamPartEncoded> | "silence">) => {
  const prompts: Array<ReadonlyArray<Prompt.Message>> = []
  const layer = Layer.effect(
    LanguageModel.LanguageModel,
    makeLanguageModel({
      generateText: () => Effect.die("agents stream"),
      streamText: ({ prompt }) => {
        const answer = answers[prompts.push(prompt.content) - 1] ?? says("?")
        return answer === "silence" ? Stream.never : Stream.fromArray(answer)
      }
    })
  )
  return { layer, prompts }
}

const assistant = Agent.make("assistant")

/** The parts of the assistant in a prompt, by type. */
const assistantParts = (messages: ReadonlyArray<Prompt.Message> | undefined) =>
  (messages ?? []).flatMap((message) => message.role === "assistant" ? message.content : [])

describe("A provider's own tools", () => {
  it.effect("a result that comes after a pause belongs to its call: event, transcript, next request", () =>
    Effect.gen(function*() {
      const { layer, prompts } = modelOf([search, finish("pause")], [found, ...says("It rains.")])
      const transcript = yield* Ref.make(Transcript.empty)
      const run = Agent.run(assistant, "Rain?", { transcript })
      const events = yield* collect(run).pipe(Effect.provide(layer))
      assert.deepStrictEqual(tags(events), [
        "RunStarted",
        "ToolCall",
        "TurnFinished",
        "ToolResult",
        "TextDelta",
        "TurnFinished",
        "Completed"
      ])
      assert.deepInclude(only(events, "ToolResult")[0], {
        id: "s1",
        name: "web_search",
        result: ["It rains."],
        metadata: { acme: { seal: "x" } }
      })
      assert.deepStrictEqual(assistantParts(prompts[1]).map(({ type }) => type), ["tool-call"])
      assert.deepStrictEqual(lines(yield* Ref.get(transcript)), [
        "user: Rain?",
        "web_search is open",
        `web_search late ["It rains."]`,
        "text: It rains."
      ])
      yield* collect(Agent.run(assistant, "And now?", { transcript })).pipe(Effect.provide(modelOf().layer))
      const [call, result] = assistantParts((yield* Ref.get(transcript)).messages)
      assert(call?.type === "tool-call" && result?.type === "tool-result")
      assert.strictEqual(call.id, result.id)
      assert.deepStrictEqual(result.options, { acme: { seal: "x" } })
    }))

  it.effect("a run that ends before the result came gives the call one that says so", () =>
    Effect.gen(function*() {
      const { layer } = modelOf([search, finish("pause")], "silence")
      const transcript = yield* Ref.make(Transcript.empty)
      const paused = yield* Deferred.make<void>()
      const fiber = yield* Agent.run(assistant, "Rain?", { transcript }).pipe(
        Stream.runForEach((event) => event._tag === "TurnFinished" ? Deferred.succeed(paused, undefined) : Effect.void),
        Effect.provide(layer),
        Effect.forkChild
      )
      yield* Deferred.await(paused)
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(lines(yield* Ref.get(transcript)), [
        "user: Rain?",
        "web_search is open",
        `web_search late "Interrupted before the tool answered"`
      ])
    }))

  it.effect("so does one that meets its limit", () =>
    Effect.gen(function*() {
      const { layer } = modelOf([search, finish("pause")])
      const once = Agent.make("assistant", { maxTurns: 1 })
      const error = yield* Effect.flip(collect(Agent.run(once, "Rain?")).pipe(Effect.provide(layer)))
      assert.strictEqual(error.reason._tag, "MaxTurnsExceeded")
      assert.lengthOf(lines(error.transcript), 3)
    }))

  it.effect("an approval that the provider asks for waits for Approvals, and its decision goes back", () =>
    Effect.gen(function*() {
      const approvals = yield* Approvals.Approvals
      const { layer, prompts } = modelOf(wants, rolled)
      const fiber = yield* collect(Agent.run(assistant, "Roll!")).pipe(Effect.provide(layer), Effect.forkChild)
      yield* TestClock.adjust(0)
      const [request] = yield* approvals.list
      assert.deepInclude(request, { agent: "assistant", tool: "mcp.roll", call: "m1", params: { sides: 6 } })
      const edit = yield* Effect.flip(approvals.approve(request!.id, { params: { sides: 20 } }))
      assert.strictEqual(edit._tag, "InvalidDecision")
      yield* approvals.approve(request!.id)
      const events = yield* Fiber.join(fiber)
      assert.deepStrictEqual(tags(events).filter((tag) => /Approval|Tool/.test(tag)), [
        "ToolCall",
        "ApprovalRequested",
        "ApprovalDecided",
        "ToolResult"
      ])
      const [call] = assistantParts(prompts[1])
      assert.deepStrictEqual(carriedIn(call!.options).approval, {
        id: "mcpr_1",
        approved: true,
        request: { server_label: "dice" }
      })
      assert.strictEqual(only(events, "Completed")[0]?.response.text, "A five.")
    }).pipe(Effect.provide(Approvals.layer())))

  it.effect("a refusal goes back, too, and is the call's result", () =>
    Effect.gen(function*() {
      const approvals = yield* Approvals.Approvals
      const { layer, prompts } = modelOf(wants, says("No dice."))
      const fiber = yield* collect(Agent.run(assistant, "Roll!")).pipe(Effect.provide(layer), Effect.forkChild)
      yield* TestClock.adjust(0)
      yield* approvals.reject((yield* approvals.list)[0]!.id, "no gambling")
      const events = yield* Fiber.join(fiber)
      const result = "Not run: the call was rejected: no gambling"
      assert.deepInclude(only(events, "ToolResult")[0], { id: "m1", result, isFailure: true })
      const [call] = assistantParts(prompts[1])
      assert.deepInclude(carriedIn(call!.options).approval, { id: "mcpr_1", approved: false, reason: result })
      assert.deepStrictEqual(lines(only(events, "Completed")[0]!.response.transcript), [
        "user: Roll!",
        `mcp.roll failed ${JSON.stringify(result)}`,
        "text: No dice."
      ])
    }).pipe(Effect.provide(Approvals.layer())))

  it.effect("without Approvals such a run fails, and says what is missing", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(
        collect(Agent.run(assistant, "Roll!")).pipe(Effect.provide(modelOf(wants).layer))
      )
      assert.strictEqual(error.reason._tag, "InvalidAgent")
      assert.include(error.message, "tool mcp.roll needs approval: provide Approvals.layer")
    }))
})
