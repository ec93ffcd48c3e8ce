/**
 * The names of tools.
 *
 * @internal
 */
import { fail } from "../check.ts"

/** Every provider takes these names; most refuse the whole request for one other character. */
export const checkName = <Name extends string>(where: string, field: string, name: Name): Name =>
  /^[A-Za-z0-9_-]{1,64}$/.test(name) ? name : fail(where, field, `1 to 64 letters, digits, "_" or "-"`, name)

/** The nearest name that a tool can have. */
export const toToolName = (name: string): string => name.replaceAll(/[^A-Za-z0-9_-]+/g, "_").slice(0, 64)

/** The problem where a model could not tell two tools apart. */
export const sameName = (tools: ReadonlyArray<{ readonly name: string }>): string | undefined => {
  const names = tools.map(({ name }) => name)
  const taken = names.find((name, index) => names.indexOf(name) !== index)
  return taken === undefined ? undefined : `two tools are called ${JSON.stringify(taken)}`
}
