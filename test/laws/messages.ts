/** Laws of messages: their order, and that none is lost. */
import { Deferred, Effect, Exit, Fiber, Schedule, Schema, Stream } from "effect"
import { Rpc } from "effect/rpc"
import * as Actor from "../../src/Actor.ts"
import * as ActorSystem from "../../src/ActorSystem.ts"
import * as Mailbox from "../../src/Mailbox.ts"
import * as Supervisor from "../../src/Supervisor.ts"
import { countsOf } from "../fixtures/actorLaws.ts"
import {
  atOnce,
  chance,
  collectEvents,
  endOf,
  type Expect,
  int,
  type Law,
  law,
  numbers,
  pause,
  pick,
  settle,
  systemName,
  times
} from "./law.ts"

const Work = Schema.Literals(["none", "yield", "sleep", "fail", "die"])
type Work = typeof Work.Type

const works: ReadonlyArray<Work> = Work.literals

const workOn = (work: Work): Effect.Effect<void, string> => {
  switch (work) {
    case "none":
      return Effect.void
    case "yield":
      return Effect.yieldNow
    case "sleep":
      return Effect.sleep("5 millis")
    case "fail":
      return Effect.fail("declared")
    case "die":
      return Effect.die("boom")
  }
}

const Worker = Actor.make("Worker", [
  Rpc.make("Do", {
    payload: { sender: Schema.Int, id: Schema.Int, work: Work },
    success: Schema.Int,
    error: Schema.String
  }),
  Rpc.make("Items", { payload: { count: Schema.Int }, success: Schema.Int, stream: true })
])

// -----------------------------------------------------------------------------
// order
// -----------------------------------------------------------------------------

const oneAtATime = (expect: Expect) =>
  Effect.gen(function*() {
    const mailbox = yield* pick([Mailbox.unbounded, ...[1, 2, 3].map((capacity) => Mailbox.bounded(capacity))])
    const lastOf = new Map<number, number>()
    const ended = new Set<string>()
    let running = 0
    let begun = 0
    let accepted = 0
    const worker = yield* Actor.spawn(
      Worker.behavior(
        Effect.succeed({
          Do: ({ id, sender, work }) =>
            Effect.suspend(() => {
              begun++
              expect(++running === 1, "one message at a time")
              expect((lastOf.get(sender) ?? 0) < id, "each sender's messages in their order")
              lastOf.set(sender, id)
              return Effect.as(workOn(work), id)
            }).pipe(Effect.ensuring(Effect.sync(() => {
              running--
              ended.add(`${sender} ${id}`)
            }))),
          Items: ({ count }) => Stream.fromIterable(numbers(count))
        }),
        { mailbox, supervisor: Supervisor.resume }
      )
    )
    const each = 6
    const senders = yield* int(1, 4)
    yield* atOnce(senders, (sender) =>
      times(each, (id) =>
        Effect.gen(function*() {
          const work = yield* pick(works)
          if (yield* chance(0.5)) {
            yield* worker.tell("Do", { sender, id, work })
            // One of them may have been taken out, and not have begun.
            expect(++accepted - begun <= mailbox.capacity + 1, "no more than its capacity in a mailbox")
          } else {
            const answer = yield* endOf(worker.ask("Do", { sender, id, work }))
            accepted++
            expect(ended.has(`${sender} ${id}`), "an answer comes after its handler has ended")
            const promised = work === "fail" ? "declared" : work === "die" ? "Crashed" : id
            expect(answer === promised, `the answer to ${work}, got ${answer}`)
          }
          yield* pause
        })))
    yield* worker.drain
    expect(begun === senders * each, `each message once, got ${begun} of ${senders * each}`)
  })

const streamsInOrder = (expect: Expect) =>
  Effect.gen(function*() {
    let released = 0
    let begun = 0
    const worker = yield* Actor.spawn(Worker.behavior(Effect.succeed({
      Do: ({ id }) => Effect.succeed(id),
      Items: ({ count }) => {
        begun++
        return Stream.fromIterable(numbers(count)).pipe(
          Stream.mapEffect((item) => Effect.as(pause, item)),
          Stream.ensuring(Effect.sync(() => released++))
        )
      }
    })))
    yield* atOnce(3, (reader) =>
      Effect.gen(function*() {
        const count = yield* int(0, 8)
        const wanted = yield* int(1, 8)
        const items = yield* Stream.runCollect(Stream.take(worker.stream("Items", { count }), wanted))
        expect(
          items.join() === numbers(Math.min(count, wanted)).join(),
          `a stream's items in their order, got ${items}`
        )
        expect((yield* worker.ask("Do", { sender: reader, id: reader, work: "none" })) === reader, "the actor goes on")
      }))
    expect(begun === 3 && released === 3, `each stream is released, got ${released} of ${begun}`)
  })

const Chest = Actor.make("Chest", [
  Rpc.make("Put", { payload: { id: Schema.Int }, success: Schema.Int }),
  Rpc.make("Open")
])

