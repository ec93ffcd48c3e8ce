/**
 * One turn's answer while it comes in: absorbs the parts of a model's stream and gives their events.
 *
 * @internal
 */
import * as AiError from "effect/ai/AiError"
import * as Prompt from "effect/ai/Prompt"
import * as Response from "effect/ai/Response"
import { isObject } from "effect/Predicate"
import type { AgentEvent, Source } from "../../AgentEvent.ts"
import type { Part } from "../../Tap.ts"
import type * as Transcript from "../../Transcript.ts"
import { errorMessage } from "../errorMessage.ts"
import { type Approval, carriedIn, carry } from "../llm/carried.ts"
import { deepArguments, deepResult, defaultBounds, isDeeper } from "./bounds.ts"
import type { Outcome } from "./outcome.ts"
import * as Output from "./output.ts"
import { nextBlock, type RunPlace } from "./place.ts"
import { outputTool } from "./toolName.ts"

/**
 * A call that the model made; it is answered by our tool, or by the provider. `params` are those that it is run with.
 */
export interface TurnCall {
  readonly type: "call"
  readonly part: Response.ToolCallPart<string, unknown>
  params: unknown
  /** Why it must not be run: its arguments could not even be kept. */
  readonly refusal: string | undefined
  outcome: Outcome | undefined
  resultOptions: Prompt.ProviderOptions
  /** The decision on a call that the provider runs once it may. */
  approval: Approval | undefined
}

/** A call of the provider's own that waits for a decision. */
export interface TurnApproval {
  readonly call: TurnCall
  /** The provider's id of it. */
  readonly id: string
  /** What the provider wants to see again with the decision. */
  readonly request: Approval["request"]
}

export interface Turn {
  /** The run that it is a turn of, and where its events come from. */
  readonly at: RunPlace
  /** Who answers. */
  readonly agent: string
  readonly number: number
  /** Which request of the turn it is, from 1 on. */
  readonly attempt: number
  /** How many calls of each name were made for it beside its own. */
  counts: Map<string, number> | undefined
  /** How deep the JSON of its calls may be nested. */
  readonly maxDepth: number
  /** The names of the calls whose results the provider owes since earlier turns, by their ids. */
  readonly owed: ReadonlyMap<string, string>
  readonly content: Array<Block | TurnCall | File | LateResult>
  readonly blocks: Map<string, Block>
  /** The calls that are ours to answer, in the model's order. */
  readonly calls: Array<TurnCall>
  readonly approvals: Array<TurnApproval>
  readonly sources: Array<Source>
  /** The names of the calls whose arguments are under way, by their ids. */
  called: Map<string, string> | undefined
  /** The ids that calls got in the place of ones that the turn had already. */
  renamed: Map<string, string> | undefined
  /** Reads the object that is asked for in the place of text. */
  readonly output: Output.Reader | undefined
  /** Whether the text waits for its guardrails: nobody may see it yet. */
  held: boolean
  /** The events of reasoning that waits for its guardrails. */
  unseen: Array<AgentEvent> | undefined
  /** The name of the model that is asked, and of the one that answers, as far as they say so. */
  asked: string | undefined
  model: string | undefined
  /** The provider's id of the response. */
  responseId: string | undefined
  /** How the model call went, in milliseconds, once it is over. */
  timing: { readonly duration: number; readonly timeToFirstPart: number } | undefined
  finish: Response.FinishPart | undefined
  error: AiError.AiError | undefined
}

/** How a turn differs from the default. */
export interface Options {
  /** Who answers. Default: the agent of the run. */
  readonly agent?: string
  readonly attempt?: number
  readonly held?: boolean
  /** Whether its reasoning waits for guardrails. */
  readonly heldReasoning?: boolean
  readonly maxDepth?: number
  readonly output?: Output.OutputRequest | undefined
  readonly owed?: ReadonlyMap<string, string>
}

export const make = (
  at: RunPlace,
  number: number,
  {
    agent = at.self.agent,
    attempt = 1,
    held = false,
    heldReasoning = false,
    maxDepth = defaultBounds.maxDepth,
    output,
    owed = new Map()
  }: Options = {}
): Turn => ({
  at,
  agent,
  number,
  attempt,
  counts: undefined,
  maxDepth,
  owed,
  content: [],
  blocks: new Map(),
  calls: [],
  approvals: [],
  sources: [],
  called: undefined,
  renamed: undefined,
  output: output && Output.makeReader(output),
  held,
  unseen: heldReasoning ? [] : undefined,
  asked: undefined,
  model: undefined,
  responseId: undefined,
  timing: undefined,
  finish: undefined,
  error: undefined
})

