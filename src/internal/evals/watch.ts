/**
 * Hears what the agents of an effect do.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import type { AgentEvent } from "../../AgentEvent.ts"
import { type Observation, Observer } from "../../Observer.ts"
import { retype } from "../retype.ts"
import type { Usage } from "./report.ts"

/**
 * A call of a tool by an agent of the task, at any depth. `params` are the arguments as the model wrote them; `result` and
 * `isFailure` are absent where the call had no end.
 *
 * @since 0.1.0
 * @category models
 */
export interface ToolCall {
  readonly agent: string
  readonly name: string
  readonly params: unknown
  readonly result?: unknown
  readonly isFailure?: boolean
}

/** What was heard until now. */
export interface Heard {
  readonly usage: Usage
  /** In the order in which the models asked for them. */
  readonly toolCalls: ReadonlyArray<ToolCall>
}

/** Runs an effect with an observer, beside the one around it, that hears the runs of agents in it. */
export const watch = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<readonly [A, Heard], E, R> =>
  Effect.withFiber((fiber) => {
    const around = fiber.getRef(Observer)
    const listener = makeListener()
    const observe = (observation: Observation) => {
      if (observation._tag === "Run") listener.note(retype<ReadonlyArray<AgentEvent>>(observation.events))
      around?.observe(observation)
    }
    return effect.pipe(
      Effect.provideService(Observer, { ...around, observe }),
      Effect.map((value): readonly [A, Heard] => [value, listener.heard()])
    )
  })

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const makeListener = () => {
  const calls: Array<{ readonly key: string; call: ToolCall }> = []
  let turns = 0
  let tokens: number | undefined = 0
  let cost: number | undefined = 0
  const note = (events: ReadonlyArray<AgentEvent>) => {
    for (const event of events) {
      switch (event._tag) {
        case "ToolCall": {
          const { agent, id, name, params, run } = event
          calls.push({ key: `${run} ${id}`, call: { agent, name, params } })
          break
        }
        case "ToolResult": {
          const { id, isFailure, result, run } = event
          const open = calls.findLast(({ key }) => key === `${run} ${id}`)
          if (open !== undefined) open.call = { ...open.call, result, isFailure }
          break
        }
        case "TurnFinished": {
          const { inputTokens, outputTokens } = event.usage
          turns++
          tokens = plus(tokens, plus(inputTokens.total, outputTokens.total))
          cost = plus(cost, event.cost)
        }
      }
    }
  }
  const heard = (): Heard => ({
    usage: { turns, ...(tokens !== undefined && { tokens }), ...(cost !== undefined && { cost }) },
    toolCalls: calls.map(({ call }) => call)
  })
  return { note, heard }
}

const plus = (a: number | undefined, b: number | undefined): number | undefined =>
  a === undefined || b === undefined ? undefined : a + b
