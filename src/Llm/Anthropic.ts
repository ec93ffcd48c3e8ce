/**
 * Provides the models of Anthropic.
 *
 * Needs the package `@ai-sdk/anthropic`. Reads `ANTHROPIC_API_KEY` and, if it is set, `ANTHROPIC_BASE_URL` (the address
 * of a proxy, with or without `/v1`). Thinking comes back with its signatures, and a transcript that keeps the parts
 * sends them with the next request, as Anthropic demands between a tool call and its result.
 *
 * @example
 * ```ts
 * import { Agent, Anthropic } from "effect-troupe"
 *
 * const reader = Agent.make("reader", {
 *   instructions: "You answer from the handbook: ...",
 *   model: Anthropic.model("claude-sonnet-4-5", { cache: "5m", reasoning: "low" })
 * })
 * ```
 *
 * @since 0.1.0
 */
import type * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { guardedFetch } from "../internal/llm/fetch.ts"
import { baseUrl, load, requiredKey, rethrow } from "../internal/llm/provider.ts"
import { checkModel } from "../internal/llm/settings.ts"
import * as AiSdk from "./AiSdk.ts"
import * as AiSdkEmbedding from "./AiSdkEmbedding.ts"
import * as ModelList from "./ModelList.ts"
import type * as ModelSettings from "./Settings.ts"

/**
 * @since 0.1.0
 * @category models
 */
export interface Settings extends ModelSettings.Settings {
  /**
   * Keeps what a request begins with (tools, instructions and the conversation up to its last message) at Anthropic for
   * that long after its last use; the next request reads it at a tenth of the price. Writing costs a quarter more with
   * `"5m"` and twice as much with `"1h"`. Default: nothing is cached but what carries a cache point of its own, which a
   * message or part has in its options: `{ anthropic: { cacheControl: { type: "ephemeral" } } }`.
   */
  readonly cache?: "5m" | "1h" | undefined
}

/**
 * A model of Anthropic by its name.
 *
 * @since 0.1.0
 * @category layers
 */
export const model = (
  name: string,
  settings: Settings = {}
): AiSdk.ModelLayer<Config.ConfigError | AiSdk.PackageMissing> => {
  checkModel("Anthropic.model", name, settings)
  return AiSdk.layer(options(name, settings))
}

/**
 * Fails: Anthropic has no embedding models.
 *
 * @since 0.1.0
 * @category layers
 */
export const embeddings = (_name: string): AiSdkEmbedding.EmbeddingLayer<AiSdkEmbedding.EmbeddingsNotSupported> =>
  AiSdkEmbedding.unsupported("Anthropic")

/**
 * The models of Anthropic that the key may use.
 *
 * @since 0.1.0
 * @category models
 */
export const models: ModelList.ModelList = Effect.suspend(() =>
  Effect.flatMap(connection, ({ key, url }) =>
    ModelList.make({
      provider: "anthropic",
      url: `${url}/models?limit=1000`,
      headers: { "x-api-key": Redacted.value(key), "anthropic-version": "2023-06-01" },
      schema: Body,
      toModels: ({ data }) =>
        data.map((model) => ({
          id: model.id,
          name: model.display_name,
          inputTokens: model.max_input_tokens ?? undefined,
          outputTokens: model.max_tokens ?? undefined
        })),
      nextPage: ({ has_more, last_id }) => has_more && last_id ? { after_id: last_id } : undefined,
      secrets: [key]
    }))
)

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const Body = Schema.Struct({
  data: Schema.Array(Schema.Struct({
    id: Schema.String,
    display_name: Schema.String,
    max_input_tokens: Schema.optional(Schema.NullOr(Schema.Finite)),
    max_tokens: Schema.optional(Schema.NullOr(Schema.Finite))
  })),
  has_more: Schema.optional(Schema.Boolean),
  last_id: Schema.optional(Schema.NullOr(Schema.String))
})

const connection = Effect.all({
  key: requiredKey("Anthropic", "ANTHROPIC_API_KEY"),
  // Anthropic's own clients take the address without the version.
  url: baseUrl(
    "ANTHROPIC_BASE_URL",
    "https://api.anthropic.com/v1",
    (url) => url.replace(/(\/v1)?\/*$/, "/v1")
  )
})

const options = Effect.fnUntraced(function*(name: string, { cache, ...settings }: Settings) {
  const { createAnthropic } = yield* load(
    "Anthropic",
    "@ai-sdk/anthropic",
    () => import("@ai-sdk/anthropic").catch(rethrow)
  )
  const { key, url } = yield* connection
  const { toCodecAnthropic } = yield* Effect.promise(() => import("effect/ai/AnthropicStructuredOutput"))
  return {
    model: createAnthropic({ baseURL: url, apiKey: Redacted.value(key), fetch: guardedFetch })(name),
    provider: "anthropic",
    settings: cache === undefined ? settings : cached(settings, cache),
    codecTransformer: toCodecAnthropic,
    jsonOutput: "always" as const,
    secrets: [key]
  }
})

const cached = (
  { providerOptions, ...settings }: ModelSettings.Settings,
  ttl: "5m" | "1h"
): ModelSettings.Settings => ({
  ...settings,
  providerOptions: {
    ...providerOptions,
    anthropic: { cacheControl: { type: "ephemeral", ttl }, ...providerOptions?.anthropic }
  }
})
