/**
 * The turn loop: runs an agent from its prompt to its answer and emits every event on the way.
 *
 * @internal
 */
import type * as LanguageModel from "effect/ai/LanguageModel"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Ref from "effect/Ref"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import {
  AgentError,
  type AgentErrorReason,
  EmptyPrompt,
  InvalidAgent,
  InvalidOutput,
  MaxDurationExceeded,
  MaxToolCallsExceeded,
  MaxTurnsExceeded
} from "../../AgentError.ts"
import type { AgentEvent, AgentResponse } from "../../AgentEvent.ts"
import { Approvals } from "../../Approvals.ts"
import * as Budget from "../../Budget.ts"
import * as Prices from "../../Llm/Prices.ts"
import * as Transcript from "../../Transcript.ts"
import * as Pushed from "../pushed.ts"
import { type AgentSpec, namedModel, type RunOptions } from "./agent.ts"
import { costOf } from "./cost.ts"
import * as Guardrails from "./guardrails.ts"
import { callModel } from "./modelCall.ts"
import { repair, withOutput } from "./output.ts"
import type { RunPlace } from "./place.ts"
import type { Input } from "./protocol.ts"
import { type AgentRun, close, fail, record, takeBack, write } from "./run.ts"
import { inAgentSpan } from "./spans.ts"
import { callTools } from "./toolCalls.ts"
import { placeRun } from "./toolContext.ts"
import { sameName } from "./toolName.ts"
import * as Turn from "./turn.ts"
import { waitingRun } from "./waiting.ts"
import { watched } from "./watched.ts"

/** The events of one run. */
export const events = <E, R>(
  agent: AgentSpec<E, R>,
  input: Input,
  options: RunOptions = {}
): Stream.Stream<AgentEvent, AgentError | E, R> =>
  Pushed.make(
    (emit) =>
      Effect.flatMap(placeRun(agent.name, options.origin), (at) =>
        inAgentSpan(
          at,
          { id: options.origin?.actor, description: agent.description },
          watched(at, emit, (emit) =>
            emit([{ ...at.self, _tag: "RunStarted" }]).pipe(
              Effect.andThen(begin(agent, at, input, options, emit)),
              Effect.flatMap((run) => whole(run, withinTime(run, turns(run)))),
              Effect.scoped,
              Effect.flatMap((response) => emit([{ ...at.self, _tag: "Completed", response }]))
            ))
        )),
    bufferSize
  )

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

/** How many events may wait for the reader before the run waits for it. */
const bufferSize = 64

const begin = Effect.fnUntraced(function*<E, R>(
  agent: AgentSpec<E, R>,
  at: RunPlace,
  input: Input,
  options: RunOptions,
  emit: AgentRun<E, R>["emit"]
): Effect.fn.Return<AgentRun<E, R>, AgentError | E, R | Scope.Scope> {
  const refuse = (reason: AgentErrorReason) =>
    Effect.fail(new AgentError({ agent: agent.name, reason, transcript: Transcript.empty }))
  const prompt = Transcript.user(input)
  const problem = problemOf(agent, prompt, options.output)
  if (problem !== undefined) return yield* refuse(problem)
  const content = agent.guardrails.length === 0
    ? prompt.content
    : yield* Guardrails.checkInput(agent.guardrails, prompt.content).pipe(Effect.catch(refuse))
  const tools = yield* agent.tools
  const unapproved = tools.find((tool) => tool.needsApproval)
  if (unapproved !== undefined && Option.isNone(yield* Effect.serviceOption(Approvals))) {
    const problem = `tool ${unapproved.name} needs approval: provide Approvals.layer`
    return yield* refuse(new InvalidAgent({ problem }))
  }
  const ownTools = new Map(tools.map((tool) => [tool.name, tool]))
  const modelOf = yield* models<E, R>()
  const transcript = options.transcript ?? Ref.makeUnsafe(Transcript.empty)
  const run: AgentRun<E, R> = {
    agent,
    at,
    emit,
    modelOf,
    model: yield* agent.model._tag === "Ambient" ? agent.model.service : modelOf(agent.model.layer),
    ownTools,
    tools: ownTools,
    transcript,
    memory: options.memory ?? (yield* freshMemory(agent, transcript)),
    added: [],
    budgets: Budget.join(yield* Budget.Current, agent.budget),
    output: options.output,
    repaired: false,
    owed: new Map(),
    turn: undefined,
    answered: false,
    waiting: undefined,
    compacted: undefined,
    usages: [],
    sources: [],
    toolCalls: 0,
    outOfCalls: false
  }
  yield* record(run, { ...prompt, content })
  return run
})

