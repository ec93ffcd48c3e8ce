/**
 * A model that says what a script tells it to, for tests, examples and demonstrations.
 *
 * It is a `LanguageModel` like any other, so everything around it runs for real: tools, teams, budgets, sessions. It
 * streams, waits on Effect's clock, fails when told to, and keeps the requests that it received. A script is a
 * list of turns, or a function of the request, such as `matching` makes; a turn under `expect` also checks its request.
 *
 * @since 0.1.0
 */
import * as AiError from "effect/ai/AiError"
import * as LanguageModel from "effect/ai/LanguageModel"
import * as Model from "effect/ai/Model"
import type * as Prompt from "effect/ai/Prompt"
import type * as Response from "effect/ai/Response"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { isRegExp, isString } from "effect/Predicate"
import * as Ref from "effect/Ref"
import * as Stream from "effect/Stream"
import * as TextDiff from "effect/TextDiff"
import * as Check from "../internal/check.ts"
import * as CallSpan from "../internal/llm/callSpan.ts"
import { make as makeLanguageModel } from "../internal/llm/languageModel.ts"

/**
 * One thing that a scripted turn does.
 *
 * @since 0.1.0
 * @category models
 */
export type Step =
  | { readonly _tag: "Text"; readonly text: string }
  | { readonly _tag: "Reasoning"; readonly text: string; readonly metadata: Response.ProviderMetadata }
  | { readonly _tag: "ToolCall"; readonly name: string; readonly params: unknown; readonly id: string | undefined }
  | { readonly _tag: "Usage"; readonly input: number; readonly output: number }
  | { readonly _tag: "Finish"; readonly reason: Response.FinishReason }
  | { readonly _tag: "Delay"; readonly duration: Duration.Input }
  | { readonly _tag: "Fail"; readonly reason: AiError.AiErrorReason }
  | { readonly _tag: "Cut" }

/**
 * A request that the model received.
 *
 * @since 0.1.0
 * @category models
 */
export interface ModelRequest {
  readonly prompt: Prompt.Prompt
  /** The names of the tools that the request offers. */
  readonly tools: ReadonlyArray<string>
  readonly toolChoice: LanguageModel.ToolChoice<string>
}

/**
 * What the model says in one turn: a text, a step, several steps, or a function of the request that gives one of these.
 *
 * @since 0.1.0
 * @category models
 */
export type Turn =
  | string
  | Step
  | ReadonlyArray<Step>
  | ((request: ModelRequest) => string | Step | ReadonlyArray<Step>)

/**
 * A turn that depends on its request; as a script, it answers every request.
 *
 * @since 0.1.0
 * @category models
 */
export type Answer = Extract<Turn, (request: ModelRequest) => unknown>

/**
 * What a request must be like. What is left out may be anything.
 *
 * @since 0.1.0
 * @category models
 */
export interface Expectation {
  /** The last message, as `lines` writes it. */
  readonly last?: string | undefined
  /** The whole conversation, as `lines` writes it. */
  readonly lines?: ReadonlyArray<string> | undefined
  readonly tools?: ReadonlyArray<string> | undefined
  readonly toolChoice?: LanguageModel.ToolChoice<string> | undefined
}

/**
 * Which requests a turn of `matching` is for: those whose last message contains the text or matches the pattern (as
 * `lines` writes it), or those that the function accepts.
 *
 * @since 0.1.0
 * @category models
 */
export type Matcher = string | RegExp | ((request: ModelRequest) => boolean)

/**
 * The requests that a scripted model received, oldest first.
 *
 * @since 0.1.0
 * @category services
 */
export class Requests extends Context.Service<Requests, Effect.Effect<ReadonlyArray<ModelRequest>>>()(
  "effect-troupe/Llm/Scripted/Requests"
) {}

/**
 * Says a text, word by word.
 *
 * @since 0.1.0
 * @category steps
 */
export const text = (text: string): Step => ({ _tag: "Text", text })

/**
 * Thinks aloud, word by word. `metadata` is what a provider would want to see again (a signature).
 *
 * @since 0.1.0
 * @category steps
 */
export const reasoning = (text: string, metadata: Response.ProviderMetadata = {}): Step => ({
  _tag: "Reasoning",
  text,
  metadata
})

