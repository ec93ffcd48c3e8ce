/**
 * Defines tools that carry their handlers.
 *
 * A tool is a name, a description and parameters for the model, together with the effect that a call runs. Arguments
 * are decoded before the handler sees them and its success is encoded to JSON. A failure on the way (arguments that
 * don't decode, a typed failure, a defect) is an outcome for the model to read, never a failed run. The requirements of
 * a handler stay visible: they are the `R` of the tool, and so of every agent with the tool.
 *
 * @since 0.1.0
 */
import type * as McpClient from "effect/ai/McpClient"
import type * as McpClientError from "effect/ai/McpClientError"
import * as AiTool from "effect/ai/Tool"
import type * as Toolkit from "effect/ai/Toolkit"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { hasProperty, isObject } from "effect/Predicate"
import type * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import type { ToolFailed } from "./AgentError.ts"
import type { AgentEvent, AgentResponse } from "./AgentEvent.ts"
import type { Approvals } from "./Approvals.ts"
import { isDeeper } from "./internal/agent/bounds.ts"
import { handle, onFailure } from "./internal/agent/handle.ts"
import { reconnecting } from "./internal/agent/mcpClient.ts"
import { discover, type McpTool, type Selection } from "./internal/agent/mcpTools.ts"
import { type EffectClass, errorTypeOf, failure, failureOf, type Outcome, type Runs } from "./internal/agent/outcome.ts"
import type { AgentRef, Input } from "./internal/agent/protocol.ts"
import * as RequestContext from "./internal/agent/requestContext.ts"
import { CurrentTool, parentIn } from "./internal/agent/toolContext.ts"
import { checkName, toToolName } from "./internal/agent/toolName.ts"
import { waitAs, waitingRun } from "./internal/agent/waiting.ts"
import * as check from "./internal/check.ts"
import { errorMessage } from "./internal/errorMessage.ts"
import { toJson } from "./internal/json.ts"
import * as Pushed from "./internal/pushed.ts"

export type {
  /** @since 0.1.0 @category models */
  McpTool
} from "./internal/agent/mcpTools.ts"
export {
  /** @since 0.1.0 @category models */
  type EffectClass,
  /** @since 0.1.0 @category constructors */
  failure,
  /** @since 0.1.0 @category models */
  type Outcome,
  /** @since 0.1.0 @category models */
  type Runs
} from "./internal/agent/outcome.ts"

const TypeId = "~effect-troupe/Tool"

/**
 * A tool that an agent can be given. `Name` is the model's name for it, `R` the requirements of its handler.
 *
 * @since 0.1.0
 * @category models
 */
export interface Tool<out Name extends string, out R = never> {
  readonly [TypeId]: typeof TypeId
  readonly name: Name
  /** The tool as the model knows it. */
  readonly definition: AiTool.Any
  readonly effect: EffectClass
  /** Where its work is done. */
  readonly runs: Runs
  /** Whether some of its calls wait for `Approvals`. */
  readonly needsApproval: boolean
  /** Tells why it does not take these arguments, if it doesn't. */
  readonly problemOf: (params: unknown) => Effect.Effect<string | undefined, never, R>
  /** Runs one call with the arguments as the model wrote them. Fails only where a failure shall fail the run. */
  readonly handle: (params: unknown, callId: string) => Effect.Effect<Outcome, ToolFailed, R>
}

/**
 * The requirements of the handlers of a tool, or of all tools of a toolkit.
 *
 * @since 0.1.0
 * @category models
 */
export type Requirements<T> = T extends Tool<infer _Name, infer R> ? R
  : T extends Toolkit.Toolkit<infer Tools> ? AiTool.HandlersFor<Tools> | AiTool.HandlerServices<Tools[keyof Tools]>
  : never

/**
 * Whether a value is a tool of this module (the tools of `effect/ai` carry no handler and are none).
 *
 * @since 0.1.0
 * @category guards
 */
export const isTool = (u: unknown): u is Tool<string, unknown> => hasProperty(u, TypeId)

/**
 * The options of `fn`.
 *
 * @since 0.1.0
 * @category models
 */
