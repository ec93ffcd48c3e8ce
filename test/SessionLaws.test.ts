import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Option } from "effect"
import * as fc from "fast-check"
import * as Agent from "../src/Agent.ts"
import * as Scripted from "../src/Llm/Scripted.ts"
import * as Session from "../src/Session.ts"
import * as SessionStore from "../src/SessionStore.ts"
import { pass } from "./fixtures/actors.ts"
import { conversation, process, said, watch } from "./fixtures/sessions.ts"
import { sqliteFile } from "./fixtures/stores.ts"

/** Says its prompt's number at once, and that it is done a second later. */
const model: Scripted.Answer = (request) => {
  const last = request.prompt.content.at(-1)!
  const text = last.role === "user" && last.content[0]?.type === "text" ? last.content[0].text : "?"
  return text.endsWith("!")
    ? [Scripted.text(`half of ${text}`), Scripted.text(""), Scripted.delay("1 second"), Scripted.cut]
    : [Scripted.text(`half of ${text}`), Scripted.delay("1 second"), Scripted.text(", whole")]
}

const Law = Session.make("law", { agent: Agent.make("bot") })

type Step =
  | { readonly _tag: "turn"; readonly process: 0 | 1; readonly fails: boolean; readonly cancelled: boolean }
  | { readonly _tag: "again"; readonly process: 0 | 1; readonly turn: number }
  | { readonly _tag: "rewind"; readonly process: 0 | 1; readonly version: number }
  | { readonly _tag: "restart"; readonly process: 0 | 1 }

const at = fc.constantFrom<0 | 1>(0, 1)

const steps: fc.Arbitrary<ReadonlyArray<Step>> = fc.array(
  fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({
        _tag: fc.constant("turn" as const),
        process: at,
        fails: fc.boolean(),
        cancelled: fc.boolean()
      })
    },
    { weight: 2, arbitrary: fc.record({ _tag: fc.constant("again" as const), process: at, turn: fc.nat(9) }) },
    { weight: 1, arbitrary: fc.record({ _tag: fc.constant("rewind" as const), process: at, version: fc.nat(9) }) },
    { weight: 1, arbitrary: fc.record({ _tag: fc.constant("restart" as const), process: at }) }
  ),
  { minLength: 1, maxLength: 10 }
)

const STOPPED = "text: [This answer was stopped on request. It is not to be continued unless somebody asks for it.]"
const BROKE_OFF = "text: [This answer broke off. It is not to be continued unless somebody asks for it.]"

/** What a session must be after these steps: the lines of each version of its branch, and how each turn ended. */
interface Model {
  readonly versions: Map<number, { readonly parent: number; readonly lines: ReadonlyArray<string> }>
  readonly ends: Map<number, string>
  head: number
}

const linesOf = ({ versions }: Model, version: number): ReadonlyArray<string> => {
  const found = versions.get(version)
  return found === undefined ? [] : [...linesOf({ versions } as Model, found.parent), ...found.lines]
}

const commit = (model: Model, parent: number, lines: ReadonlyArray<string>) => {
  const version = model.versions.size + 1
  model.versions.set(version, { parent, lines })
  model.head = version
  return version
}

const law = (steps: ReadonlyArray<Step>) =>
  Effect.gen(function*() {
    const model_: Model = { versions: new Map(), ends: new Map(), head: 0 }
    const processes = [yield* process(Law, model), yield* process(Law, model)]
    let count = 0
    for (const step of steps) {
      const here = processes[step.process]!
      switch (step._tag) {
        case "turn": {
          const turn = count++
          const input = step.fails ? `${turn}!` : String(turn)
          const running = yield* here.in(watch(Law.run("s", input, { turnId: `t${turn}` })))
          if (step.cancelled) assert.isTrue(yield* here.in(Law.cancel("s")))
          else yield* pass("1 second")
          const rest = step.cancelled
            ? [`text: half of ${input}`, STOPPED]
            : step.fails
            ? [`text: half of ${input}`, BROKE_OFF]
            : [`text: half of ${input}`, "text: , whole"]
          const version = commit(model_, model_.head, [`user: ${input}`, ...rest])
          const end = step.cancelled ? "cancelled" : step.fails ? "failed" : "completed"
          const failure = step.cancelled ? ["Cancelled"] : step.fails ? ["AgentFailed"] : []
          const expected = [`${end} as ${version}`, ...failure]
          model_.ends.set(turn, JSON.stringify(expected))
          assert.deepStrictEqual((yield* running.ended).slice(-expected.length), expected)
          break
        }
        case "again": {
          const turn = step.turn % Math.max(count, 1)
          const expected = model_.ends.get(turn)
          if (expected === undefined) break
          const before = yield* here.requests
          const input = yield* inputOf(turn)
          const lines = yield* here.in(said(Law.run("s", input, { turnId: `t${turn}` })))
          assert.strictEqual(JSON.stringify(lines), expected)
          assert.strictEqual(yield* here.requests, before)
          break
        }
        case "rewind": {
          const version = step.version + 1
          const exit = yield* Effect.exit(here.in(Law.rewind("s", version)))
          const known = model_.versions.get(version)
          assert.strictEqual(Exit.isSuccess(exit), known !== undefined)
          if (known !== undefined) commit(model_, version, [])
          break
        }
        case "restart": {
          yield* here.close
          processes[step.process] = yield* process(Law, model)
        }
      }
      if (model_.head === 0) continue
      const page = yield* processes[0]!.in(Law.history("s"))
      assert.deepStrictEqual(page.open, [])
      assert.strictEqual(page.versions[0]!.version, model_.head)
      assert.deepStrictEqual(conversation(page), linesOf(model_, model_.head))
    }
    // What each process knows is what the store has.
    for (const [index, { in: inside }] of processes.entries()) {
      yield* inside(watch(Law.run("s", `last ${index}`)))
      const before = linesOf(model_, model_.head).length
      yield* pass("1 second")
      commit(model_, model_.head, [`user: last ${index}`, `text: half of last ${index}`, "text: , whole"])
      const requests = yield* inside(Effect.flatten(Scripted.Requests))
      const seen = requests.at(-1)!.prompt.content.reduce((sum, { content }) => sum + content.length, 0)
      assert.strictEqual(seen, before + 1)
    }
    for (const { close } of processes) yield* close
  })

/** The input that a turn was sent with, from the store. */
const inputOf = (turn: number) =>
  Effect.gen(function*() {
    const store = yield* SessionStore.SessionStore
    const loaded = Option.getOrThrow(yield* store.load("s", { recent: 1 }))
    for (let version = loaded.head.version; version > 0; version--) {
      const { commits: [commit] } = yield* store.history("s", { from: version, limit: 1 })
      if (commit?.turn === `t${turn}`) return commit.hash.slice(1, -1)
    }
    return ""
  })

const inSqlite = SessionStore.layerSql.pipe(Layer.provide(sqliteFile), Layer.orDie)

describe("laws of sessions", () => {
  for (
    const [name, store, numRuns] of [["memory", SessionStore.layerMemory, 40], ["SQLite", inSqlite, 10]] as const
  ) {
    it.effect(
      `turns, cancels, failures, rewinds, receipts and restarts of two processes leave the model's history, in ${name}`,
      () =>
        Effect.gen(function*() {
          for (const sample of fc.sample(steps, { numRuns, seed: 12 })) {
            yield* law(sample).pipe(
              Effect.provide(Layer.fresh(store)),
              Effect.catchCause((cause) => Effect.die(new Error(JSON.stringify(sample), { cause })))
            )
          }
        }),
      60_000
    )
  }
})
