import { NodeHttpClient, NodeHttpServer, NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Ref } from "effect"
import { McpClient, McpClientError, McpProtocol, McpServer } from "effect/ai"
import { HttpRouter, HttpServer } from "effect/http"
import { ChildProcess } from "effect/process"
import { createServer } from "node:http"
import { fileURLToPath } from "node:url"
import * as Agent from "../src/Agent.ts"
import * as Scripted from "../src/Llm/Scripted.ts"
import * as Tool from "../src/Tool.ts"
import { collect, results } from "./fixtures/agents.ts"

const protocol = McpProtocol.v2025_11_25

/** An agent that answers with its last prompt's words, or fails. */
const echo = Agent.make("echo", {
  model: Scripted.model(({ prompt }) =>
    JSON.stringify(prompt.content.at(-1)!.content).includes("break") ? Scripted.cut : "You said so."
  )
})

const serve = HttpRouter.serve(
  McpServer.layerHttp({
    name: "echo",
    version: "1.0.0",
    path: "/mcp",
    protocols: [protocol],
    registrations: Agent.toMcp(echo, { description: "Echoes", name: "ask_echo" })
  }),
  { disableLogger: true, disableListenLog: true }
).pipe(Layer.provideMerge(NodeHttpServer.layer(createServer, { port: 0 })))

const overHttp = Effect.gen(function*() {
  const { address } = yield* HttpServer.HttpServer
  assert(address._tag !== "UnixPathAddress")
  const transport = McpClient.http({ url: `http://127.0.0.1:${address.port}/mcp`, protocol })
  return McpClient.make({ name: "test", version: "1.0.0" }).pipe(
    Effect.provideServiceEffect(McpClient.Transport, transport)
  )
})

const asking = (...prompts: ReadonlyArray<string>) =>
  Scripted.model([prompts.map((prompt) => Scripted.toolCall("ask_echo", { prompt })), "Done."])

describe("MCP", () => {
  it.live("an agent served over HTTP is a tool of another one, and its failures are failed results", () =>
    Effect.gen(function*() {
      const tools = yield* Tool.fromMcp(yield* overHttp)
      const agent = Agent.make("client", { tools })
      const events = yield* collect(Agent.run(agent, "Ask."))
      const [answer, failed] = results(events)
      assert.deepStrictEqual(answer, { answer: "You said so." })
      assert.include(String(failed), "without a finish reason")
    }).pipe(
      Effect.scoped,
      Effect.provide(asking("Hello?", "Please break.")),
      Effect.provide(Layer.mergeAll(serve, NodeHttpClient.layerUndici))
    ))

  it.live("an agent served over stdio is a tool of another one", () =>
    Effect.gen(function*() {
      const script = fileURLToPath(new URL("fixtures/mcpServer.ts", import.meta.url))
      const transport = McpClient.stdio({ command: ChildProcess.make(process.execPath, [script]), protocol })
      const connect = McpClient.make({ name: "test", version: "1.0.0" }).pipe(
        Effect.provideServiceEffect(McpClient.Transport, transport)
      )
      const tools = yield* Tool.fromMcp(connect, { prefix: "remote_" })
      const events = yield* collect(Agent.run(Agent.make("client", { tools }), "Greet."))
      assert.deepStrictEqual(results(events), [{ answer: "Hello!" }])
    }).pipe(
      Effect.scoped,
      Effect.provide(Scripted.model([Scripted.toolCall("remote_greeter", { prompt: "Hi" }), "Done."])),
      Effect.provide(NodeServices.layer)
    ))

  it.live("a connection that breaks is made anew at the next call; a call of unknown effect is not run again", () =>
    Effect.gen(function*() {
      const connections = yield* Ref.make(0)
      const calls = yield* Ref.make(0)
      const connect = yield* overHttp
      const flaky = Effect.gen(function*() {
        const client = yield* connect
        const number = yield* Ref.updateAndGet(connections, (n) => n + 1)
        const broken = Effect.andThen(
          Ref.update(calls, (n) => n + 1),
          Effect.fail(
            new McpClientError.McpClientError({
              reason: new McpClientError.TransportError({ description: "connection reset" })
            })
          )
        )
        const callTool = (...args: Parameters<typeof client.callTool>) =>
          number === 1 ? broken : Effect.andThen(Ref.update(calls, (n) => n + 1), client.callTool(...args))
        return { ...client, callTool: callTool as typeof client.callTool }
      })
      const tools = yield* Tool.fromMcp(flaky)
      const agent = Agent.make("client", { tools })
      const run = () => collect(Agent.run(agent, "Ask.")).pipe(Effect.provide(asking("Hello?")))
      assert.deepStrictEqual(results(yield* run()), ["connection reset"])
      assert.deepStrictEqual(results(yield* run()), [{ answer: "You said so." }])
      assert.strictEqual(yield* Ref.get(connections), 2)
      assert.strictEqual(yield* Ref.get(calls), 2)
    }).pipe(Effect.scoped, Effect.provide(Layer.mergeAll(serve, NodeHttpClient.layerUndici))))
})
