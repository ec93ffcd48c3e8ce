/**
 * Defines LLM agents and runs them.
 *
 * An agent is a value: a name, instructions, tools and limits. `run` asks it once and gives the run as a stream of
 * events: a turn is one model call and the tools that it asked for, and turns follow each other until the model answers
 * without calling a tool. There is no other path: whoever wants only the answer folds that stream (`Agent.response`).
 * Interrupting the stream stops the model's request and the running tools.
 *
 * @since 0.1.0
 */
import type { Duration, JsonSchema, Layer } from "effect"
import { Effect, Option, Ref, Schema, Stream } from "effect"
import { LanguageModel, Tool as AiTool, Toolkit } from "effect/ai"
import type { Prompt } from "effect/ai"
import * as Arr from "effect/Array"
import { hasProperty } from "effect/Predicate"
import type { NoExcessProperties } from "effect/Types"
import { AgentError, InvalidOutput } from "./AgentError.ts"
import type { AgentEvent, AgentResponse } from "./AgentEvent.ts"
import type { Budget } from "./Budget.ts"
import type { Guardrail } from "./Guardrail.ts"
import * as AgentRun from "./internal/agentRun.ts"
import type { Definition } from "./internal/runState.ts"
import type { Settings } from "./Llm/AiSdk.ts"
import type { Reason, Recovery, RecoveryError, RecoveryServices } from "./Recover.ts"
import * as Tool from "./Tool.ts"
import * as Transcript from "./Transcript.ts"

export {
  /** @since 0.1.0 @category actors */
  ask,
  /** @since 0.1.0 @category actors */
  behavior,
  /** @since 0.1.0 @category models */
  type BehaviorOptions,
  /** @since 0.1.0 @category actors */
  reset,
  /** @since 0.1.0 @category actors */
  spawn,
  /** @since 0.1.0 @category actors */
  stream,
  /** @since 0.1.0 @category actors */
  transcript
} from "./internal/agentActor.ts"
export {
  /** @since 0.1.0 @category actors */
  object
} from "./internal/agentObject.ts"
export {
  /** @since 0.1.0 @category models */
  type AgentBehavior,
  /** @since 0.1.0 @category models */
  type AgentRef,
  /** @since 0.1.0 @category models */
  type LocalAgentRef,
  /** @since 0.1.0 @category protocol */
  type Messages,
  /** @since 0.1.0 @category protocol */
  protocol,
  /** @since 0.1.0 @category models */
  Request
} from "./internal/agentProtocol.ts"

const TypeId = "~effect-troupe/Agent"

/**
 * An agent: whatever answers a prompt with a run.
 *
 * `E` is what building its own model can fail with, `R` what its tools and its model require; without a model of its own
 * it requires `LanguageModel`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Agent<out E = never, out R = never> {
  readonly [TypeId]: typeof TypeId
  readonly name: string
  readonly run: (input: Input, options?: RunOptions) => Stream.Stream<AgentEvent, AgentError | E, R>
}

/**
 * What an agent can be given as a tool: a tool of `Tool.fn`, or a toolkit of `effect/ai` as it is.
 *
 * @since 0.1.0
 * @category models
 */
export type AnyTool = Tool.Tool<string, unknown> | Toolkit.Any

/**
 * How far a run may go.
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
   * Whether the last turn that the limits allow is asked without tools, so that it must answer with what is known; the
   * run fails only if it does not. Default: `false`.
   */
  readonly finalAnswer?: boolean | undefined
}

/**
 * A turn about to be asked. `turn` counts from 1; the transcript is the whole conversation.
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
 * What one turn is asked with; what is left out is as the agent has it.
 *
 * @since 0.1.0
 * @category models
 */
export interface TurnPlan<out E = never, out R = never> {
  readonly instructions?: string | undefined
  readonly tools?: ReadonlyArray<Tool.Tool<string, R>> | undefined
  readonly toolChoice?: LanguageModel.ToolChoice<string> | undefined
  /** Built once a run, however many turns are asked with it. */
  readonly model?: Layer.Layer<LanguageModel.LanguageModel, E, R> | undefined
  readonly settings?: Settings | undefined
}

/**
 * What an agent is made of.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options extends Limits {
  /** The system message of every request. */
  readonly instructions?: string | undefined
  /** What the model may call. A toolkit's handlers are taken from its layer. Default: nothing. */
  readonly tools?: ReadonlyArray<AnyTool> | undefined
  /** Whether the model may, must or must not call tools. Default: `"auto"`. */
  readonly toolChoice?: LanguageModel.ToolChoice<string> | undefined
  /** A model of its own, built when a run begins. Default: the `LanguageModel` of the surroundings. */
  readonly model?: Layer.Layer<LanguageModel.LanguageModel, unknown, unknown> | undefined
  /** How the model shall answer: temperature, stop sequences, provider options. For models of `AiSdk`. */
  readonly settings?: Settings | undefined
  /** Chooses tools, model and settings for each turn. Default: the agent's own. */
  readonly prepareTurn?: ((turn: TurnInfo) => Effect.Effect<TurnPlan<unknown, unknown>, never, unknown>) | undefined
  /** What to do when a model call fails, before the run does. Default: `Recover.fail`. */
  readonly recover?: ((reason: Reason) => Recovery<unknown, unknown>) | undefined
  /** Checks on what goes in, what is said and what is called. */
  readonly guardrails?: ReadonlyArray<Guardrail<unknown>> | undefined
  /** Pays for its model calls and tools, and for the agents that its tools run. */
  readonly budget?: Budget | undefined
}

