/**
 * Answers what an MCP server asks its user, with the decisions of `Approvals`.
 *
 * @internal
 */
import type * as McpClient from "effect/ai/McpClient"
import type * as McpClientError from "effect/ai/McpClientError"
import type * as McpSchema from "effect/ai/McpSchema"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as JsonSchema from "effect/JsonSchema"
import { hasProperty, isObject, isReadonlyObject, isString } from "effect/Predicate"
import * as Schema from "effect/Schema"
import * as SchemaRepresentation from "effect/SchemaRepresentation"
import type { Approvals } from "../../Approvals.ts"
import { errorMessage } from "../errorMessage.ts"
import { decisionOn } from "./approval.ts"
import { isDeeper } from "./bounds.ts"
import * as RequestContext from "./requestContext.ts"
import { CurrentTool, type ToolContext } from "./toolContext.ts"

/** The tool that such a question counts as. */
export const elicitationTool = "elicitation"

/** A question: a message, and the JSON schema of an object. */
export interface Question {
  readonly message: string
  readonly requestedSchema: JsonSchema.JsonSchema
}

/** The answer, as it goes to the server. */
export type Reply = { readonly action: "accept"; readonly content: object } | { readonly action: "decline" | "cancel" }

/** The question of a request that asks the user something; no other request, nor a question that is no form. */
export const questionOf = (request: unknown): Question | undefined => {
  if (!hasProperty(request, "method") || request.method !== "elicitation/create") return undefined
  const params = hasProperty(request, "params") ? request.params : undefined
  if (!hasProperty(params, "message") || !isString(params.message)) return undefined
  if (!hasProperty(params, "requestedSchema") || !isReadonlyObject(params.requestedSchema)) return undefined
  return { message: params.message, requestedSchema: params.requestedSchema }
}

/** Puts the question up for a decision, in the name of a tool call. */
export const answer = Effect.fnUntraced(function*(
  approvals: Approvals["Service"],
  tool: ToolContext,
  question: Question
): Effect.fn.Return<Reply> {
  if (isDeeper(question, tool.maxDepth)) return { action: "decline" }
  const { message, requestedSchema } = question
  const params = { message, requestedSchema }
  const check = checkOf(requestedSchema)
  const decision = yield* decisionOn(approvals, { ...tool, name: elicitationTool, params }, check)
  if (decision._tag === "Rejected") return { action: "decline" }
  if (decision._tag === "Expired") return cancelled
  const content = decision.params ?? defaultsOf(requestedSchema)
  // Who agrees without an answer has not said what the server has to know.
  return isObject(content) && (yield* check(content)) === undefined
    ? { action: "accept", content }
    : cancelled
})

