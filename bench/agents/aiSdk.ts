/** AI SDK's `generateText` and `streamText` with its own mock model. */
import { generateText, isStepCount, streamText, tool } from "ai"
import { z } from "zod"
import { check } from "../harness.ts"
import { makeModel } from "./mock.ts"
import { ANSWER, describeWeather, PROMPT } from "./task.ts"

const weather = tool({
  description: "Current weather in a city",
  inputSchema: z.object({ city: z.string() }),
  execute: async ({ city }) => describeWeather(city)
})

const request = {
  system: "You are concise.",
  prompt: PROMPT,
  tools: { get_weather: weather },
  stopWhen: isStepCount(10)
}

export const generate = async (count: number): Promise<void> => {
  const model = makeModel()
  for (let i = 0; i < count; i++) {
    const { steps, text } = await generateText({ model, ...request })
    model.doGenerateCalls.length = 0
    check("answer", text, ANSWER)
    check("turns", steps.length, 2)
  }
}

export const stream = async (count: number): Promise<void> => {
  const model = makeModel()
  for (let i = 0; i < count; i++) {
    let text = ""
    let turns = 0
    for await (const part of streamText({ model, ...request }).stream) {
      if (part.type === "text-delta") text += part.text
      else if (part.type === "finish-step") turns++
    }
    model.doStreamCalls.length = 0
    check("answer", text, ANSWER)
    check("turns", turns, 2)
  }
}
