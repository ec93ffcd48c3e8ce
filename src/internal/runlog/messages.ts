/**
 * Messages to the actors of a program that nobody in it sends. They are inputs; what they are answered with is held to
 * the log.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as RpcSchema from "effect/rpc/RpcSchema"
import * as Scheduler from "effect/Scheduler"
import type * as Schema from "effect/Schema"
import * as Cell from "../actor/cell.ts"
import type * as Erased from "../actor/erased.ts"
import * as LocalRef from "../actor/localRef.ts"
import { errorMessage } from "../errorMessage.ts"
import { retype } from "../retype.ts"
import * as Codec from "./codec.ts"
import { type Input, type Message, messageKey, messageOf } from "./entry.ts"
import { LogError } from "./format.ts"
import * as Script from "./script.ts"
import * as World from "./world.ts"

/** Where messages to the actors of a program come in. */
export const intake = (world: World.World, scheduler: Scheduler.Scheduler): Cell.MessageIntake => {
  const self: Messages = { world, roots: new Set(), last: 0, entered: new Map() }
  world.receive = (input) => receive(self, input)
  return {
    opened: (root) => void self.roots.add(root),
    closed: (root) => void self.roots.delete(root),
    // What a call made live sends belongs to the call: a replay does not repeat it.
    isOutside: (sender) =>
      world.phase !== "over" && sender.getRef(Scheduler.Scheduler) !== scheduler && !World.isOutside(sender),
    send: (message, reply, push) => send(self, message, reply, push)
  }
}

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

interface Messages {
  readonly world: World.World
  readonly roots: Set<Cell.Cell>
  /** The number of the latest message. */
  last: number
  /** What takes messages back that have not been answered, by their keys. */
  readonly entered: Map<string, { readonly cell: Cell.Cell; readonly back: Effect.Effect<unknown> }>
}

const send = (
  self: Messages,
  message: Cell.Entering,
  reply: Cell.Reply,
  push: ((items: ReadonlyArray<unknown>) => void) | undefined
): Effect.Effect<unknown> => {
  const { world } = self
  const answer: Cell.Reply = (exit) => World.later(world, () => reply(exit))
  if (world.script !== undefined) {
    answer(refusal(message, "a replay takes messages from its log alone"))
    return Effect.void
  }
  const { cell, how, tag } = message
  const payload = encode(self, message, "payload", () => jsonOf(codecOf(message).payloadSchema).encode(message.payload))
  if (payload === undefined) {
    answer(refusal(message, "it can't be recorded"))
    return Effect.void
  }
  const key = messageKey(++self.last)
  const json = (): Schema.Json => ({
    system: cell.system.name,
    actor: cell.path,
    how,
    tag,
    payload,
    ...(isGone(cell) && { gone: true })
  })
  let status: "waiting" | "entered" | "answered" = "waiting"
  World.arrive(world, key, json, () => {
    status = "entered"
    if (isGone(cell)) return answer(Exit.fail(Cell.failure(cell, tag, Cell.stopped)))
    enter(self, key, message, (exit) => {
      status = "answered"
      answer(exit)
    }, push && ((items) => World.later(world, () => push(items))))
  })
  return Effect.suspend(() => {
    if (status === "waiting") World.forget(world, key)
    if (status !== "entered") return Effect.void
    return Effect.callback<void>((resume) => {
      World.arrive(world, key, () => ({ interrupted: true }), () => {
        const done = () => World.later(world, () => resume(Effect.void))
        const taking = takeBack(self, key)
        if (taking === undefined) done()
        else taking.addObserver(done)
      })
    })
  })
}

/** Puts a message into its mailbox, now that it is its turn. */
const enter = (
  self: Messages,
  key: string,
  message: Cell.Entering,
  answer: Cell.Reply,
  push: (items: ReadonlyArray<unknown>) => void = () => {}
): void => {
  const { world } = self
  let isAnswered = false
  const back = LocalRef.enter(message, (exit) => {
    isAnswered = true
    self.entered.delete(key)
    if (message.how !== "tell" && world.phase === "running") replied(self, key, message, exit)
    answer(exit)
  }, message.how === "stream" ? (items) => Effect.sync(() => push(items)) : undefined)
  if (!isAnswered) self.entered.set(key, { cell: message.cell, back })
}

