/**
 * Bridges any AI SDK language model to Effect's `LanguageModel`.
 *
 * A provider module builds an AI SDK model and hands it to {@link layer}; prompts, tools, files, reasoning, structured
 * output, usage and errors are translated here and nowhere else. One request is one HTTP call: the bridge retries
 * nothing, and interrupting the effect or leaving the stream aborts the call. A stream is pulled: the socket is read as
 * fast as the consumer asks. Every failure is an `AiError` whose reason and retryability follow the provider's answer,
 * and so is a stream that ends before the provider has said that it is complete. The response's headers, rate limits
 * among them, are in the finish part's `response`, and those of a failure in its reason's `http`.
 *
 * **Gotchas**
 *
 * - Files given by URL reach the provider as URLs. The bridge downloads nothing, so a model that reads no URLs fails
 *   with an `InvalidRequestError`: pass the bytes instead.
 * - Provider metadata of reasoning and tool calls (signatures, encrypted content, item ids) is in the `metadata` of
 * their
 *   parts; a transcript that keeps the parts keeps it, and the next request carries it again.
 *
 * @since 0.1.0
 */
import type { LanguageModelV3, LanguageModelV4, SharedV3Warning, SharedV4Warning } from "@ai-sdk/provider"
import * as AiError from "effect/ai/AiError"
import * as LanguageModel from "effect/ai/LanguageModel"
import * as Model from "effect/ai/Model"
import type * as Response from "effect/ai/Response"
import * as Tool from "effect/ai/Tool"
import * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Pull from "effect/Pull"
import type * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Errors from "../internal/llm/aiSdkError.ts"
import { toPromptV3 } from "../internal/llm/aiSdkPrompt.ts"
import { type Dialect, toCallOptions } from "../internal/llm/aiSdkRequest.ts"
import {
  addStreamParts,
  type Finish,
  type GenerateResult,
  isInProgress,
  isTruncated,
  type Source,
  toParts
} from "../internal/llm/aiSdkResponse.ts"
import { type Batch, type BatchReader, batchReader } from "../internal/llm/aiSdkStream.ts"
import * as CallSpan from "../internal/llm/callSpan.ts"
import { defaultMaxBytes, guardedFetch, withMaxBytes } from "../internal/llm/fetch.ts"
import { make as makeLanguageModel } from "../internal/llm/languageModel.ts"
import { redactJson, redactName, rememberSecrets, type Secrets } from "../internal/llm/redact.ts"
import { checkSettings, mergeSettings } from "../internal/llm/settings.ts"
import { sign } from "../internal/llm/sign.ts"
import { type Authorize, RequestSettings, type Settings } from "./Settings.ts"

/**
 * A language model of any current AI SDK specification.
 *
 * @since 0.1.0
 * @category models
 */
export type SdkLanguageModel = LanguageModelV3 | LanguageModelV4

/**
 * What every provider's `model` function returns: the model, its provider's name and its own name.
 *
 * @since 0.1.0
 * @category models
 */
export type ModelLayer<E = never, R = never> = Layer.Layer<
  LanguageModel.LanguageModel | Model.ProviderName | Model.ModelName,
  E,
  R
>

/**
 * An AI SDK model and what the bridge must know of its provider.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  readonly model: SdkLanguageModel
  /** The provider's name in errors, spans and `Model.ProviderName`. */
  readonly provider: string
  /** Defaults for each request. */
  readonly settings?: Settings | undefined
  /** Fits a schema to what the provider takes as structured output; Effect's default transformer otherwise. */
  readonly codecTransformer?: LanguageModel.CodecTransformer | undefined
  /**
   * `"whenPossible"` marks each tool as strict whose schema allows it, and all others as not strict. Default: unmarked.
   */
  readonly strictTools?: "whenPossible" | undefined
  /**
   * Whether the provider takes the JSON schema of its answer, in each request or in those without tools. Where it does not,
   * the object that an agent is asked for is the argument of a tool. Default: it does not.
   */
  readonly jsonOutput?: "always" | "withoutTools" | undefined
  /** Signs each request, beside what the model itself knows of keys. */
  readonly authorize?: Authorize | undefined
  /** Values that no error, span, log or cassette may show, such as the API key. */
  readonly secrets?: ReadonlyArray<Redacted.Redacted> | undefined
}

/**
 * The AI SDK package of a provider is not installed.
 *
 * @since 0.1.0
 * @category errors
 */
export class PackageMissing extends Schema.TaggedError<PackageMissing>()("PackageMissing", {
  provider: Schema.String,
  packageName: Schema.String
}) {
  override get message() {
    return `${this.provider} needs the package ${this.packageName}: npm install ${this.packageName}`
  }
}

