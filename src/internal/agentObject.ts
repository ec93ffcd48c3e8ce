/**
 * Gets a typed value out of an agent that answers in text. Exported through `Agent`.
 *
 * @internal
 */
import { Effect, Schema } from "effect"
import { Prompt, Tool as AiTool } from "effect/ai"
import { isString } from "effect/Predicate"
import type * as Actor from "../Actor.ts"
import { AgentError, InvalidOutput } from "../AgentError.ts"
import type { AgentRef, Input } from "./agentProtocol.ts"

/**
 * Prompts an agent or a team for a value of a schema. An answer that doesn't fit is sent back once with what is wrong;
 * a second one fails with `InvalidOutput`.
 *
 * The schema goes into the prompt as JSON Schema, so it works with every model and behind every kind of ref.
 *
 * @example
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { Agent } from "effect-troupe"
 *
 * const City = Schema.Struct({ name: Schema.String, population: Schema.Int })
 *
 * const program = Effect.gen(function*() {
 *   const ref = yield* Agent.spawn(Agent.make("geographer"))
 *   const { name } = yield* Agent.object(ref, "The capital of Nigeria?", City)
 *   return name
 * })
 * ```
 *
 * @since 0.1.0
 * @category actors
 */
export const object = Effect.fnUntraced(
  function*<S extends Schema.Top>(ref: AgentRef, input: Input, schema: S) {
    const request = ask(input, schema)
    const first = yield* ref.ask("Prompt", { input: request })
    const value = yield* Effect.result(decode(first.text, schema))
    if (value._tag === "Success") return value.success
    const second = yield* ref.ask("Prompt", { input: repair(request, first.text, value.failure) })
    return yield* Effect.mapError(
      decode(second.text, schema),
      (problem) =>
        new AgentError({
          agent: second.agent,
          reason: new InvalidOutput({ problem }),
          transcript: second.transcript
        })
    )
  }
) satisfies <S extends Schema.Top>(
  ref: AgentRef,
  input: Input,
  schema: S
) => Effect.Effect<S["Type"], AgentError | Actor.ActorError, S["DecodingServices"]>

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const ask = (input: Input, schema: Schema.Top): Input =>
  followedBy(
    input,
    `Answer with JSON only, that fits this JSON Schema:\n${
      JSON.stringify(AiTool.getJsonSchemaFromSchema(Schema.toCodecJson(schema)))
    }`
  )

const repair = (request: Input, answer: string, problem: string): Input =>
  followedBy(request, `You answered:\n${answer}\n\nThat doesn't fit: ${problem}\nAnswer again, with JSON only.`)

const followedBy = (input: Input, text: string): Input =>
  isString(input) ? `${input}\n\n${text}` : [...input, Prompt.textPart({ text })]

/** The value that a text holds, or what is wrong with it. Models like to put their JSON into a fence. */
const decode = <S extends Schema.Top>(
  text: string,
  schema: S
): Effect.Effect<S["Type"], string, S["DecodingServices"]> =>
  Effect.mapError(
    Schema.decodeUnknownEffect(Schema.fromJsonString(Schema.toCodecJson(schema)))(
      text.match(/```(?:json)?\n([\s\S]*?)```/)?.[1] ?? text
    ),
    (error) => error.message
  )
