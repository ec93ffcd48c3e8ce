/**
 * `npm run examples`: runs every example that needs no key, without keys, one after the other.
 *
 * An example passes when it ends by itself with exit code 0 within a minute. One that needs a key or a terminal says so in
 * its header with a line that begins with "Needs:".
 */
import { spawnSync } from "node:child_process"
import { readdirSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))
const limit = 60_000

const env = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !/_API_KEY$|_BASE_URL$|^(AZURE|GOOGLE|OLLAMA)_/.test(name))
)

let failed = 0
for (const name of readdirSync(`${root}/examples`).filter((name) => name.endsWith(".ts")).sort()) {
  const file = `examples/${name}`
  const needs = readFileSync(`${root}/${file}`, "utf8").match(/^ \* Needs: (.*)$/m)
  if (needs !== null) {
    console.log(`-  ${file}  (needs ${needs[1]})`)
    continue
  }
  const begin = performance.now()
  const { signal, status, stderr, stdout } = spawnSync("node", [file], {
    cwd: root,
    env,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
    timeout: limit
  })
  const seconds = ((performance.now() - begin) / 1000).toFixed(1)
  if (status === 0) {
    console.log(`ok ${file}  ${seconds} s`)
    continue
  }
  failed++
  console.log(`not ok ${file}  ${seconds} s, ${signal === null ? `exit code ${status}` : `ended by ${signal}`}`)
  console.log(`${stdout}\n${stderr}`)
}
if (failed > 0) {
  console.error(`${failed} examples failed`)
  process.exit(1)
}
