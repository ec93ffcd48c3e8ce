/**
 * `npm run bench -- NAME [--json FILE]`: prints one JSON line a metric and baseline, and nothing else, on standard output.
 * NAME is a bench or `all`, which also writes docs/benchmarks.md.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { cpus, totalmem } from "node:os"
import { parseArgs } from "node:util"
import { type Bench, type Comparison, measure, runSide } from "./harness.ts"

const benches: Record<string, () => Promise<{ readonly bench: Bench }>> = {
  actors: () => import("./actors.ts"),
  agents: () => import("./agents.ts"),
  determinism: () => import("./determinism.ts"),
  import: () => import("./import.ts"),
  sessions: () => import("./sessions.ts"),
  streaming: () => import("./streaming.ts")
}

interface Report {
  readonly machine: string
  readonly versions: Readonly<Record<string, string>>
  readonly date: string
  readonly results: ReadonlyArray<Comparison>
}

const main = async (): Promise<void> => {
  const { values, positionals: [name, ...only] } = parseArgs({
    allowPositionals: true,
    options: { json: { type: "string" }, round: { type: "string" } }
  })
  if (name === undefined || (name !== "all" && !Object.hasOwn(benches, name))) {
    throw new Error(
      `usage: npm run bench -- NAME [METRIC...] [--json FILE]; NAME is ${Object.keys(benches).join(", ")} or all`
    )
  }
  if (values.round !== undefined) return await printRound(name, values.round, only[0] ?? "ours")
  const results: Array<Comparison> = []
  for (const each of name === "all" ? Object.keys(benches) : [name]) {
    results.push(...await runBench(await load(each), only))
  }
  const report = makeReport(results)
  if (values.json !== undefined) writeFileSync(values.json, JSON.stringify(report, null, 2) + "\n")
  if (name === "all") {
    mkdirSync(new URL("../docs", import.meta.url), { recursive: true })
    writeFileSync(new URL("../docs/benchmarks.md", import.meta.url), markdown(report))
  }
}

const load = async (name: string): Promise<Bench> => (await benches[name]!()).bench

const runBench = async (bench: Bench, only: ReadonlyArray<string>): Promise<ReadonlyArray<Comparison>> => {
  const results: Array<Comparison> = []
  const names = bench.metrics.map((metric) => metric.name)
  const unknown = only.find((name) => !names.includes(name))
  if (unknown !== undefined) throw new Error(`${bench.name} has no metric ${unknown}; it has ${names.join(", ")}`)
  for (const metric of bench.metrics.filter(({ name }) => only.length === 0 || only.includes(name))) {
    console.error(`${bench.name}: ${metric.name} ...`)
    for (const comparison of await measure(bench.name, metric)) {
      const { rounds: _, ...line } = comparison
      console.log(JSON.stringify(line))
      results.push(comparison)
    }
  }
  return results
}

/** What the harness asks of a child process: one round of one side, its figure on standard output. */
const printRound = async (name: string, metric: string, side: string): Promise<void> => {
  const found = (await load(name)).metrics.find((each) => each.name === metric)
  if (found === undefined) throw new Error(`bench: ${name} has no metric ${metric}`)
  console.log(await runSide(found, side))
}

const makeReport = (results: ReadonlyArray<Comparison>): Report => ({
  machine: `${cpus().length} x ${cpus()[0]?.model.trim() ?? "unknown CPU"}, ${Math.round(totalmem() / 2 ** 30)} GiB`,
  versions: {
    node: process.versions.node,
    effect: version("../node_modules/effect"),
    ai: version("node_modules/ai"),
    nact: version("node_modules/nact"),
    openai: version("node_modules/openai"),
    xstate: version("node_modules/xstate")
  },
  date: new Date().toISOString().slice(0, 10),
  results
})

const version = (path: string): string =>
  JSON.parse(readFileSync(new URL(`${path}/package.json`, import.meta.url), "utf8")).version

const markdown = ({ date, machine, results, versions }: Report): string => {
  const tables = Map.groupBy(results, ({ bench }) => bench).entries().map(([bench, rows]) =>
    [
      `## ${bench}`,
      "",
      "| metric | unit | ours | baseline | theirs | ratio |",
      "| --- | --- | ---: | --- | ---: | ---: |",
      ...rows.map((row) =>
        `| ${row.metric} | ${row.unit} | ${row.ours.toLocaleString("en-US")} | ${row.baseline} | ${
          row.theirs.toLocaleString("en-US")
        } | ${row.ratio} |`
      )
    ].join("\n")
  )
  return [
    "# Benchmarks",
    "Written by `npm run bench -- all`; [bench/README.md](../bench/README.md) says how each figure is measured. `ratio` is how\n"
    + "many times better ours is: above 1 is better, for rates, times and bytes alike.",
    `${machine}. ${Object.entries(versions).map(([name, version]) => `${name} ${version}`).join(", ")}. ${date}.`,
    ...tables
  ].join("\n\n") + "\n"
}

await main().catch((error: Error) => {
  console.error(error.message)
  process.exitCode = 1
})
