/** Who waits for room in a mailbox, and what closes a cycle of runs that wait for each other. */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Deferred, Effect, Exit, Fiber, Latch, Option, Schedule, Schema, Stream } from "effect"
import { Rpc } from "effect/rpc"
import * as Actor from "../src/Actor.ts"
import * as Agent from "../src/Agent.ts"
import * as Scripted from "../src/Llm/Scripted.ts"
import * as Mailbox from "../src/Mailbox.ts"
import * as Supervisor from "../src/Supervisor.ts"
import * as Team from "../src/Team.ts"
import { TestActor } from "../src/testing/index.ts"
import * as Tool from "../src/Tool.ts"
import {
  type Act,
  ask,
  begin,
  find,
  outcome,
  pass,
  type PuppetRef,
  run,
  self,
  settle,
  spawn,
  tell,
  turns
} from "./fixtures/actors.ts"
import { collect, results } from "./fixtures/agents.ts"
import { actor, cast } from "./fixtures/teams.ts"

const one = Mailbox.bounded(1, "block")

/** The paths of the cycle that an effect closed, or what else it came to. */
const cycleOf = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<unknown, never, R> =>
  Effect.map(Effect.exit(effect), (exit) => {
    if (Exit.isSuccess(exit)) return exit.value
    const error = Cause.squash(exit.cause)
    if (!(error instanceof Actor.ActorError)) return error
    return error.reason._tag === "Deadlock" ? error.reason.cycle : error.reason._tag
  })

const noted = (log: Array<unknown>, effect: Effect.Effect<unknown, never, Actor.Self<"Puppet">>) =>
  Effect.flatMap(effect, (value) => Effect.sync(() => void log.push(value)))

const note = (log: Array<unknown>, value: unknown) => Effect.sync(() => void log.push(value))

/** All of them take messages again. */
const goOn = (refs: ReadonlyArray<PuppetRef>) =>
  Effect.gen(function*() {
    for (const ref of refs) assert.deepStrictEqual(yield* settle(ref.ask("Ping")), Exit.succeed("pong"), ref.path)
  })

