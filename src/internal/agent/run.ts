/**
 * What the turn loop knows of a run, and what it leaves in the transcript.
 *
 * @internal
 */
import type * as LanguageModel from "effect/ai/LanguageModel"
import type * as Response from "effect/ai/Response"
import type * as AiTool from "effect/ai/Tool"
import type * as Toolkit from "effect/ai/Toolkit"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Ref from "effect/Ref"
import type * as Scope from "effect/Scope"
import type { Limits, Output, TurnInfo, TurnPlan } from "../../Agent.ts"
import { AgentError, type AgentErrorReason } from "../../AgentError.ts"
import type { AgentEvent } from "../../AgentEvent.ts"
import type { Budget } from "../../Budget.ts"
import type { Guardrail } from "../../Guardrail.ts"
import type { Settings } from "../../Llm/AiSdk.ts"
import type { Memory } from "../../Memory.ts"
import type { Reason, Recovery } from "../../Recover.ts"
import type { Tool } from "../../Tool.ts"
import * as Transcript from "../../Transcript.ts"
import * as Turn from "./turn.ts"

/**
 * What `Agent.make` was told, ready to be run.
 *
 * @internal
 */
export interface AgentSpec<out E, out R> {
  readonly name: string
  readonly description: string | undefined
  readonly instructions: string | undefined
  readonly definitions: ReadonlyArray<AiTool.Any>
  readonly toolkit: Toolkit.Toolkit<Record<string, AiTool.Any>>
  readonly tools: Effect.Effect<ReadonlyArray<Tool<string, R>>, never, R>
  /** Its own model, else that of the surroundings. */
  readonly model:
    | { readonly _tag: "Own"; readonly layer: Layer.Layer<LanguageModel.LanguageModel, E, R> }
    | { readonly _tag: "Ambient"; readonly service: Effect.Effect<LanguageModel.LanguageModel, never, R> }
  readonly limits: Limits
  readonly settings: Settings | undefined
  readonly toolChoice: LanguageModel.ToolChoice<string> | undefined
  readonly prepareTurn: ((turn: TurnInfo) => Effect.Effect<TurnPlan<E, R>, never, R>) | undefined
  readonly recover: ((reason: Reason) => Recovery<E, R>) | undefined
  readonly guardrails: ReadonlyArray<Guardrail<R>>
  readonly memory: Effect.Effect<Memory["Service"] | undefined, E, R | Scope.Scope>
  readonly budget: Budget | undefined
}

/**
 * One run under way.
 *
 * @internal
 */
export interface AgentRun<E, R> {
  readonly agent: AgentSpec<E, R>
  readonly emit: (events: ReadonlyArray<AgentEvent>) => Effect.Effect<void>
  readonly transcript: Ref.Ref<Transcript.Transcript>
  readonly memory: Memory["Service"] | undefined
  /** What the run has added to the conversation. */
  readonly added: Array<Transcript.Entry>
  readonly budgets: ReadonlyArray<Budget>
  /** The answer that the run is asked for, where it is not text. */
  readonly output: Output | undefined
  readonly modelOf: (layer: Layer.Layer<LanguageModel.LanguageModel, E, R>) => Effect.Effect<
    LanguageModel.LanguageModel,
    E,
    R
  >
  model: LanguageModel.LanguageModel
  /** What a turn may call that is given no other tools. */
  readonly ownTools: ReadonlyMap<string, Tool<string, R>>
  /** What this turn may call. */
  tools: ReadonlyMap<string, Tool<string, R>>
  /** The turn under way, until it is in the transcript. */
  turn: Turn.Turn | undefined
  /** What requests carry instead of the first `at` entries. */
  compacted: { readonly transcript: Transcript.Transcript; readonly at: number } | undefined
  /** Of its turns, and of the agents inside of its tools. */
  readonly usages: Array<Response.Usage>
  toolCalls: number
  /** Whether calls were refused because there were too many. */
  outOfCalls: boolean
}

/**
 * Writes an entry to the conversation.
 *
 * @internal
 */
export const record = <E, R>(run: AgentRun<E, R>, entry: Transcript.Entry): Effect.Effect<void> =>
  Effect.suspend(() => {
    run.added.push(entry)
    const written = Ref.update(run.transcript, (transcript) => Transcript.append(transcript, entry))
    return run.memory === undefined ? written : Effect.andThen(written, run.memory.append([entry]))
  })

/**
 * Writes the turn under way, as far as it came; once.
 *
 * @internal
 */
export const write = <E, R>(run: AgentRun<E, R>): Effect.Effect<void> =>
  Effect.suspend(() => {
    if (run.turn === undefined) return Effect.void
    const entry = Turn.toEntry(run.turn)
    run.turn = undefined
    return entry.content.length === 0 ? Effect.void : record(run, entry)
  })

/**
 * Ends the run with an error that carries the entries that it added until then.
 *
 * @internal
 */
export const fail = <E, R>(run: AgentRun<E, R>, reason: AgentErrorReason): Effect.Effect<never, AgentError> =>
  Effect.flatMap(
    write(run),
    () => new AgentError({ agent: run.agent.name, reason, transcript: Transcript.make(run.added) })
  )
