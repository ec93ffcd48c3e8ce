/**
 * The content of MCP messages as a model reads it.
 *
 * @internal
 */
import type * as McpSchema from "effect/ai/McpSchema"
import * as Prompt from "effect/ai/Prompt"
import type { Outcome } from "./outcome.ts"

type ContentBlock = typeof McpSchema.ContentBlock.Type

type ResourceContents = McpSchema.ReadResourceResult["contents"][number]

/** The texts and files of blocks. */
export const partsOf = (blocks: ReadonlyArray<ContentBlock>): ReadonlyArray<Prompt.ToolModelOutputPart> =>
  blocks.map((block) => {
    switch (block.type) {
      case "text":
        return Prompt.textPart({ text: block.text })
      case "resource_link":
        return Prompt.textPart({ text: `${block.title ?? block.name}: ${block.uri}` })
      case "resource":
        return partOf(block.resource)
      default:
        return Prompt.filePart({ mediaType: block.mimeType, data: block.data })
    }
  })

/** The text of a resource, or its file where models can read one. */
export const partOf = (contents: ResourceContents): Prompt.ToolModelOutputPart => {
  if ("text" in contents) return Prompt.textPart({ text: contents.text })
  const { blob, mimeType = "unknown", uri } = contents
  return /^(?:image|audio)\/|^application\/pdf$/.test(mimeType)
    ? Prompt.filePart({ mediaType: mimeType, data: blob })
    : Prompt.textPart({ text: `${uri} (${mimeType}, not text)` })
}

/** Texts as a result, and the files beside it, which only the model can read. */
export const toOutcome = (parts: ReadonlyArray<Prompt.ToolModelOutputPart>): Outcome => {
  const texts = parts.map((part) => part.type === "text" ? part.text : `(${part.mediaType})`)
  return {
    result: texts.join("\n"),
    isFailure: false,
    ...(parts.some((part) => part.type === "file") && { modelOutput: parts })
  }
}
