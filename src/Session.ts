/**
 * Keeps conversations by an id: prompts in order, one turn at a time, each a commit in a `SessionStore`.
 *
 * A session is an actor that owns a conversation. It starts with its first message, is passivated when nobody needs it,
 * and goes on later from the store. A turn is claimed there before the first model call and ends in one commit, also when
 * it is cancelled or fails; its id is a receipt, so that a prompt that is sent twice is answered once. Readers never hold
 * a turn: leaving the stream of its events stops nothing, `cancel` does.
 *
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { Agent, Scripted, Session, SessionStore } from "effect-troupe"
 *
 * const Support = Session.make("support", { agent: Agent.make("support", { instructions: "You are kind." }) })
 *
 * const program = Effect.gen(function*() {
 *   const { text } = yield* Session.response(Support.run("ada-1", "My order is late.", { owner: "ada" }))
 *   return text
 * })
 *
 * const live = Support.layer.pipe(
 *   Layer.provide([SessionStore.layerMemory, Scripted.model(["I am sorry!"])])
 * )
 *
 * const main = Effect.provide(program, live)
 * ```
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Actor from "./Actor.ts"
import * as ActorSystem from "./ActorSystem.ts"
import * as Agent from "./Agent.ts"
import type { AgentResponse } from "./AgentEvent.ts"
import * as check from "./internal/check.ts"
import { retype } from "./internal/retype.ts"
import { opener } from "./internal/session/actor.ts"
import type { SessionError } from "./internal/session/error.ts"
import type { SessionEvent } from "./internal/session/event.ts"
import * as History from "./internal/session/history.ts"
import * as Service from "./internal/session/service.ts"
import type { Definition, WhenBusy } from "./internal/session/session.ts"
import * as StateOf from "./internal/session/state.ts"
import { named, owned } from "./internal/session/submit.ts"
import { SessionStore, type Store } from "./internal/store/contract.ts"
import type * as Contract from "./internal/store/contract.ts"
import type { StoreError } from "./internal/store/storeError.ts"

export {
  /** @since 0.1.0 @category errors */
  AgentFailed,
  /** @since 0.1.0 @category errors */
  BacklogFull,
  /** @since 0.1.0 @category errors */
  Cancelled,
  /** @since 0.1.0 @category errors */
  ConcurrentWrite,
  /** @since 0.1.0 @category errors */
  Forbidden,
  /** @since 0.1.0 @category errors */
  InvalidSessionId,
  /** @since 0.1.0 @category errors */
  NotFound,
  /** @since 0.1.0 @category errors */
  Overloaded,
  /** @since 0.1.0 @category errors */
  SessionError,
  /** @since 0.1.0 @category errors */
  SessionErrorReason,
  /** @since 0.1.0 @category errors */
  ShuttingDown,
  /** @since 0.1.0 @category errors */
  StateInvalid,
  /** @since 0.1.0 @category errors */
  StoreFailed,
  /** @since 0.1.0 @category errors */
  Superseded,
  /** @since 0.1.0 @category errors */
  TurnConflict,
  /** @since 0.1.0 @category errors */
  Unreachable
} from "./internal/session/error.ts"
export {
  /** @since 0.1.0 @category events */
  Accepted,
  /** @since 0.1.0 @category events */
  Committed,
  /** @since 0.1.0 @category events */
  SessionEvent,
  /** @since 0.1.0 @category events */
  Skipped,
  /** @since 0.1.0 @category models */
  TurnEnd
} from "./internal/session/event.ts"
export type {
  /** @since 0.1.0 @category models */
  HistoryPage,
  /** @since 0.1.0 @category models */
  OpenTurn,
  /** @since 0.1.0 @category models */
  Version
} from "./internal/session/history.ts"
export type {
  /** @since 0.1.0 @category models */
  WhenBusy
} from "./internal/session/session.ts"
export {
  /** @since 0.1.0 @category services */
  CurrentSession,
  /** @since 0.1.0 @category models */
  type State
} from "./internal/session/state.ts"

/**
 * How sessions of one kind work.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options<out E, out R, in C> {
  /** Who answers: an agent, or the behavior of an agent or a team. */
  readonly agent: Agent.Agent<E, R> | Agent.AgentBehavior<E, R, C>
  /** What a prompt does that meets another turn in work. Default: `"queue"`. */
  readonly whenBusy?: WhenBusy | undefined
  /** How many prompts of a session may wait before the next one fails with `BacklogFull`. Default: 32. */
  readonly backlog?: number | undefined
  /** Whether a turn that was cancelled or failed keeps the text that it had said. Default: true. */
  readonly keepPartial?: boolean | undefined
  /** How much of a turn's events is kept for readers that are slow or late. Default: 1,048,576. */
  readonly maxTurnBytes?: number | undefined
  /** How long a session that nobody needs stays in memory. Default: 15 minutes. */
  readonly idleTimeout?: Duration.Input | undefined
}

