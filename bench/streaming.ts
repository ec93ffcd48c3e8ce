/** Streamed answers through `Agent.run` against AI SDK, the openai package and a bare fetch; see bench/README.md. */
import { Effect, Stream } from "effect"
import { type Bench, check, cpuTime, heapUsed, rate, type Side } from "./harness.ts"
import * as Answers from "./streaming/answers.ts"
import { agent, aiSdk, floor, openAiSdk, ours, provider, providerStream, type Read } from "./streaming/sides.ts"

/** The answers of one round. */
const ANSWERS = 10

const ROUND = ANSWERS * Answers.DELTAS

const MB = 1e6

let server: Promise<string> | undefined

const address = async (answer: "whole" | "short" | "padded"): Promise<string> =>
  `${await (server ??= Answers.startServer())}/${answer}/v1`

type Connect = (baseUrl: string) => Read | Promise<Read>

const readAnswers = async (read: Read): Promise<void> => {
  for (let answer = 0; answer < ANSWERS; answer++) {
    check("characters", await read(), Answers.DELTAS * Answers.DELTA.length)
  }
}

const deltas = (connect: Connect): Side => async () => {
  const read = await connect(await address("whole"))
  return rate(ROUND, () => readAnswers(read))
}

/** Microseconds of CPU, user and system, of this process. */
const cpu = (connect: Connect): Side => async () => {
  const read = await connect(await address("whole"))
  return await cpuTime(() => readAnswers(read)) / ROUND
}

/**
 * The consumer waits after each event, so that it takes ten times as long as the server needs: what heap and buffers
 * hold at worst beyond what they held at the first event.
 */
const slowReaderHeap: Side = async () => {
  const events = await agent(await address("padded"))
  let before = 0
  let worst = 1
  let count = 0
  let length = 0
  await Effect.runPromise(Stream.runForEach(events, (event) => {
    if (event._tag !== "TextDelta") return Effect.void
    length += event.delta.length
    if (before === 0) before = live()
    else if (count % 100 === 0) worst = Math.max(worst, (live() - before) / MB)
    count++
    return Effect.sleep("1 millis")
  }))
  check("characters", length, Answers.PADDED_DELTAS * Answers.PADDED_DELTA.length)
  return worst
}

// The buffers that one collection finds unused are given back by the next.
const live = (): number => {
  heapUsed()
  return heapUsed() + process.memoryUsage().external
}

/** What the bridge and the loop add to the provider package's time to the first delta, in milliseconds. */
const firstPart: Side = async () => {
  const url = await address("short")
  const events = await agent(url)
  const stream = providerStream(url)
  const throughAgent = () =>
    Effect.runPromise(Stream.runHead(Stream.filter(events, (event) => event._tag === "TextDelta")))
  const alone = async () => {
    for await (const part of await stream()) if (part.type === "text-delta" && part.delta !== "") return
  }
  const times = { throughAgent: Array<number>(), alone: Array<number>() }
  for (let turn = 0; turn < 100; turn++) {
    times.throughAgent.push(await milliseconds(throughAgent))
    times.alone.push(await milliseconds(alone))
  }
  // A figure below zero is noise, and a ratio can't take it.
  return Math.max(0.001, median(times.throughAgent) - median(times.alone))
}

const milliseconds = async (work: () => Promise<unknown>): Promise<number> => {
  const start = performance.now()
  await work()
  return performance.now() - start
}

const median = (figures: ReadonlyArray<number>): number => figures.toSorted((a, b) => a - b)[figures.length >> 1]!

export const bench: Bench = {
  name: "streaming",
  metrics: [
    {
      name: "deltas",
      unit: "1/s",
      better: "higher",
      ours: deltas(ours),
      baselines: {
        "ai-sdk": deltas(aiSdk),
        provider: deltas(provider),
        "openai-sdk": deltas(openAiSdk),
        floor: deltas(floor)
      }
    },
    {
      name: "cpu",
      unit: "us a delta",
      better: "lower",
      ours: cpu(ours),
      baselines: {
        "ai-sdk": cpu(aiSdk),
        provider: cpu(provider),
        "openai-sdk": cpu(openAiSdk),
        floor: cpu(floor)
      }
    },
    {
      name: "slow-reader-heap",
      unit: "MB",
      better: "lower",
      isolated: true,
      ours: slowReaderHeap,
      baselines: { limit: 20 }
    },
    { name: "first-part", unit: "ms", better: "lower", ours: firstPart, baselines: { limit: 2 } }
  ]
}
