/** Laws of the lives of actors: restarts, ends, watches, and waits for each other. */
import { Clock, Effect, Exit, Fiber, Schedule, Schema } from "effect"
import { Rpc } from "effect/rpc"
import * as Actor from "../../src/Actor.ts"
import * as ActorSystem from "../../src/ActorSystem.ts"
import * as Mailbox from "../../src/Mailbox.ts"
import * as Supervisor from "../../src/Supervisor.ts"
import {
  atOnce,
  chance,
  collectEvents,
  endOf,
  type Expect,
  int,
  type Law,
  law,
  pause,
  pick,
  settle,
  times
} from "./law.ts"

// -----------------------------------------------------------------------------
// crashes
// -----------------------------------------------------------------------------

const Counter = Actor.make("Counter", [Rpc.make("Add", { payload: { id: Schema.Int }, success: Schema.Int })])

type CounterBehavior = typeof Counter extends Actor.Protocol<"Counter", infer Rpcs>
  ? Actor.Behavior<"Counter", Rpcs, never, ActorSystem.ActorSystem>
  : never

const restartsRebuild = (expect: Expect) =>
  Effect.gen(function*() {
    const events = yield* collectEvents
    const delay = yield* pick([Schedule.forever, Schedule.spaced("30 millis")])
    let alive = 0
    let incarnations = 0
    const seen = new Map<number, number>()
    const counter = yield* Actor.spawn(
      Counter.behavior(
        Effect.gen(function*() {
          expect(++alive === 1, "one incarnation at a time")
          incarnations++
          yield* Effect.addFinalizer(() => Effect.andThen(pause, Effect.sync(() => alive--)))
          yield* pause
          let count = 0
          return {
            Add: ({ id }) =>
              Effect.suspend(() => {
                seen.set(id, (seen.get(id) ?? 0) + 1)
                const before = count++
                return Effect.as(pause, [before, incarnations] as const)
              }).pipe(Effect.map(([before, incarnation]) => {
                expect(incarnation === incarnations && count === before + 1, "the state is its incarnation's own")
                return id
              }))
          }
        }),
        { supervisor: Supervisor.restart(delay), mailbox: yield* pick([Mailbox.unbounded, Mailbox.bounded(2)]) }
      )
    )
    let crashed = 0
    yield* atOnce(3, (sender) =>
      times(4, (n) =>
        Effect.gen(function*() {
          const id = sender * 10 + n
          const end = yield* endOf(counter.ask("Add", { id }))
          if (end === "Crashed") crashed++
          else expect(end === id && seen.get(id) === 1, `what waits survives a restart, got ${end}`)
        })))
    yield* settle
    yield* counter.drain
    yield* settle
    const count = (tag: string) => events.filter(({ _tag }) => _tag === tag).length
    expect(count("Crashed") === crashed, `each crash has its event: ${count("Crashed")} of ${crashed}`)
    expect(count("Restarted") === incarnations - 1, `each restart has its event: ${count("Restarted")}`)
    expect(incarnations === crashed + 1, `${crashed} crashes, ${incarnations} incarnations`)
    expect(alive === 0, "each incarnation is released")
  })

const withinIntensity = (expect: Expect) =>
  Effect.gen(function*() {
    const restarts = yield* int(1, 3)
    const within = yield* pick([30, 100])
    const escalates = yield* chance(0.5)
    const crashes: Array<number> = []
    let parents = 0
    const child = Counter.behavior(
      Effect.succeed({
        Add: () =>
          Effect.flatMap(Clock.currentTimeMillis, (now) => {
            crashes.push(now)
            return Effect.die("boom")
          })
      }),
      {
        supervisor: Supervisor.decide(() => {
          const now = crashes.at(-1)!
          const recent = crashes.filter((at) => now - at < within).length
          expect(recent <= restarts + 1, `no restart beyond the intensity, was crash ${recent}`)
          return escalates && recent > restarts ? Supervisor.escalate : policy
        })
      }
    )
    const policy = Supervisor.restart(Supervisor.intensity({ restarts, within }))
    const inner: Array<Actor.LocalRefOf<typeof Counter>> = []
    const parent = yield* Actor.spawn(
      Counter.behavior(
        Effect.gen(function*() {
          parents++
          inner.push(yield* Effect.orDie(Actor.spawn(child)))
          return { Add: ({ id }) => Effect.succeed(id) }
        }),
        { supervisor: Supervisor.restart(Schedule.forever) }
      )
    )
    const ref = inner[0]!
    for (let sent = 0; sent < 8; sent++) {
      const end = yield* endOf(ref.ask("Add", { id: sent }))
      expect(end === "Crashed" || end === "Stopped", `got ${end}`)
      if (end === "Stopped") break
      yield* Effect.flatMap(int(1, within), Effect.sleep)
    }
    yield* settle
    const now = crashes.at(-1)!
    const recent = crashes.filter((at) => now - at < within).length
    const info = (yield* ActorSystem.list).find(({ path }) => path === ref.path && parents === 1)
    expect((recent > restarts) !== (info?.state === "Running"), `after crash ${recent} it is ${info?.state ?? "gone"}`)
    expect(parents === (escalates && recent > restarts ? 2 : 1), "what escalates crashes its parent")
    expect((yield* parent.ask("Add", { id: 1 })) === 1, "the parent goes on")
  })

