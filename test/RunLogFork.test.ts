import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Random, Schema, Stream } from "effect"
import * as Actor from "../src/Actor.ts"
import * as ActorSystem from "../src/ActorSystem.ts"
import * as Agent from "../src/Agent.ts"
import * as Approvals from "../src/Approvals.ts"
import * as Scripted from "../src/Llm/Scripted.ts"
import * as RunLog from "../src/RunLog.ts"
import * as Team from "../src/Team.ts"
import * as Tool from "../src/Tool.ts"
import { calls, keys, recorded, watch } from "./fixtures/recorded.ts"
import { actor, cast } from "./fixtures/teams.ts"

const forked = <A, E, R>(
  program: Effect.Effect<A, E, R>,
  log: RunLog.RunLog,
  options: Omit<RunLog.ForkOptions, "to">
) =>
  Effect.gen(function*() {
    const memory = RunLog.memory()
    const { exit } = yield* watch(RunLog.fork(program, log, { ...options, to: memory }))
    return { exit, log: yield* memory.log }
  })

let rolled = 0
const roll = Tool.fn("roll", { description: "", success: Schema.Int }, () => Effect.sync(() => ++rolled))

const gambler = Agent.make("gambler", { instructions: "gambler", tools: [roll] })

const game = Effect.map(Agent.response(Agent.run(gambler, "Go")), ({ text }) => text)

const turns = [Scripted.toolCall("roll", {}), Scripted.toolCall("roll", {}), "Enough."]