/**
 * The service of the sessions with this name.
 *
 * @since 0.1.0
 * @category services
 */
export interface Sessions<out Name extends string> {
  readonly _: "effect-troupe/Session/Sessions"
  readonly name: Name
}

/**
 * Who asks. `owner` must be the session's, "" for one of nobody (the default).
 *
 * @since 0.1.0
 * @category models
 */
export interface By {
  readonly owner?: string | undefined
}

/**
 * Who writes: for the owner, in the name of an author. Default: the owner.
 *
 * @since 0.1.0
 * @category models
 */
export interface WrittenBy extends By {
  readonly author?: string | undefined
}

/**
 * The options of a prompt.
 *
 * @since 0.1.0
 * @category models
 */
export interface RunOptions extends WrittenBy {
  /** The turn's receipt: sent again, it gives the same answer. Default: a new one. */
  readonly turnId?: string | undefined
}

/**
 * Sessions of one kind: a service, the layer that gives it, and its operations.
 *
 * @since 0.1.0
 * @category models
 */
export interface Session<Name extends string, out E, out R, C> {
  readonly name: Name
  /**
   * Serves the sessions from this process, in the `ActorSystem` of the context, else in one of their own. Its release lets
   * turns end for 5 seconds; what is in work then is committed as far as it came.
   */
  readonly layer: Layer.Layer<
    Sessions<Name>,
    E | Actor.SpawnError,
    SessionStore | Exclude<R, CurrentSessionServices>
  >
  /**
   * Prompts a session and streams the events of its turn. The last one is `Committed`; a turn that was not completed fails
   * the stream after it. Leaving the stream does not end the turn.
   *
   * `context` is what the request brings for the tools, as JSON (`Agent.withContext`).
   */
  readonly run: (
    id: string,
    input: Agent.Input,
    ...options: unknown extends C ? [options?: RunOptions] : [options: RunOptions & { readonly context: C }]
  ) => Stream.Stream<SessionEvent, SessionError, Sessions<Name>>
  /** The events of a turn that was sent before, from the first that is kept on. Default: the turn in work. */
  readonly join: (
    id: string,
    options?: By & { readonly turnId?: string | undefined }
  ) => Stream.Stream<SessionEvent, SessionError, Sessions<Name>>
  /** Ends a turn (default: the one in work) with a commit, and waits for it; false if there is none. */
  readonly cancel: (
    id: string,
    options?: By & { readonly turnId?: string | undefined }
  ) => Effect.Effect<boolean, SessionError, Sessions<Name>>
  /** The versions of a session, newest first, with the turns that are not committed on the first page. */
  readonly history: (
    id: string,
    options?: By & {
      /** The version to begin with: `next` of the page before. Default: the newest. */
      readonly from?: number | undefined
      /** Default: 50. */
      readonly limit?: number | undefined
    }
  ) => Effect.Effect<History.HistoryPage, SessionError, Sessions<Name>>
  /** Sessions by last use, newest first; of all owners, unless one is given. */
  readonly list: (options?: {
    readonly owner?: string | undefined
    readonly after?: Contract.ListCursor | undefined
    /** Default: 50. */
    readonly limit?: number | undefined
  }) => Effect.Effect<ReadonlyArray<Contract.Head>, SessionError, Sessions<Name>>
  /** The committed value of a state. */
  readonly state: <A>(
    id: string,
    state: StateOf.State<A>,
    options?: By
  ) => Effect.Effect<Option.Option<A>, SessionError, Sessions<Name>>
  /** Changes a state with a commit of its own, between two turns. */
  readonly update: <A>(
    id: string,
    state: StateOf.State<A>,
    f: (value: Option.Option<A>) => A,
    options?: WrittenBy
  ) => Effect.Effect<A, SessionError, Sessions<Name>>
  /** Gives a session a title and tags, with a commit of its own; gives its version. */
  readonly describe: (
    id: string,
    description: { readonly title?: string | undefined; readonly tags?: ReadonlyArray<string> | undefined },
    options?: WrittenBy
  ) => Effect.Effect<number, SessionError, Sessions<Name>>
  /** Goes on from an earlier version, on a new branch; gives the new version. The old branch stays. */
  readonly rewind: (
    id: string,
    version: number,
    options?: WrittenBy
  ) => Effect.Effect<number, SessionError, Sessions<Name>>
  /** The branches of a session, oldest first. */
  readonly branches: (
    id: string,
    options?: By
  ) => Effect.Effect<ReadonlyArray<Contract.Branch>, SessionError, Sessions<Name>>
  /** A new session with the conversation until that version; gives its first own version. */
  readonly fork: (
    id: string,
    newId: string,
    version: number,
    options?: WrittenBy
  ) => Effect.Effect<number, SessionError, Sessions<Name>>
  /** Removes a session with all its rows. A turn in work ends within 5 seconds with `ConcurrentWrite`. */
  readonly delete: (id: string, options?: By) => Effect.Effect<Contract.Removed, SessionError, Sessions<Name>>
  /** Removes all sessions of an owner. */
  readonly deleteOwner: (owner: string) => Effect.Effect<Contract.Removed, SessionError, Sessions<Name>>
}

