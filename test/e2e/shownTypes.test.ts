/** The types that an editor shows are names, not what the names stand for. */
import { assert, describe, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("../..", import.meta.url))

/** The types of a module's exports as the compiler writes them: without the modules of their names, unions sorted. */
const shownTypes = (file: string): Record<string, string> => {
  const out = mkdtempSync(join(tmpdir(), "shown-types-"))
  try {
    writeFileSync(
      join(out, "tsconfig.json"),
      JSON.stringify({
        extends: join(root, "tsconfig.json"),
        compilerOptions: {
          noEmit: false,
          declaration: true,
          emitDeclarationOnly: true,
          rootDir: root,
          outDir: out,
          typeRoots: [join(root, "node_modules/@types")]
        },
        files: [join(root, file)]
      })
    )
    execFileSync(join(root, "node_modules/.bin/tsc"), ["-p", out], { stdio: "inherit" })
    const text = readFileSync(join(out, file.replace(/ts$/, "d.ts")), "utf8").replaceAll(/\bimport\([^)]*\)\./g, "")
    return Object.fromEntries(
      Array.from(text.matchAll(/^export declare const (\w+): ([^;]*);/gm), ([, name, type]) => [name!, sorted(type!)])
    )
  } finally {
    rmSync(out, { recursive: true })
  }
}

const sorted = (type: string): string =>
  type.replaceAll(/[\w.]+(?: \| [\w.]+)+/g, (union) => union.split(" | ").sort().join(" | "))

describe("The types that an editor shows", () => {
  it("are names", () => {
    const needs = "ActorSystem | LanguageModel | Payments"
    assert.deepStrictEqual(shownTypes("test/fixtures/shownTypes.ts"), {
      events: "Stream<AgentEvent, AgentError, LanguageModel | Payments>",
      response: "Effect.Effect<AgentResponse, AgentError, LanguageModel | Payments>",
      spawned: `Effect.Effect<Agent.LocalAgentRef<unknown>, Actor.SpawnError, ${needs}>`,
      team: `Team.Team<Actor.SpawnError, ${needs}>`,
      nested: `Team.Team<Actor.SpawnError, ${needs}>`,
      ref: `Effect.Effect<Actor.LocalActorRef<"Agent", Agent.Messages>, Actor.SpawnError, ${needs}>`,
      asked: `Effect.Effect<AgentResponse, Actor.ActorError | Actor.SpawnError | AgentError, ${needs}>`,
      streamed: `Effect.Effect<Stream<AgentEvent, Actor.ActorError | AgentError, never>, Actor.SpawnError, ${needs}>`,
      transcript: `Effect.Effect<Transcript, Actor.ActorError | Actor.SpawnError, ${needs}>`,
      mapped: `Team.Team<Actor.SpawnError, ${needs}>`,
      gotten: `Effect.Effect<Agent.LocalAgentRef<unknown>, Actor.SpawnError, ${needs}>`
    })
  }, 60_000)
})
