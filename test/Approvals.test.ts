import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Ref, Schema, Stream } from "effect"
import { Tool as AiTool, Toolkit } from "effect/ai"
import { TestClock } from "effect/testing"
import * as Agent from "../src/Agent.ts"
import { ApprovalRequest, Approvals, check, Decision, layer } from "../src/Approvals.ts"
import * as Scripted from "../src/Llm/Scripted.ts"
import * as Tool from "../src/Tool.ts"
import * as Transcript from "../src/Transcript.ts"
import { collect, lines, only, results } from "./fixtures/agents.ts"
import { refused } from "./fixtures/badOptions.ts"

/** A tool that sends money, and what it has sent. */
const makePay = Effect.gen(function*() {
  const sent = yield* Ref.make<ReadonlyArray<number>>([])
  const pay = Tool.fn("pay", {
    description: "",
    parameters: { amount: Schema.Int },
    success: Schema.String,
    needsApproval: ({ amount }) => amount >= 100
  }, ({ amount }) => Effect.as(Ref.update(sent, (all) => [...all, amount]), `paid ${amount}`))
  return { pay, sent }
})

const paying = (...amounts: ReadonlyArray<number>) =>
  Scripted.model([amounts.map((amount) => Scripted.toolCall("pay", { amount })), "Done."])

/** Runs an agent up to where it waits. */
const start = Effect.fnUntraced(
  function*(tool: Tool.Tool<string, Approvals>, transcript = Ref.makeUnsafe(Transcript.empty)) {
    const agent = Agent.make("payer", { tools: [tool] })
    const fiber = yield* collect(Agent.run(agent, "Pay.", { transcript })).pipe(Effect.forkChild)
    yield* TestClock.adjust(0)
    return fiber
  }
)

