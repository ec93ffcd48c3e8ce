/**
 * What the checks of a session store are made of.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type * as Schema from "effect/Schema"
import type * as SessionStore from "../../SessionStore.ts"
import { type BrokenPromise, expect } from "./brokenPromise.ts"

/** A check of one promise. */
export type Check = (fixture: Fixture) => Effect.Effect<void, Failure>

export type Failure = BrokenPromise | SessionStore.StoreError

export interface Fixture {
  readonly store: SessionStore.Store
  /** Three sessions without rows. */
  readonly id: string
  readonly other: string
  readonly third: string
  /** An owner that no other check has. */
  readonly owner: string
  /** A prompt to the session `id`. */
  readonly prompt: (turn: string, changes?: Partial<SessionStore.Prompt>) => SessionStore.Prompt
  /** Claims a prompt's turn, which must be possible. */
  readonly begin: (
    turn: string,
    changes?: Partial<SessionStore.Prompt> & { readonly lease?: number }
  ) => Effect.Effect<SessionStore.Claimed, Failure>
  /** Claims and commits a turn that says its own id. */
  readonly say: (
    turn: string,
    changes?: Partial<SessionStore.Prompt> & Partial<SessionStore.TurnEnd>
  ) => Effect.Effect<SessionStore.Commit, Failure>
  readonly load: (session: string) => Effect.Effect<SessionStore.Loaded, Failure>
  /** The turn ids of a session's branch, oldest first. */
  readonly told: (session: string) => Effect.Effect<ReadonlyArray<string>, Failure>
}

/** The lease of turns that nobody takes over. */
export const LEASE = 60_000

export const makeFixture = (
  store: SessionStore.Store,
  id: string
): Effect.Effect<Fixture, SessionStore.StoreError> => {
  const owner = `${id}-owner`
  const prompt: Fixture["prompt"] = (turn, changes) => ({
    session: id,
    owner,
    turn,
    hash: `hash of ${turn}`,
    author: "ada",
    input: { text: turn },
    ...changes
  })
  const begin: Fixture["begin"] = (turn, { lease = LEASE, ...changes } = {}) =>
    Effect.flatMap(
      store.claim(prompt(turn, changes), { lease, backlog: 0 }),
      (outcome) =>
        outcome._tag === "Claimed"
          ? Effect.succeed(outcome.claimed)
          : Effect.flatMap(
            expect(false, `the turn ${turn} must be claimed, got ${outcome._tag}`),
            () => Effect.never
          )
    )
  const load: Fixture["load"] = (session) =>
    Effect.flatMap(
      store.load(session, { recent: 100 }),
      (loaded) =>
        Option.isSome(loaded)
          ? Effect.succeed(loaded.value)
          : Effect.flatMap(expect(false, `there must be a session ${session}`), () => Effect.never)
    )
  const fixture: Fixture = {
    store,
    id,
    other: `${id}-other`,
    third: `${id}-third`,
    owner,
    prompt,
    begin,
    say: (turn, { author, hash, input, owner, session, ...end } = {}) =>
      Effect.flatMap(
        begin(turn, omitUndefined({ author, hash, input, owner, session })),
        ({ claim }) => store.commit(claim, { ...ends(turn), ...end })
      ),
    load,
    told: (session) => Effect.map(load(session), ({ commits }) => turnsOf(commits))
  }
  return Effect.as(
    Effect.forEach([id, fixture.other, fixture.third], (session) => store.delete(session), { discard: true }),
    fixture
  )
}

/** The end of a turn that says its own id. */
export const ends = (turn: string): SessionStore.TurnEnd => ({
  end: "completed",
  entries: [{ user: turn }, { answer: turn }],
  usage: { tokens: 7 },
  result: { text: `answer to ${turn}` }
})

export const turnsOf = (commits: ReadonlyArray<SessionStore.Commit>): ReadonlyArray<string> =>
  commits.map(({ turn }) => turn)

/** Fails unless the effect fails for this reason. */
export const refused = (
  what: string,
  reason: SessionStore.StoreErrorReason["_tag"],
  effect: Effect.Effect<unknown, Failure>
): Effect.Effect<void, Failure> =>
  Effect.flatMap(Effect.result(effect), (result) =>
    expect(
      Result.isFailure(result) && result.failure._tag === "StoreError" && result.failure.reason._tag === reason,
      `${what} must fail with ${reason}, got ${
        Result.isSuccess(result) ? JSON.stringify(result.success) : result.failure.message
      }`
    ))

/** A text of a large that no compression makes small. */
export const large = (seed: string): Schema.Json => {
  let text = ""
  for (let n = 0; text.length < 100_000; n++) text += `${seed} ${n * 2_654_435_761 % 4_294_967_296} `
  return text
}

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const omitUndefined = (changes: { readonly [K in keyof SessionStore.Prompt]?: SessionStore.Prompt[K] | undefined }) => {
  const kept: Partial<Record<keyof SessionStore.Prompt, Schema.Json>> = {}
  for (const key of ["author", "hash", "input", "owner", "session"] as const) {
    if (changes[key] !== undefined) kept[key] = changes[key]
  }
  return kept as Partial<SessionStore.Prompt>
}
