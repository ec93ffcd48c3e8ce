/**
 * What provider modules share: loading their optional package, and reading keys and addresses from configuration.
 *
 * @internal
 */
import type * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import { PackageMissing } from "../../Llm/AiSdk.ts"
import * as Check from "../check.ts"

/**
 * Imports an optional package; any failure but its own absence is a defect, so a package that it misses in turn is
 * named.
 */
export const load = <A>(
  provider: string,
  packageName: string,
  load: () => Promise<A>
): Effect.Effect<A, PackageMissing> =>
  Effect.tryPromise({ try: load, catch: (error) => error }).pipe(
    Effect.catch((error) =>
      isMissing(error, packageName)
        ? Effect.fail(new PackageMissing({ provider, packageName }))
        : Effect.die(error)
    )
  )

/** Bundlers want no package that may be missing where they see that its absence is caught. */
export const rethrow = (error: unknown): never => {
  throw error
}

/**
 * An empty variable counts as absent, as in shell scripts. A key from a file often ends
 * with a line break, which no request carries and no provider repeats, so that it would not be found where it must not
 * be shown.
 */
export const optionalKey = (variable: string): Read<Option.Option<Redacted.Redacted>> =>
  read(({ Redacted: secret, option }) => option(secret(variable))).pipe(
    Effect.map(Option.map((key) => Redacted.make(Redacted.value(key).trim()))),
    Effect.map(Option.filter((key) => Redacted.value(key) !== ""))
  )

/** As {@link optionalKey}, for what is no secret. */
export const optionalString = (variable: string): Read<Option.Option<string>> =>
  Effect.map(
    read(({ String: text, option }) => option(text(variable))),
    Option.filter((value) => value.trim() !== "")
  )

/** As {@link optionalKey}, for a provider that wants one. */
export const requiredKey = (provider: string, variable: string): Read<Redacted.Redacted> =>
  Effect.flatMap(
    optionalKey(variable),
    Option.match({ onNone: () => missingKey(provider, variable), onSome: Effect.succeed })
  )

/** The address in a variable, if there is one; `complete` writes out what its short forms leave out. */
export const optionalUrl = (
  variable: string,
  complete: (value: string) => string = identity
): Read<Option.Option<URL>> =>
  Effect.flatMap(
    optionalString(variable),
    Option.match({
      onNone: () => Effect.succeedNone,
      onSome: (value) => {
        const url = httpUrl(complete(value.trim()))
        return url !== undefined
          ? Effect.succeedSome(url)
          : failConfig(`${variable} must be ${addressForm}, got ${JSON.stringify(withoutUser(value))}`)
      }
    })
  )

/** The address in a variable or else the vendor's own, without a slash at its end. */
export const baseUrl = (variable: string, vendor: string, complete?: (value: string) => string): Read<string> =>
  Effect.map(
    optionalUrl(variable, complete),
    Option.match({ onNone: () => vendor, onSome: ({ href }) => href.replace(/\/+$/, "") })
  )

/**
 * Nothing for a text that is no http address (`localhost:8080` is one of scheme `localhost`), nor for one with a
 * password: `fetch` refuses it with a message that shows it.
 */
export const httpUrl = (text: string): URL | undefined => {
  const url = URL.parse(text)
  return url !== null && /^https?:$/.test(url.protocol) && url.username + url.password === "" ? url : undefined
}

/** Throws a `RangeError` for an address that {@link httpUrl} refuses. */
export const checkUrl = (where: string, field: string, text: string): void => {
  if (httpUrl(text) === undefined) Check.fail(where, field, addressForm, withoutUser(text))
}

export const failConfig = (message: string): Read<never> =>
  Effect.flatMap(
    config,
    ([{ ConfigError }, { SourceError }]) => Effect.fail(new ConfigError(new SourceError({ message })))
  )

/** Says which variable of which provider is missing. */
export const missingKey = (provider: string, variable: string): Read<never> =>
  failConfig(`${provider} needs an API key: set the variable ${variable}`)

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

type Read<A> = Effect.Effect<A, Config.ConfigError>

/** Loaded with the first provider that reads something: file systems come along. */
const config = Effect.promise(() => Promise.all([import("effect/Config"), import("effect/ConfigProvider")]))

const read = <A>(f: (config: typeof Config) => Config.Config<A>): Read<A> =>
  Effect.flatMap(config, ([config]) => f(config))

const addressForm = "an http address without user and password"

const withoutUser = (text: string): string => text.replace(/\/\/.*@/, "//<redacted>@")

const isMissing = (error: unknown, packageName: string) =>
  error instanceof Error && Predicate.hasProperty(error, "code") && error.code === "ERR_MODULE_NOT_FOUND" &&
  error.message.includes(`'${packageName}'`)
