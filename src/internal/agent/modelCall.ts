/**
 * The model's part of a turn: plans the request, pays for it, reads the answer, and recovers where it fails.
 *
 * @internal
 */
import * as AiError from "effect/ai/AiError"
import type * as LanguageModel from "effect/ai/LanguageModel"
import type * as Prompt from "effect/ai/Prompt"
import * as Response from "effect/ai/Response"
import type * as AiTool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Pull from "effect/Pull"
import * as Ref from "effect/Ref"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import type { AgentError, GuardrailTripped } from "../../AgentError.ts"
import { InvalidAgent, ModelFailed } from "../../AgentError.ts"
import * as Budget from "../../Budget.ts"
import * as Prices from "../../Llm/Prices.ts"
import { RequestSettings, type Settings } from "../../Llm/Settings.ts"
import type { Reason, Recovery } from "../../Recover.ts"
import { compaction, type ModelCall, type Part, Tap } from "../../Tap.ts"
import * as Transcript from "../../Transcript.ts"
import { estimateTokens } from "../estimateTokens.ts"
import { isContent } from "../llm/callSpan.ts"
import type { NamedModel } from "./agent.ts"
import { costOf } from "./cost.ts"
import * as Guardrails from "./guardrails.ts"
import { withOutput } from "./output.ts"
import { turnPath } from "./place.ts"
import { PlanOverride } from "./planOverride.ts"
import { type AgentRun, fail, leaveOut } from "./run.ts"
import { CurrentSite } from "./toolContext.ts"
import { outputTool, sameName } from "./toolName.ts"
import * as Turn from "./turn.ts"

/** Asks the model until it has answered or nothing helps. `last` is the turn that must be an answer. */
export const callModel = Effect.fnUntraced(function*<E, R>(
  run: AgentRun<E, R>,
  number: number,
  last: boolean
): Effect.fn.Return<Turn.Turn, AgentError | E, R> {
  const { guardrails } = run.agent
  const held = Guardrails.checks(guardrails, "output")
  const heldReasoning = Guardrails.checks(guardrails, "reasoning")
  const attempts: Attempts<R> = { step: undefined }
  for (let attempt = 1;; attempt++) {
    const { maxDepth } = run.agent.bounds
    const { output, owed } = run
    const turn = Turn.make(run.at, number, { attempt, held, heldReasoning, maxDepth, output, owed })
    run.turn = turn
    const request = yield* plan(run, turn, last)
    const answered = yield* Effect.result(paid(run, turn, request))
    if (answered._tag === "Success") {
      if (heldReasoning) yield* checkReasoning(run, turn)
      if (held) yield* checkText(run, turn)
      return turn
    }
    if (!(yield* recovered(run, turn, attempts, answered.failure))) {
      const why = refusalOf(answered.failure)
      if (why !== undefined && !Turn.says(turn)) yield* leaveOut(run, why)
      return yield* fail(run, answered.failure)
    }
    yield* run.emit([{
      ...run.at.self,
      _tag: "TurnRestarted",
      turn: number,
      reason: answered.failure.message
    }])
  }
})

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

/** One request to the model. */
interface ModelRequest {
  readonly model: NamedModel
  readonly prices: Prices.PriceTable
  readonly prompt: Prompt.Prompt
  /** An estimate, since a provider's own count comes only with the answer; 0 where there is no budget. */
  readonly inputTokens: number
  readonly toolkit: Toolkit.Toolkit<Record<string, AiTool.Any>>
  readonly toolChoice: LanguageModel.ToolChoice<string>
  readonly settings: Settings | undefined
}

