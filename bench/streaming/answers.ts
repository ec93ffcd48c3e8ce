/** What the server answers, and so what each side must have received. */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"

/** The deltas of one answer, and the text of each. */
export const DELTAS = 5000
export const DELTA = " token"

/** 200 MB on the wire whose text is 0.8 MB: 4,000 events with 50 kB that nobody reads in each. */
export const PADDED_DELTAS = 4000
export const PADDED_DELTA = "x".repeat(200)
export const PADDING = 50_000

/** Starts the server in a process that ends with this one, and returns its address. */
export const startServer = async (): Promise<string> => {
  const script = fileURLToPath(new URL("server.ts", import.meta.url))
  const child = spawn(process.execPath, [script], { stdio: ["pipe", "pipe", "inherit"] })
  const [address] = await once(child.stdout, "data")
  // The bench ends when its work is done; the child ends with the pipe.
  child.unref()
  for (const pipe of [child.stdin, child.stdout]) if ("unref" in pipe && typeof pipe.unref === "function") pipe.unref()
  return String(address).trim()
}
