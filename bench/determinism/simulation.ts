/** Simulated runs of a team, and how many seeds it takes to find three planted bugs. */
import { Effect, Schema } from "effect"
import * as Actor from "../../src/Actor.ts"
import * as ActorSystem from "../../src/ActorSystem.ts"
import * as Agent from "../../src/Agent.ts"
import * as Scripted from "../../src/Llm/Scripted.ts"
import * as Team from "../../src/Team.ts"
import * as Simulation from "../../src/testing/Simulation.ts"
import * as Tool from "../../src/Tool.ts"
import { type Variant } from "../../test/fixtures/plantedBugs.ts"
import { check, rate, type Side } from "../harness.ts"

const stock = Tool.fn("get_stock", { description: "Pieces in stock", success: Schema.Int }, () => Effect.succeed(12))

const price = Tool.fn("get_price", {
  description: "The price in cents",
  parameters: { article: Schema.String },
  success: Schema.Int
}, () => Effect.succeed(250))

const office = Team.pipeline("office", [
  Agent.make("storekeeper", { instructions: "Say what is in stock.", tools: [stock] }),
  Agent.make("clerk", { instructions: "Say what it costs.", tools: [price] }),
  Agent.make("writer", { instructions: "Write an offer." })
])

const model = Scripted.model(Scripted.matching([
  [/^user: Tea/, Scripted.toolCall("get_stock", {})],
  [/^get_stock/, "12 pieces of tea."],
  [/^user: 12/, Scripted.toolCall("get_price", { article: "tea" })],
  [/^get_price/, "It costs 2.50."],
  [/^user: It/, "We offer tea at 2.50."]
]))

/** A team of three agents with two tools: five requests, two calls. */
export const teamRun = Effect.gen(function*() {
  const ref = yield* Actor.spawn(office)
  const { text } = yield* Agent.ask(ref, "Tea?")
  check("offer", text, "We offer tea at 2.50.")
}).pipe(Effect.scoped, Effect.provide([model, ActorSystem.layer({ name: "bench" })]))

export const simulatedRuns = (count: number): Side =>
  rounds(count, (count) => Simulation.check(teamRun, { seeds: count }))

export const plainRuns = (count: number): Side =>
  rounds(count, (count) =>
    Effect.gen(function*() {
      for (let i = 0; i < count; i++) yield* teamRun
    }))

/** Each round warms its side up again: the collection before it makes the engine drop code that it had optimized. */
const rounds = (count: number, runs: (count: number) => Effect.Effect<void, unknown>): Side => async () => {
  await Effect.runPromise(runs(Math.ceil(count / 5)))
  return await rate(count, () => Effect.runPromise(runs(count)))
}

/** The median of the seeds that it takes; seeds are what they are, so one round is as good as many. */
export const seedsToBug = (bug: (variant: Variant) => Effect.Effect<unknown, unknown>, repetitions: number): Side => {
  const seeds = (repetition: number) =>
    Simulation.check(bug("planted"), { seeds: apart, from: repetition * apart, shrink: 0 }).pipe(
      Effect.flip,
      Effect.map((error) => error._tag === "Broken" ? error.runs : Infinity)
    )
  let median: Promise<number> | undefined
  return () =>
    median ??= Effect.runPromise(Effect.map(
      Effect.forEach(Array.from({ length: repetitions }, (_, repetition) => repetition), seeds),
      (all) => {
        const sorted = all.toSorted((a, b) => a - b)
        return (sorted[(repetitions - 1) >> 1]! + sorted[repetitions >> 1]!) / 2
      }
    ))
}

/** Seeds from one repetition to the next, more than any of them needs. */
const apart = 10_000
