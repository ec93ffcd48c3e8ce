/**
 * A session store in this process's memory. Each operation is one synchronous step.
 *
 * @internal
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Contract from "./contract.ts"
import {
  add,
  branches,
  callsOf,
  chain,
  create,
  endTurn,
  journalKey,
  load,
  noTurn,
  openTurns,
  receiptOf,
  remove,
  type Session,
  type State,
  take,
  toPendingCall,
  type TurnRow
} from "./memoryState.ts"
import { type Keys, operation } from "./operation.ts"
import { judge, toResume } from "./rules.ts"
import { Conflict, Forbidden, NotFound, type StoreError, type StoreErrorReason } from "./storeError.ts"

/** An empty store. */
export const makeMemory = Effect.sync((): Contract.Store => {
  const store: State = { sessions: new Map() }
  return {
    claim: (prompt, { backlog, lease }) =>
      step("claim", prompt, (now) => claim(store, prompt, backlog, Duration.toMillis(lease), now)),
    resume: (id, { lease, turn }) =>
      step("resume", { session: id, turn }, (now) => {
        const session = store.sessions.get(id)
        const found = session && toResume(openTurns(session, now), turn)
        return found === undefined
          ? Option.none()
          : Option.some(take(store, session!, session!.turns.get(found.turn)!, Duration.toMillis(lease), now))
      }),
    renew: (claim, lease) =>
      held(store, "renew", claim, (session, now) => {
        session.until = now + Duration.toMillis(lease)
      }),
    release: (claim) => held(store, "release", claim, (session) => endTurn(session, claim.turn)),
    withdraw: (id, turn) =>
      step("withdraw", { session: id, turn }, () => {
        const session = store.sessions.get(id)
        return session !== undefined && session.claimed !== turn && session.turns.delete(turn)
      }),
    record: (claim, entry) =>
      step("record", { ...claim, path: entry.path }, () => {
        const session = store.sessions.get(claim.session)
        const turn = session?.turns.get(claim.turn)
        const key = journalKey(entry)
        if (turn === undefined || turn.journal.has(key)) return turn === undefined ? new Conflict() : undefined
        const begun = turn.journal.get(journalKey({ path: entry.path, kind: "intent" }))
        // Who began a call may tell how it ended, also when the turn has a new owner.
        const isOwn = entry.kind === "outcome" && begun?.attempt === claim.attempt
        if (!isOwn && !isHeld(session, claim)) return new Conflict()
        turn.journal.set(key, { ...entry, attempt: claim.attempt })
        return
      }),
    ask: (claim, { expiresIn, kind, path, request }) =>
      held(store, "ask", { ...claim, path }, (session, now) => {
        const { calls } = session.turns.get(claim.turn)!
        if (calls.has(path)) return
        const expiresAt = expiresIn === undefined ? Infinity : now + Duration.toMillis(expiresIn)
        calls.set(path, { path, kind, request, askedAt: now, expiresAt, decision: undefined })
      }),
    park: (claim, paths) =>
      held(store, "park", claim, (session, now) => {
        const turn = session.turns.get(claim.turn)!
        const calls = paths.flatMap((path) => turn.calls.get(path) ?? [])
        if (calls.some(({ decision, expiresAt }) => decision !== undefined || expiresAt <= now)) return false
        turn.progress = claim.attempt
        session.parked = true
        session.until = Math.min(Infinity, ...calls.map(({ expiresAt }) => expiresAt))
        return true
      }),
    commit: (claim, end) =>
      held(store, "commit", claim, (session, now) => {
        const { author, hash } = session.turns.get(claim.turn)!.prompt
        endTurn(session, claim.turn)
        const { entries, result, usage } = end
        return add(
          store,
          session,
          { kind: "turn", ...claim, hash, author, end: end.end, entries, usage, result },
          end,
          now
        )
      }),
    write: (write) =>
      step("write", { session: write.session, owner: write.owner }, (now) => {
        const found = store.sessions.get(write.session)
        if (found !== undefined && found.head.owner !== write.owner) return new Forbidden()
        if ((found?.head.version ?? 0) !== write.version) return new Conflict()
        if (found?.claimed !== undefined && !found.parked) return new Conflict()
        const target = write.rewindTo === undefined ? undefined : found?.commits.get(write.rewindTo)
        if (write.rewindTo !== undefined && target === undefined) return new NotFound()
        const session = found ?? create(store, write, now)
        const row = { ...noTurn, attempt: session.attempt, author: write.author }
        if (target === undefined) return add(store, session, { ...row, kind: "update" }, write, now)
        return add(store, session, { ...row, kind: "rewind" }, write, now, target)
      }),
    fork: (id, { author, to, version }) =>
      step("fork", { session: id, key: to }, (now) => {
        const session = store.sessions.get(id)
        const target = session?.commits.get(version)
        if (session === undefined || target === undefined) return new NotFound()
        if (store.sessions.has(to)) return new Conflict()
        const fork = create(store, { session: to, owner: session.head.owner }, now)
        fork.head = { ...fork.head, version, title: session.head.title, tags: session.head.tags }
        for (const stored of [...chain(session, version)].toReversed()) {
          fork.commits.set(stored.commit.version, { ...stored, commit: { ...stored.commit, session: to } })
          if (stored.commit.kind === "turn") fork.receipts.set(stored.commit.turn, stored.commit.version)
        }
        return add(store, fork, { ...noTurn, kind: "fork", attempt: 0, author }, {}, now, fork.commits.get(version)!)
      }),

    load: (id, { recent }) =>
      step("load", { session: id }, (now) => {
        const session = store.sessions.get(id)
        return session === undefined ? Option.none() : Option.some(load(session, recent, now))
      }),
    history: (id, { from, limit }) =>
      step("history", { session: id }, () => {
        const session = store.sessions.get(id)
        const start = from ?? session?.head.version ?? 0
        if (session === undefined || start !== 0 && !session.commits.has(start)) return new NotFound()
        const commits = chain(session, start).take(limit).map(({ commit }) => commit).toArray()
        const next = commits.length === 0 ? start : commits.at(-1)!.parent
        return { commits, next: next === 0 ? Option.none() : Option.some(next) }
      }),
    branches: (id) =>
      step("branches", { session: id }, () => {
        const session = store.sessions.get(id)
        return session === undefined ? new NotFound() : branches(session)
      }),
    list: ({ after, limit, owner }) =>
      step("list", { owner }, () => {
        const isAfter = ({ session, usedAt }: Contract.Head) =>
          after === undefined || usedAt < after.usedAt || usedAt === after.usedAt && session < after.session
        return store.sessions.values().filter(({ head, turns }) =>
          (head.version > 0 || turns.size > 0) && (owner === undefined || head.owner === owner) && isAfter(head)
        ).map(({ head }) => head).toArray()
          .sort((a, b) => b.usedAt - a.usedAt || (a.session < b.session ? 1 : -1)).slice(0, limit)
      }),
    turn: (id, turn) =>
      step("turn", { session: id, turn }, (now): Contract.TurnState => {
        const session = store.sessions.get(id)
        const receipt = session && receiptOf(session, turn)
        if (receipt !== undefined) return { _tag: "Committed", commit: receipt }
        const row = session?.turns.get(turn)
        if (session === undefined || row === undefined) return { _tag: "Unknown" }
        const open = openTurns(session, now).find((each) => each.turn === turn)!
        return { _tag: "Open", turn: open, journal: [...row.journal.values()], calls: callsOf(session, row, now) }
      }),

    requestCancel: (id, turn, reason) =>
      step("requestCancel", { session: id, turn }, () => {
        const row = store.sessions.get(id)?.turns.get(turn)
        if (row === undefined) return false
        row.cancel ??= { reason }
        return true
      }),
    cancelRequests: step(
      "cancelRequests",
      {},
      () =>
        store.sessions.entries().flatMap(([session, { turns }]) =>
          turns.values().flatMap(({ cancel, prompt }) =>
            cancel === undefined ? [] : [{ session, turn: prompt.turn, reason: cancel.reason }]
          )
        ).toArray()
    ),

    pendingCalls: ({ limit, owner, session: id }) =>
      step("pendingCalls", { owner, session: id }, (now) =>
        store.sessions.values()
          .filter(({ head }) =>
            (owner === undefined || head.owner === owner) && (id === undefined || head.session === id)
          )
          .flatMap((session) => session.turns.values().flatMap((turn) => callsOf(session, turn, now)))
          .filter(({ status }) => status === "waiting").toArray()
          .sort((a, b) => a.askedAt - b.askedAt).slice(0, limit)),
    decide: ({ path, session: id, turn }, { by, value }) =>
      step("decide", { session: id, turn, path }, (now): Contract.DecideOutcome => {
        const session = store.sessions.get(id)
        const row = session?.turns.get(turn)
        const call = row?.calls.get(path)
        if (session === undefined || row === undefined || call === undefined) return { _tag: "Unknown" }
        const shown = toPendingCall(session, row, call, now)
        if (shown.status === "decided") return { _tag: "AlreadyDecided", call: shown }
        if (shown.status === "expired") return { _tag: "Expired", call: shown }
        call.decision = { value, by, at: now }
        if (session.claimed === turn && session.parked) session.until = 0
        return { _tag: "Decided", call: toPendingCall(session, row, call, now) }
      }),

    setWake: (wake, { limit }) =>
      step("setWake", { session: wake.session, owner: wake.owner, key: wake.key }, (now) => {
        const found = store.sessions.get(wake.session)
        if (found !== undefined && found.head.owner !== wake.owner) return "Forbidden"
        if ((found?.wakes.size ?? 0) - (found?.wakes.has(wake.key) ? 1 : 0) >= limit) return "Full"
        const session = found ?? create(store, wake, now)
        session.wakes.set(wake.key, { wake, heldUntil: 0 })
        return "Set"
      }),
    removeWake: (id, key) =>
      step("removeWake", { session: id, key }, () => store.sessions.get(id)?.wakes.delete(key) ?? false),
    dueWakes: ({ hold, limit }) =>
      step("dueWakes", {}, (now) => {
        const due = store.sessions.values().flatMap(({ wakes }) => wakes.values())
          .filter(({ heldUntil, wake }) => wake.at <= now && heldUntil <= now).toArray()
          .sort((a, b) => a.wake.at - b.wake.at).slice(0, limit)
        for (const row of due) row.heldUntil = now + Duration.toMillis(hold)
        return due.map(({ wake }) => wake)
      }),
    delivered: (wake, next) =>
      step("delivered", { session: wake.session, key: wake.key }, () => {
        const wakes = store.sessions.get(wake.session)?.wakes
        if (wakes?.get(wake.key)?.wake.at !== wake.at) return
        if (next === undefined) wakes.delete(wake.key)
        else wakes.set(wake.key, { wake: { ...wake, at: next }, heldUntil: 0 })
      }),

    unfinished: ({ idleFor, limit }) =>
      step("unfinished", {}, (now) => {
        const since = now - Duration.toMillis(idleFor)
        return store.sessions.values().filter(({ claimed, head, turns, until }) =>
          claimed === undefined ? turns.size > 0 && head.usedAt <= since : until <= now
        ).map(({ head }) => head.session).take(limit).toArray()
      }),
    prune: ({ idleFor, limit }) =>
      step("prune", {}, (now) => {
        const since = now - Duration.toMillis(idleFor)
        return remove(
          store,
          store.sessions.values().filter(({ head, turns, wakes }) =>
            turns.size === 0 && wakes.size === 0 && head.usedAt <= since
          ).take(limit).toArray()
        )
      }),
    delete: (id) => step("delete", { session: id }, () => remove(store, [store.sessions.get(id) ?? []].flat())),
    deleteOwner: (owner) =>
      step(
        "deleteOwner",
        { owner },
        () => remove(store, store.sessions.values().filter(({ head }) => head.owner === owner).toArray())
      )
  }
})

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