describe("A full mailbox that blocks", () => {
  it.effect("makes a child wait that tells its parent", () =>
    run(Effect.gen(function*() {
      const log: Array<unknown> = []
      const latch = yield* Latch.make()
      const parent = yield* spawn("p", { mailbox: one, setup: spawn("child") })
      yield* tell(parent, latch.await)
      const flood = Effect.forEach([1, 2, 3], (n) => parent.tell("Do", { act: note(log, n) }), { discard: true })
      const asker = yield* begin(ask(yield* find("/user/p/child"), outcome(flood)))
      assert.isUndefined(asker.pollUnsafe())
      assert.deepInclude(yield* parent.mailbox, { size: 1, blocked: 1 })
      yield* latch.open
      yield* turns
      assert.deepStrictEqual(asker.pollUnsafe(), Exit.succeed(undefined))
      assert.deepStrictEqual(log, [1, 2, 3])
    })))

  it.effect("makes a reader wait that setup has forked", () =>
    run(Effect.gen(function*() {
      const log: Array<unknown> = []
      const latch = yield* Latch.make()
      const setup = Effect.gen(function*() {
        const me = yield* self
        const flood = Effect.forEach([1, 2, 3, 4, 5], (n) => me.tell("Do", { act: note(log, n) }), { discard: true })
        yield* Effect.forkScoped(Effect.flatMap(outcome(Effect.andThen(latch.await, flood)), (end) => note(log, end)))
      })
      const hold = yield* Latch.make()
      const ref = yield* spawn("a", { mailbox: one, setup })
      yield* tell(ref, hold.await)
      yield* latch.open
      yield* turns
      assert.deepStrictEqual(log, [])
      yield* hold.open
      yield* turns
      assert.deepStrictEqual(log.filter((entry) => typeof entry === "number"), [1, 2, 3, 4, 5])
      assert.isFalse(log.includes("MailboxFull"))
    })))

  it.effect("makes a forked run of its own actor wait, and what a handler has forked", () =>
    run(Effect.gen(function*() {
      for (const how of ["Rpc.fork", "forkScoped"] as const) {
        const log: Array<unknown> = []
        const hold = yield* Latch.make()
        const ref = yield* spawn(how, { mailbox: one })
        const flood = Effect.andThen(
          hold.await,
          outcome(Effect.forEach([1, 2, 3], (n) => ref.tell("Do", { act: note(log, n) }), { discard: true }))
        )
        const act: Act = how === "Rpc.fork" ? Rpc.fork(flood) : Effect.forkScoped(flood)
        yield* tell(ref, act)
        const busy = yield* Latch.make()
        yield* tell(ref, busy.await)
        yield* hold.open
        yield* turns
        assert.deepInclude(yield* ref.mailbox, { size: 1, blocked: 1 }, how)
        yield* busy.open
        yield* turns
        assert.deepStrictEqual(log, [1, 2, 3], how)
      }
    })))

  it.effect("refuses the one run that its actor waits for", () =>
    run(Effect.gen(function*() {
      const ref = yield* spawn("a", { mailbox: one })
      const flood = Effect.forEach([1, 2], () => ref.tell("Ping"), { discard: true })
      assert.deepStrictEqual(yield* settle(ask(ref, outcome(flood))), Exit.succeed("MailboxFull"))
      yield* goOn([ref])
    })))

  it.effect("with concurrency 2 refuses only the second of two runs that both wait for its room", () =>
    run(Effect.gen(function*() {
      const ref = yield* spawn("a", { mailbox: one, concurrency: 2 })
      const latch = yield* Latch.make()
      const flood = Effect.andThen(
        latch.await,
        outcome(Effect.forEach([1, 2, 3], () => ref.tell("Ping"), { discard: true }))
      )
      const first = yield* begin(ask(ref, flood))
      const second = yield* begin(ask(ref, flood))
      yield* latch.open
      yield* turns
      const ends = [first.pollUnsafe(), second.pollUnsafe()]
      assert.sameDeepMembers(ends, [Exit.succeed("MailboxFull"), Exit.succeed(undefined)])
      yield* goOn([ref])
    })))

  it.effect("holds a forwarder as it would a teller", () =>
    run(Effect.gen(function*() {
      const seen: Array<unknown> = []
      const hold = yield* Latch.make()
      const target = yield* spawn("target", { mailbox: Mailbox.bounded(10, "block") })
      const front = yield* spawn("front", { mailbox: Mailbox.unbounded })
      yield* tell(target, hold.await)
      for (let n = 0; n < 1000; n++) {
        yield* front.tell("Do", { act: Actor.forward(target, "Do", { act: note(seen, n) }) })
      }
      yield* turns
      assert.deepInclude(yield* target.mailbox, { size: 10, blocked: 1 })
      assert.strictEqual((yield* front.mailbox).size, 1000 - 11)
      yield* hold.open
      yield* front.drain
      yield* target.drain
      assert.deepStrictEqual(seen, Array.from({ length: 1000 }, (_, n) => n))
    })))

  it.effect("holds the forwarder of an ask, whose asker is answered in the end", () =>
    run(Effect.gen(function*() {
      const hold = yield* Latch.make()
      const target = yield* spawn("target", { mailbox: one })
      const front = yield* spawn("front")
      yield* tell(target, hold.await)
      yield* target.tell("Ping")
      const asker = yield* begin(ask(front, Actor.forward(target, "Ping")))
      const next = yield* begin(front.ask("Ping"))
      assert.isUndefined(next.pollUnsafe())
      yield* hold.open
      yield* turns
      assert.deepStrictEqual(asker.pollUnsafe(), Exit.succeed("pong"))
      assert.deepStrictEqual(next.pollUnsafe(), Exit.succeed("pong"))
    })))

  it.effect("lets a held forwarder go when the asker gives up", () =>
    run(Effect.gen(function*() {
      const hold = yield* Latch.make()
      const target = yield* spawn("target", { mailbox: one })
      const front = yield* spawn("front")
      yield* tell(target, hold.await)
      yield* target.tell("Ping")
      const asker = yield* begin(ask(front, Actor.forward(target, "Ping")))
      assert.isDefined(yield* settle(Fiber.interrupt(asker)))
      assert.deepInclude(yield* target.mailbox, { size: 1, blocked: 0 })
      yield* goOn([front])
      yield* hold.open
    })))
})

