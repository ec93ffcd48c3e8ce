import { assert, describe, expectTypeOf, it } from "@effect/vitest"
import { Arbitrary, Effect, Equal, Schema, Struct } from "effect"
import { Prompt } from "effect/ai"
import * as Transcript from "../src/Transcript.ts"

/** Any entry whose tools take and give JSON, as they do. */
const AnyToolUse = Schema.Struct({ ...Transcript.ToolUse.fields, params: Schema.Json, result: Schema.Json })
const AnyAnswer = Schema.TaggedStruct("Answer", {
  agent: Schema.String,
  content: Schema.Array(Schema.Union([Prompt.TextPart, Prompt.ReasoningPart, Prompt.FilePart, AnyToolUse]))
})
const Entries = Schema.Array(Schema.Union([Transcript.UserEntry, AnyAnswer]))

/** Without keys that JSON escapes: Node 24 reads `[{"\n":1,"\t":1}]` back with a backslash for the tab. */
const Storable = Arbitrary.filter(
  Arbitrary.schema(Entries),
  (entries) => !/\\.[^"]*":/.test(JSON.stringify(entries))
)

const codec = Schema.fromJsonString(Schema.toCodecJson(Transcript.Transcript))

const toolUse = (fields: Partial<Transcript.ToolUse>): Transcript.ToolUse => ({
  type: "tool-use",
  id: "call_1",
  name: "get_weather",
  params: { city: "Lagos" },
  result: "18 C",
  isFailure: false,
  providerExecuted: false,
  options: {},
  resultOptions: {},
  ...fields
})

const answer = (...content: ReadonlyArray<Transcript.AnswerPart>): Transcript.AnswerEntry => ({
  _tag: "Answer",
  agent: "assistant",
  content
})

const unanswered = Struct.omit(toolUse({}), ["result"])

/** The ids of the parts of a type in a message, in order. */
const ids = (message: Prompt.Message | undefined, type: "tool-call" | "tool-result"): ReadonlyArray<string> =>
  message === undefined || typeof message.content === "string"
    ? []
    : message.content.flatMap((part) => part.type === type && !(part.providerExecuted ?? false) ? [part.id] : [])

describe("Transcript", () => {
  it.effect.prop("is the same after a way through JSON", [Storable], ([entries]) =>
    Effect.gen(function*() {
      const transcript = Transcript.make(entries)
      const json = yield* Schema.encodeEffect(codec)(transcript)
      const decoded = yield* Schema.decodeEffect(codec)(json)
      // Not by deepStrictEqual: -0 is 0 in JSON.
      assert.isTrue(Equal.equals(decoded.entries, transcript.entries))
      assert.isTrue(Equal.equals(decoded.messages, transcript.messages))
      assert.strictEqual(yield* Schema.encodeEffect(codec)(decoded), json)
    }))

  it.effect.prop(
    "says what was appended, in whatever pieces and whenever it is read",
    [Schema.Array(Schema.Tuple([Entries, Schema.Boolean]))],
    ([pieces]) =>
      Effect.sync(() => {
        const entries = pieces.flatMap(([piece]) => piece)
        const appended = pieces.reduce((transcript, [piece, isRead]) => {
          if (isRead) assert.isAtMost(transcript.messages.length, entries.length * 2)
          return Transcript.append(transcript, ...piece)
        }, Transcript.empty)
        for (const transcript of [appended, Transcript.make(entries)]) {
          assert.deepStrictEqual(transcript.entries, entries)
          assert.deepStrictEqual(transcript.messages, entries.flatMap(Transcript.toMessages))
        }
      })
  )

  it.effect.prop(
    "is not changed by what is appended to it",
    [Entries, Entries, Entries],
    ([before, one, other]) =>
      Effect.sync(() => {
        const transcript = Transcript.make(before)
        const first = Transcript.append(transcript, ...one)
        const second = Transcript.append(transcript, ...other)
        assert.deepStrictEqual(first.entries, [...before, ...one])
        assert.deepStrictEqual(second.entries, [...before, ...other])
        assert.deepStrictEqual(transcript.entries, before)
        assert.deepStrictEqual(transcript.messages, before.flatMap(Transcript.toMessages))
      })
  )

  it.effect.prop(
    "is always followed by each call's result, and no message is empty",
    [Entries],
    ([entries]) =>
      Effect.sync(() => {
        const { messages } = Transcript.make(entries)
        for (const [index, message] of messages.entries()) {
          assert.isAbove(message.content.length, 0)
          const calls = ids(message, "tool-call")
          if (calls.length > 0) assert.deepStrictEqual(ids(messages[index + 1], "tool-result"), calls)
          if (message.role === "tool") {
            assert.deepStrictEqual(ids(messages[index - 1], "tool-call"), ids(message, "tool-result"))
          }
        }
      })
  )

  it("what a provider ran itself stays in the answer, beside its call", () => {
    const messages = Transcript.toMessages(answer(
      toolUse({ id: "theirs", providerExecuted: true }),
      toolUse({ id: "ours" }),
      Prompt.textPart({ text: "Done." })
    ))
    assert.deepStrictEqual(
      messages.map((
        { content, role }
      ) => [role, typeof content === "string" ? content : content.map(({ type }) => type)]),
      [["assistant", ["tool-call", "tool-result", "tool-call", "text"]], ["tool", ["tool-result"]]]
    )
  })

  it("a call carries what the provider wants to see again, and so does its result", () => {
    const [call, result] = Transcript.toMessages(answer(toolUse({
      options: { openai: { itemId: "fc_1" } },
      resultOptions: { openai: { itemId: "fo_1" } },
      isFailure: true,
      modelOutput: [Prompt.textPart({ text: "no such city" })]
    })))
    assert.deepInclude(call!.content[0], { options: { openai: { itemId: "fc_1" } }, params: { city: "Lagos" } })
    assert.deepInclude(result!.content[0], {
      options: { openai: { itemId: "fo_1" } },
      isFailure: true,
      result: "18 C",
      modelOutput: [Prompt.textPart({ text: "no such city" })]
    })
  })

  it("an entry without content is kept and says nothing", () => {
    const transcript = Transcript.make([Transcript.user([]), answer()])
    assert.strictEqual(transcript.entries.length, 2)
    assert.deepStrictEqual(transcript.messages, [])
  })

  it("the text of an entry is its text parts, without reasoning, files and tools", () => {
    const entry = answer(
      Prompt.reasoningPart({ text: "Hm." }),
      Prompt.textPart({ text: "It is " }),
      toolUse({}),
      Prompt.textPart({ text: "warm." })
    )
    assert.strictEqual(Transcript.text(entry), "It is warm.")
    assert.strictEqual(Transcript.text(Transcript.user("Hello?")), "Hello?")
  })

  it.effect("JSON that holds a call without its result is refused", () =>
    Effect.gen(function*() {
      const json = JSON.stringify([{ _tag: "Answer", agent: "assistant", content: [unanswered] }])
      const error = yield* Effect.flip(Schema.decodeEffect(codec)(json))
      assert.include(error.message, "result")
    }))

  it("a call without its result does not compile", () => {
    expectTypeOf<Prompt.ToolCallPart>().not.toExtend<Transcript.AnswerPart>()
    // @ts-expect-error the result is missing
    answer(unanswered)
  })
})
