/**
 * Provides Google's Gemini models on Google Cloud (Vertex AI); for AI Studio see `Gemini`.
 *
 * Needs the packages `@ai-sdk/google-vertex` and `google-auth-library`. Reads `GOOGLE_CLOUD_PROJECT` and
 * `GOOGLE_CLOUD_LOCATION` (default `global`) and signs in with Google's application default credentials:
 * `GOOGLE_APPLICATION_CREDENTIALS`, `gcloud auth application-default login`, or the identity of the machine that it runs on. `GOOGLE_VERTEX_ACCESS_TOKEN` is used
 * instead, as it is, if it is set. With `GOOGLE_VERTEX_API_KEY` (express mode) none of these is needed, nor
 * `google-auth-library`. `GOOGLE_VERTEX_BASE_URL` is the address of a proxy, without a path.
 *
 * @example
 * ```ts
 * import { ConfigProvider, Effect, Layer } from "effect"
 * import { LanguageModel } from "effect/ai"
 * import { Vertex } from "effect-troupe"
 *
 * const config = ConfigProvider.fromUnknown({ GOOGLE_CLOUD_PROJECT: "acme", GOOGLE_CLOUD_LOCATION: "europe-west4" })
 *
 * const answer = LanguageModel.generateText({ prompt: "Why is the sky blue?" }).pipe(
 *   Effect.provide(Vertex.model("gemini-2.5-flash").pipe(Layer.provide(ConfigProvider.layer(config))))
 * )
 * ```
 *
 * @since 0.1.0
 */
import type * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type * as GoogleAuthLibrary from "google-auth-library"
import { guardedFetch } from "../internal/llm/fetch.ts"
import { baseUrl, failConfig, load, optionalKey, optionalString, rethrow } from "../internal/llm/provider.ts"
import { checkEmbeddings, checkModel } from "../internal/llm/settings.ts"
import * as AiSdk from "./AiSdk.ts"
import * as AiSdkEmbedding from "./AiSdkEmbedding.ts"
import * as ModelList from "./ModelList.ts"
import type { Authorize, Settings } from "./Settings.ts"

/**
 * A Gemini model on Vertex AI by its name.
 *
 * @since 0.1.0
 * @category layers
 */
export const model = (
  name: string,
  settings: Settings = {}
): AiSdk.ModelLayer<Config.ConfigError | AiSdk.PackageMissing> => {
  checkModel("Vertex.model", name, settings)
  return AiSdk.layer(
    Effect.map(
      provider,
      ({ vertex, ...origin }) => ({ ...origin, model: vertex(name), settings, jsonOutput: "always" })
    )
  )
}

/**
 * An embedding model on Vertex AI by its name, such as `"gemini-embedding-001"`; how many texts go in one call is the
 * model's own limit.
 *
 * @since 0.1.0
 * @category layers
 */
export const embeddings = (
  name: string,
  settings: AiSdkEmbedding.Settings = {}
): AiSdkEmbedding.EmbeddingLayer<Config.ConfigError | AiSdk.PackageMissing> => {
  checkEmbeddings("Vertex.embeddings", name, settings)
  return AiSdkEmbedding.layer(
    Effect.map(provider, ({ vertex, ...origin }) => ({ ...origin, model: vertex.embeddingModel(name), settings }))
  )
}

/**
 * Google's own models on Vertex AI.
 *
 * @since 0.1.0
 * @category models
 */
export const models: ModelList.ModelList<Config.ConfigError | AiSdk.PackageMissing> = Effect.gen(function*() {
  const resolved = yield* connection
  return yield* ModelList.make({
    provider: "vertex",
    url: `${resolved.host}/v1beta1/publishers/google/models?pageSize=1000`,
    headers: resolved._tag === "Project" ? { "x-goog-user-project": resolved.project } : {},
    authorize: yield* authorize(resolved),
    schema: Body,
    toModels: ({ publisherModels }) => publisherModels.map(toModel),
    nextPage: ({ nextPageToken }) => nextPageToken ? { pageToken: nextPageToken } : undefined
  })
})

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const Body = Schema.Struct({
  publisherModels: Schema.Array(Schema.Struct({ name: Schema.String })),
  nextPageToken: Schema.optional(Schema.String)
})

