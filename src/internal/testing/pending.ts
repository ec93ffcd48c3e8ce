/**
 * Finds what a program waits for outside of its simulation, such as promises and workers.
 *
 * @internal
 */
import { programLine } from "./stack.ts"

/** Something at work outside. A promise alone may wait for something inside of the simulation, or for ever. */
export interface Begun {
  readonly what: string
  readonly isPromise: boolean
}

/**
 * What `body` has begun at the platform and not seen the end of, with the lines of the program, which the function named
 * `runner` runs. It is slow: for what has gone wrong.
 */
export const begunBy = (body: () => void, runner: string): ReadonlyArray<Begun> => {
  const hooks = globalThis.process?.getBuiltinModule?.("node:async_hooks")
  if (hooks === undefined) return []
  const pending = new Map<number, Begun>()
  const end = (id: number) => void pending.delete(id)
  const hook = hooks.createHook({
    init: (id, type) => {
      const place = isOfPlatform(type) ? programLine(runner) : undefined
      const isPromise = type === "PROMISE"
      if (place !== undefined) pending.set(id, { what: `${isPromise ? "a promise" : type} at ${place}`, isPromise })
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
  return Array.from(pending.values())
}

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

/** Effect's fibers, our actors and other libraries keep the platform's context with resources, which wait for nothing. */
const isOfPlatform = (type: string): boolean => /^[A-Z0-9]+$/.test(type) || type === "Timeout" || type === "Immediate"
