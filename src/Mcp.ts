/**
 * Reads what MCP servers offer beside tools (resources and prompts), and answers what they ask their user.
 *
 * `Tool.fromMcp` makes tools of a server. Here are the parts of a prompt that a program takes from it itself, and transports
 * for servers that ask for input in the middle of a call (elicitation).
 *
 * @since 0.1.0
 */
import type * as McpClient from "effect/ai/McpClient"
import type * as McpClientError from "effect/ai/McpClientError"
import type * as McpSchema from "effect/ai/McpSchema"
import type * as Prompt from "effect/ai/Prompt"
import * as Effect from "effect/Effect"
import type * as HttpClient from "effect/http/HttpClient"
import type * as ChildProcessSpawner from "effect/process/ChildProcessSpawner"
import type * as Scope from "effect/Scope"
import type { Approvals } from "./Approvals.ts"
import { reconnecting } from "./internal/agent/mcpClient.ts"
import { partOf, partsOf } from "./internal/agent/mcpContent.ts"
import * as Transcript from "./Transcript.ts"

/**
 * A client whose connection is kept until the scope closes, and replaced when it breaks.
 *
 * An operation that finds it broken is tried once more, unless it is a call of a tool that the server does not mark as
 * read-only or idempotent, and that may have run.
 *
 * @example
 * ```ts
 * import { Effect, Ref } from "effect"
 * import { McpClient } from "effect/ai"
 * import { Agent, Mcp, Tool, Transcript } from "effect-troupe"
 *
 * const program = Effect.gen(function*() {
 *   const client = yield* Mcp.connect(McpClient.make({ name: "desk", version: "1.0.0" }))
 *   const agent = Agent.make("reviewer", { tools: yield* Tool.fromMcp(Effect.succeed(client)) })
 *   const prompts = yield* client.listPrompts()
 *   const { history, input } = Mcp.toConversation(yield* client.getPrompt({ prompt: prompts[0]! }))
 *   const readme = Mcp.toParts(yield* client.readResource({ uri: "file:///README.md" }))
 *   const transcript = yield* Ref.make(history)
 *   return Agent.run(agent, [...input, ...readme], { transcript })
 * })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const connect: <R>(
  connection: Effect.Effect<McpClient.McpClient, McpClientError.McpClientError, R>
) => Effect.Effect<McpClient.McpClient, McpClientError.McpClientError, R | Scope.Scope> = reconnecting

/**
 * As `McpClient.http`, for servers that may ask their user something: the question is on the list of `Approvals`.
 *
 * It waits there as a call of the tool `elicitation`, whose `params` are the `message` and the `requestedSchema` of the
 * server, in the place of the call that it comes from. The answer is `approve(id, { params })` with values that fit the
 * schema; without `params` its defaults are. A rejection declines, and a question that expires, or whose call is
 * interrupted, is cancelled.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { McpClient, McpProtocol } from "effect/ai"
 * import { Mcp, Tool } from "effect-troupe"
 *
 * const tools = Tool.fromMcp(
 *   McpClient.make({ name: "desk", version: "1.0.0" }).pipe(
 *     Effect.provideServiceEffect(
 *       McpClient.Transport,
 *       Mcp.http({ url: "https://mcp.example.com", protocol: McpProtocol.v2025_11_25 })
 *     )
 *   )
 * )
 * ```
 *
 * @since 0.1.0
 * @category transports
 */
export const http: (
  options: Parameters<typeof McpClient.http>[0]
) => Effect.Effect<
  McpClient.Transport,
  McpClientError.McpClientError,
  Approvals | HttpClient.HttpClient | Scope.Scope
> = (options) => Effect.flatMap(transports, ({ http }) => http(options))

/**
 * As `McpClient.stdio`, with the questions of `http`. One that comes while several calls are under way counts as one of the
 * newest.
 *
 * @since 0.1.0
 * @category transports
 */
export const stdio: (
  options: Parameters<typeof McpClient.stdio>[0]
) => Effect.Effect<
  McpClient.Transport,
  McpClientError.McpClientError,
  Approvals | ChildProcessSpawner.ChildProcessSpawner | Scope.Scope
> = (options) => Effect.flatMap(transports, ({ stdio }) => stdio(options))

/**
 * The contents of a resource as parts of a prompt: texts, images, sounds and PDFs. Of other files only the address.
 *
 * @since 0.1.0
 * @category conversions
 */
export const toParts = ({ contents }: McpSchema.ReadResourceResult): ReadonlyArray<Prompt.UserMessagePart> =>
  contents.map(partOf)

/**
 * A prompt of a server as a conversation: the messages of the user at the end are the `input` of a run, those before are
 * its `history`.
 *
 * @since 0.1.0
 * @category conversions
 */
export const toConversation = (
  { messages }: McpSchema.GetPromptResult
): { readonly history: Transcript.Transcript; readonly input: ReadonlyArray<Prompt.UserMessagePart> } => {
  const start = messages.findLastIndex(({ role }) => role === "assistant") + 1
  return {
    history: Transcript.make(messages.slice(0, start).map(toEntry)),
    input: partsOf(messages.slice(start).map(({ content }) => content))
  }
}

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

/** Effect's client is loaded when it is used: it is larger than the rest of this library's imports. */
const transports = Effect.promise(() => import("./internal/agent/mcpTransport.ts"))

const toEntry = ({ content, role }: McpSchema.PromptMessage): Transcript.Entry =>
  role === "user"
    ? Transcript.user(partsOf([content]))
    : { _tag: "Answer", agent: "assistant", content: partsOf([content]) }
