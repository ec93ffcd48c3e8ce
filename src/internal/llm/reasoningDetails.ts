/**
 * Keeps OpenRouter's `reasoning_details`, which `@ai-sdk/openai-compatible` does not know.
 *
 * They hold what a vendor behind OpenRouter wants to see again unchanged between a tool call and its result:
 * signatures, encrypted reasoning. An answer that has some gets one more reasoning part at its end, without text, whose
 * metadata they are; the next request carries them in the place of the reasoning's text.
 *
 * @internal
 */
import type {
  JSONObject,
  JSONValue,
  LanguageModelV4,
  LanguageModelV4Message,
  LanguageModelV4Prompt,
  LanguageModelV4Reasoning,
  LanguageModelV4StreamPart,
  SharedV4ProviderMetadata
} from "@ai-sdk/provider"
import * as Predicate from "effect/Predicate"

export const keepDetails = (model: LanguageModelV4): LanguageModelV4 => ({
  specificationVersion: model.specificationVersion,
  provider: model.provider,
  modelId: model.modelId,
  supportedUrls: model.supportedUrls,
  doGenerate: async (options) => {
    const result = await model.doGenerate({ ...options, prompt: withDetails(options.prompt) })
    const details = detailsIn(result.response?.body, "message")
    return details.length === 0 ? result : { ...result, content: [...result.content, toReasoning(details)] }
  },
  doStream: async (options) => {
    const result = await model.doStream({
      ...options,
      prompt: withDetails(options.prompt),
      includeRawChunks: true
    })
    return { ...result, stream: result.stream.pipeThrough(collecting()) }
  }
})

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const key = "openrouter"

/** No provider counts its blocks like this. */
const block = "reasoning_details"

const toMetadata = (details: Array<JSONValue>): SharedV4ProviderMetadata => ({ [key]: { reasoning_details: details } })

const toReasoning = (details: Array<JSONValue>): LanguageModelV4Reasoning => ({
  type: "reasoning",
  text: "",
  providerMetadata: toMetadata(details)
})

/** The details of the first choice of a body or chunk. */
const detailsIn = (body: unknown, field: "message" | "delta"): Array<JSONObject> => {
  const choices = Predicate.hasProperty(body, "choices") && Array.isArray(body.choices) ? body.choices : []
  const holder = Predicate.hasProperty(choices[0], field) ? choices[0][field] : undefined
  const details = Predicate.hasProperty(holder, "reasoning_details") ? holder.reasoning_details : undefined
  return Array.isArray(details) ? details.filter((detail): detail is JSONObject => Predicate.isObject(detail)) : []
}

const collecting = () => {
  const details: Array<JSONObject> = []
  return new TransformStream<LanguageModelV4StreamPart, LanguageModelV4StreamPart>({
    transform: (part, controller) => {
      if (part.type === "raw") {
        for (const detail of detailsIn(part.rawValue, "delta")) append(details, detail)
        return
      }
      if (part.type === "finish" && details.length > 0) {
        controller.enqueue({ type: "reasoning-start", id: block })
        controller.enqueue({ type: "reasoning-end", id: block, providerMetadata: toMetadata(details) })
      }
      controller.enqueue(part)
    }
  })
}

/** The fields that stream in pieces; of every other one the last value counts. */
const pieces = new Set(["text", "summary", "data"])

/** A piece goes on with the detail before it if both are of one type and place, and not of different ids. */
const goesOn = (last: JSONObject, { id, index, type }: JSONObject): boolean =>
  last["type"] === type && last["index"] === index &&
  (Predicate.isNullish(id) || Predicate.isNullish(last["id"]) || last["id"] === id)

const append = (details: Array<JSONObject>, piece: JSONObject): void => {
  const last = details.at(-1)
  if (last === undefined || !goesOn(last, piece)) {
    details.push({ ...piece })
    return
  }
  for (const [field, value] of Object.entries(piece)) {
    const before = last[field]
    if (pieces.has(field) && typeof before === "string" && typeof value === "string") last[field] = before + value
    else if (value !== null && value !== undefined) last[field] = value
  }
}

const withDetails = (prompt: LanguageModelV4Prompt): LanguageModelV4Prompt => prompt.map(withDetailsOf)

const withDetailsOf = (message: LanguageModelV4Message): LanguageModelV4Message => {
  if (message.role !== "assistant") return message
  const details = message.content.flatMap((part) => {
    const kept = part.type === "reasoning" ? part.providerOptions?.[key]?.["reasoning_details"] : undefined
    return Array.isArray(kept) ? kept : []
  })
  if (details.length === 0) return message
  return {
    ...message,
    // They hold its text too.
    content: message.content.filter((part) => part.type !== "reasoning"),
    providerOptions: {
      ...message.providerOptions,
      // The package copies what stands under this name into the message.
      openaiCompatible: { ...message.providerOptions?.["openaiCompatible"], reasoning_details: details }
    }
  }
}
