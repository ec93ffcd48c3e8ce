/**
 * Runs a program so that a log determines it: between two inputs it goes on until nobody in it can, time stands still
 * meanwhile, and all inputs come in one by one. A log gives the same inputs again.
 *
 * Fibers of the program run on a scheduler of this world, only while it is their turn. A fiber that something outside
 * resumes on its own, a promise for example, gives way at once, and its step becomes an input, too.
 *
 * @internal
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Scheduler from "effect/Scheduler"
import type * as Schema from "effect/Schema"
import { errorMessage } from "../errorMessage.ts"
import { retype } from "../retype.ts"
import { type Call, type Entry, type Input, isMessageKey, type Outcome } from "./entry.ts"
import type { LogError } from "./format.ts"
import * as Journal from "./journal.ts"
import * as Script from "./script.ts"

export type Diverged = Script.Diverged

/** Fibers that make calls live: they belong to the world outside of the program. */
export const IsOutside = Context.Reference<boolean>("effect-troupe/internal/RunLog/IsOutside", {
  defaultValue: () => false
})

export interface World {
  /** The services of the world outside. */
  readonly outside: Context.Context<never>
  readonly clock: Clock.Clock
  readonly dispatcher: Scheduler.SchedulerDispatcher
  readonly startedAt: number
  began: bigint
  /** Where a new log is written. */
  readonly journal: Journal.Journal | undefined
  /** What is to be repeated; none once the program is on its own. */
  script: Script.Script | undefined
  /** Milliseconds since the start, as of the latest input. */
  now: number
  calls: number
  timers: number
  readonly keys: Map<string, number>
  ready: Array<Task>
  arrived: Array<Arrival>
  /** Those who wait for inputs, by their keys. */
  readonly waiting: Map<string, Waiting>
  /** Whose turn it is: the program's, if it is true. */
  inside: boolean
  scheduled: boolean
  phase: "running" | "closing" | "over"
  failure: Script.Diverged | LogError | undefined
  /** Takes a message from outside that the log has. */
  receive: (input: Input) => void
  root: Fiber.Fiber<unknown, unknown> | undefined
  exit: Exit.Exit<unknown, unknown> | undefined
  onEnd: (exit: Exit.Exit<unknown, unknown>) => void
}

/** Something that waits for inputs of a log. */
export interface Waiting {
  readonly deliver: (json: Schema.Json) => void
  /** Gets them from the world now, after those that are left in the log. */
  readonly goLive: (left: ReadonlyArray<Schema.Json>) => void
  /** Gets no more: the program is to end. */
  readonly stop: () => void
}

/** Something that has come in. */
interface Arrival {
  readonly key: string
  readonly json: () => Schema.Json
  readonly deliver: () => void
}

interface Task {
  run: (() => void) | undefined
}

export const make = (options: {
  readonly outside: Context.Context<never>
  readonly startedAt: number
  readonly journal: Journal.Journal | undefined
  readonly script: Script.Script | undefined
}): World => {
  const { outside } = options
  const clock = Context.get(outside, Clock.Clock)
  return {
    ...options,
    clock,
    dispatcher: Context.get(outside, Scheduler.Scheduler).makeDispatcher(),
    began: clock.monotonicTimeNanosUnsafe(),
    now: 0,
    calls: 0,
    timers: 0,
    keys: new Map(),
    ready: [],
    arrived: [],
    waiting: new Map(),
    inside: false,
    scheduled: false,
    phase: "running",
    failure: undefined,
    receive: () => {},
    root: undefined,
    exit: undefined,
    onEnd: () => {}
  }
}

/** Runs the program to its end. */
export const run = <A, E, R>(
  self: World,
  program: Effect.Effect<A, E, R>,
  context: Context.Context<R>
): Effect.Effect<A, E | Script.Diverged | LogError> =>
  Effect.callback<A, E | Script.Diverged | LogError>((resume) => {
    self.onEnd = (exit) => resume(retype(exit))
    schedule(self, () => {
      const root = Effect.runForkWith(context)(program)
      self.root = root
      root.addObserver((exit) => {
        self.exit = exit
      })
    })
    return Effect.callback<void>((resume) => {
      self.onEnd = () => resume(Effect.void)
      if (self.phase === "over") return resume(Effect.void)
      // Whoever interrupts a replay does not want the rest of it.
      if (self.script === undefined) arrive(self, interrupt, () => null, () => self.root?.interruptUnsafe())
      else close(self)
    })
  })

