/** Our side: a model in process that calls one tool and then answers. */
import { Effect, Layer, ManagedRuntime, Ref, Schema, Stream } from "effect"
import { LanguageModel, Prompt } from "effect/ai"
import type { Response } from "effect/ai"
import * as Agent from "../../src/Agent.ts"
import { make as makeLanguageModel } from "../../src/internal/llm/languageModel.ts"
import * as Tool from "../../src/Tool.ts"
import * as Transcript from "../../src/Transcript.ts"
import { check } from "../harness.ts"
import { ANSWER, CITY, describeWeather, PROMPT } from "./task.ts"

const usage = { inputTokens: { total: 10 }, outputTokens: { total: 5 } }

let calls = 0

const play = (answered: boolean): Stream.Stream<Response.StreamPartEncoded> =>
  Stream.fromArray<Response.StreamPartEncoded>(
    answered
      ? [
        { type: "text-start", id: "0" },
        { type: "text-delta", id: "0", delta: ANSWER },
        { type: "text-end", id: "0" },
        { type: "finish", reason: "stop", usage }
      ]
      : [
        { type: "tool-call", id: `call_${calls++}`, name: "get_weather", params: { city: CITY } },
        { type: "finish", reason: "tool-calls", usage }
      ]
  )

const model = Layer.effect(
  LanguageModel.LanguageModel,
  makeLanguageModel({
    generateText: () => Effect.die("agents stream"),
    streamText: ({ prompt }) => play(prompt.content.at(-1)?.role === "tool")
  })
)

const weather = Tool.fn("get_weather", {
  description: "Current weather in a city",
  parameters: { city: Schema.String },
  success: Schema.String
}, ({ city }) => Effect.succeed(describeWeather(city)))

const assistant = Agent.make("assistant", { instructions: "You are concise.", tools: [weather] })

const ask = (transcript?: Transcript.Transcript) =>
  Effect.map(
    Agent.response(Agent.run(assistant, PROMPT, transcript && { transcript: Ref.makeUnsafe(transcript) })),
    ({ text, turns }) => {
      check("answer", text, ANSWER)
      check("turns", turns, 2)
    }
  )

/** A program builds its model once. */
const runtime = ManagedRuntime.make(model)

const times = (count: number, effect: Effect.Effect<void, unknown, LanguageModel.LanguageModel>): Promise<void> =>
  runtime.runPromise(Effect.gen(function*() {
    for (let i = 0; i < count; i++) yield* effect
  }))

export const run = (count: number): Promise<void> => times(count, ask())

/** A conversation of so many messages. */
const conversation = (messages: number): Transcript.Transcript =>
  Transcript.make(Array.from({ length: messages }, (_, index): Transcript.Entry =>
    index % 2 === 0
      ? Transcript.user(`Question ${index}`)
      : { _tag: "Answer", agent: "assistant", content: [Prompt.textPart({ text: `Answer ${index}` })] }))

const short = conversation(20)
const long = conversation(2000)

/** Processor time, which other work on the machine leaves alone, of `count` runs. */
const cost = async (count: number, transcript: Transcript.Transcript): Promise<number> => {
  const before = process.cpuUsage()
  await times(count, ask(transcript))
  const { system, user } = process.cpuUsage(before)
  return system + user
}

/** How many times as much a run costs on 2,000 messages as on 20, both in turns so that they meet the same heap. */
export const longTranscript = async (): Promise<number> => {
  const [shorts, longs] = [[] as Array<number>, [] as Array<number>]
  for (let round = 0; round < 10; round++) {
    shorts.push(await cost(200, short))
    longs.push(await cost(200, long))
  }
  const sum = (figures: ReadonlyArray<number>) => figures.reduce((a, b) => a + b, 0)
  return sum(longs) / sum(shorts)
}