/**
 * What the layer of a session provides to its agent.
 *
 * @since 0.1.0
 * @category type utils
 */
export type CurrentSessionServices = StateOf.CurrentSession | ActorSystem.ActorSystem | Scope.Scope

/**
 * Makes sessions of one kind. A store knows sessions by their ids alone: two kinds on one store need different ids.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { Agent, OpenAi, Session, SessionStore } from "effect-troupe"
 * import { Sqlite } from "effect-troupe/node"
 *
 * const agent = Agent.make("support", { instructions: "You are kind.", model: OpenAi.model("gpt-5-mini") })
 *
 * const Support = Session.make("support", { agent, whenBusy: "interrupt" })
 *
 * const live = Support.layer.pipe(
 *   Layer.provide(SessionStore.layerSql),
 *   Layer.provide(Sqlite.layer({ file: "sessions.db" }))
 * )
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <const Name extends string, E, R, C = unknown>(
  name: Name,
  options: Options<E, R, C>
): Session<Name, E, R, C> => {
  const where = "Session.make"
  check.notEmpty(where, "name", name)
  const backlog = check.positiveInteger(where, "backlog", options.backlog ?? 32)
  const maxTurnBytes = check.positiveInteger(where, "maxTurnBytes", options.maxTurnBytes ?? 1_048_576)
  const idleTimeout = check.positiveDuration(where, "idleTimeout", options.idleTimeout ?? "15 minutes")
  const { agent, keepPartial = true, whenBusy = "queue" } = options
  const service = Context.Service<Sessions<Name>, Service.Sessions>(`effect-troupe/Session/${name}`)
  const toDefinition = (behavior: Agent.AgentBehavior<E, R, C>): Definition => ({
    name,
    // The actors run with the context of the layer, which has what it requires.
    behavior: retype(behavior),
    whenBusy,
    backlog,
    keepPartial,
    maxTurnBytes
  })
  const build = Effect.gen(function*() {
    const store = yield* SessionStore
    const given = yield* Effect.serviceOption(ActorSystem.ActorSystem)
    const system: Context.Context<ActorSystem.ActorSystem> = Option.isSome(given)
      ? yield* Effect.context<ActorSystem.ActorSystem>()
      : yield* Layer.build(ActorSystem.layer({ name }))
    const definition = toDefinition(Agent.isAgent(agent) ? yield* builtOnce(agent) : agent)
    const ref = yield* Effect.acquireRelease(
      Effect.provideContext(Actor.spawn(opener(definition, store, idleTimeout), { name }), system),
      ({ stop }) => stop
    )
    return { opener: ref, store }
  })
  const layer = Layer.effect(service, build)
  const fromStore = <A>(id: string, read: (store: Store) => Effect.Effect<A, StoreError>) =>
    Effect.flatMap(service, ({ store }) => named({ id })(read(store)))
  const fromOwned = <A>(id: string, owner: string, read: (store: Store) => Effect.Effect<A, StoreError>) =>
    Effect.flatMap(service, ({ store }) => named({ id })(Effect.andThen(owned({ id, store }, owner), read(store))))
  return {
    name,
    layer: retype(layer),
    run: (id, input, ...[options]) =>
      Stream.unwrap(Effect.map(service, (self) => Service.run(self, id, input, options ?? {}))),
    join: (id, { owner = "", turnId: turn } = {}) =>
      Stream.unwrap(
        Effect.map(service, (self) => Service.events(self, id, (ref) => ref.stream("Join", { owner, turn })))
      ),
    cancel: (id, { owner = "", turnId: turn } = {}) =>
      Effect.flatMap(service, (self) => Service.ask(self, id, (ref) => ref.ask("Cancel", { owner, turn }))),
    history: (id, { from, limit = 50, owner = "" } = {}) =>
      Effect.flatMap(service, ({ store }) => named({ id })(History.page(store, id, { owner, from, limit }))),
    list: ({ after, limit = 50, owner } = {}) => fromStore("", (store) => store.list({ after, limit, owner })),
    state: (id, state, { owner = "" } = {}) => Effect.flatMap(service, (self) => Service.read(self, id, state, owner)),
    update: (id, state, f, options = {}) =>
      Effect.flatMap(service, (self) => Service.update(self, id, state, f, options)),
    describe: (id, description, options = {}) =>
      Effect.flatMap(service, (self) => Service.write(self, id, options, () => Effect.succeed(description))),
    rewind: (id, version, options = {}) =>
      Effect.flatMap(service, (self) => Service.write(self, id, options, () => Effect.succeed({ rewindTo: version }))),
    branches: (id, { owner = "" } = {}) => fromOwned(id, owner, (store) => store.branches(id)),
    fork: (id, to, version, { author, owner = "" } = {}) =>
      fromOwned(
        id,
        owner,
        (store) => Effect.map(store.fork(id, { to, version, author: author ?? owner }), (commit) => commit.version)
      ),
    delete: (id, { owner = "" } = {}) => fromOwned(id, owner, (store) => store.delete(id)),
    deleteOwner: (owner) => fromStore("", (store) => store.deleteOwner(owner))
  }
}

/**
 * A value that sessions keep under a name: tools read and change it in their turn, and the change commits with the turn;
 * `update` of the service changes it between turns.
 *
 * `migrate` gets the JSON of a value that no longer decodes and gives JSON that does. Without it, or where that does not
 * decode either, who reads the value gets `StateInvalid`.
 *
 * @example
 * ```ts
 * import { Effect, Option, Schema } from "effect"
 * import { Agent, Session, Tool } from "effect-troupe"
 *
 * const Cart = Session.state("cart", Schema.Array(Schema.String))
 *
 * const add = Tool.fn("add", {
 *   description: "Puts an item into the cart",
 *   parameters: { item: Schema.String },
 *   success: Schema.Int
 * }, ({ item }) =>
 *   Effect.map(Cart.update((cart) => [...Option.getOrElse(cart, () => []), item]), (cart) => cart.length))
 *
 * const Shop = Session.make("shop", { agent: Agent.make("clerk", { tools: [add] }) })
 *
 * const cart = Shop.state("ada-1", Cart, { owner: "ada" })
 * ```
 *
 * @since 0.1.0
 * @category state
 */
