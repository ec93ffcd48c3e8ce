/** What the examples share: a real model where the machine has its key, one that a script plays where it has not. */
import { Config, Effect, Layer, Option } from "effect"
import { OpenAi, Scripted, Transcript } from "effect-troupe"
import type { LanguageModel } from "effect/ai"

/** What was asked last, as text. */
export const questionOf = ({ prompt }: Scripted.ModelRequest): string => {
  const message = prompt.content.findLast((message) => message.role === "user")
  return message === undefined ? "" : Transcript.text(Transcript.user(message.content))
}

type Script = Parameters<typeof Scripted.model>[0]

/** The real model when the variable is set, else the script. */
export const modelOr = <E, R>(
  variable: string,
  real: Layer.Layer<LanguageModel.LanguageModel, E, R>,
  script: Script
): Layer.Layer<LanguageModel.LanguageModel, E | Config.ConfigError, R> =>
  Layer.unwrap(Effect.map(
    Config.option(Config.NonEmptyString(variable)),
    (key): Layer.Layer<LanguageModel.LanguageModel, E, R> => Option.isSome(key) ? real : Scripted.model(script)
  ))

/** A model of OpenAI, or the script. */
export const openAiOr = (script: Script) => modelOr("OPENAI_API_KEY", OpenAi.model("gpt-5-mini"), script)