/** The reason not to ask the model at all. */
const problemOf = (
  agent: AgentSpec<unknown, unknown>,
  prompt: Transcript.UserEntry,
  output: RunOptions["output"]
): AgentErrorReason | undefined => {
  const problem = sameName(withOutput(agent.definitions, output))
  if (problem !== undefined) return new InvalidAgent({ problem })
  return Transcript.isBlank(prompt) ? new EmptyPrompt() : undefined
}

/** A memory of its own gets the conversation before the run. */
const freshMemory = Effect.fnUntraced(function*<E, R>(
  agent: AgentSpec<E, R>,
  transcript: Ref.Ref<Transcript.Transcript>
) {
  const memory = yield* agent.memory
  if (memory !== undefined) yield* memory.append((yield* Ref.get(transcript)).entries)
  return memory
})

/** Builds models for as long as the run lasts, each layer once. */
const models = <E, R>() =>
  Effect.map(Effect.scope, (scope) => {
    let memoMap: Layer.MemoMap | undefined
    return (layer: Layer.Layer<LanguageModel.LanguageModel, E, R>) =>
      Effect.map(Layer.buildWithMemoMap(layer, memoMap ??= Layer.makeMemoMapUnsafe(), scope), namedModel)
  })

/** A run that fails leaves no prompt without an answer behind; one that is interrupted does. */
const whole = <A, E, R>(run: AgentRun<E, R>, turns: Effect.Effect<A, AgentError | E, R>) =>
  Effect.onError(turns, (cause) => Cause.hasInterruptsOnly(cause) ? Effect.void : takeBack(run))

const turns = <E, R>(run: AgentRun<E, R>): Effect.Effect<AgentResponse, AgentError | E, R> =>
  Effect.ensuring(
    Effect.gen(function*() {
      const { finalAnswer, maxTurns = 10 } = run.agent.limits
      // Not before: a run with a limit of time has a fiber of its own, which nobody waits for longer than that.
      run.waiting = yield* waitingRun
      for (let number = 1;; number++) {
        const last = finalAnswer === true && (number >= maxTurns || run.outOfCalls)
        const turn = yield* callModel(run, number, last)
        yield* callTools(run, turn, last).pipe(Effect.catch((reason) => fail(run, reason)))
        yield* write(run)
        yield* run.emit([finished(run, turn, yield* Prices.Prices)])
        const exceeded = limitOf(run, number, last)
        const answer = answerOf(run, turn) ?? (yield* stopped(run, turn))
        if (answer !== undefined) {
          const whole = yield* checked(run, answer, exceeded === undefined)
          if (whole !== undefined) {
            yield* close(run)
            return complete(run, turn, whole)
          }
        } else if (exceeded !== undefined) return yield* fail(run, exceeded)
      }
    }),
    close(run)
  )

const finished = <E, R>(run: AgentRun<E, R>, turn: Turn.Turn, prices: Prices.PriceTable): AgentEvent => {
  const { metadata, reason, usage } = turn.finish!
  const { duration, timeToFirstPart } = turn.timing!
  run.usages.push(usage)
  run.sources.push(...turn.sources)
  const model = turn.model ?? turn.asked
  const cost = costOf(usage, [turn.model, turn.asked], prices)
  return {
    ...run.at.self,
    _tag: "TurnFinished",
    turn: turn.number,
    finishReason: reason,
    usage,
    ...(model !== undefined && { model }),
    ...(cost !== undefined && { cost }),
    duration,
    timeToFirstPart,
    ...responseOf(turn),
    ...(Object.keys(metadata).length > 0 && { metadata })
  }
}

