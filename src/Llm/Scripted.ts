/**
 * A model that says what a script tells it to, for tests, examples and demonstrations.
 *
 * It is a `LanguageModel` like any other, so everything around it runs for real: tools, teams, budgets, sessions. It
 * streams, waits on Effect's clock, fails when told to, and keeps the requests that it was asked with.
 *
 * @since 0.1.0
 */
import type { Duration } from "effect"
import { Context, Effect, Layer, Ref, Stream } from "effect"
import { AiError, LanguageModel, Model } from "effect/ai"
import type { Prompt, Response } from "effect/ai"
import { isString } from "effect/Predicate"

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
 * What the model was asked with.
 *
 * @since 0.1.0
 * @category models
 */
export interface Request {
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
export type Turn = string | Step | ReadonlyArray<Step> | ((request: Request) => string | Step | ReadonlyArray<Step>)

/**
 * The requests that a scripted model was asked with, oldest first.
 *
 * @since 0.1.0
 * @category services
 */
export class Requests extends Context.Service<Requests, Effect.Effect<ReadonlyArray<Request>>>()(
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
 * Calls a tool. Without an `id` the calls of a model count up: `call_1`, `call_2`, ...
 *
 * @since 0.1.0
 * @category steps
 */
export const toolCall = (name: string, params: unknown, id?: string): Step => ({ _tag: "ToolCall", name, params, id })

/**
 * Says what the turn used, in tokens. Without it a word is a token.
 *
 * @since 0.1.0
 * @category steps
 */
export const usage = (input: number, output: number): Step => ({ _tag: "Usage", input, output })

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
export const delay = (duration: Duration.Input): Step => ({ _tag: "Delay", duration })

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
  script: ReadonlyArray<Turn> | Extract<Turn, (request: Request) => unknown>
): Layer.Layer<LanguageModel.LanguageModel | Model.ProviderName | Model.ModelName | Requests> =>
  Layer.effectContext(Effect.gen(function*() {
    const requests = yield* Ref.make<ReadonlyArray<Request>>([])
    const calls = yield* Ref.make(0)
    const perform = (options: LanguageModel.ProviderOptions) =>
      Stream.unwrap(Effect.gen(function*() {
        const request = toRequest(options)
        const number = (yield* Ref.getAndUpdate(requests, (all) => [...all, request])).length
        const turn = typeof script === "function" ? script : script[number]
        if (turn === undefined) return Stream.fail(exhausted(number))
        return play(typeof turn === "function" ? turn(request) : turn, request, calls)
      }))
    const service = yield* LanguageModel.make({
      generateText: (options) => Effect.map(Stream.runCollect(perform(options)), toParts),
      streamText: perform
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

const toRequest = ({ prompt, toolChoice, tools }: LanguageModel.ProviderOptions): Request => ({
  prompt,
  tools: tools.map((tool) => tool.name),
  toolChoice
})

const toSteps = (turn: string | Step | ReadonlyArray<Step>): ReadonlyArray<Step> =>
  isString(turn) ? [text(turn)] : "_tag" in turn ? [turn] : turn

const toError = (reason: AiError.AiErrorReason): AiError.AiError =>
  AiError.make({ module: "Scripted", method: "model", reason })

const exhausted = (turns: number): AiError.AiError =>
  toError(
    new AiError.InvalidRequestError({
      description: `the script ended after ${turns} turns: give Scripted.model one turn for each request`
    })
  )

const play = (
  turn: string | Step | ReadonlyArray<Step>,
  request: Request,
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

const toFinish = (steps: ReadonlyArray<Step>, request: Request): Response.FinishPartEncoded => {
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

/** What a stream of parts comes to in an answer that is not streamed. */
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
