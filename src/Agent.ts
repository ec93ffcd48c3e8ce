/**
 * Defines LLM agents and runs them.
 *
 * An agent is a value: a name, instructions, tools and limits. `run` prompts it once and gives the run as a stream of
 * events: a turn is one model call and the tools that it asked for, and turns follow each other until the model answers
 * without calling a tool. There is no other path: `Agent.response` folds that stream where only the answer counts.
 * Interrupting the stream stops the model's request and the running tools.
 *
 * @since 0.1.0
 */
import type * as McpServer from "effect/ai/McpServer"
import * as AiTool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import * as Arr from "effect/Array"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { NoExcessProperties } from "effect/Types"
import * as Actor from "./Actor.ts"
import type { ActorSystem } from "./ActorSystem.ts"
import { AgentError, InvalidOutput } from "./AgentError.ts"
import type { AgentEvent, AgentEventOf, AgentResponse, ResponseOf } from "./AgentEvent.ts"
import {
  type BehaviorOptions,
  behaviorWith,
  responseOf,
  withContext as behaviorWithContext
} from "./internal/agent/actor.ts"
import {
  type Agent,
  type AgentSpec,
  isAgent,
  type Limits,
  namedModel,
  type OutputOptions,
  type RunOptions,
  TypeId
} from "./internal/agent/agent.ts"
import { deepest, defaultBounds } from "./internal/agent/bounds.ts"
import type { AnyTool, Changed, Failure, Options, Requirements } from "./internal/agent/options.ts"
import * as AgentOutput from "./internal/agent/output.ts"
import type { AgentBehavior, AgentRef, Input, LocalAgentRef } from "./internal/agent/protocol.ts"
import type { RequestContext } from "./internal/agent/requestContext.ts"
import { CurrentTool, parentIn } from "./internal/agent/toolContext.ts"
import { checkName, toToolName } from "./internal/agent/toolName.ts"
import * as TurnLoop from "./internal/agent/turnLoop.ts"
import * as check from "./internal/check.ts"
import { errorMessage } from "./internal/errorMessage.ts"
import * as Pushed from "./internal/pushed.ts"
import { Memory } from "./Memory.ts"
import * as Tool from "./Tool.ts"
import type * as Transcript from "./Transcript.ts"

export {
  /** @since 0.1.0 @category models */
  type BehaviorOptions
} from "./internal/agent/actor.ts"
export {
  /** @since 0.1.0 @category models */
  type Agent,
  /** @since 0.1.0 @category guards */
  isAgent,
  /** @since 0.1.0 @category models */
  type Limits,
  /** @since 0.1.0 @category models */
  type OutputOptions,
  /** @since 0.1.0 @category models */
  type RunOptions,
  /** @since 0.1.0 @category models */
  type TurnInfo,
  /** @since 0.1.0 @category models */
  type TurnPlan
} from "./internal/agent/agent.ts"
export type {
  /** @since 0.1.0 @category models */
  AnyTool,
  /** @since 0.1.0 @category models */
  Changed,
  /** @since 0.1.0 @category models */
  Failure,
  /** @since 0.1.0 @category models */
  Options,
  /** @since 0.1.0 @category models */
  Requirements
} from "./internal/agent/options.ts"
export {
  /** @since 0.1.0 @category models */
  type AgentBehavior,
  /** @since 0.1.0 @category models */
  type AgentRef,
  /** @since 0.1.0 @category models */
  Input,
  /** @since 0.1.0 @category models */
  type LocalAgentRef,
  /** @since 0.1.0 @category protocol */
  type Messages,
  /** @since 0.1.0 @category models */
  Output,
  /** @since 0.1.0 @category protocol */
  protocol,
  /** @since 0.1.0 @category models */
  Request
} from "./internal/agent/protocol.ts"
export type {
  /** @since 0.1.0 @category models */
  RequestContext
} from "./internal/agent/requestContext.ts"

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
export function make<O extends NoExcessProperties<Options, O> = {}>(
  name: string,
  options?: O & Options
): Agent<Failure<O>, Requirements<O>, O>
// Below, the options are values; only the signature above, which sees each of them, can tell what they require.
export function make(name: string, options: Options = {}): Agent<unknown, unknown, Options> {
  check.notEmpty("Agent.make", "name", name)
  checkLimits("Agent.make", options)
  const tools = options.tools ?? []
  const definitions = tools.flatMap((tool) => Tool.isTool(tool) ? [tool.definition] : Object.values(tool.tools))
  const spec: AgentSpec<unknown, unknown> = {
    name,
    description: options.description,
    instructions: options.instructions,
    definitions,
    toolkit: Toolkit.make(...definitions),
    tools: tools.every(Tool.isTool)
      ? Effect.succeed(tools)
      : Effect.map(Effect.forEach(tools, withHandlers), Arr.flatten),
    model: options.model === undefined
      ? { _tag: "Ambient", service: Effect.contextWith((services) => Effect.succeed(namedModel(services))) }
      : { _tag: "Own", layer: options.model },
    limits: options,
    bounds: {
      maxDepth: options.maxDepth ?? defaultBounds.maxDepth,
      maxResultBytes: options.maxResultBytes ?? defaultBounds.maxResultBytes
    },
    settings: options.settings,
    toolChoice: options.toolChoice,
    prepareTurn: options.prepareTurn,
    recover: options.recover,
    guardrails: options.guardrails ?? [],
    memory: options.memory === undefined
      ? Effect.undefined
      : Effect.map(Layer.build(Layer.fresh(options.memory)), Context.get(Memory)),
    budget: options.budget
  }
  return fromSpec(spec, options)
}