describe("RunLog.fork", () => {
  it.effect("makes the calls from that one on, and none before it", () =>
    Effect.gen(function*() {
      const { log } = yield* recorded(game).pipe(Effect.provide(Scripted.model(turns)))
      assert.deepStrictEqual(keys(log), [
        "model gambler/1",
        "tool gambler/1/call_1",
        "model gambler/2",
        "tool gambler/2/call_2",
        "model gambler/3"
      ])
      const before = rolled
      for (let at = 1; at <= 6; at++) {
        const script = Scripted.model([...turns.slice(Math.floor(at / 2)), "Unread"])
        const fork = yield* forked(game, log, { at }).pipe(Effect.provide(script))
        assert.deepStrictEqual(fork.exit, Exit.succeed("Enough."))
        assert.deepStrictEqual(calls(fork.log).slice(0, at - 1), calls(log).slice(0, at - 1))
        assert.isTrue(fork.log.complete)
        // What a fork has written can be replayed.
        const replayed = yield* watch(RunLog.replay(game, fork.log)).pipe(Effect.provide(Scripted.model([])))
        assert.deepStrictEqual(replayed.exit, fork.exit)
      }
      assert.strictEqual(rolled - before, 2 + 2 + 1 + 1)
    }))

  it.effect("gives the turns from there on another model, other instructions and tools", () =>
    Effect.gen(function*() {
      const { log } = yield* recorded(game).pipe(Effect.provide(Scripted.model(turns)))
      const other = Scripted.model((request) =>
        `${JSON.stringify(request.prompt.content[0]?.content)}, ${request.tools.join()}`
      )
      const look = Tool.fn("look", { description: "" }, () => Effect.void)
      const changes: Omit<RunLog.ForkOptions, "to"> = {
        at: 3,
        with: ({ agent, turn }) => ({ model: other, instructions: `${agent} in turn ${turn}`, tools: [look] })
      }
      const fork = yield* forked(game, log, changes).pipe(Effect.provide(Scripted.model([])))
      const again = yield* RunLog.replay(game, fork.log, { forked: changes }).pipe(Effect.provide(Scripted.model([])))
      assert.deepStrictEqual(fork.exit, Exit.succeed(again))
      assert.deepStrictEqual(fork.exit, Exit.succeed("\"gambler in turn 2\", look"))
      const { a, b, call } = RunLog.compare(log, fork.log)
      assert.strictEqual(call?.number, 3)
      assert.match(call!.text, /\+.*gambler in turn 2/)
      assert.deepStrictEqual([a.toolCalls.length, b.toolCalls.length], [2, 1])
    }))

  it.effect("lets calls that were under way end as they did, and timers run for the rest of their time", () =>
    Effect.gen(function*() {
      const slow = [Scripted.text("slow"), Scripted.delay("1 minute"), Scripted.text(" and steady")]
      const second = Effect.andThen(Effect.sleep("10 seconds"), Agent.response(Agent.run(actor("second"), "Go")))
      const first = Agent.response(Agent.run(actor("first"), "Go"))
      const late = Effect.as(Effect.sleep("1 hour"), { text: "late" })
      const program = Effect.map(
        Effect.all([first, second, late], { concurrency: "unbounded" }),
        (all) => all.map(({ text }) => text)
      )
      const { log } = yield* recorded(program).pipe(Effect.provide(cast({ first: [slow], second: ["II"] })))
      const fork = yield* forked(program, log, { at: 2 }).pipe(Effect.provide(cast({ second: ["two"] })))
      assert.deepStrictEqual(fork.exit, Exit.succeed(["slow and steady", "two", "late"]))
      assert.isAtLeast(fork.log.entries.at(-1)!.at, 3_600_000)
      assert.isAtMost(fork.log.entries.at(-1)!.at, 3_602_000)
    }))

  it.effect("goes on where a log was cut off", () =>
    Effect.gen(function*() {
      const { text } = yield* recorded(game).pipe(Effect.provide(Scripted.model(turns)))
      const lines = text.split("\n")
      const place = lines.findIndex((line) => line.includes("\"key\":\"model gambler/2\""))
      const log = yield* RunLog.parse(`${lines.slice(0, place + 1).join("\n")}\n`)
      const fork = yield* forked(game, log, { at: calls(log).length + 1 }).pipe(
        Effect.provide(Scripted.model(["Saved."]))
      )
      assert.deepStrictEqual(fork.exit, Exit.succeed("Saved."))
    }))

  it.effect("goes on wherever a log was cut off: what came in is kept, an answer that broke off is a failure", () =>
    Effect.gen(function*() {
      const measure = Tool.fn(
        "measure",
        { description: "", success: Schema.Int },
        () => Effect.as(Effect.andThen(Tool.emit("half"), Tool.emit("whole")), 7)
      )
      const builder = Agent.make("builder", { instructions: "builder", tools: [measure] })
      const program = Effect.map(Agent.response(Agent.run(builder, "Go")), ({ text }) => text)
      const { text } = yield* recorded(program).pipe(
        Effect.provide(Scripted.model([[Scripted.text("Let me see."), Scripted.toolCall("measure", {})], "Seven."]))
      )
      const lines = text.trimEnd().split("\n")
      for (let n = 1; n < lines.length; n++) {
        const log = yield* RunLog.parse(lines.slice(0, n).map((line) => `${line}\n`).join(""))
        const fork = yield* forked(program, log, { at: calls(log).length + 1 }).pipe(
          Effect.provide(
            Scripted.model((request) =>
              request.prompt.content.at(-1)?.role === "tool" ? "Seven." : Scripted.toolCall("measure", {})
            )
          )
        )
        if (Exit.isSuccess(fork.exit)) assert.strictEqual(fork.exit.value, "Seven.")
        else assert.match(String(fork.exit), /AgentError: .*the log ends in the middle of model builder\/[12]/)
        const again = yield* watch(RunLog.replay(program, fork.log)).pipe(Effect.provide(Scripted.model([])))
        assert.strictEqual(String(again.exit), String(fork.exit))
      }
    }))

  it.effect("goes on with the list of approvals outside, as it changes now", () =>
    Effect.gen(function*() {
      const pay = Tool.fn("pay", { description: "", success: Schema.String, needsApproval: true }, () =>
        Effect.succeed("paid"))
      const payer = Agent.make("payer", { instructions: "payer", tools: [pay] })
      const program = Effect.gen(function*() {
        const { approve, changes } = yield* Approvals.Approvals
        yield* Effect.forkChild(Stream.runForEach(changes, (change) =>
          change._tag === "Requested" ? Effect.ignore(approve(change.request.id)) : Effect.void))
        return (yield* Agent.response(Agent.run(payer, "Go"))).text
      })
      const decided = Effect.provide([
        Approvals.layer({}),
        Scripted.model((request) => {
          const paid = request.prompt.content.filter(({ role }) =>
            role === "tool"
          ).length
          return paid === 2 ? "Paid." : Scripted.toolCall("pay", {})
        })
      ])
      const { log } = yield* recorded(program).pipe(decided)
      for (const { kind, number } of calls(log)) {
        if (kind !== "model") {
          continue
        }
        const { exit } = yield* forked(program, log, { at: number }).pipe(decided)
        assert.deepStrictEqual(exit, Exit.succeed("Paid."))
      }
    }))

  it("takes only numbers of calls", () => {
    const log: RunLog.RunLog = { seed: 1, startedAt: 0, entries: [], lines: [], complete: true }
    assert.throws(
      () => RunLog.fork(game, log, { at: 0, to: RunLog.memory() }),
      RangeError,
      "RunLog.fork: at must be a positive integer, got 0"
    )
    assert.throws(
      () => RunLog.fork(game, log, { at: 2, to: RunLog.memory() }),
      RangeError,
      "RunLog.fork: at must be a call of the log, or one more than its 0, got 2"
    )
    assert.throws(() => RunLog.stopAt(log, 2), RangeError, "RunLog.stopAt: number must be")
  })
})

