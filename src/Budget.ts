/**
 * Limits what agents may spend: tokens, money, tool calls and wall time.
 *
 * A budget is shared by all its holders. A model call reserves its probable cost before it starts and settles the real
 * cost when it ends, so calls in parallel can't overshoot together: at any time the used and the reserved amounts stay
 * below the limit, and only a call that costs more than its reservation can pass it, by that much.
 * An agent's budget also pays for the agents that its tools run, but not for actors behind refs, which have their own.
 *
 * @since 0.1.0
 */
import type * as Response from "effect/ai/Response"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { hasProperty } from "effect/Predicate"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as check from "./internal/check.ts"

const TypeId = "~effect-troupe/Budget"

/**
 * An amount that is spent or reserved.
 *
 * @since 0.1.0
 * @category models
 */
export interface Amount {
  readonly tokens: number
  /** In the currency of the budget's `price`. */
  readonly cost: number
  readonly toolCalls: number
}

/**
 * The amount set aside for a call under way.
 *
 * @since 0.1.0
 * @category models
 */
export interface Reservation {
  /** Books the real cost of the call and frees the rest. A second time does nothing. */
  readonly settle: (actual: Partial<Amount>) => Effect.Effect<void>
}

/**
 * The limits of a budget; an absent one does not limit.
 *
 * @since 0.1.0
 * @category models
 */
export interface Limits {
  /** Input and output tokens together. */
  readonly maxTokens?: number | undefined
  /** Money, as `price` counts it. */
  readonly maxCost?: number | undefined
  readonly maxToolCalls?: number | undefined
  /** Wall time from the making of the budget. A run that is under way when it ends is interrupted. */
  readonly maxDuration?: Duration.Input | undefined
}

/**
 * The cost of a call of a model, by its name: the one that its answer comes with (`gpt-5-2025-08-07`), and where that has
 * no cost, the one that was asked for (`gpt-5`; `undefined` where its layer tells none). Under a `maxCost` a call without
 * a cost is not made, since nobody could say when the limit is reached.
 *
 * @since 0.1.0
 * @category models
 */
export type Price = (usage: Response.Usage, model: string | undefined) => number | undefined

/**
 * The options of a budget.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options extends Limits {
  /** What model calls cost. Default: what `Prices` of the context says, in US dollars. */
  readonly price?: Price | undefined
  /** How many output tokens to reserve for a request that sets no `maxOutputTokens`. Default: 1,000. */
  readonly expectedOutputTokens?: number | undefined
}

/**
 * A shared ceiling.
 *
 * @since 0.1.0
 * @category models
 */
export interface Budget {
  readonly [TypeId]: typeof TypeId
  /** @internal */
  readonly limits: Limits
  /**
   * The budget that granted it.
   *
   * @internal
   */
  readonly parent: Budget | undefined
  /** Default: that of the context. */
  readonly price: Price | undefined
  readonly expectedOutputTokens: number
  /** When its time is over, in milliseconds of Effect's clock. */
  readonly deadline: { readonly at: number; readonly max: number } | undefined
  readonly used: Effect.Effect<Amount>
  /** Sets an amount aside, or fails at once where it would pass a limit. */
  readonly reserve: (amount: Partial<Amount>) => Effect.Effect<Reservation, BudgetExceeded>
}

/**
 * A limit would be passed: which, how much of it is used or reserved (milliseconds for `maxDuration`), the limit, and
 * how much the refused step asked for (absent for `maxDuration`).
 *
 * @since 0.1.0
 * @category errors
 */
export class BudgetExceeded extends Schema.TaggedError<BudgetExceeded>("effect-troupe/Budget/BudgetExceeded")(
  "BudgetExceeded",
  {
    limit: Schema.Literals(["maxTokens", "maxCost", "maxToolCalls", "maxDuration"]),
    used: Schema.Finite,
    max: Schema.Finite,
    asked: Schema.optionalKey(Schema.Finite)
  }
) {
  override get message() {
    const { asked, limit, max, used } = this
    return asked === undefined
      ? `the budget's ${limit} of ${max} is used up`
      : `the budget's ${limit} is ${max}, and ${used} of it is used or reserved: the next step asks for ${asked}`
  }
}

/**
 * Whether a value is a budget.
 *
 * @since 0.1.0
 * @category guards
 */
