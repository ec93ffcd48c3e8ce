/**
 * The seams between a program and the world: calls of models, tools and memories, approvals, and the events of runs.
 *
 * @internal
 */
import * as AiError from "effect/ai/AiError"
import * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Pull from "effect/Pull"
import type * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { AgentEvent } from "../../AgentEvent.ts"
import type * as Approvals from "../../Approvals.ts"
import type { Observer } from "../../Observer.ts"
import type * as Tap from "../../Tap.ts"
import type { TurnInfo, TurnPlan } from "../agent/agent.ts"
import { failure } from "../agent/outcome.ts"
import { toJson } from "../json.ts"
import * as ModelRequest from "../llm/request.ts"
import { retype } from "../retype.ts"
import { answer, type Answers, answers } from "./ask.ts"
import * as Codec from "./codec.ts"
import type { Call } from "./entry.ts"
import * as Script from "./script.ts"
import * as World from "./world.ts"

/** The tap of a program. What is made live goes through the tap outside, if there is one. */
export const tap = (world: World.World, outer: Tap.Tap | undefined): Tap.Tap => ({
  model: (call, live) => {
    if (world.phase === "over") return outer?.model?.(call, live) ?? live
    const made = outer?.model?.(call, live) ?? live
    const question = {
      call: { ...placeOf("model", call), request: modelRequest(call) },
      codec: modelAnswer,
      live: (item: (parts: ReadonlyArray<Tap.Part>) => Effect.Effect<void>) => Stream.runForEachArray(made, item),
      cutOff: (description: string) =>
        Exit.fail(AiError.make({
          module: "RunLog",
          method: "fork",
          reason: new AiError.InternalProviderError({ description })
        }))
    }
    return Stream.unwrap(Effect.map(answers(world, question), items))
  },
  tool: (call, live) => {
    const made = (emit: Tap.ToolCall["emit"]) => outer?.tool?.({ ...call, emit }, live) ?? live(emit)
    if (world.phase === "over" || call.runs !== "handler") return made(call.emit)
    const { name, params } = call
    return answer(world, {
      call: { ...placeOf("tool", call), request: { name, params: retype(params) } },
      codec: toolAnswer,
      live: made,
      isLive: world.script?.liveTools.has(name) === true,
      cutOff: (problem) => Exit.succeed(failure(problem))
    }, call.emit)
  },
  embedding: (call, live) => {
    const made = outer?.embedding?.(call, live) ?? live
    if (world.phase === "over") return made
    return answer(world, {
      call: { ...placeOf("embedding", call), request: call.texts },
      codec: embeddingAnswer,
      live: () => made
    }, noItem)
  },
  compaction: <E, R>(call: Tap.CompactionCall, live: Effect.Effect<Tap.CompactionCall["transcript"], E, R>) => {
    const made = outer?.compaction?.(call, live) ?? live
    if (world.phase === "over") return made
    return answer(world, {
      call: { ...placeOf("compaction", call), request: Codec.transcript.encode(call.transcript) },
      codec: Codec.answer(Codec.never, Codec.transcript, Codec.anyError<E>()),
      live: () => made
    }, noItem)
  }
})

/** A call of a model that no agent makes is in no log, so a replay can't answer it. */
export const onDirectCall = (world: World.World): Effect.Effect<void> =>
  Effect.suspend(() => {
    if (world.script === undefined || world.phase !== "running") return Effect.void
    World.fail(world, Script.unrecorded(world.calls))
    return Effect.never
  })

