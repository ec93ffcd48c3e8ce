import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Layer, Queue, Schema, Stream, Tracer } from "effect"
import { TestClock } from "effect/testing"
import * as Actor from "../src/Actor.ts"
import * as ActorSystem from "../src/ActorSystem.ts"
import * as Agent from "../src/Agent.ts"
import { AgentError } from "../src/AgentError.ts"
import * as Approvals from "../src/Approvals.ts"
import * as Budget from "../src/Budget.ts"
import * as Scripted from "../src/Llm/Scripted.ts"
import * as Mailbox from "../src/Mailbox.ts"
import * as Team from "../src/Team.ts"
import * as Tool from "../src/Tool.ts"
import * as Transcript from "../src/Transcript.ts"
import { begin, outcome, pass, settle } from "./fixtures/actors.ts"
import { collect, lines, only } from "./fixtures/agents.ts"
import { actor, cast, makeHanging, play, questions, textBy } from "./fixtures/teams.ts"

const a = actor("a")
const b = actor("b")
const c = actor("c")

/** Something three teams deep around an agent. */
const nest = <M extends Team.Member>(agent: M) =>
  Team.pipeline("outer", [Team.broadcast("middle", [Team.loop("inner", agent, { until: () => true, maxRounds: 1 })])])

/** Speaks slowly, works, and calls one more tool, for as long as it may; answers a greeting at once. */
const workOr = (tool?: string) => (question: string) =>
  question.includes("Hello") ? "Yes." : [
    Scripted.delay("1 second"),
    Scripted.text("Well"),
    Scripted.delay("1 second"),
    ...(tool === undefined ? [] : [Scripted.toolCall("work", {}), Scripted.toolCall(tool, { prompt: "Go" })])
  ]

const idsOf = (content: string | ReadonlyArray<{ readonly type: string }>, type: "tool-call" | "tool-result") =>
  typeof content === "string" ? [] : content.flatMap((part) => part.type === type && "id" in part ? [part.id] : [])

