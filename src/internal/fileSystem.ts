/**
 * Effect's file system, which is loaded only by those who use files.
 *
 * @internal
 */
import * as Effect from "effect/Effect"

export const fileSystem = Effect.flatMap(
  Effect.promise(() => import("effect/FileSystem")),
  ({ FileSystem }) => FileSystem
)