const plan = Effect.fnUntraced(function*<E, R>(
  run: AgentRun<E, R>,
  turn: Turn.Turn,
  last: boolean
): Effect.fn.Return<ModelRequest, AgentError | E, R> {
  const { agent, output } = run
  const transcript = yield* Ref.get(run.transcript)
  const info = { agent: agent.name, turn: turn.number, transcript }
  const own = agent.prepareTurn === undefined ? {} : yield* agent.prepareTurn(info)
  const override = yield* PlanOverride
  const chosen = override === undefined ? own : { ...own, ...override(info) }
  const tools = chosen.tools
  const given = tools === undefined ? agent.definitions : tools.map((tool) => tool.definition)
  const definitions = withOutput(given, output)
  run.tools = tools === undefined ? run.ownTools : new Map(tools.map((tool) => [tool.name, tool]))
  const settings = chosen.settings === undefined ? agent.settings : { ...agent.settings, ...chosen.settings }
  const model = chosen.model === undefined ? run.model : yield* run.modelOf(chosen.model)
  const prices = yield* Prices.Prices
  const problem = (tools && sameName(definitions)) ?? unpriced(run, model, settings, prices)
  if (problem !== undefined) return yield* fail(run, new InvalidAgent({ problem }))
  const window = yield* windowOf(run, turn, transcript)
  const prompt = Transcript.toPrompt(window, chosen.instructions ?? agent.instructions)
  return {
    model,
    prices,
    prompt,
    inputTokens: run.budgets.length === 0 ? 0 : estimateTokens(prompt.content),
    toolkit: definitions === agent.definitions ? agent.toolkit : Toolkit.make(...definitions),
    toolChoice: last
      ? (output === undefined ? "none" : { tool: outputTool })
      : chosen.toolChoice ?? agent.toolChoice ?? (output === undefined ? "auto" : "required"),
    settings
  }
})

/** A call that nobody knows the cost of would never use a budget up. */
const unpriced = <E, R>(
  { budgets }: AgentRun<E, R>,
  { name }: NamedModel,
  settings: Settings | undefined,
  prices: Prices.PriceTable
): string | undefined =>
  budgets.some((budget) =>
      Budget.needsPrice(budget) &&
      costOf(usageOf(1, outputOf(settings, budget)), [name], prices, budget.price) === undefined
    )
    ? `the budget has a maxCost, but nobody knows what a call of the model ${
      name ?? "(its layer has no name)"
    } costs: ` +
      "provide Prices with it, or give the budget a price (0 if the model is free)"
    : undefined

/** The part of the conversation that requests carry. */
const windowOf = <E, R>(
  { compacted, memory }: AgentRun<E, R>,
  turn: Turn.Turn,
  transcript: Transcript.Transcript
): Effect.Effect<Transcript.Transcript> => {
  if (compacted !== undefined) {
    return Effect.succeed(Transcript.append(compacted.transcript, ...transcript.entries.slice(compacted.at)))
  }
  return memory === undefined ? Effect.succeed(transcript) : between(turn, memory.window)
}

/** Lets a memory's or a recovery's calls find their place. */
const between = <A, E, R>(turn: Turn.Turn, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) => {
    if (fiber.getRef(Tap) === undefined) return effect
    const { at, number } = turn
    const counts = turn.counts ??= new Map()
    return Effect.provideService(effect, CurrentSite, { at, turn: number, path: pathOf(turn), counts })
  })

const pathOf = ({ at, attempt, number }: Turn.Turn): string => turnPath(at, number, attempt)

/** Reads the answer into the turn and emits its events. */
const read = <E, R>(
  run: AgentRun<E, R>,
  turn: Turn.Turn,
  request: ModelRequest
): Effect.Effect<void, ModelFailed> => {
  const { model, prompt, settings, toolChoice, toolkit } = request
  turn.asked = model.name
  const live = model.service.streamText({
    prompt,
    toolkit,
    toolChoice,
    disableToolCallResolution: true,
    toolCallValidation: "deferred"
    // With resolution off no tool's schema runs, so their requirements do not apply here.
  }) as Stream.Stream<Part, AiError.AiError>
  const whole = Effect.suspend(() => {
    const problem = problemOf(turn)
    return problem === undefined ? Effect.void : Effect.fail(problem)
  })
  return timed(turn, (fiber, note) =>
    Stream.runForEachArray(tapped(fiber, turn, request, live), (parts) => {
      note(parts)
      const told = run.emit(Turn.absorb(turn, parts))
      return turn.error === undefined ? told : Effect.andThen(told, Effect.fail(turn.error))
    })).pipe(
      Effect.andThen(whole),
      Effect.mapError((error) => new ModelFailed({ error })),
      settings === undefined
        ? (self) => self
        : Effect.updateService(RequestSettings, (ambient) => ({ ...ambient, ...settings }))
    )
}

