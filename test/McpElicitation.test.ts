/** What MCP servers ask their user is answered by the decisions of `Approvals`. */
import { NodeHttpClient, NodeHttpServer, NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Stream } from "effect"
import { McpClient, McpProtocol, McpServer } from "effect/ai"
import { HttpRouter, HttpServer } from "effect/http"
import { ChildProcess } from "effect/process"
import { createServer } from "node:http"
import { fileURLToPath } from "node:url"
import * as Agent from "../src/Agent.ts"
import * as Approvals from "../src/Approvals.ts"
import * as Scripted from "../src/Llm/Scripted.ts"
import * as Mcp from "../src/Mcp.ts"
import * as Tool from "../src/Tool.ts"
import { collect, only, results } from "./fixtures/agents.ts"
import { asking, asksFirst } from "./fixtures/mcpAsking.ts"

const listening = NodeHttpServer.layer(createServer, { port: 0 })

const quiet = { disableLogger: true, disableListenLog: true }

const about = { name: "asking", version: "1.0.0", path: "/mcp" } as const

const withSessions = HttpRouter.serve(
  McpServer.layerHttp({ ...about, protocols: [McpProtocol.v2025_11_25], registrations: asking }),
  quiet
).pipe(Layer.provideMerge(listening))

const withoutSessions = HttpRouter.serve(
  McpServer.layerHttp({ ...about, protocols: [McpProtocol.v2026_07_28], registrations: asksFirst }),
  quiet
).pipe(Layer.provideMerge(listening))

const client = McpClient.make({ name: "test", version: "1.0.0" })

const overHttp = (protocol: Parameters<typeof Mcp.http>[0]["protocol"]) =>
  Effect.gen(function*() {
    const { address } = yield* HttpServer.HttpServer
    assert(address._tag !== "UnixPathAddress")
    const transport = Mcp.http({ url: `http://127.0.0.1:${address.port}/mcp`, protocol })
    return yield* Tool.fromMcp(Effect.provideServiceEffect(client, McpClient.Transport, transport))
  })

const overStdio = Tool.fromMcp(Effect.provideServiceEffect(
  client,
  McpClient.Transport,
  Mcp.stdio({
    command: ChildProcess.make(process.execPath, [fileURLToPath(new URL("fixtures/mcpAsking.ts", import.meta.url))]),
    protocol: McpProtocol.v2025_11_25
  })
))

type Tools = ReadonlyArray<Tool.Tool<string>>

type Use = (tools: Tools) => Effect.Effect<void, unknown, Approvals.Approvals>

/** The ways in which servers ask, and what the model reads of a question that was answered with Ada, or declined. */
const ways = {
  inTheMiddle: {
    name: "over HTTP, in the middle of a call,",
    greeted: { greeting: "Hello, Ada" },
    declined: /declined/,
    run: (use: Use) =>
      Effect.flatMap(overHttp(McpProtocol.v2025_11_25), use).pipe(
        Effect.scoped,
        Effect.provide([withSessions, NodeHttpClient.layerUndici])
      )
  },
  before: {
    name: "over HTTP, with an answer that the next call brings,",
    greeted: JSON.stringify({ action: "accept", content: { name: "Ada" } }),
    declined: /"decline"/,
    run: (use: Use) =>
      Effect.flatMap(overHttp(McpProtocol.v2026_07_28), use).pipe(
        Effect.scoped,
        Effect.provide([withoutSessions, NodeHttpClient.layerUndici])
      )
  },
  stdio: {
    name: "over stdio",
    greeted: { greeting: "Hello, Ada" },
    declined: /declined/,
    run: (use: Use) => Effect.flatMap(overStdio, use).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  }
}

