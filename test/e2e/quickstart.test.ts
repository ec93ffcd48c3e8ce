import { assert, describe, it } from "@effect/vitest"
import { execFileSync, spawn } from "node:child_process"
import { once } from "node:events"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("../..", import.meta.url))

const withoutKeys = () => ({
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(OPENAI|OLLAMA)_/.test(name))),
  NO_COLOR: "1"
})

describe("quickstart", () => {
  it("answers from the repository's own files with tools that ran for real", { timeout: 60_000 }, () => {
    const output = execFileSync("npm", ["run", "--silent", "quickstart"], {
      cwd: root,
      env: withoutKeys(),
      encoding: "utf8"
    })
    assert.match(output, /→ search_docs \{"text":"transcript"\}/)
    assert.match(output, /✓ read_doc /)
    assert.match(output, /docs\/agents\.md, line \d+, says:/)
    // The first answer that anybody sees must be one to its question.
    assert.include(output, "A transcript holds")
    assert.match(output, /\d+ turns, \d+ tokens in, \d+ tokens out/)
  })

  it("ends cleanly on Ctrl-C and hangs up on the provider", { timeout: 60_000 }, async () => {
    const server = createServer().listen(0, "127.0.0.1")
    await once(server, "listening")
    const { port } = server.address() as AddressInfo
    const child = spawn("node", ["examples/quickstart.ts", "Hello?"], {
      cwd: root,
      env: { ...withoutKeys(), OPENAI_BASE_URL: `http://127.0.0.1:${port}/v1` }
    })
    let output = ""
    child.stdout.on("data", (chunk) => output += String(chunk))
    const exited = once(child, "exit")
    const [request] = await once(server, "request")
    const closed = once(request.socket, "close")
    child.kill("SIGINT")
    const [code] = await exited
    await closed
    server.close()
    assert.strictEqual(code, 130)
    assert.include(output, "stopped")
  })
})