const stashKeepsOrder = (expect: Expect) =>
  Effect.gen(function*() {
    const handled: Array<number> = []
    const tray = yield* Actor.spawn(Chest.behavior(Effect.succeed({
      Put: ({ id }) => Effect.as(pause, -id),
      Open: () => Effect.void
    })))
    const chest = yield* Actor.spawn(Chest.behavior(Effect.sync(() => {
      let open = false
      return {
        Put: ({ id }): Effect.Effect<number | Deferred.Deferred<number>, never, Actor.Self<never>> => {
          if (!open) return Actor.stash
          handled.push(id)
          return id % 2 === 0 ? Effect.succeed(id) : Actor.forward(tray, "Put", { id })
        },
        Open: () =>
          Effect.suspend(() => {
            open = true
            return Actor.unstashAll
          })
      }
    })))
    const count = yield* int(2, 6)
    const asked = yield* Effect.forkChild(Effect.all(
      numbers(count).map((id) => chest.ask("Put", { id })),
      { concurrency: "unbounded" }
    ))
    yield* pause
    yield* chest.tell("Open")
    const answers = yield* Fiber.join(asked)
    expect(answers.every((answer, index) => answer === ((index + 1) % 2 === 0 ? index + 1 : -index - 1)), "the answers")
    expect(handled.join() === numbers(count).join(), `what is put aside keeps its order, got ${handled}`)
  })

// -----------------------------------------------------------------------------
// nothing is lost
// -----------------------------------------------------------------------------

const Busy = Schema.Literals([
  ...Work.literals,
  "fork",
  "pinned",
  "later",
  "stash",
  "unstash",
  "forward",
  "askOther",
  "tellOther",
  "tellSelf",
  "stopSelf"
])
type Busy = typeof Busy.Type

const Player = Actor.make("Player", [
  Rpc.make("Do", {
    payload: { id: Schema.Int, work: Busy, to: Schema.Int },
    success: Schema.Int,
    error: Schema.String
  }),
  Rpc.make("Items", { payload: { id: Schema.Int }, success: Schema.Int, stream: true })
])

type PlayerRef = Actor.LocalRefOf<typeof Player>

const options = Effect.gen(function*() {
  const capacity = yield* int(1, 3)
  const idle = yield* chance(0.2)
  return {
    mailbox: yield* pick([
      Mailbox.unbounded,
      ...(["block", "block", "fail", "dropNewest", "dropOldest"] as const).map((policy) =>
        Mailbox.bounded(capacity, policy)
      )
    ]),
    supervisor: yield* pick<Supervisor.Policy>([
      Supervisor.resume,
      Supervisor.stop,
      Supervisor.restart(Schedule.forever),
      Supervisor.restart(Schedule.spaced("20 millis")),
      Supervisor.restart(Schedule.recurs(1))
    ]),
    concurrency: yield* pick([1, 1, 2, "unbounded" as const]),
    stashCapacity: yield* pick([1, 5]),
    idleTimeout: idle ? "80 millis" : undefined
  } as const
})

interface Fate {
  readonly begins: number
  readonly stashes: number
}

