/**
 * The tools of an MCP server.
 *
 * @internal
 */
import type * as McpClient from "effect/ai/McpClient"
import type * as McpClientError from "effect/ai/McpClientError"
import type * as McpSchema from "effect/ai/McpSchema"
import * as AiTool from "effect/ai/Tool"
import * as Effect from "effect/Effect"
import { hasProperty, isObject } from "effect/Predicate"
import { defaultBounds, isDeeper } from "./bounds.ts"
import { effectOf } from "./mcpClient.ts"
import { partOf, partsOf, toOutcome } from "./mcpContent.ts"
import type { EffectClass, Outcome } from "./outcome.ts"
import { distinctNames } from "./toolName.ts"

/**
 * A tool as an MCP server describes it.
 *
 * @since 0.1.0
 * @category models
 */
export interface McpTool
  extends Pick<McpSchema.Tool, "name" | "title" | "description" | "inputSchema" | "annotations">
{}

/** A tool with the name that the model knows it by. */
export interface NamedMcpTool {
  readonly tool: McpTool
  readonly definition: AiTool.Any
  readonly effect: EffectClass
  readonly call: (params: unknown) => Effect.Effect<Outcome, McpClientError.McpClientError>
}

/** How the tools of a server are chosen and named. */
export interface Selection {
  readonly filter?: ((tool: McpTool) => boolean) | undefined
  readonly rename?: ((name: string) => string) | undefined
  readonly prefix?: string | undefined
  readonly resources?: boolean | undefined
}

export const discover = Effect.fnUntraced(function*(
  client: McpClient.McpClient,
  { filter = () => true, prefix = "", rename = (name) => name, resources = false }: Selection
): Effect.fn.Return<ReadonlyArray<NamedMcpTool>, McpClientError.McpClientError> {
  const offered = (yield* client.listTools()).map((tool): Offered => ({
    tool,
    call: (params) => Effect.map(client.callTool({ tool, arguments: asArguments(params) }), fromResult)
  }))
  const chosen: Array<Offered> = []
  for (const entry of resources ? [...offered, ...resourceTools(client)] : offered) {
    const { inputSchema, name } = entry.tool
    if (!filter(entry.tool)) continue
    if (isDeeper(inputSchema, defaultBounds.maxDepth)) {
      yield* Effect.logWarning(`Tool.fromMcp: ${JSON.stringify(name)} is left out, its parameters are nested too deep`)
      continue
    }
    chosen.push(entry)
  }
  const names = distinctNames(chosen.map(({ tool }) => `${prefix}${rename(tool.name)}`))
  return chosen.map(({ call, tool }, index) => ({
    tool,
    definition: AiTool.dynamic(names[index]!, { description: tool.description, parameters: tool.inputSchema }),
    effect: effectOf(tool),
    call
  }))
})

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

interface Offered {
  readonly tool: McpTool
  readonly call: NamedMcpTool["call"]
}

const asArguments = (params: unknown): Record<string, unknown> => isObject(params) ? { ...params } : {}

const fromResult = ({ content, isError = false, structuredContent }: McpSchema.CallToolResult): Outcome => {
  const outcome = toOutcome(partsOf(content))
  if (isError) return { ...outcome, isFailure: true }
  return structuredContent === undefined ? outcome : { ...outcome, result: structuredContent }
}

/** The resources of the server, for the model to look for and to read. */
const resourceTools = (client: McpClient.McpClient): ReadonlyArray<Offered> => [
  {
    tool: {
      name: "list_resources",
      description: "Lists what can be read with read_resource",
      inputSchema: { type: "object", properties: {} },
      annotations: { readOnlyHint: true }
    },
    call: () =>
      Effect.map(client.listResources(), (resources) => ({
        result: resources.map(({ description = "", mimeType = "", name, uri }) => ({
          uri,
          name,
          description,
          mimeType
        })),
        isFailure: false
      }))
  },
  {
    tool: {
      name: "read_resource",
      description: "Reads a resource",
      inputSchema: { type: "object", properties: { uri: { type: "string" } }, required: ["uri"] },
      annotations: { readOnlyHint: true }
    },
    call: (params) => {
      const uri = hasProperty(params, "uri") ? String(params.uri) : ""
      return Effect.map(client.readResource({ uri }), ({ contents }) => toOutcome(contents.map(partOf)))
    }
  }
]
