/**
 * Checks the settings of models, and joins those of a layer with those of a request.
 *
 * @internal
 */
import type { SharedV4ProviderOptions } from "@ai-sdk/provider"
import type { Settings } from "../../Llm/Settings.ts"
import * as Check from "../check.ts"

/** Throws a `RangeError` that names the setting no model takes. */
export const checkSettings = (where: string, settings: Settings): void => {
  const { maxOutputTokens, maxResponseBytes, seed, temperature, topP } = settings
  if (temperature !== undefined && !(temperature >= 0 && Number.isFinite(temperature))) {
    Check.fail(where, "temperature", "a number of at least 0", temperature)
  }
  if (topP !== undefined && !(topP >= 0 && topP <= 1)) Check.fail(where, "topP", "between 0 and 1", topP)
  if (maxOutputTokens !== undefined) Check.positiveInteger(where, "maxOutputTokens", maxOutputTokens)
  if (maxResponseBytes !== undefined) Check.positiveInteger(where, "maxResponseBytes", maxResponseBytes)
  if (seed !== undefined && !Number.isSafeInteger(seed)) Check.fail(where, "seed", "an integer", seed)
}

/** As {@link checkSettings}, with the name of the model. */
export const checkModel = (where: string, name: string, settings: Settings): void => {
  Check.notEmpty(where, "name", name)
  checkSettings(where, settings)
}

/** Throws a `RangeError` that names what no embedding model takes. */
export const checkEmbeddings = (
  where: string,
  name: string,
  { dimensions, maxResponseBytes }: {
    readonly dimensions?: number | undefined
    readonly maxResponseBytes?: number | undefined
  }
): void => {
  Check.notEmpty(where, "name", name)
  if (maxResponseBytes !== undefined) Check.positiveInteger(where, "maxResponseBytes", maxResponseBytes)
  if (dimensions !== undefined) Check.positiveInteger(where, "dimensions", dimensions)
}

/** The second settings win, field by field, and provider by provider in headers and provider options. */
export const mergeSettings = (base: Settings, override: Settings): Settings => ({
  ...base,
  ...definedOnly(override),
  headers: { ...base.headers, ...override.headers },
  providerOptions: mergeProviderOptions(base.providerOptions ?? {}, override.providerOptions ?? {})
})

/** An explicit undefined means the same as an absent field to us, and not to the AI SDK. */
export const definedOnly = (settings: object) =>
  Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined))

/** The second options win, field by field, within each provider. */
export const mergeProviderOptions = (
  base: SharedV4ProviderOptions,
  override: SharedV4ProviderOptions
): SharedV4ProviderOptions => {
  const merged = { ...base }
  for (const [provider, options] of Object.entries(override)) merged[provider] = { ...merged[provider], ...options }
  return merged
}