describe("A cycle of asks", () => {
  for (const size of [1, 2, 3, 50]) {
    it.effect(`over ${size} actors gives Deadlock to the ask that closes it, with the paths from its asker on`, () =>
      run(Effect.gen(function*() {
        const refs: Array<PuppetRef> = []
        for (let i = 0; i < size; i++) refs.push(yield* spawn(`a${i}`))
        const log: Array<unknown> = []
        const askOn = (i: number): Effect.Effect<unknown> =>
          i === size - 1
            ? Effect.tap(cycleOf(refs[0]!.ask("Ping")), (cycle) => note(log, cycle))
            : Effect.orDie(ask(refs[i + 1]!, Effect.suspend(() => askOn(i + 1))))
        const asker = yield* begin(ask(refs[0]!, askOn(0)))
        for (let i = 0; i < size; i++) yield* turns
        const closer = refs[size - 1]!.path
        assert.deepStrictEqual(log, [[closer, ...refs.slice(0, -1).map(({ path }) => path)]])
        assert.isDefined(asker.pollUnsafe())
        yield* goOn(refs)
      })))
  }

  it.effect("names the actor that was asked and the message", () =>
    run(Effect.gen(function*() {
      const ref = yield* spawn("a")
      const error = yield* settle(ask(ref, Effect.orDie(Effect.flip(ref.ask("Ping")))))
      assert(error !== undefined && Exit.isSuccess(error) && error.value instanceof Actor.ActorError)
      assert.deepInclude(error.value, {
        actor: "/user/a",
        tag: "Ping",
        reason: { _tag: "Deadlock", cycle: ["/user/a"] }
      })
      assert.include(error.value.message, "/user/a")
      const encoded = yield* Schema.encodeEffect(Actor.ActorError)(error.value)
      assert.deepStrictEqual((yield* Schema.decodeEffect(Actor.ActorError)(encoded)).reason, error.value.reason)
    })))

  it.effect("is seen through a message that still waits in a mailbox", () =>
    run(Effect.gen(function*() {
      const log: Array<unknown> = []
      const [a, b] = [yield* spawn("a"), yield* spawn("b")]
      const latch = yield* Latch.make()
      yield* tell(b, Effect.andThen(latch.await, noted(log, cycleOf(a.ask("Ping")))))
      // Behind what b does.
      const asker = yield* begin(ask(a, Effect.orDie(b.ask("Ping"))))
      yield* latch.open
      yield* turns
      assert.deepStrictEqual(log, [["/user/b", "/user/a"]])
      assert.deepStrictEqual(asker.pollUnsafe(), Exit.succeed("pong"))
    })))

  it.effect("is closed by whoever waits last, also behind a wait that was none yet", () =>
    run(Effect.gen(function*() {
      const log: Array<unknown> = []
      const [a, b] = [yield* spawn("a"), yield* spawn("b")]
      const latch = yield* Latch.make()
      yield* tell(a, Effect.andThen(latch.await, noted(log, cycleOf(b.ask("Ping")))))
      const asker = yield* begin(ask(b, Effect.orDie(a.ask("Ping"))))
      assert.deepStrictEqual(log, [])
      yield* latch.open
      yield* turns
      assert.deepStrictEqual(log, [["/user/a", "/user/b"]])
      assert.deepStrictEqual(asker.pollUnsafe(), Exit.succeed("pong"))
    })))

  it.effect("whose Deadlock nobody handles crashes the handler that closed it, and everybody goes on", () =>
    run(Effect.gen(function*() {
      const supervisor = Supervisor.resume
      const [a, b] = [yield* spawn("a", { supervisor }), yield* spawn("b", { supervisor })]
      const asker = yield* begin(outcome(ask(a, Effect.orDie(ask(b, Effect.orDie(a.ask("Ping")))))))
      assert.deepStrictEqual(asker.pollUnsafe(), Exit.succeed("Crashed"))
      yield* goOn([a, b])
    })))

  it.effect("over an actor that streams from itself gives Deadlock, too", () =>
    run(Effect.gen(function*() {
      const ref = yield* spawn("a")
      const items = Stream.make(1, 2)
      const act = cycleOf(Stream.runDrain(ref.stream("Pour", { items })))
      assert.deepStrictEqual(yield* settle(ask(ref, act)), Exit.succeed(["/user/a"]))
    })))
})

