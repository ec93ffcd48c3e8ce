/** Laws of groups. */
import { Effect, Schedule, Schema } from "effect"
import { Rpc } from "effect/rpc"
import * as Actor from "../../src/Actor.ts"
import * as ActorSystem from "../../src/ActorSystem.ts"
import * as Group from "../../src/Group.ts"
import * as Supervisor from "../../src/Supervisor.ts"
import {
  atOnce,
  chance,
  collectEvents,
  endOf,
  type Expect,
  int,
  type Law,
  law,
  numbers,
  pause,
  pick,
  settle,
  times
} from "./law.ts"

const Member = Actor.make("Member", [
  Rpc.make("Do", { payload: { dies: Schema.Boolean }, success: Schema.Int })
])

interface Life {
  readonly child: number
  readonly what: "begins" | "ends"
}

const spawnGroup = (strategy: "oneForOne" | "oneForAll" | "restForOne", count: number, restart: Supervisor.Restart) =>
  Effect.gen(function*() {
    const lives: Array<Life> = []
    const refs: Array<Actor.LocalRefOf<typeof Member>> = []
    const children = numbers(count).map((child) =>
      Group.child(
        Member.behavior(Effect.gen(function*() {
          refs[child - 1] = yield* Actor.self(Member)
          lives.push({ child, what: "begins" })
          yield* Effect.addFinalizer(() =>
            Effect.andThen(pause, Effect.sync(() => lives.push({ child, what: "ends" })))
          )
          yield* pause
          return {
            Do: ({ dies }) =>
              Effect.gen(function*() {
                yield* pause
                return dies ? yield* Effect.die("boom") : child
              })
          }
        })),
        { name: `${child}` }
      )
    )
    const group = yield* Actor.spawn(Group.make(strategy, children, { restart }), { name: "group" })
    return { group, lives, refs }
  })

const strategies = (expect: Expect) =>
  Effect.gen(function*() {
    const count = yield* int(1, 4)
    const strategy = yield* pick(["oneForOne", "oneForAll", "restForOne"] as const)
    const restart = Supervisor.restart(yield* pick([Schedule.forever, Schedule.spaced("20 millis")]))
    const events = yield* collectEvents
    const { group, lives, refs } = yield* spawnGroup(strategy, count, restart)
    yield* atOnce(3, () =>
      times(4, () =>
        Effect.gen(function*() {
          const child = yield* int(1, count)
          const dies = yield* chance(0.3)
          const end = yield* endOf(refs[child - 1]!.ask("Do", { dies }))
          expect(end === child || end === "Crashed", `an answer or a crash, got ${end}`)
          yield* pause
        })))
    yield* settle
    const running = (yield* ActorSystem.list).filter(({ state }) => state === "Running").map(({ path }) => path)
    expect(
      running.join() === ["/user/group", ...numbers(count).map((child) => `/user/group/${child}`)].join(),
      `all run again, got ${running}`
    )
    const of = (child: number, what: Life["what"]) =>
      lives.filter((life) => life.child === child && life.what === what).length
    const incarnations = numbers(count).map((child) => of(child, "begins"))
    const deaths = numbers(count).map((child) =>
      events.filter(({ _tag, path }) => _tag === "Crashed" && path === `/user/group/${child}`).length
    )
    for (const child of numbers(count)) {
      expect(of(child, "ends") === of(child, "begins") - 1, "each incarnation ends before the next one begins")
      const all = incarnations[child - 1]!
      const before = incarnations[child - 2] ?? 1
      switch (strategy) {
        case "oneForOne":
          expect(all === 1 + deaths[child - 1]!, `${deaths} deaths, ${incarnations} incarnations`)
          break
        case "oneForAll":
          expect(all === incarnations[0], `all restart together, got ${incarnations}`)
          break
        case "restForOne":
          expect(all >= before, `who was started later restarts, too, got ${incarnations}`)
      }
    }
    if (strategy !== "oneForOne") {
      const last = lives.findLast(({ what }) => what === "begins")?.child
      expect(last === count, `the last one is started last, not ${last}`)
    }
    yield* group.stop
    const ends = lives.slice(-count).map(({ child, what }) => `${child} ${what}`)
    expect(
      ends.join() === numbers(count).toReversed().map((child) => `${child} ends`).join(),
      `the last first: ${ends}`
    )
  })

const groupGivesUp = (expect: Expect) =>
  Effect.gen(function*() {
    const count = yield* int(1, 3)
    const strategy = yield* pick(["oneForOne", "oneForAll", "restForOne"] as const)
    const restarts = yield* int(1, 3)
    const restart = Supervisor.restart(Supervisor.intensity({ restarts, within: "1 hour" }))
    const events = yield* collectEvents
    const { group, lives, refs } = yield* spawnGroup(strategy, count, restart)
    let crashes = 0
    while (crashes <= restarts) {
      const child = yield* int(1, count)
      const end = yield* endOf(refs[child - 1]!.ask("Do", { dies: true }))
      expect(end === "Crashed", `as often as its intensity allows, got ${end}`)
      crashes++
      yield* settle
      const isThere = (yield* ActorSystem.list).some(({ path }) => path === "/user/group")
      expect(
        isThere === (crashes <= restarts),
        `after ${crashes} of ${restarts} crashes it is ${isThere ? "there" : "gone"}`
      )
    }
    const { reason } = yield* group.awaitStopped
    expect(reason._tag === "Crashed", `it stops for the crash, got ${reason._tag}`)
    expect((yield* ActorSystem.list).length === 0, "its children stop with it")
    const of = (what: Life["what"]) => lives.filter((life) => life.what === what).length
    expect(of("begins") === of("ends"), "and are released")
    expect(
      events.filter(({ _tag }) => _tag === "Restarted").length === of("begins") - count,
      "each restart has its event"
    )
  })

export const groups: ReadonlyArray<Law> = [
  law("a group keeps its set of actors running, as its strategy says", strategies, {
    crashAfter: 0.02,
    delay: 0.05,
    only: (path) => path !== "/user/group"
  }),
  law("a group stops beyond its intensity, with all of its actors", groupGivesUp)
]