function with_<O extends Options, Changes extends NoExcessProperties<Options, Changes>>(
  agent: Agent<unknown, unknown, O>,
  changes: Changes & Options
): Changed<O, Changes>
function with_(agent: Agent<unknown, unknown, Options>, changes: Options): Agent<unknown, unknown, Options> {
  return make(agent.name, { ...agent.options, ...changes })
}

export {
  /**
   * The same agent with other options: those that are given replace its own, with what they require and fail with.
   *
   * @example
   * ```ts
   * import { Agent, OpenAi, Scripted } from "effect-troupe"
   *
   * const support = Agent.make("support", { instructions: "You are kind.", model: OpenAi.model("gpt-5-mini") })
   *
   * const underTest = Agent.with(support, { model: Scripted.model(["How can I help?"]) }) // needs no key, no network
   * ```
   *
   * @since 0.1.0
   * @category combinators
   */
  with_ as with
}

/**
 * Runs an agent once: a stream of its events, which ends with `Completed` or fails with `AgentError`.
 *
 * Nothing happens before the stream is read; the run waits for its reader once a few events are ahead of it.
 *
 * With a schema as `output` the answer is a value of it: in parts in `OutputPartial` events while it comes in, and whole in
 * the response. The model gives it in the JSON format of its provider where that has one, else as the arguments of a tool
 * that no event shows. An answer that doesn't fit goes back to the model once, with the problem; a second one fails the
 * run with `InvalidOutput`.
 *
 * @example
 * ```ts
 * import { Console, Effect, Schema, Stream } from "effect"
 * import { Agent, Scripted } from "effect-troupe"
 *
 * const greeting = Agent.run(Agent.make("greeter"), "Hello?").pipe(
 *   Stream.runForEach((event) => Console.log(event._tag)),
 *   Effect.provide(Scripted.model(["Hello!"]))
 * )
 *
 * const Person = Schema.Struct({ name: Schema.String, age: Schema.Int })
 *
 * const reading = Agent.run(Agent.make("reader"), "Ada is 36.", { output: Person }).pipe(
 *   Stream.tap((event) => event._tag === "OutputPartial" ? Console.log(event.output) : Effect.void),
 *   Agent.response,
 *   Effect.map(({ output }) => output.age + 1),
 *   Effect.provide(Scripted.model([`{ "name": "Ada", "age": 36 }`]))
 * )
 * ```
 *
 * @since 0.1.0
 * @category running
 */
export function run<S extends Schema.Top, E, R>(
  agent: Agent<E, R>,
  input: Input,
  options: OutputOptions<S>
): Stream.Stream<AgentEventOf<S["Type"]>, AgentError | E, R | S["DecodingServices"]>
export function run<E, R>(
  agent: Agent<E, R>,
  input: Input,
  options?: RunOptions
): Stream.Stream<AgentEvent, AgentError | E, R>
// The loop knows of no type of an output; the signatures above do.
export function run(
  agent: Agent<unknown, unknown>,
  input: Input,
  options?: RunOptions | OutputOptions<Schema.Top>
): Stream.Stream<AgentEvent, unknown, unknown> {
  if (!isOutputOptions(options)) return agent.run(input, options)
  const withServices = Effect.map(
    Effect.context<unknown>(),
    (services) => agent.run(input, { ...options, output: AgentOutput.request(options.output, services) })
  )
  return Pushed.unwrap(withServices)
}

