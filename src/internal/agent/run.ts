/**
 * One run under way, and the entries that it leaves in the transcript.
 *
 * @internal
 */
import type * as LanguageModel from "effect/ai/LanguageModel"
import type * as Response from "effect/ai/Response"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Ref from "effect/Ref"
import { AgentError, type AgentErrorReason } from "../../AgentError.ts"
import type { AgentEvent, Source } from "../../AgentEvent.ts"
import type { Budget } from "../../Budget.ts"
import type { Memory } from "../../Memory.ts"
import type { Tool } from "../../Tool.ts"
import * as Transcript from "../../Transcript.ts"
import type { Run } from "../actor/cell.ts"
import type { AgentSpec, NamedModel } from "./agent.ts"
import type { OutputRequest } from "./output.ts"
import type { RunPlace } from "./place.ts"
import * as Turn from "./turn.ts"

/** One run under way. */
export interface AgentRun<E, R> {
  readonly agent: AgentSpec<E, R>
  readonly at: RunPlace
  readonly emit: (events: ReadonlyArray<AgentEvent>) => Effect.Effect<void>
  readonly transcript: Ref.Ref<Transcript.Transcript>
  readonly memory: Memory["Service"] | undefined
  /** The entries that the run has added to the conversation. */
  readonly added: Array<Transcript.Entry>
  readonly budgets: ReadonlyArray<Budget>
  /** The answer that the run is asked for, where it is not text. */
  readonly output: OutputRequest | undefined
  /** Whether the model was asked to give it again. */
  repaired: boolean
  readonly modelOf: (layer: Layer.Layer<LanguageModel.LanguageModel, E, R>) => Effect.Effect<NamedModel, E, R>
  /** The run of an actor that waits for what this one waits for. */
  waiting: Run | undefined
  model: NamedModel
  /** The tools of a turn that is given no others. */
  readonly ownTools: ReadonlyMap<string, Tool<string, R>>
  /** The tools of this turn. */
  tools: ReadonlyMap<string, Tool<string, R>>
  /** Whether the model has said anything, however little of it may be kept. */
  answered: boolean
  /** The names of the calls whose results the provider owes, by their ids. */
  owed: ReadonlyMap<string, string>
  /** The turn under way, until it is in the transcript. */
  turn: Turn.Turn | undefined
  /** The transcript that requests carry instead of the first `at` entries. */
  compacted: { readonly transcript: Transcript.Transcript; readonly at: number } | undefined
  /** Of its turns, and of the agents inside of its tools. */
  readonly usages: Array<Response.Usage>
  /** Those that its own turns named. */
  readonly sources: Array<Source>
  toolCalls: number
  /** Whether calls were refused because there were too many. */
  outOfCalls: boolean
}

/** Writes an entry to the conversation. */
export const record = <E, R>(run: AgentRun<E, R>, entry: Transcript.Entry): Effect.Effect<void> =>
  Effect.suspend(() => {
    run.added.push(entry)
    const written = Ref.update(run.transcript, (transcript) => Transcript.append(transcript, entry))
    return run.memory === undefined ? written : Effect.andThen(written, run.memory.append([entry]))
  })

/** Writes the turn under way, as far as it came; once. */
export const write = <E, R>(run: AgentRun<E, R>): Effect.Effect<void> =>
  Effect.suspend(() => {
    if (run.turn === undefined) return Effect.void
    const entry = Turn.toEntry(run.turn)
    run.owed = Turn.owedAfter(run.turn)
    run.answered ||= Turn.says(run.turn)
    run.turn = undefined
    return entry.content.length === 0 ? Effect.void : record(run, entry)
  })

/** Writes the turn under way, and a result for each call whose own will not come any more. */
export const close = <E, R>(run: AgentRun<E, R>): Effect.Effect<void> =>
  Effect.andThen(
    write(run),
    Effect.suspend(() => {
      if (run.owed.size === 0) return Effect.void
      const entry = Turn.closing(run.agent.name, run.owed)
      run.owed = new Map()
      return record(run, entry)
    })
  )

/** Takes the prompt out of the conversation again, after a run that failed before the model said anything. */
export const takeBack = <E, R>({ added, answered, memory, transcript }: AgentRun<E, R>): Effect.Effect<void> => {
  if (answered) return Effect.void
  const taken = Ref.update(transcript, ({ entries }) => Transcript.make(entries.filter((entry) => entry !== added[0])))
  return memory === undefined ? taken : Effect.andThen(taken, memory.retract)
}

/**
 * Puts a text that says so in the place of the results that the model has refused to read, since the conversation would
 * carry them for good.
 */
export const leaveOut = <E, R>(run: AgentRun<E, R>, why: string): Effect.Effect<void> =>
  Effect.suspend(() => {
    const { added, memory, transcript } = run
    const newest = added.at(-1)
    if (newest?._tag !== "Answer") return Effect.void
    const entry = Transcript.leaveOutResults(newest, `This result is left out: the model refused it (${why})`)
    added[added.length - 1] = entry
    const replaced = Ref.update(
      transcript,
      ({ entries }) => Transcript.make(entries.map((other) => other === newest ? entry : other))
    )
    if (memory === undefined) return replaced
    return Effect.andThen(replaced, Effect.andThen(memory.retract, memory.append([entry])))
  })

/** Ends the run with an error that carries the entries that it added until then. */
export const fail = <E, R>(run: AgentRun<E, R>, reason: AgentErrorReason): Effect.Effect<never, AgentError> =>
  Effect.flatMap(
    close(run),
    () => new AgentError({ agent: run.agent.name, reason, transcript: Transcript.make(run.added) })
  )
