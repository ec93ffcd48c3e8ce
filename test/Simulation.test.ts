import { assert, describe, it } from "@effect/vitest"
import { Clock, Deferred, Effect, Exit, Random, Ref, Stream } from "effect"
import { Worker } from "node:worker_threads"
import * as Agent from "../src/Agent.ts"
import * as Scripted from "../src/Llm/Scripted.ts"
import { Simulation } from "../src/testing/index.ts"
import { checkThenAct, lostWakeup, staleApproval } from "./fixtures/plantedBugs.ts"
import { broken, failureOf, fifo, refused } from "./fixtures/simulating.ts"

const lostUpdate = Effect.gen(function*() {
  const count = yield* Ref.make(0)
  const increment = Effect.flatMap(Ref.get(count), (n) => Ref.set(count, n + 1))
  yield* Effect.all([increment, increment], { concurrency: "unbounded" })
  return yield* Ref.get(count)
})

const isTwo = (exit: Exit.Exit<number, unknown>) =>
  Exit.isSuccess(exit) && exit.value === 2 ? undefined : "an update is lost"

/** What three fibers did, in which order, with which random numbers, and when. */
const scene = Effect.gen(function*() {
  const log: Array<string> = []
  const actor = (name: string) =>
    Effect.gen(function*() {
      for (let step = 0; step < 5; step++) {
        const pause = yield* Random.nextIntBetween(0, 20)
        log.push(`${name} ${step} ${pause} ${yield* Clock.currentTimeMillis}`)
        yield* Effect.sleep(pause)
      }
    })
  yield* Effect.all([actor("a"), actor("b"), actor("c")], { concurrency: "unbounded" })
  return log
})

