/**
 * Random programs do the same on the runtime as on the model of fixtures/actorModel.ts: each message is handled by the same
 * actor at the same time, each sender gets the same answer, each incarnation begins and ends when the other does.
 *
 * At one moment of the test clock there is one act, as all delays differ; what comes of it, comes before the next one. So an
 * outcome does not hang on the order in which fibers happen to run, only on what actors promise.
 */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Clock, Effect, Exit, Fiber, Logger, Schedule, Schema, Stream } from "effect"
import { Rpc } from "effect/rpc"
import { TestClock } from "effect/testing"
import * as fc from "fast-check"
import * as Actor from "../src/Actor.ts"
import * as ActorSystem from "../src/ActorSystem.ts"
import * as Mailbox from "../src/Mailbox.ts"
import * as Supervisor from "../src/Supervisor.ts"
import { TestActor } from "../src/testing/index.ts"
import { parameters } from "./fixtures/actorLaws.ts"
import {
  type Act,
  type Actors,
  type How,
  makeModel,
  type Message,
  type Options,
  type Script
} from "./fixtures/actorModel.ts"
import { outcomeOf } from "./fixtures/actors.ts"

/** Actors 0 and 3 have no parent; 1 and 2 are children of 0, and 4 is one of 2. */
const parents: ReadonlyArray<number | undefined> = [undefined, 0, 0, undefined, 2]
const count = parents.length
const tops = [0, 3]

const childrenOf = (index: number) => parents.flatMap((parent, child) => parent === index ? [child] : [])

// -----------------------------------------------------------------------------
// what both do
// -----------------------------------------------------------------------------

interface Notes {
  /** By actor: when its incarnations and handlers began and ended. */
  readonly lives: ReadonlyArray<Array<string>>
  readonly stashed: Set<number>
}

const makeScript = (options: ReadonlyArray<Options>) => {
  const notes: Notes = { lives: parents.map(() => []), stashed: new Set() }
  const note = (index: number, text: string) =>
    Effect.map(Clock.currentTimeMillis, (now) => void notes.lives[index]!.push(`${now.toFixed(3)} ${text}`))
  const script: Script = {
    options,
    childrenOf,
    begins: (index) => note(index, "begins"),
    ends: (index) => note(index, "ends"),
    handle: (actors, inside, index, message) => {
      const { acts, cleanUp, delay, end, id } = message
      const last = Effect.suspend(() => {
        if (end === "answer") return Effect.succeed(id)
        if (end !== "stash") return inside.forward(end.to, end.message)
        // Once, or it would never be answered.
        if (notes.stashed.has(id)) return Effect.succeed(id)
        notes.stashed.add(id)
        return inside.stash
      })
      const work = Effect.andThen(
        Effect.forEach(
          acts,
          (act) => Effect.andThen(Effect.sleep(act.delay), perform(actors, inside.unstashAll, index, act)),
          { discard: true }
        ),
        Effect.andThen(Effect.sleep(delay), last)
      )
      return Effect.andThen(note(index, `begins ${id}`), work).pipe(
        Effect.onInterrupt(() => Effect.sleep(cleanUp)),
        Effect.onExit((exit) => note(index, `${Exit.isSuccess(exit) ? "ends" : "fails"} ${id}`))
      )
    }
  }
  return { notes, script }
}

const perform = (
  actors: Actors,
  unstashAll: Effect.Effect<void>,
  index: number,
  act: Act
): Effect.Effect<unknown, string> => {
  switch (act._tag) {
    case "rest":
      return Effect.void
    case "fail":
      return Effect.fail("declared")
    case "die":
      return Effect.die("boom")
    case "unstash":
      return unstashAll
    case "crash":
      return actors.crash(act.to)
    case "stop":
    case "drain":
      return actors[act._tag](act.to, index)
    case "send":
      return Effect.exit(actors.send(act.to, act.how, act.message, index))
  }
}

// -----------------------------------------------------------------------------
// the runtime
// -----------------------------------------------------------------------------

const Payload = Schema.declare((input: unknown): input is Message => input !== undefined)

const Node = Actor.make("Node", [
  Rpc.make("Do", { payload: Payload, success: Schema.Unknown, error: Schema.String }),
  Rpc.make("Items", { payload: Payload, success: Schema.Unknown, error: Schema.String, stream: true })
])

