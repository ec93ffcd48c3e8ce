/**
 * JSON that people read, and how two values of it differ.
 *
 * @internal
 */
import { isObject, isObjectOrArray } from "effect/Predicate"
import * as TextDiff from "effect/TextDiff"

/** JSON with a line for whatever fits into one, and one for each item of a list of objects. */
export const pretty = (value: unknown, indent = ""): string => {
  const line = JSON.stringify(value) ?? "null"
  const isList = Array.isArray(value) && value.length > 1 && value.some(isObject)
  if (!isObjectOrArray(value) || (indent.length + line.length <= 110 && !isList)) return line
  const inner = `${indent}  `
  const items = Array.isArray(value)
    ? value.map((item) => pretty(item, inner))
    : Object.entries(value).flatMap(([key, field]) =>
      field === undefined ? [] : [`${JSON.stringify(key)}: ${pretty(field, inner)}`]
    )
  const [open, close] = Array.isArray(value) ? ["[", "]"] : ["{", "}"]
  return `${open}\n${items.map((item) => inner + item).join(",\n")}\n${indent}${close}`
}

/** The lines that differ in two texts. */
export const difference = (before: string, after: string): ReadonlyArray<TextDiff.Edit<string>> =>
  TextDiff.lines(`${before}\n`, `${after}\n`, { maxEdits: 1000 })

/** How many lines differ. */
export const size = (edits: ReadonlyArray<TextDiff.Edit<string>>): number =>
  edits.reduce((sum, edit) => edit._tag === "Equal" ? sum : sum + edit.items.length, 0)

/** The differing lines as a patch. */
export const toPatch = (
  edits: ReadonlyArray<TextDiff.Edit<string>>,
  { from, to }: { readonly from: string; readonly to: string }
): string => TextDiff.unified(edits, { fromFile: from, toFile: to })

/** How two JSON values differ, as a patch. */
export const describeDifference = (
  before: unknown,
  after: unknown,
  names: { readonly from: string; readonly to: string }
): string => toPatch(difference(pretty(before), pretty(after)), names)
