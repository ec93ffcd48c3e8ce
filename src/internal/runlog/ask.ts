/**
 * Asks the world for something, or the log.
 *
 * @internal
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { Answer, Codec } from "./codec.ts"
import type { Call } from "./entry.ts"
import * as World from "./world.ts"

/** What is asked, and how it is made live: items go to `item` on the way. */
export interface Question<I, A, E, R> {
  readonly call: Omit<Call, "_tag" | "at" | "number" | "key">
  readonly codec: Codec<Answer<I, A, E>>
  readonly live: (item: (item: I) => Effect.Effect<void>) => Effect.Effect<A, E, R>
  /** Runs live in a replay, too. */
  readonly isLive?: boolean
  /** Has no end of its own: a fork asks anew instead of taking what the log has left. */
  readonly isOngoing?: boolean
  /** How it ends where a log that was cut off has its beginning and nothing more. Default: it dies. */
  readonly cutOff?: (problem: string) => Exit.Exit<A, E>
}

/** Gives the next answer. */
export type Answers<I, A, E> = Effect.Effect<Answer<I, A, E>>

/** Makes a call. Its answers come one after the other, the last one is its exit. */
export const answers = Effect.fnUntraced(function*<I, A, E, R>(
  world: World.World,
  question: Question<I, A, E, R>
): Effect.fn.Return<Answers<I, A, E>, never, R | Scope.Scope> {
  const asked: Asked<I, A, E, R> = {
    world,
    question,
    key: World.call(world, question.call).key,
    context: yield* Effect.context<R>(),
    ready: [],
    take: undefined,
    fiber: undefined,
    answered: false,
    ended: false
  }
  begin(asked)
  yield* Effect.addFinalizer(() => finish(asked))
  return next(asked)
})

/** Makes a call and waits for its end. */
export const answer = <I, A, E, R>(
  world: World.World,
  question: Question<I, A, E, R>,
  onItem: (item: I) => Effect.Effect<void>
): Effect.Effect<A, E, R> =>
  Effect.scoped(Effect.flatMap(answers(world, question), (answers) => drain(answers, onItem)))

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

interface Asked<I, A, E, R> {
  readonly world: World.World
  readonly question: Question<I, A, E, R>
  readonly key: string
  readonly context: Context.Context<R>
  readonly ready: Array<Answer<I, A, E>>
  take: ((answer: Effect.Effect<Answer<I, A, E>>) => void) | undefined
  fiber: Fiber.Fiber<A, E> | undefined
  /** Whether it has had any answer, and the last one. */
  answered: boolean
  ended: boolean
}

const begin = <I, A, E, R>(self: Asked<I, A, E, R>): void => {
  const { key, question, world: { phase, script, waiting } } = self
  const stop = () => deliver(self, { _tag: "Exit", exit: Exit.interrupt() })
  if (phase === "closing") return stop()
  if (script === undefined) return start(self)
  if (question.isLive) {
    script.liveKeys.add(key)
    return start(self)
  }
  waiting.set(key, {
    deliver: (json) => deliver(self, question.codec.decode(json)),
    goLive: (left) => goLive(self, left),
    stop
  })
}

const start = <I, A, E, R>(self: Asked<I, A, E, R>): void => {
  const { context, question, world } = self
  const item = (item: I) => Effect.sync(() => arrive(self, { _tag: "Item", item }))
  self.fiber = World.fork(world, question.live(item), context)
  self.fiber.addObserver((exit) => arrive(self, { _tag: "Exit", exit }))
}

const arrive = <I, A, E, R>(self: Asked<I, A, E, R>, answer: Answer<I, A, E>): void =>
  World.arrive(self.world, self.key, () => self.question.codec.encode(answer), () => deliver(self, answer))

const deliver = <I, A, E, R>(self: Asked<I, A, E, R>, answer: Answer<I, A, E>): void => {
  if (self.ended) return
  self.answered = true
  if (answer._tag === "Exit") {
    self.ended = true
    World.forget(self.world, self.key)
  }
  const { take } = self
  if (take === undefined) return void self.ready.push(answer)
  self.take = undefined
  take(Effect.succeed(answer))
}

const next = <I, A, E, R>(self: Asked<I, A, E, R>): Answers<I, A, E> =>
  Effect.suspend(() => {
    const answer = self.ready.shift()
    if (answer !== undefined) return Effect.succeed(answer)
    return Effect.callback<Answer<I, A, E>>((resume) => {
      self.take = resume
      return Effect.sync(() => {
        self.take = undefined
      })
    })
  })

/** The rest of the recorded answers, if they were recorded to their end; else a call that has begun can't be made. */
const goLive = <I, A, E, R>(self: Asked<I, A, E, R>, left: ReadonlyArray<Schema.Json>): void => {
  const { answered, question: { codec, cutOff = (problem) => Exit.die(new Error(problem)), isOngoing } } = self
  if (isOngoing) return start(self)
  const rest = left.map((json) => codec.decode(json))
  if (!answered && rest.at(-1)?._tag !== "Exit") return start(self)
  for (const answer of rest) arrive(self, answer)
  if (rest.at(-1)?._tag !== "Exit") {
    arrive(self, { _tag: "Exit", exit: cutOff(`the log ends in the middle of ${self.key}`) })
  }
}

/** Whoever leaves before the end waits until the call has left, too. */
const finish = <I, A, E, R>(self: Asked<I, A, E, R>): Effect.Effect<void> =>
  Effect.suspend(() => {
    if (self.ended) return Effect.void
    World.leave(self.world, () => self.fiber?.interruptUnsafe())
    return Effect.ignoreCause(drain(next(self), () => Effect.void))
  })

const drain = Effect.fnUntraced(function*<I, A, E>(
  answers: Answers<I, A, E>,
  onItem: (item: I) => Effect.Effect<void>
): Effect.fn.Return<A, E> {
  while (true) {
    const answer = yield* answers
    if (answer._tag === "Exit") return yield* answer.exit
    yield* onItem(answer.item)
  }
})
