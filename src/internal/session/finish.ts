/**
 * The end of a turn: its commit, and how its readers hear of it.
 *
 * @internal
 */
import type * as Response from "effect/ai/Response"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type { AgentResponse } from "../../AgentEvent.ts"
import * as Transcript from "../../Transcript.ts"
import type { Input } from "../agent/protocol.ts"
import * as Turn from "../agent/turn.ts"
import type { Claim, Commit, TurnEnd as StoredEnd } from "../store/contract.ts"
import type { StoreError } from "../store/storeError.ts"
import * as Broken from "./broken.ts"
import * as Codec from "./codec.ts"
import { fromStore, type SessionErrorReason } from "./error.ts"
import type { TurnEnd } from "./event.ts"
import { endLog, restore, type Session } from "./session.ts"
import type { TurnLog } from "./turnLog.ts"

/** How the work on a turn ended. `Lost` leaves it to whoever owns it now. */
export type Outcome =
  | { readonly _tag: "Completed"; readonly response: AgentResponse }
  | {
    readonly _tag: "Broken"
    readonly end: TurnEnd
    readonly reason: SessionErrorReason
    readonly entries: ReadonlyArray<Transcript.Entry>
  }
  | { readonly _tag: "Lost"; readonly reason: SessionErrorReason }

export const lost = (reason: SessionErrorReason): Outcome => ({ _tag: "Lost", reason })

export const broken = (
  end: TurnEnd,
  reason: SessionErrorReason,
  entries: ReadonlyArray<Transcript.Entry> = []
): Outcome => ({ _tag: "Broken", end, reason, entries })

/** Ends a turn in the store, in memory and for its readers. */
export const finish = (
  self: Session,
  claim: Claim,
  log: TurnLog,
  outcome: Outcome,
  { input, usages }: { readonly input: Input; readonly usages: ReadonlyArray<Response.Usage> }
): Effect.Effect<void> => {
  switch (outcome._tag) {
    case "Lost":
      return forget(self, claim, outcome.reason)
    case "Completed": {
      const { response } = outcome
      return commit(self, claim, response.transcript.entries, {
        end: "completed",
        usage: response.usage,
        receipt: { response }
      })
    }
    case "Broken": {
      const { end, reason } = outcome
      if (!log.seen && (end === "failed" || end === "interrupted")) return leaveNothing(self, claim, outcome)
      return Effect.flatMap(entriesOf(self, log, outcome), (entries) => {
        const { behavior, keepPartial } = self.definition
        const closed = Broken.close(entries, { agent: behavior.agent, input, end, keepPartial })
        const usage = Turn.sumUsage(usages)
        return Effect.andThen(
          commit(self, claim, closed, { end, usage, receipt: { failure: reason } }),
          goOn(self, end)
        )
      })
    }
  }
}

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

/** What a cancelled run has added to the agent's conversation; where that is gone with its actor, what readers heard. */
const entriesOf = (
  { agent, memory }: Session,
  log: TurnLog,
  { end, entries }: Outcome & { readonly _tag: "Broken" }
): Effect.Effect<ReadonlyArray<Transcript.Entry>> => {
  if (end !== "cancelled") return Effect.succeed(entries)
  return Effect.match(agent.ask("Transcript"), {
    onFailure: () => Broken.heard(log),
    onSuccess: (transcript) => memory === undefined ? [] : transcript.entries.slice(memory.transcript.length)
  })
}

/** The agent goes on with the conversation as it was committed. */
const goOn = (self: Session, end: TurnEnd): Effect.Effect<void> =>
  Effect.suspend(() => {
    // An agent that is being stopped will not go on; the next one asks the store.
    if (end === "interrupted") self.memory = undefined
    return self.memory === undefined ? Effect.void : restore(self, self.memory.transcript)
  })

const leaveNothing = (self: Session, claim: Claim, { end, reason }: Outcome & { readonly _tag: "Broken" }) =>
  Effect.matchEffect(self.store.release(claim), {
    onFailure: () => forget(self, claim, reason),
    onSuccess: () => {
      endLog(self, claim.turn, { failure: reason })
      return goOn(self, end)
    }
  })

/** What is in memory may no longer be the session: the next turn asks the store. */
const forget = (self: Session, claim: Claim, reason: SessionErrorReason): Effect.Effect<void> =>
  Effect.sync(() => {
    self.memory = undefined
    endLog(self, claim.turn, { failure: reason })
  })

const commit = (
  self: Session,
  claim: Claim,
  entries: ReadonlyArray<Transcript.Entry>,
  { end, receipt, usage }: {
    readonly end: TurnEnd
    readonly usage: Response.Usage
    readonly receipt: Parameters<typeof Codec.encodeReceipt>[0]
  }
): Effect.Effect<void> =>
  Effect.suspend(() => {
    const states = Object.fromEntries(self.changes)
    const committed = commitOnce(self, claim, {
      end,
      entries: Codec.encodeEntries(entries),
      usage: Codec.encodeUsage(usage),
      result: Codec.encodeReceipt(receipt),
      ...(self.changes.size > 0 && { states })
    })
    return Effect.matchEffect(committed, {
      onFailure: (error) => forget(self, claim, fromStore(error)),
      onSuccess: ({ version }) =>
        Effect.sync(() => {
          const { memory } = self
          self.memory = memory && {
            ...memory,
            version,
            transcript: Transcript.append(memory.transcript, ...entries),
            states: { ...memory.states, ...states }
          }
          const { failure, response } = receipt
          const last = { _tag: "Committed" as const, version, end, ...(response !== undefined && { response }) }
          endLog(self, claim.turn, { committed: last, failure })
        })
    })
  })

/** Where nobody knows whether a commit has happened, the store is asked, and it is tried again if it has not. */
const commitOnce = ({ store }: Session, claim: Claim, end: StoredEnd): Effect.Effect<Commit, StoreError> =>
  store.commit(claim, end).pipe(
    Effect.catch((error) =>
      Effect.flatMap(
        store.turn(claim.session, claim.turn),
        (found) =>
          found._tag === "Committed" && found.commit.attempt === claim.attempt
            ? Effect.succeed(found.commit)
            : Effect.fail(error)
      )
    ),
    Effect.retry({
      schedule: Schedule.exponential("100 millis"),
      times: 5,
      while: ({ reason }) => reason._tag === "Unavailable"
    })
  )
