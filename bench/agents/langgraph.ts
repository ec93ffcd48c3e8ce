/** LangGraph's prebuilt agent with a fake model; its packages have a folder of their own (langgraph/). */
import { spawnSync } from "node:child_process"
import { existsSync } from "node:fs"
import { fileURLToPath } from "node:url"

const folder = fileURLToPath(new URL("../langgraph", import.meta.url))

/** Runs the agent so many times; installs its packages on first use. */
export const run = async (count: number): Promise<void> => {
  if (!existsSync(`${folder}/node_modules`)) {
    const { status } = spawnSync("npm", ["ci", "--legacy-peer-deps"], { cwd: folder, stdio: ["ignore", 2, "inherit"] })
    if (status !== 0) throw new Error("bench: npm ci in bench/langgraph failed")
  }
  const side = await import("../langgraph/agent.ts")
  await side.run(count)
}
