/**
 * JSON schemas as providers take them.
 *
 * @internal
 */
import type { JsonSchema } from "effect/JsonSchema"
import * as Schema from "effect/Schema"

/** The JSON schema of a codec: its objects are closed, and its root is no reference. */
export const toClosedSchema = (codec: Schema.Constraint): JsonSchema => {
  const { definitions, schema } = Schema.toJsonSchemaDocument(codec, { onExcessProperty: "error" })
  const root = typeof schema.$ref === "string" ? definitions[referenceKey(schema.$ref)] ?? schema : schema
  return JSON.stringify(root).includes("\"$ref\"") ? { ...root, $defs: definitions } : root
}

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const referenceKey = ($ref: string) =>
  decodeURIComponent($ref.replace("#/$defs/", "")).replaceAll("~1", "/").replaceAll("~0", "~")
