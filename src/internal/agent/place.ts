/**
 * The place of a run: its id, the run that it is inside of, the run that it speaks for.
 *
 * @internal
 */
import type * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import { Parent, type Place } from "../../AgentEvent.ts"

/** The place of a run that is under way. */
export interface RunPlace {
  /** On every event of the run but its text. */
  readonly self: Place
  /** On its text: the place of the run that it speaks for, mostly itself. */
  readonly voice: Place
  /** The way to it from the outermost run. */
  readonly path: string
  /** How many blocks of text and reasoning it has begun. */
  blocks: number
}

/** The parent of a run, and the way to the run. */
export const RunParent = Schema.Struct({ ...Parent.fields, path: Schema.String })

export type RunParent = typeof RunParent.Type

/** What whoever starts a run says of its place. */
export interface Origin {
  readonly parent?: RunParent | undefined
  readonly as?: Place | undefined
  /** The path of the actor that runs it. */
  readonly actor?: string | undefined
}

export const make = (agent: string, { as, parent }: Origin, random: RandomService): RunPlace => {
  const run = makeId(random)
  if (parent === undefined) return place({ run, agent }, as, escape(agent))
  const { path, ...above } = parent
  return place({ run, agent, parent: above }, as, path)
}

/** An id of 18 letters and digits. */
export const makeId = (random: RandomService): string => letters(random) + letters(random) + letters(random)

/** An id for the next block of text or reasoning; no other run's blocks have it. */
export const nextBlock = (at: RunPlace): string => `${at.self.run}-${++at.blocks}`

/** A place where runs and other calls are started: the way to it, and how many of each name there were, if any. */
export interface Site {
  readonly path: string
  counts: Map<string, number> | undefined
}

/** The way to the next run or call of this name, escaped. */
export const nextPath = (site: Site, name: string): string => {
  const counts = site.counts ??= new Map()
  const count = (counts.get(name) ?? 0) + 1
  counts.set(name, count)
  return `${site.path}/${nth(name, count)}`
}

/** The way to a turn of a run, on this attempt. */
export const turnPath = ({ path }: RunPlace, turn: number, attempt: number): string =>
  `${path}/${nth(String(turn), attempt)}`

/** The way to a tool call of a run. */
export const callPath = ({ path }: RunPlace, turn: number, call: string): string => `${path}/${turn}/${escape(call)}`

/** A name as a part of a path. */
export const escape = (name: string): string =>
  special.test(name) ? name.replaceAll(/[/%~]/g, (character) => escapes[character]!) : name

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

type RandomService = (typeof Random.Random)["Service"]

const place = (self: Place, as: Place | undefined, path: string): RunPlace => ({
  self,
  voice: as ?? self,
  path,
  blocks: 0
})

const digits = "0123456789abcdefghijklmnopqrstuv"

/** 30 random bits as six letters and digits. (`toString(36)` takes four times as long.) */
const letters = (random: RandomService): string => {
  const bits = random.nextDoubleUnsafe() * 2 ** 30
  let out = ""
  for (let shift = 0; shift < 30; shift += 5) out += digits[(bits >> shift) & 31]!
  return out
}

const special = /[/%~]/

const escapes: Readonly<Record<string, string>> = { "/": "%2F", "%": "%25", "~": "%7E" }

const nth = (name: string, count: number): string => count === 1 ? name : `${name}~${count}`