/** The list of approvals outside, as the program sees it. */
export const approvals = (
  world: World.World,
  outer: Approvals.Approvals["Service"]
): Approvals.Approvals["Service"] => ({
  list: answer(world, {
    call: listCall("list"),
    codec: Codec.answer(Codec.never, Codec.requests, Codec.never),
    live: () => outer.list
  }, noItem),
  changes: Stream.unwrap(Effect.suspend(() =>
    Effect.map(
      answers(world, {
        call: listCall("changes"),
        codec: Codec.answer(Codec.changes, Codec.nothing, Codec.never),
        live: (item: (changes: ReadonlyArray<Approvals.Change>) => Effect.Effect<void>) =>
          Stream.runForEachArray(outer.changes, item),
        isOngoing: true
      }),
      items
    )
  )),
  approve: (id, edit) =>
    decided(world, { approve: id, ...(edit && { params: toJson(edit.params) }) }, outer.approve(id, edit)),
  reject: (id, message) =>
    retype(decided(world, { reject: id, ...(message !== undefined && { message }) }, outer.reject(id, message))),
  request: (call, waiting) => {
    const { agent, params, parent, path, run, tool } = call
    return answer(
      world,
      {
        call: {
          kind: "approval",
          run,
          agent,
          ...(parent && { parent }),
          turn: turnOf(path),
          path,
          request: { name: tool, params: retype(params) }
        },
        codec: Codec.answer(Codec.request, Codec.decision, Codec.never),
        live: (item) => outer.request(call, { problemOf: waiting.problemOf, requested: item })
      },
      waiting.requested
    )
  }
})

/** Hears the events of the program's runs. The observer outside hears all that it would. */
export const observer = (world: World.World, outer: Observer | undefined): Observer => ({
  ...(outer?.sampleEvery !== undefined && { sampleEvery: outer.sampleEvery }),
  observe: (observation) => {
    if (outer !== undefined) World.leave(world, () => outer.observe(observation))
    if (observation._tag !== "Run" || !world.inside) return
    const at = world.now
    for (const event of retype<ReadonlyArray<AgentEvent>>(observation.events)) {
      if (event._tag === "OutputPartial") continue
      World.made(world, { _tag: "Event", at, event: retype(Codec.encodeEvent(event)) })
    }
    const { outcome, run } = observation
    if (outcome !== undefined) World.made(world, { _tag: "RunEnded", at, run, outcome })
  }
})

/** Changes the turns whose model call is made live. */
export const plan = (world: World.World, forkAt: number, change: (turn: TurnInfo) => TurnPlan) => (turn: TurnInfo) =>
  world.calls + 1 >= forkAt ? change(turn) : {}

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const modelAnswer = Codec.answer(Codec.parts, Codec.nothing, Codec.aiError)

const toolAnswer = Codec.answer(Codec.events, Codec.outcome, Codec.toolFailed)

const embeddingAnswer = Codec.answer(Codec.never, Codec.vectors, Codec.aiError)

const noItem = () => Effect.void

const placeOf = (kind: Call["kind"], { agent, parent, path, run, turn }: Tap.Call) => ({
  kind,
  run,
  agent,
  ...(parent && { parent }),
  turn,
  path
})

const modelRequest = ({ model, prompt, settings, toolChoice, tools }: Tap.ModelCall): Schema.Json =>
  retype({
    ...(model !== undefined && { model }),
    prompt: prompt.content.map(Codec.encodeMessage),
    tools: tools.map(ModelRequest.toolJson),
    toolChoice,
    ...ModelRequest.settingsJson(settings)
  })

const listCall = (method: string, request: Schema.Json = null) => ({
  kind: "approval" as const,
  run: "",
  agent: "",
  turn: 0,
  path: method,
  request
})

const decided = (
  world: World.World,
  request: Schema.JsonObject,
  live: Effect.Effect<void, Approvals.UnknownApproval | Approvals.AlreadyDecided | Approvals.InvalidDecision>
) =>
  answer(world, {
    call: listCall("decide", request),
    codec: Codec.answer(Codec.never, Codec.nothing, Codec.undecided),
    live: () => live
  }, noItem)

/** The turn in the path of a call. */
const turnOf = (path: string): number => Number(path.split("/").at(-2)?.split("~")[0] ?? 0)

const items = <I, E>(answers: Answers<ReadonlyArray<I>, unknown, E>): Stream.Stream<I, E> =>
  Stream.fromPull(Effect.succeed(pull(answers)))

const pull = <I, E>(
  answers: Answers<ReadonlyArray<I>, unknown, E>
): Pull.Pull<Arr.NonEmptyReadonlyArray<I>, E> =>
  Effect.flatMap(answers, (answer) => {
    if (answer._tag === "Item") {
      return Arr.isReadonlyArrayNonEmpty(answer.item) ? Effect.succeed(answer.item) : pull(answers)
    }
    return Exit.isSuccess(answer.exit) ? Cause.done() : Exit.failCause(answer.exit.cause)
  })
