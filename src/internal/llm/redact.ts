/**
 * Blots out secrets in texts that people and files get to see: errors, logs, spans, cassettes.
 *
 * @internal
 */
import * as Base64 from "effect/encoding/Base64"
import { isObject, isString } from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import * as RegExp_ from "effect/RegExp"
import type { Headers } from "../../Llm/Settings.ts"

/** Whether a field or header is named like a secret. */
export const isSecretField = (name: string): boolean => secretField.test(name)

/** Secrets in every form in which a text may have them: as they are, and encoded for URLs, JSON and base64. */
export interface Secrets {
  readonly pattern: RegExp | undefined
  /** Whether JSON has one of them in an escaped form that the pattern does not know. */
  readonly escaped: boolean
}

export const noSecrets: Secrets = { pattern: undefined, escaped: false }

export const secretsFrom = (secrets: ReadonlyArray<Redacted.Redacted>): Secrets => {
  const values = secrets.map((secret) => Redacted.value(secret).trim()).filter((value) => value !== "")
  if (values.length === 0) return noSecrets
  // Of `Bearer abc` and `abc` the longer one is looked for first.
  const forms = [...new Set(values)].sort((a, b) => b.length - a.length).flatMap(formsOf)
  // eslint-disable-next-line no-control-regex
  return { pattern: new RegExp(forms.join("|"), "g"), escaped: values.some((value) => /[\0-\x1f]/.test(value)) }
}

/**
 * As {@link secretsFrom}, but the same secrets again need no new pattern: that of a key takes longer than all else
 * that is done for a request.
 */
export const rememberSecrets = (): typeof secretsFrom => {
  let last: ReadonlyArray<string> = []
  let known = noSecrets
  return (secrets) => {
    const values = secrets.map(Redacted.value)
    if (values.length !== last.length || values.some((value, index) => value !== last[index])) {
      last = values
      known = secretsFrom(secrets)
    }
    return known
  }
}

/** Replaces the secrets in a name or an id, which may else look like anything. */
export const redactName = (name: string, { pattern }: Secrets): string =>
  pattern === undefined ? name : name.replace(pattern, replacement)

/**
 * Replaces secrets in a text: those handed in, what looks like the key or token of a common service, and what stands in
 * a JSON field that is named like a secret.
 */
export const redactText = (text: string, secrets: Secrets = noSecrets): string =>
  redactName(text, secrets).replace(secretText, replacement).replace(secretFieldText, `$1${replacement}`)

/**
 * Replaces secrets in every text and every name of a JSON value, and every text in a field that is named like a secret.
 * Texts and names that are one of the `words` stay.
 */
export const redactJson = (
  value: unknown,
  secrets: Secrets = noSecrets,
  words: ReadonlySet<string> = noWords
): unknown => {
  const redact = (text: string) => words.has(text) ? text : redactText(text, secrets)
  const go = (value: unknown): unknown => {
    if (isString(value)) return redact(value)
    if (Array.isArray(value)) return value.map(go)
    if (!isObject(value)) return value
    return Object.fromEntries(
      Object.entries(value).map(([key, field]) => [
        redact(key),
        isString(field) && isSecretField(key) ? replacement : go(field)
      ])
    )
  }
  return go(value)
}

/** A piece of a text that comes in several. */
export interface Piece {
  readonly block: string
  readonly text: string
}

/**
 * The pieces to write for those of a text that has a secret in it, by their places: a secret that came in pieces is in
 * none of them, so the first one takes all that is left of the text.
 */
export const redactPieces = (
  pieces: ReadonlyArray<Piece | undefined>,
  secrets: Secrets
): ReadonlyMap<number, string> => {
  const blocks = new Map<string, { text: string; readonly places: Array<number> }>()
  pieces.forEach((piece, place) => {
    if (piece === undefined) return
    const block = blocks.get(piece.block) ?? { text: "", places: [] }
    block.text += piece.text
    block.places.push(place)
    blocks.set(piece.block, block)
  })
  const safe = new Map<number, string>()
  for (const { places, text } of blocks.values()) {
    const redacted = redactText(text, secrets)
    if (redacted !== text) places.forEach((place, index) => safe.set(place, index === 0 ? redacted : ""))
  }
  return safe
}

/** Whether a JSON text may have a secret in it: quick, and never wrong where it says no. */
export const isSuspicious = (json: string, { escaped, pattern }: Secrets): boolean => {
  if (escaped || secretTail.test(json) || secretMarks.some((mark) => json.includes(mark))) return true
  const lower = json.toLowerCase()
  if (secretNames.some((name) => lower.includes(name))) return true
  if (pattern === undefined) return false
  pattern.lastIndex = 0
  return pattern.test(json)
}

