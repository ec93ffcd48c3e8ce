/**
 * Tells the observer of runs.
 *
 * @internal
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { AgentEvent } from "../../AgentEvent.ts"
import { Observer, type RunObservation } from "../../Observer.ts"
import { CurrentCell } from "../actor/cell.ts"
import type { Emit } from "../pushed.ts"
import type { RunPlace } from "./place.ts"

/** Runs with an `emit` that the observer hears, if there is one: the events of this run, and how it ended. */
export const watched = <A, E, R>(
  { self: { agent, parent, run } }: RunPlace,
  emit: Emit<AgentEvent>,
  body: (emit: Emit<AgentEvent>) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) => {
    const cell = Context.getOrUndefined(fiber.context, CurrentCell)
    const observer = fiber.getRef(Observer) ?? cell?.system.observer
    if (observer === undefined) return body(emit)
    const clock = fiber.getRef(Clock.Clock)
    const tell = (events: ReadonlyArray<AgentEvent>, outcome?: RunObservation["outcome"]): Effect.Effect<void> => {
      try {
        const at = clock.currentTimeMillisUnsafe()
        observer.observe({ _tag: "Run", at, run, parent, actor: cell?.path, agent, events, outcome })
        return Effect.void
      } catch (defect) {
        return Effect.logError("an observer threw", defect)
      }
    }
    return Effect.onExit(
      body((events) =>
        Effect.suspend(() => {
          // Runs inside of this one tell of theirs.
          const own = events.filter((event) => event.run === run)
          return own.length === 0 ? emit(events) : Effect.andThen(tell(own), emit(events))
        })
      ),
      (exit) => tell([], outcomeOf(exit))
    )
  })

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const outcomeOf = (exit: Exit.Exit<unknown, unknown>): RunObservation["outcome"] =>
  Exit.isSuccess(exit) ? "Success" : Cause.hasInterruptsOnly(exit.cause) ? "Interrupted" : "Failure"
