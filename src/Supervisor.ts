/**
 * Says what happens to an actor after a crash.
 *
 * A policy is a pure value: two actors that share one do not share its counters. Delays run on Effect's `Clock` and
 * jitter on Effect's `Random`.
 *
 * @since 0.1.0
 */
export {
  type Decide,
  decide,
  defaultPolicy,
  type Directive,
  escalate,
  intensity,
  type Policy,
  type Restart,
  restart,
  resume,
  stop
} from "./internal/policy.ts"