/** Whether a recorded JSON text is this one, but for the secrets that were taken out. */
export const isRedactionOf = (redacted: string, text: string): boolean => {
  if (redacted === text) return true
  if (!redacted.includes(replacement)) return false
  let from = 0
  const parts = redacted.split(replacement)
  const last = parts.pop()!
  for (const [index, part] of parts.entries()) {
    const found = index === 0 ? (text.startsWith(part) ? 0 : -1) : text.indexOf(part, from)
    if (found < 0) return false
    from = found + part.length
  }
  return text.length - last.length >= from && text.endsWith(last)
}

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

const noWords: ReadonlySet<string> = new Set()

// As Effect writes a `Redacted`.
const replacement = "<redacted>"

const utf8 = new TextEncoder()

/** The sources of the patterns that find a secret. */
const formsOf = (value: string): ReadonlyArray<string> => [
  Array.from(value, charPattern).join(""),
  ...[0, 1, 2].flatMap((offset) => base64Pattern(value, offset))
]

/** A character as it is, after backslashes, by its code as some write it in JSON, or percent-encoded. */
const charPattern = (char: string): string =>
  /[A-Za-z0-9]/.test(char)
    ? char
    : `(?:\\\\{0,3}${RegExp_.escape(char)}|${codePattern(char)}|${percentPattern(char)}${char === " " ? "|\\+" : ""})`

/** The escapes of JSON, as in `\u002B`; in the text of another JSON value they have more backslashes. */
const codePattern = (char: string): string =>
  Array.from(
    { length: char.length },
    (_, index) => `\\\\{1,3}u${anyCase(char.charCodeAt(index).toString(16).padStart(4, "0"))}`
  ).join("")

const anyCase = (hex: string): string => hex.replace(/[a-f]/g, (digit) => `[${digit}${digit.toUpperCase()}]`)

/** Percent-encoded once or more often, with digits in capitals or not. */
const percentPattern = (char: string): string =>
  Array.from(utf8.encode(char), (byte) => `%(?:25)*${anyCase(byte.toString(16).padStart(2, "0"))}`).join("")

/** Shorter ones are found in texts that have nothing to do with the secret. */
const minBase64 = 8

/**
 * What all base64 texts have in common in which so many bytes (modulo 3) stand before the secret, with what follows it
 * up to the end of its last byte.
 */
const base64Pattern = (value: string, before: number): ReadonlyArray<string> => {
  const bytes = utf8.encode(value)
  const padded = new Uint8Array(before + bytes.length)
  padded.set(bytes, before)
  const own = Base64.encode(padded).slice(Math.ceil(before * 8 / 6), Math.floor(padded.length * 8 / 6))
  if (own.length < minBase64) return []
  const rest = padded.length % 3 === 0 ? "" : "[\\w+/-]?"
  return [`${Array.from(own, base64CharPattern).join("")}${rest}(?:=|${percentPattern("=")}){0,2}`]
}

const base64CharPattern = (char: string): string =>
  char === "+" ? `(?:-|${charPattern(char)})` : char === "/" ? `(?:_|${charPattern(char)})` : char

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
    /\b(?:ya29|AQ)\.(?=[\w.-]{12})[\w-]+(?:\.[\w-]+)*/,
    /\b(?:AKIA|ASIA)[A-Z0-9]{16}\b/,
    /\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]+/,
    /(?<=\b(?:Bearer|Basic)\s)[\w+/=.~-]{8,}/,
    /(?<=[?&](?:key|api_key|apikey|token|access_token)=)[^&\s"]+/,
    /(?<=:\/\/[^\s/:@]*:)[^\s/@]+(?=@)/,
    /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?-----END [A-Z ]*PRIVATE KEY-----/
  ].map((pattern) => pattern.source).join("|"),
  "g"
)

/** Something that each text has which `secretText` or `secretFieldText` finds, also where it is escaped. */
const secretMarks = [
  "AIza",
  "ya29.",
  "AQ.",
  "AKIA",
  "ASIA",
  "eyJ",
  "Bearer",
  "Basic",
  "key=",
  "token=",
  "@",
  "PRIVATE KEY"
]

const secretTail = /[-_][\w-]{16}/

const secretNames = [
  "authorization",
  "cookie",
  "apikey",
  "api_key",
  "api-key",
  "secret",
  "password",
  "_token",
  "-token"
]
