/**
 * Shows a protocol's counters as Effect `Metric`s. They are read when somebody takes a snapshot, so that keeping them
 * costs an increment each and nothing else. When the system ends, its gauges go and its counters stay as they are:
 * a short job exports them after that.
 *
 * @internal
 */
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Metric from "effect/Metric"
import * as Cell from "./cell.ts"

/** The counters of one protocol, which a system's metrics show from now on. */
export const statsOf = (system: Cell.System, protocol: string): Cell.Stats => {
  let stats = system.stats.get(protocol)
  if (stats === undefined) {
    system.stats.set(protocol, stats = Cell.makeStats(protocol))
    system.registrations.push(...register(system, stats))
  }
  return stats
}

/** Records how long one handler took. */
export const recordProcessing = (context: Context.Context<never>, stats: Cell.Stats, nanos: bigint): void =>
  Metric.withAttributes(processingTime, { protocol: stats.protocol }).updateUnsafe(Duration.nanos(nanos), context)

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

/** Registers all metrics of one protocol; `remove` takes the gauges out again. */
const register = (system: Cell.System, stats: Cell.Stats): ReadonlyArray<Metric.Registration> => {
  const attributes = { system: system.name, protocol: stats.protocol }
  const show = <State>(metric: Metric.Metric<number, State>, get: () => State) =>
    Metric.registerUnsafe(Metric.withAttributes(metric, attributes), system.context, {
      get,
      update: () => {},
      modify: () => {}
    })
  const counter = (metric: Metric.Counter<number>, count: () => number): Metric.Registration => {
    const counted = Metric.withAttributes(metric, attributes)
    // An earlier system of the same name has counted, too.
    const before = counted.valueUnsafe(system.context).count
    const shown = show(metric, () => ({ count: before + count(), incremental: true }))
    return {
      remove: () => {
        shown.remove()
        counted.updateUnsafe(before + count(), system.context)
      }
    }
  }
  return [
    counter(sent, () => stats.sent),
    counter(handled, () => stats.handled),
    counter(dropped, () => stats.dropped),
    counter(deadLetters, () => stats.deadLetters),
    counter(cancelled, () => stats.cancelled),
    counter(crashes, () => stats.crashes),
    counter(restarts, () => stats.restarts),
    show(actors, () => ({ value: sum(system, stats, () => 1) })),
    show(mailboxSize, () => ({ value: sum(system, stats, (cell) => cell.queue.accepted.size) }))
  ]
}

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

const sum = ({ root }: Cell.System, stats: Cell.Stats, f: (cell: Cell.Cell) => number): number =>
  Cell.descendants(root).reduce((total, cell) => cell.stats === stats ? total + f(cell) : total, 0)
