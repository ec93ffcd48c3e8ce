/**
 * Versions, branches and lists as statements.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import { retype } from "../retype.ts"
import type * as Contract from "./contract.ts"
import { type Database, type Failure, type Row, run, toNumber, toText } from "./database.ts"
import { fromKey, toKey } from "./keys.ts"
import { COMMIT, type Rows, toHead, toPointers } from "./rows.ts"
import { encodeBody, encodeChanges } from "./sqlTurns.ts"
import { Conflict, Forbidden, NotFound } from "./storeError.ts"

type Sessions = Pick<
  Contract.Store,
  "write" | "fork" | "load" | "history" | "branches" | "list" | "turn"
>

export const makeSessions = (db: Database, rows: Rows): Sessions => {
  const head = db.query(
    `select session, owner, title, tags, version, branch, cast(states as text) as states, created_at,
    used_at, turn, hash, author, input, turn_at, attempt, cancel, parked, until, {now} as time
    from troupe_sessions where session = :session`
  )
  const commitAt = db.query(`select version, parent, branch, cast(states as text) as states from troupe_commits
    where session = :session and version = :version`)
  const page = db.query(`select ${COMMIT} from troupe_commits
    where session = :session and version between :first and :last order by version desc limit :limit`)
  const changesAt = db.query(`select version, changes from troupe_commits
    where session = :session and version in (select cast(v as {int}) from ${
    db.dialect === "pg"
      ? "json_array_elements_text(cast(:versions as json)) as e(v)"
      : "(select value as v from json_each(:versions))"
  })`)
  const advance = db.query(`update troupe_sessions set version = :version, branch = :branch,
      states = cast(:states as ${db.dialect === "pg" ? "jsonb" : "text"}), title = :title, tags = :tags, used_at = {now}
    where session = :session returning used_at`)
  const addCommit = db.query(`insert into troupe_commits (session, version, parent, branch, kind, turn, hash, attempt,
      author, ended, body, changes, states, title, tags, made_at)
    values (:session, :version, :parent, :branch, :kind, '', '', :attempt, :author, '', :body, :changes,
      cast(:states as ${db.dialect === "pg" ? "jsonb" : "text"}), :title, :tags, :at)`)
  const createFork = db.query(`insert into troupe_sessions
    (session, owner, title, tags, version, branch, states, created_at, used_at, attempt)
    select cast(:to as text), owner, title, tags, cast(:version as {int}), 1, states, {now}, {now}, 0
    from troupe_sessions where session = :session on conflict do nothing returning title, tags`)
  const copyCommits = db.query(`insert into troupe_commits (session, version, parent, branch, kind, turn, hash, attempt,
      author, ended, body, changes, states, title, tags, made_at)
    select cast(:to as text), version, parent, branch, kind, turn, hash, attempt, author, ended, body, changes, states,
      title, tags, made_at
    from troupe_commits where session = :session and version between :first and :last`)
  const shareBlobs = db.query(`update troupe_blobs set uses = uses + 1
    where hash in (select hash from troupe_blob_uses where session = :session)`)
  const copyUses = db.query(`insert into troupe_blob_uses (session, hash)
    select cast(:to as text), hash from troupe_blob_uses where session = :session`)
  const branches = db.query(`select version, parent from troupe_commits
    where session = :session and (version = 1 or kind in ('rewind', 'fork')) order by version`)
  const list = (where: string) =>
    db.query(`select session, owner, title, tags, version, branch, created_at, used_at from troupe_sessions s
      where ${where} and (version > 0 or turn is not null
        or exists (select 1 from troupe_turns t where t.session = s.session))
      order by used_at desc, session desc limit :limit`)
  const after = "(used_at < :at or used_at = :at and session < :session)"
  const lists = {
    all: list("1 = 1"),
    allAfter: list(after),
    owned: list("owner = :owner"),
    ownedAfter: list(`owner = :owner and ${after}`)
  }

  /** The parts of branches that lead to a version, latest first. */
  const rangesTo = Effect.fnUntraced(function*(session: string, version: number) {
    const ranges: Array<{ readonly first: number; readonly last: number }> = []
    let target: Row | undefined
    for (let last = version; last > 0;) {
      const [row] = yield* commitAt({ session, version: last })
      if (row === undefined) return yield* new NotFound()
      target ??= row
      const first = toNumber(row.branch)
      ranges.push({ first, last })
      const [begin] = first === last ? [row] : yield* commitAt({ session, version: first })
      last = toNumber(begin?.parent ?? 0)
    }
    return { ranges, target }
  })

  /** The commits that lead to a version, newest first. */
  const commitsTo = Effect.fnUntraced(function*(session: string, from: number, branch: number, limit: number) {
    const found: Array<Row> = []
    for (let last = from, first = branch; last > 0 && found.length < limit;) {
      found.push(...yield* page({ session, first, last, limit: limit - found.length }))
      const oldest = found.at(-1)
      if (oldest === undefined || found.length === limit) break
      last = toNumber(oldest.parent)
      if (last > 0) first = toNumber((yield* commitAt({ session, version: last }))[0]?.branch)
    }
    return found
  })

  const statesAt = Effect.fnUntraced(function*(session: string, pointers: ReadonlyMap<string, number>) {
    if (pointers.size === 0) return {}
    const found = yield* changesAt({ session, versions: JSON.stringify([...new Set(pointers.values())].map(String)) })
    const changes = yield* rows.decode(found.map((row) => toText(row.changes)))
    const byVersion = new Map(found.map(({ version }, index) => [
      toNumber(version),
      retype<Record<string, Schema.Json>>(changes[index])
    ]))
    return Object.fromEntries([...pointers].map(([key, version]) => [fromKey(key), byVersion.get(version)![key]!]))
  })

  /** Adds a commit that is no turn to a locked session. */
  const add = Effect.fnUntraced(function*(
    session: { readonly id: string; readonly title: string; readonly tags: string; readonly attempt: number },
    commit: Pick<Contract.Commit, "kind" | "version" | "parent" | "branch" | "author">,
    pointers: ReadonlyMap<string, number>,
    { states = {}, tags, title }: Contract.Changes
  ): Effect.fn.Return<Contract.Commit, Failure> {
    const body = yield* encodeBody([], null, null)
    const changes = yield* encodeChanges(states)
    const key = toKey(session.id)
    const pointed = JSON.stringify(Object.fromEntries([
      ...pointers,
      ...Object.keys(states).map((name): [string, number] => [toKey(name), commit.version])
    ]))
    const { author, branch, kind, parent, version } = commit
    const names = {
      title: title === undefined ? null : toKey(title),
      tags: tags === undefined ? null : JSON.stringify(tags)
    }
    const write = Effect.gen(function*() {
      const [row] = yield* advance({
        session: key,
        version,
        branch,
        states: pointed,
        title: names.title ?? session.title,
        tags: names.tags ?? session.tags
      })
      const at = toNumber(row!.used_at)
      yield* addCommit({
        session: key,
        version,
        parent,
        branch,
        kind,
        attempt: session.attempt,
        author: toKey(author),
        body: body.text,
        changes: changes?.text ?? null,
        states: pointed,
        ...names,
        at
      })
      return at
    })
    const at = yield* rows.withBlobs(key, changes === undefined ? [] : [changes], write)
    const nothing = { turn: "", hash: "", end: "", entries: [], usage: null, result: null }
    return { session: session.id, ...commit, ...nothing, attempt: session.attempt, at }
  })

  return {
    write: (write) =>
      run(
        "write",
        { session: write.session, owner: write.owner },
        db.transaction(Effect.gen(function*() {
          const key = toKey(write.session)
          const row = yield* rows.lockOrCreate(key, toKey(write.owner))
          if (fromKey(toText(row.owner)) !== write.owner) return yield* new Forbidden()
          const isClaimed = row.turn !== null && toNumber(row.parked) === 0
          if (toNumber(row.version) !== write.version || isClaimed) return yield* new Conflict()
          const session = {
            id: write.session,
            title: toText(row.title),
            tags: toText(row.tags),
            attempt: toNumber(row.attempt)
          }
          const version = write.version + 1
          const { author, rewindTo } = write
          if (rewindTo === undefined) {
            const commit = {
              kind: "update",
              version,
              parent: write.version,
              branch: toNumber(row.branch),
              author
            } as const
            return yield* add(session, commit, toPointers(row), write)
          }
          const [target] = yield* commitAt({ session: key, version: rewindTo })
          if (target === undefined) return yield* new NotFound()
          const commit = { kind: "rewind", version, parent: rewindTo, branch: version, author } as const
          return yield* add(session, commit, toPointers(target), write)
        }))
      ),
    fork: (session, { author, to, version }) =>
      run(
        "fork",
        { session, key: to },
        db.transaction(Effect.gen(function*() {
          const ids = { session: toKey(session), to: toKey(to) }
          if ((yield* rows.lock(ids.session)) === undefined) return yield* new NotFound()
          const { ranges, target } = yield* rangesTo(ids.session, version)
          if (target === undefined) return yield* new NotFound()
          const [created] = yield* createFork({ ...ids, version })
          if (created === undefined) return yield* new Conflict()
          for (const range of ranges) yield* copyCommits({ ...ids, ...range })
          yield* rows.lockBlobs({ sessions: JSON.stringify([ids.session]) })
          yield* shareBlobs(ids)
          yield* copyUses(ids)
          return yield* add(
            { id: to, title: toText(created.title), tags: toText(created.tags), attempt: 0 },
            { kind: "fork", version: version + 1, parent: version, branch: version + 1, author },
            toPointers(target),
            {}
          )
        }))
      ),
    load: (session, { recent }) =>
      run(
        "load",
        { session },
        Effect.gen(function*() {
          const key = toKey(session)
          // Before the session: a turn that stops waiting between the two is seen twice, not never.
          const waiting = yield* rows.waiting(key)
          const [row] = yield* head({ session: key })
          if (row === undefined) return Option.none()
          const found = yield* commitsTo(key, toNumber(row.version), toNumber(row.branch), recent)
          return Option.some({
            head: toHead(row),
            states: yield* statesAt(key, toPointers(row)),
            commits: (yield* rows.commits(found)).toReversed(),
            open: yield* rows.open(row, waiting)
          })
        })
      ),
    history: (session, { from, limit }) =>
      run(
        "history",
        { session },
        Effect.gen(function*() {
          const key = toKey(session)
          const [start] = yield* from === undefined ? head({ session: key }) : commitAt({ session: key, version: from })
          if (start === undefined) return yield* new NotFound()
          const version = toNumber(start.version)
          const found = yield* commitsTo(key, version, toNumber(start.branch), limit)
          const next = toNumber(found.at(-1)?.parent ?? version)
          return { commits: yield* rows.commits(found), next: next === 0 ? Option.none() : Option.some(next) }
        })
      ),
    branches: (session) =>
      run(
        "branches",
        { session },
        Effect.gen(function*() {
          const firsts = yield* branches({ session: toKey(session) })
          const [row] = yield* head({ session: toKey(session) })
          if (row === undefined) return yield* new NotFound()
          return firsts.map(({ parent, version }, index) => ({
            first: toNumber(version),
            last: index + 1 < firsts.length ? toNumber(firsts[index + 1]!.version) - 1 : toNumber(row.version),
            parent: toNumber(parent)
          }))
        })
      ),
    list: ({ after, limit, owner }) => {
      const values = { owner: toKey(owner ?? ""), at: after?.usedAt ?? 0, session: toKey(after?.session ?? ""), limit }
      const which = owner === undefined
        ? after === undefined ? lists.all : lists.allAfter
        : after === undefined
        ? lists.owned
        : lists.ownedAfter
      return run("list", { owner }, Effect.map(which(values), (found) => found.map(toHead)))
    },
    turn: (session, turn) =>
      run(
        "turn",
        { session, turn },
        Effect.gen(function*() {
          const ids = { session: toKey(session), turn: toKey(turn) }
          // In the order of a turn's life, so that it is found wherever it goes meanwhile.
          const waiting = yield* rows.waiting(ids.session)
          const [row] = yield* head({ session: ids.session })
          const open = (yield* rows.open(row, waiting)).find((each) => each.turn === turn)
          if (row !== undefined && open !== undefined) {
            const journal = yield* rows.journal(ids.session, ids.turn)
            return { _tag: "Open" as const, turn: open, journal, calls: yield* rows.calls(ids.session, ids.turn) }
          }
          const commit = yield* rows.receipt(ids.session, ids.turn)
          return commit === undefined ? { _tag: "Unknown" as const } : { _tag: "Committed" as const, commit }
        })
      )
  }
}
