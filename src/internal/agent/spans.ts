/**
 * The spans of agents and tools, by OpenTelemetry's conventions for generative AI.
 *
 * @internal
 */
import type * as Response from "effect/ai/Response"
import * as AiTool from "effect/ai/Tool"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import { hasProperty } from "effect/Predicate"
import type * as Tracer from "effect/Tracer"
import { ConversationId } from "../llm/callSpan.ts"
import { redactText } from "../llm/redact.ts"
import * as SpanContent from "../llm/spanContent.ts"
import { errorTypeOf, type Outcome } from "./outcome.ts"
import type { RunPlace } from "./place.ts"

/** Who is invoked, beside the name. */
export interface Invoked {
  /** The path of its actor. Default: its name, where it runs without one. */
  readonly id?: string | undefined
  readonly description?: string | undefined
  readonly team?: string | undefined
}

/** A run in its span. What is inside belongs to its conversation, unless it is a part of another one. */
export const inAgentSpan = <A, E, R>(
  { self: { agent, run } }: RunPlace,
  { description, id = agent, team }: Invoked,
  body: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) => {
    const around = fiber.getRef(ConversationId)
    const attributes = {
      "gen_ai.operation.name": "invoke_agent",
      "gen_ai.agent.id": id,
      "gen_ai.agent.name": agent,
      "gen_ai.conversation.id": around ?? run,
      ...(description !== undefined && { "gen_ai.agent.description": description }),
      ...(team !== undefined && { "troupe.team": team })
    }
    const telling = within(`invoke_agent ${agent}`, attributes, () => body)
    return around === undefined ? Effect.provideService(telling, ConversationId, run) : telling
  })

/** A tool call in its span, which is an error where the call fails, though the outcome is a value. */
export const inToolSpan = <E, R>(
  { self: { agent } }: RunPlace,
  definition: AiTool.Any,
  { id, name, params }: Response.ToolCallPartEncoded | Response.ToolCallPart<string, unknown>,
  call: Effect.Effect<Outcome, E, R>
): Effect.Effect<Outcome, E, R> =>
  Effect.withFiber((fiber) => {
    const conversation = fiber.getRef(ConversationId)
    const description = AiTool.getDescription(definition)
    const attributes = {
      "gen_ai.operation.name": "execute_tool",
      "gen_ai.tool.name": name,
      "gen_ai.tool.call.id": id,
      "gen_ai.tool.type": "function",
      "gen_ai.agent.name": agent,
      ...(description !== undefined && { "gen_ai.tool.description": description }),
      ...(conversation !== undefined && { "gen_ai.conversation.id": conversation })
    }
    const recorded = fiber.getRef(SpanContent.RecordContent)
    const told = within(`execute_tool ${name}`, attributes, (span) => {
      if (recorded) SpanContent.write(span, "gen_ai.tool.call.arguments", params)
      return Effect.flatMap(call, (outcome) => {
        if (recorded) SpanContent.write(span, "gen_ai.tool.call.result", outcome.result)
        return outcome.isFailure ? Effect.fail(new FailedCall({ name, outcome })) : Effect.succeed(outcome)
      })
    })
    return Effect.catchIf(told, isFailedCall, ({ outcome }) => Effect.succeed(outcome))
  })

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

/** A failed outcome as the failure of its span. */
class FailedCall extends Data.TaggedError("FailedCall")<{ readonly name: string; readonly outcome: Outcome }> {
  override get message(): string {
    const { name, outcome: { result } } = this
    return redactText(typeof result === "string" ? result : `tool ${name} failed`)
  }
}

const isFailedCall = (error: unknown): error is FailedCall => error instanceof FailedCall

const within = <A, E, R>(
  name: string,
  attributes: Readonly<Record<string, string>>,
  body: (span: Tracer.Span) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.useSpan(name, { attributes }, (span) =>
    body(span).pipe(
      Effect.tapError((error) => Effect.sync(() => span.attribute("error.type", typeOf(error)))),
      Effect.withParentSpan(span, { captureStackTrace: false })
    ))

/** The reason says more than that an agent or a model failed. */
const typeOf = (error: unknown): string => {
  if (isFailedCall(error)) return error.outcome.errorType ?? errorTypeOf(undefined)
  return errorTypeOf(hasProperty(error, "reason") ? error.reason : error)
}
