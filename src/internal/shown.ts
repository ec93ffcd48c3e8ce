/**
 * The same type, where an editor would show the name of its calculation.
 *
 * @internal
 */
export type Shown<A> = [A] extends [infer B] ? B : never
