/**
 * What every memory promises, as checks that run in any test framework.
 *
 * @since 0.1.0
 */
import * as Prompt from "effect/ai/Prompt"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { type BrokenPromise, expect } from "../internal/testing/brokenPromise.ts"
import * as Memory from "../Memory.ts"
import * as Transcript from "../Transcript.ts"

export {
  /** @since 0.1.0 @category errors */
  BrokenPromise
} from "../internal/testing/brokenPromise.ts"

/**
 * A promise of the contract. `check` builds the memory afresh and fails with `BrokenPromise` if it is not kept.
 *
 * @since 0.1.0
 * @category models
 */
export interface Promised<E, R> {
  readonly name: string
  readonly check: Effect.Effect<void, BrokenPromise | Memory.SearchFailed | E, R>
}

/**
 * The promises of a memory, to be checked one by one.
 *
 * The layer's model and embeddings, if it has any, must work: use `Scripted.model` and fixed vectors. A `search` must find
 * an entry by its exact text.
 *
 * @example
 * ```ts
 * import { it } from "@effect/vitest"
 * import { Memory } from "effect-troupe"
 * import { MemoryContract } from "effect-troupe/testing"
 *
 * for (const { check, name } of MemoryContract.promises(Memory.buffer(20))) it.effect(name, () => check)
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const promises = <E, R>(layer: Layer.Layer<Memory.Memory, E, R>): ReadonlyArray<Promised<E, R>> =>
  Object.entries(checks).map(([name, check]) => ({
    name,
    check: Effect.provide(check, Layer.fresh(layer))
  }))

/**
 * Fails unless a window is one that the memory may give after these entries.
 *
 * @since 0.1.0
 * @category checks
 */
export const checkWindow = (
  entries: ReadonlyArray<Transcript.Entry>,
  window: Transcript.Transcript
): Effect.Effect<void, BrokenPromise> =>
  Effect.gen(function*() {
    const all = entries.map(toKey)
    const prompt = all[entries.findLastIndex((entry) => entry._tag === "User" && entry.content.length > 0)]
    const shown = window.entries.filter((entry, index) => index > 0 || !Memory.isSummary(entry)).map(toKey)
    if (prompt === undefined) {
      return yield* expect(
        window.entries.length === 0,
        `without a prompt there is nothing to ask, got ${short(shown[0])}`
      )
    }
    yield* expect(window.entries[0]?._tag === "User", `a window must begin with a user entry, got ${short(shown[0])}`)
    yield* expect(shown.includes(prompt), `the newest prompt must be in the window: ${short(prompt)}`)
    yield* expect(
      shown.at(-1) === all.at(-1),
      `a window must end with the newest entry ${short(all.at(-1))}, got ${short(shown.at(-1))}`
    )
    let from = 0
    for (const key of shown) {
      const at = all.indexOf(key, from)
      yield* expect(
        at >= 0,
        `the window's entries must be the conversation's own, once and in order, got ${short(key)}`
      )
      from = at + 1
    }
  })

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

/** Entries that were stored and read again are other objects, so they are compared by their encoding. */
const toKey = (entry: Transcript.Entry): string => JSON.stringify(Schema.encodeSync(Transcript.Entry)(entry))

const short = (key: string | undefined): string => key === undefined ? "nothing" : key.slice(0, 200)

const answer = (...content: ReadonlyArray<Transcript.AnswerPart>): Transcript.Entry => ({
  _tag: "Answer",
  agent: "assistant",
  content
})

const says = (text: string): Transcript.Entry => answer(Prompt.textPart({ text }))

const calls = (id: string): Transcript.Entry =>
  answer({
    type: "tool-use",
    id,
    name: "look_up",
    params: { id },
    result: `the value of ${id}`,
    isFailure: false,
    providerExecuted: false,
    options: {},
    resultOptions: {}
  })

const exchanges = (count: number): ReadonlyArray<Transcript.Entry> =>
  Array.from({ length: count }, (_, index) => [
    Transcript.user(`What is behind door ${index}?`),
    calls(`door-${index}`),
    says(`Behind door ${index} is a goat.`)
  ]).flat()

const searched = Transcript.user("The lighthouse keeper counts seven gulls")