/**
 * Calls a tool. Without an `id` the calls of a model count up: `call_1`, `call_2`, ... The arguments come whole, as with some
 * providers: without `ToolParamsDelta`, and where a value is asked for, in one `OutputPartial`.
 *
 * @since 0.1.0
 * @category steps
 */
export const toolCall = (name: string, params: unknown, id?: string): Step => ({
  _tag: "ToolCall",
  name: Check.notEmpty("Scripted.toolCall", "name", name),
  params,
  id
})

/**
 * Says what the turn used, in tokens. Without it a word is a token.
 *
 * @since 0.1.0
 * @category steps
 */
export const usage = (input: number, output: number): Step => ({
  _tag: "Usage",
  input: Check.notNegativeInteger("Scripted.usage", "input", input),
  output: Check.notNegativeInteger("Scripted.usage", "output", output)
})

/**
 * Ends the turn with this reason. Without it: `"tool-calls"` after a tool call, else `"stop"`.
 *
 * @since 0.1.0
 * @category steps
 */
export const finish = (reason: Response.FinishReason): Step => ({ _tag: "Finish", reason })

/**
 * Waits on Effect's clock before the next step.
 *
 * @since 0.1.0
 * @category steps
 */
export const delay = (duration: Duration.Input): Step => ({
  _tag: "Delay",
  duration: Check.notNegativeDuration("Scripted.delay", "duration", duration)
})

/**
 * Fails with this reason, after what the steps before have said.
 *
 * @since 0.1.0
 * @category steps
 */
export const fail = (reason: AiError.AiErrorReason): Step => ({ _tag: "Fail", reason })

/**
 * Ends the stream without a finish reason, as a broken connection does.
 *
 * @since 0.1.0
 * @category steps
 */
export const cut: Step = { _tag: "Cut" }

/**
 * A turn for one particular request. Any other one fails with an `InvalidRequestError` that shows the difference.
 *
 * @example
 * ```ts
 * import { Scripted } from "effect-troupe"
 *
 * const model = Scripted.model([
 *   Scripted.expect({ last: "user: Weather in Lagos?", tools: ["get_weather"] }, "18 degrees.")
 * ])
 * ```
 *
 * @since 0.1.0
 * @category scripts
 */
export const expect = (expected: Expectation, turn: Turn): Answer => (request) => {
  const differences = differencesOf(expected, request)
  return differences.length === 0
    ? resolve(turn, request)
    : fail(invalid(`the request is not what the script expects\n${differences.join("\n")}`))
}

/**
 * A script that answers a request with the first turn whose matcher is for it, as often as it comes. A request that
 * none is for fails with an `InvalidRequestError`.
 *
 * @example
 * ```ts
 * import { Scripted } from "effect-troupe"
 *
 * const model = Scripted.model(Scripted.matching([
 *   [/weather/i, Scripted.toolCall("get_weather", { city: "Lagos" })],
 *   ["get_weather gave", "18 degrees."]
 * ]))
 * ```
 *
 * @since 0.1.0
 * @category scripts
 */
export const matching = (rules: ReadonlyArray<readonly [Matcher, Turn]>): Answer => (request) => {
  const rule = rules.find(([matcher]) => matches(matcher, request))
  return rule === undefined
    ? fail(invalid(`no turn of the script is for this request\n${lines(request).at(-1) ?? "an empty conversation"}`))
    : resolve(rule[1], request)
}

/**
 * The conversation of a request, a line for each thing that was said: `user: Weather in Lagos?`,
 * `calls get_weather({"city":"Lagos"})`, `get_weather gave "18 C"`, `get_weather failed with "no such city"`.
 *
 * @since 0.1.0
 * @category requests
 */
export const lines = (request: ModelRequest): ReadonlyArray<string> =>
  request.prompt.content.flatMap((message): ReadonlyArray<string> =>
    isString(message.content)
      ? [`${message.role}: ${message.content}`]
      : message.content.map((part) => partLine(message.role, part))
  )

