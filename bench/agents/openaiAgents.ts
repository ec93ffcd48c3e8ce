/** `@openai/agents` with a fake model, tracing off. */
import { Agent, type Model, type ModelResponse, Runner, setTracingDisabled, tool, Usage } from "@openai/agents"
import { z } from "zod"
import { check } from "../harness.ts"
import { ANSWER, CITY, describeWeather, PROMPT } from "./task.ts"

setTracingDisabled(true)

let calls = 0

const model: Model = {
  getResponse: async ({ input }): Promise<ModelResponse> => {
    const last = Array.isArray(input) ? input.at(-1) : undefined
    const answered = last !== undefined && "type" in last && last.type === "function_call_result"
    return {
      usage: new Usage({ inputTokens: 10, outputTokens: 5, totalTokens: 15, requests: 1 }),
      output: answered
        ? [{
          type: "message",
          role: "assistant",
          status: "completed",
          content: [{ type: "output_text", text: ANSWER }]
        }]
        : [{
          type: "function_call",
          callId: `call_${calls++}`,
          name: "get_weather",
          status: "completed",
          arguments: JSON.stringify({ city: CITY })
        }]
    }
  },
  getStreamedResponse: () => {
    throw new Error("not streamed here")
  }
}

const assistant = new Agent({
  name: "assistant",
  instructions: "You are concise.",
  model,
  tools: [
    tool({
      name: "get_weather",
      description: "Current weather in a city",
      parameters: z.object({ city: z.string() }),
      execute: async ({ city }) => describeWeather(city)
    })
  ]
})

const runner = new Runner({ tracingDisabled: true })

export const run = async (count: number): Promise<void> => {
  for (let i = 0; i < count; i++) {
    const { finalOutput, rawResponses } = await runner.run(assistant, PROMPT)
    check("answer", finalOutput, ANSWER)
    check("turns", rawResponses.length, 2)
  }
}
