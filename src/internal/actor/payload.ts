/**
 * Makes payloads: fills in defaults, runs checks, constructs classes.
 *
 * Constructing by the schema costs more than the rest of a `tell`. So a payload of plain data goes through as it is
 * when its checks pass; the schema itself only comes in for what it can change, and to describe what is wrong.
 *
 * @internal
 */
import * as Exit from "effect/Exit"
import * as Predicate from "effect/Predicate"
import type * as Rpc from "effect/rpc/Rpc"
import type * as Schema from "effect/Schema"
import type * as SchemaAST from "effect/SchemaAST"
import * as SchemaIssue from "effect/SchemaIssue"

/** Turns what a sender wrote into what the handler gets. Throws an error that says what the schema refuses. */
export const make = (protocol: string, rpcs: ReadonlyArray<Rpc.Any>): (tag: string, input: unknown) => unknown => {
  const makers = new Map<string, (input: unknown) => unknown>()
  for (const rpc of rpcs) {
    const maker = makerOf(`${protocol}.${rpc._tag}`, (rpc as Rpc.AnyWithProps).payloadSchema)
    if (maker !== undefined) makers.set(rpc._tag, maker)
  }
  if (makers.size === 0) return (_tag, input) => input
  return (tag, input) => {
    const maker = makers.get(tag)
    return maker === undefined ? input : maker(input)
  }
}

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const parseOptions: SchemaAST.ParseOptions = {}

type Test = (input: unknown) => boolean

const always: Test = () => true

const describe = SchemaIssue.makeFormatterDefault()

/** The schema's own error names neither the message nor, in words, the field. What a default throws stays as it is. */
const refusal = (message: string, error: unknown): unknown =>
  Predicate.isError(error) && SchemaIssue.isIssue(error.cause)
    ? new Error(`${message}: the payload does not fit its schema: ${describe(error.cause)}`)
    : error

const makerOf = (message: string, schema: Schema.Top): ((input: unknown) => unknown) | undefined => {
  const construct = (input: unknown) => {
    try {
      return schema.make(input as {})
    } catch (error) {
      throw refusal(message, error)
    }
  }
  const test = testOf(schema.ast)
  if (test === undefined) return construct
  return test === always ? undefined : (input) => test(input) ? input : construct(input)
}

/** Tests a value of the right type; `undefined` for a schema that can turn it into another one. */
const testOf = (ast: SchemaAST.AST): Test | undefined => {
  if (ast.context?.constructorDefault !== undefined) return undefined
  const test = baseTestOf(ast)
  if (test === undefined || ast.checks === undefined) return test
  const filters = ast.checks.flatMap(filtersOf)
  return (input) => test(input) && filters.every((filter) => filter.run(input, ast, parseOptions) === undefined)
}

const filtersOf = (check: SchemaAST.Check<unknown>): ReadonlyArray<SchemaAST.Filter<unknown>> =>
  check._tag === "FilterGroup" ? check.checks.flatMap(filtersOf) : [check]

const baseTestOf = (ast: SchemaAST.AST): Test | undefined => {
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
      return always
    case "Objects":
      return fieldsTestOf(ast)
    case "Union":
      return unionTestOf(ast)
    default:
      return undefined
  }
}

const fieldsTestOf = (ast: SchemaAST.Objects): Test | undefined => {
  if (ast.indexSignatures.length > 0) return undefined
  const tests: Array<{ readonly name: PropertyKey; readonly test: Test }> = []
  for (const { name, type } of ast.propertySignatures) {
    const test = testOf(type)
    if (test === undefined) return undefined
    if (test !== always) tests.push({ name, test })
  }
  if (tests.length === 0) return always
  return (input) => {
    const fields = input as { readonly [name: PropertyKey]: unknown }
    for (const { name, test } of tests) {
      const value = fields[name]
      if (value !== undefined && !test(value)) return false
    }
    return true
  }
}

/** Finds the members by which a value can go through as it is; the others need the schema. */
const unionTestOf = (ast: SchemaAST.Union): Test | undefined => {
  if (ast.options?.mode === "oneOf") return undefined
  const recognizers = ast.types.flatMap((type) => recognizerOf(type) ?? [])
  return recognizers.length === 0 ? undefined : (input) => recognizers.some((recognize) => recognize(input))
}

const recognizerOf = (ast: SchemaAST.AST): Test | undefined => {
  if (ast.context?.constructorDefault !== undefined || ast.checks !== undefined) return undefined
  switch (ast._tag) {
    case "Undefined":
      return Predicate.isUndefined
    case "Null":
      return Predicate.isNull
    case "String":
      return Predicate.isString
    case "Number":
      return Predicate.isNumber
    case "Boolean":
      return Predicate.isBoolean
    case "Literal":
      return (input) => input === ast.literal
    case "Declaration": {
      if (ast.typeParameters.length > 0) return undefined
      const run = ast.run([])
      return (input) => {
        const exit = run(input, ast, parseOptions)
        return Exit.isExit(exit) && Exit.isSuccess(exit) && exit.value === input
      }
    }
    default:
      return undefined
  }
}
