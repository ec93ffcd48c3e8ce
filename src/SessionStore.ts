/**
 * Keeps sessions: what was committed, what is in work, what waits for somebody.
 *
 * A session is a row with a version. A turn is claimed under a lease before its first model call, leaves journal rows on its
 * way, and ends in a commit, which is the next version. A claim that was lost to a higher attempt can write nothing more.
 * Rows are only added: a rewind is a commit on a new branch, and the old one stays. All times are the store's own.
 *
 * Values are JSON: the session encodes and decodes them. `SessionStoreSuite` in effect-troupe/testing checks a store.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { SqlClient } from "effect/sql/SqlClient"
import { SessionStore } from "./internal/store/contract.ts"
import { makeMemory } from "./internal/store/memory.ts"
import type { StoreError } from "./internal/store/storeError.ts"

export {
  /** @since 0.1.0 @category services */
  SessionStore
} from "./internal/store/contract.ts"

export type {
  /** @since 0.1.0 @category models */
  Branch,
  /** @since 0.1.0 @category models */
  CancelRequest,
  /** @since 0.1.0 @category models */
  Changes,
  /** @since 0.1.0 @category models */
  Claim,
  /** @since 0.1.0 @category models */
  Claimed,
  /** @since 0.1.0 @category models */
  ClaimOutcome,
  /** @since 0.1.0 @category models */
  Commit,
  /** @since 0.1.0 @category models */
  DecideOutcome,
  /** @since 0.1.0 @category models */
  Decision,
  /** @since 0.1.0 @category models */
  Head,
  /** @since 0.1.0 @category models */
  HistoryPage,
  /** @since 0.1.0 @category models */
  JournalEntry,
  /** @since 0.1.0 @category models */
  JournalRow,
  /** @since 0.1.0 @category models */
  ListCursor,
  /** @since 0.1.0 @category models */
  ListQuery,
  /** @since 0.1.0 @category models */
  Loaded,
  /** @since 0.1.0 @category models */
  OpenTurn,
  /** @since 0.1.0 @category models */
  PendingCall,
  /** @since 0.1.0 @category models */
  Prompt,
  /** @since 0.1.0 @category models */
  Question,
  /** @since 0.1.0 @category models */
  Removed,
  /** @since 0.1.0 @category models */
  Store,
  /** @since 0.1.0 @category models */
  TurnEnd,
  /** @since 0.1.0 @category models */
  TurnState,
  /** @since 0.1.0 @category models */
  Wake,
  /** @since 0.1.0 @category models */
  Write
} from "./internal/store/contract.ts"

export {
  /** @since 0.1.0 @category errors */
  Conflict,
  /** @since 0.1.0 @category errors */
  Damaged,
  /** @since 0.1.0 @category errors */
  Forbidden,
  /** @since 0.1.0 @category errors */
  InvalidKey,
  /** @since 0.1.0 @category errors */
  NewerFormat,
  /** @since 0.1.0 @category errors */
  NotADatabase,
  /** @since 0.1.0 @category errors */
  NotFound,
  /** @since 0.1.0 @category errors */
  StoreError,
  /** @since 0.1.0 @category errors */
  StoreErrorReason,
  /** @since 0.1.0 @category errors */
  Unavailable
} from "./internal/store/storeError.ts"

/**
 * A store in this process's memory, by Effect's `Clock`: for tests, and where a conversation may end with its process.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerMemory: Layer.Layer<SessionStore> = Layer.effect(SessionStore, makeMemory)

/**
 * A store in the database of a `SqlClient`, Postgres or SQLite: `Sqlite.layer` of effect-troupe/node, `PgClient.layer` of
 * `@effect/sql-pg` (not `multiplex`), or any other client of these two.
 *
 * Tables are named `troupe_...`; they are created, and brought to the current format, when the layer is built. Any number
 * of processes may do that at once. A newer format is refused (`NewerFormat`) and left alone. Leases and expiry go by the
 * clock of the Postgres server; with SQLite, which is part of the process, by Effect's `Clock`.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { SessionStore } from "effect-troupe"
 * import { Sqlite } from "effect-troupe/node"
 *
 * const Store = SessionStore.layerSql.pipe(Layer.provide(Sqlite.layer({ file: "sessions.db" })))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerSql: Layer.Layer<SessionStore, StoreError, SqlClient> = Layer.effect(
  SessionStore,
  // Loaded when it is used: most programs that import the root need no database.
  Effect.flatMap(Effect.promise(() => import("./internal/store/sql.ts")), ({ makeSql }) => makeSql)
)
