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

/** The tool by which a model gives an answer that is not text. */
export const outputTool = "final_answer"

/**
 * The nearest names that tools of one agent can have, one for each: who needs no other name keeps its own, and others that
 * would have the same get a number.
 */
export const distinctNames = (names: ReadonlyArray<string>): ReadonlyArray<string> => {
  const nearest = names.map((name) => toToolName(name) || "_")
  const taken = new Set([outputTool])
  const given = nearest.map((name, index) => {
    if (name !== names[index] || taken.has(name)) return undefined
    taken.add(name)
    return name
  })
  return given.map((own, index) => {
    if (own !== undefined) return own
    let name = nearest[index]!
    for (let count = 2; taken.has(name); count++) name = `${nearest[index]!.slice(0, 60)}_${count}`
    taken.add(name)
    return name
  })
}

/** The problem where a model could not tell two tools apart. */
export const sameName = (tools: ReadonlyArray<{ readonly name: string }>): string | undefined => {
  const names = tools.map(({ name }) => name)
  const taken = names.find((name, index) => names.indexOf(name) !== index)
  return taken === undefined ? undefined : `two tools are called ${JSON.stringify(taken)}`
}
