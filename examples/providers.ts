/**
 * Asks every provider that this machine is set up for, and says of the others what they want.
 *
 * Shows: one shape for all providers (`models` and `model`), a missing key as a typed error that names its variable, a
 * server that is not running as another. Without any key it still runs: it lists what could be set.
 * Run: `node examples/providers.ts`, or `OPENAI_API_KEY=... node examples/providers.ts`
 */
import { Config, Console, Effect, Schema } from "effect"
import { Anthropic, AzureOpenAi, Gemini, Mistral, Ollama, OpenAi, OpenRouter, Vertex, Vllm } from "effect-troupe"
import type { AiSdk, ModelList } from "effect-troupe"
import { LanguageModel } from "effect/ai"
import { bold, dim, green, plain, red } from "./lib/print.ts"

class NothingToAsk extends Schema.TaggedError<NothingToAsk>()("NothingToAsk", {}) {
  override message = "the server has no model"
}

interface Provider {
  readonly models: ModelList.ModelList<Config.ConfigError | AiSdk.PackageMissing>
  readonly model: (name: string) => AiSdk.ModelLayer<Config.ConfigError | AiSdk.PackageMissing>
  /** Whom to ask; without it, the first of the list. */
  readonly name?: Effect.Effect<string, Config.ConfigError>
}

const providers: Record<string, Provider> = {
  Anthropic: { ...Anthropic, name: Effect.succeed("claude-haiku-4-5") },
  // Azure knows deployments, whose names are yours.
  AzureOpenAi: { ...AzureOpenAi, name: Config.String("AZURE_OPENAI_DEPLOYMENT") },
  Gemini: { ...Gemini, name: Effect.succeed("gemini-2.5-flash") },
  Mistral: { ...Mistral, name: Effect.succeed("mistral-small-latest") },
  Ollama,
  OpenAi: { ...OpenAi, name: Effect.succeed("gpt-5-mini") },
  OpenRouter: { ...OpenRouter, name: Effect.succeed("openai/gpt-5-mini") },
  Vertex: { ...Vertex, name: Effect.succeed("gemini-2.5-flash") },
  Vllm
}

const ask = Effect.fn("ask")(function*({ model, models, name }: Provider) {
  const list = yield* Effect.flatten(models)
  const chosen = name === undefined ? list[0]?.id : yield* name
  if (chosen === undefined) return yield* new NothingToAsk()
  const { text, usage } = yield* LanguageModel.generateText({ prompt: "Say hello in five words or less." }).pipe(
    Effect.provide(model(chosen))
  )
  const tokens = `${usage.inputTokens.total ?? "?"} tokens in, ${usage.outputTokens.total ?? "?"} out`
  return `${text.trim()} ${dim(`(${chosen}, one of ${list.length} models; ${tokens})`)}`
})

const firstLine = (text: string) => text.split("\n").find((line) => line.trim() !== "") ?? text

const report = ([title, provider]: [string, Provider]) =>
  ask(provider).pipe(
    Effect.timeout("20 seconds"),
    Effect.matchEffect({
      onSuccess: (answer) => Console.log(`${green("✓")} ${bold(title.padEnd(12))} ${plain(answer)}`),
      onFailure: ({ message }) => Console.log(`${red("·")} ${bold(title.padEnd(12))} ${dim(firstLine(plain(message)))}`)
    })
  )

await Effect.runPromise(Effect.forEach(Object.entries(providers), report, { discard: true }))
