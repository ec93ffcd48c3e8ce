/**
 * Makes payloads with their schemas' constructors, where the schema can add or refuse anything.
 *
 * @internal
 */
import type * as Rpc from "effect/rpc/Rpc"
import type * as Schema from "effect/Schema"
import type * as SchemaAST from "effect/SchemaAST"

/** Turns what a sender wrote into what the handler gets: defaults filled in, checks run, classes constructed. */
export const make = (_name: string, rpcs: ReadonlyArray<Rpc.Any>) => {
  const schemas = new Map<string, Schema.Top>()
  for (const rpc of rpcs) {
    const schema = (rpc as Rpc.AnyWithProps).payloadSchema
    if (!isPlain(schema.ast)) schemas.set(rpc._tag, schema)
  }
  if (schemas.size === 0) return (_tag: string, input: unknown): unknown => input
  return (tag: string, input: unknown): unknown => {
    const schema = schemas.get(tag)
    return schema === undefined ? input : schema.make(input as {})
  }
}

// -----------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------

/** Whether the types alone say everything: then the constructor would return its input. */
const isPlain = (ast: SchemaAST.AST): boolean => {
  if (ast.checks !== undefined || ast.context?.constructorDefault !== undefined) return false
  switch (ast._tag) {
    case "Void":
    case "Undefined":
    case "Null":
    case "String":
    case "Number":
    case "Boolean":
    case "BigInt":
    case "Literal":
    case "Unknown":
    case "Any":
      return true
    case "Objects":
      return ast.indexSignatures.length === 0 && ast.propertySignatures.every((property) => isPlain(property.type))
    case "Arrays":
      return ast.elements.every(isPlain) && ast.rest.every(isPlain)
    case "Union":
      return ast.types.every(isPlain)
    default:
      return false
  }
}
