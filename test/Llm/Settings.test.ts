import { assert, describe, it } from "@effect/vitest"
import * as Anthropic from "../../src/Llm/Anthropic.ts"
import * as AzureOpenAi from "../../src/Llm/AzureOpenAi.ts"
import * as Gemini from "../../src/Llm/Gemini.ts"
import * as Mistral from "../../src/Llm/Mistral.ts"
import * as Ollama from "../../src/Llm/Ollama.ts"
import * as OpenAi from "../../src/Llm/OpenAi.ts"
import * as OpenAiCompatible from "../../src/Llm/OpenAiCompatible.ts"
import * as OpenRouter from "../../src/Llm/OpenRouter.ts"
import type * as Settings from "../../src/Llm/Settings.ts"
import * as Vertex from "../../src/Llm/Vertex.ts"
import * as Vllm from "../../src/Llm/Vllm.ts"

const server = { baseUrl: "http://127.0.0.1:1/v1" }

const compatible = {
  model: (name: string, settings: Settings.Settings) => OpenAiCompatible.model(name, { ...server, ...settings }),
  embeddings: (name: string, settings: { readonly dimensions?: number }) =>
    OpenAiCompatible.embeddings(name, { ...server, ...settings })
}

const providers = {
  AzureOpenAi,
  Gemini,
  Mistral,
  Ollama,
  OpenAi,
  OpenAiCompatible: compatible,
  OpenRouter,
  Vertex,
  Vllm
}

describe("Settings", () => {
  it("a setting that no model takes throws where the value is made, and names provider and field", () => {
    for (const [provider, { model }] of Object.entries({ ...providers, Anthropic })) {
      const throws = (settings: Settings.Settings, message: string) =>
        assert.throws(() => model("m", settings), RangeError, `${provider}.model: ${message}`)
      throws({ temperature: -1 }, "temperature must be a number of at least 0, got -1")
      throws({ temperature: Number.NaN }, "temperature must be a number of at least 0, got NaN")
      throws({ topP: 1.5 }, "topP must be between 0 and 1, got 1.5")
      throws({ maxOutputTokens: 0 }, "maxOutputTokens must be a positive integer, got 0")
      throws({ seed: 0.5 }, "seed must be an integer, got 0.5")
      assert.throws(() => model("", {}), RangeError, `${provider}.model: name must be a text that is not empty, got ""`)
    }
  })

  it("so do dimensions that no embedding has", () => {
    for (const [provider, { embeddings }] of Object.entries(providers)) {
      assert.throws(
        () => embeddings("m", { dimensions: 0 }),
        RangeError,
        `${provider}.embeddings: dimensions must be a positive integer, got 0`
      )
      assert.throws(() => embeddings("", {}), RangeError, `${provider}.embeddings: name must be`)
    }
  })
})
