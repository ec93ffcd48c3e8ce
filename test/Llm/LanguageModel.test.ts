import { assert, describe, it } from "@effect/vitest"
import { Effect, Ref, Schema, Stream } from "effect"
import { Telemetry, Tool, Toolkit } from "effect/ai"
import type { Response } from "effect/ai"
import { make } from "../../src/internal/llm/languageModel.ts"

const toolkit = Toolkit.make(Tool.make("add", { parameters: Schema.Struct({ a: Schema.Finite }) }))

const metadata = { vendor: { signature: "abc" } }

const parts: Array<Response.StreamPartEncoded> = [
  { type: "response-metadata", id: "r1", modelId: "m", timestamp: "2026-01-01T00:00:00.000Z" },
  { type: "reasoning-start", id: "1" },
  { type: "reasoning-delta", id: "1", delta: "Hm.", metadata },
  { type: "reasoning-end", id: "1", metadata },
  { type: "text-start", id: "2" },
  { type: "text-delta", id: "2", delta: "Yes" },
  { type: "text-end", id: "2" },
  { type: "file", mediaType: "image/png", data: "AAEC" },
  { type: "source", sourceType: "url", id: "s", url: "https://effect.website", title: "Effect" },
  { type: "tool-params-start", id: "c1", name: "add" },
  { type: "tool-params-delta", id: "c1", delta: "{\"a\":1}" },
  { type: "tool-params-end", id: "c1" },
  { type: "tool-call", id: "c1", name: "add", params: { a: 1 }, metadata },
  { type: "tool-call", id: "c2", name: "not_declared", params: "{" },
  {
    type: "finish",
    reason: "tool-calls",
    usage: { inputTokens: { total: 3 }, outputTokens: { total: 2 } },
    response: { status: 200, headers: { "x-request-id": "1" } }
  },
  { type: "finish", reason: "stop", usage: { inputTokens: { total: 3 }, outputTokens: {} }, metadata }
]

const turn = { prompt: "Hi", toolkit, disableToolCallResolution: true, toolCallValidation: "deferred" } as const

const streaming = (parts: ReadonlyArray<Response.StreamPartEncoded>) =>
  make({ generateText: () => Effect.succeed([]), streamText: () => Stream.fromArray(parts) })

describe("the language model of this library's own layers", () => {
  it.effect("gives a turn the same parts as Effect's decoding way", () =>
    Effect.gen(function*() {
      const model = yield* streaming(parts)
      const direct = yield* Stream.runCollect(model.streamText(turn))
      const seen = yield* Ref.make<ReadonlyArray<string>>([])
      const decoded = yield* Stream.runCollect(model.streamText(turn)).pipe(
        Effect.provideService(Telemetry.CurrentSpanTransformer, ({ response }) => {
          Effect.runSync(Ref.set(seen, response.map((part) => part.type)))
        })
      )
      assert.deepStrictEqual<ReadonlyArray<unknown>>(direct, decoded)
      assert.deepStrictEqual(yield* Ref.get(seen), parts.map((part) => part.type))
    }))

  it.effect("a part that is not well formed is an InvalidOutputError", () =>
    Effect.gen(function*() {
      const model = yield* streaming([{
        type: "finish",
        reason: "stop",
        usage: { inputTokens: { total: 1.5 }, outputTokens: {} }
      }])
      const error = yield* Effect.flip(Stream.runDrain(model.streamText(turn)))
      assert.strictEqual(error.reason._tag, "InvalidOutputError")
    }))

  it.effect("offers a turn only the tools that its choice allows", () =>
    Effect.gen(function*() {
      const asked = yield* Ref.make<ReadonlyArray<string>>([])
      const model = yield* make({
        generateText: () => Effect.succeed([]),
        streamText: ({ tools }) => Stream.drain(Stream.fromEffect(Ref.set(asked, tools.map((tool) => tool.name))))
      })
      yield* Stream.runDrain(model.streamText({ ...turn, toolChoice: { oneOf: ["add"] } }))
      assert.deepStrictEqual(yield* Ref.get(asked), ["add"])
      yield* Stream.runDrain(model.streamText({ ...turn, toolChoice: { oneOf: [] } }))
      assert.deepStrictEqual(yield* Ref.get(asked), [])
    }))
})