const tapped = (
  fiber: Fiber.Fiber<unknown, unknown>,
  turn: Turn.Turn,
  { model, prompt, toolChoice, toolkit }: ModelRequest,
  live: Stream.Stream<Part, AiError.AiError>
): Stream.Stream<Part, AiError.AiError> => {
  const tap = fiber.getRef(Tap)?.model
  if (tap === undefined) return live
  const call: ModelCall = {
    ...turn.at.self,
    path: pathOf(turn),
    turn: turn.number,
    model: model.name,
    prompt,
    tools: Object.values(toolkit.tools),
    toolChoice,
    settings: fiber.getRef(RequestSettings)
  }
  return tap(call, live)
}

/** Measures a model call by the monotonic clock. `note` gets its parts as they come. */
const timed = <A, E, R>(
  turn: Turn.Turn,
  call: (fiber: Fiber.Fiber<unknown, unknown>, note: (parts: ReadonlyArray<Part>) => void) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) => {
    const clock = fiber.getRef(Clock.Clock)
    const startedAt = clock.monotonicTimeNanosUnsafe()
    const sinceStart = () => Number(clock.monotonicTimeNanosUnsafe() - startedAt) / 1_000_000
    let timeToFirstPart: number | undefined
    const note = (parts: ReadonlyArray<Part>) => {
      if (timeToFirstPart === undefined && parts.some(isContent)) timeToFirstPart = sinceStart()
    }
    return Effect.map(call(fiber, note), (answer) => {
      const duration = sinceStart()
      turn.timing = { duration, timeToFirstPart: timeToFirstPart ?? duration }
      return answer
    })
  })

/** Why an answer that has come to its end is none. Models of `AiSdk` have failed by then. */
const problemOf = ({ agent, finish }: Turn.Turn): AiError.AiError | undefined => {
  if (finish !== undefined && finish.reason !== "error") return undefined
  const reason = finish === undefined
    ? new AiError.InternalProviderError({
      description: "the model's stream ended without a finish reason, so the answer may be cut off"
    })
    : new AiError.InvalidOutputError({ description: "the model's answer ended in an error" })
  return AiError.make({ module: "Agent", method: agent, reason })
}

/** The request within what the budgets allow. */
const paid = <E, R>(run: AgentRun<E, R>, turn: Turn.Turn, request: ModelRequest): Effect.Effect<void, Reason> => {
  const answer = read(run, turn, request)
  if (run.budgets.length === 0) return answer
  const amountOf = (budget: Budget.Budget, usage: Response.Usage) => ({
    tokens: (usage.inputTokens.total ?? 0) + (usage.outputTokens.total ?? 0),
    cost: costOf(usage, [turn.model, request.model.name], request.prices, budget.price) ?? 0
  })
  const input = request.inputTokens
  return Budget.spend(answer, {
    budgets: run.budgets,
    reserve: (budget) => amountOf(budget, usageOf(input, outputOf(request.settings, budget))),
    settle: (budget) => amountOf(budget, usageAfter(turn, input))
  })
}

const outputOf = (settings: Settings | undefined, budget: Budget.Budget): number =>
  settings?.maxOutputTokens ?? budget.expectedOutputTokens

/**
 * A call that broke off, and a provider that doesn't count, report no usage, but the call must be paid all the same.
 */
