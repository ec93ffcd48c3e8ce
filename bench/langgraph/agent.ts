import { BaseChatModel } from "@langchain/core/language_models/chat_models"
import { AIMessage, type BaseMessage } from "@langchain/core/messages"
import { tool } from "@langchain/core/tools"
import { createReactAgent } from "@langchain/langgraph/prebuilt"
import { z } from "zod"
import { ANSWER, CITY, describeWeather, PROMPT } from "../agents/task.ts"
import { check } from "../harness.ts"

let calls = 0

class Fake extends BaseChatModel {
  constructor() {
    super({})
  }
  _llmType() {
    return "fake"
  }
  override bindTools() {
    return this
  }
  async _generate(messages: ReadonlyArray<BaseMessage>) {
    const answered = messages.at(-1)?.getType() === "tool"
    const message = answered
      ? new AIMessage(ANSWER)
      : new AIMessage({
        content: "",
        // Ids must be unique: with repeated ones the graph takes the call for an answered one.
        tool_calls: [{ id: `call_${calls++}`, name: "get_weather", args: { city: CITY }, type: "tool_call" }]
      })
    return { generations: [{ text: answered ? ANSWER : "", message }] }
  }
}

const agent = createReactAgent({
  llm: new Fake(),
  prompt: "You are concise.",
  tools: [
    tool(async ({ city }: { readonly city: string }) => describeWeather(city), {
      name: "get_weather",
      description: "Current weather in a city",
      schema: z.object({ city: z.string() })
    })
  ]
})

export const run = async (count: number): Promise<void> => {
  for (let i = 0; i < count; i++) {
    const { messages } = await agent.invoke({ messages: [{ role: "user", content: PROMPT }] })
    check("answer", messages.at(-1)?.content, ANSWER)
    check("messages", messages.length, 4)
  }
}
