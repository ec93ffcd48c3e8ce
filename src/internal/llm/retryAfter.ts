/**
 * Reads how long a provider asks not to be called again.
 *
 * @internal
 */
import type * as AiError from "effect/ai/AiError"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { isString } from "effect/Predicate"

/**
 * What an error says of it: in itself, which of all reasons only `RateLimitError` can, or in its response's headers, as
 * a 503 does.
 */
export const retryAfterOf = ({ reason, retryAfter }: AiError.AiError): Effect.Effect<Duration.Duration | undefined> => {
  const headers = "http" in reason ? reason.http?.response?.headers : undefined
  return retryAfter !== undefined || headers === undefined
    ? Effect.succeed(retryAfter)
    : Effect.map(Clock.currentTimeMillis, (now) => fromHeaders(headers, now))
}

/**
 * What headers with names in lower case say of it, in milliseconds, in seconds or as a date; `now` is in milliseconds.
 */
export const fromHeaders = (headers: Readonly<Record<string, unknown>>, now: number): Duration.Duration | undefined => {
  const milliseconds = headers["retry-after-ms"]
  if (isString(milliseconds) && milliseconds !== "") return fromMillis(Number(milliseconds))
  const value = headers["retry-after"]
  if (!isString(value) || value === "") return undefined
  const seconds = Number(value)
  return fromMillis(Number.isNaN(seconds) ? Date.parse(value) - now : seconds * 1000)
}

/** Nothing for what is no number, and no time for a past one. */
export const fromMillis = (milliseconds: number): Duration.Duration | undefined =>
  Number.isFinite(milliseconds) ? Duration.millis(Math.max(0, milliseconds)) : undefined
