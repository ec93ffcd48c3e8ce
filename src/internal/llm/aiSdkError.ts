/**
 * Turns an error that an AI SDK provider threw or streamed into the reason of an `AiError`.
 *
 * Descriptions carry the provider's own message and nothing else: no request body, no request header, no query string,
 * and every secret is blotted out, because servers like to quote the key they reject.
 *
 * @internal
 */
import {
  AISDKError,
  APICallError,
  InvalidArgumentError,
  InvalidPromptError,
  LoadAPIKeyError,
  NoSuchModelError,
  TypeValidationError,
  UnsupportedFunctionalityError
} from "@ai-sdk/provider"
import * as AiError from "effect/ai/AiError"
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import { refusalIn } from "./fetch.ts"
import { isSecretField, redactText, type Secrets } from "./redact.ts"
import { fromHeaders, fromMillis } from "./retryAfter.ts"

export interface Origin {
  readonly provider: string
  readonly method: "generateText" | "streamText" | "embedMany" | "models"
  readonly secrets: Secrets
}

/** What `InvalidRequestError.constraint` says when the prompt is longer than the model can read. */
export const contextConstraint = "exceeds the model's context window"

/** Fails with the `AiError` of an error that came out of the AI SDK. */
export const fail = (error: unknown, origin: Origin): Effect.Effect<never, AiError.AiError> =>
  Effect.flatMap(Clock.currentTimeMillis, (now) => Effect.fail(make(toReason(error, origin, now), origin)))

export const make = (reason: AiError.AiErrorReason, { provider, method }: Origin): AiError.AiError =>
  AiError.make({ module: provider, method, reason })

/** Fails because the stream closed in good order but before the provider said that its answer was complete. */
export const failTruncated = (request: object | undefined, origin: Origin): Effect.Effect<never, AiError.AiError> => {
  const url = Predicate.hasProperty(request, "url") && typeof request.url === "string" ? request.url : undefined
  return Effect.fail(make(network(url, "the stream ended before the provider finished its answer"), origin))
}

/** A whole answer that is none. */
export const invalidResponse = (description: string, origin: Origin): AiError.AiError =>
  make(new AiError.InvalidResponseError({ description }), origin)

/** The failure that an answer ends with, where its end says that it is one: the model erred, or may not answer. */
export const ofFinish = (
  { finishReason: { raw, unified }, providerMetadata }: {
    readonly finishReason: { readonly raw: string | undefined; readonly unified: string }
    readonly providerMetadata?: Readonly<Record<string, object>> | undefined
  },
  origin: Origin
): AiError.AiError | undefined => {
  const said = Object.values(providerMetadata ?? {})
  const blocked = said.map((metadata) => fieldOf(metadata, "promptFeedback")).find((feedback) =>
    typeof fieldOf(feedback, "blockReason") === "string"
  )
  if (blocked !== undefined) {
    const description = `the prompt was blocked: ${fieldOf(blocked, "blockReason")}`
    return make(new AiError.ContentPolicyError({ description }), origin)
  }
  if (unified !== "error" || raw === undefined) return undefined
  const message = said.map((metadata) => fieldOf(metadata, "finishMessage")).find((text) => typeof text === "string")
  const description = redactText(`the answer ended in an error: ${message ?? raw}`, origin.secrets)
  return make(new AiError.InvalidOutputError({ description: description.slice(0, maxDescription) }), origin)
}

/**
 * Whether an error in a stream only says that an event is of a type that the provider's package does not know yet,
 * which vendors ask their clients to pass over. Anything else that does not validate may be a part of the answer.
 */
export const isUnknownEvent = (error: unknown): boolean =>
  TypeValidationError.isInstance(error) && Predicate.hasProperty(error.cause, "issues") &&
  Array.isArray(error.cause.issues) && error.cause.issues.some((issue) =>
    Predicate.hasProperty(issue, "code") && issue.code === "invalid_union" &&
    Predicate.hasProperty(issue, "path") && String(issue.path) === "type"
  )

/**
 * Response headers worth keeping: all but the ones that carry credentials, and no secret in the others, because a proxy
 * may send back what it was sent.
 */
export const safeHeaders = (headers: Record<string, string> | undefined, origin: Origin): Record<string, string> =>
  Object.fromEntries(
    Object.entries(headers ?? {}).flatMap(([name, value]) =>
      isSecretField(name) ? [] : [[name, redactText(value, origin.secrets)]]
    )
  )

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

