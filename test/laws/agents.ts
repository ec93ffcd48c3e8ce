/** Laws of agents, approvals and budgets. */
import { Effect, Fiber, Ref, Schema, Stream } from "effect"
import * as Agent from "../../src/Agent.ts"
import * as Approvals from "../../src/Approvals.ts"
import * as Budget from "../../src/Budget.ts"
import * as Scripted from "../../src/Llm/Scripted.ts"
import * as Tool from "../../src/Tool.ts"
import * as Transcript from "../../src/Transcript.ts"
import { atOnce, chance, dice, endOf, type Expect, int, type Law, law, pause, settle, times } from "./law.ts"
import { checkPrompt, watchRuns } from "./runs.ts"

/** A model that calls tools as it likes, and answers in the end. */
const moody = (expect: Expect, draw: (n: number) => number, tools: ReadonlyArray<string>) =>
  Scripted.model((request) => {
    checkPrompt(expect, request.prompt)
    const thinking = draw(2) === 0 ? [] : [Scripted.delay(draw(30))]
    const used = Scripted.usage(draw(100), draw(100))
    if (draw(3) === 0) return [...thinking, Scripted.text("That is all."), used]
    const calls = Array.from({ length: 1 + draw(3) }, () => Scripted.toolCall(tools[draw(tools.length)]!, {}))
    return [...thinking, ...draw(2) === 0 ? [Scripted.text("Let me see.")] : [], ...calls, used]
  })

/** Works, waits, fails or dies. */
const work = (name: string, draw: (n: number) => number) =>
  Tool.fn(name, { description: "Works", success: Schema.String }, () => {
    const took = draw(20)
    const done = Effect.suspend(() => {
      const how = draw(6)
      return how === 0 ? Effect.fail("no") : how === 1 ? Effect.die("boom") : Effect.succeed("done")
    })
    return took < 10 ? done : Effect.andThen(Effect.sleep(took), done)
  })

const runsInOrder = (expect: Expect) =>
  Effect.gen(function*() {
    const draw = yield* dice
    const { runs, watched } = watchRuns(expect)
    const agent = Agent.make("worker", {
      tools: [work("first", draw), work("second", draw)],
      maxTurns: 5,
      model: moody(expect, draw, ["first", "second", "unknown"])
    })
    yield* watched(Effect.gen(function*() {
      const ref = yield* Agent.spawn(agent, { name: "worker" })
      const answered: Array<string> = []
      yield* atOnce(3, (user) =>
        times(2, (n) =>
          Effect.gen(function*() {
            const prompt = `prompt ${user}.${n}`
            yield* pause
            if (yield* chance(0.3)) {
              const fiber = yield* Effect.forkChild(Agent.ask(ref, prompt))
              yield* Effect.andThen(pause, pause)
              return yield* Fiber.interrupt(fiber)
            }
            const asked = (yield* chance(0.5))
              ? Agent.ask(ref, prompt)
              : Effect.map(Stream.runCollect(Agent.stream(ref, prompt)), (events) => {
                const last = events.at(-1)
                expect(last?._tag === "Completed", `a stream ends with Completed, got ${last?._tag}`)
              })
            const end = yield* endOf(asked)
            if (typeof end !== "string") answered.push(prompt)
            else expect(reasons.has(end), `an answer or a failure of the run, got ${end}`)
          })))
      yield* settle
      const transcript = yield* Agent.transcript(ref)
      checkPrompt(expect, Transcript.toPrompt(transcript))
      const prompts = transcript.entries.filter(({ _tag }) => _tag === "User").map(Transcript.text)
      for (const prompt of answered) {
        expect(prompts.filter((kept) => kept === prompt).length === 1, `${prompt} is in the conversation once`)
      }
      expect(new Set(prompts).size === prompts.length, `no prompt twice: ${prompts}`)
      expect(runs().every(({ outcome }) => outcome !== undefined), "each run has its end")
      expect(runs().filter(({ outcome }) => outcome === "Success").length >= answered.length, "one run an answer")
    }))
  })

/** Beside `ActorError`: the model failed by a fault, or had no turn left. */
const reasons: ReadonlySet<string> = new Set([
  "MaxTurnsExceeded",
  "RateLimitError",
  "InternalProviderError",
  "NetworkError",
  "AuthenticationError",
  "ContentPolicyError",
  "InvalidRequestError",
  "ModelFailed"
])

