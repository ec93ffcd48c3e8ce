/**
 * The `fetch` of every request to a provider: it follows no redirect to another origin, because a request carries keys
 * and prompts, and takes no answer without end.
 *
 * @internal
 */
import * as Data from "effect/Data"
import * as Predicate from "effect/Predicate"

/** An answer that is not taken. */
export class AnswerRefused extends Data.TaggedError("AnswerRefused")<{
  readonly message: string
  readonly status: number
}> {}

/** How many bytes an answer may have after decompression, unless its request says so: more than a model can say. */
export const defaultMaxBytes = 64 * 1024 ** 2

/** As {@link defaultMaxBytes}, for embeddings: 2,048 long vectors are 140 MB as JSON. */
export const defaultMaxEmbeddingBytes = 256 * 1024 ** 2

/**
 * Lets the answer to a request have that many bytes. The limit is a property of the request's signal, because nothing
 * else of ours gets through the AI SDK's packages to the `fetch` that they call.
 */
export const withMaxBytes = (signal: AbortSignal, maxBytes: number): AbortSignal =>
  Object.assign(signal, { [MaxBytes]: maxBytes })

export const guardedFetch: typeof globalThis.fetch = async (input, init) =>
  bounded(await send(input, init), maxBytesOf(init?.signal))

/** The refusal among the causes of an error. */
export const refusalIn = (error: unknown): AnswerRefused | undefined =>
  error instanceof AnswerRefused ? error : error instanceof Error ? refusalIn(error.cause) : undefined

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const MaxBytes = Symbol.for("effect-troupe/Llm/MaxBytes")

const maxBytesOf = (signal: AbortSignal | null | undefined): number =>
  Predicate.hasProperty(signal, MaxBytes) && typeof signal[MaxBytes] === "number" ? signal[MaxBytes] : defaultMaxBytes

const maxRedirects = 5

/** Who asks for another treatment of redirects gets it; a `Request` can be sent only once. */
const send = (input: string | URL | Request, init: RequestInit = {}): Promise<Response> => {
  if (init.redirect === "manual" || init.redirect === "error") return fetch(input, init)
  return input instanceof Request ? fetch(input, { ...init, redirect: "error" }) : follow(String(input), init)
}

const follow = async (address: string, init: RequestInit): Promise<Response> => {
  let url = address
  let request: RequestInit = { ...init, redirect: "manual" }
  let response = await fetch(url, request)
  for (let redirects = 0; isRedirect(response); redirects++) {
    // An unread body would keep the connection.
    await response.body?.cancel()
    url = targetOf(response, url, redirects)
    if (losesBody(response.status, request.method)) request = { ...withoutBody(request), method: "GET" }
    response = await fetch(url, request)
  }
  return response
}

const redirectStatus = new Set([301, 302, 303, 307, 308])

// A browser shows neither status nor address of a redirect that it does not follow.
const isRedirect = ({ headers, status, type }: Response): boolean =>
  type === "opaqueredirect" || (redirectStatus.has(status) && headers.has("location"))

const targetOf = ({ headers, status }: Response, from: string, redirects: number): string => {
  const location = headers.get("location")
  const target = location === null ? null : URL.parse(location, from)
  const shown = target === null ? "an unknown address" : target.origin + target.pathname
  if (target === null || target.origin !== new URL(from).origin) {
    throw new AnswerRefused({
      status,
      message: `redirects to another origin are not followed: to ${shown} (${status})`
    })
  }
  if (redirects === maxRedirects) {
    throw new AnswerRefused({
      status,
      message: `more than ${maxRedirects} redirects in a row are not followed: to ${shown} (${status})`
    })
  }
  return target.href
}

// As the standard has it: these go on without their body.
const losesBody = (status: number, method = "GET"): boolean =>
  status === 303 || (status < 303 && method.toUpperCase() === "POST")

const withoutBody = (request: RequestInit): RequestInit => {
  const headers = new Headers(request.headers)
  for (const name of ["content-encoding", "content-language", "content-length", "content-type"]) headers.delete(name)
  return { ...request, body: null, headers }
}

/** The response with a body that fails once it has had too many bytes. It is read no faster than its reader asks. */
const bounded = (response: Response, maxBytes: number): Response => {
  if (response.body === null) return response
  const reader = response.body.getReader()
  let received = 0
  const body = new ReadableStream<Uint8Array>({
    pull: async (controller) => {
      const { done, value } = await reader.read()
      if (done) return controller.close()
      received += value.byteLength
      if (received > maxBytes) {
        void reader.cancel().catch(() => undefined)
        throw tooLong(response, maxBytes)
      }
      controller.enqueue(value)
    },
    cancel: (reason) => reader.cancel(reason)
  }, { highWaterMark: 0 })
  return new Response(body, response)
}

const tooLong = ({ status }: Response, maxBytes: number) =>
  new AnswerRefused({ status, message: `the answer has more than ${maxBytes} bytes (maxResponseBytes)` })