type NodeBehavior = typeof Node extends Actor.Protocol<"Node", infer Rpcs>
  ? Actor.Behavior<"Node", Rpcs, never, ActorSystem.ActorSystem>
  : never

const policyOf = ({ supervisor }: Options): Supervisor.Policy =>
  supervisor === "resume"
    ? Supervisor.resume
    : supervisor === "stop"
    ? Supervisor.stop
    : Supervisor.restart(supervisor.restartAfter === 0 ? Schedule.forever : Schedule.spaced(supervisor.restartAfter))

const makeRuntime = (script: Script): Effect.Effect<Actors, never, ActorSystem.ActorSystem> =>
  Effect.contextWith((context) => {
    const refs: Array<Actor.LocalRefOf<typeof Node>> = []
    const started: Array<Actor.LocalRefOf<typeof Node>> = []

    const node = (index: number): NodeBehavior => {
      const { mailbox, stashCapacity, stopTimeout } = script.options[index]!
      return Node.behavior(
        Effect.gen(function*() {
          yield* script.begins(index)
          yield* Effect.addFinalizer(() => script.ends(index))
          refs[index] = yield* Actor.self(Node)
          for (const child of childrenOf(index)) {
            yield* Effect.orDie(Actor.spawn(node(child), { name: `${child}` }))
          }
          const handle = (message: Message) => script.handle(actors, inside, index, message)
          return {
            Do: handle,
            Items: (message) => Stream.concat(Stream.make(message.id), Stream.fromEffect(handle(message)))
          }
        }),
        { mailbox, stashCapacity, stopTimeout, supervisor: policyOf(script.options[index]!) }
      )
    }
    // A handler's own context has what they need.
    const inside = {
      stash: Actor.stash as Effect.Effect<never>,
      unstashAll: Actor.unstashAll as Effect.Effect<void>,
      forward: (to: number, message: Message) => Effect.suspend(() => Actor.forward(refs[to]!, "Do", message))
    }
    const actors: Actors = {
      spawn: (index) =>
        Actor.spawn(node(index), { name: `${index}` }).pipe(
          Effect.map((ref) => (started.push(ref), "spawned")),
          Effect.catch((error) => Effect.succeed(error.reason._tag)),
          Effect.provideContext(context)
        ),
      send: (to, how, message) =>
        Effect.suspend((): Effect.Effect<unknown, unknown> =>
          how === "tell"
            ? refs[to]!.tell("Do", message)
            : how === "ask"
            ? refs[to]!.ask("Do", message)
            : Stream.runCollect(refs[to]!.stream("Items", message))
        ),
      stop: (to) => Effect.suspend(() => refs[to]!.stop),
      drain: (to) => Effect.suspend(() => refs[to]!.drain),
      crash: (to) =>
        script.options[to]!.supervisor === "resume" ? Effect.void : Effect.suspend(() => TestActor.crash(refs[to]!)),
      ends: Effect.forEach(started, (ref) =>
        Effect.gen(function*() {
          const fiber = yield* Effect.forkChild(ref.awaitStopped, { startImmediately: true })
          const exit = fiber.pollUnsafe()
          return exit !== undefined && Exit.isSuccess(exit) ? exit.value.reason._tag : undefined
        }))
    }
    return Effect.succeed(actors)
  })

// -----------------------------------------------------------------------------
// programs
// -----------------------------------------------------------------------------

type Step =
  | { readonly _tag: "send"; readonly how: How; readonly to: number; readonly message: Message }
  | { readonly _tag: "stop" | "drain" | "crash"; readonly to: number }
  | { readonly _tag: "spawn"; readonly to: number }
  | { readonly _tag: "interrupt"; readonly send: number }
  | { readonly _tag: "pass"; readonly millis: number }

/** What fast-check makes up: targets are relative, so that nobody sends upwards and waits for itself. */
interface Sketch {
  readonly how: How
  readonly target: number
  readonly acts: ReadonlyArray<{ readonly _tag: Act["_tag"]; readonly delay: number; readonly sketch: Sketch }>
  readonly end: "answer" | "stash" | "forward"
  /** What it is forwarded as. */
  readonly onward: Sketch | undefined
}

type StepSketch =
  | { readonly _tag: "send"; readonly sketch: Sketch }
  | { readonly _tag: "stop" | "drain" | "crash" | "spawn" | "interrupt"; readonly target: number }
  | { readonly _tag: "pass"; readonly millis: number }