describe("Approvals", () => {
  it.effect("a call waits until it is approved, and only calls that need it wait", () =>
    Effect.gen(function*() {
      const approvals = yield* Approvals
      const { pay, sent } = yield* makePay
      const fiber = yield* start(pay)
      assert.deepStrictEqual(yield* Ref.get(sent), [1])
      const [pending, ...others] = yield* approvals.list
      assert.deepStrictEqual(others, [])
      assert.deepInclude(pending, { agent: "payer", tool: "pay", call: "call_1", params: { amount: 100 } })
      yield* approvals.approve(pending!.id)
      const events = yield* Fiber.join(fiber)
      assert.deepStrictEqual(results(events), ["paid 1", "paid 100"])
      assert.deepStrictEqual(yield* approvals.list, [])
      assert.deepStrictEqual(only(events, "ApprovalRequested"), [{
        _tag: "ApprovalRequested",
        run: events[0]!.run,
        agent: "payer",
        approval: pending!.id,
        id: "call_1",
        name: "pay",
        params: { amount: 100 }
      }])
    }).pipe(Effect.provide([layer(), paying(100, 1)])))

  it.effect("a rejection goes to the model with its message, and nothing runs", () =>
    Effect.gen(function*() {
      const approvals = yield* Approvals
      const { pay, sent } = yield* makePay
      const fiber = yield* start(pay)
      yield* approvals.reject((yield* approvals.list)[0]!.id, "too much")
      const events = yield* Fiber.join(fiber)
      assert.deepStrictEqual(results(events), ["Not run: the call was rejected: too much"])
      assert.deepStrictEqual(yield* Ref.get(sent), [])
    }).pipe(Effect.provide([layer(), paying(500)])))

  it.effect("edited arguments run and are in the transcript; bad ones are refused and the call still waits", () =>
    Effect.gen(function*() {
      const approvals = yield* Approvals
      const { pay, sent } = yield* makePay
      const fiber = yield* start(pay)
      const { id } = (yield* approvals.list)[0]!
      const refused = yield* Effect.flip(approvals.approve(id, { params: { amount: "all" } }))
      assert.strictEqual(refused._tag, "InvalidDecision")
      assert.strictEqual((yield* approvals.list).length, 1)
      yield* approvals.approve(id, { params: { amount: 7 } })
      const { response } = only(yield* Fiber.join(fiber), "Completed")[0]!
      assert.deepStrictEqual(yield* Ref.get(sent), [7])
      const use = response.transcript.entries[1]!.content[0]!
      assert(use.type === "tool-use")
      assert.deepStrictEqual(use.params, { amount: 7 })
    }).pipe(Effect.provide([layer(), paying(500)])))

  it.effect("an approval that nobody gives expires, and a late one is a typed error that runs nothing", () =>
    Effect.gen(function*() {
      const approvals = yield* Approvals
      const { pay, sent } = yield* makePay
      const fiber = yield* start(pay)
      const { expiresAt, id } = (yield* approvals.list)[0]!
      assert.strictEqual(expiresAt, 600_000)
      yield* TestClock.adjust("10 minutes")
      assert.deepStrictEqual(results(yield* Fiber.join(fiber)), ["Not run: nobody approved the call in time"])
      const late = yield* Effect.flip(approvals.approve(id))
      assert.deepInclude(late, { _tag: "AlreadyDecided", outcome: "expired" })
      assert.deepStrictEqual(yield* Ref.get(sent), [])
    }).pipe(Effect.provide([layer({ expireAfter: "10 minutes" }), paying(500)])))

  it.effect("expires in time though nobody hears of it", () =>
    Effect.gen(function*() {
      const approvals = yield* Approvals
      const fiber = yield* Effect.forkChild(approvals.request(
        { run: "1", agent: "payer", path: "payer/1/1", tool: "pay", call: "1", params: {} },
        { problemOf: () => Effect.undefined, requested: () => Effect.never }
      ))
      yield* TestClock.adjust("10 minutes")
      assert.deepStrictEqual(yield* Fiber.join(fiber), { _tag: "Expired" })
    }).pipe(Effect.provide(layer({ expireAfter: "10 minutes" }))))

  it("an expiry that is over at once is refused where the layer is made", () =>
    refused({
      "Approvals.layer: expireAfter must be a positive duration, got -1ms": () => layer({ expireAfter: -1 })
    }))

  it.effect("of two decisions the first counts, the second is a typed error, and nothing runs twice", () =>
    Effect.gen(function*() {
      const approvals = yield* Approvals
      const { pay, sent } = yield* makePay
      const fiber = yield* start(pay)
      const { id } = (yield* approvals.list)[0]!
      const exits = yield* Effect.all([
        Effect.result(approvals.approve(id)),
        Effect.result(approvals.approve(id)),
        Effect.result(approvals.reject(id))
      ], { concurrency: "unbounded" })
      assert.deepStrictEqual(exits.map(({ _tag }) => _tag), ["Success", "Failure", "Failure"])
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(yield* Ref.get(sent), [500])
      assert.strictEqual((yield* Effect.flip(approvals.approve("nonsense")))._tag, "UnknownApproval")
    }).pipe(Effect.provide([layer(), paying(500)])))

  it.effect("interrupting a run that waits takes its request off the list and leaves a usable transcript", () =>
    Effect.gen(function*() {
      const approvals = yield* Approvals
      const { pay, sent } = yield* makePay
      const transcript = yield* Ref.make(Transcript.empty)
      const fiber = yield* start(pay, transcript)
      const { id } = (yield* approvals.list)[0]!
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(yield* approvals.list, [])
      assert.deepInclude(yield* Effect.flip(approvals.approve(id)), { _tag: "AlreadyDecided", outcome: "withdrawn" })
      assert.deepStrictEqual(lines(yield* Ref.get(transcript)), [
        "user: Pay.",
        "pay failed \"Interrupted before the tool answered\""
      ])
      assert.deepStrictEqual(yield* Ref.get(sent), [])
    }).pipe(Effect.provide([layer(), paying(500)])))

  it.effect("a run that is out of time takes its request off the list", () =>
    Effect.gen(function*() {
      const approvals = yield* Approvals
      const { pay, sent } = yield* makePay
      const agent = Agent.make("payer", { tools: [pay], maxDuration: "1 minute" })
      const fiber = yield* Effect.flip(collect(Agent.run(agent, "Pay."))).pipe(Effect.forkChild)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* Fiber.join(fiber)).reason._tag, "MaxDurationExceeded")
      assert.deepStrictEqual(yield* approvals.list, [])
      assert.deepStrictEqual(yield* Ref.get(sent), [])
    }).pipe(Effect.provide([layer(), paying(500)])))

  it.effect("its changes are those that wait, then each request and decision, for a reader that is slow too", () =>
    Effect.gen(function*() {
      const approvals = yield* Approvals
      const { pay } = yield* makePay
      const first = yield* start(pay)
      const seen: Array<string> = []
      const reader = yield* Effect.forkChild(Stream.runForEach(approvals.changes, (change) => {
        seen.push(`${change._tag} ${change.request.call}`)
        return Effect.sleep("1 minute")
      }))
      yield* TestClock.adjust(0)
      const [one, two] = yield* approvals.list
      yield* approvals.approve(one!.id)
      yield* approvals.reject(two!.id, "no")
      yield* Fiber.join(first)
      const second = yield* start(pay)
      yield* Fiber.interrupt(second)
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(seen, [
        "Requested call_1",
        "Requested call_2",
        "Decided call_1",
        "Decided call_2",
        "Requested call_3",
        "Withdrawn call_3"
      ])
      yield* Fiber.interrupt(reader)
    }).pipe(Effect.provide([
      layer(),
      Scripted.model([
        [100, 200].map((amount) => Scripted.toolCall("pay", { amount })),
        "Done.",
        Scripted.toolCall("pay", { amount: 300 })
      ])
    ])))

  it.effect("a request is data: stored as JSON, decided in another process, where the decision must fit the tool", () =>
    Effect.gen(function*() {
      const approvals = yield* Approvals
      const { pay, sent } = yield* makePay
      const fiber = yield* start(pay)
      const [waiting] = yield* approvals.list
      const row = JSON.stringify(yield* Schema.encodeEffect(Schema.toCodecJson(ApprovalRequest))(waiting!))

      // The other process has the row and its own tools.
      const elsewhere = yield* makePay
      const request = yield* Schema.decodeUnknownEffect(Schema.toCodecJson(ApprovalRequest))(JSON.parse(row))
      assert.deepStrictEqual(request, waiting)
      const approved = (amount: unknown): Decision => ({ _tag: "Approved", params: { amount } })
      const misfit = yield* Effect.flip(check(request, approved("all"), [elsewhere.pay]))
      assert.deepInclude(misfit, { _tag: "InvalidDecision", id: request.id })
      // Somebody has edited the arguments, and lost them.
      const lost: Decision = { _tag: "Approved", params: undefined }
      assert.deepInclude(yield* Effect.flip(check(request, lost, [elsewhere.pay])), { _tag: "InvalidDecision" })
      const other = Tool.fn("pay", { description: "", parameters: { euros: Schema.Int } }, () => Effect.void)
      assert.include((yield* Effect.flip(check(request, { _tag: "Approved" }, [other]))).problem, "euros")
      assert.include((yield* Effect.flip(check(request, { _tag: "Approved" }, []))).problem, "there is no tool pay")
      assert.deepStrictEqual(yield* check(request, { _tag: "Rejected", message: "no" }, []), {
        _tag: "Rejected",
        message: "no"
      })
      const decision = yield* check(request, approved(7), [elsewhere.pay])
      const answer = JSON.stringify(yield* Schema.encodeEffect(Schema.toCodecJson(Decision))(decision))

      const decided = yield* Schema.decodeUnknownEffect(Schema.toCodecJson(Decision))(JSON.parse(answer))
      assert(decided._tag === "Approved")
      yield* approvals.approve(request.id, { params: decided.params })
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(yield* Ref.get(sent), [7])
      assert.deepStrictEqual(yield* Ref.get(elsewhere.sent), [])
    }).pipe(Effect.provide([layer(), paying(500)])))

  it.effect("a request says where it comes from, at any depth", () =>
    Effect.gen(function*() {
      const approvals = yield* Approvals
      const { pay } = yield* makePay
      const inner = Agent.make("in/side", { tools: [pay], model: paying(100) })
      const outer = Agent.make("outer", {
        tools: [Tool.fromAgent(inner, { name: "ask", description: "" })],
        model: Scripted.model([Scripted.toolCall("ask", { prompt: "Pay." })])
      })
      const fiber = yield* collect(Agent.run(outer, "Go.")).pipe(Effect.forkChild)
      yield* TestClock.adjust(0)
      const [request] = yield* approvals.list
      assert.strictEqual(request!.path, "outer/1/call_1/in%2Fside/1/call_1")
      assert.strictEqual(request!.parent?.call, "call_1")
      yield* Fiber.interrupt(fiber)
    }).pipe(Effect.provide(layer())))

  it.effect("calls of nested agents and of other runs are on the one list", () =>
    Effect.gen(function*() {
      const approvals = yield* Approvals
      const { pay, sent } = yield* makePay
      const nest = (amount: number) => {
        const inner = Agent.make("inner", { tools: [pay], model: paying(amount) })
        const middle = Agent.make("middle", {
          tools: [Tool.fromAgent(inner, { description: "" })],
          model: Scripted.model([Scripted.toolCall("inner", { prompt: "Pay." }), "Paid."])
        })
        return Agent.make("outer", {
          tools: [Tool.fromAgent(middle, { description: "" })],
          model: Scripted.model([Scripted.toolCall("middle", { prompt: "Pay." }), "Paid."])
        })
      }
      const fiber = yield* Effect.all([collect(Agent.run(nest(100), "Go.")), collect(Agent.run(nest(200), "Go."))], {
        concurrency: 2
      }).pipe(Effect.forkChild)
      yield* TestClock.adjust(0)
      const pending = yield* approvals.list
      assert.deepStrictEqual(pending.map(({ agent }) => agent), ["inner", "inner"])
      yield* Effect.forEach(pending, ({ id }) => approvals.approve(id))
      const [first] = yield* Fiber.join(fiber)
      assert.deepStrictEqual(only(first, "ApprovalRequested").map(({ agent }) => agent), ["inner"])
      assert.sameMembers([...(yield* Ref.get(sent))], [100, 200])
    }).pipe(Effect.provide(layer())))

  it.effect("interrupting the outermost run takes back what an agent three levels down waits for", () =>
    Effect.gen(function*() {
      const approvals = yield* Approvals
      const { pay, sent } = yield* makePay
      const inner = Agent.make("inner", { tools: [pay], model: paying(100) })
      const middle = Agent.make("middle", {
        tools: [Tool.fromAgent(inner, { description: "" })],
        model: Scripted.model([Scripted.toolCall("inner", { prompt: "Pay." })])
      })
      const outer = Agent.make("outer", {
        tools: [Tool.fromAgent(middle, { description: "" })],
        model: Scripted.model([Scripted.toolCall("middle", { prompt: "Pay." })])
      })
      const fiber = yield* collect(Agent.run(outer, "Go.")).pipe(Effect.forkChild)
      yield* TestClock.adjust(0)
      assert.strictEqual((yield* approvals.list).length, 1)
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(yield* approvals.list, [])
      assert.deepStrictEqual(yield* Ref.get(sent), [])
    }).pipe(Effect.provide(layer())))

  it.effect("whoever reads the event can decide at once", () =>
    Effect.gen(function*() {
      const approvals = yield* Approvals
      const { pay, sent } = yield* makePay
      yield* Agent.run(Agent.make("payer", { tools: [pay] }), "Pay.").pipe(
        Stream.runForEach((event) =>
          event._tag === "ApprovalRequested" ? Effect.orDie(approvals.approve(event.approval)) : Effect.void
        )
      )
      assert.deepStrictEqual(yield* Ref.get(sent), [100, 200])
    }).pipe(Effect.provide([layer(), paying(100, 200)])))

  it.effect("a toolkit's tool that needs approval waits for it, and without the service no request is made", () =>
    Effect.gen(function*() {
      const Pay = AiTool.make("pay", { parameters: Schema.Struct({ amount: Schema.Int }), needsApproval: true })
      const toolkit = Toolkit.make(Pay)
      const run = collect(Agent.run(Agent.make("payer", { tools: [toolkit] }), "Pay.")).pipe(
        Effect.provide(toolkit.toLayer({ pay: () => Effect.void }))
      )
      const error = yield* Effect.flip(run)
      assert.include(error.message, "tool pay needs approval: provide Approvals.layer")
      yield* Effect.gen(function*() {
        const approvals = yield* Approvals
        const fiber = yield* Effect.forkChild(run)
        yield* TestClock.adjust(0)
        yield* approvals.reject((yield* approvals.list)[0]!.id)
        assert.include(String(results(yield* Fiber.join(fiber))[0]), "rejected")
      }).pipe(Effect.provide(layer()))
    }).pipe(Effect.provide(paying(1))))
})
