/**
 * A chat in the terminal with an agent that is an actor and remembers the conversation.
 *
 * Shows: spawning an agent, streaming its answer, a conversation that goes on from prompt to prompt, a reset.
 * Run: `node examples/agent-chat.ts` (after `npm run build`). Set OPENAI_API_KEY for a real model.
 */
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { DateTime, Effect, Schema, Stream, Terminal } from "effect"
import { ActorSystem, Agent, Scripted, Tool } from "effect-troupe"
import { openAiOr, questionOf } from "./lib/models.ts"
import { bold, dim, display, plain, printer, red } from "./lib/print.ts"

const now = Tool.fn("local_time", {
  description: "The date and time here, with the time zone.",
  success: Schema.String
}, () => Effect.map(DateTime.nowInCurrentZone, DateTime.formatIsoZoned))

const companion = Agent.make("companion", {
  instructions: "You chat with the user. Be brief.",
  tools: [now],
  model: openAiOr((request) => {
    const question = questionOf(request)
    const questions = request.prompt.content.filter((message) => message.role === "user").length
    if (!/time|clock/i.test(question)) {
      return `You said "${question}". That was prompt ${questions} of this conversation.`
    }
    const last = request.prompt.content.at(-1)!
    return last.role === "tool" ? "I have looked at the clock for you." : Scripted.toolCall("local_time", {})
  })
})

/** What the user types; where nobody can type, what a user might. */
const prompts = process.stdin.isTTY
  ? Stream.fromEffectRepeat(Effect.andThen(
    display(bold("\n> ")),
    Effect.flatMap(Terminal.Terminal, (terminal) => terminal.readLine)
  ))
  : Stream.tap(
    Stream.make("Hello!", "What time is it?", "/reset", "Who am I?"),
    (line) => display(bold(`\n> ${line}\n`))
  )

const program = Effect.gen(function*() {
  const ref = yield* Agent.spawn(companion, { name: "companion" })
  yield* display(dim("An empty line or Ctrl-C ends the chat, /reset begins a new conversation.\n"))
  yield* prompts.pipe(
    Stream.takeUntil((line) => line.trim() === "", { excludeLast: true }),
    Stream.runForEach((line) =>
      line === "/reset" ? Agent.reset(ref) : Agent.stream(ref, line).pipe(
        Stream.runForEach(printer()),
        Effect.catch((error) => display(`${red("✗")} ${plain(error.message)}\n`))
      )
    )
  )
}).pipe(
  Effect.catchTag("QuitError", () => Effect.void),
  Effect.provide([ActorSystem.layer({ name: "chat" }), NodeServices.layer, DateTime.layerCurrentZoneLocal])
)

NodeRuntime.runMain(program)