/**
 * The response of a run, from its `Completed` event.
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
export const response = <Event extends AgentEvent, E, R>(
  events: Stream.Stream<Event, E, R>
): Effect.Effect<ResponseOf<Event>, E, R> => responseOf((emit) => Pushed.runForEach(events, emit))

/**
 * Asks an agent, or the actor of an agent or a team, for a value: the `output` of a run that is asked for one.
 *
 * @example
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { Agent, Scripted } from "effect-troupe"
 *
 * const Person = Schema.Struct({ name: Schema.String, age: Schema.Int })
 *
 * const program = Agent.object(Agent.make("reader"), "Ada is 36.", Person).pipe(
 *   Effect.provide(Scripted.model([`{ "name": "Ada", "age": 36 }`]))
 * )
 * ```
 *
 * @since 0.1.0
 * @category running
 */
export const object: {
  <S extends Schema.Top, E, R>(
    agent: Agent<E, R>,
    input: Input,
    schema: S,
    options?: RunOptions
  ): Effect.Effect<S["Type"], AgentError | E, R | S["DecodingServices"]>
  <S extends Schema.Top>(
    ref: AgentRef,
    input: Input,
    schema: S
  ): Effect.Effect<S["Type"], AgentError | Actor.ActorError, S["DecodingServices"]>
  <S extends Schema.Top, C>(
    ref: AgentRef<C>,
    input: Input,
    schema: S,
    options: AskOptions<NoInfer<C>>
  ): Effect.Effect<S["Type"], AgentError | Actor.ActorError, S["DecodingServices"]>
} = <S extends Schema.Top, E, R>(
  target: Agent<E, R> | AgentRef,
  input: Input,
  schema: S,
  options: RunOptions & Partial<AskOptions<unknown>> = {}
): Effect.Effect<S["Type"], AgentError | Actor.ActorError | E, R | S["DecodingServices"]> =>
  isAgent(target)
    ? Effect.map(response(run(target, input, { ...options, output: schema })), ({ output }) => output)
    : askForObject(target, input, schema, options.context)

/**
 * The behavior of an agent as an actor.
 *
 * Its model and its tools are built when an incarnation starts and released when it ends. The conversation is the
 * incarnation's too: prompts continue it, `Reset` and a crash begin a new one. A failed run is a reply (`AgentError`);
 * a defect is a crash, which the supervisor decides about.
 *
 * @since 0.1.0
 * @category actors
 */
export const behavior = <E, R>(
  agent: Agent<E, R>,
  options: BehaviorOptions = {}
): AgentBehavior<E, Exclude<R, Scope.Scope>> => behaviorWith(agent, [], options)

/**
 * @since 0.1.0
 * @category models
 */
export interface SpawnOptions {
  /** The actor's name among its siblings, without `/` and with no `$` at its beginning. Default: one of its own. */
  readonly name?: string | undefined
}

/**
 * Starts an agent or a team as an actor: a child when called inside an actor, else at `/user`. Fails where building the
 * agent's model fails.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { ActorSystem, Agent, Scripted } from "effect-troupe"
 *
 * const program = Effect.gen(function*() {
 *   const ref = yield* Agent.spawn(Agent.make("poet"), { name: "poet" })
 *   yield* Agent.ask(ref, "A line?")
 *   return yield* Agent.ask(ref, "Another one?") // it knows of the first
 * }).pipe(
 *   Effect.provide([Scripted.model(["Roses are red.", "Violets are blue."]), ActorSystem.layer({ name: "app" })])
 * )
 * ```
 *
 * @since 0.1.0
 * @category actors
 */
export const spawn: {
  <E, R>(
    agent: Agent<E, R>,
    options?: BehaviorOptions & SpawnOptions
  ): Effect.Effect<LocalAgentRef, E | Actor.SpawnError, Exclude<R, Scope.Scope> | ActorSystem>
  <E, R, C>(
    behavior: AgentBehavior<E, R, C>,
    options?: SpawnOptions
  ): Effect.Effect<LocalAgentRef<C>, E | Actor.SpawnError, R | ActorSystem>
} = <E, R>(
  target: Agent<E, R> | AgentBehavior<E, R>,
  options: BehaviorOptions & SpawnOptions = {}
): Effect.Effect<LocalAgentRef, E | Actor.SpawnError, R | ActorSystem> =>
  Actor.spawn(isAgent(target) ? behavior(target, options) : target, options)

