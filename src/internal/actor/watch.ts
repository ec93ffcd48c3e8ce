/**
 * Lets one actor know of another's end, through its mailbox.
 *
 * A watch belongs to the incarnation that began it: it ends with that, and so does a notice that it has not handled.
 *
 * @internal
 */
import * as Cause from "effect/Cause"
import type { Cell, Terminated } from "./cell.ts"
import * as Lifecycle from "./lifecycle.ts"
import * as Message from "./message.ts"

interface Notice {
  readonly tag: string
  readonly payload: unknown
}

export const watch = (watcher: Cell, watched: Cell, onTerminated: (terminated: Terminated) => Notice): void => {
  const { incarnation } = watcher
  if (incarnation.notices?.get(watched)?.status === "queued") return
  const notify = (terminated: Terminated) => {
    incarnation.watching?.delete(watched)
    try {
      const { payload, tag } = onTerminated(terminated)
      const notice = Message.make(watcher, tag, payload, undefined, undefined, undefined)
      ;(incarnation.notices ??= new WeakMap()).set(watched, notice)
      Message.urge(notice)
      Lifecycle.wake(watcher)
    } catch (defect) {
      Lifecycle.crash(watcher, Cause.die(defect))
    }
  }
  if (watched.state._tag === "Stopped") return notify(watched.state.terminated)
  Lifecycle.watch(watched, incarnation, notify)
  ;(incarnation.watching ??= new Set()).add(watched)
}

export const unwatch = ({ incarnation }: Cell, watched: Cell): void => {
  watched.watchers?.delete(incarnation)
  incarnation.watching?.delete(watched)
}
