import { assert, describe, expectTypeOf, it } from "@effect/vitest"
import { Context, Deferred, Effect, Fiber, Result, Schedule, Schema, Stream } from "effect"
import type { LanguageModel, Response } from "effect/ai"
import * as Actor from "../src/Actor.ts"
import type * as ActorSystem from "../src/ActorSystem.ts"
import * as Agent from "../src/Agent.ts"
import { AgentError } from "../src/AgentError.ts"
import * as Budget from "../src/Budget.ts"
import * as Scripted from "../src/Llm/Scripted.ts"
import * as Recover from "../src/Recover.ts"
import * as Team from "../src/Team.ts"
import * as Tool from "../src/Tool.ts"
import { pass } from "./fixtures/actors.ts"
import { collect, lines, modelOf, only, weather } from "./fixtures/agents.ts"
import { refused } from "./fixtures/badOptions.ts"
import { actor, play, questions, textBy } from "./fixtures/teams.ts"

const a = actor("a")
const b = actor("b")
const c = actor("c")

const emptyUsage = {
  inputTokens: { total: 0, uncached: 0, cacheRead: 0, cacheWrite: 0 },
  outputTokens: { total: 0, text: 0, reasoning: 0 }
}

/** Fails without having said anything. */
const failing = Scripted.cut

const reasonOf = (error: unknown) => {
  assert.instanceOf(error, AgentError)
  return error.reason
}

describe("Team.pipeline", () => {
  it.effect("each answer is the next one's prompt, and the last one's is the team's", () =>
    Effect.gen(function*() {
      const ref = yield* Actor.spawn(Team.pipeline("essay", [a, b, c]))
      const response = yield* Agent.ask(ref, "Go")
      assert.strictEqual(response.text, "Go a b c")
      assert.strictEqual(response.agent, "essay")
      assert.deepStrictEqual(yield* questions, ["a: Go", "b: Go a", "c: Go a b"])
      assert.deepStrictEqual(lines(response.transcript), ["user: Go", "text: Go a b c"])
    }).pipe(play({ a: (text) => `${text} a`, b: (text) => `${text} b`, c: (text) => `${text} c` })))

  it.effect("only the last one's text is marked as the team's, the others' events are there as their own", () =>
    Effect.gen(function*() {
      const ref = yield* Actor.spawn(Team.pipeline("essay", [a, b]))
      const events = yield* collect(Agent.stream(ref, "Go"))
      assert.deepStrictEqual(events.map(({ _tag, agent }) => `${agent} ${_tag}`), [
        "essay RunStarted",
        "a RunStarted",
        "a TextDelta",
        "a TurnFinished",
        "b RunStarted",
        "essay TextDelta",
        "b TurnFinished",
        "essay Completed"
      ])
      assert.strictEqual(textBy(events, "essay"), "answer")
    }).pipe(play({ a: ["draft"], b: ["answer"] })))

  it.effect("usage and turns are those of all members together", () =>
    Effect.gen(function*() {
      const ref = yield* Actor.spawn(Team.pipeline("essay", [a, b]))
      const { turns, usage } = yield* Agent.ask(ref, "Go")
      assert.strictEqual(usage.inputTokens.total, 110)
      assert.strictEqual(usage.outputTokens.total, 11)
      assert.strictEqual(turns, 2)
    }).pipe(play({
      a: [[Scripted.text("x"), Scripted.usage(10, 1)]],
      b: [[Scripted.text("y"), Scripted.usage(100, 10)]]
    })))

  it.effect("its sources are those of its members, at any depth, without what was restarted", () => {
    const source = (id: string): Response.StreamPartEncoded => ({
      type: "source",
      sourceType: "url",
      id,
      title: id,
      url: "https://example.com"
    })
    let calls = 0
    const model = modelOf(Stream.suspend(() =>
      Stream.fromIterable<Response.StreamPartEncoded>([
        source(`s${++calls}`),
        { type: "text-start", id: "0" },
        { type: "text-delta", id: "0", delta: "Well." },
        { type: "text-end", id: "0" },
        ...calls === 2 ? [] : [{ type: "finish", reason: "stop", usage: emptyUsage, response: undefined } as const]
      ])
    ))
    const knows = Agent.make("knows", { model, recover: () => Recover.retry(Schedule.recurs(1)) })
    return Effect.gen(function*() {
      const ref = yield* Actor.spawn(Team.pipeline("outer", [Team.broadcast("inner", [knows]), knows]))
      const response = yield* Agent.ask(ref, "Go")
      assert.deepStrictEqual(response.sources.map(({ agent, id }) => `${agent} ${id}`), ["knows s1", "knows s3"])
    }).pipe(play({}))
  })

  it.effect("a failure ends it: it is the failing member's, and nobody after it is asked", () =>
    Effect.gen(function*() {
      const ref = yield* Actor.spawn(Team.pipeline("essay", [a, b, c]))
      const error = yield* Effect.flip(Agent.ask(ref, "Go"))
      assert.strictEqual(reasonOf(error)._tag, "ModelFailed")
      assert.include(error.message, "agent b")
      assert.deepStrictEqual(yield* questions, ["a: Go", "b: x"])
      assert.deepStrictEqual(lines(yield* Agent.transcript(ref)), ["user: Go"])
    }).pipe(play({ a: ["x"], b: [failing] })))

  it.effect("one agent can have two places: they are two actors", () =>
    Effect.gen(function*() {
      const ref = yield* Actor.spawn(Team.pipeline("essay", [a, a]))
      assert.strictEqual((yield* Agent.ask(ref, "Go")).text, "Go!!")
    }).pipe(play({ a: (text) => `${text}!` })))

  it.effect("an empty prompt is refused before anybody is asked", () =>
    Effect.gen(function*() {
      const ref = yield* Actor.spawn(Team.pipeline("essay", [a]))
      const error = yield* Effect.flip(Agent.ask(ref, " "))
      assert.strictEqual(error.message, "agent essay: the prompt is empty: give it a text or a file")
    }).pipe(play({})))
})