describe("RunLog.compare", () => {
  it.effect("finds nothing in a log and itself, nor in two recordings that differ in ids and times alone", () =>
    Effect.gen(function*() {
      const script = () => Scripted.model([Scripted.toolCall("roll", {}), "Done."])
      rolled = 0
      const a = yield* recorded(game).pipe(Effect.provide(script()))
      rolled = 0
      yield* Effect.sleep(0)
      const b = yield* recorded(game).pipe(Effect.provide(script()), Random.withSeed("another"))
      assert.notStrictEqual(a.log.seed, b.log.seed)
      assert.hasAllKeys(RunLog.compare(a.log, a.log), ["a", "b"])
      assert.hasAllKeys(RunLog.compare(a.log, b.log), ["a", "b"])
    }))

  it.effect("takes numbers that a server gives its calls for no other numbers", () =>
    Effect.gen(function*() {
      const script = (id: string) => Scripted.model([Scripted.toolCall("roll", {}, id), "Done 1."])
      rolled = 0
      const a = yield* recorded(game).pipe(Effect.provide(script("1")))
      rolled = 0
      const b = yield* recorded(game).pipe(Effect.provide(script("1")), Random.withSeed("another"))
      assert.hasAllKeys(RunLog.compare(a.log, b.log), ["a", "b"])
    }))

  it.effect("finds the answer that is another one, not what a provider adds to each", () =>
    Effect.gen(function*() {
      const poet = Agent.response(Agent.run(Agent.make("poet"), "Go"))
      const from = (answer: string, id: string) =>
        recorded(poet).pipe(
          Effect.provide(Scripted.model([answer])),
          Effect.flatMap(({ text }) =>
            RunLog.parse(text.replace(
              "\"item\":[",
              `"item":[{"type":"response-metadata","id":"${id}","modelId":"m","timestamp":"${id}"},`
            ))
          )
        )
      const log = yield* from("One.", "a")
      assert.isUndefined(RunLog.compare(log, yield* from("One.", "b")).input)
      const { input } = RunLog.compare(log, yield* from("Two.", "b"))
      assert.include(input?.text, "One.")
      assert.notInclude(input?.text, "timestamp")
    }))

  it.effect("sums up what each did", () =>
    Effect.gen(function*() {
      rolled = 0
      const { log } = yield* recorded(game).pipe(Effect.provide(Scripted.model([
        [Scripted.toolCall("roll", {}), Scripted.usage(10, 5)],
        [Scripted.delay("1 second"), Scripted.text("Done."), Scripted.usage(20, 7)]
      ])))
      assert.deepStrictEqual(RunLog.summary(log), {
        answers: [{ agent: "gambler", text: "Done." }],
        toolCalls: [{ agent: "gambler", name: "roll", params: {} }],
        messages: 0,
        inputTokens: 30,
        outputTokens: 12,
        cost: 0,
        time: log.entries.at(-1)!.at
      })
    }))
})

describe("RunLog.stopAt", () => {
  it.effect("shows the runs that go on, what they were asked and have said, and the calls that wait", () =>
    Effect.gen(function*() {
      const team = Team.broadcast("team", [gambler, actor("other")])
      const program = Effect.flatMap(Actor.spawn(team), (ref) => Agent.ask(ref, "Go")).pipe(
        Effect.scoped,
        Effect.provide(ActorSystem.layer({ name: "test" }))
      )
      const { log } = yield* recorded(program).pipe(Effect.provide(cast({
        gambler: [[Scripted.text("Well, "), Scripted.delay("1 second"), Scripted.toolCall("roll", {}, "r")], "Done."],
        other: [[Scripted.text("Hm, "), Scripted.delay("1 minute"), Scripted.text("no.")]]
      })))
      const number = keys(log).indexOf("tool team/gambler/1/r") + 1
      const { pending, runs } = RunLog.stopAt(log, number)
      assert.deepStrictEqual(
        runs.map(({ agent, messages, text, turn }) => ({ agent, messages: messages.length, text, turn })),
        [
          { agent: "team", messages: 0, text: "", turn: 0 },
          { agent: "gambler", messages: 2, text: "Well, ", turn: 1 },
          { agent: "other", messages: 2, text: "Hm, ", turn: 1 }
        ]
      )
      assert.sameMembers(pending.map(({ key }) => key), ["model team/other/1", "tool team/gambler/1/r"])
      assert.deepStrictEqual(RunLog.stopAt(log, calls(log).length + 1).runs, [])
      assert.deepStrictEqual(
        RunLog.runs(log).map(({ agent, calls, outcome }) => `${agent} ${calls.length} ${outcome}`),
        ["team 0 Success", "gambler 3 Success", "other 1 Success"]
      )
    }))

  it.effect("has no text for a request that nothing has answered yet, however soon it was made", () =>
    Effect.gen(function*() {
      const { log } = yield* recorded(game).pipe(
        Effect.provide(Scripted.model([[Scripted.text("Well, "), Scripted.toolCall("unknown", {})], "Done."]))
      )
      const at = calls(log).map(({ at }) => at)
      assert.strictEqual(at[0], at[1])
      assert.deepStrictEqual(RunLog.stopAt(log, 2).runs.map(({ text, turn }) => [text, turn]), [["", 2]])
    }))
})
