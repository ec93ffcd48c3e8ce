/** AI SDK's own mock model, which plays the task whole and streamed; it keeps its calls, so a round empties them. */
import type { LanguageModelV4StreamPart, LanguageModelV4ToolCall } from "@ai-sdk/provider"
import { convertArrayToReadableStream, MockLanguageModelV4 } from "ai/test"
import { ANSWER, CITY } from "./task.ts"

const usage = {
  inputTokens: { total: 10, noCache: 10, cacheRead: undefined, cacheWrite: undefined },
  outputTokens: { total: 5, text: 5, reasoning: undefined }
}

const answered = { finishReason: { unified: "stop", raw: undefined }, usage } as const
const called = { finishReason: { unified: "tool-calls", raw: undefined }, usage } as const

let calls = 0

const toolCall = (): LanguageModelV4ToolCall => ({
  type: "tool-call",
  toolCallId: `call_${calls++}`,
  toolName: "get_weather",
  input: JSON.stringify({ city: CITY })
})

const answerParts = (): Array<LanguageModelV4StreamPart> => [
  { type: "stream-start", warnings: [] },
  { type: "text-start", id: "0" },
  { type: "text-delta", id: "0", delta: ANSWER },
  { type: "text-end", id: "0" },
  { type: "finish", ...answered }
]

const callParts = (): Array<LanguageModelV4StreamPart> => [
  { type: "stream-start", warnings: [] },
  toolCall(),
  { type: "finish", ...called }
]

export const makeModel = () =>
  new MockLanguageModelV4({
    doGenerate: async ({ prompt }) =>
      prompt.at(-1)?.role === "tool"
        ? { content: [{ type: "text", text: ANSWER }], warnings: [], ...answered }
        : { content: [toolCall()], warnings: [], ...called },
    doStream: async ({ prompt }) => ({
      stream: convertArrayToReadableStream(prompt.at(-1)?.role === "tool" ? answerParts() : callParts())
    })
  })
