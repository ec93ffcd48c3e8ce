/**
 * What a request is sent with, and which secrets are in it.
 *
 * @internal
 */
import * as AiError from "effect/ai/AiError"
import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import type { Authorize, Headers } from "../../Llm/Settings.ts"
import { errorMessage } from "../errorMessage.ts"
import type * as Errors from "./aiSdkError.ts"
import { redactText, secretsFrom, secretsOf } from "./redact.ts"
import { OnSecrets } from "./secretsUsed.ts"

export interface Signer {
  readonly provider: string
  readonly authorize?: Authorize | undefined
  readonly secrets?: ReadonlyArray<Redacted.Redacted> | undefined
  /** Default: a new pattern for each request. */
  readonly secretsFrom?: typeof secretsFrom | undefined
}

export interface Signed {
  /** Those of the settings come last and win. */
  readonly headers: Headers
  readonly origin: Errors.Origin
}

/** Signs a request, and says which secrets it carries. */
export const sign = (
  { authorize, provider, secrets = [], secretsFrom: patternOf = secretsFrom }: Signer,
  headers: Headers,
  method: Errors.Origin["method"]
): Effect.Effect<Signed, AiError.AiError> => {
  const signed = (headers: Headers): Effect.Effect<Signed> => {
    const used = [...secrets, ...secretsOf(headers)]
    const signed = { headers, origin: { provider, method, secrets: patternOf(used) } }
    return used.length === 0 ? Effect.succeed(signed) : Effect.map(OnSecrets, (tell) => {
      tell(used)
      return signed
    })
  }
  if (authorize === undefined) return signed(headers)
  return Effect.matchEffect(authorize, {
    onFailure: (error) => {
      const description = redactText(`the request can't be signed: ${errorMessage(error)}`, secretsFrom(secrets))
      const reason = new AiError.AuthenticationError({ kind: "MissingKey", description })
      return Effect.fail(AiError.make({ module: provider, method, reason }))
    },
    onSuccess: (signature) => signed({ ...signature, ...headers })
  })
}