/** What the AI SDK knows of a failed call; an error event in the middle of a stream has the same fields. */
interface Failure {
  readonly status: number
  readonly description: string
  readonly code: string
  readonly headers: Record<string, string>
  /** How long to wait, where the body says it and no header does: `34s`. */
  readonly delay?: string | undefined
  readonly now: number
}

const toReason = (error: unknown, origin: Origin, now: number): AiError.AiErrorReason => {
  const refusal = refusalIn(error)
  const description = redactText(refusal?.message ?? messageOf(error), origin.secrets).slice(0, maxDescription)
  if (refusal !== undefined && refusal.status < 400) return notTaken(description, refusal.status)
  if (APICallError.isInstance(error)) return fromCall(error, description, origin, now)
  if (AISDKError.isInstance(error)) return fromSdk(error, description)
  if (isNetworkFailure(error)) return network(undefined, description)
  // The provider's package has tripped over something that the answer lacks.
  if (description.startsWith("Cannot read properties of")) return new AiError.InvalidResponseError({ description })
  if (error instanceof Error) return new AiError.UnknownError({ description: `${error.name}: ${description}` })
  return fromStatus({ ...fromFrame(error), description, headers: {}, now })
}

const fromCall = (error: APICallError, description: string, origin: Origin, now: number): AiError.AiErrorReason => {
  const status = error.statusCode ?? refusalIn(error)?.status
  if (status === undefined || (status < 400 && isNetworkFailure(error.cause))) {
    return network(error.url, description, error.requestBodyValues === undefined ? "GET" : "POST")
  }
  if (status < 400) return new AiError.InvalidResponseError({ description })
  const body = bodyOf(error)
  const delay = detailsOf(body, "retryDelay")[0]
  const headers = safeHeaders(error.responseHeaders, origin)
  return fromStatus({ status, description, code: codeOf(body), headers, delay, now })
}

// Packages keep of the body only what their schemas know.
const bodyOf = ({ data, responseBody }: APICallError): unknown => {
  try {
    return JSON.parse(responseBody ?? "")
  } catch {
    return data
  }
}

const notTaken = (description: string, status: number) =>
  new AiError.InvalidResponseError({ description, http: { response: { status, headers: {} } } })

const fromSdk = (error: AISDKError, description: string): AiError.AiErrorReason => {
  if (LoadAPIKeyError.isInstance(error)) return new AiError.AuthenticationError({ kind: "MissingKey", description })
  if (UnsupportedFunctionalityError.isInstance(error)) {
    return new AiError.InvalidRequestError({ parameter: error.functionality, constraint: "is not supported" })
  }
  const isRequest = InvalidPromptError.isInstance(error) || InvalidArgumentError.isInstance(error) ||
    NoSuchModelError.isInstance(error)
  if (isRequest) return new AiError.InvalidRequestError({ description })
  // A compatible server's truncated stream arrives under this name.
  if (description.includes("ended without a finish reason")) return network(undefined, description)
  return new AiError.InvalidResponseError({ description })
}

const fromStatus = (failure: Failure): AiError.AiErrorReason => {
  const { code, description, status } = failure
  const http = { response: { status, headers: failure.headers } }
  if (contentCode.test(code) || (status < 500 && contentMessage.test(description))) {
    return new AiError.ContentPolicyError({ description, http })
  }
  if (quotaCode.test(code) || status === 402) return new AiError.QuotaExhaustedError({ http })
  if (status === 413 || (status < 500 && (contextCode.test(code) || contextMessage.test(description)))) {
    return new AiError.InvalidRequestError({ parameter: "prompt", constraint: contextConstraint, description, http })
  }
  if (keyCode.test(code)) return new AiError.AuthenticationError({ kind: "InvalidKey", description, http })
  switch (status) {
    case 401:
      return new AiError.AuthenticationError({ kind: "InvalidKey", description, http })
    case 403:
      return new AiError.AuthenticationError({ kind: "InsufficientPermissions", description, http })
    case 429:
      return new AiError.RateLimitError({ retryAfter: retryAfter(failure), http })
    // The server gave up on a request that it may well answer next time.
    case 408:
    case 409:
    case 425:
      return new AiError.InternalProviderError({ description, http })
  }
  return status >= 500
    ? new AiError.InternalProviderError({ description, http })
    : new AiError.InvalidRequestError({ description, http })
}