describe("Team.broadcast", () => {
  it.effect("all are asked the same at once; the answers are joined in the members' order", () =>
    Effect.gen(function*() {
      const ref = yield* Actor.spawn(Team.broadcast("panel", [a, b]))
      const events = yield* collect(Agent.stream(ref, "Go"))
      const { text } = only(events, "Completed")[0]!.response
      assert.strictEqual(text, "from a\n---\nfrom b")
      assert.strictEqual(textBy(events, "panel"), text)
      assert.strictEqual(textBy(events, "a"), "from a")
      assert.deepStrictEqual((yield* questions).toSorted(), ["a: Go", "b: Go"])
    }).pipe(play({ a: ["from a"], b: ["from b"] })))

  it.effect("joins as it is told to", () =>
    Effect.gen(function*() {
      const join = (replies: ReadonlyArray<Team.Reply>) => replies.map(({ member, text }) => `${member}=${text}`).join()
      const ref = yield* Actor.spawn(Team.broadcast("panel", [a, b, a], { join }))
      assert.strictEqual((yield* Agent.ask(ref, "Go")).text, "a=1,b=2,a-2=1")
    }).pipe(play({ a: () => "1", b: () => "2" })))

  it.effect("the usage is that of all TurnFinished events in the stream, also of a member that failed", () =>
    Effect.gen(function*() {
      const ask = Tool.fromAgent(actor("helper"), { description: "Helps" })
      const failing = Agent.make("a", { instructions: "a", tools: [ask] })
      const ref = yield* Actor.spawn(Team.broadcast("panel", [failing, b], { onFailure: "collect" }))
      const events = yield* collect(Agent.stream(ref, "Go"))
      const used = only(events, "TurnFinished").map(({ usage }) => usage.inputTokens.total ?? 0)
      assert.sameMembers(used, [1, 10, 1000])
      const { response } = only(events, "Completed")[0]!
      assert.strictEqual(response.usage.inputTokens.total, 1011)
      assert.strictEqual(response.turns, 3)
    }).pipe(play({
      a: [[Scripted.toolCall("helper", { prompt: "Help!" }), Scripted.usage(1, 0)], Scripted.cut],
      helper: [[Scripted.text("x"), Scripted.usage(10, 0)]],
      b: [[Scripted.text("y"), Scripted.usage(1000, 0)]]
    })))

  it.effect("collects failures as replies, and fails when there is nothing else", () =>
    Effect.gen(function*() {
      const ref = yield* Actor.spawn(Team.broadcast("panel", [a, b], {
        onFailure: "collect",
        join: (replies) => replies.map(({ result }) => Result.isSuccess(result)).join()
      }))
      assert.strictEqual((yield* Agent.ask(ref, "Go")).text, "true,false")
      assert.include((yield* Effect.flip(Agent.ask(ref, "Go"))).message, "agent a")
    }).pipe(play({ a: ["x", failing], b: [failing, failing] })))
})