const checks: Readonly<Record<string, Effect.Effect<void, BrokenPromise | Memory.SearchFailed, Memory.Memory>>> = {
  "a memory that was told nothing has an empty window": Effect.gen(function*() {
    const memory = yield* Memory.Memory
    yield* memory.append([])
    yield* checkWindow([], yield* memory.window)
  }),

  "after every entry the window begins with a user entry, has the newest prompt, ends with the newest entry": Effect
    .gen(
      function*() {
        const memory = yield* Memory.Memory
        const told: Array<Transcript.Entry> = []
        for (const entry of exchanges(30)) {
          yield* memory.append([entry])
          told.push(entry)
          yield* checkWindow(told, yield* memory.window)
        }
      }
    ),

  "answers from before the first prompt are not in the window": Effect.gen(function*() {
    const memory = yield* Memory.Memory
    const entries = [says("Welcome!"), ...exchanges(1)]
    yield* memory.append(entries.slice(0, 1))
    yield* checkWindow(entries.slice(0, 1), yield* memory.window)
    yield* memory.append(entries.slice(1))
    yield* checkWindow(entries, yield* memory.window)
  }),

  "a run of many turns keeps its prompt": Effect.gen(function*() {
    const memory = yield* Memory.Memory
    const entries = [
      ...exchanges(3),
      Transcript.user("Open them all."),
      ...Array.from({ length: 100 }, (_, n) => calls(`all-${n}`))
    ]
    yield* memory.append(entries)
    yield* checkWindow(entries, yield* memory.window)
  }),

  "an entry of any size is kept while it is the newest": Effect.gen(function*() {
    const memory = yield* Memory.Memory
    const entries = [...exchanges(3), Transcript.user("long ".repeat(20_000))]
    yield* memory.append(entries)
    yield* checkWindow(entries, yield* memory.window)
    yield* memory.append([says("longer ".repeat(20_000))])
    yield* checkWindow([...entries, says("longer ".repeat(20_000))], yield* memory.window)
  }),

  "reading the window changes nothing": Effect.gen(function*() {
    const memory = yield* Memory.Memory
    yield* memory.append(exchanges(30))
    const first = (yield* memory.window).entries.map(toKey)
    const second = (yield* memory.window).entries.map(toKey)
    yield* expect(first.join() === second.join(), "two windows with nothing said between them must be the same")
  }),

  "a search finds an entry by its text, wherever it is in the conversation": Effect.gen(function*() {
    const memory = yield* Memory.Memory
    yield* memory.append([searched, says("Noted."), ...exchanges(30)])
    const [found] = yield* memory.search(Transcript.text(searched))
    yield* expect(
      found !== undefined && toKey(found) === toKey(searched),
      "the entry with the query's text must come first"
    )
  }),

  "a search answers with no more entries than its limit": Effect.gen(function*() {
    const memory = yield* Memory.Memory
    yield* memory.append(exchanges(10))
    const found = yield* memory.search("What is behind door 3?", { limit: 2 })
    yield* expect(found.length <= 2, `the limit is 2, got ${found.length} entries`)
  }),

  "an entry that was taken out is as if it had never been there": Effect.gen(function*() {
    const memory = yield* Memory.Memory
    const entries = exchanges(30)
    yield* memory.append([...entries, searched])
    yield* memory.window
    yield* memory.retract
    yield* checkWindow(entries, yield* memory.window)
    const found = yield* memory.search(Transcript.text(searched))
    yield* expect(found.every((entry) => toKey(entry) !== toKey(searched)), "a search must not find what was taken out")
    const more = [searched, says("Noted.")]
    yield* memory.append(more)
    yield* checkWindow([...entries, ...more], yield* memory.window)
  }),

  "a cleared memory is as good as new": Effect.gen(function*() {
    const memory = yield* Memory.Memory
    yield* memory.append([searched, ...exchanges(30)])
    yield* memory.window
    yield* memory.clear
    yield* checkWindow([], yield* memory.window)
    const found = yield* memory.search(Transcript.text(searched))
    yield* expect(found.length === 0, "a search must find nothing of what was cleared")
    const entries = exchanges(2)
    yield* memory.append(entries)
    yield* checkWindow(entries, yield* memory.window)
  })
}
