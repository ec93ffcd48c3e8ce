/**
 * The one seam that the calls of agents go through: each request to a model, each embedding and compaction of a memory,
 * each call of a tool.
 *
 * A tap is a `Context.Reference`, `undefined` by default, that is read with each call. It gets the call, with the way to
 * it, and the effect that makes it, and answers instead: with that effect, with another answer, or with both. That is
 * how a run is recorded, repeated from a record, kept in a journal or given faults, without wrapping an agent. A field
 * that a tap does not have lets its calls through; without a tap nothing is done.
 *
 * Each call has a `path`, the way to it from the outermost run: agents, turns and calls, such as
 * `office/lead/2/call_7/writer/1`. It is the same whenever the program is run again. The second run, request or
 * embedding of the same name in the same place ends in `~2`. Members of a team have the team's name for them.
 *
 * @since 0.1.0
 */
import type * as AiError from "effect/ai/AiError"
import type * as LanguageModel from "effect/ai/LanguageModel"
import type * as Prompt from "effect/ai/Prompt"
import type * as Response from "effect/ai/Response"
import type * as AiTool from "effect/ai/Tool"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import type { ToolFailed } from "./AgentError.ts"
import type { AgentEvent, Place } from "./AgentEvent.ts"
import type { EffectClass, Outcome, Runs } from "./internal/agent/outcome.ts"
import { nextPath } from "./internal/agent/place.ts"
import { siteOf } from "./internal/agent/toolContext.ts"
import type { Settings } from "./Llm/Settings.ts"
import type { Transcript } from "./Transcript.ts"

/**
 * Stands between agents and the models and tools that they call.
 *
 * A tap that fails otherwise than a call does, by a defect or an interruption, ends the run.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Agent, Tap } from "effect-troupe"
 *
 * const dryRun: Tap.Tap = {
 *   tool: (call, live) =>
 *     call.effect === "pure" || call.runs !== "handler"
 *       ? live(call.emit)
 *       : Effect.succeed({ result: `${call.name} was not called`, isFailure: false })
 * }
 *
 * const program = Agent.response(Agent.run(Agent.make("assistant"), "Hi")).pipe(
 *   Effect.provideService(Tap.Tap, dryRun)
 * )
 * ```
 *
 * @since 0.1.0
 * @category models
 */
export interface Tap {
  /** A request to the model of a run; its answer as it streams. */
  readonly model?:
    | ((call: ModelCall, live: Stream.Stream<Part, AiError.AiError>) => Stream.Stream<Part, AiError.AiError>)
    | undefined
  /** A call of a tool, after its arguments were decoded and approved. `live` emits progress where it is told to. */
  readonly tool?:
    | (<R>(
      call: ToolCall,
      live: (emit: ToolCall["emit"]) => Effect.Effect<Outcome, ToolFailed, R>
    ) => Effect.Effect<Outcome, ToolFailed, R>)
    | undefined
  /** Texts that a memory wants the vectors of, in their order. */
  readonly embedding?:
    | ((call: EmbeddingCall, live: Effect.Effect<Vectors, AiError.AiError>) => Effect.Effect<Vectors, AiError.AiError>)
    | undefined
  /** A conversation that a memory, or an agent's `recover`, makes shorter. */
  readonly compaction?:
    | (<E, R>(
      call: CompactionCall,
      live: Effect.Effect<Transcript, E, R>
    ) => Effect.Effect<Transcript, E, R>)
    | undefined
}

/**
 * What all calls have: the place of their run, the turn, which counts from 1, and the way to the call.
 *
 * @since 0.1.0
 * @category models
 */
export interface Call extends Place {
  readonly path: string
  readonly turn: number
}

/**
 * A request to a model. `model` is its name, where its layer tells it.
 *
 * @since 0.1.0
 * @category models
 */
export interface ModelCall extends Call {
  readonly model: string | undefined
  readonly prompt: Prompt.Prompt
  readonly tools: ReadonlyArray<AiTool.Any>
  readonly toolChoice: LanguageModel.ToolChoice<string>
  readonly settings: Settings
}

/**
 * A part of a model's answer.
 *
 * @since 0.1.0
 * @category models
 */
export type Part = Response.StreamPart<Record<string, AiTool.Any>, "deferred">

/**
 * A call of a tool. `params` are the arguments as JSON, as they were approved.
 *
 * @since 0.1.0
 * @category models
 */
export interface ToolCall extends Call {
  readonly id: string
  readonly name: string
  readonly params: unknown
  /** What a second call would do. */
  readonly effect: EffectClass
  /** What does the work: calls of an agent's run go through the tap themselves, those of an actor only if it has it. */
  readonly runs: Runs
  /** Emits events in the stream of the run. */
  readonly emit: (events: ReadonlyArray<AgentEvent>) => Effect.Effect<void>
}

/**
 * A request for embeddings.
 *
 * @since 0.1.0
 * @category models
 */
export interface EmbeddingCall extends Call {
  readonly texts: ReadonlyArray<string>
}

/**
 * One vector for each text.
 *
 * @since 0.1.0
 * @category models
 */
export type Vectors = ReadonlyArray<ReadonlyArray<number>>

/**
 * A conversation to make shorter; an earlier summary comes first in it. The answer takes its place in later requests,
 * unless it is empty: then there is none.
 *
 * @since 0.1.0
 * @category models
 */
export interface CompactionCall extends Call {
  readonly transcript: Transcript
}

/**
 * The tap of the agents that run, and of the actors that start, with it.
 *
 * @since 0.1.0
 * @category references
 */
export const Tap = Context.Reference<Tap | undefined>("effect-troupe/Tap", { defaultValue: () => undefined })

/**
 * Makes embeddings through the tap, for a memory of your own. Outside of a run there is none.
 *
 * @since 0.1.0
 * @category running
 */
export const embedding = (
  texts: ReadonlyArray<string>,
  live: Effect.Effect<Vectors, AiError.AiError>
): Effect.Effect<Vectors, AiError.AiError> =>
  Effect.withFiber((fiber) => {
    const tap = fiber.getRef(Tap)?.embedding
    const call = tap && callOf(siteOf(fiber), "~embedding")
    return tap && call ? tap({ ...call, texts }, live) : live
  })

/**
 * Makes a conversation shorter through the tap, for a memory of your own. Outside of a run there is none.
 *
 * @since 0.1.0
 * @category running
 */
export const compaction = <E, R>(
  transcript: Transcript,
  live: Effect.Effect<Transcript, E, R>
): Effect.Effect<Transcript, E, R> =>
  Effect.withFiber((fiber) => {
    const tap = fiber.getRef(Tap)?.compaction
    const call = tap && callOf(siteOf(fiber), "~compaction")
    return tap && call ? tap({ ...call, transcript }, live) : live
  })

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const callOf = (site: ReturnType<typeof siteOf>, name: string): Call | undefined =>
  site && { ...site.at.self, path: nextPath(site, name), turn: site.turn }
