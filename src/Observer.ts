/**
 * The one seam through which a running system is watched.
 *
 * An observer is a `Context.Reference`, `undefined` by default, that a system reads when it starts. Without one,
 * nothing is measured.
 *
 * ```ts
 * import { Layer } from "effect"
 * import { ActorSystem, Observer } from "effect-troupe"
 *
 * const seen: Array<Observer.Observation> = []
 *
 * const layer = ActorSystem.layer({ name: "app" }).pipe(
 *   Layer.provide(Layer.succeed(Observer.Observer, {
 *     observe: (observation) => {
 *       seen.push(observation)
 *     },
 *     sampleEvery: 100
 *   }))
 * )
 * ```
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"

/**
 * Who watches a system. `observe` is called on the spot, so it must neither wait nor throw.
 *
 * @since 0.1.0
 * @category models
 */
export interface Observer {
  readonly observe: (observation: Observation) => void
  /** Tells of one message in this many, a positive integer. Default: of none. */
  readonly sampleEvery?: number | undefined
}

/**
 * Something that an observer is told: of an actor, or of a message.
 *
 * @since 0.1.0
 * @category models
 */
export type Observation = ActorObservation | MessageObservation

/**
 * An actor started, crashed, restarted, was abandoned or stopped. `at` is in milliseconds since the epoch,
 * `incarnation` counts from 1.
 *
 * @since 0.1.0
 * @category models
 */
export interface ActorObservation {
  readonly _tag: "Actor"
  readonly at: number
  readonly path: string
  readonly protocol: string
  readonly incarnation: number
  readonly event: "Started" | "Crashed" | "Restarted" | "Abandoned" | "Stopped"
}

/**
 * A message has been handled. It stands for `weight` messages. `from` is the actor that sent it, if one did; `waited`
 * is the time in the mailbox, `took` that of the handler, both in nanoseconds.
 *
 * @since 0.1.0
 * @category models
 */
export interface MessageObservation {
  readonly _tag: "Message"
  readonly at: number
  readonly from: string | undefined
  readonly to: string
  readonly protocol: string
  readonly tag: string
  readonly waited: bigint
  readonly took: bigint
  readonly outcome: "Success" | "Failure"
  readonly weight: number
}

/**
 * The observer of the systems that start with it.
 *
 * @since 0.1.0
 * @category references
 */
export const Observer = Context.Reference<Observer | undefined>("effect-troupe/Observer", {
  defaultValue: () => undefined
})
