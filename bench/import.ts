/** What importing the built package costs a program that starts; bench/README.md says what each metric is. */
import { type Bench, check, seconds, type Side } from "./harness.ts"

/** Milliseconds to import a module in a process that has imported nothing else, checked by one of its exports. */
const importing = (load: () => Promise<object>, name: string): Side => async () => {
  let found = false
  const time = await seconds(async () => {
    found = name in await load()
  })
  check(`export ${name}`, found, true)
  return time * 1000
}

// No import of ours is resolved before its round: a side loads only its own module.
const root = importing(() => import("../dist/index.js"), "Agent")
const actor = importing(() => import("../dist/Actor.js"), "spawn")
const ai = importing(() => import("ai"), "streamText")
const effect = importing(() => import("effect"), "Effect")

const inMilliseconds = { unit: "ms", better: "lower", isolated: true } as const

export const bench: Bench = {
  name: "import",
  metrics: [
    { name: "root", ...inMilliseconds, ours: root, baselines: { limit: async () => 2 * await ai() } },
    { name: "actor", ...inMilliseconds, ours: actor, baselines: { effect } }
  ]
}
