/**
 * Makes ready to run, once, what is otherwise built for each run.
 *
 * @internal
 */
import * as LanguageModel from "effect/ai/LanguageModel"
import * as Toolkit from "effect/ai/Toolkit"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Tool } from "../../Tool.ts"
import type { AgentSpec } from "./run.ts"

/**
 * The agent with its own model built for as long as the scope is open, and with these tools beside its own.
 *
 * @internal
 */
export const build = Effect.fnUntraced(
  function*<E, R>(definition: AgentSpec<E, R>, tools: ReadonlyArray<Tool<string>>) {
    const all = [...yield* definition.tools, ...tools]
    const definitions = [...definition.definitions, ...tools.map((tool) => tool.definition)]
    const model = definition.model._tag === "Ambient"
      ? yield* definition.model.service
      : Context.get(yield* Layer.build(definition.model.layer), LanguageModel.LanguageModel)
    const built: AgentSpec<E, R> = {
      ...definition,
      definitions,
      toolkit: Toolkit.make(...definitions),
      tools: Effect.succeed(all),
      model: { _tag: "Ambient", service: Effect.succeed(model) }
    }
    return built
  }
)