describe("Simulation.run", () => {
  it.effect("does the same for the same seed, and something else for another one", () =>
    Effect.gen(function*() {
      const logs = new Set<string>()
      for (let seed = 0; seed < 20; seed++) {
        const first = yield* Simulation.run(scene, { seed })
        const second = yield* Simulation.run(scene, { seed })
        assert.deepStrictEqual(second, first)
        logs.add(JSON.stringify(first.exit))
      }
      assert.isAbove(logs.size, 15)
    }))

  it.effect("gives the events of an agent byte for byte, with ids and times", () =>
    Effect.gen(function*() {
      const events = Stream.runCollect(Agent.run(Agent.make("poet"), "A line, please.")).pipe(
        Effect.provide(Scripted.model([[Scripted.delay("1 second"), Scripted.text("Roses are red.")]]))
      )
      const first = yield* Simulation.run(events, { seed: 3 })
      const second = yield* Simulation.run(events, { seed: 3 })
      const other = yield* Simulation.run(events, { seed: 4 })
      assert.isTrue(Exit.isSuccess(first.exit))
      assert.strictEqual(JSON.stringify(second.exit), JSON.stringify(first.exit))
      assert.notStrictEqual(JSON.stringify(other.exit), JSON.stringify(first.exit))
    }))

  it.effect("repeats a run by its script", () =>
    Effect.gen(function*() {
      for (let seed = 0; seed < 50; seed++) {
        const drawn = yield* Simulation.run(scene, { seed })
        const script = yield* Simulation.parse(JSON.stringify(drawn.script))
        assert.deepStrictEqual(yield* Simulation.run(scene, script), drawn)
      }
    }))

  it.effect("lets no time go by while somebody can go on", () =>
    Effect.gen(function*() {
      const busy = Effect.gen(function*() {
        for (let turn = 0; turn < 100; turn++) yield* Effect.yieldNow
        return "busy"
      })
      const timer = Effect.as(Effect.sleep("1 milli"), "timer")
      for (let seed = 0; seed < 50; seed++) {
        const { exit } = yield* Simulation.run(Effect.race(busy, timer), { seed })
        assert.deepStrictEqual(exit, Exit.succeed("busy"))
      }
    }))

  it.effect("lets hours go by at once, for the wall clock and the monotonic one", () =>
    Effect.gen(function*() {
      const { elapsed, exit } = yield* Simulation.run(
        Effect.gen(function*() {
          const before = yield* Clock.monotonicTimeNanos
          yield* Effect.sleep("3 hours")
          return [yield* Clock.currentTimeMillis, Number((yield* Clock.monotonicTimeNanos) - before) / 1e6]
        }),
        { seed: 0, schedule: { picks: [], preempts: [], late: [] } }
      )
      assert.strictEqual(elapsed, 3 * 3_600_000)
      assert.deepStrictEqual(exit, Exit.succeed([3 * 3_600_000, 3 * 3_600_000]))
    }))

  it.effect("names those who wait in a deadlock", () =>
    Effect.gen(function*() {
      const { exit } = yield* Simulation.run(lostWakeup("planted"), {
        seed: 4,
        schedule: (yield* broken(lostWakeup("planted"), { seeds: 100 })).script.schedule
      })
      const deadlock = failureOf(exit)
      assert.instanceOf(deadlock, Simulation.Deadlock)
      assert.include(deadlock.waiting, "the program")
      assert.include(deadlock.waiting, "/user/$1 with Wait")
    }))

  it.effect("takes a promise that nobody keeps for a deadlock", () =>
    Effect.gen(function*() {
      const { exit } = yield* Simulation.run(Effect.promise(() => new Promise<void>(() => {})), { seed: 1 })
      assert.instanceOf(failureOf(exit), Simulation.Deadlock)
    }))

  it.effect("names an Effect.fn that waits, with its place", () =>
    Effect.gen(function*() {
      const waiter = Effect.fn("waiter")(function*() {
        return yield* Deferred.await(yield* Deferred.make<void>())
      })
      const { exit } = yield* Simulation.run(Effect.all([waiter(), Effect.void], { concurrency: 2 }), { seed: 1 })
      assert.match(failureOf(exit).message, /nobody can go on, at 0 ms: .*in waiter \(.*Simulation\.test\.ts:\d+:\d+\)/)
    }))

  it.effect("ends what never ends", () =>
    Effect.gen(function*() {
      const { exit, steps } = yield* Simulation.run(Effect.forever(Effect.sleep("1 second")), {
        seed: 1,
        maxSteps: 500
      })
      assert.instanceOf(failureOf(exit), Simulation.NotFinished)
      assert.strictEqual(steps, 500)
    }))

  it.effect("leaves the platform's functions as they were", () =>
    Effect.gen(function*() {
      const platform = () => [
        Math.random,
        globalThis.Date,
        Date.now,
        performance.now,
        crypto.randomUUID,
        setTimeout,
        setInterval,
        setImmediate,
        fetch
      ]
      const before = platform()
      yield* Simulation.run(lostUpdate, { seed: 1 })
      yield* Simulation.run(Effect.die("boom"), { seed: 1 })
      yield* Effect.exit(Simulation.run(Effect.promise(() => Promise.resolve()), { seed: 1 }))
      assert.deepStrictEqual(platform(), before)
      assert.isFalse(Object.hasOwn(performance, "now"))
    }))
})