export const isBudget = (u: unknown): u is Budget => hasProperty(u, TypeId)

/**
 * Makes a budget.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Agent, Budget } from "effect-troupe"
 *
 * const program = Effect.gen(function*() {
 *   const budget = yield* Budget.make({ maxTokens: 100_000, maxDuration: "5 minutes" })
 *   const researcher = Agent.make("researcher", { budget })
 *   const writer = Agent.make("writer", { budget })
 *   return [researcher, writer]
 * })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options): Effect.Effect<Budget> => {
  checkOptions("Budget.make", options)
  return Effect.map(Clock.currentTimeMillis, (now) => fromState(makeState(options, now, undefined)))
}

/**
 * A budget out of another one's: its limits are set aside there, and the unused rest goes back when the scope closes.
 *
 * A limit that the grant doesn't name is drawn from the parent call by call, and so is everything once the scope has
 * closed. Fails where the parent has too little left.
 *
 * @since 0.1.0
 * @category constructors
 */
export const grant = (
  parent: Budget,
  limits: Limits
): Effect.Effect<Budget, BudgetExceeded, Scope.Scope> => {
  checkOptions("Budget.grant", limits)
  return grantFrom(parent, limits)
}

/**
 * The budgets that pay for an effect: those of the agents around it. A team adds its own to them.
 *
 * @since 0.1.0
 * @category references
 */
export const Current = Context.Reference<ReadonlyArray<Budget>>("effect-troupe/Budget/Current", {
  defaultValue: () => []
})

/**
 * The budgets that pay where one more is given. A grant draws from its parent too, so of the two only the grant pays.
 *
 * @internal
 */
export const join = (around: ReadonlyArray<Budget>, own: Budget | undefined): ReadonlyArray<Budget> =>
  own === undefined || around.some((budget) => paysFor(budget, own))
    ? around
    : [...around.filter((budget) => !paysFor(own, budget)), own]

const paysFor = (self: Budget, other: Budget): boolean =>
  self === other || self.parent !== undefined && paysFor(self.parent, other)

/**
 * Whether the budget has to know the cost of calls.
 *
 * @internal
 */
export const needsPrice = (self: Budget): boolean =>
  self.limits.maxCost !== undefined || self.parent !== undefined && needsPrice(self.parent)

/**
 * Runs an effect that several budgets pay for: reserves with each before it starts, settles with each however it ends.
 *
 * @since 0.1.0
 * @category running
 */
export const spend = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  options: {
    readonly budgets: ReadonlyArray<Budget>
    readonly reserve: (budget: Budget) => Partial<Amount>
    readonly settle: (budget: Budget) => Partial<Amount>
  }
): Effect.Effect<A, E | BudgetExceeded, R> =>
  Effect.acquireUseRelease(
    reserveAll(options.budgets, options.reserve),
    () => effect,
    (reservations) => Effect.forEach(reservations, ([budget, { settle }]) => settle(options.settle(budget)))
  )

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const grantFrom = Effect.fnUntraced(function*(parent: Budget, limits: Limits) {
  const options = { ...limits, price: parent.price, expectedOutputTokens: parent.expectedOutputTokens }
  const child = makeState(options, yield* Clock.currentTimeMillis, parent)
  const { maxCost: cost = 0, maxTokens: tokens = 0, maxToolCalls: toolCalls = 0 } = limits
  yield* Effect.acquireRelease(
    parent.reserve({ tokens, cost, toolCalls }),
    ({ settle }) => Effect.suspend(() => settle(close(child)))
  )
  return fromState(child)
})

const reserveAll = Effect.fnUntraced(function*(
  budgets: ReadonlyArray<Budget>,
  amountOf: (budget: Budget) => Partial<Amount>
) {
  const reservations: Array<readonly [Budget, Reservation]> = []
  for (const budget of budgets) {
    const reservation = yield* Effect.tapError(
      budget.reserve(amountOf(budget)),
      () => Effect.forEach(reservations, ([, { settle }]) => settle({}))
    )
    reservations.push([budget, reservation])
  }
  return reservations
})

const kinds = ["tokens", "cost", "toolCalls"] as const

const limitNames = { tokens: "maxTokens", cost: "maxCost", toolCalls: "maxToolCalls" } as const

type Mutable = { -readonly [Kind in keyof Amount]: number }

