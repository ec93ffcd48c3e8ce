/** Laws of teams. */
import { Effect, Fiber, Stream } from "effect"
import * as Actor from "../../src/Actor.ts"
import * as Agent from "../../src/Agent.ts"
import type { AgentEvent } from "../../src/AgentEvent.ts"
import * as Scripted from "../../src/Llm/Scripted.ts"
import * as Team from "../../src/Team.ts"
import * as Tool from "../../src/Tool.ts"
import * as Transcript from "../../src/Transcript.ts"
import { actor, questionOf, speakerOf } from "../fixtures/teams.ts"
import { chance, dice, endOf, type Expect, int, type Law, law, numbers, pause, pick, settle, times } from "./law.ts"
import { checkPrompt, watchRuns } from "./runs.ts"

/** Everybody answers with a name and the question, each in its own time. */
const echo = (expect: Expect, draw: (n: number) => number) =>
  Scripted.model((request) => {
    checkPrompt(expect, request.prompt)
    const text = Scripted.text(`${speakerOf(request)}: ${questionOf(request)}`)
    return draw(3) === 0 ? [text] : [Scripted.delay(draw(30)), text, Scripted.usage(draw(50), draw(50))]
  })

const inPlanOrder = (expect: Expect) =>
  Effect.gen(function*() {
    const draw = yield* dice
    const { runs, watched } = watchRuns(expect)
    const onFailure = yield* pick(["fail", "collect"] as const)
    const count = yield* int(1, 5)
    const concurrency = yield* int(1, 4)
    const items = numbers(count).map((item) => `item ${item}`)
    const isMap = yield* chance(0.5)
    const expected = isMap
      ? items.map((item) => `worker: ${item}`)
      : items.map((item) => `${item}: Go.`)
    const team = isMap
      ? Team.map("team", () => items, actor("worker"), { concurrency, onFailure })
      : Team.broadcast("team", [actor(items[0]!), ...items.slice(1).map(actor)], { onFailure })
    yield* watched(Effect.gen(function*() {
      const ref = yield* Actor.spawn(team)
      const end = yield* endOf(Agent.ask(ref, "Go."))
      yield* settle
      const inside = runs().filter(({ parent }) => parent !== undefined)
      const failures = inside.filter(({ outcome }) => outcome === "Failure").length
      if (typeof end === "string") {
        expect(failures > 0, `a team fails only as its members do, got ${end}`)
        expect(
          onFailure === "fail" || failures === count,
          `it collects failures, unless all fail: ${failures} of ${count}`
        )
        return
      }
      expect(onFailure === "collect" || failures === 0, "the failure of a member is the team's")
      expect(inside.length === count, `each item once: ${inside.length} of ${count}`)
      const texts = end.text.split("\n---\n")
      expect(texts.length === count, `an answer for each item, got ${texts.length}`)
      const wrong = texts.filter((text, index) => text !== expected[index])
      expect(wrong.length === failures, `answers in the plan's order, got ${texts.join("; ")}`)
      expect(wrong.every((text) => !expected.includes(text)), `no answer in another one's place: ${wrong.join("; ")}`)
    })).pipe(Effect.provide(echo(expect, draw)))
  })