/** Lets an agent greet, and decides about each question as it comes. */
const greet = (
  tools: Tools,
  decide: (approvals: Approvals.Approvals["Service"], id: string) => Effect.Effect<unknown, unknown>,
  calls = 1
) =>
  Effect.gen(function*() {
    const approvals = yield* Approvals.Approvals
    return yield* Agent.run(Agent.make("client", { tools }), "Greet.").pipe(
      Stream.tap((event) =>
        event._tag === "ApprovalRequested" ? Effect.orDie(decide(approvals, event.approval)) : Effect.void
      ),
      collect,
      Effect.provide(Scripted.model([Array.from({ length: calls }, () => Scripted.toolCall("greet", {})), "Done."]))
    )
  })

type Way = (typeof ways)[keyof typeof ways]

const checks: Record<string, (tools: Tools, way: Way) => Effect.Effect<void, unknown, Approvals.Approvals>> = {
  "is answered by an approval whose values fit": Effect.fnUntraced(function*(tools, { greeted }) {
    const events = yield* greet(tools, (approvals, id) =>
      Effect.gen(function*() {
        const [request] = yield* approvals.list
        assert.deepInclude(request, { agent: "client", tool: "elicitation", id })
        assert.deepInclude(request!.params, { message: "Who are you?" })
        const refused = yield* Effect.flip(approvals.approve(id, { params: { name: 1 } }))
        assert.strictEqual(refused._tag, "InvalidDecision")
        yield* approvals.approve(id, { params: { name: "Ada" } })
      }))
    assert.deepStrictEqual(results(events), [greeted])
    const [asked] = only(events, "ApprovalRequested")
    assert.strictEqual(asked!.id, only(events, "ToolCall")[0]!.id)
    assert.strictEqual(only(events, "ApprovalDecided").length, only(events, "ApprovalRequested").length)
  }),

  "is declined by a rejection": Effect.fnUntraced(function*(tools, { declined }) {
    const events = yield* greet(tools, (approvals, id) => approvals.reject(id))
    assert.match(String(results(events)[0]), declined)
  }),

  "is answered by itself when calls are made side by side": Effect.fnUntraced(function*(tools) {
    let count = 0
    const answer = (approvals: Approvals.Approvals["Service"], id: string) =>
      approvals.approve(id, { params: { name: `Ada ${count++}` } })
    const events = yield* greet(tools, answer, 3)
    assert.strictEqual(new Set(results(events).map((result) => JSON.stringify(result))).size, 3)
  }),

  "is withdrawn with its call": Effect.fnUntraced(function*(tools) {
    const approvals = yield* Approvals.Approvals
    const withdrawn = yield* Effect.forkChild(
      Stream.runHead(Stream.filter(approvals.changes, ({ _tag }) => _tag === "Withdrawn"))
    )
    const asked = yield* Deferred.make<void>()
    const running = yield* Effect.forkChild(greet(tools, () => Deferred.succeed(asked, undefined)))
    yield* Deferred.await(asked)
    yield* Fiber.interrupt(running)
    assert.strictEqual((yield* Fiber.join(withdrawn))._tag, "Some")
    assert.deepStrictEqual(yield* approvals.list, [])
  })
}

describe("A question of an MCP server", () => {
  for (const way of [ways.inTheMiddle, ways.before]) {
    for (const [promise, check] of Object.entries(checks)) {
      it.live(`${way.name} ${promise}`, () =>
        way.run((tools) => check(tools, way)).pipe(Effect.provide(Approvals.layer())))
    }
  }

  it.live("over stdio keeps the same promises", () =>
    ways.stdio.run((tools) =>
      Effect.forEach(Object.values(checks), (check) => check(tools, ways.stdio), { discard: true })
    )
      .pipe(Effect.provide(Approvals.layer())))

  it.live("that nobody answers in time, or whose values are left out where some are required, is cancelled", () =>
    Effect.forEach(
      [Approvals.layer(), Approvals.layer({ expireAfter: "20 millis" })],
      (layer, index) =>
        ways.before.run(Effect.fnUntraced(function*(tools) {
          const events = yield* greet(tools, (approvals, id) => index === 0 ? approvals.approve(id) : Effect.void)
          assert.match(String(results(events)[0]), /"cancel"/)
        })).pipe(Effect.provide(layer)),
      { discard: true }
    ))
})
