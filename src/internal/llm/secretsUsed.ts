/**
 * Tells whoever writes down what a model says which secrets its calls use: keys, tokens and headers that only the
 * provider's layer knows.
 *
 * @internal
 */
import * as Channel from "effect/Channel"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"

type Secrets = ReadonlyArray<Redacted.Redacted>

/** Told of the secrets of each call that begins inside of it. */
export const OnSecrets = Context.Reference<(secrets: Secrets) => void>("effect-troupe/Llm/OnSecrets", {
  defaultValue: () => () => {}
})

export interface Collector {
  /** The secrets of the calls so far. */
  readonly found: Secrets
  readonly inside: <A, E, R>(call: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  readonly insideStream: <A, E, R>(call: Stream.Stream<A, E, R>) => Stream.Stream<A, E, R>
}

export const collector: Effect.Effect<Collector> = Effect.map(OnSecrets, (outer) => {
  const found: Array<Redacted.Redacted> = []
  const inside = Effect.provideService(OnSecrets, (secrets) => {
    found.push(...secrets)
    outer(secrets)
  })
  return { found, inside, insideStream: (call) => opening(call, inside) }
})

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

/** Runs the start of a stream inside of something: to do so with each pull would cost as much again as the pull. */
const opening = <A, E, R>(self: Stream.Stream<A, E, R>, inside: Collector["inside"]): Stream.Stream<A, E, R> =>
  Stream.fromChannel(
    Channel.fromTransform((_, scope) =>
      Effect.map(inside(Channel.toPullScoped(Stream.toChannel(self), scope)), (pull) => {
        let opened = false
        return Effect.suspend(() => {
          if (opened) return pull
          opened = true
          return inside(pull)
        })
      })
    )
  )
