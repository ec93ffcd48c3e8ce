import { isObject, isString } from "effect/Predicate"
import * as Redacted from "effect/Redacted"

const replacement = "[redacted]"

/** Fields whose text is a secret whatever it looks like. */
const secretField =
  /^(proxy-)?authorization$|^(set-)?cookie$|^(x-)?(goog-)?api[-_]?key$|^(client[-_]?)?secret$|^password$|^(access|refresh|id)[-_]token$/i

/** What keys and tokens of common services look like. */
const secretText = new RegExp(
  [
    /\b(?:sk|pk|rk|gsk|xai|pplx|hf|r8|ghp|gho|ghs|github_pat|glpat|xox[abpsr]|whsec)[-_][\w-]{16,}/,
    /\bAIza[\w-]{30,}/,
    /\b(?:AKIA|ASIA)[A-Z0-9]{16}\b/,
    /\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]+/,
    /(?<=\b(?:Bearer|Basic)\s)[\w+/=.~-]{8,}/,
    /(?<=[?&](?:key|api_key|apikey|token|access_token)=)[^&\s"]+/,
    /(?<=:\/\/[^\s/:@]*:)[^\s/@]+(?=@)/,
    /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?-----END [A-Z ]*PRIVATE KEY-----/
  ].map((pattern) => pattern.source).join("|"),
  "g"
)

/**
 * Replaces secrets in a text: those handed in, and what looks like the key or token of a common service.
 *
 * @internal
 */
export const redactText = (text: string, secrets: ReadonlyArray<Redacted.Redacted> = []): string => {
  let safe = text
  for (const secret of secrets) {
    const value = Redacted.value(secret).trim()
    if (value !== "") safe = safe.replaceAll(value, replacement)
  }
  return safe.replace(secretText, replacement)
}

/**
 * Replaces secrets in every text of a JSON value, and every text in a field that is named like a secret.
 *
 * @internal
 */
export const redactJson = (value: unknown, secrets: ReadonlyArray<Redacted.Redacted> = []): unknown => {
  if (isString(value)) return redactText(value, secrets)
  if (Array.isArray(value)) return value.map((item) => redactJson(item, secrets))
  if (!isObject(value)) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, field]) => [
      key,
      isString(field) && secretField.test(key) ? replacement : redactJson(field, secrets)
    ])
  )
}
