/** `npm run bench -- NAME`: installs bench/ on first use, then runs the bench there with its own dependencies. */
import { spawnSync } from "node:child_process"
import { existsSync } from "node:fs"
import { fileURLToPath } from "node:url"

const bench = fileURLToPath(new URL("../bench", import.meta.url))

const run = (command: string, args: ReadonlyArray<string>, stdout: "inherit" | 2) => {
  const result = spawnSync(command, args, { cwd: bench, stdio: ["ignore", stdout, "inherit"] })
  if (result.status !== 0) process.exit(result.status ?? 1)
}

// Standard output carries the bench's JSON lines only; npm talks on standard error.
if (!existsSync(`${bench}/node_modules`)) run("npm", ["ci"], 2)
run("node", ["--expose-gc", "--max-old-space-size=8192", "run.ts", ...process.argv.slice(2)], "inherit")
