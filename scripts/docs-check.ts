/**
 * `npm run docs:check`: every example in README.md, docs/ and the docstrings of src/ must compile as it stands.
 */
import { execFileSync } from "node:child_process"
import { globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))
const out = `${root}/.docs-check`

/** The ts blocks of a file with the line that each begins on; in a docstring every line begins with " * ". */
const examples = (file: string) => {
  const text = readFileSync(`${root}/${file}`, "utf8")
  return Array.from(text.matchAll(/^( ?\* )?```ts\n([\s\S]*?)^( ?\* )?```$/gm), (match) => ({
    line: text.slice(0, match.index).split("\n").length,
    code: match[2]!.replaceAll(/^ \* ?/gm, match[1] === undefined ? "$&" : "")
  }))
}

rmSync(out, { recursive: true, force: true })
mkdirSync(out)
let count = 0
for (const file of globSync(["*.md", "docs/**/*.md", "src/**/*.ts"], { cwd: root }).sort()) {
  for (const { code, line } of examples(file)) {
    writeFileSync(`${out}/${file.replaceAll("/", "__")}-line-${line}.ts`, code)
    count++
  }
}
writeFileSync(
  `${out}/tsconfig.json`,
  JSON.stringify({
    extends: "../tsconfig.json",
    compilerOptions: { noUnusedLocals: false, noUnusedParameters: false },
    include: ["*.ts"]
  })
)
try {
  execFileSync("tsc", ["-p", out], { cwd: root, stdio: "inherit" })
  console.log(`${count} examples of the documentation compile`)
  rmSync(out, { recursive: true, force: true })
} catch {
  console.error(`an example of the documentation does not compile: see .docs-check/, named by file and line`)
  process.exit(1)
}
