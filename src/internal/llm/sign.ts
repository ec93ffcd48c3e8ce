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
}

export interface Signed {
  /** Those of the settings come last and win. */
  readonly headers: Headers
  readonly origin: Errors.Origin
}

/** Signs a request, and says which secrets it carries. */
export const sign = Effect.fnUntraced(function*(
  { authorize, provider, secrets = [] }: Signer,
  headers: Headers,
  method: Errors.Origin["method"]
): Effect.fn.Return<Signed, AiError.AiError> {
  const signature = authorize === undefined ? {} : yield* Effect.catch(authorize, (error) => {
    const description = redactText(`the request can't be signed: ${errorMessage(error)}`, secretsFrom(secrets))
    const reason = new AiError.AuthenticationError({ kind: "MissingKey", description })
    return Effect.fail(AiError.make({ module: provider, method, reason }))
  })
  const all = { ...signature, ...headers }
  const used = [...secrets, ...secretsOf(all)]
  if (used.length > 0) (yield* OnSecrets)(used)
  return { headers: all, origin: { provider, method, secrets: secretsFrom(used) } }
})