const responseOf = ({ finish, responseId: id }: Turn.Turn) => {
  const headers = Object.entries(finish?.response?.headers ?? {})
  if (id === undefined && headers.length === 0) return undefined
  const shown = headers.flatMap(([name, value]) => typeof value === "string" ? [[name, value]] : [])
  return { response: { ...(id !== undefined && { id }), headers: Object.fromEntries(shown) } }
}

/** The answer that ends the run: one that a tool gave, the output, or text, unless the model still wants something. */
const answerOf = <E, R>(run: AgentRun<E, R>, turn: Turn.Turn): Pick<AgentResponse, "text" | "output"> | undefined => {
  const handedOver = turn.calls.find(({ outcome }) => outcome?.answer !== undefined)?.outcome
  if (handedOver !== undefined) return handedOver.answer
  const output = run.output && Turn.outputOf(turn)
  if (output === undefined && Turn.goesOn(turn)) return undefined
  return { text: Transcript.text(Turn.toEntry(turn)), ...(output !== undefined && { output }) }
}

/** The text so far, where the agent's `stopWhen` wants no other turn. */
const stopped = <E, R>(
  { agent, transcript }: AgentRun<E, R>,
  turn: Turn.Turn
): Effect.Effect<Pick<AgentResponse, "text"> | undefined> => {
  const { stopWhen } = agent.limits
  if (stopWhen === undefined) return Effect.undefined
  return Effect.map(
    Ref.get(transcript),
    (transcript) =>
      stopWhen({ agent: agent.name, turn: turn.number, transcript }) ? { text: Turn.text(turn) } : undefined
  )
}

/** The answer with the output that the run was asked for; `undefined` once the model is asked to give it again. */
const checked = Effect.fnUntraced(function*<E, R>(
  run: AgentRun<E, R>,
  answer: Pick<AgentResponse, "text" | "output">,
  mayGoOn: boolean
): Effect.fn.Return<Pick<AgentResponse, "text" | "output"> | undefined, AgentError> {
  if (run.output?.read === undefined) return answer
  const output = yield* Effect.result(run.output.read(answer.output))
  if (output._tag === "Success") return { ...answer, output: output.success }
  const problem = output.failure.message
  if (run.repaired || !mayGoOn) return yield* fail(run, new InvalidOutput({ problem }))
  run.repaired = true
  yield* record(run, Transcript.user(repair(problem)))
  return undefined
})

const complete = <E, R>(
  run: AgentRun<E, R>,
  turn: Turn.Turn,
  answer: Pick<AgentResponse, "text" | "output">
): AgentResponse => ({
  agent: run.agent.name,
  ...answer,
  finishReason: turn.finish!.reason,
  turns: turn.number,
  usage: Turn.sumUsage(run.usages),
  transcript: Transcript.make(run.added),
  sources: run.sources
})

/** The limit that forbids another turn. */
const limitOf = <E, R>(run: AgentRun<E, R>, number: number, last: boolean): AgentErrorReason | undefined => {
  const { finalAnswer, maxToolCalls, maxTurns = 10 } = run.agent.limits
  if (run.outOfCalls && (last || finalAnswer !== true)) return new MaxToolCallsExceeded({ maxToolCalls: maxToolCalls! })
  return number >= maxTurns ? new MaxTurnsExceeded({ maxTurns }) : undefined
}

/** Interrupts the run when its own time is over, or that of a budget. */
const withinTime = <A, E, R>(
  run: AgentRun<E, R>,
  effect: Effect.Effect<A, AgentError | E, R>
): Effect.Effect<A, AgentError | E, R> => {
  const { maxDuration } = run.agent.limits
  let timed = effect
  if (maxDuration !== undefined) {
    const millis = Duration.toMillis(maxDuration)
    const orElse = () => fail(run, new MaxDurationExceeded({ maxDuration: millis }))
    timed = Effect.timeoutOrElse(timed, { duration: millis, orElse })
  }
  for (const { deadline } of run.budgets) {
    if (deadline === undefined) continue
    const { at, max } = deadline
    const orElse = () => fail(run, new Budget.BudgetExceeded({ limit: "maxDuration", used: max, max }))
    const inner = timed
    timed = Effect.flatMap(
      Clock.currentTimeMillis,
      (now) => Effect.timeoutOrElse(inner, { duration: Math.max(0, at - now), orElse })
    )
  }
  return timed
}
