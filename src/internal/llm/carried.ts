/**
 * Carries what the parts of `effect/ai` have no field for, under a name of its own in their metadata: it comes with the
 * answer, stays in transcripts and cassettes, and the bridge reads it again in the next request.
 *
 * @internal
 */
import type * as Prompt from "effect/ai/Prompt"
import type * as Response from "effect/ai/Response"
import { isObject } from "effect/Predicate"
import type * as Schema from "effect/Schema"

/** Everything is JSON, and there only where it says something. */
export interface Carried {
  /** Of a text: the AI SDK's citations of it. */
  readonly citations?: Schema.Json
  /** Of a finish part: the reason and the usage in the provider's own words. */
  readonly finishReason?: string
  readonly usage?: Schema.Json
  /** Of reasoning without a text: the kind of a part that only its provider knows (`openai.compaction`). */
  readonly custom?: string
  /** Of a file: that it was a thought. */
  readonly reasoning?: true
  /** Of a call or result of a tool that the provider ran: the AI SDK's name of the provider and its API. */
  readonly by?: string
  /** Of such a call: the decision on an approval that the provider asked for. */
  readonly approval?: Approval
  /** Of such a request for approval: what its provider wants to see again with the decision. */
  readonly request?: Schema.Json
}

/** A decision on a call that the provider runs once it may. */
export interface Approval {
  readonly id: string
  readonly approved: boolean
  readonly reason?: string
  readonly request?: Schema.Json
}

export const carrier = "effect-troupe"

/** The metadata with what it carries beside. */
export const carry = (metadata: Response.ProviderMetadata | undefined, fields: Carried): Response.ProviderMetadata => ({
  ...metadata,
  [carrier]: { ...carriedIn(metadata ?? {}), ...fields } as Schema.Json
})

/** Nothing where nothing of the kind was put in. */
export const carriedIn = (options: Prompt.ProviderOptions | Response.ProviderMetadata): Carried => {
  const fields: unknown = options[carrier]
  return isObject(fields) ? fields : {}
}