const replied = (self: Messages, key: string, message: Cell.Entering, exit: Exit.Exit<unknown, unknown>): void => {
  const { world } = self
  const value = encode(self, message, "reply", () => replyOf(message).encode({ _tag: "Exit", exit }))
  if (value !== undefined) World.made(world, { _tag: "Reply", at: world.now, key, value })
}

/** Its sender waits no more. */
const takeBack = ({ entered }: Messages, key: string): Fiber.Fiber<unknown> | undefined => {
  const found = entered.get(key)
  entered.delete(key)
  return found && Effect.runForkWith(found.cell.system.context)(found.back)
}

/** Gives the program a message of its log. Nobody waits for its answer. */
const receive = (self: Messages, input: Input): void => {
  const { world } = self
  const message = messageOf(input)
  if (message === undefined) return void takeBack(self, input.key)
  self.last = Math.max(self.last, Number(input.key.split(" ")[1]))
  if (message.gone) return
  const fail = (problem: string) => World.fail(world, Script.undeliverable(message, input, problem, world.calls))
  const cell = find(self, message)
  if (cell === undefined) return fail("there is no such actor")
  const { how, tag } = message
  try {
    const codec = codecOf({ cell, tag })
    const payload = jsonOf(codec.payloadSchema).decode(message.payload)
    enter(self, input.key, { cell, how, tag, payload, span: undefined }, () => {})
  } catch (error) {
    fail(`the actor does not take it: ${errorMessage(error)}`)
  }
}

const find = ({ roots }: Messages, { actor, system }: Message): Cell.Cell | undefined => {
  for (const root of roots) {
    const cell = root.system.name === system ? Cell.find(root, actor) : undefined
    if (cell !== undefined) return cell
  }
  return undefined
}

const isGone = ({ state }: Cell.Cell): boolean => state._tag === "Stopped"

const refusal = ({ cell, tag }: Cell.Entering, problem: string) =>
  Exit.fail(Cell.failure(cell, tag, { _tag: "Unreachable", cause: new Error(`RunLog: ${problem}`) }))

/** What can't be written ends the program: its log would be another program's. */
const encode = (
  { world }: Messages,
  { cell, tag }: Cell.Entering,
  what: "payload" | "reply",
  json: () => Schema.Json
): Schema.Json | undefined => {
  try {
    // Of nothing there is no JSON.
    return json() ?? null
  } catch (error) {
    const problem = `the ${what} of ${tag} to ${cell.path}, sent from outside, can't be written: ${errorMessage(error)}`
    World.fail(world, new LogError({ log: "RunLog.record", problem }))
    return undefined
  }
}

const codecOf = ({ cell, tag }: Pick<Cell.Entering, "cell" | "tag">): Erased.Message => {
  const { group } = retype<Erased.Protocol>(cell.definition.protocol)
  const rpc = group.requests.get(tag)
  if (rpc === undefined) throw new Error("its protocol has no such message")
  return retype(rpc)
}

const replyOf = (message: Cell.Entering): Codec.Codec<Codec.Answer<never, unknown, unknown>> => {
  const { errorSchema, successSchema } = codecOf(message)
  const value = RpcSchema.isStreamSchema(successSchema) ? Codec.nothing : jsonOf(successSchema)
  const error: Codec.Codec<unknown> = {
    encode: (error) => {
      try {
        return jsonOf(errorSchema).encode(error)
      } catch {
        return Codec.anyError().encode(error)
      }
    },
    decode: (json) => json
  }
  return Codec.answer(Codec.never, retype<Codec.Codec<unknown>>(value), error)
}

const jsonOf = (schema: Schema.Top): Codec.Codec<unknown> =>
  Codec.fromSchema(() => retype<Schema.Codec<unknown>>(schema))