export interface FnOptions<Fields extends Schema.Struct.Fields, Success extends Schema.Top> {
  /** Tells the model what the tool does and when to call it. */
  readonly description: string
  /** The arguments, by name. Default: none. Annotate a field with a `description` to explain it to the model. */
  readonly parameters?: Fields | undefined
  /** The handler's answer. Default: `Schema.Void`. */
  readonly success?: Success | undefined
  /**
   * Who deals with a failure (or a timeout, or a defect) of the handler: `"return"` gives it to the model as a failed
   * result, `"error"` fails the run with `ToolFailed`. Default: `"return"`.
   */
  readonly failureMode?: "return" | "error" | undefined
  /** How long the handler may take, each time that it is tried. Default: for ever. */
  readonly timeout?: Duration.Input | undefined
  /** How many calls of this tool run at once, in all runs that share it. Default: any number. */
  readonly concurrency?: number | undefined
}

/**
 * How often a tool may run for one call. Default: once.
 *
 * @since 0.1.0
 * @category models
 */
export type Repetition =
  | { readonly effect?: "once" | undefined; readonly retry?: undefined }
  | {
    readonly effect: "pure" | "idempotent"
    /** When to try again after a failure or a timeout of the handler (not after a defect). Default: never. */
    readonly retry?: Schedule.Schedule<unknown> | undefined
  }

/**
 * Whether a call waits for a decision of `Approvals`: always, or by its decoded arguments.
 *
 * @since 0.1.0
 * @category models
 */
export type NeedsApproval<Params> = boolean | ((params: Params) => boolean)

/**
 * Makes a tool from a function.
 *
 * A failure of the handler goes to the model as its message (but see `failureMode`); a defect too, and is logged with
 * its cause. With `needsApproval` a call waits until `Approvals` decides; a rejection is a failed result for the model.
 *
 * @example
 * ```ts
 * import { Effect, Schedule, Schema } from "effect"
 * import { Tool } from "effect-troupe"
 *
 * const weather = Tool.fn("get_weather", {
 *   description: "Current weather in a city",
 *   parameters: { city: Schema.String },
 *   success: Schema.String,
 *   effect: "pure",
 *   retry: Schedule.recurs(2),
 *   timeout: "5 seconds"
 * }, ({ city }) => Effect.succeed(`18 C and cloudy in ${city}`))
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export function fn<
  const Name extends string,
  const Fields extends Schema.Struct.Fields = {},
  Success extends Schema.Top = typeof Schema.Void,
  E = never,
  R = never
>(
  name: Name,
  options: FnOptions<Fields, Success> & Repetition & {
    readonly needsApproval: NeedsApproval<Schema.Struct<Fields>["Type"]>
  },
  handler: (params: Schema.Struct<Fields>["Type"]) => Effect.Effect<Success["Type"], E, R>
): Tool<Name, R | Schema.Struct<Fields>["DecodingServices"] | Success["EncodingServices"] | Approvals>
export function fn<
  const Name extends string,
  const Fields extends Schema.Struct.Fields = {},
  Success extends Schema.Top = typeof Schema.Void,
  E = never,
  R = never
>(
  name: Name,
  options: FnOptions<Fields, Success> & Repetition & { readonly needsApproval?: undefined },
  handler: (params: Schema.Struct<Fields>["Type"]) => Effect.Effect<Success["Type"], E, R>
): Tool<Name, R | Schema.Struct<Fields>["DecodingServices"] | Success["EncodingServices"]>
export function fn(
  name: string,
  options: FnOptions<Schema.Struct.Fields, Schema.Top> & Repetition & {
    readonly needsApproval?: NeedsApproval<object> | undefined
  },
  handler: (params: object) => Effect.Effect<unknown, unknown, unknown>
): Tool<string, unknown> {
  checkOptions("Tool.fn", name, options)
  const parameters = Schema.Struct(options.parameters ?? {})
  const success = options.success ?? Schema.Void
  const decode = Schema.decodeUnknownEffect(Schema.toCodecJson(parameters))
  const encode = Schema.encodeUnknownEffect(Schema.toCodecJson(success))
  const execute = withPolicies(name, options, handler)
  const answer = Effect.fnUntraced(function*(params: object) {
    const answer = yield* Effect.result(execute(params))
    if (answer._tag === "Failure") return yield* onFailure(name, options.failureMode, answer.failure)
    // A schema that refers to itself dies of a value that is nested too deep.
    const encoded = yield* Effect.result(Effect.catchDefect(encode(answer.success), (defect) => Effect.fail(defect)))
    if (encoded._tag === "Success") return { result: encoded.success, isFailure: false }
    const problem = errorMessage(encoded.failure)
    yield* Effect.logWarning(`Tool ${name}: the result can't be encoded`, problem)
    return failure(`Tool ${name} answered with a result that can't be encoded: ${problem}`)
  })
  const needsApproval = options.needsApproval ?? false
  return {
    [TypeId]: TypeId,
    name,
    effect: options.effect ?? "once",
    runs: "handler",
    needsApproval: needsApproval !== false,
    definition: AiTool.make(name, { description: options.description, parameters, success }),
    problemOf: problemOf(decode),
    handle: handle({
      name,
      decode,
      asks: typeof needsApproval === "function" ? needsApproval : () => needsApproval,
      problemOf: problemOf(decode),
      run: answer,
      failureMode: options.failureMode
    })
  }
}

/**
 * Reports progress from inside a handler: a `ToolProgress` event in the stream of the run, at once.
 *
 * `data` should be JSON, nested no deeper than a result may be. Waits while the reader of the stream is far behind.
 * Outside of a run it does nothing.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Tool } from "effect-troupe"
 *
 * const index = Tool.fn("index", { description: "Indexes the documents" }, () =>
 *   Effect.forEach([1, 2, 3], (page) => Tool.emit({ page }), { discard: true }))
 * ```
 *
 * @since 0.1.0
 * @category running
 */
