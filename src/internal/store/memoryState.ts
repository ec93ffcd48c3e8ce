/**
 * What a store in memory holds, and the changes that operations are made of.
 *
 * @internal
 */
import * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import type * as Contract from "./contract.ts"
import { fruitlessOf, statusOf } from "./rules.ts"

export interface State {
  readonly sessions: Map<string, Session>
}

export interface Session {
  head: Contract.Head
  attempt: number
  claimed: string | undefined
  parked: boolean
  until: number
  readonly commits: Map<number, Stored>
  readonly receipts: Map<string, number>
  /** In the order of their arrival. */
  readonly turns: Map<string, TurnRow>
  readonly wakes: Map<string, { readonly wake: Contract.Wake; heldUntil: number }>
}

/** A commit with all state values at its version, by reference. */
export interface Stored {
  readonly commit: Contract.Commit
  readonly states: Readonly<Record<string, Schema.Json>>
}

export interface TurnRow {
  readonly prompt: Contract.Prompt
  readonly at: number
  progress: number | undefined
  cancel: { readonly reason: Schema.Json } | undefined
  readonly journal: Map<string, Contract.JournalRow>
  readonly calls: Map<string, CallRow>
}

export interface CallRow {
  readonly path: string
  readonly kind: Contract.Question["kind"]
  readonly request: Schema.Json
  readonly askedAt: number
  readonly expiresAt: number
  decision: Contract.Decision | undefined
}

export const create = (
  store: State,
  { owner, session: id }: Pick<Contract.Head, "owner" | "session">,
  now: number
): Session => {
  const session: Session = {
    head: { session: id, owner, title: "", tags: [], version: 0, branch: 1, createdAt: now, usedAt: now },
    attempt: 0,
    claimed: undefined,
    parked: false,
    until: 0,
    commits: new Map(),
    receipts: new Map(),
    turns: new Map(),
    wakes: new Map()
  }
  store.sessions.set(id, session)
  return session
}

export const take = (store: State, session: Session, row: TurnRow, lease: number, now: number): Contract.Claimed => {
  const { turn } = row.prompt
  session.attempt++
  session.claimed = turn
  session.parked = false
  session.until = now + lease
  row.progress ??= session.attempt - 1
  touch(store, session, now)
  const journal = [...row.journal.values()]
  return {
    claim: { session: session.head.session, turn, attempt: session.attempt, version: session.head.version },
    turn: openTurns(session, now).find((each) => each.turn === turn)!,
    fruitless: fruitlessOf(session.attempt, row.progress, journal),
    journal,
    calls: callsOf(session, row, now)
  }
}

/** Sessions are in the order of their use, so that the ones to prune come first. */
export const touch = (store: State, session: Session, now: number): void => {
  session.head = { ...session.head, usedAt: now }
  store.sessions.delete(session.head.session)
  store.sessions.set(session.head.session, session)
}

export const endTurn = (session: Session, turn: string): void => {
  session.turns.delete(turn)
  session.claimed = undefined
}

/** The claimed turn first, then those that wait. */
export const openTurns = (session: Session, now: number): ReadonlyArray<Contract.OpenTurn> => {
  const open: Array<Contract.OpenTurn> = []
  const claimed = session.claimed === undefined ? undefined : session.turns.get(session.claimed)
  const show = ({ at, cancel, prompt }: TurnRow, rest: Pick<Contract.OpenTurn, "status" | "attempt" | "position">) =>
    open.push({ ...prompt, at, cancel: Option.map(Option.fromUndefinedOr(cancel), ({ reason }) => reason), ...rest })
  if (claimed !== undefined) show(claimed, { status: statusOf(session, now), attempt: session.attempt, position: 0 })
  let position = 0
  for (const row of session.turns.values()) {
    if (row !== claimed) show(row, { status: "waiting", attempt: 0, position: ++position })
  }
  return open
}