const eventsInPlace = (expect: Expect) =>
  Effect.gen(function*() {
    const draw = yield* dice
    const { runs, watched } = watchRuns(expect)
    const helper = actor("helper")
    const lead = Agent.make("lead", {
      instructions: "lead",
      tools: [Tool.fromAgent(helper, { description: "Helps" })],
      maxTurns: 4
    })
    const model = Scripted.model((request) => {
      checkPrompt(expect, request.prompt)
      const speaker = speakerOf(request)
      const thinking = draw(2) === 0 ? [] : [Scripted.delay(draw(20))]
      if (speaker === "lead" && draw(2) === 0) {
        return [...thinking, ...numbers(1 + draw(2)).map(() => Scripted.toolCall("helper", { prompt: "Help." }))]
      }
      return [...thinking, Scripted.text(`${speaker} has done it.`), Scripted.usage(draw(50), draw(50))]
    })
    const inner = Team.broadcast("inner", [lead, actor("b")], { onFailure: yield* pick(["fail", "collect"] as const) })
    const team = (yield* chance(0.5))
      ? Team.pipeline("outer", [actor("a"), inner, actor("c")])
      : Team.hierarchy("outer", actor("a"), { inner, c: actor("c") })
    yield* watched(Effect.gen(function*() {
      const ref = yield* Actor.spawn(team)
      yield* times(2, (n) =>
        Effect.gen(function*() {
          const before = runs().length
          const events: Array<AgentEvent> = []
          const reading = Agent.stream(ref, `Prompt ${n}`).pipe(
            Stream.runForEach((event) => Effect.sync(() => void events.push(event)))
          )
          const fiber = yield* Effect.forkChild(endOf(reading))
          if (yield* chance(0.3)) {
            yield* Effect.andThen(pause, pause)
            yield* Fiber.interrupt(fiber)
          } else yield* Fiber.await(fiber)
          yield* settle
          const started = new Map<string, string | undefined>()
          for (const event of events) {
            if (event._tag === "RunStarted") {
              expect(!started.has(event.run), "a run starts once")
              expect(
                event.parent === undefined ? started.size === 0 : started.has(event.parent.run),
                `${event.agent} starts inside of a run that is there`
              )
              started.set(event.run, event.parent?.run)
            } else expect(started.has(event.run), `${event._tag} of ${event.agent} comes after its run has started`)
          }
          const now = runs().slice(before)
          expect(now.every(({ outcome }) => outcome !== undefined), "no run goes on after its team's")
          expect(now.filter(({ parent }) => parent === undefined).length <= 1, "all runs are in the team's")
          if (events.at(-1)?._tag === "Completed") {
            const heard = events.filter(({ _tag }) => _tag === "TurnFinished").length
            const done = now.flatMap((run) => run.events).filter(({ _tag }) => _tag === "TurnFinished").length
            expect(heard <= done, "an event once")
          }
        }))
      const prompts = (yield* Agent.transcript(ref)).entries.filter(({ _tag }) => _tag === "User").map(Transcript.text)
      expect(new Set(prompts).size === prompts.length, `no prompt twice: ${prompts}`)
    })).pipe(Effect.provide(model))
  })

const oneHolder = (expect: Expect) =>
  Effect.gen(function*() {
    const draw = yield* dice
    const { runs, watched } = watchRuns(expect)
    const names = ["sales", "billing", "support"]
    let speaking = 0
    const model = Scripted.model((request) => {
      checkPrompt(expect, request.prompt)
      const me = speakerOf(request)
      const thinking = draw(2) === 0 ? [] : [Scripted.delay(draw(20))]
      if (draw(5) < 2) {
        const others = names.filter((name) => name !== me)
        return [...thinking, Scripted.toolCall("handoff", { to: others[draw(others.length)]!, message: "Please." })]
      }
      return [...thinking, Scripted.text(`${me} answers.`)]
    })
    const [sales, billing, support] = names.map(actor)
    const team = Team.handoff("desk", { sales: sales!, billing: billing!, support: support! }, { maxHandoffs: 5 })
    yield* watched(Effect.gen(function*() {
      const ref = yield* Actor.spawn(team)
      let holder = "sales"
      let seen = 0
      yield* times(4, (n) =>
        Effect.gen(function*() {
          const end = yield* endOf(Agent.ask(ref, `Prompt ${n}`))
          yield* settle
          for (const { agent, events, outcome, parent } of runs().slice(seen)) {
            if (parent === undefined) continue
            speaking++
            expect(agent === holder, `${holder} has the conversation, and ${agent} answered`)
            const call = events.findLast((event) => event._tag === "ToolCall" && event.name === "handoff")
            const result = events.findLast((event) => event._tag === "ToolResult")
            if (
              outcome !== "Success" || call?._tag !== "ToolCall" || result?._tag !== "ToolResult" || result.isFailure
            ) {
              continue
            }
            const last = events.at(-1)
            if (last?._tag === "Completed" && last.response.text === "") {
              holder = (call.params as { readonly to: string }).to
            }
          }
          seen = runs().length
          if (typeof end !== "string") expect(end.text === `${holder} answers.`, `the holder answers: ${end.text}`)
        }))
      expect(speaking > 0, "somebody speaks")
    })).pipe(Effect.provide(model))
  })

const modelFaults = { modelFails: 0.05, modelCut: 0.05 }

export const teams: ReadonlyArray<Law> = [
  law("a team's answers come in the order of its plan, and failures as it was told", inPlanOrder, modelFaults),
  law("events place themselves in runs that are there, and no run outlives its team's", eventsInPlace, {
    ...modelFaults,
    toolFails: 0.05,
    toolLost: 0.05
  }),
  law("a conversation that is handed over has one holder", oneHolder, { ...modelFaults, toolFails: 0.05 })
]