export const emit = (data: unknown): Effect.Effect<void> =>
  Effect.flatMap(
    CurrentTool,
    ({ at, emit, id, maxDepth, name }) =>
      emit([{
        ...at.self,
        _tag: "ToolProgress",
        id,
        name,
        data: isDeeper(data, maxDepth) ? "(nested too deep)" : toJson(data)
      }])
  )

/**
 * An agent as a tool: the calling model writes the prompt. An agent answers each call in a conversation of its own;
 * behind a ref, the actor goes on with the conversation that it has, and gets the context of the request under way.
 *
 * The events of its run are in the stream of the run that called it, live, under its own name (all but `Completed`:
 * the tool's result is its answer). The tool has the requirements of the agent. A run that fails is a failed result.
 *
 * @since 0.1.0
 * @category constructors
 */
export function fromAgent<R>(agent: Runnable<R>, options: FromAgentOptions): Tool<string, R>
export function fromAgent(ref: AgentRef<never>, options: FromAgentOptions & { readonly name: string }): Tool<string>
export function fromAgent<R>(target: Runnable<R> | AgentRef<never>, options: FromAgentOptions): Tool<string, R> {
  const name = options.name ?? toToolName("run" in target ? target.name : target.protocol.name)
  checkOptions("Tool.fromAgent", name, options)
  const tool = fn(
    name,
    {
      description: options.description,
      parameters: {
        prompt: Schema.String.annotate({ description: "What the agent is asked, with all that it must know" })
      },
      success: Schema.String,
      timeout: options.timeout
    },
    Effect.fnUntraced(function*({ prompt }) {
      const tool = yield* CurrentTool
      if ("run" in target) return (yield* forward(target.run(prompt), tool.emit)).text
      const context = yield* RequestContext.Current
      const request = { input: prompt, context, parent: parentIn(tool, name) }
      return (yield* waitFor(target.stream("Run", request), tool.emit)).text
    })
  )
  return { ...tool, runs: "run" in target ? "agent" : "actor" }
}

/**
 * Anything that `fromAgent` can run, such as an agent. `R` is its requirements.
 *
 * @since 0.1.0
 * @category models
 */
export interface Runnable<out R = never> {
  readonly name: string
  readonly run: (input: Input) => Stream.Stream<AgentEvent, unknown, R>
}

