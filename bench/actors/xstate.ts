/** The peer XState: `xstate` is a machine actor; `xstate-sync`, a transition function without a mailbox, is only reported. */
import { type ActorRefFrom, assign, createActor, fromTransition, setup } from "xstate"
import { promiseSides } from "./counters.ts"

type Message = { readonly type: "Add"; readonly n: number } | { readonly type: "Total"; readonly reply: Reply }
type Reply = (total: number) => void

const machine = setup({
  types: { context: {} as { readonly total: number }, events: {} as Message }
}).createMachine({
  context: { total: 0 },
  on: {
    Add: { actions: assign({ total: ({ context, event }) => context.total + event.n }) },
    Total: { actions: ({ context, event }) => event.reply(context.total) }
  }
})

export const xstate = promiseSides<undefined, ActorRefFrom<typeof machine>>({
  open: () => undefined,
  start: () => createActor(machine).start(),
  add: (ref) => ref.send({ type: "Add", n: 1 }),
  total: (ref) => new Promise<number>((reply) => ref.send({ type: "Total", reply })),
  close: (_, refs) => refs.forEach((ref) => ref.stop())
})

const transition = fromTransition(
  (total: number, event: { readonly type: "Add"; readonly n: number }) => total + event.n,
  0
)

export const xstateSync = promiseSides<undefined, ActorRefFrom<typeof transition>>({
  open: () => undefined,
  start: () => createActor(transition).start(),
  add: (ref) => ref.send({ type: "Add", n: 1 }),
  total: async (ref) => ref.getSnapshot().context,
  close: (_, refs) => refs.forEach((ref) => ref.stop())
})