const contentCode = /content_filter|content_policy|responsibleaipolicy|moderation/i

const contentMessage = /content filtering policy/i
const quotaCode = /insufficient_quota|billing_hard_limit|credit_balance/i

// Google says so with a 400.
const keyCode = /api_key_invalid/i

const contextCode = /context_length|context_window|string_above_max_length/i

const contextMessage = new RegExp(
  [
    "context (length|window|size)",
    "maximum context",
    "(prompt|input) is too long",
    "too many (input )?tokens",
    "token count .* exceeds"
  ].join("|"),
  "i"
)

// Headers come first; Google says it in the body.
const retryAfter = ({ delay, headers, now }: Failure): Duration.Duration | undefined =>
  fromHeaders(headers, now) ?? (delay === undefined ? undefined : fromMillis(parseFloat(delay) * 1000))

const fieldOf = (value: unknown, field: string): unknown =>
  Predicate.hasProperty(value, field) ? value[field] : undefined

const network = (url: string | undefined, description: string, method: "GET" | "POST" = "POST") =>
  new AiError.NetworkError({ reason: "TransportError", method, url: bareUrl(url), description })

// A key may sit in the query string or in the user part.
const bareUrl = (url: string | undefined) => {
  const parsed = url === undefined ? null : URL.parse(url)
  return parsed === null ? "unknown" : parsed.origin + parsed.pathname
}

const networkCode = /^(E[A-Z]+|UND_ERR_\w+)$/

const networkNames = new Set(["AbortError", "TimeoutError", "ResponseAborted"])

const isNetworkFailure = (error: unknown): boolean => {
  if (!(error instanceof Error)) return false
  if (networkNames.has(error.name) || error.message === "terminated" || error.message === "fetch failed") return true
  if ("code" in error && typeof error.code === "string" && networkCode.test(error.code)) return true
  return isNetworkFailure(error.cause)
}

// An error event in a stream is the provider's own object, or only its text, with or without a status.
const fromFrame = (error: unknown): { readonly status: number; readonly code: string } => {
  const code = codeOf(error)
  if (Predicate.hasProperty(error, "statusCode") && typeof error.statusCode === "number") {
    return { status: error.statusCode, code }
  }
  const status = /\b[45]\d\d\b/.exec(code)
  return { status: status === null ? statusOfCode(code) : Number(status[0]), code }
}

const statusOfCode = (code: string): number => {
  if (/rate_limit/.test(code)) return 429
  if (/authentication|api_key/.test(code)) return 401
  return /invalid_request|not_found/.test(code) ? 400 : 500
}

const codeOf = (data: unknown): string => {
  if (!Predicate.isObject(data)) return ""
  const error = Predicate.isObject(data["error"]) ? data["error"] : data
  // OpenRouter says why it moderated a prompt, and nothing that tells it from a key without permission.
  const moderated = Array.isArray(fieldOf(error["metadata"], "reasons")) ? ["moderation"] : []
  return [error["code"], error["type"], ...moderated, ...detailsOf(data, "reason")].join(" ")
}

// Google puts reasons and delays into typed details.
const detailsOf = (data: unknown, field: string): Array<string> => {
  const error = Predicate.hasProperty(data, "error") ? data.error : data
  const details = Predicate.hasProperty(error, "details") && Array.isArray(error.details) ? error.details : []
  return details.flatMap((detail) =>
    Predicate.hasProperty(detail, field) && typeof detail[field] === "string" ? [detail[field]] : []
  )
}

const messageOf = (error: unknown): string => {
  if (typeof error === "string") return error
  if (APICallError.isInstance(error) && error.statusCode !== undefined && error.statusCode >= 400) {
    return error.message || `HTTP ${error.statusCode}`
  }
  if (error instanceof Error) return [...new Set(messages(error))].join(": ") || error.name
  if (Predicate.hasProperty(error, "message") && typeof error.message === "string") return error.message
  return "the provider sent an error without a message"
}

// What went wrong on the wire is in the innermost cause, and undici leaves some messages empty.
const messages = (error: Error): Array<string> => {
  const code = "code" in error && typeof error.code === "string" ? error.code : ""
  const own = error.message || code
  return [...(own === "" ? [] : [own]), ...(error.cause instanceof Error ? messages(error.cause) : [])]
}

// Long enough for any provider's sentence, short enough for a log line when a parser quotes what it could not read.
const maxDescription = 500
