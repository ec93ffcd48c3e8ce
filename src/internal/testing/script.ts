/**
 * The data of a simulated run: its seed, its faults, and where its schedule is not first in, first out. Exported through
 * `Simulation`.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { InvalidScript, SimulationError } from "./simulationError.ts"

const count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))
const longer = Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0))

/** The fields of all faults: the place, and which of its occasions is meant, from 1. */
const occasion = { at: Schema.String, n: Schema.Int.check(Schema.isGreaterThanOrEqualTo(1)) }

/**
 * What a model call fails with.
 *
 * @since 0.1.0
 * @category models
 */
export const ModelFailure = Schema.Literals([
  "RateLimitError",
  "InternalProviderError",
  "NetworkError",
  "AuthenticationError",
  "ContentPolicyError",
  "InvalidRequestError"
])

/**
 * What a model call fails with.
 *
 * @since 0.1.0
 * @category models
 */
export type ModelFailure = typeof ModelFailure.Type

/**
 * Something bad at a place of a run. `n` counts the occasions at the place, from 1.
 *
 * - at the path of an actor, with its n-th message: `crashBefore`, `crashAfter`, `double` (it is handled twice), `delay`
 * - at the path of a model call (see `Tap`): `modelFails`, `modelCut` (the stream ends after so many parts)
 * - at the path of a tool call: `toolFails`, and `toolLost`: the tool has done its work, and its answer is lost
 * - at a `faultPoint`: `pointFails`, `pointLate`
 * - at `"clock"`, when time goes on: `clockJump`. The wall clock jumps, forward or back.
 *
 * @since 0.1.0
 * @category models
 */
export const Fault = Schema.Union([
  Schema.Struct({
    kind: Schema.Literals(["crashBefore", "crashAfter", "double", "toolFails", "toolLost", "pointFails"]),
    ...occasion
  }),
  Schema.Struct({ kind: Schema.Literals(["delay", "pointLate"]), ...occasion, millis: longer }),
  Schema.Struct({ kind: Schema.Literal("clockJump"), ...occasion, millis: Schema.Finite }),
  Schema.Struct({ kind: Schema.Literal("modelFails"), ...occasion, reason: ModelFailure }),
  Schema.Struct({ kind: Schema.Literal("modelCut"), ...occasion, parts: count })
])

/**
 * Something bad at a place of a run.
 *
 * @since 0.1.0
 * @category models
 */
export type Fault = typeof Fault.Type

/**
 * Where a run is not first in, first out:
 *
 * - `picks`: `[choice, task]`. At the n-th choice between ready tasks, the task of this index goes on; 0 is the oldest.
 * - `preempts`: `[fiber, operation]`. The fiber, by the order of the first steps, goes to the end of the queue before
 *   its n-th operation.
 * - `late`: `[sleep, millis]`. The n-th sleep takes so much longer.
 *
 * @since 0.1.0
 * @category models
 */
export const Schedule = Schema.Struct({
  picks: Schema.Array(Schema.Tuple([count, count])),
  preempts: Schema.Array(Schema.Tuple([count, count])),
  late: Schema.Array(Schema.Tuple([count, longer]))
})

/**
 * Where a run is not first in, first out.
 *
 * @since 0.1.0
 * @category models
 */
export type Schedule = typeof Schedule.Type

/**
 * All that makes a run what it is. It is JSON, and so it can be kept in a test.
 *
 * @since 0.1.0
 * @category models
 */
export const Script = Schema.Struct({
  version: Schema.Literal(1),
  seed: count,
  faults: Schema.Array(Fault),
  schedule: Schedule
})

/**
 * All that makes a run what it is.
 *
 * @since 0.1.0
 * @category models
 */
export type Script = typeof Script.Type

/** First in, first out. */
export const fifo: Schedule = { picks: [], preempts: [], late: [] }

/** How many things in it are not first in, first out. */
export const deviations = ({ late, picks, preempts }: Schedule): number => late.length + picks.length + preempts.length

/** Decodes a script, from JSON text or data. */
export const decode = (input: unknown): Effect.Effect<Script, SimulationError> =>
  Effect.mapError(
    typeof input === "string" ? decodeText(input) : decodeData(input),
    ({ message }) => new SimulationError({ reason: new InvalidScript({ problem: message }) })
  )

/** The script as JSON on few lines; it is a TypeScript expression as well. */
export const print = ({ faults, schedule, seed, version }: Script): string =>
  [
    "{",
    `  "version": ${version}, "seed": ${seed},`,
    `  "faults": [${faults.map((fault) => `\n    ${spaced(fault)}`).join(",")}${faults.length > 0 ? "\n  " : ""}],`,
    `  "schedule": ${spaced(schedule)}`,
    "}"
  ].join("\n")

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const decodeData = Schema.decodeUnknownEffect(Script)
const decodeText = Schema.decodeUnknownEffect(Schema.fromJsonString(Script))

/** JSON on one line, with spaces. */
const spaced = (value: unknown): string => {
  if (Array.isArray(value)) return `[${value.map(spaced).join(", ")}]`
  if (typeof value !== "object" || value === null) return JSON.stringify(value)
  return `{ ${Object.entries(value).map(([key, value]) => `${JSON.stringify(key)}: ${spaced(value)}`).join(", ")} }`
}
