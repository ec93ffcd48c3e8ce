/**
 * The seam at which messages from outside of a recorded program wait for their turn.
 *
 * @internal
 */
import * as Context from "effect/Context"
import type { MessageIntake } from "./cell.ts"

/** Where the messages to the actors of the systems that start with it come in; `undefined` if they come as they are sent. */
export const Intake = Context.Reference<MessageIntake | undefined>("effect-troupe/internal/actor/Intake", {
  defaultValue: () => undefined
})
