import { assert, describe, it } from "@effect/vitest"
import { Effect, Equal, Exit, FileSystem, Layer, Schema } from "effect"
import { type LanguageModel, Response } from "effect/ai"
import * as AgentEvent from "../../src/AgentEvent.ts"
import * as Recorded from "../../src/Llm/Recorded.ts"
import * as Transcript from "../../src/Transcript.ts"
import * as Loopback from "../fixtures/loopbackServer.ts"
import * as Calls from "../fixtures/wire/calls.ts"
import { stale, testCase } from "../fixtures/wire/cases.ts"
import type { Fixture } from "../fixtures/wire/fixture.ts"
import { chatFixtures } from "../fixtures/wire/openAiChat.ts"
import { comparable, fromContent, fromOurs, fromStreamed, plain, steady, without } from "../fixtures/wire/parts.ts"
import {
  anthropic,
  gemini,
  mistral,
  openAiChat,
  openAiResponses,
  openRouter,
  type Provider,
  providers
} from "../fixtures/wire/providers.ts"
import { isText, type Item, itemsOf, problemsOf, strayApprovals } from "../fixtures/wire/requests.ts"
import * as Runs from "../fixtures/wire/runs.ts"

interface Self {
  readonly name: string
  readonly provider: Provider
  readonly fixture: Fixture
}

/** What is no failure and can be streamed: what an agent can run over. */
const isConversation = ({ answers, fails }: Fixture): boolean =>
  fails === undefined && answers.every((answer) => Calls.hasForm(answer, "streamed"))

/** What all chat completions have alike is looked at once. */
const alike = new Set(chatFixtures(() => ({})).map(({ name }) => name))

const fixtures: ReadonlyArray<Self> = providers.flatMap((provider) =>
  provider.fixtures
    .filter((fixture) => isConversation(fixture) && (provider === openAiChat || !alike.has(fixture.name)))
    .map((fixture) => ({ name: `the laws: ${provider.name}: ${fixture.name}`, provider, fixture }))
)

/** Each is had once, whoever looks at it. */
const once = <A, E>(run: (self: Self) => Effect.Effect<A, E>) => {
  const had = new Map<Self, Promise<A>>()
  return (self: Self): Effect.Effect<A> =>
    Effect.promise(() => {
      const running = had.get(self) ?? Effect.runPromise(run(self))
      had.set(self, running)
      return running
    })
}

const ourRun = once(({ fixture, provider }) => Runs.ours(provider, fixture))

/** Nothing where the AI SDK's own package can't go on with what it said. */
const theirRun = once(({ fixture, provider }) => Effect.orElseSucceed(Runs.theirs(provider, fixture), () => undefined))

interface Parts {
  readonly mode: Calls.Mode
  readonly reply: Loopback.Reply
  readonly parts: ReadonlyArray<Response.AnyPart>
}

/** The parts of each answer, as they are. */
const ourParts = once((self) =>
  Effect.forEach(
    self.fixture.answers.flatMap((answer) =>
      (["streamed", "whole"] as const).filter((mode) => Calls.hasForm(answer, mode)).map((mode) => ({ answer, mode }))
    ),
    ({ answer, mode }) => {
      const reply = Calls.reply(self.provider, answer, mode)
      return Effect.map(partsOf(self, reply, mode), (parts): Parts => ({ mode, reply, parts }))
    }
  )
)

const partsOf = (
  { fixture, provider }: Self,
  reply: Loopback.Reply,
  mode: Calls.Mode,
  wrap: (model: ReturnType<Provider["ours"]>) => Layer.Layer<LanguageModel.LanguageModel, unknown> = (model) => model
) =>
  Effect.gen(function*() {
    const server = yield* Loopback.make(reply)
    return yield* Calls.parts(fixture, mode).pipe(Effect.provide(wrap(provider.ours(server.url, fixture.settings))))
  }).pipe(Effect.scoped)

// -----------------------------------------------------------------------------------------------------------------
// JSON
// -----------------------------------------------------------------------------------------------------------------

const partOfStream = Schema.toCodecJson(Response.StreamPart())
const partOfWhole = Schema.toCodecJson(Response.Part())
const event = Schema.toCodecJson(AgentEvent.AgentEvent)
const transcript = Schema.toCodecJson(Transcript.Transcript)

const roundTrip = <A, I>(schema: Schema.Codec<A, I>, value: A): void => {
  const text = JSON.stringify(Schema.encodeSync(schema)(value))
  const again = Schema.decodeSync(schema)(JSON.parse(text))
  if (Equal.equals(withoutUndefined(again), withoutUndefined(value))) return
  assert.deepStrictEqual(withoutUndefined(again), withoutUndefined(value))
  assert.fail(`not the same again: ${text}`)
}

