/**
 * The seam at which what the runtime handles without its type gets that type back. A caller knows the type because it
 * erased it itself; each call says how.
 *
 * @internal
 */
export const retype = <A>(erased: unknown): A => erased as A
