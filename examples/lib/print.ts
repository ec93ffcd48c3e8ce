/** What the agent examples share: shows a run on the terminal while it happens. */
import { Console, Effect, Terminal } from "effect"
import type { AgentEvent } from "effect-troupe"

const colour = process.stdout.isTTY && process.env["NO_COLOR"] === undefined
const paint = (code: number) => (text: string) => colour ? `\u001b[${code}m${text}\u001b[0m` : text

export const bold = paint(1)
export const dim = paint(2)
export const green = paint(32)
export const red = paint(31)
export const cyan = paint(36)

export const display = (text: string) =>
  Effect.flatMap(Terminal.Terminal, (terminal) => Effect.orDie(terminal.display(text)))

/**
 * A text that a model, a tool or a server wrote, without the characters that would command the terminal: escape codes could
 * hide text, move the cursor, or write into the clipboard. Only line breaks and tabs stay.
 */
export const plain = (text: string) => text.replaceAll(/[^\P{Cc}\n\t]|[\u202a-\u202e\u2066-\u2069]/gu, "")

/** Prints a line that has words of a model or a tool in it. */
export const say = (line: string) => Console.log(plain(line))

const oneLine = (value: unknown, width = 96) => {
  const text = plain(typeof value === "string" ? value : JSON.stringify(value)).replaceAll(/\s+/g, " ")
  return text.length > width ? `${text.slice(0, width - 1)}…` : text
}

/**
 * Prints the events of one run: text as it comes, a line for each tool call and its result, the usage at the end. With
 * `names` a line says who begins to speak.
 */
export const printer = ({ names = false } = {}) => {
  // The run that the last text was of: a member may run more than once.
  let speaker = ""
  // What stands before the cursor: pieces of text flow on, everything else begins a line.
  let flowing = false
  const line = (text: string) => {
    const out = `${flowing ? "\n\n" : ""}${text}\n`
    flowing = false
    return display(out)
  }
  return (event: AgentEvent.AgentEvent) => {
    switch (event._tag) {
      case "TextDelta": {
        const isNew = names && event.run !== speaker
        speaker = event.run
        const head = isNew ? `${flowing ? "\n" : ""}\n${bold(plain(event.agent))}\n` : flowing ? "" : "\n"
        const out = `${head}${plain(event.delta)}`
        flowing = true
        return display(out)
      }
      case "ToolCall":
        return line(`  ${cyan("→")} ${bold(plain(event.name))} ${dim(oneLine(event.params))}`)
      case "ToolResult":
        return line(
          `  ${event.isFailure ? red("✗") : green("✓")} ${bold(plain(event.name))} ${dim(oneLine(event.result))}`
        )
      case "Completed": {
        const { turns, usage } = event.response
        const tokens = (n: number | undefined) => n === undefined ? "?" : String(n)
        return line(dim(
          `${turns} ${turns === 1 ? "turn" : "turns"}, ` +
            `${tokens(usage.inputTokens.total)} tokens in, ${tokens(usage.outputTokens.total)} tokens out`
        ))
      }
      default:
        return Effect.void
    }
  }
}
