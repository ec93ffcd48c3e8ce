/**
 * Claims, journals and commits as statements. One statement claims a session that is free, and one commits; a transaction
 * decides all other cases by the common rules.
 *
 * @internal
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Contract from "./contract.ts"
import { type Database, type Failure, type Row, run, toNumber, toText } from "./database.ts"
import { fromKey, toKey } from "./keys.ts"
import { FOREVER, type Rows } from "./rows.ts"
import { fruitlessOf, judge, toResume } from "./rules.ts"
import { Conflict } from "./storeError.ts"
import { encode, encodeAll, type Encoded, encodeSmall } from "./values.ts"

type Turns = Pick<
  Contract.Store,
  "claim" | "resume" | "renew" | "release" | "withdraw" | "record" | "ask" | "park" | "commit"
>

const HELD = "session = :session and turn = :turn and attempt = :attempt and parked = 0"

export const makeTurns = (db: Database, rows: Rows): Turns => {
  // The last condition finds what was committed since this statement began: the one before did not see its receipt.
  const claimFree = db.query(`insert into troupe_sessions
    (session, owner, title, tags, version, branch, states, created_at, used_at,
      attempt, turn, hash, author, input, turn_at, progress, parked, until)
    values (:session, :owner, '', '[]', 0, 1, '{}', {now}, {now},
      1, :turn, :hash, :author, :input, {now}, 0, 0, {now} + cast(:lease as {int}))
    on conflict (session) do update set attempt = troupe_sessions.attempt + 1, turn = excluded.turn,
      hash = excluded.hash, author = excluded.author, input = excluded.input, turn_at = excluded.turn_at,
      progress = troupe_sessions.attempt, parked = 0, until = excluded.until, used_at = excluded.used_at
    where troupe_sessions.turn is null and troupe_sessions.owner = excluded.owner
      and not exists (select 1 from troupe_turns t where t.session = excluded.session)
      and not exists (select 1 from troupe_commits c where c.session = excluded.session and c.turn = excluded.turn)
      and troupe_sessions.version = (select b.version from troupe_sessions b where b.session = excluded.session)
    returning version, attempt, turn_at`)
  const take = db.query(`update troupe_sessions set attempt = attempt + 1, turn = :turn, hash = :hash, author = :author,
      input = :input, turn_at = :at, cancel = :cancel, progress = :progress, parked = 0, used_at = {now},
      until = {now} + cast(:lease as {int})
    where session = :session returning version, attempt`)
  const again = db.query(`update troupe_sessions set attempt = attempt + 1, parked = 0, used_at = {now},
      until = {now} + cast(:lease as {int})
    where session = :session returning version, attempt`)
  const queue = db.query(`insert into troupe_turns (session, turn, place, hash, author, input, turn_at)
    values (:session, :turn, cast(:place as {int}), :hash, :author, :input, {now})`)
  const unqueue = db.query("delete from troupe_turns where session = :session and turn = :turn returning 1 as done")
  const renew = db.query(
    `update troupe_sessions set until = {now} + cast(:lease as {int}) where ${HELD} returning 1 as done`
  )
  const free = db.query(
    `update troupe_sessions set turn = null, input = null, cancel = null where ${HELD} returning 1 as done`
  )
  const clearJournal = db.query("delete from troupe_journal where session = :session and turn = :turn")
  const clearCalls = db.query("delete from troupe_calls where session = :session and turn = :turn")
  const record = db.query(`insert into troupe_journal (session, turn, path, kind, hash, body, attempt)
    select s.session, s.turn, cast(:path as text), cast(:kind as text), cast(:hash as text), cast(:body as text),
      cast(:attempt as {int})
    from troupe_sessions s where s.session = :session and s.turn = :turn and (
      s.attempt = cast(:attempt as {int}) and s.parked = 0 or cast(:kind as text) = 'outcome' and exists (
        select 1 from troupe_journal i where i.session = :session and i.turn = :turn and i.path = :path
          and i.kind = 'intent' and i.attempt = cast(:attempt as {int})))
    {share} on conflict do nothing returning 1 as done`)
  const isRecorded = db.query(`select 1 as done from troupe_journal
    where session = :session and turn = :turn and path = :path and kind = :kind`)
  const ask = db.query(`insert into troupe_calls (session, turn, path, kind, request, asked_at, expires_at)
    select s.session, s.turn, cast(:path as text), cast(:kind as text), cast(:request as text), {now},
      {now} + cast(:expires as {int})
    from troupe_sessions s where s.session = :session and s.turn = :turn and s.attempt = cast(:attempt as {int})
      and s.parked = 0
    {share} on conflict do nothing returning 1 as done`)
  const isHeld = db.query(`select 1 as done from troupe_sessions where ${HELD}`)
  const lockHeld = db.query(`select attempt from troupe_sessions where ${HELD} {lock}`)
  const park = db.query(
    "update troupe_sessions set parked = 1, progress = attempt, until = :until where session = :session"
  )
  const commit = db.query(db.dialect === "pg" ? commitPg : commitSqlite)

  const toClaim = (session: string, turn: string, row: Row): Contract.Claim => ({
    session,
    turn,
    attempt: toNumber(row.attempt),
    version: toNumber(row.version)
  })

  /** Claims an open turn of a locked session: the claimed one anew, or one that waits. */
  const takeOpen = Effect.fnUntraced(
    function*(session: Row, waiting: ReadonlyArray<Row>, turn: Contract.OpenTurn, lease: number) {
      const ids = { session: toKey(turn.session), turn: toKey(turn.turn) }
      const queued = waiting.find((row) => row.turn === ids.turn)
      if (queued === undefined) {
        const [row] = yield* again({ session: ids.session, lease })
        const claim = toClaim(turn.session, turn.turn, row!)
        const journal = yield* rows.journal(ids.session, ids.turn)
        return {
          claim,
          turn: { ...turn, status: "running" as const, attempt: claim.attempt },
          fruitless: fruitlessOf(claim.attempt, toNumber(session.progress), journal),
          journal,
          calls: yield* rows.calls(ids.session, ids.turn)
        }
      }
      const { author, cancel, hash, input, turn_at: at } = queued
      const [row] = yield* take({
        ...ids,
        hash: toText(hash),
        author: toText(author),
        input: toText(input),
        at: toNumber(at),
        cancel: cancel === null ? null : toText(cancel),
        progress: toNumber(session.attempt),
        lease
      })
      yield* unqueue(ids)
      const claim = toClaim(turn.session, turn.turn, row!)
      return fresh(claim, { ...turn, status: "running", attempt: claim.attempt, position: 0 })
    }
  )

  /** A turn that has left nothing yet. */
  const fresh = (claim: Contract.Claim, turn: Contract.OpenTurn): Contract.Claimed => ({
    claim,
    turn,
    fruitless: 0,
    journal: [],
    calls: []
  })

  const claimByRules = Effect.fnUntraced(
    function*(prompt: Contract.Prompt, input: string, backlog: number, lease: number) {
      const ids = { session: toKey(prompt.session), turn: toKey(prompt.turn) }
      const session = yield* rows.lockOrCreate(ids.session, toKey(prompt.owner))
      const waiting = yield* rows.waiting(ids.session)
      const open = yield* rows.open(session, waiting)
      const receipt = yield* rows.receipt(ids.session, ids.turn)
      const verdict = judge(prompt, backlog, { owner: fromKey(toText(session.owner)), receipt, open })
      if (verdict._tag !== "Take" && verdict._tag !== "Queue") return verdict
      const known = open.find(({ turn }) => turn === prompt.turn)
      if (known !== undefined) {
        return { _tag: "Claimed" as const, claimed: yield* takeOpen(session, waiting, known, lease) }
      }
      const values = { ...ids, hash: toKey(prompt.hash), author: toKey(prompt.author), input }
      const at = toNumber(session.time)
      if (verdict._tag === "Queue") {
        yield* queue({ ...values, place: toNumber(waiting.at(-1)?.place ?? 0) + 1 })
        return {
          _tag: "Waiting" as const,
          turn: toOpen(prompt, { status: "waiting", attempt: 0, position: waiting.length + 1, at })
        }
      }
      const [row] = yield* take({ ...values, at, cancel: null, progress: toNumber(session.attempt), lease })
      const claim = toClaim(prompt.session, prompt.turn, row!)
      const turn = toOpen(prompt, { status: "running", attempt: claim.attempt, position: 0, at })
      return { _tag: "Claimed" as const, claimed: fresh(claim, turn) }
    }
  )

  return {
    claim: (prompt, options) => {
      const lease = toMillis(options.lease)
      const claim = (input: Encoded): Effect.Effect<Contract.ClaimOutcome, Failure> =>
        Effect.flatMap(
          claimFree({
            session: toKey(prompt.session),
            owner: toKey(prompt.owner),
            turn: toKey(prompt.turn),
            hash: toKey(prompt.hash),
            author: toKey(prompt.author),
            input: input.text,
            lease
          }),
          ([row]) => {
            if (row === undefined) return db.transaction(claimByRules(prompt, input.text, options.backlog, lease))
            const claim = toClaim(prompt.session, prompt.turn, row)
            const place = { status: "running", attempt: claim.attempt, position: 0, at: toNumber(row.turn_at) } as const
            return Effect.succeed({ _tag: "Claimed", claimed: fresh(claim, toOpen(prompt, place)) })
          }
        )
      return run(
        "claim",
        prompt,
        Effect.flatMap(
          encode(prompt.input),
          (input) =>
            rows.withBlobs(
              toKey(prompt.session),
              [input],
              claim(input),
              ({ _tag }) => _tag === "Claimed" || _tag === "Waiting"
            )
        )
      )
    },
    resume: (session, { lease, turn }) =>
      run(
        "resume",
        { session, turn },
        db.transaction(Effect.gen(function*() {
          const row = yield* rows.lock(toKey(session))
          if (row === undefined) return Option.none()
          const waiting = yield* rows.waiting(toKey(session))
          const found = toResume(yield* rows.open(row, waiting), turn)
          return found === undefined
            ? Option.none()
            : Option.some(yield* takeOpen(row, waiting, found, toMillis(lease)))
        }))
      ),
    renew: (claim, lease) =>
      run("renew", claim, Effect.asVoid(orConflict(renew({ ...toHeld(claim), lease: toMillis(lease) })))),
    release: (claim) =>
      run(
        "release",
        claim,
        db.transaction(
          Effect.andThen(
            orConflict(free(toHeld(claim))),
            Effect.andThen(clearJournal(toHeld(claim)), clearCalls(toHeld(claim)))
          )
        ).pipe(Effect.asVoid)
      ),
    withdraw: (session, turn) =>
      run(
        "withdraw",
        { session, turn },
        db.transaction(Effect.gen(function*() {
          // Whoever claims the turn locks the session first.
          yield* rows.lock(toKey(session))
          return (yield* unqueue({ session: toKey(session), turn: toKey(turn) })).length > 0
        }))
      ),
    record: (claim, { body, hash, kind, path }) =>
      run(
        "record",
        { ...claim, path },
        Effect.flatMap(encode(body), (encoded) => {
          const values = { ...toHeld(claim), path: toKey(path), kind, hash: toKey(hash), body: encoded.text }
          return rows.withBlobs(toKey(claim.session), [encoded], orElse(record(values), orConflict(isRecorded(values))))
        })
      ),
    ask: (claim, { expiresIn, kind, path, request }) =>
      run(
        "ask",
        { ...claim, path },
        Effect.flatMap(encode(request), (encoded) => {
          const expires = expiresIn === undefined ? null : toMillis(expiresIn)
          const values = { ...toHeld(claim), path: toKey(path), kind, request: encoded.text, expires }
          return rows.withBlobs(toKey(claim.session), [encoded], orElse(ask(values), orConflict(isHeld(values))))
        })
      ),
    park: (claim, paths) =>
      run(
        "park",
        claim,
        db.transaction(Effect.gen(function*() {
          const held = toHeld(claim)
          yield* orConflict(lockHeld(held))
          const calls = (yield* rows.calls(held.session, held.turn)).filter(({ path }) => paths.includes(path))
          if (calls.some(({ status }) => status !== "waiting")) return false
          const until = Math.min(...calls.map(({ expiresAt }) => Option.getOrElse(expiresAt, () => FOREVER)), FOREVER)
          yield* park({ session: held.session, until })
          return true
        }))
      ),
    commit: (claim, { end, entries, result, states = {}, tags, title, usage }) =>
      run(
        "commit",
        claim,
        Effect.gen(function*() {
          const body = yield* encodeBody(entries, usage, result)
          const changes = yield* encodeChanges(states)
          const version = claim.version + 1
          const committed = orConflict(commit({
            ...toHeld(claim),
            version: claim.version,
            ended: toKey(end),
            body: body.text,
            changes: changes?.text ?? null,
            pointers: JSON.stringify(Object.fromEntries(Object.keys(states).map((name) => [toKey(name), version]))),
            title: title === undefined ? null : toKey(title),
            tags: tags === undefined ? null : JSON.stringify(tags)
          }))
          const [row] = yield* rows.withBlobs(
            toKey(claim.session),
            changes === undefined ? [body] : [body, changes],
            committed
          )
          return {
            session: claim.session,
            version,
            parent: claim.version,
            branch: toNumber(row!.branch),
            kind: "turn" as const,
            turn: claim.turn,
            hash: fromKey(toText(row!.hash)),
            attempt: claim.attempt,
            author: fromKey(toText(row!.author)),
            end,
            entries,
            usage,
            result,
            at: toNumber(row!.made_at)
          }
        })
      )
  }
}