describe("Simulation.check", () => {
  it.effect("passes when every seed keeps the promise", () =>
    Simulation.check(Effect.as(Effect.all([Effect.yieldNow, Effect.sleep(5)], { concurrency: 2 }), 2), {
      seeds: 200,
      invariant: isTwo,
      twice: true
    }))

  it.effect("finds a lost update, and the shortest way to it is one preemption", () =>
    Effect.gen(function*() {
      const { found, message, script } = yield* broken(lostUpdate, { seeds: 500, invariant: isTwo })
      assert.strictEqual(script.seed, found.seed)
      assert.deepStrictEqual(script.faults, [])
      assert.deepStrictEqual([script.schedule.picks, script.schedule.late], [[], []])
      assert.lengthOf(script.schedule.preempts, 1)
      assert.include(message, "an update is lost")
      assert.include(message, Simulation.show(script))
    }))

  it.effect("prints a script that is TypeScript and JSON, and gives the failure again", () =>
    Effect.gen(function*() {
      const { message } = yield* broken(lostUpdate, { seeds: 500, invariant: isTwo })
      const printed = message.slice(message.indexOf("{"), message.lastIndexOf("}") + 1)
      const { exit } = yield* Simulation.run(lostUpdate, yield* Simulation.parse(printed))
      assert.deepStrictEqual(exit, Exit.succeed(1))
    }))

  for (
    const [name, bug, from, size] of [
      ["a check-then-act over two asks", checkThenAct, 0, 8],
      ["a lost wakeup", lostWakeup, 0, 4],
      ["a stale read after an approval", staleApproval, 300, 10]
    ] as const
  ) {
    it.effect(`finds ${name}, which no plain run shows, and makes it small`, () =>
      Effect.gen(function*() {
        const { script } = yield* broken(bug("planted"), { seeds: 1000, from })
        const { late, picks, preempts } = script.schedule
        assert.isAtMost(late.length + picks.length + preempts.length, size)
        const again = yield* Simulation.run(bug("planted"), script)
        assert.isTrue(Exit.isFailure(again.exit))
        const first = yield* Simulation.run(bug("planted"), { seed: 0, faults: [], schedule: fifo })
        assert.isTrue(Exit.isSuccess(first.exit))
        const mended = yield* Simulation.run(bug("mended"), script)
        assert.isTrue(Exit.isSuccess(mended.exit))
      }))
  }

  it.effect("says where the error of the smallest run was made", () =>
    Effect.gen(function*() {
      const { cause } = yield* broken(checkThenAct("planted"), { seeds: 200 })
      assert.instanceOf(cause, Error)
      assert.match(String(cause.stack), /the account is overdrawn\n[^]*plantedBugs\.ts:\d+/)
    }))

  it.effect("takes a task that throws for a defect of the program", () =>
    Effect.gen(function*() {
      const program = Effect.withFiber((fiber) => {
        fiber.currentDispatcher.scheduleTask(() => {
          throw new Error("thrown by a task")
        }, 0)
        return Effect.never
      })
      assert.strictEqual((yield* broken(program, { seeds: 1 })).problem, "thrown by a task")
    }))

  it.effect("takes what an invariant throws for the broken promise", () =>
    Effect.gen(function*() {
      const { problem } = yield* broken(lostUpdate, {
        seeds: 500,
        invariant: (exit) => assert.deepStrictEqual(exit, Exit.succeed(2), "both must count")
      })
      assert.include(problem, "both must count")
    }))

  it.effect("must end once faults have stopped, in liveness mode", () =>
    Effect.gen(function*() {
      const poll = (limit: number) =>
        Effect.gen(function*() {
          for (let failures = 0; failures < limit;) {
            const up = yield* Effect.match(Simulation.faultPoint("poll"), {
              onFailure: () => false,
              onSuccess: () => true
            })
            if (up) return
            failures++
            yield* Effect.sleep("1 second")
          }
          return yield* Effect.never
        })
      const options = {
        seeds: 50,
        faults: { pointFails: 1, max: Infinity },
        liveness: { faultsFor: "10 seconds", finishWithin: "1 minute" }
      } as const
      yield* Simulation.check(poll(Infinity), options)
      const { problem } = yield* broken(poll(5), options)
      assert.include(problem, "nobody can go on")
      const { problem: late } = yield* broken(Effect.forever(Effect.sleep("1 second")), options)
      assert.match(late, /^the program has not ended after \d{2} steps, at [67]\d{4} ms: the program$/)
    }))
})

