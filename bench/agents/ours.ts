/** Our side: a model in process that calls one tool and then answers. */
import { Effect, Layer, ManagedRuntime, Ref, Schema, Stream } from "effect"
import { LanguageModel, Prompt } from "effect/ai"
import type { Response } from "effect/ai"
import * as Actor from "../../src/Actor.ts"
import * as ActorSystem from "../../src/ActorSystem.ts"
import * as Agent from "../../src/Agent.ts"
import type { AgentResponse } from "../../src/AgentEvent.ts"
import { make as makeLanguageModel } from "../../src/internal/llm/languageModel.ts"
import * as AiSdk from "../../src/Llm/AiSdk.ts"
import * as Team from "../../src/Team.ts"
import * as Tool from "../../src/Tool.ts"
import * as Transcript from "../../src/Transcript.ts"
import { check, cpuTime } from "../harness.ts"
import { makeModel } from "./mock.ts"
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

const checked = (turns: number) => (response: AgentResponse): void => {
  check("answer", response.text, ANSWER)
  check("turns", response.turns, turns)
}

const ask = (transcript?: Transcript.Transcript) =>
  Effect.map(
    Agent.response(Agent.run(assistant, PROMPT, transcript && { transcript: Ref.makeUnsafe(transcript) })),
    checked(2)
  )

/** A program builds its model once. */
const runtime = ManagedRuntime.make(Layer.merge(model, ActorSystem.layer({ name: "bench" })))

type Services = LanguageModel.LanguageModel | ActorSystem.ActorSystem

const repeat = <R>(count: number, effect: Effect.Effect<void, unknown, R>): Effect.Effect<void, unknown, R> =>
  Effect.gen(function*() {
    for (let i = 0; i < count; i++) yield* effect
  })

const times = (count: number, effect: Effect.Effect<void, unknown, Services>): Promise<void> =>
  runtime.runPromise(repeat(count, effect))

export const run = (count: number): Promise<void> => times(count, ask())

/** The loop over the bridge, on the model that AI SDK's own loops run on. */
export const runBridge = async (count: number): Promise<void> => {
  const sdkModel = makeModel()
  const forget = Effect.sync(() => {
    sdkModel.doStreamCalls.length = 0
  })
  const layer = AiSdk.layer(Effect.succeed({ model: sdkModel, provider: "mock" }))
  await Effect.runPromise(Effect.provide(repeat(count, Effect.andThen(ask(), forget)), layer))
}

/** Prompts an actor so often, each time in a new conversation, so that every run is as long as the others. */
const askActor = (count: number, ref: Agent.LocalAgentRef, turns: number) =>
  Effect.andThen(
    repeat(count, Effect.map(ref.ask("Prompt", { input: PROMPT, history: Transcript.empty }), checked(turns))),
    ref.stop
  )

export const runActor = (count: number): Promise<void> =>
  runtime.runPromise(Effect.flatMap(Agent.spawn(assistant), (ref) => askActor(count, ref, 2)))

const five = Team.pipeline("five", [assistant, assistant, assistant, assistant, assistant])

/** How many times as much `a` costs as `b`, both in turns so that they meet the same heap. */
const costRatio = async (a: () => Promise<void>, b: () => Promise<void>): Promise<number> => {
  let [costA, costB] = [0, 0]
  for (let warmUp = 0; warmUp < 5; warmUp++) {
    await a()
    await b()
  }
  for (let round = 0; round < 10; round++) {
    costB += await cpuTime(b)
    costA += await cpuTime(a)
  }
  return costA / costB
}

/** How many times as much a pipeline of five agents costs as five runs of one. */
export const team = (): Promise<number> =>
  costRatio(
    () => runtime.runPromise(Effect.flatMap(Actor.spawn(five), (ref) => askActor(400, ref, 10))),
    () => run(2000)
  )

/** A conversation of so many messages. */
const conversation = (messages: number): Transcript.Transcript =>
  Transcript.make(Array.from({ length: messages }, (_, index): Transcript.Entry =>
    index % 2 === 0
      ? Transcript.user(`Question ${index}`)
      : { _tag: "Answer", agent: "assistant", content: [Prompt.textPart({ text: `Answer ${index}` })] }))

const short = conversation(20)
const long = conversation(2000)

/** How many times as much a run costs on 2,000 messages as on 20. */
export const longTranscript = (): Promise<number> =>
  costRatio(() => times(200, ask(long)), () => times(200, ask(short)))
