/**
 * Versions of the library with a bug each, which the laws must find. A mutant is a change of one place in a source, made
 * while it is loaded: each has modules of its own, known by the query of their addresses.
 */
import { Effect } from "effect"
import { registerHooks } from "node:module"
import type { check, Law } from "./law.ts"

export interface Mutant {
  readonly name: string
  /** Below `src`. */
  readonly file: string
  /** What is there, exactly once. */
  readonly code: string
  readonly instead: string
}

const message = "internal/actor/message.ts"
const lifecycle = "internal/actor/lifecycle.ts"
const mailbox = "internal/actor/mailboxQueue.ts"

export const mutants: ReadonlyArray<Mutant> = [
  {
    name: "drops an answer",
    file: message,
    code: "if (envelope.reply !== undefined) resume(",
    instead: "if (envelope.reply !== undefined && envelope.to.handled % 10 !== 9) resume("
  },
  {
    name: "swaps two messages",
    file: mailbox,
    code: "shift(urgent) : shift(self.accepted)",
    instead: "shift(urgent) : self.accepted.size > 2 ? pop(self.accepted) : shift(self.accepted)"
  },
  {
    name: "forgets a restart after its delay",
    file: lifecycle,
    code: "return Effect.andThen(backOff(restarting, delay), Effect.suspend(() => startNext(cell, restarting, cause)))",
    instead: "return backOff(restarting, delay)"
  },
  {
    name: "loses at a restart what waits",
    file: lifecycle,
    code: "MailboxQueue.unstash(cell.queue)\n  cell.stats.restarts++",
    instead: "Message.flush(cell)\n  cell.stats.restarts++"
  },
  {
    name: "handles a message twice",
    file: message,
    code: "if (envelope !== undefined && cell.queue.blocked !== undefined) admit(cell)",
    instead:
      "if (envelope !== undefined && cell.handled % 20 === 5) MailboxQueue.prepend(cell.queue, copyOf(envelope))\n" +
      "if (envelope !== undefined && cell.queue.blocked !== undefined) admit(cell)"
  },
  {
    name: "handles two messages at a time",
    file: lifecycle,
    code: "&& incarnation.busy < definition.concurrency",
    instead: "&& incarnation.busy <= definition.concurrency"
  },
  {
    name: "answers before the handler has ended",
    file: message,
    code: "if (timings) run.startedAt",
    instead: "if (run.incarnation.cell.handled % 10 === 7) answer(envelope, Exit.succeed(envelope.payload.id))\n" +
      "if (timings) run.startedAt"
  },
  {
    name: "does not wake a sender that waits",
    file: message,
    code: "if (blocked !== undefined) unblock(envelope, blocked, Exit.void)",
    instead: "if (blocked !== undefined && cell.handled % 5 !== 4) unblock(envelope, blocked, Exit.void)"
  },
  {
    name: "loses a message that is dropped",
    file: message,
    code: "Cell.emitMessage(envelope.to, \"MessageDropped\", envelope)",
    instead: ""
  },
  {
    name: "forgets whom a full mailbox has dropped",
    file: message,
    code: "if (reason !== undefined) refuse(envelope, reason)",
    instead: ""
  },
  {
    name: "leaves a message that was taken back",
    file: message,
    code: "withdraw(envelope)\n      envelope.status = \"done\"",
    instead: "envelope.status = \"done\""
  },
  {
    name: "does not stop the last child",
    file: lifecycle,
    code: "for (const child of Cell.childrenOf(cell).toReversed()) {\n    requestStop",
    instead: "for (const child of Cell.childrenOf(cell).toReversed().slice(1)) {\n    requestStop"
  },
  {
    name: "does not wait for a child's end",
    file: lifecycle,
    code: "if (child.state._tag !== \"Stopped\") yield* awaitStopped(child)",
    instead: ""
  },
  {
    name: "stops while it handles a message",
    file: lifecycle,
    code: "const waits = incarnation.active > 0 ||",
    instead: "const waits ="
  },
  {
    name: "puts stashed messages back in reverse",
    file: mailbox,
    code: "for (let envelope = pop(self.stashed); envelope !== undefined; envelope = pop(self.stashed)) prepend",
    instead: "for (let envelope = shift(self.stashed); envelope !== undefined; envelope = shift(self.stashed)) prepend"
  },
  {
    name: "restarts once too often",
    file: "Supervisor.ts",
    code: "count > restarts\n",
    instead: "count > restarts + 1\n"
  },
  {
    name: "sees no deadlock",
    file: "internal/actor/waits.ts",
    code: "return stuck.has(run) ? pathsOf(run, stuck) : undefined",
    instead: "return stuck.size > 2 && stuck.has(run) ? pathsOf(run, stuck) : undefined"
  },
  {
    name: "sees a deadlock where there is none",
    file: "internal/actor/waits.ts",
    code: "if (!isStuck(found, stuck)) stuck.delete(found)",
    instead: "void found"
  },
  {
    name: "restarts too few of a group",
    file: "internal/actor/groupRun.ts",
    code: "group.children.slice(group.children.indexOf(culprit))",
    instead: "group.children.slice(group.children.indexOf(culprit), -1)"
  },
  {
    name: "restarts one of a group instead of all",
    file: "internal/actor/groupRun.ts",
    code: "case \"oneForAll\":\n      return group.children",
    instead: "case \"oneForAll\":\n      return [culprit]"
  },
  {
    name: "sends a message of a router to the same routee again",
    file: "Router.ts",
    code: "const turn = pool.turn++ % refs.length",
    instead: "const turn = (pool.turn += pool.turn % 5 === 3 ? 0 : 1) % refs.length"
  },
  {
    name: "does not replace a routee",
    file: "Router.ts",
    code: "routee.ref = yield* Effect.retry(start, replacing)",
    instead: "return yield* Effect.never"
  },
  {
    name: "leaves a routee out of a broadcast",
    file: "Router.ts",
    code: "tellAll(open(pool).map(",
    instead: "tellAll(open(pool).slice(0, 3).map("
  },
  {
    name: "tells who watches twice",
    file: "internal/actor/watch.ts",
    code: "if (last === undefined || (!last.isLate && last.notice.status !== \"queued\")) notify",
    instead: "notify"
  },
  {
    name: "takes two prompts of an agent at a time",
    file: "internal/agent/actor.ts",
    code: "{ ...options, stopTimeout: \"Infinity\" }",
    instead: "{ ...options, stopTimeout: \"Infinity\", concurrency: 2 }"
  },
  {
    name: "tells no result of a call",
    file: "internal/agent/toolCalls.ts",
    code: "(outcome) => run.emit([Turn.toResult(turn, call, outcome)])\n      ), {",
    instead: "(outcome) => turn.number === 2 ? Effect.void : run.emit([Turn.toResult(turn, call, outcome)])\n      ), {"
  },
  {
    name: "forgets what a turn has used",
    file: "internal/agent/turnLoop.ts",
    code: "run.usages.push(usage)",
    instead: "if (turn.number !== 3) run.usages.push(usage)"
  },
  {
    name: "lets an approval be decided twice",
    file: "Approvals.ts",
    code: "state.waiting.delete(id)",
    instead: ""
  },
  {
    name: "forgets what a budget has reserved",
    file: "Budget.ts",
    code: "const taken = used[kind] + reserved[kind]",
    instead: "const taken = used[kind]"
  },
  {
    name: "keeps what a call has reserved",
    file: "Budget.ts",
    code: "self.reserved[kind] -= amount[kind]",
    instead: ""
  },
  {
    name: "forgets who has the conversation",
    file: "internal/agent/handoff.ts",
    code: "conversation.entries.toReversed()",
    instead: "conversation.entries"
  },
  {
    name: "answers for an agent whose place another one has",
    file: "Team.ts",
    code: "replies.map(({ text }) => text)",
    instead: "replies.map(({ text }) => text).toSorted((a, b) => a.length - b.length)"
  }
]

