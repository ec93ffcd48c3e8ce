/**
 * Checks of options, all said in one way: `Module.function: field must be ..., got ...`. A wrong constant is a
 * programmer's mistake, so it throws where the value is made; what depends on things known only later is a typed error.
 *
 * @internal
 */
import * as Duration from "effect/Duration"

export const fail = (where: string, field: string, must: string, got: unknown): never => {
  throw new RangeError(`${where}: ${field} must be ${must}, got ${typeof got === "string" ? JSON.stringify(got) : got}`)
}

export const notEmpty = (where: string, field: string, value: string): string =>
  value === "" ? fail(where, field, "a text that is not empty", value) : value

export const positiveInteger = (where: string, field: string, value: number): number =>
  Number.isSafeInteger(value) && value > 0 ? value : fail(where, field, "a positive integer", value)

/** A number above zero; `Infinity` is one, `NaN` is not. */
export const positive = (where: string, field: string, value: number): number =>
  value > 0 ? value : fail(where, field, "positive", value)

export const positiveDuration = (where: string, field: string, input: Duration.Input): Duration.Duration => {
  const duration = Duration.fromInputUnsafe(input)
  return Duration.toMillis(duration) > 0
    ? duration
    : fail(where, field, "a positive duration", Duration.format(duration))
}

export const notNegativeDuration = (where: string, field: string, input: Duration.Input): Duration.Duration => {
  const duration = Duration.fromInputUnsafe(input)
  return Duration.toMillis(duration) >= 0
    ? duration
    : fail(where, field, "a duration that is not negative", Duration.format(duration))
}