const makeSketch = (target: number): Sketch => ({ how: "tell", target, acts: [], end: "answer", onward: undefined })

const sketches: fc.Arbitrary<Sketch> = fc.letrec<{ sketch: Sketch }>((tie) => ({
  sketch: fc.record({
    how: fc.constantFrom<How>("tell", "ask", "ask", "stream"),
    target: fc.nat(count - 1),
    acts: fc.array(
      fc.oneof(
        { depthIdentifier: "sketch", maxDepth: 4 },
        {
          weight: 5,
          arbitrary: fc.record({
            _tag: fc.constantFrom("rest", "rest", "fail", "die", "unstash", "unstash", "stop", "drain", "crash"),
            delay: fc.nat(3000),
            sketch: fc.nat(count - 1).map(makeSketch)
          })
        },
        {
          weight: 4,
          arbitrary: fc.record({ _tag: fc.constant("send"), delay: fc.nat(3000), sketch: tie("sketch") })
        }
      ) as fc.Arbitrary<Sketch["acts"][number]>,
      { maxLength: 3, depthIdentifier: "sketch" }
    ),
    end: fc.constantFrom("answer", "answer", "answer", "stash", "forward"),
    onward: fc.oneof({ depthIdentifier: "sketch", maxDepth: 4 }, fc.constant(makeSketch(0)), tie("sketch"))
  }) as fc.Arbitrary<Sketch>
})).sketch

const steps: fc.Arbitrary<ReadonlyArray<StepSketch>> = fc.array(
  fc.oneof(
    { weight: 10, arbitrary: fc.record({ _tag: fc.constant("send"), sketch: sketches }) },
    { weight: 6, arbitrary: fc.record({ _tag: fc.constant("pass"), millis: fc.nat(4000) }) },
    {
      weight: 4,
      arbitrary: fc.record({
        _tag: fc.constantFrom("crash", "crash", "interrupt", "interrupt", "spawn", "stop", "drain"),
        target: fc.nat(count - 1)
      })
    }
  ) as fc.Arbitrary<StepSketch>,
  { maxLength: 25 }
)

const options: fc.Arbitrary<ReadonlyArray<Options>> = fc.array(
  fc.record({
    mailbox: fc.oneof(
      fc.constant(Mailbox.unbounded),
      fc.tuple(
        fc.integer({ min: 1, max: 3 }),
        fc.constantFrom<Mailbox.Policy>("block", "dropNewest", "dropOldest", "fail")
      )
        .map(([capacity, policy]) => Mailbox.bounded(capacity, policy))
    ),
    supervisor: fc.constantFrom<Options["supervisor"]>({ restartAfter: 0 }, { restartAfter: 1000 }, "resume", "stop"),
    stashCapacity: fc.constantFrom(1, 100),
    stopTimeout: fc.constantFrom(500, 5000)
  }),
  { minLength: count, maxLength: count }
)

/**
 * Makes programs of what fast-check made up: each message has its number, each delay its own fraction of a millisecond. A
 * program has stashes or drains, as a stash that nobody unstashes keeps a drain waiting.
 */
const makeProgram = (sketched: ReadonlyArray<StepSketch>, drains: boolean): ReadonlyArray<Step> => {
  let messages = 0
  let delays = 0
  const unique = (millis: number) => millis + ++delays / 1000
  const messageOf = ({ acts, end, onward }: Sketch, how: How, index: number): Message => {
    const id = messages++
    const below = index + 1 < count
    return {
      id,
      acts: acts.map(({ _tag, delay, sketch }): Act => {
        const act = { delay: unique(delay) }
        switch (_tag) {
          case "send": {
            // Only telling oneself has an end.
            const own = sketch.target % 4 === 0 || !below
            const to = own ? index : index + 1 + sketch.target % (count - index - 1)
            const how = own ? "tell" : sketch.how
            return { ...act, _tag, how, to, message: messageOf(sketch, how, to) }
          }
          case "stop":
          case "drain":
          case "crash":
            return {
              ...act,
              _tag: _tag === "drain" && !drains ? "stop" : _tag,
              to: index + sketch.target % (count - index)
            }
          default:
            return { ...act, _tag }
        }
      }),
      delay: unique(0),
      cleanUp: unique(0),
      end: endOf()
    }

    function endOf(): Message["end"] {
      if (how === "stream" || (end === "stash" && drains)) return "answer"
      if (end !== "forward") return end
      if (!below || onward === undefined) return "answer"
      const to = index + 1 + onward.target % (count - index - 1)
      return { to, message: messageOf(onward, how, to) }
    }
  }
  return sketched.map((step): Step => {
    switch (step._tag) {
      case "send": {
        const { how, target } = step.sketch
        return { _tag: "send", how, to: target, message: messageOf(step.sketch, how, target) }
      }
      case "pass":
        return { _tag: "pass", millis: unique(step.millis) }
      case "interrupt":
        return { _tag: "interrupt", send: step.target }
      case "spawn":
        return { _tag: "spawn", to: tops[step.target % tops.length]! }
      default:
        return { _tag: step._tag === "drain" && !drains ? "stop" : step._tag, to: step.target }
    }
  })
}

