/**
 * Lets one actor know of another's end, through its mailbox.
 *
 * @internal
 */
import * as Cause from "effect/Cause"
import type { Cell, Terminated } from "./cell.ts"
import * as Delivery from "./delivery.ts"
import * as Envelope from "./envelope.ts"
import * as Lifecycle from "./lifecycle.ts"

interface Message {
  readonly tag: string
  readonly payload: unknown
}

export const watch = (watcher: Cell, watched: Cell, onTerminated: (terminated: Terminated) => Message): void => {
  const notify = (terminated: Terminated) => {
    watcher.watching?.delete(watched)
    try {
      const { payload, tag } = onTerminated(terminated)
      Delivery.notify(watcher, Envelope.make(tag, payload, undefined, undefined, undefined))
    } catch (defect) {
      Lifecycle.crash(watcher, Cause.die(defect))
    }
  }
  if (watched.state._tag === "Stopped") return notify(watched.state.terminated)
  ;(watched.watchers ??= new Map()).set(watcher, notify)
  ;(watcher.watching ??= new Set()).add(watched)
}

export const unwatch = (watcher: Cell, watched: Cell): void => {
  watched.watchers?.delete(watcher)
  watcher.watching?.delete(watched)
}
