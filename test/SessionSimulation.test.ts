import { describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Schedule, Stream } from "effect"
import * as Agent from "../src/Agent.ts"
import * as Scripted from "../src/Llm/Scripted.ts"
import * as Session from "../src/Session.ts"
import * as SessionStore from "../src/SessionStore.ts"
import { Simulation } from "../src/testing/index.ts"
import * as Tool from "../src/Tool.ts"

const turns = ["t0", "t1", "t2"]

/**
 * Three clients of one session, over two runtimes on one store. Each sends its prompt until it hears how the turn ended,
 * as it has to after a broken connection. The agent charges once for each prompt.
 */
const program = Effect.gen(function*() {
  const charged: Array<string> = []
  const charge = Tool.fn(
    "charge",
    { description: "Charges" },
    () => Effect.flatMap(Session.CurrentSession, () => Effect.sync(() => void charged.push("charged")))
  )
  const Shop = Session.make("shop", { agent: Agent.make("clerk", { tools: [charge] }) })
  const model = Scripted.model((request) => {
    const last = Scripted.lines(request).at(-1)!
    return last.startsWith("user:")
      ? [Scripted.text("Well,"), Scripted.toolCall("charge", {})]
      : [Scripted.delay("1 second"), Scripted.text("Done.")]
  })
  const store = yield* Effect.service(SessionStore.SessionStore)
  const runtime = Layer.fresh(Shop.layer).pipe(
    Layer.provide([model, Layer.succeed(SessionStore.SessionStore, store)])
  )
  const runtimes = yield* Effect.forEach([runtime, runtime], (layer) => Layer.build(Layer.fresh(layer)))
  const send = Effect.fnUntraced(function*(turnId: string, n: number) {
    const last = yield* Effect.exit(
      Stream.runFold(
        Shop.run("s", turnId, { turnId }),
        () => "",
        (before, { event }) => event._tag === "Committed" ? `${event.end} as ${event.version}` : before
      )
    )
    if (Exit.isSuccess(last)) return last.value
    const found = yield* store.turn("s", turnId)
    return found._tag === "Committed"
      ? `${found.commit.end} as ${found.commit.version}`
      : yield* Effect.fail(`${turnId} of ${n} is ${found._tag}`)
  })
  const clients = turns.map((turn, n) =>
    send(turn, n).pipe(
      Effect.retry({ schedule: Schedule.spaced("5 seconds"), times: 40 }),
      Effect.provide(runtimes[n % 2]!)
    )
  )
  const ends = yield* Effect.all(clients, { concurrency: "unbounded" })
  const commits = []
  const { commits: all } = yield* Effect.retry(store.history("s", { limit: 100 }), { times: 5 })
  for (const { end, entries, turn, version } of all.toReversed()) commits.push({ end, entries, turn, version })
  return { charged: charged.length, commits, ends }
}).pipe(Effect.scoped, Effect.provide(SessionStore.layerMemory))

type Result = Effect.Success<typeof program>

const problemOf = ({ charged, commits, ends }: Result): string | undefined => {
  if (commits.some(({ version }, index) => version !== index + 1)) return "versions have gaps"
  if (new Set(commits.map(({ turn }) => turn)).size !== commits.length) return "a turn was committed twice"
  if (commits.length !== turns.length) return "a turn is missing"
  if (charged > turns.length) return "a prompt was charged twice"
  for (const [n, turn] of turns.entries()) {
    const commit = commits.find((commit) => commit.turn === turn)!
    if (ends[n] !== `${commit.end} as ${commit.version}`) return `${turn} was told ${ends[n]}, and is ${commit.end}`
    if (!JSON.stringify(commit.entries[0]).includes(turn)) return `${turn} does not begin with its prompt`
    if (commit.end === "completed" && commit.entries.length !== 3) return `${turn} is not whole`
  }
  return undefined
}

describe("sessions under simulation", () => {
  it.live(
    "with a store that fails and is late, each turn is committed once and told as it is",
    () =>
      Effect.asVoid(Simulation.check(program, {
        seeds: 400,
        shrink: 20,
        faults: { pointFails: 0.05, pointLate: 0.05, crashBefore: 0.01, max: 4 },
        invariant: (exit) => Exit.isSuccess(exit) ? problemOf(exit.value) : `ended with ${JSON.stringify(exit.cause)}`
      })),
    60_000
  )
})
