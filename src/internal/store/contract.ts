/**
 * The contract of a session store: its rows, its outcomes, its service.
 *
 * @internal
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import type { StoreError } from "./storeError.ts"

/**
 * A message that wants to become a turn. `turn` is its receipt: the same id with the same `hash` is the same turn, with
 * another hash it is a conflict. `owner` is "" for a session of nobody.
 *
 * @since 0.1.0
 * @category models
 */
export interface Prompt {
  readonly session: string
  readonly owner: string
  readonly turn: string
  readonly hash: string
  readonly author: string
  readonly input: Schema.Json
}

/**
 * The right to write one turn: it is lost to whoever claims the turn with a higher attempt. Attempts count all claims of a
 * session. `version` is the session's when the turn was claimed, and the one that the commit builds on.
 *
 * @since 0.1.0
 * @category models
 */
export interface Claim {
  readonly session: string
  readonly turn: string
  readonly attempt: number
  readonly version: number
}

/**
 * A turn without a commit.
 *
 * `running` is claimed under a lease, `expired` was and can be claimed anew, `parked` waits for decisions and holds
 * nobody, `waiting` has not begun and has a `position` in the queue, from 1 on.
 *
 * @since 0.1.0
 * @category models
 */
export interface OpenTurn extends Prompt {
  readonly status: "running" | "expired" | "parked" | "waiting"
  readonly attempt: number
  readonly position: number
  /** Milliseconds since 1970 by the store's clock. */
  readonly at: number
  /** The reason given to `requestCancel`. */
  readonly cancel: Option.Option<Schema.Json>
}

/**
 * What a call of a model or a tool left behind. `path` (member, turn, call) names the call, never the order of arrival;
 * `hash` is the request's. An `intent` without an `outcome` of the same path is a call of which nobody knows whether it
 * happened.
 *
 * @since 0.1.0
 * @category models
 */
export interface JournalEntry {
  readonly path: string
  readonly kind: "answer" | "intent" | "outcome"
  readonly hash: string
  readonly body: Schema.Json
}

/**
 * A journal entry with the attempt that wrote it.
 *
 * @since 0.1.0
 * @category models
 */
export interface JournalRow extends JournalEntry {
  readonly attempt: number
}

/**
 * A call to put on the list of those that wait for somebody: for an approval, for the result of an external tool, or for
 * what became of a call whose outcome is unknown.
 *
 * @since 0.1.0
 * @category models
 */
export interface Question {
  readonly path: string
  readonly kind: "approval" | "external" | "outcome"
  readonly request: Schema.Json
  /** How long it may be decided, from now. Default: forever. */
  readonly expiresIn?: Duration.Input | undefined
}

/**
 * A call that waits for somebody, or was decided in a turn that is still open. Times are milliseconds since 1970 by the
 * store's clock.
 *
 * @since 0.1.0
 * @category models
 */