/** A step gives its value, or the reason why it does nothing. */
const step = <A>(
  name: string,
  keys: Keys,
  run: (now: number) => A
): Effect.Effect<Exclude<A, StoreErrorReason>, StoreError> =>
  operation(
    name,
    keys,
    Clock.clockWith((clock) => {
      const done = run(clock.currentTimeMillisUnsafe())
      return isReason(done) ? Effect.fail(done) : Effect.succeed(done as Exclude<A, StoreErrorReason>)
    })
  )

const isReason = (value: unknown): value is StoreErrorReason =>
  value instanceof Conflict || value instanceof NotFound || value instanceof Forbidden

/** A step that only the owner of a claim may do. */
const held = <A>(
  store: State,
  name: string,
  claim: Contract.Claim & Keys,
  run: (session: Session, now: number) => A
): Effect.Effect<Exclude<A | Conflict, StoreErrorReason>, StoreError> =>
  step(name, claim, (now) => {
    const session = store.sessions.get(claim.session)
    return isHeld(session, claim) ? run(session, now) : new Conflict()
  })

const isHeld = (session: Session | undefined, claim: Contract.Claim): session is Session =>
  session !== undefined && session.claimed === claim.turn && session.attempt === claim.attempt && !session.parked

const claim = (
  store: State,
  prompt: Contract.Prompt,
  backlog: number,
  lease: number,
  now: number
): Contract.ClaimOutcome => {
  const found = store.sessions.get(prompt.session)
  const verdict = judge(prompt, backlog, {
    owner: found?.head.owner,
    receipt: found && receiptOf(found, prompt.turn),
    open: found === undefined ? [] : openTurns(found, now)
  })
  if (verdict._tag !== "Take" && verdict._tag !== "Queue") return verdict
  const session = found ?? create(store, prompt, now)
  const row: TurnRow = session.turns.get(prompt.turn)
    ?? { prompt, at: now, progress: undefined, cancel: undefined, journal: new Map(), calls: new Map() }
  session.turns.set(prompt.turn, row)
  if (verdict._tag === "Take") return { _tag: "Claimed", claimed: take(store, session, row, lease, now) }
  return { _tag: "Waiting", turn: openTurns(session, now).at(-1)! }
}
