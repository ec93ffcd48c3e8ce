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
export * as AiSdk from "./Llm/AiSdk.ts"
export * as AiSdkEmbedding from "./Llm/AiSdkEmbedding.ts"
export * as Anthropic from "./Llm/Anthropic.ts"
export * as AzureOpenAi from "./Llm/AzureOpenAi.ts"
export * as Gemini from "./Llm/Gemini.ts"
export * as Mistral from "./Llm/Mistral.ts"
export * as ModelList from "./Llm/ModelList.ts"
export * as Ollama from "./Llm/Ollama.ts"
export * as OpenAi from "./Llm/OpenAi.ts"
export * as OpenAiCompatible from "./Llm/OpenAiCompatible.ts"
export * as OpenRouter from "./Llm/OpenRouter.ts"
export * as Scripted from "./Llm/Scripted.ts"
export * as Vertex from "./Llm/Vertex.ts"
export * as Vllm from "./Llm/Vllm.ts"
export * as Mailbox from "./Mailbox.ts"
export * as Router from "./Router.ts"
export * as Supervisor from "./Supervisor.ts"
export * as Tool from "./Tool.ts"
export * as Transcript from "./Transcript.ts"