describe("A cycle over other waits", () => {
  it.effect("of tells into full mailboxes gives Deadlock to the one that closes it", () =>
    run(Effect.gen(function*() {
      const log: Array<unknown> = []
      const refs = [
        yield* spawn("a", { mailbox: one }),
        yield* spawn("b", { mailbox: one }),
        yield* spawn("c", {
          mailbox: one
        })
      ]
      const latches = [yield* Latch.make(), yield* Latch.make(), yield* Latch.make()]
      for (const [i, ref] of refs.entries()) {
        const next = refs[(i + 1) % 3]!
        yield* tell(ref, Effect.andThen(latches[i]!.await, noted(log, cycleOf(next.tell("Ping")))))
        yield* ref.tell("Ping")
      }
      for (const latch of latches) {
        assert.deepStrictEqual(log, [])
        yield* latch.open
        yield* turns
      }
      assert.deepStrictEqual(log[0], ["/user/c", "/user/a", "/user/b"])
      assert.deepStrictEqual(log.slice(1), [undefined, undefined])
      yield* goOn(refs)
    })))

  it.effect("of a tell and an ask is seen, whichever comes last", () =>
    run(Effect.gen(function*() {
      for (const last of ["tell", "ask"] as const) {
        const log: Array<unknown> = []
        const [a, b] = [yield* spawn(`${last}-a`), yield* spawn(`${last}-b`, { mailbox: one })]
        const latches = { tell: yield* Latch.make(), ask: yield* Latch.make() }
        const both = (how: "tell" | "ask", effect: Effect.Effect<unknown, Actor.ActorError>) =>
          Effect.andThen(latches[how].await, noted(log, cycleOf(effect)))
        yield* tell(a, both("tell", b.tell("Ping")))
        yield* tell(b, both("ask", a.ask("Ping")))
        yield* b.tell("Ping")
        yield* latches[last === "tell" ? "ask" : "tell"].open
        yield* turns
        assert.deepStrictEqual(log, [])
        yield* latches[last].open
        yield* turns
        assert.deepStrictEqual(log[0], last === "tell" ? [a.path, b.path] : [b.path, a.path], last)
        assert.strictEqual(log.length, 2)
        yield* goOn([a, b])
      }
    })))

  it.effect("of a setup that asks the parent that is spawning it gives the setup Deadlock", () =>
    run(Effect.gen(function*() {
      const log: Array<unknown> = []
      const parent = yield* spawn("p")
      const setup = noted(log, cycleOf(parent.ask("Ping")))
      assert.isDefined(yield* settle(ask(parent, Effect.asVoid(Effect.orDie(spawn("child", { setup }))))))
      assert.deepStrictEqual(log, [["/user/p/child", "/user/p"]])
      yield* goOn([parent, yield* find("/user/p/child")])
    })))

  it.effect("of spawns in spawns is seen through all of them", () =>
    run(Effect.gen(function*() {
      const log: Array<unknown> = []
      const parent = yield* spawn("p")
      const grandchild = spawn("grandchild", { setup: noted(log, cycleOf(parent.ask("Ping"))) })
      assert.isDefined(yield* settle(ask(parent, Effect.asVoid(Effect.orDie(spawn("child", { setup: grandchild }))))))
      assert.deepStrictEqual(log, [["/user/p/child/grandchild", "/user/p", "/user/p/child"]])
    })))

  it.effect("of an ask of an actor that is starting in this run's spawn is seen", () =>
    run(Effect.gen(function*() {
      const log: Array<unknown> = []
      const [a, b] = [yield* spawn("a"), yield* spawn("b")]
      // a waits for its child's setup, which asks b, which asks a.
      const setup = Effect.orDie(ask(b, noted(log, cycleOf(a.ask("Ping")))))
      assert.isDefined(yield* settle(ask(a, Effect.asVoid(Effect.orDie(spawn("child", { setup }))))))
      assert.deepStrictEqual(log, [["/user/b", "/user/a", "/user/a/child"]])
      yield* goOn([a, b])
    })))

  it.effect("that a forward closes gives Deadlock to the asker", () =>
    run(Effect.gen(function*() {
      const [a, b] = [yield* spawn("a"), yield* spawn("b")]
      const asker = yield* begin(ask(a, cycleOf(ask(b, Actor.forward(a, "Ping")))))
      const exit = asker.pollUnsafe()
      assert(exit !== undefined && Exit.isSuccess(exit))
      assert.include(exit.value as ReadonlyArray<string>, "/user/a")
      yield* goOn([a, b])
    })))

  it.effect("over a forwarder that waits for room is seen", () =>
    run(Effect.gen(function*() {
      const log: Array<unknown> = []
      const [front, target] = [yield* spawn("front"), yield* spawn("target", { mailbox: one })]
      const latch = yield* Latch.make()
      yield* tell(target, Effect.andThen(latch.await, noted(log, cycleOf(front.ask("Ping")))))
      yield* target.tell("Ping")
      const forwarded = yield* begin(ask(front, Actor.forward(target, "Ping")))
      yield* latch.open
      yield* turns
      assert.deepStrictEqual(log, [["/user/target", "/user/front"]])
      assert.deepStrictEqual(forwarded.pollUnsafe(), Exit.succeed("pong"))
    })))
})

describe("With concurrency", () => {
  /** Asks itself that many times deep. */
  const deep = (ref: PuppetRef, depth: number): Effect.Effect<unknown> =>
    depth === 0
      ? Effect.succeed("bottom")
      : Effect.suspend(() => outcome(ask(ref, deep(ref, depth - 1))))

  for (const concurrency of [2, 5]) {
    it.effect(`${concurrency}, only an ask that leaves no run free is a Deadlock`, () =>
      run(Effect.gen(function*() {
        const ref = yield* spawn("a", { concurrency })
        assert.deepStrictEqual(yield* settle(ask(ref, deep(ref, concurrency - 1))), Exit.succeed("bottom"))
        assert.deepStrictEqual(yield* settle(ask(ref, deep(ref, concurrency))), Exit.succeed("Deadlock"))
        yield* goOn([ref])
      })))
  }

  it.effect("without a bound, an actor may ask itself as deep as it likes", () =>
    run(Effect.gen(function*() {
      const ref = yield* spawn("a", { concurrency: "unbounded" })
      assert.deepStrictEqual(yield* settle(ask(ref, deep(ref, 20))), Exit.succeed("bottom"))
    })))

  it.effect("a cycle through one of two runs is none, as the other goes on", () =>
    run(Effect.gen(function*() {
      const [a, b] = [yield* spawn("a", { concurrency: 2 }), yield* spawn("b")]
      const latch = yield* Latch.make()
      yield* tell(a, latch.await)
      const asker = yield* begin(ask(a, Effect.orDie(ask(b, outcome(a.ask("Ping"))))))
      assert.isUndefined(asker.pollUnsafe())
      yield* latch.open
      yield* turns
      assert.deepStrictEqual(asker.pollUnsafe(), Exit.succeed("pong"))
    })))

  it.effect("the ask after which all runs wait for each other is the one that is refused", () =>
    run(Effect.gen(function*() {
      const log: Array<unknown> = []
      const [a, b] = [yield* spawn("a", { concurrency: 2 }), yield* spawn("b", { concurrency: 2 })]
      const latches = [yield* Latch.make(), yield* Latch.make()]
      const askers = yield* Effect.forEach(latches, (latch) => {
        const back = Effect.andThen(latch.await, noted(log, outcome(a.ask("Ping"))))
        return begin(ask(a, Effect.orDie(ask(b, back))))
      })
      yield* latches[0]!.open
      yield* turns
      assert.deepStrictEqual(log, [])
      yield* latches[1]!.open
      yield* turns
      assert.deepStrictEqual(log, ["Deadlock", "pong"])
      for (const asker of askers) assert.isDefined(asker.pollUnsafe())
    })))

  it.effect("the paths lead back to the asker, though others wait beside it", () =>
    run(Effect.gen(function*() {
      const log: Array<unknown> = []
      const [a, b, c, d] = [
        yield* spawn("a"),
        yield* spawn("b", { concurrency: 2 }),
        yield* spawn("c"),
        yield* spawn("d", { concurrency: 2 })
      ]
      const latches = [yield* Latch.make(), yield* Latch.make(), yield* Latch.make(), yield* Latch.make()]
      const asks = (from: PuppetRef, to: PuppetRef, latch: Latch.Latch | undefined) =>
        begin(ask(from, Effect.andThen(latch?.await ?? Effect.void, noted(log, cycleOf(to.ask("Ping"))))))
      yield* asks(d, c, latches[0])
      yield* asks(d, d, latches[1])
      yield* asks(b, d, undefined)
      yield* asks(b, a, latches[2])
      yield* asks(c, b, undefined)
      yield* asks(a, d, latches[3])
      for (const latch of latches) {
        assert.deepStrictEqual(log, [])
        yield* latch.open
        yield* turns
      }
      assert.deepStrictEqual(log[0], ["/user/a", "/user/d", "/user/c", "/user/b"])
    })))
})

