/**
 * What provider modules share: loading their optional package, and reading keys and addresses from configuration.
 *
 * @internal
 */
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import { PackageMissing } from "../Llm/AiSdk.ts"

/** Imports an optional package; any failure but its absence is a defect. */
export const load = <A>(
  provider: string,
  packageName: string,
  load: () => Promise<A>
): Effect.Effect<A, PackageMissing> =>
  Effect.tryPromise({ try: load, catch: (error) => error }).pipe(
    Effect.catch((error) =>
      Predicate.hasProperty(error, "code") && error.code === "ERR_MODULE_NOT_FOUND"
        ? Effect.fail(new PackageMissing({ provider, packageName }))
        : Effect.die(error)
    )
  )

/** A variable that is empty counts as absent, which is what a shell script means by it. */
export const optionalKey = (variable: string): Config.Config<Option.Option<Redacted.Redacted>> =>
  Config.option(Config.Redacted(variable)).pipe(
    Config.map(Option.filter((key) => Redacted.value(key).trim() !== ""))
  )

/** As {@link optionalKey}, for a variable that is no secret. */
export const optionalString = (variable: string): Config.Config<Option.Option<string>> =>
  Config.option(Config.String(variable)).pipe(Config.map(Option.filter((value) => value.trim() !== "")))

/** Says which variable of which provider is missing. */
export const missing = (provider: string, variable: string): Config.ConfigError =>
  new Config.ConfigError(
    new ConfigProvider.SourceError({ message: `${provider} needs an API key: set the variable ${variable}` })
  )
