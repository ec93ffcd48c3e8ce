/**
 * An agent that answers questions about this repository from its own documents, streamed to the terminal.
 *
 * Shows: tools over real files, a run as a stream of events, a model chosen by what the machine has.
 * Run: `npm run quickstart -- "How does an agent stop?"`
 */
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { DateTime, Effect, FileSystem, Layer, Path, Schema, Stream } from "effect"
import { Agent, Tool } from "effect-troupe"
import { fileURLToPath } from "node:url"
import { bold, dim, display, plain, printer, red } from "./lib/print.ts"
import { chooseModel } from "./lib/quickstartModel.ts"

const root = fileURLToPath(new URL("..", import.meta.url))

/** The documents that the agent may read, by their paths in the repository, the guides first. */
const documents = Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const inFolder = (folder: string) =>
    Effect.map(
      fs.readDirectory(path.join(root, folder)),
      (names) => names.filter((name) => name.endsWith(".md")).sort().map((name) => path.join(folder, name))
    )
  // Guides first: a search ends at its eighth line.
  return [...yield* inFolder("docs"), ...yield* inFolder(".")]
})

const read = (document: string) =>
  Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    return yield* fs.readFileString(path.join(root, document))
  })

const searchDocs = Tool.fn("search_docs", {
  description: "Searches the documents of this repository. Gives up to 8 lines that contain the text.",
  parameters: { text: Schema.NonEmptyString.annotate({ description: "A word or a phrase, in any case" }) },
  success: Schema.Array(Schema.Struct({ document: Schema.String, line: Schema.Int, text: Schema.String }))
}, ({ text }) =>
  Stream.fromIterableEffect(documents).pipe(
    Stream.mapEffect((document) =>
      Effect.map(read(document), (content) =>
        content.split("\n").map((text, index) => ({ document, line: index + 1, text: text.trim() })))
    ),
    Stream.flatMap(Stream.fromIterable),
    Stream.filter((match) =>
      match.text.toLowerCase().includes(text.toLowerCase())
    ),
    Stream.take(8),
    Stream.runCollect
  ))

const readDoc = Tool.fn("read_doc", {
  description: "Reads 40 lines of a document, from a line on.",
  parameters: { document: Schema.String, from: Schema.Int.check(Schema.isGreaterThan(0)) },
  success: Schema.String
}, ({ document, from }) =>
  Effect.gen(function*() {
    const known = yield* documents
    if (!known.includes(document)) {
      return yield* Effect.fail(`There is no document ${document}. The documents are: ${known.join(", ")}`)
    }
    return (yield* read(document)).split("\n").slice(from - 1, from + 39).join("\n")
  }))

const now = Tool.fn("local_time", {
  description: "The date and time here, with the time zone.",
  success: Schema.String
}, () => Effect.map(DateTime.nowInCurrentZone, DateTime.formatIsoZoned))

const librarian = Agent.make("librarian", {
  instructions: "You answer questions about the effect-troupe library from its documents. " +
    "Search first, then read what you found, then answer in a few sentences and name the document.",
  tools: [searchDocs, readDoc, now]
})

const program = Effect.gen(function*() {
  const question = process.argv.slice(2).join(" ").trim() || "What does a transcript hold?"
  const model = yield* chooseModel
  yield* display(`${bold("effect-troupe")} ${dim(model.description)}\n${bold("?")} ${question}\n`)
  yield* Agent.run(librarian, question).pipe(Stream.runForEach(printer()), Effect.provide(model.layer))
}).pipe(
  Effect.tapError((error) => {
    const { message } = error._tag === "ConfigError" ? error.cause : error
    return display(`\n${red("✗")} ${plain(message)}\n`)
  }),
  Effect.onInterrupt(() => display(dim("\n\nstopped\n"))),
  Effect.provide(Layer.mergeAll(NodeServices.layer, DateTime.layerCurrentZoneLocal))
)

NodeRuntime.runMain(program, { disableErrorReporting: true })
