/**
 * Counts the calls and tokens of a sliding window, and holds calls up until there is room.
 *
 * Effect's own `RateLimiter` refills a bucket or starts a new window, and so lets up to twice the limit start within
 * one interval, which a provider answers with 429. This one keeps when the last calls started.
 *
 * @internal
 */
import * as Prompt from "effect/ai/Prompt"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import { estimateTokens } from "../estimateTokens.ts"

export type Use = Readonly<MutableUse>

export interface RateWindow {
  readonly limit: number
  readonly interval: number
  readonly tokensPerMinute: number | undefined
  /** When the last `limit` calls started, oldest first. */
  readonly starts: Array<number>
  /** The uses of the last minute, oldest first. */
  uses: ReadonlyArray<Use>
  /** Whoever holds it is the next one to start. */
  readonly turn: Semaphore.Semaphore
}

export const make = (options: {
  readonly limit: number
  readonly interval: Duration.Input
  readonly tokensPerMinute?: number | undefined
}): RateWindow => ({
  limit: options.limit,
  interval: Duration.toMillis(options.interval),
  tokensPerMinute: options.tokensPerMinute,
  starts: [],
  uses: [],
  turn: Semaphore.makeUnsafe(1)
})

/** Waits for room and takes it. A caller that is interrupted while it waits has taken nothing. */
export const admit = (self: RateWindow, prompt: Prompt.RawInput): Effect.Effect<Use> => {
  const tokens = self.tokensPerMinute === undefined ? 0 : estimateTokens(Prompt.make(prompt).content)
  const enter: Effect.Effect<Use> = Effect.flatMap(Clock.currentTimeMillis, (now) => {
    const wait = Math.max(waitForStart(self, now), waitForTokens(self, tokens, now))
    return wait > 0 ? Effect.andThen(Effect.sleep(wait), enter) : Effect.succeed(take(self, tokens, now))
  })
  return Semaphore.withPermit(self.turn, enter)
}

/**
 * Counts what a call really used, from now on: the provider may have counted it until now. Without `tokens` the
 * estimate stays.
 */
export const settle = (self: RateWindow, use: Use, tokens: number | undefined): Effect.Effect<void> =>
  self.tokensPerMinute === undefined ? Effect.void : Effect.map(Clock.currentTimeMillis, (now) => {
    self.uses = [...self.uses.filter((other) => other !== use), { at: now, tokens: tokens ?? use.tokens }]
  })

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

/** What a call was counted with: an estimate until it is settled. */
interface MutableUse {
  at: number
  tokens: number
}

const take = (self: RateWindow, tokens: number, now: number): Use => {
  const use = { at: now, tokens }
  self.starts.push(now)
  if (self.starts.length > self.limit) self.starts.shift()
  if (self.tokensPerMinute !== undefined) self.uses = [...self.uses, use]
  return use
}

const waitForStart = ({ interval, limit, starts }: RateWindow, now: number): number =>
  starts.length < limit ? 0 : starts[0]! + interval - now

const minute = 60_000

const waitForTokens = (self: RateWindow, tokens: number, now: number): number => {
  if (self.tokensPerMinute === undefined) return 0
  self.uses = self.uses.filter((use) => use.at + minute > now)
  let excess = self.uses.reduce((sum, use) => sum + use.tokens, tokens) - self.tokensPerMinute
  for (const use of self.uses) {
    if (excess <= 0) break
    excess -= use.tokens
    if (excess <= 0 || use === self.uses.at(-1)) return use.at + minute - now
  }
  return 0
}
