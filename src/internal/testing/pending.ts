/**
 * Finds the lines that began what a program waits for outside of its simulation, such as promises.
 *
 * @internal
 */
import { toPlace } from "./waiting.ts"

/**
 * What `body` has begun at the platform and not seen the end of, with its lines. In a stack, the function named `runner`
 * ends the lines of the program. It is slow: for what has gone wrong.
 */
export const begunBy = (body: () => void, runner: string): ReadonlyArray<string> => {
  const hooks = globalThis.process?.getBuiltinModule?.("node:async_hooks")
  if (hooks === undefined) return []
  const pending = new Map<number, string>()
  const end = (id: number) => void pending.delete(id)
  const hook = hooks.createHook({
    init: (id, type) => {
      const place = isOwn(type) ? undefined : placeOf(runner)
      if (place !== undefined) pending.set(id, `${type === "PROMISE" ? "a promise" : type} at ${place}`)
    },
    promiseResolve: end,
    destroy: end
  })
  hook.enable()
  try {
    body()
  } finally {
    hook.disable()
  }
  return Array.from(new Set(pending.values()))
}

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

/** Effect's fibers and our actors keep the context of the platform with resources, which wait for nothing. */
const isOwn = (type: string): boolean => type.startsWith("effect")

/** The innermost line of the program, or else of a package that it uses. */
const placeOf = (runner: string): string | undefined => {
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = 50
  const lines = new Error().stack?.split("\n").slice(1) ?? []
  Error.stackTraceLimit = stackTraceLimit
  const end = lines.findIndex((line) => line.includes(` ${runner} `))
  const within = lines.slice(0, Math.max(end, 0)).filter((line) => !foreign.test(line) && !line.includes(here))
  const own = within.find((line) => !/[\\/]node_modules[\\/]/.test(line)) ?? within[0]
  return own === undefined ? undefined : toPlace(own)
}

/** Lines of the platform and of Effect. */
const foreign = /\bnode:|<anonymous>|[\\/]node_modules[\\/]effect[\\/]/

/** This file, in lines of a stack. */
const here = new URL(import.meta.url).pathname
