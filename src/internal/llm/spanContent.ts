/**
 * What was asked and answered, as the conventions for generative AI write it on a span: messages of parts, in JSON.
 * Files are named by their type; their bytes stay out.
 *
 * @internal
 */
import type * as Prompt from "effect/ai/Prompt"
import * as Context from "effect/Context"
import type * as Tracer from "effect/Tracer"
import type { AnyPart } from "./bareModel.ts"
import { redactJson, type Secrets } from "./redact.ts"

/** Whether spans have prompts, answers, and the arguments and results of tools. */
export const RecordContent = Context.Reference<boolean>("effect-troupe/Llm/RecordContent", {
  defaultValue: () => false
})

/** Writes a value on a span without its secrets. */
export const write = (span: Tracer.Span, attribute: string, value: unknown, secrets?: Secrets): void =>
  span.attribute(attribute, JSON.stringify(redactJson(value, secrets)))

export const writePrompt = (span: Tracer.Span, prompt: Prompt.Prompt, secrets: Secrets): void => {
  const { content } = prompt
  const system = content.flatMap((message) => message.role === "system" ? [text(message.content)] : [])
  const messages = content.flatMap((message) =>
    message.role === "system" ? [] : [{ role: message.role, parts: message.content.flatMap(toPart) }]
  )
  if (system.length > 0) write(span, "gen_ai.system_instructions", system, secrets)
  write(span, "gen_ai.input.messages", messages, secrets)
}

/** Writes the answer that these parts make. */
export const writeAnswer = (span: Tracer.Span, answer: ReadonlyArray<AnyPart>, secrets: Secrets): void => {
  const parts: Array<Part> = []
  let finishReason = "error"
  for (const part of answer) {
    if (part.type === "finish") finishReason = part.reason
    else if (part.type === "text-delta") append(parts, "text", part.delta)
    else if (part.type === "reasoning-delta") append(parts, "reasoning", part.delta)
    else if (isSaid(part)) parts.push(...toPart(part))
  }
  write(span, "gen_ai.output.messages", [{ role: "assistant", parts, finish_reason: finishReason }], secrets)
}

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

type Part = Readonly<Record<string, unknown>> & { readonly type: string }

type Said = Extract<
  Prompt.Part | AnyPart,
  { readonly type: "text" | "reasoning" | "file" | "tool-call" | "tool-result" }
>

const text = (content: string): Part => ({ type: "text", content })

const saidTypes: ReadonlySet<string> = new Set<Said["type"]>(["text", "reasoning", "file", "tool-call", "tool-result"])

const isSaid = (part: AnyPart | Prompt.Part): part is Said => saidTypes.has(part.type)

/** Deltas of one kind in a row are one part. */
const append = (parts: Array<Part>, type: "text" | "reasoning", delta: string): void => {
  const last = parts.at(-1)
  if (last?.type === type) parts[parts.length - 1] = { type, content: `${String(last["content"])}${delta}` }
  else parts.push({ type, content: delta })
}

const toPart = (part: Prompt.Part | Said): ReadonlyArray<Part> => {
  switch (part.type) {
    case "text":
    case "reasoning":
      return [{ type: part.type, content: part.text }]
    case "file":
      return [{ type: "file", mime_type: part.mediaType }]
    case "tool-call":
      return [{ type: "tool_call", id: part.id, name: part.name, arguments: part.params }]
    case "tool-result":
      return [{ type: "tool_call_response", id: part.id, response: part.result }]
    default:
      return []
  }
}
