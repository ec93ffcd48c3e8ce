/** What a request is signed with is in no error, span, log or cassette, however a server repeats it. */
import { NodeFileSystem } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import {
  Cause,
  Deferred,
  Effect,
  Exit,
  Fiber,
  FileSystem,
  Layer,
  Logger,
  Redacted,
  References,
  type Scope,
  Stream,
  Tracer
} from "effect"
import { LanguageModel } from "effect/ai"
import { generateKeyPairSync } from "node:crypto"
import { inspect } from "node:util"
import * as AiSdk from "../../src/Llm/AiSdk.ts"
import * as AzureOpenAi from "../../src/Llm/AzureOpenAi.ts"
import * as Middleware from "../../src/Llm/Middleware.ts"
import * as OpenAiCompatible from "../../src/Llm/OpenAiCompatible.ts"
import * as Recorded from "../../src/Llm/Recorded.ts"
import * as Settings from "../../src/Llm/Settings.ts"
import * as Telemetry from "../../src/Llm/Telemetry.ts"
import * as Vertex from "../../src/Llm/Vertex.ts"
import * as Asking from "../fixtures/asking.ts"
import { variables } from "../fixtures/config.ts"
import * as GeminiWire from "../fixtures/geminiWire.ts"
import * as Loopback from "../fixtures/loopbackServer.ts"
import * as Wire from "../fixtures/openAiWire.ts"
import { key, providers } from "../fixtures/providers.ts"

const generate = LanguageModel.generateText({ prompt: "Hi" })

const base64 = (text: string) => Buffer.from(text).toString("base64")

const base64url = (text: string) => Buffer.from(text).toString("base64url")

/** The ways in which servers, proxies and gateways write what they were sent. */
const forms: ReadonlyArray<readonly [string, (secret: string) => string]> = [
  ["as it is", (secret) => secret],
  ["encoded for a URL", encodeURIComponent],
  ["encoded for a form", (secret) => new URLSearchParams({ secret }).toString().slice("secret=".length)],
  [
    "percent-encoded in small letters",
    (secret) => encodeURIComponent(secret).replace(/%../g, (hex) => hex.toLowerCase())
  ],
  ["as a JSON text in a JSON text", (secret) => JSON.stringify(JSON.stringify(secret)).slice(3, -3)],
  ["with escaped slashes", (secret) => secret.replaceAll("/", "\\/")],
  ["in JSON by character codes", (secret) => secret.replaceAll("+", "\\u002B").replaceAll("/", "\\u002f")],
  ["in base64", base64],
  ["in base64url", base64url],
  ["in base64 in a URL", (secret) => encodeURIComponent(base64(secret))],
  ["in base64 after a user's name", (secret) => base64(`user:${secret}`)],
  ["in base64 after a longer name", (secret) => base64(`a-user:${secret}:x`)],
  ["in base64url after another name", (secret) => base64url(`an-user:${secret}`)]
]

/** Whether a text shows the secret, or six of its characters in a row, in any form. */
const shows = (text: string, secret: string): boolean => {
  const decoded = [
    text,
    decodeURIComponent(text.replace(/%(?![0-9a-fA-F]{2})/g, "%25")),
    ...(text.match(/[\w+/-]{8,}/g) ?? []).flatMap((run) =>
      [0, 1, 2, 3].map((skip) => Buffer.from(run.slice(skip), "base64").toString("latin1"))
    )
  ]
  return Array.from({ length: secret.length - 5 }, (_, at) => secret.slice(at, at + 6))
    .some((piece) => decoded.some((text) => text.includes(piece)))
}

/** What the spans and logs of an effect say, whether it fails or not. */
const told = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const spans: Array<Tracer.NativeSpan> = []
    const logs: Array<unknown> = []
    const tracer = Tracer.make({
      span: (options) => {
        const span = new Tracer.NativeSpan(options)
        spans.push(span)
        return span
      }
    })
    const logger = Logger.make(({ fiber, message }) => {
      logs.push(message, fiber.getRef(References.CurrentLogAnnotations))
    })
    yield* effect.pipe(Effect.withTracer(tracer), Effect.provide(Logger.layer([logger])), Effect.exit)
    assert.isNotEmpty(spans)
    const said = spans.map(({ attributes, events, name, status }) => ({
      name,
      attributes,
      events: events.map(([name, , attributes]) => ({ name, attributes })),
      // What a span's effect succeeds with is exported nowhere.
      failure: status._tag === "Ended" && Exit.isFailure(status.exit) ? Cause.pretty(status.exit.cause) : undefined
    }))
    return inspect({ said, logs }, { depth: 20, maxStringLength: null, maxArrayLength: null })
  })