describe("Team.router", () => {
  it.effect("the same key goes to the same member, and one more member takes only its own keys", () =>
    Effect.gen(function*() {
      const keys = Array.from({ length: 60 }, (_, index) => `user-${index}`)
      const askAll = (ref: Agent.AgentRef) =>
        Effect.forEach(keys, (key) => Effect.map(Agent.ask(ref, key), ({ text }) => text))
      const two = yield* Actor.spawn(Team.router("two", { a, b }, { key: String }))
      const before = yield* askAll(two)
      assert.deepStrictEqual(yield* askAll(two), before)
      const after = yield* askAll(yield* Actor.spawn(Team.router("three", { a, b, c }, { key: String })))
      const share = (name: string) => after.filter((text) => text === name).length
      for (const name of ["a", "b", "c"]) assert.isAtLeast(share(name), 10)
      assert.isTrue(after.every((text, index) => text === before[index] || text === "c"))
    }).pipe(play({ a: () => "a", b: () => "b", c: () => "c" })))

  it.effect("a model chooses by what is said of the members", () =>
    Effect.gen(function*() {
      const money = Agent.make("money", { instructions: "a", description: "Knows the numbers" })
      const ref = yield* Actor.spawn(Team.router("desk", { money, law: b }, { classifier: c }))
      const events = yield* collect(Agent.stream(ref, "How much?"))
      assert.strictEqual(only(events, "Completed")[0]!.response.text, "7")
      assert.strictEqual(textBy(events, "desk"), "7")
      const [question, ...others] = yield* questions
      assert.include(question, "- money: Knows the numbers\n- law\n")
      assert.deepStrictEqual(others, ["a: How much?"])
    }).pipe(play({ a: ["7"], c: ["\"money\"."] })))

  it.effect("a choice that is no member is asked again once, and then fails naming it", () =>
    Effect.gen(function*() {
      const ref = yield* Actor.spawn(Team.router("desk", { a, b }, { classifier: c }))
      assert.strictEqual((yield* Agent.ask(ref, "1")).text, "from b")
      const error = yield* Effect.flip(Agent.ask(ref, "2"))
      assert.strictEqual(error.message, "agent desk: there is no member \"nobody\"; the members are a, b")
    }).pipe(play({ b: ["from b"], c: ["everybody", "b", "nobody", "nobody"] })))
})