/** Lets everything come of an act that comes of it at once. */
const turns = Effect.gen(function*() {
  for (let i = 0; i < 30; i++) yield* Effect.yieldNow
})

/** Plays a program and gives all that can be seen of it. */
const play = Effect.fnUntraced(function*(program: ReadonlyArray<Step>, actors: Actors, notes: Notes) {
  const fork = (effect: Effect.Effect<unknown, unknown>) => Effect.forkChild(effect, { startImmediately: true })
  const sends: Array<Fiber.Fiber<unknown, unknown>> = []
  const spawned: Array<string> = []
  for (const top of tops) spawned.push(yield* actors.spawn(top))
  for (const step of program) {
    switch (step._tag) {
      case "send":
        sends.push(yield* fork(actors.send(step.to, step.how, step.message)))
        break
      case "pass":
        yield* TestClock.adjust(step.millis)
        break
      case "spawn":
        spawned.push(yield* actors.spawn(step.to))
        break
      case "interrupt":
        if (sends[step.send] !== undefined) yield* fork(Fiber.interrupt(sends[step.send]!))
        break
      default:
        yield* fork(actors[step._tag](step.to))
    }
    yield* turns
  }
  yield* TestClock.adjust("5 minutes")
  yield* turns
  const before = sends.map((fiber) => readable(fiber.pollUnsafe()))
  for (const top of tops) {
    yield* fork(actors.stop(top))
    yield* turns
    yield* TestClock.adjust("5 minutes")
    yield* turns
  }
  return {
    sends: before,
    afterwards: sends.map((fiber) => readable(fiber.pollUnsafe())),
    spawned,
    ends: yield* actors.ends,
    lives: notes.lives.map((lines) => [...lines])
  }
})

const readable = (exit: Exit.Exit<unknown, unknown> | undefined): string => {
  const outcome = outcomeOf(exit)
  return exit !== undefined && Exit.isFailure(exit) && Cause.hasFails(exit.cause)
    ? `fails with ${outcome}`
    : JSON.stringify(outcome) ?? "void"
}

const onRuntime = (program: ReadonlyArray<Step>, options: ReadonlyArray<Options>) =>
  Effect.gen(function*() {
    const { notes, script } = makeScript(options)
    const played = yield* play(program, yield* makeRuntime(script), notes)
    const left = yield* ActorSystem.list
    assert.deepStrictEqual(left, [])
    return played
  }).pipe(Effect.provide(ActorSystem.layer({ name: "model", shutdownTimeout: 0 })))

const onModel = (program: ReadonlyArray<Step>, options: ReadonlyArray<Options>) =>
  Effect.gen(function*() {
    const { notes, script } = makeScript(options)
    return yield* play(program, yield* makeModel(script), notes)
  })

describe("The runtime and a plain model of it", () => {
  const law = fc.asyncProperty(steps, options, fc.boolean(), async (sketched, options, drains) => {
    const program = makeProgram(sketched, drains)
    const alone = <A, E>(effect: Effect.Effect<A, E>) =>
      Effect.runPromise(Effect.provide(effect, [TestClock.layer(), Logger.layer([])]))
    assert.deepStrictEqual(
      await alone(onRuntime(program, options)),
      await alone(onModel(program, options)),
      JSON.stringify(program)
    )
  })

  it.live(
    "do the same with any program of sends, stops, crashes, stashes and forwards",
    () => Effect.promise(() => fc.assert(law, parameters)),
    600_000
  )
})