export interface PendingCall {
  readonly session: string
  readonly owner: string
  readonly turn: string
  readonly path: string
  readonly kind: Question["kind"]
  readonly request: Schema.Json
  readonly status: "waiting" | "decided" | "expired"
  readonly askedAt: number
  readonly expiresAt: Option.Option<number>
  readonly decision: Option.Option<Decision>
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Decision {
  readonly value: Schema.Json
  readonly by: string
  readonly at: number
}

/**
 * A claimed turn with what earlier attempts left behind. `fruitless` counts those that ended before this one and left
 * nothing since the last journal row or decision.
 *
 * @since 0.1.0
 * @category models
 */
export interface Claimed {
  readonly claim: Claim
  readonly turn: OpenTurn
  readonly fruitless: number
  readonly journal: ReadonlyArray<JournalRow>
  readonly calls: ReadonlyArray<PendingCall>
}

/**
 * What becomes of a prompt: it is claimed; it waits in the queue; it is in work elsewhere (`Running`, also when parked); it
 * is done, and the commit is its receipt; the session is busy with another turn and the backlog is full; its id was used
 * with other input; the session belongs to somebody else.
 *
 * @since 0.1.0
 * @category models
 */
export type ClaimOutcome =
  | { readonly _tag: "Claimed"; readonly claimed: Claimed }
  | { readonly _tag: "Waiting"; readonly turn: OpenTurn }
  | { readonly _tag: "Running"; readonly turn: OpenTurn }
  | { readonly _tag: "Committed"; readonly commit: Commit }
  | { readonly _tag: "Busy"; readonly turn: OpenTurn; readonly waiting: number }
  | { readonly _tag: "TurnConflict" }
  | { readonly _tag: "Forbidden" }

/**
 * What changes with a commit, beside its entries: state values by name, title and tags. An absent field changes nothing.
 *
 * @since 0.1.0
 * @category models
 */
export interface Changes {
  readonly states?: Readonly<Record<string, Schema.Json>> | undefined
  readonly title?: string | undefined
  readonly tags?: ReadonlyArray<string> | undefined
}

/**
 * The end of a turn: how it ended, its entries with the user's message first, usage, and the result that the receipt
 * gives to who sends the turn again.
 *
 * @since 0.1.0
 * @category models
 */
export interface TurnEnd extends Changes {
  readonly end: string
  readonly entries: ReadonlyArray<Schema.Json>
  readonly usage: Schema.Json
  readonly result: Schema.Json
}

/**
 * A commit that is no turn: a caller's own change, or with `rewindTo` a new branch that goes on from that version.
 * `version` is the session's as the caller knows it, 0 where there is none yet.
 *
 * @since 0.1.0
 * @category models
 */
export interface Write extends Changes {
  readonly session: string
  readonly owner: string
  readonly author: string
  readonly version: number
  readonly rewindTo?: number | undefined
}

/**
 * One version of a session. `parent` is the version that it builds on; `branch` is the first version of its branch.
 * `turn`, `hash`, `usage` and `result` are "" and null where `kind` is not `turn`; `entries` are empty there.
 *
 * @since 0.1.0
 * @category models
 */
export interface Commit {
  readonly session: string
  readonly version: number
  readonly parent: number
  readonly branch: number
  readonly kind: "turn" | "update" | "rewind" | "fork"
  readonly turn: string
  readonly hash: string
  readonly attempt: number
  readonly author: string
  readonly end: string
  readonly entries: ReadonlyArray<Schema.Json>
  readonly usage: Schema.Json
  readonly result: Schema.Json
  /** Milliseconds since 1970 by the store's clock. */
  readonly at: number
}

/**
 * A session without its content. `version` is 0 before the first commit. Times are milliseconds since 1970 by the store's
 * clock.
 *
 * @since 0.1.0
 * @category models
 */
export interface Head {
  readonly session: string
  readonly owner: string
  readonly title: string
  readonly tags: ReadonlyArray<string>
  readonly version: number
  readonly branch: number
  readonly createdAt: number
  readonly usedAt: number
}

/**
 * A session as it is now: state values by name, the latest commits of its branch (oldest first), the open turns (the claimed
 * one first).
 *
 * @since 0.1.0
 * @category models
 */
export interface Loaded {
  readonly head: Head
  readonly states: Readonly<Record<string, Schema.Json>>
  readonly commits: ReadonlyArray<Commit>
  readonly open: ReadonlyArray<OpenTurn>
}

/**
 * A page of commits, newest first, with the version where the next page goes on.
 *
 * @since 0.1.0
 * @category models
 */
export interface HistoryPage {
  readonly commits: ReadonlyArray<Commit>
  readonly next: Option.Option<number>
}

/**
 * A branch: its first version, the last one, and the version that it goes on from.
 *
 * @since 0.1.0
 * @category models
 */
export interface Branch {
  readonly first: number
  readonly last: number
  readonly parent: number
}

/**
 * Where a page of `list` goes on.
 *
 * @since 0.1.0
 * @category models
 */
export interface ListCursor {
  readonly usedAt: number
  readonly session: string
}

/**
 * Sessions by last use, newest first; those that never had a commit nor an open turn are left out.
 *
 * @since 0.1.0
 * @category models
 */
export interface ListQuery {
  readonly owner?: string | undefined
  readonly after?: ListCursor | undefined
  readonly limit: number
}

/**
 * What is known of a turn id.
 *
 * @since 0.1.0
 * @category models
 */
export type TurnState =
  | { readonly _tag: "Unknown" }
  | {
    readonly _tag: "Open"
    readonly turn: OpenTurn
    readonly journal: ReadonlyArray<JournalRow>
    readonly calls: ReadonlyArray<PendingCall>
  }
  | { readonly _tag: "Committed"; readonly commit: Commit }

/**
 * A turn that somebody wants cancelled. `running` ones belong to their owner; others can be claimed with `resume`.
 *
 * @since 0.1.0
 * @category models
 */
export interface CancelRequest {
  readonly session: string
  readonly turn: string
  readonly reason: Schema.Json
}

/**
 * What a decision meets.
 *
 * @since 0.1.0
 * @category models
 */
export type DecideOutcome =
  | { readonly _tag: "Decided"; readonly call: PendingCall }
  | { readonly _tag: "AlreadyDecided"; readonly call: PendingCall }
  | { readonly _tag: "Expired"; readonly call: PendingCall }
  | { readonly _tag: "Unknown" }

/**
 * A message that a session gets later. `at` is milliseconds since 1970; `cron` is the caller's, to tell the time after.
 *
 * @since 0.1.0
 * @category models
 */
export interface Wake {
  readonly session: string
  readonly owner: string
  readonly key: string
  readonly at: number
  readonly cron: Option.Option<string>
  readonly author: string
  readonly input: Schema.Json
}

/**
 * How many rows were removed.
 *
 * @since 0.1.0
 * @category models
 */
export interface Removed {
  readonly sessions: number
  readonly turns: number
  readonly commits: number
  readonly journal: number
  readonly calls: number
  readonly wakes: number
  readonly blobs: number
}

/**
 * The operations of a store; each is one transaction. All fail with `StoreError`; a claim that is lost is its reason
 * `Conflict`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Store {
  /**
   * Claims a prompt's turn, or puts it in the queue if the session is busy and fewer than `backlog` wait. A turn whose lease
   * is over is claimed again by its own prompt; one that waits, when it is the first and nothing runs.
   */
  readonly claim: (
    prompt: Prompt,
    options: { readonly lease: Duration.Input; readonly backlog: number }
  ) => Effect.Effect<ClaimOutcome, StoreError>
  /**
   * Claims a turn that is there already: the session's expired one, else, if nothing runs or is parked, the first that
   * waits. With `turn` only this one, also when it is parked.
   */
  readonly resume: (
    session: string,
    options: { readonly lease: Duration.Input; readonly turn?: string | undefined }
  ) => Effect.Effect<Option.Option<Claimed>, StoreError>
  /** The lease counts from now again. */
  readonly renew: (claim: Claim, lease: Duration.Input) => Effect.Effect<void, StoreError>
  /** Gives the turn up as if it had never been sent. */
  readonly release: (claim: Claim) => Effect.Effect<void, StoreError>
  /** Takes a turn that waits out of the queue, as if it had never been sent; false if it does not wait. */
  readonly withdraw: (session: string, turn: string) => Effect.Effect<boolean, StoreError>
  /** Adds a journal row; a second time does nothing. */
  readonly record: (claim: Claim, entry: JournalEntry) => Effect.Effect<void, StoreError>
  /** Puts a call on the list of those that wait; a second time does nothing. */
  readonly ask: (claim: Claim, question: Question) => Effect.Effect<void, StoreError>
  /**
   * Gives the claim up until one of the calls of these paths is decided or expires, then the turn is `expired`. False, and
   * the claim stays, if that has happened already.
   */
  readonly park: (claim: Claim, paths: ReadonlyArray<string>) => Effect.Effect<boolean, StoreError>
  /** Ends the turn as the next version and removes its journal and its calls. */
  readonly commit: (claim: Claim, end: TurnEnd) => Effect.Effect<Commit, StoreError>
  /** Commits without a turn. `Conflict` if the version is another or a turn is claimed; a parked one is no hindrance. */
  readonly write: (write: Write) => Effect.Effect<Commit, StoreError>
  /** A new session with the versions up to this one and the owner of the old, and a commit `fork` after them. */
  readonly fork: (
    session: string,
    options: { readonly to: string; readonly version: number; readonly author: string }
  ) => Effect.Effect<Commit, StoreError>