/** What the program does, for the log; what it should do, if there is one. */
export const made = (self: World, entry: Entry): void => {
  if (self.phase !== "running") return
  if (self.script !== undefined && Script.isCutOff(self.script)) goLive(self)
  if (self.script !== undefined) {
    const diverged = Script.expect(self.script, entry, self.calls)
    if (diverged !== undefined) return fail(self, diverged)
  }
  if (self.journal !== undefined) Journal.write(self.journal, entry)
}

/** The next call of this kind and path; the log says whether it is to be made live. */
export const call = (self: World, entry: Omit<Call, "_tag" | "at" | "number" | "key">): Call => {
  const name = `${entry.kind} ${entry.path}`
  const count = (self.keys.get(name) ?? 0) + 1
  self.keys.set(name, count)
  const number = ++self.calls
  if (self.script?.forkAt === number) goLive(self)
  const { kind, path, request, turn, ...place } = entry
  const key = count === 1 ? name : `${name}#${count}`
  const called: Call = { _tag: "Call", at: self.now, number, key, kind, ...place, turn, path, request }
  made(self, called)
  return called
}

/** An input that waits for the program to come to rest. */
export const arrive = (self: World, key: string, json: () => Schema.Json, deliver: () => void): void => {
  if (self.phase === "over") return deliver()
  self.arrived.push({ key, json, deliver })
  kick(self)
}

/** The call of this key wants no more inputs. */
export const forget = (self: World, key: string): void => {
  self.waiting.delete(key)
  self.arrived = self.arrived.filter((arrival) => arrival.key !== key)
  if (self.journal !== undefined) Journal.closed(self.journal, key)
}

/** Tells something to the world outside, later, so that nothing there runs on a stack of the program. */
export const later = (self: World, tell: () => void): void => self.dispatcher.scheduleTask(tell, 0)

/** Calls something of the world outside, which must not take itself for the program. */
export const leave = <A>(self: World, f: () => A): A => {
  const { inside } = self
  self.inside = false
  try {
    return f()
  } finally {
    self.inside = inside
  }
}

/** Runs an effect of the program in the world outside. */
export const fork = <A, E, R>(
  self: World,
  effect: Effect.Effect<A, E, R>,
  context: Context.Context<R>
): Fiber.Fiber<A, E> => leave(self, () => Effect.runForkWith(Context.merge(context, self.outside))(effect))

/** Ends a program that does not do what its log says, or whose log can't be written. */
export const fail = (self: World, failure: Script.Diverged | LogError): void => {
  self.failure ??= failure
  close(self)
}

export const isOutside = (fiber: Fiber.Fiber<unknown, unknown> | undefined): boolean =>
  fiber?.getRef(IsOutside) === true

/** A task of the program's scheduler; one that comes from elsewhere is an input. Gives what takes it back. */
export const schedule = (self: World, run: () => void): () => void => {
  const task: Task = { run }
  const runTask = () => {
    const { run } = task
    task.run = undefined
    run?.()
  }
  if (self.phase === "over") self.dispatcher.scheduleTask(runTask, 0)
  else if (self.inside || self.root === undefined) {
    self.ready.push({ run: runTask })
    kick(self)
  } else arrive(self, step, () => null, runTask)
  return () => {
    task.run = undefined
  }
}

/** The key of a step that the program owes to something outside of it that nobody knows. */
export const step = "outside"

export const interrupt = "interrupt"

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

/** How many rounds the program may take before others in this process get their turn. */
const maxRounds = 1000

/** How long a replay waits for a step that something outside led to. */
const patience = Duration.seconds(5)

const kick = (self: World): void => {
  if (self.scheduled || self.inside) return
  self.scheduled = true
  self.dispatcher.scheduleTask(() => {
    self.scheduled = false
    go(self)
  }, 0)
}

/** Lets the program go on as long as it can. */
const go = (self: World): void => {
  if (self.phase === "over") return void self.ready.splice(0).forEach(({ run }) => run?.())
  self.inside = true
  try {
    for (let round = 0;; round++) {
      if (self.ready.length > 0) {
        if (round > maxRounds) break
        for (const { run } of self.ready.splice(0)) run?.()
      } else if (self.exit !== undefined || !next(self)) break
    }
  } finally {
    self.inside = false
  }
  if (self.journal !== undefined && self.exit === undefined) Journal.flush(self.journal)
  if (self.exit !== undefined && self.ready.length === 0) end(self, self.exit)
  else if (self.ready.length > 0) kick(self)
}

