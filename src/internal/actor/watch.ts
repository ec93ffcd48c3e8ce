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

interface Told {
  readonly tag: string
  readonly payload: unknown
}

export const watch = (watcher: Cell, watched: Cell, onTerminated: (terminated: Terminated) => Told): void => {
  const { incarnation } = watcher
  const isLate = watched.state._tag === "Stopped"
  const notify = (terminated: Terminated) => {
    incarnation.watching?.delete(watched)
    try {
      const { payload, tag } = onTerminated(terminated)
      const notice = Message.make(watcher, tag, payload, undefined, undefined, undefined)
      ;(incarnation.notices ??= new WeakMap()).set(watched, { notice, isLate })
      Message.urge(notice)
      Lifecycle.wake(watcher)
    } catch (defect) {
      Lifecycle.crash(watcher, Cause.die(defect))
    }
  }
  if (watched.state._tag !== "Stopped") {
    Lifecycle.watch(watched, incarnation, notify)
    ;(incarnation.watching ??= new Set()).add(watched)
    return
  }
  // Watching twice is watching once: a notice is still to be handled, or told the same before.
  const last = incarnation.notices?.get(watched)
  if (last === undefined || (!last.isLate && last.notice.status !== "queued")) notify(watched.state.terminated)
}

export const unwatch = ({ incarnation }: Cell, watched: Cell): void => {
  watched.watchers?.delete(incarnation)
  incarnation.watching?.delete(watched)
  incarnation.notices?.delete(watched)
}
