/**
 * An agent that other programs use over MCP, and an agent that uses it.
 *
 * Shows: `Agent.toMcp` (this file, started again as a child with `serve`, serves a librarian over stdio) and
 * `Tool.fromMcp` (the parent takes the child's tools as its own). Any MCP client could be in the parent's place, and any
 * MCP server in the child's; over HTTP it is `McpServer.layerHttp` and `McpClient.http`.
 * Run: `npm run build && node examples/mcp.ts`
 */
import { NodeRuntime, NodeServices, NodeStdio } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import { Agent, Scripted, Tool } from "effect-troupe"
import { McpClient, McpProtocol, McpServer } from "effect/ai"
import { ChildProcess } from "effect/process"
import { fileURLToPath } from "node:url"
import { openAiOr } from "./lib/models.ts"
import { say } from "./lib/print.ts"

const protocol = McpProtocol.v2025_11_25

const librarian = Agent.make("librarian", {
  instructions: "You know books. Answer in one sentence.",
  model: openAiOr(() => "Frankenstein is by Mary Shelley.")
})

const serve = McpServer.layerStdio({
  name: "library",
  version: "1.0.0",
  protocols: [protocol],
  registrations: Agent.toMcp(librarian, { description: "Answers questions about books" })
}).pipe(Layer.provide(NodeStdio.layer), Layer.launch)

const connect = McpClient.make({ name: "reader", version: "1.0.0" }).pipe(
  Effect.provideServiceEffect(
    McpClient.Transport,
    McpClient.stdio({
      command: ChildProcess.make(process.execPath, [fileURLToPath(import.meta.url), "serve"], { extendEnv: true }),
      protocol
    })
  )
)

const use = Effect.gen(function*() {
  const tools = yield* Tool.fromMcp(connect)
  yield* say(`the server has: ${tools.map(({ name }) => name).join(", ")}`)
  const reader = Agent.make("reader", {
    tools,
    model: openAiOr([Scripted.toolCall("librarian", { prompt: "Who wrote Frankenstein?" }), "Mary Shelley wrote it."])
  })
  const { text } = yield* Agent.response(Agent.run(reader, "Who wrote Frankenstein? Ask the librarian."))
  yield* say(text)
}).pipe(Effect.scoped, Effect.provide(NodeServices.layer))

if (process.argv[2] === "serve") NodeRuntime.runMain(serve)
else NodeRuntime.runMain(use)
