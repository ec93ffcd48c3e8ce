import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import * as PartialJson from "../src/internal/agent/partialJson.ts"

/** The values after each piece that changed them. */
const values = (pieces: ReadonlyArray<string>) => {
  const json = PartialJson.make()
  return pieces.flatMap((piece) => PartialJson.push(json, piece) ? [PartialJson.value(json)] : [])
}

/** Whether a value can become the other one when more of its JSON is read. */
const isBeginning = (part: unknown, whole: unknown): boolean => {
  if (typeof part === "string") return typeof whole === "string" && whole.startsWith(part)
  if (typeof part !== "object" || part === null) return Object.is(part, whole)
  if (typeof whole !== "object" || whole === null || Array.isArray(part) !== Array.isArray(whole)) return false
  return Object.entries(part).every(([key, value]) =>
    Object.hasOwn(whole, key) && isBeginning(value, (whole as Record<string, unknown>)[key])
  )
}

const object = fc.dictionary(
  fc.string({ unit: "grapheme" }),
  fc.jsonValue({ noUnicodeString: false, depthSize: "medium" })
)

const inPieces = fc.tuple(object, fc.boolean(), fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 })).map(
  ([value, spaced, sizes]) => {
    const pieces: Array<string> = []
    const json = JSON.stringify(value, null, spaced ? 2 : 0)
    for (let at = 0; at < json.length; at += sizes[(pieces.length - 1) % sizes.length]!) {
      pieces.push(json.slice(at, at + sizes[pieces.length % sizes.length]!))
    }
    return pieces
  }
)

describe("JSON that comes in pieces", () => {
  it("is the same value in the end, and a beginning of it until then", () => {
    fc.assert(fc.property(inPieces, (pieces) => {
      const whole: unknown = JSON.parse(pieces.join(""))
      const all = values(pieces)
      const json = PartialJson.make()
      PartialJson.push(json, pieces.join(""))
      assert.deepStrictEqual(PartialJson.value(json), whole)
      assert.deepStrictEqual(all.at(-1), whole)
      for (const value of all) assert.isTrue(isBeginning(value, whole))
    }))
  })

  it("is told when it changes: strings while they grow, numbers and words when they are whole", () => {
    assert.deepStrictEqual(values(["{", "\"na", "me\":", " \"A", "da\"", ",\"age\":3", "6,", "\"ok\":tru", "e", "}"]), [
      {},
      { name: "A" },
      { name: "Ada" },
      { name: "Ada", age: 36 },
      { name: "Ada", age: 36, ok: true }
    ])
  })

  it("holds back an escape and a character until they are whole", () => {
    assert.deepStrictEqual(values(["{\"a\":\"x", "\\", "n", "\\ud83d", "\\ude00", "\"}"]), [
      { a: "x" },
      { a: "x\n" },
      { a: "x\n" },
      { a: "x\n\u{1f600}" }
    ])
  })

  it("is read as far as it is right, and no deeper than code can walk through", () => {
    assert.deepStrictEqual(values(["{\"a\":1,", "b", "\"c\":2}"]), [{ a: 1 }])
    assert.deepStrictEqual(values(["Well, {\"a\":1}"]), [])
    const deep = PartialJson.make()
    PartialJson.push(deep, "{\"a\":".repeat(4000))
    assert.strictEqual(JSON.stringify(PartialJson.value(deep)).split("{").length - 1, 128)
  })

  it("leaves the values alone that were given out", () => {
    const json = PartialJson.make()
    PartialJson.push(json, "{\"list\":[{\"a\":1},")
    const before = PartialJson.value(json)
    PartialJson.push(json, "{\"b\":2}]}")
    assert.deepStrictEqual(before, { list: [{ a: 1 }] })
  })
})