/** Which law finds the mutant, and how many seeds that takes; `undefined` when none does within `seeds`. */
export const findMutant = (mutant: Mutant, seeds: number) =>
  Effect.gen(function*() {
    const { check, laws } = yield* Effect.promise(() => load(mutant))
    for (let seed = 0; seed < seeds; seed++) {
      for (const law of laws) {
        const result = yield* Effect.result(check(law, { seeds: 1, from: seed, shrink: 0 }))
        if (result._tag === "Failure") return { law: law.name, seeds: seed + 1, error: result.failure }
      }
    }
    return undefined
  })

// -----------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------

const sources = new URL("../../src/", import.meta.url).href
const tests = new URL("../", import.meta.url).href

const load = async (mutant: Mutant): Promise<{
  readonly check: typeof check
  readonly laws: ReadonlyArray<Law>
}> => {
  const hooks = registerHooks({
    resolve: (specifier, context, next) => {
      const resolved = next(specifier, context)
      const isOurs = resolved.url.startsWith(sources) || resolved.url.startsWith(tests)
      const query = new URL(context.parentURL ?? tests).search
      return isOurs && query !== "" ? { ...resolved, url: `${resolved.url.replace(/\?.*/, "")}${query}` } : resolved
    },
    load: (url, context, next) => {
      const loaded = next(url, context)
      if (url.replace(/\?.*/, "") !== `${sources}${mutant.file}`) return loaded
      const source = String(loaded.source)
      const parts = source.split(mutant.code)
      if (parts.length !== 2) {
        throw new Error(`${mutant.file} has not once, but ${parts.length - 1} times: ${mutant.code}`)
      }
      return { ...loaded, source: parts.join(mutant.instead) }
    }
  })
  try {
    const query = `?mutant=${encodeURIComponent(mutant.name)}`
    const [{ check }, { laws }] = await Promise.all([
      import(`./law.ts${query}`),
      import(`./index.ts${query}`)
    ])
    return { check, laws }
  } finally {
    hooks.deregister()
  }
}
