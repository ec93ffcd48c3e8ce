import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Logger, Metric } from "effect"
import { Simulation } from "../src/testing/index.ts"
import { broken, failureOf, fifo } from "./fixtures/simulating.ts"

/** Fibers that begin when their parent waits. */
const together = (...all: ReadonlyArray<Effect.Effect<unknown>>) =>
  Effect.flatMap(Effect.forEach(all, (each) => Effect.forkChild(each)), Fiber.joinAll)

/** Who came when, of fibers that are all ready at once. */
const start = (...names: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const log: Array<string> = []
    yield* together(...names.map((name) => Effect.sync(() => log.push(name))))
    return log.join("")
  })

/** Who comes first of two that sleep for the same time. */
const sleepers = Effect.gen(function*() {
  const log: Array<string> = []
  const sleeper = (name: string) => Effect.andThen(Effect.sleep(5), Effect.sync(() => log.push(name)))
  yield* together(sleeper("a"), sleeper("b"))
  return log.join("")
})

/** One that works on, and one that gets a word in whenever the other yields. */
const interrupted = Effect.gen(function*() {
  const log: Array<string> = []
  const work = Effect.gen(function*() {
    for (let step = 0; step < 8; step++) yield* Effect.sync(() => log.push("a"))
  })
  const listen = Effect.gen(function*() {
    for (let turn = 0; turn < 4; turn++) {
      log.push("b")
      yield* Effect.yieldNow
    }
  })
  yield* together(work, listen)
  return log.join("")
})

const valueOf = <A, E>({ exit }: Simulation.Outcome<A, E>): A => {
  if (Exit.isFailure(exit)) throw new Error(String(exit))
  return exit.value
}

const valuesOf = <A, E>(program: Effect.Effect<A, E>, seeds: number) =>
  Effect.map(
    Effect.forEach(Array.from({ length: seeds }), (_, seed) => Simulation.run(program, { seed })),
    (outcomes) => new Set(outcomes.map(valueOf))
  )

describe("A schedule of a simulation", () => {
  it.effect("picks a task out of its turn", () =>
    Effect.gen(function*() {
      const run = (picks: Simulation.Schedule["picks"]) =>
        Effect.map(Simulation.run(start("a", "b", "c"), { seed: 1, schedule: { ...fifo, picks } }), valueOf)
      assert.strictEqual(yield* run([]), "abc")
      assert.strictEqual(yield* run([[0, 1]]), "bac")
      assert.strictEqual(yield* run([[0, 2], [1, 1]]), "cba")
    }))

  it.effect("makes a fiber yield before the operation that it names, whatever else it changes", () =>
    Effect.gen(function*() {
      const run = (preempts: Simulation.Schedule["preempts"]) =>
        Effect.map(Simulation.run(interrupted, { seed: 1, schedule: { ...fifo, preempts } }), valueOf)
      const undisturbed = yield* run([])
      assert.strictEqual(undisturbed, "aaaaaaaabbbb")
      const worked = new Set<number>()
      for (let operation = 1; operation < 8; operation++) {
        const one = (yield* run([[1, operation]])).indexOf("b")
        worked.add(one)
        const two = yield* run([[1, 0], [1, operation]])
        assert.strictEqual(two.indexOf("b"), 0)
        assert.strictEqual(two.indexOf("b", 1), one + 1)
      }
      assert.isAbove(worked.size, 3)
    }))

  it.effect("is drawn so that each order comes up", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* valuesOf(start("a", "b", "c"), 200)).size, 6)
      assert.strictEqual((yield* valuesOf(sleepers, 100)).size, 2)
    }))

  it.effect("has timers that are due at the same time ready together, first in, first out", () =>
    Effect.gen(function*() {
      const run = (picks: Simulation.Schedule["picks"]) =>
        Effect.map(Simulation.run(sleepers, { seed: 1, schedule: { ...fifo, picks } }), valueOf)
      assert.strictEqual(yield* run([]), "ab")
      // The first choice is who begins.
      assert.strictEqual(yield* run([[1, 1]]), "ba")
    }))

  it.effect("has no time for timers that are called off", () =>
    Effect.gen(function*() {
      const waits = Effect.andThen(Effect.race(Effect.sleep("1 second"), Effect.sleep("1 hour")), Effect.never)
      const { exit } = yield* Simulation.run(waits, { seed: 1, schedule: fifo })
      assert.strictEqual(failureOf(exit).at, 1000)
    }))

  it.effect("takes the nearest task out of its turn that breaks the promise", () =>
    Effect.gen(function*() {
      for (let from = 0; from < 10; from++) {
        const { script } = yield* broken(start("a", "b", "c", "d", "e", "f"), {
          seeds: 100,
          from: from * 100,
          invariant: (exit) =>
            Exit.isSuccess(exit) && !exit.value.startsWith("a") ? "somebody came before a" : undefined
        })
        const { late, picks, preempts } = script.schedule
        assert.lengthOf([...late, ...preempts, ...picks], 1)
        if (picks.length > 0) assert.deepStrictEqual(picks, [[0, 1]])
      }
    }))

  it.effect("breaks the promise that was found broken, when it is made smaller, and no other one", () =>
    Effect.gen(function*() {
      const program = start("a", "b", "c", "d")
      const first = (exit: Exit.Exit<string, unknown>) =>
        Exit.isSuccess(exit) && !exit.value.startsWith("a") ? `it was ${exit.value[0]}` : undefined
      for (let from = 0; from < 10; from++) {
        const { problem, script } = yield* broken(program, { seeds: 100, from: from * 100, invariant: first })
        const { exit } = yield* Simulation.run(program, script)
        assert.strictEqual(first(exit), problem)
      }
    }))
})

describe("A simulated program", () => {
  it.effect("has metrics of its own", () =>
    Effect.gen(function*() {
      const counter = Metric.counter("simulated")
      const counting = Effect.andThen(Metric.update(counter, 1), Metric.value(counter))
      for (let seed = 0; seed < 3; seed++) {
        assert.strictEqual(valueOf(yield* Simulation.run(counting, { seed })).count, 1)
      }
    }))

  it.effect("logs where `run` was called, and not at all under `check`", () =>
    Effect.gen(function*() {
      const logged: Array<unknown> = []
      const logger = Logger.layer([Logger.make(({ message }) => void logged.push(message))])
      yield* Effect.provide(Simulation.run(Effect.log("once"), { seed: 1 }), logger)
      yield* Effect.provide(Simulation.check(Effect.log("often"), { seeds: 10 }), logger)
      assert.deepStrictEqual(logged, [["once"]])
    }))
})
