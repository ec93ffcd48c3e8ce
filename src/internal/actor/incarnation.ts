/**
 * Begins incarnations.
 *
 * @internal
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import type * as Cell from "./cell.ts"
import * as MailboxQueue from "./mailboxQueue.ts"
import * as Stop from "./stop.ts"

/**
 * Makes the setup in a fresh scope, with the context that the handlers will have too. Where a restart left the scope of the
 * last incarnation, nothing had been added to it; what a detached fiber of that one adds later is released with this one.
 */
export const setup = (cell: Cell.Cell): Effect.Effect<Cell.Handlers, unknown> => {
  if (cell.scope === undefined) {
    cell.scope = Scope.makeUnsafe()
    cell.context = Context.add(cell.base, Scope.Scope, cell.scope)
  }
  // The context was captured where `spawn` asked for all that the setup needs.
  return Effect.setContext(cell.definition.setup as Effect.Effect<Cell.Handlers, unknown>, cell.context)
}

/** Stops the actor once it had no message for `timeout`; the timer lives in the incarnation's scope. */
export const watchIdle = (cell: Cell.Cell, timeout: Duration.Duration): void => {
  const clock = cell.system.clock
  const limit = Duration.toMillis(timeout)
  cell.activeAt = clock.currentTimeMillisUnsafe()
  const timer = Effect.gen(function*() {
    while (true) {
      const idleFor = cell.busy > 0 ? 0 : clock.currentTimeMillisUnsafe() - cell.activeAt
      if (idleFor >= limit && MailboxQueue.isEmpty(cell.queue)) {
        return Stop.requestStop(cell, "stop", { _tag: "Idle" })
      }
      yield* Effect.sleep(Duration.millis(Math.max(limit - idleFor, 1)))
    }
  })
  Fiber.runIn(Effect.runForkWith(cell.base)(timer), cell.scope!)
}