/** Takes the parts in and answers with their events. */
export const absorb = (self: Turn, parts: ReadonlyArray<Part>): Array<AgentEvent> => {
  const events: Array<AgentEvent> = []
  for (const part of parts) absorbPart(self, part, events)
  const output = self.output && Output.take(self.output)
  if (output !== undefined) events.push(toPartial(self.at, output))
  const { held, unseen } = self
  if (unseen !== undefined) unseen.push(...events.filter((event) => event._tag === "ReasoningDelta"))
  if (!held && unseen === undefined) return events
  return events.filter(({ _tag }) => {
    if (_tag === "TextDelta" || _tag === "OutputPartial") return !held
    return _tag !== "ReasoningDelta" || unseen === undefined
  })
}

/** Takes in an event of somebody else's run. */
export const hear = (self: Turn, event: AgentEvent): void => {
  switch (event._tag) {
    case "TextDelta":
    case "ReasoningDelta": {
      const type = event._tag === "TextDelta" ? "text" : "reasoning"
      const block = self.blocks.get(blockKey(type, event.id)) ?? openNext(self, type, event.id)
      block.text += event.delta
      block.options = mergeOptions(block.options, event.metadata ?? {})
      return
    }
    case "File": {
      const { data, mediaType, metadata = {} } = event
      closeLast(self)
      return void self.content.push({ type: "file", part: Response.makePart("file", { data, mediaType, metadata }) })
    }
    case "ToolCall": {
      const { id, metadata = {}, name, params, providerExecuted } = event
      closeLast(self)
      return absorbCall(self, Response.toolCallPart({ id, name, params, providerExecuted, metadata }), [])
    }
    case "ToolResult": {
      const call = callOf(self, idOf(self, event.id))
      if (call === undefined) return
      call.resultOptions = event.metadata ?? {}
      return settle(call, { result: event.result, isFailure: event.isFailure })
    }
    case "TurnFinished":
      return closeLast(self)
  }
}

/** Whether it has the call of this id. */
export const hasCall = (self: Turn, id: string): boolean => callOf(self, id) !== undefined

/** Answers a call. */
export const settle = (call: TurnCall, outcome: Outcome): void => {
  call.outcome = outcome
  if (outcome.params !== undefined) call.params = outcome.params
}

/** Writes down what was decided on a call that the provider runs. The next request carries it. */
export const decide = ({ call, id, request }: TurnApproval, decision: Pick<Approval, "approved" | "reason">): void => {
  call.approval = { id, ...decision, ...(request !== undefined && { request }) }
}

/** Whether the model goes on after this turn: it wants our results or decisions, or has only paused. */
export const goesOn = ({ approvals, calls, finish }: Turn): boolean =>
  calls.length > 0 || approvals.length > 0 || finish?.reason === "pause"

/** The names of the calls whose results the provider owes after this turn, by their ids. */
export const owedAfter = (self: Turn): ReadonlyMap<string, string> => {
  const owed = new Map(self.owed)
  for (const block of self.content) {
    if (block.type === "call" && isOwed(self, block)) owed.set(block.part.id, block.part.name)
    else if (block.type === "result") owed.delete(block.part.id)
  }
  return owed
}

/** The entry that gives every call a result whose result will not come. */
export const closing = (agent: string, owed: ReadonlyMap<string, string>): Transcript.AnswerEntry => ({
  _tag: "Answer",
  agent,
  content: Array.from(owed, ([id, name]) => lateResult(id, name, interrupted, nothing))
})

/** The event of a call's result. */
export const toResult = (
  { at }: Turn,
  { part, resultOptions }: {
    readonly part: { readonly id: string; readonly name: string }
    readonly resultOptions: Prompt.ProviderOptions
  },
  outcome: Outcome
): AgentEvent => ({
  ...at.self,
  _tag: "ToolResult",
  id: part.id,
  name: part.name,
  result: outcome.result,
  isFailure: outcome.isFailure,
  ...(!isEmpty(resultOptions) && { metadata: resultOptions })
})

/** The event of a text that is said in one piece. */
export const toText = (at: RunPlace, delta: string): AgentEvent => ({
  ...at.voice,
  _tag: "TextDelta",
  id: nextBlock(at),
  delta
})