/**
 * Makes Effect's `LanguageModel` of an AI SDK model.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options): Effect.Effect<LanguageModel.LanguageModel> => {
  checkSettings("AiSdk.make", options.settings ?? {})
  const codecTransformer = options.codecTransformer ?? LanguageModel.defaultCodecTransformer
  const { jsonOutput, model: { provider } } = options
  const strictTools = options.strictTools === "whenPossible"
  const dialect = { provider, codecTransformer, jsonOutput, strictTools, written: new WeakMap() }
  const bridge: Bridge = { ...options, dialect, secretsFrom: rememberSecrets(), warned: new Set() }
  return makeLanguageModel({
    generateText: (request) => generateText(bridge, request),
    streamText: (request) => Stream.unwrap(streamText(bridge, request)),
    codecTransformer,
    observed: CallSpan.observe({ provider: options.provider, model: options.model.modelId }, options.settings)
  })
}

/**
 * Provides an AI SDK model; the effect that builds it decides what the layer can fail with.
 *
 * @example
 * ```ts
 * import { createOpenAICompatible } from "@ai-sdk/openai-compatible"
 * import { Effect } from "effect"
 * import { AiSdk } from "effect-troupe"
 *
 * const local = createOpenAICompatible({ name: "local", baseURL: "http://127.0.0.1:8080/v1" })
 *
 * const model = AiSdk.layer(Effect.succeed({ model: local("qwen3"), provider: "local" }))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = <E, R>(options: Effect.Effect<Options, E, R>): ModelLayer<E, Exclude<R, Scope.Scope>> =>
  Layer.effectContext(Effect.gen(function*() {
    const resolved = yield* options
    const model = yield* make(resolved)
    return Context.make(LanguageModel.LanguageModel, model).pipe(
      Context.add(Model.ProviderName, resolved.provider),
      Context.add(Model.ModelName, resolved.model.modelId)
    )
  }))

/**
 * The `fetch` of this package's providers, for an AI SDK model that you make yourself.
 *
 * It follows redirects within an origin only, because a request carries keys and prompts, and ends an answer that has
 * more bytes than `maxResponseBytes` of the settings. Either is an `InvalidResponseError`.
 *
 * @example
 * ```ts
 * import { createOpenAICompatible } from "@ai-sdk/openai-compatible"
 * import { AiSdk } from "effect-troupe"
 *
 * const local = createOpenAICompatible({ name: "local", baseURL: "http://127.0.0.1:8080/v1", fetch: AiSdk.fetch })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const fetch: typeof globalThis.fetch = guardedFetch

/**
 * Whether a model call failed because its prompt is longer than the model can read.
 *
 * @since 0.1.0
 * @category guards
 */
export const isContextTooLong = (error: AiError.AiError): boolean =>
  error.reason._tag === "InvalidRequestError" && error.reason.constraint === Errors.contextConstraint

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

type Bridge = Options & {
  readonly dialect: Dialect
  readonly secretsFrom: ReturnType<typeof rememberSecrets>
  /** The warnings that were logged: one that comes with every request would drown the others. */
  readonly warned: Set<string>
}

/** The call to make, how many bytes its answer may have, and the origin of its errors. */
const prepare = Effect.fnUntraced(function*(
  bridge: Bridge,
  request: LanguageModel.ProviderOptions,
  method: Errors.Origin["method"]
) {
  const settings = mergeSettings(bridge.settings ?? {}, yield* RequestSettings)
  const { headers, origin } = yield* sign(bridge, settings.headers ?? {}, method)
  const { dialect } = bridge
  const names = new Tool.NameMapper(request.tools)
  const call = yield* Effect.try({
    try: () => toCallOptions(request, { ...settings, headers }, dialect, names),
    catch: (error) => Errors.make(new AiError.UnsupportedSchemaError({ description: String(error) }), origin)
  })
  const limited = (signal: AbortSignal) => withMaxBytes(signal, settings.maxResponseBytes ?? defaultMaxBytes)
  const sourceOf = (headers: Record<string, string> | undefined): Source => ({
    provider: dialect.provider,
    customName: (name) => names.getCustomName(name),
    headers: Errors.safeHeaders(headers, origin)
  })
  return { call, limited, origin, sourceOf }
})

const generateText = Effect.fnUntraced(function*(bridge: Bridge, request: LanguageModel.ProviderOptions) {
  const { model } = bridge
  const { call, limited, origin, sourceOf } = yield* prepare(bridge, request, "generateText")
  const result = yield* sdkCall(origin, (signal): PromiseLike<GenerateResult> => {
    const abortSignal = limited(signal)
    return model.specificationVersion === "v3"
      ? model.doGenerate({ ...call, prompt: toPromptV3(call.prompt), abortSignal })
      : model.doGenerate({ ...call, abortSignal })
  })
  yield* logWarnings(bridge, result.warnings, origin)
  const failure = Errors.ofFinish(result, origin) ?? unfinished(result, origin)
  if (failure !== undefined) return yield* Effect.fail(failure)
  return withoutSecrets(toParts(result, sourceOf(result.response?.headers)), origin.secrets)
})

