/** How tools, resources and prompts of MCP servers are taken, whatever the servers do. */
import { NodeHttpClient } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Ref, Schema, Stream } from "effect"
import { Prompt } from "effect/ai"
import * as Agent from "../src/Agent.ts"
import * as Approvals from "../src/Approvals.ts"
import * as Scripted from "../src/Llm/Scripted.ts"
import * as Mcp from "../src/Mcp.ts"
import * as Tool from "../src/Tool.ts"
import { collect, lines, only, results } from "./fixtures/agents.ts"
import { refused } from "./fixtures/badOptions.ts"
import * as Wire from "./fixtures/mcpWire.ts"

const live = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.provide(Effect.scoped(effect), NodeHttpClient.layerUndici)

/** The tools of a server that answers like this. */
const taking = (answer: (message: Wire.Message) => Wire.Answer, options?: Tool.FromMcpOptions) =>
  Effect.flatMap(
    Wire.serve(answer),
    ({ asked, connect }) => Effect.map(Tool.fromMcp(connect, options), (tools) => ({ tools, asked }))
  )

const names = (tools: ReadonlyArray<{ readonly name: string }>) => tools.map(({ name }) => name)

/** Calls each of the tools once. */
const calling = <R>(tools: ReadonlyArray<Tool.Tool<string, R>>, params: object = {}) =>
  collect(Agent.run(Agent.make("client", { tools }), "Go.")).pipe(
    Effect.provide(Scripted.model([tools.map(({ name }) => Scripted.toolCall(name, params)), "Done."]))
  )

describe("Tool.fromMcp", () => {
  for (const status of [400, 404]) {
    it.live(`connects again to a server that was started again and answers the old session with ${status}`, () =>
      live(Effect.gen(function*() {
        let restarted = false
        const { asked, tools } = yield* taking((message) => {
          if (message.method === "tools/call" && !restarted) {
            restarted = true
            return { status }
          }
          return Wire.tools("greet")(message)
        })
        const [result] = results(yield* calling(tools))
        assert.strictEqual(result, "[\"greet\",{}]")
        const methods = asked().filter((method) => method !== "DELETE" && method !== "notifications/initialized")
        assert.deepStrictEqual(methods, ["initialize", "tools/list", "tools/call", "initialize", "tools/call"])
      })))
  }

  it.live("a server that refuses each call is asked twice, and the result is failed", () =>
    live(Effect.gen(function*() {
      const { asked, tools } = yield* taking((message) =>
        message.method === "tools/call" ? { status: 400 } : Wire.tools("greet")(message)
      )
      const [result] = only(yield* calling(tools), "ToolResult")
      assert.deepStrictEqual([result!.isFailure, result!.result], [true, "MCP HTTP status 400"])
      assert.strictEqual(asked().filter((method) => method === "tools/call").length, 2)
    })))

  it.live("a call that takes too long is a failed result, also where the connection hangs", () =>
    live(Effect.gen(function*() {
      const { tools } = yield* taking(
        (message) => message.method === "tools/call" ? "hang" : Wire.tools("greet")(message),
        { timeout: "20 millis" }
      )
      const [result] = only(yield* calling(tools), "ToolResult")
      assert.isTrue(result!.isFailure)
      assert.match(String(result!.result), /^Tool greet timed out after 20ms; whether it took effect is unknown/)
    })))

  it.live("takes the tools that the filter chooses, under other names", () =>
    live(Effect.gen(function*() {
      const { tools } = yield* taking(Wire.tools("read", "write", "delete"), {
        filter: ({ name }) => name !== "delete",
        rename: (name) => `${name} file`,
        prefix: "files/"
      })
      assert.deepStrictEqual(names(tools), ["files_read_file", "files_write_file"])
      assert.deepStrictEqual(results(yield* calling(tools)), ["[\"read\",{}]", "[\"write\",{}]"])
    })))

  it.live("tells names apart that are the same once they are ones that a tool can have", () =>
    live(Effect.gen(function*() {
      const long = "x".repeat(70)
      const { tools } = yield* taking(Wire.tools("a.b", "a/b", "a_b", long, `${long}y`, "日本", "final_answer"))
      const x = "x".repeat(64)
      assert.deepStrictEqual(names(tools), [
        "a_b_2",
        "a_b_3",
        "a_b",
        x,
        `${x.slice(0, 60)}_2`,
        "_",
        "final_answer_2"
      ])
      const called = results(yield* calling(tools)).map((result) => JSON.parse(String(result))[0])
      assert.deepStrictEqual(called, ["a.b", "a/b", "a_b", long, `${long}y`, "日本", "final_answer"])
    })))

  it.live("a server's final_answer does not stand in the way of a value", () =>
    live(Effect.gen(function*() {
      const { tools } = yield* taking(Wire.tools("final_answer"))
      const value = yield* Agent.object(Agent.make("client", { tools }), "Go.", Schema.Struct({ n: Schema.Int })).pipe(
        Effect.provide(Scripted.model([
          Scripted.toolCall("final_answer_2", {}),
          Scripted.toolCall("final_answer", { n: 1 })
        ]))
      )
      assert.deepStrictEqual(value, { n: 1 })
    })))

  it.live("calls wait for approval where they need it, by their tool and arguments", () =>
    live(Effect.gen(function*() {
      const server = yield* Wire.serve(Wire.tools("read", "write"))
      const tools = yield* Tool.fromMcp(server.connect, {
        needsApproval: ({ name }, params) => name === "write" && JSON.stringify(params).includes("secret")
      })
      const approvals = yield* Approvals.Approvals
      const agent = Agent.make("client", { tools })
      const events = yield* Agent.run(agent, "Go.").pipe(
        Stream.tap((event) =>
          event._tag === "ApprovalRequested"
            ? Effect.andThen(
              Effect.ignore(approvals.approve(event.approval, { params: "text" })),
              approvals.approve(event.approval, { params: { file: "public" } })
            )
            : Effect.void
        ),
        collect,
        Effect.provide(Scripted.model([
          [
            Scripted.toolCall("read", { file: "secret" }),
            Scripted.toolCall("write", { file: "open" }),
            Scripted.toolCall("write", { file: "secret" })
          ],
          "Done."
        ]))
      )
      assert.strictEqual(only(events, "ApprovalRequested").length, 1)
      assert.sameMembers(results(events).map(String), [
        "[\"read\",{\"file\":\"secret\"}]",
        "[\"write\",{\"file\":\"open\"}]",
        "[\"write\",{\"file\":\"public\"}]"
      ])
    })).pipe(Effect.provide(Approvals.layer())))

  it.live("results that are nested too deep are failed, and tools whose parameters are so are left out", () =>
    live(Effect.gen(function*() {
      let deep: object = {}
      for (let level = 0; level < 4000; level++) deep = { properties: deep }
      const { tools } = yield* taking((message) =>
        message.method === "tools/call"
          ? { result: { content: [], structuredContent: deep } }
          : Wire.tools("fine", { name: "deep", inputSchema: { type: "object", ...deep } })(message)
      )
      assert.deepStrictEqual(names(tools), ["fine"])
      const [result] = only(yield* calling(tools), "ToolResult")
      assert.deepStrictEqual([result!.isFailure, result!.result], [
        true,
        "The tool answered with a result that is nested deeper than 128 levels"
      ])
    })))

  it.live("lets a model look for resources and read them", () =>
    live(Effect.gen(function*() {
      const { tools } = yield* taking((message) => {
        switch (message.method) {
          case "resources/list":
            return { result: { resources: [{ uri: "file:///a.txt", name: "a", description: "The first" }] } }
          case "resources/read":
            return {
              result: {
                contents: [
                  { uri: message.params["uri"], text: "All of it" },
                  { uri: "file:///a.png", mimeType: "image/png", blob: "AAAA" },
                  { uri: "file:///a.bin", blob: "AAAA" }
                ]
              }
            }
          default:
            return Wire.tools("list_resources")(message)
        }
      }, { resources: true, prefix: "docs_" })
      assert.deepStrictEqual(names(tools), ["docs_list_resources", "docs_list_resources_2", "docs_read_resource"])
      const [, list, content] = results(yield* calling(tools, { uri: "file:///a.txt" }))
      assert.deepStrictEqual(list, [{ uri: "file:///a.txt", name: "a", description: "The first", mimeType: "" }])
      assert.strictEqual(content, "All of it\n(image/png)\nfile:///a.bin (unknown, not text)")
    })))

  it("that can't wait is refused where it is made", () => {
    refused({
      "Tool.fromMcp: timeout must be a positive duration, got 0": () => Tool.fromMcp(Effect.never, { timeout: 0 })
    })
  })
})

