/**
 * Part of `npm run check`: every example in README.md, docs/ and the docstrings of src/ must compile as it stands.
 *
 * In a guide a block without imports continues the block before it.
 */
import { execFileSync } from "node:child_process"
import { globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))
const out = `${root}/.docs-check`

interface Example {
  readonly line: number
  readonly code: string
}

/** The programs of a file with the line that each begins on; in a docstring every line begins with " * ". */
const examples = (file: string): ReadonlyArray<Example> => {
  const text = readFileSync(`${root}/${file}`, "utf8")
  const programs: Array<Example> = []
  for (const match of text.matchAll(/^( ?\* )?```ts\n([\s\S]*?)^( ?\* )?```$/gm)) {
    const inDocstring = match[1] !== undefined
    const code = inDocstring ? match[2]!.replaceAll(/^ \* ?/gm, "") : match[2]!
    const previous = inDocstring || /^import /m.test(code) ? undefined : programs.pop()
    programs.push({
      line: previous?.line ?? text.slice(0, match.index).split("\n").length,
      code: previous === undefined ? code : `${previous.code}\n${code}`
    })
  }
  return programs
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
