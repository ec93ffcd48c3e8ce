/**
 * The model of an agent, and the options of one run. Exported through `Agent`.
 *
 * @internal
 */
import * as LanguageModel from "effect/ai/LanguageModel"
import * as Model from "effect/ai/Model"
import type * as AiTool from "effect/ai/Tool"
import type * as Toolkit from "effect/ai/Toolkit"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { hasProperty } from "effect/Predicate"
import type * as Ref from "effect/Ref"
import type * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { AgentError } from "../../AgentError.ts"
import type { AgentEvent } from "../../AgentEvent.ts"
import type { Budget } from "../../Budget.ts"
import type { Guardrail } from "../../Guardrail.ts"
import type { Settings } from "../../Llm/Settings.ts"
import type { Memory } from "../../Memory.ts"
import type { Reason, Recovery } from "../../Recover.ts"
import type { Tool } from "../../Tool.ts"
import type * as Transcript from "../../Transcript.ts"
import type { Bounds } from "./bounds.ts"
import type { OutputRequest } from "./output.ts"
import type { Origin } from "./place.ts"
import type { Input } from "./protocol.ts"

export const TypeId = "~effect-troupe/Agent"

/**
 * An agent: it answers a prompt with a run.
 *
 * `E` is the errors of building its own model, `R` the requirements of its tools and its model; without a model of its
 * own it requires `LanguageModel`. `O` is the options that it was made with, where they are known.
 *
 * @since 0.1.0
 * @category models
 */
export interface Agent<out E = never, out R = never, out O = unknown> {
  readonly [TypeId]: typeof TypeId
  readonly name: string
  readonly description: string | undefined
  readonly options: O
  /** Builds the memory of one conversation, empty; `undefined` where the agent was given none. */
  readonly memory: Effect.Effect<Memory["Service"] | undefined, E, R | Scope.Scope>
  readonly run: (input: Input, options?: RunOptions) => Stream.Stream<AgentEvent, AgentError | E, R>
  /**
   * The agent with its own model built once, for as long as the scope is open, and with more tools.
   *
   * @internal
   */
  readonly build: (tools: ReadonlyArray<Tool<string>>) => Effect.Effect<Agent<E, R>, E, R | Scope.Scope>
}

/**
 * How far a run may go, and how much of it at once.
 *
 * @since 0.1.0
 * @category models
 */
export interface Limits {
  /** How many turns a run may take before it fails with `MaxTurnsExceeded`. Default: 10. */
  readonly maxTurns?: number | undefined
  /** How many tool calls it may make before it fails with `MaxToolCallsExceeded`. Default: any number. */
  readonly maxToolCalls?: number | undefined
  /** How long it may take, waiting for approvals too, before it fails with `MaxDurationExceeded`. Default: for ever. */
  readonly maxDuration?: Duration.Input | undefined
  /**
   * Whether the last turn that the limits allow is asked without tools, so that the model must answer with the facts
   * that it has; the run fails only if it does not. Default: `false`.
   */
  readonly finalAnswer?: boolean | undefined
  /**
   * How deep the JSON of a tool call may be nested, from 1 to 1,000. Deeper arguments are not run, and deeper results not
   * kept: the model reads a failed result that says so. Default: 128.
   */
  readonly maxDepth?: number | undefined
  /**
   * How many bytes of text or JSON a tool may answer with. Of a longer result the model reads the beginning, with a note
   * that it is cut. Files are not counted. Default: 262,144.
   */
  readonly maxResultBytes?: number | undefined
  /**
   * Ends the run after a turn that another one would follow: the text of that turn is the answer. Default: the run goes
   * on until the model answers.
   */
  readonly stopWhen?: ((turn: TurnInfo) => boolean) | undefined
  /** How many tool calls of a turn run at once; the others wait in their order. Default: all of them. */
  readonly toolConcurrency?: number | undefined
}

/**
 * A turn about to be asked (`prepareTurn`), or just over (`stopWhen`). `turn` counts from 1; the transcript is the whole
 * conversation until then.
 *
 * @since 0.1.0
 * @category models
 */