/** The calls under way of one connection, for questions that don't say which of them they belong to. */
export interface Calls {
  readonly add: <A, E, R>(call: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** Answers in the name of this fiber's call, else of the newest one, for as long as that lasts. */
  readonly answer: (question: Question) => Effect.Effect<Reply>
}

export const makeCalls = (approvals: Approvals["Service"]): Calls => {
  const calls = new Set<
    { readonly tool: ToolContext; readonly context: unknown; readonly ended: Deferred.Deferred<void> }
  >()
  return {
    add: (call) =>
      Effect.flatMap(
        Effect.all([CurrentTool, RequestContext.Current, Deferred.make<void>()]),
        ([tool, context, ended]) => {
          const entry = { tool, context, ended }
          return Effect.ensuring(
            Effect.suspend(() => {
              calls.add(entry)
              return call
            }),
            Effect.suspend(() => {
              calls.delete(entry)
              return Deferred.succeed(ended, undefined)
            })
          )
        }
      ),
    answer: (question) =>
      Effect.withFiber((fiber) => {
        const own = fiber.getRef(CurrentTool)
        const all = Array.from(calls)
        const call = all.findLast(({ tool }) => tool === own) ?? all.at(-1)
        if (call === undefined) return Effect.succeed(cancelled)
        return Effect.raceFirst(
          Effect.provideService(answer(approvals, call.tool, question), RequestContext.Current, call.context),
          Effect.as(Deferred.await(call.ended), cancelled)
        )
      })
  }
}

/**
 * The transport, which tells the server that it can ask, and answers a call that comes back because of questions with a
 * call that has the answers. Other questions come in the middle of a call: see `mcpTransport`.
 */
export const answering = (transport: McpClient.Transport, calls: Calls): McpClient.Transport => ({
  ...transport,
  request: (message, tool) => {
    const asked = withCapability(message)
    return message.method === "initialize"
      ? transport.request(asked, tool)
      : calls.add(send(transport, calls, asked, tool))
  }
})

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const cancelled: Reply = { action: "cancel" }

type Request = McpSchema.JsonRpcRequest

const checkOf = (requestedSchema: JsonSchema.JsonSchema): (content: unknown) => Effect.Effect<string | undefined> => {
  const check = Effect.try({
    try: () => SchemaRepresentation.fromJsonSchemaDocument(JsonSchema.fromSchemaDraft2020_12(requestedSchema)),
    catch: errorMessage
  })
  return (content) =>
    // The schema of JSON requires no service.
    Effect.flatMap(check, (schema) => Schema.decodeUnknownEffect(schema as Schema.Codec<unknown>)(content)).pipe(
      Effect.match({ onFailure: errorMessage, onSuccess: () => undefined })
    )
}

const defaultsOf = ({ properties }: JsonSchema.JsonSchema): object =>
  isObject(properties)
    ? Object.fromEntries(
      Object.entries(properties).flatMap(([name, schema]) =>
        hasProperty(schema, "default") ? [[name, schema.default]] : []
      )
    )
    : {}

/** Forms are what a decision can answer. */
const capability = { elicitation: { form: {} } }

const metaKey = "io.modelcontextprotocol/clientCapabilities"

const withCapability = (message: Request): Request => {
  const { params = {} } = message
  if (message.method === "initialize") {
    return { ...message, params: { ...params, capabilities: { ...asRecord(params["capabilities"]), ...capability } } }
  }
  const meta = asRecord(params["_meta"])
  if (!(metaKey in meta)) return message
  const capabilities = { ...asRecord(meta[metaKey]), ...capability }
  return { ...message, params: { ...params, _meta: { ...meta, [metaKey]: capabilities } } }
}

const asRecord = (value: unknown): Record<string, unknown> => isObject(value) ? { ...value } : {}

/** More rounds than any form has pages: a server that only ever asks gets no further. */
const maxRounds = 20

const send = Effect.fnUntraced(function*(
  transport: McpClient.Transport,
  calls: Calls,
  message: Request,
  tool: McpSchema.Tool | undefined
): Effect.fn.Return<McpSchema.JsonRpcResponse, McpClientError.McpClientError> {
  let request = message
  for (let round = 1;; round++) {
    const response = yield* transport.request(request, tool)
    const questions = questionsIn(response)
    if (questions === undefined || round > maxRounds) return response
    const inputResponses: Record<string, Reply> = {}
    for (const [key, question] of questions.all) inputResponses[key] = yield* calls.answer(question)
    const params = { ...message.params, inputResponses, ...questions.state }
    request = { ...message, id: `${message.id}-${round}`, params }
  }
})

/** What a call came back for, if that is nothing but questions. */
const questionsIn = (response: McpSchema.JsonRpcResponse) => {
  const result = "result" in response ? response.result : undefined
  if (!hasProperty(result, "resultType") || result.resultType !== "input_required") return undefined
  const requests = hasProperty(result, "inputRequests") && isObject(result.inputRequests) ? result.inputRequests : {}
  const all: Array<readonly [string, Question]> = []
  for (const [key, request] of Object.entries(requests)) {
    const question = questionOf(request)
    if (question === undefined) return undefined
    all.push([key, question])
  }
  return { all, state: hasProperty(result, "requestState") ? { requestState: result.requestState } : {} }
}
