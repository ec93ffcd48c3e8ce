/**
 * The options of `Agent.make`, and what their types say of the agent. Exported through `Agent`.
 *
 * @internal
 */
import type * as LanguageModel from "effect/ai/LanguageModel"
import type * as Toolkit from "effect/ai/Toolkit"
import type * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type { MergeRight } from "effect/Types"
import type { Budget } from "../../Budget.ts"
import type { Guardrail } from "../../Guardrail.ts"
import type { Settings } from "../../Llm/Settings.ts"
import type { Memory } from "../../Memory.ts"
import type { Reason, Recovery, RecoveryError, RecoveryServices } from "../../Recover.ts"
import type * as Tool from "../../Tool.ts"
import type { Shown } from "../shown.ts"
import type { Agent, Limits, TurnInfo, TurnPlan } from "./agent.ts"

/**
 * A tool for an agent: one of `Tool.fn`, or a toolkit of `effect/ai` as it is.
 *
 * @since 0.1.0
 * @category models
 */
export type AnyTool = Tool.Tool<string, unknown> | Toolkit.Any

/**
 * The options of an agent.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options extends Limits {
  /** Tells a model that may choose the agent when to choose it. */
  readonly description?: string | undefined
  /** The system message of every request. */
  readonly instructions?: string | undefined
  /** The tools that the model may call. A toolkit's handlers are taken from its layer. Default: none. */
  readonly tools?: ReadonlyArray<AnyTool> | undefined
  /** Whether the model may, must or must not call tools. Default: `"auto"`. */
  readonly toolChoice?: LanguageModel.ToolChoice<string> | undefined
  /** A model of its own, built when a run begins. Default: the `LanguageModel` of the context. */
  readonly model?: Layer.Layer<LanguageModel.LanguageModel, unknown, unknown> | undefined
  /** How the model shall answer: temperature, stop sequences, provider options. For models of `AiSdk`. */
  readonly settings?: Settings | undefined
  /** Chooses tools, model and settings for each turn. Default: the agent's own. */
  readonly prepareTurn?: ((turn: TurnInfo) => Effect.Effect<TurnPlan<unknown, unknown>, never, unknown>) | undefined
  /** What to do when a model call fails, before the run does. Default: `Recover.fail`. */
  readonly recover?: ((reason: Reason) => Recovery<unknown, unknown>) | undefined
  /** Checks on prompts, answers and tool calls. */
  readonly guardrails?: ReadonlyArray<Guardrail<unknown>> | undefined
  /** Chooses the part of a conversation that requests carry. Default: all of it. */
  readonly memory?: Layer.Layer<Memory, unknown, unknown> | undefined
  /** Pays for its model calls and tools, and for the agents that its tools run. */
  readonly budget?: Budget | undefined
}

/**
 * The errors of building the models of an agent with these options, when it runs.
 *
 * @since 0.1.0
 * @category models
 */
export type Failure<O> = Shown<
  | (O extends { readonly model: Layer.Layer<infer _A, infer E, infer _R> } ? E : never)
  | (O extends { readonly memory: Layer.Layer<infer _A, infer E, infer _R> } ? E : never)
  | (O extends { readonly prepareTurn: (turn: TurnInfo) => Effect.Effect<infer P, infer _E, infer _R> }
    ? P extends { readonly model: Layer.Layer<infer _A, infer E, infer _R> } ? E : never
    : never)
  | (O extends { readonly recover: (reason: Reason) => infer A } ? RecoveryError<A> : never)
>

/**
 * The requirements of an agent with these options.
 *
 * @since 0.1.0
 * @category models
 */
export type Requirements<O> = Shown<
  | (O extends { readonly model: Layer.Layer<infer _A, infer _E, infer R> } ? R : LanguageModel.LanguageModel)
  | (O extends { readonly memory: Layer.Layer<infer _A, infer _E, infer R> } ? R : never)
  | (O extends { readonly tools: ReadonlyArray<infer T> } ? Tool.Requirements<T> : never)
  | (O extends { readonly prepareTurn: (turn: TurnInfo) => Effect.Effect<infer P, infer _E, infer R> }
    ? R | PlanRequirements<P>
    : never)
  | (O extends { readonly recover: (reason: Reason) => infer A } ? RecoveryServices<A> : never)
  | (O extends { readonly guardrails: ReadonlyArray<infer G> } ? G extends Guardrail<infer R> ? R : never : never)
>

/**
 * An agent with the options `O`, those in `Changes` instead of its own.
 *
 * @since 0.1.0
 * @category models
 */
export type Changed<O, Changes> = Agent<
  Failure<MergeRight<O, Changes>>,
  Requirements<MergeRight<O, Changes>>,
  MergeRight<O, Changes>
>

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

type PlanRequirements<P> =
  | (P extends { readonly model: Layer.Layer<infer _A, infer _E, infer R> } ? R : never)
  | (P extends { readonly tools: ReadonlyArray<infer T> } ? Tool.Requirements<T> : never)
