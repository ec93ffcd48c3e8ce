/**
 * Crashes, delays and doubles messages, for tests of what happens then.
 *
 * @since 0.1.0
 */
export { type Fault, Faults, type MessageToHandle } from "../internal/actor/faults.ts"