const toModel = ({ name }: typeof Body.Type["publisherModels"][number]): ModelList.ModelInfo => ({
  id: name.replace(/^publishers\/google\/models\//, ""),
  name: undefined,
  inputTokens: undefined,
  outputTokens: undefined
})

/** How to reach Vertex AI, and who asks. */
type Connection =
  & { readonly host: string }
  & (
    | { readonly _tag: "Express"; readonly key: Redacted.Redacted }
    | {
      readonly _tag: "Project"
      readonly project: string
      readonly location: string
      readonly token: Redacted.Redacted | undefined
    }
  )

const connection: Effect.Effect<Connection, Config.ConfigError> = Effect.gen(function*() {
  const key = yield* optionalKey("GOOGLE_VERTEX_API_KEY")
  if (Option.isSome(key)) return { _tag: "Express", key: key.value, host: yield* hostOf("global") }
  const project = yield* optionalString("GOOGLE_CLOUD_PROJECT")
  if (Option.isNone(project)) {
    return yield* failConfig(
      "Vertex needs a project or an API key: set the variable GOOGLE_CLOUD_PROJECT or GOOGLE_VERTEX_API_KEY"
    )
  }
  const location = Option.getOrElse(yield* optionalString("GOOGLE_CLOUD_LOCATION"), () => "global")
  // It becomes a part of the host.
  if (!/^[a-z0-9-]+$/.test(location)) {
    return yield* failConfig(
      `GOOGLE_CLOUD_LOCATION must be the name of a location, got ${JSON.stringify(location)}`
    )
  }
  const token = Option.getOrUndefined(yield* optionalKey("GOOGLE_VERTEX_ACCESS_TOKEN"))
  return { _tag: "Project", project: project.value, location, token, host: yield* hostOf(location) }
})

const hostOf = (location: string) => baseUrl("GOOGLE_VERTEX_BASE_URL", `https://${vendorHost(location)}`)

const vendorHost = (location: string): string => {
  if (location === "global") return "aiplatform.googleapis.com"
  return location === "eu" || location === "us"
    ? `aiplatform.${location}.rep.googleapis.com`
    : `${location}-aiplatform.googleapis.com`
}

const provider = Effect.gen(function*() {
  const { createGoogleVertex } = yield* load(
    "Vertex",
    "@ai-sdk/google-vertex",
    () => import("@ai-sdk/google-vertex").catch(rethrow)
  )
  const resolved = yield* connection
  const origin = { provider: "vertex", authorize: yield* authorize(resolved) }
  if (resolved._tag === "Express") {
    const apiKey = Redacted.value(resolved.key)
    const baseURL = `${resolved.host}/v1/publishers/google`
    return { ...origin, vertex: createGoogleVertex({ baseURL, apiKey, fetch: guardedFetch }) }
  }
  const { host, location, project } = resolved
  return {
    ...origin,
    vertex: createGoogleVertex({
      baseURL: `${host}/v1beta1/projects/${encodeURIComponent(project)}/locations/${location}/publishers/google`,
      project,
      location,
      fetch: guardedFetch,
      // An empty key keeps the package from looking for one in the environment by itself.
      apiKey: "",
      googleAuthOptions: { authClient: yield* idleClient }
    })
  }
})

const googleAuth = load("Vertex", "google-auth-library", () => import("google-auth-library").catch(rethrow))

/** The package signs requests by itself; this client gives it a token that never leaves, because ours takes its place. */
const idleClient = Effect.map(googleAuth, ({ OAuth2Client }) => {
  const client = new OAuth2Client()
  client.setCredentials({ access_token: "none" })
  return client
})

const authorize = (connection: Connection): Effect.Effect<Authorize, AiSdk.PackageMissing> => {
  if (connection._tag === "Express") return Effect.succeed(Effect.succeed({ "x-goog-api-key": connection.key }))
  const { project, token } = connection
  if (token !== undefined) return Effect.succeed(Effect.succeed(bearer(Redacted.value(token))))
  return Effect.map(googleAuth, (library) => Effect.map(defaultCredentials(library, project), bearer))
}

const bearer = (token: string) => ({ authorization: Redacted.make(`Bearer ${token}`) })

/** The token of the default credentials, read again for each request, because it expires. */
const defaultCredentials = ({ GoogleAuth }: Pick<typeof GoogleAuthLibrary, "GoogleAuth">, projectId: string) => {
  let waiting = 0
  let requests = new AbortController()
  const auth = new GoogleAuth({
    projectId,
    scopes: ["https://www.googleapis.com/auth/cloud-platform"],
    clientOptions: {
      transporterOptions: {
        fetchImplementation: (input, init) => guardedFetch(input, { ...init, signal: requests.signal })
      }
    }
  })
  // Runs at the same time share a request for a token: the last of them to leave ends it.
  return Effect.acquireUseRelease(
    Effect.sync(() => {
      waiting++
    }),
    () => Effect.tryPromise({ try: async () => await auth.getAccessToken() ?? "", catch: (error) => error }),
    () =>
      Effect.sync(() => {
        if (--waiting > 0) return
        requests.abort()
        requests = new AbortController()
      })
  )
}