/** The event of an output, as far as it is there. */
export const toPartial = (at: RunPlace, output: unknown): AgentEvent => ({ ...at.voice, _tag: "OutputPartial", output })

/** The output as JSON, if the turn has one that others can walk through. */
export const outputOf = (self: Turn): unknown => {
  const block = self.content.findLast((block) => block.type === "text" && block.role === "output")
  const output = Output.parse(block?.type === "text" ? block.text : text(self))
  return isDeeper(output, self.maxDepth) ? undefined : output
}

/** The text so far, or the reasoning. */
export const text = (self: Turn, type: "text" | "reasoning" = "text"): string => {
  let text = ""
  for (const block of self.content) {
    if (block.type === type) text += block.text
  }
  return text
}

/** Whether there is anything of an answer: text, whole reasoning, a file or a call. */
export const says = (self: Turn): boolean =>
  self.content.some((block) => block.type === "text" ? block.text !== "" : block.type !== "reasoning" || block.closed)

/** Lets the text out, as its guardrails want it. */
export const release = (self: Turn, passed: string): void => {
  self.held = false
  if (passed !== text(self)) replaceBlocks(self, "text", passed)
}

/** Lets the reasoning out, as its guardrails want it, and gives its events. */
export const releaseReasoning = (self: Turn, passed: string): ReadonlyArray<AgentEvent> => {
  const events = self.unseen ?? []
  self.unseen = undefined
  if (passed === text(self, "reasoning")) return events
  replaceBlocks(self, "reasoning", passed)
  return passed === ""
    ? []
    : [{ ...self.at.self, _tag: "ReasoningDelta", id: nextBlock(self.at), delta: passed }]
}

/**
 * The turn as the transcript keeps it: text as far as it came, whole reasoning only (a provider refuses a half one),
 * neither if it was held back, and every call with a result.
 */
export const toEntry = (self: Turn): Transcript.AnswerEntry => {
  const content: Array<Transcript.AnswerPart> = []
  // Some providers want reasoning to be followed by the very call that it led to.
  const carried = self.output?.call !== undefined && self.calls.length === 0
  for (const block of self.content) {
    switch (block.type) {
      case "text":
        // Some providers sign a text that has not a word.
        if (!self.held && (block.text !== "" || !isEmpty(block.options))) {
          content.push(Prompt.textPart({ text: block.text, options: block.options }))
        }
        break
      case "reasoning":
        if (block.closed && !carried && self.unseen === undefined) {
          content.push(Prompt.reasoningPart({ text: block.text, options: block.options }))
        }
        break
      case "file":
        content.push(Prompt.filePart({
          mediaType: block.part.mediaType,
          data: block.part.data,
          options: block.part.metadata
        }))
        break
      case "call":
        content.push(isOwed(self, block) ? toOpenCall(block) : toToolUse(block))
        break
      case "result":
        content.push(lateResult(block.part.id, block.part.name, block.outcome, block.part.metadata))
    }
  }
  return { _tag: "Answer", agent: self.agent, content }
}

/**
 * The usage of model calls together. A number that none of them reports stays unknown.
 *
 * Made once, when it is asked for: each `Usage` that is made is checked by its schema.
 */
export const sumUsage = (usages: ReadonlyArray<Response.Usage>): Response.Usage => {
  const [first = new Response.Usage({ inputTokens: {}, outputTokens: {} })] = usages
  if (usages.length < 2) return first
  const input = { ...first.inputTokens }
  const output = { ...first.outputTokens }
  for (let i = 1; i < usages.length; i++) {
    const { inputTokens, outputTokens } = usages[i]!
    input.uncached = add(input.uncached, inputTokens.uncached)
    input.total = add(input.total, inputTokens.total)
    input.cacheRead = add(input.cacheRead, inputTokens.cacheRead)
    input.cacheWrite = add(input.cacheWrite, inputTokens.cacheWrite)
    output.total = add(output.total, outputTokens.total)
    output.text = add(output.text, outputTokens.text)
    output.reasoning = add(output.reasoning, outputTokens.reasoning)
  }
  return new Response.Usage({ inputTokens: input, outputTokens: output })
}

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

/** A text or reasoning block under way; `closed` once the provider said that it is whole. */
interface Block {
  readonly type: "text" | "reasoning"
  readonly id: string
  text: string
  options: Prompt.ProviderOptions
  /** Options that no event has told yet. */
  untold: Prompt.ProviderOptions
  closed: boolean
  /** Whether it is the output or text beside it, as soon as its beginning says so; `undefined` until then. */
  role: "text" | "output" | undefined
}

