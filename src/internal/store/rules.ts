/**
 * Who gets a turn: the rules of claims, the same for all stores.
 *
 * @internal
 */
import type { ClaimOutcome, Commit, JournalRow, OpenTurn, Prompt } from "./contract.ts"

/** The claim of a session, as its row has it; `until` is the end of the lease, or of the wait of a parked turn. */
export interface ClaimState {
  readonly parked: boolean
  readonly until: number
}

/** `parked` and `running` until their time is over. */
export const statusOf = ({ parked, until }: ClaimState, now: number): "running" | "parked" | "expired" =>
  until <= now ? "expired" : parked ? "parked" : "running"

/** What a prompt meets: `Take` the turn, `Queue` it, or an answer. */
export const judge = (
  prompt: Prompt,
  backlog: number,
  found: {
    readonly owner: string | undefined
    readonly receipt: Commit | undefined
    readonly open: ReadonlyArray<OpenTurn>
  }
): ClaimOutcome | { readonly _tag: "Take" } | { readonly _tag: "Queue" } => {
  if (found.owner !== undefined && found.owner !== prompt.owner) return { _tag: "Forbidden" }
  if (found.receipt !== undefined) {
    return found.receipt.hash === prompt.hash ? { _tag: "Committed", commit: found.receipt } : { _tag: "TurnConflict" }
  }
  const own = found.open.find(({ turn }) => turn === prompt.turn)
  const claimed = found.open.find(({ status }) => status !== "waiting")
  if (own !== undefined) {
    if (own.hash !== prompt.hash) return { _tag: "TurnConflict" }
    if (own.status === "expired") return { _tag: "Take" }
    if (own.status !== "waiting") return { _tag: "Running", turn: own }
    return claimed === undefined && own.position === 1 ? { _tag: "Take" } : { _tag: "Waiting", turn: own }
  }
  const first = claimed ?? found.open[0]
  if (first === undefined) return { _tag: "Take" }
  const waiting = found.open.length - (claimed === undefined ? 0 : 1)
  return waiting < backlog ? { _tag: "Queue" } : { _tag: "Busy", turn: first, waiting }
}

/** The open turn that `resume` takes, if any. */
export const toResume = (open: ReadonlyArray<OpenTurn>, turn: string | undefined): OpenTurn | undefined => {
  const claimed = open.find(({ status }) => status !== "waiting")
  const wanted = turn === undefined ? claimed ?? open[0] : open.find((each) => each.turn === turn)
  if (wanted === undefined) return undefined
  if (wanted.status === "waiting") return claimed === undefined ? wanted : undefined
  return wanted.status === "expired" || turn !== undefined && wanted.status === "parked" ? wanted : undefined
}

/** `progress` is the last attempt before the first claim, or the last one that parked. */
export const fruitlessOf = (attempt: number, progress: number, journal: ReadonlyArray<JournalRow>): number =>
  attempt - 1 - journal.reduce((latest, row) => Math.max(latest, row.attempt), progress)