/** Lets the next input in; false where there is none yet. */
const next = (self: World): boolean => self.script === undefined ? nextArrival(self) : nextScripted(self, self.script)

const nextArrival = (self: World): boolean => {
  const arrival = self.arrived.shift()
  if (arrival === undefined) return false
  const { deliver, json, key } = arrival
  if (self.phase === "running") {
    self.now = Math.max(self.now, elapsed(self))
    if (self.journal !== undefined) Journal.write(self.journal, { _tag: "Input", at: self.now, key, value: json() })
  }
  deliver()
  return true
}

/** With the precision of a microsecond. */
const elapsed = (self: World): number =>
  Math.round(Number(self.clock.monotonicTimeNanosUnsafe() - self.began) / 1000) / 1000

const nextScripted = (self: World, script: Script.Script): boolean => {
  const entry = Script.next(script)
  if (entry === undefined && script.forkAt !== undefined) {
    goLive(self)
    return true
  }
  if (entry?._tag !== "Input") {
    fail(self, Script.stopped(script, self.calls))
    return true
  }
  const { at, key, value } = entry
  if (key === step || script.liveKeys.has(key)) {
    const place = self.arrived.findIndex((arrival) => arrival.key === key)
    if (place < 0) {
      if (key === step) waitFor(self, script)
      return false
    }
    const [arrival] = self.arrived.splice(place, 1)
    take(self, script, entry.at, { ...entry, value: arrival!.json() })
    arrival!.deliver()
    return true
  }
  if (isMessageKey(key)) {
    take(self, script, at, entry)
    self.receive(entry)
    return true
  }
  const waiting = self.waiting.get(key)
  if (waiting === undefined && key !== interrupt) {
    fail(self, Script.unwanted(script, self.calls))
    return true
  }
  take(self, script, at, entry)
  if (waiting === undefined) self.root?.interruptUnsafe()
  else {
    try {
      waiting.deliver(value)
    } catch (error) {
      fail(self, Script.unreadable(script, entry, errorMessage(error), self.calls))
    }
  }
  return true
}

const take = (self: World, script: Script.Script, at: number, entry: Entry): void => {
  script.cursor++
  self.now = at
  if (self.journal !== undefined) Journal.write(self.journal, entry)
}

/** Gives a step that is due some time to come. */
const waitFor = (self: World, script: Script.Script): void => {
  const { cursor } = script
  if (script.awaited === cursor) return
  script.awaited = cursor
  const timer = fork(self, self.clock.sleep(patience), Context.empty())
  timer.addObserver((exit) => {
    if (Exit.isFailure(exit) || self.script !== script || script.cursor !== cursor) return
    fail(self, Script.unwanted(script, self.calls))
  })
}

/** The log is over: from here on the world answers. */
const goLive = (self: World): void => {
  const { script } = self
  if (script === undefined) return
  self.script = undefined
  const left = Script.left(script)
  // The clock goes on from the last reading in the log.
  const until = self.clock.monotonicTimeNanosUnsafe() - BigInt(Math.round(self.now * 1000)) * 1000n
  self.began = until
  for (const [key, waiting] of Array.from(self.waiting)) {
    self.waiting.delete(key)
    waiting.goLive(left.get(key) ?? [])
  }
}

/** Stops the program; its finalizers still run. */
const close = (self: World): void => {
  if (self.phase !== "running") return
  self.phase = "closing"
  self.script = undefined
  for (const { stop } of Array.from(self.waiting.values())) stop()
  arrive(self, interrupt, () => null, () => self.root?.interruptUnsafe())
}

const end = (self: World, exit: Exit.Exit<unknown, unknown>): void => {
  if (self.phase === "running") {
    made(self, { _tag: "Ended", at: self.now, outcome: outcomeOf(exit) })
    const { failure } = self
    if (failure?._tag === "Diverged" && Exit.isFailure(exit)) self.failure = Script.failed(failure, exit.cause)
    if (self.journal !== undefined) Journal.flush(self.journal, true)
  }
  self.phase = "over"
  for (const { deliver } of self.arrived.splice(0)) deliver()
  self.onEnd(self.failure === undefined ? exit : Exit.fail(self.failure))
}

export const outcomeOf = (exit: Exit.Exit<unknown, unknown>): Outcome =>
  Exit.isSuccess(exit) ? "Success" : Cause.hasInterruptsOnly(exit.cause) ? "Interrupted" : "Failure"
