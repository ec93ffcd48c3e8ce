/**
 * A pool of workers behind one reference.
 *
 * Shows: jobs that go to the least loaded worker, a pool that grows while it works, a worker that is replaced, and keys
 * that keep their worker (consistent hashing).
 * Run: `npm run build && node examples/router-pool.ts`
 */
import { NodeRuntime } from "@effect/platform-node"
import { Clock, Console, Effect, Schema } from "effect"
import { Actor, ActorSystem, Router, Supervisor } from "effect-troupe"
import { Rpc } from "effect/rpc"

const Resizer = Actor.make("Resizer", [
  Rpc.make("Resize", { payload: { file: Schema.String, millis: Schema.Int }, success: Schema.String }),
  Rpc.make("Visits", { payload: { user: Schema.String }, success: Schema.String }),
  Rpc.make("Crash")
])

const resizer = Resizer.behavior(
  Effect.gen(function*() {
    const { path } = yield* Actor.self(Resizer)
    const visits = new Map<string, number>()
    return {
      Resize: ({ file, millis }) => Effect.as(Effect.sleep(millis), `${path} ${file}`),
      Visits: ({ user }) =>
        Effect.sync(() => {
          visits.set(user, (visits.get(user) ?? 0) + 1)
          return `${user} at ${path}: visit ${visits.get(user)}`
        }),
      Crash: () => Effect.die("out of memory")
    }
  }),
  { supervisor: Supervisor.stop }
)

const jobs = Array.from({ length: 16 }, (_, i) => ({ file: `photo-${i + 1}`, millis: i % 4 === 0 ? 80 : 20 }))

const timed = <A, E>(what: string, effect: Effect.Effect<A, E>) =>
  Effect.gen(function*() {
    const begin = yield* Clock.currentTimeMillis
    yield* effect
    yield* Console.log(`${what}: ${(yield* Clock.currentTimeMillis) - begin} ms`)
  })

const program = Effect.gen(function*() {
  const pool = yield* Router.spawn(resizer, { size: 2, strategy: "leastLoaded", name: "resizers" })
  const resizeAll = Effect.forEach(jobs, (job) => pool.ask("Resize", job), { concurrency: "unbounded" })

  yield* timed("16 photos, 2 workers", resizeAll)
  yield* Router.resize(pool, 8)
  yield* timed("16 photos, 8 workers", resizeAll)

  const crash = yield* Effect.flip(pool.ask("Crash"))
  yield* Console.log(crash.message)
  yield* timed("16 photos, one worker replaced", resizeAll)

  const visits = yield* Router.spawn(resizer, {
    size: 4,
    strategy: Router.consistentHash((message) => message.tag === "Visits" ? message.payload.user : message.tag),
    name: "visits"
  })
  for (const user of ["ada", "joan", "ada", "grace", "ada", "joan"]) {
    yield* Console.log(yield* visits.ask("Visits", { user }))
  }
})

NodeRuntime.runMain(Effect.provide(program, ActorSystem.layer({ name: "router-pool" })))