// -----------------------------------------------------------------------------
// ends
// -----------------------------------------------------------------------------

const treesEnd = (expect: Expect) =>
  Effect.gen(function*() {
    const log: Array<string> = []
    let begun = 0
    let done = 0
    const refs: Array<Actor.LocalRefOf<typeof Counter>> = []
    const node = (depth: number): CounterBehavior =>
      Counter.behavior(Effect.gen(function*() {
        const self = yield* Actor.self(Counter)
        refs.push(self)
        log.push(`start ${self.path}`)
        yield* Effect.addFinalizer(() => Effect.andThen(pause, Effect.sync(() => log.push(`end ${self.path}`))))
        if (depth > 0) yield* times(yield* int(0, 2), () => Effect.orDie(Actor.spawn(node(depth - 1))))
        return {
          Add: ({ id }) =>
            Effect.suspend(() => {
              begun++
              return Effect.as(pause, id)
            }).pipe(Effect.onExit((exit) => Effect.sync(() => void (Exit.isSuccess(exit) && done++))))
        }
      }))
    const root = yield* Actor.spawn(node(2), { name: "root" })
    const accepted: Array<string> = []
    const senders = yield* Effect.forkChild(atOnce(3, () =>
      times(5, (id) =>
        Effect.gen(function*() {
          const ref = yield* pick(refs)
          const end = yield* endOf(ref.ask("Add", { id }))
          accepted.push(String(end))
          expect(end === id || end === "Stopped", `an ask ends with its actor, got ${end}`)
          yield* pause
        }))))
    yield* pause
    const how = yield* pick(["stop", "drain", "kill"] as const)
    yield* atOnce(2, () => Effect.andThen(pause, refs[0]![how]))
    const { reason } = yield* root.awaitStopped
    expect(reason._tag === "Stopped", `the reason, got ${reason._tag}`)
    const ends = log.filter((line) => line.startsWith("end")).map((line) => line.slice(4))
    const starts = log.filter((line) => line.startsWith("start")).map((line) => line.slice(6))
    expect(ends.length === starts.length && new Set(ends).size === ends.length, `all end once: ${ends} of ${starts}`)
    if (how === "kill") {
      const isLate = (path: string, at: number) => ends.slice(0, at).some((before) => path.startsWith(`${before}/`))
      expect(!ends.some(isLate), `children end before their parent: ${ends}`)
    } else {
      // Depth first, the last started first: the order of starts, from its end.
      expect(ends.join() === starts.toReversed().join(), `children end before their parent, the last first: ${ends}`)
    }
    expect((yield* ActorSystem.list).length === 0, "nobody is left")
    expect((yield* endOf(root.ask("Add", { id: 0 }))) === "Stopped", "who has stopped answers so")
    yield* Fiber.join(senders)
    if (how !== "kill") expect(begun === done, `a current message may finish: ${done} of ${begun}`)
  })

const Watcher = Actor.make("Watcher", [
  Rpc.make("Watch", { payload: { target: Schema.Int, twice: Schema.Boolean } }),
  Rpc.make("Unwatch", { payload: { target: Schema.Int } }),
  Rpc.make("Ended", { payload: { path: Schema.String, reason: Schema.String } })
])

