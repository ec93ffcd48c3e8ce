/**
 * The tools' part of a turn: runs the calls at once and tells each result as soon as it is there.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import { hasProperty } from "effect/Predicate"
import * as Ref from "effect/Ref"
import { type GuardrailTripped, InvalidAgent, type ToolFailed } from "../../AgentError.ts"
import type { AgentEvent, Place } from "../../AgentEvent.ts"
import { Approvals } from "../../Approvals.ts"
import * as Budget from "../../Budget.ts"
import * as Tool from "../../Tool.ts"
import { decisionOn, refusalIn } from "./approval.ts"
import { argumentsProblem, bound } from "./bounds.ts"
import type { Decision } from "./decision.ts"
import * as Guardrails from "./guardrails.ts"
import { callPath } from "./place.ts"
import type { AgentRun } from "./run.ts"
import { inToolSpan } from "./spans.ts"
import { CurrentTool } from "./toolContext.ts"
import * as Turn from "./turn.ts"

/** Runs the calls of a turn. `last` is a turn whose results no model will read. */
export const callTools = <E, R>(
  run: AgentRun<E, R>,
  turn: Turn.Turn,
  last: boolean
): Effect.Effect<void, CallError, R> => {
  const calls = callOwn(run, turn, last)
  if (turn.approvals.length === 0) return calls
  const decisions = turn.approvals.map((approval) => decide(run, turn, approval, last))
  return Effect.all([calls, ...decisions], { concurrency: "unbounded", discard: true })
}

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

/** A failure of a call that ends the run. */
type CallError = ToolFailed | GuardrailTripped | InvalidAgent | Budget.BudgetExceeded

/** Asks for a decision that the provider waits for; the next request carries it. */
const decide = Effect.fnUntraced(function*<E, R>(
  run: AgentRun<E, R>,
  turn: Turn.Turn,
  approval: Turn.TurnApproval,
  last: boolean
): Effect.fn.Return<void, InvalidAgent> {
  const { call } = approval
  const { id, name } = call.part
  const approvals = yield* Effect.serviceOption(Approvals)
  if (Option.isNone(approvals)) {
    return yield* new InvalidAgent({ problem: `tool ${name} needs approval: provide Approvals.layer` })
  }
  const waiting = { at: run.at, emit: run.emit, id, name, params: call.params, path: callPath(run.at, turn.number, id) }
  const decision: Decision = last
    ? { _tag: "Rejected", message: "this was the last turn" }
    : yield* decisionOn(
      approvals.value,
      waiting,
      () => Effect.succeed("the provider runs the tool as the model called it")
    )
  if (decision._tag === "Approved") return Turn.decide(approval, { approved: true })
  const reason = refusalIn(decision)
  const outcome = Tool.failure(reason)
  Turn.decide(approval, { approved: false, reason })
  Turn.settle(call, outcome)
  yield* run.emit([Turn.toResult(turn, call, outcome)])
})

const callOwn = <E, R>(
  run: AgentRun<E, R>,
  turn: Turn.Turn,
  last: boolean
): Effect.Effect<void, CallError, R> =>
  turn.calls.length === 0 ?
    Effect.void :
    Effect.forEach(turn.calls, (call) =>
      Effect.flatMap(
        finishing(callTool(run, turn, call, last), (outcome) => Turn.settle(call, outcome)),
        (outcome) => run.emit([Turn.toResult(turn, call, outcome)])
      ), {
      concurrency: turn.calls.length === 1 ? 1 : run.agent.limits.toolConcurrency ?? "unbounded",
      discard: true
    })

/** Settles with the success of an effect, also where it comes during an interruption that the effect does not allow. */
const finishing = <A, E, R>(self: Effect.Effect<A, E, R>, settle: (value: A) => void): Effect.Effect<A, E, R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(
      Effect.forkChild(Effect.interruptible(self), { startImmediately: true }),
      (fiber) =>
        restore(Fiber.join(fiber)).pipe(
          Effect.onInterrupt(() =>
            Effect.map(interruptOnceAllowed(fiber), (exit) => Exit.isSuccess(exit) ? settle(exit.value) : undefined)
          ),
          Effect.tap((value) => Effect.sync(() => settle(value)))
        )
    )
  )

// A fiber that is told of its interruption drops what an uninterruptible part of it comes to, so it is told afterwards.
const interruptOnceAllowed = <A, E>(fiber: Fiber.Fiber<A, E>): Effect.Effect<Exit.Exit<A, E>> =>
  Effect.suspend(() => {
    const refuses = hasProperty(fiber, "interruptible") && fiber.interruptible === false
    if (!refuses) return Effect.andThen(Fiber.interrupt(fiber), Fiber.await(fiber))
    const looked = Effect.as(Effect.sleep("5 millis"), undefined)
    return Effect.flatMap(
      Effect.raceFirst(Fiber.await(fiber), looked),
      (exit) => exit === undefined ? interruptOnceAllowed(fiber) : Effect.succeed(exit)
    )
  })