/** The text of a commit's entries, usage and result: each entry may be a blob, the list of them is none. */
export const encodeBody = (
  entries: Contract.Commit["entries"],
  usage: Contract.Commit["usage"],
  result: Contract.Commit["result"]
): Effect.Effect<Encoded> => {
  const small = encodeSmall({ entries, usage, result })
  if (small !== undefined) return Effect.succeed(small)
  return Effect.map(encodeAll([...entries, usage, result]), (encoded) => {
    const texts = encoded.map(({ text }) => text)
    const [usage, result] = texts.splice(-2)
    return {
      text: `{"entries":[${texts.join(",")}],"usage":${usage},"result":${result}}`,
      blobs: encoded.flatMap(({ blobs }) => blobs)
    }
  })
}

/** State values by name, as a commit has them; none if there are no changes. */
export const encodeChanges = (states: NonNullable<Contract.Changes["states"]>): Effect.Effect<Encoded | undefined> => {
  const names = Object.keys(states)
  if (names.length === 0) return Effect.undefined
  return Effect.map(encodeAll(Object.values(states)), (encoded) => ({
    text: `{${encoded.map(({ text }, index) => `${JSON.stringify(toKey(names[index]!))}:${text}`).join(",")}}`,
    blobs: encoded.flatMap(({ blobs }) => blobs)
  }))
}

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

