/**
 * The seam at which the types of messages are erased and come back. What hands on messages of any protocol works with
 * the erased shapes, between one function in and one out.
 *
 * @internal
 */
import type * as Effect from "effect/Effect"
import type * as Rpc from "effect/rpc/Rpc"
import * as RpcSchema from "effect/rpc/RpcSchema"
import type * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import type * as Actor from "../../Actor.ts"
import { retype } from "../retype.ts"
import * as Cell from "./cell.ts"
import type { InternalOptions } from "./definition.ts"
import * as LocalRef from "./localRef.ts"

export type Protocol = Actor.Protocol<string, Rpc.Any>
export type Behavior = Actor.Behavior<string, Rpc.Any, unknown, never>
export type Message = Rpc.Rpc<string, Schema.Top, Schema.Top, Schema.Top>

/** The three ways to send. */
export interface Sender {
  readonly tell: (tag: string, payload: unknown) => Effect.Effect<unknown, unknown>
  readonly ask: (tag: string, payload: unknown) => Effect.Effect<unknown, unknown>
  readonly stream: (tag: string, payload: unknown) => Stream.Stream<unknown, unknown>
}

export interface Ref extends Omit<Actor.LocalActorRef<string, never>, keyof Sender>, Sender {
  readonly tell: (tag: string, payload: unknown) => Effect.Effect<void, Actor.ActorError>
}

export const protocol = <Name extends string, Rpcs extends Rpc.Any>(protocol: Actor.Protocol<Name, Rpcs>): Protocol =>
  retype(protocol)

export const behavior = <Name extends string, Rpcs extends Rpc.Any, E, R>(
  behavior: Actor.Behavior<Name, Rpcs, E, R>
): Behavior => retype(behavior)

/** A behavior with options that only the runtime's own ones have, and with handlers that no type describes. */
export const makeBehavior = <Name extends string, Rpcs extends Rpc.Any, E, R>(
  protocol: Actor.Protocol<Name, Rpcs>,
  setup: Effect.Effect<unknown, E, R>,
  options: InternalOptions
): Actor.Behavior<Name, Rpcs, E, R> =>
  retype<(setup: Effect.Effect<unknown, E, R>, options: InternalOptions) => Actor.Behavior<Name, Rpcs, E, R>>(
    protocol.behavior
  )(setup, options)

export const ref = <Name extends string, Rpcs extends Rpc.Any>(ref: Actor.LocalActorRef<Name, Rpcs>): Ref => retype(ref)

/** A reference made of its three ways to send. */
export const makeRef = <Name extends string, Rpcs extends Rpc.Any>(
  protocol: Actor.Protocol<Name, Rpcs>,
  sender: Sender
): Actor.ActorRef<Name, Rpcs> => retype({ [LocalRef.RefTypeId]: LocalRef.RefTypeId, protocol, ...sender })

export const messages = (protocol: Protocol): ReadonlyArray<Message> =>
  Array.from(protocol.group.requests.values(), (rpc) => retype(rpc))

/** One handler a message of the kinds given; `never` because nothing is known of what its sender expects. */
export const handlers = <A>(
  protocol: Protocol,
  make: {
    readonly unary: (message: Message) => (input: A) => unknown
    readonly stream?: (message: Message) => (input: A) => unknown
  }
): Record<string, (input: A) => never> =>
  Object.fromEntries(
    messages(protocol).flatMap((message) => {
      const handler = RpcSchema.isStreamSchema(message.successSchema) ? make.stream?.(message) : make.unary(message)
      return handler === undefined ? [] : [[message._tag, retype<(input: A) => never>(handler)]]
    })
  )

/** The local actor behind a reference; `undefined` for one that is elsewhere. */
export const cellOf = (ref: object): Cell.Cell | undefined => LocalRef.isLocalRef(ref) ? ref.cell : undefined

/** Whether the actor takes messages, as far as that can be known without asking it. */
export const isOpen = (ref: Ref): boolean => {
  const cell = cellOf(ref)
  return cell === undefined || Cell.isOpen(cell)
}
