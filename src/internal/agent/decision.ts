/**
 * Decisions about tool calls. Exported through `Approvals`.
 *
 * @internal
 */
import * as Schema from "effect/Schema"

/**
 * A decision about a tool call that waits for one. `params` are there where it changed the arguments.
 *
 * @since 0.1.0
 * @category models
 */
export const Decision = Schema.Union([
  Schema.TaggedStruct("Approved", { params: Schema.optionalKey(Schema.Unknown) }),
  Schema.TaggedStruct("Rejected", { message: Schema.String }),
  Schema.TaggedStruct("Expired", {})
])

/**
 * @since 0.1.0
 * @category models
 */
export type Decision = typeof Decision.Type
