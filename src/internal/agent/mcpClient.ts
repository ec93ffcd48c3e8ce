/**
 * A client of an MCP server whose connection is replaced when it breaks.
 *
 * @internal
 */
import type * as McpClient from "effect/ai/McpClient"
import type * as McpClientError from "effect/ai/McpClientError"
import type * as McpSchema from "effect/ai/McpSchema"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as RcRef from "effect/RcRef"
import type * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { EffectClass } from "./outcome.ts"

export const reconnecting = Effect.fnUntraced(function*<R>(
  connect: Effect.Effect<McpClient.McpClient, McpClientError.McpClientError, R>
): Effect.fn.Return<McpClient.McpClient, McpClientError.McpClientError, R | Scope.Scope> {
  let newest: McpClient.McpClient | undefined
  const acquire = Effect.tap(connect, (client) =>
    Effect.sync(() => {
      newest = client
    }))
  const connection = yield* RcRef.make({ acquire, idleTimeToLive: "Infinity" })
  const first = yield* Effect.scoped(RcRef.get(connection))
  const hasSessions = first.protocolVersion !== "2026-07-28"
  const using = <A, R>(
    use: (client: McpClient.McpClient) => Effect.Effect<A, McpClientError.McpClientError, R>,
    effect: EffectClass = "pure"
  ): Effect.Effect<A, McpClientError.McpClientError, R> =>
    Effect.flatMap(RcRef.get(connection), (client) =>
      Effect.tapError(use(client), (error) =>
        // Another call may have found it broken before, and replaced it.
        breaks(error, hasSessions) && client === newest ? RcRef.invalidate(connection) : Effect.void)).pipe(
        Effect.scoped,
        Effect.retry({
          times: 1,
          // Nobody knows whether a call that broke off took effect, so only one that may run twice is tried again.
          while: (error) => effect === "once" ? neverRan(error, hasSessions) : breaks(error, hasSessions)
        })
      )
  return {
    ...first,
    listTools: (options) => using((client) => client.listTools(options)),
    listPrompts: (options) => using((client) => client.listPrompts(options)),
    getPrompt: (params, options) => using((client) => client.getPrompt(params, options)),
    listResources: (options) => using((client) => client.listResources(options)),
    readResource: (params, options) => using((client) => client.readResource(params, options)),
    callTool: <S extends Schema.Top = never>(
      params: CallParams & { readonly schema?: S | undefined },
      options?: { readonly timeout?: Duration.Input | undefined }
      // The client behind it knows which of its overloads this is.
    ) => using((client) => client.callTool<S>(params, options), effectOf(params.tool)) as Effect.Effect<never>
  }
})

type CallParams = Omit<Parameters<McpClient.McpClient["callTool"]>[0], "schema">

/** The effect of a tool as its server tells it: what is not said to be harmless may not run twice. */
export const effectOf = ({ annotations }: Pick<McpSchema.Tool, "annotations">): EffectClass =>
  annotations?.readOnlyHint === true ? "pure" : annotations?.idempotentHint === true ? "idempotent" : "once"

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

/** Whether the connection is of no use any more. */
const breaks = (error: McpClientError.McpClientError, hasSessions: boolean): boolean =>
  error.reason._tag === "TransportError" || error.reason._tag === "ClosedError" || neverRan(error, hasSessions)

/**
 * Whether the server has only forgotten the session, as one that was started again has: it says so with a 404, and some
 * servers with a 400.
 */
const neverRan = ({ reason }: McpClientError.McpClientError, hasSessions: boolean): boolean =>
  reason._tag === "ClosedError"
    ? reason.sessionExpired === true
    : hasSessions && reason._tag === "HttpError" && (reason.status === 400 || reason.status === 404)
