/**
 * Asks a vendor for JSON over HTTP.
 *
 * @internal
 */
import { APICallError } from "@ai-sdk/provider"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Headers from "effect/http/Headers"
import * as HttpClient from "effect/http/HttpClient"
import * as Predicate from "effect/Predicate"
import { guardedFetch } from "./fetch.ts"

/** The parsed body. A failure has the form of the AI SDK's call errors, so that one function reads both. */
export const getJson = Effect.fnUntraced(
  function*(url: string | URL, headers: Readonly<Record<string, string>>, query: Readonly<Record<string, string>>) {
    const response = yield* HttpClient.get(url, { headers, urlParams: query })
    const body = parse(yield* response.text)
    if (response.status < 400) return body
    return yield* Effect.fail(callError(url, {
      message: messageOf(body) ?? `HTTP ${response.status}`,
      statusCode: response.status,
      responseHeaders: { ...response.headers },
      data: body
    }))
  },
  (effect, url, headers) =>
    effect.pipe(
      Effect.catchTag(
        "HttpClientError",
        // A failed connection says everything in its cause.
        ({ cause, message }) => Effect.fail(callError(url, { message: cause instanceof Error ? "" : message, cause }))
      ),
      // A span that shows headers knows only some of the names under which vendors take keys.
      Effect.provideService(Headers.CurrentRedactedNames, Object.keys(headers)),
      Effect.provide(FetchHttpClient.layer),
      Effect.provideService(FetchHttpClient.Fetch, guardedFetch)
    )
)

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const callError = (
  url: string | URL,
  problem: Pick<
    ConstructorParameters<typeof APICallError>[0],
    "cause" | "data" | "message" | "responseHeaders" | "statusCode"
  >
) => new APICallError({ ...problem, url: String(url), requestBodyValues: undefined })

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

/** Vendors write `{ error: { message } }`, `{ message }` or `{ detail }`. */
const messageOf = (body: unknown): string | undefined => {
  if (!Predicate.isObject(body)) return undefined
  const { detail, error, message } = { detail: undefined, error: undefined, message: undefined, ...body }
  return [message, detail, error].find(Predicate.isString) ?? messageOf(error)
}
