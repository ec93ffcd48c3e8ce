/**
 * Values that a program may never need.
 *
 * @internal
 */

/** Makes a value when it is first asked for: codecs of large schemas would take a third of a module's import. */
export const lazy = <A extends object>(make: () => A): () => A => {
  let made: A | undefined
  return () => made ??= make()
}