const decidedOnce = (expect: Expect) =>
  Effect.gen(function*() {
    const draw = yield* dice
    const { watched } = watchRuns(expect)
    const done = new Map<string, number>()
    const decisions = new Map<string, Array<string>>()
    const changes = new Map<string, Array<string>>()
    const note = (into: Map<string, Array<string>>, id: string, what: string) =>
      into.set(id, [...into.get(id) ?? [], what])
    const pay = Tool.fn("pay", {
      description: "Pays",
      parameters: { bill: Schema.String },
      success: Schema.String,
      needsApproval: true
    }, ({ bill }) =>
      Effect.sync(() => {
        done.set(bill, (done.get(bill) ?? 0) + 1)
        return "paid"
      }))
    let bills = 0
    const model = Scripted.model((request) => {
      checkPrompt(expect, request.prompt)
      const last = Scripted.lines(request).at(-1) ?? ""
      if (!last.startsWith("user:")) return "Done."
      return Array.from({ length: 1 + draw(2) }, () => Scripted.toolCall("pay", { bill: `bill ${++bills}` }))
    })
    const expires = yield* chance(0.5)
    yield* watched(Effect.gen(function*() {
      const approvals = yield* Approvals.Approvals
      yield* Effect.forkScoped(
        Stream.runForEach(approvals.changes, ({ _tag, request }) => Effect.sync(() => note(changes, request.id, _tag)))
      )
      yield* settle
      const manager = Effect.gen(function*() {
        for (const { id, params } of yield* approvals.list) {
          const { bill } = params as { readonly bill: string }
          const approves = yield* chance(0.5)
          const edit = approves && (yield* chance(0.3)) ? { params: { bill: `${bill} edited` } } : undefined
          const decide = approves ? approvals.approve(id, edit) : approvals.reject(id)
          yield* Effect.uninterruptible(Effect.map(endOf(decide), (end) => {
            if (end === undefined) note(decisions, id, approves ? edit?.params.bill ?? bill : "rejected")
            else expect(end === "AlreadyDecided", `a decision that comes too late is told so, got ${end}`)
          }))
          yield* pause
        }
        yield* Effect.sleep("3 millis")
      })
      const managers = yield* Effect.forkChild(atOnce(2, () => Effect.forever(manager)))
      yield* atOnce(3, (n) =>
        Effect.gen(function*() {
          const run = Agent.response(Agent.run(Agent.make(`payer ${n}`, { tools: [pay] }), "Pay."))
          if (yield* chance(0.7)) return yield* run
          const fiber = yield* Effect.forkChild(run)
          yield* Effect.andThen(pause, pause)
          return yield* Fiber.interrupt(fiber)
        }))
      yield* Fiber.interrupt(managers)
      expect((yield* approvals.list).length === 0, "nothing waits for a decision when its run has ended")
      yield* settle
      for (const [id, all] of decisions) expect(all.length === 1, `${id} is decided once, got ${all}`)
      for (const [id, all] of changes) {
        const ends = all.slice(1)
        expect(all[0] === "Requested" && ends.length === 1, `${id} is requested, then decided or withdrawn, got ${all}`)
        expect(!decisions.has(id) || ends[0] === "Decided", `${id} is decided, got ${all}`)
      }
      const approved = new Set(Array.from(decisions.values(), ([what]) => what!))
      for (const [bill, count] of done) {
        expect(count === 1, `${bill} is paid once`)
        expect(approved.has(bill), `${bill} is approved before it is paid`)
      }
    })).pipe(Effect.provide([model, Approvals.layer({ expireAfter: expires ? "20 millis" : undefined })]))
  })

const budgetsHold = (expect: Expect) =>
  Effect.gen(function*() {
    const max = yield* int(1, 30)
    const budget = yield* Budget.make({ maxToolCalls: max })
    let running = 0
    let spent = 0
    const spender = (budgets: ReadonlyArray<Budget.Budget>) =>
      Effect.gen(function*() {
        const asked = yield* int(1, 8)
        const actual = yield* int(0, asked)
        const call = Effect.gen(function*() {
          running += asked
          expect(running + spent <= max, `calls at once stay within ${max}, ${running} run and ${spent} are spent`)
          yield* pause
        }).pipe(Effect.ensuring(Effect.sync(() => {
          running -= asked
          spent += actual
        })))
        const spend = Budget.spend(call, {
          budgets,
          reserve: () => ({ toolCalls: asked }),
          settle: () => ({ toolCalls: actual })
        })
        if (yield* chance(0.2)) return yield* Effect.timeout(spend, "5 millis").pipe(Effect.ignore)
        const end = yield* endOf(spend)
        expect(end === undefined || end === "BudgetExceeded", `who finds no room is told so, got ${end}`)
      })
    yield* atOnce(4, () =>
      Effect.scoped(Effect.gen(function*() {
        const granted = yield* Effect.option(Budget.grant(budget, { maxToolCalls: yield* int(1, 12) }))
        const own = (yield* chance(0.5)) && granted._tag === "Some" ? granted.value : budget
        yield* times(4, () => Effect.andThen(pause, spender([own])))
      })))
    const { toolCalls } = yield* budget.used
    expect(toolCalls === spent && spent <= max, `${spent} are spent, ${toolCalls} are booked, of ${max}`)
    const rest = yield* endOf(budget.reserve({ toolCalls: max - spent }))
    expect(typeof rest !== "string", `nothing stays reserved: ${max - spent} are left, got ${rest}`)
  })

const agentsWithinBudget = (expect: Expect) =>
  Effect.gen(function*() {
    const draw = yield* dice
    const { watched } = watchRuns(expect)
    const max = yield* int(1, 8)
    const budget = yield* Budget.make({ maxToolCalls: max })
    let begun = 0
    const counted = Tool.fn("work", { description: "Works" }, () =>
      Effect.suspend(() => {
        begun++
        return pause
      }))
    const agent = Agent.make("spender", { tools: [counted], budget, maxTurns: 4, model: moody(expect, draw, ["work"]) })
    const transcripts = yield* times(3, () => Ref.make(Transcript.empty))
    yield* watched(
      atOnce(3, (n) => endOf(Agent.response(Agent.run(agent, "Go.", { transcript: transcripts[n - 1]! }))))
    )
    expect(begun <= max, `no more than ${max} calls, got ${begun}`)
    const { toolCalls } = yield* budget.used
    expect(toolCalls >= begun && toolCalls <= max, `${begun} calls, ${toolCalls} are booked, of ${max}`)
    for (const transcript of transcripts) checkPrompt(expect, Transcript.toPrompt(yield* Ref.get(transcript)))
  })

export const agents: ReadonlyArray<Law> = [
  law("an agent's actor takes its runs in turn, and each call has its result", runsInOrder, {
    modelFails: 0.05,
    modelCut: 0.05,
    toolFails: 0.05,
    toolLost: 0.05
  }),
  law("an approval is decided once, and nothing runs without it", decidedOnce),
  law("a budget is not overshot, and gets back what was not used", budgetsHold),
  law("agents that share a budget call no more tools than it has", agentsWithinBudget, { modelFails: 0.03 })
]