/**
 * The options of `fromAgent`.
 *
 * @since 0.1.0
 * @category models
 */
export interface FromAgentOptions {
  /** Tells the model what the agent can do and when to ask it. */
  readonly description: string
  /** Default: the agent's name, with "_" for characters that no tool's name can have. */
  readonly name?: string | undefined
  /** Fails a call that takes longer. Default: for ever. Actors that ask each other in a circle need none. */
  readonly timeout?: Duration.Input | undefined
}

/**
 * Hands the rest of a run over to the actor of an agent or a team: it answers in the conversation so far, and its
 * answer, streamed under the name of the agent that called the tool, is the answer of the run.
 *
 * The actor gets the context of the request under way. Its own conversation stays as it is. The next prompt goes to
 * the agent that called the tool again; for control that stays where it was handed, see `Team.handoff`. A run that
 * fails is a failed result.
 *
 * @since 0.1.0
 * @category constructors
 */
export const handoff = <const Name extends string>(
  ref: AgentRef<never>,
  options: FromAgentOptions & { readonly name: Name }
): Tool<Name> => {
  checkOptions("Tool.handoff", options.name, options)
  const { description, name } = options
  const tool = fn(name, { description, parameters: { message: handoffMessage } }, () => Effect.void)
  const hand = withPolicies(
    name,
    { timeout: options.timeout },
    Effect.fnUntraced(function*(message: string) {
      const tool = yield* CurrentTool
      const parent = parentIn(tool, name)
      const history = yield* tool.conversation
      const context = yield* RequestContext.Current
      const events = ref.stream("Run", { input: message, history, context, parent, as: tool.at.voice })
      const { output, text } = yield* waitFor(events, tool.emit)
      const outcome: Outcome = {
        result: text,
        isFailure: false,
        answer: { text, ...(output !== undefined && { output }) }
      }
      return outcome
    })
  )
  return {
    ...tool,
    runs: "actor",
    handle: handle({
      name,
      decode: Schema.decodeUnknownEffect(Schema.Struct({ message: handoffMessage })),
      asks: () => false,
      problemOf: tool.problemOf,
      run: ({ message }: { readonly message: string }) =>
        Effect.catch(hand(message), (error) => Effect.succeed(failureOf(error)))
    })
  }
}

/**
 * The tools of an `effect/ai` toolkit with the handlers that its layer provides.
 *
 * Typed failures go to the model whatever a tool's `failureMode` says, as for every tool of an agent.
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromToolkit = <Tools extends Record<string, AiTool.Any>>(
  toolkit: Toolkit.Toolkit<Tools>
): Effect.Effect<
  ReadonlyArray<Tool<string, AiTool.HandlerServices<Tools[keyof Tools]>>>,
  never,
  AiTool.HandlersFor<Tools>
> =>
  Effect.map(
    toolkit,
    (handlers) =>
      Object.values(handlers.tools).map((definition) =>
        fromHandler(definition, (params, callId) =>
          // The handler decodes the arguments itself, so they may be passed to it as the model wrote them.
          Stream.unwrap(handlers.handle(definition.name, params as AiTool.ParametersEncoded<Tools[string]>, callId)))
      )
  )

/**
 * How `fromMcp` takes the tools of a server.
 *
 * @since 0.1.0
 * @category models
 */
export interface FromMcpOptions extends Selection {
  /** Which tools to take. Default: all. */
  readonly filter?: ((tool: McpTool) => boolean) | undefined
  /** Gives a tool of the server another name. */
  readonly rename?: ((name: string) => string) | undefined
  /** Goes before each name, where servers share names. */
  readonly prefix?: string | undefined
  /** Whether the model may look for resources of the server (`list_resources`, `read_resource`). Default: `false`. */
  readonly resources?: boolean | undefined
  /** How long a call may take, with a new connection where one is needed. Default: for ever. */
  readonly timeout?: Duration.Input | undefined
}

