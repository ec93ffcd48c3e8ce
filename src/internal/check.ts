/**
 * Checks of options, all said in one way: `Module.function: field must be ..., got ...`. A wrong constant is a
 * programmer's mistake, so it throws where the value is made; what depends on things known only later is a typed error.
 *
 * @internal
 */
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"

export const fail = (where: string, field: string, must: string, got: unknown): never =>
  refuse(where, field, must, typeof got === "string" ? JSON.stringify(got) : String(got))

export const notEmpty = (where: string, field: string, value: string): string =>
  value === "" ? fail(where, field, "a text that is not empty", value) : value

export const positiveInteger = (where: string, field: string, value: number): number =>
  Number.isSafeInteger(value) && value > 0 ? value : fail(where, field, "a positive integer", value)

export const notNegativeInteger = (where: string, field: string, value: number): number =>
  Number.isSafeInteger(value) && value >= 0 ? value : fail(where, field, "an integer of at least 0", value)

/** A number from zero on; `Infinity` is one, `NaN` is not. */
export const notNegative = (where: string, field: string, value: number): number =>
  value >= 0 ? value : fail(where, field, "a number of at least 0", value)

/** A number above zero; `Infinity` is one, `NaN` is not. */
export const positive = (where: string, field: string, value: number): number =>
  value > 0 ? value : fail(where, field, "positive", value)

export const positiveDuration = (where: string, field: string, input: Duration.Input): Duration.Duration =>
  duration(where, field, input, "a positive duration", (millis) => millis > 0)

/** As {@link positiveDuration}, and not infinite. */
export const finiteDuration = (where: string, field: string, input: Duration.Input): Duration.Duration =>
  duration(where, field, input, "a positive, finite duration", (millis) => millis > 0 && Number.isFinite(millis))

export const notNegativeDuration = (where: string, field: string, input: Duration.Input): Duration.Duration =>
  duration(where, field, input, "a duration that is not negative", (millis) => millis >= 0)

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const refuse = (where: string, field: string, must: string, got: string): never => {
  throw new RangeError(`${where}: ${field} must be ${must}, got ${got}`)
}

const duration = (
  where: string,
  field: string,
  input: Duration.Input,
  must: string,
  holds: (millis: number) => boolean
): Duration.Duration => {
  const duration = Option.getOrUndefined(Duration.fromInput(input))
  if (duration === undefined) return refuse(where, field, must, JSON.stringify(input))
  return holds(Duration.toMillis(duration)) ? duration : refuse(where, field, must, Duration.format(duration))
}
