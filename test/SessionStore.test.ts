import { describe, it } from "@effect/vitest"
import { SessionStore } from "effect-troupe"
import { SessionStoreSuite } from "effect-troupe/testing"

describe("SessionStore.layerMemory", () => {
  for (const { check, name } of SessionStoreSuite.promises(SessionStore.layerMemory)) it.effect(name, () => check)
})