describe("A cycle", () => {
  const ring = (beside: (hold: Latch.Latch) => Act) =>
    run(Effect.gen(function*() {
      const hold = yield* Latch.make()
      const [a, b] = [yield* spawn("a"), yield* spawn("b")]
      yield* begin(ask(a, beside(hold)))
      const asker = yield* begin(ask(a, Effect.orDie(ask(b, outcome(ask(a, Effect.void))))))
      assert.deepStrictEqual(asker.pollUnsafe(), Exit.succeed("Deadlock"))
    }))

  it.effect("is seen though a forked run of one of its actors goes on", () =>
    ring((hold) => Rpc.fork(Effect.asVoid(hold.await))))

  it.effect("is seen though one of its actors owes somebody an answer", () =>
    ring(() => Effect.succeed(Deferred.makeUnsafe<void>())))

  it.effect("is seen though one of its actors is paused", () =>
    run(Effect.gen(function*() {
      const [a, b] = [yield* spawn("a"), yield* spawn("b")]
      const asker = yield* begin(
        ask(a, Effect.andThen(a.pause, Effect.orDie(ask(b, outcome(ask(a, Effect.void))))))
      )
      assert.deepStrictEqual(asker.pollUnsafe(), Exit.succeed("Deadlock"))
    })))
})

