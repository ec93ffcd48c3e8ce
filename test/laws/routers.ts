/** Laws of routers. */
import { Effect, Schedule, Schema } from "effect"
import { Rpc } from "effect/rpc"
import * as Actor from "../../src/Actor.ts"
import * as ActorSystem from "../../src/ActorSystem.ts"
import * as Mailbox from "../../src/Mailbox.ts"
import * as Router from "../../src/Router.ts"
import * as Supervisor from "../../src/Supervisor.ts"
import { atOnce, chance, endOf, type Expect, int, type Law, law, numbers, pause, pick, settle, times } from "./law.ts"

const Job = Actor.make("Job", [
  Rpc.make("Do", { payload: { id: Schema.Int, key: Schema.String, stops: Schema.Boolean }, success: Schema.String })
])

/** A routee that notes what it handles, and answers with its path. */
const routee = (handled: Array<{ readonly id: number; readonly key: string; readonly by: string }>) =>
  Effect.gen(function*() {
    const mailbox = yield* pick([Mailbox.unbounded, Mailbox.bounded(1), Mailbox.bounded(3)])
    return Job.behavior(
      Effect.gen(function*() {
        const self = yield* Actor.self(Job)
        return {
          Do: ({ id, key, stops }) =>
            Effect.gen(function*() {
              handled.push({ id, key, by: self.path })
              yield* pause
              if (stops) yield* self.stop
              return self.path
            })
        }
      }),
      { mailbox, supervisor: Supervisor.restart(Schedule.forever) }
    )
  })

const oneRouteeEach = (expect: Expect) =>
  Effect.gen(function*() {
    const handled: Array<{ readonly id: number; readonly key: string; readonly by: string }> = []
    const size = yield* int(1, 4)
    const byKey = Router.consistentHash<Rpc.Any>(({ payload }) => (payload as { readonly key: string }).key)
    const strategy = yield* pick<Router.Strategy<Rpc.Any>>(["roundRobin", "random", "leastLoaded", byKey])
    const pool = yield* Router.spawn(yield* routee(handled), { size, strategy: strategy as "random", name: "pool" })
    const answered: Array<number> = []
    let told = 0
    const each = 2 * size
    yield* atOnce(3, (sender) =>
      times(each, (n) =>
        Effect.gen(function*() {
          const message = { id: sender * 100 + n, key: `key ${n % 3}`, stops: false }
          if (yield* chance(0.3)) {
            yield* pool.tell("Do", message)
            told++
            return
          }
          const by = yield* pool.ask("Do", message)
          answered.push(message.id)
          expect(handled.some((one) => one.id === message.id && one.by === by), "the routee that handled it answers")
        })))
    yield* settle
    expect(handled.length === 3 * each, `each message reaches one routee: ${handled.length} of ${3 * each}`)
    expect(new Set(handled.map(({ id }) => id)).size === handled.length, "no message reaches two routees")
    expect(answered.length + told === 3 * each, "each asker is answered")
    const counts = numbers(size).map((n) => handled.filter(({ by }) => by === `/user/pool/${n}`).length)
    if (strategy === "roundRobin") expect(counts.every((count) => count === 6), `all get the same share, got ${counts}`)
    if (strategy === byKey) {
      const homes = new Set(handled.map(({ by, key }) => `${key} ${by}`))
      expect(homes.size === new Set(handled.map(({ key }) => key)).size, `a key stays with its routee: ${[...homes]}`)
    }
    yield* pool.drain
  })

const leastLoadedIsFree = (expect: Expect) =>
  Effect.gen(function*() {
    const handled: Array<{ readonly id: number; readonly key: string; readonly by: string }> = []
    const size = yield* int(2, 4)
    const pool = yield* Router.spawn(yield* routee(handled), { size, strategy: "leastLoaded" })
    // One after the other, and each time all but one routee are at rest.
    for (const id of numbers(3)) {
      yield* atOnce(size, (n) => pool.ask("Do", { id: id * 10 + n, key: "", stops: false }))
      yield* settle
    }
    const most = Math.max(...Array.from(Map.groupBy(handled, ({ by }) => by).values(), (jobs) => jobs.length))
    expect(handled.length === 3 * size, "each message reaches one routee")
    expect(most <= 3 * size - (size - 1), `not all at one, got ${most}`)
  })

