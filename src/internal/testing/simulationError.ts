/**
 * How a simulation ends otherwise than its program does. Exported through `Simulation`.
 *
 * @internal
 */
import * as Schema from "effect/Schema"

/**
 * The script is none of this version, or has a fault that nobody knows.
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidScript extends Schema.TaggedError<InvalidScript>("effect-troupe/testing/InvalidScript")(
  "InvalidScript",
  { problem: Schema.String }
) {
  override get message() {
    return `the script is not one of version 1: ${this.problem}`
  }
}

/**
 * The program waited for something outside of the simulation: a socket, a file, a timer of the platform, a promise.
 * `waiting` says who waits, `used` names what was used outside, with its place where it is known.
 *
 * @since 0.1.0
 * @category errors
 */
export class WaitedOutside extends Schema.TaggedError<WaitedOutside>("effect-troupe/testing/WaitedOutside")(
  "WaitedOutside",
  { waiting: Schema.Array(Schema.String), used: Schema.Array(Schema.String) }
) {
  override get message() {
    const used = this.used.length === 0 ? "" : ` (${this.used.join(", ")})`
    return `the program waits for something outside of the simulation${used}: ${
      this.waiting.join(", ")
    }. Provide layers ` +
      "that need no promise, socket or file, such as Scripted.model"
  }
}

/**
 * The program is not the same with each run of a seed. `source` is what it read, such as `Math.random`, or `unknown`;
 * `place` is the line that did, or who was the first to do something else.
 *
 * @since 0.1.0
 * @category errors
 */
export class NotDeterministic extends Schema.TaggedError<NotDeterministic>("effect-troupe/testing/NotDeterministic")(
  "NotDeterministic",
  { source: Schema.String, place: Schema.String }
) {
  override get message() {
    return this.source === "unknown"
      ? `two runs of one seed differ, first at ${this.place}: something there is neither from Effect's Clock nor its Random`
      : `the program reads ${this.source} at ${this.place}: take Effect's Clock or Random instead`
  }
}

/**
 * Nobody could go on, now or later: `waiting` says who was there. `at` is the virtual time in milliseconds since the start.
 *
 * @since 0.1.0
 * @category errors
 */
export class Deadlock extends Schema.TaggedError<Deadlock>("effect-troupe/testing/Deadlock")(
  "Deadlock",
  { waiting: Schema.Array(Schema.String), at: Schema.Finite }
) {
  override get message() {
    return `nobody can go on, at ${this.at} ms: ${this.waiting.join(", ")}`
  }
}

/**
 * The program had not ended after so many steps, or in the time that it had: `waiting` says who was there. `at` is the
 * virtual time in milliseconds since the start.
 *
 * @since 0.1.0
 * @category errors
 */
export class NotFinished extends Schema.TaggedError<NotFinished>("effect-troupe/testing/NotFinished")(
  "NotFinished",
  { waiting: Schema.Array(Schema.String), at: Schema.Finite, steps: Schema.Int }
) {
  override get message() {
    return `the program has not ended after ${this.steps} steps, at ${this.at} ms: ${this.waiting.join(", ")}`
  }
}

/**
 * There is no simulation of this program, or none of this script.
 *
 * @since 0.1.0
 * @category errors
 */
export class SimulationError extends Schema.TaggedError<SimulationError>("effect-troupe/testing/SimulationError")(
  "SimulationError",
  { reason: Schema.Union([InvalidScript, WaitedOutside, NotDeterministic]) }
) {
  override get message() {
    return this.reason.message
  }
}