describe("No false Deadlock", () => {
  it.effect("for an actor that is busy and merely slow", () =>
    run(Effect.gen(function*() {
      const [a, b, c] = [yield* spawn("a"), yield* spawn("b"), yield* spawn("c")]
      yield* tell(b, Effect.sleep("1 second"))
      const first = yield* begin(ask(a, outcome(b.ask("Ping"))))
      const second = yield* begin(ask(c, outcome(a.ask("Ping"))))
      const third = yield* begin(ask(c, outcome(b.ask("Ping"))))
      yield* pass("1 second")
      for (const asker of [first, second, third]) {
        assert.deepStrictEqual(asker.pollUnsafe(), Exit.succeed("pong"))
      }
    })))

  it.effect("for Rpc.fork: its run asks and tells its own busy actor and waits", () =>
    run(Effect.gen(function*() {
      const ref = yield* spawn("a")
      const [hold, busy] = [yield* Latch.make(), yield* Latch.make()]
      const forked = yield* begin(ask(ref, Rpc.fork(Effect.andThen(hold.await, outcome(ref.ask("Ping"))))))
      yield* tell(ref, busy.await)
      yield* hold.open
      yield* turns
      assert.isUndefined(forked.pollUnsafe())
      yield* busy.open
      yield* turns
      assert.deepStrictEqual(forked.pollUnsafe(), Exit.succeed("pong"))
    })))

  it.effect("for Rpc.fork: a cycle through a forked run is none", () =>
    run(Effect.gen(function*() {
      const [a, b] = [yield* spawn("a"), yield* spawn("b")]
      const asker = yield* begin(ask(a, Rpc.fork(Effect.orDie(ask(b, outcome(a.ask("Ping")))))))
      assert.deepStrictEqual(asker.pollUnsafe(), Exit.succeed("pong"))
    })))

  it.effect("for a deferred answer: its asker waits for that, and not for what else the actor does", () =>
    run(Effect.gen(function*() {
      const [a, b] = [yield* spawn("a"), yield* spawn("b")]
      const owed = yield* Deferred.make<unknown>()
      const asker = yield* begin(ask(a, outcome(ask(b, Effect.succeed(owed)))))
      const back = yield* begin(ask(b, outcome(a.ask("Ping"))))
      assert.isUndefined(back.pollUnsafe())
      yield* Deferred.succeed(owed, "at last")
      yield* turns
      assert.deepStrictEqual(asker.pollUnsafe(), Exit.succeed("at last"))
      assert.deepStrictEqual(back.pollUnsafe(), Exit.succeed("pong"))
    })))

  it.effect("for a timeout, which ends the wait by itself", () =>
    run(Effect.gen(function*() {
      const log: Array<unknown> = []
      const [a, b] = [yield* spawn("a"), yield* spawn("b")]
      const back = Effect.onInterrupt(noted(log, outcome(a.ask("Ping"))), () => note(log, "interrupted"))
      const asker = yield* begin(ask(a, Effect.timeoutOption(Effect.orDie(ask(b, back)), "1 second")))
      assert.deepStrictEqual(log, [])
      yield* pass("1 second")
      assert.deepStrictEqual(asker.pollUnsafe(), Exit.succeed(Option.none()))
      assert.deepStrictEqual(log, ["interrupted"])
      yield* goOn([a, b])
    })))

  it.effect("for a race, which another one may win", () =>
    run(Effect.gen(function*() {
      const [a, b] = [yield* spawn("a"), yield* spawn("b")]
      const latch = yield* Latch.make()
      const asker = yield* begin(
        ask(a, Effect.race(Effect.orDie(ask(b, outcome(a.ask("Ping")))), Effect.as(latch.await, "other")))
      )
      assert.isUndefined(asker.pollUnsafe())
      yield* latch.open
      yield* turns
      assert.deepStrictEqual(asker.pollUnsafe(), Exit.succeed("other"))
      yield* goOn([a, b])
    })))

  it.effect("for asks side by side, one of which sets the other free", () =>
    run(Effect.gen(function*() {
      const [a, b, c] = [yield* spawn("a"), yield* spawn("b"), yield* spawn("c")]
      const latch = yield* Latch.make()
      // b waits for a no longer than c lets it.
      const act = Effect.race(outcome(a.ask("Ping")), Effect.as(latch.await, "free"))
      const asker = yield* begin(
        ask(a, Effect.all([outcome(ask(b, act)), outcome(ask(c, latch.open))], { concurrency: "unbounded" }))
      )
      const exit = asker.pollUnsafe()
      assert(exit !== undefined && Exit.isSuccess(exit))
      assert.strictEqual((exit.value as ReadonlyArray<unknown>)[0], "free")
      yield* goOn([a, b, c])
    })))

  it.effect("for a fiber that a handler has forked and does not wait for", () =>
    run(Effect.gen(function*() {
      const log: Array<unknown> = []
      const [a, b] = [yield* spawn("a"), yield* spawn("b")]
      const back = noted(log, outcome(a.ask("Ping")))
      const act = Effect.forkScoped(Effect.orDie(ask(b, back)))
      assert.isDefined(yield* settle(ask(a, Effect.andThen(act, Effect.yieldNow))))
      assert.deepStrictEqual(log, ["pong"])
    })))

  it.effect("for a wait that was given up", () =>
    run(Effect.gen(function*() {
      const [a, b] = [yield* spawn("a"), yield* spawn("b")]
      const hold = yield* Latch.make()
      const first = yield* begin(ask(a, Effect.orDie(b.ask("Do", { act: hold.await }))))
      yield* Fiber.interrupt(first)
      yield* turns
      assert.deepStrictEqual(yield* settle(ask(b, outcome(a.ask("Ping")))), Exit.succeed("pong"))
    })))

  it.effect("for a setup that asks its idle parent, at a restart too", () =>
    run(Effect.gen(function*() {
      const log: Array<unknown> = []
      const parent = yield* spawn("p")
      const setup = noted(log, outcome(parent.ask("Ping")))
      // Its parent spawns it in the background, and goes on.
      const options = { setup, supervisor: Supervisor.restart(Schedule.forever) }
      yield* ask(parent, Effect.asVoid(Effect.forkScoped(Effect.orDie(spawn("child", options)))))
      yield* turns
      yield* TestActor.crash(yield* find("/user/p/child"))
      yield* turns
      assert.deepStrictEqual(log, ["pong", "pong"])
    })))

  it.effect("for an outsider's ask of actors that wait for each other in a line", () =>
    run(Effect.gen(function*() {
      const refs: Array<PuppetRef> = []
      for (let i = 0; i < 5; i++) refs.push(yield* spawn(`a${i}`))
      const hold = yield* Latch.make()
      const line = (i: number): Effect.Effect<unknown> =>
        i === 4 ? hold.await : Effect.orDie(ask(refs[i + 1]!, Effect.suspend(() => line(i + 1))))
      yield* begin(ask(refs[0]!, line(0)))
      const outside = yield* Effect.forEach(refs, (ref) => begin(ref.ask("Ping")))
      yield* hold.open
      yield* turns
      for (const asker of outside) assert.deepStrictEqual(asker.pollUnsafe(), Exit.succeed("pong"))
    })))
})

