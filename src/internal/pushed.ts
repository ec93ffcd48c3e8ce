/**
 * Streams whose source pushes its items. They are ordinary streams; a reader that knows of the source lets it push
 * straight to itself, without a queue and a fiber in between, however many actors the items go through.
 *
 * @internal
 */
import * as Channel from "effect/Channel"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"

/** Takes a batch of items; the source waits for it. A source of several fibers may push from each at once. */
export type Emit<A> = (items: ReadonlyArray<A>) => Effect.Effect<void>

export type Source<A, E, R> = (emit: Emit<A>) => Effect.Effect<unknown, E, R>

const SourceTypeId = "~effect-troupe/internal/Pushed"

/** A stream of the items of a source, which waits while `bufferSize` items are ahead of the reader. */
export const make = <A, E, R>(source: Source<A, E, R>, bufferSize = 16): Stream.Stream<A, E, R> =>
  withSource(
    () =>
      Stream.callback<A, E, R>((queue) => {
        const pushed = source((items) => items.length === 0 ? Effect.void : Effect.asVoid(Queue.offerAll(queue, items)))
        return Effect.andThen(pushed, Queue.end(queue))
      }, { bufferSize }),
    source
  )

/** A stream with its source; it is made only when somebody reads it as a stream. */
export const withSource = <A, E, R>(stream: () => Stream.Stream<A, E, R>, source: Source<A, E, R>) =>
  // `Stream.suspend` would do the same, but enters each of its streams in a `WeakMap`.
  Object.assign(Stream.fromChannel(Channel.suspend(() => Stream.toChannel(stream()))), { [SourceTypeId]: source })

/** A stream that an effect gives; reading it costs no more than reading that one. */
export const unwrap = <A, E, R, R2>(
  effect: Effect.Effect<Stream.Stream<A, E, R>, never, R2>
): Stream.Stream<A, E, R | R2> =>
  Object.assign(
    Stream.fromChannel<ReadonlyArray<A> & readonly [A, ...Array<A>], E, R | R2>(
      Channel.fromTransform((upstream, scope) =>
        Effect.flatMap(effect, (stream) => Channel.toTransform(Stream.toChannel(stream))(upstream, scope))
      )
    ),
    {
      [SourceTypeId]: (emit: Emit<A>) => Effect.flatMap(effect, (stream) => runForEach(stream, emit))
    }
  )

/** Runs a stream and hands on its items, batch by batch. */
export const runForEach = <A, E, R>(stream: Stream.Stream<A, E, R>, emit: Emit<A>): Effect.Effect<unknown, E, R> => {
  const source = sourceOf(stream)
  return source === undefined ? Stream.runForEachArray(stream, emit) : source(emit)
}

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

/** Only `withSource` sets it, so its types are the stream's. */
const sourceOf = <A, E, R>(stream: Stream.Stream<A, E, R>): Source<A, E, R> | undefined =>
  (stream as { readonly [SourceTypeId]?: Source<A, E, R> })[SourceTypeId]