interface File {
  readonly type: "file"
  readonly part: Response.FilePart
}

/** The result of a call in an earlier turn. */
interface LateResult {
  readonly type: "result"
  readonly part: Response.ToolResultPart<string, unknown, unknown>
  readonly outcome: Outcome
}

const absorbPart = (self: Turn, part: Part, events: Array<AgentEvent>): void => {
  switch (part.type) {
    case "text-start":
    case "reasoning-start":
      return void begin(self, part.type === "text-start" ? "text" : "reasoning", part.id, part.metadata)
    case "text-delta":
    case "reasoning-delta":
      return absorbDelta(self, part, events)
    case "text-end":
    case "reasoning-end": {
      const block = self.blocks.get(blockKey(part.type === "text-end" ? "text" : "reasoning", part.id))
      if (block === undefined) return
      block.closed = true
      return block.role === undefined
        ? tellAll(self, block, part.metadata, events)
        : tellDelta(self, block, "", part.metadata, events)
    }
    case "tool-params-start":
      if (self.output !== undefined && part.name === outputTool) return Output.begin(self.output, part.id)
      return void (self.called ??= new Map()).set(part.providerExecuted ? part.id : nextId(self, part.id), part.name)
    case "tool-params-delta":
      return absorbParams(self, part, events)
    case "tool-call":
      // A provider may tell of a call again when its result comes.
      return self.owed.has(part.id) ? undefined : absorbCall(self, part, events)
    case "tool-approval-request":
      return absorbApproval(self, part)
    case "tool-result":
      return absorbProviderResult(self, part, events)
    case "file":
      self.content.push({ type: "file", part })
      return void events.push({
        ...self.at.self,
        _tag: "File",
        mediaType: part.mediaType,
        data: part.data,
        ...metadataOf(part)
      })
    case "source": {
      const source = toSource(self, part)
      self.sources.push(source)
      return void events.push(source)
    }
    case "response-metadata":
      self.model = part.modelId ?? self.model
      self.responseId = part.id ?? self.responseId
      return
    case "error":
      self.error ??= toAiError(part.error)
      return
    case "finish":
      self.finish = part
      return
  }
}

// Text and reasoning count their ids apart in some providers, so the kind is part of the key.
const blockKey = (type: Block["type"], id: string) => `${type} ${id}`

/** A block of the model's own, under the model's `key`. */
const begin = (self: Turn, type: Block["type"], key: string, options: Prompt.ProviderOptions): Block =>
  open(self, key, {
    type,
    id: nextBlock(self.at),
    text: "",
    options,
    untold: options,
    closed: false,
    role: type === "text" && self.output !== undefined ? undefined : "text"
  })

/** A block of somebody else's. */
const openNext = (self: Turn, type: Block["type"], id: string): Block => {
  closeLast(self)
  return open(self, id, { type, id, text: "", options: {}, untold: {}, closed: false, role: "text" })
}

const open = (self: Turn, key: string, block: Block): Block => {
  self.content.push(block)
  self.blocks.set(blockKey(block.type, key), block)
  return block
}

/** No event tells the end of a block but the beginning of something else. */
const closeLast = (self: Turn): void => {
  const last = self.content.at(-1)
  if (last?.type === "text" || last?.type === "reasoning") last.closed = true
}

const absorbDelta = (
  self: Turn,
  part: Response.TextDeltaPart | Response.ReasoningDeltaPart,
  events: Array<AgentEvent>
): void => {
  const type = part.type === "text-delta" ? "text" : "reasoning"
  const block = self.blocks.get(blockKey(type, part.id)) ?? begin(self, type, part.id, {})
  block.text += part.delta
  if (block.role === undefined) decideRole(self, block, part.metadata, events)
  else tellDelta(self, block, part.delta, part.metadata, events)
}

/** Tells a block as soon as it is known whether it is text or the output. */
const decideRole = (self: Turn, block: Block, options: Prompt.ProviderOptions, events: Array<AgentEvent>): void => {
  switch (Output.isOutput(block.text)) {
    case "undecided":
      return addOptions(block, options)
    case "no":
      return tellAll(self, block, options, events)
    case "yes":
      block.role = "output"
      Output.begin(self.output!, undefined)
      return tellDelta(self, block, block.text.slice(block.text.indexOf("{")), options, events)
  }
}