/**
 * A model that answers its requests with these turns, one after the other.
 *
 * A request beyond the last turn fails with `InvalidRequestError`. A function instead of a list answers every request.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Agent, Scripted } from "effect-troupe"
 *
 * const program = Agent.run(Agent.make("poet"), "A line, please.").pipe(
 *   Agent.response,
 *   Effect.provide(Scripted.model([[Scripted.delay("1 second"), Scripted.text("Roses are red.")]]))
 * )
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const model = (
  script: ReadonlyArray<Turn> | Answer
): Layer.Layer<LanguageModel.LanguageModel | Model.ProviderName | Model.ModelName | Requests> =>
  Layer.effectContext(Effect.gen(function*() {
    const requests = yield* Ref.make<ReadonlyArray<ModelRequest>>([])
    const calls = yield* Ref.make(0)
    const perform = (options: LanguageModel.ProviderOptions) =>
      Stream.unwrap(Effect.gen(function*() {
        const request = toRequest(options)
        const number = (yield* Ref.getAndUpdate(requests, (all) => [...all, request])).length
        const turn = typeof script === "function" ? script : script[number]
        if (turn === undefined) return Stream.fail(exhausted(number))
        return play(resolve(turn, request), request, calls)
      }))
    const service = yield* makeLanguageModel({
      generateText: (options) => Effect.map(Stream.runCollect(perform(options)), toParts),
      streamText: perform,
      observed: CallSpan.observe({ provider: "scripted", model: "scripted" })
    })
    return Context.make(LanguageModel.LanguageModel, service).pipe(
      Context.add(Model.ProviderName, "scripted"),
      Context.add(Model.ModelName, "scripted"),
      Context.add(Requests, Ref.get(requests))
    )
  }))

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const toRequest = ({ prompt, toolChoice, tools }: LanguageModel.ProviderOptions): ModelRequest => ({
  prompt,
  tools: tools.map((tool) => tool.name),
  toolChoice
})

const toSteps = (turn: string | Step | ReadonlyArray<Step>): ReadonlyArray<Step> =>
  isString(turn) ? [text(turn)] : "_tag" in turn ? [turn] : turn

const resolve = (turn: Turn, request: ModelRequest): string | Step | ReadonlyArray<Step> =>
  typeof turn === "function" ? turn(request) : turn

const matches = (matcher: Matcher, request: ModelRequest): boolean => {
  if (typeof matcher === "function") return matcher(request)
  const last = lines(request).at(-1) ?? ""
  return isRegExp(matcher) ? last.search(matcher) >= 0 : last.includes(matcher)
}

const partLine = (role: string, part: Prompt.Part): string => {
  switch (part.type) {
    case "text":
      return `${role}: ${part.text}`
    case "reasoning":
      return `thinks: ${part.text}`
    case "file":
      return `${role}: [${part.mediaType}]`
    case "tool-call":
      return `calls ${part.name}(${JSON.stringify(part.params)})`
    case "tool-result":
      return `${part.name} ${part.isFailure ? "failed with" : "gave"} ${JSON.stringify(part.result)}`
    case "tool-approval-request":
      return `asks for approval of ${part.toolCallId}`
    case "tool-approval-response":
      return `${part.approved ? "approves" : "refuses"} ${part.approvalId}`
  }
}

const differencesOf = (expected: Expectation, request: ModelRequest): ReadonlyArray<string> => {
  const said = lines(request)
  const differences: Array<string> = []
  const compare = (what: string, wanted: ReadonlyArray<string>, got: ReadonlyArray<string>) => {
    if (wanted.length === got.length && wanted.every((line, index) => line === got[index])) return
    differences.push(TextDiff.unified(TextDiff.lines(toLines(wanted), toLines(got)), {
      fromFile: `expected ${what}`,
      toFile: `asked ${what}`
    }))
  }
  if (expected.last !== undefined) compare("last message", [expected.last], said.slice(-1))
  if (expected.lines !== undefined) compare("conversation", expected.lines, said)
  if (expected.tools !== undefined) compare("tools", expected.tools, request.tools)
  if (expected.toolChoice !== undefined) {
    compare("tool choice", [JSON.stringify(expected.toolChoice)], [JSON.stringify(request.toolChoice)])
  }
  return differences
}

const toLines = (texts: ReadonlyArray<string>): string => texts.map((text) => `${text}\n`).join("")

const invalid = (description: string) => new AiError.InvalidRequestError({ description })

const toError = (reason: AiError.AiErrorReason): AiError.AiError =>
  AiError.make({ module: "Scripted", method: "model", reason })

const exhausted = (turns: number): AiError.AiError =>
  toError(invalid(`the script ended after ${turns} turns: give Scripted.model one turn for each request`))

const play = (
  turn: string | Step | ReadonlyArray<Step>,
  request: ModelRequest,
  calls: Ref.Ref<number>
): Stream.Stream<Response.StreamPartEncoded, AiError.AiError> => {
  const steps = toSteps(turn)
  const says = Stream.flatMap(
    Stream.fromIterable(steps.entries()),
    ([index, step]) => playStep(step, String(index), calls)
  )
  return steps.some((step) => step._tag === "Cut")
    ? says
    : Stream.concat(says, Stream.succeed(toFinish(steps, request)))
}

const playStep = (
  step: Step,
  id: string,
  calls: Ref.Ref<number>
): Stream.Stream<Response.StreamPartEncoded, AiError.AiError> => {
  switch (step._tag) {
    case "Text":
      return Stream.fromArray<Response.StreamPartEncoded>([
        { type: "text-start", id },
        ...words(step.text).map((delta) => ({ type: "text-delta" as const, id, delta })),
        { type: "text-end", id }
      ])
    case "Reasoning":
      return Stream.fromArray<Response.StreamPartEncoded>([
        { type: "reasoning-start", id },
        ...words(step.text).map((delta) => ({ type: "reasoning-delta" as const, id, delta })),
        { type: "reasoning-end", id, metadata: step.metadata }
      ])
    case "ToolCall":
      return Stream.fromEffect(Effect.map(Ref.updateAndGet(calls, (n) => n + 1), (n) => ({
        type: "tool-call",
        id: step.id ?? `call_${n}`,
        name: step.name,
        params: step.params
      })))
    case "Delay":
      return Stream.drain(Stream.fromEffect(Effect.sleep(step.duration)))
    case "Fail":
      return Stream.fail(toError(step.reason))
    default:
      return Stream.empty
  }
}

/** A text in pieces that end before each word: together they are the text again. */
const words = (text: string): ReadonlyArray<string> => text.match(/\s*\S+\s*$|\s*\S+|\s+/g) ?? []