/** The rest is done by a trigger (`schema.ts`). */
const commitSqlite = `insert into troupe_commits (session, version, parent, branch, kind, turn, hash, attempt, author,
    ended, body, changes, states, title, tags, made_at)
  select session, version + 1, version, branch, 'turn', turn, hash, attempt, author,
    :ended, :body, :changes, json_patch(states, :pointers), :title, :tags, {now}
  from troupe_sessions where ${HELD} and version = :version
  returning branch, hash, author, made_at`

const commitPg = `with s as (
    update troupe_sessions set version = version + 1, states = states || cast(:pointers as jsonb),
      title = coalesce(cast(:title as text), title), tags = coalesce(cast(:tags as text), tags), used_at = {now},
      turn = null, input = null, cancel = null
    where ${HELD} and version = cast(:version as bigint)
    returning session, version, branch, hash, author, attempt, states, used_at),
  j as (delete from troupe_journal where session = :session and turn = :turn and exists (select 1 from s)),
  c as (delete from troupe_calls where session = :session and turn = :turn and exists (select 1 from s))
  insert into troupe_commits (session, version, parent, branch, kind, turn, hash, attempt, author,
    ended, body, changes, states, title, tags, made_at)
  select session, version, version - 1, branch, 'turn', cast(:turn as text), hash, attempt, author,
    cast(:ended as text), cast(:body as text), cast(:changes as text), states, cast(:title as text), cast(:tags as text),
    used_at
  from s returning branch, hash, author, made_at`

const toHeld = ({ attempt, session, turn }: Contract.Claim) => ({ session: toKey(session), turn: toKey(turn), attempt })

const toMillis = (input: Duration.Input): number => Math.min(Math.round(Duration.toMillis(input)), FOREVER / 2)

const toOpen = (
  prompt: Contract.Prompt,
  place: Pick<Contract.OpenTurn, "status" | "attempt" | "position" | "at">
): Contract.OpenTurn => ({ ...prompt, cancel: Option.none(), ...place })

/** A statement that finds nothing is a conflict. */
const orConflict = <A>(query: Effect.Effect<ReadonlyArray<A>, Failure>): Effect.Effect<ReadonlyArray<A>, Failure> =>
  Effect.flatMap(query, (rows) => rows.length === 0 ? Effect.fail(new Conflict()) : Effect.succeed(rows))

const orElse = <A>(
  query: Effect.Effect<ReadonlyArray<A>, Failure>,
  other: Effect.Effect<unknown, Failure>
): Effect.Effect<void, Failure> =>
  Effect.flatMap(query, (rows) => rows.length === 0 ? Effect.asVoid(other) : Effect.void)
