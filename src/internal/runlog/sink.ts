/**
 * Where logs are written to. Exported through `RunLog`.
 *
 * @internal
 */
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as FileSystem from "effect/FileSystem"
import type { PlatformError } from "effect/PlatformError"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as check from "../check.ts"
import { fileSystem } from "../fileSystem.ts"
import type { RunLog } from "./entry.ts"
import { LogError, parse } from "./format.ts"

/**
 * Where a log is written to. Opening it begins a new log.
 *
 * @since 0.1.0
 * @category models
 */
export interface Sink<out R = never> {
  readonly open: Effect.Effect<Writing, LogError, R | Scope.Scope>
}

/**
 * A log that is written. `append` takes whole lines and does not wait; `end` waits until all are written. `failure` is
 * there where writing takes time: it fails when it does.
 *
 * @since 0.1.0
 * @category models
 */
export interface Writing {
  readonly append: (lines: string) => void
  readonly end: Effect.Effect<void, LogError>
  readonly failure?: Effect.Effect<never, LogError>
}

/**
 * A log in memory: that of the latest program that was recorded to it.
 *
 * @since 0.1.0
 * @category models
 */
export interface MemorySink extends Sink {
  /** The log as text, as far as it is written. */
  readonly text: Effect.Effect<string>
  readonly log: Effect.Effect<RunLog, LogError>
}

export const memory = (): MemorySink => {
  let text = ""
  const append = (lines: string) => {
    text += lines
  }
  return {
    open: Effect.sync(() => {
      text = ""
      return { append, end: Effect.void }
    }),
    text: Effect.sync(() => text),
    log: Effect.suspend(() => parse(text, "the log in memory"))
  }
}

export const file = (path: string): Sink<FileSystem.FileSystem> => {
  check.notEmpty("RunLog.file", "path", path)
  return {
    open: Effect.gen(function*() {
      const fs = yield* fileSystem
      const write = (text: string, flag: "w" | "a") =>
        Effect.mapError(fs.writeFileString(path, text, { flag }), unusable(path, "written"))
      yield* write("", "w")
      const queue = yield* Queue.unbounded<string, Cause.Done>()
      const writing = yield* Effect.forkScoped(
        Stream.runForEachArray(Stream.fromQueue(queue), (lines) => write(lines.join(""), "a"))
      )
      return {
        append: (lines) => void Queue.offerUnsafe(queue, lines),
        end: Effect.andThen(Queue.end(queue), Fiber.join(writing)),
        failure: Effect.andThen(Fiber.join(writing), Effect.never)
      }
    })
  }
}

/** Reads a log from a file. */
export const load = Effect.fnUntraced(function*(
  path: string
): Effect.fn.Return<RunLog, LogError, FileSystem.FileSystem> {
  const fs = yield* fileSystem
  return yield* parse(yield* Effect.mapError(fs.readFileString(path), unusable(path, "read")), path)
})

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const unusable = (path: string, how: string) => ({ message, reason }: PlatformError): LogError =>
  new LogError({ log: path, problem: `can't be ${how}: ${reason._tag === "NotFound" ? "there is none" : message}` })
