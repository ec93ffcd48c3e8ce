/**
 * Reads the parts of an AI SDK stream in batches.
 *
 * Parts come one promise at a time, though one packet of the socket often holds many. A batch waits for its first part
 * and takes with it what the same packet makes ready, without waiting for the network again: it gives up after a few
 * microtasks in which nothing came. Nothing is read ahead of the consumer but the rest of a batch's last read, so a
 * slow consumer slows the socket.
 *
 * @internal
 */
import type { StreamPart } from "./aiSdkResponse.ts"

export interface Batch {
  readonly parts: ReadonlyArray<StreamPart>
  /** Set once: no batch follows. */
  readonly end: { readonly _tag: "Closed" } | { readonly _tag: "Failed"; readonly error: unknown } | undefined
}

export interface PartReader {
  readonly read: () => Promise<{ readonly done: boolean; readonly value?: StreamPart | undefined }>
}

/** A batch never keeps the consumer waiting for more parts than this. */
const maxParts = 64

/** How many microtasks without a part tell that the rest is still on the wire. */
const idleTicks = 24

export const batchReader = (reader: PartReader): () => Promise<Batch> => {
  const state: State = { parts: [], end: undefined, reading: undefined }
  return async () => {
    if (state.parts.length === 0 && state.end === undefined) await (state.reading ??= read(reader, state))
    let received = state.parts.length
    for (let idle = 0; idle < idleTicks && state.end === undefined && received < maxParts; idle++) {
      state.reading ??= read(reader, state)
      await undefined
      if (state.parts.length > received) idle = 0
      received = state.parts.length
    }
    const { end, parts } = state
    state.parts = []
    return { parts, end }
  }
}

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

interface State {
  parts: Array<StreamPart>
  end: Batch["end"]
  /** The one read under way, which may outlast the batch that began it. */
  reading: Promise<void> | undefined
}

const read = async (reader: PartReader, state: State): Promise<void> => {
  try {
    const { done, value } = await reader.read()
    if (value !== undefined) state.parts.push(value)
    if (done) state.end = { _tag: "Closed" }
  } catch (error) {
    state.end = { _tag: "Failed", error }
  }
  state.reading = undefined
}
