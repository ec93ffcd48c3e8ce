/**
 * Sessions as the JSON that stores keep.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Hex from "effect/encoding/Hex"
import * as Schema from "effect/Schema"
import { AgentError } from "../../AgentError.ts"
import { AgentResponse } from "../../AgentEvent.ts"
import * as Transcript from "../../Transcript.ts"
import { Input } from "../agent/protocol.ts"
import { toJson } from "../json.ts"
import { lazy } from "../lazy.ts"
import type { Commit } from "../store/contract.ts"
import { AgentFailed, SessionErrorReason } from "./error.ts"
import { TurnEnd } from "./event.ts"
import type { Ending } from "./turnLog.ts"

/** What of a prompt is kept for whoever runs it. */
export interface Prompt {
  readonly input: Input
  readonly context: Schema.Json | undefined
}

export const encodePrompt = ({ context, input }: Prompt): { readonly json: Schema.Json; readonly text: string } => {
  const encoded = toJson(prompt.encode(input))
  return {
    json: context === undefined ? { input: encoded } : { input: encoded, context },
    text: JSON.stringify(encoded)
  }
}

export const decodePrompt = (json: Schema.Json): Prompt => {
  const { context, input } = stored.decode(json)
  return { input: prompt.decode(input), context }
}

/** The text by which a prompt is known again: itself if it is short, else its hash. */
export const hash = (text: string): Effect.Effect<string> =>
  text.length <= 256 ? Effect.succeed(text) : Effect.promise(async () => {
    const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text))
    return Hex.encode(new Uint8Array(digest))
  })

export const encodeEntries = (list: ReadonlyArray<Transcript.Entry>): ReadonlyArray<Schema.Json> =>
  list.map((entry) => toJson(entries.encode(entry)))

export const decodeEntries = (list: ReadonlyArray<Schema.Json>): ReadonlyArray<Transcript.Entry> =>
  list.map((json) => entries.decode(json))

/** The result that a receipt gives: the answer or the failure, without the entries that the commit has anyway. */
export const encodeReceipt = ({ failure, response }: {
  readonly response?: AgentResponse | undefined
  readonly failure?: SessionErrorReason | undefined
}): Schema.Json =>
  toJson(receipt.encode({
    ...(response !== undefined && { response: { ...response, transcript: Transcript.empty } }),
    ...(failure !== undefined && { failure: withEntries(failure, Transcript.empty) })
  }))

/** How the turn of a commit ended for its readers. */
export const endingOf = (commit: Commit): Ending => {
  const { failure, response } = receipt.decode(commit.result)
  const transcript = Transcript.make(decodeEntries(commit.entries))
  return {
    committed: {
      _tag: "Committed",
      version: commit.version,
      end: turnEnd.decode(commit.end),
      ...(response !== undefined && { response: { ...response, transcript } })
    },
    failure: failure && withEntries(failure, transcript)
  }
}

export const decodeEnd = (end: string): TurnEnd => turnEnd.decode(end)

/** Usage as it is kept. */
export const encodeUsage = (usage: AgentResponse["usage"]): Schema.Json => toJson(usage)

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const codec = <A, I>(schema: Schema.Codec<A, I>) => {
  const made = lazy(() => {
    const json = Schema.toCodecJson(schema)
    return { encode: Schema.encodeSync(json), decode: Schema.decodeUnknownSync(json) }
  })
  return { encode: (value: A) => made().encode(value), decode: (json: unknown) => made().decode(json) }
}

const prompt = codec(Input)

const stored = codec(Schema.Struct({ input: Schema.Json, context: Schema.optional(Schema.Json) }))

const entries = codec(Transcript.Entry)

const receipt = codec(Schema.Struct({
  response: Schema.optionalKey(AgentResponse),
  failure: Schema.optionalKey(SessionErrorReason)
}))

const turnEnd = codec(TurnEnd)

const withEntries = (failure: SessionErrorReason, transcript: Transcript.Transcript): SessionErrorReason =>
  failure._tag === "AgentFailed"
    ? new AgentFailed({
      error: new AgentError({ agent: failure.error.agent, reason: failure.error.reason, transcript })
    })
    : failure
