/**
 * Defines tools that carry their handlers.
 *
 * A tool is what the model may call (name, description, parameters) together with the effect that runs when it does.
 * Arguments are decoded before the handler sees them and its success is encoded to JSON. Whatever goes wrong on the way
 * (arguments that don't decode, a typed failure, a defect) is an outcome for the model to read, never a failed run.
 * What a handler requires stays visible: it is the `R` of the tool, and so of every agent that is given the tool.
 *
 * @since 0.1.0
 */
import { Cause, Effect, Option, Schema, Stream } from "effect"
import type { Prompt, Toolkit } from "effect/ai"
import { Tool as AiTool } from "effect/ai"
import { hasProperty } from "effect/Predicate"
import { errorMessage } from "./internal/errorMessage.ts"

const TypeId = "~effect-troupe/Tool"

/**
 * What a call came to: JSON for the model to read. The result of a failure is its message.
 *
 * `modelOutput` replaces the result in the model's eyes where a tool answers with text and files.
 *
 * @since 0.1.0
 * @category models
 */
export interface Outcome {
  readonly result: unknown
  readonly isFailure: boolean
  readonly modelOutput?: ReadonlyArray<Prompt.ToolModelOutputPart>
}

/**
 * A tool that an agent can be given. `Name` is how the model calls it, `R` what its handler requires.
 *
 * @since 0.1.0
 * @category models
 */
export interface Tool<out Name extends string, out R = never> {
  readonly [TypeId]: typeof TypeId
  readonly name: Name
  /** What the model is told of the tool. */
  readonly definition: AiTool.Any
  /** Runs one call with the arguments as the model wrote them. */
  readonly handle: (params: unknown, callId: string) => Effect.Effect<Outcome, never, R>
}

/**
 * What the handlers of a tool, or of every tool of a toolkit, require.
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
 * What `fn` has to know of a tool.
 *
 * @since 0.1.0
 * @category models
 */
export interface FnOptions<Fields extends Schema.Struct.Fields, Success extends Schema.Top> {
  /** Tells the model what the tool does and when to call it. */
  readonly description: string
  /** The arguments, by name. Default: none. Annotate a field with a `description` to explain it to the model. */
  readonly parameters?: Fields | undefined
  /** What the handler answers with. Default: `Schema.Void`. */
  readonly success?: Success | undefined
}

/**
 * Makes a tool from a function.
 *
 * A failure of the handler goes to the model as its message; a defect too, and is logged with its cause.
 *
 * @example
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { Tool } from "effect-troupe"
 *
 * const weather = Tool.fn("get_weather", {
 *   description: "Current weather in a city",
 *   parameters: { city: Schema.String },
 *   success: Schema.String
 * }, ({ city }) => Effect.succeed(`18 C and cloudy in ${city}`))
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const fn = <
  const Name extends string,
  const Fields extends Schema.Struct.Fields = {},
  Success extends Schema.Top = typeof Schema.Void,
  E = never,
  R = never
>(
  name: Name,
  options: FnOptions<Fields, Success>,
  handler: (params: Schema.Struct<Fields>["Type"]) => Effect.Effect<Success["Type"], E, R>
): Tool<Name, R | Schema.Struct<Fields>["DecodingServices"] | Success["EncodingServices"]> => {
  const parameters = Schema.Struct(options.parameters ?? ({} as Fields))
  const success = options.success ?? Schema.Void
  const decode = Schema.decodeUnknownEffect(parameters)
  const encode = Schema.encodeUnknownEffect(Schema.toCodecJson(success))
  return {
    [TypeId]: TypeId,
    name,
    definition: AiTool.make(name, { description: options.description, parameters, success }),
    handle: Effect.fnUntraced(function*(params) {
      const decoded = yield* Effect.result(decode(params))
      if (decoded._tag === "Failure") return invalidArguments(name, decoded.failure.message)
      const answer = yield* Effect.result(handler(decoded.success))
      if (answer._tag === "Failure") return failure(errorMessage(answer.failure))
      const encoded = yield* Effect.result(encode(answer.success))
      if (encoded._tag === "Success") return { result: encoded.success, isFailure: false }
      yield* Effect.logWarning(`Tool ${name}: the result can't be encoded`, encoded.failure.message)
      return failure(`Tool ${name} answered with a result that can't be encoded: ${encoded.failure.message}`)
    }, catchDefects(name))
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
  Effect.map(toolkit, (handlers) =>
    Object.keys(handlers.tools).map((name) => ({
      [TypeId]: TypeId,
      name,
      definition: handlers.tools[name]!,
      handle: (params, callId) =>
        // The handler decodes the arguments itself, so what the model wrote may be passed to it unchecked.
        Stream.unwrap(handlers.handle(name, params as AiTool.ParametersEncoded<Tools[string]>, callId)).pipe(
          Stream.filter((output) => !output.preliminary),
          Stream.runLast,
          Effect.map(Option.match({
            onNone: () => failure(`Tool ${name} ended without a result`),
            onSome: (output): Outcome => ({
              result: output.isFailure ? errorMessage(output.result) : output.encodedResult,
              isFailure: output.isFailure,
              ...(output.modelOutput && { modelOutput: output.modelOutput })
            })
          })),
          Effect.catch((error) => Effect.succeed(failure(errorMessage(error)))),
          catchDefects(name)
        )
    })))

/**
 * The outcome of a call that failed, with the message that the model reads.
 *
 * @since 0.1.0
 * @category constructors
 */
export const failure = (message: string): Outcome => ({ result: message, isFailure: true })

const invalidArguments = (name: string, problem: string): Outcome =>
  failure(`Invalid arguments for tool ${name}: ${problem}`)

const catchDefects = (name: string) => <R>(self: Effect.Effect<Outcome, never, R>): Effect.Effect<Outcome, never, R> =>
  Effect.catchCause(self, (cause) =>
    Effect.as(
      Effect.logError(`Tool ${name} died`, cause),
      failure(`Tool ${name} failed: ${errorMessage(Cause.squash(cause))}`)
    ))
