/**
 * Runs an agent as an actor with the Agent protocol. Exported through `Agent`.
 *
 * @internal
 */
import * as AiError from "effect/ai/AiError"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Ref from "effect/Ref"
import type * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Actor from "../../Actor.ts"
import { AgentError, ModelFailed } from "../../AgentError.ts"
import type { AgentEvent, AgentResponse } from "../../AgentEvent.ts"
import type { Tool } from "../../Tool.ts"
import * as Transcript from "../../Transcript.ts"
import { errorMessage } from "../errorMessage.ts"
import { ConversationId } from "../llm/callSpan.ts"
import * as Pushed from "../pushed.ts"
import type { Agent } from "./agent.ts"
import { boundEntry } from "./bounds.ts"
import { makeId } from "./place.ts"
import { type AgentBehavior, type Input, protocol, type Request } from "./protocol.ts"
import * as RequestContext from "./requestContext.ts"

/**
 * How an agent or a team runs as an actor.
 *
 * @since 0.1.0
 * @category models
 */
export interface BehaviorOptions extends Pick<Actor.BehaviorOptions, "mailbox" | "supervisor" | "idleTimeout"> {
  /** Tells a model that may choose it when to choose it. */
  readonly description?: string | undefined
}

/**
 * The way an agent or a team handles a prompt: emits the events of the run, and writes its entries into `transcript`.
 * `actor` is the path of the actor that it runs in.
 */
export interface PromptHandler<R> {
  readonly run: (
    request: Request,
    transcript: Ref.Ref<Transcript.Transcript>,
    emit: Pushed.Emit<AgentEvent>,
    actor: string
  ) => Effect.Effect<unknown, AgentError, R>
  /** Goes on with another conversation, in whatever keeps one beside the transcript. */
  readonly restore: (transcript: Transcript.Transcript) => Effect.Effect<void>
}

/** The Agent protocol over a handler of prompts. */
export const serve = <E, R>(
  name: string,
  handler: Effect.Effect<PromptHandler<R>, E, R>,
  options: BehaviorOptions
): AgentBehavior<E, Exclude<R, Scope.Scope>> => {
  const behavior = protocol.behavior(
    Effect.gen(function*() {
      const transcript = yield* Ref.make(Transcript.empty)
      const { path } = yield* Actor.self(protocol)
      const random = yield* Random.Random
      const around = yield* ConversationId
      const expected = yield* RequestContext.Expected
      let conversation = around ?? makeId(random)
      const { restore, run } = yield* handler
      const goOnWith = (conversation: Transcript.Transcript) =>
        Effect.andThen(Ref.set(transcript, conversation), restore(conversation))
      const events = (request: Request): Pushed.Source<AgentEvent, AgentError, R> => (emit) => {
        const { context, history } = request
        return Effect.provideService(
          RequestContext.provide(
            run(request, history === undefined ? transcript : Ref.makeUnsafe(history), emit, path),
            { agent: name, expected, json: context }
          ),
          ConversationId,
          conversation
        )
      }
      return {
        Run: (request: Request) => Pushed.make(events(request)),
        Prompt: (request: Request) => responseOf(events(request)),
        Transcript: () => Ref.get(transcript),
        Restore: ({ transcript }) => goOnWith(Transcript.make(transcript.entries.map(boundEntry))),
        Reset: () =>
          Effect.suspend(() => {
            conversation = around ?? makeId(random)
            return goOnWith(Transcript.empty)
          })
      }
    }),
    // A run may take as long as it likes; its own limits say otherwise.
    { ...options, stopTimeout: "Infinity" }
  )
  // Nothing can be excluded from an `R` that is not known here.
  return {
    ...behavior,
    agent: name,
    description: options.description
  } as unknown as AgentBehavior<E, Exclude<R, Scope.Scope>>
}

/** The behavior of an agent with more tools than its own. */
export const behaviorWith = <E, R>(
  agent: Agent<E, R>,
  tools: ReadonlyArray<Tool<string>>,
  options: BehaviorOptions = {}
): AgentBehavior<E, Exclude<R, Scope.Scope>> =>
  serve(
    agent.name,
    Effect.gen(function*() {
      const built = yield* agent.build(tools)
      const memory = yield* built.memory
      const handler: PromptHandler<R> = {
        run: ({ as, history, input, output, parent }, transcript, emit, actor) => {
          const origin = { parent, as, actor }
          const options = { transcript, output, memory: history === undefined ? memory : undefined, origin }
          return Effect.mapError(
            Pushed.runForEach(built.run(input, options), emit),
            (error) => toAgentError(agent.name, input, error)
          )
        },
        restore: ({ entries }) =>
          memory === undefined ? Effect.void : Effect.andThen(memory.clear, memory.append(entries))
      }
      return handler
    }),
    { description: agent.description, ...options }
  )

/** The behavior, where each request brings a service for its run. */
export const withContext = <E, R, I, S, Encoded extends Schema.Json>(
  behavior: AgentBehavior<E, R>,
  context: RequestContext.RequestContext<I, S, Encoded>
): AgentBehavior<E, Exclude<R, I>, Encoded> => {
  const { definition } = behavior
  const setup = Effect.provideService(definition.setup, RequestContext.Expected, RequestContext.reader(context))
  // The runs of each request have the service; nothing can be excluded from an `R` that is not known here.
  return { ...behavior, definition: { ...definition, setup } } as unknown as AgentBehavior<E, Exclude<R, I>, Encoded>
}

/** The response of a run, from its events: `Completed` carries it. */
export const responseOf = <E, R>(events: Pushed.Source<AgentEvent, E, R>): Effect.Effect<AgentResponse, E, R> =>
  Effect.suspend(() => {
    let last: AgentEvent | undefined
    const note = (events: ReadonlyArray<AgentEvent>) => {
      last = events.at(-1) ?? last
      return Effect.void
    }
    return Effect.flatMap(events(note), () =>
      last?._tag === "Completed"
        ? Effect.succeed(last.response)
        : Effect.die(new Error("Agent.response: the stream of events must end with Completed")))
  })

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

/** Any other error comes from a model that was to be built in the run. */
const toAgentError = (agent: string, input: Input, error: unknown): AgentError => {
  if (error instanceof AgentError) return error
  const reason = new AiError.UnknownError({ description: errorMessage(error) })
  return new AgentError({
    agent,
    reason: new ModelFailed({ error: AiError.make({ module: "Agent", method: agent, reason }) }),
    transcript: Transcript.make([Transcript.user(input)])
  })
}
