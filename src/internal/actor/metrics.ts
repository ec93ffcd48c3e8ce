/**
 * Shows a protocol's counters as Effect `Metric`s. They are read when somebody takes a snapshot, so that keeping them
 * costs an increment each and nothing else.
 *
 * @internal
 */
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Metric from "effect/Metric"
import type { Cell, Stats, System } from "./cell.ts"

/** Registers all metrics of one protocol; the effect of `remove` is to take them out again. */
export const register = (system: System, stats: Stats): ReadonlyArray<Metric.Registration> => {
  const attributes = { system: system.name, protocol: stats.protocol }
  const show = <State>(metric: Metric.Metric<number, State>, get: () => State) =>
    Metric.registerUnsafe(Metric.withAttributes(metric, attributes), system.context, {
      get,
      update: () => {},
      modify: () => {}
    })
  const counter = (metric: Metric.Counter<number>, count: () => number) =>
    show(metric, () => ({ count: count(), incremental: true }))
  return [
    counter(sent, () => stats.sent),
    counter(handled, () => stats.handled),
    counter(dropped, () => stats.dropped),
    counter(deadLetters, () => stats.deadLetters),
    counter(cancelled, () => stats.cancelled),
    counter(crashes, () => stats.crashes),
    counter(restarts, () => stats.restarts),
    show(actors, () => ({ value: fold(system.root, stats, () => 1) })),
    show(mailboxSize, () => ({ value: fold(system.root, stats, (cell) => cell.queue.accepted.size) }))
  ]
}

/** Records how long one handler took. */
export const recordProcessing = (context: Context.Context<never>, stats: Stats, nanos: bigint): void =>
  Metric.withAttributes(processingTime, { protocol: stats.protocol }).updateUnsafe(Duration.nanos(nanos), context)

// -----------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------

const counter = (name: string, description: string) =>
  Metric.counter(`troupe_${name}_total`, { description, incremental: true })

const sent = counter("messages_sent", "Messages that somebody sent, delivered or not")
const handled = counter("messages_handled", "Messages whose handler ran")
const dropped = counter("messages_dropped", "Messages that a full mailbox dropped or refused")
const deadLetters = counter("dead_letters", "Messages for actors that had stopped")
const cancelled = counter("messages_cancelled", "Messages taken back by their senders before their handler ran")
const crashes = counter("crashes", "Defects in handlers and failed setups at restarts")
const restarts = counter("restarts", "Incarnations after the first")
const actors = Metric.gauge("troupe_actors", { description: "Running actors" })
const mailboxSize = Metric.gauge("troupe_mailbox_size", { description: "Messages that wait, over all mailboxes" })
const processingTime = Metric.timer("troupe_processing_time", { description: "How long handlers take" })

const fold = (cell: Cell, stats: Stats, f: (cell: Cell) => number): number => {
  let sum = cell.stats === stats ? f(cell) : 0
  if (cell.children !== undefined) { for (const child of cell.children.values()) sum += fold(child, stats, f) }
  return sum
}