const watchersHear = (expect: Expect) =>
  Effect.gen(function*() {
    const count = yield* int(1, 4)
    const targets = yield* times(count, (n) =>
      Actor.spawn(
        Counter.behavior(
          Effect.succeed({ Add: ({ id }) => id === 0 ? Effect.die("boom") : Effect.succeed(id) }),
          {
            supervisor: Supervisor.stop
          }
        ),
        { name: `target${n}` }
      ))
    const heard: Array<string> = []
    const watcher = yield* Actor.spawn(Watcher.behavior(Effect.succeed({
      Watch: ({ target, twice }) => {
        const watch = Actor.watch(targets[target]!, ({ path, reason }) =>
          Watcher.message("Ended", { path, reason: reason._tag }))
        return twice ? Effect.andThen(watch, watch) : watch
      },
      Unwatch: ({ target }) =>
        Actor.unwatch(targets[target]!),
      Ended: ({ path, reason }) => Effect.sync(() => void heard.push(`${path} ${reason}`))
    })))
    const wanted = new Set<string>()
    yield* atOnce(count, (n) =>
      Effect.gen(function*() {
        const target = n - 1
        const crashes = yield* chance(0.5)
        const ref = targets[target]!
        const end = crashes ? ref.tell("Add", { id: 0 }) : ref.stop
        const unwatches = yield* chance(0.2)
        const watch = Effect.andThen(pause, watcher.ask("Watch", { target, twice: yield* chance(0.5) }))
        if (unwatches) {
          yield* watch
          yield* watcher.ask("Unwatch", { target })
          yield* end
        } else {
          wanted.add(`${ref.path} ${crashes ? "Crashed" : "Stopped"}`)
          yield* Effect.all([watch, Effect.andThen(pause, end)], { concurrency: "unbounded" })
        }
        yield* ref.awaitStopped
      }))
    yield* settle
    expect(heard.toSorted().join() === [...wanted].toSorted().join(), `each end once: ${[...wanted]}, heard ${heard}`)
  })

// -----------------------------------------------------------------------------
// deadlocks
// -----------------------------------------------------------------------------

interface Plan {
  readonly to: number
  readonly how: "ask" | "tell"
  readonly then: ReadonlyArray<Plan>
}

const Node = Actor.make("Node", [
  Rpc.make("Follow", { payload: { plan: Schema.declare((plan): plan is Plan => plan !== undefined) } })
])

const makePlan = (actors: number, depth: number): Effect.Effect<Plan> =>
  Effect.gen(function*() {
    const then = depth === 0 ? [] : yield* times(yield* int(1, 2), () => makePlan(actors, depth - 1))
    return { to: yield* int(0, actors - 1), how: (yield* chance(0.7)) ? "ask" : "tell", then }
  })

const deadlocksAreReal = (expect: Expect) =>
  Effect.gen(function*() {
    const count = yield* int(1, 4)
    const nodes: Array<Actor.LocalRefOf<typeof Node>> = []
    /** Whom their current messages wait for. */
    const waits: Array<{ readonly from: string; readonly to: string }> = []
    const mailbox = yield* pick([Mailbox.unbounded, Mailbox.bounded(1)])
    const behavior = Node.behavior(
      Effect.gen(function*() {
        const { path } = yield* Actor.self(Node)
        return {
          Follow: ({ plan }) =>
            Effect.forEach(plan.then, (next) =>
              Effect.gen(function*() {
                yield* pause
                const ref = nodes[next.to]!
                const wait = { from: path, to: ref.path }
                waits.push(wait)
                const sent = next.how === "ask" ? ref.ask("Follow", { plan: next }) : ref.tell("Follow", { plan: next })
                yield* Effect.catch(sent, ({ reason }) =>
                  Effect.sync(() => {
                    if (reason._tag === "MailboxFull") return expect(ref.path === path, "only its own mailbox is full")
                    if (reason._tag !== "Deadlock") return expect(false, `nothing but a deadlock, got ${reason._tag}`)
                    const { cycle } = reason
                    expect(cycle.includes(path), `who hears of a deadlock is in it: ${cycle}`)
                    for (let index = 0; index < cycle.length; index++) {
                      const [from, to] = [cycle[index]!, cycle[(index + 1) % cycle.length]!]
                      expect(
                        waits.some((wait) => wait.from === from && wait.to === to),
                        `${cycle} is a deadlock, but ${from} does not wait for ${to}`
                      )
                    }
                  }))
                waits.splice(waits.indexOf(wait), 1)
              }), { discard: true })
        }
      }),
      { mailbox, concurrency: yield* pick([1, 1, 2]) }
    )
    for (let n = 0; n < count; n++) nodes.push(yield* Actor.spawn(behavior, { name: `${n}` }))
    const askers = yield* int(2, 5)
    yield* atOnce(askers, () =>
      Effect.gen(function*() {
        yield* pause
        const plan = yield* makePlan(count, 2)
        yield* nodes[plan.to]!.ask("Follow", { plan })
      }))
    yield* settle
    yield* Effect.forEach(nodes, (node) => node.drain, { concurrency: "unbounded" })
  })

export const lives: ReadonlyArray<Law> = [
  law("a restart rebuilds the state, and keeps what waits", restartsRebuild, {
    crashBefore: 0.1,
    crashAfter: 0.1,
    max: 4
  }),
  law("restarts stay within their intensity", withinIntensity),
  law("a tree of actors ends from its leaves", treesEnd, { delay: 0.1 }),
  law("who watches hears of each end once", watchersHear, { delay: 0.1 }),
  law("a deadlock is reported where there is one, and only there", deadlocksAreReal)
]