const usageAfter = (turn: Turn.Turn, input: number): Response.Usage => {
  const usage = turn.finish?.usage
  if (usage?.inputTokens.total !== undefined && usage.outputTokens.total !== undefined) return usage
  return usageOf(
    usage?.inputTokens.total ?? input,
    usage?.outputTokens.total ?? estimateTokens([{ content: Turn.text(turn) }])
  )
}

const usageOf = (input: number, output: number): Response.Usage =>
  new Response.Usage({
    inputTokens: { total: input, uncached: input },
    outputTokens: { total: output, text: output }
  })

/** Runs the output guardrails on the text of a turn, and only then emits it. */
const checkText = Effect.fnUntraced(function*<E, R>(
  run: AgentRun<E, R>,
  turn: Turn.Turn
): Effect.fn.Return<void, AgentError, R> {
  const text = Turn.text(turn)
  if (text === "") return
  const passed = yield* Effect.catch(Guardrails.checkOutput(run.agent.guardrails, text), tripped(run))
  Turn.release(turn, passed)
  const output = run.output && Turn.outputOf(turn)
  yield* run.emit([output === undefined ? Turn.toText(run.at, passed) : Turn.toPartial(run.at, output)])
})

/** Runs the reasoning guardrails on the reasoning of a turn, and only then emits it. */
const checkReasoning = Effect.fnUntraced(function*<E, R>(
  run: AgentRun<E, R>,
  turn: Turn.Turn
): Effect.fn.Return<void, AgentError, R> {
  const text = Turn.text(turn, "reasoning")
  const passed = text === ""
    ? ""
    : yield* Effect.catch(Guardrails.checkReasoning(run.agent.guardrails, text), tripped(run))
  yield* run.emit(Turn.releaseReasoning(turn, passed))
})

/** A turn that must not go out must not be remembered either. */
const tripped = <E, R>(run: AgentRun<E, R>) => (reason: GuardrailTripped): Effect.Effect<never, AgentError> => {
  run.turn = undefined
  run.answered = true
  return fail(run, reason)
}

/** Why the model does not read the conversation as it is, and will not on another try. */
const refusalOf = (reason: Reason): string | undefined => {
  if (reason._tag !== "ModelFailed") return undefined
  switch (reason.error.reason._tag) {
    case "ContentPolicyError":
      return "content policy"
    case "InvalidRequestError":
      return reason.error.reason.constraint ?? "invalid request"
    default:
      return undefined
  }
}

/** The state that retries of one turn share: the place in the schedule. */
interface Attempts<R> {
  step: Effect.Success<ReturnType<typeof stepOf<R>>> | undefined
}

const stepOf = <R>(schedule: Schedule.Schedule<unknown, Reason, never, R>) => Schedule.toStepWithSleep(schedule)

/** Carries out what the agent's `recover` says; false where the failure stands. */
const recovered = Effect.fnUntraced(function*<E, R>(
  run: AgentRun<E, R>,
  turn: Turn.Turn,
  attempts: Attempts<R>,
  reason: Reason
): Effect.fn.Return<boolean, E, R> {
  const choice: Recovery<E, R> = run.agent.recover?.(reason) ?? { _tag: "Fail" }
  switch (choice._tag) {
    case "Fail":
      return false
    case "Retry":
      attempts.step ??= yield* stepOf(choice.schedule)
      return yield* Pull.catchDone(Effect.as(attempts.step(reason), true), () => Effect.succeed(false))
    case "WithModel": {
      const model = yield* run.modelOf(choice.model)
      const changed = model.service !== run.model.service
      run.model = model
      return changed
    }
    case "Compact": {
      const transcript = yield* Ref.get(run.transcript)
      const before = estimateTokens((yield* windowOf(run, turn, transcript)).entries)
      const after = yield* between(turn, compaction(transcript, choice.compact(transcript)))
      run.compacted = { transcript: after, at: transcript.length }
      return estimateTokens(after.entries) < before
    }
  }
})