/** A field that is there without a value is as good as one that is not there. */
const withoutUndefined = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(withoutUndefined)
  if (typeof value !== "object" || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, field]) => field === undefined ? [] : [[key, withoutUndefined(field)]])
  )
}

describe("What each provider says encodes to JSON and decodes back", () => {
  for (const self of fixtures) {
    testCase(`${self.name}: parts as JSON`, () =>
      Effect.map(ourParts(self), (answers) => {
        for (const { mode, parts } of answers) {
          for (const part of parts) {
            if (mode === "streamed") roundTrip(partOfStream, part as Response.StreamPart<{}>)
            else roundTrip(partOfWhole, part as Response.Part<{}>)
          }
        }
      }))

    testCase(`${self.name}: events and transcript as JSON`, () =>
      Effect.map(ourRun(self), (run) => {
        for (const said of run.events) roundTrip(event, said)
        roundTrip(transcript, run.transcript)
      }))
  }
})

// -----------------------------------------------------------------------------------------------------------------
// cassettes
// -----------------------------------------------------------------------------------------------------------------

/** A disk with one file. */
const disk = (): Layer.Layer<FileSystem.FileSystem> => {
  let file = ""
  return FileSystem.layerNoop({
    writeFileString: (_, text) => Effect.sync(() => void (file = text)),
    readFileString: () => Effect.sync(() => file)
  })
}

/** A cassette keeps no headers. */
const recordable = (parts: ReadonlyArray<Response.AnyPart>, fixture: Fixture) =>
  comparable(parts.flatMap((part) => fromOurs(part)), fixture).map((part) => without(part, "headers"))

describe("What each provider says is recorded and replayed", () => {
  for (const self of fixtures) {
    testCase(`${self.name}: recorded and replayed`, () =>
      Effect.gen(function*() {
        for (const { mode, parts, reply } of yield* ourParts(self)) {
          const file = disk()
          const recorded = (model: ReturnType<Provider["ours"]>) =>
            Recorded.record("cassette.json")(model).pipe(Layer.provide(file))
          const replayed = () => Recorded.replay("cassette.json").pipe(Layer.provide(file))
          yield* partsOf(self, reply, mode, recorded)
          const again = yield* partsOf(self, reply, mode, replayed)
          assert.deepStrictEqual(recordable(again, self.fixture), recordable(parts, self.fixture))
        }
      }))
  }
})

// -----------------------------------------------------------------------------------------------------------------
// events
// -----------------------------------------------------------------------------------------------------------------

const quoted = (text: string): string => JSON.stringify(text).slice(1, -1)

/** Whether a text is in this JSON, or in JSON that is a text in it. */
const isIn = (json: string) => (text: string): boolean =>
  json.includes(quoted(text)) || json.includes(quoted(quoted(text)))

/** The texts and numbers that the vendor sent, wherever they stand in a value, and that are not in the events. */
const missingIn = (events: ReadonlyArray<AgentEvent.AgentEvent>, value: unknown, wire: unknown) => {
  const [isSaid, isSent] = [
    isIn(JSON.stringify(events.map((said) => Schema.encodeSync(event)(said)))),
    isIn(JSON.stringify(wire))
  ]
  const missing = new Set<string>()
  JSON.stringify(value, (_, field: unknown) => {
    const text = typeof field === "number" ? String(field) : field
    if (typeof text === "string" && text.length > 3 && isSent(text) && !isSaid(text)) missing.add(text)
    return field
  })
  return Array.from(missing)
}

describe("What each provider says is in an agent's events", () => {
  for (const self of fixtures) {
    testCase(`${self.name}: nothing is missing in the events`, () =>
      Effect.gen(function*() {
        const { fixture } = self
        const theirs = yield* theirRun(self)
        const { events } = yield* ourRun(self)
        const said = (theirs?.answers ?? []).flatMap(({ content }) =>
          comparable(content.flatMap((part) => fromContent(part, () => undefined)), fixture)
        ).filter((part) => part["preliminary"] !== true)
        // What a part is, is not said in every event with the AI SDK's words.
        const values = said.map((part) => without(part, "kind", "sourceType"))
        assert.deepStrictEqual(missingIn(events, values, fixture.answers), [])
      }))
  }

  for (const provider of providers) {
    testCase(
      `the laws: ${provider.name}: response, headers, usage and metadata are in the events`,
      () =>
        Effect.forEach(fixtures.filter((self) => self.provider === provider), (self) =>
          Effect.gen(function*() {
            const theirs = yield* theirRun(self)
            const { events } = yield* ourRun(self)
            const wire = [self.fixture.answers, provider.headers]
            for (const { about, headers } of theirs?.answers.slice(0, self.fixture.answers.length) ?? []) {
              const { "set-cookie": _, ...safe } = steady(headers)
              const said = about.flatMap((part) => fromStreamed(part, safe, () => undefined))
              assert.deepStrictEqual(missingIn(events, said, wire), [], self.name)
            }
          }))
    )
  }
})