/**
 * The actor of an agent or a team of that name, a child of the actor that asks or at `/user`: the one that is there, as it
 * is, or a new one. Whoever asks at the same time gets the same actor (`Actor.getOrSpawn`). The name has no `/` in it and no
 * `$` at its beginning: `encodeURIComponent` makes one of any id.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Agent } from "effect-troupe"
 *
 * const support = Agent.make("support", { instructions: "You are kind." })
 *
 * const answer = Effect.fnUntraced(function*(user: string, prompt: string) {
 *   const ref = yield* Agent.getOrSpawn(support, { name: user, idleTimeout: "1 hour" })
 *   return yield* Agent.ask(ref, prompt)
 * })
 * ```
 *
 * @since 0.1.0
 * @category actors
 */
export const getOrSpawn: {
  <E, R>(
    agent: Agent<E, R>,
    options: BehaviorOptions & { readonly name: string }
  ): Effect.Effect<LocalAgentRef, E | Actor.SpawnError, Exclude<R, Scope.Scope> | ActorSystem>
  <E, R, C>(
    behavior: AgentBehavior<E, R, C>,
    options: { readonly name: string }
  ): Effect.Effect<LocalAgentRef<C>, E | Actor.SpawnError, R | ActorSystem>
} = <E, R>(
  target: Agent<E, R> | AgentBehavior<E, R>,
  options: BehaviorOptions & { readonly name: string }
): Effect.Effect<LocalAgentRef, E | Actor.SpawnError, R | ActorSystem> =>
  Actor.getOrSpawn(isAgent(target) ? behavior(target, options) : target, options)

/**
 * Lets each request bring a service for its run, such as its user or tenant: tools, guardrails, `prepareTurn` and `recover`
 * may require it, at any depth of a team, and the actor does not. What is built once for all requests (the model, the memory)
 * may not.
 *
 * The service crosses to the actor by its schema, as JSON. A request without one that fits fails with `InvalidContext`
 * before the model is asked. Actors that the agent's tools ask (`Tool.fromAgent`, `Tool.handoff`) get what came with the
 * request.
 *
 * @example
 * ```ts
 * import { Context, Effect, Schema } from "effect"
 * import { Agent, Tool } from "effect-troupe"
 *
 * const User = Schema.Struct({ id: Schema.String, tenant: Schema.String })
 *
 * class CurrentUser extends Context.Service<CurrentUser, typeof User.Type>()("app/CurrentUser") {}
 *
 * const orders = Tool.fn("list_orders", { description: "The user's orders", success: Schema.String }, () =>
 *   CurrentUser.useSync(({ id, tenant }) => `orders of ${id} at ${tenant}`))
 *
 * const support = Agent.withContext(Agent.make("support", { tools: [orders] }), { service: CurrentUser, schema: User })
 *
 * const program = Effect.gen(function*() {
 *   const ref = yield* Agent.spawn(support, { name: "support" })
 *   return yield* Agent.ask(ref, "Where is my order?", { context: { id: "ada", tenant: "acme" } })
 * })
 * ```
 *
 * @since 0.1.0
 * @category actors
 */
export function withContext<E, R, I, S, Encoded extends Schema.Json>(
  agent: Agent<E, R>,
  context: RequestContext<I, S, Encoded>
): AgentBehavior<E, Exclude<R, I | Scope.Scope>, Encoded>
export function withContext<E, R, I, S, Encoded extends Schema.Json>(
  behavior: AgentBehavior<E, R>,
  context: RequestContext<I, S, Encoded>
): AgentBehavior<E, Exclude<R, I>, Encoded>
export function withContext<I, S, Encoded extends Schema.Json>(
  target: Agent<unknown, unknown> | AgentBehavior<unknown, unknown>,
  context: RequestContext<I, S, Encoded>
): AgentBehavior<unknown, unknown, Encoded> {
  return behaviorWithContext(isAgent(target) ? behavior(target) : target, context)
}

/**
 * The options of a request to an actor whose requests bring `C`.
 *
 * @since 0.1.0
 * @category models
 */