const nothing = (): Mutable => ({ tokens: 0, cost: 0, toolCalls: 0 })

interface State {
  readonly options: Options
  readonly parent: Budget | undefined
  readonly deadline: Budget["deadline"]
  readonly used: Mutable
  readonly reserved: Mutable
  /** Of a grant: whether its limits are no longer set aside in its parent. */
  closed: boolean
}

const makeState = (options: Options, now: number, parent: Budget | undefined): State => ({
  options,
  parent,
  deadline: earlier(deadlineOf(options.maxDuration, now), parent?.deadline),
  used: nothing(),
  reserved: nothing(),
  closed: false
})

const fromState = (state: State): Budget => ({
  [TypeId]: TypeId,
  limits: state.options,
  parent: state.parent,
  price: state.options.price,
  expectedOutputTokens: state.options.expectedOutputTokens ?? 1000,
  deadline: state.deadline,
  used: Effect.sync(() => ({ ...state.used })),
  reserve: (amount) => reserve(state, { ...nothing(), ...amount })
})

/** Ends a grant, with its cost for the parent. Nobody waits for calls under way: their reservations count as used. */
const close = (self: State): Amount => {
  self.closed = true
  const cost = nothing()
  for (const kind of kinds) {
    if (self.options[limitNames[kind]] !== undefined) cost[kind] = self.used[kind] + self.reserved[kind]
  }
  return cost
}

const reserve = (self: State, amount: Amount): Effect.Effect<Reservation, BudgetExceeded> =>
  Effect.flatMap(Clock.currentTimeMillis, (now) => {
    // Checked and booked in one tick, so that nobody else comes in between.
    const exceeded = limitPassed(self, amount, now)
    if (exceeded !== undefined) return Effect.fail(exceeded)
    const own = book(self, amount)
    if (self.parent === undefined) return Effect.succeed(own)
    const notGranted = kinds.filter((kind) => self.closed || self.options[limitNames[kind]] === undefined)
    return self.parent.reserve(only(notGranted, amount)).pipe(
      Effect.map((above): Reservation => ({
        settle: (actual) => Effect.andThen(own.settle(actual), above.settle(only(notGranted, actual)))
      })),
      Effect.tapError(() => own.settle({}))
    )
  })

const limitPassed = (self: State, amount: Amount, now: number): BudgetExceeded | undefined => {
  const { deadline, options, reserved, used } = self
  if (deadline !== undefined && now >= deadline.at) {
    return new BudgetExceeded({ limit: "maxDuration", used: deadline.max + now - deadline.at, max: deadline.max })
  }
  for (const kind of kinds) {
    const max = options[limitNames[kind]]
    const taken = used[kind] + reserved[kind]
    if (max === undefined || amount[kind] === 0 || taken + amount[kind] <= max) continue
    return new BudgetExceeded({ limit: limitNames[kind], used: taken, max, asked: amount[kind] })
  }
  return undefined
}

const book = (self: State, amount: Amount): Reservation => {
  let open = true
  for (const kind of kinds) self.reserved[kind] += amount[kind]
  return {
    settle: (actual) =>
      Effect.sync(() => {
        if (!open) return
        open = false
        for (const kind of kinds) {
          self.reserved[kind] -= amount[kind]
          self.used[kind] += actual[kind] ?? 0
        }
      })
  }
}

const only = (kinds: ReadonlyArray<keyof Amount>, amount: Partial<Amount>): Amount => {
  const some = nothing()
  for (const kind of kinds) some[kind] = amount[kind] ?? 0
  return some
}

const deadlineOf = (duration: Duration.Input | undefined, now: number): Budget["deadline"] => {
  if (duration === undefined) return undefined
  const max = Duration.toMillis(duration)
  return { at: now + max, max }
}

const earlier = (a: Budget["deadline"], b: Budget["deadline"]): Budget["deadline"] =>
  a === undefined || b !== undefined && b.at < a.at ? b : a

const checkOptions = (where: string, options: Options): void => {
  for (const name of ["maxTokens", "maxCost", "maxToolCalls", "expectedOutputTokens"] as const) {
    const value = options[name]
    if (value !== undefined) check.notNegative(where, name, value)
  }
  if (options.maxDuration !== undefined) check.notNegativeDuration(where, "maxDuration", options.maxDuration)
}
