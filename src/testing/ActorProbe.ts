/**
 * An actor that records what it receives, for tests of those who send.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import type * as Rpc from "effect/rpc/Rpc"
import * as RpcModule from "effect/rpc/Rpc"
import * as Stream from "effect/Stream"
import * as Actor from "../Actor.ts"
import type { ActorSystem } from "../ActorSystem.ts"
import * as Erased from "../internal/actor/erased.ts"
import { retype } from "../internal/retype.ts"

/**
 * A message that a probe received.
 *
 * @since 0.1.0
 * @category models
 */
export type Received<Rpcs extends Rpc.Any> = Rpcs extends Rpc.Any
  ? { readonly tag: Rpcs["_tag"]; readonly payload: Rpc.Payload<Rpcs> }
  : never

/**
 * Handlers for some messages, which need no services.
 *
 * @since 0.1.0
 * @category models
 */
export type Answers<Rpcs extends Rpc.Any> = {
  readonly [Current in Rpcs as Current["_tag"]]?: (
    payload: Rpc.Payload<Current>
  ) => Rpc.WrapperOr<Rpc.ResultFrom<Current, never>>
}

/**
 * A reference that records what it receives.
 *
 * @since 0.1.0
 * @category models
 */
export interface ActorProbe<out Name extends string, in out Rpcs extends Rpc.Any> {
  readonly ref: Actor.LocalActorRef<Name, Rpcs>
  /** Waits for the next message and gives its payload. Dies when it has another tag. */
  readonly expect: <const Tag extends Rpcs["_tag"]>(
    tag: Tag
  ) => Effect.Effect<Rpc.Payload<Rpc.ExtractTag<Rpcs, Tag>>>
  /** Waits for the next message. */
  readonly next: Effect.Effect<Received<Rpcs>>
  /** Lets the mailbox run empty and dies when a message was there that nobody expected. */
  readonly expectNone: Effect.Effect<void>
}

/**
 * Starts a probe. It answers by `answers`; without one, an ask is answered at once when its success is void, and never
 * otherwise.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <Name extends string, Rpcs extends Rpc.Any>(
  protocol: Actor.Protocol<Name, Rpcs>,
  answers: NoInfer<Answers<Rpcs>> = {}
): Effect.Effect<ActorProbe<Name, Rpcs>, Actor.SpawnError, ActorSystem> =>
  Effect.gen(function*() {
    const received = yield* Queue.unbounded<Received<Rpcs>>()
    const handlers = recording(protocol, retype(answers), (tag, payload) => {
      Queue.offerUnsafe(received, retype({ tag, payload }))
    })
    const ref = yield* Actor.spawn(Erased.makeBehavior(protocol, Effect.succeed(handlers), {}))
    const next = Queue.take(received)
    return {
      ref,
      next,
      expect: (tag) =>
        Effect.flatMap(next, (message) =>
          message.tag === tag
            ? Effect.succeed(retype(message.payload))
            : Effect.die(new Error(`ActorProbe: expected ${tag}, received ${message.tag}`))),
      expectNone: Effect.gen(function*() {
        // What was sent before is in the mailbox, or in work, until it has been received.
        while (isBusy(yield* ref.mailbox)) yield* Effect.yieldNow
        const message = yield* Queue.poll(received)
        if (Option.isSome(message)) {
          return yield* Effect.die(new Error(`ActorProbe: expected no message, received ${message.value.tag}`))
        }
      })
    }
  })

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const isBusy = ({ blocked, size }: Actor.MailboxSizes): boolean => size + blocked > 0

/** Handlers that note each message, and then answer as `answers` says. */
const recording = <Name extends string, Rpcs extends Rpc.Any>(
  protocol: Actor.Protocol<Name, Rpcs>,
  answers: { readonly [tag: string]: ((payload: unknown) => unknown) | undefined },
  note: (tag: string, payload: unknown) => void
): unknown => {
  const handler = (tag: string, otherwise: unknown) => (payload: unknown) => {
    note(tag, payload)
    return answers[tag] === undefined ? otherwise : answers[tag](payload)
  }
  return Erased.handlers(Erased.protocol(protocol), {
    unary: ({ _tag, successSchema }) =>
      handler(_tag, successSchema.ast._tag === "Void" ? Effect.void : RpcModule.fork(Effect.never)),
    stream: ({ _tag }) => handler(_tag, Stream.empty)
  })
}
