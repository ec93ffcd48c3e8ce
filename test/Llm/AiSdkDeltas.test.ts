import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { LanguageModel } from "effect/ai"
import type { Response } from "effect/ai"
import * as fc from "fast-check"
import * as Deltas from "../../src/internal/aiSdkDeltas.ts"
import * as AiSdk from "../../src/Llm/AiSdk.ts"

type Encoded = Response.StreamPartEncoded

const delta = (text: string, id = "1", type: "text-delta" | "reasoning-delta" = "text-delta"): Encoded => ({
  type,
  id,
  delta: text
})

/** What a model with these parts streams to its caller: type, text and metadata. */
const streamed = Effect.fnUntraced(function*(
  parts: ReadonlyArray<{ readonly type: "text-delta" | "reasoning-delta"; readonly id: string; readonly delta: string }>
) {
  const usage = {
    inputTokens: { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 },
    outputTokens: { total: 1, text: 1, reasoning: 0 }
  }
  const model = yield* AiSdk.make({
    provider: "fixed",
    model: {
      specificationVersion: "v4",
      provider: "fixed",
      modelId: "fixed",
      supportedUrls: {},
      doGenerate: () => Promise.reject(new Error("only streams")),
      doStream: () =>
        Promise.resolve({
          stream: ReadableStream.from([
            ...parts,
            { type: "finish" as const, finishReason: { unified: "stop" as const, raw: "stop" }, usage }
          ])
        })
    }
  })
  const answer = yield* LanguageModel.streamText({ prompt: "Hi" }).pipe(
    Stream.runCollect,
    Effect.provideService(LanguageModel.LanguageModel, model)
  )
  return answer.flatMap((part) =>
    part.type === "text-delta" || part.type === "reasoning-delta"
      ? [{ type: part.type, id: part.id, delta: part.delta, metadata: part.metadata }]
      : []
  )
})

describe("AiSdk deltas", () => {
  it("deltas of one block are one part in between, and parts of other kinds and blocks are not joined", () => {
    const end: Encoded = { type: "text-end", id: "1" }
    const marked: Encoded = { type: "text-delta", id: "1", delta: "x", metadata: { google: { thoughtSignature: "s" } } }
    const joined = Deltas.join([delta("a"), delta("b"), marked, delta("c"), end, delta("d", "2"), delta("e", "3")])
    assert.deepStrictEqual(
      joined.map((part) => "delta" in part ? part.delta : part.type),
      ["ab", "x", "c", "text-end", "d", "e"]
    )
    assert.strictEqual(joined[1], marked)
  })

  it.effect("every delta comes out as it went in, whatever it holds", () =>
    Effect.promise(() =>
      fc.assert(
        fc.asyncProperty(
          fc.array(
            fc.record({
              type: fc.constantFrom("text-delta" as const, "reasoning-delta" as const),
              id: fc.constantFrom("1", "2"),
              delta: fc.oneof(fc.string({ unit: "binary" }), fc.constant(""))
            }),
            { maxLength: 200 }
          ),
          async (parts) => {
            const received = await Effect.runPromise(streamed(parts))
            assert.deepStrictEqual(received, parts.map((part) => Object.assign({ metadata: {} }, part)))
          }
        ),
        { numRuns: 100 }
      )
    ))
})