/** Some players that do anything, also to each other; who sends to them; and what became of each message. */
const nothingIsLost = (expect: Expect) =>
  Effect.gen(function*() {
    const events = yield* collectEvents
    const fates = new Map<number, Fate>()
    const note = (id: number, what: keyof Fate) => {
      const fate = fates.get(id) ?? { begins: 0, stashes: 0 }
      fates.set(id, { ...fate, [what]: fate[what] + 1 })
    }
    /** How often each had begun by then. */
    const takenBack = new Map<number, number>()
    let ids = 0
    const players: Array<PlayerRef> = []
    const settings = yield* times(yield* int(2, 4), () => options)
    const behavior = (me: number) => {
      const next = (to: number) => players[to % players.length]!
      const message = () => ({ id: ++ids, work: "none" as const, to: 0 })
      return Player.behavior(
        Effect.succeed({
          Items: ({ id }) => {
            note(id, "begins")
            return Stream.concat(Stream.make(id), Stream.fromEffect(Effect.as(Effect.sleep("2 millis"), id)))
          },
          Do: ({ id, to, work }): Rpc.WrapperOr<
            Effect.Effect<number | Deferred.Deferred<number, string>, string, Actor.Self<never>>
          > => {
            note(id, "begins")
            switch (work) {
              case "fork":
                return Rpc.fork(Effect.as(Effect.sleep("5 millis"), id))
              case "pinned":
                return Rpc.uninterruptible(Effect.as(Effect.sleep("5 millis"), id))
              case "later":
                return Effect.gen(function*() {
                  const answer = yield* Deferred.make<number, string>()
                  yield* Effect.forkChild(Effect.andThen(Effect.sleep("5 millis"), Deferred.succeed(answer, id)))
                  yield* Effect.sleep("6 millis")
                  return answer
                })
              case "stash":
                note(id, "stashes")
                return Actor.stash
              case "unstash":
                return Effect.as(Actor.unstashAll, id)
              case "forward":
                return to % players.length === me
                  ? Effect.succeed(id)
                  : Effect.suspend(() => {
                    const onward = message()
                    return Effect.as(next(to).tell("Do", onward).pipe(Effect.ignore), id)
                  })
              case "askOther":
                return Effect.as(Effect.ignore(next(to).ask("Do", message())), id)
              case "tellOther":
                return Effect.as(Effect.ignore(next(to).tell("Do", message())), id)
              case "tellSelf":
                return Effect.as(Effect.ignore(players[me]!.tell("Do", message())), id)
              case "stopSelf":
                return Effect.as(players[me]!.stop, id)
              default:
                return Effect.as(workOn(work), id)
            }
          }
        }),
        settings[me]
      )
    }
    for (let me = 0; me < settings.length; me++) players.push(yield* Actor.spawn(behavior(me), { name: `${me}` }))

    const send = Effect.gen(function*() {
      const to = yield* int(0, players.length - 1)
      const player = players[to]!
      const id = ++ids
      const work = yield* pick<Busy>(Busy.literals)
      const message = { id, work, to: yield* int(0, 9) }
      const how = yield* pick(["tell", "tell", "ask", "ask", "takeBack", "timeout", "stream", "stop", "drain", "pause"])
      switch (how) {
        case "tell":
          return yield* endOf(player.tell("Do", message))
        case "ask":
        case "timeout":
        case "takeBack": {
          const ask = player.ask("Do", message)
          const end = how === "ask"
            ? yield* endOf(ask)
            : how === "timeout"
            ? yield* endOf(Effect.timeout(ask, "4 millis"))
            : yield* Effect.flatMap(Effect.forkChild(ask), (fiber) => Effect.andThen(pause, Fiber.interrupt(fiber)))
          const { begins, stashes } = fates.get(id) ?? { begins: 0, stashes: 0 }
          if (typeof end === "number") expect(end === id && begins > 0, `the answer to ${work}`)
          if (how !== "ask" && typeof end !== "number") takenBack.set(id, begins)
          if (end === "Dropped") expect(begins === stashes, "what was dropped has not been handled")
          if (end === "MailboxFull") expect(begins === stashes, "what was refused has not been handled")
          return
        }
        case "stream": {
          const items = yield* Effect.exit(Stream.runCollect(player.stream("Items", { id })))
          if (Exit.isSuccess(items)) expect(items.value.join() === `${id},${id}`, "a stream's items")
          return
        }
        case "stop":
        case "drain":
          if (yield* chance(0.7)) return
          return yield* Effect.forkChild(player[how])
        default:
          return yield* pause
      }
    })
    const senders = yield* Effect.forkChild(atOnce(4, () => times(6, () => send)))
    // Whoever waits for something that is put aside gets its answer at the end.
    yield* Effect.sleep("1 minute")
    for (const player of players) {
      const { state } = (yield* ActorSystem.list).find(({ path }) => path === player.path) ?? {}
      const { running, size } = yield* player.mailbox
      expect(state !== "Running" || size === 0 || running > 0, `${player.path} runs, and leaves ${size} messages alone`)
    }
    yield* Effect.forEach(players, (player) => player.stop, { concurrency: "unbounded" })
    yield* Fiber.join(senders)
    yield* settle
    const { cancelled, deadLetters, dropped, handled, sent } = yield* countsOf(systemName)
    let begins = 0
    let stashes = 0
    for (const [id, fate] of fates) {
      begins += fate.begins
      stashes += fate.stashes
      expect(fate.begins <= fate.stashes + 1, `message ${id} is handled once, not ${fate.begins} times`)
    }
    expect(
      sent === handled + dropped + deadLetters + cancelled,
      `${sent} sent, ${handled} handled, ${dropped} dropped, ${deadLetters} dead, ${cancelled} taken back`
    )
    for (const [id, begins] of takenBack) {
      expect((fates.get(id)?.begins ?? 0) === begins, `message ${id} is not handled after it was taken back`)
    }
    // Whoever takes a message back just when its handler puts it aside leaves it handled.
    expect(
      begins - stashes <= handled && handled <= begins,
      `${handled} count as handled: ${begins} were, or put aside, which were ${stashes}`
    )
    const count = (tag: string) => events.filter(({ _tag }) => _tag === tag).length
    expect(count("DeadLetter") === deadLetters, `${deadLetters} dead letters, ${count("DeadLetter")} events`)
    expect(count("MessageDropped") === dropped, `${dropped} dropped, ${count("MessageDropped")} events`)
  })

export const messages: ReadonlyArray<Law> = [
  law("an actor handles one message at a time, each sender's in order", oneAtATime, { delay: 0.05 }),
  law("a stream gives its items in order, and is released", streamsInOrder),
  law("what is put aside or forwarded keeps its order and its asker", stashKeepsOrder),
  law("no message is lost, and no asker forgotten", nothingIsLost, { crashAfter: 0.02 })
]
