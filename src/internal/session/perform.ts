/**
 * Works on one claimed turn: runs the agent, and ends the turn however that goes.
 *
 * @internal
 */
import type * as Response from "effect/ai/Response"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import { AgentError, MemberFailed } from "../../AgentError.ts"
import type { AgentEvent, AgentResponse } from "../../AgentEvent.ts"
import * as Transcript from "../../Transcript.ts"
import type { ActorError } from "../actor/actorError.ts"
import * as Pushed from "../pushed.ts"
import type { Claim, Claimed } from "../store/contract.ts"
import { heard } from "./broken.ts"
import * as Codec from "./codec.ts"
import { AgentFailed, Cancelled, ConcurrentWrite, fromStore, ShuttingDown, Unreachable } from "./error.ts"
import { broken, finish, lost, type Outcome } from "./finish.ts"
import { LEASE, logOf, recall, type Session } from "./session.ts"
import * as TurnLog from "./turnLog.ts"

/** Runs and commits a turn. Its readers hear how it ends, in any case. */
export const perform = (self: Session, claimed: Claimed): Effect.Effect<void> =>
  Effect.uninterruptibleMask((interruptible) =>
    Effect.gen(function*() {
      const { claim, turn } = claimed
      const log = logOf(self, claim.turn)
      const usages: Array<Response.Usage> = []
      log.attempt = claim.attempt
      self.running = log
      self.changes = new Map()
      if (Option.isSome(turn.cancel)) Deferred.doneUnsafe(log.stop, Effect.void)
      const exit = yield* Effect.exit(interruptible(attempt(self, claimed, log, usages)))
      const outcome = Exit.isSuccess(exit)
        ? exit.value
        : Cause.hasInterruptsOnly(exit.cause)
        ? broken("interrupted", new ShuttingDown(), heard(log))
        : yield* exit
      yield* finish(self, claim, log, outcome, { input: Codec.decodePrompt(turn.input).input, usages })
      self.claimed.shift()
      self.running = undefined
    })
  )

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const attempt = (
  self: Session,
  { claim, fruitless, turn }: Claimed,
  log: TurnLog.TurnLog,
  usages: Array<Response.Usage>
): Effect.Effect<Outcome> => {
  const answered = Effect.gen(function*() {
    self.memory = { ...yield* recall(self, claim), attempt: claim.attempt }
    // A turn that somebody else has begun is not run again: nobody knows how far it got.
    if (fruitless > 0) return broken("lost", new Unreachable({ problem: "the process that worked on it went away" }))
    return yield* runAgent(self, Codec.decodePrompt(turn.input), log, usages)
  })
  return Effect.raceAllFirst([
    Effect.catch(answered, (error) => Effect.succeed(lost(fromStore(error)))),
    Effect.as(Deferred.await(log.stop), broken("cancelled", new Cancelled())),
    Effect.as(keep(self, claim), lost(new ConcurrentWrite()))
  ])
}

const runAgent = (
  self: Session,
  { context, input }: Codec.Prompt,
  log: TurnLog.TurnLog,
  usages: Array<Response.Usage>
): Effect.Effect<Outcome> => {
  let response: AgentResponse | undefined
  const note = (events: ReadonlyArray<AgentEvent>) =>
    Effect.sync(() => {
      for (const event of events) {
        if (event._tag === "TurnFinished") usages.push(event.usage)
        else if (event._tag === "Completed") response = event.response
      }
      TurnLog.add(log, events)
    })
  return Effect.matchEffect(Pushed.runForEach(self.agent.stream("Run", { input, context }), note), {
    onFailure: (error) => Effect.succeed(failed(self, log, error)),
    onSuccess: () =>
      response === undefined
        ? Effect.die(new Error("Session: the agent's events must end with Completed"))
        : Effect.succeed<Outcome>({ _tag: "Completed", response })
  })
}

const failed = (self: Session, log: TurnLog.TurnLog, error: AgentError | ActorError): Outcome => {
  if (error._tag === "AgentError") return broken("failed", new AgentFailed({ error }), error.transcript.entries)
  const entries = heard(log)
  if (error.reason._tag === "Stopped") return broken("interrupted", new ShuttingDown(), entries)
  const { agent } = self.definition.behavior
  const failure = new AgentError({ agent, reason: new MemberFailed({ error }), transcript: Transcript.make(entries) })
  return broken("failed", new AgentFailed({ error: failure }), entries)
}

/** Renews the claim, until it is lost. */
const keep = Effect.fnUntraced(function*(self: Session, claim: Claim) {
  let until = (yield* Clock.currentTimeMillis) + LEASE
  while (true) {
    yield* Effect.sleep(LEASE / 3)
    const renewed = yield* Effect.result(self.store.renew(claim, LEASE))
    const now = yield* Clock.currentTimeMillis
    if (Result.isSuccess(renewed)) until = now + LEASE
    else if (renewed.failure.reason._tag !== "Unavailable" || now >= until) return
  }
})
