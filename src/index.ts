/**
 * Supervised actors and LLM agents for Effect.
 *
 * @since 0.1.0
 */
export * as Agent from "./Agent.ts"
export * as AgentError from "./AgentError.ts"
export * as AgentEvent from "./AgentEvent.ts"
export * as AiSdk from "./Llm/AiSdk.ts"
export * as Middleware from "./Llm/Middleware.ts"
export * as Ollama from "./Llm/Ollama.ts"
export * as OpenAi from "./Llm/OpenAi.ts"
export * as OpenAiCompatible from "./Llm/OpenAiCompatible.ts"
export * as Prices from "./Llm/Prices.ts"
export * as Recorded from "./Llm/Recorded.ts"
export * as Scripted from "./Llm/Scripted.ts"
export * as Telemetry from "./Llm/Telemetry.ts"
export * as Tool from "./Tool.ts"
export * as Transcript from "./Transcript.ts"