describe("Nested teams", () => {
  it.effect("every team is a member for every other", () =>
    Effect.gen(function*() {
      const pipeline = Team.pipeline("pipeline", [a, b])
      const broadcast = Team.broadcast("broadcast", [pipeline, c], {
        join: (all) => all.map(({ text }) => text).join("+")
      })
      const router = Team.router("router", { broadcast }, { key: () => "k" })
      const loop = Team.loop("loop", router, { until: () => true, maxRounds: 1 })
      const handoff = Team.handoff("handoff", { loop })
      const debate = Team.debate("debate", { debaters: [handoff, c], arbiter: c, rounds: 1 })
      const map = Team.map("map", (input) => [input], debate)
      const hierarchy = Team.hierarchy("hierarchy", c, { map })
      const events = yield* collect(Agent.stream(yield* Actor.spawn(hierarchy), "Go"))
      const [completed, ...others] = only(events, "Completed")
      assert.deepStrictEqual(others, [])
      assert.strictEqual(completed!.response.agent, "hierarchy")
      assert.strictEqual(completed!.response.text, "c")
      assert.strictEqual(textBy(events, "hierarchy"), "c")
      // a, b and c of the debater, c as the other debater, c as the arbiter, c as the lead.
      assert.strictEqual(completed!.response.turns, 6)
    }).pipe(play({ a: () => "a", b: () => "b", c: () => "c" })))

  it.effect("the innermost answer is streamed as the outermost team's, once", () =>
    Effect.gen(function*() {
      const ref = yield* Actor.spawn(
        Team.pipeline("outer", [a, Team.pipeline("middle", [Team.pipeline("inner", [b])])])
      )
      const events = yield* collect(Agent.stream(ref, "Go"))
      assert.deepStrictEqual(only(events, "TextDelta").map(({ agent, delta }) => [agent, delta]), [
        ["a", "draft"],
        ["outer", "answer"]
      ])
    }).pipe(play({ a: ["draft"], b: ["answer"] })))

  it.effect("events come while they happen, from any depth", () =>
    Effect.gen(function*() {
      const ref = yield* Actor.spawn(nest(a))
      const events = yield* Queue.unbounded<string>()
      yield* Effect.forkChild(
        Stream.runForEach(Agent.stream(ref, "Go"), ({ _tag, agent }) => Queue.offer(events, `${agent} ${_tag}`))
      )
      assert.deepStrictEqual(yield* Queue.takeN(events, 5), [
        "outer RunStarted",
        "middle RunStarted",
        "inner RunStarted",
        "a RunStarted",
        "a TextDelta"
      ])
      assert.strictEqual(yield* Queue.size(events), 0)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* Queue.takeN(events, 5), [
        "a TextDelta",
        "a TurnFinished",
        "inner TextDelta",
        "outer TextDelta",
        "outer Completed"
      ])
    }).pipe(play({ a: [[Scripted.text("One"), Scripted.delay("1 second"), Scripted.text("two")]] })))

  it.effect("a prompt's files reach the first members at any depth", () =>
    Effect.gen(function*() {
      const ref = yield* Actor.spawn(nest(a))
      const [user] = Transcript.make([Transcript.user("Look")]).entries
      assert(user?._tag === "User")
      yield* Agent.ask(ref, [...user.content, { ...user.content[0]!, text: "closely" } as typeof user.content[0]])
      assert.deepStrictEqual(yield* questions, ["a: Lookclosely"])
    }).pipe(play({ a: ["Seen."] })))

  it.effect("a ref is used as it is: not started, not stopped, not reset by the team", () =>
    Effect.gen(function*() {
      const shared = yield* Agent.spawn(a, { name: "shared" })
      const team = yield* Actor.spawn(Team.pipeline("team", [shared, b]), { name: "team" })
      yield* Agent.ask(team, "Go")
      assert.deepStrictEqual((yield* ActorSystem.list).map(({ path }) => path), [
        "/user/shared",
        "/user/team",
        "/user/team/b"
      ])
      yield* Agent.reset(team)
      assert.deepStrictEqual(lines(yield* Agent.transcript(shared)), ["user: Go", "text: x"])
      assert.deepStrictEqual(lines(yield* Agent.transcript(team)), [])
      yield* team.stop
      assert.strictEqual((yield* Agent.ask(shared, "Still there?")).text, "x")
    }).pipe(play({ a: () => "x", b: () => "y" })))

  it.effect("a reset reaches the members at any depth", () =>
    Effect.gen(function*() {
      const ref = yield* Actor.spawn(nest(a))
      yield* Agent.ask(ref, "1")
      yield* Agent.reset(ref)
      yield* Agent.ask(ref, "2")
      const [, second] = yield* Effect.flatten(Scripted.Requests)
      assert.strictEqual(second!.prompt.content.length, 2)
    }).pipe(play({ a: () => "x" })))

  it.effect("a given conversation reaches the first members instead of their own", () =>
    Effect.gen(function*() {
      const ref = yield* Actor.spawn(nest(a))
      yield* Agent.ask(ref, "Own")
      yield* ref.ask("Prompt", { input: "And?", history: Transcript.make([Transcript.user("Given")]) })
      const [, second] = yield* Effect.flatten(Scripted.Requests)
      assert.deepStrictEqual(
        second!.prompt.content.slice(1).map((message) => JSON.stringify(message.content).match(/"text":"(\w+)/)?.[1]),
        ["Given", "And"]
      )
      assert.deepStrictEqual(lines(yield* Agent.transcript(ref)), ["user: Own", "text: x"])
    }).pipe(play({ a: () => "x" })))

  it.effect("a value of a schema is asked of the member that answers", () =>
    Effect.gen(function*() {
      const ref = yield* Actor.spawn(Team.pipeline("outer", [a, Team.pipeline("inner", [b])]))
      const city = yield* Agent.object(ref, "Where?", Schema.Struct({ city: Schema.String }))
      assert.deepStrictEqual(city, { city: "Lagos" })
      const requests = yield* Effect.flatten(Scripted.Requests)
      assert.deepStrictEqual(requests.map(({ tools }) => tools), [[], ["final_answer"]])
    }).pipe(play({ a: ["Lagos"], b: [Scripted.toolCall("final_answer", { city: "Lagos" })] })))
})

describe("What goes through teams", () => {
  it.effect("interrupting the asker releases the innermost tool, and the team goes on with the next prompt", () =>
    Effect.gen(function*() {
      const { agent, began, released } = yield* makeHanging("a")
      const ref = yield* Actor.spawn(nest(agent))
      const asker = yield* Effect.forkChild(Agent.ask(ref, "1"))
      yield* Deferred.await(began)
      yield* Fiber.interrupt(asker)
      assert.deepStrictEqual(released, ["a"])
      assert.strictEqual((yield* Agent.ask(ref, "2")).text, "Yes.")
      assert.deepStrictEqual(lines(yield* Agent.transcript(ref)), ["user: 1", "user: 2", "text: Yes."])
    }).pipe(play({ a: [Scripted.toolCall("hang", {}), "Yes."] })))

  it.effect("interrupting before the model's first word, or in the middle of its text, does so too", () => {
    const asked = Deferred.makeUnsafe<void>()
    return Effect.gen(function*() {
      const ref = yield* Actor.spawn(Team.pipeline("outer", [Team.pipeline("inner", [a])]))
      const asker = yield* Effect.forkChild(Agent.ask(ref, "1"))
      yield* Deferred.await(asked)
      yield* Fiber.interrupt(asker)
      yield* Agent.stream(ref, "2").pipe(Stream.takeUntil(({ _tag }) => _tag === "TextDelta"), Stream.runDrain)
      assert.strictEqual((yield* Agent.ask(ref, "3")).text, "Yes.")
      assert.deepStrictEqual(lines(yield* Agent.transcript(ref)), [
        "user: 1",
        "user: 2",
        "text: Half",
        "user: 3",
        "text: Yes."
      ])
    }).pipe(play({
      a: (question) => {
        if (question === "3") return "Yes."
        Deferred.doneUnsafe(asked, Effect.void)
        return question === "1" ? Scripted.delay("1 hour") : [Scripted.text("Half"), Scripted.delay("1 hour")]
      }
    }))
  })

  it.effect("the first failure of a broadcast interrupts the others, before the asker hears of it", () =>
    Effect.gen(function*() {
      const { agent, began, released } = yield* makeHanging("a")
      const fails = Agent.make("b", {
        instructions: "b",
        tools: [Tool.fn("wait", { description: "" }, () => Deferred.await(began))]
      })
      const ref = yield* Actor.spawn(Team.broadcast("panel", [Team.pipeline("deep", [agent]), fails]))
      const error = yield* Effect.flip(Agent.ask(ref, "Go"))
      assert.include(error.message, "agent b")
      assert.deepStrictEqual(released, ["a"])
    }).pipe(play({ a: [Scripted.toolCall("hang", {})], b: [Scripted.toolCall("wait", {}), Scripted.cut] })))

  it.effect("a member's crash is a failed run that names the actor, and its supervisor restarts it", () =>
    Effect.gen(function*() {
      const ref = yield* Actor.spawn(Team.pipeline("team", [Agent.behavior(a)]), { name: "team" })
      const error = yield* Effect.flip(Agent.ask(ref, "1"))
      assert.instanceOf(error, AgentError)
      assert.strictEqual(error.reason._tag, "MemberFailed")
      assert.include(error.message, "/user/team/a")
      assert.include(error.message, "boom")
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Agent.ask(ref, "2")).text, "Yes.")
    }).pipe(play({
      a: (question) => {
        if (question === "1") throw new Error("boom")
        return "Yes."
      }
    })))

  it.effect("a member's mailbox refuses as it was told to", () =>
    Effect.gen(function*() {
      const shared = yield* Agent.spawn(a, { mailbox: Mailbox.bounded(1, "fail") })
      const one = yield* Actor.spawn(Team.pipeline("one", [shared]))
      const busy = yield* begin(Agent.ask(shared, "1"))
      const waiting = yield* Effect.forkChild(Agent.ask(shared, "2"), { startImmediately: true })
      const error = yield* Effect.flip(Agent.ask(one, "3"))
      assert.include(error.message, "the mailbox is full")
      yield* Fiber.interruptAll([busy, waiting])
    }).pipe(play({ a: () => Scripted.delay("1 hour") })))

  it.effect("an approval is asked for and given at any depth", () =>
    Effect.gen(function*() {
      const pay = Tool.fn("pay", { description: "", success: Schema.String, needsApproval: true }, () =>
        Effect.succeed("paid"))
      const ref = yield* Actor.spawn(nest(Agent.make("a", { instructions: "a", tools: [pay] })))
      const approvals = yield* Approvals.Approvals
      const events = yield* collect(Stream.tap(Agent.stream(ref, "Pay"), (event) =>
        event._tag === "ApprovalRequested" ? Effect.orDie(approvals.approve(event.approval)) : Effect.void))
      assert.strictEqual(only(events, "ApprovalRequested")[0]!.agent, "a")
      assert.strictEqual(only(events, "ToolResult")[0]!.result, "paid")
      assert.strictEqual(only(events, "Completed")[0]!.response.text, "Done.")
    }).pipe(
      Effect.provide(Layer.mergeAll(
        cast({ a: [Scripted.toolCall("pay", {}), "Done."] }),
        ActorSystem.layer({ name: "test" }),
        Approvals.layer()
      ))
    ))

  it.effect("interrupting the asker takes back what a member at any depth waits for, and everybody goes on", () =>
    Effect.gen(function*() {
      const paid: Array<string> = []
      const pay = Tool.fn("pay", { description: "", needsApproval: true }, () => Effect.sync(() => paid.push("paid")))
      const clerk = Agent.make("clerk", { instructions: "clerk", tools: [pay] })
      const desk = Team.handoff("desk", { clerk, b })
      const office = Team.hierarchy("office", a, { desk }, { delegation: "tools" })
      const ref = yield* Actor.spawn(nest(Team.router("router", { office }, { key: () => "" })))
      const asker = yield* Effect.forkChild(Agent.ask(ref, "Pay"))
      yield* pass(0)
      const approvals = yield* Approvals.Approvals
      const [pending] = yield* approvals.list
      assert(pending?.agent === "clerk")
      yield* Fiber.interrupt(asker)
      assert.deepStrictEqual(yield* approvals.list, [])
      assert.strictEqual((yield* Effect.flip(approvals.approve(pending.id)))._tag, "AlreadyDecided")
      for (const { path } of yield* ActorSystem.list) {
        const member = yield* ActorSystem.lookup(Agent.protocol, path)
        yield* Schema.encodeEffect(Transcript.Transcript)(yield* Agent.transcript(member))
        assert.strictEqual((yield* Agent.ask(member, "Hello")).text, "Yes.", path)
      }
      assert.deepStrictEqual(paid, [])
    }).pipe(Effect.provide(Layer.mergeAll(
      cast({
        a: (question) => question === "Pay" ? Scripted.toolCall("desk", { prompt: "Pay" }) : "Yes.",
        b: () => "Yes.",
        clerk: (question) => question === "Pay" ? Scripted.toolCall("pay", {}) : "Yes."
      }),
      ActorSystem.layer({ name: "test" }),
      Approvals.layer()
    ))))

  it.effect.prop("interrupted at any moment, it runs nothing more, and everybody can be asked again", [
    Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 40 })),
    Schema.Array(Schema.Boolean)
  ], ([moment, approved]) =>
    Effect.gen(function*() {
      let ran = 0
      const work = Effect.andThen(Effect.sleep("1 second"), Effect.sync(() => ran++))
      const tools = [
        Tool.fn("work", { description: "" }, () => work),
        Tool.fn("pay", { description: "", needsApproval: true }, () => work)
      ]
      const [clerk, clerk2] = [
        Agent.make("a", { instructions: "a", tools }),
        Agent.make("b", { instructions: "b", tools: [...tools, Tool.fromAgent(c, { description: "" })] })
      ]
      const office = Team.hierarchy("office", a, { desk: Team.handoff("desk", { clerk, clerk2 }), other: clerk2 })
      const ref = yield* Actor.spawn(nest(Team.debate("debate", { debaters: [office, c], arbiter: c, rounds: 1 })))
      const approvals = yield* Approvals.Approvals
      const asker = yield* Effect.forkChild(Effect.exit(Agent.ask(ref, "Go")))
      for (let second = 0; second < moment; second++) {
        yield* TestClock.adjust("1 second")
        const [first] = yield* approvals.list
        if (approved[second] !== false && first !== undefined) yield* approvals.approve(first.id)
      }
      yield* Fiber.interrupt(asker)
      const before = ran
      assert.deepStrictEqual(yield* approvals.list, [])
      for (const { path } of yield* ActorSystem.list) {
        assert.strictEqual(
          (yield* Agent.ask(yield* ActorSystem.lookup(Agent.protocol, path), "Hello")).text,
          "Yes.",
          path
        )
      }
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(ran, before)
      for (const { prompt } of yield* Effect.flatten(Scripted.Requests)) {
        for (const [index, { content }] of prompt.content.entries()) {
          assert.deepStrictEqual(
            idsOf(content, "tool-call"),
            idsOf(prompt.content[index + 1]?.content ?? "", "tool-result")
          )
        }
      }
    }).pipe(Effect.provide(Layer.mergeAll(
      cast({ a: workOr("pay"), b: workOr("c"), c: workOr() }),
      ActorSystem.layer({ name: "test" }),
      Approvals.layer()
    ))))

  it.effect("a killed team has the innermost tool released, and everybody's asker told", () =>
    Effect.gen(function*() {
      const { agent, began, released } = yield* makeHanging("a")
      const ref = yield* Actor.spawn(nest(agent), { name: "outer" })
      const asker = yield* begin(outcome(Agent.ask(ref, "Go")))
      yield* Deferred.await(began)
      yield* pass("1 hour")
      assert.deepStrictEqual(released, [])
      assert.isDefined(yield* settle(ref.kill))
      assert.deepStrictEqual(released, ["a"])
      assert.deepStrictEqual(asker.pollUnsafe(), Exit.succeed("Stopped"))
      assert.deepStrictEqual(yield* ActorSystem.list, [])
    }).pipe(play({ a: [Scripted.toolCall("hang", {})] })))

  it.effect("members at work at once, at any depth, can't overshoot a budget by more than what is in flight", () =>
    Effect.gen(function*() {
      // Each call reserves about 1,050 tokens and takes 1,400: of six five fit, and each passes its reservation by 350.
      const budget = yield* Budget.make({ maxTokens: 6_000, expectedOutputTokens: 1_000 })
      const wide = (name: string) =>
        Team.broadcast(name, [nest(a), nest(a), Team.pipeline("p", [b])], { onFailure: "collect", budget })
      const ref = yield* Actor.spawn(Team.broadcast("all", [wide("x"), wide("y")], { onFailure: "collect", budget }))
      const asker = yield* Effect.forkChild(Effect.exit(Agent.ask(ref, "Go")))
      yield* pass("1 minute")
      yield* Fiber.join(asker)
      const { tokens } = yield* budget.used
      assert.isAbove(tokens, 6_000)
      assert.isAtMost(tokens, 6_000 + 5 * 400)
      assert.strictEqual((yield* questions).length, 5)
    }).pipe(play({
      a: () => [Scripted.delay("1 second"), Scripted.text("x"), Scripted.usage(10, 1_390)],
      b: () => [Scripted.delay("1 second"), Scripted.text("x"), Scripted.usage(10, 1_390)]
    })))

  it.effect("a team's budget pays for its members and theirs", () =>
    Effect.gen(function*() {
      const budget = yield* Budget.make({ maxTokens: 2_000 })
      const ref = yield* Actor.spawn(Team.pipeline("outer", [a, Team.pipeline("inner", [b])], { budget }))
      const error = yield* Effect.flip(Agent.ask(ref, "Go"))
      assert.instanceOf(error, AgentError)
      assert.strictEqual(error.reason._tag, "BudgetExceeded")
      assert.deepStrictEqual(yield* questions, ["a: Go"])
    }).pipe(play({ a: [[Scripted.text("x"), Scripted.usage(1_500, 100)]], b: ["y"] })))

  it.effect("spans nest as the teams do", () =>
    Effect.gen(function*() {
      const spans: Array<Tracer.Span> = []
      const tracer = Tracer.make({
        span: (options) => {
          const span = new Tracer.NativeSpan(options)
          spans.push(span)
          return span
        }
      })
      const ref = yield* Effect.provideService(Actor.spawn(nest(a)), Tracer.Tracer, tracer)
      yield* Agent.ask(ref, "Go").pipe(Effect.withSpan("request"), Effect.provideService(Tracer.Tracer, tracer))
      const agentSpan = spans.find(({ name }) => name === "invoke_agent a")
      const ancestors: Array<string> = []
      for (let span: Tracer.AnySpan | undefined = agentSpan; span?._tag === "Span";) {
        ancestors.push(span.name)
        span = span.parent._tag === "Some" ? span.parent.value : undefined
      }
      assert.deepStrictEqual(ancestors, [
        "invoke_agent a",
        "invoke_agent inner",
        "invoke_agent middle",
        "invoke_agent outer",
        "request"
      ])
    }).pipe(play({ a: ["x"] })))
})
