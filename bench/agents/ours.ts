/** Our side: a model in process that calls one tool and then answers. */
import { Effect, Layer, ManagedRuntime, Ref, Schema, Stream } from "effect"
import { LanguageModel, Prompt } from "effect/ai"
import type { Response } from "effect/ai"
import * as Actor from "../../src/Actor.ts"
import * as ActorSystem from "../../src/ActorSystem.ts"
import * as Agent from "../../src/Agent.ts"
import { make as makeLanguageModel } from "../../src/internal/llm/languageModel.ts"
import * as Team from "../../src/Team.ts"
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
const runtime = ManagedRuntime.make(Layer.merge(model, ActorSystem.layer({ name: "bench" })))

const times = (
  count: number,
  effect: Effect.Effect<void, unknown, LanguageModel.LanguageModel | ActorSystem.ActorSystem>
): Promise<void> =>
  runtime.runPromise(Effect.gen(function*() {
    for (let i = 0; i < count; i++) yield* effect
  }))

export const run = (count: number): Promise<void> => times(count, ask())

const actor = await runtime.runPromise(Agent.spawn(assistant))

/** Each prompt in a conversation of its own, as the other sides do it. */
const askRef = (ref: Agent.AgentRef, expected: number) =>
  Effect.map(ref.ask("Prompt", { input: PROMPT, history: Transcript.empty }), ({ text, turns }) => {
    check("answer", text, ANSWER)
    check("turns", turns, expected)
  })

export const runActor = (count: number): Promise<void> => times(count, askRef(actor, 2))

const pipeline = await runtime.runPromise(
  Actor.spawn(Team.pipeline("pipeline", Array.from({ length: 5 }, () => assistant)))
)

/** A conversation of so many messages. */
const conversation = (messages: number): Transcript.Transcript =>
  Transcript.make(Array.from({ length: messages }, (_, index): Transcript.Entry =>
    index % 2 === 0
      ? Transcript.user(`Question ${index}`)
      : { _tag: "Answer", agent: "assistant", content: [Prompt.textPart({ text: `Answer ${index}` })] }))

const short = conversation(20)
const long = conversation(2000)

/** Processor time, which other work on the machine leaves alone, of `count` runs. */
const cost = async (count: number, run: ReturnType<typeof askRef>): Promise<number> => {
  const before = process.cpuUsage()
  await times(count, run)
  const { system, user } = process.cpuUsage(before)
  return system + user
}

/** How many times as much one thing costs as another, both in turns so that they meet the same heap. */
const compared = async (count: number, one: ReturnType<typeof askRef>, other: ReturnType<typeof askRef>) => {
  const sums = [0, 0] as [number, number]
  for (let round = 0; round < 10; round++) {
    sums[0] += await cost(count, one)
    sums[1] += await cost(count, other)
  }
  return sums[0] / sums[1]
}

/** A run on 2,000 messages over one on 20. */
export const longTranscript = () => compared(200, ask(long), ask(short))

/** A pipeline of five over five runs of one. */
export const team = () => compared(100, askRef(pipeline, 10), Effect.replicateEffect(ask(), 5, { discard: true }))
