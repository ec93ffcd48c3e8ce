/**
 * Keeps what models said in trials. Exported through `Evals`.
 *
 * @internal
 */
import * as AiError from "effect/ai/AiError"
import type * as LanguageModel from "effect/ai/LanguageModel"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FileSystem from "effect/FileSystem"
import * as Hash from "effect/Hash"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type { PlatformError } from "effect/PlatformError"
import type * as Scope from "effect/Scope"
import { AgentError } from "../../AgentError.ts"
import * as Recorded from "../../Llm/Recorded.ts"
import * as Check from "../check.ts"

/**
 * Keeps trials, so that a second evaluation needs neither network nor key. It provides `P` to the task; its failures `E` end
 * an evaluation.
 *
 * A `key` names one trial, or one scorer of it: a relative path without an extension, such as
 * `support/prompt-a/refund/1`.
 *
 * @since 0.1.0
 * @category caches
 */
export interface Cache<P = never, E = never> {
  /** Runs a trial, or gives it from what was kept. */
  readonly trial: <A, E1, R1>(
    trial: Effect.Effect<Exit.Exit<A, E1>, never, R1>,
    key: string
  ) => Effect.Effect<Exit.Exit<A, E1>, E, Exclude<R1, P>>
  /** Runs a judge with its model, or with what was kept of it. */
  readonly judge: <A, E1, E2, R2>(
    judging: Effect.Effect<Exit.Exit<A, E1>, never, LanguageModel.LanguageModel>,
    model: Layer.Layer<LanguageModel.LanguageModel, E2, R2>,
    key: string
  ) => Effect.Effect<Exit.Exit<A, E1>, E | E2, R2>
}

/**
 * Keeps a cassette (`Recorded`) of each trial in a folder, and one of each judge in it.
 *
 * The model is provided to the task, and built only when a trial is to be recorded. Agents with a model of their own are
 * asked live. A trial that was interrupted leaves no cassette. Where the requests of a trial are others than those of its
 * cassette, such as after a change of the prompt, the evaluation fails with `CassetteError`: name another `version`, or
 * delete the folder of this one. Where those of a judge are, the trial is unscored.
 *
 * @example
 * ```ts
 * import { OpenAi } from "effect-troupe"
 * import { Evals } from "effect-troupe/testing"
 *
 * const cache = Evals.cassettes("evals/cassettes", OpenAi.model("gpt-5-mini"))
 * ```
 *
 * @since 0.1.0
 * @category caches
 */
export const cassettes = <E, R>(
  folder: string,
  model: Layer.Layer<LanguageModel.LanguageModel, E, R>,
  options: Recorded.Options = {}
): Effect.Effect<
  Cache<LanguageModel.LanguageModel, E | Recorded.CassetteError>,
  never,
  R | FileSystem.FileSystem | Scope.Scope
