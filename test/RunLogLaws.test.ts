import { assert, describe, it } from "@effect/vitest"
import { Effect, Random, Schema, Stream } from "effect"
import * as ActorSystem from "../src/ActorSystem.ts"
import * as Agent from "../src/Agent.ts"
import * as Scripted from "../src/Llm/Scripted.ts"
import * as RunLog from "../src/RunLog.ts"
import * as Team from "../src/Team.ts"
import * as Tool from "../src/Tool.ts"
import { calls, recorded, watch } from "./fixtures/recorded.ts"

/** A number that only the world outside knows the next of. */
const makeWorld = (seed: number) => {
  let state = seed
  const draw = (below: number) => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648
    return Math.floor(state / 65_536) % below
  }
  const wait = Effect.suspend(() => Effect.sleep(draw(200)))
  const tools = ["look", "count"].map((name) =>
    Tool.fn(
      name,
      { description: name, parameters: { of: Schema.Int }, success: Schema.String, effect: "pure" },
      ({ of }) =>
        Effect.gen(function*() {
          yield* Tool.emit({ of })
          yield* wait
          if (draw(4) === 0) return yield* Effect.fail(`no ${name} today`)
          return `${name} ${of}: ${draw(1000)}`
        })
    )
  )
  const model = Scripted.model(({ prompt }) => {
    const words = [Scripted.delay(draw(300)), Scripted.text(`Words ${draw(1000)}`), Scripted.delay(draw(50))]
    const asked = prompt.content.filter(({ role }) => role === "tool").length
    if (asked > 1 || draw(3) === 0) return [...words, Scripted.text(".")]
    const wanted = Array.from(
      { length: 1 + draw(2) },
      () => Scripted.toolCall(draw(2) === 0 ? "look" : "count", { of: draw(9) }, `call_${draw(100_000)}`)
    )
    return [...words, ...wanted]
  })
  return { draw, model, tools }
}

/** A team of any shape: agents with tools, agents as tools, pipelines, broadcasts, loops, nested. */
const makeTeam = (shape: (below: number) => number, tools: ReadonlyArray<Tool.Tool<string>>) => {
  let count = 0
  const agent = () => {
    const name = `agent${++count}`
    const helper = Agent.make(`helper${count}`, { instructions: "Help.", tools })
    return Agent.make(name, {
      instructions: name,
      tools: shape(3) === 0 ? [...tools, Tool.fromAgent(helper, { description: "Helps" })] : tools
    })
  }
  const member = (depth: number): Team.Member => depth === 0 || shape(2) === 0 ? agent() : team(depth - 1)
  const team = (depth: number): Team.Member => {
    const name = `team${++count}`
    switch (shape(3)) {
      case 0:
        return Team.pipeline(name, [member(depth), member(depth)])
      case 1:
        return Team.broadcast(name, [member(depth), member(depth), member(depth)])
      default:
        return Team.loop(name, agent(), { until: (_, round) => round >= 2, maxRounds: 3 })
    }
  }
  return team(2)
}

const programOf = (seed: number) => {
  const { draw, model, tools } = makeWorld(seed)
  const shapeSeed = draw(30_000)
  const program = Effect.gen(function*() {
    const { draw: shape } = makeWorld(shapeSeed)
    const ref = yield* Agent.spawn(makeTeam(shape, tools) as Agent.Agent)
    return JSON.stringify([yield* Stream.runCollect(Agent.stream(ref, "Go")), yield* Random.nextInt])
  }).pipe(Effect.scoped, Effect.provide(ActorSystem.layer({ name: "test" })))
  return { program, model }
}

describe("RunLog", () => {
  for (let seed = 1; seed <= 25; seed++) {
    it.effect(`law: any team is the same again, and a fork shares what came before it (${seed})`, () =>
      Effect.gen(function*() {
        const { model, program } = programOf(seed)
        const { log, seen, value } = yield* recorded(program).pipe(Effect.provide(model))
        const replayed = yield* watch(RunLog.replay(program, log)).pipe(Effect.provide(Scripted.model([])))
        assert.strictEqual(yield* replayed.exit, value)
        assert.deepStrictEqual(replayed.seen, seen)
        assert.hasAllKeys(RunLog.compare(log, log), ["a", "b"])

        const all = calls(log)
        const at = 1 + (seed * 7) % all.length
        const memory = RunLog.memory()
        const forked = yield* watch(RunLog.fork(program, log, { at, to: memory })).pipe(Effect.provide(model))
        yield* forked.exit
        const forkedLog = yield* memory.log
        assert.deepStrictEqual(calls(forkedLog).slice(0, at - 1), all.slice(0, at - 1))
        const again = yield* watch(RunLog.replay(program, forkedLog)).pipe(Effect.provide(Scripted.model([])))
        assert.deepStrictEqual(again.seen, forked.seen)
      }))
  }
})
