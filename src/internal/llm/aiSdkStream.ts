/**
 * Reads the parts of an AI SDK stream in batches.
 *
 * Parts come one promise at a time, though one packet of the socket often holds many. A batch waits for its first part
 * and takes with it the parts that are ready by the next turn of the scheduler, without waiting for the network again.
 * Nothing is read ahead of the consumer but the rest of a batch's last read, so a slow consumer slows the socket.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import type { StreamPart } from "./aiSdkResponse.ts"

export interface Batch {
  readonly parts: ReadonlyArray<StreamPart>
  /** Set once: no batch follows. */
  readonly end: { readonly _tag: "Closed" } | { readonly _tag: "Failed"; readonly error: unknown } | undefined
}

/** The reader of an AI SDK stream. */
export interface PartReader {
  readonly read: () => Promise<{ readonly done: boolean; readonly value?: StreamPart | undefined }>
  readonly cancel: () => Promise<void>
}

export interface BatchReader {
  readonly next: Effect.Effect<Batch>
  /** Ends the reading. False where the stream has come to its end already. */
  readonly cancel: () => boolean
}

/** A batch never keeps the consumer waiting for more parts than this. */
const maxParts = 64

export const batchReader = (reader: PartReader): BatchReader => {
  let parts: Array<StreamPart> = []
  let end: Batch["end"]
  /** Whether a read is under way. It may outlast the batch that began it. */
  let reading = false
  /** Whether the consumer waits for a batch. */
  let wanted = false
  let wake = () => {}

  const readOn = () => {
    if (reading || !wanted || end !== undefined || parts.length >= maxParts) return
    reading = true
    reader.read().then(received, (error) => over({ _tag: "Failed", error }))
  }
  const received = ({ done, value }: Awaited<ReturnType<PartReader["read"]>>) => {
    if (value !== undefined) parts.push(value)
    if (done) return over({ _tag: "Closed" })
    reading = false
    readOn()
    wake()
  }
  const over = (how: Batch["end"]) => {
    end = how
    wake()
  }
  const isWhole = () => end !== undefined || parts.length >= maxParts
  const take = Effect.sync((): Batch => {
    const batch = { parts, end }
    parts = []
    wanted = false
    return batch
  })
  const rest = Effect.suspend(() => isWhole() ? take : Effect.andThen(Effect.yieldNow, take))
  const first = Effect.callback<void>((resume) => {
    wake = () => resume(Effect.void)
  })
  const waiting = Effect.andThen(first, rest)
  return {
    next: Effect.suspend(() => {
      wanted = true
      readOn()
      return parts.length > 0 || end !== undefined ? rest : waiting
    }),
    cancel: () => {
      if (end !== undefined) return false
      // A stream that has failed already has nothing more to say.
      reader.cancel().catch(() => {})
      return true
    }
  }
}
