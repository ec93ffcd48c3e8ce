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
import type { Scope } from "effect"
import { Context, Effect, Layer, Option, Ref, Stream } from "effect"
import { AiError, LanguageModel, Prompt, Toolkit } from "effect/ai"
import type { Response, Tool as AiTool } from "effect/ai"
import * as Arr from "effect/Array"
import { hasProperty } from "effect/Predicate"
import type * as Pull from "effect/Pull"
import {
  AgentError,
  type AgentErrorReason,
  EmptyPrompt,
  InvalidAgent,
  MaxTurnsExceeded,
  ModelFailed
} from "./AgentError.ts"
import type { AgentEvent, AgentResponse } from "./AgentEvent.ts"
import * as Turn from "./internal/agentTurn.ts"
import { addUsage, noUsage } from "./internal/usage.ts"
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
 * An agent: what it is told, what it may call, and which model answers for it.
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
  readonly instructions: string | undefined
  readonly maxTurns: number
  /** What the model is told of the tools; two of one name make the agent invalid. */
  readonly definitions: ReadonlyArray<AiTool.Any>
  readonly tools: Effect.Effect<ReadonlyArray<Tool.Tool<string, R>>, never, R>
  readonly model: Effect.Effect<LanguageModel.LanguageModel, E, R | Scope.Scope>
}

/**
 * What an agent can be given as a tool: a tool of `Tool.fn`, or a toolkit of `effect/ai` as it is.
 *
 * @since 0.1.0
 * @category models
 */
export type AnyTool = Tool.Tool<string, unknown> | Toolkit.Any

/**
 * What an agent is made of.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options<Tools extends ReadonlyArray<AnyTool>, E, R> {
  /** The system message of every request. */
  readonly instructions?: string | undefined
  /** What the model may call. A toolkit's handlers are taken from its layer. Default: nothing. */
  readonly tools?: Tools | undefined
  /** How many turns a run may take before it fails with `MaxTurnsExceeded`. Default: 10. */
  readonly maxTurns?: number | undefined
  /** A model of its own, built when a run begins. Default: the `LanguageModel` of the surroundings. */
  readonly model?: Layer.Layer<LanguageModel.LanguageModel, E, R> | undefined
}

/**
 * What a run is asked with: a text, or texts and files.
 *
 * @since 0.1.0
 * @category models
 */
export type Input = string | ReadonlyArray<Prompt.UserMessagePart>

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
export const make = <
  const Tools extends ReadonlyArray<AnyTool> = [],
  E = never,
  R = LanguageModel.LanguageModel
>(
  name: string,
  options: Options<Tools, E, R> = {}
): Agent<E, R | Tool.Requirements<Tools[number]>> => {
  const tools: ReadonlyArray<AnyTool> = options.tools ?? []
  const agent: Agent<E, unknown> = {
    [TypeId]: TypeId,
    name,
    instructions: options.instructions,
    maxTurns: options.maxTurns ?? 10,
    definitions: tools.flatMap((tool) => Tool.isTool(tool) ? [tool.definition] : Object.values(tool.tools)),
    tools: tools.every(Tool.isTool)
      ? Effect.succeed(tools)
      : Effect.map(Effect.forEach(tools, withHandlers), Arr.flatten),
    model: options.model === undefined
      ? LanguageModel.LanguageModel
      : Effect.map(Layer.build(options.model), Context.get(LanguageModel.LanguageModel))
  }
  // A list of tools can't carry what each one requires; the signature, which saw them one by one, can.
  return agent as Agent<E, R | Tool.Requirements<Tools[number]>>
}

