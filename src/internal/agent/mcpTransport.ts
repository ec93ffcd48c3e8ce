/**
 * The transports of `McpClient` for servers that ask their user something in the middle of a call.
 *
 * Effect's client refuses each such request. The questions are read off what comes in, and the refusals that go out are
 * replaced by answers; everything else passes as it is.
 *
 * @internal
 */
import * as McpClient from "effect/ai/McpClient"
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Sse from "effect/encoding/Sse"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import { hasProperty } from "effect/Predicate"
import * as ChildProcessSpawner from "effect/process/ChildProcessSpawner"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import { Approvals } from "../../Approvals.ts"
import { answering, type Calls, makeCalls, type Question, questionOf, type Reply } from "./elicitation.ts"

export const http = Effect.fnUntraced(function*(options: Parameters<typeof McpClient.http>[0]) {
  const calls = makeCalls(yield* Approvals)
  const open: Open = new Map()
  const transport = yield* Effect.updateService(McpClient.http(options), HttpClient.HttpClient, (client) =>
    client.pipe(
      HttpClient.mapRequestEffect((request) => answered(request, open, calls)),
      HttpClient.transformResponse(Effect.map((response) => listeningTo(response, open)))
    ))
  return answering(transport, calls)
})

export const stdio = Effect.fnUntraced(function*(options: Parameters<typeof McpClient.stdio>[0]) {
  const calls = makeCalls(yield* Approvals)
  const open: Open = new Map()
  const transport = yield* Effect.updateService(
    McpClient.stdio(options),
    ChildProcessSpawner.ChildProcessSpawner,
    (spawner) =>
      ChildProcessSpawner.make((command) =>
        Effect.flatMap(
          spawner.spawn(command),
          (handle) =>
            Effect.map(
              answeringInput(handle.stdin, open, calls),
              (stdin) =>
                ChildProcessSpawner.makeHandle({ ...handle, stdin, stdout: listeningToLines(handle.stdout, open) })
            )
        )
      )
  )
  return answering(transport, calls)
})

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

/** The questions that came in and have no answer, by the ids of their requests. */
type Open = Map<unknown, Question>

const maxOpen = 100

const parse = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Unknown))

/** Notes the question that a message asks. */
const hear = (open: Open, text: string): void => {
  // Most messages are no questions, and may be long.
  if (!text.includes("elicitation/create")) return
  const message = parse(text)
  if (message._tag === "None" || !hasProperty(message.value, "id")) return
  const question = questionOf(message.value)
  if (question === undefined) return
  open.set(message.value.id, question)
  // A call that is given up leaves its question behind.
  if (open.size > maxOpen) open.delete(open.keys().next().value)
}

/** The id and the question of a message that refuses to answer one. */
const refusalOf = (open: Open, text: string): { readonly id: unknown; readonly question: Question } | undefined => {
  if (open.size === 0) return undefined
  const message = parse(text)
  if (message._tag === "None" || !hasProperty(message.value, "id") || !hasProperty(message.value, "error")) {
    return undefined
  }
  const { id } = message.value
  const question = open.get(id)
  open.delete(id)
  return question === undefined ? undefined : { id, question }
}

const toMessage = (id: unknown, result: Reply): string => JSON.stringify({ jsonrpc: "2.0", id, result })

const answered = (
  request: HttpClientRequest.HttpClientRequest,
  open: Open,
  calls: Calls
): Effect.Effect<HttpClientRequest.HttpClientRequest> => {
  const { body } = request
  const refusal = body._tag === "Uint8Array" ? refusalOf(open, decoder.decode(body.body)) : undefined
  if (refusal === undefined) return Effect.succeed(request)
  return Effect.map(
    calls.answer(refusal.question),
    (reply) => HttpClientRequest.bodyText(request, toMessage(refusal.id, reply), "application/json")
  )
}

const listeningTo = (
  response: HttpClientResponse.HttpClientResponse,
  open: Open
): HttpClientResponse.HttpClientResponse => {
  if (response.headers["content-type"]?.startsWith("text/event-stream") !== true) return response
  const stream = Stream.suspend(() => {
    const text = new TextDecoder()
    const parser = Sse.makeParser((event) => event._tag === "Event" && hear(open, event.data))
    return Stream.tap(response.stream, (bytes) => Effect.sync(() => parser.feed(text.decode(bytes, { stream: true }))))
  })
  return Object.create(response, { stream: { value: stream } })
}

const listeningToLines = <E>(stdout: Stream.Stream<Uint8Array, E>, open: Open): Stream.Stream<Uint8Array, E> =>
  Stream.suspend(() => {
    const text = new TextDecoder()
    let rest = ""
    return Stream.tap(stdout, (bytes) =>
      Effect.sync(() => {
        const lines = (rest + text.decode(bytes, { stream: true })).split("\n")
        rest = lines.pop() ?? ""
        for (const line of lines) hear(open, line)
      }))
  })

/** Each message is one chunk. An answer takes its time, which the messages after it don't wait for. */
const answeringInput = Effect.fnUntraced(function*<E>(
  stdin: Sink.Sink<void, Uint8Array, never, E>,
  open: Open,
  calls: Calls
) {
  const out = yield* Queue.unbounded<Uint8Array, Cause.Done>()
  const scope = yield* Effect.scope
  // A process that takes no more input has ended, which its reader hears of.
  yield* Effect.forkIn(Effect.ignore(Stream.run(Stream.fromQueue(out), stdin)), scope)
  const write = (bytes: Uint8Array): Effect.Effect<unknown> => {
    const refusal = refusalOf(open, decoder.decode(bytes))
    if (refusal === undefined) return Queue.offer(out, bytes)
    const reply = Effect.flatMap(
      calls.answer(refusal.question),
      (reply) => Queue.offer(out, encoder.encode(`${toMessage(refusal.id, reply)}\n`))
    )
    return Effect.forkIn(reply, scope)
  }
  return Sink.forEach(write).pipe(Sink.ensuring(Queue.end(out)))
})

const decoder = new TextDecoder()

const encoder = new TextEncoder()