/** Runs a test with the name of a cassette, which is gone after it. */
const withCassette = <A, E>(test: (file: string) => Effect.Effect<A, E, FileSystem.FileSystem | Scope.Scope>) =>
  Effect.scoped(Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    return yield* test(`${yield* fs.makeTempDirectoryScoped()}/cassette.json`)
  })).pipe(Effect.provide(NodeFileSystem.layer))

const withFiles = Layer.provide(NodeFileSystem.layer)

const read = (file: string) => Effect.flatMap(FileSystem.FileSystem, (fs) => fs.readFileString(file))

/** An answer that has this text for its ids, names and texts. */
const repeating = (events: ReadonlyArray<string>, text: string): Loopback.Reply =>
  Loopback.sse(
    events.map((event) =>
      event.replace(/"(id|model|responseId|modelVersion|content|text|delta)":"[^"]+"/g, `"$1":${JSON.stringify(text)}`)
    )
  )

describe("Secrets in what servers say", () => {
  const secret = "k/e+y~01 23=4?56-x"
  const at = (url: string) => OpenAiCompatible.model("m", { baseUrl: `${url}/v1`, apiKey: Redacted.make(secret) })

  it.live.each(forms)("an error shows no key, written %s", ([, write]) =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(
        Loopback.json(401, Wire.errorBody(`No: ${write(secret)}.`), { "x-echo": write(secret) })
      )
      const { error } = yield* Asking.failure(at(server.url))
      assert.match(error.message, /No: \S*<redacted>/)
      const shown = inspect(error, { depth: 20, showHidden: true })
      assert.isFalse(shows(shown, secret), shown)
    }))

  it.live.each(forms)(
    "an id, a model's name and a text reach no span, log or cassette, written %s",
    ([, write]) =>
      withCassette((file) =>
        Effect.gen(function*() {
          const said = repeating(Wire.chatText(["one", "two"]), write(secret))
          const whole = JSON.parse(JSON.stringify(Wire.chatBody({ content: write(secret) })))
          const server = yield* Loopback.make(
            said,
            Loopback.json(200, { ...whole, id: write(secret), model: write(secret) })
          )
          const prompt = [
            { role: "user" as const, content: "Hi" },
            { role: "assistant" as const, content: write(secret) },
            { role: "user" as const, content: "Again?" }
          ]
          const model = at(server.url).pipe(Telemetry.trace, Recorded.record(file), Middleware.log({ prompts: true }))
          const text = yield* told(
            Effect.gen(function*() {
              const parts = yield* Stream.runCollect(LanguageModel.streamText({ prompt: "Hi" }))
              const metadata = parts.find((part) => part.type === "response-metadata")
              assert.include(metadata?.id, "<redacted>")
              assert.include(metadata?.modelId, "<redacted>")
              yield* LanguageModel.generateText({ prompt })
            }).pipe(Effect.provide(model))
          )
          assert.include(text, "Model call")
          assert.isFalse(shows(text, secret), text)
          const cassette = yield* read(file)
          assert.include(cassette, "<redacted>")
          assert.isFalse(shows(cassette, secret), cassette)
          assert.lengthOf(server.requests, 2)
        })
      )
  )

  it.live.each(providers)(
    "no key of %s is in its ids, its model's names, spans, logs or cassettes",
    ([name, format, at]) =>
      withCassette((file) =>
        Effect.gen(function*() {
          const server = yield* Loopback.make(
            repeating(format.answer(["one"]), key),
            Loopback.json(400, format.error(400, `No: ${base64(`x:${key}`)}`))
          )
          const model = at(server.url).pipe(Recorded.record(file), Middleware.log({ prompts: true }), withFiles)
          const text = yield* told(
            Effect.all([Asking.text(model), Effect.exit(Asking.text(model))], { concurrency: 1 })
          )
          assert.lengthOf(server.requests, 2)
          if (name === "Ollama") return
          assert.isFalse(shows(text, key), text)
          const cassette = yield* read(file)
          assert.isFalse(shows(cassette, key), cassette)
        })
      )
  )

  it.live("a header of one request is as secret as a key", () =>
    withCassette((file) =>
      Effect.gen(function*() {
        const server = yield* Loopback.make(repeating(Wire.chatText(["one"]), base64("acme-0123")))
        const model = at(server.url).pipe(Recorded.record(file), withFiles)
        yield* Asking.text(model).pipe(
          Effect.provideService(Settings.RequestSettings, { headers: { "x-tenant": Redacted.make("acme-0123") } })
        )
        assert.isFalse(shows(yield* read(file), "acme-0123"))
      })
    ))

  it.live("a name that only looks like a key keeps its letters", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(repeating(Wire.chatText(["one"]), "hf-internal-testing-tiny-random"))
      const parts = yield* Stream.runCollect(LanguageModel.streamText({ prompt: "Hi" })).pipe(
        Effect.provide(at(server.url))
      )
      assert.strictEqual(
        parts.find((part) => part.type === "response-metadata")?.modelId,
        "hf-internal-testing-tiny-random"
      )
    }))

  it.live("a text stays what it is for who asked", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(Loopback.sse(Wire.chatText([`It is ${secret}.`])))
      assert.deepStrictEqual((yield* Asking.text(at(server.url))).deltas, [`It is ${secret}.`])
    }))

  it.live("a warning of the provider's package is logged once, without the key", () =>
    Effect.gen(function*() {
      const lines: Array<string> = []
      const logger = Logger.make(({ message }) => void lines.push(inspect(message, { depth: 10 })))
      const warning = { type: "other" as const, message: `No ${base64(secret)}` }
      const finish = {
        type: "finish" as const,
        finishReason: { unified: "stop" as const, raw: "stop" },
        usage: { inputTokens: {}, outputTokens: {} }
      }
      yield* Effect.gen(function*() {
        for (const _ of [1, 2, 3]) yield* Stream.runDrain(LanguageModel.streamText({ prompt: "Hi" }))
      }).pipe(
        Effect.provide(AiSdk.layer(Effect.succeed({
          model: Object.assign({
            specificationVersion: "v4" as const,
            provider: "own",
            modelId: "m",
            supportedUrls: {},
            doGenerate: () => Promise.reject(new Error("not asked")),
            doStream: async () => ({
              stream: ReadableStream.from([{ type: "stream-start", warnings: [warning] }, finish])
            })
          }),
          provider: "own",
          secrets: [Redacted.make(secret)]
        }))),
        Effect.provide(Logger.layer([logger]))
      )
      assert.lengthOf(lines, 1)
      assert.include(lines[0], "No <redacted>")
    }))
})

