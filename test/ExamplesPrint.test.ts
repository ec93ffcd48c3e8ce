import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream, Terminal } from "effect"
import { plain, printer } from "../examples/lib/print.ts"
import * as Agent from "../src/Agent.ts"
import * as Scripted from "../src/Llm/Scripted.ts"
import * as Tool from "../src/Tool.ts"

// Hides text, clears the screen, writes into the clipboard, goes back in the line, turns the direction of text around.
const commands = "\u001b[8m\u009b2J\u001b]52;c;aGk=\u0007\r\b\u007f\u202e\u2066"

describe("The examples' printer", () => {
  it.effect("prints nothing of a model or a tool that would command the terminal", () =>
    Effect.gen(function*() {
      const printed: Array<string> = []
      const terminal = Terminal.make({
        columns: Effect.succeed(80),
        rows: Effect.succeed(24),
        size: Effect.die("no size"),
        readInput: Effect.die("no input"),
        readLine: Effect.die("no input"),
        display: (text) => Effect.sync(() => printed.push(text))
      })
      const tool = Tool.fn("get", { description: "" }, () => Effect.fail(`bad ${commands} result`))
      const agent = Agent.make(`agent ${commands}`, { tools: [tool] })
      yield* Agent.run(agent, "Go.").pipe(
        Stream.runForEach(printer({ names: true })),
        Effect.provideService(Terminal.Terminal, terminal)
      )
      const text = printed.join("")
      assert.include(text, "bad [8m2J]52;c;aGk= result")
      assert.include(text, "A line\n\tand another")
      // It has no colours of its own where nobody looks.
      assert.notMatch(text, /[^\P{Cc}\n\t]|[\u202e\u2066]/u)
    }).pipe(Effect.provide(Scripted.model([
      Scripted.toolCall("get", { [commands]: commands }),
      `A line\n\tand another${commands}`
    ]))))

  it("leaves any other text as it is", () => {
    assert.strictEqual(plain("Grüße, 日本\n\t👩‍🚀"), "Grüße, 日本\n\t👩‍🚀")
  })
})
