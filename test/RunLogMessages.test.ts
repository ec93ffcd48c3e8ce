import { assert, describe, it } from "@effect/vitest"
import { Clock, Deferred, Effect, Exit, Option, Predicate, Queue, Ref, Schema, Stream } from "effect"
import type { LanguageModel } from "effect/ai"
import { Rpc } from "effect/rpc"
import * as Actor from "../src/Actor.ts"
import * as ActorSystem from "../src/ActorSystem.ts"
import * as Agent from "../src/Agent.ts"
import * as Scripted from "../src/Llm/Scripted.ts"
import * as Mailbox from "../src/Mailbox.ts"
import * as RunLog from "../src/RunLog.ts"
import { divergence, watch } from "./fixtures/recorded.ts"
import { actor, cast } from "./fixtures/teams.ts"

const silent = Effect.provide(Scripted.model([]))

const inSystem = <A, E, R>(program: Effect.Effect<A, E, R>) =>
  Effect.provide(Effect.scoped(program), ActorSystem.layer({ name: "test" }))

const Desk = Actor.make("Desk", [
  Rpc.make("Put", { payload: { text: Schema.String } }),
  Rpc.make("Ask", {
    payload: { text: Schema.String },
    success: Schema.Struct({ text: Schema.String, at: Schema.Finite })
  }),
  Rpc.make("Count", { payload: { to: Schema.Int }, success: Schema.Int, stream: true }),
  Rpc.make("Hang", {}),
  Rpc.make("Give", { payload: { value: Schema.declare(Predicate.isSymbol) } }),
  Rpc.make("Close", {})
])

const Bell = Actor.make("Bell", [Rpc.make("Ring", { payload: { text: Schema.String } }), Rpc.make("Stop")])

type Ref_ = Actor.LocalRefOf<typeof Desk>

const day = 24 * 60 * 60 * 1000

/** A desk that tells its reference to somebody outside, and lives until it is closed. Its result says what happened. */
const makeProgram = (open: (ref: Ref_) => Effect.Effect<unknown>, options: { readonly name?: string } = {}) =>
  inSystem(Effect.gen(function*() {
    const seen = yield* Ref.make<ReadonlyArray<unknown>>([])
    const closed = yield* Deferred.make<void>()
    const note = (what: string) =>
      Effect.flatMap(Clock.currentTimeMillis, (at) => Ref.update(seen, (seen) => [...seen, `${what} ${at % day}`]))
    const desk = Desk.behavior(Effect.succeed({
      Put: ({ text }) => note(`put ${text}`),
      Ask: ({ text }) =>
        Effect.gen(function*() {
          const answer = yield* Agent.response(Agent.run(actor("clerk"), text))
          yield* note(`asked ${text}`)
          return { text: answer.text, at: yield* Clock.currentTimeMillis }
        }).pipe(Effect.orDie),
      Count: ({ to }) => Stream.range(1, to).pipe(Stream.tap((n) => note(`counted ${n}`))),
      Hang: () => Effect.onInterrupt(Effect.never, () => note("let go")),
      Give: () => note("given"),
      Close: () => Effect.asVoid(Deferred.succeed(closed, undefined))
    }))
    const ref = yield* Actor.spawn(desk, { name: options.name ?? "desk" })
    yield* open(ref)
    yield* Deferred.await(closed)
    return yield* Ref.get(seen)
  }))

/** Records the desk while somebody outside does something with its reference. */
const recordWith = <A, E, R>(
  outside: (ref: Ref_) => Effect.Effect<A, E, R>,
  scripts: Parameters<typeof cast>[0] = {}
) =>
  Effect.gen(function*() {
    const opened = yield* Deferred.make<Ref_>()
    const program = makeProgram((ref) => Deferred.succeed(opened, ref))
    const memory = RunLog.memory()
    const [recorded, answer] = yield* Effect.all([
      watch(RunLog.record(program, { to: memory })),
      Effect.flatMap(Deferred.await(opened), outside)
    ], { concurrency: "unbounded" }).pipe(Effect.provide(cast(scripts)))
    return { ...recorded, answer, log: yield* memory.log, text: yield* memory.text }
  })

