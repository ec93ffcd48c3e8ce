/**
 * What a request brings with it, as a service for all that runs in its run.
 *
 * @internal
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { AgentError, InvalidContext } from "../../AgentError.ts"
import * as Transcript from "../../Transcript.ts"

/**
 * The service that each request brings, and the schema by which it crosses from the asker to the actor.
 *
 * @since 0.1.0
 * @category models
 */
export interface RequestContext<out I, in out S, out Encoded extends Schema.Json> {
  readonly service: Context.Key<I, S>
  readonly schema: Schema.Codec<S, Encoded>
}

/** Reads what came with a request; nothing came with one that is `undefined`. */
type Reader = (json: unknown) => Effect.Effect<Context.Context<never>, InvalidContext>

/**
 * What the requests to an actor bring. Its setup runs with it, and so do the setups of the actors that it starts, such as
 * the members of a team.
 */
export const Expected = Context.Reference<Reader | undefined>("effect-troupe/internal/agent/ExpectedContext", {
  defaultValue: () => undefined
})

/** What came with the request under way, for requests to other actors. */
export const Current = Context.Reference<unknown>("effect-troupe/internal/agent/RequestContext", {
  defaultValue: () => undefined
})

export const reader = <I, S, Encoded extends Schema.Json>(
  { schema, service }: RequestContext<I, S, Encoded>
): Reader => {
  const decode = Schema.decodeUnknownEffect(schema)
  const invalid = (problem: string) => new InvalidContext({ service: service.key, problem })
  // An actor that is started inside of a run has the service of that run.
  const around = Effect.flatMap(
    Effect.serviceOption(service),
    (found) => Option.isSome(found) ? Effect.succeed(Context.empty()) : Effect.fail(invalid("the request has none"))
  )
  return (json) =>
    json === undefined ? around : Effect.mapBoth(decode(json), {
      onFailure: ({ message }) => invalid(message),
      onSuccess: (value): Context.Context<never> => Context.make(service, value)
    })
}

/** Runs the answer to a request with what came with it. */
export const provide = <A, E, R>(
  answer: Effect.Effect<A, E, R>,
  { agent, expected, json }: { readonly agent: string; readonly expected: Reader | undefined; readonly json: unknown }
): Effect.Effect<A, E | AgentError, R> => {
  const known = json === undefined ? answer : Effect.provideService(answer, Current, json)
  if (expected === undefined) return known
  return expected(json).pipe(
    Effect.mapError((reason) => new AgentError({ agent, reason, transcript: Transcript.empty })),
    Effect.flatMap((services) => Effect.provideContext(known, services))
  )
}