const streamText = Effect.fnUntraced(function*(bridge: Bridge, request: LanguageModel.ProviderOptions) {
  const { model } = bridge
  const { call, limited, origin, sourceOf } = yield* prepare(bridge, request, "streamText")
  // Outlives the call below: the body is read under it. Closing the stream's scope hangs up, unless the answer is whole.
  const controller = new AbortController()
  let reader: BatchReader | undefined
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      // Not every model listens to the signal.
      if (reader === undefined || reader.cancel()) controller.abort()
    })
  )
  const abortSignal = limited(controller.signal)
  const result = yield* sdkCall(origin, (): PromiseLike<StreamResult> =>
    model.specificationVersion === "v3"
      ? model.doStream({ ...call, prompt: toPromptV3(call.prompt), abortSignal })
      : model.doStream({ ...call, abortSignal }))
  reader = batchReader(result.stream.getReader())
  return Stream.fromPull(
    Effect.succeed(pullParts(bridge, { origin, result, source: sourceOf(result.response?.headers) }, reader))
  )
})

const unfinished = (result: GenerateResult, origin: Errors.Origin): AiError.AiError | undefined => {
  if (isInProgress(result)) return Errors.invalidResponse("the provider has not finished its answer", origin)
  return isTruncated(result.finishReason)
    ? Errors.invalidResponse("the answer has no finish reason", origin)
    : undefined
}

const sdkCall = <A>(origin: Errors.Origin, call: (signal: AbortSignal) => PromiseLike<A>) =>
  Effect.tryPromise({ try: call, catch: (error) => error }).pipe(
    Effect.catch((error) => Errors.fail(error, origin))
  )

/** A server may repeat a key where nobody looks for one: ids and names reach spans, logs and files. */
const withoutSecrets = <P extends Response.PartEncoded | Response.StreamPartEncoded>(
  parts: Array<P>,
  secrets: Secrets
): Array<P> =>
  secrets.pattern === undefined ? parts : parts.map((part) =>
    part.type === "response-metadata"
      ? {
        ...part,
        id: part.id && redactName(part.id, secrets),
        modelId: part.modelId && redactName(part.modelId, secrets)
      }
      : part
  )

type StreamResult = Awaited<ReturnType<SdkLanguageModel["doStream"]>>

type PartsPull = Pull.Pull<Arr.NonEmptyReadonlyArray<Response.StreamPartEncoded>, AiError.AiError>

/** A stream under way. */
interface Answering {
  readonly origin: Errors.Origin
  readonly result: StreamResult
  readonly source: Source
}

// What came before a failure is still delivered; the pull after it fails.
const pullParts = (
  bridge: Bridge,
  { origin, result: { request }, source }: Answering,
  reader: BatchReader
): PartsPull => {
  const truncated = Effect.suspend(() => Errors.failTruncated(request, origin))
  const broken = (error: unknown) => Errors.fail(error, origin)
  const failureOf = (finish: Finish) => {
    const failure = Errors.ofFinish(finish, origin)
    if (failure !== undefined) return Effect.fail(failure)
    return isTruncated(finish.finishReason) ? truncated : undefined
  }
  let answered = false
  let end: Effect.Effect<never, AiError.AiError | Cause.Done> | undefined

  const take = (batch: Batch): Array<Response.StreamPartEncoded> => {
    const parts: Array<Response.StreamPartEncoded> = []
    for (const part of batch.parts) {
      if (part.type === "error" && !Errors.isUnknownEvent(part.error)) end = broken(part.error)
      else if (part.type === "finish") end = failureOf(part)
      if (end !== undefined) break
      answered ||= part.type === "finish"
      addStreamParts(part, source, parts)
    }
    if (batch.end !== undefined) {
      end ??= answered ? Cause.done() : batch.end._tag === "Closed" ? truncated : broken(batch.end.error)
    }
    return withoutSecrets(parts, origin.secrets)
  }

  const pull: PartsPull = Effect.suspend(() =>
    end ?? Effect.flatMap(reader.next, (batch) => {
      const parts = take(batch)
      const delivered = Arr.isArrayNonEmpty(parts) ? Effect.succeed(parts) : pull
      const first = batch.parts[0]
      return first?.type === "stream-start" && first.warnings.length > 0
        ? Effect.andThen(logWarnings(bridge, first.warnings, origin), delivered)
        : delivered
    })
  )
  return pull
}

// A setting that the provider ignores shall not be ignored in silence.
const logWarnings = (
  { model, provider, warned }: Bridge,
  warnings: ReadonlyArray<SharedV4Warning | SharedV3Warning>,
  { secrets }: Errors.Origin
) =>
  Effect.forEach(warnings, (warning) => {
    const text = JSON.stringify(warning)
    if (warned.has(text)) return Effect.void
    warned.add(text)
    return Effect.logWarning("The model ignores a part of the request", redactJson(warning, secrets))
  }, { discard: true }).pipe(Effect.annotateLogs({ provider, model: model.modelId }))