export interface TurnInfo {
  readonly agent: string
  readonly turn: number
  readonly transcript: Transcript.Transcript
}

/**
 * The settings of one turn's request; absent fields are as the agent has them.
 *
 * @since 0.1.0
 * @category models
 */
export interface TurnPlan<out E = never, out R = never> {
  readonly instructions?: string | undefined
  readonly tools?: ReadonlyArray<Tool<string, R>> | undefined
  readonly toolChoice?: LanguageModel.ToolChoice<string> | undefined
  /** Built once a run, however many turns use it. */
  readonly model?: Layer.Layer<LanguageModel.LanguageModel, E, R> | undefined
  readonly settings?: Settings | undefined
}

/**
 * The options of one run.
 *
 * @since 0.1.0
 * @category models
 */
export interface RunOptions {
  /**
   * The conversation that the run continues and writes to: the prompt when it starts, each turn when it ends. A run
   * that is interrupted leaves its entries so far, ready for the next one. So does a run that fails, but for what the
   * model may never read: a prompt that it has answered nothing to is taken out again (the error has it), and results
   * of tools that it refused are replaced by a text that says so. Default: a new one.
   */
  readonly transcript?: Ref.Ref<Transcript.Transcript> | undefined
  /**
   * The memory of that conversation, where the conversation is kept longer than a run: it has the transcript's entries
   * already, and gets those that the run adds. Default: a new one, which gets the transcript when the run starts.
   */
  readonly memory?: Memory["Service"] | undefined
  /**
   * Asks for an object in the place of text. Default: text.
   *
   * @internal
   */
  readonly output?: OutputRequest | undefined
  /**
   * Where the run takes place. Default: inside of the tool call around it, if there is one.
   *
   * @internal
   */
  readonly origin?: Origin | undefined
}

/**
 * The options of one run that shall answer with a value.
 *
 * @since 0.1.0
 * @category models
 */
export interface OutputOptions<out S extends Schema.Top> extends Omit<RunOptions, "output"> {
  /** The schema of the value. */
  readonly output: S
}

/**
 * Whether a value is an agent.
 *
 * @since 0.1.0
 * @category guards
 */
export const isAgent = (u: unknown): u is Agent<unknown, unknown> => hasProperty(u, TypeId)

/** A model, and its name where its layer tells it. */
export interface NamedModel {
  readonly service: LanguageModel.LanguageModel
  readonly name: string | undefined
}

export const namedModel = (services: Context.Context<LanguageModel.LanguageModel>): NamedModel => ({
  service: Context.get(services, LanguageModel.LanguageModel),
  name: Option.getOrUndefined(Context.getOption(services, Model.ModelName))
})

/** The options of `Agent.make`, ready to be run. */
export interface AgentSpec<out E, out R> {
  readonly name: string
  readonly description: string | undefined
  readonly instructions: string | undefined
  readonly definitions: ReadonlyArray<AiTool.Any>
  readonly toolkit: Toolkit.Toolkit<Record<string, AiTool.Any>>
  readonly tools: Effect.Effect<ReadonlyArray<Tool<string, R>>, never, R>
  /** Its own model, else that of the context. */
  readonly model:
    | { readonly _tag: "Own"; readonly layer: Layer.Layer<LanguageModel.LanguageModel, E, R> }
    | { readonly _tag: "Ambient"; readonly service: Effect.Effect<NamedModel, never, R> }
  readonly limits: Limits
  readonly bounds: Bounds
  readonly settings: Settings | undefined
  readonly toolChoice: LanguageModel.ToolChoice<string> | undefined
  readonly prepareTurn: ((turn: TurnInfo) => Effect.Effect<TurnPlan<E, R>, never, R>) | undefined
  readonly recover: ((reason: Reason) => Recovery<E, R>) | undefined
  readonly guardrails: ReadonlyArray<Guardrail<R>>
  readonly memory: Effect.Effect<Memory["Service"] | undefined, E, R | Scope.Scope>
  readonly budget: Budget | undefined
}
