import { NodeHttpClient, NodeHttpServer, NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Layer, Scope } from "effect"
import { McpClient, McpClientError, McpProtocol, McpServer } from "effect/ai"
import { HttpRouter, HttpServer } from "effect/http"
import { ChildProcess } from "effect/process"
import { createServer } from "node:http"
import { fileURLToPath } from "node:url"
import * as Agent from "../src/Agent.ts"
import * as Scripted from "../src/Llm/Scripted.ts"
import * as Tool from "../src/Tool.ts"
import { collect, only, results } from "./fixtures/agents.ts"

const protocol = McpProtocol.v2025_11_25

/** An agent that answers with its last prompt's words, or fails. */
const echo = Agent.make("echo", {
  model: Scripted.model(({ prompt }) =>
    JSON.stringify(prompt.content.at(-1)!.content).includes("break") ? Scripted.cut : "You said so."
  )
})

const serveAt = (port: number) =>
  HttpRouter.serve(
    McpServer.layerHttp({
      name: "echo",
      version: "1.0.0",
      path: "/mcp",
      protocols: [protocol],
      registrations: Agent.toMcp(echo, { description: "Echoes", name: "ask_echo" })
    }),
    { disableLogger: true, disableListenLog: true }
  ).pipe(Layer.provideMerge(NodeHttpServer.layer(createServer, { port })))

const serve = serveAt(0)

const portOf = ({ address }: HttpServer.HttpServer["Service"]) => {
  assert(address._tag !== "UnixPathAddress")
  return address.port
}

const httpAt = (port: number) =>
  McpClient.make({ name: "test", version: "1.0.0" }).pipe(
    Effect.provideServiceEffect(McpClient.Transport, McpClient.http({ url: `http://127.0.0.1:${port}/mcp`, protocol }))
  )

const overHttp = Effect.map(HttpServer.HttpServer, (server) => httpAt(portOf(server)))

const overStdio = McpClient.make({ name: "test", version: "1.0.0" }).pipe(
  Effect.provideServiceEffect(
    McpClient.Transport,
    McpClient.stdio({
      command: ChildProcess.make(process.execPath, [fileURLToPath(new URL("fixtures/mcpServer.ts", import.meta.url))]),
      protocol
    })
  )
)

/** Connects to a server whose tools carry these hints; the first connection breaks under its first call. */
const breakingFirst = <R>(
  connect: Effect.Effect<McpClient.McpClient, McpClientError.McpClientError, R>,
  annotations: { readonly readOnlyHint: boolean },
  log: Array<string>
) =>
  Effect.map(connect, (client): McpClient.McpClient => {
    const connections = log.push("connect")
    const reset = new McpClientError.TransportError({ description: "connection reset" })
    const callTool = (...args: Parameters<typeof client.callTool>) => {
      log.push("call")
      return connections === 1
        ? Effect.fail(new McpClientError.McpClientError({ reason: reset }))
        : client.callTool(...args)
    }
    return {
      ...client,
      listTools: () => Effect.map(client.listTools(), (tools) => tools.map((tool) => ({ ...tool, annotations }))),
      callTool: callTool as typeof client.callTool
    }
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
      const tools = yield* Tool.fromMcp(overStdio, { prefix: "remote/" })
      const events = yield* collect(Agent.run(Agent.make("client", { tools }), "Greet."))
      assert.deepStrictEqual(results(events), [{ answer: "Hello!" }])
    }).pipe(
      Effect.scoped,
      Effect.provide(Scripted.model([Scripted.toolCall("remote_greeter", { prompt: "Hi" }), "Done."])),
      Effect.provide(NodeServices.layer)
    ))

  it.live("a server process that dies is a failed result, and is started again for the next call", () =>
    Effect.gen(function*() {
      const tools = yield* Tool.fromMcp(overStdio)
      const events = yield* collect(Agent.run(Agent.make("client", { tools }), "Greet."))
      const [died, ...greetings] = only(events, "ToolResult")
      assert.isTrue(died!.isFailure)
      assert.match(String(died!.result), /MCP/)
      assert.deepStrictEqual(greetings.map(({ result }) => result), [{ answer: "Hello!" }, { answer: "Hello!" }])
    }).pipe(
      Effect.scoped,
      Effect.provide(Scripted.model([
        Scripted.toolCall("greeter", { prompt: "Please die" }),
        [Scripted.toolCall("greeter", { prompt: "Hi" }), Scripted.toolCall("greeter", { prompt: "Ho" })],
        "Done."
      ])),
      Effect.provide(NodeServices.layer)
    ))

  it.live("an HTTP server that was started again has forgotten the session: a new one is made, and the call runs", () =>
    Effect.gen(function*() {
      const start = Effect.fnUntraced(function*(port: number) {
        const scope = yield* Scope.make()
        const services = yield* Layer.buildWithScope(serveAt(port), scope)
        return { port: portOf(Context.get(services, HttpServer.HttpServer)), stop: Scope.close(scope, Exit.void) }
      })
      const first = yield* start(0)
      const tools = yield* Tool.fromMcp(httpAt(first.port))
      const run = () =>
        collect(Agent.run(Agent.make("client", { tools }), "Ask.")).pipe(Effect.provide(asking("Hello?")))
      assert.deepStrictEqual(results(yield* run()), [{ answer: "You said so." }])
      yield* first.stop
      const second = yield* start(first.port)
      assert.deepStrictEqual(results(yield* run()), [{ answer: "You said so." }])
      yield* second.stop
      assert.match(String(results(yield* run())[0]), /MCP/)
      const third = yield* start(first.port)
      assert.deepStrictEqual(results(yield* run()), [{ answer: "You said so." }])
      yield* third.stop
    }).pipe(Effect.scoped, Effect.provide(NodeHttpClient.layerUndici)))

  it.live("a connection that breaks is made anew at the next call; only what may run twice is tried again", () =>
    Effect.gen(function*() {
      const connect = yield* overHttp
      for (const readOnlyHint of [false, true]) {
        const log: Array<string> = []
        const tools = yield* Tool.fromMcp(breakingFirst(connect, { readOnlyHint }, log))
        const run = () =>
          collect(Agent.run(Agent.make("client", { tools }), "Ask.")).pipe(Effect.provide(asking("Hello?")))
        const first = results(yield* run())
        assert.deepStrictEqual(first, readOnlyHint ? [{ answer: "You said so." }] : ["connection reset"])
        assert.deepStrictEqual(results(yield* run()), [{ answer: "You said so." }])
        assert.deepStrictEqual(log, ["connect", "call", "connect", "call", ...(readOnlyHint ? ["call"] : [])])
      }
    }).pipe(Effect.scoped, Effect.provide(Layer.mergeAll(serve, NodeHttpClient.layerUndici))))
})