export const receiptOf = (session: Session, turn: string): Contract.Commit | undefined => {
  const version = session.receipts.get(turn)
  return version === undefined ? undefined : session.commits.get(version)!.commit
}

export const callsOf = (session: Session, turn: TurnRow, now: number): ReadonlyArray<Contract.PendingCall> =>
  turn.calls.values().map((call) => toPendingCall(session, turn, call, now)).toArray()

export const toPendingCall = (session: Session, turn: TurnRow, call: CallRow, now: number): Contract.PendingCall => ({
  session: session.head.session,
  owner: session.head.owner,
  turn: turn.prompt.turn,
  path: call.path,
  kind: call.kind,
  request: call.request,
  status: call.decision !== undefined ? "decided" : call.expiresAt <= now ? "expired" : "waiting",
  askedAt: call.askedAt,
  expiresAt: call.expiresAt === Infinity ? Option.none() : Option.some(call.expiresAt),
  decision: Option.fromUndefinedOr(call.decision)
})

export const journalKey = ({ kind, path }: Pick<Contract.JournalEntry, "kind" | "path">): string => `${kind} ${path}`

export const noTurn = { turn: "", hash: "", end: "", entries: [], usage: null, result: null }

/** Adds a commit after `parent`: the head goes on, an earlier version begins a branch. */
export const add = (
  store: State,
  session: Session,
  row: Omit<Contract.Commit, "session" | "version" | "parent" | "branch" | "at">,
  { states, tags, title }: Contract.Changes,
  now: number,
  parent?: Stored
): Contract.Commit => {
  const { head } = session
  const before = parent ?? session.commits.get(head.version)
  const version = head.version + 1
  const branch = parent === undefined ? head.branch : version
  const commit: Contract.Commit = {
    session: head.session,
    version,
    parent: before?.commit.version ?? 0,
    branch,
    kind: row.kind,
    turn: row.turn,
    hash: row.hash,
    attempt: row.attempt,
    author: row.author,
    end: row.end,
    entries: row.entries,
    usage: row.usage,
    result: row.result,
    at: now
  }
  const known = before?.states ?? {}
  session.commits.set(version, { commit, states: states === undefined ? known : { ...known, ...states } })
  if (row.kind === "turn") session.receipts.set(row.turn, version)
  session.head = { ...head, version, branch, title: title ?? head.title, tags: tags ?? head.tags }
  touch(store, session, now)
  return commit
}

/** The commits that lead to a version, newest first. */
export const chain = function*(session: Session, from: number): Generator<Stored> {
  for (let stored = session.commits.get(from); stored !== undefined;) {
    yield stored
    stored = session.commits.get(stored.commit.parent)
  }
}

export const branches = ({ commits, head }: Session): ReadonlyArray<Contract.Branch> => {
  const firsts = commits.values().filter(({ commit }) => commit.branch === commit.version).toArray()
  return firsts.map(({ commit }, index) => ({
    first: commit.version,
    last: index + 1 < firsts.length ? firsts[index + 1]!.commit.version - 1 : head.version,
    parent: commit.parent
  }))
}

export const load = (session: Session, recent: number, now: number): Contract.Loaded => ({
  head: session.head,
  states: session.commits.get(session.head.version)?.states ?? {},
  commits: chain(session, session.head.version).take(recent).map(({ commit }) => commit).toArray().toReversed(),
  open: openTurns(session, now)
})

export const remove = (store: State, sessions: ReadonlyArray<Session>): Contract.Removed => {
  const removed = { sessions: 0, turns: 0, commits: 0, journal: 0, calls: 0, wakes: 0, blobs: 0 }
  for (const session of sessions) {
    store.sessions.delete(session.head.session)
    removed.sessions++
    removed.turns += session.turns.size
    removed.commits += session.commits.size
    removed.wakes += session.wakes.size
    for (const { calls, journal } of session.turns.values()) {
      removed.journal += journal.size
      removed.calls += calls.size
    }
  }
  return removed
}
