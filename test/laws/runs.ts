/** What the laws of agents and teams have in common: the runs that an observer hears of, and what every run promises. */
import { Effect } from "effect"
import type { Prompt } from "effect/ai"
import type { AgentEvent } from "../../src/AgentEvent.ts"
import * as Observer from "../../src/Observer.ts"
import type { Expect } from "./law.ts"

export interface Run {
  readonly id: string
  readonly agent: string
  readonly parent: string | undefined
  readonly actor: string | undefined
  readonly events: Array<AgentEvent>
  outcome: Observer.RunObservation["outcome"]
}

/** The runs in the order in which they begin. */
export const watchRuns = (expect: Expect) => {
  const runs = new Map<string, Run>()
  /** By actor: the run that it is in. */
  const current = new Map<string, string>()
  const observe = (observation: Observer.Observation): void => {
    if (observation._tag !== "Run") return
    const { actor, agent, events, outcome, parent, run: id } = observation
    let run = runs.get(id)
    if (run === undefined) {
      if (events.length > 0) {
        expect(events[0]!._tag === "RunStarted", `a run begins with RunStarted, got ${events[0]!._tag}`)
      }
      if (parent !== undefined) {
        const above = runs.get(parent.run)
        expect(above !== undefined && above.outcome === undefined, "a run inside of another one begins and ends there")
      }
      run = { id, agent, parent: parent?.run, actor, events: [], outcome: undefined }
      runs.set(id, run)
    }
    expect(run.outcome === undefined, "nothing comes of a run after its end")
    // An agent that is a tool runs in the actor of the run that calls it.
    const isTop = parent === undefined || runs.get(parent.run)?.actor !== actor
    if (actor !== undefined && isTop) {
      expect((current.get(actor) ?? id) === id, "an agent's actor is in one run at a time")
      if (outcome === undefined) current.set(actor, id)
      else current.delete(actor)
    }
    // The observer gets them as the run emits them.
    run.events.push(...events as ReadonlyArray<AgentEvent>)
    if (outcome === undefined) return
    run.outcome = outcome
    for (const other of runs.values()) {
      expect(other.parent !== id || other.outcome !== undefined, "a run inside of another one ends before it")
    }
    checkEnded(expect, run, Array.from(runs.values()).filter((other) => isWithin(runs, other, id)))
  }
  const watched = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.provideService(effect, Observer.Observer, { observe })
  return { runs: () => Array.from(runs.values()), watched }
}

/** Each call of the request has its result, and each result its call. */
export const checkPrompt = (expect: Expect, { content }: Prompt.Prompt): void => {
  let open: Array<string> = []
  for (const message of content) {
    if (message.role === "tool") {
      for (const part of message.content) {
        if (part.type !== "tool-result") continue
        expect(open.includes(part.id), `the result of ${part.id} follows its call`)
        open = open.filter((id) => id !== part.id)
      }
      continue
    }
    expect(open.length === 0, `each call has its result in a request, ${open} have none`)
    if (message.role === "assistant") {
      open = message.content.flatMap((part) => part.type === "tool-call" ? [part.id] : [])
    }
  }
  expect(open.length === 0, `each call has its result in a request, ${open} have none`)
}

// -----------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------

const isWithin = (runs: ReadonlyMap<string, Run>, run: Run, id: string): boolean => {
  for (let above: Run | undefined = run; above !== undefined; above = runs.get(above.parent ?? "")) {
    if (above.id === id) return true
  }
  return false
}

/** `all` are the run and those inside of it. */
const checkEnded = (expect: Expect, { agent, events, outcome }: Run, all: ReadonlyArray<Run>): void => {
  const count = (tag: string) => events.filter(({ _tag }) => _tag === tag).length
  expect(
    events.length === 0 || count("RunStarted") === 1,
    `a run starts once, ${agent} did ${count("RunStarted")} times`
  )
  const last = events.at(-1)
  expect((outcome === "Success") === (last?._tag === "Completed"), `${agent} ends with ${last?._tag}: ${outcome}`)
  expect(count("Completed") === (outcome === "Success" ? 1 : 0), `${agent} is completed ${count("Completed")} times`)
  const results = events.flatMap((event) => event._tag === "ToolResult" ? [event.id] : [])
  expect(new Set(results).size === results.length, `one result a call, got ${results}`)
  if (last?._tag !== "Completed") return
  const calls = events.flatMap((event) => event._tag === "ToolCall" ? [event.id] : [])
  // A turn that was begun again has calls that nobody runs.
  if (count("TurnRestarted") === 0) {
    expect(calls.toSorted().join() === results.toSorted().join(), `each call has a result: ${calls}, ${results}`)
  }
  const { usage } = last.response
  // With those of its members and of agents that are its tools.
  const turns = all.flatMap((run) => run.events.flatMap((event) => event._tag === "TurnFinished" ? [event] : []))
  const sum = (of: (event: (typeof turns)[number]) => number | undefined) =>
    turns.reduce((total, turn) => total + (of(turn) ?? 0), 0)
  const [input, output] = [sum((turn) => turn.usage.inputTokens.total), sum((turn) => turn.usage.outputTokens.total)]
  expect(
    (usage.inputTokens.total ?? 0) === input && (usage.outputTokens.total ?? 0) === output,
    `${agent} used what its turns did: ${usage.inputTokens.total}/${usage.outputTokens.total}, not ${input}/${output}`
  )
}