describe("Mcp", () => {
  it.live("reads resources and prompts, also after the server was started again", () =>
    live(Effect.gen(function*() {
      const forgotten = new Set<string>()
      const { connect } = yield* Wire.serve(({ method }) => {
        if (!forgotten.has(method)) {
          forgotten.add(method)
          return { status: 404 }
        }
        switch (method) {
          case "prompts/list":
            return { result: { prompts: [{ name: "review" }] } }
          case "prompts/get":
            return {
              result: {
                messages: [
                  { role: "user", content: { type: "text", text: "Hello" } },
                  { role: "assistant", content: { type: "text", text: "What shall I review?" } },
                  { role: "user", content: { type: "text", text: "This:" } },
                  { role: "user", content: { type: "resource", resource: { uri: "file:///a", text: "code" } } }
                ]
              }
            }
          default:
            return { result: { contents: [{ uri: "file:///a.pdf", mimeType: "application/pdf", blob: "AAAA" }] } }
        }
      })
      const client = yield* Mcp.connect(connect)
      const [prompt] = yield* client.listPrompts()
      const { history, input } = Mcp.toConversation(yield* client.getPrompt({ prompt: prompt! }))
      const resource = Mcp.toParts(yield* client.readResource({ uri: "file:///a.pdf" }))
      assert.deepStrictEqual(resource, [
        Prompt.filePart({ mediaType: "application/pdf", data: new Uint8Array(3) })
      ])
      const transcript = yield* Ref.make(history)
      yield* collect(Agent.run(Agent.make("reviewer"), input, { transcript }))
      assert.deepStrictEqual(lines(yield* Ref.get(transcript)), [
        "user: Hello",
        "text: What shall I review?",
        "user: This:code",
        "text: Fine."
      ])
    })).pipe(Effect.provide(Scripted.model(["Fine."]))))
})