describe("Team.hierarchy", () => {
  it.effect("the lead answers from the question and all replies", () =>
    Effect.gen(function*() {
      const ref = yield* Actor.spawn(Team.hierarchy("office", c, { law: a, money: b }))
      const events = yield* collect(Agent.stream(ref, "Can we?"))
      assert.strictEqual(textBy(events, "office"), "Yes.")
      const lead = (yield* questions).at(-1)!
      assert.isTrue(lead.startsWith("c: Can we?"))
      assert.include(lead, "law:\nit is legal\n\nmoney:\nit is cheap")
    }).pipe(play({ a: ["it is legal"], b: ["it is cheap"], c: ["Yes."] })))

  it.effect("or calls the workers as tools, as it sees fit", () =>
    Effect.gen(function*() {
      const law = Agent.make("a", { instructions: "a", description: "Knows the law" })
      const ref = yield* Actor.spawn(Team.hierarchy("office", c, { law, money: b }, { delegation: "tools" }))
      const events = yield* collect(Agent.stream(ref, "Can we?"))
      assert.strictEqual(textBy(events, "office"), "Yes.")
      assert.strictEqual(textBy(events, "a"), "it is legal")
      assert.strictEqual(only(events, "ToolResult")[0]!.result, "it is legal")
      assert.deepStrictEqual(yield* questions, ["c: Can we?", "a: Is it legal?", "c: Can we?"])
      const [request] = yield* Effect.flatten(Scripted.Requests)
      assert.deepStrictEqual(request!.tools, ["law", "money"])
      assert.strictEqual(only(events, "Completed")[0]!.response.turns, 3)
    }).pipe(play({ a: ["it is legal"], c: [Scripted.toolCall("law", { prompt: "Is it legal?" }), "Yes."] })))
})

describe("Team.debate", () => {
  it.effect("each turn sees what was said so far, and the arbiter decides", () =>
    Effect.gen(function*() {
      const ref = yield* Actor.spawn(Team.debate("court", { debaters: [a, b], arbiter: c, rounds: 2 }))
      const events = yield* collect(Agent.stream(ref, "Tabs?"))
      assert.strictEqual(textBy(events, "court"), "Spaces.")
      const asked = yield* questions
      assert.deepStrictEqual(asked.map((question) => question[0]), ["a", "b", "a", "b", "c"])
      assert.notInclude(asked[0]!, "so far")
      assert.include(asked[1]!, "a (round 1):\na1")
      assert.include(asked[3]!, "a (round 1):\na1\n\nb (round 1):\nb1\n\na (round 2):\na2")
      assert.include(asked[4]!, "b (round 2):\nb2")
      assert.isTrue(asked.every((question) => question.includes("Tabs?")))
    }).pipe(play({ a: ["a1", "a2"], b: ["b1", "b2"], c: ["Spaces."] })))
})

describe("Team.loop", () => {
  it.effect("what `until` acquires is released with the prompt, not with the team", () =>
    Effect.gen(function*() {
      let released = 0
      const ref = yield* Actor.spawn(Team.loop("editor", a, {
        until: () => Effect.as(Effect.addFinalizer(() => Effect.sync(() => released++)), true),
        maxRounds: 2
      }))
      yield* Agent.ask(ref, "Hi")
      assert.strictEqual(released, 1)
      yield* Stream.runDrain(Agent.stream(ref, "Hi"))
      assert.strictEqual(released, 2)
    }).pipe(play({ a: ["1", "2"] })))

  it.effect("goes on with its own answer until that is good", () =>
    Effect.gen(function*() {
      const ref = yield* Actor.spawn(Team.loop("editor", a, {
        until: ({ text }, round) => Effect.succeed(text.endsWith("!!") && round === 2),
        maxRounds: 5
      }))
      const events = yield* collect(Agent.stream(ref, "Go"))
      assert.strictEqual(only(events, "Completed")[0]!.response.text, "Go!!")
      assert.strictEqual(textBy(events, "editor"), "Go!!")
      assert.deepStrictEqual(yield* questions, ["a: Go", "a: Go!"])
    }).pipe(play({ a: (text) => `${text}!` })))

  it.effect("an agent that judges the answer is paid for by the team", () =>
    Effect.gen(function*() {
      const budget = yield* Budget.make({ maxTokens: 10_000 })
      const judge = Agent.make("judge", { model: Scripted.model([[Scripted.text("Good."), Scripted.usage(500, 0)]]) })
      const ref = yield* Actor.spawn(Team.loop("loop", a, {
        until: () => Effect.map(Agent.response(Agent.run(judge, "Good?")), ({ text }) => text === "Good."),
        maxRounds: 1,
        budget
      }))
      yield* Agent.ask(ref, "Go")
      assert.strictEqual((yield* budget.used).tokens, 700)
    }).pipe(play({ a: [[Scripted.text("x"), Scripted.usage(100, 100)]] })))

  it.effect("fails with its limit when no answer was good", () =>
    Effect.gen(function*() {
      const ref = yield* Actor.spawn(Team.loop("editor", a, { until: () => false, maxRounds: 3 }))
      const error = yield* Effect.flip(Agent.ask(ref, "Go"))
      assert.deepInclude(reasonOf(error), { _tag: "TeamLimitExceeded", limit: "maxRounds", max: 3 })
      assert.strictEqual((yield* questions).length, 3)
    }).pipe(play({ a: () => "no" })))
})

