/**
 * A session in memory: its conversation as the store has it, and the turns that this process knows of.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import * as Semaphore from "effect/Semaphore"
import * as Transcript from "../../Transcript.ts"
import type { AgentBehavior, LocalAgentRef } from "../agent/protocol.ts"
import type { Claim, Claimed, Commit, Store } from "../store/contract.ts"
import type { StoreError } from "../store/storeError.ts"
import { decodeEntries } from "./codec.ts"
import * as TurnLog from "./turnLog.ts"

/** A session's definition, ready to be run. */
export interface Definition {
  readonly name: string
  readonly behavior: AgentBehavior<unknown, never, never>
  readonly whenBusy: WhenBusy
  readonly backlog: number
  readonly keepPartial: boolean
  readonly maxTurnBytes: number
}

/**
 * What a prompt does that meets another turn in work: it waits (`"queue"`), fails (`"reject"`), takes the place of those
 * that wait (`"latest"`), or of the one in work, too (`"interrupt"`).
 *
 * @since 0.1.0
 * @category models
 */
export type WhenBusy = "queue" | "reject" | "latest" | "interrupt"

export interface Session {
  readonly id: string
  readonly definition: Definition
  readonly store: Store
  readonly agent: LocalAgentRef<never>
  /** The open turns that somebody reads, or that run here. */
  readonly logs: Map<string, TurnLog.TurnLog>
  /** Turns that were claimed and have not begun. */
  readonly claimed: Array<Claimed>
  /** Prompts are taken in their order. */
  readonly submitting: Semaphore.Semaphore
  /** Held by the turn that runs, or by a write. */
  readonly committing: Semaphore.Semaphore
  /** Opened when there may be something to do. */
  readonly news: Latch.Latch
  working: boolean
  running: TurnLog.TurnLog | undefined
  memory: Memory | undefined
  /** State values of the turn that runs. */
  changes: Map<string, Schema.Json>
}

/** What the agent knows: the conversation until a version. `attempt` is that of the latest claim here. */
export interface Memory {
  readonly version: number
  readonly attempt: number
  readonly transcript: Transcript.Transcript
  readonly states: Readonly<Record<string, Schema.Json>>
}

/** How long a claim holds without being renewed, in milliseconds. */
export const LEASE = 15_000

export const make = (options: Pick<Session, "id" | "definition" | "store" | "agent">): Session => ({
  ...options,
  logs: new Map(),
  claimed: [],
  submitting: Semaphore.makeUnsafe(1),
  committing: Semaphore.makeUnsafe(1),
  news: Latch.makeUnsafe(false),
  working: false,
  running: undefined,
  memory: undefined,
  changes: new Map()
})

/** The log of a turn: the one that is there, or a new one. */
export const logOf = (self: Session, turn: string): TurnLog.TurnLog => {
  const log = self.logs.get(turn) ?? TurnLog.make(self.id, turn, self.definition.maxTurnBytes)
  self.logs.set(turn, log)
  return log
}

/** Ends a turn for its readers. */
export const endLog = (self: Session, turn: string, ending: TurnLog.Ending): void => {
  const log = self.logs.get(turn)
  self.logs.delete(turn)
  if (log !== undefined) TurnLog.end(log, ending)
}

/**
 * What a claimed turn builds on: what is in memory, if nobody else has claimed or written since, else what the store has.
 */
export const recall = (self: Session, claim: Claim): Effect.Effect<Memory, StoreError> => {
  const { memory } = self
  if (memory?.version === claim.version && memory.attempt + 1 === claim.attempt) return Effect.succeed(memory)
  return Effect.gen(function*() {
    const commits: Array<ReadonlyArray<Commit>> = []
    const loaded = Option.getOrUndefined(yield* self.store.load(self.id, { recent: PAGE }))
    const recent = loaded?.commits ?? []
    let from = recent.length < PAGE ? 0 : recent[0]!.parent
    while (from > 0) {
      const page = yield* self.store.history(self.id, { from, limit: PAGE })
      commits.unshift(page.commits.toReversed())
      from = Option.getOrElse(page.next, () => 0)
    }
    commits.push(recent)
    const transcript = Transcript.make(commits.flat().flatMap(({ entries }) => decodeEntries(entries)))
    yield* restore(self, transcript)
    return { version: claim.version, attempt: claim.attempt, transcript, states: loaded?.states ?? {} }
  })
}

/** Lets the agent go on with this conversation. One that can't is gone, and the session begins again with another. */
export const restore = (self: Session, transcript: Transcript.Transcript): Effect.Effect<void> =>
  Effect.orDie(self.agent.ask("Restore", { transcript }))

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

/** How many commits are read at once. */
const PAGE = 200
