/**
 * Keeps OpenAI's requests for approval, which the AI SDK's packages do not send back.
 *
 * OpenAI takes a decision only after the request that it answers, and while nothing is stored there, that is not with a
 * name but in full. So it goes along with the answer, and the prompt has it with the call again. The packages write only
 * items that they know: it passes them as a compaction, and `fetch` unpacks it.
 *
 * @internal
 */
import type {
  JSONObject,
  LanguageModelV4,
  LanguageModelV4CallOptions,
  LanguageModelV4Content,
  LanguageModelV4CustomPart,
  LanguageModelV4Message,
  LanguageModelV4StreamPart
} from "@ai-sdk/provider"
import { hasProperty, isObject } from "effect/Predicate"
import { carrier } from "./carried.ts"

/** `key` is the provider's name in metadata and options. */
export const keepRequests = (model: LanguageModelV4, key: "openai" | "azure"): LanguageModelV4 => ({
  specificationVersion: model.specificationVersion,
  provider: model.provider,
  modelId: model.modelId,
  supportedUrls: model.supportedUrls,
  doGenerate: async (options) => {
    const result = await model.doGenerate(withRequests(options, key))
    const { output } = isObject(result.response?.body) ? result.response.body : {}
    const requests = new Map(Array.isArray(output) ? output.flatMap(toRequest) : [])
    return requests.size === 0
      ? result
      : { ...result, content: result.content.map((content) => withRequest(content, requests)) }
  },
  doStream: async (options) => {
    const prepared = withRequests(options, key)
    if (!options.tools?.some((tool) => tool.type === "provider" && tool.id === "openai.mcp")) {
      return model.doStream(prepared)
    }
    const result = await model.doStream({ ...prepared, includeRawChunks: true })
    return { ...result, stream: result.stream.pipeThrough(keeping()) }
  }
})

/** A `fetch` that unpacks the requests in a body before it goes out. */
export const unpacking = (fetch: typeof globalThis.fetch): typeof globalThis.fetch => (input, init) => {
  const body = init?.body
  if (typeof body !== "string" || !body.includes(mark)) return fetch(input, init)
  return fetch(input, { ...init, body: JSON.stringify(JSON.parse(body, (_, value: unknown) => unpacked(value))) })
}

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const mark = "effect-troupe/mcp_approval_request:"

type Requests = ReadonlyMap<string, JSONObject>

const toRequest = (item: unknown): ReadonlyArray<readonly [id: string, request: JSONObject]> => {
  if (!isObject(item) || item["type"] !== "mcp_approval_request") return []
  const { approval_request_id, arguments: params, id, name, server_label, type } = item
  const request = { type, id, name, arguments: params, server_label }
  return [[String(approval_request_id ?? id), JSON.parse(JSON.stringify(request))]]
}

const withRequest = <P extends LanguageModelV4Content | LanguageModelV4StreamPart>(
  part: P,
  requests: Requests
): P => {
  if (part.type !== "tool-approval-request") return part
  const request = requests.get(part.approvalId)
  if (request === undefined) return part
  return { ...part, providerMetadata: { ...part.providerMetadata, [carrier]: { request } } }
}

const keeping = () => {
  const requests = new Map<string, JSONObject>()
  return new TransformStream<LanguageModelV4StreamPart, LanguageModelV4StreamPart>({
    transform: (part, controller) => {
      if (part.type !== "raw") return controller.enqueue(withRequest(part, requests))
      const item = hasProperty(part.rawValue, "item") ? part.rawValue.item : undefined
      for (const [id, request] of toRequest(item)) requests.set(id, request)
    }
  })
}

const withRequests = (options: LanguageModelV4CallOptions, key: string): LanguageModelV4CallOptions =>
  options.providerOptions?.[key]?.["store"] === false
    ? { ...options, prompt: options.prompt.map((message) => withRequestsOf(message, key)) }
    : options

const withRequestsOf = (message: LanguageModelV4Message, key: string): LanguageModelV4Message =>
  message.role !== "assistant" ? message : {
    ...message,
    content: message.content.flatMap((part) => {
      const request = part.type === "tool-call" ? part.providerOptions?.["openai"]?.["approvalRequest"] : undefined
      return isObject(request) ? [part, pack(request, key)] : [part]
    })
  }

const pack = (request: object, key: string): LanguageModelV4CustomPart => ({
  type: "custom",
  kind: "openai.compaction",
  providerOptions: { [key]: { itemId: mark, encryptedContent: mark + JSON.stringify(request) } }
})

const unpacked = (value: unknown): unknown =>
  hasProperty(value, "encrypted_content") && typeof value.encrypted_content === "string" &&
    value.encrypted_content.startsWith(mark)
    ? JSON.parse(value.encrypted_content.slice(mark.length))
    : value