describe("Team.handoff", () => {
  const transfer = (to: string) => Scripted.toolCall("handoff", { to, message: "Look" })

  it.effect("control and all that was said move, and stay for the next prompt", () =>
    Effect.gen(function*() {
      const ref = yield* Actor.spawn(Team.handoff("support", { triage: a, billing: b }))
      const events = yield* collect(Agent.stream(ref, "My invoice?"))
      assert.strictEqual(only(events, "Completed")[0]!.response.text, "Paid.")
      assert.strictEqual(textBy(events, "support"), "Paid.")
      assert.strictEqual((yield* Agent.ask(ref, "And now?")).text, "Still paid.")
      assert.deepStrictEqual(yield* questions, [
        "a: My invoice?",
        "b: triage has handed over to you: Look",
        "b: And now?"
      ])
      const requests = yield* Effect.flatten(Scripted.Requests)
      assert.deepStrictEqual(requests[1]!.prompt.content.map(({ role }) => role), [
        "system",
        "user",
        "assistant",
        "tool",
        "user"
      ])
      assert.deepStrictEqual(lines(yield* Agent.transcript(ref)), [
        "user: My invoice?",
        "handoff gave \"billing has the conversation now\"",
        "user: triage has handed over to you: Look",
        "text: Paid.",
        "user: And now?",
        "text: Still paid."
      ])
      yield* Agent.reset(ref)
      assert.strictEqual((yield* Agent.ask(ref, "New.")).text, "Hello.")
    }).pipe(play({ a: [transfer("billing"), "Hello."], b: ["Paid.", "Still paid."] })))

  it.effect("an unknown member is a failed result that names the known ones to the model", () =>
    Effect.gen(function*() {
      const ref = yield* Actor.spawn(Team.handoff("support", { triage: a, billing: b }))
      const events = yield* collect(Agent.stream(ref, "Hi"))
      const [result] = only(events, "ToolResult")
      assert.isTrue(result!.isFailure)
      assert.include(String(result!.result), "billing")
      assert.strictEqual(only(events, "Completed")[0]!.response.text, "Then I.")
    }).pipe(play({ a: [transfer("nobody"), "Then I."] })))

  it.effect("a member that can't hand on gives control back with its answer", () =>
    Effect.gen(function*() {
      const ref = yield* Actor.spawn(Team.handoff("support", { triage: a, experts: Team.pipeline("experts", [b]) }))
      assert.strictEqual((yield* Agent.ask(ref, "1")).text, "Expertise.")
      assert.strictEqual((yield* Agent.ask(ref, "2")).text, "Me again.")
    }).pipe(play({ a: [transfer("experts"), "Me again."], b: ["Expertise."] })))

  it.effect("handing over for ever fails with the limit", () =>
    Effect.gen(function*() {
      const ref = yield* Actor.spawn(Team.handoff("support", { x: a, y: b }, { maxHandoffs: 2 }))
      const error = yield* Effect.flip(Agent.ask(ref, "Hi"))
      assert.deepInclude(reasonOf(error), { _tag: "TeamLimitExceeded", limit: "maxHandoffs", max: 2 })
      assert.strictEqual((yield* questions).length, 3)
    }).pipe(play({ a: () => transfer("y"), b: () => transfer("x") })))

  it.effect("a failing member leaves what was said in the team's conversation", () =>
    Effect.gen(function*() {
      const ref = yield* Actor.spawn(Team.handoff("support", { triage: a, billing: b }))
      yield* Effect.flip(Agent.ask(ref, "Hi"))
      assert.deepStrictEqual(lines(yield* Agent.transcript(ref)), [
        "user: Hi",
        "handoff gave \"billing has the conversation now\"",
        "user: triage has handed over to you: Look",
        "text: Well"
      ])
      assert.strictEqual((yield* Agent.ask(ref, "Go on")).text, "Done.")
    }).pipe(play({ a: [transfer("billing")], b: [[Scripted.text("Well"), Scripted.cut], "Done."] })))
})

