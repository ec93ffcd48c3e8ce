/** AI SDK's `generateText` with its own mock model. */
import { generateText, isStepCount, tool } from "ai"
import { MockLanguageModelV4 } from "ai/test"
import { z } from "zod"
import { check } from "../harness.ts"
import { ANSWER, CITY, describeWeather, PROMPT } from "./task.ts"

const usage = {
  inputTokens: { total: 10, noCache: 10, cacheRead: undefined, cacheWrite: undefined },
  outputTokens: { total: 5, text: 5, reasoning: undefined }
}

let calls = 0

const model = () =>
  new MockLanguageModelV4({
    doGenerate: async ({ prompt }) =>
      prompt.at(-1)?.role === "tool"
        ? {
          content: [{ type: "text", text: ANSWER }],
          finishReason: { unified: "stop", raw: undefined },
          usage,
          warnings: []
        }
        : {
          content: [{
            type: "tool-call",
            toolCallId: `call_${calls++}`,
            toolName: "get_weather",
            input: JSON.stringify({ city: CITY })
          }],
          finishReason: { unified: "tool-calls", raw: undefined },
          usage,
          warnings: []
        }
  })

const weather = tool({
  description: "Current weather in a city",
  inputSchema: z.object({ city: z.string() }),
  execute: async ({ city }) => describeWeather(city)
})

export const run = async (count: number): Promise<void> => {
  // The mock keeps every call, so each round has its own.
  const mock = model()
  for (let i = 0; i < count; i++) {
    const { steps, text } = await generateText({
      model: mock,
      system: "You are concise.",
      prompt: PROMPT,
      tools: { get_weather: weather },
      stopWhen: isStepCount(10)
    })
    mock.doGenerateCalls.length = 0
    check("answer", text, ANSWER)
    check("turns", steps.length, 2)
  }
}
