/** `npm run bench -- NAME`: installs bench/ on first use, builds what `import` loads, then runs the bench there. */
import { spawnSync } from "node:child_process"
import { existsSync } from "node:fs"
import { fileURLToPath } from "node:url"

const bench = fileURLToPath(new URL("../bench", import.meta.url))

const run = (command: string, args: ReadonlyArray<string>, options: { cwd?: string; stdout: "inherit" | 2 }) => {
  const result = spawnSync(command, args, { cwd: options.cwd, stdio: ["ignore", options.stdout, "inherit"] })
  if (result.status !== 0) process.exit(result.status ?? 1)
}

// Standard output carries the bench's JSON lines only; npm talks on standard error.
if (!existsSync(`${bench}/node_modules`)) run("npm", ["ci"], { cwd: bench, stdout: 2 })
const [name] = process.argv.slice(2)
if (name === "import" || name === "all") run("npm", ["run", "--silent", "build"], { stdout: 2 })
run(process.execPath, ["--expose-gc", "--max-old-space-size=8192", `${bench}/run.ts`, ...process.argv.slice(2)], {
  stdout: "inherit"
})
