/**
 * Supervised actors and LLM agents for Effect.
 *
 * @since 0.1.0
 */
export * as Actor from "./Actor.ts"
export * as ActorSystem from "./ActorSystem.ts"
export * as Agent from "./Agent.ts"
export * as AgentError from "./AgentError.ts"
export * as AgentEvent from "./AgentEvent.ts"
export * as Approvals from "./Approvals.ts"
export * as Budget from "./Budget.ts"
export * as Cluster from "./Cluster.ts"
export * as Guardrail from "./Guardrail.ts"
export * as AiSdk from "./Llm/AiSdk.ts"
export * as Catalog from "./Llm/Catalog.ts"
export * as Ollama from "./Llm/Ollama.ts"
export * as OpenAi from "./Llm/OpenAi.ts"
export * as OpenAiCompatible from "./Llm/OpenAiCompatible.ts"
export * as Scripted from "./Llm/Scripted.ts"
export * as Mailbox from "./Mailbox.ts"
export * as Memory from "./Memory.ts"
export * as Recover from "./Recover.ts"
export * as Router from "./Router.ts"
export * as Supervisor from "./Supervisor.ts"
export * as Team from "./Team.ts"
export * as Tool from "./Tool.ts"
export * as Transcript from "./Transcript.ts"
