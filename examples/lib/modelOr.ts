import { Config, Effect, Layer, Option } from "effect"
import { OpenAi, Scripted } from "effect-troupe"
import type { LanguageModel } from "effect/ai"

/** The model that OPENAI_API_KEY opens, else one that says what the script tells it to. */
export const modelOr = (...script: Parameters<typeof Scripted.model>): Layer.Layer<LanguageModel.LanguageModel> =>
  Layer.unwrap(Effect.gen(function*() {
    const key = yield* Config.option(Config.Redacted("OPENAI_API_KEY"))
    return Option.isSome(key) ? OpenAi.model("gpt-5-mini") : Scripted.model(...script)
  })).pipe(Layer.orDie)