export interface AskOptions<out C> {
  /** What the request brings (`Agent.withContext`). */
  readonly context: C
}

/**
 * Prompts an agent or a team and waits for the response. Interrupting it stops the run: its model request, its
 * tools, and the runs of other agents that it waits for.
 *
 * @since 0.1.0
 * @category actors
 */
export const ask: {
  (ref: AgentRef, input: Input): Effect.Effect<AgentResponse, AgentError | Actor.ActorError>
  <C>(
    ref: AgentRef<C>,
    input: Input,
    options: AskOptions<NoInfer<C>>
  ): Effect.Effect<AgentResponse, AgentError | Actor.ActorError>
} = (
  ref: AgentRef,
  input: Input,
  options?: AskOptions<unknown>
): Effect.Effect<AgentResponse, AgentError | Actor.ActorError> =>
  Effect.flatMap(
    CurrentTool,
    (tool) => ref.ask("Prompt", { input, context: options?.context, parent: parentIn(tool, tool.name) })
  )

/**
 * Prompts an agent or a team and streams the events of its run, no faster than they are read. Leaving the stream stops
 * the run.
 *
 * @since 0.1.0
 * @category actors
 */
export const stream: {
  (ref: AgentRef, input: Input): Stream.Stream<AgentEvent, AgentError | Actor.ActorError>
  <C>(
    ref: AgentRef<C>,
    input: Input,
    options: AskOptions<NoInfer<C>>
  ): Stream.Stream<AgentEvent, AgentError | Actor.ActorError>
} = (
  ref: AgentRef,
  input: Input,
  options?: AskOptions<unknown>
): Stream.Stream<AgentEvent, AgentError | Actor.ActorError> =>
  Pushed.unwrap(
    Effect.map(CurrentTool, (tool) =>
      ref.stream("Run", { input, context: options?.context, parent: parentIn(tool, tool.name) }))
  )

/**
 * The conversation of an agent or a team so far. Answered between runs.
 *
 * @since 0.1.0
 * @category actors
 */
export const transcript = (ref: AgentRef<never>): Effect.Effect<Transcript.Transcript, Actor.ActorError> =>
  ref.ask("Transcript")

/**
 * Lets an agent, or a team with the members that it started itself, go on with another conversation: to have the last
 * answer written once more, to edit what was asked, to resume what was stored. Done between runs. Calls in it that are
 * nested deeper than any agent allows are replaced by failed ones.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Agent, Transcript } from "effect-troupe"
 *
 * const regenerate = Effect.fnUntraced(function*(ref: Agent.AgentRef) {
 *   const { entries } = yield* Agent.transcript(ref)
 *   const prompt = entries.findLastIndex(({ _tag }) => _tag === "User")
 *   yield* Agent.restore(ref, Transcript.make(entries.slice(0, prompt)))
 *   return yield* Agent.ask(ref, Transcript.text(entries[prompt]!))
 * })
 * ```
 *
 * @since 0.1.0
 * @category actors
 */
export const restore = (
  ref: AgentRef<never>,
  transcript: Transcript.Transcript
): Effect.Effect<void, Actor.ActorError> => ref.ask("Restore", { transcript })

/**
 * Lets an agent, or a team with the members that it started itself, forget the conversation.
 *
 * @since 0.1.0
 * @category actors
 */
export const reset = (ref: AgentRef<never>): Effect.Effect<void, Actor.ActorError> => ref.ask("Reset")

/**
 * Serves an agent as a tool of an MCP server: give the layer to `McpServer.layerStdio` or `McpServer.layerHttp` as
 * `registrations`.
 *
 * Each call is a conversation of its own; a run that fails is the tool's error.
 *
 * @since 0.1.0
 * @category layers
 */
