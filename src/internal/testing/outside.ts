/**
 * What a simulated program takes from outside: time and randomness of the platform, and the timers and requests that it
 * starts there. The platform's functions are replaced while `during` is on the stack, and only then.
 *
 * @internal
 */
import { callerLine, programLine } from "./stack.ts"

export interface Outside {
  readonly during: <A>(body: () => A) => A
  /** The first read of time or randomness that did not go through Effect. */
  readonly read: () => Read | undefined
  /** The timers and requests that it has started outside, with their lines. */
  readonly started: () => ReadonlyArray<string>
  /** What the platform has at work now and had not at the start. */
  readonly atWork: () => ReadonlyArray<string>
}

/** The simulation's own time, in milliseconds, and numbers from 0 to 1. */
export interface Sources {
  readonly millis: () => number
  readonly elapsed: () => number
  readonly random: () => number
}

export interface Read {
  readonly source: string
  readonly place: string
}

/**
 * Programs that read the platform's time and randomness get those of the simulation, and are told so. In a stack, the
 * function named `runner` runs the program.
 */
export const make = (
  { elapsed, millis, random }: Sources,
  runner: string
): Outside => {
  const before = activeResources()
  const calls = new Set<string>()
  let read: Read | undefined

  const noteRead = (source: string): void => {
    if (read !== undefined) return
    const place = callerLine()
    if (place !== undefined) read = { source, place }
  }
  const replacements = (): ReadonlyArray<Replacement> => {
    const reading = (owner: object, key: string, source: string, value: (args: ReadonlyArray<unknown>) => unknown) =>
      replacing(owner, key, () => (...args: ReadonlyArray<unknown>) => {
        noteRead(source)
        return value(args)
      })
    const starting = (key: string) =>
      replacing(globalThis, key, (original) => (...args: ReadonlyArray<unknown>) => {
        const place = programLine(runner)
        if (place !== undefined) calls.add(`${key} at ${place}`)
        return Reflect.apply(original, globalThis, args)
      })
    return [
      reading(Math, "random", "Math.random", random),
      reading(Date, "now", "Date.now", millis),
      replacing(globalThis, "Date", (original) =>
        new Proxy(original, {
          apply: (target) => {
            noteRead("Date()")
            return Reflect.construct(target, [millis()]).toString()
          },
          construct: (target, args, newTarget) => {
            if (args.length > 0) return Reflect.construct(target, args, newTarget)
            noteRead("new Date()")
            return Reflect.construct(target, [millis()], newTarget)
          }
        })),
      reading(performance, "now", "performance.now", elapsed),
      reading(crypto, "randomUUID", "crypto.randomUUID", () => uuid(random)),
      reading(crypto, "getRandomValues", "crypto.getRandomValues", ([array]) => fill(array, random)),
      ...["setTimeout", "setInterval", "setImmediate", "fetch"].map(starting)
    ]
  }

  return {
    during: (body) => {
      const undo = replacements().map((replace) => replace())
      try {
        return body()
      } finally {
        for (const restore of undo.toReversed()) restore()
      }
    },
    read: () => read,
    started: () => Array.from(calls),
    atWork: () => added(before)
  }
}

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

/** Puts something in the place of a function of the platform, and gives the way back. */
type Replacement = () => () => void

const replacing =
  (owner: object, key: string, by: (original: CallableFunction) => CallableFunction): Replacement => () => {
    let holder: object | null = owner
    while (holder !== null && !Object.hasOwn(holder, key)) holder = Object.getPrototypeOf(holder)
    const descriptor = holder === null ? undefined : Object.getOwnPropertyDescriptor(holder, key)
    if (holder === null || descriptor?.configurable !== true || typeof descriptor.value !== "function") return () => {}
    const where = holder
    Object.defineProperty(where, key, { ...descriptor, value: by(descriptor.value) })
    return () => void Object.defineProperty(where, key, descriptor)
  }

const activeResources = (): ReadonlyArray<string> => globalThis.process?.getActiveResourcesInfo?.() ?? []

/** What the platform has at work now and had not then. */
const added = (before: ReadonlyArray<string>): ReadonlyArray<string> => {
  const rest = [...before]
  return activeResources().filter((resource) => {
    const index = rest.indexOf(resource)
    if (index >= 0) rest.splice(index, 1)
    return index < 0
  })
}

const uuid = (random: () => number): string => {
  const digits = Array.from({ length: 32 }, () => Math.floor(random() * 16).toString(16))
  digits[12] = "4"
  const hex = digits.join("")
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), `8${hex.slice(17, 20)}`, hex.slice(20)].join("-")
}

const fill = (array: unknown, random: () => number): unknown => {
  if (!ArrayBuffer.isView(array)) return array
  const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength)
  for (let i = 0; i < bytes.length; i++) bytes[i] = Math.floor(random() * 256)
  return array
}
