/**
 * A session's history, as its owner reads it. Exported through `Session`.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type * as Transcript from "../../Transcript.ts"
import type { Input } from "../agent/protocol.ts"
import type { Commit, OpenTurn as StoredTurn, Store } from "../store/contract.ts"
import type { StoreError } from "../store/storeError.ts"
import * as Codec from "./codec.ts"
import type { Forbidden, NotFound } from "./error.ts"
import type { TurnEnd } from "./event.ts"
import { owned } from "./submit.ts"

/**
 * One version of a session. `turn` is "", `end` undefined and `entries` empty where it is no turn; `at` is milliseconds
 * since 1970 by the store's clock.
 *
 * @since 0.1.0
 * @category models
 */
export interface Version {
  readonly version: number
  /** The version that it builds on. */
  readonly parent: number
  readonly kind: Commit["kind"]
  readonly turn: string
  readonly author: string
  readonly end: TurnEnd | undefined
  readonly entries: ReadonlyArray<Transcript.Entry>
  readonly at: number
}

/**
 * A turn that is not committed: in work, to be taken over (`expired`), or in the queue at a `position` from 1 on.
 *
 * @since 0.1.0
 * @category models
 */
export interface OpenTurn {
  readonly turn: string
  readonly author: string
  readonly input: Input
  readonly status: StoredTurn["status"]
  readonly position: number
  readonly at: number
}

/**
 * A page of a session's history: its versions, newest first, and the one where the next page begins. Only the first page
 * has the turns that are not committed.
 *
 * @since 0.1.0
 * @category models
 */
export interface HistoryPage {
  readonly open: ReadonlyArray<OpenTurn>
  readonly versions: ReadonlyArray<Version>
  readonly next: Option.Option<number>
}

/** A page of the history of a session of this owner. */
export const page = (
  store: Store,
  id: string,
  { from, limit, owner }: { readonly owner: string; readonly from: number | undefined; readonly limit: number }
): Effect.Effect<HistoryPage, StoreError | Forbidden | NotFound> =>
  Effect.gen(function*() {
    const { open } = yield* owned({ id, store }, owner)
    const { commits, next } = yield* store.history(id, { from, limit })
    return { open: from === undefined ? open.map(toOpen) : [], versions: commits.map(toVersion), next }
  })

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const toOpen = ({ at, author, input, position, status, turn }: StoredTurn): OpenTurn => ({
  turn,
  author,
  input: Codec.decodePrompt(input).input,
  status,
  position,
  at
})

const toVersion = ({ at, author, end, entries, kind, parent, turn, version }: Commit): Version => ({
  version,
  parent,
  kind,
  turn,
  author,
  end: kind === "turn" ? Codec.decodeEnd(end) : undefined,
  entries: Codec.decodeEntries(entries),
  at
})