/**
 * Runs an agent once: a stream of its events, which ends with `Completed` or fails with `AgentError`.
 *
 * Nothing happens before the stream is pulled, and the model is pulled only as fast as the stream is read.
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
): Stream.Stream<AgentEvent, AgentError | E, R> =>
  Stream.unwrap(Effect.map(begin(agent, input, options?.transcript), (run) => turns(run, 1))).pipe(
    Stream.withSpan(`invoke_agent ${agent.name}`, { attributes: { "gen_ai.agent.name": agent.name } })
  )

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

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const withHandlers = (tool: AnyTool): Effect.Effect<ReadonlyArray<Tool.Tool<string, unknown>>, never, unknown> =>
  Tool.isTool(tool)
    ? Effect.succeed([tool])
    : Tool.fromToolkit(tool as Toolkit.Toolkit<Record<string, AiTool.Any>>)

/** One run under way. */
interface Run<R> {
  readonly agent: Agent<unknown, R>
  readonly model: LanguageModel.LanguageModel
  readonly tools: ReadonlyMap<string, Tool.Tool<string, R>>
  readonly transcript: Ref.Ref<Transcript.Transcript>
  /** How long the conversation was before the run. */
  readonly offset: number
  usage: Response.Usage
}

const begin = Effect.fnUntraced(function*<E, R>(
  agent: Agent<E, R>,
  input: Input,
  transcript: Ref.Ref<Transcript.Transcript> = Ref.makeUnsafe(Transcript.empty)
) {
  const invalid = problemOf(agent, input)
  if (invalid !== undefined) {
    return yield* new AgentError({ agent: agent.name, reason: invalid, transcript: Transcript.empty })
  }
  const tools = yield* agent.tools
  const run: Run<R> = {
    agent,
    model: yield* agent.model,
    tools: new Map(tools.map((tool) => [tool.name, tool])),
    transcript,
    offset: (yield* Ref.get(transcript)).entries.length,
    usage: noUsage
  }
  yield* say(run, Transcript.user(input))
  return run
})

/** What makes it pointless to ask the model at all. */
const problemOf = (agent: Agent<unknown, unknown>, input: Input): AgentErrorReason | undefined => {
  const names = agent.definitions.map((tool) => tool.name)
  const taken = names.find((name, index) => names.indexOf(name) !== index)
  if (taken !== undefined) return new InvalidAgent({ problem: `two tools are called ${JSON.stringify(taken)}` })
  if (!Number.isInteger(agent.maxTurns) || agent.maxTurns < 1) {
    return new InvalidAgent({ problem: `maxTurns must be a positive integer, got ${agent.maxTurns}` })
  }
  const empty = typeof input === "string"
    ? input.trim() === ""
    : input.every((part) => part.type === "text" && part.text.trim() === "")
  return empty ? new EmptyPrompt() : undefined
}

const say = <R>(run: Run<R>, entry: Transcript.Entry): Effect.Effect<void> =>
  Ref.update(run.transcript, (transcript) => Transcript.append(transcript, entry))

const said = <R>(run: Run<R>): Effect.Effect<Transcript.Transcript> =>
  Effect.map(Ref.get(run.transcript), (transcript) => Transcript.make(transcript.entries.slice(run.offset)))

const fail = <R>(run: Run<R>, reason: AgentErrorReason): Effect.Effect<never, AgentError> =>
  Effect.flatMap(said(run), (transcript) => new AgentError({ agent: run.agent.name, reason, transcript }))

/** The turns of a run from this one on. */
const turns = <R>(run: Run<R>, number: number): Stream.Stream<AgentEvent, AgentError, R> =>
  Stream.suspend(() => {
    const turn = Turn.make(run.agent.name, number)
    let written = false
    // However the turn ends, and once: in the transcript is what came in until then.
    const write = Effect.suspend(() => {
      if (written) return Effect.void
      written = true
      return say(run, Turn.toEntry(turn))
    })
    return answer(run, turn).pipe(
      Stream.concat(Stream.suspend(() => callTools(run, turn))),
      Stream.concat(Stream.sync(() => finished(run, turn))),
      Stream.catch((error) => Stream.fromEffect(Effect.andThen(write, fail(run, new ModelFailed({ error }))))),
      Stream.ensuring(write),
      Stream.concat(Stream.unwrap(Effect.andThen(write, Effect.suspend(() => next(run, turn)))))
    )
  })