const broadcastReachesAll = (expect: Expect) =>
  Effect.gen(function*() {
    const handled: Array<{ readonly id: number; readonly key: string; readonly by: string }> = []
    const size = yield* int(1, 4)
    const pool = yield* Router.spawn(yield* routee(handled), { size, strategy: "broadcast", name: "pool" })
    const tells = 4
    yield* atOnce(2, (sender) => times(tells, (n) => pool.tell("Do", { id: sender * 100 + n, key: "", stops: false })))
    const by = yield* pool.ask("Do", { id: 1, key: "asked", stops: false })
    yield* settle
    const told = handled.filter(({ key }) => key === "")
    expect(told.length === 2 * tells * size, `every routee is told: ${told.length} of ${2 * tells * size}`)
    for (const n of numbers(size)) {
      const own = told.filter(({ by }) => by === `/user/pool/${n}`).map(({ id }) => id)
      for (const sender of [100, 200]) {
        const ids = own.filter((id) => id > sender && id < sender + 100)
        expect(ids.join() === numbers(tells).map((n) => sender + n).join(), `in the sender's order, got ${ids}`)
      }
    }
    expect(handled.some((one) => one.id === 1 && one.by === by), "the first success is the answer")
  })

const poolStaysFull = (expect: Expect) =>
  Effect.gen(function*() {
    const handled: Array<{ readonly id: number; readonly key: string; readonly by: string }> = []
    const size = yield* int(2, 4)
    const strategy = yield* pick(["roundRobin", "random", "leastLoaded"] as const)
    const pool = yield* Router.spawn(yield* routee(handled), { size, strategy, name: "pool" })
    let wanted = size
    let sent = 0
    const ends: Array<string> = []
    yield* atOnce(3, (sender) =>
      times(6, (n) =>
        Effect.gen(function*() {
          if (sender === 1 && (yield* chance(0.4))) {
            const next = yield* int(1, 4)
            wanted = next
            return yield* Router.resize(pool, next)
          }
          const stops = yield* chance(0.1)
          sent++
          const end = yield* endOf(pool.ask("Do", { id: sender * 100 + n, key: "", stops }))
          ends.push(end)
          const done = handled.some(({ id }) => id === sender * 100 + n)
          expect(end.startsWith("/user/pool/") ? done : end === "Stopped" || end === "Crashed", `an answer, got ${end}`)
          yield* pause
        })))
    yield* settle
    expect(ends.length === sent, "everybody is answered")
    const alive = new Set<string>()
    for (const id of numbers(5)) alive.add(yield* endOf(pool.ask("Do", { id, key: "", stops: false })))
    const paths = [...alive].filter((path) => path !== "Crashed")
    expect(paths.every((path) => path.startsWith("/user/pool/")), `all routees take messages, got ${paths}`)
    const routees = (yield* ActorSystem.list).filter(({ path }) => path.startsWith("/user/pool/"))
    expect(routees.length === wanted, `${wanted} routees are wanted, and ${routees.length} there`)
    yield* pool.stop
    expect((yield* endOf(pool.ask("Do", { id: 0, key: "", stops: false }))) === "Stopped", "it has stopped")
  })

export const routers: ReadonlyArray<Law> = [
  law("a router sends each message to one routee", oneRouteeEach, { delay: 0.05 }),
  law("who is least loaded gets the next one", leastLoadedIsFree),
  law("a broadcast reaches all routees, in each sender's order", broadcastReachesAll, { delay: 0.05 }),
  law("a pool replaces who has stopped, and answers everybody", poolStaysFull, { crashBefore: 0.05, delay: 0.05 })
]