  /** A session with its latest `recent` commits. */
  readonly load: (
    session: string,
    options: { readonly recent: number }
  ) => Effect.Effect<Option.Option<Loaded>, StoreError>
  /** The commits that lead to the version `from` (default: the head), newest first. */
  readonly history: (
    session: string,
    options: { readonly from?: number | undefined; readonly limit: number }
  ) => Effect.Effect<HistoryPage, StoreError>
  readonly branches: (session: string) => Effect.Effect<ReadonlyArray<Branch>, StoreError>
  readonly list: (query: ListQuery) => Effect.Effect<ReadonlyArray<Head>, StoreError>
  /** What became of a turn: also the answer to a commit whose outcome is unknown. */
  readonly turn: (session: string, turn: string) => Effect.Effect<TurnState, StoreError>

  /** Asks whoever owns an open turn to cancel it; false if there is none. The first reason stays. */
  readonly requestCancel: (
    session: string,
    turn: string,
    reason: Schema.Json
  ) => Effect.Effect<boolean, StoreError>
  /** The open turns that somebody wants cancelled, of all sessions. */
  readonly cancelRequests: Effect.Effect<ReadonlyArray<CancelRequest>, StoreError>

  /** The calls that wait now, longest first. */
  readonly pendingCalls: (query: {
    readonly owner?: string | undefined
    readonly session?: string | undefined
    readonly limit: number
  }) => Effect.Effect<ReadonlyArray<PendingCall>, StoreError>
  /** Decides a call that waits, once, and lets its parked turn go on. */
  readonly decide: (
    call: { readonly session: string; readonly turn: string; readonly path: string },
    decision: { readonly value: Schema.Json; readonly by: string }
  ) => Effect.Effect<DecideOutcome, StoreError>