/** Tells a block that is text after all. */
const tellAll = (self: Turn, block: Block, options: Prompt.ProviderOptions, events: Array<AgentEvent>): void => {
  block.role = "text"
  tellDelta(self, block, block.text, options, events)
}

/** Tells a piece of a block, if there is anything to tell. */
const tellDelta = (
  { at, output }: Turn,
  block: Block,
  delta: string,
  options: Prompt.ProviderOptions,
  events: Array<AgentEvent>
): void => {
  addOptions(block, options)
  if (block.role === "output") return Output.push(output!, delta)
  const told = isEmpty(block.untold) ? undefined : { metadata: block.untold }
  if (delta === "" && told === undefined) return
  block.untold = nothing
  events.push(
    block.type === "text"
      ? { ...at.voice, _tag: "TextDelta", id: block.id, delta, ...told }
      : { ...at.self, _tag: "ReasoningDelta", id: block.id, delta, ...told }
  )
}

const addOptions = (block: Block, options: Prompt.ProviderOptions): void => {
  if (isEmpty(options)) return
  block.options = mergeOptions(block.options, options)
  block.untold = mergeOptions(block.untold, options)
}

const absorbParams = (self: Turn, part: Response.ToolParamsDeltaPart, events: Array<AgentEvent>): void => {
  const { delta } = part
  if (self.output !== undefined && self.output.call === part.id) return Output.push(self.output, delta)
  const id = idOf(self, part.id)
  const name = self.called?.get(id)
  if (name === undefined || delta === "") return
  events.push({ ...self.at.self, _tag: "ToolParamsDelta", id, name, delta })
}

const toSource = (
  { at }: Turn,
  part: Response.DocumentSourcePart | Response.UrlSourcePart
): Source => ({
  ...at.self,
  _tag: "Source",
  id: part.id,
  sourceType: part.sourceType,
  title: part.title,
  ...(part.sourceType === "url" ? { url: part.url.href } : { mediaType: part.mediaType }),
  ...(part.sourceType === "document" && part.fileName !== undefined && { fileName: part.fileName }),
  ...metadataOf(part)
})

/** The output that a tool has carried, as if it had been said. */
const absorbOutput = (self: Turn, reader: Output.Reader, { id, params }: Response.ToolCallPart<string, unknown>) => {
  if (reader.call !== id) Output.begin(reader, id)
  const text = typeof params === "string" ? params : isDeeper(params, self.maxDepth) ? "" : JSON.stringify(params)
  // Nothing new where it came in pieces before.
  if (reader.json.state === "start") Output.push(reader, text)
  self.content.push({ type: "text", id, text, options: nothing, untold: nothing, closed: true, role: "output" })
}

const absorbCall = (self: Turn, wanted: Response.ToolCallPart<string, unknown>, events: Array<AgentEvent>): void => {
  if (self.output !== undefined && wanted.name === outputTool) return absorbOutput(self, self.output, wanted)
  const deep = isDeeper(wanted.params, self.maxDepth)
  const id = wanted.providerExecuted ? wanted.id : nextId(self, wanted.id)
  // Some providers take no other arguments than an object.
  const part = deep || id !== wanted.id
    ? Response.toolCallPart({ ...wanted, id, ...(deep && { params: {} }) })
    : wanted
  const refusal = deep ? deepArguments(self.maxDepth) : undefined
  const call: TurnCall = {
    type: "call",
    part,
    params: part.params,
    refusal,
    outcome: undefined,
    resultOptions: {},
    approval: undefined
  }
  self.content.push(call)
  if (!part.providerExecuted) self.calls.push(call)
  events.push({
    ...self.at.self,
    _tag: "ToolCall",
    id: part.id,
    name: part.name,
    params: part.params,
    providerExecuted: part.providerExecuted,
    ...metadataOf(part)
  })
}

const absorbProviderResult = (
  self: Turn,
  part: Response.ToolResultPart<string, unknown, unknown>,
  events: Array<AgentEvent>
): void => {
  const call = callOf(self, part.id)
  if (part.preliminary || (call === undefined && !self.owed.has(part.id))) return
  const outcome = isDeeper(part.encodedResult, self.maxDepth)
    ? deepResult(self.maxDepth)
    : { result: part.encodedResult, isFailure: part.isFailure }
  if (call === undefined) self.content.push({ type: "result", part, outcome })
  else {
    call.resultOptions = part.metadata
    settle(call, outcome)
  }
  events.push(toResult(self, call ?? { part, resultOptions: part.metadata }, outcome))
}