describe("Team.handoff that breaks off", () => {
  it.effect("interrupted, the team's conversation has the tool calls that its members have made", () =>
    Effect.gen(function*() {
      const began = yield* Deferred.make<void>()
      const billing = Agent.make("b", {
        instructions: "b",
        tools: [
          Tool.fn("charge", { description: "", success: Schema.String }, () => Effect.succeed("charged")),
          Tool.fn("hang", { description: "" }, () => Effect.andThen(Deferred.succeed(began, undefined), Effect.never))
        ]
      })
      const ref = yield* Actor.spawn(Team.handoff("support", { triage: a, billing }))
      const asker = yield* Effect.forkChild(Agent.ask(ref, "Hi"))
      yield* Deferred.await(began)
      yield* Fiber.interrupt(asker)
      const left = [
        "user: Hi",
        "handoff gave \"billing has the conversation now\"",
        "user: triage has handed over to you: Look",
        "text: Wait.",
        "charge gave \"charged\"",
        "hang failed \"Interrupted before the tool answered\""
      ]
      assert.deepStrictEqual(lines(yield* Agent.transcript(ref)), left)
      assert.strictEqual((yield* Agent.ask(ref, "Go on")).text, "Done.")
      assert.deepStrictEqual(lines(yield* Agent.transcript(ref)), [...left, "user: Go on", "text: Done."])
      assert.include(JSON.stringify((yield* Effect.flatten(Scripted.Requests)).at(-1)!.prompt.content), "charged")
    }).pipe(play({
      a: [Scripted.toolCall("handoff", { to: "billing", message: "Look" })],
      b: [[Scripted.text("Wait."), Scripted.toolCall("charge", {})], Scripted.toolCall("hang", {}), "Done."]
    })))

  it.effect("whole reasoning, calls of the provider's own tools and what it wants to see again are kept as they are", () =>
    Effect.gen(function*() {
      const signed = (signature: string) => ({ metadata: { anthropic: { signature } } })
      const model = modelOf(Stream.concat(
        Stream.fromIterable<Response.StreamPartEncoded>([
          { type: "reasoning-start", id: "0" },
          { type: "reasoning-delta", id: "0", delta: "I look it up." },
          { type: "reasoning-end", id: "0", ...signed("s") },
          { type: "tool-call", id: "p1", name: "web_search", params: {}, providerExecuted: true, ...signed("c") },
          {
            type: "tool-result",
            id: "p1",
            name: "web_search",
            result: "found",
            isFailure: false,
            providerExecuted: true
          },
          { type: "tool-call", id: "p2", name: "web_search", params: {}, providerExecuted: true },
          { type: "reasoning-start", id: "1" },
          { type: "reasoning-delta", id: "1", delta: "And now I" }
        ]),
        Stream.never
      ))
      // A ref is heard as any other member is.
      const triage = yield* Agent.spawn(Agent.make("a", { model }))
      const ref = yield* Actor.spawn(Team.handoff("support", { triage }))
      const asker = yield* Effect.forkChild(Agent.ask(ref, "Hi"))
      yield* pass(0)
      yield* Fiber.interrupt(asker)
      const [, answer] = (yield* Agent.transcript(ref)).entries
      assert(answer?._tag === "Answer")
      assert.strictEqual(answer.agent, "a")
      assert.deepStrictEqual(
        answer.content.map((part) =>
          part.type === "tool-use"
            ? [part.id, part.providerExecuted, part.result, part.options]
            : part.type === "reasoning"
            ? [part.text, part.options]
            : part.type
        ),
        [
          ["I look it up.", { anthropic: { signature: "s" } }],
          ["p1", true, "found", { anthropic: { signature: "c" } }],
          ["p2", true, "Interrupted before the tool answered", {}]
        ]
      )
    }).pipe(play({})))

  it.effect("crashed, a member that is a behavior leaves its calls there too", () =>
    Effect.gen(function*() {
      const crashing = Agent.make("a", {
        instructions: "a",
        tools: [Tool.fn("look", { description: "", success: Schema.String }, () => Effect.succeed("seen"))],
        prepareTurn: ({ turn }) => turn === 2 ? Effect.die(new Error("boom")) : Effect.succeed({})
      })
      const ref = yield* Actor.spawn(Team.handoff("support", { crashing: Agent.behavior(crashing) }))
      yield* Effect.flip(Agent.ask(ref, "Hi"))
      assert.deepStrictEqual(lines(yield* Agent.transcript(ref)), ["user: Hi", "look gave \"seen\""])
    }).pipe(play({ a: [Scripted.toolCall("look", {})] })))

  it.effect("text of a turn that was restarted is not remembered", () =>
    Effect.gen(function*() {
      const again = Agent.make("a", {
        instructions: "a",
        tools: [weather],
        recover: () => Recover.retry(Schedule.recurs(1))
      })
      const ref = yield* Actor.spawn(Team.handoff("support", { again }))
      const asker = yield* Effect.forkChild(Agent.ask(ref, "Hi"))
      yield* pass("1 second")
      yield* Fiber.interrupt(asker)
      assert.deepStrictEqual(lines(yield* Agent.transcript(ref)), [
        "user: Hi",
        "get_weather gave \"18 C in Lagos\"",
        "text: Hello"
      ])
    }).pipe(play({
      a: [Scripted.toolCall("get_weather", { city: "Lagos" }), [Scripted.text("Hel"), Scripted.cut], [
        Scripted.text("Hello"),
        Scripted.delay("1 hour")
      ]]
    })))

  it.effect("a member's crash leaves the prompt and what it was heard saying", () =>
    Effect.gen(function*() {
      const crashing = Agent.make("a", {
        instructions: "a",
        tools: [Tool.fn("look", { description: "", success: Schema.String }, () => Effect.succeed("seen"))],
        prepareTurn: ({ turn }) => turn === 2 ? Effect.die(new Error("boom")) : Effect.succeed({})
      })
      const ref = yield* Actor.spawn(Team.handoff("support", { crashing }))
      assert.strictEqual(reasonOf(yield* Effect.flip(Agent.ask(ref, "Hi")))._tag, "MemberFailed")
      assert.deepStrictEqual(lines(yield* Agent.transcript(ref)), ["user: Hi", "look gave \"seen\""])
    }).pipe(play({ a: [Scripted.toolCall("look", {})] })))
})

