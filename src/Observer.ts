/**
 * The one seam through which a running system is watched.
 *
 * An observer is a `Context.Reference`, `undefined` by default, that a system reads when it starts, and a run of an agent
 * when it begins (the system's, where the run is in an actor). Without one, nothing is measured.
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
export type Observation = ActorObservation | MessageObservation | RunObservation

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
 * Events of a run of an agent or a team (`AgentEvent`), as they are emitted. Each is told of once, by the run that it is
 * of. `parent` is the run that it is inside of, and the tool call there; `actor` the path of the actor that it is in.
 *
 * The last one of a run has no events but its `outcome`: a run that fails or is interrupted has no event that says so.
 *
 * @since 0.1.0
 * @category models
 */
export interface RunObservation {
  readonly _tag: "Run"
  readonly at: number
  readonly run: string
  readonly parent: { readonly run: string; readonly call?: string } | undefined
  readonly actor: string | undefined
  readonly agent: string
  readonly events: ReadonlyArray<{ readonly _tag: string; readonly run: string; readonly agent: string }>
  readonly outcome: "Success" | "Failure" | "Interrupted" | undefined
}

/**
 * The observer of the systems and the runs that start with it.
 *
 * @since 0.1.0
 * @category references
 */
export const Observer = Context.Reference<Observer | undefined>("effect-troupe/Observer", {
  defaultValue: () => undefined
})