const absorbApproval = (self: Turn, { approvalId, metadata, toolCallId }: Response.ToolApprovalRequestPart): void => {
  const call = callOf(self, toolCallId)
  if (call?.part.providerExecuted !== true) return
  self.approvals.push({ call, id: approvalId, request: carriedIn(metadata).request })
}

/** The id of the newest call that came with this one. */
const idOf = ({ renamed }: Turn, id: string): string => renamed?.get(id) ?? id

/** The id for a call that comes with this one. Some servers give all calls the same, which others refuse to read. */
const nextId = (self: Turn, id: string): string => {
  const newest = idOf(self, id)
  if (!hasCall(self, newest)) return newest
  let count = 2
  while (hasCall(self, `${id}_${count}`)) count++
  const free = `${id}_${count}`
  const renamed = self.renamed ??= new Map()
  renamed.set(id, free)
  return free
}

const callOf = (self: Turn, id: string): TurnCall | undefined =>
  self.content.find((block): block is TurnCall => block.type === "call" && block.part.id === id)

/** The provider's data about the blocks goes with them: it would not fit another text. */
const replaceBlocks = (self: Turn, type: Block["type"], text: string): void => {
  const first = self.content.findIndex((block) => block.type === type)
  const others = self.content.filter((block) => block.type !== type)
  self.content.splice(0, self.content.length, ...others)
  const block: Block = { type, id: "", text, options: nothing, untold: nothing, closed: true, role: "text" }
  if (text !== "") self.content.splice(Math.max(0, first), 0, block)
}

/** For the model to read, of a call that was not answered because the turn ended before. */
const interrupted: Outcome = { result: "Interrupted before the tool answered", isFailure: true }

const add = (a: number | undefined, b: number | undefined): number | undefined =>
  a === undefined ? b : b === undefined ? a : a + b

/** A finished answer may leave results of the provider's own tools to a later one. */
const isOwed = (self: Turn, { outcome, part }: TurnCall): boolean =>
  part.providerExecuted && outcome === undefined && self.finish !== undefined && goesOn(self)

const optionsOf = ({ approval, part }: TurnCall): Prompt.ProviderOptions =>
  approval === undefined ? part.metadata : carry(part.metadata, { approval })

const toOpenCall = (call: TurnCall): Transcript.OpenCall => {
  const { params, part: { id, name } } = call
  const part = Prompt.toolCallPart({ id, name, params, providerExecuted: true, options: optionsOf(call) })
  return { ...part, providerExecuted: true }
}

const lateResult = (
  id: string,
  name: string,
  { isFailure, result }: Outcome,
  options: Prompt.ProviderOptions
): Transcript.LateResult => ({
  ...Prompt.toolResultPart({ id, name, isFailure, result, providerExecuted: true, options }),
  providerExecuted: true
})

const toToolUse = (call: TurnCall, outcome = call.outcome ?? interrupted): Transcript.ToolUse => ({
  type: "tool-use",
  id: call.part.id,
  name: call.part.name,
  params: call.params,
  result: outcome.result,
  isFailure: outcome.isFailure,
  providerExecuted: call.part.providerExecuted,
  ...(outcome.modelOutput && { modelOutput: outcome.modelOutput }),
  options: optionsOf(call),
  resultOptions: call.resultOptions
})

const nothing: Prompt.ProviderOptions = {}

const isEmpty = (options: Prompt.ProviderOptions): boolean => {
  for (const _ in options) return false
  return true
}

const metadataOf = ({ metadata }: { readonly metadata: Response.ProviderMetadata }) =>
  isEmpty(metadata) ? undefined : { metadata }

const mergeOptions = (left: Prompt.ProviderOptions, right: Prompt.ProviderOptions): Prompt.ProviderOptions => {
  const providers = Object.keys(right)
  if (providers.length === 0) return left
  const merged: Record<string, Prompt.ProviderOptions[string]> = { ...left }
  for (const provider of providers) {
    const [a, b] = [merged[provider], right[provider]]
    merged[provider] = isObject(a) && isObject(b) ? Object.assign({}, a, b) : b ?? null
  }
  return merged
}

const toAiError = (error: unknown): AiError.AiError =>
  AiError.isAiError(error) ? error : AiError.make({
    module: "LanguageModel",
    method: "streamText",
    reason: new AiError.UnknownError({ description: errorMessage(error) })
  })
