/** Chooses the quickstart's model by what the machine has, and plays one by a script where there is none. */
import { Config, Effect, Option, Schema } from "effect"
import { Ollama, OpenAi, Scripted, Transcript } from "effect-troupe"
import { FetchHttpClient, HttpClient, HttpClientResponse } from "effect/http"

const isSet = (variable: string) => Effect.map(Config.option(Config.NonEmptyString(variable)), Option.isSome)

/** The models that an Ollama server on this machine has, if one runs. */
const ollamaModels = HttpClient.get("http://127.0.0.1:11434/api/tags").pipe(
  Effect.flatMap(HttpClientResponse.schemaBodyJson(Schema.Struct({
    models: Schema.Array(Schema.Struct({ name: Schema.String }))
  }))),
  Effect.map(({ models }) => models.map((model) => model.name)),
  Effect.timeout("500 millis"),
  Effect.orElseSucceed((): ReadonlyArray<string> => []),
  Effect.provide(FetchHttpClient.layer)
)

export const chooseModel = Effect.gen(function*() {
  if ((yield* isSet("OPENAI_API_KEY")) || (yield* isSet("OPENAI_BASE_URL"))) {
    const name = yield* Config.String("OPENAI_MODEL").pipe(Config.withDefault("gpt-5-mini"))
    return { description: `${name} of OpenAI`, layer: OpenAi.model(name) }
  }
  const [local] = yield* ollamaModels
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

/** Searches for the question's most telling word, reads the best place, answers with what stands there. */
function play({ prompt }: Scripted.Request) {
  const results = prompt.content.flatMap((message) => message.role === "tool" ? message.content : [])
    .filter((part) => part.type === "tool-result")
  const question = prompt.content.findLast((message) => message.role === "user")!
  const words = Transcript.text(Transcript.user(question.content)).match(/[A-Za-z]{4,}/g) ?? []
  const matches = results.filter((result) => result.name === "search_docs" && !result.isFailure)
    .flatMap((result) => result.result as ReadonlyArray<Match>)
  const passage = results.find((result) => result.name === "read_doc")
  const word = words.toSorted((a, b) => b.length - a.length)[results.length] ?? "agent"
  if (passage !== undefined) return answer(String(passage.result), matches[0]!)
  if (matches.length > 0) return readAround(matches[0]!)
  if (results.length > 4) return "I found nothing on that in the documents."
  return [
    ...(results.length === 0 ? [Scripted.text("Let me look that up."), Scripted.toolCall("local_time", {})] : []),
    Scripted.toolCall("search_docs", { text: word })
  ]
}

const readAround = ({ document, line }: Match) =>
  Scripted.toolCall("read_doc", { document, from: Math.max(1, line - 2) })

const answer = (passage: string, { document, line, text }: Match) => {
  const paragraphs = passage.split(/\n\s*\n/)
  const found = Math.max(0, paragraphs.findIndex((paragraph) => paragraph.includes(text)))
  // A heading or an introduction says little without what it introduces.
  const telling = paragraphs.slice(found, found + (paragraphs[found]!.length < 160 ? 2 : 1)).join("\n\n")
  return [
    Scripted.delay("200 millis"),
    Scripted.text(`${document}, line ${line}, says:\n\n${telling.trim().slice(0, 700)}`)
  ]
}