describe("Tokens", () => {
  const token = "opaque-token-0123456789"

  const azure = (url: string, accessToken: Effect.Effect<Redacted.Redacted, unknown>) =>
    AzureOpenAi.model("d", { api: "chat" }).pipe(
      Layer.provide(variables({ AZURE_OPENAI_ENDPOINT: url })),
      Layer.provide(Layer.succeed(AzureOpenAi.AccessToken, accessToken))
    )

  it.live("a token of Entra that looks like nothing is known by its value", () =>
    withCassette((file) =>
      Effect.gen(function*() {
        const server = yield* Loopback.make(
          repeating(Wire.chatText(["one"]), token),
          Loopback.json(401, Wire.errorBody(`No: ${encodeURIComponent(token)} ${base64(token)}`))
        )
        const model = azure(server.url, Effect.succeed(Redacted.make(token))).pipe(Recorded.record(file), withFiles)
        const text = yield* told(Effect.all([Asking.text(model), Asking.text(model)]))
        assert.lengthOf(server.requests, 2)
        assert.strictEqual(server.requests[0]?.headers["authorization"], `Bearer ${token}`)
        assert.isFalse(shows(text + (yield* read(file)), token))
      })
    ))

  it.live("Google's tokens and keys are known by their looks, too", () =>
    Effect.gen(function*() {
      const looks = ["ya29.a0AfB_byC-1234567890", "AQ.Ab8RN6J-1234567890_x"]
      const server = yield* Loopback.make(
        Loopback.json(401, GeminiWire.error(401, "UNAUTHENTICATED", `No: ${looks.join(", ")}.`))
      )
      const { error } = yield* Asking.failure(
        OpenAiCompatible.model("m", { baseUrl: `${server.url}/v1` })
      )
      assert.include(error.message, "No: <redacted>, <redacted>.")
    }))

  it.live("the effect that gets a token ends with the run that waits for it", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make()
      for (const ask of [Effect.asVoid(generate), Stream.runDrain(LanguageModel.streamText({ prompt: "Hi" }))]) {
        const started = yield* Deferred.make<void>()
        const ended = yield* Deferred.make<void>()
        const never = Deferred.succeed(started, undefined).pipe(
          Effect.andThen(Effect.never),
          Effect.onInterrupt(() => Deferred.succeed(ended, undefined))
        )
        const fiber = yield* Effect.forkChild(Effect.provide(ask, azure(server.url, never)))
        yield* Deferred.await(started)
        yield* Fiber.interrupt(fiber)
        yield* Deferred.await(ended)
      }
      assert.isEmpty(server.requests)
    }))

  it.live("the effect that gets a token runs in the run's own context", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(Loopback.sse(Wire.chatText(["ok"])))
      const names: Array<string> = []
      const inSpan = Effect.map(Effect.currentParentSpan, (span) => {
        if (span._tag === "Span") names.push(span.name)
        return Redacted.make(token)
      })
      yield* Asking.text(azure(server.url, inSpan)).pipe(Effect.withSpan("run"))
      assert.lengthOf(names, 1)
    }))

  /** Answers requests for Google's tokens, with credentials of a service account on this machine. */
  const withGoogle = (answer: (init: RequestInit | undefined) => Promise<Response>) =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const file = `${yield* fs.makeTempDirectoryScoped()}/account.json`
      const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 })
      const account = {
        type: "service_account",
        client_email: "me@acme.iam.gserviceaccount.com",
        private_key: privateKey.export({ type: "pkcs8", format: "pem" }),
        token_uri: "https://oauth2.googleapis.com/token"
      }
      yield* fs.writeFileString(file, JSON.stringify(account))
      const real = globalThis.fetch
      const asked: Array<string> = []
      yield* Effect.acquireRelease(
        Effect.sync(() => {
          process.env["GOOGLE_APPLICATION_CREDENTIALS"] = file
          globalThis.fetch = (input, init) => {
            asked.push(String(input))
            return String(input).startsWith("http://127.0.0.1") ? real(input, init) : answer(init)
          }
        }),
        () =>
          Effect.sync(() => {
            globalThis.fetch = real
            delete process.env["GOOGLE_APPLICATION_CREDENTIALS"]
          })
      )
      return asked
    })

  const vertex = (url: string) =>
    Vertex.model("gemini-2.5-flash").pipe(
      Layer.provide(variables({ GOOGLE_CLOUD_PROJECT: "acme", GOOGLE_VERTEX_BASE_URL: url }))
    )

  const json = (body: unknown) => Promise.resolve(Response.json(body))

  it.live("a token of Google's default credentials signs requests, and is known by its value", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(
        Loopback.sse(GeminiWire.answer(["ok"])),
        Loopback.json(401, GeminiWire.error(401, "UNAUTHENTICATED", `No: ${base64(token)}`))
      )
      const asked = yield* withGoogle(() => json({ access_token: token, expires_in: 3600, token_type: "Bearer" }))
      const errors = yield* Effect.gen(function*() {
        yield* LanguageModel.streamText({ prompt: "Hi" }).pipe(Stream.runDrain)
        return yield* Effect.exit(generate)
      }).pipe(Effect.provide(vertex(server.url)))
      assert.deepStrictEqual(server.requests.map(({ headers }) => headers["authorization"]), [
        `Bearer ${token}`,
        `Bearer ${token}`
      ])
      assert.isFalse(shows(inspect(Asking.aiErrorOf(errors), { depth: 20 }), token))
      assert.lengthOf(asked.filter((url) => url.includes("oauth2.googleapis.com")), 1)
    }).pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer)))

  it.live("a request for a token of Google goes nowhere else, and nothing is sent without one", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make()
      const asked = yield* withGoogle(() =>
        Promise.resolve(new Response(null, { status: 307, headers: { location: "https://evil.test/steal" } }))
      )
      const error = Asking.aiErrorOf(yield* Effect.exit(Effect.provide(generate, vertex(server.url))))
      assert.strictEqual(error.reason._tag, "AuthenticationError")
      assert.include(error.message, "https://evil.test/steal")
      assert.isEmpty(asked.filter((url) => url.includes("evil")))
      assert.isEmpty(server.requests)
    }).pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer)))

  it.live("a request for a token of Google ends with the last run that waits for it", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make()
      const sent = yield* Deferred.make<AbortSignal>()
      yield* withGoogle((init) =>
        new Promise((_, reject) => {
          const signal = init!.signal!
          signal.addEventListener("abort", () => reject(signal.reason))
          Deferred.doneUnsafe(sent, Effect.succeed(signal))
        })
      )
      yield* Effect.gen(function*() {
        const first = yield* Effect.forkChild(generate)
        const signal = yield* Deferred.await(sent)
        const second = yield* Effect.forkChild(generate, { startImmediately: true })
        yield* Effect.yieldNow
        yield* Fiber.interrupt(first)
        assert.isFalse(signal.aborted)
        yield* Fiber.interrupt(second)
        assert.isTrue(signal.aborted)
      }).pipe(Effect.provide(vertex(server.url)))
    }).pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer)))
})
