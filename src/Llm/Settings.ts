/**
 * Says how a model shall answer: temperature, length, thinking, headers and what only one provider knows.
 *
 * A model's layer has its own settings, an agent has some for its requests, and {@link RequestSettings} sets them for
 * all requests inside an effect. The one nearest to the request wins, field by field.
 *
 * @since 0.1.0
 */
import type { SharedV4ProviderOptions } from "@ai-sdk/provider"
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"

/**
 * Headers of a request. No error and no file shows a value that is `Redacted`.
 *
 * @since 0.1.0
 * @category models
 */
export type Headers = Readonly<Record<string, string | Redacted.Redacted>>

/**
 * Signs each request with the headers that it gives. It runs before the request and ends with it; its failure is an
 * `AuthenticationError`, and no error shows the values of its headers.
 *
 * @since 0.1.0
 * @category models
 */
export type Authorize = Effect.Effect<Headers, unknown>

/**
 * How a model shall answer; what is left out is the provider's default.
 *
 * @since 0.1.0
 * @category models
 */
export interface Settings {
  readonly temperature?: number | undefined
  readonly topP?: number | undefined
  /** The most tokens one answer may have, reasoning included. */
  readonly maxOutputTokens?: number | undefined
  /** Texts that end the answer when the model writes them. */
  readonly stopSequences?: ReadonlyArray<string> | undefined
  /** Asks for the same answer to the same request, where the provider can. */
  readonly seed?: number | undefined
  /** How much the model thinks before it answers. */
  readonly reasoning?: "none" | "minimal" | "low" | "medium" | "high" | "xhigh" | "max" | undefined
  /** Sent with each request, after the provider's own headers. */
  readonly headers?: Headers | undefined
  /**
   * How many bytes an answer may have after decompression; a longer one is an `InvalidResponseError`. Default: 64 MiB.
   */
  readonly maxResponseBytes?: number | undefined
  /** What only this provider knows, under the provider's AI SDK name: `{ openai: { serviceTier: "flex" } }`. */
  readonly providerOptions?: SharedV4ProviderOptions | undefined
}

/**
 * Settings of the requests made inside an effect, which win over the settings of the model's layer.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { LanguageModel } from "effect/ai"
 * import { Settings } from "effect-troupe"
 *
 * const careful = LanguageModel.generateText({ prompt: "What is 17 x 23?" }).pipe(
 *   Effect.provideService(Settings.RequestSettings, { temperature: 0, maxOutputTokens: 200 })
 * )
 * ```
 *
 * @since 0.1.0
 * @category references
 */
export const RequestSettings = Context.Reference<Settings>("effect-troupe/Llm/Settings/RequestSettings", {
  defaultValue: () => ({})
})
