/**
 * `npm run package:check`: packs the library and looks at the tarball as a user would get it.
 *
 * publint and attw must find nothing. An empty project that installs the tarball must be able to import the root, the
 * entries for Node and for tests and a module path, must be refused an internal path, and must run the README's first two examples as they
 * stand: the second one, for lack of the provider's package, up to the message that says so.
 */
import { execFileSync, spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))
const folder = mkdtempSync(join(tmpdir(), "effect-troupe-package-"))

const run = (command: string, args: ReadonlyArray<string>, cwd = root) =>
  execFileSync(command, args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] })

const show = (command: string, args: ReadonlyArray<string>) => {
  if (spawnSync(command, args, { cwd: root, stdio: "inherit" }).status !== 0) throw new Error(`${command} found faults`)
}

const smoke = `
import assert from "node:assert/strict"
import * as Troupe from "effect-troupe"
import * as OpenAi from "effect-troupe/Llm/OpenAi"
import { Sqlite } from "effect-troupe/node"
import * as Testing from "effect-troupe/testing"

assert.ok(Object.keys(Troupe).length > 0)
assert.equal(OpenAi.model, Troupe.OpenAi.model)
assert.ok(Object.keys(Testing).length > 0)
assert.equal(typeof Sqlite.layer, "function")
// It has a peer of its own, and only that is missing here.
await assert.rejects(import("effect-troupe/vitest"), { code: "ERR_MODULE_NOT_FOUND", message: /'vitest'/ })
await assert.rejects(import("effect-troupe/internal/usage"), { code: "ERR_PACKAGE_PATH_NOT_EXPORTED" })
console.log("smoke import ok, Node " + process.version)
`

const examples = [...readFileSync(join(root, "README.md"), "utf8").matchAll(/```ts\n([\s\S]*?)```/g)]
const expected = ["18 degrees and cloudy in Lagos.", "npm install @ai-sdk/openai"]

try {
  const [{ filename }] = JSON.parse(
    run("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", folder])
  ) as [{ filename: string }]
  const tarball = join(folder, filename)
  show("publint", ["run", tarball, "--strict"])
  show("attw", [tarball, "--profile", "esm-only", "--format", "table-flipped", "--no-emoji"])
  const { devDependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"))
  writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module", private: true }))
  writeFileSync(join(folder, "smoke.ts"), smoke)
  run("npm", ["install", "--no-audit", "--no-fund", tarball, `effect@${devDependencies.effect}`], folder)
  console.log(run("node", ["smoke.ts"], folder).trim())
  for (const [index, answer] of expected.entries()) {
    writeFileSync(join(folder, "readme.ts"), examples[index]![1]!)
    if (!run("node", ["readme.ts"], folder).includes(answer)) {
      throw new Error(`the README's example ${index + 1} does not say ${JSON.stringify(answer)}`)
    }
  }
  console.log(`${expected.length} examples of the README run`)
} finally {
  rmSync(folder, { recursive: true, force: true })
}
