/**
 * Puts faults into a run, by chance or as given, and notes those that it has put in.
 *
 * @internal
 */
import * as AiError from "effect/ai/AiError"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type * as Tap from "../../Tap.ts"
import type * as MessageFaults from "../actor/faults.ts"
import { failure } from "../agent/outcome.ts"
import { InjectedFault } from "../faultPoint.ts"
import * as Prng from "../prng.ts"
import { type Fault, ModelFailure } from "./script.ts"

/**
 * How likely each kind of fault is at each of its occasions, from 0 to 1.
 *
 * @since 0.1.0
 * @category models
 */
export interface FaultChances extends Readonly<Partial<Record<Fault["kind"], number | undefined>>> {
  /** How many faults a run may have. Default: 3. */
  readonly max?: number | undefined
  /** The places that may have faults: paths of actors and calls, names of fault points, `"clock"`. Default: all. */
  readonly only?: ((place: string) => boolean) | undefined
}

export interface Injector {
  readonly message: ((message: MessageFaults.MessageToHandle) => MessageFaults.Fault | undefined) | undefined
  readonly tap: Tap.Tap
  readonly point: (point: string) => Effect.Effect<void, InjectedFault>
  /** By how many milliseconds the wall clock jumps now. */
  readonly jump: () => number
  /** Puts no more faults in. */
  readonly stop: () => void
  /** The faults until now. */
  readonly injected: ReadonlyArray<Fault>
}

export const drawn = (seed: number, { max = 3, only = () => true, ...chances }: FaultChances): Injector => {
  const next = Prng.make(seed, "faults")
  let left = max
  return make((at, n, kinds) => {
    if (left <= 0) return undefined
    for (const kind of kinds) {
      const chance = chances[kind]
      if (chance === undefined || next() >= chance || !only(at)) continue
      left--
      return draw(kind, at, n, next)
    }
    return undefined
  }, messageKinds.some((kind) => chances[kind] !== undefined))
}

export const given = (faults: ReadonlyArray<Fault>): Injector => {
  const byOccasion = new Map(faults.map((fault) => [`${fault.n} ${fault.at}`, fault]))
  return make((at, n, kinds) => {
    const fault = byOccasion.get(`${n} ${at}`)
    return fault !== undefined && kinds.includes(fault.kind) ? fault : undefined
  }, faults.some(({ kind }) => messageKinds.includes(kind)))
}

type Kind = Fault["kind"]

const messageKinds: ReadonlyArray<Kind> = ["crashBefore", "crashAfter", "double", "delay"]
const modelKinds: ReadonlyArray<Kind> = ["modelFails", "modelCut"]
const toolKinds: ReadonlyArray<Kind> = ["toolFails", "toolLost"]
const pointKinds: ReadonlyArray<Kind> = ["pointFails", "pointLate"]
const clockKinds: ReadonlyArray<Kind> = ["clockJump"]

export const kinds = [...messageKinds, ...modelKinds, ...toolKinds, ...pointKinds, ...clockKinds]

export const isKind = (kind: string): kind is Kind => kinds.some((known) => known === kind)

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const draw = (kind: Kind, at: string, n: number, next: () => number): Fault => {
  switch (kind) {
    case "delay":
    case "pointLate":
      return { kind, at, n, millis: 1 + Prng.below(next, 1000) }
    case "clockJump":
      return { kind, at, n, millis: Prng.below(next, 2 * maxJump) - maxJump }
    case "modelFails":
      return { kind, at, n, reason: ModelFailure.literals[Prng.below(next, ModelFailure.literals.length)]! }
    case "modelCut":
      return { kind, at, n, parts: Prng.below(next, 4) }
    default:
      return { kind, at, n }
  }
}

/** An hour, as when summer time ends. */
const maxJump = 3_600_000

const make = (
  choose: (at: string, n: number, kinds: ReadonlyArray<Kind>) => Fault | undefined,
  inMessages: boolean
): Injector => {
  const injected: Array<Fault> = []
  const counts = new Map<string, Map<string, number>>()
  let stopped = false

  /** The fault of the next occasion of this sort at the place. */
  const next = (sort: string, at: string, kinds: ReadonlyArray<Kind>): Fault | undefined => {
    let places = counts.get(sort)
    if (places === undefined) counts.set(sort, places = new Map())
    const n = (places.get(at) ?? 0) + 1
    places.set(at, n)
    const fault = stopped ? undefined : choose(at, n, kinds)
    if (fault !== undefined) injected.push(fault)
    return fault
  }

  return {
    injected,
    stop: () => {
      stopped = true
    },
    message: inMessages ? ({ path }) => toMessageFault(next("message", path, messageKinds)) : undefined,
    tap: {
      model: (call, live) => failing(next("model", call.path, modelKinds), live),
      tool: (call, live) => {
        switch (next("tool", call.path, toolKinds)?.kind) {
          case "toolFails":
            return Effect.succeed(failure(`the simulation lets ${call.name} fail`))
          case "toolLost":
            return Effect.as(live(call.emit), failure(`the simulation has lost the answer of ${call.name}`))
          default:
            return live(call.emit)
        }
      }
    },
    point: (point) => {
      const fault = next("point", point, pointKinds)
      if (fault?.kind === "pointFails") return Effect.fail(new InjectedFault({ point }))
      return fault?.kind === "pointLate" ? Effect.sleep(fault.millis) : Effect.void
    },
    jump: () => {
      const fault = next("clock", "clock", clockKinds)
      return fault?.kind === "clockJump" ? fault.millis : 0
    }
  }
}

const toMessageFault = (fault: Fault | undefined): MessageFaults.Fault | undefined => {
  switch (fault?.kind) {
    case "crashBefore":
    case "crashAfter":
    case "double":
      return fault.kind
    case "delay":
      return { delay: fault.millis }
    default:
      return undefined
  }
}

const failing = (
  fault: Fault | undefined,
  live: Stream.Stream<Tap.Part, AiError.AiError>
): Stream.Stream<Tap.Part, AiError.AiError> => {
  switch (fault?.kind) {
    case "modelFails":
      return Stream.fail(
        AiError.make({ module: "Simulation", method: "streamText", reason: makeReason(fault.reason) })
      )
    case "modelCut":
      return Stream.take(live, fault.parts)
    default:
      return live
  }
}

const makeReason = (failure: ModelFailure): AiError.AiErrorReason => {
  const description = "injected by the simulation"
  switch (failure) {
    case "RateLimitError":
      return new AiError.RateLimitError({})
    case "InternalProviderError":
      return new AiError.InternalProviderError({ description })
    case "NetworkError":
      return new AiError.NetworkError({
        reason: "TransportError",
        method: "POST",
        url: "simulation:",
        description
      })
    case "AuthenticationError":
      return new AiError.AuthenticationError({ kind: "InvalidKey" })
    case "ContentPolicyError":
      return new AiError.ContentPolicyError({ description })
    case "InvalidRequestError":
      return new AiError.InvalidRequestError({ description })
  }
}