/**
 * The tools of an MCP server.
 *
 * `connect` makes a client over stdio or HTTP (`McpClient.make`). The connection is kept until the scope closes; a
 * broken one is replaced at the next call. The call that finds it broken is a failed result, since nobody knows whether
 * it ran; it is tried once more where its server marks the tool as read-only or idempotent, or has only forgotten the
 * session. With `needsApproval` calls wait until `Approvals` decides.
 *
 * Characters that a tool's name can't have become "_". Names that are the same then get a number, and so does
 * `final_answer`, by which a model gives values. The server lists its tools once: `prepareTurn` can give an agent other
 * tools later.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { McpClient } from "effect/ai"
 * import { Agent, Tool } from "effect-troupe"
 *
 * const program = Effect.gen(function*() {
 *   const files = yield* Tool.fromMcp(McpClient.make({ name: "desk", version: "1.0.0" }), {
 *     prefix: "files_",
 *     timeout: "30 seconds",
 *     needsApproval: ({ annotations }) => annotations?.readOnlyHint !== true
 *   })
 *   return Agent.make("clerk", { tools: files })
 * })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export function fromMcp<R>(
  connect: Effect.Effect<McpClient.McpClient, McpClientError.McpClientError, R>,
  options: FromMcpOptions & { readonly needsApproval: boolean | ((tool: McpTool, params: unknown) => boolean) }
): Effect.Effect<ReadonlyArray<Tool<string, Approvals>>, McpClientError.McpClientError, R | Scope.Scope>
export function fromMcp<R>(
  connect: Effect.Effect<McpClient.McpClient, McpClientError.McpClientError, R>,
  options?: FromMcpOptions & { readonly needsApproval?: undefined }
): Effect.Effect<ReadonlyArray<Tool<string>>, McpClientError.McpClientError, R | Scope.Scope>
export function fromMcp<R>(
  connect: Effect.Effect<McpClient.McpClient, McpClientError.McpClientError, R>,
  options: FromMcpOptions & {
    readonly needsApproval?: boolean | ((tool: McpTool, params: unknown) => boolean) | undefined
  } = {}
): Effect.Effect<ReadonlyArray<Tool<string, Approvals>>, McpClientError.McpClientError, R | Scope.Scope> {
  const { needsApproval = false, timeout } = options
  if (timeout !== undefined) check.positiveDuration("Tool.fromMcp", "timeout", timeout)
  return reconnecting(connect).pipe(
    Effect.flatMap((client) => discover(client, options)),
    Effect.map((tools) =>
      tools.map(({ call, definition, effect, tool }): Tool<string, Approvals> => {
        const { name } = definition
        // The retries of a broken connection are in the time of one call.
        const execute = withPolicies(name, { timeout, ...(effect === "pure" && { effect }) }, call)
        const asks = typeof needsApproval === "function" ? needsApproval : () => needsApproval
        return {
          [TypeId]: TypeId,
          name,
          effect,
          runs: "handler",
          needsApproval: needsApproval !== false,
          definition,
          problemOf: problemOfArguments,
          handle: handle({
            name,
            decode: Effect.succeed,
            asks: (params) => asks(tool, params),
            problemOf: problemOfArguments,
            run: (params) => Effect.catch(execute(params), (error) => Effect.succeed(failureOf(error)))
          })
        }
      })
    )
  )
}

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

/** The handler within the policies that are set. */
const withPolicies = <Params, A, E, R>(
  name: string,
  { concurrency, effect, retry, timeout }: Pick<FnOptions<{}, Schema.Top>, "concurrency" | "timeout"> & Repetition,
  handler: (params: Params) => Effect.Effect<A, E, R>
): (params: Params) => Effect.Effect<A, E | Cause.TimeoutError, R> => {
  let execute: (params: Params) => Effect.Effect<A, E | Cause.TimeoutError, R> = handler
  if (timeout !== undefined) {
    const late = `Tool ${name} timed out after ${Duration.format(Duration.fromInputUnsafe(timeout))}`
    const problem = effect === "pure" ? late : `${late}; whether it took effect is unknown`
    const inner = execute
    const orElse = () => Effect.fail(new Cause.TimeoutError(problem))
    execute = (params) => Effect.timeoutOrElse(inner(params), { duration: timeout, orElse })
  }
  if (retry !== undefined) {
    const inner = execute
    execute = (params) => Effect.retry(inner(params), retry)
  }
  if (concurrency !== undefined) {
    const semaphore = Semaphore.makeUnsafe(concurrency)
    const inner = execute
    execute = (params) => semaphore.withPermits(1)(inner(params))
  }
  return execute
}

