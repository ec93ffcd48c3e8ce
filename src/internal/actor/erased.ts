/**
 * Protocols, behaviors and references whose messages' types are erased: what hands on messages of any protocol works
 * with these, between one typed seam in and one out.
 *
 * @internal
 */
import type * as Effect from "effect/Effect"
import type * as Rpc from "effect/rpc/Rpc"
import * as RpcSchema from "effect/rpc/RpcSchema"
import type * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import type * as Actor from "../../Actor.ts"
import * as Cell from "./cell.ts"
import * as LocalRef from "./localRef.ts"

export type Protocol = Actor.Protocol<string, Rpc.Any>
export type Behavior = Actor.Behavior<string, Rpc.Any, unknown, never>
export type Message = Rpc.Rpc<string, Schema.Top, Schema.Top, Schema.Top>

export interface Ref extends Omit<Actor.LocalActorRef<string, never>, "tell" | "ask" | "stream"> {
  readonly tell: (tag: string, payload: unknown) => Effect.Effect<void, Actor.ActorError>
  readonly ask: (tag: string, payload: unknown) => Effect.Effect<unknown, unknown>
  readonly stream: (tag: string, payload: unknown) => Stream.Stream<unknown, unknown>
}

export const ref = (ref: Actor.LocalActorRef<string, Rpc.Any>): Ref => ref as unknown as Ref

export const messages = (protocol: Protocol): ReadonlyArray<Message> =>
  Array.from(protocol.group.requests.values(), (rpc) => rpc as unknown as Message)

/** One handler a message of the kinds given; `never` because nothing is known of what its sender expects. */
export const handlers = <A>(
  protocol: Protocol,
  make: {
    readonly unary: (tag: string) => (input: A) => unknown
    readonly stream?: (tag: string) => (input: A) => unknown
  }
): Record<string, (input: A) => never> =>
  Object.fromEntries(
    messages(protocol).flatMap(({ _tag, successSchema }) => {
      const handler = RpcSchema.isStreamSchema(successSchema) ? make.stream?.(_tag) : make.unary(_tag)
      return handler === undefined ? [] : [[_tag, handler as (input: A) => never]]
    })
  )

/** Whether the actor takes messages, as far as that can be known without asking it. */
export const isOpen = (ref: Ref): boolean => !LocalRef.isLocalRef(ref) || Cell.isOpen(ref.cell)
