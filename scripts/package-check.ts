/**
 * `npm run package:check`: packs the library and looks at the tarball as a user would get it.
 *
 * publint and attw must find nothing, and an empty project that installs the tarball must be able to import the root, the
 * testing entry and a module path, run an agent, and must be refused an internal path.
 */
import { execFileSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))
const folder = mkdtempSync(join(tmpdir(), "effect-troupe-package-"))

const run = (command: string, args: ReadonlyArray<string>, cwd = root) =>
  execFileSync(command, args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] })

const smoke = `
import assert from "node:assert/strict"
import { Effect } from "effect"
import { Agent, Scripted } from "effect-troupe"
import * as Tool from "effect-troupe/Tool"
import * as OpenAi from "effect-troupe/Llm/OpenAi"
import * as Testing from "effect-troupe/testing"

assert.equal(typeof Tool.fn, "function")
assert.equal(typeof OpenAi.model, "function")
assert.ok(Object.keys(Testing).length > 0)
await assert.rejects(import("effect-troupe/internal/usage"), { code: "ERR_PACKAGE_PATH_NOT_EXPORTED" })
const response = await Effect.runPromise(
  Agent.run(Agent.make("greeter"), "Hello?").pipe(Agent.response, Effect.provide(Scripted.model(["Hello!"])))
)
assert.equal(response.text, "Hello!")
console.log("smoke import ok, Node " + process.version)
`

try {
  const [{ filename }] = JSON.parse(
    run("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", folder])
  ) as [{ filename: string }]
  const tarball = join(folder, filename)
  console.log(run("publint", ["run", tarball, "--strict"]))
  console.log(run("attw", [tarball, "--profile", "esm-only", "--format", "table-flipped", "--no-emoji"]))
  const { devDependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"))
  writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module", private: true }))
  writeFileSync(join(folder, "smoke.ts"), smoke)
  run("npm", ["install", "--no-audit", "--no-fund", tarball, `effect@${devDependencies.effect}`], folder)
  console.log(run("node", ["smoke.ts"], folder).trim())
} finally {
  rmSync(folder, { recursive: true, force: true })
}
