/**
 * Blots out secrets in texts that people and files get to see: errors, logs, cassettes.
 *
 * @internal
 */
import { isObject, isString } from "effect/Predicate"
import * as Redacted from "effect/Redacted"

/** Whether a field or header is named like a secret. */
export const isSecretField = (name: string): boolean => secretField.test(name)

/**
 * Replaces secrets in a text: those handed in, what looks like the key or token of a common service, and what stands in
 * a JSON field that is named like a secret.
 */
export const redactText = (text: string, secrets: ReadonlyArray<Redacted.Redacted> = []): string => {
  let safe = text
  for (const secret of secrets) {
    const value = Redacted.value(secret).trim()
    if (value !== "") safe = safe.replaceAll(value, replacement)
  }
  return safe.replace(secretText, replacement).replace(secretFieldText, `$1${replacement}`)
}

/**
 * Replaces secrets in every text and every name of a JSON value, and every text in a field that is named like a secret.
 */
export const redactJson = (value: unknown, secrets: ReadonlyArray<Redacted.Redacted> = []): unknown => {
  if (isString(value)) return redactText(value, secrets)
  if (Array.isArray(value)) return value.map((item) => redactJson(item, secrets))
  if (!isObject(value)) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, field]) => [
      redactText(key, secrets),
      isString(field) && isSecretField(key) ? replacement : redactJson(field, secrets)
    ])
  )
}

/** Headers of settings, some of which are secrets. */
export type Headers = Readonly<Record<string, string | Redacted.Redacted>>

/** The headers as they go out. */
export const reveal = (headers: Headers): Record<string, string> =>
  Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, isString(value) ? value : Redacted.value(value)])
  )

/**
 * The values that nobody may see: those that are `Redacted`, and those whose header is named like a secret. Of `Bearer
 * abc` a server may quote the token alone.
 */
export const secretsOf = (headers: Headers): ReadonlyArray<Redacted.Redacted> =>
  Object.entries(headers).flatMap(([name, value]) => {
    if (isString(value) && !isSecretField(name)) return []
    const text = isString(value) ? value : Redacted.value(value)
    const token = /^\S+\s+(\S{8,})$/.exec(text.trim())?.[1]
    return [text, ...(token === undefined ? [] : [token])].map((secret) => Redacted.make(secret))
  })

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

// As Effect writes a `Redacted`.
const replacement = "<redacted>"

/** Names of fields whose text is always a secret. */
const secretName = [
  /(?:proxy-)?authorization/,
  /(?:set-)?cookie/,
  /(?:x-)?(?:goog-)?api[-_]?key/,
  /(?:client[-_]?)?secret/,
  /password/,
  /(?:access|refresh|id)[-_]token/
].map((pattern) => pattern.source).join("|")

const secretField = new RegExp(`^(?:${secretName})$`, "i")

/** The same fields where the JSON is a text, as a tool call's arguments are while they stream. */
const secretFieldText = new RegExp(`("(?:${secretName})"\\s*:\\s*")[^"\\\\]*(?:\\\\.[^"\\\\]*)*`, "gi")

/** What keys and tokens of common services look like. */
const secretText = new RegExp(
  [
    /\b(?:sk|pk|rk|gsk|xai|pplx|hf|r8|ghp|gho|ghs|github_pat|glpat|xox[abpsr]|whsec)[-_][\w-]{16,}/,
    /\bAIza[\w-]{30,}/,
    /\bya29\.[\w-]{20,}/,
    /\b(?:AKIA|ASIA)[A-Z0-9]{16}\b/,
    /\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]+/,
    /(?<=\b(?:Bearer|Basic)\s)[\w+/=.~-]{8,}/,
    /(?<=[?&](?:key|api_key|apikey|token|access_token)=)[^&\s"]+/,
    /(?<=:\/\/[^\s/:@]*:)[^\s/@]+(?=@)/,
    /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?-----END [A-Z ]*PRIVATE KEY-----/
  ].map((pattern) => pattern.source).join("|"),
  "g"
)
