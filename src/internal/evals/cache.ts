/**
 * Keeps what models said in trials. Exported through `Evals`.
 *
 * @internal
 */
import * as AiError from "effect/ai/AiError"
import * as LanguageModel from "effect/ai/LanguageModel"
import * as Model from "effect/ai/Model"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FileSystem from "effect/FileSystem"
import * as Hash from "effect/Hash"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type { PlatformError } from "effect/PlatformError"
import { hasProperty, isString } from "effect/Predicate"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import { AgentError } from "../../AgentError.ts"
import * as Recorded from "../../Llm/Recorded.ts"
import * as Scripted from "../../Llm/Scripted.ts"
import * as RunLog from "../../RunLog.ts"
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
  return keep(folder, model, {
    extension: "json",
    broken: (file, problem) => new Recorded.CassetteError({ file, problem }),
    play: (file, body) => {
      const replaying: OnlyModel<Recorded.CassetteError, FileSystem.FileSystem> = Recorded.replay(file, options)
      return Effect.flatMap(Effect.provide(body, replaying), (exit) => {
        const misfit = misfitOf(exit)
        return misfit === undefined
          ? Effect.succeed(exit)
          : Effect.fail(new Recorded.CassetteError({ file, problem: otherRequests(misfit.reason.message) }))
      })
    },
    record: (file, body, model) => Effect.provide(body, Recorded.record(file, options)(model))
  })
}

/**
 * Keeps a run log (`RunLog`) of each trial in a folder, and one of each judge in it.
 *
 * As `cassettes`, but of all that comes into a trial: models that agents have for themselves are kept, too, tools don't run
 * again, but for those in `live`, and a replay takes no time. In exchange a trial must be all that its log is of: it fails
 * with `RunLog.LogError` where an `ActorSystem` is provided outside of the task, and when it is replayed, where it calls a model
 * by other ways than an agent's. A model that an agent has for itself is built in a replay as well.
 *
 * @since 0.1.0
 * @category caches
 */
export const runLogs = <E, R>(
  folder: string,
  model: Layer.Layer<LanguageModel.LanguageModel, E, R>,
  { live, secrets }: Pick<RunLog.ReplayOptions, "live"> & Recorded.Options = {}
): Effect.Effect<
  Cache<LanguageModel.LanguageModel, E | RunLog.LogError>,
  never,
  R | FileSystem.FileSystem | Scope.Scope
> => {
  Check.notEmpty("Evals.runLogs", "folder", folder)
  return keep(folder, model, {
    extension: "jsonl",
    broken: (log, problem) => new RunLog.LogError({ log, problem }),
    play: (file, body) =>
      Effect.flatMap(RunLog.load(file), (log) => Effect.provide(RunLog.replay(body, log, { live }), modelOf(log))).pipe(
        Effect.catchTag(
          "Diverged",
          ({ message }) => Effect.fail(new RunLog.LogError({ log: file, problem: otherRequests(message) }))
        )
      ),
    record: (file, body, model) => Effect.provide(RunLog.record(body, { to: RunLog.file(file), secrets }), model)
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

type OnlyModel<E, R> = Layer.Layer<LanguageModel.LanguageModel, E, R>

/** A way of keeping trials in files. */
interface Way<E> {
  readonly extension: string
  readonly broken: (file: string, problem: string) => E
  readonly play: <A, E1, R1>(
    file: string,
    body: Effect.Effect<Exit.Exit<A, E1>, never, R1>
  ) => Effect.Effect<Exit.Exit<A, E1>, E, Exclude<R1, LanguageModel.LanguageModel> | FileSystem.FileSystem>
  readonly record: <A, E1, R1, E2, R2>(
    file: string,
    body: Effect.Effect<Exit.Exit<A, E1>, never, R1>,
    model: OnlyModel<E2, R2>
  ) => Effect.Effect<
    Exit.Exit<A, E1>,
    E | E2,
    Exclude<R1, LanguageModel.LanguageModel> | R2 | FileSystem.FileSystem
  >
}

const keep = <E, R, E1>(
  folder: string,
  model: OnlyModel<E, R>,
  { broken, extension, play, record }: Way<E1>
): Effect.Effect<
  Cache<LanguageModel.LanguageModel, E | E1>,
  never,
  R | FileSystem.FileSystem | Scope.Scope
> =>
  Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const own = Layer.provide((yield* sharing)(model), Layer.succeedContext(yield* Effect.context<R>()))

    const around = Effect.fnUntraced(
      function*<A, E2, R2, E3, R3>(
        key: string,
        body: Effect.Effect<Exit.Exit<A, E2>, never, R2>,
        model: OnlyModel<E3, R3>
      ) {
        const file = `${folder}/${key}.${extension}`
        const trying = Effect.mapError(({ message }: PlatformError) => broken(file, message))
        if (yield* trying(fs.exists(file))) return yield* play(file, body)
        // It gets its name when the trial has ended: half a recording would be a wrong one. Until then others that record the
        // same trial have files of their own, also in another process.
        const unfinished = `${file}.${yield* Random.nextIntBetween(0, 2 ** 48)}.unfinished`
        yield* trying(fs.makeDirectory(file.slice(0, file.lastIndexOf("/")), { recursive: true }))
        const exit = yield* Effect.onExit(
          record(unfinished, body, model),
          (exit) => Exit.isSuccess(exit) ? Effect.void : Effect.ignore(fs.remove(unfinished))
        )
        yield* trying(fs.rename(unfinished, file))
        return exit
      },
      Effect.provideService(FileSystem.FileSystem, fs)
    )

    return {
      trial: (trial, key) => around(key, trial, own),
      judge: (judging, model, key) => around(key, judging, model)
    }
  })

const otherRequests = (difference: string): string =>
  `is a recording of other requests; delete it to record these. ${difference}`

/** A model of the name that the recorded one had, which a replay never asks. */
const modelOf = ({ entries }: RunLog.RunLog): OnlyModel<never, never> => {
  const request = entries.find((entry) => entry._tag === "Call" && entry.kind === "model")
  const name = request?._tag === "Call" && hasProperty(request.request, "model") ? request.request.model : undefined
  return Layer.effectContext(Effect.map(Layer.build(Scripted.model([])), (services) => {
    const model = Context.pick(LanguageModel.LanguageModel)(services)
    return isString(name) ? Context.add(model, Model.ModelName, name) : model
  }))
}

/** The error of a request that a cassette doesn't have. */
const misfitOf = (exit: Exit.Exit<unknown, unknown>): AiError.AiError | undefined => {
  const error = Exit.isFailure(exit) ? Option.getOrUndefined(Cause.findErrorOption(exit.cause)) : undefined
  const inner = error instanceof AgentError && error.reason._tag === "ModelFailed" ? error.reason.error : error
  return AiError.isAiError(inner) && inner.module === "Recorded" ? inner : undefined
}