// -----------------------------------------------------------------------------------------------------------------
// history
// -----------------------------------------------------------------------------------------------------------------

/** What the AI SDK made up is another each time, so it is named by its order; what only OpenRouter knows is left out. */
const steadyItems = (provider: Provider, conversation: unknown, wire: string): ReadonlyArray<Item> => {
  const names = new Map<string, string>()
  const text = JSON.stringify(itemsOf(provider.requests, conversation), (key, field: unknown) => {
    if (provider.name === "openrouter" && /^reasoning_(details|content)$/.test(key)) return undefined
    if (typeof field !== "string" || !/^(id|(tool_)?call_id|tool_use_id)$/.test(key) || wire.includes(field)) {
      return field
    }
    if (!names.has(field)) names.set(field, `generated ${names.size}`)
    return names.get(field)
  })
  return (JSON.parse(text) as ReadonlyArray<Item>).filter(({ value }) =>
    value["type"] !== "beside" || Object.keys(value).length > 1
  )
}

const isApproval = ({ value }: Item): boolean => value["type"] === "mcp_approval_request"

/** All that the AI SDK sends is sent, in its order; what is sent beyond is text, in the place of what the AI SDK drops. */
const assertSame = (ours: ReadonlyArray<Item>, theirs: ReadonlyArray<Item>): void => {
  const more: Array<Item> = []
  let at = 0
  for (const item of ours) {
    if (at < theirs.length && JSON.stringify(item) === JSON.stringify(theirs[at])) at++
    else more.push(item)
  }
  if (at < theirs.length || !more.every((item) => isText(item) || isApproval(item))) {
    assert.deepStrictEqual(ours, theirs)
  }
}

describe("A conversation goes on with its provider", () => {
  for (const self of fixtures) {
    testCase(`${self.name}: goes on`, () =>
      Effect.gen(function*() {
        const { fixture, provider } = self
        const { requests } = yield* ourRun(self)
        const theirs = yield* theirRun(self)
        for (const request of requests) assert.deepStrictEqual(problemsOf(provider, request), [])
        const wire = JSON.stringify(fixture.answers)
        theirs?.requests.forEach((request, index) => {
          if (problemsOf(provider, request).length > 0) return
          assert.isBelow(index, requests.length, "requests are missing")
          assertSame(steadyItems(provider, requests[index], wire), steadyItems(provider, request, wire))
        })
        const last = JSON.stringify(requests.at(-1))
        for (const fact of fixture.facts ?? []) assert.include(last, fact)
      }))

    if (self.fixture.name.includes("asks for approval")) {
      testCase(
        `${self.name}: an approval goes back with its request`,
        () =>
          Effect.map(ourRun(self), ({ requests }) => {
            assert.isAbove(requests.length, 2)
            for (const request of requests) assert.deepStrictEqual(strayApprovals(request), [])
          })
      )
    }
  }
})

/** What only its own vendor can read. */
const SEALED = /gAAAAABo|EqgfCio|EqQBCg|EmwKAh|EpYBCio|CiQB0e2K|CpcBAd|sig-1/g

describe("Conversations go on with another provider", () => {
  for (const provider of providers) {
    for (const target of [openAiResponses, openAiChat, anthropic, gemini, mistral, openRouter]) {
      if (target.name === provider.name) continue
      testCase(`the laws: conversations with ${provider.name} go on with ${target.name}`, () =>
        Effect.gen(function*() {
          const all = fixtures.filter((self) => self.provider === provider)
          const runs = yield* Effect.forEach(all, (self) => Effect.exit(ourRun(self)))
          const begun = runs.flatMap((run) => Exit.isSuccess(run) ? run.value.transcript.entries : [])
          const request = yield* Runs.continued(target, Transcript.make(begun))
          const said = JSON.stringify(plain(request))
          assert.deepStrictEqual({
            problems: problemsOf(target, request),
            missing: all.flatMap(({ fixture }) => fixture.facts ?? []).filter((fact) => !said.includes(fact)),
            sealed: provider.name === "vertex" && target === gemini ? [] : said.match(SEALED) ?? []
          }, { problems: [], missing: [], sealed: [] })
        }))
    }
  }
})

describe("The list", () => {
  it("has no case that is gone", () => {
    assert.deepStrictEqual(stale((name) => name.startsWith("the laws")), [])
  })
})
