/** The peer nact: an actor is a function of state and message, run once a message in a turn of its own. */
import { type ActorSystemRef, dispatch, query, type Ref, spawn, start, stop } from "nact"
import { promiseSides } from "./counters.ts"

type Message = { readonly _tag: "Add"; readonly n: number } | { readonly _tag: "Total"; readonly asker: Ref<number> }

const TIMEOUT = 60_000

export const nact = promiseSides<ActorSystemRef, Ref<Message>>({
  open: () => start(),
  // Its own names are random and collide at 100,000 actors.
  start: (system, name) =>
    spawn(
      system,
      (total: number, message: Message) => {
        if (message._tag === "Add") return total + message.n
        dispatch(message.asker, total)
        return total
      },
      name,
      { initialState: 0 }
    ),
  add: (ref) => dispatch(ref, { _tag: "Add", n: 1 }),
  total: async (ref) => Number(await query(ref, (asker) => ({ _tag: "Total", asker }), TIMEOUT)),
  close: (system) => stop(system)
})