describe("Agents that wait for each other", () => {
  /** An agent with a tool that is known only once the other one has started. */
  const asking = (name: string, tool: Deferred.Deferred<Tool.Tool<string>>) =>
    Agent.make(name, {
      instructions: name,
      prepareTurn: () => Effect.map(Deferred.await(tool), (tool) => ({ tools: [tool] }))
    })

  const asks = (ref: Agent.AgentRef, name: string) => Tool.fromAgent(ref, { name, description: "" })

  /** Two agents that have each other as a tool: the run of the first one ends, with a result that names the cycle. */
  const askEachOther = Effect.gen(function*() {
    const [toB, toA] = [yield* Deferred.make<Tool.Tool<string>>(), yield* Deferred.make<Tool.Tool<string>>()]
    const a = yield* Agent.spawn(asking("a", toB), { name: "a" })
    const b = yield* Agent.spawn(asking("b", toA), { name: "b" })
    yield* Deferred.succeed(toB, asks(b, "ask_b"))
    yield* Deferred.succeed(toA, asks(a, "ask_a"))
    const running = yield* begin(collect(Agent.stream(a, "Go")))
    const exit = running.pollUnsafe()
    assert(exit !== undefined && Exit.isSuccess(exit))
    assert.isTrue(results(exit.value).some((result) => String(result).includes("/user/a")))
    return b
  })

  it.effect("as tools: the call that closes the cycle is a failed result, and all runs end", () =>
    run(Effect.gen(function*() {
      const b = yield* askEachOther
      assert.strictEqual((yield* Agent.ask(b, "Still there?")).text, "b is done")
    })).pipe(Effect.provide(cast({
      a: [Scripted.toolCall("ask_b", { prompt: "?" }), "a is done"],
      b: [Scripted.toolCall("ask_a", { prompt: "?" }), "b gives up", "b is done"]
    }))))

  it.effect("as tools called side by side: each call is a wait of the run", () =>
    run(askEachOther).pipe(Effect.provide(cast({
      a: [[Scripted.toolCall("ask_b", { prompt: "1" }), Scripted.toolCall("ask_b", { prompt: "2" })], "a is done"],
      b: [Scripted.toolCall("ask_a", { prompt: "?" }), "b gives up", "b is done"]
    }))))

  it.effect("as tools with a timeout get no Deadlock, as the time ends the wait", () =>
    run(Effect.gen(function*() {
      const [toB, toA] = [yield* Deferred.make<Tool.Tool<string>>(), yield* Deferred.make<Tool.Tool<string>>()]
      const a = yield* Agent.spawn(asking("a", toB), { name: "a" })
      const b = yield* Agent.spawn(asking("b", toA), { name: "b" })
      yield* Deferred.succeed(toB, asks(b, "ask_b"))
      yield* Deferred.succeed(
        toA,
        Tool.fromAgent(a, { name: "ask_a", description: "", timeout: "1 minute" })
      )
      const running = yield* begin(collect(Agent.stream(a, "Go")))
      yield* pass("59 seconds")
      assert.isUndefined(running.pollUnsafe())
      yield* pass("1 second")
      const exit = running.pollUnsafe()
      assert(exit !== undefined && Exit.isSuccess(exit))
      assert.isTrue(results(exit.value).some((result) => String(result).includes("timed out")))
    })).pipe(Effect.provide(cast({
      a: [Scripted.toolCall("ask_b", { prompt: "1" }), "a is done"],
      b: [
        [Scripted.toolCall("ask_a", { prompt: "?" }), Scripted.toolCall("ask_a", { prompt: "??" })],
        "b gives up"
      ]
    }))))

  it.effect("by handoffs: the one that closes the cycle is a failed result", () =>
    run(Effect.gen(function*() {
      const [toB, toA] = [yield* Deferred.make<Tool.Tool<string>>(), yield* Deferred.make<Tool.Tool<string>>()]
      const a = yield* Agent.spawn(asking("a", toB), { name: "a" })
      const b = yield* Agent.spawn(asking("b", toA), { name: "b" })
      yield* Deferred.succeed(toB, Tool.handoff(b, { name: "to_b", description: "" }))
      yield* Deferred.succeed(toA, Tool.handoff(a, { name: "to_a", description: "" }))
      const running = yield* begin(Agent.ask(a, "Go"))
      const exit = running.pollUnsafe()
      assert(exit !== undefined && Exit.isSuccess(exit))
      assert.strictEqual(exit.value.text, "b did it alone")
    })).pipe(Effect.provide(cast({
      a: [Scripted.toolCall("to_b", { message: "?" })],
      b: [Scripted.toolCall("to_a", { message: "?" }), "b did it alone"]
    }))))

  it.effect("in nested teams: a member that asks the outermost team gets a failed result", () =>
    run(Effect.gen(function*() {
      const toTeam = yield* Deferred.make<Tool.Tool<string>>()
      const member = yield* Agent.spawn(asking("member", toTeam), { name: "member" })
      const inner = Team.broadcast("inner", [member, actor("other")])
      const team = yield* Actor.spawn(
        Team.pipeline("outer", [Team.loop("loop", inner, {
          until: () => true,
          maxRounds: 1
        })]),
        { name: "outer" }
      )
      yield* Deferred.succeed(toTeam, asks(team, "ask_team"))
      const running = yield* begin(collect(Agent.stream(team, "Go")))
      const exit = running.pollUnsafe()
      assert(exit !== undefined && Exit.isSuccess(exit))
      assert.isTrue(results(exit.value).some((result) => String(result).includes("/user/outer")))
    })).pipe(Effect.provide(cast({
      member: [Scripted.toolCall("ask_team", { prompt: "?" }), "alone"],
      other: () => "other"
    }))))

  it.effect("in calls side by side, behind agents in between: the call that closes the cycle is a failed result", () =>
    run(Effect.gen(function*() {
      const toA = yield* Deferred.make<Tool.Tool<string>>()
      const b = yield* Agent.spawn(asking("b", toA), { name: "b" })
      const tools = ["first", "second"].map((name) =>
        Tool.fromAgent(Agent.make(name, { instructions: name, tools: [asks(b, "ask_b")] }), { description: "" })
      )
      const a = yield* Agent.spawn(Agent.make("a", { instructions: "a", tools }), { name: "a" })
      yield* Deferred.succeed(toA, asks(a, "ask_a"))
      const exit = yield* settle(collect(Agent.stream(a, "Go")))
      assert(exit !== undefined && Exit.isSuccess(exit))
      assert.strictEqual(results(exit.value).filter((result) => String(result).includes("/user/a")).length, 2)
      assert.includeMembers(results(exit.value), ["first is done", "second is done"])
    })).pipe(Effect.provide(cast({
      a: [["first", "second"].map((name) => Scripted.toolCall(name, { prompt: "?" })), "a is done"],
      first: [Scripted.toolCall("ask_b", { prompt: "?" }), "first is done"],
      second: [Scripted.toolCall("ask_b", { prompt: "?" }), "second is done"],
      b: [Scripted.toolCall("ask_a", { prompt: "?" }), "b", Scripted.toolCall("ask_a", { prompt: "?" }), "b"]
    }))))

  const bounded: Record<
    string,
    { readonly tool?: Pick<Tool.FromAgentOptions, "timeout">; readonly agent?: Agent.Limits }
  > = {
    "the tool's timeout": { tool: { timeout: "1 second" } },
    "the agent's maxDuration": { agent: { maxDuration: "1 second" } }
  }
  for (const [what, { agent, tool }] of Object.entries(bounded)) {
    it.effect(`are none of it when ${what} ends the wait`, () =>
      run(Effect.gen(function*() {
        const toA = yield* Deferred.make<Tool.Tool<string>>()
        const b = yield* Agent.spawn(asking("b", toA), { name: "b" })
        const tools = [Tool.fromAgent(b, { name: "ask_b", description: "", ...tool })]
        const a = yield* Agent.spawn(Agent.make("a", { instructions: "a", tools, ...agent }), { name: "a" })
        yield* Deferred.succeed(toA, asks(a, "ask_a"))
        const running = yield* begin(collect(Agent.stream(a, "Go")))
        assert.isUndefined(running.pollUnsafe())
        yield* pass("1 second")
        assert.isDefined(running.pollUnsafe())
        assert.notInclude(JSON.stringify(yield* Agent.transcript(b)), "its own answer")
      })).pipe(Effect.provide(cast({
        a: [Scripted.toolCall("ask_b", { prompt: "?" }), "a is done"],
        b: [Scripted.toolCall("ask_a", { prompt: "?" }), "b is done"]
      }))))
  }

  it.effect("are none of it when they share an expert: it answers one after the other", () =>
    run(Effect.gen(function*() {
      const expert = yield* Agent.spawn(actor("expert"), { name: "expert" })
      const [toExpert, toA] = [yield* Deferred.make<Tool.Tool<string>>(), yield* Deferred.make<Tool.Tool<string>>()]
      const a = yield* Agent.spawn(asking("a", toExpert), { name: "a" })
      const b = yield* Agent.spawn(asking("b", toA), { name: "b" })
      yield* Deferred.succeed(toExpert, asks(expert, "ask_expert"))
      yield* Deferred.succeed(toA, asks(a, "ask_a"))
      const running = yield* Effect.forEach([b, a], (ref) => Effect.forkChild(Agent.ask(ref, "Go")))
      yield* pass("1 minute")
      for (const fiber of running) {
        const exit = fiber.pollUnsafe()
        assert(exit !== undefined && Exit.isSuccess(exit))
        assert.include(exit.value.text, "done")
      }
    })).pipe(Effect.provide(cast({
      a: [
        Scripted.toolCall("ask_expert", { prompt: "!" }),
        "done",
        Scripted.toolCall("ask_expert", { prompt: "!" }),
        "done"
      ],
      b: [Scripted.toolCall("ask_a", { prompt: "?" }), "done"],
      expert: () => [Scripted.delay("1 second"), Scripted.text("42")]
    }))))
})