const callTool = <E, R>(
  run: AgentRun<E, R>,
  turn: Turn.Turn,
  call: Turn.TurnCall,
  last: boolean
): Effect.Effect<Tool.Outcome, CallError, R> => {
  const tool = toolOf(run, turn, call, last)
  if (typeof tool === "string") return Effect.succeed(Tool.failure(tool))
  run.toolCalls++
  const { id, name } = call.part
  const { waiting } = run
  const answered = Effect.withFiber((fiber) =>
    guarded(run, tool, call).pipe(
      Effect.map((outcome) => bound(outcome, run.agent.bounds)),
      Effect.flatMap((outcome) =>
        outcome.answer === undefined ? checkResult(run, call, outcome) : checkAnswer(run, outcome)
      ),
      paid(run),
      Effect.provideService(CurrentTool, {
        at: run.at,
        turn: turn.number,
        path: callPath(run.at, turn.number, id),
        counts: undefined,
        id,
        name,
        effect: tool.effect,
        runs: tool.runs,
        waiting: waiting && { fiber, run: waiting },
        maxDepth: run.agent.bounds.maxDepth,
        conversation: Ref.get(run.transcript),
        emit: emitFrom(run)
      })
    )
  )
  return inToolSpan(run.at, tool.definition, call.part, answered)
}

/** Events of a tool go to the run's reader; the usage of agents inside of it counts for the run. */
const emitFrom = <E, R>(run: AgentRun<E, R>) => (events: ReadonlyArray<AgentEvent>): Effect.Effect<void> => {
  for (const event of events) {
    if (event._tag === "TurnFinished") run.usages.push(event.usage)
  }
  return run.emit(Guardrails.checks(run.agent.guardrails, "output") ? events.filter(isNotBy(run.at.voice)) : events)
}

/** Text of a tool in the run's name waits for the agent's guardrails. */
const isNotBy = ({ run }: Place) => (event: AgentEvent): boolean => event._tag !== "TextDelta" || event.run !== run

/** An answer that a tool gave for the agent passes by the same guardrails as its own. */
const checkAnswer = <E, R>(
  { agent, at, emit }: AgentRun<E, R>,
  outcome: Tool.Outcome
): Effect.Effect<Tool.Outcome, GuardrailTripped, R> => {
  const { answer } = outcome
  if (answer === undefined || answer.text === "" || !Guardrails.checks(agent.guardrails, "output")) {
    return Effect.succeed(outcome)
  }
  return Effect.flatMap(Guardrails.checkOutput(agent.guardrails, answer.text), (text) =>
    Effect.as(
      emit([Turn.toText(at, text)]),
      { ...outcome, result: text, answer: { ...answer, text } }
    ))
}

/** A result passes by the tool result guardrails; where one trips, the conversation says so in its place. */
const checkResult = <E, R>(
  { agent: { bounds, guardrails } }: AgentRun<E, R>,
  call: Turn.TurnCall,
  outcome: Tool.Outcome
): Effect.Effect<Tool.Outcome, GuardrailTripped, R> => {
  if (!Guardrails.checks(guardrails, "toolResult")) return Effect.succeed(outcome)
  const { name, params } = call.part
  const { modelOutput, ...rest } = outcome
  const { isFailure, result } = rest
  return Guardrails.checkResult(guardrails, { name, params, result, isFailure, modelOutput }).pipe(
    Effect.map((checked) =>
      checked.result === result && checked.modelOutput === modelOutput
        ? outcome
        : bound({ ...rest, result: checked.result }, bounds)
    ),
    Effect.tapError(({ guardrail }) =>
      Effect.sync(() => Turn.settle(call, Tool.failure(`Left out: guardrail ${guardrail} refused the result`)))
    )
  )
}

/** The tool that a call runs, or why it runs none. */
const toolOf = <E, R>(
  run: AgentRun<E, R>,
  turn: Turn.Turn,
  { part, refusal }: Turn.TurnCall,
  last: boolean
): Tool.Tool<string, R> | string => {
  if (refusal !== undefined) return refusal
  const reason = turn.finish?.reason
  if (reason === "length" || reason === "content-filter") return `Not run: the answer was cut off (${reason})`
  if (last) return "Not run: this was the last turn"
  const tool = run.tools.get(part.name)
  if (tool === undefined) {
    const names = Array.from(run.tools.keys()).join(", ")
    return `There is no tool ${part.name}. The tools are: ${names || "none"}`
  }
  const { maxToolCalls } = run.agent.limits
  if (maxToolCalls === undefined || run.toolCalls < maxToolCalls) return tool
  run.outOfCalls = true
  return `Not run: no more than ${maxToolCalls} tool calls are allowed`
}

const guarded = <E, R>(
  { agent }: AgentRun<E, R>,
  tool: Tool.Tool<string, R>,
  { part }: Turn.TurnCall
): Effect.Effect<Tool.Outcome, CallError, R> => {
  if (agent.guardrails.length === 0) return tool.handle(part.params, part.id)
  const { maxDepth } = agent.bounds
  return Effect.flatMap(Guardrails.checkCall(agent.guardrails, part), ({ params }) => {
    if (params === part.params) return tool.handle(params, part.id)
    const problem = argumentsProblem(params, maxDepth)
    if (problem !== undefined) return Effect.succeed(Tool.failure(problem))
    return Effect.map(tool.handle(params, part.id), (outcome) => ({ params, ...outcome }))
  })
}

/** The call within the budgets, which pay for the agents that the tool runs, too. */
const paid =
  <E, R>({ agent, budgets }: AgentRun<E, R>) =>
  <A, E2, R2>(call: Effect.Effect<A, E2, R2>): Effect.Effect<A, E2 | Budget.BudgetExceeded, R2> => {
    if (budgets.length === 0) return call
    const amount = () => ({ toolCalls: 1 })
    const spent = Budget.spend(call, { budgets, reserve: amount, settle: amount })
    return agent.budget === undefined ? spent : Effect.provideService(spent, Budget.Current, budgets)
  }
