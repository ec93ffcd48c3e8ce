/**
 * Supervised actors and LLM agents for Effect.
 *
 * @since 0.1.0
 */
export * as Transcript from "./Transcript.ts"
