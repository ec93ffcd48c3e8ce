/**
 * Provides the models of an Ollama server, on this machine unless `OLLAMA_HOST` says otherwise.
 *
 * Needs the package `@ai-sdk/openai-compatible` and no key. `OLLAMA_HOST` is read as Ollama itself reads it: with or
 * without scheme and port.
 *
 * **Example** (An answer from a local model)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { LanguageModel } from "effect/ai"
 * import { Ollama } from "effect-troupe"
 *
 * const answer = LanguageModel.generateText({ prompt: "Why is the sky blue?" }).pipe(
 *   Effect.provide(Ollama.model("llama3.2"))
 * )
 * ```
 *
 * @since 0.1.0
 */
import type * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { optionalString } from "../internal/provider.ts"
import type * as AiSdk from "./AiSdk.ts"
import * as OpenAiCompatible from "./OpenAiCompatible.ts"

/**
 * A model of Ollama by its name.
 *
 * @category layers
 * @since 0.1.0
 */
export const model = (
  name: string,
  settings: AiSdk.Settings = {}
): AiSdk.ModelLayer<Config.ConfigError | AiSdk.PackageMissing> =>
  Layer.unwrap(Effect.map(optionalString("OLLAMA_HOST"), (host) =>
    OpenAiCompatible.model(name, {
      ...settings,
      provider: "ollama",
      baseUrl: Option.match(host, { onNone: () => "http://127.0.0.1:11434/v1", onSome: baseUrlOf })
    })))

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

// `0.0.0.0` is where a server listens, not where a client connects.
const baseUrlOf = (host: string): string => {
  const { hostname, port, protocol } = new URL(/^https?:\/\//.test(host) ? host : `http://${host}`)
  const defaultPort = /^https?:\/\//.test(host) ? port : port || "11434"
  const address = hostname === "0.0.0.0" ? "127.0.0.1" : hostname
  return `${protocol}//${address}${defaultPort === "" ? "" : `:${defaultPort}`}/v1`
}