  /** Sets the wake of this key, or replaces it. `Full` if the session has `limit` others. */
  readonly setWake: (
    wake: Wake,
    options: { readonly limit: number }
  ) => Effect.Effect<"Set" | "Full" | "Forbidden", StoreError>
  /** False if there is none. */
  readonly removeWake: (session: string, key: string) => Effect.Effect<boolean, StoreError>
  /** Takes wakes whose time has come. Nobody else gets them for `hold`; then, if not `delivered`, they are due again. */
  readonly dueWakes: (options: {
    readonly limit: number
    readonly hold: Duration.Input
  }) => Effect.Effect<ReadonlyArray<Wake>, StoreError>
  /** Removes a wake, or sets its `next` time, unless it was changed since. */
  readonly delivered: (wake: Wake, next?: number | undefined) => Effect.Effect<void, StoreError>

  /**
   * Sessions that need somebody: with an expired turn, or with turns that wait while nothing has happened for `idleFor`.
   */
  readonly unfinished: (options: {
    readonly limit: number
    readonly idleFor: Duration.Input
  }) => Effect.Effect<ReadonlyArray<string>, StoreError>
  /** Removes up to `limit` sessions that were not used for `idleFor`; those with open turns or wakes are spared. */
  readonly prune: (options: {
    readonly idleFor: Duration.Input
    readonly limit: number
  }) => Effect.Effect<Removed, StoreError>
  readonly delete: (session: string) => Effect.Effect<Removed, StoreError>
  readonly deleteOwner: (owner: string) => Effect.Effect<Removed, StoreError>
}

/**
 * Where sessions are kept: what was committed, what is in work, what waits.
 *
 * @since 0.1.0
 * @category services
 */
export class SessionStore extends Context.Service<SessionStore, Store>()("effect-troupe/SessionStore") {}