/**
 * What making an agent of these options can fail with when it runs: building its models.
 *
 * @since 0.1.0
 * @category models
 */
export type Failure<O extends Options> =
  | (O extends { readonly model: Layer.Layer<infer _A, infer E, infer _R> } ? E : never)
  | (O extends { readonly prepareTurn: (turn: TurnInfo) => Effect.Effect<infer P, infer _E, infer _R> }
    ? P extends { readonly model: Layer.Layer<infer _A, infer E, infer _R> } ? E : never
    : never)
  | (O extends { readonly recover: (reason: Reason) => infer A } ? RecoveryError<A> : never)

/**
 * What an agent of these options requires.
 *
 * @since 0.1.0
 * @category models
 */
export type Requirements<O extends Options> =
  | (O extends { readonly model: Layer.Layer<infer _A, infer _E, infer R> } ? R : LanguageModel.LanguageModel)
  | (O extends { readonly tools: ReadonlyArray<infer T> } ? Tool.Requirements<T> : never)
  | (O extends { readonly prepareTurn: (turn: TurnInfo) => Effect.Effect<infer P, infer _E, infer R> }
    ? R | PlanRequirements<P>
    : never)
  | (O extends { readonly recover: (reason: Reason) => infer A } ? RecoveryServices<A> : never)
  | (O extends { readonly guardrails: ReadonlyArray<infer G> } ? G extends Guardrail<infer R> ? R : never : never)

type PlanRequirements<P> =
  | (P extends { readonly model: Layer.Layer<infer _A, infer _E, infer R> } ? R : never)
  | (P extends { readonly tools: ReadonlyArray<infer T> } ? Tool.Requirements<T> : never)

/**
 * What a run is asked with: a text, or texts and files.
 *
 * @since 0.1.0
 * @category models
 */
export type Input = string | ReadonlyArray<Prompt.UserMessagePart>

/**
 * An answer that is not text: the JSON schema of an object.
 *
 * @since 0.1.0
 * @category models
 */
export interface Output {
  readonly jsonSchema: JsonSchema.JsonSchema
}

/**
 * What can be said of one run.
 *
 * @since 0.1.0
 * @category models
 */
export interface RunOptions {
  /**
   * The conversation that the run continues and writes to: the prompt when it starts, each turn when it ends. A run that
   * fails or is interrupted leaves what was said so far, ready for the next one. Default: a new one.
   */
  readonly transcript?: Ref.Ref<Transcript.Transcript> | undefined
  /** Asks for an answer of this shape, unchecked, in the response's `output`. `Agent.object` checks it. Default: text. */
  readonly output?: Output | undefined
}

/**
 * Whether a value is an agent.
 *
 * @since 0.1.0
 * @category guards
 */
export const isAgent = (u: unknown): u is Agent<unknown, unknown> => hasProperty(u, TypeId)

/**
 * Makes an agent.
 *
 * @example
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { Agent, Tool } from "effect-troupe"
 *
 * const weather = Tool.fn("get_weather", {
 *   description: "Current weather in a city",
 *   parameters: { city: Schema.String },
 *   success: Schema.String
 * }, ({ city }) => Effect.succeed(`18 C and cloudy in ${city}`))
 *
 * const assistant = Agent.make("assistant", { instructions: "You are concise.", tools: [weather] })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <const O extends NoExcessProperties<Options, O> = {}>(
  name: string,
  options?: O & Options
): Agent<Failure<O>, Requirements<O>> => {
  const given: Options = options ?? {}
  const tools = given.tools ?? []
  const definitions = tools.flatMap((tool) => Tool.isTool(tool) ? [tool.definition] : Object.values(tool.tools))
  const definition: Definition<unknown, unknown> = {
    name,
    instructions: given.instructions,
    definitions,
    toolkit: Toolkit.make(...definitions),
    tools: tools.every(Tool.isTool)
      ? Effect.succeed(tools)
      : Effect.map(Effect.forEach(tools, withHandlers), Arr.flatten),
    model: given.model === undefined
      ? { _tag: "Ambient", service: LanguageModel.LanguageModel }
      : { _tag: "Own", layer: given.model },
    limits: given,
    settings: given.settings,
    toolChoice: given.toolChoice,
    prepareTurn: given.prepareTurn,
    recover: given.recover,
    guardrails: given.guardrails ?? [],
    budget: given.budget
  }
  const agent: Agent<unknown, unknown> = {
    [TypeId]: TypeId,
    name,
    run: (input, options) => AgentRun.events(definition, input, options)
  }
  // The options are read as values here; only the signature, which saw them one by one, can say what they require.
  return agent as Agent<Failure<O>, Requirements<O>>
}

/**
 * Runs an agent once: a stream of its events, which ends with `Completed` or fails with `AgentError`.
 *
 * Nothing happens before the stream is read; the run waits for its reader once a few events are ahead of it.
 *
 * @example
 * ```ts
 * import { Console, Effect, Stream } from "effect"
 * import { Agent, Scripted } from "effect-troupe"
 *
 * const program = Agent.run(Agent.make("greeter"), "Hello?").pipe(
 *   Stream.runForEach((event) => Console.log(event._tag)),
 *   Effect.provide(Scripted.model(["Hello!"]))
 * )
 * ```
 *
 * @since 0.1.0
 * @category running
 */
