/**
 * Reads the headers of settings, some of which are secrets.
 *
 * @internal
 */
import { isString } from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import { isSecretField } from "./redact.ts"

/** @internal */
export type Headers = Readonly<Record<string, string | Redacted.Redacted>>

/**
 * The headers as they go out.
 *
 * @internal
 */
export const reveal = (headers: Headers): Record<string, string> =>
  Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, isString(value) ? value : Redacted.value(value)])
  )

/**
 * The values that nobody may see: those that are `Redacted`, and those whose header is named like a secret. Of `Bearer abc`
 * a server may quote the token alone.
 *
 * @internal
 */
export const secretsOf = (headers: Headers): ReadonlyArray<Redacted.Redacted> =>
  Object.entries(headers).flatMap(([name, value]) => {
    if (isString(value) && !isSecretField(name)) return []
    const text = isString(value) ? value : Redacted.value(value)
    const token = /^\S+\s+(\S{8,})$/.exec(text.trim())?.[1]
    return [text, ...(token === undefined ? [] : [token])].map((secret) => Redacted.make(secret))
  })
