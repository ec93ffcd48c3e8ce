/**
 * Errors as text.
 *
 * @internal
 */
import { hasProperty, isString } from "effect/Predicate"

/** The text of an error for a person or a model: its message, else its tag and fields, never a stack. */
export const errorMessage = (error: unknown): string => {
  if (isString(error)) return error
  if (hasProperty(error, "message") && isString(error.message) && error.message !== "") return error.message
  try {
    return JSON.stringify(error) ?? String(error)
  } catch (cause) {
    // Circular, nested too deep, or without a text: printing it would fail, too.
    return `an error that can't be shown (${cause instanceof Error ? cause.message.split("\n")[0] : "unknown"})`
  }
}