export const run = <E, R>(
  agent: Agent<E, R>,
  input: Input,
  options?: RunOptions
): Stream.Stream<AgentEvent, AgentError | E, R> => agent.run(input, options)

/**
 * The response that a run comes to: what its `Completed` event carries.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Agent, Scripted } from "effect-troupe"
 *
 * const program = Agent.run(Agent.make("greeter"), "Hello?").pipe(
 *   Agent.response,
 *   Effect.map((response) => response.text),
 *   Effect.provide(Scripted.model(["Hello!"]))
 * )
 * ```
 *
 * @since 0.1.0
 * @category running
 */
export const response = <E, R>(events: Stream.Stream<AgentEvent, E, R>): Effect.Effect<AgentResponse, E, R> =>
  Effect.flatMap(Stream.runLast(events), (last) =>
    Option.isSome(last) && last.value._tag === "Completed"
      ? Effect.succeed(last.value.response)
      : Effect.die(new Error("Agent.response: the stream of events must end with Completed")))

/**
 * Asks an agent for a value: an answer that fits a schema.
 *
 * The model gives it as the arguments of a tool call, so any model with tools can. An answer that doesn't fit goes back
 * to the model once, with what is wrong with it; after that the run fails with `InvalidOutput`.
 *
 * @example
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { Agent, Scripted } from "effect-troupe"
 *
 * const Person = Schema.Struct({ name: Schema.String, age: Schema.Int })
 *
 * const program = Agent.object(Agent.make("reader"), "Ada is 36.", Person).pipe(
 *   Effect.provide(Scripted.model([Scripted.toolCall("final_answer", { name: "Ada", age: 36 })]))
 * )
 * ```
 *
 * @since 0.1.0
 * @category running
 */
export const object = <S extends Schema.Top, E, R>(
  agent: Agent<E, R>,
  input: Input,
  schema: S,
  options?: Pick<RunOptions, "transcript">
): Effect.Effect<S["Type"], AgentError | E, R | S["DecodingServices"]> => {
  const transcript = options?.transcript ?? Ref.makeUnsafe(Transcript.empty)
  return askForObject(schema, (input, output) => response(agent.run(input, { transcript, output })), input)
}

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const withHandlers = (tool: AnyTool): Effect.Effect<ReadonlyArray<Tool.Tool<string, unknown>>, never, unknown> =>
  Tool.isTool(tool)
    ? Effect.succeed([tool])
    : Tool.fromToolkit(tool as Toolkit.Toolkit<Record<string, AiTool.Any>>)

/**
 * Asks, checks, and asks once more where the answer doesn't fit; both in one conversation.
 *
 * @internal
 */
export const askForObject = Effect.fnUntraced(function*<S extends Schema.Top, E, R>(
  schema: S,
  ask: (input: Input, output: Output) => Effect.Effect<AgentResponse, E, R>,
  input: Input
): Effect.fn.Return<S["Type"], AgentError | E, R | S["DecodingServices"]> {
  const { decode, jsonSchema } = asObject(schema)
  const first = yield* ask(input, { jsonSchema })
  const answer = yield* Effect.result(decode(first.output))
  if (answer._tag === "Success") return answer.success
  const repair = `Your answer does not fit: ${answer.failure.message}\nGive the whole answer again.`
  const second = yield* ask(repair, { jsonSchema })
  return yield* Effect.mapError(decode(second.output), ({ message }) =>
    new AgentError({
      agent: second.agent,
      reason: new InvalidOutput({ problem: message }),
      transcript: second.transcript
    }))
})

/** Providers take nothing but objects as arguments, so any other value is put into one. */
const asObject = <S extends Schema.Top>(schema: S) => {
  const codec = Schema.toCodecJson(schema)
  const jsonSchema = AiTool.getJsonSchemaFromSchema(codec)
  if (jsonSchema.type === "object") return { jsonSchema, decode: Schema.decodeUnknownEffect(codec) }
  const decode = Schema.decodeUnknownEffect(codec)
  return {
    jsonSchema: AiTool.getJsonSchemaFromSchema(Schema.Struct({ value: codec })),
    decode: (output: unknown) => decode(hasProperty(output, "value") ? output.value : output)
  }
}
