/**
 * What tests of actors and agents need.
 *
 * @since 0.1.0
 */
export * as MemoryContract from "./MemoryContract.ts"
