/** The root in a bundle, and what a program loads that imports it. */
import { assert, describe, it } from "@effect/vitest"
import { build, type BuildResult } from "esbuild"
import { execFileSync } from "node:child_process"
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll } from "vitest"

const root = fileURLToPath(new URL("..", import.meta.url))

/** A project with the sources and all installed packages but the optional ones. */
const project = mkdtempSync(join(tmpdir(), "effect-troupe-bundle-"))

mkdirSync(join(project, "node_modules/@ai-sdk"), { recursive: true })
symlinkSync(join(root, "src"), join(project, "src"))
symlinkSync(join(root, "node_modules/@ai-sdk/provider"), join(project, "node_modules/@ai-sdk/provider"))
for (const name of readdirSync(join(root, "node_modules"))) {
  if (name.startsWith(".") || name === "@ai-sdk" || name === "google-auth-library") continue
  symlinkSync(join(root, "node_modules", name), join(project, "node_modules", name))
}

afterAll(() => rmSync(project, { recursive: true, force: true }))

const bundle = (entry: string) =>
  build({
    stdin: { contents: entry, resolveDir: project },
    absWorkingDir: project,
    preserveSymlinks: true,
    bundle: true,
    format: "esm",
    platform: "node",
    outfile: join(project, "bundle.mjs"),
    metafile: true,
    logLevel: "silent"
  })

/** The files that are loaded together with the first one. */
const loaded = ({ metafile }: BuildResult<{ metafile: true }>): ReadonlyArray<string> => {
  const seen = new Set<string>()
  const visit = (file: string): void => {
    if (seen.has(file)) return
    seen.add(file)
    for (const { external, kind, path } of metafile.inputs[file]?.imports ?? []) {
      if (kind === "import-statement" && external !== true) visit(path)
    }
  }
  visit("<stdin>")
  return Array.from(seen)
}

describe("Bundle", () => {
  it(
    "esbuild bundles the root where no optional package is installed, and the bundle says which one it misses",
    async () => {
      const { errors, warnings } = await bundle(`
      import { Effect, Layer } from "effect"
      import { OpenAiCompatible } from "./src/index.ts"
      const model = OpenAiCompatible.model("m", { baseUrl: "http://127.0.0.1:1/v1" })
      console.log((await Effect.runPromise(Effect.flip(Effect.scoped(Layer.build(model))))).message)
    `)
      assert.deepStrictEqual(errors, [])
      assert.deepStrictEqual(warnings, [])
      const said = execFileSync(process.execPath, [join(project, "bundle.mjs")], { encoding: "utf8" })
      assert.include(said, "npm install @ai-sdk/openai-compatible")
    },
    60_000
  )

  it("the root loads no server, cluster, database or provider before it is used", async () => {
    const files = loaded(await bundle(`export * from "./src/index.ts"`))
    const heavy =
      /@ai-sdk\/(?!provider\/)|effect\/(src|dist)\/((cluster|sql|persistence|socket|workers|workflow)\/|.*\/(Mcp|Http)\w+\.[jt]s$)/
    assert.deepStrictEqual(files.filter((file) => heavy.test(file)), [])
    // 160 of them are what `Effect`, `Stream`, `Schema` and `Rpc` load.
    assert.isBelow(files.filter((file) => file.includes("node_modules/effect/")).length, 190)
  }, 60_000)

  it("an actor loads no model, and less than `effect`", async () => {
    const files = loaded(await bundle(`export * from "./src/Actor.ts"`))
    const effect = loaded(await bundle(`export * from "effect"`))
    assert.deepStrictEqual(files.filter((file) => /effect\/(src|dist)\/ai\/|src\/Llm\/|@ai-sdk/.test(file)), [])
    assert.isBelow(files.length, effect.length)
  }, 60_000)
})