const alone = makeProgram(() => Effect.void)

const inputs = (log: RunLog.RunLog) =>
  log.entries.filter((entry) => entry._tag === "Input").filter(({ key }) => key.startsWith("message"))

const close = (ref: Ref_) => ref.tell("Close")

describe("messages from outside of a recorded program", () => {
  it.effect("are inputs of the log, and a replay gives them to the actor at their places and times", () =>
    Effect.gen(function*() {
      const { answer, exit, log, seen } = yield* recordWith((ref) =>
        Effect.gen(function*() {
          yield* ref.tell("Put", { text: "one" })
          yield* Effect.sleep("3 seconds")
          const answer = yield* ref.ask("Ask", { text: "two?" })
          yield* close(ref)
          return answer
        }), { clerk: [[Scripted.delay("1 second"), Scripted.text("Two.")]] })
      assert.strictEqual(answer.text, "Two.")
      const value = yield* exit
      assert.deepStrictEqual(inputs(log).map(({ key, value }) => [key, value]), [
        ["message 1", { system: "test", actor: "/user/desk", how: "tell", tag: "Put", payload: { text: "one" } }],
        ["message 2", { system: "test", actor: "/user/desk", how: "ask", tag: "Ask", payload: { text: "two?" } }],
        ["message 3", { system: "test", actor: "/user/desk", how: "tell", tag: "Close", payload: null }]
      ])
      assert.deepInclude(log.entries.find(({ _tag }) => _tag === "Reply"), {
        key: "message 2",
        value: { result: answer }
      })
      const replayed = yield* watch(RunLog.replay(alone, log)).pipe(silent)
      assert.deepStrictEqual(yield* replayed.exit, value)
      assert.deepStrictEqual(replayed.seen, seen)
      assert.strictEqual(RunLog.summary(log).messages, 3)
      assert.deepStrictEqual(RunLog.stopAt(log, 1).messages.map(({ key }) => key), ["message 2"])
      assert.deepStrictEqual(RunLog.stopAt(log, 2).messages, [])
    }))

  it.effect("from a reader of the program's stream are replayed byte for byte", () =>
    Effect.gen(function*() {
      // A chat: each answer goes out, and its reader asks the next question.
      let open: { readonly host: Actor.LocalRefOf<typeof Agent.protocol>; readonly bell: Actor.LocalRefOf<typeof Bell> }
      const chat = Stream.callback<string, never, LanguageModel.LanguageModel>((queue) =>
        inSystem(Effect.gen(function*() {
          const host = yield* Agent.spawn(actor("host"), { name: "host" })
          const ring = Bell.behavior(Effect.succeed({
            Ring: ({ text }) =>
              Effect.flatMap(Clock.currentTimeMillis, (at) => Effect.asVoid(Queue.offer(queue, `${text} ${at}`))),
            Stop: () => Effect.asVoid(Queue.end(queue))
          }))
          open = { host, bell: yield* Actor.spawn(ring, { name: "bell" }) }
          yield* Queue.offer(queue, "ready")
          yield* Effect.never
        })).pipe(Effect.orDie)
      )
      const memory = RunLog.memory()
      const read = Stream.runForEach(RunLog.record(chat, { to: memory }), (item) =>
        Effect.gen(function*() {
          items.push(item)
          if (items.length === 3) return yield* open.bell.tell("Stop")
          const { text } = yield* Agent.ask(open.host, `after ${items.length}`)
          yield* open.bell.tell("Ring", { text })
        }))
      const items: Array<string> = []
      const { exit, seen } = yield* watch(read).pipe(Effect.provide(cast({ host: (question) => `Yes, ${question}.` })))
      yield* exit
      assert.strictEqual(items.length, 3)
      const log = yield* memory.log
      const replayed = yield* watch(Stream.runCollect(RunLog.replay(chat, log))).pipe(silent)
      assert.deepStrictEqual(yield* replayed.exit, items)
      assert.deepStrictEqual(replayed.seen, seen)
    }))

  it.effect("may ask for streams, whose handlers do not wait for a reader outside", () =>
    Effect.gen(function*() {
      const { answer, exit, log } = yield* recordWith((ref) =>
        Effect.tap(Stream.runCollect(Stream.tap(ref.stream("Count", { to: 30 }), () => Effect.sleep("1 second"))), () =>
          close(ref))
      )
      assert.strictEqual(answer.length, 30)
      const replayed = yield* watch(RunLog.replay(alone, log)).pipe(silent)
      assert.deepStrictEqual(yield* replayed.exit, yield* exit)
    }))

  it.effect("are taken back where their sender left", () =>
    Effect.gen(function*() {
      const { exit, log } = yield* recordWith((ref) =>
        Effect.gen(function*() {
          yield* Effect.timeoutOption(ref.ask("Hang"), "2 seconds")
          yield* ref.ask("Close")
        })
      )
      const value = yield* exit
      assert.include(String(value[0]), "let go 2")
      assert.deepStrictEqual(inputs(log).map(({ key }) => key), ["message 1", "message 1", "message 2"])
      const replayed = yield* watch(RunLog.replay(alone, log)).pipe(silent)
      assert.deepStrictEqual(yield* replayed.exit, value)
    }))

  it.effect("to an agent, also with its events as a stream, are replayed", () =>
    Effect.gen(function*() {
      const opened = yield* Deferred.make<Actor.LocalRefOf<typeof Agent.protocol>>()
      const program = (open: (ref: Actor.LocalRefOf<typeof Agent.protocol>) => Effect.Effect<unknown>) =>
        inSystem(Effect.gen(function*() {
          const ref = yield* Agent.spawn(actor("a"), { name: "a" })
          yield* open(ref)
          yield* Effect.sleep("1 minute")
          return (yield* ref.ask("Transcript")).entries.length
        })).pipe(Effect.orDie)
      const memory = RunLog.memory()
      const [{ exit, seen }, answers] = yield* Effect.all([
        watch(RunLog.record(program((ref) => Deferred.succeed(opened, ref)), { to: memory })),
        Effect.flatMap(Deferred.await(opened), (ref) =>
          Effect.gen(function*() {
            const { text } = yield* Agent.ask(ref, "One")
            const events = yield* Stream.runCollect(Agent.stream(ref, "Two"))
            return [text, events.at(-1)?._tag]
          }))
      ], { concurrency: "unbounded" }).pipe(Effect.provide(cast({ a: ["A", "B"] })))
      assert.deepStrictEqual(answers, ["A", "Completed"])
      assert.strictEqual(yield* exit, 4)
      const log = yield* memory.log
      const replayed = yield* watch(RunLog.replay(program(() => Effect.void), log)).pipe(silent)
      assert.strictEqual(yield* replayed.exit, 4)
      assert.deepStrictEqual(replayed.seen, seen)
    }))

  it.effect("are refused in a replay, which takes them from its log", () =>
    Effect.gen(function*() {
      const { log } = yield* recordWith((ref) => Effect.andThen(Effect.sleep("1 second"), close(ref)))
      const refused: Array<string> = []
      const opened = yield* Deferred.make<Ref_>()
      const say = (error: { readonly message: string }) => Effect.sync(() => refused.push(error.message))
      const [{ exit }] = yield* Effect.all([
        watch(RunLog.replay(makeProgram((ref) => Deferred.succeed(opened, ref)), log)),
        Effect.flatMap(Deferred.await(opened), (ref) =>
          Effect.all([
            Effect.flatMap(Effect.flip(ref.tell("Put", { text: "x" })), say),
            Effect.flatMap(Effect.flip(ref.ask("Put", { text: "x" })), say),
            Effect.flatMap(Effect.flip(Stream.runDrain(ref.stream("Count", { to: 1 }))), say)
          ]))
      ], { concurrency: "unbounded" }).pipe(silent)
      assert.deepStrictEqual(yield* exit, [])
      assert.strictEqual(refused.length, 3)
      assert.include(refused[0], "Put to /user/desk")
      assert.include(refused[0], "RunLog: a replay takes messages from its log alone")
    }))

  it.effect("to an actor that is not there in a replay are Diverged", () =>
    Effect.gen(function*() {
      const { log } = yield* recordWith(close)
      const error = yield* divergence(RunLog.replay(makeProgram(() => Effect.void, { name: "shop" }), log)).pipe(silent)
      assert.deepInclude(error, {
        path: "/user/desk",
        problem:
          "message 1 (Close to /user/desk) came from outside when it was recorded, and now there is no such actor",
        recorded: { system: "test", actor: "/user/desk", how: "tell", tag: "Close", payload: null }
      })
    }))

  it.effect("are held to the replies that they had", () =>
    Effect.gen(function*() {
      const { log, text } = yield* recordWith((ref) => Effect.andThen(ref.ask("Ask", { text: "two?" }), close(ref)), {
        clerk: ["Two."]
      })
      const changed = yield* RunLog.parse(
        text.split("\n").map((line) => line.includes("\"Reply\"") ? line.replace("Two.", "Three.") : line).join("\n")
      )
      const error = yield* divergence(RunLog.replay(alone, changed)).pipe(silent)
      assert.strictEqual(error.problem, "the reply to message 1 is not as it was recorded")
      const early = text.split("\n").filter((line) => !line.includes("\"key\":\"message 1\",\"value\":{\"system\""))
        .join("\n")
      assert.include(String(yield* Effect.flip(RunLog.parse(early))), "replies to message 1, which did not come before")
      assert.isUndefined(RunLog.compare(log, log).input)
      assert.include(
        RunLog.compare(log, yield* RunLog.parse(text.replace("two?", "2?"))).input?.text,
        "message 1 (Ask to"
      )
    }))

  it.effect("that can't be written as JSON end the recording with an error that names actor and message", () =>
    Effect.gen(function*() {
      const { answer, exit } = yield* recordWith((ref) => Effect.exit(ref.ask("Give", { value: Symbol("x") })))
      assert.isTrue(Exit.isFailure(answer))
      const error = yield* Effect.flip(exit)
      assert.instanceOf(error, RunLog.LogError)
      assert.include(String(error), "the payload of Give to /user/desk, sent from outside, can't be written")
    }))

  it.effect("come without secrets into the log", () =>
    Effect.gen(function*() {
      const key = `sk-ant-api03-${"a1B2c3D4".repeat(6)}`
      const { log, text } = yield* recordWith((ref) => Effect.andThen(ref.tell("Put", { text: key }), close(ref)))
      assert.notInclude(text, key)
      assert.strictEqual(inputs(log).length, 2)
    }))

  it.effect("wait for room in the mailbox as those from inside do", () =>
    Effect.gen(function*() {
      const opened = yield* Deferred.make<Actor.LocalRefOf<typeof Bell>>()
      const program = (open: (ref: Actor.LocalRefOf<typeof Bell>) => Effect.Effect<unknown>) =>
        inSystem(Effect.gen(function*() {
          const rung: Array<string> = []
          const slow = Bell.behavior(
            Effect.succeed({
              Ring: ({ text }) => Effect.delay(Effect.sync(() => void rung.push(text)), "1 second"),
              Stop: () => Effect.void
            }),
            { mailbox: Mailbox.bounded(1, "block") }
          )
          yield* open(yield* Actor.spawn(slow, { name: "bell" }))
          yield* Effect.sleep("1 minute")
          return rung
        }))
      const memory = RunLog.memory()
      const [{ exit }, left] = yield* Effect.all([
        watch(RunLog.record(program((ref) => Deferred.succeed(opened, ref)), { to: memory })),
        Effect.flatMap(Deferred.await(opened), (ref) =>
          Effect.gen(function*() {
            yield* Effect.forEach(["a", "b", "c"], (text) => ref.tell("Ring", { text }), { concurrency: "unbounded" })
            yield* ref.tell("Ring", { text: "d" })
            return yield* Effect.timeoutOption(ref.tell("Ring", { text: "e" }), "1 milli")
          }))
      ], { concurrency: "unbounded" })
      assert.isTrue(Option.isNone(left))
      const rung = yield* exit
      assert.deepStrictEqual(rung, ["a", "b", "c", "d"])
      const replayed = yield* watch(RunLog.replay(program(() => Effect.void), yield* memory.log))
      assert.deepStrictEqual(yield* replayed.exit, rung)
    }))

  it.effect("to an actor that had stopped get their error and change nothing", () =>
    Effect.gen(function*() {
      const opened = yield* Deferred.make<Actor.LocalRefOf<typeof Bell>>()
      const silentBell = Bell.behavior(Effect.succeed({ Ring: () => Effect.void, Stop: () => Effect.void }))
      const program = inSystem(Effect.gen(function*() {
        const ref = yield* Actor.spawn(silentBell, { name: "bell" })
        yield* ref.stop
        yield* Actor.spawn(silentBell, { name: "bell" })
        yield* Deferred.succeed(opened, ref)
        yield* Effect.sleep("1 minute")
        return (yield* ActorSystem.list).map(({ handled }) => handled)
      }))
      const memory = RunLog.memory()
      const [{ exit }, error] = yield* Effect.all([
        watch(RunLog.record(program, { to: memory })),
        Effect.flatMap(Deferred.await(opened), (ref) => Effect.flip(ref.ask("Stop")))
      ], { concurrency: "unbounded" })
      assert.strictEqual(error.reason._tag, "Stopped")
      assert.deepStrictEqual(yield* exit, [0])
      const replayed = yield* watch(RunLog.replay(program, yield* memory.log))
      assert.deepStrictEqual(yield* replayed.exit, [0])
    }))

  it.effect("come from outside again after the call at which a fork goes live", () =>
    Effect.gen(function*() {
      const outside = (text: string) => (ref: Ref_) =>
        Effect.gen(function*() {
          yield* ref.ask("Ask", { text })
          yield* ref.tell("Put", { text })
          yield* close(ref)
        })
      const { log } = yield* recordWith(outside("one"), { clerk: ["1"] })
      const opened = yield* Deferred.make<Ref_>()
      const memory = RunLog.memory()
      const [{ exit }] = yield* Effect.all([
        watch(RunLog.fork(makeProgram((ref) => Deferred.succeed(opened, ref)), log, { at: 1, to: memory })),
        Effect.flatMap(Deferred.await(opened), (ref) =>
          Effect.gen(function*() {
            yield* Effect.sleep("5 seconds")
            yield* ref.tell("Put", { text: "two" })
            yield* close(ref)
          }))
      ], { concurrency: "unbounded" }).pipe(Effect.provide(cast({ clerk: ["I"] })))
      const value = yield* exit
      assert.deepStrictEqual(value.map((line) => String(line).replace(/ \d+$/, "")), ["asked one", "put two"])
      const forked = yield* memory.log
      assert.deepStrictEqual(inputs(forked).map(({ key }) => key), ["message 1", "message 2", "message 3"])
      const replayed = yield* watch(RunLog.replay(alone, forked)).pipe(silent)
      assert.deepStrictEqual(yield* replayed.exit, value)
    }))
})
