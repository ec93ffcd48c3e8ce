/**
 * Supervised actors and LLM agents for Effect.
 *
 * @since 0.1.0
 */
export * as Actor from "./Actor.ts"
export * as ActorSystem from "./ActorSystem.ts"
export * as Mailbox from "./Mailbox.ts"
export * as Supervisor from "./Supervisor.ts"