describe("Simulation refuses", () => {
  const reading = [
    ["Math.random", Effect.sync(() => Math.random())],
    ["Date.now", Effect.sync(() => Date.now())],
    ["new Date()", Effect.sync(() => new Date())],
    ["Date()", Effect.sync(() => Date())],
    ["performance.now", Effect.sync(() => performance.now())],
    ["crypto.randomUUID", Effect.sync(() => crypto.randomUUID())]
  ] as const
  for (const [source, program] of reading) {
    it.effect(`a program that reads ${source}, with the place`, () =>
      Effect.gen(function*() {
        const reason = yield* refused(Simulation.run<unknown, never>(program, { seed: 1 }))
        assert.strictEqual(reason._tag, "NotDeterministic")
        assert.match(reason.message, /Simulation\.test\.ts:\d+:\d+/)
        assert.include(reason.message, `reads ${source} at`)
      }))
  }

  it.effect("a program with an unknown source of chance, with who was the first to do something else", () =>
    Effect.gen(function*() {
      let runs = 0
      const moody = Effect.fn("moody")(function*() {
        yield* Effect.sleep(5)
        if (runs++ % 2 === 0) yield* Effect.yieldNow
      })
      const program = Effect.all([moody(), Effect.sleep(10)], { concurrency: 2 })
      const reason = yield* refused(Simulation.check(program, { seeds: 10, twice: true }))
      assert.strictEqual(reason._tag, "NotDeterministic")
      assert.match(reason.message, /two runs of one seed differ, first at .* in moody \(.*Simulation\.test\.ts:\d+/)
    }))

  it.effect("a program whose result is another one the second time", () =>
    Effect.gen(function*() {
      let runs = 0
      const reason = yield* refused(Simulation.check(Effect.sync(() => runs++), { seeds: 1, twice: true }))
      assert.include(reason.message, "its result")
    }))

  const outside = [
    ["a promise", Effect.promise(() => Promise.resolve(1)), /the program/],
    [
      "an import",
      Effect.promise(() => import("node:zlib")),
      /\(a promise at .*Simulation\.test\.ts:\d+:\d+\): the program\. Provide layers/
    ],
    [
      "a file",
      Effect.promise(() => import("node:fs/promises").then((fs) => fs.readFile(import.meta.filename))),
      /a promise at .*Simulation\.test\.ts:\d+/
    ],
    [
      "a worker",
      Effect.callback<void>((resume) => {
        new Worker("setTimeout(() => {}, 50)", { eval: true }).on("exit", () => resume(Effect.void))
      }),
      /WORKER at .*Simulation\.test\.ts:\d+/
    ],
    [
      "another runtime",
      Effect.promise(() => Effect.runPromise(Effect.sleep(5))),
      /setTimeout at .*Simulation\.test\.ts:\d+/
    ],
    [
      "a timer of the platform",
      Effect.callback<void>((resume) => void setTimeout(() => resume(Effect.void), 20)),
      /setTimeout at .*Simulation\.test\.ts:\d+/
    ],
    [
      "a request, even under a time limit",
      Effect.timeout(Effect.promise(() => fetch("http://127.0.0.1:9/").catch(() => 0)), "1 second"),
      /fetch at .*Simulation\.test\.ts:\d+/
    ]
  ] as const
  for (const [what, program, named] of outside) {
    it.effect(`a program that waits for ${what}`, () =>
      Effect.gen(function*() {
        const reason = yield* refused(Simulation.run<unknown, unknown>(program, { seed: 1 }))
        assert.strictEqual(reason._tag, "WaitedOutside")
        assert.match(reason.message, named)
      }))
  }

  it.effect("a script of another version, and a fault that nobody knows", () =>
    Effect.gen(function*() {
      const script = { version: 1, seed: 1, faults: [], schedule: fifo }
      for (
        const [bad, problem] of [
          [{ ...script, version: 2 }, /version/],
          [{ ...script, faults: [{ kind: "flood", at: "/user/a", n: 1 }] }, /kind|faults/],
          [{ ...script, schedule: { picks: [[1]], preempts: [], late: [] } }, /picks/],
          ["{", /JSON/],
          [{ ...script, seed: -1 }, /seed/],
          [{ ...script, faults: [{ kind: "double", at: "/user/a", n: 0 }] }, /\["n"\]/],
          [{ ...script, faults: [{ kind: "delay", at: "/user/a", n: 1, millis: -1 }] }, /millis/],
          [{ ...script, schedule: { picks: [[0, -1]], preempts: [], late: [] } }, /picks/],
          [{ ...script, schedule: { picks: [], preempts: [], late: [[0, -50]] } }, /late/],
          [undefined, /Expected/]
        ] as const
      ) {
        const reason = yield* refused(Simulation.parse(bad))
        assert.strictEqual(reason._tag, "InvalidScript")
        assert.match(reason.message, problem)
      }
      const old = yield* refused(Simulation.run(Effect.void, { ...script, version: 2 }))
      assert.match(old.message, /version/)
    }))

  it("options that make no sense, where they are given", () => {
    assert.throws(
      () => Simulation.run(Effect.void, { seed: -1 }),
      /Simulation.run: seed must be an integer of at least 0/
    )
    assert.throws(
      () => Simulation.check(Effect.void, { seeds: 0 }),
      /Simulation.check: seeds must be a positive integer/
    )
    assert.throws(
      () => Simulation.check(Effect.void, { seeds: 1, faults: { toolLost: 2 } }),
      /Simulation.check: faults.toolLost must be a number from 0 to 1, got 2/
    )
    assert.throws(
      () => Simulation.check(Effect.void, { seeds: 1, ...JSON.parse("{\"faults\": {\"flood\": 1}}") }),
      /Simulation.check: faults must be chances of crashBefore/
    )
  })
})
