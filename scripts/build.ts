/**
 * `npm run build`: writes dist/, the declarations by TypeScript and the code by Rolldown.
 *
 * The code is in two chunks, what actors need and all the rest, with a small file beside them for each module that can be
 * imported. Node needs longer to find and read a file than to compile it: a file a module makes the root half as slow
 * again. What a program may never need (a cluster, an HTTP client) is in files of its own.
 */
import { execFileSync } from "node:child_process"
import { globSync, rmSync } from "node:fs"
import { isAbsolute } from "node:path"
import { fileURLToPath } from "node:url"
import { rolldown } from "rolldown"

const root = fileURLToPath(new URL("..", import.meta.url))

rmSync(`${root}/dist`, { recursive: true, force: true })
execFileSync(process.execPath, [`${root}/node_modules/typescript/bin/tsc`, "-p", "tsconfig.build.json"], {
  cwd: root,
  stdio: "inherit"
})

const modules = globSync(["*.ts", "Llm/*.ts", "node/index.ts", "testing/index.ts", "testing/vitest.ts"], {
  cwd: `${root}/src`
})

const bundle = await rolldown({
  cwd: root,
  platform: "neutral",
  input: Object.fromEntries(modules.map((file) => [file.replace(/\.ts$/, ""), `src/${file}`])),
  external: (id) => !id.startsWith(".") && !isAbsolute(id) && !modules.includes(id.replace(/^src\//, ""))
})

await bundle.write({
  dir: "dist",
  format: "esm",
  sourcemap: true,
  // Editors show those of the declarations.
  comments: { annotation: true, jsdoc: false, legal: true },
  chunkFileNames: "internal/[name].js",
  codeSplitting: {
    groups: [
      { name: "actors", test: /src\/Actor\.ts$/, priority: 2 },
      { name: "agents", test: /src\/index\.ts$/, priority: 1 }
    ]
  }
})