const countWords = (value: unknown): number => words(isString(value) ? value : JSON.stringify(value) ?? "").length

const toFinish = (steps: ReadonlyArray<Step>, request: ModelRequest): Response.FinishPartEncoded => {
  let reason: Response.FinishReason | undefined
  let used: { readonly input: number; readonly output: number } | undefined
  let output = 0
  for (const step of steps) {
    if (step._tag === "Finish") reason = step.reason
    if (step._tag === "Usage") used = step
    if (step._tag === "Text" || step._tag === "Reasoning") output += countWords(step.text)
    if (step._tag === "ToolCall") output += countWords(step.params) + 1
  }
  const input = used?.input ?? request.prompt.content.reduce((sum, message) => sum + countWords(message.content), 0)
  const called = steps.some((step) => step._tag === "ToolCall")
  return {
    type: "finish",
    reason: reason ?? (called ? "tool-calls" : "stop"),
    usage: {
      inputTokens: { total: input, uncached: input },
      outputTokens: { total: used?.output ?? output }
    }
  }
}

/** The parts of a whole answer that says the same as a stream. */
const toParts = (stream: ReadonlyArray<Response.StreamPartEncoded>): Array<Response.PartEncoded> => {
  const parts: Array<Response.PartEncoded> = []
  let block = ""
  for (const part of stream) {
    switch (part.type) {
      case "text-start":
      case "reasoning-start":
        block = ""
        break
      case "text-delta":
      case "reasoning-delta":
        block += part.delta
        break
      case "text-end":
        parts.push({ type: "text", text: block })
        break
      case "reasoning-end":
        parts.push({ type: "reasoning", text: block, metadata: part.metadata })
        break
      case "tool-call":
      case "finish":
        parts.push(part)
    }
  }
  return parts
}