describe("A team that can't work", () => {
  const none: Array<typeof a> = []
  const noOne = Object.fromEntries(none.map((agent) => [agent.name, agent]))

  it("is refused where it is made, and the field is named", () =>
    refused({
      "Team.pipeline: name must be a text that is not empty, got \"\"": () => Team.pipeline("", [a]),
      "Team.pipeline: members must be at least 1, got 0": () => Team.pipeline("t", none),
      "Team.broadcast: members must be at least 1, got 0": () => Team.broadcast("t", none),
      "Team.router: members must be at least 1, got 0": () => Team.router("t", noOne, { key: String }),
      "Team.router: members must be named otherwise than the classifier, got \"classifier\"": () =>
        Team.router("t", { classifier: a }, { classifier: b }),
      "Team.hierarchy: workers must be at least 1, got 0": () => Team.hierarchy("t", a, noOne),
      "Team.hierarchy: workers must be named otherwise than the lead, got \"lead\"": () =>
        Team.hierarchy("t", a, { lead: b }),
      "Team.hierarchy: a worker's name must be 1 to 64 letters, digits, \"_\" or \"-\", got \"law office\"": () =>
        Team.hierarchy("t", a, { "law office": b }, { delegation: "tools" }),
      "Team.debate: debaters must be at least 2, got 1": () =>
        Team.debate("t", { debaters: [a, ...none], arbiter: c, rounds: 1 }),
      "Team.debate: rounds must be a positive integer, got 0": () =>
        Team.debate("t", { debaters: [a, b], arbiter: c, rounds: Number("0") }),
      "Team.loop: maxRounds must be a positive integer, got -1": () =>
        Team.loop("t", a, { until: () => true, maxRounds: Number("-1") }),
      "Team.handoff: members must be at least 1, got 0": () => Team.handoff("t", noOne),
      "Team.handoff: maxHandoffs must be a positive integer, got 0.5": () =>
        Team.handoff("t", { a, b }, { maxHandoffs: 0.5 })
    }))

  it("does not compile where the compiler knows", () =>
    refused({
      // @ts-expect-error no members
      "Team.pipeline: members must be at least 1, got 0": () => Team.pipeline("t", []),
      // @ts-expect-error no members
      "Team.broadcast: members must be at least 1, got 0": () => Team.broadcast("t", []),
      // @ts-expect-error no members
      "Team.router: members must be at least 1, got 0": () => Team.router("t", {}, { key: String }),
      // @ts-expect-error no workers
      "Team.hierarchy: workers must be at least 1, got 0": () => Team.hierarchy("t", a, {}),
      // @ts-expect-error no members
      "Team.handoff: members must be at least 1, got 0": () => Team.handoff("t", {}),
      "Team.debate: debaters must be at least 2, got 1": () =>
        // @ts-expect-error one debater
        Team.debate("t", { debaters: [a], arbiter: b, rounds: 1 }),
      "Team.debate: rounds must be a positive integer, got 0": () =>
        // @ts-expect-error no round
        Team.debate("t", { debaters: [a, b], arbiter: c, rounds: 0 }),
      "Team.loop: maxRounds must be a positive integer, got -1": () =>
        // @ts-expect-error no round
        Team.loop("t", a, { until: () => true, maxRounds: -1 }),
      // @ts-expect-error nobody of that name
      "Team.handoff: start must be one of a, b, got \"c\"": () => Team.handoff("t", { a, b }, { start: "c" }),
      // @ts-expect-error neither a key nor a classifier
      "Team.router: key must be given where no classifier is, got undefined": () => Team.router("t", { a, b }, {}),
      "Team.hierarchy: delegation must be \"all\" where the lead is no agent, got \"tools\"": () =>
        // @ts-expect-error a team can't be given tools
        Team.hierarchy("t", Team.pipeline("p", [a]), { b }, { delegation: "tools" })
    }))

  it("does not compile with an actor of another protocol", () => {
    // @ts-expect-error an actor with another protocol
    Team.pipeline("t", [Actor.make("Other", []).behavior(Effect.succeed({}))])
  })

  it("what members require and fail with is in the team's type, at any depth", () => {
    class Db extends Context.Service<Db, { readonly get: Effect.Effect<string> }>()("Db") {}
    class Judge extends Context.Service<Judge, { readonly ok: Effect.Effect<boolean> }>()("Judge") {}
    const query = Tool.fn(
      "query",
      { description: "", success: Schema.String },
      () => Effect.flatMap(Db, ({ get }) => get)
    )
    const inner = Team.loop("inner", Agent.make("reader", { tools: [query] }), {
      until: () => Effect.flatMap(Judge, ({ ok }) => ok),
      maxRounds: 2
    })
    const outer = Team.pipeline("outer", [a, Team.router("desk", { inner }, { key: String })])
    const spawn = Actor.spawn(outer)
    expectTypeOf<Effect.Services<typeof spawn>>().toEqualTypeOf<
      Db | Judge | LanguageModel.LanguageModel | ActorSystem.ActorSystem
    >()
    expectTypeOf<Effect.Error<typeof spawn>>().toEqualTypeOf<Actor.SpawnError>()
    expectTypeOf(outer).toExtend<Agent.AgentBehavior<Actor.SpawnError, unknown>>()
  })
})
