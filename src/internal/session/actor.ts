/**
 * The actor of one session, and the one above all sessions of a definition.
 *
 * @internal
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Rpc from "effect/rpc/Rpc"
import * as Stream from "effect/Stream"
import * as Actor from "../../Actor.ts"
import { AgentError, InvalidAgent } from "../../AgentError.ts"
import * as Mailbox from "../../Mailbox.ts"
import * as Transcript from "../../Transcript.ts"
import { errorMessage } from "../errorMessage.ts"
import type { Store } from "../store/contract.ts"
import { AgentFailed, SessionError, ShuttingDown } from "./error.ts"
import { parent, protocol } from "./protocol.ts"
import * as Session from "./session.ts"
import { CurrentSession } from "./state.ts"
import { cancel, join, submit } from "./submit.ts"
import * as TurnLog from "./turnLog.ts"
import { work, write } from "./work.ts"

/** The behavior of one session. Each reader is a message in work of its own; so is the work on turns. */
export const behavior = (
  id: string,
  definition: Session.Definition,
  store: Store,
  idleTimeout: Duration.Duration
) =>
  protocol.behavior(
    Effect.gen(function*() {
      const ref = yield* Actor.self(protocol)
      // The agent's tools may look at the session before it is there: when they do, it is.
      const current = CurrentSession.of({
        id,
        read: (key) => session.changes.get(key) ?? session.memory?.states[key],
        write: (key, value) => void session.changes.set(key, value)
      })
      const agent = yield* Effect.provideService(
        Actor.spawn(definition.behavior, { name: "agent" }),
        CurrentSession,
        current
      )
      const session = Session.make({ id, definition, store, agent })
      const goToWork = Effect.suspend(() => {
        session.news.openUnsafe()
        if (session.working) return Effect.void
        session.working = true
        return Effect.orDie(ref.tell("Work"))
      })
      return {
        Run: (request) => Rpc.fork(readers(submit(session, request, goToWork))),
        Join: (wanted) => Rpc.fork(readers(join(session, wanted, goToWork))),
        Cancel: (wanted) => Rpc.fork(cancel(session, wanted)),
        Write: (change) => Rpc.fork(write(session, change)),
        Work: () => Rpc.fork(work(session))
      }
    }),
    { mailbox: Mailbox.bounded(1024, "fail"), idleTimeout }
  )

/** Opens sessions, which are its children. */
export const opener = (definition: Session.Definition, store: Store, idleTimeout: Duration.Duration) =>
  parent.behavior(Effect.succeed({
    Open: ({ id }) =>
      Rpc.fork(
        Actor.getOrSpawn(behavior(id, definition, store, idleTimeout), { name: nameOf(id) }).pipe(
          Effect.mapError((error) => new SessionError({ session: id, reason: toReason(definition, error) }))
        )
      )
  }))

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const readers = (log: Effect.Effect<TurnLog.TurnLog, SessionError>) => Stream.unwrap(Effect.map(log, TurnLog.read))

/** Any id is the name of an actor. */
const nameOf = (id: string): string => `@${id.replaceAll("~", "~0").replaceAll("/", "~1")}`

/** The agent could not be built, or the system ends. */
const toReason = ({ behavior }: Session.Definition, error: unknown) => {
  if (error instanceof Actor.SpawnError) return new ShuttingDown()
  const reason = new InvalidAgent({ problem: errorMessage(error) })
  return new AgentFailed({ error: new AgentError({ agent: behavior.agent, reason, transcript: Transcript.empty }) })
}