const checkOptions = (
  where: string,
  name: string,
  { concurrency, effect, retry, timeout }: Partial<FnOptions<{}, Schema.Top>> & Repetition
): void => {
  checkName(where, "name", name)
  if (concurrency !== undefined) check.positiveInteger(where, "concurrency", concurrency)
  if (timeout !== undefined) check.positiveDuration(where, "timeout", timeout)
  const declared: EffectClass = effect ?? "once"
  if (retry !== undefined && declared === "once") {
    check.fail(where, "effect", `"pure" or "idempotent" with a retry`, declared)
  }
}

const problemOf = <A, R>(decode: (params: unknown) => Effect.Effect<A, Schema.SchemaError, R>) => (params: unknown) =>
  Effect.match(decode(params), { onFailure: ({ message }) => message, onSuccess: () => undefined })

/** The server checks the rest. */
const problemOfArguments = (params: unknown) => Effect.succeed(isObject(params) ? undefined : "they must be an object")

type Answer = Pick<AgentResponse, "text" | "output">

/** The same for the run of another actor. */
const waitFor = <E>(
  events: Stream.Stream<AgentEvent, E>,
  emit: (events: ReadonlyArray<AgentEvent>) => Effect.Effect<void>
): Effect.Effect<Answer, E> => Effect.flatMap(waitingRun, (run) => waitAs(run, forward(events, emit)))

/** Emits the events of a run inside of this one, all but the last, and gives its answer. */
const forward = <E, R>(
  events: Stream.Stream<AgentEvent, E, R>,
  emit: (events: ReadonlyArray<AgentEvent>) => Effect.Effect<void>
): Effect.Effect<Answer, E, R> => {
  let answer: Answer = { text: "" }
  const each = Pushed.runForEach(events, (batch) => {
    const last = batch.at(-1)
    if (last?._tag !== "Completed") return emit(batch)
    answer = last.response
    return emit(batch.slice(0, -1))
  })
  return Effect.map(each, () => answer)
}

const handoffMessage = Schema.NonEmptyString.annotate({
  description: "What the other one has to do, with what the conversation does not say"
})

type HandlerOutput = AiTool.HandlerResult<AiTool.Any>

const fromHandler = <E, R>(
  definition: AiTool.Any,
  answers: (params: unknown, callId: string) => Stream.Stream<HandlerOutput, E, R>
): Tool<string, R> => {
  const { name } = definition
  const run = (params: unknown, callId: string) =>
    answers(params, callId).pipe(
      Stream.tap((output) => output.preliminary ? emit(output.encodedResult) : Effect.void),
      Stream.filter((output) => !output.preliminary),
      Stream.runLast,
      Effect.map(Option.match({
        onNone: () => failure(`Tool ${name} ended without a result`),
        onSome: (output): Outcome => ({
          result: output.isFailure ? errorMessage(output.result) : toJson(output.encodedResult),
          isFailure: output.isFailure,
          ...(output.isFailure && { errorType: errorTypeOf(output.result) }),
          ...(output.modelOutput && { modelOutput: output.modelOutput })
        })
      })),
      Effect.catch((error) => Effect.succeed(failureOf(error)))
    )
  // Its arguments are decoded where they are handled.
  const problemOf = () => Effect.undefined
  return {
    [TypeId]: TypeId,
    name,
    definition,
    effect: "once",
    runs: "handler",
    needsApproval: definition.needsApproval !== undefined && definition.needsApproval !== false,
    problemOf,
    handle: handle({
      name,
      decode: Effect.succeed,
      asks: (params, callId) => asksApproval(definition, params, callId),
      problemOf,
      run
    })
  }
}

const asksApproval = (
  { needsApproval }: AiTool.Any,
  params: unknown,
  toolCallId: string
): boolean | Effect.Effect<boolean> =>
  typeof needsApproval === "function" ? needsApproval(params, { toolCallId, messages: [] }) : needsApproval === true
