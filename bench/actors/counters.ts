/**
 * The work of each metric, written once for the sides that are Effects and once for those that are not.
 *
 * Every side brings the same counter: it adds up what it is told and answers with its total when it is asked.
 */
import { Effect, type Scope } from "effect"
import { check, rate, type Side } from "../harness.ts"

const TELLS = 500_000
const ASKS = 100_000
const ASKERS = 64
const ASKS_EACH = 1_500
const SPAWNS = 20_000

/** A counter as Effects: `start` gives its ref, in a scope that ends it. */
export interface EffectCounter<Ref, R> {
  readonly start: Effect.Effect<Ref, unknown, R>
  readonly add: (ref: Ref) => Effect.Effect<unknown, unknown>
  readonly total: (ref: Ref) => Effect.Effect<number, unknown>
  readonly run: (effect: Effect.Effect<number, unknown, R | Scope.Scope>) => Promise<number>
}

/** A counter as plain functions and promises: `open` starts a system, `start` an actor in it. */
export interface PromiseCounter<System, Ref> {
  readonly open: () => System
  readonly start: (system: System, name: string) => Ref
  readonly add: (ref: Ref) => void
  readonly total: (ref: Ref) => Promise<number>
  readonly close: (system: System, refs: ReadonlyArray<Ref>) => void
}

export interface Sides {
  /** Messages a second from one sender to one actor, until the last is handled. */
  readonly tell: Side
  /** Questions a second, one after the other. */
  readonly ask: Side
  /** Questions a second, from 64 askers at once. */
  readonly ask64: Side
  /** Actors a second that are started and ready for their first message. */
  readonly spawn: Side
}

export interface EffectSides extends Sides {
  /** The questions of `ask`, all inside of one span. */
  readonly askInSpan: Side
}

export const effectSides = <Ref, R>({ add, run, start, total }: EffectCounter<Ref, R>): EffectSides => {
  const told = Effect.fnUntraced(function*(ref: Ref) {
    for (let i = 0; i < TELLS; i++) yield* add(ref)
    check("total", yield* total(ref), TELLS)
  })
  const asked = Effect.fnUntraced(function*(ref: Ref, times: number) {
    for (let i = 0; i < times; i++) check("total", yield* total(ref), 1)
  })
  const primed = Effect.tap(start, add)
  type Asking = Effect.Effect<void, unknown>
  const askWithin = (around: (asking: Asking) => Asking): Side => () =>
    run(Effect.flatMap(primed, (ref) => effectRate(ASKS, around(asked(ref, ASKS)))))
  return {
    tell: () => run(Effect.flatMap(start, (ref) => effectRate(TELLS, told(ref)))),
    ask: askWithin((asking) => asking),
    askInSpan: askWithin((asking) => Effect.withSpan(asking, "asker")),
    ask64: () =>
      run(Effect.flatMap(primed, (ref) => {
        const askers = Array.from({ length: ASKERS }, () => asked(ref, ASKS_EACH))
        return effectRate(ASKERS * ASKS_EACH, Effect.all(askers, { concurrency: "unbounded", discard: true }))
      })),
    spawn: () =>
      run(Effect.gen(function*() {
        const refs: Array<Ref> = []
        const figure = yield* effectRate(
          SPAWNS,
          Effect.gen(function*() {
            for (let i = 0; i < SPAWNS; i++) refs.push(yield* start)
          })
        )
        for (const ref of refs) check("total", yield* total(ref), 0)
        return figure
      }))
  }
}

export const promiseSides = <System, Ref>(
  { add, close, open, start, total }: PromiseCounter<System, Ref>
): Sides => {
  const withActor = async (use: (ref: Ref) => Promise<number>) => {
    const system = open()
    const ref = start(system, "counter")
    const figure = await use(ref)
    close(system, [ref])
    return figure
  }
  const asked = async (ref: Ref, times: number) => {
    for (let i = 0; i < times; i++) check("total", await total(ref), 1)
  }
  return {
    tell: () =>
      withActor((ref) =>
        rate(TELLS, async () => {
          for (let i = 0; i < TELLS; i++) add(ref)
          check("total", await total(ref), TELLS)
        })
      ),
    ask: () =>
      withActor((ref) => {
        add(ref)
        return rate(ASKS, () => asked(ref, ASKS))
      }),
    ask64: () =>
      withActor((ref) => {
        add(ref)
        const askers = () => Promise.all(Array.from({ length: ASKERS }, () => asked(ref, ASKS_EACH)))
        return rate(ASKERS * ASKS_EACH, askers)
      }),
    spawn: async () => {
      const system = open()
      const refs: Array<Ref> = []
      const figure = await rate(SPAWNS, () => {
        for (let i = 0; i < SPAWNS; i++) refs.push(start(system, `counter-${i}`))
      })
      for (const ref of refs) check("total", await total(ref), 0)
      close(system, refs)
      return figure
    }
  }
}

/** How many times a second `effect` did one of its `count` pieces. */
export const effectRate = <E, R>(count: number, effect: Effect.Effect<unknown, E, R>): Effect.Effect<number, E, R> =>
  Effect.map(effectSeconds(effect), (seconds) => count / seconds)

/** How long `effect` took, in seconds. */
export const effectSeconds = <E, R>(effect: Effect.Effect<unknown, E, R>): Effect.Effect<number, E, R> =>
  Effect.suspend(() => {
    const start = performance.now()
    return Effect.map(effect, () => (performance.now() - start) / 1000)
  })
