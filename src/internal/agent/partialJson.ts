/**
 * Reads a JSON object while it comes in, and gives the value so far at any time. A string may lack its end; everything
 * else is in the value when it is whole.
 *
 * Each character is read once, so a long answer costs no more in pieces than as a whole.
 *
 * @internal
 */

export interface PartialJson {
  /** The objects and arrays that are not closed yet, the outermost first. */
  readonly open: Array<Container>
  state: State
  /** The key, string, number or word under way; of a string what it says. */
  token: string
  /** A backslash and what follows it, until it is a whole character. */
  escape: string
  /** The object, once it is closed. */
  whole: unknown
}

export const make = (): PartialJson => ({ open: [], state: "start", token: "", escape: "", whole: undefined })

/** Reads on; whether the value has changed. What comes after its end or after a mistake is not read. */
export const push = (self: PartialJson, json: string): boolean => {
  let changed = false
  for (let i = 0; i < json.length && self.state !== "end"; i++) changed = read[self.state](self, json[i]!) || changed
  return changed
}

/** The value so far, `undefined` before its beginning. What is read later does not change it. */
export const value = ({ open, state, token, whole }: PartialJson): unknown => {
  if (open.length === 0) return whole
  let inner: unknown = state === "string" ? withoutHalf(token) : undefined
  for (let i = open.length - 1; i >= 0; i--) inner = snapshot(open[i]!, inner)
  return inner
}

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

/** What comes next: `item` is a value or the end of an array, `field` a key or the end of an object. */
type State = "start" | "value" | "item" | "field" | "key" | "inKey" | "colon" | "string" | "word" | "next" | "end"

type Container =
  | { readonly type: "array"; readonly items: Array<unknown> }
  | { readonly type: "object"; readonly fields: Map<string, unknown>; key: string }

/** Code that walks through a value recurses, so deeper ones are not read. */
const maxDepth = 128

type Read = (self: PartialJson, char: string) => boolean

const isSpace = (char: string): boolean => char === " " || char === "\n" || char === "\r" || char === "\t"

const to = (self: PartialJson, state: State, changed = false): boolean => {
  self.state = state
  self.token = ""
  return changed
}

const readValue: Read = (self, char) => {
  if (isSpace(char)) return false
  if (char === "\"") return to(self, "string", true)
  if (char === "{") return open(self, { type: "object", fields: new Map(), key: "" }, "field")
  if (char === "[") return open(self, { type: "array", items: [] }, "item")
  to(self, "word")
  self.token = char
  return false
}

const readKey: Read = (self, char) => isSpace(char) ? false : to(self, char === "\"" ? "inKey" : "end")

const readNext: Read = (self, char) => {
  if (isSpace(char)) return false
  const { type } = self.open.at(-1)!
  if (char === ",") return to(self, type === "array" ? "value" : "key")
  return char === (type === "array" ? "]" : "}") ? close(self) : to(self, "end")
}

const read: Record<State, Read> = {
  start: (self, char) => char === "{" ? readValue(self, char) : isSpace(char) ? false : to(self, "end"),
  value: readValue,
  item: (self, char) => char === "]" ? close(self) : readValue(self, char),
  field: (self, char) => char === "}" ? close(self) : readKey(self, char),
  key: readKey,
  inKey: (self, char) => {
    if (readString(self, char)) return false
    const container = self.open.at(-1)!
    if (container.type === "object") container.key = self.token
    return to(self, "colon")
  },
  colon: (self, char) => isSpace(char) ? false : to(self, char === ":" ? "value" : "end"),
  string: (self, char) => readString(self, char) ? self.escape === "" : add(self, self.token),
  word: (self, char) => {
    if (!isSpace(char) && char !== "," && char !== "]" && char !== "}") {
      self.token += char
      return false
    }
    const word = parseWord(self.token)
    if (word === undefined) return to(self, "end")
    add(self, word)
    readNext(self, char)
    return true
  },
  next: readNext,
  end: () => false
}

/** Takes in a character of a string; false for the quote that ends it. */
const readString = (self: PartialJson, char: string): boolean => {
  if (self.escape === "") {
    if (char === "\"") return false
    if (char === "\\") self.escape = char
    else self.token += char
    return true
  }
  self.escape += char
  if (self.escape.length < (self.escape[1] === "u" ? 6 : 2)) return true
  self.token += parseWord(`"${self.escape}"`) ?? ""
  self.escape = ""
  return true
}

const open = (self: PartialJson, container: Container, state: State): boolean => {
  if (self.open.length === maxDepth) return to(self, "end")
  self.open.push(container)
  return to(self, state, true)
}

/** An open container was in the value already, so closing it changes nothing. */
const close = (self: PartialJson): boolean => {
  const closed = snapshot(self.open.pop()!, undefined)
  if (self.open.length > 0) add(self, closed)
  else {
    self.whole = closed
    to(self, "end")
  }
  return false
}

const add = (self: PartialJson, value: unknown): boolean => {
  const container = self.open.at(-1)!
  if (container.type === "array") container.items.push(value)
  else container.fields.set(container.key, value)
  return to(self, "next")
}

/** A copy of a container, with what is read in it now. */
const snapshot = (container: Container, inner: unknown): unknown => {
  if (container.type === "array") return inner === undefined ? container.items.slice() : [...container.items, inner]
  // Not by assignment, which does something else with a key `__proto__`.
  return Object.fromEntries(inner === undefined ? container.fields : [...container.fields, [container.key, inner]])
}

/** A number, a word such as `true`, or a string with its quotes. */
const parseWord = (json: string): unknown => {
  try {
    return JSON.parse(json)
  } catch {
    return undefined
  }
}

/** Without the first half of a character whose second half has not come yet. */
const withoutHalf = (text: string): string => text.replace(/[\ud800-\udbff]$/, "")
