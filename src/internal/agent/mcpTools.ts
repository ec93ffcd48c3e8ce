/**
 * The tools of an MCP server, over a connection that is replaced when it breaks.
 *
 * @internal
 */
import type * as McpClient from "effect/ai/McpClient"
import type * as McpClientError from "effect/ai/McpClientError"
import type * as McpSchema from "effect/ai/McpSchema"
import * as Prompt from "effect/ai/Prompt"
import * as AiTool from "effect/ai/Tool"
import * as Effect from "effect/Effect"
import { isObject } from "effect/Predicate"
import * as RcRef from "effect/RcRef"
import type * as Scope from "effect/Scope"
import type { EffectClass, Outcome } from "./outcome.ts"

export interface McpTool {
  readonly definition: AiTool.Any
  readonly effect: EffectClass
  readonly call: (params: unknown) => Effect.Effect<Outcome, McpClientError.McpClientError>
}

export const discover = Effect.fnUntraced(function*<R>(
  connect: Effect.Effect<McpClient.McpClient, McpClientError.McpClientError, R>,
  rename: (name: string) => string
): Effect.fn.Return<ReadonlyArray<McpTool>, McpClientError.McpClientError, R | Scope.Scope> {
  const connection: Connection = yield* RcRef.make({ acquire: connect, idleTimeToLive: "Infinity" })
  const retry = (effect: EffectClass) => ({ times: 1, while: effect === "once" ? neverRan : isBroken })
  const tools = yield* using(connection, (client) => client.listTools())
  return tools.map((tool) => {
    const effect = effectOf(tool)
    return {
      definition: AiTool.dynamic(rename(tool.name), {
        description: tool.description,
        parameters: tool.inputSchema
      }),
      effect,
      call: (params) => {
        const call = using(
          connection,
          (client) => client.callTool({ tool, arguments: isObject(params) ? { ...params } : {} })
        )
        return Effect.map(Effect.retry(call, retry(effect)), toOutcome)
      }
    }
  })
})

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

type Connection = RcRef.RcRef<McpClient.McpClient, McpClientError.McpClientError>

/** Uses the connection; one that breaks is given up, so that the next use connects again. */
const using = <A>(
  connection: Connection,
  use: (client: McpClient.McpClient) => Effect.Effect<A, McpClientError.McpClientError>
): Effect.Effect<A, McpClientError.McpClientError> =>
  Effect.scoped(Effect.flatMap(RcRef.get(connection), use)).pipe(
    Effect.tapError((error) => isBroken(error) ? RcRef.invalidate(connection) : Effect.void)
  )

const isBroken = ({ reason }: McpClientError.McpClientError): boolean =>
  reason._tag === "TransportError" || reason._tag === "ClosedError"

/** Nobody knows whether other calls that broke off took effect, so only those that may run twice are tried again. */
const neverRan = ({ reason }: McpClientError.McpClientError): boolean =>
  reason._tag === "ClosedError" && reason.sessionExpired === true

const effectOf = ({ annotations }: McpSchema.Tool): EffectClass =>
  annotations?.readOnlyHint === true ? "pure" : annotations?.idempotentHint === true ? "idempotent" : "once"

const toOutcome = ({ content, isError = false, structuredContent }: McpSchema.CallToolResult): Outcome => {
  const text = content.map(toText).join("\n")
  const files = content.flatMap((block) =>
    block.type === "image" || block.type === "audio"
      ? [Prompt.filePart({ mediaType: block.mimeType, data: block.data })]
      : []
  )
  return {
    result: isError ? text : structuredContent ?? text,
    isFailure: isError,
    ...(files.length > 0 && { modelOutput: [Prompt.textPart({ text }), ...files] })
  }
}

const toText = (block: McpSchema.ContentBlock): string => {
  switch (block.type) {
    case "text":
      return block.text
    case "resource_link":
      return `${block.title ?? block.name}: ${block.uri}`
    case "resource":
      return "text" in block.resource ? block.resource.text : `${block.resource.uri} (not text)`
    default:
      return `(${block.type}, ${block.mimeType})`
  }
}
