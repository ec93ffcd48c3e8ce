/**
 * A server that speaks OpenAI's streamed chat format, in a process of its own. The first part of the path picks the
 * answer; the address goes to standard output, and the process ends with its standard input.
 */
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { pipeline, Readable } from "node:stream"
import { DELTA, DELTAS, PADDED_DELTA, PADDED_DELTAS, PADDING } from "./answers.ts"

const chunk = (delta: object, finishReason: string | null, padding?: string): string =>
  `data: ${
    JSON.stringify({
      id: "chatcmpl-1",
      object: "chat.completion.chunk",
      created: 1_750_000_000,
      model: "gpt-4o-mini-2024-07-18",
      service_tier: "default",
      system_fingerprint: "fp_1",
      choices: [{ index: 0, delta, logprobs: null, finish_reason: finishReason }],
      usage: null,
      ...(padding && { obfuscation: padding })
    })
  }\n\n`

const usage = {
  prompt_tokens: 10,
  completion_tokens: DELTAS,
  total_tokens: DELTAS + 10,
  prompt_tokens_details: { cached_tokens: 0 },
  completion_tokens_details: { reasoning_tokens: 0 }
}

const opening = chunk({ role: "assistant", content: "", refusal: null }, null)
const closing = chunk({}, "stop") + `data: ${JSON.stringify({ id: "chatcmpl-1", choices: [], usage })}\n\n` +
  "data: [DONE]\n\n"

const whole = Buffer.from(opening + chunk({ content: DELTA }, null).repeat(DELTAS) + closing)
const short = Buffer.from(opening + chunk({ content: DELTA }, null) + closing)
const padded = Buffer.from(chunk({ content: PADDED_DELTA }, null, "x".repeat(PADDING)))

function* paddedAnswer() {
  yield opening
  for (let sent = 0; sent < PADDED_DELTAS; sent++) yield padded
  yield closing
}

const server = createServer((request, response) => {
  request.resume().on("end", () => {
    response.writeHead(200, { "content-type": "text/event-stream" })
    if (request.url?.startsWith("/padded/")) return void pipeline(Readable.from(paddedAnswer()), response, () => {})
    response.end(request.url?.startsWith("/short/") ? short : whole)
  })
})

// A bench that waits for its child processes can't notice that an idle connection was closed.
server.keepAliveTimeout = 0
server.listen(0, "127.0.0.1", () => {
  console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
})
process.stdin.resume().on("end", () => process.exit(0))