export const state = <A, Encoded>(
  name: string,
  schema: Schema.Codec<A, Encoded>,
  options: { readonly migrate?: ((json: Schema.Json) => unknown) | undefined } = {}
): StateOf.State<A> => StateOf.make(check.notEmpty("Session.state", "name", name), schema, options.migrate)

/**
 * The answer at the end of a turn's events.
 *
 * @since 0.1.0
 * @category running
 */
export const response = <R>(
  events: Stream.Stream<SessionEvent, SessionError, R>
): Effect.Effect<AgentResponse, SessionError, R> =>
  Effect.suspend(() => {
    let response: AgentResponse | undefined
    const note = ({ event }: SessionEvent) =>
      Effect.sync(() => {
        if (event._tag === "Committed") response = event.response
      })
    return Effect.flatMap(Stream.runForEach(events, note), () =>
      response === undefined
        ? Effect.die(new Error("Session.response: the stream of events must end with Committed"))
        : Effect.succeed(response))
  })

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

/** The agent with its model built once for all sessions, since limits of its requests are those of the model. */
const builtOnce = <E, R>(agent: Agent.Agent<E, R>) => {
  const nowhere = StateOf.CurrentSession.of({
    id: "",
    read: () => undefined,
    write: (key) => {
      throw new Error(`Session.state(${key}): a model that is built for all sessions has no state`)
    }
  })
  return Effect.map(
    Effect.provideService(agent.build([]), StateOf.CurrentSession, nowhere),
    (built) => Agent.behavior(built)
  )
}
