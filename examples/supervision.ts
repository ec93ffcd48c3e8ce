/**
 * A flaky worker that recovers, on screen.
 *
 * Shows: a crash that costs one message and no other, restarts with a growing delay, a supervisor that tells a passing
 * fault from a hopeless one, and the system's events.
 * Run: `npm run build && node examples/supervision.ts`
 */
import { NodeRuntime } from "@effect/platform-node"
import { Cause, Console, Effect, Fiber, Schedule, Schema, Stream } from "effect"
import { Actor, ActorSystem, Supervisor } from "effect-troupe"
import { Rpc } from "effect/rpc"

class ConnectionLost extends Schema.TaggedError<ConnectionLost>()("ConnectionLost", {}) {
  override readonly message = "the connection is lost"
}

class DiskFull extends Schema.TaggedError<DiskFull>()("DiskFull", {}) {
  override readonly message = "the disk is full"
}

const Worker = Actor.make("Worker", [Rpc.make("Work", { payload: { job: Schema.Int } })])

const worker = Worker.behavior(
  Effect.gen(function*() {
    yield* Console.log("  connected")
    return {
      Work: ({ job }) => {
        if (job === 3 || job === 4) return Effect.die(new ConnectionLost())
        if (job === 7) return Effect.die(new DiskFull())
        return Console.log(`  job ${job} done`)
      }
    }
  }),
  { supervisor: Supervisor.decide((cause) => Cause.squash(cause) instanceof DiskFull ? Supervisor.stop : reconnect) }
)

// At most five times a minute, after 100 ms, 200 ms, 400 ms and so on.
const reconnect = Supervisor.restart(Schedule.max([
  Supervisor.intensity({ restarts: 5, within: "1 minute" }),
  Schedule.exponential("100 millis")
]))

const show = (event: ActorSystem.ActorEvent) => {
  switch (event._tag) {
    case "Crashed":
      return Console.log(`✗ crashed: ${Cause.pretty(event.cause).split("\n")[0]}`)
    case "Restarted":
      return Console.log("↻ restarted")
    case "DeadLetter":
      return Console.log(`✉ undelivered: job ${JSON.stringify(event.payload)}`)
    case "Stopped":
      return Console.log(`■ stopped (${event.reason._tag})`)
    default:
      return Effect.void
  }
}

const program = Effect.gen(function*() {
  const events = yield* Effect.forkChild(Stream.runForEach(ActorSystem.events, show), { startImmediately: true })
  const ref = yield* Actor.spawn(worker, { name: "worker" })
  for (let job = 1; job <= 8; job++) yield* ref.tell("Work", { job })
  yield* ref.awaitStopped
  yield* Effect.sleep("10 millis")
  yield* Fiber.interrupt(events)
})

NodeRuntime.runMain(Effect.provide(program, ActorSystem.layer({ name: "supervision" })))
