/**
 * Finds lines of a simulated program in stacks.
 *
 * @internal
 */
/**
 * The line that called a function of the platform. `undefined` for the platform's own modules and Effect's, such as spans
 * that make their ids; Effect's run loop calls what the program has given it.
 */
export const callerLine = (): string | undefined => {
  const caller = stackLines(10).find((line) => !line.includes(here))
  if (caller === undefined) return "an unknown place"
  if (/\bnode:/.test(caller)) return undefined
  if (!foreign.test(caller)) return toPlace(caller)
  return /[\\/]internal[\\/]effect\.[jt]s/.test(caller) ? "an effect that is this function" : undefined
}

/** The innermost line of the program, or else of a package that it uses. The function of this name runs the program. */
export const programLine = (runner: string): string | undefined => {
  const lines = stackLines(50)
  const end = lines.findIndex((line) => line.includes(` ${runner} `))
  const within = lines.slice(0, Math.max(end, 0)).filter((line) => !foreign.test(line) && !line.includes(here))
  const own = within.find((line) => !/[\\/]node_modules[\\/]/.test(line)) ?? within[0]
  return own === undefined ? undefined : toPlace(own)
}

/** The line of a stack, without the words around it. */
export const toPlace = (line: string): string => line.trim().replace(/^at /, "").replace("file://", "")

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const stackLines = (limit: number): ReadonlyArray<string> => {
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = limit
  const lines = new Error().stack?.split("\n").slice(1) ?? []
  Error.stackTraceLimit = stackTraceLimit
  return lines
}

/** Lines of the platform and of Effect. */
const foreign = /\bnode:|\(<anonymous>\)|[\\/]node_modules[\\/]effect[\\/]/

/** Where the modules of the simulation are. */
const here = new URL(".", import.meta.url).pathname