/** The model's part of a turn. */
const answer = <R>(run: Run<R>, turn: Turn.Turn): Stream.Stream<AgentEvent, AiError.AiError> =>
  Stream.unwrap(Effect.map(Ref.get(run.transcript), ({ messages }) => {
    const { definitions, instructions, name } = run.agent
    const prompt = Prompt.fromMessages(
      instructions === undefined ? messages : [Prompt.systemMessage({ content: instructions }), ...messages]
    )
    const parts = run.model.streamText({
      prompt,
      toolkit: Toolkit.make(...definitions),
      disableToolCallResolution: true,
      toolCallValidation: "deferred"
      // With resolution off no tool's schema runs, so what they require is not required here.
    }) as Stream.Stream<Turn.Part, AiError.AiError>
    return Stream.transformPull(parts, (pull) => Effect.succeed(pullEvents(turn, pull))).pipe(
      Stream.concat(Stream.suspend(() => turn.finish === undefined ? Stream.fail(cutOff(name)) : Stream.empty))
    )
  }))

const pullEvents = (
  turn: Turn.Turn,
  pull: Pull.Pull<Arr.NonEmptyReadonlyArray<Turn.Part>, AiError.AiError>
): Pull.Pull<Arr.NonEmptyReadonlyArray<AgentEvent>, AiError.AiError> =>
  Effect.flatMap(pull, (parts) => {
    const events = Turn.absorb(turn, parts)
    if (turn.error !== undefined) return Effect.fail(turn.error)
    return Arr.isArrayNonEmpty(events) ? Effect.succeed(events) : pullEvents(turn, pull)
  })

const cutOff = (agent: string): AiError.AiError =>
  AiError.make({
    module: "Agent",
    method: agent,
    reason: new AiError.InternalProviderError({
      description: "the model's stream ended without a finish reason, so the answer may be cut off"
    })
  })

/** Runs the calls of a turn at once; their results come in the calls' order. */
const callTools = <R>(run: Run<R>, turn: Turn.Turn): Stream.Stream<AgentEvent, never, R> =>
  Stream.mapEffect(
    Stream.fromIterable(turn.calls),
    (call) => Effect.map(callTool(run, turn, call.part), (outcome) => Turn.settle(turn, call, outcome)),
    { concurrency: "unbounded" }
  )

const callTool = <R>(
  run: Run<R>,
  turn: Turn.Turn,
  call: Response.ToolCallPart<string, unknown>
): Effect.Effect<Tool.Outcome, never, R> => {
  const reason = turn.finish?.reason
  if (reason === "length" || reason === "content-filter") {
    return Effect.succeed(Tool.failure(`Not run: the answer was cut off (${reason})`))
  }
  const tool = run.tools.get(call.name)
  if (tool === undefined) {
    const names = Array.from(run.tools.keys()).join(", ")
    return Effect.succeed(Tool.failure(`There is no tool ${call.name}. The tools are: ${names || "none"}`))
  }
  return Effect.withSpan(tool.handle(call.params, call.id), `execute_tool ${call.name}`, {
    attributes: { "gen_ai.tool.name": call.name, "gen_ai.tool.call.id": call.id }
  })
}

const finished = <R>(run: Run<R>, turn: Turn.Turn): AgentEvent => {
  const { reason, usage } = turn.finish!
  run.usage = addUsage(run.usage, usage)
  return { _tag: "TurnFinished", agent: turn.agent, turn: turn.number, finishReason: reason, usage }
}

/** What follows a turn: another one while the model wants its tools' results, else the end. */
const next = <R>(run: Run<R>, turn: Turn.Turn): Effect.Effect<Stream.Stream<AgentEvent, AgentError, R>> => {
  const { maxTurns, name } = run.agent
  if (turn.calls.length > 0 || turn.finish!.reason === "pause") {
    return Effect.succeed(
      turn.number < maxTurns
        ? turns(run, turn.number + 1)
        : Stream.fromEffect(fail(run, new MaxTurnsExceeded({ maxTurns })))
    )
  }
  return Effect.map(said(run), (transcript) =>
    Stream.make<[AgentEvent]>({
      _tag: "Completed",
      agent: name,
      response: {
        agent: name,
        text: Transcript.text(Turn.toEntry(turn)),
        finishReason: turn.finish!.reason,
        turns: turn.number,
        usage: run.usage,
        transcript
      }
    }))
}
