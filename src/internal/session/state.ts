/**
 * Typed state of a session. Exported through `Session`.
 *
 * @internal
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { SessionError, StateInvalid } from "./error.ts"

/**
 * The session whose turn runs, for its tools. The layer of a session provides it to its agent.
 *
 * @since 0.1.0
 * @category services
 */
export class CurrentSession extends Context.Service<CurrentSession, {
  readonly id: string
  /** Values as JSON: those of this turn over those that were committed. */
  readonly read: (key: string) => Schema.Json | undefined
  /** Commits with the turn. */
  readonly write: (key: string, value: Schema.Json) => void
}>()("effect-troupe/Session/CurrentSession") {}

/**
 * A value that a session keeps under a name. The service of the session reads and writes it from outside of turns.
 *
 * @since 0.1.0
 * @category models
 */
export interface State<in out A> {
  readonly name: string
  /** The value, in a tool: as this turn has it. */
  readonly get: Effect.Effect<Option.Option<A>, SessionError, CurrentSession>
  /** Changes the value, in a tool, at once: of parallel tools, each sees the change of the one before. */
  readonly update: (f: (value: Option.Option<A>) => A) => Effect.Effect<A, SessionError, CurrentSession>
  /** @internal */
  readonly decode: (session: string, json: Schema.Json | undefined) => Result.Result<Option.Option<A>, SessionError>
  /** @internal */
  readonly encode: (session: string, value: A) => Result.Result<Schema.Json, SessionError>
}

/** A value and its JSON, after a change. */
export const change = <A>(
  { decode, encode }: State<A>,
  session: string,
  json: Schema.Json | undefined,
  f: (value: Option.Option<A>) => A
): Result.Result<{ readonly value: A; readonly json: Schema.Json }, SessionError> =>
  Result.flatMap(decode(session, json), (before) => {
    const value = f(before)
    return Result.map(encode(session, value), (json) => ({ value, json }))
  })

/** A state of this name. */
export const make = <A, Encoded>(
  name: string,
  schema: Schema.Codec<A, Encoded>,
  migrate: ((json: Schema.Json) => unknown) | undefined
): State<A> => {
  const codec = Schema.toCodecJson(schema)
  const decodeJson = Schema.decodeUnknownResult(codec)
  const encodeJson = Schema.encodeResult(codec)
  const orInvalid = <B>(session: string, result: Result.Result<B, { readonly message: string }>) =>
    Result.mapError(
      result,
      ({ message }) => new SessionError({ session, reason: new StateInvalid({ key: name, problem: message }) })
    )
  const state: State<A> = {
    name,
    decode: (session, json) => {
      if (json === undefined) return Result.succeed(Option.none())
      const found = decodeJson(json)
      const value = Result.isFailure(found) && migrate !== undefined ? decodeJson(migrate(json)) : found
      return Result.map(orInvalid(session, value), Option.some)
    },
    encode: (session, value) => orInvalid(session, encodeJson(value)),
    get: CurrentSession.use(({ id, read }) => Effect.fromResult(state.decode(id, read(name)))),
    update: (f) =>
      CurrentSession.use(({ id, read, write }) => {
        // In one step, so that nobody comes between.
        const changed = change(state, id, read(name), f)
        if (Result.isSuccess(changed)) write(name, changed.success.json)
        return Effect.fromResult(Result.map(changed, ({ value }) => value))
      })
  }
  return state
}