> => {
  Check.notEmpty("Evals.cassettes", "folder", folder)
  return Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const own = Layer.provide((yield* sharing)(model), Layer.succeedContext(yield* Effect.context<R>()))

    const play = Effect.fnUntraced(function*<A, E1, R1>(
      file: string,
      body: Effect.Effect<Exit.Exit<A, E1>, never, R1>
    ) {
      const replaying: Layer.Layer<LanguageModel.LanguageModel, Recorded.CassetteError, FileSystem.FileSystem> =
        Recorded
          .replay(file, options)
      const exit = yield* Effect.provide(body, replaying)
      const misfit = misfitOf(exit)
      if (misfit === undefined) return exit
      const problem = `is a recording of other requests; delete it to record these. ${misfit.reason.message}`
      return yield* new Recorded.CassetteError({ file, problem })
    })

    const record = Effect.fnUntraced(function*<A, E1, R1, E2, R2>(
      file: string,
      body: Effect.Effect<Exit.Exit<A, E1>, never, R1>,
      model: Layer.Layer<LanguageModel.LanguageModel, E2, R2>
    ) {
      // It gets its name when the trial has ended: half a recording would be a wrong one.
      const unfinished = `${file}.unfinished`
      yield* orCassetteError(file, fs.makeDirectory(file.slice(0, file.lastIndexOf("/")), { recursive: true }))
      const exit = yield* Effect.provide(body, Recorded.record(unfinished, options)(model)).pipe(
        Effect.onExit((exit) => Exit.isSuccess(exit) ? Effect.void : Effect.ignore(fs.remove(unfinished)))
      )
      yield* orCassetteError(file, fs.rename(unfinished, file))
      return exit
    })

    const around = <A, E1, R1, E2, R2>(
      key: string,
      body: Effect.Effect<Exit.Exit<A, E1>, never, R1>,
      model: Layer.Layer<LanguageModel.LanguageModel, E2, R2>
    ) => {
      const file = `${folder}/${key}.json`
      return Effect.flatMap(
        orCassetteError(file, fs.exists(file)),
        (exists): Effect.Effect<
          Exit.Exit<A, E1>,
          E2 | Recorded.CassetteError,
          Exclude<R1, LanguageModel.LanguageModel> | R2 | FileSystem.FileSystem
        > => exists ? play(file, body) : record(file, body, model)
      ).pipe(Effect.provideService(FileSystem.FileSystem, fs))
    }

    return {
      trial: (trial, key) => around(key, trial, own),
      judge: (judging, model, key) => around(key, judging, model)
    }
  })
}

/**
 * Makes of a layer one that is built at most once in the scope, as soon as somebody needs it: models keep their rate limits
 * from trial to trial.
 */
export const sharing: Effect.Effect<
  <A, E, R>(layer: Layer.Layer<A, E, R>) => Layer.Layer<A, E, R>,
  never,
  Scope.Scope
> = Effect.gen(function*() {
  const scope = yield* Effect.scope
  const memoMap = yield* Layer.makeMemoMap
  // A trial that is interrupted meanwhile would interrupt all others that wait for the layer.
  return (layer) => Layer.fromBuild(() => Effect.uninterruptible(Layer.buildWithMemoMap(layer, memoMap, scope)))
})

/** Asks everybody live. */
export const live: Cache = {
  trial: (trial) => trial,
  judge: (judging, model) => Effect.provide(judging, model)
}

/** How a judge is asked in a trial; outside of one it is asked live. */
export interface Judging {
  readonly ask: <A, E1, E2, R2>(
    judging: Effect.Effect<Exit.Exit<A, E1>, never, LanguageModel.LanguageModel>,
    model: Layer.Layer<LanguageModel.LanguageModel, E2, R2>
  ) => Effect.Effect<Exit.Exit<A, E1>, unknown, R2>
}

export const Judging = Context.Reference<Judging>("effect-troupe/Evals/Judging", {
  defaultValue: () => ({ ask: (judging, model) => Effect.provide(judging, model) })
})

/** A part of a key that any file system takes as a name, and that no other text has. */
export const keyPart = (name: string): string => {
  const plain = name.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-").slice(0, 60)
  return plain === name ? name : `${plain}-${(Hash.string(name) >>> 0).toString(36)}`
}

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const orCassetteError = <A>(
  file: string,
  effect: Effect.Effect<A, PlatformError>
): Effect.Effect<A, Recorded.CassetteError> =>
  Effect.mapError(effect, ({ message }) => new Recorded.CassetteError({ file, problem: message }))

/** The error of a request that a cassette doesn't have. */
const misfitOf = (exit: Exit.Exit<unknown, unknown>): AiError.AiError | undefined => {
  const error = Exit.isFailure(exit) ? Option.getOrUndefined(Cause.findErrorOption(exit.cause)) : undefined
  const inner = error instanceof AgentError && error.reason._tag === "ModelFailed" ? error.reason.error : error
  return AiError.isAiError(inner) && inner.module === "Recorded" ? inner : undefined
}
