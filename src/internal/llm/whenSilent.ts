import type * as Arr from "effect/Array"
import type * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"

/**
 * Ends a stream with `orElse` when a pull takes longer than `limit`.
 *
 * One fiber watches all pulls of the stream. A timer for each would cost five times as much as the pull itself.
 */
export const whenSilent = <A, E>(
  self: Stream.Stream<A, E>,
  limit: Duration.Input,
  orElse: Effect.Effect<never, E>
): Stream.Stream<A, E> =>
  Stream.transformPull(self, (pull, scope) =>
    Effect.gen(function*() {
      const clock = yield* Clock.Clock
      const millis = Duration.toMillis(limit)
      let pulling: Fiber.Fiber<unknown, unknown> | undefined
      let since = 0
      let silent = false

      const watch: Effect.Effect<void> = Effect.suspend(() => {
        const left = pulling === undefined ? millis : since + millis - clock.currentTimeMillisUnsafe()
        if (left > 0 || pulling === undefined) return Effect.andThen(Effect.sleep(left), watch)
        silent = true
        return Fiber.interrupt(pulling)
      })
      yield* Effect.forkIn(watch, scope)

      return Effect.flatMap(Effect.forkChild(pull, { startImmediately: true }), (fiber) => {
        const exit = fiber.pollUnsafe()
        if (exit !== undefined) return exit
        pulling = fiber
        since = clock.currentTimeMillisUnsafe()
        return Effect.callback<Arr.NonEmptyReadonlyArray<A>, E | Cause.Done>((resume) => {
          fiber.addObserver((exit) => {
            pulling = undefined
            resume(silent ? orElse : exit)
          })
          return Fiber.interrupt(fiber)
        })
      })
    }))