export const toMcp = <E, R>(
  agent: Agent<E, R>,
  options: {
    /** Tells clients what the agent can do and when to ask it. */
    readonly description: string
    /** Default: the agent's name, with "_" for characters that no tool's name can have. */
    readonly name?: string | undefined
  }
): Layer.Layer<never, never, McpServer.McpServer | R> => {
  const name = options.name === undefined
    ? toToolName(agent.name)
    : checkName("Agent.toMcp", "name", options.name)
  const toolkit = Toolkit.make(AiTool.make(name, {
    description: options.description,
    parameters: Schema.Struct({ prompt: Schema.String }),
    success: Schema.Struct({ answer: Schema.String }),
    failure: Schema.String
  }))
  const handlers = Effect.map(Effect.context<R>(), (services) => ({
    [name]: ({ prompt }: { readonly prompt: string }) =>
      response(agent.run(prompt)).pipe(
        Effect.map(({ text }) => ({ answer: text })),
        Effect.mapError(errorMessage),
        Effect.provideContext(services)
      )
  }))
  // A server of MCP is an HTTP server, too, so it is loaded by those who serve.
  const server = Effect.promise(() => import("effect/ai/McpServer"))
  return Layer.provide(Layer.unwrap(Effect.map(server, (server) => server.toolkit(toolkit))), toolkit.toLayer(handlers))
}

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const checkLimits = (
  where: string,
  { maxDepth, maxDuration, maxResultBytes, maxToolCalls, maxTurns, toolConcurrency }: Limits
): void => {
  if (maxTurns !== undefined) check.positiveInteger(where, "maxTurns", maxTurns)
  if (maxToolCalls !== undefined) check.notNegativeInteger(where, "maxToolCalls", maxToolCalls)
  if (maxDuration !== undefined) check.notNegativeDuration(where, "maxDuration", maxDuration)
  if (toolConcurrency !== undefined) check.positiveInteger(where, "toolConcurrency", toolConcurrency)
  if (maxDepth !== undefined && !(Number.isInteger(maxDepth) && maxDepth >= 1 && maxDepth <= deepest)) {
    check.fail(where, "maxDepth", `an integer from 1 to ${deepest}`, maxDepth)
  }
  if (maxResultBytes !== undefined) check.positiveInteger(where, "maxResultBytes", maxResultBytes)
}

const fromSpec = (spec: AgentSpec<unknown, unknown>, options: Options): Agent<unknown, unknown, Options> => ({
  [TypeId]: TypeId,
  name: spec.name,
  description: spec.description,
  options,
  memory: spec.memory,
  run: (input, runOptions) => TurnLoop.events(spec, input, runOptions),
  build: (tools) => Effect.map(build(spec, tools), (built) => fromSpec(built, options))
})

/** The agent with its own model built for as long as the scope is open, and with these tools beside its own. */
const build = Effect.fnUntraced(function*<E, R>(spec: AgentSpec<E, R>, tools: ReadonlyArray<Tool.Tool<string>>) {
  const all = [...yield* spec.tools, ...tools]
  const definitions = [...spec.definitions, ...tools.map((tool) => tool.definition)]
  const model = spec.model._tag === "Ambient"
    ? yield* spec.model.service
    : namedModel(yield* Layer.build(spec.model.layer))
  const built: AgentSpec<E, R> = {
    ...spec,
    definitions,
    toolkit: Toolkit.make(...definitions),
    tools: Effect.succeed(all),
    model: { _tag: "Ambient", service: Effect.succeed(model) }
  }
  return built
})

const withHandlers = (tool: AnyTool): Effect.Effect<ReadonlyArray<Tool.Tool<string, unknown>>, never, unknown> =>
  Tool.isTool(tool)
    ? Effect.succeed([tool])
    : Tool.fromToolkit(tool as Toolkit.Toolkit<Record<string, AiTool.Any>>)

const isOutputOptions = (
  options: RunOptions | OutputOptions<Schema.Top> | undefined
): options is OutputOptions<Schema.Top> => Schema.isSchema(options?.output)

/** Asks, checks, and asks once more where the answer doesn't fit: the actor knows nothing but the schema's JSON. */
const askForObject = Effect.fnUntraced(function*<S extends Schema.Top>(
  ref: AgentRef,
  input: Input,
  schema: S,
  context: unknown
): Effect.fn.Return<S["Type"], AgentError | Actor.ActorError, S["DecodingServices"]> {
  const { jsonSchema, read } = AgentOutput.request(schema, yield* Effect.context<S["DecodingServices"]>())
  const output = { jsonSchema }
  const first = yield* Effect.result(read((yield* ref.ask("Prompt", { input, output, context })).output))
  if (first._tag === "Success") return first.success
  const again = yield* ref.ask("Prompt", { input: AgentOutput.repair(first.failure.message), output, context })
  return yield* Effect.mapError(read(again.output), ({ message }) =>
    new AgentError({
      agent: again.agent,
      reason: new InvalidOutput({ problem: message }),
      transcript: again.transcript
    }))
})
