/** One way each to read a streamed answer to its end: ours through the agent loop, the peers, and the floor. */
import { createOpenAI } from "@ai-sdk/openai"
import { streamText } from "ai"
import { ConfigProvider, Effect, Layer, Scope, Stream } from "effect"
import OpenAI from "openai"
import * as Agent from "../../src/Agent.ts"
import * as OpenAi from "../../src/Llm/OpenAi.ts"

/** Reads one answer to its last event and returns how many characters of text came in deltas. */
export type Read = () => Promise<number>

const MODEL = "gpt-4o-mini"
const PROMPT = "Write a long story."
const KEY = "none"

const writer = Agent.make("writer")

/** The events of one run, and a way to run what reads them; the model's layer is built once. */
export const agent = async (baseUrl: string) => {
  const config = ConfigProvider.fromUnknown({ OPENAI_API_KEY: KEY, OPENAI_BASE_URL: baseUrl })
  const model = OpenAi.model(MODEL, { api: "chat", maxResponseBytes: 1e9 }).pipe(
    Layer.provide(ConfigProvider.layer(config))
  )
  const context = await Effect.runPromise(Layer.buildWithScope(model, Scope.makeUnsafe()))
  return Stream.provideContext(Agent.run(writer, PROMPT), context)
}

export const ours = async (baseUrl: string): Promise<Read> => {
  const events = await agent(baseUrl)
  return () =>
    Effect.runPromise(
      Stream.runFold(events, () =>
        0, (length, event) =>
        event._tag === "TextDelta" ? length + event.delta.length : length)
    )
}

const sdkModel = (baseUrl: string) => createOpenAI({ baseURL: baseUrl, apiKey: KEY }).chat(MODEL)

/** The parts of one answer from the provider package that ours and AI SDK's `streamText` both read through. */
export const providerStream = (baseUrl: string) => {
  const model = sdkModel(baseUrl)
  const prompt = [{ role: "user" as const, content: [{ type: "text" as const, text: PROMPT }] }]
  return async () => (await model.doStream({ prompt })).stream
}

export const provider = (baseUrl: string): Read => {
  const stream = providerStream(baseUrl)
  return async () => {
    let length = 0
    for await (const part of await stream()) if (part.type === "text-delta") length += part.delta.length
    return length
  }
}

export const aiSdk = (baseUrl: string): Read => {
  const model = sdkModel(baseUrl)
  return async () => {
    let length = 0
    for await (const part of streamText({ model, prompt: PROMPT, maxRetries: 0 }).stream) {
      if (part.type === "text-delta") length += part.text.length
    }
    return length
  }
}

export const openAiSdk = (baseUrl: string): Read => {
  const client = new OpenAI({ baseURL: baseUrl, apiKey: KEY, maxRetries: 0 })
  const messages = [{ role: "user" as const, content: PROMPT }]
  return async () => {
    let length = 0
    for await (const chunk of await client.chat.completions.create({ model: MODEL, messages, stream: true })) {
      length += chunk.choices[0]?.delta.content?.length ?? 0
    }
    return length
  }
}

/** A bare fetch whose lines are split and parsed, and nothing more. */
export const floor = (baseUrl: string): Read => async () => {
  const response = await fetch(`${baseUrl}/chat/completions`, { method: "POST", body: "{}" })
  const decoder = new TextDecoder()
  let length = 0
  let rest = ""
  for await (const bytes of response.body!) {
    const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n")
    rest = lines.pop()!
    for (const line of lines) {
      if (line.startsWith("data: {")) length += JSON.parse(line.slice(6)).choices[0]?.delta.content?.length ?? 0
    }
  }
  return length
}
