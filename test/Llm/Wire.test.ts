import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { LanguageModel } from "effect/ai"
import { readFileSync } from "node:fs"
import * as Loopback from "../fixtures/loopbackServer.ts"
import * as Calls from "../fixtures/wire/calls.ts"
import { stale, testCase } from "../fixtures/wire/cases.ts"
import type { Answer, Fixture } from "../fixtures/wire/fixture.ts"
import { objectAfterComment } from "../fixtures/wire/openAiResponses.ts"
import { type Common, type Difference, differences, without } from "../fixtures/wire/parts.ts"
import { openAiResponses, type Provider, providers } from "../fixtures/wire/providers.ts"

const met = new Set<Difference>()

const note = (difference: Difference) => void met.add(difference)

interface Case {
  readonly name: string
  readonly provider: Provider
  readonly fixture: Fixture
  readonly answer: Answer
  readonly mode: Calls.Mode
}

const casesOf = (provider: Provider): ReadonlyArray<Case> =>
  provider.fixtures.flatMap((fixture) =>
    fixture.answers.flatMap((answer, index) =>
      (["streamed", "whole"] as const).filter((mode) => Calls.hasForm(answer, mode)).map((mode) => ({
        name: `${provider.name}: ${fixture.name}${index === 0 ? "" : ` (${index + 1})`}, ${mode}`,
        provider,
        fixture,
        answer,
        mode
      }))
    )
  )

interface Sides {
  readonly ours: Calls.Outcome
  readonly theirs: Calls.Outcome
}

/** Several tests look at the same answer. */
const asked = new Map<Case, Promise<Sides>>()

const bothSides = (self: Case): Effect.Effect<Sides> =>
  Effect.promise(() => {
    const { answer, fixture, mode, provider } = self
    const sides = asked.get(self) ?? Effect.runPromise(Effect.all({
      theirs: Calls.theirs(provider, fixture, answer, mode, note),
      ours: Calls.ours(provider, fixture, answer, mode)
    }))
    asked.set(self, sides)
    return sides
  })

/** Both sides' parts, of an answer that is no failure. */
const bothParts = (self: Case) =>
  Effect.map(bothSides(self), ({ ours, theirs }) => {
    assert.isUndefined(theirs.failure, `the AI SDK: ${theirs.failure?.message}`)
    assert.isUndefined(ours.failure, ours.failure?.message)
    return { ours: withoutDetails(ours.parts), theirs: theirs.parts }
  })

/** OpenRouter's details come as one more reasoning part, just before the end. */
const withoutDetails = (parts: ReadonlyArray<Common>) =>
  parts.filter((part) => {
    const isDetails = JSON.stringify(part["metadata"] ?? {}).startsWith("{\"openrouter\":{\"reasoning_details\"")
    if (isDetails) note("reasoning details")
    return !isDetails && part["id"] !== "reasoning_details"
  })

/** Citations and the provider's own words for the end are compared apart. */
const withoutCarried = (parts: ReadonlyArray<Common>) =>
  parts.map((part) => without(part, "citations", "rawReason", "rawUsage"))

const citationsOf = (parts: ReadonlyArray<Common>) => parts.flatMap(({ citations }) => citations ?? [])

const ownWordsOf = (parts: ReadonlyArray<Common>) =>
  parts.flatMap(({ kind, rawReason, rawUsage }) => kind === "finish" ? [{ rawReason, rawUsage }] : [])

/** Whether tools of the provider have results in it and no tool of ours is called. */
const isTheProvidersOnly = ({ answer, fixture: { tools = [] } }: Case): boolean => {
  const wire = JSON.stringify(answer)
  return (tools.length > 0 || wire.includes("mcp_tool_use")) && !/get_weather|get_time/.test(wire) &&
    tools.every(({ answer }) => answer === undefined)
}

describe("Each provider's answers are those of the AI SDK's own package", () => {
  for (const provider of providers) {
    const cases = casesOf(provider)
    const answers = cases.filter(({ fixture }) => fixture.fails === undefined)

    for (const self of answers) {
      testCase(self.name, () =>
        Effect.map(bothParts(self), ({ ours, theirs }) => {
          assert.deepStrictEqual(withoutCarried(ours), withoutCarried(theirs))
        }))
    }

    for (const self of answers.filter(isTheProvidersOnly)) {
      testCase(`${self.name}, with Effect's own reading of calls`, () =>
        Effect.gen(function*() {
          const { answer, fixture, mode, provider } = self
          const { theirs } = yield* bothSides(self)
          const ours = yield* Calls.ours(provider, fixture, answer, mode, true)
          assert.isUndefined(ours.failure, ours.failure?.message)
          assert.deepStrictEqual(withoutCarried(ours.parts), withoutCarried(theirs.parts))
        }))
    }

    for (const self of cases.filter(({ fixture }) => fixture.fails !== undefined)) {
      testCase(self.name, () =>
        Effect.map(bothSides(self), ({ ours, theirs }) => {
          assert.strictEqual(ours.failure?.reason, self.fixture.fails, ours.failure?.message)
          const before = self.mode === "whole" ? [] : theirs.parts.filter(({ kind }) => kind !== "finish")
          assert.deepStrictEqual(ours.parts, before)
        }))
    }

    testCase(
      `${provider.name}: usage and finish reasons in the provider's own words`,
      () =>
        Effect.forEach(answers, (self) =>
          Effect.map(bothSides(self), ({ ours, theirs }) => {
            assert.deepStrictEqual(ownWordsOf(ours.parts), ownWordsOf(theirs.parts), self.name)
          }))
    )

    if (provider.requests === "anthropic" || provider.requests === "responses") {
      testCase(
        `${provider.name}: citations`,
        () =>
          Effect.forEach(answers, (self) =>
            Effect.map(bothSides(self), ({ ours, theirs }) => {
              assert.deepStrictEqual(citationsOf(ours.parts), citationsOf(theirs.parts), self.name)
            }))
      )
    }
  }

  testCase("openai responses: an object after a comment", () =>
    Effect.gen(function*() {
      const server = yield* Loopback.make(Calls.reply(openAiResponses, objectAfterComment, "whole"))
      const { value } = yield* LanguageModel.generateObject({
        prompt: "Which city?",
        schema: Schema.Struct({ city: Schema.String })
      }).pipe(Effect.provide(openAiResponses.ours(server.url)))
      assert.deepStrictEqual(value, { city: "Lagos" })
    }))

  it("except where the guide says it", () => {
    assert.sameMembers(Array.from(met), Object.keys(differences))
    const guide = readFileSync(new URL("../../docs/models.md", import.meta.url), "utf8").replaceAll(/\s+/g, " ")
    for (const difference of Object.values(differences)) assert.include(guide, difference)
  })

  it("and no case on the list is gone", () => {
    assert.deepStrictEqual(stale((name) => !name.startsWith("the laws")), [])
  })
})
