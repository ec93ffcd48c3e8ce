/** Chooses the quickstart's model by what the machine has, and plays one by a script where there is none. */
import { Config, Effect, Option } from "effect"
import { type ModelList, Ollama, OpenAi, Scripted, Transcript } from "effect-troupe"

const variable = (name: string) => Config.option(Config.NonEmptyString(name))

/** A model that an Ollama server has, if one runs. */
const ollamaModel = Effect.flatMap(Ollama.models, (list) =>
  list.pipe(
    Effect.timeout("500 millis"),
    Effect.orElseSucceed((): ReadonlyArray<ModelList.ModelInfo> => []),
    Effect.map((models) => models.find(({ id }) => !id.includes("embed"))?.id)
  ))

export const chooseModel = Effect.gen(function*() {
  const key = yield* variable("OPENAI_API_KEY")
  const address = yield* variable("OPENAI_BASE_URL")
  if (Option.isSome(key) || Option.isSome(address)) {
    const name = yield* Config.NonEmptyString("OPENAI_MODEL").pipe(Config.withDefault("gpt-5-mini"))
    const where = Option.match(address, {
      onNone: () => "of OpenAI",
      onSome: (url) => `at ${URL.parse(url)?.host ?? url}`
    })
    return { description: `${name} ${where}`, layer: OpenAi.model(name) }
  }
  const local = yield* ollamaModel
  if (local !== undefined) return { description: `${local} of Ollama`, layer: Ollama.model(local) }
  return {
    description: "scripted model (set OPENAI_API_KEY or start Ollama for a real one; the tools are real)",
    layer: Scripted.model(play)
  }
})

interface Match {
  readonly document: string
  readonly line: number
  readonly text: string
}

/** Tells the time, or searches for the question's most telling word, reads the best place, answers with what stands there. */
function play({ prompt }: Scripted.ModelRequest) {
  const results = prompt.content.flatMap((message) => message.role === "tool" ? message.content : [])
    .filter((part) => part.type === "tool-result")
  const question = prompt.content.findLast((message) => message.role === "user")!
  const asked = Transcript.text(Transcript.user(question.content)).toLowerCase()
  if (/\b(time|date|day) is\b/.test(asked)) {
    const time = results.find((result) => result.name === "local_time")
    return time === undefined ? Scripted.toolCall("local_time", {}) : `It is ${String(time.result)}.`
  }
  const words = (asked.match(/[a-z]{4,}/g) ?? []).toSorted((a, b) => b.length - a.length)
  const searches = results.filter((result) => result.name === "search_docs" && !result.isFailure)
  const matches = searches.flatMap((result) => result.result as ReadonlyArray<Match>)
  const best = matches.toSorted((a, b) => common(b, words) - common(a, words))[0]
  const passage = results.find((result) => result.name === "read_doc")
  if (best !== undefined) return passage === undefined ? readAround(best) : answer(String(passage.result), best)
  const word = words[searches.length]
  if (word === undefined || searches.length > 3) return "I found nothing on that in the documents."
  return [
    ...(results.length === 0 ? [Scripted.text("Let me look that up.")] : []),
    Scripted.toolCall("search_docs", { text: word })
  ]
}

/** A heading says what a whole passage is about. */
const common = ({ text }: Match, words: ReadonlyArray<string>) =>
  words.filter((word) => text.toLowerCase().includes(word)).length + (text.startsWith("#") ? 2 : 0)

const readAround = ({ document, line }: Match) =>
  Scripted.toolCall("read_doc", { document, from: Math.max(1, line - 2) })

const wholeLines = (text: string, limit = 700) =>
  text.length <= limit ? text : `${text.slice(0, text.lastIndexOf("\n", limit))}\n...`

const answer = (passage: string, { document, line, text }: Match) => {
  const paragraphs = passage.split(/\n\s*\n/)
  const found = Math.max(0, paragraphs.findIndex((paragraph) => paragraph.includes(text)))
  // A heading or an introduction says little without what it introduces.
  const telling = paragraphs.slice(found, found + (paragraphs[found]!.length < 160 ? 2 : 1)).join("\n\n")
  return [
    Scripted.delay("200 millis"),
    Scripted.text(`${document}, line ${line}, says:\n\n${wholeLines(telling.trim())}`)
  ]
}
