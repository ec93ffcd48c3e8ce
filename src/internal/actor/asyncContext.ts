/**
 * The async context of the platform (Node's `AsyncLocalStorage`), where it has one. What runs for many senders must not
 * see the context of the one that happened to come first.
 *
 * @internal
 */

/** Runs tasks in the context in which `capture` was called. */
export type Scope = <A>(task: () => A) => A

export const capture = (): Scope => {
  const hooks = globalThis.process?.getBuiltinModule?.("node:async_hooks")
  if (hooks === undefined) return (task) => task()
  const resource = new hooks.AsyncResource("effect-troupe/ActorSystem")
  return (task) => resource.runInAsyncScope(task)
}
